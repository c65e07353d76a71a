//! The exchange: everything of one request as one value.

use super::course::{Course, Pending, Stage};
use super::{BodyUse, Error, HttpError, Request, RequestBody, Response, Spent, Trail, Values};

/// One request on its way to a response, owned and [`Send`].
///
/// Hooks get it as `&mut Exchange`; handlers get its parts as arguments.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The client's request.
    pub request: Request,
    /// The response to the client.
    pub response: Response,
    /// How the path leads to the handler.
    pub trail: Trail,
    /// The values that tools keep for the length of this request, by type.
    pub values: Values,
    pub(crate) course: Course,
    /// The server sets it when it lets the started request wait: for its body, or for a client to take earlier
    /// responses.
    pub(crate) waited: bool,
    /// The thread beside the workers is at work on it.
    pub(crate) is_aside: bool,
    /// How its time was spent, where it is noted.
    pub(crate) spent: Option<Box<Spent>>,
}

impl Exchange {
    /// An empty exchange, ready for a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no handler is called any more: a hook before the body has answered, or failed.
    pub(crate) fn is_decided(&self) -> bool {
        !matches!(self.course.stage, Stage::Admission(_) | Stage::Handling)
    }

    /// Whether an unexpected error or a panic has ended this request with 500. A tool then rolls back the changes of
    /// the request.
    ///
    /// Known from the failure on, also to the `always` hooks of the point where it happened.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.course.failed
    }

    /// The reason why the path leads to no handler, if it does not: the error (404, 405, the answer to OPTIONS) that is
    /// answered at the handler's turn, unless a tool answers before. Known from `on_start_resource` on.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// struct NotFoundIsGone;
    ///
    /// impl Tool for NotFoundIsGone {
    ///     fn name(&self) -> &'static str { "not_found_is_gone" }
    ///
    ///     fn attach(&self, hooks: &mut Hooks) {
    ///         hooks.at(HookPoint::OnStartResource, |exchange| match exchange.route_error() {
    ///             Some(_) => Err(Error::new(StatusCode::GONE, "This site has moved.")),
    ///             None => Ok(()),
    ///         });
    ///     }
    /// }
    ///
    /// let client = Client::in_process(App::new(Tree::new().index(|_| "here")).tool("/", NotFoundIsGone));
    /// client.get("/").send().assert_status(200);
    /// client.get("/elsewhere").send().assert_status(410);
    /// ```
    #[must_use]
    pub fn route_error(&self) -> Option<&Error> {
        match &self.course.pending {
            Pending::NoSuchPage(error) => Some(error),
            Pending::Nothing | Pending::Decided(_) => None,
        }
    }

    /// Reads the form in the body for a tool that answers in place of the page, even if the page reads another body or
    /// does not exist. For hooks before the body; at `before_handler` the tool finds the fields with
    /// [`Request::form_fields`] and answers. `max_form` is the limit. To read all forms of a section, use
    /// [`Hooks::reads_forms`](crate::Hooks::reads_forms).
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// struct Guestbook;
    ///
    /// impl Tool for Guestbook {
    ///     fn name(&self) -> &'static str { "guestbook" }
    ///
    ///     fn answers(&self) -> bool { true }
    ///
    ///     fn attach(&self, hooks: &mut Hooks) {
    ///         hooks.at(HookPoint::BeforeRequestBody, |exchange| {
    ///             if exchange.request.path() == "/sign" {
    ///                 exchange.expect_form();
    ///             }
    ///         });
    ///         hooks.at(HookPoint::BeforeHandler, |exchange| -> kirsch::Result<Flow> {
    ///             if exchange.request.path() != "/sign" {
    ///                 return Ok(Flow::Continue);
    ///             }
    ///             exchange.request.decode_parameters()?;
    ///             let mut response = Response::new();
    ///             response.set_body(format!("{} fields", exchange.request.form_fields().count()));
    ///             Ok(Flow::Answer(response))
    ///         });
    ///     }
    /// }
    ///
    /// let client = Client::in_process(App::new(Tree::new()).tool("/", Guestbook));
    /// client.post("/sign").form(&[("name", "anna"), ("text", "Hello")]).send().assert_text("2 fields");
    /// ```
    pub fn expect_form(&mut self) {
        self.course.expects_form = true;
    }

    /// Whether a tool answers in place of the page: it has asked for the form with [`expect_form`](Self::expect_form).
    #[must_use]
    pub fn expects_form(&self) -> bool {
        self.course.expects_form
    }

    /// The unexpected error that has ended this request: for tools that report failures to other systems. Known from
    /// `before_error_response` on, until the end of the request, also when a hook has answered in place of the error
    /// page.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    /// use std::sync::{Arc, Mutex};
    ///
    /// struct Report(Arc<Mutex<Vec<String>>>);
    ///
    /// impl Tool for Report {
    ///     fn name(&self) -> &'static str { "report" }
    ///
    ///     fn attach(&self, hooks: &mut Hooks) {
    ///         let reports = self.0.clone();
    ///         hooks.at(HookPoint::BeforeErrorResponse, move |exchange| {
    ///             if let Some(failure) = exchange.failure() {
    ///                 reports.lock().unwrap().push(format!("{}: {failure}", exchange.request.path()));
    ///             }
    ///         });
    ///     }
    /// }
    ///
    /// let reports = Arc::new(Mutex::new(Vec::new()));
    /// let tree = Tree::new().page("broken", |_| Err::<(), _>(Error::unexpected("out of cherries")));
    /// let client = Client::in_process(App::new(tree).tool("/", Report(reports.clone())));
    /// client.get("/broken").send().assert_status(500).assert_lacks("cherries");
    /// assert_eq!(*reports.lock().unwrap(), ["/broken: out of cherries"]);
    /// ```
    ///
    /// CherryPy's `sys.exc_info()` in such a hook. [`ErrorKind::Unexpected`](super::ErrorKind::Unexpected) has the
    /// error itself, with its causes, and [`Error::place`](super::Error::place) where it was made.
    #[must_use]
    pub fn failure(&self) -> Option<&Error> {
        self.course.failure.as_ref()
    }

    /// Whether the request has waited since its head was looked at: for its body, in an admission, behind a response
    /// that its client did not take. Earlier checks may not hold any more; [`Hooks::check`](crate::Hooks::check)
    /// repeats them.
    #[must_use]
    pub fn has_waited(&self) -> bool {
        self.waited
    }

    /// Whether a form in the body is read before the handler: for the handler, for a tool in its place, or since
    /// `a_tool_asks`. `None` where only the value of a node knows the handler.
    pub(crate) fn wants_form(&self, a_tool_asks: bool) -> Option<bool> {
        if self.course.expects_form {
            return Some(true);
        }
        let handler = self.trail.handler()?;
        // A stream is read by its handler alone.
        let for_a_tool = a_tool_asks && handler.body_use() != BodyUse::Stream;
        Some(for_a_tool || handler.uses_body(&BodyUse::OF_A_FORM))
    }

    /// Decodes the parameters if the page looks at them, and reads the multipart form in the body, if there is one and
    /// the handler wants it, or `a_tool_asks` for it.
    pub(crate) fn read_form(&mut self, a_tool_asks: bool) -> Result<(), HttpError> {
        let handler_asks = || self.trail.handler().is_none_or(|handler| !handler.arguments.is_empty());
        if self.course.pending.is_nothing() && (self.trail.child_reads_parameters || handler_asks()) {
            self.request.decode_parameters()?;
        }
        if matches!(self.request.body, RequestBody::None) {
            return Ok(());
        }
        if self.wants_form(a_tool_asks) == Some(true) {
            self.request.read_multipart()?;
        }
        Ok(())
    }

    /// Gives the room of its buffers back, for a response that will take long. What the hooks at the end of the request
    /// may ask for stays.
    pub(crate) fn shrink(&mut self) {
        self.request.shrink();
        self.response.shrink();
        self.trail.shrink();
        self.values.shrink();
    }

    /// Makes the exchange ready for the next request and keeps its buffers. Values are dropped, so any guard that a
    /// tool left in them is released here at the latest.
    pub fn clear(&mut self) {
        self.course = Course::default();
        (self.waited, self.is_aside) = (false, false);
        self.spent = None;
        self.request.clear();
        self.response.clear();
        self.trail.clear();
        self.values.clear();
    }
}

const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<Exchange>();
};
