//! Which methods a section answers: `Allow`, named after CherryPy's tool.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 50 | 405 for a method that is not allowed |
//! | `before_finalize` | 50, always | takes the methods from `Allow` (of 405, and of the answer to OPTIONS) that the section does not allow |
//!
//! A 405 gets the page's methods from the framework; so `Allow` always lists the methods that both the section and the
//! page answer.

use crate::exchange::MethodSet;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Error, Exchange, HeaderValue, Method, StatusCode, header};

/// Lets through requests with some methods only; others are answered with 405.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::Allow};
///
/// let app = App::new(Tree::new().index(|_| "to be read")).tool("/", Allow::new([Method::GET]));
/// let client = Client::in_process(app);
/// client.head("/").send().assert_status(200);
/// client.post("/").send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS");
/// ```
///
/// HEAD goes with GET. OPTIONS is always answered, with the methods that both the section and the page answer. Pages
/// answer GET, HEAD and POST by default, so this is for whole parts of a site that are read only.
///
/// In a file: `allow.methods = ["GET"]`. CherryPy's `allow`.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::prepare)]
pub struct Allow {
    /// The methods that come through. HEAD goes with GET; OPTIONS is always answered.
    #[setting(given, no_builder)]
    methods: Vec<String>,
}

/// GET and HEAD, as in CherryPy.
impl Default for Allow {
    fn default() -> Self {
        Self::new([Method::GET])
    }
}

impl Allow {
    /// Lets these methods through (`methods`).
    #[must_use]
    pub fn new(methods: impl IntoIterator<Item = Method>) -> Self {
        Self::defaults(methods.into_iter().map(|method| method.to_string()).collect())
    }

    fn prepare(&self) -> Result<MethodSet, SettingError> {
        let refused = |problem| SettingError::new("methods", problem);
        if self.methods.is_empty() {
            return Err(refused("is empty: nothing would be answered".to_owned()));
        }
        self.methods.iter().try_fold(MethodSet::OPTIONS, |set, name| {
            let method = named(name);
            if method == MethodSet::NONE {
                let known = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
                return Err(refused(format!("has {name:?}; pages answer {known}")));
            }
            let with_head = if method == MethodSet::GET { MethodSet::HEAD } else { MethodSet::NONE };
            Ok(set.with(method).with(with_head))
        })
    }
}

/// The method of that name, which has a case.
fn named(name: &str) -> MethodSet {
    Method::from_bytes(name.as_bytes()).map_or(MethodSet::NONE, |method| MethodSet::of(&method))
}

/// The methods in the value of an `Allow` field.
fn listed(allow: &HeaderValue) -> MethodSet {
    let names = allow.to_str().unwrap_or_default().split(',').map(str::trim);
    names.fold(MethodSet::NONE, |set, name| set.with(named(name)))
}

fn check(exchange: &Exchange, allowed: MethodSet) -> Result<(), Error> {
    if allowed.contains(MethodSet::of(exchange.request.method())) {
        return Ok(());
    }
    // `Allow` comes from the page, see below.
    let message = format!("This part of the site answers {} only.", allowed.allow());
    Err(Error::new(StatusCode::METHOD_NOT_ALLOWED, message))
}

fn restrict(exchange: &mut Exchange, allowed: MethodSet) -> Result<(), Error> {
    let Exchange { request, response, .. } = exchange;
    let is_refused = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    if !is_refused && *request.method() != Method::OPTIONS {
        return Ok(());
    }
    let allow = match response.header(&header::ALLOW) {
        Some(of_page) => listed(of_page).common(allowed),
        // The pages are not known: a tool may answer.
        None if is_refused => allowed,
        None => return Ok(()),
    };
    response.set_header(header::ALLOW, HeaderValue::try_from(allow.allow())?);
    Ok(())
}

impl Tool for Allow {
    fn name(&self) -> &'static str {
        "allow"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let allowed = match self.prepare() {
            Ok(allowed) => allowed,
            Err(error) => return hooks.refuse(error),
        };
        hooks.at(HookPoint::OnStartResource, move |exchange| check(exchange, allowed));
        hooks.at(HookPoint::BeforeFinalize, move |exchange| restrict(exchange, allowed)).always();
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

    struct Item;

    #[crate::resource]
    impl Item {
        fn get(&self) -> &'static str {
            "item"
        }
        fn delete(&self) -> &'static str {
            "gone"
        }
    }

    fn client(tool: Allow) -> Client {
        Client::in_process(App::new(Tree::new().index(|_| "page").child("item", Item)).tool("/", tool))
    }

    #[test]
    fn head_goes_with_get_and_others_are_405() {
        let client = client(Allow::default());
        client.get("/").send().assert_status(200);
        client.head("/").send().assert_status(200);
        client.post("/").send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS");
        client.request(Method::from_bytes(b"BREW").unwrap(), "/").send().assert_status(405);
        client.get("/nowhere").send().assert_status(404);
        client.post("/nowhere").send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS");
    }

    #[test]
    fn allow_lists_the_methods_of_both_section_and_page() {
        let client = client(Allow::new([Method::GET, Method::POST]));
        for method in [Method::DELETE, Method::POST, Method::PATCH] {
            client.request(method, "/item/").send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS");
        }
        client
            .request(Method::OPTIONS, "/item/")
            .send()
            .assert_status(204)
            .assert_header("allow", "GET, HEAD, OPTIONS");
        client.request(Method::OPTIONS, "/").send().assert_header("allow", "GET, HEAD, OPTIONS, POST");
    }

    #[test]
    fn methods_of_a_file_must_be_known() {
        let app = || App::new(Tree::new().index(|_| "page")).tool("/", Allow::default());
        let client = Client::in_process(app().config_str("[\"/\"]\nallow.methods = [\"POST\"]"));
        client.get("/").send().assert_status(405).assert_header("allow", "OPTIONS, POST");
        for (methods, problem) in [("[\"get\"]", "has \"get\"; pages answer DELETE, GET"), ("[]", "is empty")] {
            let error =
                app().config_str(format!("[\"/\"]\nallow.methods = {methods}")).build().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
