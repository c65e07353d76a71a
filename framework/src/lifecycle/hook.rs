//! Hooks: pieces of code at the eight hook points.

use super::admission::{Passed, pass, pass_here};
use super::debug_page::FailedHook;
use super::request_counts::RequestCounts;
use super::{Admit, BackgroundJob, Plan};
use crate::exchange::{
    Error, ErrorKind, Exchange, Late, Redirect, Response, StatusRow, StatusSource, Wakers, capture_backtraces,
};
use crate::logs;
use crate::panics::guarded;
use crate::settings::SettingError;
use crate::tickets::Tickets;
use std::sync::Arc;
use std::time::Duration;

/// The places in the life of a request where tools can act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookPoint {
    /// The head is complete, the path has not been looked at: for facts that routing must see, such as the word of a
    /// proxy. Only for tools that are on at `/`, since no other section is known yet; after an internal redirect it is
    /// not reached again.
    BeforeRouting,
    /// The handler is known, nothing has run.
    OnStartResource,
    /// Before the body is read.
    BeforeRequestBody,
    /// The body is there, the request is admitted.
    BeforeHandler,
    /// The handler, a redirect or an HTTP error has made the response; it can still be changed.
    BeforeFinalize,
    /// The response is final; always reached.
    OnEndResource,
    /// An unexpected error is about to become an error page.
    BeforeErrorResponse,
    /// The error page is made.
    AfterErrorResponse,
    /// After the last byte was sent; errors are only logged.
    OnEndRequest,
}

impl HookPoint {
    /// How many hook points there are.
    pub const COUNT: usize = 9;

    pub(super) fn is_before_handler(self) -> bool {
        use HookPoint::{BeforeHandler, BeforeRequestBody, BeforeRouting, OnStartResource};
        matches!(self, BeforeRouting | OnStartResource | BeforeRequestBody | BeforeHandler)
    }
}

/// A hook's word about the way on.
#[derive(Debug)]
pub enum Flow {
    /// Go on.
    Continue,
    /// This is the response: no more normal hooks of this point, no body, no handler; on with `before_finalize`.
    Answer(Response),
}

/// The types that a hook function may return: `()`, [`Flow`], a [`Redirect`], an [`Error`], or an `Option` or `Result`
/// of one of them.
pub trait IntoFlow {
    /// The flow, or the error for the funnel.
    ///
    /// # Errors
    /// The hook's own.
    fn into_flow(self) -> Result<Flow, Error>;
}

impl IntoFlow for () {
    fn into_flow(self) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

impl IntoFlow for Flow {
    fn into_flow(self) -> Result<Flow, Error> {
        Ok(self)
    }
}

impl IntoFlow for Redirect {
    fn into_flow(self) -> Result<Flow, Error> {
        Err(self.into())
    }
}

impl IntoFlow for Error {
    fn into_flow(self) -> Result<Flow, Error> {
        Err(self)
    }
}

/// `None` goes on.
impl<T: IntoFlow> IntoFlow for Option<T> {
    fn into_flow(self) -> Result<Flow, Error> {
        self.map_or(Ok(Flow::Continue), T::into_flow)
    }
}

impl<T: IntoFlow, E: Into<Error>> IntoFlow for Result<T, E> {
    fn into_flow(self) -> Result<Flow, Error> {
        self.map_err(Into::into)?.into_flow()
    }
}

/// The function of a hook.
#[derive(Clone)]
pub(crate) enum Run {
    Function(Arc<HookFunction>),
    /// At `before_finalize` only.
    Waiting(Arc<dyn Admit>),
}

type HookFunction = dyn Fn(&mut Exchange) -> Result<Flow, Error> + Send + Sync;

/// One piece of code at one hook point.
#[derive(Clone)]
pub struct Hook {
    pub(crate) tool: &'static str,
    pub(crate) point: HookPoint,
    pub(crate) priority: u8,
    pub(crate) always: bool,
    /// It takes less time than a reading of the clock, so what it takes may count for the handler.
    pub(crate) is_brief: bool,
    pub(crate) run: Run,
}

impl Hook {
    /// Lower runs earlier; ties keep the order in which the tools were switched on. Default 50, as in CherryPy.
    pub fn priority(&mut self, priority: u8) -> &mut Self {
        self.priority = priority;
        self
    }

