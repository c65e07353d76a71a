//! Name and password with each request (RFC 7617): `AuthBasic`, named after CherryPy's tool.
//!
//! The hook runs at `on_start_resource` 55: after sections that redirect requests (50), such as from http to https, and
//! before `trailing_slash` (60), whose redirects tell which pages exist; before a body is uploaded, and long before a
//! session is locked. A request that comes through has a [`Login`].
//!
//! Missing credentials are 401, with the realm; so is another scheme. Malformed ones are 400.

use super::authorization::{Authorization, Checker, ClearTextWarning, Passwords, Verdict, let_in, quoted};
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Error, Exchange, HeaderValue, Login, StatusCode, exchange::HttpError, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
#[cfg(feature = "passwords")]
use std::path::PathBuf;
use std::sync::Arc;

/// Asks for a name and a password, and lets in only visitors who have both. Needs the cargo feature `auth`.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::AuthBasic};
///
/// let staff = AuthBasic::new("Staff", |name, password| name == "anna" && password == "correct horse");
/// let tree = Tree::new().index(|_| "open to all").page("staff", |call| call.argument::<&Login>().map(|login| format!("Hello, {login}")));
/// let client = Client::in_process(App::new(tree).tool("/staff", staff));
/// let refused = client.get("/staff").send();
/// refused.assert_status(401).assert_header("www-authenticate", "Basic realm=\"Staff\", charset=\"UTF-8\"");
/// // anna:correct horse
/// client.get("/staff").header("Authorization", "Basic YW5uYTpjb3JyZWN0IGhvcnNl").send().assert_text("Hello, anna");
/// ```
///
/// Credentials are checked by a function, a list of [`users`](Self::users) in the program, or an htpasswd file
/// (`AuthBasic::file`, with the feature `passwords`). Handlers get the name as `&Login`, the access log has it, too.
///
/// The password comes with each request, and can be read on the way: use it over TLS only. The first request that comes
/// by plain http from another machine is a warning in the log. There is no way to log out; for people, there is
/// `SessionAuth`.
///
/// With [`AuthDigest`](super::AuthDigest) for the same section, and `required(false)` for both, clients choose:
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::{AuthBasic, AuthDigest}};
///
/// let people = [("anna", "correct horse")];
/// let tree = Tree::new().index(|_| "open to all").page("staff", |call| call.argument::<&Login>().map(Login::to_string));
/// let app = App::new(tree)
///     .tool("/", AuthBasic::users("Staff", people).required(false))
///     .tool("/", AuthDigest::users("Staff", people).required(false));
/// let client = Client::in_process(app);
/// client.get("/").send().assert_text("open to all");
/// let refused = client.get("/staff").send();
/// let offers: Vec<_> = refused.headers().filter(|(name, _)| *name == "www-authenticate").map(|(_, value)| value).collect();
/// assert!(offers[0].starts_with("Basic ") && offers[1].starts_with("Digest "));
/// client.get("/staff").header("Authorization", "Basic YW5uYTpjb3JyZWN0IGhvcnNl").send().assert_text("anna");
/// ```
///
/// In a file: `auth_basic.realm`, `auth_basic.file`, `auth_basic.required`. CherryPy's `auth_basic`.
#[derive(Clone, Settings)]
#[settings(check = Self::challenge)]
pub struct AuthBasic {
    /// The name of the protected area, in ASCII; browsers show it.
    #[setting(given, no_builder)]
    realm: String,
    /// An htpasswd file with the users (feature `passwords`).
    #[setting(key = "file", given, no_builder)]
    passwords: Passwords,
    /// Whether only visitors with a password may enter. Otherwise `Option<&Login>` tells who the visitor is, and a page
    /// that takes `&Login` asks for the password.
    #[setting(default = true)]
    required: bool,
    /// Of all sections.
    #[setting(skip)]
    warning: ClearTextWarning,
}

