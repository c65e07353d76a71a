//! Which other sites' scripts may use a section: `Cors`, after the Fetch standard.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 5 | answers preflights: before logins, and before the page is asked whether it answers OPTIONS |
//! | `before_finalize` | 96, always | names the sites that may read the response of a handler, a file, the cache or an error page |
//!
//! It is the browser that keeps scripts from other sites' responses; this tool tells it where it need not. It protects
//! nothing from programs, and does not keep other sites from *sending* requests: that is the tool `csrf`.

use super::origins::origin_setting;
use crate::exchange::origin_of;
use crate::lifecycle::{Flow, HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, list as listed};
use crate::{Error, Exchange, HeaderName, HeaderValue, Method, Request, Response, Settings, StatusCode, header};
use std::borrow::Cow;
use std::time::Duration;

/// Lets scripts of other origins read the responses of a section (Cross-Origin Resource Sharing).
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::Cors};
///
/// struct Api;
///
/// #[handlers]
/// impl Api {
///     #[expose(get, put)]
///     fn song(&self) -> &'static str { "a song" }
/// }
///
/// let cors = Cors::new(["https://app.example", "https://*.preview.example"]).headers(["Content-Type", "Authorization"]);
/// let client = Client::in_process(App::new(Api).tool("/", cors));
///
/// let song = client.get("/song").header("origin", "https://app.example").send();
/// song.assert_text("a song").assert_header("access-control-allow-origin", "https://app.example");
///
/// let preflight = client.request(Method::OPTIONS, "/song").header("origin", "https://pr7.preview.example");
/// let preflight = preflight.header("access-control-request-method", "PUT").send();
/// preflight.assert_status(204).assert_header("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
/// ```
///
/// A preflight that is refused gets 403 with a sentence that names the reason, for the network tab of the browser.
/// Where the answer depends on the origin, `Vary: Origin` is always there, so that no cache hands one site's permission
/// to another. Fields that a handler has set itself stay.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::prepare)]
pub struct Cors {
    /// The sites whose scripts may read: `https://app.example`; `https://*.example.org` for all hosts below one; `*`
    /// for every site.
    #[setting(given, no_builder)]
    origins: Vec<String>,
    /// The methods that such scripts may use. The page decides which it answers.
    #[setting(default = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])]
    methods: Vec<String>,
    /// The request fields that such scripts may send; `*` for all.
    #[setting(default = ["Content-Type"])]
    headers: Vec<String>,
    /// The response fields that such scripts may read, besides the usual ones.
    expose: Vec<String>,
    /// Whether requests may come with cookies and logins; not together with the origin `*`.
    credentials: bool,
    /// For how long browsers remember the answer to a preflight. Most cut it to two hours.
    #[setting(default = "1h")]
    max_age: Duration,
    /// Whether pages from the internet may reach this server in a private network.
    private_network: bool,
}

impl Cors {
    /// Scripts of these origins may read (`origins`).
    #[must_use]
    pub fn new<T: Into<String>>(origins: impl IntoIterator<Item = T>) -> Self {
        Self::defaults(listed(origins))
    }

    /// Scripts of all sites may read: for pages that are public anyway.
    #[must_use]
    pub fn any_origin() -> Self {
        Self::new(["*"])
    }

