//! Who may link here: `Referer`, named after CherryPy's tool.
//!
//! The hook runs at `before_request_body` 50: before files (90) and the cache (95) answer, and before a body is uploaded.

use super::origins::origin_setting;
use crate::exchange::origin_of;
use crate::lifecycle::{HookPoint, Hooks, SettingError, SettingReader, SettingTable, Tool};
use crate::{Error, Exchange, Request, StatusCode};
use regex_lite::Regex;

/// Lets requests through by the page that they come from (`Referer`): pages of this site, unless said otherwise. Others get 403.
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
/// It keeps other sites from showing this site's pictures as theirs, nothing more: programs send whatever `Referer` they like, and browsers may send none
/// ([`accept_missing`](Self::accept_missing)). Against forged requests there is the tool `csrf`.
///
/// Origins are compared as origins. A [`pattern`](Self::pattern) is compared with the whole field from its start, as in CherryPy: one that does not end its host with a `/` also
/// matches hosts that merely begin so.
///
/// In a file: `referer.origins = ["https://friend.example"]`, `referer.accept_missing = true`. CherryPy's `referer`.
#[derive(Clone, Debug)]
pub struct Referer {
    same_origin: bool,
    origins: Vec<String>,
    pattern: String,
    accept: bool,
    accept_missing: bool,
    status: StatusCode,
    message: String,
}

impl Referer {
    /// Requests from pages of the same origin come through.
    #[must_use]
    pub fn same_origin() -> Self {
        Self {
            same_origin: true,
            origins: Vec::new(),
            pattern: String::new(),
            accept: true,
            accept_missing: false,
            status: StatusCode::FORBIDDEN,
            message: "This cannot be used from where you come from.".to_owned(),
        }
    }

    /// Requests come through whose `Referer` matches the regular expression from its start on, not those of the same origin (`pattern`).
    #[must_use]
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self { same_origin: false, ..Self::same_origin() }.pattern(pattern)
    }

    /// Whether pages of the same origin match (`same_origin`).
    #[must_use]
    pub fn with_same_origin(mut self, matches: bool) -> Self {
        self.same_origin = matches;
        self
    }

    /// Pages of these origins match, too (`origins`): scheme, host, and port unless it is the usual one.
    #[must_use]
    pub fn origins<T: Into<String>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Pages match, too, whose address matches this regular expression from its start on (`pattern`): `https://[a-z]+\.example/`.
    #[must_use]
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = pattern.into();
        self
    }

    /// Whether what matches is let through (`accept`, default true), or is what is refused.
    #[must_use]
    pub fn accept(mut self, is_accepted: bool) -> Self {
        self.accept = is_accepted;
        self
    }

    /// Whether requests without a `Referer` come through (`accept_missing`, default false): addresses typed by hand, and browsers that keep it to themselves.
    #[must_use]
    pub fn accept_missing(mut self, is_accepted: bool) -> Self {
        self.accept_missing = is_accepted;
        self
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
                SettingError::new("pattern", format!("is {:?}, which is no regular expression: {error}", self.pattern))
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
        let mut tool = self.clone();
        let mut status = usize::from(tool.status.as_u16());
        let mut reader = SettingReader::new(settings);
        reader.flag("same_origin", &mut tool.same_origin)?;
        reader.texts("origins", &mut tool.origins)?;
        reader.text("pattern", &mut tool.pattern)?;
        reader.flag("accept", &mut tool.accept)?;
        reader.flag("accept_missing", &mut tool.accept_missing)?;
        reader.count("status", &mut status)?;
        reader.text("message", &mut tool.message)?;
        reader.finish()?;
        let code = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        tool.status = code.ok_or_else(|| SettingError::new("status", format!("is {status}; it must be 400 to 599")))?;
        tool.prepare()?;
        Ok(Box::new(tool))
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
            (Referer::matching("(a"), "`pattern` is \"(a\", which is no regular expression"),
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
