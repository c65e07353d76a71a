//! The script of the cluster as a test: three instances, one nginx, one Redis, and everything that can happen to them,
//! in a quarter of a minute.

use std::process::Command;

#[test]
fn kills_and_restarts_lose_no_update() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/run");
    let mut command = Command::new("python3");
    command.args(["-B", script, "--seconds", "12", "--program", env!("CARGO_BIN_EXE_cluster-counter")]);
    let output = command.env_remove("RUST_LOG").output().expect("python3; `bash check` installs it");
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("lost updates: 0; numbers told twice: 0"), "{told}");
}