impl AuthBasic {
    /// Asks for the `realm`, and `check` with the name and the password, which come from the client, whether they are
    /// right.
    ///
    /// `check` returns a `bool`, or a `Result` of one: a database that cannot be asked is not a wrong password. It
    /// should compare hashes, like `kirsch::passwords::verify`, and take as long for names that it does not know.
    #[must_use]
    pub fn new<F, V>(realm: impl Into<String>, check: F) -> Self
    where
        F: Fn(&str, &str) -> V + Send + Sync + 'static,
        V: Verdict,
    {
        Self::defaults(realm.into(), Passwords::function(check))
    }

    /// Lets these names in, each with its password.
    ///
    /// ```
    /// use kirsch::tools::AuthBasic;
    ///
    /// let staff = AuthBasic::users("Staff", [("anna", "correct horse"), ("ben", "battery staple")]);
    /// ```
    #[must_use]
    pub fn users<N, P>(realm: impl Into<String>, users: impl IntoIterator<Item = (N, P)>) -> Self
    where
        N: Into<String>,
        P: AsRef<str>,
    {
        Self::defaults(realm.into(), Passwords::users(users))
    }

    /// Lets in who is in an htpasswd file (`file`), see [`PasswordFile`](crate::passwords::PasswordFile). It is read at
    /// start, and again when it has changed. Needs the cargo feature `passwords`.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client, tools::AuthBasic};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("members");
    /// # std::fs::write(&path, format!("anna:{}\n", kirsch::passwords::hash("correct horse")))?;
    /// let app = App::new(Tree::new().index(|_| "members")).tool("/", AuthBasic::file("Members", &path));
    /// Client::in_process(app).get("/").send().assert_status(401);
    /// # Ok::<(), Error>(())
    /// ```
    #[cfg(feature = "passwords")]
    #[must_use]
    pub fn file(realm: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self::defaults(realm.into(), Passwords::File(path.into()))
    }

    fn challenge(&self) -> Result<HeaderValue, SettingError> {
        let realm = quoted(&self.realm).map_err(|problem| SettingError::new("realm", problem))?;
        let challenge = HeaderValue::try_from(format!("Basic realm={realm}, charset=\"UTF-8\""));
        Ok(challenge.expect("a quoted text of visible characters is a field value"))
    }
}

/// The name and the password of credentials of Basic; `None` for impossible names: other encodings than UTF-8, control
/// characters.
fn name_and_password(token: &str) -> Result<Option<(String, String)>, Error> {
    let malformed = |what: &str| {
        Error::new(
            StatusCode::BAD_REQUEST,
            format!("The credentials in the field `Authorization` are malformed: {what}."),
        )
    };
    let bytes = STANDARD.decode(token).map_err(|_| malformed("they are not Base64"))?;
    if !bytes.contains(&b':') {
        return Err(malformed("there is no colon between name and password"));
    }
    let Ok(text) = String::from_utf8(bytes) else { return Ok(None) };
    if text.chars().any(char::is_control) {
        return Ok(None);
    }
    Ok(text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned())))
}

/// The tool in its section.
struct Door {
    section: Arc<str>,
    challenge: HeaderValue,
    check: Arc<Checker>,
    required: bool,
}

impl Door {
    fn authenticate(&self, exchange: &mut Exchange) -> Result<(), Error> {
        let token = match Authorization::of(&exchange.request)? {
            Some(Authorization { scheme, rest }) if scheme.eq_ignore_ascii_case("basic") => Some(rest),
            _ => None,
        };
        if token.is_none() && !self.required {
            let challenge = self.challenge.clone();
            let_in(exchange, &self.section, "Basic", Arc::new(move || vec![challenge.clone()]));
            return Ok(());
        }
        if let Some((name, password)) = token.map(name_and_password).transpose()?.flatten()
            && (self.check)(&name, &password)?
        {
            exchange.values.insert(Login::new(name).at(self.section.clone()));
            return Ok(());
        }
        // Without a login, even if an earlier resource of this request let somebody in.
        exchange.values.remove::<Login>();
        let challenge = self.challenge.clone();
        Err(HttpError::new(StatusCode::UNAUTHORIZED, "").with_header(header::WWW_AUTHENTICATE, challenge).into())
    }
}

