use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    const NAME: &'static str = "";
}

fn main() {}
