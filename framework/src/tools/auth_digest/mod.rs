//! Proof of a password with each request, without the password (RFC 7616): `AuthDigest`, named after CherryPy's tool.
//!
//! The hook runs at `on_start_resource` 55, like that of `AuthBasic`. The steps are in the order of their price. The
//! credentials are read (400). The realm, the algorithm and the nonce are checked (401). The target is compared (400).
//! The response is computed and compared (401). At last the count of the nonce is used up (401, with `stale=true` if
//! the nonce has only expired).
//!
//! | file | what is in it |
//! |---|---|
//! | `credentials.rs` | the client's values |
//! | `ha1.rs` | the algorithms, HA1, htdigest files |
//! | `nonces.rs` | nonces and their counts |
//! | `target.rs` | whether they are for this request |

mod credentials;
mod ha1;
mod nonces;
mod target;

pub use ha1::{DigestAlgorithm, Ha1};

use super::authorization::{Authorization, Verdict, let_in, quoted};
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{Setting, SettingError, SettingTable, SettingValue, Settings};
use crate::watched_file::WatchedFile;
use crate::{Error, Exchange, HeaderValue, Login, Request, StatusCode, exchange::HttpError, header};
use credentials::Credentials;
use ha1::Htdigest;
use nonces::{Count, Nonces};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use target::is_target;

/// Asks for a proof that the client knows a password, without the password itself. Needs the cargo feature `auth`.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::AuthDigest};
///
/// let staff = AuthDigest::users("Staff", [("anna", "correct horse")]);
/// let app = App::new(Tree::new().index(|call| call.argument::<&Login>().map(|login| format!("Hello, {login}")))).tool("/", staff);
/// let refused = Client::in_process(app).get("/").send();
/// refused.assert_status(401);
/// assert!(refused.header("www-authenticate").unwrap().starts_with("Digest realm=\"Staff\", qop=\"auth\", algorithm=SHA-256, nonce="));
/// ```
///
/// SHA-256 is offered first, then MD5, for clients that know nothing else. Some clients read the first offer only, such
/// as Python's urllib: for them, offer MD5 alone ([`algorithms`](Self::algorithms)). A proof holds for one request:
/// nonces cannot be forged, each of their counts is good once, and method and target are part of it; the body is not.
/// Digest authentication does not keep anything secret, and does not prove to the client that the server is the right
/// one. TLS does, and with it [`AuthBasic`](super::AuthBasic) is as good, whose passwords can be stored as slow hashes.
/// Take this for clients that know nothing else, and where TLS cannot be used.
///
/// Credentials are checked by a function, a list of [`users`](Self::users) in the program, or an htdigest
/// [`file`](Self::file).
///
/// In a file: `auth_digest.realm`, `file`, `algorithms`, `nonce_lifetime`, `required`. CherryPy's `auth_digest`.
#[derive(Clone, Settings)]
#[settings(check = Self::prepare)]
pub struct AuthDigest {
    /// The name of the protected area, in ASCII; part of every stored hash.
    #[setting(given, no_builder)]
    realm: String,
    /// An htdigest file: lines of `name:realm:hash`; the hashes MD5 or SHA-256.
    #[setting(key = "file", given, no_builder)]
    source: Source,
    /// The offered algorithms, in this order; with a file, only those for which every user of the realm has a hash.
    #[setting(with = ha1::names, default = vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5])]
    algorithms: Vec<DigestAlgorithm>,
    /// For how long a nonce is good. Then the client gets another one, and its user notices nothing.
    #[setting(default = "5m")]
    nonce_lifetime: Duration,
    /// Whether only visitors with a proof may enter. Otherwise `Option<&Login>` tells who the visitor is, and a page
    /// that takes `&Login` asks for the proof.
    #[setting(default = true)]
    required: bool,
    /// Of all sections.
    #[setting(skip, default = Arc::new(Nonces::new()))]
    nonces: Arc<Nonces>,
}

