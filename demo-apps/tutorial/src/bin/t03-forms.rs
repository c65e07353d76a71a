//! Lesson 3: forms. The input of a visitor is an argument, too.
//!
//! A form that only asks (`get`) puts its fields into the address; one that changes something (`post`) sends them in
//! the request. The method takes them by name either way. `#[expose(post)]` answers POST only, so that no link and no
//! reload signs the book twice; it ends with a redirect for the same reason. Text that a visitor has typed goes through
//! `escape` on its way into a page.
//!
//! Try both forms with `<b>Ann` as your name. `/greet` has no name, and `/sign` is 405: a link cannot sign. A program
//! sends a form with `curl -i -d name=Bob http://127.0.0.1:8080/sign`.

use kirsch::prelude::*;
use std::{
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

#[derive(Default)]
struct Welcome {
    guests: Mutex<Vec<String>>,
}

#[handlers]
impl Welcome {
    #[expose]
    fn index(&self) -> Html<String> {
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let items: String = guests.iter().map(|name| format!("<li>{}", escape(name))).collect();
        Html(format!(
            r#"<form action="greet"><label>What is your name? <input name="name"></label> <button>Greet me</button></form>
            <form action="sign" method="post"><label>Sign the book: <input name="name" required></label> <button>Sign</button></form>
            <ul>{items}</ul>"#
        ))
    }

    /// An `Option` may be missing: a form that has not been filled in, an address without a query.
    #[expose]
    fn greet(&self, name: Option<String>) -> Html<String> {
        match name.as_deref() {
            None | Some("") => Html(r#"No, really, <a href="./">enter your name</a>."#.to_owned()),
            Some(name) => Html(format!("Hey {}, what's up?", escape(name))),
        }
    }

    #[expose(post)]
    fn sign(&self, name: String) -> Redirect {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.push(name);
        // The book has a hundred lines.
        let oldest = guests.len().saturating_sub(100);
        guests.drain(..oldest);
        Redirect::to("/")
    }
}

fn main() -> ExitCode {
    demo_apps::lesson(include_str!("t03-forms.rs"), App::new(Welcome::default()))
}
