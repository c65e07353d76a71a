//! People who log in with a page and stay logged in with their session: `SessionAuth`, named after CherryPy's tool.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 55 | finds out who it is; shows the pages for login and logout; sends strangers to the login; lets the login form be read |
//! | admission | 40 | looks at the password of the login form |
//! | `before_handler` | 0 | finds out again who it is, if the request has waited; logs in, logs out |
//! | `before_finalize` | 66 | `Cache-Control` of pages for visitors who are logged in |
//!
//! The visitor is read from a snapshot of the session ([`SessionView`](crate::SessionView)), which does not wait. The
//! password is checked while no lock is held; then login and logout wait for the lock without a worker, like pages
//! ([`Session::expect_lock`](crate::Session::expect_lock)). In the lock mode `early` the lock is given back for the
//! password.
//!
//! | file | what is in it |
//! |---|---|
//! | `prepared.rs` | the settings of a section, checked |
//! | `visitor.rs` | before the body: the visitor |
//! | `forms.rs` | the login, the logout |
//! | `login_form.rs` | the form, and the built-in pages |
//! | `next_page.rs` | where to go after the login |
//! | `source.rs` | under which name a session keeps the login: of which host, and of which source of credentials |
//! | `throttle.rs` | how often a password may be guessed |
//! | `token.rs` | the token of the form |

mod forms;
mod login_form;
mod next_page;
mod prepared;
mod source;
mod throttle;
mod token;
mod visitor;

pub use login_form::LoginForm;

use super::authorization::{ClearTextWarning, Passwords, Verdict};
use crate::exchange::LoginChallenge;
use crate::lifecycle::{HookPoint, Hooks, IntoFlow, Tool};
use crate::settings::{Secret, SettingError, SettingTable, Settings};
use crate::{Error, Exchange, Flow, IntoResponse, Login, Response};
use forms::PasswordAdmission;
use prepared::Prepared;
use source::FunctionName;
#[cfg(feature = "passwords")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use throttle::Throttle;
use token::Tokens;
use visitor::keep_private;

