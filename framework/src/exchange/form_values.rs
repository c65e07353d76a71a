//! Queries and forms as values of `serde` types: [`from_pairs`].
//!
//! This is own code rather than `serde_urlencoded`, because one parameter must mean the same in a signature and in a
//! struct. [`Parameter`] reads numbers and bools, `Vec<T>` takes repeated fields, the message names the field. Nested
//! structs have no agreed way of writing and are refused.

use super::Parameter;
use super::fields::TYPED_FORM;
use super::list_names::list_name;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};

type Pair<'e> = (&'e str, &'e str);

/// Reads the fields of a query or form as a struct or map.
pub(crate) fn from_pairs<'e, T: DeserializeOwned>(pairs: impl Iterator<Item = Pair<'e>>) -> Result<T, Error> {
    T::deserialize(Fields { pairs: pairs.collect() })
}

/// All fields, in their order.
struct Fields<'e> {
    pairs: Vec<Pair<'e>>,
}

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        // Stable, so that repeated fields keep their order; sorting bounds the time for a hostile form.
        self.pairs.sort_by_key(|(name, _)| *name);
        let fields = self.pairs.chunk_by(|(left, _), (right, _)| left == right);
        let mut map = MapDeserializer::new(fields.map(|field| (field[0].0, Field { pairs: field })));
        let value = visitor.visit_map(&mut map)?;
        map.end()?;
        Ok(value)
    }

    /// A field `a[]` is for the struct's `a`, unless it has one of that very name.
    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        for (name, _) in &mut self.pairs {
            if let Some(list) = list_name(name)
                && known.contains(&list)
                && !known.contains(name)
            {
                *name = list;
            }
        }
        self.deserialize_any(visitor)
    }

    /// A typed form takes all fields as they are.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name == TYPED_FORM {
            return visitor.visit_map(MapDeserializer::new(self.pairs.into_iter()));
        }
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

/// All values of one name; at least one.
#[derive(Clone, Copy)]
struct Field<'f, 'e> {
    pairs: &'f [Pair<'e>],
}

impl Field<'_, '_> {
    fn name(&self) -> &str {
        self.pairs[0].0
    }

    fn text(&self) -> &str {
        self.pairs[0].1
    }

    fn read<T: Parameter>(&self) -> Result<T, Error> {
        T::from_text(self.text()).map_err(|_| self.refused(T::EXPECTED))
    }

    fn refused(&self, expected: &str) -> Error {
        Error::custom(format_args!("the parameter `{}` must be {expected}", self.name()))
    }
}

impl<'de> IntoDeserializer<'de, Error> for Field<'_, '_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! read_parameters {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.read::<$type>()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Field<'_, '_> {
    type Error = Error;

    read_parameters! {
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
        deserialize_char visit_char char,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text())
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bytes(self.text().as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    /// A field left blank is not given: browsers send every field of a form.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.text().is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(self.pairs.chunks(1).map(|pairs| Field { pairs })))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if !variants.contains(&self.text()) {
            return Err(self.refused(&format!("one of `{}`", variants.join("`, `"))));
        }
        StrDeserializer::new(self.text()).deserialize_enum(name, variants, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom(format_args!("the parameter `{}` has one text and cannot be a struct or map", self.name())))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    serde::forward_to_deserialize_any! {
        str string unit unit_struct tuple_struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        Up,
        Down,
    }

    fn read(encoded: &str) -> Result<Search, Error> {
        let pairs: Vec<_> = form_urlencoded::parse(encoded.as_bytes()).into_owned().collect();
        from_pairs(pairs.iter().map(|(name, value)| (&**name, &**value)))
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Search {
        text: String,
        page: Option<u32>,
        #[serde(default)]
        tag: Vec<String>,
        #[serde(default)]
        exact: bool,
        order: Option<Order>,
    }

    #[test]
    fn a_struct_takes_fields_by_name_and_repeats_in_order() {
        let search = read("tag=b&text=a+b%26&exact=on&tag=a&page=2&order=down").unwrap();
        let tag = vec!["b".to_owned(), "a".to_owned()];
        assert_eq!(search, Search { text: "a b&".into(), page: Some(2), tag, exact: true, order: Some(Order::Down) });
    }

    #[test]
    fn brackets_say_that_a_field_is_a_list() {
        let search = read("tag[]=b&text=x&tag[]=a&tag=c&tag[1]=d&tag[x]=e").unwrap();
        assert_eq!(search.tag, ["b", "a", "c", "d"]);
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "tag[]")]
            tag: Vec<String>,
        }
        let named: Named = from_pairs([("tag[]", "a"), ("tag", "b")].into_iter()).unwrap();
        assert_eq!(named.tag, ["a"]);
        let all: std::collections::BTreeMap<String, Vec<String>> = from_pairs([("a[]", "1")].into_iter()).unwrap();
        assert_eq!(all["a[]"], ["1"]);
    }

    #[test]
    fn blank_and_missing_options_are_none_and_unknown_fields_are_ignored() {
        let search = read("text=&page=&utm_source=x").unwrap();
        assert_eq!(search, Search { text: String::new(), page: None, tag: vec![], exact: false, order: None });
    }

    #[test]
    fn the_mistake_is_named() {
        let wrong = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(wrong("page=1"), "missing field `text`");
        assert_eq!(wrong("text=&page=x"), "the parameter `page` must be a whole number from 0 to 4294967295");
        assert_eq!(wrong("text=&order=left"), "the parameter `order` must be one of `up`, `down`");
    }
}