impl Tool for AuthBasic {
    fn name(&self) -> &'static str {
        "auth_basic"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.provides("login");
        let (challenge, check) = match self.challenge().and_then(|challenge| Ok((challenge, self.passwords.open()?))) {
            Ok(prepared) => prepared,
            Err(error) => return hooks.refuse(error),
        };
        let door = Door { section: hooks.section().into(), challenge, check, required: self.required };
        let warning = self.warning.clone();
        let authenticate = move |exchange: &mut Exchange| {
            warning.consider(&exchange.request, "auth_basic");
            door.authenticate(exchange)
        };
        hooks.check(HookPoint::OnStartResource, authenticate).priority(55);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

impl std::fmt::Debug for AuthBasic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthBasic").field("realm", &self.realm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::tools::{Proxy, RedirectTo};
    use crate::{App, Tree};

    fn app(tool: AuthBasic) -> App {
        let tree = Tree::new().index(|call| call.argument::<&Login>().map(|login| login.name().to_owned()));
        App::new(tree).tool("/", tool)
    }

    fn client() -> Client {
        Client::in_process(app(AuthBasic::users("a \"b\"", [("anna", "secret"), ("jürgen", "paß:wort"), ("", "")])))
    }

    fn basic(credentials: impl AsRef<[u8]>) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn unknown_schemes_are_401_and_malformed_credentials_400() {
        let client = client();
        let table = [
            ("Bearer abc".to_owned(), 401),
            ("Digest username=\"anna\"".to_owned(), 401),
            ("Basicx YW5uYTpzZWNyZXQ=".to_owned(), 401),
            ("YW5uYTpzZWNyZXQ=".to_owned(), 401),
            ("".to_owned(), 401),
            ("Basic".to_owned(), 400),
            ("Basic !!!".to_owned(), 400),
            ("Basic YW5uYTpzZWNyZXQ".to_owned(), 400),
            ("Basic YW5uYTpzZWNyZXQ= x".to_owned(), 400),
            (basic("annasecret"), 400),
            (basic("anna:wrong"), 401),
            (basic("anna:"), 401),
            (basic("ben:secret"), 401),
            (basic("anna:secret\n"), 401),
            (basic(b"anna:\xFF"), 401),
            (basic("anna:secret"), 200),
            (basic("anna:secret").replace("Basic", "bASIC "), 200),
        ];
        for (field, status) in table {
            let response = client.get("/").header("authorization", &field).send();
            assert_eq!(response.status().as_u16(), status, "{field}");
            let challenge = "Basic realm=\"a \\\"b\\\"\", charset=\"UTF-8\"";
            assert_eq!(response.header("www-authenticate"), (status == 401).then_some(challenge), "{field}");
        }
    }

    #[test]
    fn names_and_passwords_are_utf_8_and_a_password_may_have_colons() {
        client().get("/").header("authorization", basic("jürgen:paß:wort")).send().assert_text("jürgen");
        client().get("/").header("authorization", basic(b"j\xFCrgen:pa\xDF:wort")).send().assert_status(401);
    }

    #[test]
    fn credentials_come_once() {
        let (one, two) = (basic("anna:secret"), basic("ben:secret"));
        client().get("/").header("authorization", one).header("authorization", two).send().assert_status(400);
    }

    #[test]
    fn protected_pages_look_like_missing_ones() {
        let client = client();
        client.get("/nowhere").send().assert_status(401);
        client.delete("/").send().assert_status(401);
        client.get("/nowhere").header("authorization", basic("anna:secret")).send().assert_status(404);
    }

