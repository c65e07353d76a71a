//! One funnel for errors: whoever met them, they become one page in the form that the client accepts, and tell no secrets.

use integration_tests::both;
use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn forbidden(&self) -> kirsch::Result {
        Err(Error::new(StatusCode::FORBIDDEN, "only for <members>"))
    }

    #[expose]
    fn unexpected(&self) -> kirsch::Result<String> {
        let number: u32 = "the secret of the database".parse()?;
        Ok(number.to_string())
    }

    #[expose]
    fn panic(&self) -> &'static str {
        panic!("the secret of the database")
    }

    #[expose]
    fn echo(&self, body: Bytes) -> Vec<u8> {
        body.0
    }
}

fn pages() -> App {
    App::new(Pages)
}

#[test]
fn an_error_page_comes_in_the_form_that_the_client_accepts() {
    both(pages, |client| {
        for (accept, media_type) in [
            ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
            ("application/json", "application/json"),
            ("*/*", "text/plain; charset=utf-8"),
        ] {
            let page = client.get("/forbidden").header("Accept", accept).send();
            page.assert_status(403).assert_header("content-type", media_type).assert_contains("only for");
        }
    });
}

// I8: what goes into HTML is escaped.
#[test]
fn messages_are_escaped_in_html() {
    both(pages, |client| {
        let page = client.get("/forbidden").header("Accept", "text/html").send();
        page.assert_contains("&lt;members&gt;").assert_lacks("<members>");
    });
}

// I9: no details for strangers, but a number to quote.
#[test]
fn an_unexpected_error_tells_no_details() {
    both(pages, |client| {
        for path in ["/unexpected", "/panic"] {
            client
                .get(path)
                .send()
                .assert_status(500)
                .assert_lacks("secret")
                .assert_lacks("panicked")
                .assert_contains("Request");
        }
    });
}

// J6: one place for all errors, the router's too.
#[test]
fn the_applications_own_page_is_used_whoever_met_the_error() {
    let app = || {
        App::new(Pages).default_error_page(|page: &kirsch::lifecycle::ErrorPage<'_>| {
            format!("our page for {}", page.status.as_u16())
        })
    };
    both(app, |client| {
        client.get("/nowhere").send().assert_status(404).assert_text("our page for 404");
        client.get("/panic").send().assert_status(500).assert_text("our page for 500");
        client.put("/panic").send().assert_status(405).assert_text("our page for 405");
    });
}

// J7: an error page that fails falls back once.
#[test]
fn an_error_page_that_panics_falls_back_to_the_built_in_one() {
    let app = || {
        App::new(Pages).error_page(StatusCode::NOT_FOUND, |_: &kirsch::lifecycle::ErrorPage<'_>| -> &'static str {
            panic!("in the error page")
        })
    };
    both(app, |client| {
        client.get("/nowhere").send().assert_status(404).assert_contains("Request").assert_lacks("in the error page");
        client.get("/forbidden").send().assert_status(403);
    });
}
