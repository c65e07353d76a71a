//! The macros of kirsch: `#[handlers]`, `#[resource]`, `derive(Parameter)`, `derive(Fields)` and `derive(Settings)`.
//!
//! The macros look at signatures and nothing else. They write an `impl ::kirsch::Publish` next to the block and give
//! the block back as it was, without the marks. The generated code names each type at the place where the user wrote
//! it, so the compiler checks what the type can be (argument, response, child). The macros themselves check the shape
//! of signatures. All mistakes of a block are reported at once, and the `Publish` impl is written even then, so that
//! one mistake is one error.

mod block;
mod errors;
mod expand;
mod fields;
mod generate;
mod links;
mod marks;
mod method;
mod parameter;
mod settings;

use proc_macro::TokenStream;
use quote::quote;

/// Publishes the methods of an impl block that are marked with `#[expose]` as pages.
///
/// * [`#[expose]`](macro@expose) makes a method a page. Its name is the path segment; `index` answers for the node
///   itself, `default` for all paths that match nothing else.
/// * [`#[child]`](macro@child) makes a method a step down to another node.
/// * Everything else stays private.
///
/// Handlers run on many threads at once, so they take `&self`; state that changes belongs behind a lock or in an
/// atomic. One block of a type can be published; other impl blocks of the type are untouched.
#[proc_macro_attribute]
pub fn handlers(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(block::Kind::Pages, &attribute.into(), &item.into()).into()
}

/// Publishes an impl block as a resource: the methods named `get post put patch delete head options` answer these HTTP
/// methods.
///
/// Every other method is private, unless it is a [`#[child]`](macro@child), or a page below the resource with
/// [`#[expose]`](macro@expose). HEAD follows `get`. OPTIONS is answered without a method for it. An HTTP method without
/// a method here is answered with 405 and the list of those that exist.
#[proc_macro_attribute]
pub fn resource(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(block::Kind::Resource, &attribute.into(), &item.into()).into()
}

/// Makes a method of a `#[handlers]` block a page.
///
/// * `#[expose]`: under the method's name, for GET, HEAD and POST.
/// * `#[expose(alias = "song.json")]`: under this path segment as well; may be repeated.
/// * `#[expose(name = "new")]`: under this path segment in place of the method's name.
/// * `#[expose(put, delete)]`: for these HTTP methods only; HEAD goes with `get`. Two pages may share a name when they
///   answer different methods.
///
/// A `-` or `.` in the path also matches a `_` of the name.
#[proc_macro_attribute]
pub fn expose(_attribute: TokenStream, item: TokenStream) -> TokenStream {
    outside("expose", item)
}

/// Makes a method of a `#[handlers]` or `#[resource]` block a step down: it returns the node that goes on with the
/// path.
///
/// The arguments are taken from the path segments that follow the name, in order; arguments by type, such as
/// `&Request`, work as well. A child named `default` matches any segment and takes it as its first argument. The return
/// is a node, owned or borrowed, or a `Result` or `Option` of one. `#[child(name = "...")]` puts it under another name.
#[proc_macro_attribute]
pub fn child(_attribute: TokenStream, item: TokenStream) -> TokenStream {
    outside("child", item)
}

/// Makes an enum or newtype usable as an argument by name.
///
/// A variant is written in the path, query or form as its name in snake case, or as `#[parameter(rename = "...")]`
/// says. A newtype is written as its content.
#[proc_macro_derive(Parameter, attributes(parameter))]
pub fn parameter(item: TokenStream) -> TokenStream {
    parameter::expand(item.into()).into()
}

/// Makes the fields of a struct settings: of a tool, a store or whatever else a configuration file may set.
///
/// For each field it writes a method that sets it in code, documented with the comment of the field, the key in files,
/// the check of the value with a message, the default, and a row of the reference. `Self::defaults()`, which is
/// private, is the value that nothing has set.
///
/// | `#[setting(...)]` | what |
/// |---|---|
/// | `default = "5m"` | the default: of a `Duration` and a size with their units, of a list `["a", "b"]`; else any expression |
/// | `given` | it has no default; it is an argument of `defaults`, for constructors |
/// | `size` | a number of bytes, `"4 MiB"` in files |
/// | `min = 1`, `max = 9` | bounds of a number |
/// | `none = "auto"` | of an `Option`: the word by which a file leaves it out |
/// | `with = path` | read by `path::read(&SettingValue) -> Result<T, String>`, shown by `path::show(&T) -> String` |
/// | `check = path` | `fn(&T) -> Result<(), String>`; the message goes on after the key |
/// | `key = "name"` | another name in files |
/// | `builder = "name"`, `no_builder` | another name of the method; none, since you write it |
/// | `flatten` | the field has settings of its own |
/// | `skip` | no setting: state, or what only code can say, as a closure |
///
/// `#[settings(check = path)]` on the struct names a `fn(&Self) -> Result<_, SettingError>` that looks at all settings
/// together; `#[settings(no_builders)]` leaves the methods out. `#[settings(builders_on = Tool, by = with)]` writes
/// them for a type that keeps this struct, whose `fn with(self, change: impl FnOnce(&mut Settings)) -> Self` changes
/// it.
///
/// The `kirsch::settings::Settings` that it implements has the rest: `tool.configured(&table)`.
#[proc_macro_derive(Settings, attributes(setting, settings))]
pub fn settings(item: TokenStream) -> TokenStream {
    settings::expand(item.into()).into()
}

/// Makes a struct with named fields a typed form: read field by field, with the rules that stand beside the fields.
#[proc_macro_derive(Fields, attributes(field, fields))]
pub fn fields(item: TokenStream) -> TokenStream {
    fields::expand(item.into()).into()
}

/// The block's macro takes its marks out; one that is expanded by itself stands in the wrong place.
fn outside(mark: &str, item: TokenStream) -> TokenStream {
    let message = format!(
        "`#[{mark}]` only works on a method inside an `impl` block that is marked with `#[handlers]` or `#[resource]`"
    );
    let error = syn::Error::new(proc_macro2::Span::call_site(), message).to_compile_error();
    let item = proc_macro2::TokenStream::from(item);
    quote!(#error #item).into()
}