    /// Runs also after an earlier hook of the point has failed or answered (CherryPy's `failsafe`).
    pub fn always(&mut self) -> &mut Self {
        self.always = true;
        self
    }

    /// It never takes longer than a reading of the clock: no time is taken for it.
    pub(crate) fn brief(&mut self) -> &mut Self {
        self.is_brief = true;
        self
    }
}

impl Hook {
    /// Runs the hook; a panic is an error. An unexpected error is known to the hooks that follow.
    pub(super) fn call(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        let result = match &self.run {
            Run::Function(run) => guarded(|| run(exchange)),
            Run::Waiting(admit) => pass_here(&**admit, exchange).map(|()| Flow::Continue),
        };
        self.note_failure(&result, exchange);
        result
    }

    /// The admission that it asks, if it may let the request wait.
    #[inline]
    pub(super) fn admit(&self) -> Option<&dyn Admit> {
        match &self.run {
            Run::Function(_) => None,
            Run::Waiting(admit) => Some(&**admit),
        }
    }

    /// Logs that the hook's answer came after another one.
    pub(super) fn log_late_answer(&self, exchange: &Exchange) {
        let id = exchange.request.id();
        crate::line::record!(Warn, target: logs::ERROR, "request {id}: the answer of {self:?} comes too late");
    }

    /// Like [`call`](Self::call) for a hook that may wait, where one of `wakers` can make the request run again: then
    /// this hook runs again.
    pub(super) fn call_or_park(
        &self,
        admit: &dyn Admit,
        exchange: &mut Exchange,
        wakers: &dyn Wakers,
    ) -> Result<Passed, Error> {
        let result = pass(admit, exchange, wakers);
        self.note_failure(&result, exchange);
        result
    }

    fn note_failure<T>(&self, result: &Result<T, Error>, exchange: &mut Exchange) {
        if let Err(error) = result
            && matches!(error.kind(), ErrorKind::Unexpected(_))
        {
            exchange.course.failed = true;
            FailedHook::note(self, exchange);
        }
    }
}

/// As `BeforeFinalize: secure_headers 97 (always)`.
impl std::fmt::Display for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {} {}", self.point, self.tool, self.priority)?;
        if self.always { f.write_str(" (always)") } else { Ok(()) }
    }
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:?}, priority {}", self.tool, self.point, self.priority)?;
        if self.always { f.write_str(", always") } else { Ok(()) }
    }
}

/// Where a tool puts its hooks and admissions while a plan is built.
#[derive(Default)]
pub struct Hooks {
    pub(crate) tool: &'static str,
    /// The path where the tool was switched on, as written.
    pub(crate) section: String,
    pub(crate) mount: Arc<str>,
    pub(crate) tree: u64,
    pub(crate) is_rehearsal: bool,
    /// Why the tool cannot be used as it was set up.
    pub(crate) refusal: Option<SettingError>,
    pub(crate) hooks: Vec<Hook>,
    /// Asked before the body is read.
    pub(crate) early_admissions: Vec<Arc<dyn Admit>>,
    pub(crate) reads_forms: bool,
    /// What the key of the process opens here, in words for the log.
    pub(crate) keyed: Option<&'static str>,
    pub(crate) answers_when_busy: bool,
    pub(crate) counts_readers: Vec<Late<RequestCounts>>,
    pub(crate) tickets_readers: Vec<Late<Tickets>>,
    /// Asked after the body was read.
    pub(crate) admissions: Vec<Arc<dyn Admit>>,
    /// Told when a request is parked.
    pub(crate) when_parked: Vec<Arc<ParkedFunction>>,
    pub(crate) background: Vec<BackgroundJob>,
    pub(crate) status: Vec<Arc<dyn StatusSource>>,
    /// What an upgrade loses.
    pub(crate) lost: Vec<&'static str>,
    /// Tools that must be on wherever this one is.
    pub(crate) needed: Vec<&'static str>,
    /// What handlers may require besides the tool itself.
    pub(crate) provided: Vec<&'static str>,
    /// Pages that are linked to by name, each with the place that links.
    pub(crate) links: Vec<(String, String)>,
    /// The functions that see the plan when all tools have attached.
    pub(crate) when_complete: Vec<PlanFunction>,
}

