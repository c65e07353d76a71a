//! The command line of the demo programs: `--port`, `--threads`, and the numbers and texts of each program.

/// The purpose of a program, and its options.
#[derive(Clone, Copy, Debug)]
pub struct CommandLine<'a> {
    /// The program's name.
    pub program: &'a str,
    /// Its purpose, in one sentence or a lesson.
    pub about: &'a str,
    /// Options with a number that only this program has.
    pub numbers: &'static [NumberOption],
    /// Options with a text that only this program has.
    pub texts: &'static [TextOption],
    /// Where it is told to listen.
    pub listens: Listens,
}

/// How a program is told where to listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listens {
    /// `--port`, on 127.0.0.1.
    #[default]
    Port,
    /// `--port`, on 127.0.0.1, and `--https`, with which it is encrypted.
    EitherPort,
    /// `--listen`, any number of times, each with an address as in `server.listen`.
    Addresses,
    /// `--port`, encrypted, and `--redirect-port`, from which plain requests are led there; on 127.0.0.1.
    EncryptedPort,
}

/// An option with a number behind it.
#[derive(Clone, Copy, Debug)]
pub struct NumberOption {
    /// As it is written: `--chunks`.
    pub name: &'static str,
    /// Its meaning.
    pub meaning: &'static str,
    /// Its value unless said otherwise.
    pub default: u64,
    /// Its largest value.
    pub most: u64,
}

impl NumberOption {
    /// `--seconds`, up to a day.
    #[must_use]
    pub const fn seconds(meaning: &'static str, default: u64) -> Self {
        Self { name: "--seconds", meaning, default, most: 86_400 }
    }
}

/// An option with a text behind it.
#[derive(Clone, Copy, Debug)]
pub struct TextOption {
    /// As it is written: `--static`.
    pub name: &'static str,
    /// The kind of the text, for the help: `DIR`.
    pub value: &'static str,
    /// Its meaning.
    pub meaning: &'static str,
}

/// The values of the options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `--port` or `--listen`: where to listen; port 0 lets the system choose.
    pub listen: Vec<String>,
    /// `--https`: whether to listen by TLS.
    pub https: bool,
    /// `--threads`: how many workers run handlers.
    pub threads: usize,
    /// The values of [`CommandLine::numbers`], in their order.
    pub numbers: Vec<u64>,
    /// The values of [`CommandLine::texts`], in their order, where they were given.
    pub texts: Vec<Option<String>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: vec![on_port(8080)], https: false, threads: 10, numbers: Vec::new(), texts: Vec::new() }
    }
}

/// The user's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Serve, with these options.
    Run(Options),
    /// Read the help.
    Help,
}

impl CommandLine<'_> {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    /// Names the wrong argument and the right form.
    pub fn parse(&self, arguments: impl IntoIterator<Item = String>) -> Result<Parsed, String> {
        let numbers = self.numbers.iter().map(|option| option.default).collect();
        let mut options = Options { numbers, texts: vec![None; self.texts.len()], ..Options::default() };
        let mut arguments = arguments.into_iter();
        let mut listen = Vec::new();
        let mut encrypted = [8443, 8080];
        while let Some(argument) = arguments.next() {
            let (name, attached) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let mut value =
                || attached.clone().or_else(|| arguments.next()).ok_or_else(|| format!("{name} needs a value"));
            if name == "--help" || name == "-h" {
                return Ok(Parsed::Help);
            } else if argument == "--https" && self.listens == Listens::EitherPort {
                options.https = true;
            } else if name == "--port" && matches!(self.listens, Listens::Port | Listens::EitherPort) {
                listen = vec![on_port(number(name, &value()?, 0, u16::MAX)?)];
            } else if name == "--port" && self.listens == Listens::EncryptedPort {
                encrypted[0] = number(name, &value()?, 0, u16::MAX)?;
            } else if name == "--redirect-port" && self.listens == Listens::EncryptedPort {
                encrypted[1] = number(name, &value()?, 0, u16::MAX)?;
            } else if name == "--listen" && self.listens == Listens::Addresses {
                listen.push(value()?);
            } else if name == "--threads" {
                options.threads = number(name, &value()?, 1, 10_000)?;
            } else if let Some(index) = self.numbers.iter().position(|option| option.name == name) {
                options.numbers[index] = number(name, &value()?, 0, self.numbers[index].most)?;
            } else if let Some(index) = self.texts.iter().position(|option| option.name == name) {
                options.texts[index] = Some(value()?);
            } else {
                return Err(format!("the argument {argument:?} is not known"));
            }
        }
        if self.listens == Listens::EncryptedPort {
            let [port, redirecting] = encrypted.map(on_port);
            listen = vec![format!("{port} tls"), format!("{redirecting} redirect")];
        }
        if !listen.is_empty() {
            options.listen = listen;
        }
        if options.https {
            options.listen.iter_mut().for_each(|address| address.push_str(" tls"));
        }
        Ok(Parsed::Run(options))
    }

    /// The text of `--help`.
    #[must_use]
    pub fn help(&self) -> String {
        let Options { threads, .. } = Options::default();
        let (option, meaning) = match self.listens {
            Listens::EncryptedPort => {
                ("--port N", "listen on this port of 127.0.0.1, by TLS; 0 picks a free one (default 8443)")
            }
            Listens::Port | Listens::EitherPort => {
                ("--port N", "listen on this port of 127.0.0.1; 0 picks a free one (default 8080)")
            }
            Listens::Addresses => (
                "--listen ADDRESS",
                "listen there, as 127.0.0.1:8080 or unix:/run/app.sock; may be given several times \
                 (default 127.0.0.1:8080)",
            ),
        };
        let mut lines = vec![
            (option.to_owned(), meaning.to_owned()),
            ("--threads N".to_owned(), format!("how many requests are handled at the same time (default {threads})")),
        ];
        if self.listens == Listens::EncryptedPort {
            let meaning = "lead plain requests on this port there; 0 picks a free one (default 8080)";
            lines.insert(1, ("--redirect-port N".to_owned(), meaning.to_owned()));
        }
        if self.listens == Listens::EitherPort {
            let meaning = "speak TLS there, and HTTP/2, with a certificate that signs itself";
            lines.insert(1, ("--https".to_owned(), meaning.to_owned()));
        }
        let numbers = self.numbers.iter();
        lines.extend(numbers.map(|NumberOption { name, meaning, default, .. }| {
            (format!("{name} N"), format!("{meaning} (default {default})"))
        }));
        let texts = self.texts.iter();
        lines.extend(
            texts.map(|TextOption { name, value, meaning }| (format!("{name} {value}"), (*meaning).to_owned())),
        );
        lines.push(("--help".to_owned(), "print this".to_owned()));
        let width = lines.iter().map(|(option, _)| option.len()).max().unwrap_or(0);
        let lines: String = lines.iter().map(|(option, meaning)| format!("  {option:width$}  {meaning}\n")).collect();
        format!(
            "{}\n\nUsage: {} [OPTIONS]\n\nOptions:\n{lines}\nRUST_LOG=info shows one line for each request.",
            self.about, self.program
        )
    }
}

