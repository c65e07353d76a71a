//! Run with `demo-apps/cluster/run`, which starts three of these, or by itself with `cargo run --bin cluster-counter -- --store redis://127.0.0.1`.

use demo_apps::{
    cluster,
    command_line::{CommandLine, NumberOption, TextOption},
};
use std::{process::ExitCode, time::Duration};

const LEASE: NumberOption = NumberOption {
    name: "--lease",
    meaning: "milliseconds for which a lock outlives its killed holder",
    default: 10_000,
    most: 600_000,
};

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "cluster-counter",
        about: "Counts in the session, which several instances share.",
        numbers: &[LEASE],
        text: Some(TextOption {
            name: "--store",
            value: "URL",
            meaning: "where sessions are kept: redis://…, memcached://host,host or memory (default memory)",
        }),
    };
    demo_apps::try_run(&command_line, |options| {
        let store = options.text.as_deref().unwrap_or("memory");
        cluster::app(store, Duration::from_millis(options.numbers[0]))
    })
}
