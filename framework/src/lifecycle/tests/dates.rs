//! `Date` and `Last-Modified` of a response.

use super::*;
use crate::http::{FixedDate, parse_date};
use crate::testing::Client;
use crate::{HeaderValue, Response, Tree, header};
use std::time::{SystemTime, UNIX_EPOCH};

fn date(client: &Client, path: &str, name: &str) -> SystemTime {
    let response = client.get(path).send();
    parse_date(response.header(name).expect("the field").as_bytes(), SystemTime::now()).expect("a date")
}

#[test]
fn a_response_that_was_made_before_says_when() {
    let then = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let tree = Tree::new()
        .page("kept", move |page| {
            page.response().set_date(FixedDate::of(then));
            "kept"
        })
        .page("laid-over", move |page| {
            page.response().set_date(FixedDate::of(then));
            Response::new()
        })
        .page("fails", move |page| {
            page.response().set_date(FixedDate::of(then));
            Err::<(), _>(crate::Error::not_found())
        });
    let client = Client::in_process(App::new(tree));
    assert_eq!((date(&client, "/kept", "date"), date(&client, "/laid-over", "date")), (then, then));
    assert!(date(&client, "/fails", "date") > then, "an error page is made now");
}

#[test]
fn a_date_that_is_set_as_a_field_is_sent_if_it_is_one() {
    let tree = Tree::new().page("at", |page| {
        let said = page.request().query().unwrap_or_default().replace('+', " ");
        page.response().set_header(header::DATE, HeaderValue::from_str(&said).expect("a value"));
        "text"
    });
    let client = Client::in_process(App::new(tree));
    let then = UNIX_EPOCH + Duration::from_secs(784_111_777);
    for said in ["Sun,+06+Nov+1994+08:49:37+GMT", "Sunday,+06-Nov-94+08:49:37+GMT"] {
        assert_eq!(date(&client, &format!("/at?{said}"), "date"), then, "{said}");
    }
    for said in ["", "yesterday", "0"] {
        assert!(date(&client, &format!("/at?{said}"), "date") > then, "{said}");
    }
}

#[test]
fn nothing_was_last_modified_in_the_future() {
    let tree = Tree::new().page("at", |page| {
        let said = page.request().query().unwrap_or_default().replace('+', " ");
        page.response().set_header(header::LAST_MODIFIED, HeaderValue::from_str(&said).expect("a value"));
        "text"
    });
    let client = Client::in_process(App::new(tree));
    let (modified, now) = (date(&client, "/at?Fri,+31+Dec+9999+23:59:59+GMT", "last-modified"), SystemTime::now());
    assert!(modified <= now && modified + Duration::from_secs(10) > now);
    let past = UNIX_EPOCH + Duration::from_secs(784_111_777);
    assert_eq!(date(&client, "/at?Sun,+06+Nov+1994+08:49:37+GMT", "last-modified"), past);
}
