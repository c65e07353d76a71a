//! Lesson 10: errors. `?`, a status, a page of your own, and a page for you.
//!
//! Every error becomes one page, wherever it comes from. Visitors get a number to quote, the log has the cause beside
//! the same number. While you develop, `debug_page` shows you everything in the browser, once you have opened the link
//! that the log prints. This lesson has it in release builds too; a site writes `debug_page = cfg!(debug_assertions)`.
//!
//! Try `/unexpected`, `/panic` and `/typo`, before and after you have opened the link that stands in the terminal. A
//! program reads problems: `curl -i "http://127.0.0.1:8080/pay?amount=50"`.

use kirsch::{ErrorPage, prelude::*};
use std::process::ExitCode;

struct Errors;

#[handlers]
impl Errors {
    #[expose]
    fn index(&self) -> Html<&'static str> {
        Html(
            r#"<a href="members">403</a>, <a href="pay?amount=50">a problem for programs</a>,
            <a href="unexpected">a file that is not there</a>, <a href="panic">a panic</a>, <a href="typo">404</a>,
            <a href="members/typo">404 for members</a>"#,
        )
    }

    #[expose]
    fn members(&self) -> kirsch::Result<String> {
        Err(Error::new(StatusCode::FORBIDDEN, "This page is for members."))
    }

    /// Problem details (RFC 9457): an error that a program can tell from others.
    #[expose]
    fn pay(&self, amount: u32) -> Result<&'static str, Problem> {
        let problem = Problem::new(StatusCode::CONFLICT).with_title("You do not have enough credit.");
        if amount <= 30 { Ok("paid") } else { Err(problem.with_member("balance", 30)) }
    }

    /// Any error becomes 500 with `?`.
    #[expose]
    fn unexpected(&self) -> kirsch::Result<String> {
        Ok(std::fs::read_to_string("/no/such/file")?)
    }

    #[expose]
    fn panic(&self) -> &'static str {
        panic!("this worker lives on")
    }
}

fn main() -> ExitCode {
    let app = App::new(Errors)
        .settings("/", |settings| settings.debug_page = true)
        .error_pages("/members", |pages| pages.template(StatusCode::NOT_FOUND, "<h1>No such member</h1>{request_id}"))
        .error_page(StatusCode::FORBIDDEN, |page: &ErrorPage<'_>| Html(format!("<h1>No</h1>{}", escape(page.message))));
    demo_apps::lesson(include_str!("t10-errors.rs"), app)
}
