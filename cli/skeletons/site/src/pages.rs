//! The pages.

use crate::notes::{Note, Notes, Text};
use kirsch::{prelude::*, tools::View};
use serde_json::json;

/// The root of the tree.
pub(crate) struct Pages {
    notes: Notes,
}

impl Pages {
    pub(crate) fn new(notes: Notes) -> Self {
        Self { notes }
    }
}

#[handlers]
impl Pages {
    /// `/`: all notes, the newest first.
    #[expose]
    fn index(&self) -> kirsch::Result<View> {
        Ok(View::new(
            "notes.html",
            json!({ "notes": self.notes.newest()? }),
        ))
    }

    /// `/write`: the form. Strangers are sent to the login, since it takes a `Login`.
    #[expose(get, name = "write")]
    fn blank_form(&self, _login: &Login, request: &Request) -> View {
        form(&FormErrors::of::<Text>(request))
    }

    /// The form as somebody has sent it.
    #[expose(post)]
    fn write(
        &self,
        text: Result<Form<Text>, FormErrors>,
        login: &Login,
        session: &Session,
        request: &Request,
    ) -> kirsch::Result<Redirect> {
        let Form(text) = text.map_err(|errors| errors.page(form))?;
        self.notes.add(&text, login.name())?;
        session.flash("Your note is on the board.");
        Ok(Redirect::to(request.link(link_to::<Self>().index())?))
    }

    /// `/note/7/...`, or 404.
    #[child]
    fn note(&self, id: i64) -> kirsch::Result<NotePages<'_>> {
        let note = self.notes.find(id)?.ok_or_else(Error::not_found)?;
        Ok(NotePages {
            notes: &self.notes,
            note,
        })
    }
}

fn form(form: &FormErrors) -> View {
    View::new("write.html", json!({ "form": form }))
}

/// What can be done with one note.
struct NotePages<'p> {
    notes: &'p Notes,
    note: Note,
}

#[handlers]
impl NotePages<'_> {
    #[expose(post)]
    fn remove(
        &self,
        login: &Login,
        session: &Session,
        request: &Request,
    ) -> kirsch::Result<Redirect> {
        if self.note.author != login.name() {
            return Err(Error::new(
                StatusCode::FORBIDDEN,
                format!("Please ask {} to remove it.", self.note.author),
            ));
        }
        self.notes.remove(self.note.id)?;
        session.flash("The note is gone.");
        Ok(Redirect::to(request.link(link_to::<Pages>().index())?))
    }
}
