use kirsch::prelude::*;

struct Song;

#[resource]
impl Song {
    #[expose]
    fn get(&self) {}

    #[child]
    fn delete(&self) -> Tree {
        Tree::new()
    }

    #[expose]
    fn index(&self) {}
}

fn main() {}