type Finder = dyn Fn(&str, &str, DigestAlgorithm) -> Result<Option<Ha1>, Error> + Send + Sync;

#[derive(Clone)]
enum Source {
    Function(Arc<Finder>),
    File(PathBuf),
}

impl Setting for Source {
    fn read(value: &SettingValue) -> Result<Self, String> {
        Setting::read(value).map(Self::File)
    }

    fn show(&self) -> String {
        match self {
            Self::Function(_) => String::new(),
            Self::File(path) => path.show(),
        }
    }
}

impl AuthDigest {
    /// Asks for the `realm`. `find` gets a name, the realm and an algorithm, and returns the [`Ha1`] of that name,
    /// `None` if there is none; or a `Result` of that.
    ///
    /// ```
    /// use kirsch::tools::{AuthDigest, DigestAlgorithm, Ha1};
    ///
    /// let staff = AuthDigest::new("Staff", |name, realm, algorithm| match (name, algorithm) {
    ///     ("anna", DigestAlgorithm::Md5) => Ha1::from_hex("5f4dcc3b5aa765d61d8327deb882cf99"),
    ///     _ => None,
    /// });
    /// // Nobody has a hash of the other.
    /// let staff = staff.algorithms([DigestAlgorithm::Md5]);
    /// ```
    #[must_use]
    pub fn new<F, V>(realm: impl Into<String>, find: F) -> Self
    where
        F: Fn(&str, &str, DigestAlgorithm) -> V + Send + Sync + 'static,
        V: Verdict<Option<Ha1>>,
    {
        let find = move |name: &str, realm: &str, algorithm| find(name, realm, algorithm).into_verdict();
        Self::defaults(realm.into(), Source::Function(Arc::new(find)))
    }

    /// Lets these names in, each with its password.
    #[must_use]
    pub fn users<N, P>(realm: impl Into<String>, users: impl IntoIterator<Item = (N, P)>) -> Self
    where
        N: Into<String>,
        P: Into<String>,
    {
        let users: BTreeMap<String, String> =
            users.into_iter().map(|(name, password)| (name.into(), password.into())).collect();
        Self::new(realm, move |name, realm, algorithm| {
            users.get(name).map(|password| Ha1::new(algorithm, name, realm, password))
        })
    }

    /// Lets in the users of an htdigest file (`file`), lines of `name:realm:hash` as `htdigest` writes them. Hashes are
    /// MD5 or SHA-256 ones; an algorithm is offered if every user of the realm has a hash for it. The file is read at
    /// start, and again when it has changed and has been still for a second.
    #[must_use]
    pub fn file(realm: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self::defaults(realm.into(), Source::File(path.into()))
    }

    fn prepare(&self) -> Result<Prepared, SettingError> {
        let quoted_realm = quoted(&self.realm).map_err(|problem| SettingError::new("realm", problem))?;
        if self.algorithms.is_empty() {
            return Err(SettingError::new("algorithms", "is empty: no user could log in"));
        }
        if self.nonce_lifetime.is_zero() {
            return Err(SettingError::new("nonce_lifetime", "is zero: no user could log in"));
        }
        let (realm, lifetime, nonces) = (self.realm.clone(), self.nonce_lifetime, self.nonces.clone());
        let algorithms = self.algorithms.clone();
        let section = Arc::default();
        let required = self.required;
        Ok(Prepared { section, realm, quoted_realm, algorithms, lifetime, required, nonces, known: Known::Nobody })
    }