    #[test]
    fn addresses_are_corrected_only_for_visitors_who_are_let_in() {
        let tree = Tree::new().child("dir", Tree::new().index(|_| "index")).page("page", |_| "page");
        let client = Client::in_process(App::new(tree).tool("/", AuthBasic::users("a", [("anna", "secret")])));
        for path in ["/dir", "/page/", "/nowhere", "/nowhere/"] {
            client.get(path).send().assert_status(401);
        }
        let right = basic("anna:secret");
        client.get("/dir").header("authorization", right).send().assert_status(301).assert_header("location", "/dir/");
    }

    #[test]
    fn nobody_is_asked_for_a_password_before_he_is_sent_to_another_address() {
        let elsewhere = RedirectTo::external("https://example.org/");
        let client = Client::in_process(app(AuthBasic::users("a", [("b", "c")])).tool("/", elsewhere));
        client.get("/").send().assert_status(303).assert_header("location", "https://example.org/");
    }

    #[test]
    fn plain_http_from_another_machine_is_told_to_the_log_once() {
        let tool = AuthBasic::users("a", [("anna", "secret")]);
        let tree = Tree::new().index(|_| "index").page("page", |_| "page");
        let app = App::new(tree).tool("/", Proxy::trusting(["loopback"])).tool("/", tool.clone()).tool("/page", tool);
        let client = Client::in_process(app);
        let said = |path: &str, address: &str, scheme: &str| {
            crate::logs::capture::records("kirsch::tools", || {
                let request = client.get(path).header("x-forwarded-for", address);
                request.header("x-forwarded-proto", scheme).send().assert_status(401);
            })
        };
        assert!(said("/", "203.0.113.5", "https").is_empty());
        assert!(said("/", "127.0.0.1", "http").is_empty() && said("/", "::1", "http").is_empty());
        let warning = said("/", "203.0.113.5", "http");
        assert!(
            warning.len() == 1 && warning[0].starts_with("WARN kirsch::tools auth_basic: 203.0.113.5"),
            "{warning:?}"
        );
        assert!(said("/page", "203.0.113.6", "http").is_empty(), "once for all sections");
    }

    #[test]
    fn a_check_that_fails_is_no_wrong_password() {
        let tool =
            AuthBasic::new("a", |_, _| Err::<bool, _>(Error::new(StatusCode::SERVICE_UNAVAILABLE, "No database.")));
        Client::in_process(app(tool)).get("/").header("authorization", basic("a:b")).send().assert_status(503);
    }

    #[test]
    fn wrong_settings_stop_the_start() {
        for (realm, problem) in [("a\nb", "`realm` has a character"), ("ü", "`realm` has a character")] {
            let error = app(AuthBasic::users(realm, [("a", "b")])).build().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let text = "[\"/\"]\nauth_basic.relm = \"a\"";
        let error = app(AuthBasic::users("a", [("a", "b")])).config_str(text).build().unwrap_err().to_string();
        assert!(error.contains("did you mean `realm`?"), "{error}");
    }

    #[cfg(feature = "passwords")]
    #[test]
    fn a_file_of_passwords_is_named_in_the_configuration_and_must_be_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members");
        let app = || {
            let text = format!("[\"/\"]\nauth_basic.file = {path:?}");
            app(AuthBasic::users("a", [("anna", "old")])).config_str(text)
        };
        assert!(app().build().unwrap_err().to_string().contains("members: No such file"));
        std::fs::write(&path, "anna:secret\n").unwrap();
        let error = app().build().unwrap_err().to_string();
        assert!(error.contains("`file` cannot be used") && error.contains("line 1, of \"anna\""), "{error}");
        std::fs::write(&path, format!("anna:{}\n", bcrypt::hash("secret", 4).unwrap())).unwrap();
        let client = Client::in_process(app());
        client.get("/").header("authorization", basic("anna:secret")).send().assert_text("anna");
        client.get("/").header("authorization", basic("anna:old")).send().assert_status(401);
    }
}
