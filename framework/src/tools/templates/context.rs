//! The values for a template besides its data: `session`, `request`, `login`, `csp_nonce`, `csrf_token`, `url`.
//!
//! The engine wants values that live on their own and may go to any thread; a session belongs to its exchange. So the
//! session is lent: taken out of the exchange while the template is rendered, and put back afterwards. A value that a
//! template has passed on to some place outside finds nothing there later.

use super::escaping::{PAGE, name_of};
use super::links::is_name;
use super::tool::OwnValue;
use crate::exchange::{Escaping, Exchange, LinkText, Login, NamedValues, PageAddresses, Request};
use crate::sessions::Session;
use crate::tools::{CspNonce, CsrfToken};
use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, Rest, Serde, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};
use parking_lot::Mutex;
use std::sync::Arc;

/// Renders with the whole context and gives the session back to the exchange, even after a failure.
pub(super) fn with_context<R>(
    data: Value,
    own: &[OwnValue],
    page: Escaping,
    exchange: &mut Exchange,
    render: impl FnOnce(Value) -> R,
) -> R {
    let session = exchange.values.remove::<Session>().map(|session| Arc::new(LentSession(Mutex::new(Some(session)))));
    // The session is out: a value that looks for it finds none, and a template finds it by itself.
    let own = own.iter().map(|(name, value)| (Arc::clone(name), value(exchange))).collect();
    let request = &exchange.request;
    let seen_request = Value::from_pairs([
        ("path", Value::from(request.path())),
        ("method", Value::from(request.method().as_str())),
        ("query", request.query().map_or(Value::UNDEFINED, Value::from)),
        ("origin", Value::from(request.origin().to_string())),
        ("id", Value::from(request.id().to_string())),
    ]);
    let context = Context {
        data,
        own,
        page,
        session: session.clone().map_or(Value::UNDEFINED, Value::from_dyn_object),
        request: seen_request,
        login: Login::of(exchange).map_or_else(|| Value::from(()), |login| Value::from(login.name())),
        csp_nonce: CspNonce::of(exchange).cloned(),
        csrf_token: CsrfToken::of(exchange).cloned(),
        site: Arc::new(Site {
            outermost: request.url("/").local().from_outermost().to_string(),
            mount: request.mount().to_owned(),
            pages: request.pages.clone(),
        }),
    };
    let result = render(Value::from_object(context));
    if let Some(session) = session.and_then(|lent| lent.0.lock().take()) {
        exchange.values.insert(session);
    }
    result
}

/// The names of a template: those of its data first.
#[derive(Debug)]
struct Context {
    data: Value,
    /// The values of the application, see [`Templates::value`](super::Templates::value).
    own: Vec<(Arc<str>, Value)>,
    /// How the page as a whole is escaped, for fragments that it includes.
    page: Escaping,
    session: Value,
    request: Value,
    login: Value,
    /// Made when the template first asks for it: a page that does not has no nonce.
    csp_nonce: Option<CspNonce>,
    /// Made when the template first asks for it, too.
    csrf_token: Option<CsrfToken>,
    site: Arc<Site>,
}

/// All that links need to know of the request.
#[derive(Debug)]
struct Site {
    /// Where the outermost app begins for the client: `/`, or behind a proxy `/prefix/`.
    outermost: String,
    /// Where the app is mounted.
    mount: String,
    pages: Option<Arc<dyn PageAddresses>>,
}