fn on_port(port: u16) -> String {
    format!("127.0.0.1:{port}")
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

    const PLAIN: CommandLine<'static> =
        CommandLine { program: "demo", about: "A demo.", numbers: &[], texts: &[], listens: Listens::Port };
    const RICH: CommandLine<'static> = CommandLine {
        numbers: &[
            NumberOption { name: "--cups", meaning: "how many cups", default: 2, most: 9 },
            NumberOption::seconds("how long", 3),
        ],
        texts: &[TextOption { name: "--static", value: "DIR", meaning: "serve it" }],
        ..PLAIN
    };

    fn parse(command_line: CommandLine<'_>, arguments: &str) -> Result<Parsed, String> {
        command_line.parse(arguments.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_come_with_a_space_or_an_equals_sign() {
        let expected = Ok(Parsed::Run(Options { listen: vec![on_port(0)], threads: 3, ..Options::default() }));
        assert_eq!(parse(PLAIN, "--port 0 --threads=3"), expected);
    }

    #[test]
    fn addresses_are_collected_where_a_program_takes_them() {
        let many = CommandLine { listens: Listens::Addresses, ..PLAIN };
        let listen = vec!["127.0.0.1:0".to_owned(), "unix:/a".to_owned()];
        let expected = Options { listen, ..Options::default() };
        assert_eq!(parse(many, "--listen 127.0.0.1:0 --listen=unix:/a"), Ok(Parsed::Run(expected)));
        assert!(parse(many, "--port 1").is_err() && parse(PLAIN, "--listen a").is_err());
    }

    #[test]
    fn an_encrypted_program_has_two_ports() {
        let encrypted = CommandLine { listens: Listens::EncryptedPort, ..PLAIN };
        let listen = vec!["127.0.0.1:0 tls".to_owned(), "127.0.0.1:8080 redirect".to_owned()];
        assert_eq!(parse(encrypted, "--port 0"), Ok(Parsed::Run(Options { listen, ..Options::default() })));
    }

    #[test]
    fn a_program_with_both_speaks_tls_when_it_is_told() {
        let either = CommandLine { listens: Listens::EitherPort, ..PLAIN };
        let listen = vec!["127.0.0.1:0 tls".to_owned()];
        let expected = Options { listen, https: true, ..Options::default() };
        assert_eq!(parse(either, "--https --port 0"), Ok(Parsed::Run(expected)));
        assert_eq!(parse(either, ""), Ok(Parsed::Run(Options::default())));
        assert!(parse(PLAIN, "--https").is_err() && parse(either, "--https=yes").is_err());
    }

    #[test]
    fn a_wrong_number_is_named_with_its_limits() {
        let problem = Err("--threads must be a number from 1 to 10000, not \"0\"".to_owned());
        assert_eq!(parse(PLAIN, "--threads 0"), problem);
        assert!(parse(PLAIN, "--port 65536").is_err_and(|problem| problem.contains("0 to 65535")));
        assert!(parse(RICH, "--cups 10").is_err_and(|problem| problem.contains("0 to 9")));
        assert_eq!(parse(PLAIN, "--port"), Err("--port needs a value".to_owned()));
    }

    #[test]
    fn options_are_only_known_to_the_program_that_has_them() {
        assert_eq!(parse(PLAIN, "--seconds 1"), Err("the argument \"--seconds\" is not known".to_owned()));
        let expected = Options { numbers: vec![5, 3], texts: vec![Some("a".to_owned())], ..Options::default() };
        assert_eq!(parse(RICH, "--cups 5 --static a"), Ok(Parsed::Run(expected)));
    }

    #[test]
    fn help_wins_over_what_follows_and_names_every_option() {
        assert_eq!(parse(PLAIN, "--help --nonsense"), Ok(Parsed::Help));
        let help = RICH.help();
        for line in
            ["--cups N      how many cups (default 2)", "--seconds N   how long (default 3)", "--static DIR  serve it"]
        {
            assert!(help.contains(line), "{help}");
        }
    }
}
