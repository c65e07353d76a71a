//! Lesson 1: hello. A struct is a site, and a method of it is a page.
//!
//! `#[handlers]` publishes the block, `#[expose]` the method below it. `index` is the page of the place itself: here
//! `/`. Text is sent as HTML. Try <http://127.0.0.1:8080/>, and any other path: it is 404.

use kirsch::prelude::*;

struct HelloWorld;

#[handlers]
impl HelloWorld {
    /// The page at `/`.
    #[expose]
    fn index(&self) -> &'static str {
        "Hello world!"
    }
}

fn main() -> kirsch::Result {
    tutorial::serve(App::new(HelloWorld))
}
