use kirsch::prelude::*;

struct Song;
struct Pages {
    song: Song,
}

#[handlers]
impl Pages {
    #[child]
    fn song(&self) -> &Song {
        &self.song
    }
}

fn main() {}
