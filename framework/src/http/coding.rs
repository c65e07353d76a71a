//! Choosing a content coding by the Accept-Encoding field (RFC 9110, section 12.5.3). Never fails: malformed parts are
//! ignored.
//!
//! Identity, the content as it is, takes part in the choice like a coding that is always offered:
//! * It loses every draw, since a client that names a coding has asked for it.
//! * It wins over codings that the client likes less, as in `gzip;q=0.2, identity`.
//! * It is the answer when nothing else is left, even after `identity;q=0`. The RFC allows that instead of a 406. A
//!   client can use the content, but not an error page (CherryPy answers 406 even to `br`).
//!
//! `deflate` is not a [`Coding`]: half of the programs mean zlib by it and half mean bare deflate, so it cannot be sent
//! safely.

use super::weight::parse_weight;

/// A way to compress content that a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coding {
    /// `gzip` (RFC 1952), which every client reads.
    Gzip,
    /// `br`, Brotli (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Brotli, Self::Zstd];

    /// The name in Accept-Encoding and Content-Encoding.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The usual end of the names of files in this coding, as in `page.html.gz`.
    #[must_use]
    pub const fn file_extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Brotli => "br",
            Self::Zstd => "zst",
        }
    }

    /// The coding of that name, in any case; `x-gzip` is `gzip` (RFC 9110, section 8.4.1.3).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name()))
    }
}

/// Which of the `offered` codings the client likes best: by weight, then by their order in `offered`. `None` is
/// identity: send the content as it is.
///
/// `accept_encoding` are the values of all fields of that name, of which there may be several or none. Without the
/// field the answer is identity: the RFC leaves the choice, but programs that do not send the field often cannot decode
/// anything.
///
/// ```
/// use kirsch::http::{Coding, best_coding};
///
/// let offered = [Coding::Brotli, Coding::Gzip];
/// assert_eq!(best_coding(["gzip, deflate, br"], &offered), Some(Coding::Brotli));
/// assert_eq!(best_coding(["gzip, br;q=0.5"], &offered), Some(Coding::Gzip));
/// assert_eq!(best_coding(["*;q=0"], &offered), None);
/// ```
#[must_use]
pub fn best_coding<V: AsRef<[u8]>>(accept_encoding: impl IntoIterator<Item = V>, offered: &[Coding]) -> Option<Coding> {
    let mut weights = Weights::default();
    for value in accept_encoding {
        for part in value.as_ref().split(|&byte| byte == b',') {
            weights.read(part);
        }
    }
    let mut best = (None, weights.of_identity());
    for &coding in offered {
        let weight = weights.of(coding);
        let draw_with_identity = best.0.is_none() && weight == best.1;
        if weight > 0 && (weight > best.1 || draw_with_identity) {
            best = (Some(coding), weight);
        }
    }
    best.0
}

/// The client's weights, in thousandths; of repeated names the highest weight counts.
#[derive(Default)]
struct Weights {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    /// `*`: everything that is not named.
    others: Option<u16>,
}

impl Weights {
    /// Reads one part of the list, such as `gzip;q=0.5`; a malformed one changes nothing.
    fn read(&mut self, part: &[u8]) {
        let Ok(part) = std::str::from_utf8(part) else { return };
        let (name, weight) = match part.split_once(';') {
            Some((name, weight)) => (name, parse_parameter(weight)),
            None => (part, Some(1000)),
        };
        let place = match name.trim() {
            "*" => &mut self.others,
            name if name.eq_ignore_ascii_case("identity") => &mut self.identity,
            name => match Coding::from_name(name) {
                Some(coding) => &mut self.codings[coding as usize],
                None => return,
            },
        };
        // Nothing is less than any weight.
        *place = weight.max(*place);
    }

    fn of(&self, coding: Coding) -> u16 {
        self.codings[coding as usize].or(self.others).unwrap_or(0)
    }

    /// Zero when nothing was said: acceptable, but only if nothing else is.
    fn of_identity(&self) -> u16 {
        self.identity.or(self.others).unwrap_or(0)
    }
}

