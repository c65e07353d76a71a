//! The stages of a request, in order: what the server calls.
//!
//! Between two calls of the server a request is in one of these stages ([`Stage`]), kept in the exchange:
//!
//! | stage | entered | left |
//! |---|---|---|
//! | `Fresh` | the exchange is new | `start` runs `before_routing`, routes, finds the plan, runs `on_start_resource` and `before_request_body` |
//! | `Admission(n)` | all hooks before the body went through | `start` asks the early admissions, `run` the others; after the last one come `before_handler`, the handler, the end |
//! | `Decided` | a hook answered or failed before the body, or the body is too large | `run` goes to the end at once |
//! | `Handling` | all admissions went through | `run` goes to the end, after `before_handler` and the handler |
//! | `Finishing` | the response is made, or was replaced by that to a failure | `run` asks the hooks of `before_finalize`, which may wait, and finalizes |
//! | `Final` | the response is final | `end` |
//! | `Probed` | the request is a probe's question | `end`, without hooks and without a record in the access log |
//! | `Refused` | the server refused the request before it had a plan, is overloaded, or only leads to `https` at this listener | `end`, without hooks |
//!
//! Which hook points run in which case; the tests below are this table:
//!
//! | case | before routing, on start, before body | admission | before handler | before finalize | error response | on end resource, on end request |
//! |---|---|---|---|---|---|---|
//! | a page | yes | yes | yes | yes | | yes |
//! | an answer, a redirect or an HTTP error of a hook | up to it | if later | if later | yes | | yes |
//! | no such page (404, 405) | yes | yes | yes | yes | | yes |
//! | a redirect or an HTTP error of the handler | yes | yes | yes | yes | | yes |
//! | an unexpected error or a panic anywhere above | up to it | up to it | up to it | `always` only | both | yes |
//! | a hook fails at `before_finalize` | yes | yes | yes | up to it, `always` | if unexpected | yes |
//! | a body that is too large or too slow, a form that cannot be read | yes | | | yes | | yes |
//! | a head that breaks a rule, overload | | | | | | |
//! | the client goes away while the request waits | yes | up to it | | | | on end request |
//!
//! Within one point: after the first error or answer only `always` hooks run; the first error wins, the others are
//! logged. An error in `on_end_resource` or `on_end_request` is only logged. Hooks at `before_finalize` see the
//! response that was made before, error pages too; [`Exchange::failed`] tells them that an unexpected error came
//! before.
//!
//! An internal redirect ends the resource it came from (`on_end_resource`, but not `before_finalize`, since its
//! response goes nowhere) and begins again with the routing. An unexpected error whose `before_error_response` hooks
//! redirect internally ends its resource in the same way.

use super::admission::{Park, Passed, pass};
use super::application::{Application, wrong_host};
use super::debug_page::key;
use super::funnel::write_overloaded;
use super::hook::run_point;
use super::request_counts::nanoseconds;
use super::stream_place::StreamPlace;
use super::{Admit, HookPoint};
use crate::exchange::{
    Asker, BodyPlan, BodyUse, Delivery, Error, Exchange, HttpError, Limit, Limits, Pending, Progress, QueueNote,
    Service, Stage, StatusSource, Trail, Wakers, WhenBusy, WorkerStage, check_parameters,
};
use crate::http::{Framing, Refusal};
use crate::logs;
use crate::panics::guarded;
use crate::publish::{Call, NodeRef, Resolution, resolve, route_at};
use ::http::{Method, StatusCode};
use std::sync::Arc;
use std::time::Instant;

/// Most internal redirects of one request; more are taken for a circle.
const MAX_REDIRECTS: u8 = 10;

impl Application {
    /// Everything before the body: routing, the plan, the first three hook points.
    fn begin(&self, exchange: &mut Exchange) {
        exchange.course.stage = Stage::Decided;
        let is_first = exchange.course.redirects == 0;
        if is_first && self.is_answered_before_all(exchange, true) {
            return;
        }
        if is_first && self.is_decided(HookPoint::BeforeRouting, exchange) {
            return;
        }
        exchange.course.pending = self.route(exchange).map_or_else(Pending::NoSuchPage, |()| Pending::Nothing);
        for point in [HookPoint::OnStartResource, HookPoint::BeforeRequestBody] {
            if self.is_decided(point, exchange) {
                return;
            }
        }
        exchange.course.stage = Stage::Admission(0);
    }

