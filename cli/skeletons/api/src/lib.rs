//! Notes for programs, as JSON.
//!
//! | request | answer |
//! |---|---|
//! | `GET /notes` | all notes |
//! | `POST /notes` | 201 with the new note, and its place in `Location` |
//! | `GET /notes/7` | one note |
//! | `PUT /notes/7` | the note, changed |
//! | `DELETE /notes/7` | 204 |
//!
//! What is wrong comes back as `application/problem+json`, each field with its sentence.

mod notes;

use kirsch::{HeaderName, header, prelude::*};
use notes::{Note, Notes, Text};

/// The application.
pub fn app() -> App {
    App::new(Api {
        notes: Notes::default(),
    })
}

struct Api {
    notes: Notes,
}

#[handlers]
impl Api {
    /// `/`: where to begin.
    #[expose]
    fn index(&self) -> Json<[(&'static str, &'static str); 1]> {
        Json([("notes", "/notes")])
    }

    #[child]
    fn notes(&self) -> AllNotes<'_> {
        AllNotes(&self.notes)
    }
}

/// `/notes`
struct AllNotes<'a>(&'a Notes);

#[resource]
impl<'a> AllNotes<'a> {
    fn get(&self) -> Json<Vec<Note>> {
        Json(self.0.all())
    }

    fn post(
        &self,
        text: Result<Json<Text>, FormErrors>,
        request: &Request,
    ) -> kirsch::Result<(StatusCode, [(HeaderName, String); 1], Json<Note>)> {
        let Json(text) = text?;
        let note = self.0.add(text);
        let place = request
            .link(link_to::<Api>().notes().default(note.id).get())?
            .to_string();
        Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(note)))
    }

    #[child]
    fn default(&self, id: u64) -> OneNote<'a> {
        OneNote { notes: self.0, id }
    }
}

/// `/notes/7`
struct OneNote<'a> {
    notes: &'a Notes,
    id: u64,
}

#[resource]
impl OneNote<'_> {
    fn get(&self) -> Option<Json<Note>> {
        self.notes.find(self.id).map(Json)
    }

    fn put(&self, text: Result<Json<Text>, FormErrors>) -> kirsch::Result<Json<Note>> {
        let Json(text) = text?;
        self.notes
            .change(self.id, text)
            .map(Json)
            .ok_or_else(Error::not_found)
    }

    fn delete(&self) -> kirsch::Result<StatusCode> {
        self.notes
            .remove(self.id)
            .map(|_| StatusCode::NO_CONTENT)
            .ok_or_else(Error::not_found)
    }
}
