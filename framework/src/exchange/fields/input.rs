//! What the client has sent, a form or JSON, as one thing to look fields up in.
//!
//! A form knows names and texts alone, so the names of groups and lists say where a field belongs. `guests[0].name` and
//! `guests[0][name]` are the same name, and so are `tags` and `tags[]`. Lookups take the logarithm of the number of
//! fields, so that a hostile form costs no more than its bytes.

use super::super::{Request, Upload};
use super::errors::{FieldError, FormErrors};
use super::rules::{Fault, FieldRules};
use super::value::{FieldKind, FieldValue};
use serde_json::Value;
use std::borrow::Cow;

/// All that has come.
pub(super) enum Input<'a> {
    /// A form or query, by canonical names, sorted by them; fields of one name keep their order.
    Form { pairs: Vec<(Cow<'a, str>, &'a str)>, request: Option<&'a Request> },
    /// A JSON value.
    Json(&'a Value),
}

impl<'a> Input<'a> {
    pub(super) fn of_form(pairs: impl Iterator<Item = (&'a str, &'a str)>, request: Option<&'a Request>) -> Self {
        let mut pairs: Vec<_> = pairs.map(|(name, text)| (canonical(name), text)).collect();
        pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
        Self::Form { pairs, request }
    }
}

/// The one way of writing a name: `a.b` for `a[b]`, `a` for `a[]`; `a[0]` stays.
pub(super) fn canonical(name: &str) -> Cow<'_, str> {
    let Some(bracket) = name.find('[').filter(|&start| start > 0) else { return Cow::Borrowed(name) };
    let mut text = name[..bracket].to_owned();
    let mut rest = &name[bracket..];
    while !rest.is_empty() {
        let part = rest.strip_prefix('[').and_then(|part| part.split_once(']'));
        match part {
            Some(("", after)) if after.is_empty() => rest = after,
            Some((key, after)) if !key.is_empty() && !key.contains('[') => {
                match key.bytes().all(|byte| byte.is_ascii_digit()) {
                    true => text.extend(["[", key, "]"]),
                    false => text.extend([".", key]),
                }
                rest = after;
            }
            // `a[0].b`: the dot is written already.
            None if rest.starts_with('.') => {
                let end = rest.find('[').unwrap_or(rest.len());
                text.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            _ => return Cow::Borrowed(name),
        }
    }
    Cow::Owned(text)
}

/// Reads the fields of a struct; faults gather in it.
pub struct FieldReader<'r> {
    place: FieldPlace<'r>,
    errors: &'r mut Vec<FieldError>,
}

impl<'r> FieldReader<'r> {
    pub(super) fn new(input: &'r Input<'r>, errors: &'r mut Vec<FieldError>) -> Self {
        let content = match input {
            Input::Form { .. } => Content::Named,
            Input::Json(value) => Content::Json(Some(value)),
        };
        Self { place: FieldPlace { input, name: String::new(), content }, errors }
    }

    /// The reader of a group.
    pub(super) fn of_group(place: &FieldPlace<'r>, errors: &'r mut Vec<FieldError>) -> Self {
        Self { place: place.clone(), errors }
    }

    /// Reads one field.
    pub fn field<T: FieldValue>(&mut self, name: &str, rules: &FieldRules<'_, T::Leaf>) -> Option<T> {
        let place = self.place.child(name);
        let before = self.errors.len();
        let value = T::read(&place, rules, self.errors);
        if let Some(message) = rules.message {
            self.errors[before..].iter_mut().for_each(|error| error.say(message));
        }
        value
    }

    /// Passes a value that was read to a check of the whole struct.
    pub fn check<T, F: Into<Cow<'static, str>>, M: Into<Cow<'static, str>>>(
        &mut self,
        value: T,
        test: impl Fn(&T) -> Result<(), (F, M)>,
    ) -> Option<T> {
        match test(&value) {
            Ok(()) => Some(value),
            Err((field, sentence)) => {
                let field = self.place.child(&field.into()).name;
                self.errors.push(FieldError::new(field, Fault::Own(sentence.into())));
                None
            }
        }
    }
}

impl std::fmt::Debug for FieldReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FieldReader").field("errors", &self.errors).finish_non_exhaustive()
    }
}

/// Where the value of a field stands in what the client has sent.
#[derive(Clone)]
pub struct FieldPlace<'r> {
    input: &'r Input<'r>,
    name: String,
    content: Content<'r>,
}