/// The weight in `q=0.5`. Nothing else may follow a coding, so anything else makes its part malformed.
fn parse_parameter(text: &str) -> Option<u16> {
    let (name, weight) = text.split_once('=')?;
    if name.trim().eq_ignore_ascii_case("q") { parse_weight(weight.trim()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::noise::Noise;
    use super::*;
    use Coding::{Brotli, Gzip, Zstd};

    fn best(accept_encoding: &str) -> Option<Coding> {
        best_coding([accept_encoding], &[Zstd, Brotli, Gzip])
    }

    fn gzip(accept_encoding: &str) -> bool {
        best_coding([accept_encoding], &[Gzip]).is_some()
    }

    #[test]
    fn without_the_field_the_content_stays_as_it_is() {
        assert_eq!(best_coding::<&str>([], &Coding::ALL), None);
        assert_eq!(best(""), None);
        assert_eq!(best(" , ,"), None);
    }

    #[test]
    fn the_highest_weight_wins_and_then_the_order_of_the_offer() {
        assert_eq!(best("gzip, deflate, br, zstd"), Some(Zstd));
        assert_eq!(best("gzip, deflate, br"), Some(Brotli));
        assert_eq!(best("zstd;q=0.1, br;q=0.2, gzip;q=0.3"), Some(Gzip));
        assert_eq!(best_coding(["gzip, br"], &[Gzip, Brotli]), Some(Gzip));
        assert_eq!(best_coding(["gzip, br"], &[]), None);
    }

    #[test]
    fn a_coding_that_we_do_not_have_is_no_reason_for_an_error() {
        for accept_encoding in ["br", "deflate", "compress", "exi;q=0.5, br", "identity", "gzip;q=0", "*;q=0"] {
            assert!(!gzip(accept_encoding), "{accept_encoding}");
        }
    }

    #[test]
    fn a_star_stands_for_all_that_is_not_named() {
        assert!(gzip("*"));
        assert!(gzip("br, *;q=0.1"));
        assert!(!gzip("gzip;q=0, *"));
        assert!(gzip("gzip, *;q=0"));
        assert_eq!(best("zstd;q=0, *"), Some(Brotli));
    }

    #[test]
    fn identity_wins_only_where_the_client_likes_it_better() {
        assert!(gzip("gzip, identity"));
        assert!(gzip("identity, gzip"));
        assert!(gzip("gzip;q=0.5"));
        assert!(gzip("gzip;q=0.5, identity;q=0.4"));
        assert!(!gzip("gzip;q=0.5, identity"));
        assert!(!gzip("gzip;q=0.2, *;q=0.5"));
        assert!(gzip("gzip;q=0.1, identity;q=0"));
    }

    #[test]
    fn identity_is_sent_even_when_everything_is_refused() {
        assert!(!gzip("identity;q=0"));
        assert!(!gzip("gzip;q=0, identity;q=0"));
    }

    #[test]
    fn names_are_compared_in_any_case_and_x_gzip_is_gzip() {
        for accept_encoding in ["GZip", "x-gzip", "X-GZIP;Q=1", " gzip\t; q=1.000 "] {
            assert!(gzip(accept_encoding), "{accept_encoding}");
        }
        assert!(!gzip("x-br, gzipped, g zip"));
    }

    #[test]
    fn malformed_parts_are_ignored() {
        for part in ["gzip;q=x", "gzip;q", "gzip;", "gzip;q=1.5", "gzip;level=9", "gzip;q=1;q=1", "gz\u{ef}p", "=;,"] {
            assert!(!gzip(part), "{part}");
            assert_eq!(best(&format!("{part}, br")), Some(Brotli), "{part}");
        }
        assert!(best_coding([&b"gzip\xff"[..]], &[Gzip]).is_none());
        assert!(best_coding([&b"\xff, gzip"[..]], &[Gzip]).is_some());
    }

    #[test]
    fn several_fields_are_one_list() {
        assert_eq!(best_coding(["br;q=0.5", "gzip"], &[Brotli, Gzip]), Some(Gzip));
        assert_eq!(best_coding(["gzip;q=0.5", "identity"], &[Gzip]), None);
    }

    #[test]
    fn nothing_breaks_the_choice() {
        let mut noise = Noise::new();
        for _ in 0..5_000 {
            let mut input = b"gzip;q=0.5, identity;q=0, *;q=0.1, br".to_vec();
            noise.mutate(&mut input, b",;=*q01.\" \xc3\xa9");
            let _ = best_coding([&input], &Coding::ALL);
        }
    }
}