    fn prepare(&self) -> Result<Prepared, SettingError> {
        let refused = |key, problem: String| SettingError::new(key, problem);
        let mut prepared = Prepared {
            origins: Vec::new(),
            any_origin: false,
            methods: self.methods.clone(),
            headers: (!self.headers.iter().any(|name| name == "*")).then(|| self.headers.clone()),
            allow_methods: list("methods", &self.methods)?,
            expose: list("expose", &self.expose)?,
            credentials: self.credentials,
            max_age: HeaderValue::from(self.max_age.as_secs()),
            private_network: self.private_network,
        };
        list("headers", self.headers.iter().filter(|name| *name != "*"))?;
        for text in &self.origins {
            match text.as_str() {
                "*" => prepared.any_origin = true,
                // Every sandboxed frame of every site has this origin.
                "null" => {
                    return Err(refused(
                        "origins",
                        "has \"null\", which any page can make itself: name real origins".to_owned(),
                    ));
                }
                text => prepared.origins.push(Allowed::parse(text).map_err(|problem| refused("origins", problem))?),
            }
        }
        if self.origins.is_empty() {
            return Err(refused("origins", "is empty: name the sites whose scripts may read, or \"*\"".to_owned()));
        }
        if prepared.any_origin && self.credentials {
            let problem = "cannot be on for the origin \"*\": every site could act as its visitors; name the origins";
            return Err(refused("credentials", problem.to_owned()));
        }
        Ok(prepared)
    }
}

/// The value of a list field; `None` for an empty list.
fn list<'t>(key: &str, names: impl IntoIterator<Item = &'t String>) -> Result<Option<HeaderValue>, SettingError> {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    if let Some(wrong) = names.iter().find(|name| HeaderName::from_bytes(name.as_bytes()).is_err()) {
        return Err(SettingError::new(key, format!("has {wrong:?}; write names, as \"X-Total\"")));
    }
    let text = names.join(", ");
    Ok((!text.is_empty()).then(|| HeaderValue::try_from(text)).transpose().unwrap_or_default())
}

/// An origin, or all hosts below one.
enum Allowed {
    Exactly(String),
    Below { scheme: &'static str, host: String },
}

impl Allowed {
    fn parse(text: &str) -> Result<Self, String> {
        let below = |scheme: &'static str| {
            let host = text.strip_prefix(scheme)?.strip_prefix('*')?;
            // The rest must be an origin itself, of a host with a name.
            let apex = format!("{scheme}{}", host.strip_prefix('.')?);
            let (origin, behind) = origin_of(&apex)?;
            let host = format!(".{}", origin.strip_prefix(scheme)?);
            matches!(behind, "" | "/").then_some(Self::Below { scheme, host })
        };
        match below("https://").or_else(|| below("http://")) {
            Some(below) => Ok(below),
            None if text.contains('*') => {
                Err(format!("has {text:?}; a `*` stands for all hosts below one, as \"https://*.example.org\""))
            }
            None => origin_setting(text).map(Self::Exactly),
        }
    }

    fn fits(&self, origin: &str) -> bool {
        match self {
            Self::Exactly(allowed) => allowed == origin,
            Self::Below { scheme, host } => {
                let asked = origin.strip_prefix(scheme).and_then(|rest| rest.strip_suffix(host.as_str()));
                asked.is_some_and(|name| !name.is_empty() && !name.contains(['/', '@', ':']))
            }
        }
    }
}

/// The settings, ready to be compared with.
struct Prepared {
    origins: Vec<Allowed>,
    any_origin: bool,
    methods: Vec<String>,
    /// `None`: all.
    headers: Option<Vec<String>>,
    allow_methods: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
    private_network: bool,
}