#[derive(Clone)]
enum Content<'r> {
    /// Of a form, by the name of the place.
    Named,
    /// One text out of several of the same name.
    Text(&'r str),
    /// One file out of several of the same name.
    File(&'r Upload),
    Json(Option<&'r Value>),
}

impl<'r> FieldPlace<'r> {
    /// The name of the field, with those of the groups that it is in: `guests[0].name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn child(&self, name: &str) -> Self {
        let name = canonical(name);
        let full = if self.name.is_empty() { name.clone().into_owned() } else { format!("{}.{name}", self.name) };
        let content = match &self.content {
            Content::Json(value) => Content::Json(value.and_then(|value| value.get(&*name))),
            Content::Named | Content::Text(_) | Content::File(_) => Content::Named,
        };
        Self { input: self.input, name: full, content }
    }

    /// The fields of a form from the first name that begins with `start`.
    fn named_from(&self, start: &str) -> &'r [(Cow<'r, str>, &'r str)] {
        let Input::Form { pairs, .. } = self.input else { return &[] };
        &pairs[pairs.partition_point(|(name, _)| &**name < start)..]
    }

    /// The texts of the field in a form, in their order.
    fn texts(&self) -> Vec<&'r str> {
        if let Content::Text(text) = self.content {
            return vec![text];
        }
        let plain = self.named_from(&self.name).iter().take_while(|(name, _)| **name == self.name);
        let mut numbered: Vec<_> =
            self.numbered().filter(|(_, rest, _)| rest.is_empty()).map(|(index, _, text)| (index, text)).collect();
        numbered.sort_by_key(|(index, _)| *index);
        plain.map(|(_, text)| *text).chain(numbered.into_iter().map(|(_, text)| text)).collect()
    }

    /// The fields `name[0]…`: their number, what follows it, and the text.
    fn numbered(&self) -> impl Iterator<Item = (u32, &'r str, &'r str)> + use<'r> {
        let start = format!("{}[", self.name);
        let fields = self.named_from(&start);
        fields.iter().map_while(move |(name, text)| name.strip_prefix(&*start).map(|rest| (rest, *text))).filter_map(
            |(rest, text)| {
                let (index, rest) = rest.split_once(']')?;
                Some((index.parse().ok()?, rest, text))
            },
        )
    }

    /// The numbers of the groups `name[0]…` in which something was typed or chosen: a form has rows to spare.
    fn filled(&self) -> impl Iterator<Item = u32> {
        let texts = self.numbered().filter(|(_, rest, text)| rest.starts_with('.') && !text.trim().is_empty());
        let files = self.upload_names().filter_map(|name| {
            let (index, rest) = name.strip_prefix(&*self.name)?.strip_prefix('[')?.split_once(']')?;
            index.parse().ok().filter(|_| rest.starts_with('.'))
        });
        texts.map(|(index, ..)| index).chain(files)
    }

    /// The names of all files of the form.
    fn upload_names(&self) -> impl Iterator<Item = Cow<'r, str>> + use<'r> {
        let request = if let Input::Form { request, .. } = self.input { *request } else { None };
        request.into_iter().flat_map(Request::upload_names).map(canonical)
    }

    /// The files of the field. A file input that was left empty sends none.
    pub(super) fn files(&self) -> Vec<&'r Upload> {
        match (&self.content, self.input) {
            (Content::File(file), _) => vec![*file],
            (Content::Named, Input::Form { request: Some(request), .. }) => request.uploads(&self.name).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether nothing was given: no such field, a blank one, `null`.
    pub(super) fn is_blank(&self, kind: FieldKind) -> bool {
        match (&self.content, kind) {
            (Content::Json(value), _) => value.is_none_or(Value::is_null),
            (_, FieldKind::File) => self.files().is_empty(),
            (_, FieldKind::Group(_)) => {
                let start = format!("{}.", self.name);
                let mut texts = self.named_from(&start).iter().take_while(|(name, _)| name.starts_with(&*start));
                texts.all(|(_, text)| text.trim().is_empty())
                    && !self.upload_names().any(|name| name.starts_with(&*start))
            }
            _ => self.texts().iter().all(|text| text.trim().is_empty()),
        }
    }

    /// The value as one text or scalar of JSON.
    pub(super) fn scalar(&self) -> Scalar<'r> {
        match &self.content {
            Content::Json(value) => value.map_or(Scalar::None, Scalar::Json),
            _ => self.texts().first().map_or(Scalar::None, |text| Scalar::Text(text)),
        }
    }

    /// The places of the values of a list, or `None` for JSON that is not one.
    pub(super) fn items(&self, kind: FieldKind) -> Option<Vec<Self>> {
        let at = |index: usize, content| Self { name: format!("{}[{index}]", self.name), content, ..self.clone() };
        let same = |content| Self { content, ..self.clone() };
        Some(match (&self.content, kind) {
            (Content::Json(None | Some(Value::Null)), _) => Vec::new(),
            (Content::Json(Some(Value::Array(items))), _) => {
                items.iter().enumerate().map(|(index, item)| at(index, Content::Json(Some(item)))).collect()
            }
            (Content::Json(Some(_)), _) => return None,
            (_, FieldKind::File) => self.files().into_iter().map(|file| same(Content::File(file))).collect(),
            (_, FieldKind::Group(_)) => {
                let mut indices: Vec<_> = self.filled().collect();
                indices.sort_unstable();
                indices.dedup();
                indices.into_iter().map(|index| at(index as usize, Content::Named)).collect()
            }
            // A blank one is a text box that was left alone.
            _ => self
                .texts()
                .into_iter()
                .filter(|text| !text.trim().is_empty())
                .map(|text| same(Content::Text(text)))
                .collect(),
        })
    }

    /// The JSON value, where the client has sent JSON.
    pub(super) fn json(&self) -> Option<&'r Value> {
        match &self.content {
            Content::Json(value) => *value,
            _ => None,
        }
    }

    /// Notes a fault of the field.
    pub fn refuse<T>(&self, fault: Fault, errors: &mut Vec<FieldError>) -> Option<T> {
        if errors.len() < FormErrors::MAX {
            errors.push(FieldError::new(self.name.clone(), fault));
        }
        None
    }
}

impl std::fmt::Debug for FieldPlace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FieldPlace").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One value as it came.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'r> {
    None,
    Text(&'r str),
    Json(&'r Value),
}
