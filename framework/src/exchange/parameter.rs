//! Parameters: values made from the text of a path segment, a query or a form.

use super::FieldKind;
use std::borrow::Cow;

/// A value that can be made from one piece of text, so that it can be an argument by name.
///
/// Derive it for an enum (by variant name, in snake case) or a newtype:
///
/// ```
/// use kirsch::prelude::*;
///
/// #[derive(Parameter)]
/// enum Order {
///     Oldest,
///     #[parameter(rename = "newest-first")]
///     Newest,
/// }
///
/// #[derive(Parameter)]
/// struct SongId(u64);
///
/// struct Songs;
///
/// #[handlers]
/// impl Songs {
///     #[expose]
///     fn list(&self, after: SongId, order: Option<Order>) -> String {
///         let oldest_first = matches!(order, Some(Order::Oldest));
///         format!("after {}, oldest first: {oldest_first}", after.0)
///     }
/// }
/// ```
///
/// The derive makes the type an [`Argument`](super::Argument) as well. For a type with rules of its own write
/// `Parameter` by hand, and an `Argument` with [`ArgumentInfo::PARAMETER`](super::ArgumentInfo::PARAMETER) that calls
/// [`Arguments::required`](super::Arguments::required).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from a parameter",
    label = "not a parameter",
    note = "parameters are `i64` and the other integers, `f64`, `bool`, `char`, `String`, or your own enum or newtype with `#[derive(Parameter)]`"
)]
pub trait Parameter: Sized {
    /// What the text must be, for the error page: `"a whole number"`.
    const EXPECTED: &'static str;
    /// What kind of value it is, for JSON and for descriptions of forms.
    const KIND: FieldKind = FieldKind::Text;
    /// All texts that are a value of the type, where there are few: for descriptions.
    const VALUES: &'static [&'static str] = &[];

    /// Makes the value.
    ///
    /// # Errors
    /// When the text is not such a value.
    fn from_text(text: &str) -> Result<Self, InvalidParameter>;

    /// The text that [`from_text`](Self::from_text) makes this value of: for links.
    fn to_text(&self) -> Cow<'_, str>;
}

/// The text is not a value of the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidParameter;

macro_rules! parameter_by_from_str {
    ($($type:ty, $kind:ident: $expected:literal),* $(,)?) => {$(
        impl Parameter for $type {
            const EXPECTED: &'static str = $expected;
            const KIND: FieldKind = FieldKind::$kind;

            fn from_text(text: &str) -> Result<Self, InvalidParameter> {
                text.parse().map_err(|_| InvalidParameter)
            }

            fn to_text(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }
        }
    )*};
}

parameter_by_from_str! {
    i8, Integer: "a whole number from -128 to 127",
    i16, Integer: "a whole number from -32768 to 32767",
    i32, Integer: "a whole number from -2147483648 to 2147483647",
    i64, Integer: "a whole number",
    i128, Integer: "a whole number",
    isize, Integer: "a whole number",
    u8, Integer: "a whole number from 0 to 255",
    u16, Integer: "a whole number from 0 to 65535",
    u32, Integer: "a whole number from 0 to 4294967295",
    u64, Integer: "a whole number, 0 or more",
    u128, Integer: "a whole number, 0 or more",
    usize, Integer: "a whole number, 0 or more",
    char, Text: "one character",
    String, Text: "text",
}

macro_rules! finite_numbers {
    ($($type:ty),*) => {$(
        /// Finite only: `inf` and `NaN` in a link are mistakes, and poison all further computation.
        impl Parameter for $type {
            const EXPECTED: &'static str = "a number";
            const KIND: FieldKind = FieldKind::Number;

            fn from_text(text: &str) -> Result<Self, InvalidParameter> {
                text.parse().ok().filter(|value: &Self| value.is_finite()).ok_or(InvalidParameter)
            }

            fn to_text(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }
        }
    )*};
}

finite_numbers!(f32, f64);

/// `true`, `1`, `on` (a checked check box) and `yes`; `false`, `0`, `off` and `no`; in any case.
impl Parameter for bool {
    const EXPECTED: &'static str = "`true` or `false`";
    const KIND: FieldKind = FieldKind::Boolean;

    fn from_text(text: &str) -> Result<Self, InvalidParameter> {
        let is_one_of = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
        if is_one_of(["true", "1", "on", "yes"]) {
            Ok(true)
        } else if is_one_of(["false", "0", "off", "no"]) {
            Ok(false)
        } else {
            Err(InvalidParameter)
        }
    }

    fn to_text(&self) -> Cow<'_, str> {
        Cow::Borrowed(if *self { "true" } else { "false" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirsch_macros::Parameter;

    #[derive(Debug, PartialEq, Parameter)]
    enum Colour {
        Red,
        DarkBlue,
        #[parameter(rename = "*")]
        Any,
    }

    #[derive(Debug, PartialEq, Parameter)]
    struct Id(u8);

    #[derive(Debug, PartialEq, Parameter)]
    struct Wrapped<T>(T);

    #[test]
    fn an_enum_is_written_by_its_variants() {
        assert_eq!(Colour::from_text("red"), Ok(Colour::Red));
        assert_eq!(Colour::from_text("dark_blue"), Ok(Colour::DarkBlue));
        assert_eq!(Colour::from_text("*"), Ok(Colour::Any));
        assert_eq!(Colour::from_text("Red"), Err(InvalidParameter));
        assert_eq!(
            [Colour::Red, Colour::DarkBlue, Colour::Any].map(|colour| colour.to_text().into_owned()),
            ["red", "dark_blue", "*"]
        );
        assert_eq!(Colour::EXPECTED, "one of `red`, `dark_blue`, `*`");
    }

    #[test]
    fn a_newtype_is_written_as_its_content() {
        assert_eq!(Id::from_text("7"), Ok(Id(7)));
        assert_eq!(Id::from_text("256"), Err(InvalidParameter));
        assert_eq!(Wrapped::<bool>::from_text("yes"), Ok(Wrapped(true)));
        assert_eq!((Id(7).to_text(), Wrapped(true).to_text()), ("7".into(), "true".into()));
        assert_eq!(Id::EXPECTED, u8::EXPECTED);
    }

    #[test]
    fn numbers_are_exact_and_finite() {
        assert_eq!(i64::from_text("-42"), Ok(-42));
        for text in ["", " 1", "1 ", "1.0", "0x10", "9223372036854775808", "१"] {
            assert_eq!(i64::from_text(text), Err(InvalidParameter), "{text:?}");
        }
        assert_eq!(f64::from_text("1e3"), Ok(1000.0));
        for text in ["", "inf", "NaN", "1e999", "1,5"] {
            assert_eq!(f64::from_text(text), Err(InvalidParameter), "{text:?}");
        }
    }

    #[test]
    fn a_bool_is_what_check_boxes_and_people_write() {
        for text in ["true", "1", "on", "yes", "True"] {
            assert_eq!(bool::from_text(text), Ok(true));
        }
        for text in ["false", "0", "off", "no"] {
            assert_eq!(bool::from_text(text), Ok(false));
        }
        assert_eq!(bool::from_text("2"), Err(InvalidParameter));
    }
}
