//! The source of a login: the name under which a session keeps it.
//!
//! A session may be seen by more than one site: they share a store, a secret of cookies, a cookie of their common
//! domain. A login is good for none but the site that has looked at the password. So its key has all that makes a site:
//!
//! ```text
//! kirsch.login:/members shop.example:8443/front /etc/site/members  section, host with the prefix of a proxy, source of credentials
//! kirsch.login=staff                                               a realm that the program has named
//! ```
//!
//! A source is a file by its path, or a function by its name in the program. Two tools that live at the same time and
//! ask functions of one name (closures of one place in the source, each with another database in it) are two sources:
//! they are counted.

use crate::Request;
use parking_lot::Mutex;
#[cfg(feature = "passwords")]
use std::path::Path;
use std::sync::{Arc, Weak};

/// A function that checks passwords: its name, and its number among those of the same name.
#[derive(Debug)]
pub(super) struct FunctionName {
    name: &'static str,
    number: usize,
}

/// Those of all tools that live.
static NAMES: Mutex<Vec<Weak<FunctionName>>> = Mutex::new(Vec::new());

impl FunctionName {
    /// The name of a function of this type, with the lowest number that is free. So the order of a start gives the same
    /// numbers as the last start.
    pub(super) fn of<F>() -> Arc<Self> {
        let name = std::any::type_name::<F>();
        let mut names = NAMES.lock();
        names.retain(|known| known.strong_count() > 0);
        let taken: Vec<_> = names.iter().filter_map(Weak::upgrade).filter(|known| known.name == name).collect();
        let number = (0..).find(|number| taken.iter().all(|known| known.number != *number)).unwrap_or_default();
        let named = Arc::new(Self { name, number });
        names.push(Arc::downgrade(&named));
        named
    }
}

impl std::fmt::Display for FunctionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.number {
            0 => f.write_str(self.name),
            number => write!(f, "{}#{number}", self.name),
        }
    }
}

/// The path of a file as it is named, from the root: its links may lead to another file tomorrow.
#[cfg(feature = "passwords")]
pub(super) fn file_name(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// The place of the visitor's name in sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LoginKey {
    /// For one section of one host.
    Own { section: String, source: String },
    /// For all that name this realm.
    Realm(String),
}

impl LoginKey {
    pub(super) fn of(&self, request: &Request) -> String {
        match self {
            Self::Own { section, source } => {
                format!("kirsch.login:{section} {}{} {source}", request.host(), request.prefix())
            }
            Self::Realm(realm) => format!("kirsch.login={realm}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_one_name_are_told_apart_while_they_live() {
        struct Check;
        let (first, second) = (FunctionName::of::<Check>(), FunctionName::of::<Check>());
        assert_ne!(first.to_string(), second.to_string());
        let before = first.to_string();
        drop(first);
        assert_eq!(FunctionName::of::<Check>().to_string(), before);
        assert_ne!(FunctionName::of::<u8>().to_string(), second.to_string());
    }
}
