use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn old_page(&self) {}

    #[expose(alias = "old-page")]
    fn new_page(&self) {}

    #[expose(get)]
    fn book(&self) {}

    #[expose(post)]
    fn book(&self) {}

    #[expose]
    fn song(&self) {}

    #[child(name = "song")]
    fn songs(&self) -> Tree {
        Tree::new()
    }
}

fn main() {}
