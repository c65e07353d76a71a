//! The word of a chain of proxies, read from the right: `X-Forwarded-*`, and `Forwarded` of RFC 7239.
//!
//! The peer is trusted, or this code does not run. Its own entry is the last one and names the peer of *that* proxy. If
//! that is a trusted proxy too, the entry before is believed, and so on. The walk ends at the first address that is not
//! a proxy's: the client. It also ends at a malformed entry; then the last known proxy is as near to the client as the
//! walk can come.

use crate::http::{is_authority as is_host_and_port, is_dot_segment, is_local_reference, is_token};
use std::net::{IpAddr, SocketAddr};

/// The believed values; `None` where nothing is said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) remote: Option<IpAddr>,
    pub(super) is_secure: Option<bool>,
    pub(super) authority: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) prefix: Option<String>,
}

/// The fields that most proxies write, each a list.
pub(super) fn x_forwarded_fields(
    addresses: &str,
    schemes: &str,
    hosts: &str,
    ports: &str,
    prefixes: &str,
    peer: IpAddr,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Said {
    let mut walk = Walk::new(peer);
    for entry in addresses.rsplit(',').take_while(|_| !addresses.is_empty()) {
        if !walk.step(address(entry.trim()), &is_trusted) {
            break;
        }
    }
    // Not every proxy adds to every list: some replace the whole list. So the entry of the same place from the right,
    // or the first.
    let at = |list: &str| -> Option<String> {
        let entries: Vec<_> = list.split(',').map(str::trim).collect();
        let place = entries.len().saturating_sub(walk.steps.max(1));
        entries.get(place).filter(|entry| !entry.is_empty()).map(|entry| (*entry).to_owned())
    };
    Said {
        remote: walk.found(),
        is_secure: at(schemes).and_then(|text| is_secure(&text)),
        authority: at(hosts).filter(|text| is_authority(text)),
        port: at(ports).and_then(|text| text.parse().ok()).filter(|port| *port != 0),
        prefix: at(prefixes).and_then(|text| prefix(&text)),
    }
}

/// `Forwarded` (RFC 7239): each proxy adds one element with all that it knows.
pub(super) fn forwarded_fields(list: &str, peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool) -> Said {
    // A list that cannot be read says nothing: where one element ends is not known then.
    let elements = elements(list).unwrap_or_default();
    let mut walk = Walk::new(peer);
    let mut said = Said::default();
    for element in elements.iter().rev() {
        let value = |name: &str| element.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        // A trusted proxy has written all of this element, even if it says nothing about its own peer.
        said.is_secure = value("proto").and_then(|text| is_secure(text)).or(said.is_secure);
        said.authority = value("host").filter(|text| is_authority(text)).cloned().or(said.authority);
        if !walk.step(value("for").and_then(|text| address(text)), &is_trusted) {
            break;
        }
    }
    Said { remote: walk.found(), ..said }
}

/// The way from the peer to the client.
struct Walk {
    /// The last known peer so far.
    nearest: IpAddr,
    /// How many entries were believed.
    steps: usize,
}

impl Walk {
    fn new(peer: IpAddr) -> Self {
        Self { nearest: peer, steps: 0 }
    }

    /// Takes the next entry, and says whether the one before it may be believed as well.
    fn step(&mut self, entry: Option<IpAddr>, is_trusted: &impl Fn(IpAddr) -> bool) -> bool {
        let Some(address) = entry else { return false };
        self.nearest = address;
        self.steps += 1;
        is_trusted(address)
    }

    fn found(&self) -> Option<IpAddr> {
        (self.steps > 0).then_some(self.nearest)
    }
}

/// An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]`, `[2001:db8::1]:4711`,
/// `2001:db8::1`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

fn is_secure(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match () {
        () if is(&["https", "wss", "on", "1", "true", "ssl"]) => Some(true),
        () if is(&["http", "ws", "off", "0", "false"]) => Some(false),
        () => None,
    }
}

/// A host, perhaps with a port, and nothing that could change a link that is made with it.
fn is_authority(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    text.bytes().all(is_plain) && is_host_and_port(text.as_bytes())
}

/// A path that can be put in front of others: `/shop`. `//host` would be another host to browsers, and `..` another
/// path.
fn prefix(text: &str) -> Option<String> {
    let path = text.trim_end_matches('/');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&byte);
    let is_path = is_local_reference(path) && !path.contains("//") && path.bytes().all(is_plain);
    let is_path = is_path && !path.split('/').any(is_dot_segment);
    is_path.then(|| path.to_owned())
}

type Element = Vec<(String, String)>;

/// The elements of a `Forwarded` list, each with its names and values, quoted ones without their quotes (RFC 7239,
/// section 4).
fn elements(list: &str) -> Option<Vec<Element>> {
    let (mut elements, mut element, mut rest) = (Vec::new(), Element::new(), list);
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        // Empty pairs and elements mean nothing (RFC 9110, section 5.6.1).
        if !rest.is_empty() && !rest.starts_with([',', ';']) {
            let (name, behind) = rest.split_once('=')?;
            if !is_token(name.as_bytes()) {
                return None;
            }
            let (value, behind) = value(behind)?;
            element.push((name.to_owned(), value));
            rest = behind.trim_start_matches([' ', '\t']);
        }
        match rest.chars().next() {
            Some(';') => {}
            Some(',') => elements.push(std::mem::take(&mut element)),
            None => {
                elements.push(element);
                elements.retain(|element| !element.is_empty());
                return Some(elements);
            }
            Some(_) => return None,
        }
        rest = &rest[1..];
    }
}

