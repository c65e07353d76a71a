//! The visitor who is logged in: what authentication tools tell handlers and the access log.

use super::{Argument, ArgumentInfo, Arguments, Exchange, HttpError};
use ::http::StatusCode;
use std::sync::Arc;

/// The name of the visitor, as an authentication tool has found out (CherryPy's `request.login`).
///
/// As an argument: `login: &Login` is answered with 401 when no visitor is logged in; `Option<&Login>` takes either.
/// The start refuses `&Login` where no tool says that it [provides](crate::Hooks::provides) `login`. The access log has
/// it in its third column.
///
/// ```
/// use kirsch::{prelude::*, testing::Client};
///
/// #[derive(Debug)]
/// struct Knock;
///
/// impl Tool for Knock {
///     fn name(&self) -> &'static str { "knock" }
///
///     fn attach(&self, hooks: &mut Hooks) {
///         hooks.provides("login");
///         let section = hooks.section().to_owned();
///         hooks.at(HookPoint::BeforeRequestBody, move |exchange| {
///             if let Some(name) = exchange.request.header("knock") {
///                 let login = Login::new(name).at(&*section);
///                 exchange.values.insert(login);
///             }
///         });
///     }
/// }
///
/// struct Door;
///
/// #[handlers]
/// impl Door {
///     #[expose]
///     fn index(&self, login: &Login) -> String {
///         format!("Come in, {login}")
///     }
/// }
///
/// let client = Client::in_process(App::new(Door).tool("/", Knock));
/// client.get("/").header("knock", "anna").send().assert_text("Come in, anna");
/// client.get("/").send().assert_status(401);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    name: String,
    section: Option<Arc<str>>,
}

impl Login {
    /// A visitor of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), section: None }
    }

    /// Says which section the visitor has logged in at: the [`Hooks::section`](crate::Hooks::section) of the tool. The
    /// status pages and metrics are shown only to visitors who have logged in at their own section.
    #[must_use]
    pub fn at(self, section: impl Into<Arc<str>>) -> Self {
        Self { section: Some(section.into()), ..self }
    }

    /// The visitor who is logged in, if any.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<&Self> {
        exchange.values.get()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The section that the visitor has logged in at, as the application has written it; `None` if the tool has not
    /// said it.
    #[must_use]
    pub fn section(&self) -> Option<&str> {
        self.section.as_deref()
    }
}

impl std::fmt::Display for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl<'a> Argument<'a> for &'a Login {
    const INFO: ArgumentInfo = ArgumentInfo { requires: Some("login"), ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.values.get::<Login>().ok_or_else(|| HttpError::new(StatusCode::UNAUTHORIZED, ""))
    }
}

impl<'a> Argument<'a> for Option<&'a Login> {
    const INFO: ArgumentInfo = ArgumentInfo::TYPED;

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        Ok(arguments.values.get::<Login>())
    }
}
