//! Giving up the rights of root: the user, the group and the folder that the process keeps.
//!
//! What only root may do comes before (ports below 1024, certificates and keys), all threads that the application
//! starts come after. Changes go through the C library, whose calls reach every thread of the process: those that the
//! program has started before lose their rights, too. The system call itself would change the calling thread alone.
//!
//! What the process may still do afterwards is asked, not believed: root must not come back, and the folders that are
//! written while the program runs must be writable.

use crate::Result;
use crate::exchange::Error;
use crate::logs;
use crate::server::ServerSettings;
use nix::unistd::{Gid, Group, Uid, User};
use std::ffi::CString;
use std::path::PathBuf;

/// What is given up, and for what.
#[derive(Debug)]
pub(super) struct Privileges {
    user: Uid,
    group: Gid,
    /// The groups of the user, that one among them.
    groups: Vec<Gid>,
    chroot: Option<PathBuf>,
    /// As in the setting.
    name: String,
}

impl Privileges {
    /// What the settings ask for; `None` if that is nothing, or has been done. `has_dropped` says that the process
    /// which has started this one had given up its rights by the same settings.
    ///
    /// # Errors
    /// Names the setting that cannot be followed.
    pub(super) fn of(settings: &ServerSettings, has_dropped: bool) -> Result<Option<Self>> {
        let chroot = settings.chroot.clone();
        let Some(name) = settings.user.clone() else {
            return match (&settings.group, &chroot) {
                (None, None) => Ok(None),
                (Some(_), _) => refused("server.group", "is set without `server.user`: root would stay root"),
                (_, Some(_)) => refused("server.chroot", "is set without `server.user`: no folder holds root"),
            };
        };
        let known = user(&name)?;
        if known.uid.is_root() {
            return refused("server.user", &format!("is {name:?}, which is root: leave it out, or choose another"));
        }
        let group = match &settings.group {
            Some(group) => group_of(group)?,
            None => known.gid.ok_or_else(|| {
                error("server.user", &format!("is {name:?}, which has no entry with a group: set `server.group`, too"))
            })?,
        };
        let is_that = nix::unistd::geteuid() == known.uid && nix::unistd::getegid() == group;
        if is_that && (chroot.is_none() || has_dropped) {
            return Ok(None);
        }
        if !nix::unistd::geteuid().is_root() {
            let own = nix::unistd::geteuid();
            let what = if is_that { "server.chroot" } else { "server.user" };
            return refused(
                what,
                &format!("is for programs that root starts, and this one runs as the user {own}: leave it out"),
            );
        }
        let groups = match &known.name {
            Some(name) => nix::unistd::getgrouplist(name, group).map_err(|failure| {
                error("server.user", &format!("is {name:?}, whose groups cannot be read: {failure}"))
            })?,
            None => vec![group],
        };
        Ok(Some(Self { user: known.uid, group, groups, chroot, name }))
    }

    /// Gives the rights up, for all threads of the process.
    ///
    /// # Errors
    /// Names the step that failed. The process must not go on then: a part of the steps is done.
    pub(super) fn drop_others(&self) -> Result<()> {
        if let Some(folder) = &self.chroot {
            let shown = folder.display();
            let into = rustix::process::chroot(folder).map_err(std::io::Error::from);
            into.and_then(|()| std::env::set_current_dir("/")).map_err(|failure| {
                error("server.chroot", &format!("is {shown}, which cannot be entered: {failure}"))
            })?;
        }
        let step = |done: nix::Result<()>, what: &str| {
            done.map_err(|failure| error("server.user", &format!("is {:?}: {what} failed: {failure}", self.name)))
        };
        // In this order: only root may change groups.
        step(nix::unistd::setgroups(&self.groups), "giving up the groups of root")?;
        step(nix::unistd::setgid(self.group), "taking the group")?;
        step(nix::unistd::setuid(self.user), "taking the user")?;
        self.check()
    }

