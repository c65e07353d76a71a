//! Where to listen, as settings and command lines say it: a place, and words about the connections that come there.
//!
//! ```text
//! 127.0.0.1:8080                                 [::]:443 tls
//! unix:/run/app.sock mode=0660 group=www         fd:http tls proxy_protocol
//! ```

use crate::exchange::ListenerRole;
use crate::settings::{Setting, SettingValue, wrong};
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An address to listen on, with the words behind it.
///
/// ```
/// use kirsch::server::ListenAddress;
///
/// let address: ListenAddress = "[::]:443 tls".parse().unwrap();
/// assert_eq!(address.to_string(), "[::]:443 tls");
/// assert!("127.0.0.1:80 tsl".parse::<ListenAddress>().is_err());
/// ```
///
/// | place | |
/// |---|---|
/// | `127.0.0.1:8080`, `[::]:8080` | an IP address and a port; port 0 picks a free one |
/// | `unix:/run/app.sock` | a Unix socket at this path |
/// | `fd:http` | a socket that systemd passes on under this name (`FileDescriptorName=`) |
///
/// | word | |
/// |---|---|
/// | `tls` | its connections are encrypted |
/// | `plain` | they are not, also where the application has certificates |
/// | `redirect` | each request is sent to the same address with `https://` |
/// | `h2c` | HTTP/2 without encryption, for clients that know beforehand |
/// | `proxy_protocol` | each connection begins with a header in which a proxy names its client |
/// | `mode=0660`, `owner=www`, `group=www` | of the file of a Unix socket |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    place: ListenPlace,
    role: Option<ListenerRole>,
    h2c: bool,
    proxy_protocol: bool,
}

/// The place of a [`ListenAddress`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenPlace {
    /// An IP address and a port; port 0 picks a free one.
    Tcp(SocketAddr),
    /// A path of the file system.
    Unix(UnixPlace),
    /// The name under which systemd passes a socket on.
    Inherited(String),
}

/// The path of a Unix socket, and whose its file is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixPlace {
    /// The path, at most 106 bytes.
    pub path: PathBuf,
    /// The permissions of the file, which clients need for writing; without it 0660.
    pub mode: Option<u32>,
    /// The user whose the file is, by name or number; without it the process's.
    pub owner: Option<String>,
    /// The group whose the file is, by name or number; without it the process's.
    pub group: Option<String>,
}

impl UnixPlace {
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), mode: None, owner: None, group: None }
    }
}

impl ListenAddress {
    /// The address without the words.
    #[must_use]
    pub fn place(&self) -> &ListenPlace {
        &self.place
    }

    /// Its IP address and port, if it is one.
    pub(crate) fn ip_address(&self) -> Option<SocketAddr> {
        match self.place {
            ListenPlace::Tcp(address) => Some(address),
            _ => None,
        }
    }

    /// What its connections are for; `None` if no word says it.
    #[must_use]
    pub fn role(&self) -> Option<ListenerRole> {
        self.role
    }

    /// Whether clients may speak HTTP/2 without encryption.
    #[must_use]
    pub fn h2c(&self) -> bool {
        self.h2c
    }

    /// Whether each connection begins with a header of the PROXY protocol.
    #[must_use]
    pub fn proxy_protocol(&self) -> bool {
        self.proxy_protocol
    }

    /// The same address for this role, unless it names one.
    #[must_use]
    pub fn with_default_role(self, role: ListenerRole) -> Self {
        Self { role: self.role.or(Some(role)), ..self }
    }

    /// The same words for another place.
    pub(super) fn at(&self, place: ListenPlace) -> Self {
        Self { place, ..self.clone() }
    }

    /// The place alone, which names the listener: to the log, to requests, and to a new process that takes it over.
    pub(super) fn name(&self) -> String {
        match &self.place {
            ListenPlace::Tcp(address) => address.to_string(),
            ListenPlace::Unix(UnixPlace { path, .. }) => format!("unix:{}", path.display()),
            ListenPlace::Inherited(name) => format!("fd:{name}"),
        }
    }

