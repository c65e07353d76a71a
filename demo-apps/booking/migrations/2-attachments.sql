-- The name of the file as it was uploaded. The file itself is in the folder `attachments`, under the booking's number.
ALTER TABLE bookings ADD COLUMN attachment TEXT;
