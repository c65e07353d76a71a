use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    #[child]
    fn show(&self) -> Tree {
        Tree::new()
    }
}

fn main() {}
