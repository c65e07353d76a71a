//! Problem details (RFC 9457): an error that a program can tell from others of the same status.

use super::{Error, HttpError, IntoResponse, Response};
use ::http::{HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::sync::Arc;

/// An error for clients that are programs: `application/problem+json` (RFC 9457).
///
/// ```
/// use kirsch::{prelude::*, testing::Client};
///
/// struct Bank;
///
/// #[handlers]
/// impl Bank {
///     #[expose]
///     fn pay(&self, amount: u32) -> Result<&'static str, Problem> {
///         if amount <= 30 {
///             return Ok("paid");
///         }
///         Err(Problem::new(StatusCode::FORBIDDEN)
///             .with_type("https://bank.example/problems/out-of-credit")
///             .with_title("You do not have enough credit.")
///             .with_detail(format!("Your balance is 30, but that costs {amount}."))
///             .with_member("balance", 30))
///     }
/// }
///
/// let answer = Client::in_process(App::new(Bank)).get("/pay?amount=50").send();
/// answer.assert_status(403).assert_header("content-type", "application/problem+json").assert_contains("\"balance\":30");
/// ```
///
/// It goes through the error funnel like every error: hooks see it, an error page that is a function gets it
/// ([`ErrorPage::problem_type`](crate::ErrorPage::problem_type), [`member`](crate::ErrorPage::member)), and a browser,
/// which asks for HTML by name, gets a page. Every other client gets it as `application/problem+json`, unless the
/// setting `errors` of the path says otherwise.
#[derive(Debug)]
#[must_use = "a problem does nothing until it is returned"]
pub struct Problem(HttpError);

/// The members of a [`Problem`] beside status, message and fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProblemMembers {
    pub(crate) kind: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) extensions: Map<String, Value>,
    pub(crate) page: Option<OwnPage>,
}

/// The page of a problem for browsers. A response is sent once, so whichever copy of the error is answered first takes
/// it.
#[derive(Clone, Debug)]
pub(crate) struct OwnPage(Arc<Mutex<Option<Response>>>);

impl OwnPage {
    pub(crate) fn take(&self) -> Option<Response> {
        self.0.lock().take()
    }
}

impl Problem {
    /// A problem of this status, 400 to 599. Its type is `about:blank`: no more than the status says.
    pub fn new(status: StatusCode) -> Self {
        let mut error = HttpError::new(status, String::new());
        error.problem = Some(Box::default());
        Self(error)
    }

    /// The member `type`: a URI that stands for this kind of problem, at best one that leads to its documentation.
    pub fn with_type(mut self, uri: impl Into<String>) -> Self {
        self.members().kind = Some(uri.into());
        self
    }

    /// The member `title`: the kind of problem in a few words, the same each time. Without it, the words of the status.
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.members().title = Some(title.into());
        self
    }

    /// The member `detail`: what happened this time, and what the client can do about it. Without it, the usual
    /// sentence of the status.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.message = detail.into();
        self
    }

    /// The member `instance`: a URI that stands for this occurrence. Without it, the path of the request.
    pub fn with_instance(mut self, uri: impl Into<String>) -> Self {
        self.members().instance = Some(uri.into());
        self
    }

    /// One more member, of any name: text, number, list or `serde_json::json!({…})`. The members of RFC 9457 itself
    /// (`type`, `title`, `status`, `detail`, `instance`) and `request_id` cannot be replaced so.
    pub fn with_member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members().extensions.insert(name.into(), value.into());
        self
    }

    /// What browsers get in place of the error page: for a page that can say more, such as a form with its errors. Its
    /// status becomes that of the problem.
    pub fn with_page(mut self, page: impl IntoResponse) -> Self {
        self.members().page = Some(OwnPage(Arc::new(Mutex::new(Some(Response::of(page))))));
        self
    }

    /// One more field of the answer, such as `Retry-After`.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    fn members(&mut self) -> &mut ProblemMembers {
        self.0.problem.get_or_insert_default()
    }
}

impl From<Problem> for HttpError {
    fn from(problem: Problem) -> Self {
        problem.0
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        problem.0.into()
    }
}

/// Always an error, for the error funnel.
impl IntoResponse for Problem {
    fn into_response(self, _: &mut Response) -> Result<(), Error> {
        Err(self.into())
    }
}
