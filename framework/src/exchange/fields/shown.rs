//! A form as a template sees it: a tree of fields, by their names.

use super::errors::FormErrors;
use super::{FieldInfo, FieldKind};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeMap;

/// One field: its values, its error, and the fields below it.
#[derive(Default)]
struct ShownField<'e> {
    values: Vec<&'e str>,
    error: String,
    groups: BTreeMap<u32, Self>,
    /// Of a list of groups: one in which nothing is typed.
    blank: Option<Box<Self>>,
    fields: BTreeMap<&'e str, Self>,
}

/// Names go no deeper than this: a hostile name must not cost the stack.
const MAX_DEPTH: usize = 16;

impl<'e> ShownField<'e> {
    fn of(errors: &'e FormErrors) -> Self {
        let mut root = Self::default();
        root.expect(errors.known);
        for (name, text) in &errors.values {
            if let Some(field) = root.at(name, 0) {
                field.values.push(text);
            }
        }
        for error in errors.iter() {
            if let Some(field) = root.at(error.field(), 0).filter(|field| field.error.is_empty()) {
                field.error = error.message();
            }
        }
        root.complete(errors.known);
        root
    }

    /// Makes room for all fields of the struct, so that a template finds each of them.
    fn expect(&mut self, known: &'static [FieldInfo]) {
        for info in known {
            let field = self.fields.entry(info.name).or_default();
            if let FieldKind::Group(group) = info.kind {
                let group_of = if info.repeated { field.blank.insert(Box::default()) } else { field };
                group_of.expect(group);
            }
        }
    }

    /// As `expect`, in the groups of lists that have come.
    fn complete(&mut self, known: &'static [FieldInfo]) {
        for info in known {
            let (Some(field), FieldKind::Group(group)) = (self.fields.get_mut(info.name), info.kind) else { continue };
            for item in field.groups.values_mut() {
                item.expect(group);
                item.complete(group);
            }
        }
    }

    /// The field of this name below this one: `a.b[0].c`.
    fn at(&mut self, name: &'e str, depth: usize) -> Option<&mut Self> {
        if name.is_empty() {
            return Some(self);
        }
        if depth == MAX_DEPTH {
            return None;
        }
        if let Some(indexed) = name.strip_prefix('[') {
            let (index, rest) = indexed.split_once(']')?;
            return self.groups.entry(index.parse().ok()?).or_default().at(rest, depth + 1);
        }
        let name = name.strip_prefix('.').unwrap_or(name);
        let end = name.find(['.', '[']).unwrap_or(name.len());
        self.fields.entry(&name[..end]).or_default().at(&name[end..], depth + 1)
    }

    fn write<S: SerializeMap>(&self, map: &mut S) -> Result<(), S::Error> {
        self.fields.iter().try_for_each(|(name, field)| map.serialize_entry(name, field))
    }
}

impl Serialize for ShownField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("value", self.values.first().unwrap_or(&""))?;
        map.serialize_entry("values", &self.values)?;
        map.serialize_entry("error", &self.error)?;
        map.serialize_entry("groups", &self.groups.values().collect::<Vec<_>>())?;
        if let Some(blank) = &self.blank {
            map.serialize_entry("blank", blank)?;
        }
        self.write(&mut map)?;
        map.end()
    }
}

/// An error as the list `problems` tells it.
#[derive(serde::Serialize)]
struct ShownProblem<'e> {
    field: &'e str,
    message: String,
}

impl Serialize for FormErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let root = ShownField::of(self);
        let problems = self.iter().map(|error| ShownProblem { field: error.field(), message: error.message() });
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("problems", &problems.collect::<Vec<_>>())?;
        map.serialize_entry("error", &root.error)?;
        root.write(&mut map)?;
        map.end()
    }
}
