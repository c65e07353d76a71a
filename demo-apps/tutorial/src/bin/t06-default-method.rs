//! Lesson 6: the default method. It answers paths that match no other method.
//!
//! `/lorenzo` is not a page here, so `default` gets it, as an argument. Names go before `default`: `/about` stays the
//! page `about`. As everywhere only as many pieces of the path are taken as the signature has; `/lorenzo/x` is 404.
//!
//! Try `/remi`, `/about`, and a name that nobody has: `/anna`.

use kirsch::prelude::*;
use std::process::ExitCode;

struct Users;

#[handlers]
impl Users {
    #[expose]
    fn index(&self) -> Html<&'static str> {
        Html(
            r#"<a href="./remi">Remi</a>, <a href="./hendrik">Hendrik</a>, <a href="./lorenzo">Lorenzo</a>, <a href="about">about</a>"#,
        )
    }

    #[expose]
    fn about(&self) -> &'static str {
        "Three people who wrote a web server."
    }

    #[expose]
    fn default(&self, user: &str) -> Html<String> {
        let text = match user {
            "remi" => "Remi Delon, CherryPy lead developer".to_owned(),
            "hendrik" => "Hendrik Mans, CherryPy co-developer &amp; crazy German".to_owned(),
            "lorenzo" => "Lorenzo Lamas, famous actor and singer!".to_owned(),
            other => format!("Unknown user {}. :-(", escape(other)),
        };
        Html(format!(r#"{text} (<a href="./">back</a>)"#))
    }
}

fn main() -> ExitCode {
    demo_apps::lesson(include_str!("t06-default-method.rs"), App::new(Users))
}
