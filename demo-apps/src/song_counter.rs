//! Counts how often each song was played: a resource whose methods are the HTTP methods. In a browser `/` is a page
//! that plays them.

use kirsch::prelude::*;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The application, with no song counted yet.
pub fn app() -> App {
    let songs = Arc::new(Songs::default());
    App::new(CounterApp { song: SongCounts { songs: Arc::clone(&songs) }, songs })
}

/// `/`: all songs.
struct CounterApp {
    song: SongCounts,
    songs: Arc<Songs>,
}

#[resource]
impl CounterApp {
    #[child]
    fn song(&self) -> &SongCounts {
        &self.song
    }

    /// Browsers get a page that plays the songs; programs get the counts. They are plain text, since the names are
    /// whatever clients have sent.
    fn get(&self, request: &Request) -> Response {
        crate::page_or(request, include_str!("song_counter.html"), Text(self.songs.to_string()))
    }

    fn delete(&self) -> &'static str {
        self.songs.clear();
        "OK"
    }
}

/// `/song/42` or `/song?id=42`: one song.
struct SongCounts {
    songs: Arc<Songs>,
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

/// How often each song was played.
#[derive(Default)]
struct Songs {
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Songs {
    fn count(&self, id: &str) -> u64 {
        self.lock().get(id).copied().unwrap_or(0)
    }

    fn add(&self, id: &str) -> u64 {
        let mut counts = self.lock();
        let count = counts.entry(id.to_owned()).or_insert(0);
        *count += 1;
        *count
    }

    fn clear(&self) {
        self.lock().clear();
    }

    // Nothing in this file can panic between two halves of a change: a poisoned map is a whole map.
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `1=2,42=1`, sorted by song.
impl std::fmt::Display for Songs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (id, count)) in self.lock().iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{id}={count}")?;
        }
        Ok(())
    }
}
