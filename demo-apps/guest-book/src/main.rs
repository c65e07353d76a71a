use kirsch::prelude::*;
use kirsch::tools::{Csrf, Templates, View};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;

/// What a visitor writes, and the rules for it.
#[derive(Clone, Fields, Serialize)]
struct Entry {
    #[field(length = 1..=40)]
    name: String,
    #[field(length = 1..=500)]
    text: String,
}

#[derive(Default)]
struct GuestBook {
    entries: Mutex<Vec<Entry>>,
}

#[handlers]
impl GuestBook {
    #[expose(get)]
    fn index(&self) -> View {
        self.page(&FormErrors::blank::<Entry>())
    }

    #[expose(post)]
    fn sign(&self, form: Result<Form<Entry>, FormErrors>, session: &Session) -> kirsch::Result<Redirect> {
        let Form(entry) = form.map_err(|errors| errors.page(|errors| self.page(errors)))?;
        session.flash(format!("Thank you, {}!", entry.name));
        self.entries.lock().push(entry);
        Ok(Redirect::to("/"))
    }
}

impl GuestBook {
    fn page(&self, form: &FormErrors) -> View {
        View::new("book.html", json!({ "entries": *self.entries.lock(), "form": form }))
    }
}

fn site() -> App {
    App::new(GuestBook::default())
        .tool("/", Templates::new("templates"))
        .tool("/", Sessions::in_memory())
        .tool("/", Csrf::new())
        .tool("/static", StaticDir::new("static"))
}

fn main() -> kirsch::Result {
    env_logger::init();
    site().serve("127.0.0.1:8080")
}

#[cfg(test)]
mod tests {
    use kirsch::testing::Client;

    #[test]
    fn a_visitor_signs_the_book() {
        let browser = Client::in_process(super::site());
        let wrong = browser.get("/").send().form("#sign").set("name", "Anna").submit();
        wrong.assert_status(422).assert_contains("Please fill in this field.").assert_contains("value=\"Anna\"");
        let signed = wrong.form("#sign").set("text", "I <3 tea").submit();
        signed.assert_contains("Thank you, Anna!").assert_contains("I &lt;3 tea");
    }
}
