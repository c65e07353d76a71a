//! `server.user`: root binds, and another user serves. Only root can try that; without it these tests say so and are
//! left out.

use super::PROGRAM;
use integration_tests::{program::Program, wait_until};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Stdio,
};

const NOBODY: u32 = 65534;
const AS_NOBODY: &str = "[global]\nserver.user = \"nobody\"\n";

pub(crate) fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("{test} is left out: only root can become another user");
    }
    is_root
}

/// A folder of nobody's.
fn folder_of_nobody() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("room");
    chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
    folder
}

/// The values of a line of `/proc/PID/task/*/status`, of every thread.
pub(crate) fn of_all_threads(process: u32, line: &str) -> Vec<Vec<String>> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let statuses = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok());
    let values = statuses.map(|status| {
        let found = status.lines().find_map(|text| text.strip_prefix(line).map(str::to_owned));
        found.expect("each status has it").split_whitespace().map(str::to_owned).collect()
    });
    values.collect()
}

/// What a start says that is refused.
fn refusal(before: &str, configuration: &str) -> String {
    let output = Program::command(PROGRAM, before, configuration).output().expect("it was built");
    assert!(!output.status.success(), "it has started");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn log_to(path: &Path) -> String {
    format!("LOG_TEXT={}; export LOG_TEXT; ", path.display())
}

// The thread of the log among them, and the port is one that only root may bind.
#[test]
fn no_thread_keeps_anything_of_root() {
    if !is_root("giving up rights") {
        return;
    }
    let folder = folder_of_nobody();
    let listen = format!("{AS_NOBODY}server.listen = \"127.44.0.1:80\"\n");
    let program = Program::start(PROGRAM, &log_to(&folder.path().join("site.log")), &listen, Stdio::null());
    program.client.get("/").send().assert_text("here");
    let threads = program.resources().threads;
    let nobody = NOBODY.to_string();
    for (line, expected) in
        [("Uid:", vec![nobody.clone(); 4]), ("Gid:", vec![nobody.clone(); 4]), ("Groups:", vec![nobody])]
    {
        let all = of_all_threads(program.id(), line);
        assert!(all.len() >= threads, "{} of {threads} threads", all.len());
        assert!(all.iter().all(|values| *values == expected), "{line} {all:?}");
    }
    for line in ["CapEff:", "CapPrm:", "CapAmb:"] {
        assert!(of_all_threads(program.id(), line).iter().all(|values| values[0] == "0000000000000000"), "{line}");
    }
    assert_eq!(program.terminate().code(), Some(0));
}

// Not by root, who would follow a link that the user has put there.
#[test]
fn the_log_is_opened_by_the_new_user() {
    if !is_root("giving up rights") {
        return;
    }
    let (folder, secret) = (folder_of_nobody(), tempfile::NamedTempFile::new().expect("room"));
    let log = folder.path().join("site.log");
    let program = Program::start(PROGRAM, &log_to(&log), AS_NOBODY, Stdio::null());
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(&log).expect("it is there")), NOBODY);
    // Lines that were logged before are not lost.
    wait_until(|| fs::read_to_string(&log).is_ok_and(|text| text.contains("the process is now the user \"nobody\"")));
    drop(program);
    fs::remove_file(&log).and_then(|()| std::os::unix::fs::symlink(secret.path(), &log)).expect("room");
    assert!(refusal(&log_to(&log), AS_NOBODY).contains("the log "));
    assert_eq!(fs::metadata(secret.path()).expect("it is there").len(), 0);
}

