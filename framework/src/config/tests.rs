//! Merging, through the application that comes out of it.

use crate::lifecycle::{Application, HookPoint, Hooks, PathSettings, Tool};
use crate::settings::{SettingError, Settings};
use crate::{App, Tree};
use std::time::Duration;

#[derive(Clone, Settings)]
struct Marker {
    /// A time.
    timeout: Duration,
    /// A flag.
    secure: bool,
}

const MARKER: Marker = Marker { timeout: Duration::from_secs(60), secure: false };

impl Tool for Marker {
    fn name(&self) -> &'static str {
        "marker"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let (timeout, secure) = (self.timeout.as_secs(), self.secure);
        // The settings can be read off the hook's priority.
        hooks.at(HookPoint::BeforeHandler, |_| ()).priority(u8::try_from(timeout).unwrap() + u8::from(secure));
    }

    fn configure(&self, settings: &toml::Table) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

fn app() -> App {
    let inner = || Tree::new().index(|_| "").page("log", |_| "");
    App::new(Tree::new().index(|_| "").child("admin", inner()).child("static", inner()))
}

fn build(app: App) -> Result<Application, String> {
    app.build().map_err(|error| error.to_string())
}

/// The tools of a section without the default ones, and the priority that tells the marker's settings.
fn tools(application: &Application, section: &str) -> (Vec<&'static str>, Option<u8>) {
    let plan = application.plans().iter().find(|plan| plan.section() == section).unwrap();
    let own = plan.tools().iter().copied().filter(|name| !["trailing_slash", "secure_headers"].contains(name));
    (own.collect(), plan.hooks(HookPoint::BeforeHandler).first().map(|hook| hook.priority))
}

fn settings(application: &Application, section: &str) -> PathSettings {
    application.plans().iter().find(|plan| plan.section() == section).unwrap().settings().clone()
}

#[test]
fn a_section_inherits_and_changes_single_keys() {
    let text = "[\"/admin\"]\nmarker.secure = true\nmax_body = \"1 MiB\"\n[\"/admin/log\"]\nmarker.timeout = \"30s\"\nbody_memory = 7\n[\"/static\"]\nmarker.on = false";
    let application = build(app().tool("/", MARKER).config_str(text)).unwrap();
    assert_eq!(tools(&application, "/"), (vec!["marker"], Some(60)));
    assert_eq!(tools(&application, "/admin"), (vec!["marker"], Some(61)));
    assert_eq!(tools(&application, "/admin/log"), (vec!["marker"], Some(31)));
    assert_eq!(tools(&application, "/static"), (vec![], None));
    let log = settings(&application, "/admin/log");
    assert_eq!((log.max_body, log.body_memory, log.max_form), (1 << 20, 7, 2 << 20));
}

#[test]
fn in_one_section_the_file_wins_over_the_code() {
    let code = app()
        .tool("/", MARKER)
        .settings("/", |settings| settings.max_body = 1)
        .settings("/admin", |settings| settings.max_body = 2);
    let text = "[\"/\"]\nmax_body = 10\nmarker.timeout = \"7s\"";
    let application = build(code.config_str(text)).unwrap();
    assert_eq!((settings(&application, "/").max_body, tools(&application, "/").1), (10, Some(7)));
    assert_eq!(
        settings(&application, "/admin").max_body,
        2,
        "further down wins over further up, wherever it was written"
    );
}

#[test]
fn of_two_files_the_later_wins() {
    let application = build(app().config_str("[\"/\"]\nmax_body = 1").config_str("[\"/\"]\nmax_body = 2")).unwrap();
    assert_eq!(settings(&application, "/").max_body, 2);
}

#[test]
fn a_tool_that_is_off_keeps_its_settings_and_can_be_switched_on_again_below() {
    let text = "[\"/admin\"]\nmarker.on = false\n[\"/admin/log\"]\nmarker.on = true";
    let application =
        build(app().tool("/", Marker { timeout: Duration::from_secs(9), ..MARKER }).config_str(text)).unwrap();
    assert_eq!(tools(&application, "/admin"), (vec![], None));
    assert_eq!(tools(&application, "/admin/log"), (vec!["marker"], Some(9)));
}

#[test]
fn spellings_of_one_path_are_one_section() {
    let application = build(app().config_str("[\"/admin/\"]\nmax_body = 1\n[\"//%61dmin\"]\nbody_memory = 2")).unwrap();
    assert_eq!(application.plans().len(), 2);
}

#[test]
fn a_default_tool_can_be_replaced_and_switched_off() {
    build(app().tool("/", crate::tools::TrailingSlash::default())).unwrap();
    let application = build(app().tool_off("/", "trailing_slash")).unwrap();
    assert_eq!(application.plans()[0].tools(), ["secure_headers"]);
}

