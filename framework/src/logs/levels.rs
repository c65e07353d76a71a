//! Which records are wanted: `"info"`, `"warn,shop=debug,kirsch::access=off"`.

use crate::exchange::Error;
use crate::suggestion::distance;
use log::{LevelFilter, Metadata};

/// The levels of targets, and that of all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    others: LevelFilter,
    /// The longest first, so that the first that fits counts.
    targets: Vec<(String, LevelFilter)>,
}

impl Levels {
    /// Reads levels as the variable `RUST_LOG` has them: a level for all, and `target=level`, with commas between.
    ///
    /// # Errors
    /// Names the part that is not a level.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        // What names no level for the others is about some targets only, as in `env_logger`.
        let mut levels = Self { others: LevelFilter::Off, targets: Vec::new() };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (target, level) = match part.split_once('=') {
                Some((target, level)) => (Some(target.trim()), level.trim().parse()),
                None => match part.parse() {
                    Ok(level) => (None, Ok(level)),
                    // A target alone is wanted whole.
                    Err(_) => {
                        misspelt(part)?;
                        (Some(part), Ok(LevelFilter::Trace))
                    }
                },
            };
            let Ok(level) = level else {
                return Err(Error::unexpected(format!(
                    "the levels of the log: {part:?} names no level; write off, error, warn, info, debug or trace, as in \"info,shop=debug\""
                )));
            };
            match target {
                None => levels.others = level,
                Some(target) => levels.targets.push((target.to_owned(), level)),
            }
        }
        levels.targets.sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        Ok(levels)
    }

    pub(super) fn allow(&self, metadata: &Metadata<'_>) -> bool {
        let name = metadata.target();
        let is_below =
            |target: &str| name.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        let of_target = self.targets.iter().find(|(target, _)| is_below(target));
        metadata.level() <= of_target.map_or(self.others, |(_, level)| *level)
    }

    /// The most detailed of all.
    pub(super) fn most(&self) -> LevelFilter {
        self.targets.iter().map(|(_, level)| *level).max().unwrap_or(self.others).max(self.others)
    }
}

/// Refuses what looks like a level and is none: taken for a target it would silence all others.
fn misspelt(part: &str) -> Result<(), Error> {
    let word = part.to_ascii_lowercase();
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let is_near = |level: &str| distance(&word, level) <= level.len() / 2 || level == "warn" && word == "warning";
    match levels.into_iter().find(|level| is_near(level)) {
        None => Ok(()),
        Some(level) => Err(Error::unexpected(format!(
            "the levels of the log: {part:?} is not a level; did you mean {level:?}? If it is the name of a target, write \"{part}=trace\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    #[test]
    fn the_longest_target_that_fits_decides() {
        let levels = Levels::parse("warn, kirsch=info ,kirsch::access=off,shop").unwrap();
        let table = [
            ("other", Level::Warn, true),
            ("other", Level::Info, false),
            ("kirsch::waits", Level::Info, true),
            ("kirsches", Level::Info, false),
            ("kirsch::access", Level::Error, false),
            ("shop::cart", Level::Trace, true),
        ];
        for (target, level, expected) in table {
            let metadata = Metadata::builder().target(target).level(level).build();
            assert_eq!(levels.allow(&metadata), expected, "{target} {level}");
        }
        assert_eq!(levels.most(), LevelFilter::Trace);
    }

    #[test]
    fn a_word_that_is_nearly_a_level_is_no_target() {
        for (word, level) in [("inof", "info"), ("Wanr", "warn"), ("debgu,shop=info", "debug"), ("warning", "warn")] {
            let refused = Levels::parse(word).unwrap_err().to_string();
            assert!(refused.contains(&format!("did you mean {level:?}?")), "{refused}");
        }
        for target in ["shop", "kirsch::access", "warp=trace", "tower", "INFO"] {
            assert!(Levels::parse(target).is_ok(), "{target}");
        }
    }

    #[test]
    fn a_level_that_does_not_exist_is_named() {
        assert!(Levels::parse("info,shop=loud").unwrap_err().to_string().contains("\"shop=loud\""));
    }
}