    /// Runs the hooks of a point before the body. Whether one of them has answered or failed.
    #[inline(always)] // As `run_point`.
    fn is_decided(&self, point: HookPoint, exchange: &mut Exchange) -> bool {
        !self.plan(exchange).hooks(point).is_empty() && self.hooks_decide(point, exchange)
    }

    #[inline(never)]
    fn hooks_decide(&self, point: HookPoint, exchange: &mut Exchange) -> bool {
        match run_point(self.plan(exchange).hooks(point), exchange) {
            Ok(false) => false,
            Ok(true) => {
                exchange.course.pending = Pending::Nothing;
                true
            }
            Err(error) => {
                exchange.course.pending = Pending::Decided(error);
                true
            }
        }
    }

    /// Finds handler and plan. An error is answered at the handler's turn, unless a tool answers before.
    fn route(&self, exchange: &mut Exchange) -> Result<(), Error> {
        exchange.course.plan = 0;
        let request = &mut exchange.request;
        if *request.method() == Method::OPTIONS && request.path() == "*" {
            // OPTIONS for the server as a whole (RFC 9110, section 9.3.7): a ping.
            let mut pong = crate::Response::new();
            pong.set_status(StatusCode::NO_CONTENT);
            return Err(pong.into());
        }
        if !self.hosts.is_empty() {
            let origin = request.origin();
            exchange.course.tree = self.hosts.find(&origin).ok_or_else(|| wrong_host(origin.host()))?;
        }
        let tree = &self.trees[exchange.course.tree];
        exchange.course.plan = tree.first_plan;
        if !request.pages.as_ref().is_some_and(|pages| Arc::ptr_eq(pages, &tree.pages)) {
            request.pages = Some(tree.pages.clone());
        }
        request.decode_path().map_err(|refusal| HttpError::of(&refusal))?;
        exchange.course.plan = tree.first_plan + tree.sections.find(request.segments());
        let mount = &self.plans[exchange.course.plan].mount;
        if mount.is_some() || request.mount.is_some() {
            request.mount.clone_from(mount);
        }
        let resolution = match tree.has_dispatchers {
            true => resolve_guarded(&tree.shape, request, &mut exchange.trail)?,
            false => resolve(&tree.shape, request, 0, &mut exchange.trail),
        };
        resolution.or_error(request.method())
    }

    /// The plan for the body, from the facts about the handler. A body that is too large is known here, before a byte
    /// of it is read.
    fn body_plan(&self, exchange: &mut Exchange) -> BodyPlan {
        let framing = exchange.request.head.framing();
        // A tool that answers in place of the page.
        let expects_form = exchange.course.expects_form;
        let is_open = matches!(exchange.course.stage, Stage::Admission(_))
            && (exchange.course.pending.is_nothing() || expects_form);
        if !is_open || matches!(framing, Framing::None | Framing::Length(0)) {
            return BodyPlan::Discard;
        }
        let plan = self.plan(exchange);
        exchange.request.set_limits(&plan.limits);
        let Limits { max_body, max_form, max_json, .. } = &*plan.limits;
        let request = &exchange.request;
        // Behind a node that is resolved late anything may be wanted.
        let handler = exchange.trail.handler();
        let uses = |ways: &[BodyUse]| handler.is_none_or(|handler| handler.uses_body(ways));
        let reads_form = request.has_form() && exchange.wants_form(self.reads_forms(exchange)) != Some(false);
        let body_use = match handler {
            _ if expects_form => BodyUse::None,
            Some(handler) => handler.body_use(),
            None => BodyUse::Any,
        };
        let spooled = plan.settings.body_memory;
        // Maximum in bytes, and how many of them in memory.
        let (limit, memory) = match body_use {
            BodyUse::None if !reads_form => return BodyPlan::Discard,
            BodyUse::Stream => (max_body, None),
            _ if !expects_form && request.is_multipart() && uses(&[BodyUse::Files, BodyUse::Any]) => {
                (max_body, Some(spooled))
            }
            // Parameters are found in memory only, even if another argument takes the body.
            _ if reads_form => (smaller(max_form, max_body), Some(max_form.most)),
            BodyUse::Json if request.has_json() => (smaller(max_json, max_body), Some(max_json.most)),
            // Nothing that the page reads: it says so, or goes without.
            BodyUse::None | BodyUse::Form | BodyUse::Fields | BodyUse::Files | BodyUse::Json => {
                return BodyPlan::Discard;
            }
            BodyUse::Whole | BodyUse::Any => (max_body, Some(spooled)),
        };
        let refusal = match framing {
            Framing::Length(length) if length > limit.most => Some(limit.exceeded()),
            // A handler that reads a stream sees its fields, too.
            _ if memory.is_some() => exchange.request.coded(),
            _ => None,
        };
        if let Some(refusal) = refusal {
            exchange.course.pending = Pending::Decided(refusal.into());
            exchange.course.stage = Stage::Decided;
            return BodyPlan::Discard;
        }
        exchange.request.body_limit = Some(limit.clone());
        match memory {
            Some(memory) => BodyPlan::Read { limit: limit.most, memory },
            None => BodyPlan::Stream { limit: limit.most },
        }
    }

