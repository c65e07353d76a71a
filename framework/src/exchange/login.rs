//! The visitor who is logged in: what authentication tools tell handlers and the access log.

use super::{Argument, ArgumentInfo, Arguments, Error, Exchange, HttpError};
use ::http::{HeaderValue, StatusCode, header};
use std::sync::Arc;

/// The name of the visitor, as an authentication tool has found out (CherryPy's `request.login`).
///
/// As an argument: `login: &Login` is answered with 401 when no visitor is logged in, or as the tool says that knows
/// the way to the login ([`LoginChallenge`]); `Option<&Login>` takes either.
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

/// The answer to a stranger, kept among the [`values`](Exchange::values) of the request by an authentication tool that
/// lets strangers in.
///
/// A 401 must say how to log in (RFC 9110, section 15.5.2). Where a handler answers 401 without saying it, as a page
/// does that takes [`&Login`](Login), this answers in its place: with the same error and a field `WWW-Authenticate`, or
/// with a redirect to a login page.
///
/// ```
/// use kirsch::exchange::LoginChallenge;
/// use kirsch::{prelude::*, testing::Client};
///
/// #[derive(Debug)]
/// struct Doorman;
///
/// impl Tool for Doorman {
///     fn name(&self) -> &'static str { "doorman" }
///
///     fn attach(&self, hooks: &mut Hooks) {
///         hooks.provides("login");
///         let challenge = LoginChallenge::new(|_, _| Redirect::to("/door").into());
///         hooks.at(HookPoint::OnStartResource, move |exchange| {
///             exchange.values.insert(challenge.clone());
///         });
///     }
/// }
///
/// let tree = Tree::new().page("club", |call| call.argument::<&Login>().map(Login::to_string));
/// let client = Client::in_process(App::new(tree).tool("/", Doorman));
/// client.get("/club").send().assert_status(303).assert_header("location", "/door");
/// ```
///
/// Several tools may each [`offer`](Self::offer) a scheme for the same page, as `AuthBasic` and `AuthDigest` do.
#[derive(Clone, Default)]
pub struct LoginChallenge {
    answer: Option<Arc<AnswerToStranger>>,
    offers: Vec<Offer>,
}

type AnswerToStranger = dyn Fn(&mut Exchange, HttpError) -> Error + Send + Sync;

/// A scheme of `Authorization`, and what `WWW-Authenticate` says of it.
type Offer = (&'static str, Arc<dyn Fn() -> Vec<HeaderValue> + Send + Sync>);

impl LoginChallenge {
    /// The error that this function makes of the request and of the 401.
    pub fn new(answer: impl Fn(&mut Exchange, HttpError) -> Error + Send + Sync + 'static) -> Self {
        Self { answer: Some(Arc::new(answer)), offers: Vec::new() }
    }

    /// Adds a scheme to those that a 401 of this request offers. `challenges` makes the values of `WWW-Authenticate`,
    /// when there is a 401.
    pub fn offer(
        exchange: &mut Exchange,
        scheme: &'static str,
        challenges: Arc<dyn Fn() -> Vec<HeaderValue> + Send + Sync>,
    ) {
        let mut all = exchange.values.remove::<Self>().unwrap_or_default();
        // A tool that looks again after a wait offers the same.
        all.offers.retain(|(known, _)| *known != scheme);
        all.offers.push((scheme, challenges));
        exchange.values.insert(all);
    }

    /// The answer in place of `error`, if that is a 401 that does not say how to log in, and a tool knows it.
    pub(crate) fn complete(exchange: &mut Exchange, error: HttpError) -> Result<Error, HttpError> {
        let is_mute = error.status == StatusCode::UNAUTHORIZED
            && !error.headers.iter().any(|(name, _)| *name == header::WWW_AUTHENTICATE);
        match is_mute.then(|| exchange.values.remove::<Self>()).flatten() {
            Some(Self { answer, offers }) => {
                let values = offers.iter().flat_map(|(_, challenges)| challenges());
                let error = values.fold(error, |error, value| error.with_header(header::WWW_AUTHENTICATE, value));
                Ok(match answer {
                    Some(answer) => answer(exchange, error),
                    None => error.into(),
                })
            }
            None => Err(error),
        }
    }
}

impl std::fmt::Debug for LoginChallenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginChallenge").finish_non_exhaustive()
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
