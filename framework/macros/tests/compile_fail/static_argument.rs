use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn show(&self, name: &'static str) -> &'static str {
        name
    }

    #[expose]
    fn nameless(&self, (one, two): (i64, i64), _: String) {
        let _ = (one, two);
    }
}

fn main() {}