pub(crate) type ParkedFunction = dyn Fn(&mut Exchange) + Send + Sync;

pub(crate) type PlanFunction = Box<dyn Fn(&Plan) + Send + Sync>;

impl Hooks {
    /// Whether the application is only looked at, as by `kirsch check`, and will not be served. A tool that writes
    /// something at the start, as a test of its store, leaves that out then.
    #[must_use]
    pub fn is_rehearsal(&self) -> bool {
        self.is_rehearsal
    }

    /// Adds a hook.
    pub fn at<F, R>(&mut self, point: HookPoint, run: F) -> &mut Hook
    where
        F: Fn(&mut Exchange) -> R + Send + Sync + 'static,
        R: IntoFlow,
    {
        self.add(point, Run::Function(Arc::new(move |exchange| run(exchange).into_flow())))
    }

    /// Adds a hook that decides whether the client may have the page. It runs at `point`, and once more before all
    /// other hooks of `before_handler` if the request has waited in between ([`Exchange::has_waited`]): a visitor who
    /// was logged in when an upload began may not be any more when it ends.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// /// Lets in nobody while the shop is closed.
    /// struct OpeningHours(fn() -> bool);
    ///
    /// impl Tool for OpeningHours {
    ///     fn name(&self) -> &'static str { "opening_hours" }
    ///
    ///     fn attach(&self, hooks: &mut Hooks) {
    ///         let is_open = self.0;
    ///         hooks.check(HookPoint::OnStartResource, move |_| match is_open() {
    ///             true => Ok(()),
    ///             false => Err(Error::new(StatusCode::FORBIDDEN, "We are closed.")),
    ///         });
    ///     }
    /// }
    ///
    /// let app = App::new(Tree::new().index(|_| "shop")).tool("/", OpeningHours(|| false));
    /// Client::in_process(app).get("/").send().assert_status(403);
    /// ```
    ///
    /// Returns the hook at `point`.
    pub fn check<F, R>(&mut self, point: HookPoint, run: F) -> &mut Hook
    where
        F: Fn(&mut Exchange) -> R + Send + Sync + 'static,
        R: IntoFlow,
    {
        let run: Arc<HookFunction> = Arc::new(move |exchange| run(exchange).into_flow());
        let again = Arc::clone(&run);
        let again: Arc<HookFunction> =
            Arc::new(move |exchange| if exchange.has_waited() { again(exchange) } else { Ok(Flow::Continue) });
        self.add(HookPoint::BeforeHandler, Run::Function(again)).priority(0);
        self.add(point, Run::Function(run))
    }

    /// Runs this whenever a request of the section is parked for [a reason of its own](super::Wait::is_own): for tools
    /// that have given it something that others wait for. They can take it away then, and give it again at
    /// `before_handler`.
    pub fn when_parked(&mut self, run: impl Fn(&mut Exchange) + Send + Sync + 'static) {
        self.when_parked.push(Arc::new(run));
    }

    /// Adds a hook at `before_finalize` that may let the request wait, without a thread: for work that must be done
    /// before the response goes out, such as the save of a session. The hooks after it run when it is over.
    ///
    /// ```
    /// use kirsch::lifecycle::{Admission, Admit, Claim, Hooks, Tool, WaitList, Wakers};
    /// use kirsch::{Error, Exchange, exchange::RequestId};
    ///
    /// /// Lets no response out before its receipt is kept.
    /// struct Receipts(WaitList<RequestId>);
    ///
    /// impl Tool for Receipts {
    ///     fn name(&self) -> &'static str {
    ///         "receipts"
    ///     }
    ///
    ///     fn attach(&self, hooks: &mut Hooks) {
    ///         hooks.before_finalize(Self(self.0.clone())).priority(70);
    ///     }
    /// }
    ///
    /// impl Admit for Receipts {
    ///     fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
    ///         let request = exchange.request.id();
    ///         // The thread has the one place of this request, and the response waits for it.
    ///         let writing = self.0.try_enter(request, &Claim::of(&exchange.request));
    ///         std::thread::spawn(move || {
    ///             // Here the receipt is written.
    ///             drop(writing);
    ///         });
    ///         self.0.admit(request, exchange, wakers)
    ///     }
    /// }
    ///
    /// let receipts = Receipts(WaitList::new("the receipt of the request", 1));
    /// let app = kirsch::App::new(kirsch::Tree::new().index(|_| "paid")).tool("/", receipts);
    /// kirsch::testing::Client::in_process(app).get("/").send().assert_text("paid");
    /// ```
    ///
    /// Where the server has refused the request in the middle of its body, it waits on the worker.
    pub fn before_finalize(&mut self, admit: impl Admit + 'static) -> &mut Hook {
        self.add(HookPoint::BeforeFinalize, Run::Waiting(Arc::new(admit)))
    }

