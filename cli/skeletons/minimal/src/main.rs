//! A site of two pages. Run it with `kirsch dev`, or with `cargo run` in its folder.

use kirsch::{escape, prelude::*};

struct Site;

#[handlers]
impl Site {
    /// `/`
    #[expose]
    fn index(&self) -> Html<String> {
        page(
            "It works",
            "<p>This page is made in <code>src/main.rs</code>. Say <a href=\"/greet/Anna\">hello to Anna</a>.</p>",
        )
    }

    /// `/greet/Anna`, or `/greet?name=Anna`
    #[expose]
    fn greet(&self, name: String) -> Html<String> {
        page(&format!("Hello, {name}!"), "<p><a href=\"/\">Back</a></p>")
    }
}

/// A page with this title, which may be any text, and this content, which is HTML.
fn page(title: &str, content: &str) -> Html<String> {
    Html(format!(
        include_str!("page.html"),
        title = escape(title),
        content = content
    ))
}

fn app() -> App {
    App::new(Site)
        .tool("/static", StaticDir::new("static"))
        .config_file("site.toml")
}

fn main() -> kirsch::Result {
    env_logger::init_from_env(env_logger::Env::default().default_filter_or("info"));
    app().serve("127.0.0.1:8080")
}

#[cfg(test)]
mod tests {
    use super::app;
    use kirsch::testing::Client;

    #[test]
    fn there_is_a_first_page() {
        let page = Client::in_process(app()).get("/").send();
        page.assert_status(200).assert_contains("<h1>It works</h1>");
    }

    #[test]
    fn names_are_text_and_never_markup() {
        let page = Client::in_process(app()).get("/greet?name=%3Cb%3E").send();
        page.assert_status(200)
            .assert_contains("<h1>Hello, &lt;b&gt;!</h1>");
    }

    #[test]
    fn the_style_is_there() {
        Client::in_process(app())
            .get("/static/site.css")
            .send()
            .assert_status(200);
    }
}
