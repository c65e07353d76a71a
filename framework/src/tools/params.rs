//! Rules for the parameters of a section: `Params`, named after CherryPy's tool.
//!
//! The hook runs at `before_handler` 15: the form is there, nothing of the handler has run. Handlers with a signature need no such rules: their
//! arguments are checked by type. This is for those that take whatever comes (`Params`, `&Request`, closures of a `Tree`), and for
//! what types do not say: ranges, lengths, how many.

mod rule;

pub use self::rule::ParamRule;
use crate::exchange::HttpError;
use crate::lifecycle::{HookPoint, Hooks, SettingError, SettingReader, SettingTable, Tool};
use crate::{Error, Exchange, Request, StatusCode};
use std::collections::{BTreeMap, BTreeSet};

/// Checks the parameters of query and form, by name, before any handler of a section runs.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::{self, ParamRule}};
///
/// let tree = Tree::new().page("search", |page| -> kirsch::Result<String> {
///     let all: Params = page.argument()?;
///     Ok(format!("{} on page {}", all.get("q").unwrap_or_default(), all.get("page").unwrap_or("1")))
/// });
/// let rules = tools::Params::new()
///     .rule("q", ParamRule::text(1..=80))
///     .rule("page", ParamRule::whole(1..=1000))
///     .required(["q"])
///     .strict(true);
/// let client = Client::in_process(App::new(tree).tool("/search", rules));
/// client.get("/search?q=blue&page=2").send().assert_text("blue on page 2");
/// client.get("/search?q=blue&page=0").send().assert_status(400).assert_contains("the parameter `page` must be a whole number from 1 to 1000");
/// client.get("/search?page=2").send().assert_status(400).assert_contains("the parameter `q` is missing");
/// client.get("/search?q=a&sort=x").send().assert_status(400).assert_contains("the parameter `sort` is not known here");
/// ```
///
/// A parameter with a rule is given once at most, unless it is among [`repeated`](Self::repeated) (two values of one name are read differently by one program and the next). Blank means not
/// given, except for texts. Parameters of the path are not looked at: they are the handler's arguments.
///
/// In a file:
///
/// ```toml
/// ["/search"]
/// params.rules = { q = "text 1..80", page = "whole 1..1000", sort = "one of name, date" }
/// params.required = ["q"]
/// params.strict = true
/// ```
///
/// CherryPy's `params` converts by the annotations of the handler; here that is the signature itself.
#[derive(Clone, Debug)]
pub struct Params {
    rules: BTreeMap<String, ParamRule>,
    required: BTreeSet<String>,
    repeated: BTreeSet<String>,
    most: usize,
    strict: bool,
    status: StatusCode,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            rules: BTreeMap::new(),
            required: BTreeSet::new(),
            repeated: BTreeSet::new(),
            most: 1000,
            strict: false,
            status: StatusCode::BAD_REQUEST,
        }
    }
}

impl Params {
    /// No rule but for the number of parameters: 1000 at most.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the values of a parameter must be (`rules`).
    #[must_use]
    pub fn rule(mut self, name: impl Into<String>, rule: ParamRule) -> Self {
        self.rules.insert(name.into(), rule);
        self
    }

    /// The parameters that must be given (`required`).
    #[must_use]
    pub fn required<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.required = names.into_iter().map(Into::into).collect();
        self
    }

    /// The parameters that may be given more than once (`repeated`); each value must fit the rule.
    #[must_use]
    pub fn repeated<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.repeated = names.into_iter().map(Into::into).collect();
        self
    }

    /// How many parameters there may be in all, files included (`most`, default 1000).
    #[must_use]
    pub fn most(mut self, count: usize) -> Self {
        self.most = count;
        self
    }

    /// Whether names that are in none of these lists are refused (`strict`, default false).
    #[must_use]
    pub fn strict(mut self, is_strict: bool) -> Self {
        self.strict = is_strict;
        self
    }

    /// The status of a refusal (`status`, default 400): 404 for pages whose address includes the query.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    fn check(&self, exchange: &mut Exchange) -> Result<(), Error> {
        // A page that is not there has no parameters.
        if exchange.route_error().is_some() {
            return Ok(());
        }
        exchange.request.decode_parameters()?;
        match self.problem_with(&exchange.request) {
            Some(problem) => Err(HttpError::new(self.status, problem).into()),
            None => Ok(()),
        }
    }

    fn problem_with(&self, request: &Request) -> Option<String> {
        let names = || request.all_parameters().map(|(name, _)| name).chain(request.upload_names());
        if names().nth(self.most).is_some() {
            return Some(format!("there are more than {} parameters", self.most));
        }
        if self.strict
            && let Some(name) = names().find(|name| !self.knows(name))
        {
            return Some(format!("the parameter `{}` is not known here", name.escape_debug()));
        }
        for name in &self.required {
            let is_text = self.rules.get(name).is_none_or(ParamRule::is_text);
            let is_given = request.parameters(name).any(|value| is_text || !value.is_empty());
            if !is_given && !request.upload_names().any(|file| file == name) {
                return Some(format!("the parameter `{name}` is missing"));
            }
        }
        for (name, rule) in &self.rules {
            let is_blank = |value: &str| value.is_empty() && !rule.is_text();
            if request.parameters(name).any(|value| !is_blank(value) && !rule.fits(value)) {
                return Some(format!("the parameter `{name}` must be {rule}"));
            }
        }
        let once = self.rules.keys().chain(&self.required).filter(|name| !self.repeated.contains(*name));
        let repeated = once.into_iter().find(|name| request.parameters(name).nth(1).is_some());
        repeated.map(|name| format!("the parameter `{name}` is given more than once"))
    }

    fn knows(&self, name: &str) -> bool {
        self.rules.contains_key(name) || self.required.contains(name) || self.repeated.contains(name)
    }

    fn problem(&self) -> Option<SettingError> {
        let is_error = self.status.is_client_error();
        (!is_error).then(|| SettingError::new("status", format!("is {}; it must be 400 to 499", self.status.as_u16())))
    }
}

