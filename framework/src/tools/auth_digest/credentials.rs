//! The credentials of a digest (RFC 7616, section 3.4): names and values, each once.

use crate::http::is_token;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The client's values, unquoted. A missing one is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Credentials<'r> {
    pub(super) username: Cow<'r, str>,
    pub(super) realm: Cow<'r, str>,
    pub(super) nonce: Cow<'r, str>,
    pub(super) uri: Cow<'r, str>,
    pub(super) response: Cow<'r, str>,
    pub(super) algorithm: Cow<'r, str>,
    pub(super) cnonce: Cow<'r, str>,
    pub(super) qop: Cow<'r, str>,
    pub(super) nc: Cow<'r, str>,
    pub(super) count: u32,
}

impl<'r> Credentials<'r> {
    /// The credentials behind the scheme, or the mistake in them.
    pub(super) fn parse(text: &'r str) -> Result<Self, String> {
        let mut said = Self::default();
        let mut extended = Cow::Borrowed("");
        let mut unknown = Cow::Borrowed("");
        // Few, so that looking for repeats costs no more than reading.
        let mut seen: Vec<&str> = Vec::with_capacity(MAX_NAMES);
        let mut rest = text;
        while let Some((name, value)) = next(&mut rest)? {
            if seen.iter().any(|earlier| earlier.eq_ignore_ascii_case(name)) {
                return Err(format!("`{name}` is there twice"));
            }
            if seen.len() == MAX_NAMES {
                return Err(format!("there are more than {MAX_NAMES} names"));
            }
            seen.push(name);
            let field = match &*name.to_ascii_lowercase() {
                "username" => &mut said.username,
                "username*" => &mut extended,
                "realm" => &mut said.realm,
                "nonce" => &mut said.nonce,
                "uri" => &mut said.uri,
                "response" => &mut said.response,
                "algorithm" => &mut said.algorithm,
                "cnonce" => &mut said.cnonce,
                "qop" => &mut said.qop,
                "nc" => &mut said.nc,
                _ => &mut unknown,
            };
            *field = value;
        }
        let has = |name: &str| seen.iter().any(|seen| seen.eq_ignore_ascii_case(name));
        if has("username*") {
            if has("username") {
                return Err("there are both `username` and `username*`".to_owned());
            }
            said.username = extended_value(&extended).ok_or("`username*` is not as RFC 5987 has it, in UTF-8")?.into();
        } else if !has("username") {
            return Err("`username` is missing".to_owned());
        }
        for name in ["realm", "nonce", "uri", "response"] {
            if !has(name) {
                return Err(format!("`{name}` is missing"));
            }
        }
        // Without `qop` the client is of 1999, and nothing would be counted.
        if !said.qop.eq_ignore_ascii_case("auth") {
            return Err("`qop` must be auth".to_owned());
        }
        if said.cnonce.is_empty() {
            return Err("`cnonce` is missing".to_owned());
        }
        let is_count = said.nc.len() == 8 && said.nc.bytes().all(|byte| byte.is_ascii_hexdigit());
        said.count = u32::from_str_radix(&said.nc, 16)
            .ok()
            .filter(|&count| is_count && count > 0)
            .ok_or("`nc` must be eight hexadecimal digits, from 00000001")?;
        Ok(said)
    }
}

/// Most names of one field: the fourteen of RFC 7616, and as many that a client may add.
const MAX_NAMES: usize = 32;

/// Takes the next `name=value` from the start of `rest`.
fn next<'r>(rest: &mut &'r str) -> Result<Option<(&'r str, Cow<'r, str>)>, String> {
    let text = rest.trim_start_matches([' ', '\t', ',']);
    if text.is_empty() {
        return Ok(None);
    }
    let (name, text) = text.split_once('=').ok_or("a value is missing")?;
    let (name, text) = (name.trim_end(), text.trim_start());
    if !is_token(name.as_bytes()) {
        return Err("a name is not as it must be".to_owned());
    }
    let (value, text) = match text.strip_prefix('"') {
        Some(text) => quoted(text).ok_or("a quotation mark is missing")?,
        None => {
            let (value, text) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
            (Cow::Borrowed(value), text)
        }
    };
    let text = text.trim_start();
    if !text.is_empty() && !text.starts_with(',') {
        return Err("a comma is missing".to_owned());
    }
    *rest = text;
    Ok(Some((name, value)))
}

