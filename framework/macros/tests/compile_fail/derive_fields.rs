//! `derive(Fields)`: what it refuses.

use kirsch::prelude::*;

struct Unknown;

#[derive(Fields)]
struct WrongType {
    ok: u8,
    wrong: Unknown,
}

#[derive(Fields)]
struct WrongOptions {
    #[field(lenght = 1..=20)]
    title: String,
    #[field(range = 1..100)]
    seats: u32,
    #[field(length = "20")]
    note: String,
    #[field(length = 1..=20)]
    number: u32,
    #[field(range = 1..=99)]
    text: Option<String>,
    problems: String,
}

#[derive(Fields)]
struct Twice {
    one: u8,
    #[field(rename = "one")]
    other: u8,
}

#[derive(Fields)]
enum NotAStruct {
    One,
}

#[derive(Fields)]
struct Photo {
    picture: Upload,
}

struct Pages;

#[handlers]
impl Pages {
    #[expose(post)]
    fn plain(&self, form: Form<Photo>) -> &'static str {
        let Form(Photo { picture: _ }) = form;
        "ok"
    }
}

fn main() {
    let _ = App::new(Pages);
}
