//! The generated code needs nothing in scope, and nothing in scope disturbs it.
#![no_implicit_prelude]
#![allow(dead_code, non_camel_case_types, non_upper_case_globals)]

struct Result;
struct Option;
struct String;
struct Vec;
struct Box;
struct Step;
struct Call;
const call: u8 = 0;
const first: u8 = 0;
const response: u8 = 0;
mod std {}
mod core {}

struct Pages;

#[::kirsch::handlers]
impl Pages {
    #[expose]
    fn show(&self, a: i64, b: &str) -> &'static str {
        let _ = (a, b);
        ""
    }

    #[child]
    fn below(&self, name: &str) -> Pages {
        let _ = name;
        Pages
    }
}

#[derive(::kirsch::Parameter)]
enum Colour {
    Red,
    Blue,
}

#[derive(::kirsch::Settings)]
#[settings(check = Self::look)]
struct Gate {
    /// Which words open it.
    #[setting(default = ["please"])]
    words: ::std::vec::Vec<::std::string::String>,
    /// How many may pass.
    #[setting(given, min = 1, none = "all")]
    places: ::core::option::Option<usize>,
    /// How much they may carry.
    #[setting(size, default = "4 KiB")]
    load: u64,
    #[setting(skip)]
    passed: u64,
}

impl Gate {
    fn look(&self) -> ::core::result::Result<(), ::kirsch::settings::SettingError> {
        ::core::result::Result::Ok(())
    }
}
