//! Terms: for how long and for whom a response may be used again (RFC 9111, sections 3, 4.2 and 5.2).
//!
//! Pure: the response, the settings and the time of day come in, durations go out. From then on only durations are
//! compared, on the monotonic clock, so that a calendar that is set ages nothing and revives nothing.

use crate::http::{RequestDirectives, ResponseDirectives, delta_seconds, list_has, list_members, parse_date};
use crate::{HeaderValue, Response, header};
use std::time::{Duration, SystemTime};

/// The permission of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// How old it may become and still be fresh.
    pub(super) lifetime: Duration,
    /// How old it was when it came: the value of its own Age field, if it came from another server.
    pub(super) age: Duration,
    /// How long a stale one serves while one request makes a fresh one.
    pub(super) stale_while_revalidate: Duration,
    /// How long a stale one serves in place of an error.
    pub(super) stale_if_error: Duration,
    /// Whether a stale one serves those who say that they would take it.
    may_be_stale: bool,
    /// Whether it was made for everybody, so that users who have logged in get it, too.
    pub(super) for_authorized: bool,
}

/// The settings of a path for responses that do not say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    pub(super) lifetime: Duration,
    pub(super) stale_while_revalidate: Duration,
    pub(super) stale_if_error: Duration,
}

/// Whether a kept response will do for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Yes.
    Fresh,
    /// Yes, if another request makes a fresh one at the same time.
    WhileRevalidated,
    /// No.
    Unusable,
}

