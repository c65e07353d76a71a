//! The pages of the hostile tests as a process of its own, for tests of a process: signals, limits, a log that cannot
//! be written.
//!
//! The only argument is a configuration. The address is the first line on standard output; the log goes to standard
//! error, or as the variables `LOG_TEXT` and `LOG_JSON` say to a file, which is put aside at 100 KB. The start takes so
//! many milliseconds more as the variable `SLOW_START` says. SIGHUP opens the gate of `/hold`; where `HANG` is set,
//! what it asks for hangs. Where `PANIC` is set, the program panics in place of an end; where `PANIC_AT_START` is, in a
//! step of the start. `STATUS` opens the status pages. `SESSIONS` is a folder for sessions that are not shared, `BEATS`
//! a file in which a background job writes the number of the process.

use integration_tests::pages::Pages;
use kirsch::{engine::Step, logs::Logs, prelude::*};
use std::{io::Write, thread, time::Duration};

fn main() -> kirsch::Result {
    let configuration = std::env::args().nth(1).unwrap_or_default();
    let pages = Pages::default();
    let gate = pages.gate.clone();
    let sessions = std::env::var_os("SESSIONS").map(|folder| Sessions::file(folder).shared(false));
    let sessions = sessions.unwrap_or_else(Sessions::in_memory);
    let mut app = App::new(pages).tool("/", sessions).config_str(configuration);
    if let Some(beats) = std::env::var_os("BEATS") {
        let beat = move || {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&beats)?;
            writeln!(file, "{}", std::process::id())
        };
        app = app.background("beats", Duration::from_millis(5), move || beat().map_err(Error::from));
    }
    let app = match std::env::var_os("STATUS") {
        Some(_) => app.mount("/status", kirsch::status::app().open()),
        None => app,
    };
    let text = std::env::var_os("LOG_TEXT").map(Logs::text);
    let app = match text.or_else(|| std::env::var_os("LOG_JSON").map(Logs::json)) {
        Some(logs) => app.logs(logs.rotate_at(100_000).keep(2)),
        None => {
            env_logger::init();
            app
        }
    };
    let graceful = move |_: &_| match std::env::var_os("HANG") {
        Some(_) => thread::sleep(Duration::from_secs(3600)),
        None => gate.open(),
    };
    let app = app.on(Step::Graceful, 50, graceful).on_start(|address| {
        // Standard output may be closed; the tests that close it know the address.
        let _ = writeln!(std::io::stdout(), "{address}");
        assert!(std::env::var_os("PANIC_AT_START").is_none(), "a step of the start panics");
        let pause = std::env::var("SLOW_START").ok().and_then(|pause| pause.parse().ok());
        thread::sleep(Duration::from_millis(pause.unwrap_or(0)));
        Ok(())
    });
    if std::env::var_os("PANIC").is_some() {
        let _running = app.start("127.0.0.1:0")?;
        log::info!("the last words");
        panic!("the program is broken\nin two lines");
    }
    app.serve("127.0.0.1:0")
}
