//! The values of a configuration, each with the place where it is written: a line of a file, or a variable.
//!
//! The text of a variable stays a text here. `8080` may be a number or a password of digits: only the type that asks
//! for it can tell. So [`Node::readings`] offers both, and the deserializer of sections decides by the type.

use super::ConfigError;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// A value with its place.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) content: Content,
    pub(crate) origin: Origin,
}

#[derive(Clone)]
pub(crate) enum Content {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    /// Neither a table nor a list.
    Value(Value),
    /// The text of a variable.
    Text(String),
}

/// The place where a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The file as a whole.
    File(Arc<str>),
    Line(Arc<str>, usize),
    Variable(Arc<str>),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(name) => f.write_str(name),
            Self::Line(name, line) => write!(f, "{name}: line {line}"),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
        }
    }
}

impl Node {
    /// An empty table.
    pub(crate) fn empty(origin: Origin) -> Self {
        Self { content: Content::Table(BTreeMap::new()), origin }
    }

    /// The table of a whole file; `name` is the file's in messages.
    pub(crate) fn parse(name: &Arc<str>, text: &str) -> Result<Self, ConfigError> {
        let lines = Lines::of(name, text);
        let table = DeTable::parse(text).map_err(|error| {
            let place = lines.at(error.span().map_or(0, |span| span.start));
            ConfigError::new(place.to_string(), error.message())
        })?;
        lines.table(table.into_inner(), Origin::File(name.clone()))
    }

    /// The text of a variable under the keys that its name says.
    pub(crate) fn of_variable(name: &Arc<str>, keys: &[String], text: &str) -> Self {
        let origin = Origin::Variable(name.clone());
        let text = Self { content: Content::Text(text.to_owned()), origin: origin.clone() };
        keys.iter().rev().fold(text, |inner, key| {
            let content = Content::Table(BTreeMap::from([(key.clone(), inner)]));
            Self { content, origin: origin.clone() }
        })
    }

    /// The text of a variable as TOML, if it is a value there and not a text.
    pub(crate) fn guessed(&self) -> Option<Self> {
        let Content::Text(text) = &self.content else { return None };
        let value = text.trim().parse::<Value>().ok().filter(|value| !value.is_str())?;
        Some(Self::of_value(value, &self.origin))
    }

    fn of_value(value: Value, origin: &Origin) -> Self {
        let content = match value {
            Value::Table(table) => {
                Content::Table(table.into_iter().map(|(key, value)| (key, Self::of_value(value, origin))).collect())
            }
            Value::Array(list) => Content::List(list.into_iter().map(|value| Self::of_value(value, origin)).collect()),
            value => Content::Value(value),
        };
        Self { content, origin: origin.clone() }
    }

    pub(crate) fn as_table(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.content {
            Content::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The value below that key of a table.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.as_table()?.get(key)
    }

    /// The place of a key, such as `sessions.timeout`, or that of the table that ought to have it.
    pub(crate) fn origin_of(&self, key: &str) -> &Origin {
        let mut node = self;
        for part in key.split('.') {
            match node.get(part) {
                Some(inner) => node = inner,
                None => break,
            }
        }
        &node.origin
    }

    /// Lays another value over this one: tables key by key, everything else as a whole.
    pub(crate) fn lay_over(&mut self, over: Self) {
        match (&mut self.content, over.content) {
            (Content::Table(under), Content::Table(over)) if !(is_reference(under) && is_reference(&over)) => {
                for (key, node) in over {
                    let known = under.keys().find(|known| is_same_key(known, &key, &node.origin)).cloned();
                    match known.and_then(|known| under.get_mut(&known)) {
                        Some(below) => below.lay_over(node),
                        None => drop(under.insert(key, node)),
                    }
                }
            }
            (_, content) => *self = Self { content, origin: over.origin },
        }
    }

    /// The value as the framework's own settings read it: first with the texts of variables as they are, then, if there
    /// is one that TOML reads otherwise, as TOML has it.
    pub(crate) fn readings(&self) -> Vec<Value> {
        let texts = self.to_value(false);
        let guessed = self.to_value(true);
        if texts == guessed { vec![texts] } else { vec![texts, guessed] }
    }

    pub(crate) fn to_value(&self, guess: bool) -> Value {
        match &self.content {
            Content::Table(table) => {
                let entry = |(key, node): (&String, &Self)| (key.clone(), node.to_value(guess));
                Value::Table(table.iter().map(entry).collect::<Table>())
            }
            Content::List(list) => Value::Array(list.iter().map(|node| node.to_value(guess)).collect()),
            Content::Value(value) => value.clone(),
            Content::Text(text) => match self.guessed().filter(|_| guess) {
                Some(guessed) => guessed.to_value(guess),
                None => Value::String(text.clone()),
            },
        }
    }
}

/// Whether a table names the place of a secret, and nothing else.
pub(crate) fn is_reference(table: &BTreeMap<String, Node>) -> bool {
    !table.is_empty() && table.keys().all(|key| key == "file" || key == "credential")
}

/// Whether `key` means the known one. Names of variables have neither small letters nor dashes.
pub(crate) fn is_same_key(known: &str, key: &str, origin: &Origin) -> bool {
    known == key || (matches!(origin, Origin::Variable(_)) && in_variable(known) == in_variable(key))
}

/// A key as it stands in the name of a variable.
pub(crate) fn in_variable(key: &str) -> String {
    key.to_uppercase().replace(['-', '.'], "_")
}

/// The lines of a file, found by offset.
struct Lines<'n> {
    name: &'n Arc<str>,
    /// The offset of each line break.
    breaks: Vec<usize>,
}

