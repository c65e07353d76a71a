//! Sections of the application's own, read by serde: every error knows its place, its key and the right form.
//!
//! The type decides how a text is read. A `Duration` and a `u64` know the units of the framework's own settings; a text
//! may be in a file; the text of a variable becomes a number only where one is asked for. A key that the type does not
//! know is an error with or without `deny_unknown_fields`.

use super::ConfigError;
use super::configuration::is_named_secret;
use super::node::{Content, Node, in_variable, is_reference, is_same_key};
use crate::settings::{SECRET, Secret, Setting, SettingError, shown, size};
use serde::Deserializer;
use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use std::fmt::Display;
use std::time::Duration;
use toml::Value;

/// Makes a `T` of the section with that name.
pub(super) fn read<T: DeserializeOwned>(node: &Node, section: &str) -> Result<T, ConfigError> {
    let at = At { node, section, key: String::new(), is_secret: false, is_known: true };
    T::deserialize(at.clone()).map_err(|refusal| match at.placed(refusal) {
        Refusal::Placed(error) => error,
        other => ConfigError::new(node.origin.to_string(), other.to_string()),
    })
}

/// A value below a section: what serde reads from.
#[derive(Clone)]
struct At<'n> {
    node: &'n Node,
    section: &'n str,
    /// The keys that lead to it, such as `mail.from`; empty for the section itself.
    key: String,
    /// Whether messages must not show it.
    is_secret: bool,
    /// Whether the type knows its key.
    is_known: bool,
}

/// Why a value was refused.
#[derive(Debug)]
enum Refusal {
    /// It is wrong itself: what it must be.
    Value(String),
    /// One of its fields is wrong: the whole sentence behind the name.
    Field(String, String),
    Missing(String),
    Placed(ConfigError),
}

