//! Names for addresses, out of what people type.

/// At most this many characters.
const MAX: usize = 60;

/// `Kirschblüte, Hanami!` as `kirschblute-hanami`: what an address can show. `photo` where nothing is left.
pub(crate) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars().flat_map(char::to_lowercase).map(plain) {
        match letter {
            Some(letter) if slug.chars().count() < MAX => slug.push(letter),
            None if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "photo".to_owned() } else { slug.to_owned() }
}

/// The tags in a text, split at blanks and commas: each once, in their order.
pub(crate) fn tags(text: &str) -> Vec<String> {
    let mut tags = Vec::new();
    for word in text.split([',', ' ', '\t', '\n']).filter(|word| word.chars().any(char::is_alphanumeric)) {
        let tag: String =
            word.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric() || *c == '-').collect();
        let tag: String = tag.trim_matches('-').chars().take(MAX).collect();
        if !tag.is_empty() && !tags.contains(&tag) && tags.len() < 20 {
            tags.push(tag);
        }
    }
    tags
}

/// A letter or digit; `None` for everything that separates words. Letters of other scripts stay.
fn plain(letter: char) -> Option<char> {
    Some(match letter {
        'à'..='å' => 'a',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ò'..='ö' | 'ø' => 'o',
        'ù'..='ü' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        'ß' => 's',
        letter if letter.is_alphanumeric() => letter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_fit_for_addresses() {
        for (text, expected) in [
            ("Kirschblüte, Hanami!", "kirschblute-hanami"),
            ("  A  b ", "a-b"),
            ("../../etc/passwd", "etc-passwd"),
            ("日本 2026", "日本-2026"),
            ("<script>", "script"),
            ("???", "photo"),
            ("", "photo"),
        ] {
            assert_eq!(slug(text), expected, "{text}");
        }
        assert_eq!(slug(&"a".repeat(1000)).len(), MAX);
    }

    #[test]
    fn tags_are_split_and_kept_once() {
        assert_eq!(tags("Sea, sky sea  -- Köln"), ["sea", "sky", "köln"]);
        assert_eq!(tags("<b>"), ["b"]);
        assert!(tags(" ,, ").is_empty());
    }
}
