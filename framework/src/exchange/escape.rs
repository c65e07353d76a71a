//! Text into HTML without becoming HTML.

use std::fmt::Write;

/// `text` with the special characters of HTML replaced, for content and for attributes in quotes. Use it for text of
/// visitors before it becomes part of a page. Templates ([`tools`](crate::tools)) do it by themselves.
///
/// Not for text within `<script>` or `<style>`, nor for an address in `href`, which may begin with `javascript:`.
///
/// ```
/// use kirsch::escape;
///
/// let name = "<script>alert('x')</script>";
/// assert_eq!(format!("<p>Hello, {}!", escape(name)), "<p>Hello, &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;!");
/// ```
#[must_use]
pub fn escape(text: &str) -> Escaped<'_> {
    Escaped(text)
}

/// The result of [`escape`], to be written into a page.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'t>(pub(crate) &'t str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_for_html_is_escaped() {
        assert_eq!(
            escape("<a href='x'>\"&\"</a>").to_string(),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;"
        );
    }
}
