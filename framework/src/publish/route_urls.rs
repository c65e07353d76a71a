//! From the name of a route and values to an address.

use crate::exchange::LinkError;
use crate::http::encode_segment;
use crate::suggestion::suggestion;
use parking_lot::RwLock;
use std::fmt::Display;
use std::sync::Arc;

/// Makes addresses of [`Routes`](super::Routes), by name: CherryPy's `url_for`. Cheap to clone, so that pages can keep
/// one.
#[derive(Clone, Debug, Default)]
pub struct RouteUrls(Arc<RwLock<Vec<Named>>>);

#[derive(Debug)]
struct Named {
    name: &'static str,
    pattern: Arc<Pattern>,
}

impl RouteUrls {
    /// The path of a route from the place of its `Routes`, each value encoded: `/user/7`.
    /// [`Link::join`](crate::exchange::Link::join) makes it the address that the client sees:
    /// `request.url("/").join(&urls.url("user", &[("id", &7)])?)`.
    ///
    /// A value for `{id}` is one segment, a `/` in it encoded; one for `{*rest}` is several.
    ///
    /// # Errors
    /// No route of that name; a missing value, or one that the pattern does not have; a value that is empty, or `.` or
    /// `..`, which no browser would send.
    pub fn url(&self, name: &str, values: &[(&str, &dyn Display)]) -> Result<String, LinkError> {
        let found = {
            let routes = self.0.read();
            let found = routes.iter().find(|known| known.name == name).map(|known| Arc::clone(&known.pattern));
            found.ok_or_else(|| {
                let names: Vec<_> = routes.iter().map(|known| known.name).collect();
                let hint = if names.is_empty() { "none has a name".to_owned() } else { suggestion(name, &names) };
                LinkError(format!("no route has the name `{name}`; {hint}"))
            })?
        };
        found.fill(values).map_err(|problem| LinkError(format!("the route `{name}` ({}): {problem}", found.written)))
    }

    pub(super) fn add(&self, name: &'static str, pattern: Pattern) {
        self.0.write().push(Named { name, pattern: Arc::new(pattern) });
    }
}

/// A pattern in pieces.
#[derive(Debug)]
pub(super) struct Pattern {
    written: &'static str,
    pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    One(String),
    Rest(String),
}