/// A token or a quoted string at the start of a text, and the rest behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Not quite a token: `for=192.0.2.1:80` and `for=[::1]` are seen, though they should be quoted.
        let end = text.find([',', ';', ' ', '\t', '"']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proxies are 10.x.x.x; the peer is 10.0.0.1.
    fn is_proxy(address: IpAddr) -> bool {
        address.to_string().starts_with("10.")
    }

    fn peer() -> IpAddr {
        "10.0.0.1".parse().unwrap()
    }

    fn remote(list: &str) -> Option<String> {
        x_forwarded_fields(list, "", "", "", "", peer(), is_proxy).remote.map(|address| address.to_string())
    }

    #[test]
    fn addresses_are_read_from_the_right_and_only_those_of_proxies() {
        let table = [
            ("", None),
            ("203.0.113.7", Some("203.0.113.7")),
            ("198.51.100.1, 203.0.113.7", Some("203.0.113.7")),
            ("198.51.100.1, 203.0.113.7, 10.0.0.2", Some("203.0.113.7")),
            ("10.9.9.9, 10.0.0.2", Some("10.9.9.9")),
            ("203.0.113.7:4711", Some("203.0.113.7")),
            ("[2001:db8::1]:4711, 10.0.0.2", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("evil", None),
            ("203.0.113.7, evil", None),
            ("203.0.113.7, evil, 10.0.0.2", Some("10.0.0.2")),
            ("203.0.113.7, , 10.0.0.2", Some("10.0.0.2")),
            ("203.0.113.7,", None),
            ("127.0.0.1' OR 1=1", None),
        ];
        for (list, expected) in table {
            assert_eq!(remote(list).as_deref(), expected, "{list:?}");
        }
    }

    #[test]
    fn lists_are_read_at_the_place_of_the_client() {
        let table = [
            ("203.0.113.7", "https", Some(true)),
            ("203.0.113.7, 10.0.0.2", "https", Some(true)),
            ("203.0.113.7, 10.0.0.2", "https, http", Some(true)),
            ("203.0.113.7", "http, https", Some(true)),
            ("", "http", Some(false)),
            ("", "https, http", Some(false)),
            ("203.0.113.7", "gopher", None),
        ];
        for (addresses, schemes, expected) in table {
            let said = x_forwarded_fields(addresses, schemes, "", "", "", peer(), is_proxy);
            assert_eq!(said.is_secure, expected, "{addresses} {schemes}");
        }
    }

    #[test]
    fn every_spelling_of_the_field_for_tls() {
        for (text, expected) in
            [("on", Some(true)), ("1", Some(true)), ("HTTPS", Some(true)), ("off", Some(false)), ("", None)]
        {
            assert_eq!(is_secure(text), expected, "{text}");
        }
    }

    #[test]
    fn hosts_and_prefixes_that_could_change_a_link_are_not_believed() {
        let said = |host: &str, prefix: &str| x_forwarded_fields("", "", host, "", prefix, peer(), is_proxy);
        assert_eq!(said("shop.example:8443", "/shop/").authority.as_deref(), Some("shop.example:8443"));
        assert_eq!(said("", "/shop/").prefix.as_deref(), Some("/shop"));
        for host in ["a b", "a/b", "user@host", "a\"b", "a?b", ":80", "[::1", "a:x", "a:65536", "[::1]:99999", "a:1:2"]
        {
            assert_eq!(said(host, "").authority, None, "{host}");
        }
        for prefix in [
            "//evil.example",
            "shop",
            "/a//b",
            "/a?b",
            "/a\\b",
            "/a\r\nb",
            "/",
            "/..",
            "/a/../b",
            "/.",
            "/%2e%2E",
            "/%5Cb",
            "/%09",
        ] {
            assert_eq!(said("", prefix).prefix, None, "{prefix:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        let table = [
            ("for=203.0.113.7;proto=https;host=shop.example", Some("203.0.113.7"), Some(true), Some("shop.example")),
            ("For=\"[2001:db8::1]:4711\"", Some("2001:db8::1"), None, None),
            (
                "for=198.51.100.1, for=203.0.113.7;proto=https, for=10.0.0.2;proto=http",
                Some("203.0.113.7"),
                Some(true),
                None,
            ),
            ("for=203.0.113.7, for=_hidden;proto=https", None, Some(true), None),
            ("for=unknown, for=10.0.0.2", Some("10.0.0.2"), None, None),
            ("for=\"203.0.113.7\\\"\"", None, None, None),
            ("for=203.0.113.7;host=\"a;b,c\";proto=https", Some("203.0.113.7"), Some(true), None),
            (",, ;for=203.0.113.7 ;, ", Some("203.0.113.7"), None, None),
            ("for=203.0.113.7, \"", None, None, None),
            ("for = 203.0.113.7", None, None, None),
            ("", None, None, None),
        ];
        for (list, remote, is_secure, host) in table {
            let said = forwarded_fields(list, peer(), is_proxy);
            let found = (said.remote.map(|address| address.to_string()), said.is_secure, said.authority);
            assert_eq!(found, (remote.map(str::to_owned), is_secure, host.map(str::to_owned)), "{list}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_input_makes_an_address_that_no_proxy_wrote(list in "[ -~]{0,60}", tail in "(203\\.0\\.113\\.7|evil|_x|unknown)?") {
            let own = format!("{list}, {tail}");
            let remote = x_forwarded_fields(&own, &list, &list, &list, &list, peer(), is_proxy).remote;
            proptest::prop_assert_eq!(remote, tail.parse().ok());
            let own = format!("{list}, for={}", if tail.is_empty() { "_" } else { &tail });
            let remote = forwarded_fields(&own, peer(), is_proxy).remote;
            proptest::prop_assert!(remote.is_none() || remote == tail.parse().ok());
        }
    }
}
