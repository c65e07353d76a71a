//! Lists in queries and forms: `a[]=1&a[]=2` is the list `a`.
//!
//! PHP, Rails, jQuery and Dropzone name the fields of a list so, and some number them, `a[0]`. The brackets only say
//! that it is a list: the values come in the order in which they were sent, whatever the numbers. Other keys (`a[b]`)
//! are names of their own.

/// The list that a field belongs to by its name: `a` for `a[]` and `a[3]`.
pub(super) fn list_name(field: &str) -> Option<&str> {
    let (name, index) = field.strip_suffix(']')?.rsplit_once('[')?;
    (!name.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
}

/// Whether a field is one of the list `name`, written with brackets or without.
pub(super) fn is_of_list(field: &str, name: &str) -> bool {
    field == name
        || field.strip_prefix(name).is_some_and(|rest| rest.starts_with('[')) && list_name(field) == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_with_nothing_or_a_number_make_a_list() {
        for (field, name) in [
            ("a[]", Some("a")),
            ("a[0]", Some("a")),
            ("a[12]", Some("a")),
            ("a[b][]", Some("a[b]")),
            ("a", None),
            ("a[b]", None),
            ("[]", None),
            ("a]", None),
            ("a[]x", None),
            ("", None),
        ] {
            assert_eq!(list_name(field), name, "{field}");
        }
        assert!(is_of_list("a", "a") && is_of_list("a[]", "a") && is_of_list("a[]", "a[]"));
        assert!(!is_of_list("a[]", "b") && !is_of_list("ab[]", "a") && !is_of_list("a[b]", "a"));
    }
}
