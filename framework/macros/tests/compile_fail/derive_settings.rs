//! What cannot be settings.

use kirsch::Settings;
use std::time::Duration;

#[derive(Settings)]
enum Words {
    One,
}

#[derive(Settings)]
#[settings(chek = Self::look)]
struct Misspelt {
    /// How long it may take.
    #[setting(defualt = "5m")]
    patience: Duration,
}

#[derive(Settings)]
struct Wrong {
    no_comment: bool,
    /// How long it may take.
    #[setting(default = "5 minutes")]
    patience: Duration,
    /// How much it may read.
    #[setting(size, default = "4 M")]
    most: u64,
    /// Its name.
    #[setting(given, default = "it")]
    name: String,
    /// Its other name.
    #[setting(key = "name")]
    other: String,
    /// What happens.
    #[setting(skip, key = "then")]
    then: u8,
}

#[derive(Settings)]
struct NoValue {
    /// What happens.
    then: Result<(), ()>,
    /// What may happen.
    perhaps: Option<usize>,
}

fn main() {}
