//! Cache-Control: the directives of clients and pages for caches (RFC 9111, section 5.2).
//!
//! Never fails. Unknown directives are ignored. A malformed one gets the careful meaning: a lifetime is zero, the
//! freshness that a client wants is the longest. If a directive is there twice, the first one counts (section 4.2.1).
//! `no-cache` and `private` that name single fields apply to the whole response, as the RFC allows. Seconds beyond 2^31
//! are 2^31 (section 1.2.2).

use super::grammar::trim;
use std::time::Duration;

/// The directives of a request.
///
/// ```
/// use kirsch::http::RequestDirectives;
/// use std::time::Duration;
///
/// let directives = RequestDirectives::read(["max-age=60, no-store"]);
/// assert_eq!(directives.max_age, Some(Duration::from_secs(60)));
/// assert!(directives.no_store && !directives.no_cache);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// The answer must not be kept.
    pub no_store: bool,
    /// Nothing that is kept will do.
    pub no_cache: bool,
    /// Only something that is kept will do.
    pub only_if_cached: bool,
    /// How old the answer may be.
    pub max_age: Option<Duration>,
    /// How long the answer must stay fresh.
    pub min_fresh: Option<Duration>,
    /// How long the answer may be stale; [`Duration::MAX`] for any time.
    pub max_stale: Option<Duration>,
}

impl RequestDirectives {
    /// Reads the values of all Cache-Control fields of a request.
    #[must_use]
    pub fn read<V: AsRef<[u8]>>(fields: impl IntoIterator<Item = V>) -> Self {
        let mut all = Self::default();
        for field in fields {
            for Directive { name, argument } in directives(field.as_ref()) {
                let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
                match name.len() {
                    7 if is("max-age") => first(&mut all.max_age, argument.seconds().unwrap_or_default()),
                    8 if is("no-store") => all.no_store = true,
                    8 if is("no-cache") => all.no_cache = true,
                    9 if is("min-fresh") => first(&mut all.min_fresh, argument.seconds().unwrap_or(LONGEST)),
                    9 if is("max-stale") => {
                        let time = match argument {
                            Argument::Absent => Duration::MAX,
                            argument => argument.seconds().unwrap_or_default(),
                        };
                        first(&mut all.max_stale, time);
                    }
                    14 if is("only-if-cached") => all.only_if_cached = true,
                    _ => {}
                }
            }
        }
        all
    }
}

/// The directives of a response.
///
/// ```
/// use kirsch::http::ResponseDirectives;
/// use std::time::Duration;
///
/// let directives = ResponseDirectives::read(["public, s-maxage=\"600\"", "stale-while-revalidate=30"]);
/// assert!(directives.public);
/// assert_eq!(directives.s_maxage, Some(Duration::from_secs(600)));
/// assert_eq!(directives.stale_while_revalidate, Some(Duration::from_secs(30)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    /// No cache keeps it.
    pub no_store: bool,
    /// A cache that keeps it asks each time before using it.
    pub no_cache: bool,
    /// It is for one user: shared caches do not keep it.
    pub private: bool,
    /// Anybody may keep it, also where that is not usual.
    pub public: bool,
    /// It is not used when it is stale: `must-revalidate`, or `proxy-revalidate` for shared caches.
    pub must_revalidate: bool,
    /// How long it is fresh in shared caches.
    pub s_maxage: Option<Duration>,
    /// How long it is fresh.
    pub max_age: Option<Duration>,
    /// How long it may be used after that, while a fresh one is made (RFC 5861, section 3).
    pub stale_while_revalidate: Option<Duration>,
    /// How long it may be used after that in place of an error (RFC 5861, section 4).
    pub stale_if_error: Option<Duration>,
}