    /// Whether nothing of root is left.
    fn check(&self) -> Result<()> {
        let name = &self.name;
        if nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
            return refused("server.user", &format!("is {name:?}, and the process could become root again"));
        }
        let users = nix::unistd::getresuid().map_err(std::io::Error::from)?;
        let groups = nix::unistd::getresgid().map_err(std::io::Error::from)?;
        let mut others = nix::unistd::getgroups().map_err(std::io::Error::from)?;
        let mut wanted = self.groups.clone();
        for list in [&mut others, &mut wanted] {
            list.sort_unstable_by_key(|group| group.as_raw());
            list.dedup();
        }
        let has_user = [users.real, users.effective, users.saved].iter().all(|user| *user == self.user);
        let has_group = [groups.real, groups.effective, groups.saved].iter().all(|group| *group == self.group);
        if !has_user || !has_group || others != wanted {
            return refused("server.user", &format!("is {name:?}, and the process has kept other users or groups"));
        }
        crate::line::record!(Info, target: "kirsch::engine", "the process is now the user {name:?} ({}) of the group {}", self.user, self.group);
        Ok(())
    }

    /// Whether what the running program writes can be written by the new user.
    ///
    /// # Errors
    /// Names the setting of the folder that cannot.
    pub(super) fn probe(&self, settings: &ServerSettings) -> Result<()> {
        settings.check_spool_directory()?;
        logs::probe().map_err(|problem| Error::unexpected(format!("{problem} (as the user {:?})", self.name)))
    }
}

struct KnownUser {
    uid: Uid,
    /// `None` for a number without an entry.
    gid: Option<Gid>,
    name: Option<CString>,
}

/// A name, or a number.
fn user(name: &str) -> Result<KnownUser> {
    let found = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    let found =
        found.map_err(|failure| error("server.user", &format!("is {name:?}, which cannot be looked up: {failure}")))?;
    match (found, name.parse()) {
        (Some(user), _) => Ok(KnownUser { uid: user.uid, gid: Some(user.gid), name: CString::new(user.name).ok() }),
        (None, Ok(number)) => Ok(KnownUser { uid: Uid::from_raw(number), gid: None, name: None }),
        (None, Err(_)) => refused("server.user", &format!("is {name:?}: this machine has no such user")),
    }
}

fn group_of(name: &str) -> Result<Gid> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) => refused("server.group", &format!("is {name:?}: this machine has no such group")),
        Err(failure) => refused("server.group", &format!("is {name:?}, which cannot be looked up: {failure}")),
    }
}

fn error(setting: &str, problem: &str) -> Error {
    Error::unexpected(format!("`{setting}` {problem}"))
}

fn refused<T>(setting: &str, problem: &str) -> Result<T> {
    Err(error(setting, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut ServerSettings)) -> String {
        let mut settings = ServerSettings::default();
        change(&mut settings);
        Privileges::of(&settings, false).expect_err("refused").to_string()
    }

    #[test]
    fn what_cannot_be_given_up_is_named() {
        assert!(refusal(|settings| settings.group = Some("www".to_owned())).contains("`server.group` is set without"));
        assert!(refusal(|settings| settings.chroot = Some("/srv".into())).contains("`server.chroot` is set without"));
        assert!(refusal(|settings| settings.user = Some("no-such-user".to_owned())).contains("has no such user"));
        assert!(refusal(|settings| settings.user = Some("root".to_owned())).contains("which is root"));
        assert!(refusal(|settings| settings.user = Some("0".to_owned())).contains("which is root"));
        let no_group = |settings: &mut ServerSettings| {
            (settings.user, settings.group) = (Some("nobody".to_owned()), Some("no-such-group".to_owned()));
        };
        assert!(refusal(no_group).contains("`server.group` is \"no-such-group\""));
        assert!(refusal(|settings| settings.user = Some("4012345".to_owned())).contains("set `server.group`, too"));
    }

    #[test]
    fn without_settings_nothing_is_given_up() {
        assert!(Privileges::of(&ServerSettings::default(), false).expect("fine").is_none());
    }
}