    fn open(&self, prepared: Prepared) -> Result<Prepared, SettingError> {
        let known = match &self.source {
            Source::Function(find) => Known::Function(find.clone()),
            Source::File(path) => {
                let refused = |problem: String| SettingError::new("file", format!("cannot be used: {problem}"));
                let file = WatchedFile::open(path, Htdigest::parse).map_err(refused)?;
                if let Some(problem) = file.content().problem(&self.realm) {
                    return Err(refused(format!("{} {problem}", path.display())));
                }
                Known::File(Box::new(file))
            }
        };
        let prepared = Prepared { known, ..prepared };
        if prepared.offered().is_empty() {
            let names: Vec<_> = self.algorithms.iter().map(|algorithm| algorithm.name()).collect();
            let problem = format!("are {names:?}, and the file has other hashes");
            return Err(SettingError::new("algorithms", problem));
        }
        Ok(prepared)
    }
}

/// The settings, ready to be used.
struct Prepared {
    /// Where visitors log in.
    section: Arc<str>,
    realm: String,
    quoted_realm: String,
    algorithms: Vec<DigestAlgorithm>,
    lifetime: Duration,
    required: bool,
    nonces: Arc<Nonces>,
    known: Known,
}

enum Known {
    Nobody,
    Function(Arc<Finder>),
    File(Box<WatchedFile<Htdigest>>),
}

/// The visitor who has proven their password in this request already: an internal redirect must not take the count for
/// a replayed one.
struct Proven {
    nonces: Arc<Nonces>,
    realm: String,
    login: Login,
    /// The name of that proof.
    ha1: Ha1,
}

/// Why a client is asked (again).
enum Asked {
    Again,
    /// All was right, but the nonce is too old.
    Stale,
}

impl Prepared {
    /// The algorithms with which one can log in now.
    fn offered(&self) -> Vec<DigestAlgorithm> {
        match &self.known {
            Known::File(file) => {
                let content = file.content();
                let common = content.common(&self.realm);
                self.algorithms.iter().copied().filter(|algorithm| common.contains(algorithm)).collect()
            }
            Known::Function(_) | Known::Nobody => self.algorithms.clone(),
        }
    }

    fn find(&self, name: &str, algorithm: DigestAlgorithm) -> Result<Option<Ha1>, Error> {
        match &self.known {
            Known::Nobody => Ok(None),
            Known::Function(find) => find(name, &self.realm, algorithm),
            Known::File(file) => Ok(file.content().find(name, &self.realm, algorithm)),
        }
    }

    fn authenticate(self: &Arc<Self>, exchange: &mut Exchange) -> Result<(), Error> {
        let says_proof = |said: &Authorization<'_>| said.scheme.eq_ignore_ascii_case("digest");
        if !self.required && !Authorization::of(&exchange.request)?.as_ref().is_some_and(says_proof) {
            let prepared = Arc::clone(self);
            let_in(exchange, &self.section, "Digest", Arc::new(move || prepared.challenges(&Asked::Again)));
            return Ok(());
        }
        if let Some(proven) = exchange.values.get::<Proven>()
            && Arc::ptr_eq(&proven.nonces, &self.nonces)
            && proven.realm == self.realm
        {
            let (login, ha1) = (proven.login.clone(), proven.ha1.clone());
            // Waiting does not change that the nonce was good and new; but a user may have been removed, or got another
            // password.
            if self.find(login.name(), ha1.algorithm())?.is_some_and(|known| known.0 == ha1.0) {
                exchange.values.insert(login.at(self.section.clone()));
                return Ok(());
            }
            exchange.values.remove::<Proven>();
            exchange.values.remove::<Login>();
            return Err(self.challenge(&Asked::Again));
        }
        exchange.values.remove::<Login>();
        match self.check(&exchange.request)? {
            Ok((login, ha1)) => {
                let (nonces, realm) = (self.nonces.clone(), self.realm.clone());
                exchange.values.insert(Proven { nonces, realm, login: login.clone(), ha1 });
                exchange.values.insert(login.at(self.section.clone()));
                Ok(())
            }
            Err(asked) => Err(self.challenge(&asked)),
        }
    }

