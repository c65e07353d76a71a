//! What `kirsch new` makes is built, and passes its own checks: minutes, so `bash check cli` runs that part.

use std::path::Path;
use std::process::{Command, Stdio};

const KIRSCH: &str = env!("CARGO_BIN_EXE_kirsch");

/// Runs a command in a folder; all of them share the folder of what is built.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", target);
    let output = command.stdin(Stdio::null()).output().expect("it can be started");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?} in {}:\n{said}\n{errors}", folder.display());
    said.into_owned()
}

fn check(kind: &str, route: &str) {
    let place = tempfile::tempdir().expect("a folder");
    let name = kind.replacen("--", "new-", 1);
    run(place.path(), KIRSCH, &["new", &name, kind]);
    let folder = place.path().join(name);
    run(&folder, "cargo", &["fmt", "--check"]);
    run(&folder, "cargo", &["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"]);
    run(&folder, "cargo", &["test", "--quiet"]);
    assert!(run(&folder, KIRSCH, &["check"]).contains(", 0 findings"), "{kind}");
    assert!(run(&folder, KIRSCH, &["routes"]).contains(route), "{kind}");
    if kind == "--minimal" {
        run(&folder, "cargo", &["build", "--release", "--quiet"]);
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new/release/new-minimal");
        let program = std::fs::read(program).expect("it was built");
        let is_there = |text: &[u8]| program.windows(text.len()).any(|bytes| bytes == text);
        assert!(is_there(b"KIRSCH_COMMAND") && !is_there(b"/__kirsch/live"), "development is for debug builds");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_told_and_never_a_panic() {
    let place = tempfile::tempdir().expect("a folder");
    for arguments in [&["--help"][..], &["new", "photos"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
        let mut command = Command::new(KIRSCH);
        let output = command.args(arguments).current_dir(place.path()).stdout(full).output().expect("it was built");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("kirsch: the standard output cannot be written"), "{errors}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
#[ignore = "minutes: `bash check cli`"]
fn a_program_of_two_pages_passes_its_checks() {
    check("--minimal", "Site::greet");
}

#[test]
#[ignore = "minutes: `bash check cli`"]
fn an_api_passes_its_checks() {
    check("--api", "/notes");
}

#[test]
#[ignore = "minutes: `bash check cli`"]
fn a_site_passes_its_checks() {
    check("--site", "NotePages::remove");
}
