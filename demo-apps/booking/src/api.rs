//! The same bookings for programs, as JSON: `curl -u anna http://127.0.0.1:8080/api/bookings`. `/api/about` describes
//! them.

use crate::{
    booking::{Booking, NewBooking},
    site::Site,
};
use kirsch::{HeaderName, header, prelude::*};

/// `/api`
pub(crate) struct Api<'s>(pub(crate) &'s Site);

#[handlers]
impl<'s> Api<'s> {
    #[child]
    fn bookings(&self) -> AllBookings<'s> {
        AllBookings(self.0)
    }
}

/// `/api/bookings`
pub(crate) struct AllBookings<'s>(&'s Site);

#[resource]
impl<'s> AllBookings<'s> {
    /// All bookings from today on.
    fn get(&self) -> kirsch::Result<Json<Vec<Booking>>> {
        Ok(Json(self.0.store().upcoming()?))
    }

    /// Books a room.
    fn post(
        &self,
        booking: Result<Json<NewBooking>, FormErrors>,
        login: &Login,
        request: &Request,
    ) -> kirsch::Result<(StatusCode, [(HeaderName, String); 1], Json<Booking>)> {
        let Json(booking) = booking?;
        let booked = self.0.book_room(&booking, login, None)?;
        let id = booked.map_err(|(field, sentence)| FormErrors::blank::<NewBooking>().with(field, sentence))?;
        let place = request.link(link_to::<Site>().api().bookings().default(id).get())?.to_string();
        Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(self.0.booking_of(id)?)))
    }

    #[child]
    fn default(&self, id: i64) -> kirsch::Result<OneBooking<'s>> {
        Ok(OneBooking { site: self.0, booking: self.0.booking_of(id)? })
    }
}

/// `/api/bookings/7`
pub(crate) struct OneBooking<'s> {
    site: &'s Site,
    booking: Booking,
}

#[resource]
impl OneBooking<'_> {
    /// One booking.
    fn get(&self) -> Json<&Booking> {
        Json(&self.booking)
    }

    /// Takes a booking back. Only the person who has made it may do so.
    fn delete(&self, login: &Login) -> kirsch::Result<StatusCode> {
        self.booking.check_owner(login)?;
        self.site.store().remove(self.booking.id)?;
        Ok(StatusCode::NO_CONTENT)
    }
}
