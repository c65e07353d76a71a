//! The pages that a template links to by name: `url("Shop.item", 42)` within `{{ … }}` and `{% … %}`.
//!
//! They are looked up at start, so that a name that no page has does not wait for its first visitor. The engine does
//! not show what it has parsed, so this reads the text again, for these calls alone. What it does not see, such as a
//! name that is put together, is looked up when the template is rendered.

/// Whether the first argument of `url` names a page and is no path: types begin with a capital letter.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(char::is_uppercase) && text.contains('.') && !text.contains('/')
}

/// The names in `source`, each with its line.
pub(super) fn names_in(source: &str) -> Vec<(usize, &str)> {
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(found) =
        source[at..].find("{{").into_iter().chain(source[at..].find("{%")).chain(source[at..].find("{#")).min()
    {
        let start = at + found + 2;
        let closing = match &source[start - 2..start] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let end = start + end_of(&source[start..], closing);
        let code = &source[start..end];
        at = end;
        if closing == "#}" {
            continue;
        }
        if closing == "%}" && word(code) == "raw" {
            let blocks = source[end..].match_indices("{%").map(|(index, _)| end + index);
            at =
                blocks.map(|index| index + 2).find(|index| word(&source[*index..]) == "endraw").unwrap_or(source.len());
            continue;
        }
        names.extend(calls(code).map(|(index, name)| (1 + source[..start + index].matches('\n').count(), name)));
    }
    names
}

/// Where a piece of code or a comment ends; strings in code may contain its end.
fn end_of(text: &str, closing: &str) -> usize {
    let mut quote = None;
    let mut is_escaped = false;
    for (index, sign) in text.char_indices() {
        match quote {
            None if text[index..].starts_with(closing) => return index,
            None if closing != "#}" && matches!(sign, '"' | '\'') => quote = Some(sign),
            Some(open) if sign == open && !is_escaped => quote = None,
            _ => {}
        }
        is_escaped = sign == '\\' && !is_escaped;
    }
    text.len()
}

/// The first word of a block.
fn word(code: &str) -> &str {
    let code = code.trim_start_matches(['-', '+']).trim_start();
    &code[..code.find(|sign: char| !sign.is_alphanumeric()).unwrap_or(code.len())]
}

/// The names in calls of `url`, with their places.
fn calls(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.match_indices("url").filter_map(|(index, _)| {
        let before = code[..index].chars().next_back();
        if before.is_some_and(|sign| sign.is_alphanumeric() || matches!(sign, '_' | '.' | '"' | '\'')) {
            return None;
        }
        let argument = code[index + 3..].trim_start().strip_prefix('(')?.trim_start();
        let quote = argument.chars().next().filter(|sign| matches!(sign, '"' | '\''))?;
        let text = &argument[1..];
        let name = &text[..text.find(quote)?];
        is_name(name).then_some((index, name))
    })
}

#[cfg(test)]
mod tests {
    use super::names_in;

    #[test]
    fn names_are_found_in_code_only() {
        let table: [(&str, &[(usize, &str)]); 9] = [
            ("{{ url('Shop.item', 1) }}\n{%- set x = url(\n\"Shop.list\") -%}", &[(1, "Shop.item"), (2, "Shop.list")]),
            ("{% if a %}\n<a href=\"{{ url(\"A.b\") }}{{url('C.d')|upper}}\">", &[(2, "A.b"), (2, "C.d")]),
            ("url('Shop.item')", &[]),
            ("{# {{ url('Shop.item') }} #} it's {{ url('A.b') }}", &[(1, "A.b")]),
            ("{% raw %}{{ url('Shop.item') }}{% endraw %}{{ url('A.b') }}", &[(1, "A.b")]),
            ("{{ '}}' ~ url('A.b') }}", &[(1, "A.b")]),
            ("{{ url('/Shop.item') }}{{ url('style.css') }}{{ url(page) }}", &[]),
            ("{{ curl('A.b') }}{{ x.url('A.b') }}{{ \"url('A.b')\" }}", &[]),
            ("{{ url('A.b", &[]),
        ];
        for (source, names) in table {
            assert_eq!(names_in(source), names, "{source}");
        }
    }
}