    /// Whether a form is read though the page does not ask for it: for a tool, or for `strict_params`, which refuses
    /// every field of it.
    fn reads_forms(&self, exchange: &Exchange) -> bool {
        let plan = self.plan(exchange);
        let reads_nothing = || exchange.trail.handler().is_some_and(|handler| handler.body_use() == BodyUse::None);
        plan.reads_forms || plan.settings.strict_params && reads_nothing()
    }

    /// From the body to the handler's result, or to a wait.
    fn advance(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Advance, Error> {
        if let Stage::Admission(next) = exchange.course.stage {
            // Before any wait, so that nothing is held while a large form is looked through.
            exchange.read_form(self.reads_forms(exchange))?;
            let all = self.plan(exchange).admissions.len();
            if (next < all || StreamPlace::is_needed(exchange))
                && let Passed::Parked(park) = self.admit(all, exchange, wakers)?
            {
                return Ok(Advance::Parked(park.deadline));
            }
            exchange.course.stage = Stage::Handling;
            if run_point(self.plan(exchange).hooks(HookPoint::BeforeHandler), exchange)? {
                return Ok(Advance::Ended);
            }
            if exchange.course.pending.is_nothing() {
                self.call(exchange)?;
            }
        }
        match exchange.course.pending.take() {
            Some(error) => Err(error),
            None => Ok(Advance::Ended),
        }
    }

    fn call(&self, exchange: &mut Exchange) -> Result<(), Error> {
        if self.plan(exchange).settings.strict_params {
            exchange.request.decode_parameters()?;
            if let Some(handler) = exchange.trail.handler() {
                check_parameters(handler, &exchange.request)?;
            }
        }
        let waits = StreamPlace::begin(exchange);
        WorkerStage::Handler.note();
        let result = match &self.counts {
            None => self.call_root(exchange),
            Some(_) => self.call_timed(exchange),
        };
        WorkerStage::Finalize.note();
        StreamPlace::end(waits, exchange);
        result
    }

    /// The trail begins in the root's own description, so there is nothing to [`enter`](Call::enter) here.
    #[inline]
    fn call_root(&self, exchange: &mut Exchange) -> Result<(), Error> {
        guarded(|| (*self.tree(exchange).node).call(&mut Call::new(exchange)))
    }

    #[inline(never)]
    fn call_timed(&self, exchange: &mut Exchange) -> Result<(), Error> {
        // If nothing took time before, the handler begins with the request, and there is one reading of the clock less.
        let is_first = !exchange.waited && exchange.spent.is_none() && exchange.course.redirects == 0;
        let begun = match is_first && !self.plan(exchange).works_before_handler {
            true => exchange.request.received(),
            false => Instant::now(),
        };
        let result = self.call_root(exchange);
        exchange.course.handler_ran = nanoseconds(begun.elapsed()).max(1);
        result
    }

    /// Asks the admissions that have not been asked, up to number `end`.
    fn admit(&self, end: usize, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Passed, Error> {
        let admissions = &self.plan(exchange).admissions;
        while let Stage::Admission(next) = exchange.course.stage {
            let admission = admissions[..end].get(next).map(|admission| &**admission);
            let is_its_turn = || admission.is_none_or(|admission| admission.priority() >= StreamPlace.priority());
            let (asked, is_place): (&dyn Admit, bool) = match admission {
                _ if StreamPlace::is_needed(exchange) && is_its_turn() => (&StreamPlace, true),
                Some(admission) => (admission, false),
                None => break,
            };
            let since = exchange.course.parked.as_ref().map(|parked| parked.since);
            let passed = pass(asked, exchange, wakers);
            self.count_wait(since, &passed);
            if let Passed::Parked(park) = passed? {
                exchange.waited = true;
                self.note_parked(park, exchange);
                return Ok(Passed::Parked(park));
            }
            if !is_place {
                exchange.course.stage = Stage::Admission(next + 1);
            }
        }
        Ok(Passed::Through)
    }

    /// Counts a wait that has ended, well or not.
    pub(super) fn count_wait(&self, since: Option<Instant>, passed: &Result<Passed, Error>) {
        if let (Some(since), Some(counts)) = (since, &self.counts)
            && !matches!(passed, Ok(Passed::Parked(_)))
        {
            counts.waited(since.elapsed());
        }
    }

    /// Tells the tools that have given the request something others wait for.
    pub(super) fn note_parked(&self, park: Park, exchange: &mut Exchange) {
        if park.is_own {
            for tell in &self.plan(exchange).when_parked {
                let told = guarded(|| {
                    tell(exchange);
                    Ok(())
                });
                if let Err(error) = told {
                    logs::error_in(exchange, "when_parked", &error);
                }
            }
        }
    }

    /// Begins again with another path.
    fn redirect_internally(&self, exchange: &mut Exchange, target: &str) -> Result<(), Error> {
        if exchange.course.redirects == MAX_REDIRECTS {
            let problem =
                format!("{MAX_REDIRECTS} internal redirects in one request, then to {target:?}: they go in a circle");
            return Err(Error::unexpected(problem));
        }
        if !target.starts_with('/') {
            return Err(Error::unexpected(format!("an internal redirect to {target:?}: the path must start with `/`")));
        }
        self.end_resource(exchange);
        if let Some(counts) = &self.counts {
            counts.left(exchange);
        }
        exchange.course.redirects += 1;
        // The page that the failed request goes on with is one like any other.
        exchange.course.failed = false;
        exchange.course.expects_form = false;
        exchange.course.parked = None;
        // All checks come again.
        exchange.waited = false;
        exchange.trail.clear();
        exchange.response.clear();
        exchange.request.redirect(target);
        self.begin(exchange);
        Ok(())
    }

    #[inline(always)] // As `run_point`.
    pub(super) fn end_resource(&self, exchange: &mut Exchange) {
        if let Err(error) = run_point(self.plan(exchange).hooks(HookPoint::OnEndResource), exchange) {
            logs::error_in(exchange, "on_end_resource", &error);
        }
    }
}

/// The result of [`Application::advance`].
enum Advance {
    /// The request waits.
    Parked(Instant),
    /// The response is in the exchange.
    Ended,
}

impl Service for Application {
    fn start(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> BodyPlan {
        let is_fresh = exchange.course.stage == Stage::Fresh;
        if let Some(counts) = &self.counts
            && exchange.spent.is_some()
            && (is_fresh || exchange.course.queue == QueueNote::Waits)
        {
            counts.queued(exchange);
        }
        if is_fresh {
            self.begin(exchange);
        }
        let early = self.plan(exchange).early_admissions;
        if let Stage::Admission(next) = exchange.course.stage
            && next < early
        {
            match self.admit(early, exchange, wakers) {
                Ok(Passed::Parked(park)) => return BodyPlan::Park { deadline: Some(park.deadline) },
                Ok(Passed::Through) => {}
                Err(error) => {
                    exchange.course.pending = Pending::Decided(error);
                    exchange.course.stage = Stage::Decided;
                }
            }
        }
        self.body_plan(exchange)
    }

    fn run(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Progress {
        if exchange.course.stage == Stage::Fresh {
            self.begin(exchange);
        }
        while !matches!(exchange.course.stage, Stage::Final | Stage::Refused | Stage::Probed) {
            if matches!(exchange.course.stage, Stage::Finishing { .. }) {
                match self.finish(exchange, Some(wakers)) {
                    Passed::Parked(park) => return Progress::Park { deadline: Some(park.deadline) },
                    Passed::Through => continue,
                }
            }
            let result = match self.advance(exchange, wakers) {
                Ok(Advance::Parked(deadline)) => return Progress::Park { deadline: Some(deadline) },
                Ok(Advance::Ended) => Ok(()),
                Err(error) => match error.into_internal_redirect() {
                    Ok(target) => match self.redirect_internally(exchange, &target) {
                        Ok(()) => continue,
                        Err(error) => Err(error),
                    },
                    Err(error) => Err(error),
                },
            };
            if let Some(target) = self.settle(exchange, result)
                && let Err(error) = self.redirect_internally(exchange, &target)
            {
                let again = self.settle(exchange, Err(error));
                debug_assert!(again.is_none(), "a request is rescued once");
            }
        }
        Progress::Done
    }

    fn refuse(&self, exchange: &mut Exchange, refusal: &Refusal) {
        if *refusal == Refusal::Overloaded {
            exchange.course.parked = None;
            exchange.course.stage = Stage::Refused;
            write_overloaded(&mut exchange.response);
            return;
        }
        let error = match refusal {
            Refusal::BodyTooLarge { .. } => {
                exchange.request.body_limit.as_ref().unwrap_or(&self.plan(exchange).limits.max_body).exceeded().into()
            }
            Refusal::NotEncrypted { redirects } => self.not_encrypted(&exchange.request, *redirects),
            refusal => HttpError::of(refusal).into(),
        };
        if exchange.course.stage == Stage::Fresh {
            exchange.course.stage = Stage::Refused;
            self.funnel(exchange).settle(exchange, error);
        } else {
            // A refusal is an HTTP error: no error page may redirect it.
            let elsewhere = self.settle(exchange, Err(error));
            debug_assert!(elsewhere.is_none(), "only unexpected errors are sent elsewhere");
            self.finish(exchange, None);
        }
    }

    fn end(&self, exchange: &mut Exchange, delivery: &Delivery) {
        let stage = exchange.course.stage;
        if !matches!(stage, Stage::Fresh | Stage::Refused | Stage::Probed) {
            let hooks = self.plan(exchange).hooks(HookPoint::OnEndRequest);
            if !hooks.is_empty() {
                exchange.values.insert(*delivery);
                if let Err(error) = run_point(hooks, exchange) {
                    logs::error_in(exchange, "on_end_request", &error);
                }
            }
        }
        if matches!(stage, Stage::Final | Stage::Refused) {
            if let Some(counts) = &self.counts {
                counts.ended(exchange, delivery);
            }
            logs::access(exchange, delivery);
        } else if let Some(counts) = &self.counts {
            counts.left(exchange);
        }
    }

    fn when_busy(&self, exchange: &mut Exchange) -> WhenBusy {
        if self.is_answered_before_all(exchange, false) {
            return WhenBusy::Answered;
        }
        let tree = match self.hosts.is_empty() {
            true => Some(0),
            // As far as it is known before a proxy's word is heard.
            false => self.hosts.find(&exchange.request.origin()),
        };
        let Some(tree) = tree.and_then(|tree| self.trees.get(tree)) else { return WhenBusy::Queue };
        if exchange.request.decode_path().is_err() {
            return WhenBusy::Queue;
        }
        let plan = &self.plans[tree.first_plan + tree.sections.find(exchange.request.segments())];
        let has_login = plan.provided.contains(&"login");
        match plan.answers_when_busy {
            false => WhenBusy::Queue,
            // No login runs before this is known: it could take its time, and anybody can have it run.
            true if key::brings_key(&exchange.request) => WhenBusy::Aside(Asker::Known),
            true if has_login => WhenBusy::Aside(Asker::Stranger),
            true if plan.keyed.is_none() => WhenBusy::Aside(Asker::Known),
            true => WhenBusy::Queue,
        }
    }

    fn answers_when_busy(&self) -> bool {
        self.plans.iter().any(|plan| plan.answers_when_busy)
    }

    fn handler_at(&self, address: usize) -> Option<String> {
        let route = self.trees.iter().find_map(|tree| route_at(&tree.shape, address))?;
        Some(format!("{}::{}", route.type_name, route.handler))
    }

    fn sources(&self) -> Vec<Arc<dyn StatusSource>> {
        self.status.clone()
    }
}

/// Where code of the application is asked on the way. Apart, so that a plain page does not pay for it.
#[cold]
#[inline(never)]
fn resolve_guarded(shape: &NodeRef, request: &crate::Request, trail: &mut Trail) -> Result<Resolution, Error> {
    guarded(|| Ok(resolve(shape, request, 0, trail)))
}

fn smaller<'l>(one: &'l Limit, other: &'l Limit) -> &'l Limit {
    if one.most < other.most { one } else { other }
}
