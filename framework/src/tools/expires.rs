//! How long clients and caches may use a page without asking: `Expires`, named after CherryPy's tool.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `before_finalize` | 65 | sets `Cache-Control`, and `Expires` for caches of HTTP/1.0; after the session has set its cookie (60), before the hooks that keep pages (95) |
//!
//! The handler's own fields stay. A page for one person is `private`: one that sets a cookie, looks into the session,
//! or is for a visitor who is logged in.

use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{Setting, SettingError, SettingTable, SettingValue, Settings};
use crate::{Exchange, HeaderValue, Login, Method, Response, Session, StatusCode, header};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Says for how long a page may be used without asking again: `Cache-Control: max-age`, and `Expires`.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::Expires};
/// use std::time::Duration;
///
/// let app = App::new(Tree::new().index(|_| "today's news")).tool("/", Expires::after(Duration::from_secs(300)));
/// Client::in_process(app).get("/").send().assert_header("cache-control", "max-age=300");
/// ```
///
/// [`Expires::at_once`] means `no-cache`: keep it, but ask each time (with [`Etags`](super::Etags) the answer is often
/// 304). [`Expires::never_kept`] means `no-store`: for pages that must not stay in a browser's cache.
///
/// It applies to successful answers (and 304) to GET and HEAD without fields of their own: no `Cache-Control`,
/// `Expires` or `Pragma`; with [`force`](Self::force), it replaces them. A page that sets a cookie, has looked into the
/// session, or is for a visitor who is logged in, is `private`: only its browser keeps it. These fields hold for the
/// tool [`Caching`](crate::Caching), too, in place of its `delay`.
///
/// In a file: `expires.after = "5m"`, `expires.types = { "text/css" = "7d", "image/*" = "30d" }`. CherryPy's `expires`,
/// which never says `max-age`.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::check)]
pub struct Expires {
    /// How long pages are good, in whole seconds; `"0s"` says `no-cache`.
    #[setting(given, no_builder)]
    after: Duration,
    /// Whether pages are kept nowhere: `no-store`.
    #[setting(no_builder)]
    no_store: bool,
    /// Whether to speak in place of pages that say something themselves.
    force: bool,
    /// Other times for pages of a media type: `text/css`, or `image/*`. The closest one counts.
    #[setting(no_builder)]
    types: Types,
}

/// Times by media type, in lower case.
#[derive(Clone, Debug, Default)]
struct Types(BTreeMap<String, Duration>);

impl Setting for Types {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let said = BTreeMap::<String, Duration>::read(value)?;
        Ok(Self(said.into_iter().map(|(name, time)| (name.to_ascii_lowercase(), time)).collect()))
    }

    fn show(&self) -> String {
        self.0.show()
    }

    fn set(&mut self, value: &SettingValue) -> Result<(), String> {
        self.0.extend(Self::read(value)?.0);
        Ok(())
    }
}

impl Expires {
    /// Pages are good for this long, in whole seconds.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self::defaults(time)
    }

    /// Pages may be kept, and are asked for each time: `no-cache` (`after = "0s"`).
    #[must_use]
    pub fn at_once() -> Self {
        Self::after(Duration::ZERO)
    }

    /// Pages are kept nowhere: `no-store` (`no_store = true`).
    #[must_use]
    pub fn never_kept() -> Self {
        Self { no_store: true, ..Self::at_once() }
    }

    /// Another time for pages of a media type (`types`): `text/css`, or `image/*`. The closest one counts.
    #[must_use]
    pub fn media_type(mut self, media_type: impl Into<String>, time: Duration) -> Self {
        self.types.0.insert(media_type.into().to_ascii_lowercase(), time);
        self
    }

    fn say(&self, exchange: &mut Exchange) {
        const SPOKEN_FOR: [StatusCode; 4] = [
            StatusCode::OK,
            StatusCode::NON_AUTHORITATIVE_INFORMATION,
            StatusCode::NO_CONTENT,
            StatusCode::NOT_MODIFIED,
        ];
        let reads = matches!(*exchange.request.method(), Method::GET | Method::HEAD);
        if !reads || !SPOKEN_FOR.contains(&exchange.response.status()) {
            return;
        }
        let says_itself = |name| exchange.response.header(name).is_some();
        if !self.force && [header::CACHE_CONTROL, header::EXPIRES, header::PRAGMA].iter().any(says_itself) {
            return;
        }
        let is_private = is_private(exchange);
        let response = &mut exchange.response;
        let time = self.time_for(response);
        let said = match (self.no_store, time.as_secs(), is_private) {
            (true, ..) => HeaderValue::from_static("no-store"),
            (false, 0, false) => HeaderValue::from_static("no-cache"),
            (false, 0, true) => HeaderValue::from_static("private, no-cache"),
            (false, seconds, false) => max_age("", seconds),
            (false, seconds, true) => max_age("private, ", seconds),
        };
        response.remove_header(&header::PRAGMA).remove_header(&header::EXPIRES);
        response.set_header(header::CACHE_CONTROL, said);
        // Caches of HTTP/1.0 do not know `private`: to them it has expired.
        if time.is_zero() || is_private || self.no_store {
            response.add_header(header::EXPIRES, HeaderValue::from_static("0"));
        } else if let Some(date) = SystemTime::now().checked_add(time) {
            let date = httpdate::fmt_http_date(date);
            response.add_header(header::EXPIRES, HeaderValue::try_from(date).expect("a date is a field value"));
        }
    }

    fn time_for(&self, response: &Response) -> Duration {
        if self.types.0.is_empty() {
            return self.after;
        }
        let content_type = response.header(&header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
        let media_type = media_type.trim().to_ascii_lowercase();
        let family = || media_type.split_once('/').map(|(family, _)| format!("{family}/*"));
        let found = self.types.0.get(&media_type).or_else(|| self.types.0.get(&family()?));
        found.copied().unwrap_or(self.after)
    }

    fn check(&self) -> Result<(), SettingError> {
        let is_type = |text: &str| match text.split_once('/') {
            Some((family, subtype)) => {
                let is_word = |word: &str| !word.is_empty() && !word.contains(['*', '/', ';', ' ', ',']);
                is_word(family) && (subtype == "*" || is_word(subtype))
            }
            None => false,
        };
        let Some(wrong) = self.types.0.keys().find(|text| !is_type(text)) else { return Ok(()) };
        Err(SettingError::new("types", format!("has {wrong:?}; write media types, as \"text/css\" or \"image/*\"")))
    }
}

