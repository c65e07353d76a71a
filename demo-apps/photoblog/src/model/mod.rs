//! The blog without the web: albums, photos, tags and comments, in SQLite, and what may be done with them.
//!
//! | file | what it holds |
//! |---|---|
//! | `database` | the connections, and the steps to the tables of today |
//! | `album`, `photo`, `comment` | the rows, and how they change |
//! | `reading` | what readers see, and nothing of drafts |
//! | `names` | slugs and tags out of what people type |

pub(crate) mod album;
pub(crate) mod comment;
pub(crate) mod database;
pub(crate) mod moment;
pub(crate) mod names;
pub(crate) mod photo;
pub(crate) mod reading;

/// How a change by a version that the author has seen went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Done,
    /// Somebody else has changed it since.
    Stale,
}

impl Changed {
    /// What the number of changed rows means.
    fn by(rows: usize) -> Self {
        if rows == 1 { Self::Done } else { Self::Stale }
    }
}
