//! The pages of the hostile tests as a process of its own, for tests of a process: signals, limits, a log that cannot
//! be written.
//!
//! The only argument is a configuration. The address is the first line on standard output; the log goes to standard
//! error. The start takes so many milliseconds more as the variable `SLOW_START` says. SIGHUP opens the gate of
//! `/hold`.

use integration_tests::pages::Pages;
use kirsch::{engine::Step, prelude::*};
use std::{io::Write, thread, time::Duration};

fn main() -> kirsch::Result {
    env_logger::init();
    let configuration = std::env::args().nth(1).unwrap_or_default();
    let pages = Pages::default();
    let gate = pages.gate.clone();
    let app = App::new(pages).tool("/", Sessions::in_memory()).config_str(configuration);
    app.on(Step::Graceful, 50, move |_| gate.open())
        .on_start(|address| {
            // Standard output may be closed; the tests that close it know the address.
            let _ = writeln!(std::io::stdout(), "{address}");
            let pause = std::env::var("SLOW_START").ok().and_then(|pause| pause.parse().ok());
            thread::sleep(Duration::from_millis(pause.unwrap_or(0)));
            Ok(())
        })
        .serve("127.0.0.1:0")
}
