//! The command line of the demo programs: `--port`, `--threads`, `--seconds` where a program has something to wait for, and
//! `--directory` where it keeps files.

use std::path::PathBuf;

/// What a program says about itself, and which options it takes.
#[derive(Clone, Copy, Debug)]
pub struct CommandLine {
    /// The name of the program.
    pub program: &'static str,
    /// What it is for, in one sentence.
    pub about: &'static str,
    /// What `--seconds` means; `None` where there is no such option.
    pub seconds: Option<&'static str>,
    /// What `--directory` means; `None` where there is no such option.
    pub directory: Option<&'static str>,
}

/// The values of the options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `--port`: where to listen on 127.0.0.1; 0 picks a free port.
    pub port: u16,
    /// `--threads`: how many workers run handlers.
    pub threads: usize,
    /// `--seconds`: as the program says.
    pub seconds: u64,
    /// `--directory`: as the program says.
    pub directory: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 8080, threads: 10, seconds: 20, directory: None }
    }
}

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Serve, with these options.
    Run(Options),
    /// Read the help.
    Help,
}

impl CommandLine {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    /// Names the argument that is wrong and what would be right.
    pub fn parse(&self, arguments: impl IntoIterator<Item = String>) -> Result<Parsed, String> {
        let mut options = Options::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, attached) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let mut value =
                || attached.clone().or_else(|| arguments.next()).ok_or_else(|| format!("{name} needs a value"));
            match name {
                "--help" | "-h" => return Ok(Parsed::Help),
                "--port" => options.port = number(name, &value()?, 0, u16::MAX)?,
                "--threads" => options.threads = number(name, &value()?, 1, 10_000)?,
                "--seconds" if self.seconds.is_some() => options.seconds = number(name, &value()?, 0, 86_400)?,
                "--directory" if self.directory.is_some() => options.directory = Some(value()?.into()),
                _ => return Err(format!("the argument {argument:?} is not known")),
            }
        }
        Ok(Parsed::Run(options))
    }

    /// What `--help` prints.
    #[must_use]
    pub fn help(&self) -> String {
        let Options { port, threads, seconds, .. } = Options::default();
        let mut help = format!(
            "{}\n\nUsage: {} [OPTIONS]\n\nOptions:\n\
             \x20 --port N     listen on this port of 127.0.0.1; 0 picks a free one (default {port})\n\
             \x20 --threads N  how many requests are handled at the same time (default {threads})\n",
            self.about, self.program
        );
        if let Some(meaning) = self.seconds {
            help.push_str(&format!("  --seconds N  {meaning} (default {seconds})\n"));
        }
        if let Some(meaning) = self.directory {
            help.push_str(&format!("  --directory D  {meaning}\n"));
        }
        help.push_str("  --help       print this\n\nRUST_LOG=info shows one line for each request.");
        help
    }
}

fn number<T>(name: &str, text: &str, least: T, most: T) -> Result<T, String>
where
    T: Copy + std::str::FromStr + PartialOrd + std::fmt::Display,
{
    match text.parse() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => Err(format!("{name} must be a number from {least} to {most}, not {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str, seconds: Option<&'static str>) -> Result<Parsed, String> {
        let command_line = CommandLine { program: "demo", about: "A demo.", seconds, directory: seconds };
        command_line.parse(arguments.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_come_with_a_space_or_an_equals_sign() {
        let expected = Ok(Parsed::Run(Options { port: 0, threads: 3, ..Options::default() }));
        assert_eq!(parse("--port 0 --threads=3", None), expected);
    }

    #[test]
    fn a_wrong_number_is_named_with_its_limits() {
        assert_eq!(parse("--threads 0", None), Err("--threads must be a number from 1 to 10000, not \"0\"".to_owned()));
        assert!(parse("--port 65536", None).is_err_and(|problem| problem.contains("0 to 65535")));
        assert_eq!(parse("--port", None), Err("--port needs a value".to_owned()));
    }

    #[test]
    fn seconds_are_only_known_where_they_mean_something() {
        assert_eq!(parse("--seconds 1", None), Err("the argument \"--seconds\" is not known".to_owned()));
        assert!(parse("--seconds 1", Some("sleep")).is_ok());
    }

    #[test]
    fn a_directory_is_only_known_where_it_means_something() {
        assert!(parse("--directory /tmp", None).is_err());
        let options = Options { directory: Some("/tmp".into()), ..Options::default() };
        assert_eq!(parse("--directory=/tmp", Some("keep")), Ok(Parsed::Run(options)));
    }

    #[test]
    fn help_wins_over_what_follows() {
        assert_eq!(parse("--help --nonsense", None), Ok(Parsed::Help));
    }
}
