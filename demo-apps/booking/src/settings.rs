//! What the operator may change in the section `[booking]` of `site.toml`.

use crate::booking::NewBooking;
use serde::{Deserialize, Serialize};

/// The team and its rooms.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) team: String,
    pub(crate) rooms: Vec<Room>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) seats: u32,
}

impl Settings {
    /// Says why the team has no such room, as a field and a sentence.
    pub(crate) fn refusal(&self, booking: &NewBooking) -> Option<(&'static str, String)> {
        match self.rooms.iter().find(|room| room.name == booking.room) {
            None => Some(("room", "Please choose one of the rooms.".to_owned())),
            Some(room) if room.seats < booking.seats => {
                Some(("seats", format!("{} has {} seats.", room.name, room.seats)))
            }
            Some(_) => None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let room = |name: &str, seats| Room { name: name.to_owned(), seats };
        Self { team: "Cherry Works".to_owned(), rooms: vec![room("Kyoto", 8), room("Lisbon", 4), room("Oslo", 20)] }
    }
}
