//! Choosing a media type by the Accept field, and a language by Accept-Language (RFC 9110, section 12.5). Never fails:
//! malformed parts are ignored.

use super::weight::parse_weight;

/// Which of the `offered` media types the client likes best: by weight, then those that it names before those that only
/// `text/*` or `*/*` match, then by their order in `offered`.
///
/// The weight of each comes from the most specific range that matches it. Malformed ranges are ignored; when none is
/// left, or `accept` is empty, the first one offered is the answer. `None` when the client rules all of them out.
///
/// A parameter of a range counts if the offered media type has one of that name. Others are passed over, such as
/// `odata=verbose` in `application/json;odata=verbose`: the client gets its type in the only form that exists. Such a
/// range counts less than one without them, and never rules out. A `charset` is ignored, since `Accept` is not about
/// charsets.
///
/// ```
/// use kirsch::http::best_media_type;
///
/// let offered = ["text/html", "application/json"];
/// assert_eq!(best_media_type("application/json, */*;q=0.1", &offered), Some("application/json"));
/// assert_eq!(best_media_type("", &offered), Some("text/html"));
/// assert_eq!(best_media_type("image/png", &offered), None);
/// ```
#[must_use]
pub fn best_media_type<'o>(accept: &str, offered: &[&'o str]) -> Option<&'o str> {
    if ranges(accept).next().is_none() {
        return offered.first().copied();
    }
    let mut best: Option<(&str, Liking)> = None;
    for &media_type in offered {
        let liking = liking_of(accept, media_type);
        if liking.weight > 0 && best.is_none_or(|(_, best)| liking > best) {
            best = Some((media_type, liking));
        }
    }
    best.map(|(media_type, _)| media_type)
}

/// Which of the `offered` languages the client likes best (`Accept-Language`, RFC 9110, section 12.5.4), by the lookup
/// of RFC 4647: `de-AT` is content with `de`. The first one offered is the answer if the client names no other that is
/// there. If nothing is offered, the answer is the empty text.
///
/// ```
/// use kirsch::http::best_language;
///
/// let offered = ["en", "de"];
/// assert_eq!(best_language("de-AT,de;q=0.9,en;q=0.8", &offered), "de");
/// assert_eq!(best_language("fr", &offered), "en");
/// assert_eq!(best_language("", &offered), "en");
/// ```
#[must_use]
pub fn best_language<'o>(accept: &str, offered: &[&'o str]) -> &'o str {
    let mut best: (u16, &str) = (0, offered.first().copied().unwrap_or_default());
    for range in accept.split(',') {
        let (range, rest) = range.split_once(';').unwrap_or((range, ""));
        let weight = match rest.trim().split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => parse_weight(value.trim()),
            _ => Some(1000),
        };
        let Some(weight) = weight.filter(|weight| *weight > best.0) else { continue };
        let mut range = range.trim();
        // From the longest to the shortest: de-Latn-AT, de-Latn, de.
        let found = loop {
            if let Some(language) = offered.iter().find(|language| language.eq_ignore_ascii_case(range)) {
                break Some(*language);
            }
            match range.rsplit_once('-') {
                Some((shorter, _)) => range = shorter,
                None => break None,
            }
        };
        if let Some(language) = found {
            best = (weight, language);
        }
    }
    best.1
}

/// One range of an Accept field, such as `text/*;q=0.5`. A `*` alone, as Java sends it, is `*/*`.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// Everything between the subtype and the weight.
    parameters: &'a str,
    /// In thousandths.
    weight: u16,
}

impl Range<'_> {
    /// How closely the range matches `media_type`, if it does.
    fn specificity(&self, media_type: &str) -> Option<usize> {
        let (essence, offered) = media_type.split_once(';').unwrap_or((media_type, ""));
        let (kind, subtype) = essence.trim().split_once('/')?;
        match (self.kind, self.subtype) {
            ("*", "*") => Some(0),
            (wanted, "*") if wanted.eq_ignore_ascii_case(kind) => Some(1),
            (wanted, wanted_subtype)
                if wanted.eq_ignore_ascii_case(kind) && wanted_subtype.eq_ignore_ascii_case(subtype) =>
            {
                let (mut count, mut has_unknown) = (0, false);
                for (name, value) in parameters(self.parameters) {
                    match parameters(offered).find(|(offered, _)| offered.eq_ignore_ascii_case(name)) {
                        Some((_, offered)) if offered.eq_ignore_ascii_case(value) => count += 1,
                        Some(_) => return None,
                        None => has_unknown |= !name.eq_ignore_ascii_case("charset"),
                    }
                }
                match has_unknown {
                    true if self.weight == 0 => None,
                    true => Some(2),
                    false => Some(3 + count),
                }
            }
            _ => None,
        }
    }
}

/// How much the client likes a media type.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Liking {
    /// In thousandths.
    weight: u16,
    is_named: bool,
}

fn liking_of(accept: &str, media_type: &str) -> Liking {
    let closest = ranges(accept).filter_map(|range| Some((range.specificity(media_type)?, range.weight))).max();
    closest.map_or_else(Liking::default, |(specificity, weight)| Liking { weight, is_named: specificity > 1 })
}

fn ranges(accept: &str) -> impl Iterator<Item = Range<'_>> {
    accept.split(',').filter_map(parse_range)
}

fn parse_range(text: &str) -> Option<Range<'_>> {
    let (essence, rest) = text.split_once(';').unwrap_or((text, ""));
    let essence = essence.trim();
    let (kind, subtype) = if essence == "*" { ("*", "*") } else { essence.split_once('/')? };
    if kind.is_empty() || subtype.is_empty() || (kind == "*" && subtype != "*") {
        return None;
    }
    let mut weight = 1000;
    let mut weight_start = rest.len();
    let mut position = 0;
    for part in rest.split(';') {
        if let Some((name, value)) = part.split_once('=')
            && name.trim().eq_ignore_ascii_case("q")
        {
            weight = parse_weight(value.trim())?;
            weight_start = position;
            break;
        }
        position += part.len() + 1;
    }
    Some(Range { kind, subtype, parameters: &rest[..weight_start], weight })
}