/// Lets in who has logged in with a name and a password on a page; the session keeps it. Needs the cargo feature `auth`
/// and the tool [`Sessions`](crate::Sessions).
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::SessionAuth};
///
/// struct Members;
///
/// #[handlers]
/// impl Members {
///     #[expose]
///     fn index(&self, login: &Login) -> String {
///         format!("Hello, {login}")
///     }
/// }
///
/// let members = SessionAuth::new(|name, password| name == "anna" && password == "correct horse");
/// let tree = Tree::new().index(|_| "open to all").child("members", Members);
/// let app = App::new(tree).tool("/", Sessions::in_memory()).tool("/members", members);
/// let client = Client::in_process(app);
///
/// let refused = client.get("/members/").header("accept", "text/html").send();
/// refused.assert_status(303).assert_header("location", "/members/login?next=%2Fmembers%2F");
/// let page = client.get("/members/login?next=%2Fmembers%2F").send();
/// page.login("anna", "correct horse").assert_text("Hello, anna");
/// client.get("/members/").send().assert_text("Hello, anna");
/// client.post("/members/logout").send().assert_status(303);
/// client.get("/members/").send().assert_status(401);
/// ```
///
/// The section gets two pages, `login` and `logout`; everything else in it is for visitors who have logged in. Browsers
/// are sent to the login, and then back to the page that they wanted, if it is one of this site; programs, which do not
/// ask for HTML, get 401. Handlers have `&Login`. Logging out is a POST: `<form method="post"
/// action="/members/logout"><button>Log out</button></form>`.
///
/// With [`required(false)`](Self::required) strangers see the pages, too, and `Option<&Login>` tells who the visitor
/// is: for a whole site, parts of which are then closed by a section with `session_auth.required = true`. A single page
/// is closed by its signature: where it takes `&Login`, strangers are sent to the login.
///
/// A login holds for its section, its host and its source of credentials, even if other sites see the session;
/// [`realm`](Self::realm) changes that. At the login the session gets another id; at the logout it ends. Guesses are
/// counted by name and by address ([`attempts`](Self::attempts)); too many are 429 with `Retry-After`. The form has a
/// token, and forms that another site sends are refused.
///
/// In a file: `session_auth.file`, `realm`, `required`, `login`, `logout`, `home`, `attempts`, `address_attempts`,
/// `attempts_window`, `secret`. CherryPy's `session_auth`.
#[derive(Clone, Settings)]
#[settings(check = Self::check)]
pub struct SessionAuth {
    /// An htpasswd file with the users (feature `passwords`).
    #[setting(key = "file", given, no_builder)]
    passwords: Passwords,
    /// Of the function among the passwords.
    #[setting(skip)]
    function: Option<Arc<FunctionName>>,
    /// The name of the realm, for logins that hold in more than one place.
    ///
    /// Without it, a login holds only where its password was checked: in this section, on this host, for this source of
    /// credentials (a file by its path, a function by its name). So two sites may share a store of sessions, or a
    /// secret of cookies. A login to a realm holds in all sections, on all hosts and in all programs that name it and
    /// see the session: for `www.example` and `shop.example` with one
    /// [`cookie_domain`](crate::Sessions::cookie_domain), or for two programs with functions of their own.
    realm: String,
    /// Whether the section is only for visitors who have logged in; otherwise `Option<&Login>` tells who the visitor
    /// is.
    #[setting(default = true)]
    required: bool,
    /// Where the login page is, counted from the section.
    #[setting(default = "login")]
    login: String,
    /// Where one logs out, counted from the section.
    #[setting(default = "logout")]
    logout: String,
    /// Where a login leads if the visitor came for no other page, from the root of the app; empty for the section.
    home: String,
    /// How many wrong passwords a name may have within the window.
    #[setting(default = 10, no_builder)]
    attempts: usize,
    /// How many wrong passwords an address may have: one of IPv4, or a network of 64 bits of IPv6.
    #[setting(default = 50, no_builder)]
    address_attempts: usize,
    /// The window: attempts come back evenly, one by one.
    #[setting(default = "10m", no_builder)]
    attempts_window: Duration,
    /// Signs the token of the form, with at least 32 random bytes: for several processes behind one address.
    ///
    /// Otherwise each process has a key of its own, and forms that were open at a restart are shown again.
    secret: Secret,
    #[setting(skip)]
    page: Option<Arc<PageFunction>>,
    #[setting(skip)]
    on_login: Option<Arc<Notice>>,
    #[setting(skip)]
    on_logout: Option<Arc<Notice>>,
    /// Of all sections.
    #[setting(skip)]
    throttle: Arc<Throttle>,
    /// Signs the forms of this process, where there is no secret.
    #[setting(skip, default = Arc::new(Tokens::new(&[])))]
    tokens: Arc<Tokens>,
    /// Of all sections.
    #[setting(skip)]
    warning: ClearTextWarning,
}

type PageFunction = dyn Fn(&LoginForm, &mut Response) -> Result<(), Error> + Send + Sync;
type Notice = dyn Fn(&Exchange, &Login) -> Result<Flow, Error> + Send + Sync;

impl SessionAuth {
    /// Asks `check` with the name and the password, which come from the client, whether they are right.
    ///
    /// `check` returns a `bool`, or a `Result` of one, and runs while no session is locked: it may take its time. It
    /// should compare hashes, as `kirsch::passwords::verify` does, and take as long for names that it does not know.
    #[must_use]
    pub fn new<F, V>(check: F) -> Self
    where
        F: Fn(&str, &str) -> V + Send + Sync + 'static,
        V: Verdict,
    {
        Self { function: Some(FunctionName::of::<F>()), ..Self::defaults(Passwords::function(check)) }
    }

