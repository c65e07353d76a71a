//! The access record: one line for each response.
//!
//! ```text
//! 127.0.0.1 - - [21/Nov/2026:01:02:03 +0000] "GET /song/42 HTTP/1.1" 200 2 "-" "curl/8.5.0" 0.000123 000000000000002a
//! client   who     begin of the request            request line    status bytes referer agent seconds request number
//! ```
//!
//! Combined Log Format, as Apache and nginx write it, and two more columns: the seconds from the complete head to the
//! last byte, and the number of the request, which is also on its error page and in the error log. Loggers that know
//! key-values get the columns by name.

use super::clock::ClockTime;
use crate::exchange::{
    Delivery, Exchange, KEY_PARAMETER, Login, RemoteText, RequestId, TraceId, bytes_without_key, without_key,
};
use log::kv::{self, Key, Source, Value, VisitSource};
use std::borrow::Cow;
use std::fmt::{Display, Formatter, Result, Write};
use std::time::{Duration, SystemTime};

/// Writes the record, if anybody listens.
#[inline]
pub(crate) fn access(exchange: &Exchange, delivery: &Delivery) {
    if log::log_enabled!(target: super::ACCESS, log::Level::Info) {
        write(exchange, delivery);
    }
}

/// Put into the values of an exchange that is nobody's news: it gets no record.
#[cfg(any(debug_assertions, feature = "dev"))]
pub(crate) struct Unrecorded;

#[cold]
fn write(exchange: &Exchange, delivery: &Delivery) {
    #[cfg(any(debug_assertions, feature = "dev"))]
    if exchange.values.get::<Unrecorded>().is_some() {
        return;
    }
    let request = &exchange.request;
    let record = Record {
        exchange,
        now: SystemTime::now(),
        duration: delivery.duration(),
        bytes: delivery.body_bytes,
        client: RemoteText(request.remote()),
        request: request.id(),
        trace: request.trace_id(),
        query: request.head.target().split_once('?').map(|(_, query)| without_key(query)),
        referer: request.head.headers_named("referer").next().map(bytes_without_key),
    };
    let to = log::logger();
    let builder = &mut log::Record::builder();
    builder.level(log::Level::Info).target(super::ACCESS).key_values(&record);
    to.log(&builder.args(format_args!("{record}")).build());
}

struct Record<'a> {
    exchange: &'a Exchange,
    now: SystemTime,
    duration: Duration,
    bytes: u64,
    client: RemoteText,
    request: RequestId,
    trace: TraceId,
    /// As the client sent it; nothing when the server could not read it. Like the referer without the key of a link.
    query: Option<Cow<'a, str>>,
    referer: Option<Cow<'a, [u8]>>,
}

/// The columns for programs, by their names.
impl Source for Record<'_> {
    fn visit<'kvs>(&'kvs self, to: &mut dyn VisitSource<'kvs>) -> std::result::Result<(), kv::Error> {
        let (request, response) = (&self.exchange.request, &self.exchange.response);
        let head = &request.head;
        let mut tell = |key: &'static str, value: Value<'kvs>| to.visit_pair(Key::from_str(key), value);
        tell("client", Value::from_display(&self.client))?;
        if let Some(login) = Login::of(self.exchange) {
            tell("user", Value::from(login.name()))?;
        }
        // As the client sent it; nothing when the server could not read it.
        if !head.target().is_empty() {
            tell("method", Value::from(head.method().as_str()))?;
            let path = head.target().split_once('?').map_or_else(|| head.target(), |(path, _)| path);
            tell("path", Value::from(path))?;
            if let Some(query) = &self.query {
                tell("query", Value::from(&**query))?;
            }
        }
        tell("status", Value::from(response.status().as_u16()))?;
        tell("bytes", Value::from(self.bytes))?;
        tell("duration", Value::from(self.duration.as_secs_f64()))?;
        let (host, agent) = (head.headers_named("host").next(), head.headers_named("user-agent").next());
        for (key, value) in [("host", host), ("referer", self.referer.as_deref()), ("agent", agent)] {
            if let Some(value) = value {
                match std::str::from_utf8(value) {
                    Ok(value) => tell(key, Value::from(value))?,
                    Err(_) => tell(key, Value::from("(not UTF-8)"))?,
                }
            }
        }
        tell("request", Value::from_display(&self.request))?;
        tell("trace", Value::from_display(&self.trace))
    }
}

impl Display for Record<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { exchange, now, duration, .. } = self;
        let request = &exchange.request;
        let began = now.checked_sub(*duration).unwrap_or(*now);
        write!(f, "{} - ", self.client)?;
        match Login::of(exchange) {
            // Spaces would move the columns that follow.
            Some(login) if !login.name().is_empty() => write!(f, "{}", Word(login.name().as_bytes()))?,
            _ => f.write_char('-')?,
        }
        write!(f, " [{}] \"", ClockTime(began))?;
        // The line as the client sent it, even after internal redirects; nothing when the server could not read it.
        match request.head.target() {
            "" => f.write_char('-')?,
            target if target.contains(KEY_PARAMETER) => {
                f.write_str(&without_key(&request.head.request_line().to_string()))?;
            }
            _ => write!(f, "{}", request.head.request_line())?,
        }
        write!(f, "\" {} ", exchange.response.status().as_u16())?;
        match self.bytes {
            0 => f.write_char('-')?,
            bytes => write!(f, "{bytes}")?,
        }
        for value in [self.referer.as_deref(), request.head.headers_named("user-agent").next()] {
            match value {
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
