//! Lesson 5: shared layouts. A trait has the common parts of the pages.
//!
//! CherryPy's tutorial derives its pages from a class with a header and a footer. Here a trait does it: a page has only
//! its own title, and the trait's method puts every content between the same header and footer. For more than that
//! there are templates.
//!
//! Try `/another/`: another title in the same layout.

use kirsch::prelude::*;
use std::process::ExitCode;

trait Layout {
    fn title(&self) -> &'static str;

    fn page(&self, content: impl std::fmt::Display) -> Html<String> {
        let title = self.title();
        Html(format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>\
             <body><h2>{title}</h2>{content}<hr><p>Tutorial, lesson 5</p>"
        ))
    }
}

struct Home {
    another: Another,
}

impl Layout for Home {
    fn title(&self) -> &'static str {
        "Tutorial"
    }
}

#[handlers]
impl Home {
    #[expose]
    fn index(&self) -> Html<String> {
        self.page(r#"<p>It has <a href="another/">another page</a>.</p>"#)
    }

    #[child]
    fn another(&self) -> &Another {
        &self.another
    }
}

struct Another;

impl Layout for Another {
    fn title(&self) -> &'static str {
        "Another page"
    }
}

#[handlers]
impl Another {
    #[expose]
    fn index(&self) -> Html<String> {
        self.page("<p>And this is the amazing second page!</p>")
    }
}

fn main() -> ExitCode {
    demo_apps::lesson(include_str!("t05-shared-layouts.rs"), App::new(Home { another: Another }))
}
