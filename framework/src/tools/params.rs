//! Rules for the parameters of a section: `Params`, named after CherryPy's tool.
//!
//! The hook runs at `before_handler` 15: the form is there, and the handler has not run yet. Handlers with a signature
//! need no such rules: their arguments are checked by type. This is for handlers that take any parameter (`Params`,
//! `&Request`, closures of a `Tree`), and for rules that types cannot express: ranges, lengths, how many.

mod rule;

pub use self::rule::ParamRule;
use crate::exchange::HttpError;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
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
/// A parameter with a rule is given once at most, unless it is among [`repeated`](Self::repeated) (two values of one
/// name are read differently by one program and the next). Blank means missing, except for texts. Parameters of the
/// path are not looked at: they are the handler's arguments.
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
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::check_status)]
pub struct Params {
    /// Rules by name; a section adds to those above it.
    #[setting(no_builder)]
    rules: BTreeMap<String, ParamRule>,
    /// The parameters that must be given.
    required: BTreeSet<String>,
    /// The parameters that may be given more than once; each value must fit the rule.
    repeated: BTreeSet<String>,
    /// How many parameters there may be in all, files included.
    #[setting(default = 1000)]
    most: usize,
    /// Whether names that are in none of these lists are refused.
    strict: bool,
    /// The status of a refusal: 404 for pages whose address includes the query.
    #[setting(default = StatusCode::BAD_REQUEST)]
    status: StatusCode,
}

impl Default for Params {
    fn default() -> Self {
        Self::defaults()
    }
}

impl Params {
    /// No rule but for the number of parameters: 1000 at most.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The rule for the values of a parameter (`rules`).
    #[must_use]
    pub fn rule(mut self, name: impl Into<String>, rule: ParamRule) -> Self {
        self.rules.insert(name.into(), rule);
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

    fn check_status(&self) -> Result<(), SettingError> {
        let problem = || format!("is {}; it must be 400 to 499", self.status.as_u16());
        if self.status.is_client_error() { Ok(()) } else { Err(SettingError::new("status", problem())) }
    }
}

impl Tool for Params {
    fn name(&self) -> &'static str {
        "params"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Err(error) = self.check_status() {
            return hooks.refuse(error);
        }
        let tool = self.clone();
        hooks.at(HookPoint::BeforeHandler, move |exchange| tool.check(exchange)).priority(15);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
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
            ("rules = { a = \"matches (\" }", "not a regular expression"),
            ("status = 200", "`params.status` is 200; it must be 400 to 499"),
            ("requierd = []", "did you mean `required`?"),
        ] {
            let error = app(rules()).config_str(format!("[\"/\"]\nparams.{line}")).build().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
