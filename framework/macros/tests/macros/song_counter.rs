//! The second program of the front page, without its `main`.

use kirsch::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;

#[derive(Default)]
struct Songs(Mutex<BTreeMap<String, u64>>);

impl Songs {
    fn count(&self, id: &str) -> u64 {
        self.0.lock().unwrap().get(id).copied().unwrap_or(0)
    }

    fn add(&self, id: &str) -> u64 {
        let mut songs = self.0.lock().unwrap();
        let count = songs.entry(id.to_owned()).or_default();
        *count += 1;
        *count
    }
}

struct SongCounts {
    songs: Songs,
}

#[resource]
impl SongCounts {
    fn get(&self, id: String) -> String {
        self.songs.count(&id).to_string()
    }

    fn post(&self, id: String) -> String {
        self.songs.add(&id).to_string()
    }
}

struct CounterApp {
    song: SongCounts,
}

#[resource]
impl CounterApp {
    #[child]
    fn song(&self) -> &SongCounts {
        &self.song
    }

    fn get(&self) -> String {
        self.song.songs.0.lock().unwrap().iter().map(|(id, count)| format!("{id}={count}\n")).collect()
    }

    fn delete(&self) -> &'static str {
        self.song.songs.0.lock().unwrap().clear();
        "OK"
    }
}

#[test]
fn the_second_program_of_the_front_page_is_published() {
    let app = CounterApp { song: SongCounts { songs: Songs::default() } };
    let routes: Vec<_> = kirsch::publish::routes(&app.describe()).into_iter().map(|route| route.path).collect();
    assert_eq!(routes, ["/", "/", "/song/{id}", "/song/{id}"]);
}
