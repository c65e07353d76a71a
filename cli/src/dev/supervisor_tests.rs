//! The symptoms of other reloaders, one by one.

use super::*;

struct Desk {
    supervisor: Supervisor,
    now: Instant,
    actions: Vec<Action>,
}

impl Desk {
    /// The front answers, and the first build runs.
    fn new() -> Self {
        let now = Instant::now();
        let (supervisor, actions) = Supervisor::new(now, Reported::text("first", "the first build"));
        let mut desk = Self { supervisor, now, actions };
        assert_eq!(desk.taken()[..2], [Action::Start(1, None), Action::Build(1)]);
        desk.send(Event::Ready(1));
        desk.taken();
        desk
    }

    /// The program of the first build answers, as number 2.
    fn serving() -> Self {
        let mut desk = Self::new();
        desk.send(Event::BuildEnded(1, built()));
        desk.send(Event::Ready(2));
        desk.send(Event::Ended(1, Reported::default()));
        desk.wait(Duration::from_secs(10));
        desk.taken();
        desk
    }

    fn send(&mut self, event: Event) {
        self.actions.extend(self.supervisor.handle(Some(event), self.now));
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.actions.extend(self.supervisor.handle(None, self.now));
    }

    fn save(&mut self, path: &str) {
        self.send(Event::Looked(Changes { sources: vec![path.into()], ..Changes::default() }));
    }

