//! Lesson 2: expose. Several pages, and arguments from the path.
//!
//! Each exposed method is a page under its own name; other methods cannot be reached by any path. Arguments come by
//! name: `/add/3/4` and `/add?a=3&b=4` are the same call. They are converted before the method runs, and `/add/3/four`
//! never reaches it.
//!
//! Try `/show-msg`, `/add/3/4`, `/add?a=3&b=-4`, and what is not there: `/add/3/four` and `/message`.

use kirsch::prelude::*;
use std::process::ExitCode;

struct HelloWorld {
    greeting: &'static str,
}

#[handlers]
impl HelloWorld {
    #[expose]
    fn index(&self) -> Html<&'static str> {
        Html(r#"We have an <a href="show_msg">important message</a> for you, and <a href="add/3/4">a sum</a>."#)
    }

    /// The page at `/show_msg`, which is also `/show-msg`.
    #[expose]
    fn show_msg(&self) -> String {
        self.message()
    }

    /// The page at `/add/3/4`.
    #[expose]
    fn add(&self, a: i64, b: i64) -> Text<String> {
        Text(format!("{a} + {b} = {}", a.saturating_add(b)))
    }

    /// Not exposed: no page.
    fn message(&self) -> String {
        format!("{} world!", self.greeting)
    }
}

fn main() -> ExitCode {
    demo_apps::lesson(include_str!("t02-expose.rs"), App::new(HelloWorld { greeting: "Hello" }))
}