fn max_age(before: &str, seconds: u64) -> HeaderValue {
    // More than 2^31 seconds is 2^31 to every cache (RFC 9111, section 1.2.2).
    HeaderValue::try_from(format!("{before}max-age={}", seconds.min(1 << 31))).expect("digits are a field value")
}

/// Whether the response is for one person.
fn is_private(exchange: &Exchange) -> bool {
    exchange.response.header(&header::SET_COOKIE).is_some()
        || Session::of(exchange).is_some_and(Session::is_used)
        || Login::of(exchange).is_some()
}

impl Tool for Expires {
    fn name(&self) -> &'static str {
        "expires"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Err(error) = self.check() {
            return hooks.refuse(error);
        }
        let tool = self.clone();
        hooks.at(HookPoint::BeforeFinalize, move |exchange| tool.say(exchange)).priority(65);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::{App, Result, Sessions, Tree};

    const MINUTE: Duration = Duration::from_secs(60);

    fn app(tool: Expires) -> App {
        let css = HeaderValue::from_static("text/css; charset=utf-8");
        let tree = Tree::new()
            .index(|_| "page")
            .page("own", |page| {
                page.response().set_header(header::CACHE_CONTROL, HeaderValue::from_static("max-age=5"));
                "own"
            })
            .page("style", move |page| {
                page.response().set_header(header::CONTENT_TYPE, css.clone());
                "p {}"
            })
            .page("session", |page| -> Result<&'static str> {
                let session: &Session = page.argument()?;
                session.set("a", 1);
                Ok("mine")
            });
        App::new(tree).tool("/", Sessions::in_memory()).tool("/", tool)
    }

    fn said(client: &Client, path: &str) -> String {
        client.get(path).send().header("cache-control").unwrap_or("nothing").to_owned()
    }

    #[test]
    fn a_page_is_good_for_its_time_and_old_caches_are_told_the_date() {
        let client = Client::in_process(app(Expires::after(MINUTE)));
        let page = client.get("/").send();
        page.assert_header("cache-control", "max-age=60");
        let date = |name| httpdate::parse_http_date(page.header(name).unwrap()).unwrap();
        let left = date("expires").duration_since(date("date")).unwrap();
        assert!(left >= MINUTE - Duration::from_secs(2) && left <= MINUTE + Duration::from_secs(2), "{left:?}");
    }

    #[test]
    fn the_pages_own_fields_stay_unless_forced() {
        assert_eq!(said(&Client::in_process(app(Expires::after(MINUTE))), "/own"), "max-age=5");
        assert_eq!(said(&Client::in_process(app(Expires::at_once().force(true))), "/own"), "no-cache");
    }

    #[test]
    fn a_page_of_one_person_is_private() {
        let page = Client::in_process(app(Expires::after(MINUTE))).get("/session").send();
        page.assert_header("cache-control", "private, max-age=60").assert_header("expires", "0");
        assert_eq!(said(&Client::in_process(app(Expires::at_once())), "/session"), "private, no-cache");
        let client = Client::in_process(app(Expires::after(MINUTE)));
        client.get("/session").send();
        assert_eq!(said(&client, "/session"), "private, max-age=60", "without a new cookie, too");
    }

    #[test]
    fn a_page_that_is_never_kept_says_so_and_other_answers_say_nothing() {
        let client = Client::in_process(app(Expires::never_kept()));
        client.get("/").send().assert_header("cache-control", "no-store").assert_header("expires", "0");
        let client = Client::in_process(app(Expires::after(MINUTE)));
        client.post("/").send().assert_no_header("cache-control");
        client.get("/nowhere").send().assert_header("cache-control", "no-store");
        client.get("/own/").send().assert_status(301).assert_no_header("cache-control");
    }

    #[test]
    fn media_types_have_their_own_times() {
        let text = "[\"/\"]\nexpires.after = \"0s\"\nexpires.types = { \"text/css\" = \"7d\", \"text/*\" = \"1h\" }";
        let client = Client::in_process(app(Expires::after(MINUTE)).config_str(text));
        assert_eq!((said(&client, "/style"), said(&client, "/")), ("max-age=604800".into(), "max-age=3600".into()));
        let types = "[\"/\"]\nexpires.types = { css = \"7d\" }";
        let error = app(Expires::at_once()).config_str(types).build().unwrap_err().to_string();
        assert!(error.contains("`expires.types` has \"css\"; write media types"), "{error}");
        let error = app(Expires::at_once()).config_str("[\"/\"]\nexpires.types = { \"a/b\" = 7 }").build().unwrap_err();
        assert!(error.to_string().contains("has a \"a/b\" that is 7; it must be a duration"), "{error}");
    }
}