impl At<'_> {
    /// The place of an error that has none yet.
    fn placed(&self, refusal: Refusal) -> Refusal {
        let (node, key, problem) = match refusal {
            Refusal::Placed(error) => return Refusal::Placed(error),
            Refusal::Value(problem) if self.key.is_empty() => {
                return Refusal::Placed(ConfigError::new(self.place(self.node), problem));
            }
            Refusal::Value(problem) => (self.node, self.key.clone(), format!("is {}; {problem}", self.shown())),
            Refusal::Missing(name) => {
                let problem = format!("is missing: write it below [{}], or set {}", self.table(), self.variable(&name));
                (self.node, self.join(&name), problem)
            }
            Refusal::Field(name, problem) => (self.node.get(&name).unwrap_or(self.node), self.join(&name), problem),
        };
        Refusal::Placed(ConfigError::new(self.place(node), format!("`{key}` {problem}")))
    }

    fn place(&self, node: &Node) -> String {
        format!("{}: [{}]", node.origin, self.section)
    }

    fn join(&self, key: &str) -> String {
        if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) }
    }

    /// The heading of the table that it is.
    fn table(&self) -> String {
        if self.key.is_empty() { self.section.to_owned() } else { format!("{}.{}", self.section, self.key) }
    }

    /// The variable that sets one of its fields.
    fn variable(&self, key: &str) -> String {
        let keys = self.join(key);
        let keys = keys.split('.').map(|key| format!("__{}", in_variable(key)));
        format!("KIRSCH_{}{}", in_variable(self.section), keys.collect::<String>())
    }

    /// The value, as messages may show it.
    fn shown(&self) -> String {
        let value = self.node.to_value(false);
        let is_secret = self.is_secret || self.key.split('.').any(is_named_secret);
        match value {
            Value::String(text) if text.is_empty() => "empty".to_owned(),
            Value::Table(_) | Value::Array(_) => shown(&value),
            _ if is_secret => "something else".to_owned(),
            value => shown(&value),
        }
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, Refusal> {
        Err(self.placed(Refusal::Value(format!("it must be {expected}"))))
    }

    fn scalar(&self) -> Option<Value> {
        match &self.node.content {
            Content::Value(value) => Some(value.clone()),
            Content::Text(text) => Some(Value::String(text.clone())),
            Content::Table(_) | Content::List(_) => None,
        }
    }

    /// The number, out of a text too where a variable has it.
    fn number<T: std::str::FromStr + TryFrom<i64>>(&self) -> Option<T> {
        match &self.node.content {
            Content::Value(Value::Integer(number)) => T::try_from(*number).ok(),
            Content::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A text: as it is written, or from the file that a table names.
    fn text(&self) -> Result<String, Refusal> {
        match &self.node.content {
            Content::Value(Value::String(text)) | Content::Text(text) => Ok(text.clone()),
            Content::Value(Value::Datetime(date)) => Ok(date.to_string()),
            Content::Table(table) if is_reference(table) => {
                let read = Secret::read(&self.node.to_value(false));
                read.map(|secret| secret.exposed().clone())
                    .map_err(|problem| self.refused(self.node, format!("`{}` {problem}", self.key)))
            }
            _ => self.wrong("a text in quotes"),
        }
    }

    fn refused(&self, node: &Node, problem: String) -> Refusal {
        Refusal::Placed(ConfigError::new(self.place(node), problem))
    }

    /// Reads what TOML would read where a variable has a text.
    fn guessed(&self) -> Option<Node> {
        self.node.guessed()
    }

    fn below<'a>(&self, node: &'a Node, key: String) -> At<'a>
    where
        Self: 'a,
    {
        At { node, section: self.section, key, is_secret: self.is_secret, is_known: true }
    }
}

impl serde::de::Error for Refusal {
    fn custom<T: Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::Value(format!("it must be {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::Value(format!("it must be {expected}"))
    }

    fn invalid_length(_: usize, expected: &dyn serde::de::Expected) -> Self {
        Self::Value(format!("it must be {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        let words: Vec<_> = expected.iter().map(|word| format!("\"{word}\"")).collect();
        Self::Value(format!("it must be one of {}", words.join(", ")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::Field(field.to_owned(), SettingError::unknown(field, expected).problem)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field.to_owned())
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Field(field.to_owned(), "is there twice".to_owned())
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(problem) => f.write_str(problem),
            Self::Field(name, problem) => write!(f, "`{name}` {problem}"),
            Self::Missing(name) => write!(f, "`{name}` is missing"),
            Self::Placed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

macro_rules! numbers {
    ($($method:ident $visit:ident $number:ty, $expected:literal;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
                match self.number::<$number>() {
                    Some(number) => visitor.$visit(number).map_err(|refusal| self.placed(refusal)),
                    None => self.wrong($expected),
                }
            }
        )*
    };
}

impl<'de> Deserializer<'de> for At<'_> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if let Some(node) = self.guessed() {
            return self.below(&node, self.key.clone()).deserialize_any(visitor);
        }
        match &self.node.content {
            Content::Table(_) => self.deserialize_map(visitor),
            Content::List(_) => self.deserialize_seq(visitor),
            Content::Value(Value::Boolean(_)) => self.deserialize_bool(visitor),
            Content::Value(Value::Integer(_)) => self.deserialize_i64(visitor),
            Content::Value(Value::Float(_)) => self.deserialize_f64(visitor),
            Content::Value(_) | Content::Text(_) => self.deserialize_string(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let flag = match &self.node.content {
            Content::Value(Value::Boolean(flag)) => Some(*flag),
            Content::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        match flag {
            Some(flag) => visitor.visit_bool(flag).map_err(|refusal| self.placed(refusal)),
            None => self.wrong("true or false"),
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8, "a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 i32, "a whole number from -2147483648 to 2147483647";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_i128 visit_i128 i128, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number from 0 to 4294967295";
        deserialize_u128 visit_u128 u128, "a whole number, zero or more";
    }

    /// A size with its unit is a number, too.
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let size = || self.scalar().filter(Value::is_str).and_then(|text| size::read(&text).ok());
        match self.number::<u64>().or_else(size) {
            Some(number) => visitor.visit_u64(number).map_err(|refusal| self.placed(refusal)),
            None => self.wrong("a whole number, zero or more, or a size with its unit, as \"64 KiB\" or \"10 MB\""),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let number = match &self.node.content {
            Content::Value(Value::Float(number)) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "as a float of the same digits")]
            Content::Value(Value::Integer(number)) => Some(*number as f64),
            Content::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => visitor.visit_f64(number).map_err(|refusal| self.placed(refusal)),
            None => self.wrong("a number"),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_string(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let text = self.text()?;
        visitor.visit_string(text).map_err(|refusal| self.placed(refusal))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let text = self.text()?;
        visitor.visit_byte_buf(text.into_bytes()).map_err(|refusal| self.placed(refusal))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refusal> {
        self.wrong("left out: it has no value")
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refusal> {
        let at = Self { is_secret: self.is_secret || name == SECRET, ..self };
        visitor.visit_newtype_struct(at.clone()).map_err(|refusal| at.placed(refusal))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if let Some(node) = self.guessed().filter(|node| matches!(node.content, Content::List(_))) {
            return self.below(&node, self.key.clone()).deserialize_seq(visitor);
        }
        let Content::List(list) = &self.node.content else { return self.wrong("a list, as [\"a\", \"b\"]") };
        let mut items = Items { at: &self, items: list.iter().enumerate() };
        visitor.visit_seq(&mut items).map_err(|refusal| self.placed(refusal))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.entries(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.scalar() {
            Some(value) if name == "Duration" && fields == ["secs", "nanos"] => {
                let read = Duration::read(&value);
                let read = read.map_err(|problem| self.refused(self.node, format!("`{}` {problem}", self.key)))?;
                let parts = [("secs", read.as_secs()), ("nanos", u64::from(read.subsec_nanos()))];
                visitor.visit_map(MapDeserializer::new(parts.into_iter()))
            }
            _ => self.entries(Some(fields), visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if let Some(node) = self.guessed().filter(|node| node.as_table().is_some()) {
            return self.below(&node, self.key.clone()).deserialize_enum("", variants, visitor);
        }
        let read = match self.scalar() {
            Some(Value::String(word)) => visitor.visit_enum(IntoDeserializer::<Refusal>::into_deserializer(&*word)),
            Some(_) => Err(serde::de::Error::unknown_variant("", variants)),
            None => match self.node.as_table().filter(|table| table.len() == 1).and_then(|table| table.iter().next()) {
                Some((variant, node)) => {
                    visitor.visit_enum(Chosen { variant, value: self.below(node, self.join(variant)) })
                }
                None => Err(serde::de::Error::unknown_variant("", variants)),
            },
        };
        read.map_err(|refusal| self.placed(refusal))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_string(visitor)
    }

    /// What the type does not know is not ignored.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.is_known {
            true => self.deserialize_any(visitor),
            false => self.wrong("left out"),
        }
    }
}

impl At<'_> {
    /// The entries of a table; `fields` are those that a struct knows.
    fn entries<'de, V: Visitor<'de>>(
        self,
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if let Some(node) = self.guessed().filter(|node| node.as_table().is_some()) {
            return self.below(&node, self.key.clone()).entries(fields, visitor);
        }
        let Some(table) = self.node.as_table() else {
            return self.wrong("a table, as { key = \"value\" }");
        };
        let mut entries = Entries { at: &self, entries: table.iter(), fields, next: None };
        visitor.visit_map(&mut entries).map_err(|refusal| self.placed(refusal))
    }
}

struct Items<'a> {
    at: &'a At<'a>,
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> SeqAccess<'de> for &mut Items<'_> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        seed.deserialize(self.at.below(node, format!("{}[{index}]", self.at.key))).map(Some)
    }
}

struct Entries<'a> {
    at: &'a At<'a>,
    entries: std::collections::btree_map::Iter<'a, String, Node>,
    fields: Option<&'static [&'static str]>,
    /// The key and the value of the entry whose key was read.
    next: Option<(&'a str, &'a Node)>,
}

impl<'de> MapAccess<'de> for &mut Entries<'_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        let mut fields = self.fields.into_iter().flatten();
        let field = fields.find(|field| is_same_key(field, key, &node.origin)).map_or(&**key, |field| field);
        self.next = Some((field, node));
        seed.deserialize(StrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let (key, node) = self.next.take().expect("serde reads a key before its value");
        let is_known = self.fields.is_none_or(|fields| fields.contains(&key));
        let at = At { is_known, ..self.at.below(node, self.at.join(key)) };
        seed.deserialize(at).map_err(|refusal| match self.fields {
            Some(fields) if !is_known => Refusal::Field(key.to_owned(), SettingError::unknown(key, fields).problem),
            _ => refusal,
        })
    }
}

/// A variant with a value.
struct Chosen<'a> {
    variant: &'a str,
    value: At<'a>,
}

impl<'de, 'a> EnumAccess<'de> for Chosen<'a> {
    type Error = Refusal;
    type Variant = At<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, At<'a>), Refusal> {
        Ok((seed.deserialize(StrDeserializer::<Refusal>::new(self.variant))?, self.value))
    }
}

