use kirsch::prelude::*;

struct Song;
struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn show(&self, song: Song) -> &'static str {
        let _ = song;
        ""
    }

    #[expose]
    fn show_borrowed(&self, song: &Song) -> &'static str {
        let _ = song;
        ""
    }
}

fn main() {}
