//! Conditional requests (RFC 9110, section 13): whether the client's copy is still current.
//!
//! The fields are evaluated in the order of section 13.2.2: If-Match, else If-Unmodified-Since; then If-None-Match,
//! else If-Modified-Since; then If-Range. The time of day comes in as an argument.
//!
//! Strict where a mistake would cost. A malformed condition never makes a 304, lets no change through and joins no
//! parts of different files. Dates are compared as dates, in all three forms, never as text (CherryPy compares text).

use super::RequestHead;
use super::date::parse_date;
use super::grammar::trim;
use ::http::Method;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An entity tag, which tells two states of a page apart (RFC 9110, section 8.8.3).
///
/// ```
/// use kirsch::http::EntityTag;
///
/// let tag = EntityTag::parse(b"W/\"v1\"").unwrap();
/// assert_eq!((tag.weak, tag.opaque), (true, &b"v1"[..]));
/// assert!(tag.matches_weakly(EntityTag::strong(b"v1")));
/// assert!(!tag.matches_strongly(tag));
/// assert_eq!(tag.to_string(), "W/\"v1\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTag<'t> {
    /// Whether equal tags promise the same meaning only (`W/`), and not the same bytes.
    pub weak: bool,
    /// The text between the quotes.
    pub opaque: &'t [u8],
}

impl<'t> EntityTag<'t> {
    /// The strong tag with this text.
    #[must_use]
    pub fn strong(opaque: &'t [u8]) -> Self {
        Self { weak: false, opaque }
    }

    /// Reads one tag, with its quotes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &'t [u8]) -> Option<Self> {
        let (weak, quoted) = match text.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, text),
        };
        let opaque = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        opaque.iter().all(|&byte| is_tag_byte(byte)).then_some(Self { weak, opaque })
    }

    /// Whether both stand for the same bytes: same text, none of them weak.
    #[must_use]
    pub fn matches_strongly(self, other: EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Whether both stand for the same meaning: same text.
    #[must_use]
    pub fn matches_weakly(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

impl fmt::Display for EntityTag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.weak { "W/" } else { "" };
        write!(f, "{prefix}\"{}\"", String::from_utf8_lossy(self.opaque))
    }
}

/// The present state of a page, to compare with the client's conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators<'v> {
    /// Its entity tag, as the ETag field says it.
    pub etag: Option<EntityTag<'v>>,
    /// When it was last changed, as the Last-Modified field says it; parts of seconds do not count.
    pub last_modified: Option<SystemTime>,
}

/// The result of the conditions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Carry out the request.
    Met {
        /// Whether a Range field is to be obeyed: there is one, the method is GET, and If-Range, if there, fits.
        range: bool,
    },
    /// 304: the client's copy is current.
    NotModified,
    /// 412: the client means another state than the present one.
    Failed,
}

