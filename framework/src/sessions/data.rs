//! The content of a session: names and values, shared until it is changed.
//!
//! A value is a value of JSON in every store, so that a program behaves the same with every store. Copies share their
//! content: handing a session out costs one count, giving up changes costs nothing, and "is it changed?" is a
//! comparison of pointers.

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
    /// Bytes as JSON: of the name, and of the value.
    sizes: [usize; 2],
    /// Bytes of memory that the value has allocated.
    allocated: usize,
}

impl Entry {
    fn size(&self) -> usize {
        self.sizes[0] + self.sizes[1]
    }

    /// Name and value in memory, beside this entry.
    fn memory(&self) -> usize {
        2 * ALLOCATION + self.key.len() + size_of::<Value>() + self.allocated
    }
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
            Some(index) => {
                let entry = &mut self.entries_mut()[index];
                entry.sizes[1] = value_len(&value);
                entry.allocated = allocated(&value);
                entry.value = Arc::new(value);
            }
            None => {
                let sizes = [text_len(key), value_len(&value)];
                let allocated = allocated(&value);
                self.entries_mut().push(Entry { key: Arc::from(key), value: Arc::new(value), sizes, allocated });
            }
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

    /// How many bytes the content has, written as JSON in the [form](super::wire) of stores. Counted when values were
    /// set, not now.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let entries: usize = self.entries().iter().map(Entry::size).sum();
        // The byte of the form, the braces, a colon for each name, a comma between them.
        entries + 3 + (2 * self.len()).saturating_sub(1)
    }

    /// About how many bytes of memory the content takes, with the cost of each allocation. Small values of JSON take
    /// many times their length.
    pub(super) fn memory(&self) -> usize {
        let Some(entries) = &self.0 else { return 0 };
        let table = 2 * ALLOCATION + entries.capacity() * size_of::<Entry>();
        table + entries.iter().map(Entry::memory).sum::<usize>()
    }

    /// The names whose values have the most bytes, largest first.
    pub(super) fn largest(&self, count: usize) -> Vec<(&str, usize)> {
        let mut all: Vec<_> = self.entries().iter().map(|entry| (&*entry.key, entry.size())).collect();
        all.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        all.truncate(count);
        all
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

/// How many bytes a value has as JSON, without writing it.
fn value_len(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => match number.as_u64() {
            Some(number) => digits(number),
            None => {
                number.as_i64().map_or_else(|| number.to_string().len(), |number| 1 + digits(number.unsigned_abs()))
            }
        },
        Value::String(text) => text_len(text),
        Value::Array(values) => values.iter().map(|value| value_len(value) + 1).sum::<usize>().max(1) + 1,
        Value::Object(values) => {
            values.iter().map(|(key, value)| text_len(key) + value_len(value) + 2).sum::<usize>().max(1) + 1
        }
    }
}

/// The cost of an allocation beyond its content: the allocator's header and rounding, or the counts of an `Arc`.
const ALLOCATION: usize = 24;

/// How many bytes of memory a value takes beside itself.
fn allocated(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => ALLOCATION + text.capacity(),
        Value::Array(values) => {
            ALLOCATION + values.capacity() * size_of::<Value>() + values.iter().map(allocated).sum::<usize>()
        }
        Value::Object(values) => {
            // Nodes of the tree are half full at the least.
            let entry = 2 * (size_of::<String>() + size_of::<Value>());
            let entries = values.iter().map(|(key, value)| entry + ALLOCATION + key.capacity() + allocated(value));
            ALLOCATION + entries.sum::<usize>()
        }
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// With quotes, and with JSON's escapes.
fn text_len(text: &str) -> usize {
    let more = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    };
    text.len() + text.as_bytes().iter().map(more).sum::<usize>() + 2
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
    fn setting_the_same_value_is_no_change() {
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
    fn the_size_is_that_of_what_is_written() {
        let mut data = Data::new();
        let written = |data: &Data| crate::sessions::wire::encode(data, usize::MAX).expect("JSON").len();
        assert_eq!(data.encoded_len(), written(&data));
        let values = serde_json::json!([
            null, true, false, 0, 9, 10, u64::MAX, -1, i64::MIN, 1.5, -0.1, 1e300, "", "ä\u{1f352}\0\"\n\u{7f}\\\u{8}\u{c}\r\t/",
            [], [1], [1, [2, 3]], {}, {"a": {"b\n": []}, "c": 1},
        ]);
        for (index, value) in values.as_array().expect("a list").iter().enumerate() {
            data.insert(&format!("key\u{1}{index}"), value.clone());
            assert_eq!(data.encoded_len(), written(&data), "{value}");
        }
        data.insert("key\u{1}0", "longer".into());
        data.remove("key\u{1}3");
        assert_eq!(data.encoded_len(), written(&data));
        assert_eq!(data.largest(1)[0].0, "key\u{1}13");
    }

    #[test]
    fn debug_shows_no_values() {
        let mut data = Data::new();
        data.insert("card", "4111".into());
        assert_eq!(format!("{data:?}"), r#"{"card"}"#);
    }
}
