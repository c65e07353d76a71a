//! The header of the PROXY protocol, in which a proxy names its client before anything else: versions 1 and 2, as
//! HAProxy's `proxy-protocol.txt` describes them. It is never guessed whether there is one: the listener says it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line of version 1, with its CRLF.
const MAX_LINE: usize = 107;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;
/// Addresses and what the proxy adds behind them.
const MAX_REST: usize = 4096;

/// What a proxy says about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// It is the proxy's own, or the client has no address of TCP.
    Unknown,
    /// It is a client's.
    Client {
        /// The client's address.
        client: SocketAddr,
        /// The address that the client connected to.
        server: SocketAddr,
    },
}

/// The bytes are no header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoProxyHeader;

impl ProxyHeader {
    /// No header is longer.
    pub const MAX_LENGTH: usize = FIXED + MAX_REST;

    /// Reads a header from the start of `input`, with its length. `None` while it is not complete.
    ///
    /// # Errors
    /// As soon as no bytes behind these could make a header of them.
    pub fn read(input: &[u8]) -> Result<Option<(Self, usize)>, NoProxyHeader> {
        let signature = &SIGNATURE[..input.len().min(SIGNATURE.len())];
        if input.starts_with(signature) { binary(input) } else { line(input) }
    }
}

/// Version 2.
fn binary(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, NoProxyHeader> {
    if input.get(12).is_some_and(|byte| !matches!(byte, 0x20 | 0x21)) {
        return Err(NoProxyHeader);
    }
    let Some(fixed) = input.get(..FIXED) else { return Ok(None) };
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > ProxyHeader::MAX_LENGTH {
        return Err(NoProxyHeader);
    }
    let is_own = fixed[12] == 0x20;
    let address_bytes = match fixed[13] {
        _ if is_own => 0,
        0x11 => 12,
        0x21 => 36,
        // Unix sockets, and what the proxy does not know.
        0x00 | 0x31 => 0,
        // Datagrams, and families that do not exist.
        _ => return Err(NoProxyHeader),
    };
    if length < FIXED + address_bytes {
        return Err(NoProxyHeader);
    }
    let Some(rest) = input.get(FIXED..length) else { return Ok(None) };
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let header = match address_bytes {
        12 => {
            let address = |at: usize| Ipv4Addr::new(rest[at], rest[at + 1], rest[at + 2], rest[at + 3]);
            client((address(0).into(), port(8)), (address(4).into(), port(10)))
        }
        36 => {
            let address = |at: usize| {
                let mut octets = [0; 16];
                octets.copy_from_slice(&rest[at..at + 16]);
                Ipv6Addr::from(octets).to_canonical()
            };
            client((address(0), port(32)), (address(16), port(34)))
        }
        _ => ProxyHeader::Unknown,
    };
    Ok(Some((header, length)))
}

/// Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 50000 443`.
fn line(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, NoProxyHeader> {
    const BEGIN: &[u8] = b"PROXY ";
    if !input.starts_with(&BEGIN[..input.len().min(BEGIN.len())]) {
        return Err(NoProxyHeader);
    }
    let shown = &input[..input.len().min(MAX_LINE)];
    let Some(end) = memchr::memchr(b'\n', shown) else {
        let may_go_on = input.len() < MAX_LINE && memchr::memchr(b'\r', shown).is_none_or(|at| at + 1 == shown.len());
        return if may_go_on { Ok(None) } else { Err(NoProxyHeader) };
    };
    let text = shown[..end].strip_suffix(b"\r").and_then(|text| std::str::from_utf8(text).ok());
    // However the line comes in pieces, it ends at the first CR.
    let text = text.filter(|text| !text.contains('\r')).ok_or(NoProxyHeader)?;
    let words: Vec<&str> = text.split(' ').collect();
    let header = match words[..] {
        ["PROXY", "UNKNOWN", ..] => ProxyHeader::Unknown,
        ["PROXY", "TCP4", from, to, from_port, to_port] => {
            let address = |text: &str| text.parse::<Ipv4Addr>().map(IpAddr::from).map_err(|_| NoProxyHeader);
            client((address(from)?, port(from_port)?), (address(to)?, port(to_port)?))
        }
        ["PROXY", "TCP6", from, to, from_port, to_port] => {
            let address =
                |text: &str| text.parse::<Ipv6Addr>().map(|address| address.to_canonical()).map_err(|_| NoProxyHeader);
            client((address(from)?, port(from_port)?), (address(to)?, port(to_port)?))
        }
        _ => return Err(NoProxyHeader),
    };
    Ok(Some((header, end + 1)))
}

fn port(text: &str) -> Result<u16, NoProxyHeader> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(NoProxyHeader)
}

fn client(client: (IpAddr, u16), server: (IpAddr, u16)) -> ProxyHeader {
    ProxyHeader::Client { client: client.into(), server: server.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_within_the_line_is_refused_however_it_arrives() {
        let line = b"PROXY UNKNOWN a\rb\r\n";
        assert_eq!(ProxyHeader::read(line), Err(NoProxyHeader));
        assert_eq!(ProxyHeader::read(&line[..17]), Err(NoProxyHeader));
    }

    fn proxied(client: &str, server: &str) -> ProxyHeader {
        let address = |text: &str| text.parse().expect("an address");
        ProxyHeader::Client { client: address(client), server: address(server) }
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(rest.len()).expect("short").to_be_bytes());
        header.extend(rest);
        header
    }

    fn headers() -> Vec<(Vec<u8>, ProxyHeader)> {
        let four = [192, 0, 2, 1, 192, 0, 2, 2, 0xc3, 0x50, 1, 0xbb];
        let mut six = [0; 36];
        (six[0], six[1], six[15], six[31], six[33], six[35]) = (0x20, 0x01, 1, 2, 7, 80);
        let with_extension = [&four[..], &[4, 0, 1, 0]].concat();
        vec![
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n".to_vec(), proxied("192.0.2.1:50000", "192.0.2.2:443")),
            (b"PROXY TCP6 2001::1 ::2 7 80\r\n".to_vec(), proxied("[2001::1]:7", "[::2]:80")),
            (b"PROXY TCP6 ::ffff:192.0.2.1 ::2 7 80\r\n".to_vec(), proxied("192.0.2.1:7", "[::2]:80")),
            (b"PROXY UNKNOWN\r\n".to_vec(), ProxyHeader::Unknown),
            (b"PROXY UNKNOWN ff::1 ::2 7 80\r\n".to_vec(), ProxyHeader::Unknown),
            (version_2(0x21, 0x11, &four), proxied("192.0.2.1:50000", "192.0.2.2:443")),
            (version_2(0x21, 0x11, &with_extension), proxied("192.0.2.1:50000", "192.0.2.2:443")),
            (version_2(0x21, 0x21, &six), proxied("[2001::1]:7", "[::2]:80")),
            (version_2(0x20, 0x11, &four), ProxyHeader::Unknown),
            (version_2(0x21, 0x31, &[0; 216]), ProxyHeader::Unknown),
            (version_2(0x20, 0x00, &[]), ProxyHeader::Unknown),
        ]
    }

    #[test]
    fn a_header_is_read_when_its_last_byte_is_there_and_ends_there() {
        for (bytes, header) in headers() {
            for end in 0..bytes.len() {
                assert_eq!(ProxyHeader::read(&bytes[..end]), Ok(None), "{end} of {}", bytes.escape_ascii());
            }
            let longer = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(ProxyHeader::read(&longer), Ok(Some((header, bytes.len()))), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_cannot_become_a_header_is_refused_at_once() {
        let long = format!("PROXY UNKNOWN {}", "x".repeat(MAX_LINE));
        let table: [&[u8]; 14] = [
            b"G",
            b"PROXY\r",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\rX",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 65536\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 050 80\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +50 80\r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 50 80\r\n",
            b"PROXY TCP4 ::1 ::2 50 80\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 50 80\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 50 80\r\n",
            long.as_bytes(),
            b"\r\n\r\n\0\r\nQUIX",
            b"\r\n\r\n\0\r\nQUIT\n\x11",
        ];
        for bytes in table {
            assert_eq!(ProxyHeader::read(bytes), Err(NoProxyHeader), "{}", bytes.escape_ascii());
        }
        for (family, rest) in [(0x12, 12), (0x11, 11), (0x21, 35), (0x41, 0)] {
            assert_eq!(ProxyHeader::read(&version_2(0x21, family, &vec![0; rest])), Err(NoProxyHeader), "{family:#x}");
        }
        assert_eq!(ProxyHeader::read(&version_2(0x21, 0x11, &[0; MAX_REST + 1])), Err(NoProxyHeader));
    }
}