#[test]
fn folders_that_the_new_user_cannot_write_stop_the_start() {
    if !is_root("giving up rights") {
        return;
    }
    let of_root = tempfile::tempdir().expect("room");
    fs::set_permissions(of_root.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let path = of_root.path().display();
    let spool = format!("{AS_NOBODY}server.spool_directory = \"{path}\"\n");
    assert!(refusal("", &spool).contains("server.spool_directory: no file can be made in"));
    let pid_file = format!("{AS_NOBODY}server.pid_file = \"{path}/site.pid\"\n");
    assert!(refusal("", &pid_file).contains("`server.pid_file` is"));
    let log = of_root.path().join("site.log");
    assert!(refusal(&log_to(&log), AS_NOBODY).contains(&format!("the log {path}/site.log: ")));
    // A file that the user may write, in a folder where nothing can be put aside.
    fs::write(&log, "").and_then(|()| chown(&log, Some(NOBODY), None)).expect("root may");
    assert!(refusal(&log_to(&log), AS_NOBODY).contains("cannot be put aside when it is full"));
}

#[test]
fn a_group_and_a_number_without_a_name_are_taken() {
    if !is_root("giving up rights") {
        return;
    }
    let numbers = "[global]\nserver.user = \"4012345\"\nserver.group = \"4012346\"\n";
    let program = Program::start(PROGRAM, "", numbers, Stdio::null());
    assert_eq!(of_all_threads(program.id(), "Uid:")[0], ["4012345"; 4]);
    assert_eq!(of_all_threads(program.id(), "Groups:")[0], ["4012346"]);
}

#[test]
fn a_program_below_another_root_sees_nothing_outside() {
    if !is_root("changing the root") {
        return;
    }
    let folder = tempfile::tempdir().expect("room");
    fs::create_dir_all(folder.path().join("tmp")).expect("room");
    fs::set_permissions(folder.path().join("tmp"), fs::Permissions::from_mode(0o1777)).expect("ours");
    let chroot = format!("{AS_NOBODY}server.chroot = \"{}\"\n", folder.path().display());
    let program = Program::start(PROGRAM, "TMPDIR=/tmp; export TMPDIR; ", &chroot, Stdio::null());
    program.client.get("/").send().assert_text("here");
    let root = fs::read_link(format!("/proc/{}/root", program.id())).expect("it runs");
    assert_eq!(root, folder.path().canonicalize().expect("it is there"));
    assert_eq!(program.terminate().code(), Some(0));
}

// As one of another user, and as one that has been started right.
#[test]
fn only_root_can_become_another_user() {
    if !is_root("starting as another user") {
        return;
    }
    let as_user = |user: &str| format!("exec setpriv --reuid={user} --regid={user} --clear-groups \"$0\" \"$1\"; ");
    let refused = refusal(&as_user("1"), AS_NOBODY);
    assert!(
        refused.contains("`server.user` is for programs that root starts, and this one runs as the user 1"),
        "{refused}"
    );
    let program = Program::start(PROGRAM, &as_user("65534"), AS_NOBODY, Stdio::null());
    program.client.get("/").send().assert_text("here");
}

// It would be noticed when the certificate has ended.
#[test]
fn files_that_cannot_be_read_again_are_told_once_at_the_start() {
    if !is_root("reading keys as another user") {
        return;
    }
    let folder = tempfile::tempdir().expect("room");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (file, key) = (folder.path().join("site.pem"), folder.path().join("site.key"));
    fs::write(&file, made.cert.pem()).expect("room");
    fs::write(&key, made.signing_key.serialize_pem()).expect("room");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("ours");
    let listen = "server.listen = [\"127.0.0.1:0\", \"127.0.0.1:0 tls\"]\n";
    let pair = format!("[[global.server.certificate]]\nfile = {file:?}\nkey = {key:?}\n");
    let log = fs::File::create(folder.path().join("log")).expect("room");
    let program = Program::start(PROGRAM, "", &format!("{AS_NOBODY}{listen}{pair}"), log.into());
    program.client.get("/").send().assert_text("here");
    let log = fs::read_to_string(folder.path().join("log")).expect("it is there");
    let told = format!("{} cannot be read again by the user that the program runs as", key.display());
    assert_eq!(log.matches(&told).count(), 1, "{log}");
    assert_eq!(log.matches("cannot be read again").count(), 1, "{log}");
}
