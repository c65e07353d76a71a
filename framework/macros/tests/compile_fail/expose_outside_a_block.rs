use kirsch::prelude::*;

struct Pages;

impl Pages {
    #[expose]
    fn show(&self) -> &'static str {
        ""
    }
}

fn main() {}
