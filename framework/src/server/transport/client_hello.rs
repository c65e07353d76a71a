//! The first bytes of a connection that should be encrypted: what they are, before anything is computed.
//!
//! An answer to a ClientHello costs as much as many requests. So it is known here when one is complete, and it waits
//! for its turn. The engine judges whether it is right; nothing is refused here that could be TLS.

use std::net::IpAddr;

/// The look of the first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum FirstLook {
    /// Nothing can be said yet.
    Part,
    /// A ClientHello, or a failure of one, for the engine; with the host that it asks for.
    Hello(Option<Box<str>>),
    /// It begins with a letter, as a request of HTTP does.
    Request,
    /// Something else.
    Foreign,
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Longer messages are not taken by the engine.
const MAX_MESSAGE: usize = 0xffff;

impl FirstLook {
    pub(in crate::server) fn at(bytes: &[u8]) -> Self {
        match bytes.first() {
            None => return Self::Part,
            Some(&HANDSHAKE) => {}
            Some(first) if first.is_ascii_alphabetic() => return Self::Request,
            Some(_) => return Self::Foreign,
        }
        let mut message = Vec::new();
        let mut rest = bytes;
        // Records of the handshake, whose contents are one after another.
        while let [kind, major, _, high, low, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if *kind != HANDSHAKE || *major != 3 || length == 0 {
                return Self::Hello(None);
            }
            let is_whole = after.len() >= length;
            message.extend_from_slice(&after[..length.min(after.len())]);
            match Self::of_message(&message, is_whole) {
                Self::Part if is_whole => rest = &after[length..],
                look => return look,
            }
        }
        if bytes.len() > MAX_MESSAGE { Self::Hello(None) } else { Self::Part }
    }

    /// `is_whole` says that the last record is complete.
    fn of_message(message: &[u8], is_whole: bool) -> Self {
        let [kind, high, middle, low, body @ ..] = message else { return Self::Part };
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        match body.get(..length) {
            _ if *kind != CLIENT_HELLO || length > MAX_MESSAGE => Self::Hello(None),
            Some(hello) if is_whole => Self::Hello(server_name(hello)),
            _ => Self::Part,
        }
    }
}

/// The host in the extension `server_name` (RFC 6066, section 3), in lower case. Addresses have no place there.
fn server_name(hello: &[u8]) -> Option<Box<str>> {
    // Version and random.
    let mut rest = Fields(hello.get(2 + 32..)?);
    rest.short()?;
    rest.long()?;
    rest.short()?;
    let mut extensions = Fields(rest.long()?);
    while let Some(kind) = extensions.number() {
        let content = extensions.long()?;
        if kind == 0 {
            let mut names = Fields(Fields(content).long()?);
            let [0] = names.take(1)? else { return None };
            let name = std::str::from_utf8(names.long()?).ok()?;
            let is_host =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            return (is_host && name.parse::<IpAddr>().is_err()).then(|| name.to_ascii_lowercase().into());
        }
    }
    None
}

/// Fields with their length before them.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A field with a length of one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.take(1)?[0];
        self.take(usize::from(length))
    }

    /// A field with a length of two bytes.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ClientHello that asks for this host, in records of so many bytes.
    fn hello(name: &str, record: usize) -> Vec<u8> {
        let field =
            |content: &[u8]| [&u16::try_from(content.len()).expect("short").to_be_bytes()[..], content].concat();
        let host = field(&[&[0][..], &field(name.as_bytes())].concat());
        let extensions = [&[0, 10][..], &field(&[1, 2]), &[0, 0], &field(&host)].concat();
        let body = [&[3, 3][..], &[7; 32], &[0], &field(&[19, 1]), &[1, 0], &field(&extensions)].concat();
        let message = [&[1, 0][..], &field(&body)].concat();
        message.chunks(record).flat_map(|part| [&[22, 3, 1][..], &field(part)].concat()).collect()
    }

    #[test]
    fn a_hello_is_one_when_its_last_byte_is_there() {
        for record in [1, 3, 50, 1000] {
            let bytes = hello("Example.ORG", record);
            for end in 0..bytes.len() {
                assert_eq!(FirstLook::at(&bytes[..end]), FirstLook::Part, "{end} of {record}");
            }
            assert_eq!(FirstLook::at(&bytes), FirstLook::Hello(Some("example.org".into())));
        }
    }

    #[test]
    fn the_first_byte_tells_what_is_not_tls() {
        let table = [
            (&b"GET / HTTP/1.1"[..], FirstLook::Request),
            (b"p", FirstLook::Request),
            (b"\0\0", FirstLook::Foreign),
            (b"\r\n", FirstLook::Foreign),
            (b"\x80\x2e\x01", FirstLook::Foreign),
            (b"\x16\x03\x03\x48\x00", FirstLook::Part),
            (b"\x16\x02\x00\x00\x01", FirstLook::Hello(None)),
            (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", FirstLook::Hello(None)),
        ];
        for (bytes, look) in table {
            assert_eq!(FirstLook::at(bytes), look, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_host_is_no_server_name() {
        for name in ["127.0.0.1", "", "a b", "a\0b"] {
            assert_eq!(FirstLook::at(&hello(name, 1000)), FirstLook::Hello(None), "{name:?}");
        }
    }
}
