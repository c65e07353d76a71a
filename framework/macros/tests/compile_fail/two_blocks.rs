use kirsch::prelude::*;

struct Shop;

#[handlers]
impl Shop {
    #[expose]
    fn item(&self) -> &'static str {
        "item"
    }
}

#[handlers]
impl Shop {
    #[expose]
    fn list(&self) -> &'static str {
        "list"
    }
}

fn main() {}
