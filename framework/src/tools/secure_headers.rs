//! The fields that tell browsers to be careful: `SecureHeaders`, on for every application.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `before_finalize` | 97, always | adds the fields that the response does not have |
//! | `on_start_resource` | 0 | only if the policy has a nonce: puts it where handlers find it |
//! | `before_finalize` | 74 | only if the policy has a nonce: keeps pages that use it out of caches; before conditions are looked at (75) |
//!
//! So late and always: fields of the response itself (from a handler, static files, cache, error page) stay. Caches
//! keep responses without these fields; a hit gets them again. The hook is on the path of every plain page: the fields
//! are written out at start, and a response that has none of them itself gets them as one piece.

mod content_security_policy;

pub use self::content_security_policy::CspNonce;
use self::content_security_policy::Policy;
use super::fields;
use crate::exchange::ReadyFields;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, SettingWord, Settings};
use crate::{Exchange, HeaderName, HeaderValue, header};
use std::time::Duration;

/// Adds the fields that protect users in browsers, where a response does not have them itself. On for every
/// application.
///
/// | field | unless set | why |
/// |---|---|---|
/// | `X-Content-Type-Options` | `nosniff` | an upload that is served as text is not taken for a script |
/// | `X-Frame-Options` | `SAMEORIGIN` | no other site shows the page in a frame and steals clicks |
/// | `Referrer-Policy` | `strict-origin-when-cross-origin` | other sites do not learn paths and queries |
/// | `Cross-Origin-Opener-Policy` | `same-origin`, on secure origins only | no other site holds a handle to the window |
/// | `Strict-Transport-Security` | off; on secure origins only | browsers never come by `http://` again |
/// | `Content-Security-Policy`, `Permissions-Policy`, `Cross-Origin-Resource-Policy` | off | they depend on the site |
///
/// ```
/// use kirsch::{prelude::*, testing::Client};
///
/// struct Pages;
///
/// #[handlers]
/// impl Pages {
///     #[expose]
///     fn index(&self) -> &'static str { "safe" }
/// }
///
/// let page = Client::in_process(App::new(Pages)).get("/").send();
/// page.assert_header("x-content-type-options", "nosniff").assert_header("x-frame-options", "SAMEORIGIN");
/// ```
///
/// The handler's fields win: a page that sets `X-Frame-Options` itself keeps its own, an error page too. To change a
/// section, switch the tool on again there, or write its settings into a file (`secure_headers.frame_options =
/// "deny"`); `App::tool_off("/widget", "secure_headers")` leaves all away. Only responses to requests that the server
/// refuses before it knows a path, such as a broken head, go without (they have `nosniff`, and no active content).
///
/// # Content-Security-Policy
///
/// The strongest of them, and the only one that must fit the pages. `{nonce}` in it stands for random digits, new for
/// each request; a handler takes them as [`&CspNonce`](CspNonce):
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::{CspNonce, SecureHeaders}};
///
/// struct Pages;
///
/// #[handlers]
/// impl Pages {
///     #[expose]
///     fn index(&self, nonce: &CspNonce) -> String {
///         format!("<script nonce=\"{nonce}\">alert('mine')</script>")
///     }
/// }
///
/// let secure = SecureHeaders::new().content_security_policy("script-src 'nonce-{nonce}'; object-src 'none'; base-uri 'none'");
/// let page = Client::in_process(App::new(Pages).tool("/", secure)).get("/").send();
/// let policy = page.header("content-security-policy").unwrap();
/// let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
/// page.assert_contains(&format!("nonce=\"{nonce}\""));
/// ```
///
/// After the OWASP Secure Headers Project. Fields that it advises against (`X-XSS-Protection`, `Expect-CT`,
/// `Public-Key-Pins`) are not sent. CherryPy has no such tool.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::prepare)]
pub struct SecureHeaders {
    /// Whether to say `X-Content-Type-Options: nosniff`.
    #[setting(default = true)]
    nosniff: bool,
    /// Which sites may show the pages in a frame (`X-Frame-Options`): `"sameorigin"`, `"deny"`, or `"off"`.
    ///
    /// Browsers that find `frame-ancestors` in a policy obey that instead.
    #[setting(default = FrameOptions::SameOrigin)]
    frame_options: FrameOptions,
    /// What links and subresources reveal about the page that they are on (`Referrer-Policy`): any policy, or `"off"`.
    #[setting(default = "strict-origin-when-cross-origin")]
    referrer_policy: String,
    /// Whether other sites keep a handle to a window (`Cross-Origin-Opener-Policy`): any policy, or `"off"`.
    ///
    /// A site that logs in with a pop-up window of another site needs `same-origin-allow-popups`. Sent on secure
    /// origins only: browsers ignore it on others.
    #[setting(default = "same-origin")]
    opener_policy: String,
    /// Which sites may use the responses as pictures, scripts and so on (`Cross-Origin-Resource-Policy`):
    /// `"same-origin"`, `"same-site"`, `"cross-origin"`, or `"off"`.
    ///
    /// Off by default, since pictures are often meant for other sites.
    #[setting(default = "off")]
    resource_policy: String,
    /// The features that pages and their frames may use (`Permissions-Policy`): `"camera=(), geolocation=(self)"`, or
    /// `"off"`.
    #[setting(default = "off")]
    permissions_policy: String,
    /// From where pages may load scripts, styles and the rest (`Content-Security-Policy`), or `"off"`.
    ///
    /// `'nonce-{nonce}'` in it makes a [`CspNonce`] for each request.
    #[setting(default = "off")]
    content_security_policy: String,
    /// Whether the policy is only watched: browsers report violations, and forbid nothing.
    csp_report_only: bool,
    /// For how long browsers come by `https://` only (`Strict-Transport-Security`); `"0s"` says nothing.
    ///
    /// Switch it on once all of the site works that way: it cannot be taken back before the time is over. Sent on
    /// secure origins only (RFC 6797, section 7.2).
    hsts: Duration,
    /// Whether `hsts` holds for all hosts below this one as well (`includeSubDomains`).
    hsts_subdomains: bool,
    /// Whether the site wants to be in the list that browsers come with (`preload`).
    ///
    /// Needs [`hsts_subdomains`](Self::hsts_subdomains) and a year at least.
    hsts_preload: bool,
}