impl Precondition {
    /// Evaluates the conditions of a request with `method` and `head`. `present` is the state of the page, `None` when
    /// there is none yet, such as before a PUT that makes it.
    ///
    /// ```
    /// use kirsch::http::{EntityTag, HeadLimits, Precondition, RequestHead, Validators};
    ///
    /// let mut head = RequestHead::new();
    /// head.read(b"GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"v1\"\r\n\r\n", &mut 0, &HeadLimits::default())?;
    /// let now = std::time::SystemTime::now();
    /// let evaluate = |tag| {
    ///     let present = Validators { etag: EntityTag::parse(tag), last_modified: None };
    ///     Precondition::evaluate(head.method(), &head, Some(&present), now)
    /// };
    /// assert_eq!(evaluate(b"\"v1\""), Precondition::NotModified);
    /// assert_eq!(evaluate(b"\"v2\""), Precondition::Met { range: false });
    /// # Ok::<(), kirsch::http::Refusal>(())
    /// ```
    #[must_use]
    pub fn evaluate(method: &Method, head: &RequestHead, present: Option<&Validators<'_>>, now: SystemTime) -> Self {
        let fields = Fields::of(head);
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let last_modified = present.and_then(|present| present.last_modified).map(whole_second);
        let may_go_on = match (fields.if_match, fields.if_unmodified_since) {
            (Field::Absent, Field::Absent) => true,
            (Field::Absent, date) => match (date.date(now), last_modified) {
                (Some(date), Some(last_modified)) => last_modified <= date,
                _ => true,
            },
            _ => any_tag(head, "if-match", present, |one, other| one.matches_strongly(other)).unwrap_or(false),
        };
        if !may_go_on {
            return Self::Failed;
        }
        match (fields.if_none_match, fields.if_modified_since) {
            (Field::Absent, Field::Absent) => {}
            (Field::Absent, date) if reads => {
                if let (Some(date), Some(last_modified)) = (date.date(now), last_modified)
                    && date <= now + MAX_AHEAD
                    && last_modified <= date
                {
                    return Self::NotModified;
                }
            }
            (Field::Absent, _) => {}
            _ => match any_tag(head, "if-none-match", present, |one, other| one.matches_weakly(other)) {
                Some(true) if reads => return Self::NotModified,
                // A malformed condition may have been meant to prevent this change.
                Some(true) | None if !reads => return Self::Failed,
                _ => {}
            },
        }
        let range = *method == Method::GET && fields.range && fields.if_range.fits(present, now);
        Self::Met { range }
    }
}

/// The longest that a client's date may be ahead of this clock. A date too far ahead to be clock skew cannot have come
/// from a server; trusting it would hide every change until then.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// How long after a change its date cannot yet tell one state from the next: a second may have seen two changes.
const DATE_SETTLES: Duration = Duration::from_secs(1);

/// A field of which there should be one.
#[derive(Clone, Copy, Debug, Default)]
enum Field<'h> {
    #[default]
    Absent,
    Single(&'h [u8]),
    Repeated,
}

impl<'h> Field<'h> {
    fn add(&mut self, value: &'h [u8]) {
        *self = match self {
            Self::Absent => Self::Single(value),
            Self::Single(_) | Self::Repeated => Self::Repeated,
        };
    }

    fn date(self, now: SystemTime) -> Option<SystemTime> {
        match self {
            Self::Single(text) => parse_date(text, now),
            Self::Absent | Self::Repeated => None,
        }
    }

    /// Whether this, as If-Range, names the present state: by a strong tag, or by exactly its date once that has
    /// settled.
    fn fits(self, present: Option<&Validators<'_>>, now: SystemTime) -> bool {
        let text = match self {
            Self::Absent => return true,
            Self::Single(text) => text,
            Self::Repeated => return false,
        };
        let Some(present) = present else { return false };
        if let Some(tag) = EntityTag::parse(text) {
            return present.etag.is_some_and(|etag| etag.matches_strongly(tag));
        }
        let Some(last_modified) = present.last_modified.map(whole_second) else { return false };
        let settled = now.duration_since(last_modified).is_ok_and(|age| age >= DATE_SETTLES);
        settled && self.date(now) == Some(last_modified)
    }
}

/// The conditions of a request, found in one pass.
#[derive(Debug, Default)]
struct Fields<'h> {
    if_match: Field<'h>,
    if_none_match: Field<'h>,
    if_modified_since: Field<'h>,
    if_unmodified_since: Field<'h>,
    if_range: Field<'h>,
    range: bool,
}

impl<'h> Fields<'h> {
    fn of(head: &'h RequestHead) -> Self {
        let mut fields = Self::default();
        for (name, value) in head.headers() {
            // Nearly all names differ in the first letter.
            if !matches!(name.as_bytes()[0], b'i' | b'I' | b'r' | b'R') {
                continue;
            }
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            match name.len() {
                5 if is("range") => fields.range = true,
                8 if is("if-match") => fields.if_match.add(value),
                8 if is("if-range") => fields.if_range.add(value),
                13 if is("if-none-match") => fields.if_none_match.add(value),
                17 if is("if-modified-since") => fields.if_modified_since.add(value),
                19 if is("if-unmodified-since") => fields.if_unmodified_since.add(value),
                _ => {}
            }
        }
        fields
    }
}

