//! Configuration files: any text is a configuration or an error that says where.
#![no_main]

use kirsch::prelude::*;
use libfuzzer_sys::fuzz_target;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> &'static str {
        ""
    }
}

fuzz_target!(|text: &str| {
    if let Err(error) = App::new(Pages).tool("/", Sessions::in_memory()).config_str(text).build() {
        assert!(!error.to_string().is_empty());
    }
});
