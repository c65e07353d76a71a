//! A booking as people type it. The same struct is read from forms and from JSON, and written to both.

use chrono::{Local, NaiveDate};
use kirsch::Fields;
use schemars::JsonSchema;
use serde::Serialize;

/// What a form or a program has sent, and every rule for it that needs no database.
#[derive(Debug, Fields, JsonSchema, Serialize)]
#[fields(check = Self::has_enough_seats)]
pub(crate) struct NewBooking {
    #[field(length = 1..=80)]
    pub(crate) title: String,
    pub(crate) room: String,
    #[field(parse = "a date, such as 2026-11-30", check = is_to_come)]
    pub(crate) day: NaiveDate,
    #[field(range = 1..=200)]
    pub(crate) seats: u32,
    #[field(count = ..=20)]
    pub(crate) attendees: Vec<Attendee>,
    #[field(length = ..=500)]
    pub(crate) remark: Option<String>,
    pub(crate) catering: bool,
}

#[derive(Debug, Fields, JsonSchema, Serialize)]
pub(crate) struct Attendee {
    #[field(length = 1..=80)]
    pub(crate) name: String,
    #[field(email)]
    pub(crate) email: Option<String>,
}

/// A booking that is made.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Booking {
    pub(crate) id: i64,
    #[serde(flatten)]
    pub(crate) details: NewBooking,
    pub(crate) booked_by: String,
    /// The name of the attached file.
    pub(crate) attachment: Option<String>,
}

impl NewBooking {
    fn has_enough_seats(&self) -> Result<(), (&'static str, String)> {
        match self.attendees.len() {
            people if people > self.seats as usize => Err(("seats", format!("You have named {people} people."))),
            _ => Ok(()),
        }
    }
}

fn is_to_come(day: &NaiveDate) -> Result<(), &'static str> {
    if *day < Local::now().date_naive() { Err("This day is over.") } else { Ok(()) }
}