/// Whether one of the tags in all fields called `name` matches the present state; `*` matches any. `None` when a field
/// breaks the grammar.
fn any_tag(
    head: &RequestHead,
    name: &str,
    present: Option<&Validators<'_>>,
    matches: impl Fn(EntityTag<'_>, EntityTag<'_>) -> bool,
) -> Option<bool> {
    // Fields without a value add nothing to the list.
    let mut values = head.headers_named(name).filter(|value| !value.is_empty());
    let first = values.next()?;
    if first == b"*" {
        return values.next().is_none().then_some(present.is_some());
    }
    let etag = present.and_then(|present| present.etag);
    let mut any = false;
    for value in std::iter::once(first).chain(values) {
        let mut rest = value;
        while let Some(tag) = next_tag(&mut rest)? {
            any |= etag.is_some_and(|etag| matches(etag, tag));
        }
    }
    Some(any)
}

/// Takes the next tag of a list from the front of `rest`; the inner `None` is the end of the list, the outer one a
/// broken rule. Commas may be in tags, so a list is not split at them.
#[expect(clippy::option_option, reason = "the outer one says whether the list can be read")]
fn next_tag<'t>(rest: &mut &'t [u8]) -> Option<Option<EntityTag<'t>>> {
    *rest = trim(rest);
    // Empty elements are ignored (RFC 9110, section 5.6.1).
    while let Some(after) = rest.strip_prefix(b",") {
        *rest = trim(after);
    }
    if rest.is_empty() {
        return Some(None);
    }
    let opening = if rest.starts_with(b"W/") { 2 } else { 0 };
    let text = rest.get(opening + 1..)?;
    let end = opening + 1 + memchr::memchr(b'"', text)? + 1;
    let tag = EntityTag::parse(&rest[..end])?;
    *rest = trim(&rest[end..]);
    (rest.is_empty() || rest.starts_with(b",")).then_some(Some(tag))
}

/// Whether a tag may contain `byte`: visible ASCII but for the quote, and everything above ASCII.
fn is_tag_byte(byte: u8) -> bool {
    byte == b'!' || (byte >= b'#' && byte != 0x7f)
}