impl Prepared {
    /// The origin of the request, if it may read: the field as it was sent.
    fn reader<'r>(&self, request: &'r Request) -> Option<Cow<'r, str>> {
        let origin = request.list("origin")?;
        let is_allowed = || {
            let Some((normal, "")) = origin_of(&origin) else { return false };
            self.origins.iter().any(|allowed| allowed.fits(&normal))
        };
        (self.any_origin || is_allowed()).then_some(origin)
    }

    fn preflight(&self, request: &Request) -> Result<Flow, Error> {
        if *request.method() != Method::OPTIONS {
            return Ok(Flow::Continue);
        }
        let (Some(origin), Some(method)) = (request.list("origin"), request.header("access-control-request-method"))
        else {
            return Ok(Flow::Continue);
        };
        let refused = |what: String| Err(Error::new(StatusCode::FORBIDDEN, what));
        if self.reader(request).is_none() {
            return refused(format!("Scripts of {} may not use this part of the site.", origin.escape_debug()));
        }
        if !self.methods.iter().any(|allowed| allowed == method) {
            return refused(format!("Scripts of other sites may not use {} here.", method.escape_debug()));
        }
        let fields = request.list("access-control-request-headers").unwrap_or_default();
        let mut names = fields.split(',').map(str::trim).filter(|name| !name.is_empty());
        let is_refused = |name: &&str| match &self.headers {
            Some(allowed) => !allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)),
            None => HeaderName::from_bytes(name.as_bytes()).is_err(),
        };
        if let Some(name) = names.find(is_refused) {
            return refused(format!("Scripts of other sites may not send the field {} here.", name.escape_debug()));
        }
        let mut answer = Response::new();
        answer.set_status(StatusCode::NO_CONTENT);
        answer.add_vary(&header::ACCESS_CONTROL_REQUEST_METHOD).add_vary(&header::ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(methods) = &self.allow_methods {
            answer.set_header(header::ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        }
        if !fields.is_empty() {
            answer.set_header(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_str(&fields)?);
        }
        answer.set_header(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        if self.private_network && request.header("access-control-request-private-network") == Some("true") {
            answer.set_header(ALLOW_PRIVATE_NETWORK, TRUE);
        }
        Ok(Flow::Answer(answer))
    }

    fn permit(&self, exchange: &mut Exchange) -> Result<(), Error> {
        let Exchange { request, response, .. } = exchange;
        if response.header(&header::ACCESS_CONTROL_ALLOW_ORIGIN).is_some() {
            return Ok(());
        }
        if self.any_origin {
            response.set_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            response.add_vary(&header::ORIGIN);
            let Some(origin) = self.reader(request) else { return Ok(()) };
            response.set_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_str(&origin)?);
        }
        if self.credentials {
            response.set_header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        if let Some(names) = &self.expose {
            response.set_header(header::ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
        }
        Ok(())
    }
}

const TRUE: HeaderValue = HeaderValue::from_static("true");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

impl Tool for Cors {
    fn name(&self) -> &'static str {
        "cors"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let prepared = match self.prepare() {
            Ok(prepared) => std::sync::Arc::new(prepared),
            Err(error) => return hooks.refuse(error),
        };
        let preflights = prepared.clone();
        let answer = move |exchange: &mut Exchange| preflights.preflight(&exchange.request);
        hooks.at(HookPoint::OnStartResource, answer).priority(5);
        hooks.at(HookPoint::BeforeFinalize, move |exchange| prepared.permit(exchange)).priority(96).always();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Client, TestResponse};
    use crate::{App, Caching, Tree};

    fn client(cors: Cors) -> Client {
        let tree = Tree::new().index(|_| "page").page("fails", |_| -> crate::Result { Err(Error::unexpected("no")) });
        Client::in_process(App::new(tree).tool("/", cors))
    }

    fn preflight(client: &Client, origin: &str, method: &str, fields: &str) -> TestResponse {
        let asked = client.request(Method::OPTIONS, "/").header("origin", origin);
        let asked = asked.header("access-control-request-method", method);
        if fields.is_empty() { asked.send() } else { asked.header("access-control-request-headers", fields).send() }
    }

    fn named() -> Cors {
        Cors::new(["https://app.example", "https://*.example.org:8443", "HTTP://LOCALHOST:3000/"])
    }

    #[test]
    fn origins_are_compared_as_origins_and_never_by_their_looks() {
        let client = client(named());
        for (origin, may_read) in [
            ("https://app.example", true),
            ("https://app.example:443", true),
            ("http://app.example", false),
            ("https://app.example.evil.example", false),
            ("https://evilapp.example", false),
            ("https://app.example@evil.example", false),
            ("https://a.example.org:8443", true),
            ("https://a.b.example.org:8443", true),
            ("https://example.org:8443", false),
            ("https://evilexample.org:8443", false),
            ("https://evil.example/.example.org:8443", false),
            ("http://localhost:3000", true),
            ("null", false),
            ("", false),
        ] {
            let response = client.get("/").header("origin", origin).send();
            response.assert_text("page").assert_header("vary", "Origin");
            assert_eq!(response.header("access-control-allow-origin"), may_read.then_some(origin), "{origin}");
        }
        client.get("/").send().assert_header("vary", "Origin").assert_no_header("access-control-allow-origin");
    }

    #[test]
    fn a_preflight_is_answered_before_the_page_with_the_permission() {
        let client = client(named().credentials(true).private_network(true));
        let answer = preflight(&client, "https://app.example", "PUT", "content-type");
        answer.assert_status(204).assert_header("access-control-allow-origin", "https://app.example");
        answer
            .assert_header("access-control-allow-headers", "content-type")
            .assert_header("access-control-max-age", "3600");
        answer.assert_header("access-control-allow-credentials", "true");
        answer.assert_no_header("access-control-allow-private-network");
        answer.assert_header("vary", "Access-Control-Request-Method, Access-Control-Request-Headers, Origin");
    }

    #[test]
    fn a_preflight_that_is_refused_says_why_and_permits_nothing() {
        let client = client(named());
        for (origin, method, fields, why) in [
            ("https://evil.example", "GET", "", "Scripts of https://evil.example may not use this part"),
            ("https://app.example", "TRACE", "", "may not use TRACE here"),
            ("https://app.example", "put", "", "may not use put here"),
            ("https://app.example", "PUT", "content-type, x-secret", "may not send the field x-secret here"),
        ] {
            let answer = preflight(&client, origin, method, fields);
            answer.assert_status(403).assert_contains(why).assert_no_header("access-control-allow-methods");
        }
    }

    #[test]
    fn options_without_a_question_is_the_pages() {
        client(named())
            .request(Method::OPTIONS, "/")
            .send()
            .assert_status(204)
            .assert_header("allow", "GET, HEAD, OPTIONS, POST");
    }

    #[test]
    fn error_pages_can_be_read_too() {
        let client = client(named().expose(["X-Request-Id"]));
        for path in ["/nowhere", "/fails"] {
            let response = client.get(path).header("origin", "https://app.example").send();
            response.assert_header("access-control-allow-origin", "https://app.example");
            response.assert_header("access-control-expose-headers", "X-Request-Id");
        }
    }

    #[test]
    fn a_page_from_the_cache_has_the_permission_of_its_request() {
        let app = App::new(Tree::new().index(|_| "page")).tool("/", named()).tool("/", Caching::new());
        let client = Client::in_process(app);
        for origin in ["https://app.example", "http://localhost:3000"] {
            client.get("/").header("origin", origin).send().assert_header("access-control-allow-origin", origin);
        }
    }

    #[test]
    fn everybody_and_every_field() {
        let client = client(Cors::any_origin().headers(["*"]));
        let answer = preflight(&client, "null", "PUT", "authorization, x-any");
        answer.assert_status(204).assert_header("access-control-allow-origin", "*");
        answer.assert_header("access-control-allow-headers", "authorization, x-any");
        client.get("/").send().assert_header("access-control-allow-origin", "*").assert_no_header("vary");
    }

    #[test]
    fn a_wrong_set_up_stops_the_start() {
        let problem = |cors: Cors| App::new(Tree::new()).tool("/", cors).build().unwrap_err().to_string();
        assert!(problem(Cors::any_origin().credentials(true)).contains("cannot be on for the origin \"*\""));
        assert!(problem(Cors::new(["null"])).contains("any page can make itself"));
        assert!(problem(Cors::new::<&str>([])).contains("is empty"));
        assert!(problem(Cors::new(["app.example"])).contains("write origins"));
        assert!(problem(Cors::new(["https://*"])).contains("stands for all hosts below one"));
        assert!(problem(Cors::new(["https://a.*.example"])).contains("stands for all hosts below one"));
        assert!(problem(named().methods(["PUT, GET"])).contains("write names"));
    }
}
