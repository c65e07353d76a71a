//! What `kirsch dev` does next: events in, actions out. No process, file or clock is here.
//!
//! ```text
//! touched ─100 ms of silence─► look ─► a style or a page: tell the browsers
//!                                  └─► a source: build ─► failed: the report in place of all pages
//!                                        ▲    │
//!                   changed meanwhile ───┘    └─► built: start ─► READY: the old program stops, the browsers reload
//! ```
//!
//! * A program answers until the next one is ready. At the start, and after a crash, that is `kirsch` itself.
//! * The state is what the last build said, whatever went before.
//! * A file that changes with every build is written by the build. It counts no more while one runs.

use super::report::Reported;
use kirsch::dev::{Phase, Progress, Report};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Editors write a file in several steps, and some of them several files.
pub(crate) const SILENCE: Duration = Duration::from_millis(100);
/// How long an old program may take to end.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
/// How long a new program may take to be ready.
pub(crate) const START: Duration = Duration::from_secs(60);
/// What changes so soon after a build may have been written by it.
const AFTER_BUILD: Duration = Duration::from_millis(500);
/// How often a file may change with a build before it is taken for one that the build writes.
const MAX_REPEATED: u32 = 3;

/// What has happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something in the watched folders may have changed.
    Touched,
    /// The answer to [`Action::Look`].
    Looked(Changes),
    BuildEnded(u64, Outcome),
    /// A program answers.
    Ready(u64),
    /// A program has ended, with what it said at last.
    Ended(u64, Reported),
    /// Somebody wants an end.
    Stop,
}

/// The files that differ from the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// They need a build, or at least a start.
    pub(crate) sources: Vec<PathBuf>,
    /// Templates and files that the program reads by itself.
    pub(crate) has_pages: bool,
    pub(crate) has_styles: bool,
}

/// How a build has ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The program.
    Built(PathBuf),
    Failed(Reported),
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    Look,
    Build(u64),
    EndBuild,
    /// Starts a program under a number; the front without a path.
    Start(u64, Option<PathBuf>),
    /// Lets a program end by itself.
    Stop(u64),
    Kill(u64),
    Tell(Progress),
    Say(String),
    /// All has ended.
    Leave,
}

#[derive(Debug, PartialEq)]
enum Build {
    Idle,
    Running(u64),
    /// It was told to end, since something has changed.
    Ending(u64),
}

/// A program that is not needed any more.
#[derive(Debug)]
struct Leaving {
    program: u64,
    kill_at: Option<Instant>,
}

/// The state of `kirsch dev`.
#[derive(Debug)]
pub(crate) struct Supervisor {
    progress: Progress,
    build: Build,
    builds: u64,
    reports: u64,
    programs: u64,
    /// When it will have been silent for long enough.
    settle: Option<Instant>,
    serving: Option<u64>,
    starting: Option<(u64, Instant)>,
    /// The one that is `kirsch` itself.
    front: Option<u64>,
    leaving: Vec<Leaving>,
    /// How often in a row a file has changed with a build.
    repeated: HashMap<PathBuf, u32>,
    build_ended: Option<Instant>,
    is_stopping: bool,
}

impl Supervisor {
    /// The beginning, with what to do first.
    pub(crate) fn new(now: Instant, first: Reported) -> (Self, Vec<Action>) {
        let mut new = Self {
            // The first program that asks must not hear of a build that is done.
            progress: Progress { phase: Phase::Building, ..Progress::default() },
            build: Build::Idle,
            builds: 0,
            reports: 0,
            programs: 0,
            settle: None,
            serving: None,
            starting: None,
            front: None,
            leaving: Vec::new(),
            repeated: HashMap::new(),
            build_ended: None,
            is_stopping: false,
        };
        let mut actions = Vec::new();
        new.report(first);
        new.start(None, now, &mut actions);
        new.begin_build(&mut actions);
        (new, actions)
    }