    /// Lets in who is in an htpasswd file (`file`), see [`PasswordFile`](crate::passwords::PasswordFile). Needs the
    /// cargo feature `passwords`.
    ///
    /// ```no_run
    /// use kirsch::{prelude::*, tools::SessionAuth};
    ///
    /// let app = App::new(Tree::new().index(|_| "members"))
    ///     .tool("/", Sessions::in_memory())
    ///     .tool("/", SessionAuth::file("/etc/site/members"));
    /// ```
    #[cfg(feature = "passwords")]
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::defaults(Passwords::File(path.into()))
    }

    /// The mistakes in the settings that do not depend on the place of the tool.
    fn check(&self) -> Result<Prepared, SettingError> {
        self.prepare("/", "")
    }

    /// How many wrong passwords a name (`attempts`: 10) and an address (`address_attempts`: 50) may have within
    /// `window` (`attempts_window`: 10 minutes). They come back evenly, one by one. An address is one of IPv4, or a
    /// network of 64 bits of IPv6.
    #[must_use]
    pub fn attempts(mut self, of_name: usize, of_address: usize, window: Duration) -> Self {
        (self.attempts, self.address_attempts, self.attempts_window) = (of_name, of_address, window);
        self
    }

    /// Shows this page in place of the built-in one; with the feature `templates` it may be a `View`.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client, tools::{LoginForm, SessionAuth}};
    ///
    /// let page = |form: &LoginForm| {
    ///     let message = form.message.as_deref().unwrap_or("Who are you?");
    ///     format!(
    ///         "<p>{message}<form method=post action={}>{}<input name=name><input name=password type=password><button>Enter</button></form>",
    ///         form.action,
    ///         form.hidden()
    ///     )
    /// };
    /// let auth = SessionAuth::new(|_, _| false).page(page);
    /// let app = App::new(Tree::new().index(|_| "members")).tool("/", Sessions::in_memory()).tool("/", auth);
    /// Client::in_process(app).get("/login").send().assert_contains("Who are you?");
    /// ```
    #[must_use]
    pub fn page<F, R>(mut self, page: F) -> Self
    where
        F: Fn(&LoginForm) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.page = Some(Arc::new(move |form, response| page(form).into_response(response)));
        self
    }

    /// Runs this at each login: the session is locked and may be written. It returns `()`, a `Result`, or another
    /// answer as [`Flow`]; an error refuses the login.
    ///
    /// ```
    /// use kirsch::{prelude::*, tools::SessionAuth};
    ///
    /// let auth = SessionAuth::new(|_, _| false).on_login(|exchange, login| {
    ///     if let Some(session) = Session::of(exchange) {
    ///         session.set("greeting", format!("Hello, {login}"));
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn on_login<F, R>(mut self, notice: F) -> Self
    where
        F: Fn(&Exchange, &Login) -> R + Send + Sync + 'static,
        R: IntoFlow,
    {
        self.on_login = Some(Arc::new(move |exchange, login| notice(exchange, login).into_flow()));
        self
    }

    /// Runs this at each logout, before the session ends.
    #[must_use]
    pub fn on_logout<F, R>(mut self, notice: F) -> Self
    where
        F: Fn(&Exchange, &Login) -> R + Send + Sync + 'static,
        R: IntoFlow,
    {
        self.on_logout = Some(Arc::new(move |exchange, login| notice(exchange, login).into_flow()));
        self
    }
}

impl Tool for SessionAuth {
    fn name(&self) -> &'static str {
        "session_auth"
    }

    fn answers(&self) -> bool {
        true
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.provides("login");
        let prepared = self.prepare(hooks.section(), hooks.mount()).and_then(|mut prepared| {
            prepared.check = Some(self.passwords.open()?);
            Ok(Arc::new(prepared))
        });
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return hooks.refuse(error),
        };
        hooks.needs("sessions");
        let (finder, asker) = (prepared.clone(), prepared.clone());
        let of_strangers = LoginChallenge::new(move |exchange, refusal| asker.send_to_login(exchange, refusal));
        hooks.check(HookPoint::OnStartResource, move |exchange| finder.find_out(exchange, &of_strangers)).priority(55);
        hooks.admission(PasswordAdmission(prepared.clone()));
        hooks.at(HookPoint::BeforeHandler, move |exchange| prepared.act(exchange)).priority(0);
        hooks.at(HookPoint::BeforeFinalize, keep_private).priority(66);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

impl std::fmt::Debug for SessionAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { required, login, logout, .. } = self;
        let mut shown = f.debug_struct("SessionAuth");
        shown.field("required", required).field("login", login).field("logout", logout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