    /// How a client reaches it: `https://127.0.0.1:8443`, or the place in its own form where that has no URL.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.place {
            ListenPlace::Tcp(address) if self.role == Some(ListenerRole::Tls) => format!("https://{address}"),
            ListenPlace::Tcp(address) => format!("http://{address}"),
            _ => self.name(),
        }
    }

    /// Reads the words behind a place.
    ///
    /// # Errors
    /// A sentence about the word that does not fit, with the remedy.
    pub(crate) fn with_words<'w>(mut self, words: impl IntoIterator<Item = &'w str>) -> Result<Self, String> {
        for word in words {
            let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
            match (key, value) {
                ("tls", None) => self.be(ListenerRole::Tls)?,
                ("redirect", None) => self.be(ListenerRole::Redirect)?,
                ("plain", None) => self.be(ListenerRole::Plain)?,
                ("h2c", None) => self.h2c = true,
                ("proxy_protocol", None) => self.proxy_protocol = true,
                ("mode" | "owner" | "group", Some(value)) => {
                    let ListenPlace::Unix(place) = &mut self.place else {
                        return Err(format!("`{key}` is for Unix sockets: only they are files"));
                    };
                    match key {
                        "mode" => place.mode = Some(mode(value)?),
                        _ if value.is_empty() => return Err(format!("`{key}=` needs a name or a number behind it")),
                        "owner" => place.owner = Some(value.to_owned()),
                        _ => place.group = Some(value.to_owned()),
                    }
                }
                _ => return Err(format!("`{word}` is no word for an address; there are: {WORDS}")),
            }
        }
        match self.role {
            Some(role @ (ListenerRole::Tls | ListenerRole::Redirect)) if self.h2c => {
                Err(format!("`h2c` is HTTP/2 without encryption: it does not go with `{}`", word(role)))
            }
            _ => Ok(self),
        }
    }

    fn be(&mut self, role: ListenerRole) -> Result<(), String> {
        match self.role.replace(role) {
            Some(other) if other != role => Err(format!("`{}` and `{}` exclude each other", word(other), word(role))),
            _ => Ok(()),
        }
    }
}

const WORDS: &str = "tls, plain, redirect, h2c, proxy_protocol, and for Unix sockets mode=, owner=, group=";

fn word(role: ListenerRole) -> &'static str {
    match role {
        ListenerRole::Plain => "plain",
        ListenerRole::Tls => "tls",
        ListenerRole::Redirect => "redirect",
    }
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && text.len() >= 3);
    mode.ok_or_else(|| format!("`mode={text}` is no mode: write it as that of `chmod`, as mode=0660"))
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self { place: ListenPlace::Tcp(address), role: None, h2c: false, proxy_protocol: false }
    }
}

/// The error is a sentence about the part that is wrong, with the remedy.
impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let place = words.next().unwrap_or_default();
        let place = if let Some(path) = place.strip_prefix("unix:") {
            if path.is_empty() {
                return Err("`unix:` needs a path behind it, as unix:/run/app.sock".to_owned());
            }
            if path.starts_with('@') {
                return Err(format!(
                    "`unix:{path}` would be an abstract socket, which has no permissions: every user of the machine could \
                     connect. Choose a path, as unix:/run/app.sock"
                ));
            }
            ListenPlace::Unix(UnixPlace::at(Path::new(path)))
        } else if let Some(name) = place.strip_prefix("fd:") {
            if name.is_empty() {
                return Err("`fd:` needs the name of a socket behind it, as fd:http".to_owned());
            }
            ListenPlace::Inherited(name.to_owned())
        } else {
            ListenPlace::Tcp(place.parse().map_err(|_| format!("it must be {FORMS}"))?)
        };
        Self { place, role: None, h2c: false, proxy_protocol: false }.with_words(words)
    }
}

