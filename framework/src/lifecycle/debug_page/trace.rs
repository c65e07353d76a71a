//! Which hooks ran, for how long, and how they ended: noted by wrappers around the hooks of plans that have the debug
//! page on.

use crate::exchange::{Error, Exchange, Stage, Wakers};
use crate::lifecycle::hook::Run;
use crate::lifecycle::{Admission, Admit, Flow, Hook, HookPoint, Plan, Wait};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The hooks of one request that have run, in the order of their beginning.
#[derive(Debug, Default)]
pub(super) struct Trace {
    runs: Vec<HookRun>,
}

/// One hook, or the handler.
#[derive(Clone, Debug)]
pub(super) struct HookRun {
    /// The tool; `None` is the handler.
    pub(super) tool: Option<&'static str>,
    pub(super) point: HookPoint,
    pub(super) priority: u8,
    pub(super) outcome: Outcome,
    began: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has not returned.
    Unfinished,
    /// It has run; for how long, nobody has noted.
    Ran,
    Done(Duration),
    Answered(Duration),
    Failed(Duration),
}

impl HookRun {
    /// As `the hook of `sessions` at BeforeHandler`.
    pub(super) fn name(&self) -> String {
        match self.tool {
            Some(tool) => format!("the hook of `{tool}` at {:?}", self.point),
            None => "the handler".to_owned(),
        }
    }
}

impl Trace {
    /// The first failure, in words.
    pub(super) fn failed_place(&self) -> String {
        let failed = |run: &&HookRun| matches!(run.outcome, Outcome::Unfinished | Outcome::Failed(_));
        match self.runs.iter().find(failed) {
            Some(run) => run.name(),
            None if self.handler_has_run() => "what was made of the handler's answer".to_owned(),
            // Any step that is not a hook and comes before the handler.
            None => "an admission, or the reading of the request".to_owned(),
        }
    }

    /// The hooks that have run. One that has not returned has failed, by a panic or with the error at hand.
    pub(super) fn runs_until_now(&self) -> Vec<HookRun> {
        let ended = |run: &HookRun| match run.outcome {
            Outcome::Unfinished => HookRun { outcome: Outcome::Failed(run.began.elapsed()), ..run.clone() },
            _ => run.clone(),
        };
        self.runs.iter().map(ended).collect()
    }

    pub(super) fn handler_has_run(&self) -> bool {
        self.runs.iter().any(|run| run.tool.is_none())
    }

    fn begin(&mut self, tool: Option<&'static str>, point: HookPoint, priority: u8) -> usize {
        self.runs.push(HookRun { tool, point, priority, outcome: Outcome::Unfinished, began: Instant::now() });
        self.runs.len() - 1
    }

    fn end(&mut self, index: usize, outcome: fn(Duration) -> Outcome) {
        if let Some(run) = self.runs.get_mut(index) {
            run.outcome = outcome(run.began.elapsed());
        }
    }
}

/// The hook that has failed, noted for requests whose hooks are not watched.
#[derive(Clone, Copy)]
pub(crate) struct FailedHook {
    tool: &'static str,
    point: HookPoint,
    priority: u8,
}

impl FailedHook {
    /// Notes a hook that has failed, if it is the first.
    #[cold]
    pub(crate) fn note(hook: &Hook, exchange: &mut Exchange) {
        // The failures of later points do not change the answer.
        let is_told = hook.point as usize <= HookPoint::BeforeFinalize as usize;
        if is_told && exchange.values.get::<Self>().is_none() {
            let Hook { tool, point, priority, .. } = *hook;
            exchange.values.insert(Self { tool, point, priority });
        }
    }

    fn is(self, hook: &Hook) -> bool {
        (self.tool, self.point, self.priority) == (hook.tool, hook.point, hook.priority)
    }
}

/// What is known of a request whose hooks are not watched: the part that failed, and the hooks that its plan has until
/// there.
pub(super) fn untraced(plan: &Plan, exchange: &Exchange, failed: Option<FailedHook>) -> (String, Vec<HookRun>) {
    let has_handler = exchange.trail.handler().is_some();
    let (place, last) = match (exchange.course.stage, failed) {
        (_, Some(FailedHook { tool, point, .. })) => (format!("the hook of `{tool}` at {point:?}"), point),
        (Stage::Handling, None) if has_handler => ("the handler".to_owned(), HookPoint::BeforeHandler),
        (Stage::Finishing { .. } | Stage::Final, None) => {
            ("what was made of the handler's answer".to_owned(), HookPoint::BeforeFinalize)
        }
        (_, None) => ("an admission, or the reading of the request".to_owned(), HookPoint::BeforeRequestBody),
    };
    let ran = |tool, point, priority| HookRun { tool, point, priority, outcome: Outcome::Ran, began: Instant::now() };
    let mut runs = Vec::new();
    for hook in plan.all_hooks().filter(|hook| hook.point as usize <= last as usize) {
        if hook.point == HookPoint::BeforeFinalize && has_handler && runs.iter().all(|run: &HookRun| run.tool.is_some())
        {
            runs.push(ran(None, HookPoint::BeforeHandler, u8::MAX));
        }
        runs.push(ran(Some(hook.tool), hook.point, hook.priority));
        if failed.is_some_and(|failed| failed.is(hook)) {
            return (place, runs);
        }
    }
    if last == HookPoint::BeforeHandler {
        runs.push(ran(None, HookPoint::BeforeHandler, u8::MAX));
    }
    (place, runs)
}

