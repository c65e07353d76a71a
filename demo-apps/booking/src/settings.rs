//! What the operator may change in the section `[booking]` of `site.toml`.

use crate::booking::NewBooking;
use serde::{Deserialize, Serialize};

/// The team and its rooms.
#[derive(Deserialize)]
pub(crate) struct Settings {
    pub(crate) team: String,
    pub(crate) rooms: Vec<Room>,
}

#[derive(Deserialize, Serialize)]
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
