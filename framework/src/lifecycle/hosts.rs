//! Which tree answers for a host: names, names with a port, and everything below a name.
//!
//! The host is that of the request's origin: the host that the client asked for, or that a trusted proxy names. Names
//! are compared without regard to case and to a dot at their end (RFC 9110, section 4.2.3; RFC 1034, section 3.1).
//! Nothing is allocated for a request.

use crate::exchange::Origin;
use std::cmp::Ordering;

/// The hosts of an application, each with the number of its tree.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    /// Names, sorted.
    exact: Vec<Entry>,
    /// Names that stand for all hosts below them, sorted.
    below: Vec<Entry>,
    /// Whether an unknown host is refused; else the first tree answers.
    strict: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// In lower case.
    name: String,
    port: Option<u16>,
    tree: usize,
}

impl Hosts {
    /// Adds a host as the application writes it: `shop.example`, `*.shop.example`, `shop.example:8443`.
    ///
    /// # Errors
    /// A sentence, if that is not a host or is there already.
    pub(crate) fn add(&mut self, written: &str, tree: usize) -> Result<(), String> {
        let mistake = |problem: &str| Err(format!("{written:?} is not a host: {problem}"));
        let (list, rest) = match written.strip_prefix("*.") {
            Some(rest) => (&mut self.below, rest),
            None => (&mut self.exact, written),
        };
        let (name, port) = match rest.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => match port.parse() {
                Ok(port) => (name, Some(port)),
                Err(_) => {
                    return mistake("what follows the colon must be a port; write the name alone, without `http://`");
                }
            },
            _ => (rest, None),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let is_address = name.starts_with('[') && name.ends_with(']');
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.split('.').any(str::is_empty) {
            return mistake("a part of the name is missing");
        }
        if !name.is_ascii() {
            return mistake("browsers send such a name in its ASCII form, which begins with `xn--`: write that");
        }
        if !is_address && !name.bytes().all(is_name) {
            return mistake("write a name as `shop.example`, `*.shop.example` or `shop.example:8443`");
        }
        if list.iter().any(|entry| entry.name == name && entry.port == port) {
            return Err(format!("two apps are there for the host {written:?}: keep one"));
        }
        list.push(Entry { name, port, tree });
        list.sort();
        Ok(())
    }

    /// From now on an unknown host is refused.
    pub(crate) fn be_strict(&mut self) {
        self.strict = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.below.is_empty() && !self.strict
    }

    /// The name, if the application answers for one alone.
    pub(crate) fn only(&self) -> Option<&str> {
        match (&*self.exact, &*self.below, self.strict) {
            ([only], [], true) => Some(&only.name),
            _ => None,
        }
    }

    /// The number of the tree that answers for a host. The whole name comes before `*`, a longer name behind the `*`
    /// before a shorter one, and a name with the port before the same without.
    pub(crate) fn find(&self, origin: &Origin<'_>) -> Option<usize> {
        let (host, port) = (origin.host(), origin.port());
        let host = host.strip_suffix('.').unwrap_or(host);
        let parents = host.match_indices('.').map(|(dot, _)| &host[dot + 1..]);
        let found = one_of(&self.exact, host, port)
            .or_else(|| parents.filter(|name| !name.is_empty()).find_map(|name| one_of(&self.below, name, port)));
        found.or_else(|| (!self.strict).then_some(0))
    }
}

fn one_of(list: &[Entry], name: &str, port: u16) -> Option<usize> {
    let order = |entry: &Entry| entry.name.bytes().cmp(name.bytes().map(|byte| byte.to_ascii_lowercase()));
    let first = list.partition_point(|entry| order(entry) == Ordering::Less);
    let same = list[first..].iter().take_while(|entry| order(entry) == Ordering::Equal);
    let fits = same.filter(|entry| entry.port.is_none_or(|wanted| wanted == port));
    fits.max_by_key(|entry| entry.port.is_some()).map(|entry| entry.tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        let mut hosts = Hosts::default();
        let names =
            ["shop.example", "*.shop.example", "Shop.Example:8443", "*.b.shop.example", "[::1]", "*.example:81"];
        for (index, name) in names.into_iter().enumerate() {
            hosts.add(name, index + 1).unwrap();
        }
        hosts
    }

    #[test]
    fn a_name_before_what_is_below_a_name() {
        let table = [
            ("shop.example", 1),
            ("SHOP.example.", 1),
            ("shop.example:80", 1),
            ("shop.example:8443", 3),
            ("a.shop.example", 2),
            ("x.a.SHOP.example:8443", 2),
            ("a.b.shop.example", 4),
            ("b.shop.example", 2),
            ("myshop.example", 0),
            ("other.example:81", 6),
            ("other.example:82", 0),
            ("example", 0),
            ("[::1]", 5),
            ("[::1]:8080", 5),
            ("127.0.0.1", 0),
            ("", 0),
            (".", 0),
            (".shop.example", 2),
            ("shop.example.evil", 0),
        ];
        for (authority, tree) in table {
            assert_eq!(hosts().find(&Origin::new(false, authority)), Some(tree), "{authority}");
        }
    }

    #[test]
    fn a_strict_application_answers_for_no_other_host() {
        let mut hosts = hosts();
        hosts.be_strict();
        assert_eq!(hosts.find(&Origin::new(false, "shop.example")), Some(1));
        assert_eq!(hosts.find(&Origin::new(false, "evil.example")), None);
    }

    #[test]
    fn a_malformed_host_is_refused_with_a_sentence() {
        let table = [
            ("", "a part of the name is missing"),
            ("*.", "a part of the name is missing"),
            ("a..b", "a part of the name is missing"),
            ("http://shop.example", "without `http://`"),
            ("shop.example/path", "write a name as"),
            ("a.*.example", "write a name as"),
            ("bücher.example", "`xn--`"),
            ("SHOP.example.", "two apps are there for the host"),
        ];
        for (written, sentence) in table {
            let refused = hosts().add(written, 9).unwrap_err();
            assert!(refused.contains(sentence), "{written}: {refused}");
        }
    }
}