    fn add(&mut self, point: HookPoint, run: Run) -> &mut Hook {
        self.hooks.push(Hook { tool: self.tool, point, priority: 50, always: false, is_brief: false, run });
        self.hooks.last_mut().expect("a hook was just pushed")
    }

    /// The path at which the application has switched the tool on, as it was written. Sections further down that only
    /// change settings do not change it: the tool's own paths are counted from here.
    #[must_use]
    pub fn section(&self) -> &str {
        &self.section
    }

    /// Where the app is mounted that has switched the tool on ([`App::mount`](crate::App::mount)): `/our/blog`,
    /// percent-encoded; empty for the outermost. It belongs before the paths that the tool's settings name.
    #[must_use]
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// The number of the tree that the tool is attached to, which no other tree in this process has: each application
    /// that is built has one, and so has each of its virtual hosts. For tools whose clones share their content, such as
    /// a cache.
    #[must_use]
    pub fn tree(&self) -> u64 {
        self.tree
    }

    /// Refuses the set-up: the application does not start, and the message says where the tool was switched on. For
    /// mistakes that only the tool can find, such as a missing folder.
    pub fn refuse(&mut self, error: SettingError) {
        self.refusal.get_or_insert(error);
    }

    /// Refuses the set-up, unless the tool of that name is on wherever this one is: for tools that use another one,
    /// such as the session.
    pub fn needs(&mut self, tool: &'static str) {
        self.needed.push(tool);
    }

    /// Says that the tool provides what arguments of handlers [require](crate::exchange::ArgumentInfo::requires): an
    /// authentication tool provides `login`. An argument that requires the tool by its name needs no such word.
    pub fn provides(&mut self, what: &'static str) {
        self.provided.push(what);
    }

    /// Refuses the set-up, unless the tree has the page `Type.page` of a typed block: for tools that link to it.
    /// `place` says where the link is, as `the template shop.html, line 7`.
    pub fn links_to(&mut self, page: impl Into<String>, place: impl Into<String>) {
        self.links.push((page.into(), place.into()));
    }

    /// Shows `look` each plan that the tool is in, at start, when all tools have attached: for tools that tell about
    /// others.
    pub fn when_complete(&mut self, look: impl Fn(&Plan) + Send + Sync + 'static) {
        self.when_complete.push(Box::new(look));
    }

    /// Lets panics be caught, and unexpected errors be made, with their backtrace, for
    /// [`backtrace_of`](super::backtrace_of). Taking one costs up to milliseconds; it holds for the whole process.
    pub fn capture_backtraces(&mut self) {
        capture_backtraces();
    }

    /// Adds an admission: the place to make requests wait. It is asked when the body was read, so that a slow upload
    /// holds nothing that others wait for.
    pub fn admission(&mut self, admit: impl Admit + 'static) {
        self.admissions.push(Arc::new(admit));
    }

    /// Lets forms be read for this tool, though the handler takes nothing out of them: from `before_handler` on their
    /// fields are among the parameters ([`Request::parameters`](crate::Request::parameters)). Handlers that read their
    /// body as a stream keep it to themselves.
    pub fn reads_forms(&mut self) {
        self.reads_forms = true;
    }

    /// Takes the key of the process out of an address, and lets the start print a link with it: for pages that
    /// [`is_developers`](super::is_developers) guards. `page` is their name in the log.
    pub(crate) fn offer_key(&mut self, page: &'static str) {
        self.keyed = Some(page);
        self.hooks.push(super::debug_page::key::offer(self.tool));
    }

