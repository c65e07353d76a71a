use kirsch::prelude::*;

struct Song;
struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn show(&self, song: Option<Song>) -> &'static str {
        let _ = song;
        ""
    }
}

fn main() {}
