use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose(aliases = "a")]
    fn one(&self) {}

    #[expose(GET)]
    fn two(&self) {}

    #[expose(alias = "a/b")]
    fn three(&self) {}

    #[child(alias = "a")]
    fn four(&self) -> Tree {
        Tree::new()
    }
}

fn main() {}
