//! What the operator may change in the section `[photoblog]` of `photoblog.toml`.

use kirsch::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(crate) struct Settings {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// Begins the identifiers of entries in feeds: a host that was yours on this day. It stays when the site moves.
    pub(crate) tag_authority: String,
    /// The authors and their passwords.
    pub(crate) people: BTreeMap<String, Secret>,
}
