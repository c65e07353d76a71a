//! The public test client: in process and over a socket, with the same calls.
