//! Which sites may link here: `Referer`, named after CherryPy's tool.
//!
//! The hook runs at `before_request_body` 50: before files (90) and the cache (95) answer, and before a body is
//! uploaded.

use super::origins::origin_setting;
use crate::exchange::origin_of;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Error, Exchange, Request, StatusCode};
use regex_lite::Regex;

/// Lets requests through by the page that they come from (`Referer`): pages of this site, unless said otherwise. Others
/// get 403.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::Referer};
///
/// let app = App::new(Tree::new().page("picture", |_| "a picture")).tool("/picture", Referer::same_origin().origins(["https://friend.example"]));
/// let client = Client::in_process(app);
/// client.get("/picture").header("referer", "https://friend.example/page").send().assert_status(200);
/// client.get("/picture").header("referer", "https://friend.example.evil.example/").send().assert_status(403);
/// client.get("/picture").send().assert_status(403);
/// ```
///
/// It keeps other sites from showing this site's pictures as theirs, nothing more: programs send any `Referer` they
/// like, and browsers may send none ([`accept_missing`](Self::accept_missing)). Against forged requests there is the
/// tool `csrf`.
///
/// Origins are compared as origins. A [`pattern`](Self::pattern) is compared with the whole field from its start, as in
/// CherryPy: one that does not end its host with a `/` also matches hosts that merely begin so.
///
/// In a file: `referer.origins = ["https://friend.example"]`, `referer.accept_missing = true`. CherryPy's `referer`.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::prepare)]
pub struct Referer {
    /// Whether pages of the same origin match.
    #[setting(default = true, builder = "with_same_origin")]
    same_origin: bool,
    /// Pages of these origins match as well: scheme, host, and port unless it is the usual one.
    origins: Vec<String>,
    /// Pages match as well if their address matches this regular expression from its start on:
    /// `https://[a-z]+\.example/`.
    pattern: String,
    /// Whether requests that match come through; without, they are those that are refused.
    #[setting(default = true)]
    accept: bool,
    /// Whether requests without a `Referer` come through: addresses typed by hand, and browsers that keep it to
    /// themselves.
    accept_missing: bool,
    /// The status of a refusal, 400 to 599 (CherryPy's `error`).
    #[setting(default = StatusCode::FORBIDDEN, no_builder)]
    status: StatusCode,
    /// The sentence of a refusal.
    #[setting(default = "This cannot be used from where you come from.", no_builder)]
    message: String,
}

impl Referer {
    /// Requests from pages of the same origin come through.
    #[must_use]
    pub fn same_origin() -> Self {
        Self::defaults()
    }

    /// Requests come through whose `Referer` matches the regular expression from its start on, not those of the same
    /// origin (`pattern`).
    #[must_use]
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self { same_origin: false, ..Self::same_origin() }.pattern(pattern)
    }

    /// The status of a refusal (`status`, default 403, CherryPy's `error`) and its sentence (`message`).
    #[must_use]
    pub fn answer(mut self, status: StatusCode, message: impl Into<String>) -> Self {
        (self.status, self.message) = (status, message.into());
        self
    }

    fn prepare(&self) -> Result<Prepared, SettingError> {
        if !self.same_origin && self.origins.is_empty() && self.pattern.is_empty() {
            return Err(SettingError::new(
                "same_origin",
                "is false, and there are neither `origins` nor a `pattern`: nothing would match",
            ));
        }
        if !(400..600).contains(&self.status.as_u16()) {
            return Err(SettingError::new(
                "status",
                format!("is {}; it must be that of an error, 400 to 599", self.status.as_u16()),
            ));
        }
        let parse = |text: &String| origin_setting(text).map_err(|problem| SettingError::new("origins", problem));
        let origins = self.origins.iter().map(parse).collect::<Result<_, _>>()?;
        let pattern = match self.pattern.is_empty() {
            true => None,
            false => Some(Regex::new(&format!("^(?:{})", self.pattern)).map_err(|error| {
                SettingError::new(
                    "pattern",
                    format!("is {:?}, which is not a regular expression: {error}", self.pattern),
                )
            })?),
        };
        Ok(Prepared { tool: self.clone(), origins, pattern })
    }
}