impl Tool for Params {
    fn name(&self) -> &'static str {
        "params"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Some(error) = self.problem() {
            return hooks.refuse(error);
        }
        let tool = self.clone();
        hooks.at(HookPoint::BeforeHandler, move |exchange| tool.check(exchange)).priority(15);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        let mut tool = self.clone();
        let mut rules = BTreeMap::new();
        let (mut required, mut repeated) = (Vec::new(), Vec::new());
        let mut status = usize::from(tool.status.as_u16());
        let mut reader = SettingReader::new(settings);
        reader.text_table("rules", &mut rules)?;
        reader.texts("required", &mut required)?;
        reader.texts("repeated", &mut repeated)?;
        reader.count("most", &mut tool.most)?;
        reader.flag("strict", &mut tool.strict)?;
        reader.count("status", &mut status)?;
        reader.finish()?;
        for (name, text) in rules {
            let rule =
                text.parse().map_err(|problem| SettingError::new("rules", format!("has a `{name}` that {problem}")))?;
            tool.rules.insert(name, rule);
        }
        if settings.contains_key("required") {
            tool.required = required.into_iter().collect();
        }
        if settings.contains_key("repeated") {
            tool.repeated = repeated.into_iter().collect();
        }
        let code = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        tool.status = code.ok_or_else(|| SettingError::new("status", format!("is {status}; it must be 400 to 499")))?;
        match tool.problem() {
            Some(error) => Err(error),
            None => Ok(Box::new(tool)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Client, FormData};
    use crate::{App, Tree};

    fn app(tool: Params) -> App {
        let tree = Tree::new().index(|page| -> crate::Result<String> {
            let all: crate::Params = page.argument()?;
            Ok(all.iter().map(|(name, value)| format!("{name}={value};")).collect())
        });
        App::new(tree).tool("/", tool)
    }

    fn rules() -> Params {
        Params::new().rule("page", ParamRule::whole(1..=9)).rule("tag", ParamRule::text(1..=3)).repeated(["tag"])
    }

    #[track_caller]
    fn check(client: &Client, query: &str, expected: &str) {
        let page = client.get(&format!("/?{query}")).send();
        match expected.strip_suffix(';') {
            Some(_) => page.assert_status(200).assert_text(expected),
            None => page.assert_status(400).assert_contains(expected),
        };
    }

    #[test]
    fn values_must_fit_their_rules() {
        let client = Client::in_process(app(rules()));
        check(&client, "page=9&tag=a&tag=%C3%A9%C3%A9%C3%A9&x=y", "page=9;tag=a;tag=\u{e9}\u{e9}\u{e9};x=y;");
        check(&client, "page=&x=y", "page=;x=y;");
        check(&client, "page=10", "the parameter `page` must be a whole number from 1 to 9");
        check(&client, "tag=a&tag=abcd", "the parameter `tag` must be a text of 1 to 3 characters");
        check(&client, "tag=", "the parameter `tag` must be");
    }

    #[test]
    fn a_parameter_is_given_once_unless_it_may_be_repeated() {
        check(&Client::in_process(app(rules())), "page=1&page=2", "the parameter `page` is given more than once");
    }

    #[test]
    fn required_ones_must_be_given_in_the_query_or_a_form() {
        let client = Client::in_process(app(rules().required(["page", "name"])));
        check(&client, "page=1", "the parameter `name` is missing");
        check(&client, "page=&name=a", "the parameter `page` is missing");
        client.post("/?page=1").form(&[("name", "a")]).send().assert_text("page=1;name=a;");
        client
            .post("/")
            .form_data(FormData::new().field("page", "1").field("name", "a"))
            .send()
            .assert_text("page=1;name=a;");
    }

    #[test]
    fn unknown_names_are_refused_if_asked_and_their_number_always() {
        let client = Client::in_process(app(rules().strict(true).most(3)));
        check(&client, "page=1&%3Cb%3E=1", "is not known here");
        check(&client, "tag=a&tag=b&tag=c&tag=d", "there are more than 3 parameters");
        let form = FormData::new().file("picture", "a.png", "image/png", b"x");
        client.post("/").form_data(form).send().assert_status(400);
        client.get("/nowhere?x").send().assert_status(404);
    }

    #[test]
    fn the_settings_of_a_file_are_laid_over_and_checked() {
        let text = "[\"/\"]\nparams.rules = { page = \"whole 1..20\", sort = \"one of name, date\" }\nparams.required = [\"sort\"]\nparams.strict = true";
        let client = Client::in_process(app(rules()).config_str(text));
        check(&client, "page=20&sort=date", "page=20;sort=date;");
        check(&client, "sort=size", "the parameter `sort` must be one of `name`, `date`");
        check(&client, "page=2", "the parameter `sort` is missing");
        for (line, problem) in [
            ("rules = { a = \"hole 1..2\" }", "`params.rules` has a `a` that is \"hole 1..2\"; write"),
            ("rules = { a = \"whole 2..1\" }", "has a `a` that is \"whole 2..1\""),
            ("rules = { a = \"matches (\" }", "no regular expression"),
            ("status = 200", "`params.status` is 200; it must be 400 to 499"),
            ("requierd = []", "did you mean `required`?"),
        ] {
            let error = app(rules()).config_str(format!("[\"/\"]\nparams.{line}")).build().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