    /// When [`handle`](Self::handle) wants to be called without an event.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let kills = self.leaving.iter().filter_map(|leaving| leaving.kill_at);
        let start = self.starting.map(|(_, since)| since + START).filter(|_| !self.is_stopping);
        self.settle.into_iter().chain(kills).chain(start).min()
    }

    /// Goes on after an event, or because the time has come.
    pub(crate) fn handle(&mut self, event: Option<Event>, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Some(Event::Stop) => self.stop(now, &mut actions),
            Some(Event::Ended(program, last)) => self.ended(program, last, now, &mut actions),
            Some(Event::BuildEnded(number, outcome)) => self.build_ended(number, outcome, now, &mut actions),
            Some(_) if self.is_stopping => {}
            Some(Event::Touched) => self.settle = Some(now + SILENCE),
            Some(Event::Looked(changes)) => self.changed(changes, now, &mut actions),
            Some(Event::Ready(program)) => self.ready(program, now, &mut actions),
            None => {}
        }
        self.look_at_clock(now, &mut actions);
        if !self.is_stopping && self.serving.is_none() && self.starting.is_none() {
            // Somebody always answers, or connections would wait for nobody.
            self.start(None, now, &mut actions);
        }
        if self.is_stopping && self.leaving.is_empty() && self.build == Build::Idle {
            actions.push(Action::Leave);
        }
        actions
    }

    fn look_at_clock(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.settle.is_some_and(|settle| settle <= now) {
            self.settle = None;
            actions.push(Action::Look);
        }
        for leaving in &mut self.leaving {
            if leaving.kill_at.is_some_and(|kill_at| kill_at <= now) {
                leaving.kill_at = None;
                actions.push(Action::Kill(leaving.program));
            }
        }
        if let Some((program, _)) = self.starting.filter(|(_, since)| *since + START <= now && !self.is_stopping) {
            self.starting = None;
            self.let_go(program, now, actions);
            let text = format!(
                "The program was built and started, and did not become ready within {} s. Does it come to App::serve?",
                START.as_secs()
            );
            self.fail(Reported::text("The program is not ready", &text), actions);
        }
    }

    fn changed(&mut self, changes: Changes, now: Instant, actions: &mut Vec<Action>) {
        let sources = self.sources_that_count(changes.sources, now, actions);
        if sources {
            match self.build {
                Build::Idle => self.begin_build(actions),
                Build::Running(number) => {
                    self.build = Build::Ending(number);
                    actions.push(Action::EndBuild);
                }
                Build::Ending(_) => {}
            }
            return;
        }
        self.progress.pages += u64::from(changes.has_pages);
        self.progress.styles += u64::from(changes.has_styles);
        if changes.has_pages || changes.has_styles {
            self.tell(actions);
        }
    }

    /// Whether one of them was not written by the build itself.
    fn sources_that_count(&mut self, sources: Vec<PathBuf>, now: Instant, actions: &mut Vec<Action>) -> bool {
        if sources.is_empty() {
            return false;
        }
        let just_ended = self.build_ended.is_some_and(|ended| now < ended + AFTER_BUILD);
        if self.build == Build::Idle && !just_ended {
            // Somebody has saved it.
            self.repeated.clear();
            return true;
        }
        self.repeated.retain(|path, _| sources.contains(path));
        let mut counts = false;
        for path in sources {
            let times = self.repeated.entry(path.clone()).or_default();
            *times += 1;
            counts |= *times <= MAX_REPEATED;
            if *times == MAX_REPEATED + 1 {
                let path = path.display();
                actions
                    .push(Action::Say(format!("{path} changes with every build, so it does not count while one runs")));
            }
        }
        counts
    }

    fn begin_build(&mut self, actions: &mut Vec<Action>) {
        self.builds += 1;
        self.build = Build::Running(self.builds);
        self.progress.phase = Phase::Building;
        actions.push(Action::Build(self.builds));
        self.tell(actions);
    }

    fn build_ended(&mut self, number: u64, outcome: Outcome, now: Instant, actions: &mut Vec<Action>) {
        let is_wanted = match self.build {
            Build::Running(running) if running == number => true,
            Build::Ending(ending) if ending == number => false,
            _ => return,
        };
        self.build = Build::Idle;
        self.build_ended = Some(now);
        if self.is_stopping {
            return;
        }
        match outcome {
            _ if !is_wanted => self.begin_build(actions),
            Outcome::Built(program) => {
                if let Some((late, _)) = self.starting.take() {
                    self.let_go(late, now, actions);
                }
                self.start(Some(program), now, actions);
            }
            Outcome::Failed(reported) => self.fail(reported, actions),
        }
    }

    fn start(&mut self, path: Option<PathBuf>, now: Instant, actions: &mut Vec<Action>) {
        self.programs += 1;
        if path.is_none() {
            self.front = Some(self.programs);
        }
        self.starting = Some((self.programs, now));
        actions.push(Action::Start(self.programs, path));
    }

    fn ready(&mut self, program: u64, now: Instant, actions: &mut Vec<Action>) {
        if self.starting.is_none_or(|(starting, _)| starting != program) {
            return;
        }
        self.starting = None;
        let old = self.serving.replace(program);
        self.progress.serving = program;
        if self.front != Some(program) {
            self.front = None;
            self.progress.report = None;
            // Unless a next build is under way.
            if self.build == Build::Idle {
                self.progress.phase = Phase::Ready;
            }
        }
        if let Some(old) = old {
            self.let_go(old, now, actions);
        }
        self.tell(actions);
    }

    fn ended(&mut self, program: u64, last: Reported, now: Instant, actions: &mut Vec<Action>) {
        self.leaving.retain(|leaving| leaving.program != program);
        let is_front = self.front == Some(program);
        if self.starting.is_some_and(|(starting, _)| starting == program) {
            self.starting = None;
            if is_front {
                actions.push(Action::Say("kirsch cannot answer by itself".to_owned()));
                return self.stop(now, actions);
            }
            self.fail(last, actions);
        } else if self.serving == Some(program) {
            self.serving = None;
            if self.is_stopping {
                return;
            }
            self.report(last);
            if self.build == Build::Idle {
                self.progress.phase = Phase::Failed;
            }
            self.tell(actions);
        }
    }

    fn fail(&mut self, reported: Reported, actions: &mut Vec<Action>) {
        self.progress.phase = Phase::Failed;
        self.report(reported);
        self.tell(actions);
    }

    fn report(&mut self, Reported { html, text }: Reported) {
        self.reports += 1;
        self.progress.report = Some(Report { number: self.reports, html, text });
    }

    fn tell(&mut self, actions: &mut Vec<Action>) {
        self.progress.version += 1;
        actions.push(Action::Tell(self.progress.clone()));
    }

    fn let_go(&mut self, program: u64, now: Instant, actions: &mut Vec<Action>) {
        self.leaving.push(Leaving { program, kill_at: Some(now + DRAIN) });
        actions.push(Action::Stop(program));
    }

    /// Everything ends; a second call does not wait.
    fn stop(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.is_stopping {
            self.leaving.iter_mut().for_each(|leaving| leaving.kill_at = Some(now));
            return;
        }
        self.is_stopping = true;
        self.settle = None;
        if let Build::Running(number) = self.build {
            self.build = Build::Ending(number);
            actions.push(Action::EndBuild);
        }
        let programs = self.serving.take().into_iter().chain(self.starting.take().map(|(program, _)| program));
        for program in programs.collect::<Vec<_>>() {
            self.let_go(program, now, actions);
        }
    }
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
