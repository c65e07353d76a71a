//! Parameters: values made from the text of a path segment, a query or a form.

/// A value that can be made from one piece of text, so that it can be an argument by name.
///
/// Derive it for an enum (by variant name, in snake case) or a newtype.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from a parameter",
    label = "not a parameter",
    note = "parameters are `i64` and the other integers, `f64`, `bool`, `char`, `String`, or your own enum or newtype with `#[derive(Parameter)]`"
)]
pub trait Parameter: Sized {
    /// What the text must be, as the error page says it: `"a whole number"`.
    const EXPECTED: &'static str;

    /// Makes the value.
    ///
    /// # Errors
    /// When the text is not such a value.
    fn from_text(text: &str) -> Result<Self, InvalidParameter>;
}

/// The text is not a value of the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidParameter;