    fn check(&self, request: &Request) -> Result<Result<(Login, Ha1), Asked>, Error> {
        let said = match Authorization::of(request)? {
            Some(Authorization { scheme, rest }) if scheme.eq_ignore_ascii_case("digest") => rest,
            _ => return Ok(Err(Asked::Again)),
        };
        let said = Credentials::parse(said).map_err(|problem| {
            let message = format!("The credentials in the field `Authorization` are malformed: {problem}.");
            Error::new(StatusCode::BAD_REQUEST, message)
        })?;
        // Without a name, it is the oldest one.
        let algorithm = if said.algorithm.is_empty() { "MD5" } else { &said.algorithm };
        let algorithm = DigestAlgorithm::named(algorithm).filter(|algorithm| self.algorithms.contains(algorithm));
        let (Some(algorithm), true) = (algorithm, said.realm == self.realm) else { return Ok(Err(Asked::Again)) };
        let Some(nonce) = self.nonces.read(&said.nonce, &self.realm) else { return Ok(Err(Asked::Again)) };
        if !is_target(&said.uri, request) {
            let message = "The credentials in the field `Authorization` are for another address than this one.";
            return Err(Error::new(StatusCode::BAD_REQUEST, message));
        }
        let known = self.find(&said.username, algorithm)?.filter(|ha1| ha1.algorithm() == algorithm);
        let ha1 = known.clone().unwrap_or_else(|| Ha1::new(algorithm, &said.username, &self.realm, ""));
        let ha2 = algorithm.hash(&[request.sent_method().as_str(), &said.uri]);
        let expected = algorithm.hash(&[&ha1.0, &said.nonce, &said.nc, &said.cnonce, &said.qop, &ha2]);
        let is_right = bool::from(expected.as_bytes().ct_eq(said.response.to_ascii_lowercase().as_bytes()));
        if !is_right || known.is_none() {
            return Ok(Err(Asked::Again));
        }
        Ok(match self.nonces.count(nonce, said.count, self.lifetime) {
            Count::Fresh => Ok((Login::new(said.username), ha1)),
            Count::Expired => Err(Asked::Stale),
            Count::Replayed => Err(Asked::Again),
        })
    }

    fn challenge(&self, asked: &Asked) -> Error {
        let refused = HttpError::new(StatusCode::UNAUTHORIZED, "");
        let values = self.challenges(asked).into_iter();
        values.fold(refused, |error, value| error.with_header(header::WWW_AUTHENTICATE, value)).into()
    }

    /// One for each algorithm.
    fn challenges(&self, asked: &Asked) -> Vec<HeaderValue> {
        let stale = if matches!(asked, Asked::Stale) { ", stale=true" } else { "" };
        let challenge = |algorithm: DigestAlgorithm| {
            let (realm, algorithm, nonce) = (&self.quoted_realm, algorithm.name(), self.nonces.issue(&self.realm));
            let value = format!(
                "Digest realm={realm}, qop=\"auth\", algorithm={algorithm}, nonce=\"{nonce}\", charset=\"UTF-8\"{stale}"
            );
            HeaderValue::try_from(value).expect("visible characters are a field value")
        };
        self.offered().into_iter().map(challenge).collect()
    }
}

impl Tool for AuthDigest {
    fn name(&self) -> &'static str {
        "auth_digest"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.provides("login");
        match self.prepare().and_then(|prepared| self.open(prepared)) {
            Ok(mut prepared) => {
                prepared.section = hooks.section().into();
                let prepared = Arc::new(prepared);
                let authenticate = move |exchange: &mut Exchange| prepared.authenticate(exchange);
                hooks.check(HookPoint::OnStartResource, authenticate).priority(55);
            }
            Err(error) => hooks.refuse(error),
        }
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

impl std::fmt::Debug for AuthDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { realm, algorithms, nonce_lifetime, .. } = self;
        let mut shown = f.debug_struct("AuthDigest");
        shown.field("realm", realm).field("algorithms", algorithms).field("nonce_lifetime", nonce_lifetime);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
