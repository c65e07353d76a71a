use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn show<T: Parameter>(&self, value: T) -> &'static str {
        let _ = value;
        ""
    }

    #[expose]
    fn count(&self, items: impl Iterator) -> String {
        items.count().to_string()
    }
}

fn main() {}