/// The time as HTTP can say it. Times before 1970 are as old as HTTP can say.
fn whole_second(time: SystemTime) -> SystemTime {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::super::{HeadLimits, noise::Noise};
    use super::Precondition::{Failed, NotModified};
    use super::*;

    const WHOLE: Precondition = Precondition::Met { range: false };
    const PART: Precondition = Precondition::Met { range: true };

    /// Sun, 06 Nov 1994 08:49:37 GMT, and half a second.
    const CHANGED: Duration = Duration::from_millis(784_111_777_500);

    fn evaluate(lines: &str, present: Option<&Validators<'_>>) -> Precondition {
        let mut head = RequestHead::new();
        let (first, fields) = lines.split_once('\n').unwrap_or((lines, ""));
        let fields: String = fields.split_terminator('\n').map(|field| format!("{field}\r\n")).collect();
        let text = format!("{first} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        head.read(text.as_bytes(), &mut 0, &HeadLimits::default()).expect(lines).expect("a whole head");
        let now = UNIX_EPOCH + CHANGED + Duration::from_secs(3600);
        Precondition::evaluate(head.method(), &head, present, now)
    }

    fn strong() -> Validators<'static> {
        Validators { etag: Some(EntityTag::strong(b"a")), last_modified: Some(UNIX_EPOCH + CHANGED) }
    }

    fn check(table: &[(&str, Precondition)], present: Option<&Validators<'_>>) {
        for (lines, expected) in table {
            assert_eq!(evaluate(lines, present), *expected, "{lines}");
        }
    }

    #[test]
    fn tags_are_compared_weakly_for_what_the_client_has() {
        let table = [
            ("GET\nIf-None-Match: \"a\"", NotModified),
            ("HEAD\nIf-None-Match: \"a\"", NotModified),
            ("GET\nIf-None-Match: W/\"a\"", NotModified),
            ("GET\nIf-None-Match: \"b\"", WHOLE),
            ("GET\nIf-None-Match: \"b\", \"a,\" , ,\"a\"", NotModified),
            ("GET\nIf-None-Match: \"b\"\nIf-None-Match: \"a\"", NotModified),
            ("GET\nIf-None-Match: *", NotModified),
            ("PUT\nIf-None-Match: *", Failed),
            ("PUT\nIf-None-Match: \"a\"", Failed),
            ("PUT\nIf-None-Match: \"b\"", WHOLE),
        ];
        check(&table, Some(&strong()));
    }

    #[test]
    fn tags_are_compared_strongly_for_what_the_client_means() {
        let table = [
            ("PUT\nIf-Match: \"a\"", WHOLE),
            ("PUT\nIf-Match: \"b\", \"a\"", WHOLE),
            ("PUT\nIf-Match: W/\"a\"", Failed),
            ("PUT\nIf-Match: \"b\"", Failed),
            ("PUT\nIf-Match: *", WHOLE),
            ("GET\nIf-Match: \"b\"", Failed),
        ];
        check(&table, Some(&strong()));
        let weak = Validators { etag: EntityTag::parse(b"W/\"a\""), last_modified: None };
        check(&[("PUT\nIf-Match: \"a\"", Failed), ("GET\nIf-None-Match: \"a\"", NotModified)], Some(&weak));
    }

    #[test]
    fn a_page_that_does_not_exist_matches_nothing() {
        let table = [("PUT\nIf-Match: *", Failed), ("PUT\nIf-None-Match: *", WHOLE), ("PUT\nIf-Match: \"a\"", Failed)];
        check(&table, None);
    }

    #[test]
    fn dates_are_compared_as_dates_in_all_three_forms() {
        let table = [
            ("GET\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", NotModified),
            ("HEAD\nIf-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", NotModified),
            ("GET\nIf-Modified-Since: sun, 06 nov 1994 08:49:37 gmt", NotModified),
            ("GET\nIf-Modified-Since: SUNDAY, 06-NOV-94 08:49:37 GMT", NotModified),
            ("GET\nIf-Modified-Since: Sun Nov  6 08:49:37 1994", NotModified),
            ("GET\nIf-Modified-Since: Sun, 06 Nov 1994 08:50:00 GMT", NotModified),
            ("GET\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", WHOLE),
            ("GET\nIf-Modified-Since: yesterday", WHOLE),
            ("GET\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\nIf-Modified-Since: x", WHOLE),
            ("POST\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", WHOLE),
            ("PUT\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", WHOLE),
            ("PUT\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", Failed),
            ("GET\nIf-Unmodified-Since: Saturday, 05-Nov-94 00:00:00 GMT", Failed),
            ("PUT\nIf-Unmodified-Since: never", WHOLE),
        ];
        check(&table, Some(&strong()));
        let without = Validators::default();
        check(&[("GET\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", WHOLE)], Some(&without));
    }

    #[test]
    fn a_date_in_the_future_is_ignored_unless_a_clock_may_be_that_wrong() {
        let table = [
            ("GET\nIf-Modified-Since: Sun, 06 Nov 1994 10:00:00 GMT", NotModified),
            ("GET\nIf-Modified-Since: Tue, 08 Nov 1994 10:00:00 GMT", WHOLE),
        ];
        check(&table, Some(&strong()));
    }

    #[test]
    fn tags_go_before_dates() {
        let table = [
            ("GET\nIf-None-Match: \"b\"\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", WHOLE),
            ("GET\nIf-Modified-Since: Sat, 05 Nov 1994 08:49:37 GMT\nIf-None-Match: \"a\"", NotModified),
            ("PUT\nIf-Match: \"a\"\nIf-Unmodified-Since: Sat, 05 Nov 1994 08:49:37 GMT", WHOLE),
            ("GET\nIf-Match: \"b\"\nIf-None-Match: \"a\"", Failed),
            ("GET\nIf-Match: \"a\"\nIf-None-Match: \"a\"", NotModified),
            ("GET\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\nIf-None-Match: \"a\"", NotModified),
        ];
        check(&table, Some(&strong()));
    }

    #[test]
    fn a_malformed_condition_makes_no_304_and_lets_no_change_through() {
        for tags in
            ["a", "\"a", "a\"", "w/\"a\"", "W/a", "\"a\" \"b\"", "\"a\", b", "*, \"a\"", "\"a\", *", "W/", "\"a b\""]
        {
            assert_eq!(evaluate(&format!("GET\nIf-None-Match: {tags}"), Some(&strong())), WHOLE, "{tags}");
            assert_eq!(evaluate(&format!("PUT\nIf-None-Match: {tags}"), Some(&strong())), Failed, "{tags}");
            assert_eq!(evaluate(&format!("PUT\nIf-Match: {tags}"), Some(&strong())), Failed, "{tags}");
            assert_eq!(evaluate(&format!("GET\nRange: x\nIf-Range: {tags}"), Some(&strong())), WHOLE, "{tags}");
        }
    }

    #[test]
    fn parts_are_sent_only_of_the_state_that_the_client_has() {
        let table = [
            ("GET\nRange: bytes=0-1", PART),
            ("HEAD\nRange: bytes=0-1", WHOLE),
            ("POST\nRange: bytes=0-1", WHOLE),
            ("GET\nIf-Range: \"a\"", WHOLE),
            ("GET\nRange: bytes=0-1\nIf-Range: \"a\"", PART),
            ("GET\nRange: bytes=0-1\nIf-Range: \"b\"", WHOLE),
            ("GET\nRange: bytes=0-1\nIf-Range: W/\"a\"", WHOLE),
            ("GET\nRange: bytes=0-1\nIf-Range: \"a\"\nIf-Range: \"a\"", WHOLE),
            ("GET\nRange: bytes=0-1\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT", PART),
            ("GET\nRange: bytes=0-1\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT", WHOLE),
            ("GET\nRange: bytes=0-1\nIf-None-Match: \"a\"", NotModified),
            ("GET\nRange: bytes=0-1\nIf-Match: \"b\"", Failed),
        ];
        check(&table, Some(&strong()));
        let weak = Validators { etag: EntityTag::parse(b"W/\"a\""), last_modified: None };
        check(&[("GET\nRange: bytes=0-1\nIf-Range: \"a\"", WHOLE)], Some(&weak));
    }

    #[test]
    fn a_date_that_has_not_settled_tells_nothing() {
        let mut head = RequestHead::new();
        let text = b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        head.read(text, &mut 0, &HeadLimits::default()).unwrap();
        let second = UNIX_EPOCH + Duration::from_secs(CHANGED.as_secs());
        for (later, expected) in [(0, WHOLE), (999, WHOLE), (1000, PART)] {
            let now = second + Duration::from_millis(later);
            assert_eq!(Precondition::evaluate(head.method(), &head, Some(&strong()), now), expected, "{later}");
        }
    }

    #[test]
    fn nothing_breaks_the_lists() {
        let mut noise = Noise::new();
        for _ in 0..5_000 {
            let mut list = b"\"a\", W/\"b\", \"c,d\"".to_vec();
            noise.mutate(&mut list, b"\",W/*a \t\xff");
            let mut rest = &list[..];
            let mut tags = 0;
            while let Some(Some(tag)) = next_tag(&mut rest) {
                assert!(tag.opaque.iter().all(|&byte| is_tag_byte(byte)));
                tags += 1;
            }
            assert!(tags <= 6);
        }
    }
}