    /// The actions since the last call.
    fn taken(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    fn told(&mut self) -> Progress {
        let told = self.taken().into_iter().rev().find_map(|action| match action {
            Action::Tell(progress) => Some(progress),
            _ => None,
        });
        told.expect("something was told")
    }
}

fn built() -> Outcome {
    Outcome::Built("target/debug/site".into())
}

fn said(text: &str) -> Reported {
    Reported { html: String::new(), text: text.to_owned() }
}

fn failed(text: &str) -> Outcome {
    Outcome::Failed(said(text))
}

#[test]
fn the_old_program_answers_until_the_new_one_is_ready() {
    let mut desk = Desk::serving();
    desk.save("src/main.rs");
    desk.send(Event::BuildEnded(2, built()));
    let before = desk.taken();
    assert!(before.contains(&Action::Start(3, Some("target/debug/site".into()))), "{before:?}");
    assert!(!before.iter().any(|action| matches!(action, Action::Stop(_) | Action::Kill(_))), "{before:?}");
    desk.send(Event::Ready(3));
    assert!(desk.taken().contains(&Action::Stop(2)));
}

#[test]
fn browsers_hear_of_the_new_program_when_it_is_ready_and_not_before() {
    let mut desk = Desk::serving();
    desk.save("src/main.rs");
    desk.send(Event::BuildEnded(2, built()));
    let before = desk.told();
    assert_eq!((before.serving, before.phase), (2, Phase::Building));
    desk.send(Event::Ready(3));
    let after = desk.told();
    assert_eq!((after.serving, after.phase, after.report), (3, Phase::Ready, None));
}

#[test]
fn the_state_is_what_the_last_build_said() {
    let mut desk = Desk::serving();
    let mut numbers = Vec::new();
    for (build, text) in [(2, "one"), (3, "two")] {
        desk.save("src/main.rs");
        desk.send(Event::BuildEnded(build, failed(text)));
        let told = desk.told();
        let report = told.report.expect("a report");
        assert_eq!((told.phase, &*report.text), (Phase::Failed, text));
        numbers.push(report.number);
        desk.wait(Duration::from_secs(1));
    }
    assert_ne!(numbers[0], numbers[1]);
    desk.save("src/main.rs");
    desk.send(Event::BuildEnded(4, built()));
    desk.send(Event::Ready(3));
    let told = desk.told();
    assert_eq!((told.serving, told.phase, told.report), (3, Phase::Ready, None));
}

#[test]
fn a_first_build_that_fails_is_answered_by_the_front() {
    let mut desk = Desk::new();
    desk.send(Event::BuildEnded(1, failed("no semicolon")));
    let told = desk.told();
    assert_eq!((told.serving, told.report.map(|report| report.text)), (1, Some("no semicolon".to_owned())));
}

#[test]
fn two_saves_within_the_silence_are_one_look() {
    let mut desk = Desk::serving();
    desk.send(Event::Touched);
    desk.wait(SILENCE / 2);
    desk.send(Event::Touched);
    desk.wait(SILENCE / 2);
    assert_eq!(desk.taken(), []);
    assert_eq!(desk.supervisor.deadline(), Some(desk.now + SILENCE / 2));
    desk.wait(SILENCE / 2);
    assert_eq!(desk.taken(), [Action::Look]);
    assert_eq!(desk.supervisor.deadline(), None);
}

#[test]
fn a_change_during_a_build_ends_it_and_starts_again() {
    let mut desk = Desk::serving();
    desk.save("src/main.rs");
    desk.taken();
    desk.save("src/pages.rs");
    desk.save("src/main.rs");
    assert_eq!(desk.taken(), [Action::EndBuild]);
    // Whatever it says now, even that it was quicker.
    desk.send(Event::BuildEnded(2, built()));
    let actions = desk.taken();
    assert!(actions.contains(&Action::Build(3)) && !actions.iter().any(|action| matches!(action, Action::Start(..))));
}

#[test]
fn a_build_that_writes_a_source_does_not_trigger_itself_for_ever() {
    let mut desk = Desk::serving();
    desk.save("src/main.rs");
    let mut builds = 2;
    for _ in 0..10 {
        desk.save("src/generated.rs");
        if desk.taken().contains(&Action::EndBuild) {
            desk.send(Event::BuildEnded(builds, failed("ended")));
            builds += 1;
        }
    }
    assert_eq!(builds, 2 + u64::from(MAX_REPEATED));
    desk.send(Event::BuildEnded(builds, built()));
    // Also where it is noticed when the build has ended.
    desk.save("src/generated.rs");
    assert!(!desk.taken().iter().any(|action| matches!(action, Action::Build(_))));
    desk.wait(Duration::from_secs(1));
    desk.save("src/generated.rs");
    assert!(desk.taken().contains(&Action::Build(builds + 1)), "somebody has saved it");
}

#[test]
fn a_template_or_a_style_is_told_without_a_build() {
    let mut desk = Desk::serving();
    desk.send(Event::Looked(Changes { has_styles: true, ..Changes::default() }));
    let styles = desk.told();
    assert_eq!((styles.styles, styles.pages, styles.phase), (1, 0, Phase::Ready));
    desk.send(Event::Looked(Changes { has_pages: true, ..Changes::default() }));
    assert_eq!(desk.told().pages, 1);
    desk.send(Event::Looked(Changes::default()));
    assert_eq!(desk.taken(), []);
}

#[test]
fn a_program_that_does_not_start_leaves_the_old_one_answering() {
    let mut desk = Desk::serving();
    desk.save("src/main.rs");
    desk.send(Event::BuildEnded(2, built()));
    desk.send(Event::Ended(3, said("no database")));
    let told = desk.told();
    assert_eq!(
        (told.serving, told.phase, told.report.map(|report| report.text)),
        (2, Phase::Failed, Some("no database".to_owned()))
    );
}

#[test]
fn a_program_that_never_becomes_ready_is_given_up() {
    let mut desk = Desk::serving();
    desk.save("src/main.rs");
    desk.send(Event::BuildEnded(2, built()));
    desk.wait(START);
    let actions = desk.taken();
    assert!(actions.contains(&Action::Stop(3)), "{actions:?}");
    assert!(matches!(actions.last(), Some(Action::Tell(told)) if told.phase == Phase::Failed && told.serving == 2));
}

#[test]
fn a_crash_is_shown_by_the_front() {
    let mut desk = Desk::serving();
    desk.send(Event::Ended(2, said("it has crashed")));
    let actions = desk.taken();
    assert!(actions.contains(&Action::Start(3, None)), "{actions:?}");
    desk.send(Event::Ready(3));
    let told = desk.told();
    assert_eq!(
        (told.serving, told.phase, told.report.map(|report| report.text)),
        (3, Phase::Failed, Some("it has crashed".to_owned()))
    );
}

#[test]
fn somebody_answers_after_a_build_that_was_quicker_than_the_front() {
    let (mut supervisor, _) = Supervisor::new(Instant::now(), Reported::default());
    supervisor.handle(Some(Event::BuildEnded(1, built())), Instant::now());
    supervisor.handle(Some(Event::Ended(1, Reported::default())), Instant::now());
    let actions = supervisor.handle(Some(Event::Ended(2, said("no database"))), Instant::now());
    assert!(actions.contains(&Action::Start(3, None)), "{actions:?}");
}

#[test]
fn an_old_program_with_open_streams_delays_no_swap() {
    let mut desk = Desk::serving();
    for (build, program) in [(2, 3), (3, 4)] {
        desk.save("src/main.rs");
        desk.send(Event::BuildEnded(build, built()));
        desk.send(Event::Ready(program));
        assert_eq!(desk.told().serving, program);
        desk.wait(Duration::from_secs(1));
    }
    desk.wait(DRAIN);
    let killed: Vec<_> = desk.taken().into_iter().filter(|action| matches!(action, Action::Kill(_))).collect();
    assert_eq!(killed, [Action::Kill(2), Action::Kill(3)]);
}

#[test]
fn a_stop_leaves_nothing_behind() {
    let mut desk = Desk::serving();
    desk.save("src/main.rs");
    desk.taken();
    desk.send(Event::Stop);
    assert_eq!(desk.taken(), [Action::EndBuild, Action::Stop(2)]);
    desk.send(Event::Touched);
    desk.send(Event::BuildEnded(2, failed("ended")));
    assert_eq!(desk.taken(), [], "the program is still there");
    desk.wait(DRAIN);
    assert_eq!(desk.taken(), [Action::Kill(2)]);
    desk.send(Event::Ended(2, Reported::default()));
    assert_eq!(desk.taken(), [Action::Leave]);
}

#[test]
fn a_second_stop_waits_for_nobody() {
    let mut desk = Desk::serving();
    desk.send(Event::Stop);
    desk.taken();
    desk.send(Event::Stop);
    assert_eq!(desk.taken(), [Action::Kill(2)]);
}

#[test]
fn a_front_that_cannot_start_is_the_end() {
    let (mut supervisor, _) = Supervisor::new(Instant::now(), Reported::default());
    supervisor.handle(Some(Event::Ended(1, Reported::default())), Instant::now());
    let actions = supervisor.handle(Some(Event::BuildEnded(1, built())), Instant::now());
    assert_eq!(actions, [Action::Leave]);
}
