//! Lesson 4: a site of several objects. A tree of values is the map of the site.
//!
//! A `#[child]` method leads to another object, and its pages lie below its name: `/links/` is `index` of `Links`, the
//! child `links` of `Home`. A child may take a piece of the path and make its object from it: `/joke/2/` is the third
//! joke, and `None` is 404.
//!
//! Try `/joke/0/`, `/joke/3/`, `/links/books`, and `/links` without the slash at its end: a redirect adds it.

use kirsch::prelude::*;
use std::process::ExitCode;

struct Home {
    links: Links,
}

#[handlers]
impl Home {
    #[expose]
    fn index(&self) -> Html<&'static str> {
        Html(r#"<ul><li><a href="joke/0/">A joke</a><li><a href="links/">Links</a></ul>"#)
    }

    #[child]
    fn joke(&self, number: usize) -> Option<Joke> {
        JOKES.get(number).map(|text| Joke { text })
    }

    #[child]
    fn links(&self) -> &Links {
        &self.links
    }
}

struct Joke {
    text: &'static str,
}

#[handlers]
impl Joke {
    #[expose]
    fn index(&self) -> Html<String> {
        Html(format!(r#"<p>{}</p><a href="../../">[return]</a>"#, self.text))
    }
}

struct Links;

#[handlers]
impl Links {
    #[expose]
    fn index(&self) -> Html<&'static str> {
        Html(
            r#"<a href="https://www.rust-lang.org/">Rust</a>, <a href="/links/books">books</a>, <a href="../">[return]</a>"#,
        )
    }

    #[expose]
    fn books(&self) -> Html<&'static str> {
        Html(r#"<a href="https://doc.rust-lang.org/book/">The book</a>, <a href="./">[return]</a>"#)
    }
}

const JOKES: [&str; 3] = [
    "How do you tell an introvert from an extrovert? The extrovert looks at <i>your</i> shoes.",
    "A worker walks into a bar and waits. The bar has a bounded queue.",
    "The session lock and the second tab are still at the door: after you.",
];

fn main() -> ExitCode {
    demo_apps::lesson(include_str!("t04-site-of-objects.rs"), App::new(Home { links: Links }))
}
