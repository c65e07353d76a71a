//! The content of a session: names and values, shared until it is changed.
//!
//! A value is what JSON can say, whatever the store, so that a program behaves the same with every store (A20). Copies share
//! their content: handing a session out costs one count, giving up changes costs nothing, and "is it changed?" is a comparison of pointers.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use std::sync::Arc;

/// The content of a session. A copy is cheap; a change copies the table of names, never the other values.
#[derive(Clone, Default)]
pub struct Data(Option<Arc<Vec<Entry>>>);

#[derive(Clone)]
struct Entry {
    key: Arc<str>,
    value: Arc<Value>,
}

impl Data {
    /// No content.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<Value>> {
        self.entries().iter().find(|entry| &*entry.key == key).map(|entry| &entry.value)
    }

    /// Sets a value. A value that is there already changes nothing.
    pub fn insert(&mut self, key: &str, value: Value) {
        match self.entries().iter().position(|entry| &*entry.key == key) {
            Some(index) if *self.entries()[index].value == value => {}
            Some(index) => self.entries_mut()[index].value = Arc::new(value),
            None => self.entries_mut().push(Entry { key: Arc::from(key), value: Arc::new(value) }),
        }
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &str) -> Option<Arc<Value>> {
        let index = self.entries().iter().position(|entry| &*entry.key == key)?;
        Some(self.entries_mut().remove(index).value)
    }

    /// The names and values in the order in which the names came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries().iter().map(|entry| (&*entry.key, &*entry.value))
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Whether the two are copies of each other and neither was changed since.
    pub(super) fn is_unchanged_copy_of(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => self.is_empty() && other.is_empty(),
        }
    }

    fn entries(&self) -> &[Entry] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    fn entries_mut(&mut self) -> &mut Vec<Entry> {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key).is_some_and(|it| **it == *value))
    }
}

/// Shows the names, not the values: they are the visitor's.
impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|(key, _)| key)).finish()
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Data;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the names and values of a session")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
                let mut data = Data::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    data.insert(&key, value);
                }
                Ok(data)
            }
        }
        deserializer.deserialize_map(Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_copy_leaves_the_original_alone() {
        let mut original = Data::new();
        original.insert("user", "ann".into());
        let mut copy = original.clone();
        copy.insert("user", "bob".into());
        assert_eq!(original.get("user").map(|value| &**value), Some(&Value::from("ann")));
        assert!(!copy.is_unchanged_copy_of(&original));
    }

    #[test]
    fn a40_setting_the_same_value_is_no_change() {
        let mut original = Data::new();
        original.insert("count", 1.into());
        let mut copy = original.clone();
        copy.insert("count", 1.into());
        assert!(copy.is_unchanged_copy_of(&original));
        copy.insert("count", 2.into());
        assert!(!copy.is_unchanged_copy_of(&original));
    }

    #[test]
    fn content_survives_json() {
        let mut data = Data::new();
        data.insert("list", serde_json::json!([1, "two", null]));
        let text = serde_json::to_string(&data).expect("JSON");
        assert_eq!(serde_json::from_str::<Data>(&text).expect("a session"), data);
    }

    #[test]
    fn debug_shows_no_values() {
        let mut data = Data::new();
        data.insert("card", "4111".into());
        assert_eq!(format!("{data:?}"), r#"{"card"}"#);
    }
}