const FORMS: &str = "an IP address and a port, as \"127.0.0.1:8080\" or \"[::]:8080\", or one of \"unix:/run/app.sock\" and \"fd:http\"";

/// As it is written in settings.
impl Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())?;
        if let Some(role) = self.role {
            write!(f, " {}", word(role))?;
        }
        let words = [(self.h2c, " h2c"), (self.proxy_protocol, " proxy_protocol")];
        words.iter().filter(|(is_said, _)| *is_said).try_for_each(|(_, word)| f.write_str(word))?;
        if let ListenPlace::Unix(UnixPlace { mode, owner, group, .. }) = &self.place {
            let mode = mode.map(|mode| format!("{mode:04o}"));
            for (key, value) in [("mode", &mode), ("owner", owner), ("group", group)] {
                value.as_ref().map_or(Ok(()), |value| write!(f, " {key}={value}"))?;
            }
        }
        Ok(())
    }
}

/// One text, or a list of texts.
impl Setting for Vec<ListenAddress> {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let one = |value: &SettingValue| {
            let text = value.as_str().ok_or_else(|| wrong(value, FORMS))?;
            text.parse().map_err(|problem| format!("is {value}; {problem}"))
        };
        match value {
            SettingValue::Array(list) if list.is_empty() => {
                Err("is empty: without an address no client could connect".to_owned())
            }
            SettingValue::Array(list) => list.iter().map(one).collect(),
            value => Ok(vec![one(value)?]),
        }
    }

    fn show(&self) -> String {
        let texts: Vec<_> = self.iter().map(|address| address.to_string().show()).collect();
        if let [one] = &*texts { one.clone() } else { format!("[{}]", texts.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        for text in [
            "127.0.0.1:8080",
            "[::]:443 tls",
            "[::]:80 redirect",
            "127.0.0.1:0 plain",
            "127.0.0.1:0 h2c proxy_protocol",
            "unix:/run/app.sock",
            "unix:/run/app.sock proxy_protocol mode=0660 owner=shop group=www",
            "fd:http tls proxy_protocol",
        ] {
            assert_eq!(text.parse::<ListenAddress>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_word_that_does_not_fit_is_named() {
        let table = [
            ("", "an IP address and a port"),
            ("localhost:80", "an IP address and a port"),
            ("127.0.0.1:80 tsl", "`tsl` is no word for an address"),
            ("127.0.0.1:80 tls redirect", "`tls` and `redirect` exclude each other"),
            ("127.0.0.1:80 tls h2c", "does not go with `tls`"),
            ("127.0.0.1:80 mode=0660", "`mode` is for Unix sockets"),
            ("unix:/a mode=999", "`mode=999` is no mode"),
            ("unix:/a mode=7", "`mode=7` is no mode"),
            ("unix:/a mode", "`mode` is no word"),
            ("unix:/a owner=", "`owner=` needs a name"),
            ("unix:", "needs a path"),
            ("unix:@app", "every user of the machine could connect"),
            ("fd:", "needs the name of a socket"),
        ];
        for (text, problem) in table {
            let refused = text.parse::<ListenAddress>().expect_err(text);
            assert!(refused.contains(problem), "{text}: {refused}");
        }
    }

    #[test]
    fn a_setting_is_one_address_or_a_list_of_them() {
        let read = |text: &str| {
            let table: crate::settings::SettingTable = format!("listen = {text}").parse().expect("TOML");
            Vec::<ListenAddress>::read(&table["listen"]).map(|list| list.show())
        };
        for text in ["\"[::1]:0\"", "[\"127.0.0.1:80\", \"[::1]:443 tls\"]"] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        assert_eq!(read("[\"[::1]:0\"]").as_deref(), Ok("\"[::1]:0\""));
        for (text, problem) in [("[]", "is empty"), ("8080", "is 8080; it must be"), ("[1]", "is 1; it must be")] {
            assert!(read(text).is_err_and(|refused| refused.starts_with(problem)), "{text}");
        }
    }
}