/// The settings, ready to be compared with.
struct Prepared {
    tool: Referer,
    origins: Vec<String>,
    pattern: Option<Regex>,
}

impl Prepared {
    fn check(&self, request: &Request) -> Result<(), Error> {
        let is_let_through = match request.header("referer") {
            None | Some("") => self.tool.accept_missing,
            Some(referer) => self.matches(request, referer) == self.tool.accept,
        };
        if is_let_through { Ok(()) } else { Err(Error::new(self.tool.status, self.tool.message.clone())) }
    }

    fn matches(&self, request: &Request, referer: &str) -> bool {
        let origin = origin_of(referer).map(|(origin, _)| origin);
        let is_ours = || origin.as_ref().is_some_and(|origin| request.origin().to_string() == *origin);
        (self.tool.same_origin && is_ours())
            || origin.as_ref().is_some_and(|origin| self.origins.contains(origin))
            || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(referer))
    }
}

impl Tool for Referer {
    fn name(&self) -> &'static str {
        "referer"
    }

    fn attach(&self, hooks: &mut Hooks) {
        match self.prepare() {
            Ok(prepared) => {
                hooks
                    .at(HookPoint::BeforeRequestBody, move |exchange: &mut Exchange| prepared.check(&exchange.request));
            }
            Err(error) => hooks.refuse(error),
        }
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::{App, Tree};

    fn app(tool: Referer) -> App {
        App::new(Tree::new().index(|_| "picture")).tool("/", tool)
    }

    #[track_caller]
    fn check(client: &Client, table: &[(&str, u16)]) {
        for (referer, status) in table {
            let request = client.get("/").header("host", "a.example");
            request.header("referer", referer).send().assert_status(*status);
        }
    }

    #[test]
    fn origins_are_compared_as_origins() {
        let client = Client::in_process(app(Referer::same_origin().origins(["HTTPS://Friend.example:443/"])));
        let table = [
            ("http://a.example/page?x", 200),
            ("http://A.EXAMPLE", 200),
            ("http://a.example:80/", 200),
            ("https://a.example/", 403),
            ("http://a.example:8080/", 403),
            ("http://a.example.evil.example/", 403),
            ("http://a.example@evil.example/", 403),
            ("http://evil.example/http://a.example/", 403),
            ("https://friend.example/x", 200),
            ("about:blank", 403),
            ("", 403),
        ];
        check(&client, &table);
        client.get("/").send().assert_status(403);
    }

    #[test]
    fn a_pattern_is_compared_from_the_start() {
        let client = Client::in_process(app(Referer::matching(r"https?://[^/]*friend\.example/|http://b/")));
        let table = [
            ("https://www.friend.example/a", 200),
            ("http://b/", 200),
            ("http://a.example/", 403),
            ("http://evil.example/?https://friend.example/", 403),
            ("https://friend.example.evil.example/", 403),
        ];
        check(&client, &table);
    }

    #[test]
    fn matching_pages_may_be_refused_instead() {
        let client = Client::in_process(app(Referer::matching("http://evil").accept(false).accept_missing(true)));
        check(&client, &[("http://evil.example/", 403), ("http://a.example/", 200)]);
        client.get("/").send().assert_status(200);
    }

    #[test]
    fn the_settings_of_a_file_are_laid_over_and_checked() {
        let text = "[\"/\"]\nreferer.accept_missing = true\nreferer.status = 404\nreferer.message = \"Not here.\"";
        let client = Client::in_process(app(Referer::same_origin()).config_str(text));
        client.get("/").send().assert_status(200);
        client.get("/").header("referer", "http://b/").send().assert_status(404).assert_contains("Not here.");
        let table = [
            (Referer::matching("(a"), "`pattern` is \"(a\", which is not a regular expression"),
            (Referer::matching(""), "nothing would match"),
            (Referer::same_origin().origins(["a.example"]), "`origins` has \"a.example\"; write origins"),
            (Referer::same_origin().origins(["https://a.example/x"]), "write origins"),
            (Referer::same_origin().answer(StatusCode::OK, ""), "`status` is 200; it must be that of an error"),
        ];
        for (tool, problem) in table {
            let error = app(tool).build().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
