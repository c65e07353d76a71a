use kirsch::prelude::*;

struct Song;
struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn show(&self) -> Song {
        Song
    }

    #[expose]
    fn number(&self) -> kirsch::Result<i64> {
        Ok(1)
    }
}

fn main() {}