/// Each message names the place, the mistake, and the right form.
#[test]
fn wrong_sections_are_refused_with_place_and_remedy() {
    let table = [
        (
            "[\"/admin\"]\nmax_bdy = 1",
            "the configuration: line 2: [\"/admin\"]: `max_bdy` is not a setting or a tool; did you mean `max_body`?",
        ),
        (
            "[\"/\"]\nmax_body = \"much\"",
            "the configuration: line 2: [\"/\"]: `max_body` is \"much\"; it must be a number of bytes or a size with its unit, as 65536, \"64 KiB\" or \"100 MiB\"",
        ),
        (
            "[\"/\"]\nstrict_params = 1",
            "the configuration: line 2: [\"/\"]: `strict_params` is 1; it must be true or false",
        ),
        (
            "[\"/\"]\nmarker.timeuot = \"5m\"",
            "the configuration: line 2: [\"/\"]: `marker.timeuot` is not a setting; did you mean `timeout`?",
        ),
        (
            "[\"/\"]\nmarker.timeout = 5",
            "the configuration: line 2: [\"/\"]: `marker.timeout` is 5; it must be a duration with its unit, as \"250ms\", \"20s\", \"5m\", \"2h\" or \"7d\"",
        ),
        (
            "[\"/\"]\nmarker.on = \"yes\"",
            "the configuration: line 2: [\"/\"]: `marker.on` is \"yes\"; it must be true or false",
        ),
        (
            "[\"/\"]\nmarker = true",
            "the configuration: line 2: [\"/\"]: `marker` is a tool: write `marker.on = true`, or one of its settings",
        ),
        (
            "[\"/\"]\nserver.threads = 1",
            "the configuration: line 2: [\"/\"]: `server` is for the whole program: move it to [global]",
        ),
        (
            "[\"/\"]\ngzip.on = true",
            "the configuration: line 2: [\"/\"]: `gzip` is not a setting or a tool; there are: max_body, max_form, max_json, json_types, max_parts, body_memory, show_tracebacks, debug_page, errors, strict_params, error_pages, trailing_slash, secure_headers, marker, low (a tool must be switched on in code first, with `.tool(\"/\", …)`)",
        ),
        (
            "[\"/\"]\nlow.on = true",
            "the configuration: line 2: [\"/\"]: the tool `low` is not on here: switch it on in code, with `.tool(\"/\", …)` or further up",
        ),
        (
            "[\"/admin\"]\nlow.key = 1",
            "the configuration: line 2: [\"/admin\"]: `low.key` is not a setting; there are none here",
        ),
        (
            "[global]\nserver.threads = 0",
            "the configuration: line 2: [global]: `server.threads` is 0; it must be a whole number, one or more",
        ),
    ];
    struct Low;
    impl Tool for Low {
        fn name(&self) -> &'static str {
            "low"
        }
        fn attach(&self, _: &mut Hooks) {}
    }
    for (text, message) in table {
        let refused = build(app().tool("/", MARKER).tool("/admin", Low).config_str(text)).map(drop);
        assert_eq!(refused, Err(message.to_owned()), "{text}");
    }
}

#[test]
fn wrong_code_is_refused_with_place_and_remedy() {
    let twice = build(app().tool("/admin", MARKER).tool("/admin/", MARKER)).map(drop);
    assert_eq!(twice, Err("the application: the tool `marker` is switched on twice at `/admin`: keep one".to_owned()));
    let unknown = build(app().tool("/", MARKER).tool_off("/admin", "market")).map(drop);
    assert_eq!(unknown, Err("the application: no tool `market` is on at `/admin`; did you mean `marker`?".to_owned()));
    let relative = build(app().tool("admin", MARKER)).map(drop);
    assert_eq!(relative, Err("the application: `admin` is not a path: it must start with `/`".to_owned()));
}

#[test]
fn a_tool_that_several_sections_share_attaches_once() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Counted(Arc<AtomicUsize>);
    impl Tool for Counted {
        fn name(&self) -> &'static str {
            "counted"
        }
        fn attach(&self, hooks: &mut Hooks) {
            self.0.fetch_add(1, Ordering::SeqCst);
            hooks.background("a job", Duration::from_secs(60), || ());
        }
    }
    let attached = Arc::new(AtomicUsize::new(0));
    let app = app().tool("/", Counted(attached.clone())).settings("/admin", |_| ()).settings("/static", |_| ());
    let application = build(app).unwrap();
    assert_eq!((application.plans().len(), attached.load(Ordering::SeqCst)), (3, 1));
    assert_eq!(application.background_jobs().len(), 1);
}

/// The settings in force are in the log.
#[test]
fn the_effective_configuration_is_logged() {
    let records = crate::logs::capture::records("kirsch::config", || {
        build(app().tool("/", MARKER).config_str("[\"/admin\"]\nmax_body = \"1 MiB\"")).unwrap();
    });
    for line in [
        "[\"/\"] tools: trailing_slash, secure_headers, marker",
        "[\"/\"] max_body = 100 MiB",
        "[\"/admin\"] max_body = 1 MiB",
    ] {
        assert!(records.contains(&format!("DEBUG kirsch::config {line}")), "{line}: {records:?}");
    }
}

#[test]
fn a_section_that_nothing_answers_is_reported() {
    let records = crate::logs::capture::records("kirsch::config", || {
        build(app().settings("/admni", |_| ()).settings("/admin/log", |_| ()).settings("/static/x", |_| ())).unwrap();
    });
    let warnings: Vec<_> = records.iter().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(warnings[0], "WARN kirsch::config nothing answers at or below \"/admni\": is the path right?");
    assert!(warnings[1].contains("/static/x"));
}

#[test]
fn settings_of_the_server_that_do_not_count_are_reported() {
    let blog = || App::new(Tree::new()).threads(20).server(|settings| settings.queue = 7);
    let wiki = App::new(Tree::new()).mount("/old/", blog());
    let records = crate::logs::capture::records("kirsch::config", || {
        let host = App::new(Tree::new()).threads(3).mount("/wiki", wiki);
        build(
            app().threads(4).mount("/blog", blog()).mount("/b", App::new(Tree::new())).virtual_host("a.example", host),
        )
        .unwrap();
    });
    let warnings: Vec<_> = records.iter().filter(|line| line.contains("does not count")).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for said in [
        "the app at \"/blog\" sets server.threads, server.queue: it does not count there, set it on the outermost app",
        "the app at \"a.example\" sets server.threads: ",
        "the app at \"a.example/wiki/old/\" sets server.threads, server.queue: ",
    ] {
        assert!(warnings.iter().any(|line| line.starts_with(&format!("WARN kirsch::config {said}"))), "{warnings:?}");
    }
}