impl<'de> VariantAccess<'de> for At<'_> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        self.wrong("left out: the word alone is enough")
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use crate::Configuration;
    use crate::settings::Secret;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use std::collections::BTreeMap;
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::time::Duration;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Custom { code: String },
        Grey(u8),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(default, rename_all = "kebab-case")]
    struct Mail {
        from: String,
        max_size: u64,
        patience: Duration,
    }

    impl Default for Mail {
        fn default() -> Self {
            Self { from: "shop@example.org".to_owned(), max_size: 1 << 20, patience: Duration::from_secs(5) }
        }
    }

    #[derive(Debug, Deserialize)]
    struct Shop {
        title: String,
        #[serde(default)]
        seats: Option<u16>,
        #[serde(default)]
        open: bool,
        #[serde(default)]
        share: f64,
        #[serde(default)]
        owners: Vec<String>,
        #[serde(default)]
        prices: BTreeMap<String, i64>,
        colour: Option<Colour>,
        #[serde(default)]
        mail: Mail,
        folder: Option<PathBuf>,
        peer: Option<SocketAddr>,
        password: Option<Secret>,
        code: Option<Secret<u32>>,
        day: Option<String>,
    }

    fn read<T: DeserializeOwned>(text: &str, variables: &[(&str, &str)]) -> Result<T, String> {
        let configuration = Configuration::text(text).and_then(|read| read.variables(variables.iter().copied()));
        configuration.and_then(|read| read.section("shop")).map_err(|error| error.to_string())
    }

    const FULL: &str = r##"
        [shop]
        title = "Teas"
        seats = 20
        open = true
        share = 1
        owners = ["anna", "bert"]
        prices = { green = 3, black = 4 }
        colour.custom.code = "#fff"
        folder = "/srv/shop"
        peer = "127.0.0.1:25"
        password = "hunter2"
        code = 4711
        day = 2026-11-30
        mail.max-size = "10 MB"
        mail.patience = "5 min"
    "##;

    #[test]
    fn each_type_has_its_form_in_a_file() {
        let shop: Shop = read(FULL, &[]).unwrap();
        assert_eq!((&*shop.title, shop.seats, shop.open, shop.share), ("Teas", Some(20), true, 1.0));
        assert_eq!((shop.owners.len(), shop.prices["black"]), (2, 4));
        assert_eq!(shop.colour, Some(Colour::Custom { code: "#fff".to_owned() }));
        assert_eq!(shop.mail, Mail { max_size: 10_000_000, patience: Duration::from_secs(300), ..Mail::default() });
        assert_eq!((shop.folder, shop.peer), (Some("/srv/shop".into()), "127.0.0.1:25".parse().ok()));
        assert_eq!((shop.password.unwrap().exposed().as_str(), *shop.code.unwrap().exposed()), ("hunter2", 4711));
        assert_eq!(shop.day.as_deref(), Some("2026-11-30"));
    }

    #[test]
    fn a_variable_is_read_as_the_type_wants_it() {
        let variables = [
            ("KIRSCH_SHOP__TITLE", "4711"),
            ("KIRSCH_SHOP__SEATS", "30"),
            ("KIRSCH_SHOP__OPEN", "false"),
            ("KIRSCH_SHOP__SHARE", "0.5"),
            ("KIRSCH_SHOP__OWNERS", "[\"carl\"]"),
            ("KIRSCH_SHOP__PRICES__BLACK", "5"),
            ("KIRSCH_SHOP__COLOUR", "red"),
            ("KIRSCH_SHOP__MAIL__MAX_SIZE", "1 KiB"),
            ("KIRSCH_SHOP__MAIL__PATIENCE", "1h"),
            ("KIRSCH_SHOP__PASSWORD", "007"),
            ("KIRSCH_SHOP__CODE", "12"),
        ];
        let shop: Shop = read(FULL, &variables).unwrap();
        assert_eq!((&*shop.title, shop.seats, shop.open, shop.share), ("4711", Some(30), false, 0.5));
        assert_eq!((shop.owners, shop.prices["black"], shop.prices["green"]), (vec!["carl".to_owned()], 5, 3));
        assert_eq!((shop.colour, shop.mail.max_size, shop.mail.patience.as_secs()), (Some(Colour::Red), 1024, 3600));
        assert_eq!((shop.password.unwrap().exposed().as_str(), *shop.code.unwrap().exposed()), ("007", 12));
    }

    /// Each message names the place, the mistake, and the right form.
    #[test]
    fn wrong_values_are_refused_with_place_and_remedy() {
        let table = [
            ("titel = \"x\"", "`titel` is not a setting; did you mean `title`?"),
            ("seats = \"many\"", "`seats` is \"many\"; it must be a whole number from 0 to 65535"),
            ("seats = 70000", "`seats` is 70000; it must be a whole number from 0 to 65535"),
            ("open = \"yes\"", "`open` is \"yes\"; it must be true or false"),
            ("share = \"half\"", "`share` is \"half\"; it must be a number"),
            ("owners = \"anna\"", "`owners` is \"anna\"; it must be a list, as [\"a\", \"b\"]"),
            ("owners = [\"anna\", 5]", "`owners[1]` is 5; it must be a text in quotes"),
            ("prices = { green = \"3\" }", "`prices.green` is \"3\"; it must be a whole number"),
            ("colour = \"blue\"", "`colour` is \"blue\"; it must be one of \"red\", \"custom\", \"grey\""),
            ("colour.grey = 300", "`colour.grey` is 300; it must be a whole number from 0 to 255"),
            ("mail = 5", "`mail` is 5; it must be a table, as { key = \"value\" }"),
            ("mail.form = \"x\"", "`mail.form` is not a setting; did you mean `from`?"),
            (
                "mail.patience = 5",
                "`mail.patience` is 5; it must be a duration with its unit, as \"250ms\", \"20s\", \"5m\", \"2h\" or \"7d\"",
            ),
            (
                "mail.max-size = \"10 M\"",
                "`mail.max-size` is \"10 M\"; it must be a whole number, zero or more, or a size with its unit, as \"64 KiB\" or \"10 MB\"",
            ),
            ("peer = \"localhost\"", "`peer` is \"localhost\"; invalid socket address syntax"),
            ("password = 4711", "`password` is something else; it must be a text in quotes"),
            ("code = \"hunter2\"", "`code` is something else; it must be a whole number from 0 to 4294967295"),
            (
                "password.file = \"/nowhere/db\"",
                "`password` is in the file /nowhere/db, which cannot be read: No such file or directory (os error 2)",
            ),
        ];
        for (line, message) in table {
            let refused = read::<Shop>(&format!("[shop]\ntitle = \"Teas\"\n{line}"), &[]).unwrap_err();
            assert_eq!(refused, format!("the configuration: line 3: [shop]: {message}"), "{line}");
        }
    }

    #[test]
    fn a_missing_value_is_told_both_ways_to_write_it() {
        let refused = read::<Shop>("\n[shop]\nopen = true", &[]).unwrap_err();
        assert_eq!(
            refused,
            "the configuration: line 2: [shop]: `title` is missing: write it below [shop], or set KIRSCH_SHOP__TITLE"
        );
        let refused = read::<Shop>("[shp]\ntitle = \"Teas\"", &[]).unwrap_err();
        assert!(refused.ends_with("KIRSCH_SHOP__TITLE. There is no section [shop]; is [shp] meant?"), "{refused}");
    }

    #[test]
    fn the_errors_of_a_variable_name_it() {
        let table = [
            ("KIRSCH_SHOP__SEATS", "many", "`seats` is \"many\"; it must be a whole number from 0 to 65535"),
            ("KIRSCH_SHOP__SEATS", "", "`seats` is empty; it must be a whole number from 0 to 65535"),
            ("KIRSCH_SHOP__TITEL", "x", "`titel` is not a setting; did you mean `title`?"),
            ("KIRSCH_SHOP__MAIL__FORM", "x", "`mail.form` is not a setting; did you mean `from`?"),
            ("KIRSCH_SHOP__MAIL", "x", "`mail` is \"x\"; it must be a table, as { key = \"value\" }"),
            (
                "KIRSCH_SHOP__CODE",
                "hunter2",
                "`code` is something else; it must be a whole number from 0 to 4294967295",
            ),
        ];
        for (name, value, message) in table {
            let refused = read::<Shop>("[shop]\ntitle = \"Teas\"", &[(name, value)]).unwrap_err();
            assert_eq!(refused, format!("the environment variable {name}: [shop]: {message}"));
        }
    }

    #[test]
    fn a_text_may_be_in_a_file_that_a_variable_names() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        let path = file.path().to_str().unwrap();
        let shop: Shop =
            read(FULL, &[("KIRSCH_SHOP__PASSWORD__FILE", path), ("KIRSCH_SHOP__TITLE__FILE", path)]).unwrap();
        assert_eq!((shop.title.as_str(), shop.password.as_ref().unwrap().exposed().as_str()), ("hunter2", "hunter2"));
        assert!(format!("{:?}", shop.password).contains("(secret)"));
    }

    #[test]
    fn a_section_without_fields_to_know_takes_any_key() {
        let table: toml::Table = read("[shop]\na.b = [1, true, 2.5]", &[("KIRSCH_SHOP__C", "5")]).unwrap();
        assert_eq!(table.to_string().replace('\n', ""), "c = 5[a]b = [1, true, 2.5]");
        let list: Vec<BTreeMap<String, u8>> = read("[[shop]]\na = 1\n[[shop]]\nb = 2", &[]).unwrap();
        assert_eq!(list[1]["b"], 2);
    }

    #[test]
    fn names_that_mean_something_else_are_no_sections() {
        let configuration = Configuration::text("").unwrap();
        for name in ["global", "server", "root", "profile", "/shop"] {
            assert!(configuration.section::<toml::Table>(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_profile_that_does_not_exist_is_an_error_with_a_suggestion() {
        let read = |variables: &[(&str, &str)]| {
            let text = "[shop]\na = \"1\"\n[profile.staging]\nshop.a = \"2\"\n[profile.production.shop]\na = \"3\"";
            let configuration =
                Configuration::text(text)?.variables(variables.iter().copied())?.default_profile("staging");
            configuration.section::<BTreeMap<String, String>>("shop").map(|shop| shop["a"].clone())
        };
        assert_eq!(read(&[]).unwrap(), "2");
        assert_eq!(read(&[("KIRSCH_PROFILE", "production")]).unwrap(), "3");
        assert_eq!(read(&[("KIRSCH_PROFILE", "development")]).unwrap(), "1");
        let refused = read(&[("KIRSCH_PROFILE", "prodcution")]).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the environment variable KIRSCH_PROFILE: there is no [profile.prodcution]; did you mean `production`?"
        );
    }

    #[test]
    fn nothing_shows_the_values_of_a_configuration() {
        let configuration = Configuration::text(FULL).unwrap().variables([("KIRSCH_SHOP__CODE", "hunter2")]).unwrap();
        assert!(!format!("{configuration:?}").contains("hunter2"), "{configuration:?}");
    }
}
