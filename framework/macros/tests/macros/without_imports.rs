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
