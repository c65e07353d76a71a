//! What the authentication tools share: the field `Authorization`, quoted texts, what functions say about passwords,
//! and a warning when those can be read.

use crate::exchange::LoginChallenge;
use crate::random::CodeKey;
use crate::settings::{Setting, SettingError, SettingValue};
use crate::{Error, Exchange, HeaderValue, Login, Request, StatusCode};
use std::collections::BTreeMap;
#[cfg(feature = "passwords")]
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use subtle::ConstantTimeEq;

/// What a function that knows who is who may return: a `bool` (or what else the tool asks for), or a `Result` of it.
pub trait Verdict<T = bool> {
    /// The verdict, or the error for the funnel.
    ///
    /// # Errors
    /// The function's own.
    fn into_verdict(self) -> Result<T, Error>;
}

impl Verdict for bool {
    fn into_verdict(self) -> Result<bool, Error> {
        Ok(self)
    }
}

impl<T, E: Into<Error>> Verdict<T> for Result<T, E> {
    fn into_verdict(self) -> Result<T, Error> {
        self.map_err(Into::into)
    }
}

/// Lets in a visitor who shows no credentials of `scheme`, where the tool does not require them: a stranger, or a
/// visitor whom another tool of the section knows. A 401 will offer the scheme.
pub(super) fn let_in(
    exchange: &mut Exchange,
    section: &str,
    scheme: &'static str,
    challenges: Arc<dyn Fn() -> Vec<HeaderValue> + Send + Sync>,
) {
    // Of an earlier resource of this request.
    if Login::of(exchange).is_some_and(|login| login.section() != Some(section)) {
        exchange.values.remove::<Login>();
    }
    LoginChallenge::offer(exchange, scheme, challenges);
}

pub(super) type Checker = dyn Fn(&str, &str) -> Result<bool, Error> + Send + Sync;

/// Who knows which password is whose.
#[derive(Clone)]
pub(super) enum Passwords {
    Function(Arc<Checker>),
    #[cfg(feature = "passwords")]
    File(PathBuf),
}

impl Passwords {
    pub(super) fn function<V: Verdict>(check: impl Fn(&str, &str) -> V + Send + Sync + 'static) -> Self {
        Self::Function(Arc::new(move |name, password| check(name, password).into_verdict()))
    }

    pub(super) fn users<N: Into<String>, P: AsRef<str>>(users: impl IntoIterator<Item = (N, P)>) -> Self {
        let key = CodeKey::of_this_process();
        // Codes of one length, whatever the passwords: the time to compare them says nothing.
        let code = move |password: &str| -> [u8; 32] { key.code(&[password.as_bytes()]) };
        let codes: BTreeMap<String, [u8; 32]> =
            users.into_iter().map(|(name, password)| (name.into(), code(password.as_ref()))).collect();
        Self::function(move |name, password| {
            let known = codes.get(name);
            let is_equal = bool::from(known.unwrap_or(&[0; 32]).ct_eq(&code(password)));
            known.is_some() && is_equal
        })
    }

    /// Reads the file, if it is one.
    pub(super) fn open(&self) -> Result<Arc<Checker>, SettingError> {
        match self {
            Self::Function(check) => Ok(check.clone()),
            #[cfg(feature = "passwords")]
            Self::File(path) => {
                let file = crate::passwords::PasswordFile::open(path);
                let file = file.map_err(|error| SettingError::new("file", format!("cannot be used: {error}")))?;
                Ok(Arc::new(move |name, password| Ok(file.verify(name, password))))
            }
        }
    }
}

/// A file may name an htpasswd file. The empty name leaves what code has said.
impl Setting for Passwords {
    #[cfg(feature = "passwords")]
    fn read(value: &SettingValue) -> Result<Self, String> {
        Setting::read(value).map(Self::File)
    }

    #[cfg(not(feature = "passwords"))]
    fn read(value: &SettingValue) -> Result<Self, String> {
        String::read(value).and(Err("needs the cargo feature `passwords` of kirsch".to_owned()))
    }

    fn show(&self) -> String {
        match self {
            Self::Function(_) => String::new(),
            #[cfg(feature = "passwords")]
            Self::File(path) => path.show(),
        }
    }

    fn set(&mut self, value: &SettingValue) -> Result<(), String> {
        if value.as_str() != Some("") {
            *self = Self::read(value)?;
        }
        Ok(())
    }
}

/// Scheme and credentials of the field `Authorization`.
pub(super) struct Authorization<'r> {
    pub(super) scheme: &'r str,
    pub(super) rest: &'r str,
}

impl<'r> Authorization<'r> {
    /// `None` when there is none. Two of them are 400: who would have logged in?
    pub(super) fn of(request: &'r Request) -> Result<Option<Self>, Error> {
        let mut fields = request.headers_named("authorization");
        let Some(field) = fields.next() else { return Ok(None) };
        if fields.next().is_some() {
            return Err(Error::new(StatusCode::BAD_REQUEST, "The field `Authorization` was sent more than once."));
        }
        let field = str::from_utf8(field).unwrap_or_default().trim();
        let (scheme, rest) = field.split_once(' ').unwrap_or((field, ""));
        Ok(Some(Self { scheme, rest: rest.trim_start() }))
    }
}

/// Tells the log, once for all sections of a tool, that passwords come in the clear from elsewhere than this machine.
#[derive(Clone, Default)]
pub(super) struct ClearTextWarning(Arc<AtomicBool>);

impl ClearTextWarning {
    pub(super) fn consider(&self, request: &Request, tool: &str) {
        if self.0.load(Ordering::Relaxed) {
            return;
        }
        let (origin, remote) = (request.origin(), request.remote().to_canonical());
        // Nowhere is a client without an address, on this machine.
        if origin.is_secure() || remote.is_loopback() || remote.is_unspecified() || self.0.swap(true, Ordering::Relaxed)
        {
            return;
        }
        crate::line::record!(Warn,
            target: "kirsch::tools",
            "{tool}: {remote} uses plain http, on which passwords can be read by who is in between; use TLS, and behind a proxy that does, the tool \
             `proxy`. This is said once."
        );
    }
}

/// The text as a quoted string of HTTP, or what is wrong with it.
pub(super) fn quoted(text: &str) -> Result<String, String> {
    if let Some(wrong) = text.chars().find(|character| !matches!(character, ' '..='~')) {
        return Err(format!("has a character, {wrong:?}, that the field `WWW-Authenticate` cannot have; use ASCII"));
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    Ok(quoted)
}
