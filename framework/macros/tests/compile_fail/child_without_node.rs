use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[child]
    fn nothing(&self) {}

    #[child]
    fn something(&self) -> impl Publish {
        Tree::new()
    }

    #[child]
    fn default(&self) -> Tree {
        Tree::new()
    }

    #[child]
    fn answer(&self, response: &mut Response) -> Tree {
        let _ = response;
        Tree::new()
    }
}

fn main() {}
