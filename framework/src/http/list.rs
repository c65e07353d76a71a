//! Fields whose value is a list (RFC 9110, sections 5.3 and 5.6.1): all fields of the name are one list, its members
//! are separated by commas, and empty members mean nothing.

use super::grammar::trim;

/// The members of a list that may have come in several fields, without the white space around them. Empty ones are left
/// out, and a comma within quotes separates nothing.
///
/// ```
/// use kirsch::http::list_members;
///
/// let fields = [&b"gzip, , br;q=\"0,5\","[..], b"", b"zstd"];
/// assert_eq!(list_members(fields).collect::<Vec<_>>(), [&b"gzip"[..], b"br;q=\"0,5\"", b"zstd"]);
/// ```
pub fn list_members<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> impl Iterator<Item = &'v [u8]> {
    values.into_iter().flat_map(|value| {
        let mut rest = value;
        std::iter::from_fn(move || take_member(&mut rest))
    })
}

/// Whether `word` is a member of a list of tokens, in any case.
#[must_use]
pub fn list_has<'v>(values: impl IntoIterator<Item = &'v [u8]>, word: &str) -> bool {
    list_members(values).any(|member| member.eq_ignore_ascii_case(word.as_bytes()))
}

fn take_member<'v>(rest: &mut &'v [u8]) -> Option<&'v [u8]> {
    while !rest.is_empty() {
        let end = end_of_member(rest);
        let member = trim(&rest[..end]);
        *rest = rest.get(end + 1..).unwrap_or_default();
        if !member.is_empty() {
            return Some(member);
        }
    }
    None
}

fn end_of_member(text: &[u8]) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let separates = |byte: &u8| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' => return !is_quoted,
            _ => {}
        }
        false
    };
    text.iter().position(separates).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_between_commas_outside_of_quotes() {
        let table: [(&[&str], &[&str]); 9] = [
            (&[], &[]),
            (&["", " , ,\t,"], &[]),
            (&["a"], &["a"]),
            (&[",a , b\t,,c,"], &["a", "b", "c"]),
            (&["a", "b,c", ""], &["a", "b", "c"]),
            (&["a=\"b,c\";d, e"], &["a=\"b,c\";d", "e"]),
            (&["\"a\\\",b\",c"], &["\"a\\\",b\"", "c"]),
            (&["\"a,b", "c"], &["\"a,b", "c"]),
            (&["a b , c"], &["a b", "c"]),
        ];
        for (fields, expected) in table {
            let fields = fields.iter().map(|field| field.as_bytes());
            let members: Vec<_> = list_members(fields).map(|member| std::str::from_utf8(member).unwrap()).collect();
            assert_eq!(members, expected);
        }
    }

    #[test]
    fn words_are_found_in_any_case_and_as_a_whole() {
        let has = |word| list_has([&b"Close, TE"[..], b"upgrade"], word);
        assert!(has("close") && has("te") && has("UPGRADE") && !has("clo") && !has("close, te"));
    }
}