/// Names and values, the quotes around these taken off.
fn parameters(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';').map(str::trim).filter(|parameter| !parameter.is_empty()).map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        (name.trim(), unquoted.unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use super::super::noise::Noise;
    use super::*;

    const OFFERED: [&str; 3] = ["text/html", "application/json", "text/plain"];

    fn best(accept: &str) -> Option<&str> {
        best_media_type(accept, &OFFERED)
    }

    #[test]
    fn the_highest_weight_wins() {
        assert_eq!(best("text/html;q=0.5, application/json;q=0.9"), Some("application/json"));
        assert_eq!(best("text/plain, text/html;q=0.999"), Some("text/plain"));
    }

    #[test]
    fn equal_weights_go_by_the_order_of_the_offer() {
        assert_eq!(best("text/plain, application/json"), Some("application/json"));
        assert_eq!(best("*/*"), Some("text/html"));
    }

    #[test]
    fn of_equal_weights_a_type_that_is_named_comes_first() {
        assert_eq!(best("*/*, application/json"), Some("application/json"));
        assert_eq!(best("text/plain, text/*;q=0.5, application/*"), Some("text/plain"));
        assert_eq!(best("text/*, */*"), Some("text/html"));
    }

    #[test]
    fn the_most_specific_range_decides() {
        assert_eq!(best("text/*, text/html;q=0.1"), Some("text/plain"));
        assert_eq!(best("*/*;q=0.1, application/*"), Some("application/json"));
    }

    #[test]
    fn a_weight_of_zero_rules_out() {
        assert_eq!(best("text/html;q=0, */*"), Some("application/json"));
        assert_eq!(best("*/*;q=0"), None);
        assert_eq!(best("image/png"), None);
    }

    #[test]
    fn malformed_ranges_are_ignored() {
        for accept in ["", "x", "text/html;q=x, a", "/", "*/html", ";q=1", ",,", "text/html;q=1.5", "text/html;q=0.x"] {
            assert_eq!(best(accept), Some("text/html"), "{accept}");
        }
        assert_eq!(best("application/json, text/html;q=-1"), Some("application/json"));
    }

    #[test]
    fn parameters_that_are_not_offered_are_passed_over() {
        assert_eq!(best("text/html; charset=utf-8"), Some("text/html"));
        assert_eq!(best("application/json;charset=utf-8, text/html;q=0.9"), Some("application/json"));
        assert_eq!(best("application/json;odata=verbose, */*;q=0.1"), Some("application/json"));
        assert_eq!(best("text/html;level=1"), Some("text/html"));
        // RFC 9110, section 12.5.1: a range that names the type itself counts more.
        assert_eq!(best("text/html;level=1, text/html;q=0.1, text/plain;q=0.5"), Some("text/plain"));
        assert_eq!(best("text/html;level=1;q=0, */*"), Some("text/html"));
        assert_eq!(best("text/html;charset=utf-8;q=0, */*"), Some("application/json"));
    }

    #[test]
    fn the_language_of_the_highest_weight_wins() {
        for (accept, language) in [
            ("de", "de"),
            ("DE-at", "de"),
            ("en-GB, de;q=0.9", "en"),
            ("en;q=0.8, de;q=0.9", "de"),
            ("fr, de;q=0.1", "de"),
            ("de;q=0", "en"),
            ("de;q=x, *", "en"),
            ("*", "en"),
            ("deutsch", "en"),
            (",;-", "en"),
        ] {
            assert_eq!(best_language(accept, &["en", "de"]), language, "{accept}");
        }
        assert_eq!(best_language("de", &[]), "");
    }

    #[test]
    fn the_charset_counts_where_the_page_has_one() {
        let offered = ["text/html; charset=utf-8"];
        for (accept, is_met) in [
            ("text/html", true),
            ("text/html;charset=UTF-8", true),
            ("text/html; Charset = \"utf-8\"", true),
            ("text/html;charset=iso-8859-1", false),
        ] {
            assert_eq!(best_media_type(accept, &offered).is_some(), is_met, "{accept}");
        }
    }

    #[test]
    fn java_asks_in_its_own_way() {
        let java = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2";
        assert_eq!(best(java), Some("text/html"));
        assert_eq!(best_media_type(java, &["application/json"]), Some("application/json"));
        assert_eq!(best_media_type("text/plain, *; q=.2, */*; q=.2", &["text/html", "text/plain"]), Some("text/plain"));
        assert_eq!(best(" text/plain ; q = 1. , text/html ; Q=0.50000"), Some("text/plain"));
    }

    #[test]
    fn parameters_that_are_offered_make_a_range_closer() {
        let offered = ["text/html; level=1", "text/plain"];
        assert_eq!(best_media_type("TEXT/HTML;Level=1;q=0.5, */*;q=0.1", &offered), Some("text/html; level=1"));
    }

    #[test]
    fn a_browser_gets_html() {
        assert_eq!(
            best("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
            Some("text/html")
        );
    }

    #[test]
    fn nothing_breaks_the_choice() {
        let mut noise = Noise::new();
        for _ in 0..5_000 {
            let mut input = b"text/html;level=1;q=0.5, */*;q=0, a/b".to_vec();
            noise.mutate(&mut input, b",;/=*q01.\" \xc3\xa9");
            let _ = best(&String::from_utf8_lossy(&input)).map(str::len);
        }
    }
}
