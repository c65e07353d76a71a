//! What `derive(Settings)` makes of a struct: methods, keys, defaults, rows, messages.

use kirsch::settings::{SettingError, SettingTable, SettingValue, SettingWord, Settings};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Quick,
    Careful,
}

impl SettingWord for Mode {
    const WORDS: &'static [(&'static str, Self)] = &[("quick", Self::Quick), ("careful", Self::Careful)];
}

/// A number as its sign.
mod sign {
    use kirsch::settings::SettingValue;

    pub(super) fn read(value: &SettingValue) -> Result<i8, String> {
        match value.as_str() {
            Some("+") => Ok(1),
            Some("-") => Ok(-1),
            _ => Err("must be a sign".to_owned()),
        }
    }

    pub(super) fn show(sign: &i8) -> String {
        if *sign < 0 { "\"-\"".to_owned() } else { "\"+\"".to_owned() }
    }
}

#[derive(Clone, Debug, Default, Settings)]
struct Files {
    /// Where they are.
    folder: PathBuf,
}

#[derive(Clone, Debug, Settings)]
#[settings(check = Self::check)]
struct Everything {
    /// What it is called.
    #[setting(given, builder = "called")]
    name: String,
    /// How it works, see [`Everything::check`].
    ///
    /// Not in the row.
    #[setting(default = Mode::Careful)]
    mode: Mode,
    /// How long it may take.
    #[setting(default = "1500ms")]
    patience: Duration,
    /// How much it may read.
    #[setting(size, default = "4 MiB")]
    most: usize,
    /// How many may work.
    #[setting(min = 1, max = 64, none = "auto")]
    workers: Option<usize>,
    /// When it looks again.
    #[setting(default = "5m", none = "off")]
    interval: Option<Duration>,
    /// Its sign.
    #[setting(with = sign, default = 1)]
    sign: i8,
    /// Its names.
    #[setting(default = ["a"], check = no_blank)]
    names: Vec<String>,
    #[setting(flatten)]
    files: Files,
    #[setting(skip, default = 7)]
    state: u8,
}

fn no_blank(names: &[String]) -> Result<(), String> {
    if names.iter().any(String::is_empty) { Err("has a blank one".to_owned()) } else { Ok(()) }
}

impl Everything {
    fn check(&self) -> Result<(), SettingError> {
        let is_too_slow = self.mode == Mode::Quick && self.patience > Duration::from_secs(60);
        if is_too_slow { Err(SettingError::new("patience", "is not quick")) } else { Ok(()) }
    }
}

fn configured(text: &str) -> Result<Everything, String> {
    let table: SettingTable = text.parse().unwrap();
    Everything::defaults("it".to_owned()).configured(&table).map_err(|problem| problem.to_string())
}

#[test]
fn a_setting_without_a_value_has_its_default() {
    let Everything { mode, patience, most, workers, interval, sign, names, state, .. } = configured("").unwrap();
    assert_eq!((mode, patience, most), (Mode::Careful, Duration::from_millis(1500), 4 << 20));
    assert_eq!((workers, interval, sign, state), (None, Some(Duration::from_secs(300)), 1, 7));
    assert_eq!(names, ["a"]);
}

#[test]
fn every_setting_has_a_method() {
    let built = Everything::defaults(String::new()).called("b").mode(Mode::Quick).patience(Duration::ZERO).most(5);
    let built = built.workers(3).interval(Duration::ZERO).sign(-1).names(["x"]);
    let rows: Vec<String> = built.setting_rows().into_iter().map(|row| row.value).collect();
    assert_eq!(rows, ["\"b\"", "\"quick\"", "\"0s\"", "\"5 B\"", "3", "\"0s\"", "\"-\"", "[\"x\"]", "\"\""]);
}

#[test]
fn what_a_row_shows_can_be_written_into_a_file() {
    let everything = Everything::defaults("it".to_owned());
    for row in everything.setting_rows() {
        let table: SettingTable = format!("{} = {}", row.key, row.value).parse().unwrap();
        let read = everything.configured(&table).unwrap();
        assert_eq!(read.setting_rows(), everything.setting_rows(), "{}", row.key);
    }
}

#[test]
fn a_row_is_the_first_paragraph_of_the_documentation() {
    let rows = Everything::defaults(String::new()).setting_rows();
    assert_eq!(rows[1].what, "How it works, see `Everything::check`.");
    assert!(rows[0].is_given && !rows[1].is_given);
}

#[test]
fn a_wrong_value_is_refused_with_what_would_be_right() {
    let table = [
        ("mode = 'slow'", "`mode` is \"slow\"; it must be one of \"quick\", \"careful\""),
        (
            "most = 'much'",
            "`most` is \"much\"; it must be a number of bytes or a size with its unit, as 65536, \"64 KiB\" or \"100 MiB\"",
        ),
        ("workers = 65", "`workers` is 65; it must be a whole number from 1 to 64, or \"auto\""),
        ("sign = 5", "`sign` must be a sign"),
        ("names = ['']", "`names` has a blank one"),
        ("folder = 5", "`folder` is 5; it must be a text in quotes"),
        ("mode = 'quick'\npatience = '2m'", "`patience` is not quick"),
        ("worker = 5", "`worker` is not a setting; did you mean `workers`?"),
        (
            "state = 5",
            "`state` is not a setting; there are: name, mode, patience, most, workers, interval, sign, names, folder",
        ),
    ];
    for (text, problem) in table {
        assert_eq!(configured(text).unwrap_err(), problem);
    }
}

#[test]
fn a_single_key_is_set_without_looking_at_the_others() {
    let mut everything = Everything::defaults(String::new());
    assert_eq!(everything.set_setting("workers", &SettingValue::from("auto")), Some(Ok(())));
    assert_eq!(everything.set_setting("folder", &SettingValue::from("/srv")), Some(Ok(())));
    assert_eq!(everything.set_setting("color", &SettingValue::from(1)), None);
    assert_eq!(everything.files.folder, PathBuf::from("/srv"));
}