/// The text up to the closing quotation mark, unescaped, and the rest behind it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut unescaped = String::new();
    let mut start = 0;
    loop {
        let at = start + text[start..].find(['"', '\\'])?;
        if text.as_bytes()[at] == b'"' {
            let last = &text[start..at];
            let value = if unescaped.is_empty() { Cow::Borrowed(last) } else { Cow::Owned(unescaped + last) };
            return Some((value, &text[at + 1..]));
        }
        unescaped.push_str(&text[start..at]);
        let escaped = text[at + 1..].chars().next()?;
        unescaped.push(escaped);
        start = at + 1 + escaped.len_utf8();
    }
}

/// `UTF-8''J%C3%A4s%C3%B8n` (RFC 5987).
fn extended_value(text: &str) -> Option<String> {
    let mut parts = text.splitn(3, '\'');
    let (charset, _language, value) = (parts.next()?, parts.next()?, parts.next()?);
    let text = percent_decode_str(value).decode_utf8().ok()?;
    charset.eq_ignore_ascii_case("utf-8").then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"username="a\"b\\c", realm="r", nonce="n", uri="/a,b", response="00", algorithm=SHA-256, qop=auth, nc=0000000a, cnonce="c", opaque="o""#;

    #[test]
    fn values_are_unquoted_and_commas_may_be_in_them() {
        let said = Credentials::parse(GOOD).unwrap();
        assert_eq!((&*said.username, &*said.uri, said.count, &*said.algorithm), ("a\"b\\c", "/a,b", 10, "SHA-256"));
        let extended = GOOD.replace(r#"username="a\"b\\c""#, "username*=UTF-8''J%C3%A4s");
        assert_eq!(Credentials::parse(&extended).unwrap().username, "Jäs");
    }

    #[test]
    fn a_client_may_add_names_but_not_thousands() {
        let with =
            |count: usize| GOOD.to_owned() + &(0..count).map(|number| format!(", x{number}=1")).collect::<String>();
        assert!(Credentials::parse(&with(MAX_NAMES - 10)).is_ok());
        assert!(Credentials::parse(&with(MAX_NAMES - 9)).unwrap_err().contains("more than 32 names"));
    }

    #[test]
    fn what_is_malformed_says_what_is_wrong() {
        let table = [
            ("", "`username` is missing"),
            ("username", "a value is missing"),
            (r#"username="a"#, "a quotation mark is missing"),
            (r#"username="a\"#, "a quotation mark is missing"),
            (r#"username="a" realm="b""#, "a comma is missing"),
            (r#"user name="a""#, "a name is not"),
            (r#"username="a", USERNAME="b""#, "`USERNAME` is there twice"),
            (&GOOD.replace("uri=", "url="), "`uri` is missing"),
            (&GOOD.replace("qop=auth,", ""), "`qop` must be auth"),
            (&GOOD.replace("qop=auth", "qop=auth-int"), "`qop` must be auth"),
            (&GOOD.replace("0000000a", "a"), "`nc` must be eight"),
            (&GOOD.replace("0000000a", "00000000"), "`nc` must be eight"),
            (&GOOD.replace("0000000a", "+000000a"), "`nc` must be eight"),
            (&GOOD.replace("cnonce=", "cmonce="), "`cnonce` is missing"),
            (&format!("{GOOD}, username*=UTF-8''a"), "both `username` and `username*`"),
            (&GOOD.replace(r#"username="a\"b\\c""#, "username*=latin1''a"), "RFC 5987"),
        ];
        for (text, problem) in table {
            let error = Credentials::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
