//! The findings of the checks; the real powers of other users are in `tests/tests/other_users.rs`.

use super::exposure::{require_own, warn_if_readable, warn_of_changes, warn_of_changes_below, warn_of_passwords};
use super::*;
use crate::logs::capture;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn warnings(run: impl FnOnce()) -> String {
    capture::records("kirsch::files", run).join("\n")
}

#[test]
fn a_file_that_others_may_write_is_refused_with_mode_and_fix() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().join("it's");
    folders().create(&folder).unwrap();
    for (mode, sentence) in [
        (0o700, None),
        (0o755, None),
        (0o777, Some("everybody may write")),
        (0o1777, Some("everybody may write")),
        (0o770, Some("the group with the number")),
    ] {
        set(&folder, mode);
        let refused = require_own(&folder).err().map(|exposed| exposed.to_string());
        assert_eq!(refused.is_some(), sentence.is_some(), "{mode:o}: {refused:?}");
        let Some(refused) = refused else { continue };
        let fix = format!("-w '{}/it'\\''s'` mends it", room.path().display());
        let mode = format!("its mode is {mode:04o}");
        assert!([sentence.unwrap(), &mode, &fix].iter().all(|part| refused.contains(part)), "{refused}");
    }
}

#[test]
fn a_way_that_everybody_may_change_is_refused_unless_it_is_sticky() {
    let room = tempfile::tempdir().unwrap();
    let (above, linked) = (room.path().join("above"), room.path().join("linked"));
    let folder = above.join("folder");
    folders().recursive(true).create(&folder).unwrap();
    symlink("above/../above/folder", &linked).unwrap();
    for (mode, is_refused) in [(0o777, true), (0o1777, false), (0o755, false)] {
        set(&above, mode);
        for path in [&folder, &linked, &linked.join("not there yet")] {
            let refused = require_own(path).err().map(|exposed| exposed.to_string());
            assert_eq!(refused.is_some(), is_refused, "{mode:o} {path:?} {refused:?}");
            assert!(refused.is_none_or(|text| text.contains("where it could be exchanged")));
        }
    }
}

#[test]
fn links_in_a_circle_are_no_way() {
    let room = tempfile::tempdir().unwrap();
    let circle = room.path().join("circle");
    symlink("circle", &circle).unwrap();
    assert!(require_own(&circle).is_ok() && open_own(&circle).is_err() && open_or_create(&circle).is_err());
}

#[test]
fn only_own_files_are_opened_and_a_fifo_is_not_waited_for() {
    let room = tempfile::tempdir().unwrap();
    let at = |name: &str| room.path().join(name);
    drop(create(&at("own")).unwrap());
    drop(create(&at("open")).unwrap());
    set(&at("open"), 0o666);
    symlink("own", at("link")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(open_own(&at("own")).is_ok() && open_or_create(&at("own")).is_ok());
    for name in ["open", "link", "fifo", "."] {
        assert_eq!(open_own(&at(name)).unwrap_err().kind(), io::ErrorKind::InvalidData, "{name}");
        assert!(open_or_create(&at(name)).is_err(), "{name}");
    }
    assert!(open_plain(&at("link")).is_ok() && open_plain(&at("fifo")).is_err() && open_plain(room.path()).is_err());
    assert_eq!(create(&at("link")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn created_files_are_for_their_user_alone() {
    let room = tempfile::tempdir().unwrap();
    let (file, folder) = (room.path().join("file"), room.path().join("a/b"));
    let mode = |metadata: fs::Metadata| metadata.mode() & 0o7777;
    assert_eq!(mode(create(&file).unwrap().metadata().unwrap()), 0o600);
    set(&file, 0o644);
    assert_eq!(mode(open_or_create(&file).unwrap().metadata().unwrap()), 0o600, "it is narrowed");
    assert_eq!(mode(without_name(room.path()).unwrap().metadata().unwrap()), 0o600);
    folders().recursive(true).create(&folder).unwrap();
    assert_eq!([&folder, folder.parent().unwrap()].map(|path| mode(path.metadata().unwrap())), [0o700, 0o700]);
    assert!(without_name(&room.path().join("none")).is_err());
}

#[test]
fn a_warning_names_file_mode_and_command_and_is_said_once() {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("file");
    drop(create(&file).unwrap());
    assert_eq!(warnings(|| warn_of_passwords(&file)), "");
    set(&file, 0o644);
    let place = file.display();
    let said = warnings(|| warn_of_passwords(&file));
    let sentence = format!("every user may read passwords in {place}: its mode is 0644; `chmod o-r {place}` mends it");
    assert!(said.ends_with(&sentence), "{said}");
    assert_eq!(warnings(|| warn_of_passwords(&file)), "", "said once");
    let said = warnings(|| warn_if_readable(&file, "sessions"));
    assert!(said.ends_with(&format!("its mode is 0644; `chmod 600 {place}` mends it")), "{said}");
    assert_eq!(warnings(|| warn_of_changes(&file, "a template")), "");
    set(&file, 0o666);
    let said = warnings(|| warn_of_changes(&file, "a template"));
    assert!(said.contains("other users could change a template: everybody may write"), "{said}");
}

#[test]
fn all_files_below_a_folder_are_one_warning() {
    let room = tempfile::tempdir().unwrap();
    let names = ["a/b.html", "a/c.html", "d.html"];
    fs::create_dir(room.path().join("a")).unwrap();
    for name in names {
        fs::write(room.path().join(name), "").unwrap();
    }
    let said = || warnings(|| warn_of_changes_below(room.path(), names.into_iter(), "templates"));
    assert_eq!(said(), "");
    set(&room.path().join("a"), 0o777);
    set(&room.path().join("a/c.html"), 0o666);
    let first = room.path().join("a");
    let sentence = format!("could change templates: everybody may write {}, and 1 more files", first.display());
    assert!(said().contains(&sentence));
}

#[test]
fn every_file_that_a_program_reads_is_checked_at_start() {
    use crate::{App, Sessions, Tree, tools};
    let room = tempfile::tempdir().unwrap();
    let at = |name: &str| room.path().join(name);
    let texts = [
        ("passwords", "", 0o644),
        ("secret.toml", "[\"/\"]\nsessions.url = \"redis://shop:hunter2@127.0.0.1\"", 0o644),
        ("open.toml", "", 0o666),
        ("plain.toml", "[\"/\"]\nmax_body = 1", 0o644),
        ("404.html", "", 0o666),
        ("templates/a.html", "", 0o666),
        ("sessions.sqlite", "", 0o644),
    ];
    fs::create_dir(at("templates")).unwrap();
    for (name, text, mode) in texts {
        fs::write(at(name), text).unwrap();
        set(&at(name), mode);
    }
    let app = App::new(Tree::new())
        .tool("/", tools::AuthBasic::file("site", at("passwords")))
        .tool("/", tools::Templates::new(at("templates")))
        .error_pages("/", {
            let page = at("404.html");
            move |pages| pages.file(crate::StatusCode::NOT_FOUND, &page)
        })
        .tool("/", Sessions::sqlite(at("sessions.sqlite")))
        .config_file(at("open.toml"))
        .config_file(at("plain.toml"));
    let another = App::new(Tree::new()).tool("/", Sessions::in_memory()).config_file(at("secret.toml"));
    let said = warnings(|| drop((app.build(), another.build())));
    for name in ["passwords", "secret.toml", "open.toml", "404.html", "templates/a.html", "sessions.sqlite"] {
        assert!(said.contains(&format!("{}", at(name).display())), "{name}: {said}");
    }
    assert!(!said.contains("plain.toml") && !said.contains("hunter2"), "{said}");
}
