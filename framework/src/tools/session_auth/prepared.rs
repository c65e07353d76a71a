//! The settings of a section, checked, and the facts about an address that follow from them alone.
//!
//! A section is one where the tool is switched on. Addresses are compared as segments, decoded, so that no spelling of
//! the login page is taken for another page.

use super::SessionAuth;
use super::next_page::{same_site, segments};
use super::source::LoginKey;
#[cfg(feature = "passwords")]
use super::source::file_name;
use super::throttle::Rate;
use super::token::Tokens;
use crate::settings::SettingError;
use crate::tools::authorization::{Checker, Passwords};
use crate::{HeaderValue, Login, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::sync::Arc;
use std::time::Duration;

/// The settings, ready to be used.
pub(super) struct Prepared {
    pub(super) tool: SessionAuth,
    /// As it was written.
    section: Arc<str>,
    /// As segments, decoded.
    login: Vec<String>,
    logout: Vec<String>,
    /// As it stands in addresses.
    pub(super) login_path: String,
    pub(super) home: String,
    /// The place of the name in the session. Each section has its own: a customer is not a member of the staff.
    pub(super) key: LoginKey,
    pub(super) challenge: HeaderValue,
    pub(super) tokens: Arc<Tokens>,
    /// Opened when the tool is attached.
    pub(super) check: Option<Arc<Checker>>,
}

/// The role of a path in the section.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Login,
    Logout,
    Page,
}

impl Prepared {
    pub(super) fn place(&self, request: &Request) -> Place {
        let is = |path: &[String]| {
            request.segments().len() == path.len() && request.segments().zip(path).all(|(one, other)| one == other)
        };
        match () {
            () if is(&self.login) => Place::Login,
            () if is(&self.logout) => Place::Logout,
            () => Place::Page,
        }
    }

    /// A visitor of this name, who has logged in here.
    pub(super) fn login(&self, name: String) -> Login {
        Login::new(name).at(self.section.clone())
    }

    /// Where to go after the login: `text`, if it is a page of this site, and neither of these two, which would ask
    /// again.
    pub(super) fn next_page<'t>(&self, request: &Request, text: &'t str) -> Option<&'t str> {
        let next = same_site(text)?;
        let (segments, prefix) = (segments(next), segments(request.prefix()));
        let inside = segments.strip_prefix(&*prefix);
        let is_ours = inside.is_some_and(|inside| inside == self.login || inside == self.logout);
        (!is_ours).then_some(next)
    }

    pub(super) fn rates(&self) -> (Rate, Rate) {
        let SessionAuth { attempts, address_attempts, attempts_window: window, .. } = self.tool;
        (Rate { attempts, window }, Rate { attempts: address_attempts, window })
    }
}

impl SessionAuth {
    /// For the section at this path of the server, and for paths of the app that is mounted there.
    pub(super) fn prepare(&self, section: &str, mount: &str) -> Result<Prepared, SettingError> {
        let written = section.into();
        let decoded = |segment| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let section: Vec<String> = section.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
        let segments = |key: &'static str, path: &str| {
            let own: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
            if own.is_empty() || !path.bytes().all(is_plain) {
                let problem = format!("is {path:?}; it must be a path of letters, digits and -._~, as \"login\"");
                return Err(SettingError::new(key, problem));
            }
            let own = own.into_iter().map(str::to_owned);
            Ok(section.iter().cloned().chain(own).collect::<Vec<String>>())
        };
        let (login, logout) = (segments("login", &self.login)?, segments("logout", &self.logout)?);
        if login == logout {
            return Err(SettingError::new("logout", "is the same as `login`"));
        }
        if !self.home.is_empty() && same_site(&self.home).is_none() {
            let problem = format!("is {:?}; it must be a path of this site, as \"/members/\"", self.home);
            return Err(SettingError::new("home", problem));
        }
        for (key, number) in [("attempts", self.attempts), ("address_attempts", self.address_attempts)] {
            if number == 0 {
                return Err(SettingError::new(key, "is 0: no user could log in"));
            }
        }
        if self.attempts_window < Duration::from_secs(1) {
            return Err(SettingError::new("attempts_window", "must be a second at least"));
        }
        let secret = self.secret.exposed();
        if !secret.is_empty() && secret.len() < 32 {
            let problem = "is too short: at least 32 random bytes, such as `openssl rand -base64 32` makes";
            return Err(SettingError::new("secret", problem));
        }
        let tokens = match secret.as_str() {
            "" => self.tokens.clone(),
            secret => Arc::new(Tokens::new(secret.as_bytes())),
        };
        let (section, login_path) = (encoded(&section), encoded(&login));
        let key = match self.realm.as_str() {
            "" => LoginKey::Own { section: section.clone(), source: self.source() },
            realm => LoginKey::Realm(realm.to_owned()),
        };
        let challenge = HeaderValue::try_from(format!("Cookie form-action=\"{login_path}\""));
        Ok(Prepared {
            tool: self.clone(),
            section: written,
            home: if self.home.is_empty() { section } else { format!("{mount}{}", self.home) },
            key,
            login,
            logout,
            login_path,
            challenge: challenge.expect("an encoded path is a field value"),
            tokens,
            check: None,
        })
    }
}

impl SessionAuth {
    /// The check of names and passwords.
    fn source(&self) -> String {
        match &self.passwords {
            Passwords::Function(_) => self.function.as_ref().map(ToString::to_string).unwrap_or_default(),
            #[cfg(feature = "passwords")]
            Passwords::File(path) => file_name(path),
        }
    }
}

/// The path of these segments.
fn encoded(segments: &[String]) -> String {
    const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, &PLAIN));
    }
    if path.is_empty() { "/".to_owned() } else { path }
}
