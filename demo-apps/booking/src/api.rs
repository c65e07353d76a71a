//! The same bookings for programs, as JSON: `curl -u anna http://127.0.0.1:8080/api/bookings`.

use crate::{
    booking::{Booking, NewBooking},
    site::Site,
};
use kirsch::prelude::*;

/// `/api`
pub(crate) struct Api<'s>(pub(crate) &'s Site);

#[handlers]
impl<'s> Api<'s> {
    #[child]
    fn bookings(&self) -> Bookings<'s> {
        Bookings(self.0)
    }
}

/// `/api/bookings`, and `/api/bookings/7` for one of them.
pub(crate) struct Bookings<'s>(&'s Site);

#[resource]
impl Bookings<'_> {
    fn get(&self, id: Option<i64>) -> kirsch::Result<Response> {
        match id {
            Some(id) => Ok(Response::of(Json(self.find(id)?))),
            None => Ok(Response::of(Json(self.0.store().upcoming()?))),
        }
    }

    fn post(
        &self,
        booking: Result<Json<NewBooking>, FormErrors>,
        login: &Login,
        request: &Request,
    ) -> kirsch::Result<Response> {
        let Json(booking) = booking?;
        let booked = self.0.book_room(&booking, login, None)?;
        let id = booked.map_err(|(field, sentence)| FormErrors::blank::<NewBooking>().with(field, sentence))?;
        let place = request.url("/api/bookings").segment(id).to_string();
        Ok(Response::of((StatusCode::CREATED, [(kirsch::header::LOCATION, place)], Json(self.find(id)?))))
    }

    fn delete(&self, id: i64, login: &Login) -> kirsch::Result<StatusCode> {
        self.find(id)?.check_owner(login)?;
        self.0.store().remove(id)?;
        Ok(StatusCode::NO_CONTENT)
    }
}

impl Bookings<'_> {
    fn find(&self, id: i64) -> kirsch::Result<Booking> {
        self.0.store().find(id)?.ok_or_else(Error::not_found)
    }
}