/// Which pages may show a page in a frame (`X-Frame-Options`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameOptions {
    /// No site.
    Deny,
    /// Pages of the same origin.
    SameOrigin,
    /// Anybody: the field is not sent.
    Anywhere,
}

impl SettingWord for FrameOptions {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sameorigin", Self::SameOrigin), ("deny", Self::Deny), (OFF, Self::Anywhere)];
}

impl Default for SecureHeaders {
    fn default() -> Self {
        Self::defaults()
    }
}

/// The text that leaves a field away.
const OFF: &str = "off";

impl SecureHeaders {
    /// The fields that are on unless said otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The fields of these settings.
    ///
    /// # Errors
    /// Names the setting that will not do.
    fn prepare(&self) -> Result<Prepared, SettingError> {
        let mut prepared = Prepared::default();
        let Prepared { always, secure, policy } = &mut prepared;
        if self.nosniff {
            always.push((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        }
        match self.frame_options {
            FrameOptions::Deny => always.push((header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"))),
            FrameOptions::SameOrigin => always.push((header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"))),
            FrameOptions::Anywhere => {}
        }
        let text = one_of("referrer_policy", &self.referrer_policy, &REFERRER_POLICIES)?;
        always.extend(text.map(|value| (header::REFERRER_POLICY, value)));
        let text = one_of("resource_policy", &self.resource_policy, &RESOURCE_POLICIES)?;
        always.extend(text.map(|value| (HeaderName::from_static("cross-origin-resource-policy"), value)));
        if is_on(&self.permissions_policy) {
            let value = checked("permissions_policy", &self.permissions_policy)?;
            always.push((HeaderName::from_static("permissions-policy"), value));
        }
        let text = one_of("opener_policy", &self.opener_policy, &OPENER_POLICIES)?;
        secure.extend(text.map(|value| (HeaderName::from_static("cross-origin-opener-policy"), value)));
        secure.extend(self.transport_security()?.map(|value| (header::STRICT_TRANSPORT_SECURITY, value)));
        if is_on(&self.content_security_policy) {
            let name = match self.csp_report_only {
                true => header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
                false => header::CONTENT_SECURITY_POLICY,
            };
            let refused = |problem| SettingError::new("content_security_policy", problem);
            let made = Policy::new(name.clone(), &self.content_security_policy).map_err(refused)?;
            match made.constant() {
                Some(value) => always.push((name, value)),
                None => *policy = Some(made),
            }
        }
        Ok(prepared)
    }

    fn transport_security(&self) -> Result<Option<HeaderValue>, SettingError> {
        const YEAR: u64 = 365 * 24 * 3600;
        let seconds = self.hsts.as_secs();
        if self.hsts_preload && (!self.hsts_subdomains || seconds < YEAR) {
            let problem =
                "needs `hsts_subdomains` and an `hsts` of \"365d\" or more: browsers' lists take no other site";
            return Err(SettingError::new("hsts_preload", problem));
        }
        if seconds == 0 {
            return Ok(None);
        }
        let subdomains = if self.hsts_subdomains { "; includeSubDomains" } else { "" };
        let preload = if self.hsts_preload { "; preload" } else { "" };
        checked("hsts", &format!("max-age={seconds}{subdomains}{preload}")).map(Some)
    }
}

const REFERRER_POLICIES: [&str; 8] = [
    "strict-origin-when-cross-origin",
    "no-referrer",
    "same-origin",
    "strict-origin",
    "origin",
    "origin-when-cross-origin",
    "no-referrer-when-downgrade",
    "unsafe-url",
];

const OPENER_POLICIES: [&str; 4] = ["same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"];

const RESOURCE_POLICIES: [&str; 3] = ["same-origin", "same-site", "cross-origin"];

fn is_on(text: &str) -> bool {
    !text.is_empty() && text != OFF
}

/// The constant of a known word, `None` for `"off"`.
fn one_of(key: &str, text: &str, known: &[&'static str]) -> Result<Option<HeaderValue>, SettingError> {
    if !is_on(text) {
        return Ok(None);
    }
    match known.iter().find(|word| **word == text) {
        Some(word) => Ok(Some(HeaderValue::from_static(word))),
        None => {
            let words: Vec<_> = known.iter().map(|word| format!("\"{word}\"")).collect();
            Err(SettingError::new(key, format!("is {text:?}; it must be \"off\" or one of {}", words.join(", "))))
        }
    }
}

fn checked(key: &str, text: &str) -> Result<HeaderValue, SettingError> {
    fields::value(text).map_err(|problem| SettingError::new(key, problem))
}

/// The fields, checked.
#[derive(Debug, Default)]
struct Prepared {
    always: Vec<(HeaderName, HeaderValue)>,
    /// Where the client came over TLS.
    secure: Vec<(HeaderName, HeaderValue)>,
    /// A policy that is made for each request.
    policy: Option<Policy>,
}

impl Prepared {
    fn ready(self) -> Ready {
        let Self { always, secure, policy } = self;
        Ready {
            plain: ReadyFields::new(always.clone()),
            secure: ReadyFields::new(always.into_iter().chain(secure)),
            policy,
        }
    }
}

/// The fields, written out for each kind of origin.
#[derive(Debug)]
struct Ready {
    plain: ReadyFields,
    secure: ReadyFields,
    policy: Option<Policy>,
}

impl Ready {
    fn add_to(&self, exchange: &mut Exchange) {
        let Exchange { request, response, values, .. } = exchange;
        response.default_fields(if request.is_secure() { self.secure } else { self.plain });
        if let Some(policy) = &self.policy {
            let (name, value) = policy.for_nonce(values.get());
            response.default_header(name, value);
        }
    }
}

impl Tool for SecureHeaders {
    fn name(&self) -> &'static str {
        "secure_headers"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let prepared = match self.prepare() {
            Ok(prepared) => prepared,
            Err(error) => return hooks.refuse(error),
        };
        if prepared.policy.is_some() {
            hooks.at(HookPoint::OnStartResource, CspNonce::offer).priority(0);
            hooks.at(HookPoint::BeforeFinalize, CspNonce::keep_from_caches).priority(74);
        }
        let ready = prepared.ready();
        hooks.at(HookPoint::BeforeFinalize, move |exchange| ready.add_to(exchange)).priority(97).always();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Forwarded;
    use crate::testing::{Client, TestResponse};
    use crate::{App, Caching, Result, StaticDir, Tree};

    /// A client that came over TLS, as a proxy says.
    struct OverTls;

    impl Tool for OverTls {
        fn name(&self) -> &'static str {
            "over_tls"
        }

        fn attach(&self, hooks: &mut Hooks) {
            hooks.at(HookPoint::BeforeRouting, |exchange| {
                exchange.request.set_forwarded(Forwarded { is_secure: Some(true), ..Forwarded::default() });
            });
        }
    }

    fn app() -> App {
        let tree = Tree::new()
            .index(|_| "page")
            .page("panics", |_| -> &'static str { panic!("on purpose") })
            .page("own", |page| {
                page.response().set_header(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
                "own"
            })
            .page("nonce", |page| -> Result<String> {
                let nonce: &CspNonce = page.argument()?;
                Ok(format!("<script nonce=\"{nonce}\">"))
            });
        App::new(tree)
    }

    fn secure_fields(response: &TestResponse) -> Vec<String> {
        let is_ours = |name: &str| {
            !["date", "content-type", "content-length", "cache-control", "x-request-id"]
                .contains(&&*name.to_ascii_lowercase())
        };
        response.headers().filter(|(name, _)| is_ours(name)).map(|(name, value)| format!("{name}: {value}")).collect()
    }

    const USUAL: [&str; 3] = [
        "x-content-type-options: nosniff",
        "x-frame-options: SAMEORIGIN",
        "referrer-policy: strict-origin-when-cross-origin",
    ];

    #[test]
    fn the_fields_are_there_without_being_asked_for_on_error_pages_too() {
        let client = Client::in_process(app());
        for (path, status) in [("/", 200), ("/nowhere", 404), ("/panics", 500)] {
            let page = client.get(path).send();
            let mut fields = secure_fields(page.assert_status(status));
            fields.sort();
            let mut usual = USUAL.map(str::to_owned);
            usual.sort();
            assert_eq!(fields, usual, "{path}");
        }
    }

    #[test]
    fn static_files_and_cached_pages_have_them_once() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.txt"), "text").unwrap();
        let client =
            Client::in_process(app().tool("/files", StaticDir::new(directory.path())).tool("/", Caching::new()));
        client.get("/").send();
        client.get("/").send().assert_header("age", "0");
        for path in ["/", "/files/a.txt"] {
            let page = client.get(path).send();
            for field in USUAL {
                assert_eq!(secure_fields(&page).iter().filter(|said| *said == field).count(), 1, "{path} {field}");
            }
        }
    }

    #[test]
    fn the_handlers_fields_win_and_a_section_may_go_without() {
        let client = Client::in_process(app().tool_off("/panics", "secure_headers"));
        client.get("/own").send().assert_header("x-frame-options", "DENY");
        client.get("/panics").send().assert_no_header("x-frame-options");
    }

    #[test]
    fn hsts_and_the_opener_policy_are_for_secure_origins() {
        let day = || SecureHeaders::new().hsts(Duration::from_secs(86400)).hsts_subdomains(true);
        let plain = Client::in_process(app().tool("/", day())).get("/").send();
        plain.assert_no_header("strict-transport-security").assert_no_header("cross-origin-opener-policy");
        let secure = Client::in_process(app().tool("/", day()).tool("/", OverTls)).get("/").send();
        secure.assert_header("strict-transport-security", "max-age=86400; includeSubDomains");
        secure.assert_header("cross-origin-opener-policy", "same-origin");
        let unasked = Client::in_process(app().tool("/", OverTls)).get("/").send();
        unasked.assert_no_header("strict-transport-security");
    }

    #[test]
    fn the_settings_of_a_file_are_laid_over() {
        let text = "[\"/\"]\nsecure_headers.frame_options = \"off\"\nsecure_headers.referrer_policy = \"no-referrer\"\n\
                    secure_headers.permissions_policy = \"camera=()\"\nsecure_headers.content_security_policy = \"default-src 'self'\"\n\
                    secure_headers.csp_report_only = true\n[\"/own\"]\nsecure_headers.nosniff = false";
        let client = Client::in_process(app().config_str(text));
        let page = client.get("/").send();
        page.assert_no_header("x-frame-options").assert_header("referrer-policy", "no-referrer");
        page.assert_header("permissions-policy", "camera=()").assert_no_header("content-security-policy");
        page.assert_header("content-security-policy-report-only", "default-src 'self'");
        client
            .get("/own")
            .send()
            .assert_no_header("x-content-type-options")
            .assert_header("permissions-policy", "camera=()");
    }

    #[test]
    fn a_nonce_is_new_for_each_request_and_where_none_is_used_none_is_allowed() {
        let policy = "script-src 'nonce-{nonce}' 'self'; object-src 'none'";
        let client = Client::in_process(app().tool("/", SecureHeaders::new().content_security_policy(policy)));
        let nonces = [(); 2].map(|()| {
            let page = client.get("/nonce").send();
            let nonce = page.text().split('"').nth(1).unwrap().to_owned();
            assert_eq!(nonce.len(), 32);
            page.assert_header("content-security-policy", &policy.replace("{nonce}", &nonce));
            nonce
        });
        assert_ne!(nonces[0], nonces[1]);
        client.get("/").send().assert_header("content-security-policy", "script-src 'self'; object-src 'none'");
    }

    #[test]
    fn a_page_with_a_nonce_is_in_no_cache_and_a_page_without_is() {
        let secure = SecureHeaders::new().content_security_policy("script-src 'nonce-{nonce}'");
        let client = Client::in_process(app().tool("/", secure).tool("/", Caching::new()));
        let first = client.get("/nonce").send();
        first.assert_header("cache-control", "private, no-cache");
        assert_ne!(client.get("/nonce").send().text(), first.text());
        client.get("/").send();
        client.get("/").send().assert_header("age", "0").assert_header("content-security-policy", "script-src 'none'");
    }

    #[test]
    fn values_that_browsers_would_not_understand_stop_the_start() {
        let table = [
            (
                SecureHeaders::new().referrer_policy("never"),
                "`referrer_policy` is \"never\"; it must be \"off\" or one of",
            ),
            (SecureHeaders::new().opener_policy("x"), "`opener_policy` is \"x\""),
            (
                SecureHeaders::new().permissions_policy("a\r\nb"),
                "`permissions_policy` is \"a\\r\\nb\", which cannot be",
            ),
            (SecureHeaders::new().hsts_preload(true), "`hsts_preload` needs `hsts_subdomains`"),
            (SecureHeaders::new().content_security_policy("script-src {nonce}"), "write 'nonce-{nonce}'"),
        ];
        for (tool, problem) in table {
            let error = app().tool("/", tool).build().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let error = app().config_str("[\"/\"]\nsecure_headers.hst = \"1d\"").build().unwrap_err().to_string();
        assert!(error.contains("did you mean `hsts`?"), "{error}");
    }
}