impl ResponseDirectives {
    /// Reads the values of all Cache-Control fields of a response.
    #[must_use]
    pub fn read<V: AsRef<[u8]>>(fields: impl IntoIterator<Item = V>) -> Self {
        let mut all = Self::default();
        for field in fields {
            for Directive { name, argument } in directives(field.as_ref()) {
                let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
                let seconds = || argument.seconds().unwrap_or_default();
                match name.len() {
                    6 if is("public") => all.public = true,
                    7 if is("private") => all.private = true,
                    7 if is("max-age") => first(&mut all.max_age, seconds()),
                    8 if is("no-store") => all.no_store = true,
                    8 if is("no-cache") => all.no_cache = true,
                    8 if is("s-maxage") => first(&mut all.s_maxage, seconds()),
                    14 if is("stale-if-error") => first(&mut all.stale_if_error, seconds()),
                    15 if is("must-revalidate") => all.must_revalidate = true,
                    16 if is("proxy-revalidate") => all.must_revalidate = true,
                    22 if is("stale-while-revalidate") => first(&mut all.stale_while_revalidate, seconds()),
                    _ => {}
                }
            }
        }
        all
    }
}

/// The longest time that a directive can say.
const LONGEST: Duration = Duration::from_secs(1 << 31);

/// Reads a number of seconds: digits only, more than 2^31 is 2^31 (RFC 9111, section 1.2.2). `None` for anything else.
#[must_use]
pub fn delta_seconds(text: &[u8]) -> Option<Duration> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = text.iter().fold(0u64, |sum, digit| (sum * 10 + u64::from(digit - b'0')).min(LONGEST.as_secs()));
    Some(Duration::from_secs(seconds))
}

fn first(place: &mut Option<Duration>, time: Duration) {
    place.get_or_insert(time);
}

struct Directive<'f> {
    name: &'f [u8],
    argument: Argument<'f>,
}

#[derive(Clone, Copy)]
enum Argument<'f> {
    Absent,
    /// A token, or the text between the quotes.
    Text(&'f [u8]),
    Malformed,
}

impl Argument<'_> {
    fn seconds(self) -> Option<Duration> {
        match self {
            Self::Text(text) => delta_seconds(text),
            Self::Absent | Self::Malformed => None,
        }
    }
}

/// The directives of one field. Commas may be within quotes, so a field is not split at them.
fn directives(mut rest: &[u8]) -> impl Iterator<Item = Directive<'_>> {
    std::iter::from_fn(move || {
        while let [b',' | b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b',', b'=', rest).unwrap_or(rest.len());
        let name = trim(&rest[..end]);
        rest = &rest[end..];
        let argument = match rest.strip_prefix(b"=") {
            Some(after) => {
                rest = after;
                take_argument(&mut rest)
            }
            None => Argument::Absent,
        };
        Some(Directive { name, argument })
    })
}