impl Terms {
    /// The terms of a response; `None` if it must not be kept, or would be of no use. `is_authorized` says whether the
    /// request had an Authorization field, `now` is the time of day.
    pub(super) fn of(response: &Response, is_authorized: bool, defaults: &Defaults, now: SystemTime) -> Option<Self> {
        let fields = |wanted| response.headers().filter(move |(name, _)| **name == wanted).map(|(_, value)| value);
        let directives = ResponseDirectives::read(fields(header::CACHE_CONTROL).map(|value| value.as_bytes()));
        let said = response.header(&header::CACHE_CONTROL).is_some();
        let pragma = list_has(fields(header::PRAGMA).map(HeaderValue::as_bytes), "no-cache");
        if directives.no_store || directives.no_cache || directives.private || (pragma && !said) {
            return None;
        }
        // A response that gives a user a name is for that user alone; so is a stream of events, which never ends.
        const EVENTS: &[u8] = b"text/event-stream";
        let is_events = fields(header::CONTENT_TYPE)
            .any(|value| value.as_bytes().get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS)));
        if response.header(&header::SET_COOKIE).is_some() || is_events {
            return None;
        }
        // RFC 9111, section 3.5.
        let for_authorized = directives.public || directives.must_revalidate || directives.s_maxage.is_some();
        if is_authorized && !for_authorized {
            return None;
        }
        // A response that was fetched from another server may bring its date along: it has aged since, and by that
        // clock it expires (sections 4.2.1 and 4.2.3).
        let made = response.date().and_then(|date| parse_date(date.as_bytes(), now)).unwrap_or(now);
        let until_expires = || {
            let mut dates = fields(header::EXPIRES);
            let date = dates.next()?;
            // "0" and other nonsense is a date in the past (section 5.3).
            let date = parse_date(date.as_bytes(), now);
            Some(date.and_then(|date| date.duration_since(made).ok()).unwrap_or_default())
        };
        let lifetime = directives.s_maxage.or(directives.max_age).or_else(until_expires).unwrap_or(defaults.lifetime);
        // s-maxage forbids stale answers as proxy-revalidate does (section 5.2.2.10).
        let may_be_stale = !directives.must_revalidate && directives.s_maxage.is_none();
        let when_stale = |said: Option<Duration>, default| match directives.must_revalidate {
            true => Duration::ZERO,
            // A page that says so for this response knows better than s-maxage.
            false => said.unwrap_or(if may_be_stale { default } else { Duration::ZERO }),
        };
        let terms = Self {
            lifetime,
            // Of several the first counts (section 5.1).
            age: list_members(fields(header::AGE).map(HeaderValue::as_bytes))
                .next()
                .and_then(delta_seconds)
                .unwrap_or_default()
                .max(now.duration_since(made).unwrap_or_default()),
            stale_while_revalidate: when_stale(directives.stale_while_revalidate, defaults.stale_while_revalidate),
            stale_if_error: when_stale(directives.stale_if_error, defaults.stale_if_error),
            may_be_stale,
            for_authorized,
        };
        (!terms.time_of_use().is_zero()).then_some(terms)
    }

    /// How long after it came it can be of use.
    pub(super) fn time_of_use(&self) -> Duration {
        let stale = self.stale_while_revalidate.max(self.stale_if_error);
        self.lifetime.saturating_add(stale).saturating_sub(self.age)
    }

    /// Whether a response of this age will do.
    pub(super) fn judge(&self, age: Duration, request: &RequestDirectives) -> Verdict {
        if request.no_cache || request.max_age.is_some_and(|most| most.is_zero() || age > most) {
            return Verdict::Unusable;
        }
        let is_fresh = age < self.lifetime;
        let left = self.lifetime.saturating_sub(age);
        if request.min_fresh.is_some_and(|least| !is_fresh || left < least) {
            return Verdict::Unusable;
        }
        let stale = age.saturating_sub(self.lifetime);
        if is_fresh || (self.may_be_stale && request.max_stale.is_some_and(|most| stale <= most)) {
            return Verdict::Fresh;
        }
        if stale < self.stale_while_revalidate { Verdict::WhileRevalidated } else { Verdict::Unusable }
    }

    /// Whether a response of this age may stand in for an error.
    pub(super) fn serves_in_place_of_error(&self, age: Duration) -> bool {
        age.saturating_sub(self.lifetime) < self.stale_if_error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::FixedDate;
    use crate::{HeaderName, HeaderValue};
    use std::time::UNIX_EPOCH;

    const DEFAULTS: Defaults = Defaults {
        lifetime: Duration::from_secs(600),
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
    };

    fn terms_for(fields: &str, is_authorized: bool) -> Option<Terms> {
        let mut response = Response::new();
        for line in fields.lines() {
            let (name, value) = line.split_once(": ").expect("a field");
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            response.add_header(name, HeaderValue::from_str(value).expect("a value"));
        }
        // Sun, 06 Nov 1994 08:49:37 GMT.
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        Terms::of(&response, is_authorized, &DEFAULTS, now)
    }

    fn lifetime(fields: &str) -> Option<u64> {
        terms_for(fields, false).map(|terms| terms.lifetime.as_secs())
    }

    #[test]
    fn how_long_a_response_is_fresh() {
        let table = [
            ("", Some(600)),
            ("Cache-Control: max-age=60", Some(60)),
            ("Cache-Control: max-age=60, s-maxage=5", Some(5)),
            ("Cache-Control: max-age=60\nExpires: Sun, 06 Nov 1994 09:49:37 GMT", Some(60)),
            ("Expires: Sun, 06 Nov 1994 09:49:37 GMT", Some(3600)),
            ("Expires: Sunday, 06-Nov-94 08:49:38 GMT", Some(1)),
            ("Expires: Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Expires: 0", None),
            ("Cache-Control: max-age=0", None),
            ("Cache-Control: max-age=0, stale-while-revalidate=5", Some(0)),
            ("Cache-Control: max-age=0, must-revalidate, stale-while-revalidate=5", None),
            ("Cache-Control: max-age=60\nAge: 60", None),
            ("Cache-Control: max-age=60\nAge: , 60, 5\nAge: 1", None),
            ("Cache-Control: max-age=60\nAge: 59", Some(60)),
        ];
        for (fields, expected) in table {
            assert_eq!(lifetime(fields), expected, "{fields}");
        }
    }

    #[test]
    fn a_response_with_a_date_of_its_own_expires_by_that_and_has_aged_since() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let terms = |made: u64, name, value: &str| {
            let mut response = Response::new();
            response.set_date(FixedDate::of(UNIX_EPOCH + Duration::from_secs(made)));
            response.add_header(name, HeaderValue::from_str(value).expect("a value"));
            let terms = Terms::of(&response, false, &DEFAULTS, now);
            terms.map(|terms| (terms.lifetime.as_secs(), terms.age.as_secs()))
        };
        // In 100 s from now.
        let expires = "Sun, 06 Nov 1994 08:51:17 GMT";
        assert_eq!(terms(784_111_777, header::EXPIRES, expires), Some((100, 0)));
        assert_eq!(
            terms(784_111_767, header::EXPIRES, expires),
            Some((110, 10)),
            "the other clock is late, or it took 10 s"
        );
        assert_eq!(terms(784_111_867, header::EXPIRES, expires), Some((10, 0)), "the other clock is fast");
        assert_eq!(terms(784_111_977, header::EXPIRES, expires), None, "it had expired when it was made");
        assert_eq!(terms(784_111_717, header::CACHE_CONTROL, "max-age=60"), None, "a minute old");
    }

    #[test]
    fn responses_that_are_never_kept() {
        for fields in [
            "Cache-Control: no-store",
            "Cache-Control: private",
            "Cache-Control: private=\"X-Name\", max-age=60",
            "Cache-Control: no-cache, public",
            "Cache-Control: public, max-age=60\nCache-Control: no-store",
            "Pragma: no-cache",
            "Pragma: a, No-Cache",
            "Content-Type: Text/Event-Stream; charset=utf-8",
            "Cache-Control: public, max-age=60\nSet-Cookie: a=b",
            "Content-Type: text/event-stream",
        ] {
            assert_eq!(terms_for(fields, false), None, "{fields}");
        }
    }

    #[test]
    fn a_response_for_a_user_is_kept_only_if_it_says_so() {
        assert_eq!(terms_for("", true), None);
        assert_eq!(terms_for("Cache-Control: max-age=60", true), None);
        for word in ["public", "s-maxage=60", "must-revalidate"] {
            let terms = terms_for(&format!("Cache-Control: {word}"), true).expect(word);
            assert!(terms.for_authorized, "{word}");
        }
        assert!(!terms_for("", false).expect("kept").for_authorized);
    }

    fn judge(response: &str, age: u64, request: &str) -> Verdict {
        let terms = terms_for(&format!("Cache-Control: {response}"), false).expect("kept");
        terms.judge(Duration::from_secs(age), &RequestDirectives::read([request]))
    }

    #[test]
    fn the_responses_that_a_request_takes() {
        use Verdict::{Fresh, Unusable, WhileRevalidated};
        let table = [
            ("max-age=60", 0, "", Fresh),
            ("max-age=60", 59, "", Fresh),
            ("max-age=60", 60, "", Unusable),
            ("max-age=60", 0, "no-cache", Unusable),
            ("max-age=60", 0, "max-age=0", Unusable),
            ("max-age=60", 10, "max-age=10", Fresh),
            ("max-age=60", 11, "max-age=10", Unusable),
            ("max-age=60", 50, "min-fresh=10", Fresh),
            ("max-age=60", 51, "min-fresh=10", Unusable),
            ("max-age=60", 0, "min-fresh=junk", Unusable),
            ("max-age=60", 70, "max-stale", Fresh),
            ("max-age=60", 70, "max-stale=10", Fresh),
            ("max-age=60", 71, "max-stale=10", Unusable),
            ("max-age=60", 61, "max-stale, min-fresh=1", Unusable),
            ("max-age=60, must-revalidate", 61, "max-stale", Unusable),
            ("s-maxage=60", 61, "max-stale", Unusable),
            ("max-age=60, stale-while-revalidate=10", 69, "", WhileRevalidated),
            ("max-age=60, stale-while-revalidate=10", 70, "", Unusable),
            ("max-age=60, stale-while-revalidate=10", 65, "max-age=64", Unusable),
        ];
        for (response, age, request, expected) in table {
            assert_eq!(judge(response, age, request), expected, "{response}; {age}; {request}");
        }
    }

    #[test]
    fn a_response_to_validate_never_stands_in_for_an_error() {
        let serves = |response: &str| {
            let terms = terms_for(&format!("Cache-Control: {response}"), false).expect("kept");
            terms.serves_in_place_of_error(Duration::from_secs(65))
        };
        assert!(serves("max-age=60, stale-if-error=10"));
        assert!(!serves("max-age=60, stale-if-error=5"));
        assert!(!serves("max-age=60, stale-if-error=10, must-revalidate"));
        assert!(!serves("max-age=60"));
    }
}
