//! Catches log records in tests, per thread.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static RECORDS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Capture;

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {} {}", record.level(), record.target(), record.args());
        let _ = RECORDS.try_with(|records| records.borrow_mut().push(line));
    }

    fn flush(&self) {}
}

/// The records that `run` made on this thread, as `LEVEL target message`, of targets that start with `target`.
pub(crate) fn records(target: &str, run: impl FnOnce()) -> Vec<String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Capture).expect("no test sets another logger");
        log::set_max_level(log::LevelFilter::Debug);
    });
    RECORDS.with_borrow_mut(Vec::clear);
    run();
    let of_target = |line: &String| line.split(' ').nth(1).is_some_and(|name| name.starts_with(target));
    RECORDS.take().into_iter().filter(of_target).collect()
}
