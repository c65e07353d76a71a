//! Run with `demo-apps/cluster/run`, which starts three of these, or by itself with `cargo run -p cluster-counter --
//! --store redis://127.0.0.1`.

use demo_apps::{
    command_line::{CommandLine, NumberOption, TextOption},
    session_store,
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
        texts: &[TextOption { name: "--store", value: "PLACE", meaning: session_store::MEANING }],
        listens: demo_apps::command_line::Listens::Port,
    };
    demo_apps::try_run(&command_line, |options| {
        let store = options.texts[0].as_deref().unwrap_or("memory");
        cluster_counter::app(store, Duration::from_millis(options.numbers[0]))
    })
}
