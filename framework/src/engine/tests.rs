//! What is checked at start.

use crate::exchange::{Argument, ArgumentInfo, Arguments, HttpError};
use crate::lifecycle::{Hooks, Tool};
use crate::{App, Tree, handlers};

/// What the tool `badge` provides.
struct Badge;

impl<'a> Argument<'a> for Badge {
    const INFO: ArgumentInfo = ArgumentInfo { requires: Some("badge"), ..ArgumentInfo::TYPED };

    fn take(_: &'static str, _: &mut Arguments<'a>) -> Result<Self, HttpError> {
        Ok(Self)
    }
}

struct Badges;

impl Tool for Badges {
    fn name(&self) -> &'static str {
        "badge"
    }

    fn attach(&self, _: &mut Hooks) {}
}

struct Office;

#[handlers]
impl Office {
    #[expose]
    fn enter(&self, badge: Badge) -> &'static str {
        let _: Badge = badge;
        "in"
    }
}

fn app() -> App {
    App::new(Tree::new().child("office", Office))
}

#[test]
fn a_handler_without_its_tool_is_named_with_the_fix() {
    let error = app().build().unwrap_err().to_string();
    assert_eq!(
        error,
        "Office::enter at /office/enter: its argument `badge` needs the tool `badge`, which is not on there: add the tool `badge` with .tool(\"/\", …)"
    );
}

#[test]
fn the_tool_must_be_on_at_the_path_of_the_handler() {
    assert!(app().tool("/", Badges).build().is_ok());
    assert!(app().tool("/office/enter", Badges).build().is_ok());
    assert!(app().tool("/other", Badges).build().is_err());
    assert!(app().tool("/", Badges).tool_off("/office", "badge").build().is_err());
}

#[test]
fn a_wrong_address_is_explained() {
    let error = App::new(Tree::new()).start("8080").unwrap_err().to_string();
    assert!(
        error.starts_with("\"8080\" is not an address to listen on (")
            && error.ends_with("; write host and port, as \"127.0.0.1:8080\""),
        "{error}"
    );
}
