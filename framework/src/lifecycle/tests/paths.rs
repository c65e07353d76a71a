//! Plans by path, and bodies by handler.

use super::*;
use crate::lifecycle::{Flow, HookPoint, Hooks, Tool};
use crate::{Response, StatusCode, Tree};

/// Refuses every request.
struct Closed;

impl Tool for Closed {
    fn name(&self) -> &'static str {
        "closed"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.at(HookPoint::OnStartResource, |_| {
            let mut response = Response::new();
            response.set_status(StatusCode::FORBIDDEN);
            Flow::Answer(response)
        });
    }
}

#[test]
fn a_section_covers_a_path_however_it_is_written() {
    let inner = || Tree::new().index(|_| "in").page("log_files", |_| "log");
    let app = || {
        App::new(Tree::new().child("admin_area", inner()).child("administrator", inner()))
            .tool("/admin_area", Closed)
            .tool_off("/admin_area/log-files", "closed")
    };
    let closed = [
        "/admin_area/",
        "/admin_area",
        "//admin_area/",
        "/%61dmin_area/",
        "/admin-area/",
        "/admin.area/x/y",
        "/admin%5Farea/",
    ];
    for path in closed {
        assert_eq!(ask(app(), &format!("GET {path}")).status, 403, "{path}");
    }
    for path in ["/administrator/", "/admin_area/log_files", "/admin_area/log.files"] {
        assert_eq!(ask(app(), &format!("GET {path}")).status, 200, "{path}");
    }
}

#[test]
fn only_a_body_that_the_handler_wants_is_read() {
    let read = |limit, memory| BodyPlan::Read { limit, memory };
    let table = [
        ("POST /whole", BodyPlan::Discard),
        ("POST /whole\nContent-Length: 0", BodyPlan::Discard),
        ("POST /whole\nContent-Length: 5", read(100 << 20, 256 << 10)),
        ("POST /whole\nTransfer-Encoding: chunked", read(100 << 20, 256 << 10)),
        ("POST /nowhere\nContent-Length: 5", BodyPlan::Discard),
        ("DELETE /whole\nContent-Length: 5", BodyPlan::Discard),
        ("POST /none\nContent-Length: 5", BodyPlan::Discard),
    ];
    for (request, plan) in table {
        assert_eq!(Driver::new(App::new(Forms), request).start(), plan, "{request}");
    }
}

struct Forms;

#[crate::handlers]
impl Forms {
    #[expose]
    fn none(&self) -> &'static str {
        ""
    }

    #[expose]
    fn whole(&self, body: crate::Bytes) -> Vec<u8> {
        body.0
    }

    #[expose]
    fn named(&self, a: String) -> String {
        a
    }

    #[expose]
    fn both(&self, a: String, body: crate::Bytes) -> String {
        format!("{a} of {} bytes", body.0.len())
    }

    #[expose]
    fn streamed(&self, body: crate::Body) -> &'static str {
        drop(body);
        ""
    }
}

#[test]
fn forms_stay_in_memory_and_have_a_limit_of_their_own() {
    let form = "Content-Type: application/x-www-form-urlencoded";
    let app = || {
        App::new(Forms).settings("/named", |settings| {
            settings.max_form = 1000;
            settings.show_tracebacks = true;
        })
    };
    let plan = |request: &str| Driver::new(app(), request).start();
    assert_eq!(plan(&format!("POST /named\n{form}\nContent-Length: 9")), BodyPlan::Read { limit: 1000, memory: 1000 });
    assert_eq!(plan("POST /named\nContent-Type: text/plain\nContent-Length: 9"), BodyPlan::Discard);
    assert_eq!(plan("POST /streamed\nContent-Length: 9"), BodyPlan::Stream { limit: 100 << 20 });
    let refused = ask(app(), &format!("POST /named\n{form}\nContent-Length: 1001"));
    assert_eq!(refused.status, 413);
    assert!(refused.body.contains("`max_form` at `/named` allows 1000 bytes"), "{}", refused.body);
    assert_eq!(send(app(), &format!("POST /named\n{form}"), "a=x%20y").body, "x y");
}

#[test]
fn a_form_is_in_memory_for_its_parameters_whatever_else_takes_the_body() {
    let form = "POST /both\nContent-Type: application/x-www-form-urlencoded";
    let body = format!("b={}&a=x", "y".repeat(300 << 10));
    let length = body.len();
    assert_eq!(send(App::new(Forms), form, &body).body, format!("x of {length} bytes"));
    assert_eq!(ask(App::new(Forms), &format!("{form}\nContent-Length: 3000000")).status, 413);
}

#[test]
fn strict_params_refuses_unknown_names() {
    let app = || App::new(Forms).settings("/", |settings| settings.strict_params = true);
    assert_eq!(ask(app(), "GET /named?a=1").status, 200);
    assert_eq!(ask(app(), "GET /named?a=1&utm_source=x").status, 404);
    assert_eq!(ask(App::new(Forms), "GET /named?a=1&utm_source=x").status, 200);
    let form = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(send(app(), &format!("POST /named\n{form}"), "a=1&utm_source=x").status, 400);
    assert_eq!(
        send(app(), &format!("POST /none\n{form}"), "a=1").status,
        400,
        "nor fields of a page without arguments"
    );
    assert_eq!(send(app(), "POST /none\nContent-Type: text/plain", "a=1").status, 200);
    let parts = "POST /none\nContent-Type: multipart/form-data; boundary=b";
    let part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n";
    assert_eq!(send(app(), parts, part).status, 400);
}
