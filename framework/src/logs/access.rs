//! The access record: one line for each response.
//!
//! ```text
//! 127.0.0.1 - - [21/Nov/2026:01:02:03 +0000] "GET /song/42 HTTP/1.1" 200 2 "-" "curl/8.5.0" 0.000123 000000000000002a
//! client   who     begin of the request            request line    status bytes referer agent seconds request number
//! ```
//!
//! Combined Log Format, as Apache and nginx write it, and two more columns: the seconds from the complete head to the
//! last byte, and the number of the request, which is also on its error page and in the error log.

use super::clock::ClockTime;
use crate::exchange::Delivery;
use crate::exchange::{Exchange, Login};
use std::fmt::{Display, Formatter, Result, Write};
use std::time::SystemTime;

/// Writes the record, if anybody listens.
pub(crate) fn access(exchange: &Exchange, delivery: &Delivery) {
    // The macro evaluates its arguments only when the target is enabled.
    log::info!(target: super::ACCESS, "{}", Record { exchange, delivery, now: SystemTime::now() });
}

struct Record<'a> {
    exchange: &'a Exchange,
    delivery: &'a Delivery,
    now: SystemTime,
}

impl Display for Record<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { exchange, delivery, now } = self;
        let request = &exchange.request;
        let duration = delivery.duration();
        let began = now.checked_sub(duration).unwrap_or(*now);
        write!(f, "{} - ", request.remote())?;
        match Login::of(exchange) {
            // Spaces would move the columns that follow.
            Some(login) if !login.name().is_empty() => write!(f, "{}", Word(login.name().as_bytes()))?,
            _ => f.write_char('-')?,
        }
        write!(f, " [{}] \"", ClockTime(began))?;
        // The line as the client sent it, even after internal redirects; nothing when the server could not read it.
        match request.head.target() {
            "" => f.write_char('-')?,
            _ => write!(f, "{}", request.head.request_line())?,
        }
        write!(f, "\" {} ", exchange.response.status().as_u16())?;
        match delivery.body_bytes {
            0 => f.write_char('-')?,
            bytes => write!(f, "{bytes}")?,
        }
        for name in ["referer", "user-agent"] {
            match request.head.headers_named(name).next() {
                Some(value) => write!(f, " \"{}\"", Quoted(value))?,
                None => f.write_str(" \"-\"")?,
            }
        }
        write!(f, " {}.{:06} {}", duration.as_secs(), duration.subsec_micros(), request.id())
    }
}

/// Bytes of a client between quotes: quotes, backslashes and all bytes that are not printable ASCII are escaped, as in
/// Apache.
struct Quoted<'a>(&'a [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for &byte in self.0 {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                b' '..=b'~' => f.write_char(byte.into())?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

/// Like [`Quoted`], for a value without quotes around it, so spaces are escaped, too.
struct Word<'a>(&'a [u8]);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for part in self.0.split_inclusive(|&byte| byte == b' ') {
            match part.strip_suffix(b" ") {
                Some(before) => write!(f, "{}\\x20", Quoted(before))?,
                None => write!(f, "{}", Quoted(part))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_can_forge_a_record() {
        let hostile = b"a\"b\\c\r\n127.0.0.1 \xe9\0";
        assert_eq!(Quoted(hostile).to_string(), r#"a\"b\\c\x0d\x0a127.0.0.1 \xe9\x00"#);
        assert_eq!(Word(b"anna b \"").to_string(), r#"anna\x20b\x20\""#);
    }
}