/// Wraps all hooks, and puts one before and one after the handler.
pub(super) fn watch(hooks: &mut [Vec<Hook>; HookPoint::COUNT]) {
    for hook in hooks.iter_mut().flatten() {
        let Hook { tool, point, priority, run, .. } = hook.clone();
        hook.run = match run {
            Run::Function(run) => Run::Function(Arc::new(move |exchange| {
                let index = trace(exchange).begin(Some(tool), point, priority);
                let result = run(exchange);
                let outcome = match &result {
                    Ok(Flow::Continue) => Outcome::Done,
                    Ok(Flow::Answer(_)) => Outcome::Answered,
                    Err(_) => Outcome::Failed,
                };
                trace(exchange).end(index, outcome);
                result
            })),
            Run::Waiting(admit) => Run::Waiting(Arc::new(Watched { tool, point, priority, admit })),
        };
    }
    let before = marker(HookPoint::BeforeHandler, u8::MAX, |trace| {
        trace.begin(None, HookPoint::BeforeHandler, u8::MAX);
    });
    hooks[HookPoint::BeforeHandler as usize].push(before);
    let after = marker(HookPoint::BeforeFinalize, 0, |trace| {
        if let Some(index) = trace.runs.iter().position(|run| run.tool.is_none()) {
            trace.end(index, Outcome::Done);
        }
    });
    hooks[HookPoint::BeforeFinalize as usize].insert(0, after);
}

/// A hook that may wait, from when it is asked until it lets the request go on.
struct Watched {
    tool: &'static str,
    point: HookPoint,
    priority: u8,
    admit: Arc<dyn Admit>,
}

impl Admit for Watched {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        let index = trace(exchange).begin(Some(self.tool), self.point, self.priority);
        let result = self.admit.admit(exchange, wakers);
        match result {
            Ok(Admission::Park { wait, at_most }) => Ok(Admission::park(WatchedWait { index, wait }, at_most)),
            result => note(index, exchange, result),
        }
    }
}

struct WatchedWait {
    index: usize,
    wait: Box<dyn Wait>,
}

impl Wait for WatchedWait {
    fn ready(&mut self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<bool, Error> {
        match self.wait.ready(exchange, wakers) {
            Ok(false) => Ok(false),
            result => note(self.index, exchange, result),
        }
    }

    fn waits_for(&self) -> Cow<'static, str> {
        self.wait.waits_for()
    }

    fn is_own(&self) -> bool {
        self.wait.is_own()
    }

    fn is_wanted(&self) -> bool {
        self.wait.is_wanted()
    }

    fn expired(&mut self, exchange: &mut Exchange) -> Result<(), Error> {
        let result = self.wait.expired(exchange);
        note(self.index, exchange, result)
    }
}

fn note<T>(index: usize, exchange: &mut Exchange, result: Result<T, Error>) -> Result<T, Error> {
    trace(exchange).end(index, if result.is_ok() { Outcome::Done } else { Outcome::Failed });
    result
}

fn marker(point: HookPoint, priority: u8, mark: impl Fn(&mut Trace) + Send + Sync + 'static) -> Hook {
    let run = move |exchange: &mut Exchange| {
        mark(trace(exchange));
        Ok(Flow::Continue)
    };
    Hook { tool: "debug_page", point, priority, always: false, is_brief: false, run: Run::Function(Arc::new(run)) }
}

fn trace(exchange: &mut Exchange) -> &mut Trace {
    if exchange.values.get::<Trace>().is_none() {
        exchange.values.insert(Trace::default());
    }
    exchange.values.get_mut().expect("it was just put there")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Others stand in its line, and its client has asked to wait.
    struct Line;

    impl Wait for Line {
        fn ready(&mut self, _: &mut Exchange, _: &dyn Wakers) -> Result<bool, Error> {
            Ok(false)
        }

        fn waits_for(&self) -> Cow<'static, str> {
            "its turn".into()
        }

        fn is_own(&self) -> bool {
            false
        }

        fn is_wanted(&self) -> bool {
            true
        }

        fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn a_watched_wait_is_of_the_kind_of_the_wait() {
        let watched = WatchedWait { index: 0, wait: Box::new(Line) };
        assert_eq!((watched.is_own(), watched.is_wanted(), &*watched.waits_for()), (false, true, "its turn"));
    }
}
