//! Weights, the `q=0.5` of the Accept fields (RFC 9110, section 12.4.2).

/// A weight in thousandths: `0` or `1` with decimals. Java writes `.2`, and some programs write more than the three
/// decimals of the RFC. Further decimals do not count, except that they are more than nothing.
pub(super) fn parse_weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_zero = decimals.bytes().all(|digit| digit == b'0');
    let thousandths = decimals.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        "0" => Some(thousandths.max(u16::from(!is_zero))),
        "" if !decimals.is_empty() => Some(thousandths.max(u16::from(!is_zero))),
        "1" if is_zero => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_zero_to_one_in_thousandths() {
        let table = [
            ("0", 0),
            ("0.", 0),
            ("0.5", 500),
            ("0.05", 50),
            ("0.999", 999),
            ("1", 1000),
            ("1.", 1000),
            ("1.000", 1000),
            (".2", 200),
            ("0.3333", 333),
            ("0.0001", 1),
            ("1.0000", 1000),
        ];
        for (text, thousandths) in table {
            assert_eq!(parse_weight(text), Some(thousandths), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_weight() {
        for text in ["", ".", "1.5", "1.001", "1.0001", "2", "-1", "+1", "0,5", "0.x", "00", "01", "1e0", "0.5 "] {
            assert_eq!(parse_weight(text), None, "{text}");
        }
    }
}