impl Pattern {
    /// Reads `/user/{id}/{*rest}`.
    pub(super) fn read(written: &'static str) -> Result<Self, String> {
        let mistake = |problem: &str| Err(format!("`{written}` is not a pattern: {problem}"));
        if !written.starts_with('/') {
            return mistake("it must start with `/`");
        }
        if written.contains("//") {
            return mistake("a segment between its slashes is missing");
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut text = String::new();
        let mut rest = written.chars().peekable();
        while let Some(next) = rest.next() {
            match next {
                '{' | '}' if rest.peek() == Some(&next) => {
                    rest.next();
                    text.push(next);
                }
                '}' => return mistake("a `}` has no `{` before it; write `}}` for the sign itself"),
                '{' => {
                    let mut name = String::new();
                    let is_closed = loop {
                        match rest.next() {
                            Some('}') => break true,
                            Some(letter) => name.push(letter),
                            None => break false,
                        }
                    };
                    let (name, is_rest) = match name.strip_prefix('*') {
                        Some(name) => (name.to_owned(), true),
                        None => (name, false),
                    };
                    if !is_closed || name.is_empty() || name.contains(['/', '{', '*']) {
                        return mistake("write `{name}` for a segment, and `{*name}` at the end for all that are left");
                    }
                    if is_rest && rest.peek().is_some() {
                        return mistake("`{*name}` can only be at the end");
                    }
                    if pieces.iter().any(|piece| piece.name() == Some(&*name)) {
                        return mistake(&format!("it has two `{{{name}}}`"));
                    }
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(if is_rest { Piece::Rest(name) } else { Piece::One(name) });
                }
                other => text.push(other),
            }
        }
        pieces.push(Piece::Text(text));
        Ok(Self { written, pieces })
    }

    fn fill(&self, values: &[(&str, &dyn Display)]) -> Result<String, String> {
        let names: Vec<_> = self.pieces.iter().filter_map(Piece::name).collect();
        if let Some((unknown, _)) = values.iter().find(|(name, _)| !names.contains(name)) {
            return Err(format!("it has no `{unknown}`"));
        }
        let value = |wanted: &str| {
            let given = values.iter().find(|(name, _)| *name == wanted);
            given.map(|(_, value)| value.to_string()).ok_or_else(|| format!("the value of `{wanted}` is missing"))
        };
        // The segments, decoded: pieces of one belong together.
        let mut segments = vec![String::new()];
        for piece in &self.pieces {
            let (text, is_one_segment) = match piece {
                Piece::Text(text) => (text.clone(), false),
                Piece::One(name) => (value(name)?, true),
                Piece::Rest(name) => (value(name)?, false),
            };
            if text.trim_matches('/').is_empty()
                && let Some(name) = piece.name()
            {
                return Err(format!("the value of `{name}` is empty"));
            }
            let mut parts = if is_one_segment { vec![&*text] } else { text.split('/').collect() }.into_iter();
            segments.last_mut().expect("there is always one").push_str(parts.next().unwrap_or_default());
            segments.extend(parts.map(str::to_owned));
        }
        if let Some(dots) = segments.iter().find(|segment| matches!(segment.as_str(), "." | "..")) {
            return Err(format!("a segment would be `{dots}`, which browsers do not send"));
        }
        let has_slash = segments.last().is_some_and(String::is_empty);
        let mut path = String::new();
        for segment in segments.iter().filter(|segment| !segment.is_empty()) {
            path.push('/');
            path.extend(encode_segment(segment));
        }
        if has_slash || path.is_empty() {
            path.push('/');
        }
        Ok(path)
    }
}

impl Piece {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::One(name) | Self::Rest(name) => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls() -> RouteUrls {
        let urls = RouteUrls::default();
        for (name, pattern) in [
            ("order", "/user/{id}/orders/{order}"),
            ("file", "/files/{*path}"),
            ("page", "/caf\u{e9}/{name}.html"),
            ("root", "/"),
            ("list", "/{{all}}/"),
        ] {
            urls.add(name, Pattern::read(pattern).unwrap());
        }
        urls
    }

    #[test]
    fn values_are_encoded_in_their_place() {
        let url = |name, values: &[(&str, &dyn Display)]| urls().url(name, values).unwrap();
        assert_eq!(url("order", &[("order", &"a/b c?"), ("id", &7)]), "/user/7/orders/a%2Fb%20c%3F");
        assert_eq!(url("file", &[("path", &"/a//b c/d")]), "/files/a/b%20c/d");
        assert_eq!(url("page", &[("name", &"x")]), "/caf%C3%A9/x.html");
        assert_eq!((url("root", &[]), url("list", &[])), ("/".to_owned(), "/%7Ball%7D/".to_owned()));
    }

    #[test]
    fn an_impossible_address_is_told_with_names() {
        type Case<'c> = (&'c str, &'c [(&'c str, &'c dyn Display)], &'c str);
        let table: [Case<'_>; 7] = [
            ("ordre", &[], "no route has the name `ordre`; did you mean `order`?"),
            ("order", &[("id", &7)], "the route `order` (/user/{id}/orders/{order}): the value of `order` is missing"),
            ("file", &[("path", &"a"), ("id", &7)], "it has no `id`"),
            ("file", &[("path", &"//")], "the value of `path` is empty"),
            ("file", &[("path", &"a/../b")], "a segment would be `..`"),
            ("order", &[("id", &""), ("order", &1)], "the value of `id` is empty"),
            ("order", &[("id", &".."), ("order", &1)], "a segment would be `..`"),
        ];
        for (name, values, sentence) in table {
            let error = urls().url(name, values).unwrap_err().to_string();
            assert!(error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn a_malformed_pattern_is_refused_with_a_sentence() {
        let table = [
            ("user", "it must start with `/`"),
            ("", "it must start with `/`"),
            ("/a//b", "a segment between its slashes is missing"),
            ("/{id", "write `{name}`"),
            ("/{}", "write `{name}`"),
            ("/id}", "no `{` before it"),
            ("/{*a}/b", "can only be at the end"),
            ("/{a}/{a}", "it has two `{a}`"),
        ];
        for (pattern, sentence) in table {
            let problem = Pattern::read(pattern).unwrap_err();
            assert!(problem.contains(sentence), "{pattern}: {problem}");
        }
    }
}
