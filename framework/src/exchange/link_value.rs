//! The values of links to typed pages: which values stand for an argument of a handler, and how they are written.
//!
//! A page is linked to with the types of its handler's arguments. [`LinkValue`] says which values an argument takes:
//! the type itself, borrowed or owned, text for text, a plain value for an optional one.

use super::{Parameter, Segments};

/// A value for the argument of type `T` of a page that is linked to: see [`link_to`](crate::link_to).
///
/// | the handler takes | the link takes |
/// |---|---|
/// | `u32`, `Id`, any [`Parameter`] | the same, or borrowed |
/// | `String`, `&str` | `&str`, `String`, `&String` |
/// | `Option<T>` | `T`, `Some(T)`, `None` |
/// | `Vec<T>` | `Vec<T>`, `[T; N]`, `&[T]`, `&Vec<T>` |
/// | [`Segments`] | text such as `"a/b.txt"`, or `Segments` |
/// | anything | [`Omit`] |
#[diagnostic::on_unimplemented(
    message = "a link to this page does not take `{Self}` here: the page's argument is `{T}`",
    label = "not a value of `{T}`",
    note = "a link takes what the handler takes, borrowed or owned; text for `String`; `value` or `None` for `Option`; \
            and `Omit` for an argument that a form or a tool brings"
)]
pub trait LinkValue<T> {
    /// The texts of the value as they stand in the address.
    fn text(self) -> LinkText;
}

/// Leaves an argument out of a link: the address does not have its value, since the visitor types it into a form, or a
/// tool brings it.
///
/// ```
/// use kirsch::{prelude::*, testing::Client};
///
/// struct Notes;
///
/// #[handlers]
/// impl Notes {
///     #[expose]
///     fn index(&self, request: &Request) -> kirsch::Result<String> {
///         let action = request.link(link_to::<Notes>().save(7, Omit))?.local();
///         Ok(format!("<form method=post action=\"{action}\"><input name=text></form>"))
///     }
///
///     #[expose(post)]
///     fn save(&self, id: u32, text: String) -> String {
///         format!("{id}: {text}")
///     }
/// }
///
/// let client = Client::in_process(App::new(Notes));
/// client.get("/").send().assert_contains("action=\"/save/7\"");
/// client.post("/save/7").form(&[("text", "milk")]).send().assert_text("7: milk");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Omit;

/// The texts of one value of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkText {
    /// The address does not have it.
    Omitted,
    /// One segment or one parameter of the query.
    One(String),
    /// Several of them.
    Several(Vec<String>),
}

fn one<T: Parameter>(value: &T) -> LinkText {
    LinkText::One(value.to_text().into_owned())
}

fn several<T: Parameter>(values: &[T]) -> LinkText {
    LinkText::Several(values.iter().map(|value| value.to_text().into_owned()).collect())
}

macro_rules! link_values {
    ($([$($generics:tt)*] $given:ty => $wanted:ty: |$value:ident| $text:expr;)*) => {$(
        impl<$($generics)*> LinkValue<$wanted> for $given {
            fn text(self) -> LinkText {
                let $value = self;
                $text
            }
        }
    )*};
}

link_values! {
    [T] Omit => T: |_value| LinkText::Omitted;
    [T: Parameter] T => T: |value| one(&value);
    [T: Parameter] &T => T: |value| one(value);
    [] &str => String: |value| LinkText::One(value.to_owned());
    [] &str => &'static str: |value| LinkText::One(value.to_owned());
    [] &String => &'static str: |value| LinkText::One(value.clone());
    [] String => &'static str: |value| LinkText::One(value);
    [T: Parameter] T => Option<T>: |value| one(&value);
    [T: Parameter] Option<T> => Option<T>: |value| value.as_ref().map_or(LinkText::Omitted, one);
    [] &str => Option<String>: |value| LinkText::One(value.to_owned());
    [] &str => Option<&'static str>: |value| LinkText::One(value.to_owned());
    [] String => Option<&'static str>: |value| LinkText::One(value);
    [] Option<&str> => Option<&'static str>:
        |value| value.map_or(LinkText::Omitted, |value| LinkText::One(value.to_owned()));
    [T: Parameter] Vec<T> => Vec<T>: |value| several(&value);
    [T: Parameter] &Vec<T> => Vec<T>: |value| several(value);
    [T: Parameter] &[T] => Vec<T>: |value| several(value);
    [T: Parameter, const N: usize] [T; N] => Vec<T>: |value| several(&value);
    [T: Parameter, E] T => Result<T, E>: |value| one(&value);
    [] Segments => Segments: |value| LinkText::Several(value.0);
    [] &Segments => Segments: |value| LinkText::Several(value.0.clone());
    [] &str => Segments: |value| segments_of(value);
    [] String => Segments: |value| segments_of(&value);
}

fn segments_of(path: &str) -> LinkText {
    LinkText::Several(path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect())
}
