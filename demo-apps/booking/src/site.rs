//! The pages for people.

use crate::{
    api::Api,
    booking::{Booking, NewBooking},
    settings::Settings,
    store::Store,
};
use kirsch::{prelude::*, tools::View};
use serde_json::json;

/// The root of the tree.
pub(crate) struct Site {
    store: Store,
    settings: Settings,
}

impl Site {
    pub(crate) fn new(store: Store, settings: Settings) -> Self {
        Self { store, settings }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The booking of this number, or 404.
    pub(crate) fn booking_of(&self, id: i64) -> kirsch::Result<Booking> {
        self.store.find(id)?.ok_or_else(Error::not_found)
    }

    /// Books a room. If that cannot be, the inner error is the field that is to blame, and a sentence.
    pub(crate) fn book_room(
        &self,
        booking: &NewBooking,
        login: &Login,
        attachment: Option<&Upload>,
    ) -> kirsch::Result<Result<i64, (&'static str, String)>> {
        if let Some(refusal) = self.settings.refusal(booking) {
            return Ok(Err(refusal));
        }
        let id = self.store.add(booking, login.name(), attachment)?;
        Ok(id.ok_or_else(|| ("room", format!("{} is taken on this day.", booking.room))))
    }

    /// The form, blank or as somebody has typed it.
    fn form(&self, form: &FormErrors) -> View {
        View::new("book.html", json!({ "form": form, "rooms": self.settings.rooms }))
    }
}

#[handlers]
impl Site {
    /// The list of bookings.
    #[expose]
    fn index(&self) -> kirsch::Result<View> {
        Ok(View::new("bookings.html", json!({ "bookings": self.store.upcoming()? })))
    }

    /// The form. A link may fill it in: `/book?room=Kyoto&day=2026-11-30`.
    #[expose(get, name = "book")]
    fn blank_form(&self, request: &Request) -> View {
        self.form(&FormErrors::of::<NewBooking>(request))
    }

    /// The form as somebody has sent it.
    #[expose(post)]
    fn book(
        &self,
        form: Result<Form<NewBooking>, FormErrors>,
        attachment: Option<Upload>,
        login: &Login,
        session: &Session,
        request: &Request,
    ) -> kirsch::Result<Redirect> {
        let Form(booking) = form.map_err(|errors| errors.page(|form| self.form(form)))?;
        let booked = self.book_room(&booking, login, attachment.as_ref())?;
        let id = booked.map_err(|(field, sentence)| {
            FormErrors::of::<NewBooking>(request).with(field, sentence).page(|form| self.form(form))
        })?;
        session.flash(format!("{} is yours.", booking.room));
        Ok(Redirect::to(request.link(link_to::<Self>().booking(id).index())?))
    }

    /// The pages of one booking: `/booking/7/`.
    #[child]
    fn booking(&self, id: i64) -> kirsch::Result<BookingPages<'_>> {
        Ok(BookingPages { site: self, booking: self.booking_of(id)? })
    }

    #[child]
    fn api(&self) -> Api<'_> {
        Api(self)
    }
}

/// The pages of one booking.
struct BookingPages<'s> {
    site: &'s Site,
    booking: Booking,
}

#[handlers]
impl BookingPages<'_> {
    #[expose]
    fn index(&self) -> View {
        View::new("booking.html", json!({ "booking": self.booking }))
    }

    /// The attached file, to be saved: it is never shown as a page of this site.
    #[expose]
    fn attachment(&self) -> kirsch::Result<File> {
        let name = self.booking.attachment.as_deref().ok_or_else(Error::not_found)?;
        Ok(self.site.store.open_attachment(self.booking.id)?.download(name))
    }

    #[expose(post)]
    fn cancel(&self, login: &Login, session: &Session, request: &Request) -> kirsch::Result<Redirect> {
        self.booking.check_owner(login)?;
        self.site.store.remove(self.booking.id)?;
        session.flash(format!("{} is free again.", self.booking.details.room));
        Ok(Redirect::to(request.link(link_to::<Site>().index())?))
    }
}

impl Booking {
    /// Only the person who has booked a room may cancel that.
    pub(crate) fn check_owner(&self, login: &Login) -> kirsch::Result {
        match self.booked_by == login.name() {
            true => Ok(()),
            false => Err(Error::new(StatusCode::FORBIDDEN, format!("Please ask {} to cancel this.", self.booked_by))),
        }
    }
}
