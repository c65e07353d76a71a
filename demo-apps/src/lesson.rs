//! The common part of the tutorial's programs. Each is one file. The comment at its top is the lesson: `--help` prints
//! it, and browsers read it below the first page. The lessons themselves are in `tutorial/src/bin/`.

use crate::{command_line::CommandLine, page};
use kirsch::{ResponseBody, header, prelude::*};
use std::{path::Path, process::ExitCode};

/// Runs a lesson: `app.serve("127.0.0.1:8080")` with the options of all demo programs. `source` is the text of the
/// lesson's file.
///
/// Programs get the pages of `app` as they are. Browsers also get the lesson and its code, below the page at `/`.
#[must_use]
pub fn lesson(source: &'static str, app: App) -> ExitCode {
    let path = std::env::args().next().unwrap_or_default();
    let program = Path::new(&path).file_name().unwrap_or_default().to_string_lossy();
    let about = intro(source).collect::<Vec<_>>().join("\n");
    let command_line = CommandLine {
        program: &program,
        about: &about,
        numbers: &[],
        texts: &[],
        listens: crate::command_line::Listens::Port,
    };
    crate::run(&command_line, |_| app.tool("/", Explained { text: explanation(source, &program) }))
}

/// Puts the explanation below the page at `/`, for browsers.
struct Explained {
    text: String,
}

impl Tool for Explained {
    fn name(&self) -> &'static str {
        "explained"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let text = self.text.clone();
        hooks.at(HookPoint::BeforeFinalize, move |exchange| {
            let (request, response) = (&exchange.request, &mut exchange.response);
            if request.path() != "/" || response.status() != StatusCode::OK {
                return;
            }
            response.add_vary(&header::ACCEPT);
            if request.prefers_html() {
                match response.take_body() {
                    ResponseBody::Stream(chunks) => {
                        response.set_body(Stream::fallible(chunks.chain([Ok(text.clone().into_bytes())])))
                    }
                    body => response.set_body([body.as_bytes().unwrap_or_default(), text.as_bytes()].concat()),
                };
            }
        });
    }
}

/// The lines of the comment at the top.
fn intro(source: &str) -> impl Iterator<Item = &str> {
    source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim)
}

/// What browsers read below the page: the lesson and its code. A parser of HTML takes it where the page has ended, too.
fn explanation(source: &str, program: &str) -> String {
    let intro = intro(source).collect::<Vec<_>>().join("\n");
    let (title, text) = intro.split_once("\n\n").unwrap_or((&intro, ""));
    let paragraphs: String = text.split("\n\n").map(|text| format!("<p>{}</p>\n", marked(text))).collect();
    let code: String =
        source.lines().skip_while(|line| line.starts_with("//!")).map(|line| format!("{line}\n")).collect();
    page(include_str!("lesson.html"))
        .replace("{title}", &marked(title))
        .replace("{program}", &escape(program).to_string())
        .replace("{paragraphs}", &paragraphs)
        .replace("{code}", &escape(code.trim()).to_string())
}

/// Text with `code` as HTML; a path is a link.
fn marked(text: &str) -> String {
    let text = text.replace('\n', " ");
    let pieces = text.split('`').enumerate().map(|(index, piece)| {
        let (is_code, piece) = (index % 2 == 1, escape(piece).to_string());
        match is_code {
            true if piece.starts_with('/') => format!("<a href=\"{piece}\">{piece}</a>"),
            true => format!("<code class=\"shell\">{piece}</code>"),
            false => piece,
        }
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirsch::testing::Client;

    const SOURCE: &str = "//! Lesson 0: one & all.\n//!\n//! Try `/x` and\n//! `a<b`.\n\nfn main() {}\n";

    #[test]
    fn browsers_read_the_lesson_below_the_first_page_and_programs_only_the_page() {
        let tree = Tree::new().index(|_| "Hello").page("x", |_| "x");
        let tool = Explained { text: explanation(SOURCE, "t00") };
        let client = Client::in_process(App::new(tree).tool("/", tool));
        client.get("/").send().assert_text("Hello").assert_header("vary", "Accept");
        let browser = |path| client.get(path).header("Accept", "text/html,*/*;q=0.8").send();
        let page = browser("/");
        assert!(page.text().starts_with("Hello<"), "{}", page.text());
        page.assert_contains("Lesson 0: one &amp; all.").assert_contains("fn main() {}");
        page.assert_contains("Try <a href=\"/x\">/x</a> and <code class=\"shell\">a&lt;b</code>.");
        browser("/x").assert_text("x");
    }

    #[test]
    fn the_lesson_follows_a_page_that_is_streamed() {
        let tree = Tree::new().index(|_| Stream::new(["one", "two"]));
        let app = App::new(tree).tool("/", Explained { text: "three".to_owned() });
        let page = Client::in_process(app).get("/").header("Accept", "text/html").send();
        page.assert_text("onetwothree");
    }
}
