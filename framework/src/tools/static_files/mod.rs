//! Files as responses: whole folders (`staticdir`), single ones (`staticfile`), and the return value [`File`] of
//! handlers.
//!
//! The way of a request, one file of this folder for each step:
//!
//! ```text
//! static_dir, static_file   path ─► file: what is hidden, index pages, redirects, who else may answer
//! files                     in memory? still the same? else open; compressed beside it?
//!   memory                  small files that are asked for often
//!   directory               from a path to an open file, never out of the folder
//! stamp, media_type         what is said of a file: ETag, Last-Modified, Content-Type
//! found                     the response
//! ```
//!
//! Conditions and ranges are not here: any response that offers `ETag` and `Accept-Ranges` has them, see
//! `lifecycle/conditions.rs`. Nor is the sending: the server sends files by itself.
//!
//! The tools answer before the body is read, and so before any admission: a file never waits for a session's lock,
//! loads no record and sets no cookie.

mod directory;
mod disposition;
mod file;
mod files;
mod found;
mod listing;
mod media_type;
mod memory;
mod stamp;
mod static_dir;
mod static_file;

pub use directory::Symlinks;
pub use file::{File, serve_download, serve_file};
pub use static_dir::StaticDir;
pub use static_file::StaticFile;
