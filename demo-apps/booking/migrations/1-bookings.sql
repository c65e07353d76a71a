CREATE TABLE bookings (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    room TEXT NOT NULL,
    day TEXT NOT NULL,
    seats INTEGER NOT NULL,
    remark TEXT,
    catering INTEGER NOT NULL,
    booked_by TEXT NOT NULL,
    -- A room is booked once a day: of two people who try at the same time, one fails here.
    UNIQUE (room, day)
) STRICT;

CREATE TABLE attendees (
    booking INTEGER NOT NULL REFERENCES bookings ON DELETE CASCADE,
    name TEXT NOT NULL,
    email TEXT
) STRICT;

CREATE INDEX attendees_of_booking ON attendees (booking);