impl Object for Context {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if key.as_str() == Some(PAGE) {
            return Some(Value::from(name_of(self.page)));
        }
        let of_data = self.data.get_item(key).ok().filter(|value| !value.is_undefined());
        let of_application =
            || self.own.iter().find(|(name, _)| key.as_str() == Some(name)).map(|(_, value)| value.clone());
        of_data.or_else(of_application).or_else(|| match key.as_str()? {
            "session" => Some(self.session.clone()),
            "request" => Some(self.request.clone()),
            "login" => Some(self.login.clone()),
            "csp_nonce" => self.csp_nonce.as_ref().map(|nonce| Value::from(nonce.as_str())),
            "csrf_token" => self.csrf_token.as_ref().map(|token| Value::from(token.as_str())),
            "url" => {
                let site = Arc::clone(&self.site);
                Some(Value::from_function(move |page: &str, values: Rest<Value>, named: Kwargs| {
                    if is_name(page) { site.page(page, &values, &named) } else { site.path(page, &values, &named) }
                }))
            }
            _ => None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let of_data = self.data.try_iter().map(Vec::from_iter).unwrap_or_default();
        Enumerator::Values(
            of_data
                .into_iter()
                .chain(self.own.iter().map(|(name, _)| Value::from(&**name)))
                .chain(["session", "request", "login", "csp_nonce", "csrf_token", "url"].map(Value::from))
                .collect(),
        )
    }
}

impl Site {
    /// The address of a path of the application, as the client must ask for it: `url("/song", id, page=2)`.
    fn path(&self, path: &str, segments: &[Value], query: &Kwargs) -> Result<String, Error> {
        let nowhere = Request::default();
        let mut link = nowhere.url(path).local();
        for segment in segments {
            if let LinkText::One(segment) = text(segment) {
                link = link.segment(segment);
            }
        }
        for name in query.args() {
            if let LinkText::One(value) = text(&query.get(name)?) {
                link = link.query(name, value);
            }
        }
        let link = link.to_string();
        let outermost = self.outermost.trim_end_matches('/');
        Ok(if path.starts_with('/') { format!("{outermost}{}{link}", self.mount) } else { link })
    }

    /// The address of a page by its name: `url("Shop.item", 42, page=2)`.
    fn page(&self, name: &str, values: &[Value], named: &Kwargs) -> Result<String, Error> {
        let by_name: Result<_, Error> =
            named.args().map(|name| Ok((name.to_owned(), texts(&named.get(name)?)))).collect();
        let values = NamedValues { in_order: values.iter().map(texts).collect(), by_name: by_name? };
        let Some(pages) = &self.pages else {
            return Err(Error::new(ErrorKind::InvalidOperation, "no application has routed this request"));
        };
        let address = pages.of_name(name, values, &self.mount);
        let address = address.map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
        let nowhere = Request::default();
        let link = address.append_to(nowhere.url("/").local()).to_string();
        Ok(format!("{}{link}", self.outermost.trim_end_matches('/')))
    }
}

/// A name without a value leaves its parameter out: the first page of a list needs no `page`.
fn text(value: &Value) -> LinkText {
    match value.is_none() || value.is_undefined() {
        true => LinkText::Omitted,
        false => LinkText::One(written(value)),
    }
}

/// As a parameter is read: the engine writes `True`, as Jinja does, and links in code `true`.
fn written(value: &Value) -> String {
    match value.kind() {
        ValueKind::Bool => value.is_true().to_string(),
        _ => value.to_string(),
    }
}

/// A list is several values.
fn texts(value: &Value) -> LinkText {
    match value.kind() {
        ValueKind::Seq => {
            LinkText::Several(value.try_iter().into_iter().flatten().map(|value| written(&value)).collect())
        }
        _ => text(value),
    }
}

/// The session while a template has it.
struct LentSession(Mutex<Option<Session>>);

impl LentSession {
    fn ask<R>(&self, ask: impl FnOnce(&Session) -> R) -> Option<R> {
        self.0.lock().as_ref().map(ask)
    }
}

impl Object for LentSession {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        self.ask(|session| session.get::<serde_json::Value>(key))?.map(|value| Value::from(Serde(value)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let keys = self.ask(Session::keys).unwrap_or_default();
        Enumerator::Values(keys.into_iter().map(Value::from).collect())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, arguments: &[Value]) -> Result<Value, Error> {
        match method {
            "get" => {
                let (key, default): (&str, Option<Value>) = from_args(arguments)?;
                let value = self.get_value(&Value::from(key));
                Ok(value.or(default).unwrap_or_else(|| Value::from(())))
            }
            "flashes" => {
                let () = from_args(arguments)?;
                Ok(Value::from(self.ask(Session::flashes).unwrap_or_default()))
            }
            "set" => {
                let (key, value): (&str, Value) = from_args(arguments)?;
                match self.ask(|session| session.try_set(key, &value)) {
                    None | Some(Ok(())) => Ok(Value::from("")),
                    Some(Err(error)) => Err(Error::new(ErrorKind::InvalidOperation, error.to_string())),
                }
            }
            _ => Err(Error::new(
                ErrorKind::UnknownMethod,
                format!("the session has no method `{method}` in templates; there are `get`, `set` and `flashes`"),
            )),
        }
    }
}

/// Nothing of the visitor's is shown in messages.
impl std::fmt::Debug for LentSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the session")
    }
}