/// Takes the argument from the front of `rest`, up to the next comma outside of quotes.
fn take_argument<'f>(rest: &mut &'f [u8]) -> Argument<'f> {
    let text = trim_start(rest);
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = memchr::memchr(b',', text).unwrap_or(text.len());
        *rest = &text[end..];
        return Argument::Text(trim(&text[..end]));
    };
    let mut escaped = false;
    let closing = quoted.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    let Some(closing) = closing else {
        *rest = &[];
        return Argument::Malformed;
    };
    let after = &quoted[closing + 1..];
    let end = memchr::memchr(b',', after).unwrap_or(after.len());
    *rest = &after[end..];
    if trim(&after[..end]).is_empty() { Argument::Text(&quoted[..closing]) } else { Argument::Malformed }
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', after @ ..] = text {
        text = after;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::noise::Noise;
    use super::*;

    fn seconds(count: u64) -> Option<Duration> {
        Some(Duration::from_secs(count))
    }

    #[test]
    fn the_table_of_requests() {
        let none = RequestDirectives::default;
        let table = [
            ("", none()),
            (" , ,\t,", none()),
            ("no-store", RequestDirectives { no_store: true, ..none() }),
            ("No-Cache", RequestDirectives { no_cache: true, ..none() }),
            ("only-if-cached,max-age=5", RequestDirectives { only_if_cached: true, max_age: seconds(5), ..none() }),
            ("max-age=0", RequestDirectives { max_age: seconds(0), ..none() }),
            ("max-age=\"60\"", RequestDirectives { max_age: seconds(60), ..none() }),
            ("max-age = 60", RequestDirectives { max_age: seconds(60), ..none() }),
            ("max-age=60, max-age=0", RequestDirectives { max_age: seconds(60), ..none() }),
            ("max-age", RequestDirectives { max_age: seconds(0), ..none() }),
            ("max-age=", RequestDirectives { max_age: seconds(0), ..none() }),
            ("max-age=-1", RequestDirectives { max_age: seconds(0), ..none() }),
            ("max-age=1.5", RequestDirectives { max_age: seconds(0), ..none() }),
            ("max-age=\"60", RequestDirectives { max_age: seconds(0), ..none() }),
            ("max-age=\"60\"0", RequestDirectives { max_age: seconds(0), ..none() }),
            ("min-fresh=10", RequestDirectives { min_fresh: seconds(10), ..none() }),
            ("min-fresh=soon", RequestDirectives { min_fresh: seconds(1 << 31), ..none() }),
            ("max-stale", RequestDirectives { max_stale: Some(Duration::MAX), ..none() }),
            ("max-stale=10", RequestDirectives { max_stale: seconds(10), ..none() }),
            ("max-stale=long", RequestDirectives { max_stale: seconds(0), ..none() }),
            ("no-transform, community=\"UCI, no-store\"", none()),
            ("community=\"\\\", no-store", none()),
            ("community=\"a\\\"b\", no-store", RequestDirectives { no_store: true, ..none() }),
            ("xno-store, no-storex", none()),
        ];
        for (field, expected) in table {
            assert_eq!(RequestDirectives::read([field]), expected, "{field:?}");
        }
    }

    #[test]
    fn the_table_of_responses() {
        let none = ResponseDirectives::default;
        let table = [
            ("private", ResponseDirectives { private: true, ..none() }),
            ("private=\"Set-Cookie\"", ResponseDirectives { private: true, ..none() }),
            ("no-cache=\"Set-Cookie, X\", public", ResponseDirectives { no_cache: true, public: true, ..none() }),
            ("max-age=60,s-maxage=0", ResponseDirectives { max_age: seconds(60), s_maxage: seconds(0), ..none() }),
            ("s-maxage=junk", ResponseDirectives { s_maxage: seconds(0), ..none() }),
            ("must-revalidate", ResponseDirectives { must_revalidate: true, ..none() }),
            ("proxy-revalidate", ResponseDirectives { must_revalidate: true, ..none() }),
            ("STALE-WHILE-REVALIDATE=5", ResponseDirectives { stale_while_revalidate: seconds(5), ..none() }),
            ("stale-if-error=5", ResponseDirectives { stale_if_error: seconds(5), ..none() }),
            ("immutable, max-age=2147483648", ResponseDirectives { max_age: seconds(1 << 31), ..none() }),
        ];
        for (field, expected) in table {
            assert_eq!(ResponseDirectives::read([field]), expected, "{field:?}");
        }
    }

    #[test]
    fn several_fields_are_one_list() {
        let directives = ResponseDirectives::read(["public", "max-age=60", "max-age=1"]);
        assert_eq!(directives, ResponseDirectives { public: true, max_age: seconds(60), ..Default::default() });
    }

    #[test]
    fn a_number_that_is_too_large_is_two_to_the_31() {
        for text in ["2147483648", "4294967296", "99999999999999999999999999999999", "00000000000000000009999999999"] {
            assert_eq!(delta_seconds(text.as_bytes()), seconds(1 << 31), "{text}");
        }
        assert_eq!(delta_seconds(b"2147483647"), seconds((1 << 31) - 1));
        assert_eq!(delta_seconds("١".as_bytes()), None);
    }

    #[test]
    fn nothing_breaks_the_reading() {
        let mut noise = Noise::new();
        for _ in 0..5_000 {
            let mut input = b"max-age=\"6\\\"0\", no-cache=\"a, b\", s-maxage=1".to_vec();
            noise.mutate(&mut input, b",;=\" \\\t09a\xff");
            let _ = (RequestDirectives::read([&input]), ResponseDirectives::read([&input]));
        }
    }
}
