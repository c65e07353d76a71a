//! Lesson 1: hello. A struct is a site, and a method of it is a page.
//!
//! `#[handlers]` publishes the block, `#[expose]` the method below it. `index` is the page of the place itself: here
//! `/`. Text is sent as HTML.
//!
//! Try `/`, and any other path, such as `/other`: it is 404.

use kirsch::prelude::*;
use std::process::ExitCode;

struct HelloWorld;

#[handlers]
impl HelloWorld {
    /// The page at `/`.
    #[expose]
    fn index(&self) -> &'static str {
        "Hello world!"
    }
}

fn main() -> ExitCode {
    demo_apps::lesson(include_str!("t01-hello.rs"), App::new(HelloWorld))
}