    /// Lets requests of the section be answered by a thread of their own while no worker is free, one after another:
    /// for pages that show why. They must never wait for anything.
    pub fn answers_when_busy(&mut self) {
        self.answers_when_busy = true;
    }

    /// Lets the application count its requests, for this reader.
    pub(crate) fn count_requests(&mut self, reader: &Late<RequestCounts>) {
        self.counts_readers.push(reader.clone());
    }

    /// Lets this reader have the tickets of the application, and the debug page lead to `/tickets` below the section.
    pub(crate) fn read_tickets(&mut self, reader: &Late<Tickets>) {
        self.tickets_readers.push(reader.clone());
    }

    /// Adds an admission that runs before the body is read: a request that waits has sent no more than its head, and
    /// holds its place for as long as its upload takes.
    pub fn early_admission(&mut self, admit: impl Admit + 'static) {
        self.early_admissions.push(Arc::new(admit));
    }

    /// Adds work that is done `every` so often on a thread of its own while the application runs, as the sweep of a
    /// store.
    ///
    /// `run` returns `()` or a `Result`, as a hook does. A panic or an error is logged and counted, and the job goes
    /// on. The first run comes one interval after the start. Copies of a tool that share a store each get here; the
    /// tool sees to it that one of them adds the job.
    pub fn background<F, R>(&mut self, name: &'static str, every: Duration, run: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: IntoFlow,
    {
        self.background.push(BackgroundJob::new(name, every, run));
    }

    /// Says what visitors miss after the program has been exchanged for a newer one while it served
    /// ([`Running::upgrade`](crate::engine::Running::upgrade)), since the tool has it in the memory of the process: in
    /// a few words, as `"sessions in memory"`. The log warns of it then, and `server.upgrade_loses_memory = false`
    /// refuses.
    pub fn lost_at_upgrade(&mut self, what: &'static str) {
        self.lost.push(what);
    }

    /// Shows facts about the tool on the status page of the application, with the section behind the title; see
    /// [`StatusSource`].
    pub fn status(&mut self, source: impl StatusSource) {
        self.status.push(Arc::new(OfSection { section: self.section.clone(), source }));
    }
}

/// Tells the facts of one tool from those of others of its kind.
struct OfSection<S> {
    section: String,
    source: S,
}

impl<S: StatusSource> StatusSource for OfSection<S> {
    fn title(&self) -> String {
        format!("{} at {}", self.source.title(), self.section)
    }

    fn rows(&self) -> Vec<StatusRow> {
        self.source.rows()
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.hooks).finish()
    }
}

/// Runs the hooks of one point in order. After the first answer or error only `always` hooks run; the first error wins,
/// later ones are logged. Returns whether a hook has answered.
#[inline(always)] // Most points have no hooks, and a call to find that out costs as much as a hook.
pub(super) fn run_point(hooks: &[Hook], exchange: &mut Exchange) -> Result<bool, Error> {
    if hooks.is_empty() { Ok(false) } else { run_hooks(hooks, exchange) }
}

#[inline(never)]
fn run_hooks(hooks: &[Hook], exchange: &mut Exchange) -> Result<bool, Error> {
    for (index, hook) in hooks.iter().enumerate() {
        match hook.call(exchange) {
            Ok(Flow::Continue) => {}
            Ok(Flow::Answer(response)) => {
                exchange.response.give_way_to(response);
                return run_always(&hooks[index + 1..], exchange, Ok(true));
            }
            Err(error) => return run_always(&hooks[index + 1..], exchange, Err(error)),
        }
    }
    Ok(false)
}

/// Runs the rest of a point after its `outcome` is known.
fn run_always(hooks: &[Hook], exchange: &mut Exchange, mut outcome: Result<bool, Error>) -> Result<bool, Error> {
    for hook in hooks.iter().filter(|hook| hook.always) {
        match (hook.call(exchange), &outcome) {
            (Ok(Flow::Continue), _) => {}
            (Ok(Flow::Answer(_)), _) => hook.log_late_answer(exchange),
            (Err(error), Ok(_)) => outcome = Err(error),
            (Err(error), Err(_)) => logs::error_in(exchange, hook.tool, &error),
        }
    }
    outcome
}