impl<'n> Lines<'n> {
    fn of(name: &'n Arc<str>, text: &str) -> Self {
        Self { name, breaks: text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect() }
    }

    fn at(&self, offset: usize) -> Origin {
        Origin::Line(self.name.clone(), self.breaks.partition_point(|at| *at < offset) + 1)
    }

    fn table(&self, table: DeTable<'_>, origin: Origin) -> Result<Node, ConfigError> {
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
            let origin = self.at(key.span().start);
            let key: std::borrow::Cow<'_, str> = key.into_inner();
            Ok((key.into_owned(), self.node(value.into_inner(), origin)?))
        };
        let entries = table.into_iter().map(entry).collect::<Result<_, ConfigError>>()?;
        Ok(Node { content: Content::Table(entries), origin })
    }

    fn node(&self, value: DeValue<'_>, origin: Origin) -> Result<Node, ConfigError> {
        let refused = |text: &str| ConfigError::new(origin.to_string(), format!("{text} is too large a number"));
        let content = match value {
            DeValue::Table(table) => return self.table(table, origin),
            DeValue::Array(list) => {
                let items = list.iter().map(|item| self.node(item.get_ref().clone(), self.at(item.span().start)));
                Content::List(items.collect::<Result<_, _>>()?)
            }
            DeValue::String(text) => Content::Value(Value::String(text.into_owned())),
            DeValue::Integer(number) => {
                let read = i64::from_str_radix(number.as_str(), number.radix());
                Content::Value(Value::Integer(read.map_err(|_| refused(number.as_str()))?))
            }
            DeValue::Float(number) => {
                Content::Value(Value::Float(number.as_str().parse().map_err(|_| refused(number.as_str()))?))
            }
            DeValue::Boolean(flag) => Content::Value(Value::Boolean(flag)),
            DeValue::Datetime(date) => Content::Value(Value::Datetime(date)),
        };
        Ok(Node { content, origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Node {
        Node::parse(&"site.toml".into(), text).expect("TOML")
    }

    #[test]
    fn each_key_knows_its_line() {
        let node = parse("[a]\nb = 1\n\n[a.c]\nd = [\n  1,\n]\n[\"/\"]\ne.f = 2");
        let table =
            [("a", 1), ("a.b", 2), ("a.c", 4), ("a.c.d", 5), ("a.c.missing", 4), ("/", 8), ("/.e.f", 9), ("/.e.x", 9)];
        for (key, line) in table {
            assert_eq!(node.origin_of(key), &Origin::Line("site.toml".into(), line), "{key}");
        }
    }

    #[test]
    fn numbers_are_read_as_toml_has_them() {
        let node = parse("a = 1_000\nb = 0xff\nc = -5\nd = 1_0.5\ne = inf\nf = 2026-11-30");
        assert_eq!(
            node.to_value(false).to_string().replace('\n', ""),
            "{ a = 1000, b = 255, c = -5, d = 10.5, e = inf, f = 2026-11-30 }"
        );
        let refused = Node::parse(&"site.toml".into(), "\na = 99999999999999999999").err().expect("too large");
        assert_eq!(refused.to_string(), "site.toml: line 2: 99999999999999999999 is too large a number");
    }

    #[test]
    fn tables_are_merged_key_by_key_and_the_rest_is_replaced() {
        let mut node = parse("a = { b = 1, c = [1, 2] }\nd = 1");
        node.lay_over(parse("a = { c = [3] }\nd = { e = 1 }"));
        assert_eq!(node.to_value(false).to_string(), "{ a = { b = 1, c = [3] }, d = { e = 1 } }");
        let mut secret = parse("password = { credential = \"db\" }");
        secret.lay_over(parse("password = { file = \"/run/db\" }"));
        assert_eq!(secret.to_value(false).to_string(), "{ password = { file = \"/run/db\" } }");
    }

    #[test]
    fn a_variable_finds_keys_with_dashes_and_capitals() {
        let mut node = parse("max-guests = 1\nmaxRooms = 1");
        for key in ["max_guests", "maxrooms"] {
            node.lay_over(Node::of_variable(&"KIRSCH_X".into(), &[key.to_owned()], "2"));
        }
        assert_eq!(node.readings()[1].to_string(), "{ max-guests = 2, maxRooms = 2 }");
    }

    #[test]
    fn the_text_of_a_variable_can_be_read_in_two_ways() {
        let readings = |text: &str| -> Vec<String> {
            let node = Node::of_variable(&"KIRSCH_X".into(), &[], text);
            node.readings().iter().map(ToString::to_string).collect()
        };
        assert_eq!(readings("8080"), ["\"8080\"", "8080"]);
        assert_eq!(readings("[\"a\"]"), ["'[\"a\"]'", "[\"a\"]"]);
        for text in ["30s", "1 = 2", "1\nb = 2", ""] {
            assert_eq!(readings(text).len(), 1, "{text}");
        }
    }
}
