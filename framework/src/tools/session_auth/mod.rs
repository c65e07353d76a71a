//! People who log in with a page and stay logged in with their session: `SessionAuth`, named after CherryPy's tool.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 55 | finds out who it is; shows the pages for login and logout; sends strangers to the login; lets the login form be read |
//! | `before_handler` | 0 | logs in, logs out |
//! | `before_finalize` | 66 | `Cache-Control` of pages that somebody logged in has got |
//!
//! Who it is is read from a snapshot of the session ([`SessionView`]), which waits for nobody. The login page has no handler, so nothing locks the session for it: the
//! password is looked at while no lock is held, and the session is locked only to write the name into it. Where the page of a handler is at that address,
//! and has the session locked, the lock is given back first.
//!
//! | file | what it holds |
//! |---|---|
//! | `login_form.rs` | the form, and the built-in pages |
//! | `next_page.rs` | where to go after the login |
//! | `throttle.rs` | how often a password may be guessed |
//! | `token.rs` | the token of the form |

mod login_form;
mod next_page;
mod throttle;
mod token;

pub use login_form::LoginForm;

use super::authorization::{Checker, ClearTextWarning, Passwords, Verdict};
use crate::exchange::HttpError;
use crate::http::best_media_type;
use crate::lifecycle::{HookPoint, Hooks, IntoFlow, SettingError, SettingReader, SettingTable, Tool};
use crate::{
    Error, Exchange, Flow, HeaderValue, IntoResponse, Login, Method, Redirect, Request, Response, Session, SessionView,
    StatusCode, header,
};
use login_form::logout_page;
use next_page::same_site;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
#[cfg(feature = "passwords")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use throttle::{Rate, Throttle};
use token::Tokens;

/// Lets in who has logged in with a name and a password on a page; the session keeps it. Needs the cargo feature `auth` and the tool
/// [`Sessions`](crate::Sessions).
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
/// let token = page.text().split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
/// let form = [("token", token), ("next", "/members/"), ("name", "anna"), ("password", "correct horse")];
/// client.post("/members/login").form(&form).send().assert_status(303).assert_header("location", "/members/");
/// client.get("/members/").send().assert_text("Hello, anna");
/// client.post("/members/logout").send().assert_status(303);
/// client.get("/members/").send().assert_status(401);
/// ```
///
/// The section gets two pages, `login` and `logout`; everything else in it is for those who have logged in. Browsers are sent to the login, and then back to
/// the page that they wanted, if it is one of this site; programs, which do not ask for HTML, get 401. Handlers have `&Login`. Logging out is a POST:
/// `<form method="post" action="/members/logout"><button>Log out</button></form>`.
///
/// With [`required(false)`](Self::required) strangers see the pages, too, and `Option<&Login>` tells who it is: for a whole site, parts of which are then closed by
/// a section with `session_auth.required = true`.
///
/// At the login the session gets another id; at the logout it ends. Guesses are counted by name and by address ([`attempts`](Self::attempts)); too many are
/// 429 with `Retry-After`. The form has a token, and forms that another site sends are refused.
///
/// In a file: `session_auth.file`, `required`, `login`, `logout`, `home`, `attempts`, `address_attempts`, `attempts_window`, `secret`. CherryPy's `session_auth`.
#[derive(Clone)]
pub struct SessionAuth {
    passwords: Passwords,
    required: bool,
    login: String,
    logout: String,
    home: String,
    attempts: usize,
    address_attempts: usize,
    attempts_window: Duration,
    secret: String,
    page: Option<Arc<PageFunction>>,
    on_login: Option<Arc<Notice>>,
    on_logout: Option<Arc<Notice>>,
    /// Of all sections.
    throttle: Arc<Throttle>,
    /// Signs the forms of this process, where there is no secret.
    tokens: Arc<Tokens>,
    /// Of all sections.
    warning: ClearTextWarning,
}

type PageFunction = dyn Fn(&LoginForm, &mut Response) -> Result<(), Error> + Send + Sync;
type Notice = dyn Fn(&Exchange, &Login) -> Result<Flow, Error> + Send + Sync;

impl SessionAuth {
    /// Asks `check` with the name and the password, which come from the client, whether they are right.
    ///
    /// `check` returns a `bool`, or a `Result` of one, and runs while no session is locked: it may take its time. It should compare hashes, as
    /// `kirsch::passwords::verify` does, and take as long for names that it does not know.
    #[must_use]
    pub fn new<F, V>(check: F) -> Self
    where
        F: Fn(&str, &str) -> V + Send + Sync + 'static,
        V: Verdict,
    {
        Self::with(Passwords::function(check))
    }

    /// Lets in who is in an htpasswd file (`file`), see [`PasswordFile`](crate::passwords::PasswordFile). Needs the cargo feature `passwords`.
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
        Self::with(Passwords::File(path.into()))
    }

    fn with(passwords: Passwords) -> Self {
        Self {
            passwords,
            required: true,
            login: "login".to_owned(),
            logout: "logout".to_owned(),
            home: String::new(),
            attempts: 10,
            address_attempts: 50,
            attempts_window: Duration::from_secs(10 * 60),
            secret: String::new(),
            page: None,
            on_login: None,
            on_logout: None,
            throttle: Arc::default(),
            tokens: Arc::new(Tokens::new(&[])),
            warning: ClearTextWarning::default(),
        }
    }

    /// Whether the pages are only for those who have logged in (`required`); they are unless said otherwise.
    #[must_use]
    pub fn required(mut self, is_required: bool) -> Self {
        self.required = is_required;
        self
    }

    /// Where the login page is (`login`), counted from the section: `login` unless set.
    #[must_use]
    pub fn login(mut self, path: impl Into<String>) -> Self {
        self.login = path.into();
        self
    }

    /// Where one logs out (`logout`), counted from the section: `logout` unless set.
    #[must_use]
    pub fn logout(mut self, path: impl Into<String>) -> Self {
        self.logout = path.into();
        self
    }

    /// Where somebody goes who logs in without having wanted another page (`home`), from the root of the site: the section unless set.
    #[must_use]
    pub fn home(mut self, path: impl Into<String>) -> Self {
        self.home = path.into();
        self
    }

    /// How many wrong passwords a name (`attempts`: 10) and an address (`address_attempts`: 50) may have within `window` (`attempts_window`: 10 minutes).
    /// They come back evenly, one by one. An address is one of IPv4, or a network of 64 bits of IPv6.
    #[must_use]
    pub fn attempts(mut self, of_name: usize, of_address: usize, window: Duration) -> Self {
        (self.attempts, self.address_attempts, self.attempts_window) = (of_name, of_address, window);
        self
    }

    /// Signs the token of the form with this (`secret`), at least 32 bytes that nobody can guess: for several processes behind one address. Otherwise each
    /// process has a key of its own, and forms that were open at a restart are shown again.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = secret.into();
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

    /// Runs this when somebody has logged in: the session is locked and may be written. It returns `()`, a `Result`, or another answer as
    /// [`Flow`]; an error lets nobody in.
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

    /// Runs this when somebody logs out, before the session ends.
    #[must_use]
    pub fn on_logout<F, R>(mut self, notice: F) -> Self
    where
        F: Fn(&Exchange, &Login) -> R + Send + Sync + 'static,
        R: IntoFlow,
    {
        self.on_logout = Some(Arc::new(move |exchange, login| notice(exchange, login).into_flow()));
        self
    }

    /// For the section at this path of the server, and for paths of the app that is mounted there.
    fn prepare(&self, section: &str, mount: &str) -> Result<Prepared, SettingError> {
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
                return Err(SettingError::new(key, "is 0: nobody could log in"));
            }
        }
        if self.attempts_window < Duration::from_secs(1) {
            return Err(SettingError::new("attempts_window", "must be a second at least"));
        }
        if !self.secret.is_empty() && self.secret.len() < 32 {
            let problem =
                "is too short: at least 32 bytes that nobody can guess, as `openssl rand -base64 32` makes them";
            return Err(SettingError::new("secret", problem));
        }
        let tokens = match self.secret.as_str() {
            "" => self.tokens.clone(),
            secret => Arc::new(Tokens::new(secret.as_bytes())),
        };
        let (section, login_path) = (encoded(&section), encoded(&login));
        let challenge = HeaderValue::try_from(format!("Cookie form-action=\"{login_path}\""));
        Ok(Prepared {
            tool: self.clone(),
            home: if self.home.is_empty() { section.clone() } else { format!("{mount}{}", self.home) },
            key: format!("kirsch.login:{section}"),
            login,
            logout,
            login_path,
            challenge: challenge.expect("an encoded path is a field value"),
            tokens,
            check: None,
        })
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

/// The settings, ready to be used.
struct Prepared {
    tool: SessionAuth,
    /// As segments, decoded.
    login: Vec<String>,
    logout: Vec<String>,
    login_path: String,
    home: String,
    /// Where the session has the name. Each section has its own: a customer is no member of the staff.
    key: String,
    challenge: HeaderValue,
    tokens: Arc<Tokens>,
    check: Option<Arc<Checker>>,
}

/// What the two pages answer.
const METHODS: &str = "GET, HEAD, OPTIONS, POST";

/// What a path of the section is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Login,
    Logout,
    Page,
}

impl Prepared {
    fn place(&self, request: &Request) -> Place {
        let is = |path: &[String]| {
            request.segments().len() == path.len() && request.segments().zip(path).all(|(one, other)| one == other)
        };
        match () {
            () if is(&self.login) => Place::Login,
            () if is(&self.logout) => Place::Logout,
            () => Place::Page,
        }
    }

    /// Before the body: who is it, and may he go on?
    fn find_out(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        exchange.values.remove::<Login>();
        let login = SessionView::of(exchange)?.and_then(|session| session.get::<String>(&self.key)).map(Login::new);
        let is_post = *exchange.request.method() == Method::POST;
        let is_read = matches!(*exchange.request.method(), Method::GET | Method::HEAD);
        match self.place(&exchange.request) {
            Place::Page => {
                let Some(login) = login else {
                    return if self.tool.required { Err(self.send_to_login(exchange)) } else { Ok(Flow::Continue) };
                };
                exchange.values.insert(login);
                Ok(Flow::Continue)
            }
            Place::Login if is_post => {
                self.tool.warning.consider(&exchange.request, "session_auth");
                from_this_site(&exchange.request)?;
                exchange.expect_form();
                Ok(Flow::Continue)
            }
            Place::Logout if is_post => {
                from_this_site(&exchange.request)?;
                if let Some(login) = login {
                    exchange.values.insert(login);
                }
                Ok(Flow::Continue)
            }
            Place::Login if is_read => {
                exchange.request.decode_parameters();
                let next = exchange.request.parameters("next").next().unwrap_or_default().to_owned();
                self.show(exchange, StatusCode::OK, "", &next, None).map(Flow::Answer)
            }
            Place::Logout if is_read => match login {
                Some(login) => {
                    let action = outside(&exchange.request, exchange.request.path());
                    let mut page = logout_page(&action, login.name());
                    not_kept(&mut page);
                    exchange.values.insert(login);
                    Ok(Flow::Answer(page))
                }
                None => Err(Redirect::to(outside(&exchange.request, &self.login_path)).into()),
            },
            Place::Login | Place::Logout => {
                let allow = HeaderValue::from_static(METHODS);
                if *exchange.request.method() == Method::OPTIONS {
                    let mut answer = Response::new();
                    answer.set_status(StatusCode::NO_CONTENT).set_header(header::ALLOW, allow);
                    return Ok(Flow::Answer(answer));
                }
                let error =
                    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, format!("This page answers {METHODS} only."));
                Err(error.with_header(header::ALLOW, allow).into())
            }
        }
    }

    /// The answer to a stranger.
    fn send_to_login(&self, exchange: &mut Exchange) -> Error {
        not_kept(&mut exchange.response);
        exchange.response.add_vary(&header::ACCEPT);
        let request = &exchange.request;
        if !wants_html(request) {
            return HttpError::new(StatusCode::UNAUTHORIZED, "")
                .with_header(header::WWW_AUTHENTICATE, self.challenge.clone())
                .into();
        }
        let login = outside(request, &self.login_path);
        // What was sent with another method cannot be sent again.
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let wanted = outside(request, request.path());
        let wanted = match request.query() {
            Some(query) => format!("{wanted}?{query}"),
            None => wanted,
        };
        match same_site(&wanted).filter(|_| is_read) {
            Some(next) => Redirect::to(format!("{login}?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC))).into(),
            None => Redirect::to(login).into(),
        }
    }

    /// Where to go after the login: `text`, if it is a page of this site, and neither of these two, which would ask again.
    fn next_page<'t>(&self, request: &Request, text: &'t str) -> Option<&'t str> {
        let next = same_site(text)?;
        let (segments, prefix) = (next_page::segments(next), next_page::segments(request.prefix()));
        let inside = segments.strip_prefix(&*prefix);
        let is_ours = inside.is_some_and(|inside| inside == self.login || inside == self.logout);
        (!is_ours).then_some(next)
    }

    /// The login page.
    fn show(
        &self,
        exchange: &mut Exchange,
        status: StatusCode,
        name: &str,
        next: &str,
        message: Option<String>,
    ) -> Result<Response, Error> {
        let action = outside(&exchange.request, &self.login_path);
        let next = self.next_page(&exchange.request, next).unwrap_or_default().to_owned();
        let form = LoginForm { action, name: name.to_owned(), message, token: self.tokens.give(exchange)?, next };
        let mut response = Response::new();
        match &self.tool.page {
            Some(page) => page(&form, &mut response)?,
            None => response = form.built_in(),
        }
        response.set_status(status);
        if status == StatusCode::UNAUTHORIZED {
            response.set_header(header::WWW_AUTHENTICATE, self.challenge.clone());
        }
        not_kept(&mut response);
        Ok(response)
    }

    /// The body is there: the forms.
    fn act(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        if *exchange.request.method() != Method::POST {
            return Ok(Flow::Continue);
        }
        match self.place(&exchange.request) {
            Place::Login => self.log_in(exchange),
            Place::Logout => self.log_out(exchange),
            Place::Page => Ok(Flow::Continue),
        }
    }

    fn log_in(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        exchange.request.decode_parameters();
        // Of the form only: passwords in addresses end in logs.
        let field = |wanted: &str| {
            let found = exchange.request.form_fields().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let (name, password, next) = (field("name"), field("password"), field("next"));
        if !self.tokens.is_right(&exchange.request, &field("token")) {
            let message = "This form was open for too long, or cookies are off. Please try again.";
            return self.refuse(exchange, StatusCode::FORBIDDEN, &name, &next, message, None);
        }
        let (by_name, by_address) = self.rates();
        let attempt =
            match self.tool.throttle.begin(&name, exchange.request.remote(), by_name, by_address, Instant::now()) {
                Ok(attempt) => attempt,
                Err(wait) => {
                    let message = format!("There were too many wrong passwords. Please try again {}.", in_words(wait));
                    return self.refuse(exchange, StatusCode::TOO_MANY_REQUESTS, &name, &next, &message, Some(wait));
                }
            };
        if let Some(session) = Session::of(exchange)
            && session.is_locked()
        {
            session.forget();
        }
        let check = self.check.as_deref().expect("opened when it was attached");
        let is_right = check(&name, &password).inspect_err(|_| self.tool.throttle.take_back(&attempt))?;
        if !is_right {
            let shown: String = name.chars().filter(|character| !character.is_control()).take(100).collect();
            log::warn!(target: "kirsch::tools", "wrong password for {shown:?} from {}", exchange.request.remote());
            let message = "The name or the password is not right.";
            return self.refuse(exchange, StatusCode::UNAUTHORIZED, &name, &next, message, None);
        }
        self.tool.throttle.succeeded(&attempt);
        self.enter(exchange, name, &next)
    }

    /// The password was right.
    fn enter(&self, exchange: &mut Exchange, name: String, next: &str) -> Result<Flow, Error> {
        let login = Login::new(name);
        let session = Session::of(exchange).ok_or_else(|| Error::unexpected("the tool `sessions` is off"))?;
        session.acquire_lock()?;
        let before = session.get::<String>(&self.key);
        if before.is_some_and(|before| before != login.name()) {
            // What belongs to one person is not for the next.
            session.delete();
        }
        session.regenerate();
        session.try_set(&self.key, login.name())?;
        let target = self.next_page(&exchange.request, next).map(str::to_owned);
        let target = target.unwrap_or_else(|| outside(&exchange.request, &self.home));
        exchange.values.insert(login.clone());
        not_kept(&mut exchange.response);
        let noticed = self.tool.on_login.as_ref().map(|notice| notice(exchange, &login)).transpose();
        match noticed {
            Ok(Some(Flow::Answer(answer))) => Ok(Flow::Answer(answer)),
            Ok(_) => Err(Redirect::to(target).into()),
            Err(error) => {
                if let Some(session) = Session::of(exchange) {
                    session.forget();
                }
                exchange.values.remove::<Login>();
                Err(error)
            }
        }
    }

    fn log_out(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        not_kept(&mut exchange.response);
        if let Some(login) = Login::of(exchange).cloned() {
            let session = Session::of(exchange).ok_or_else(|| Error::unexpected("the tool `sessions` is off"))?;
            session.acquire_lock()?;
            let noticed = self.tool.on_logout.as_ref().map(|notice| notice(exchange, &login)).transpose();
            session.delete();
            // Whatever becomes of this request: it has ended.
            session.release_lock();
            if let Some(Flow::Answer(answer)) = noticed? {
                return Ok(Flow::Answer(answer));
            }
        }
        Err(Redirect::to(outside(&exchange.request, &self.login_path)).into())
    }

    /// Shows the form again, or says it to a program.
    fn refuse(
        &self,
        exchange: &mut Exchange,
        status: StatusCode,
        name: &str,
        next: &str,
        message: &str,
        wait: Option<Duration>,
    ) -> Result<Flow, Error> {
        let wait = wait.map(|wait| HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)));
        exchange.response.add_vary(&header::ACCEPT);
        if wants_html(&exchange.request) {
            let mut page = self.show(exchange, status, name, next, Some(message.to_owned()))?;
            if let Some(wait) = wait {
                page.set_header(header::RETRY_AFTER, wait);
            }
            return Ok(Flow::Answer(page));
        }
        let mut error = HttpError::new(status, message);
        if status == StatusCode::UNAUTHORIZED {
            error = error.with_header(header::WWW_AUTHENTICATE, self.challenge.clone());
        }
        if let Some(wait) = wait {
            error = error.with_header(header::RETRY_AFTER, wait);
        }
        Err(error.into())
    }

    fn rates(&self) -> (Rate, Rate) {
        let SessionAuth { attempts, address_attempts, attempts_window: window, .. } = self.tool;
        (Rate { attempts, window }, Rate { attempts: address_attempts, window })
    }
}

/// The path as a browser sees it, before a proxy has taken its prefix away.
fn outside(request: &Request, path: &str) -> String {
    format!("{}{path}", request.prefix())
}

/// Whether a page is wanted rather than anything.
fn wants_html(request: &Request) -> bool {
    let accept = request.header("accept").unwrap_or_default();
    best_media_type(accept, &["application/json", "text/html"]) == Some("text/html")
}

/// 403 for a form that another site has sent. Browsers say where it comes from; programs that are none do not.
fn from_this_site(request: &Request) -> Result<(), Error> {
    let by_fetch = request.header("sec-fetch-site").map(|site| matches!(site, "same-origin" | "none"));
    let by_origin = || match request.header("origin") {
        None | Some("null") => true,
        Some(origin) => origin.eq_ignore_ascii_case(&request.origin().to_string()),
    };
    if by_fetch.unwrap_or_else(by_origin) {
        return Ok(());
    }
    Err(Error::new(StatusCode::FORBIDDEN, "This form was sent by another site."))
}

fn not_kept(response: &mut Response) {
    response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn in_words(wait: Duration) -> String {
    match wait.as_secs() {
        0..=89 => "in a minute".to_owned(),
        seconds => format!("in {} minutes", seconds.div_ceil(60)),
    }
}

/// Pages of somebody who is logged in are for nobody else, and not for the time after the logout.
fn keep_private(exchange: &mut Exchange) {
    if Login::of(exchange).is_some() {
        let private = HeaderValue::from_static("private, no-cache");
        exchange.response.default_header(header::CACHE_CONTROL, private);
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
        let prepared = self.prepare(hooks.section(), hooks.mount()).and_then(|prepared| {
            let check = Some(self.passwords.open()?);
            Ok(Arc::new(Prepared { check, ..prepared }))
        });
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return hooks.refuse(error),
        };
        hooks.needs("sessions");
        let finder = prepared.clone();
        hooks.at(HookPoint::OnStartResource, move |exchange| finder.find_out(exchange)).priority(55);
        hooks.at(HookPoint::BeforeHandler, move |exchange| prepared.act(exchange)).priority(0);
        hooks.at(HookPoint::BeforeFinalize, keep_private).priority(66);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        let mut tool = self.clone();
        let mut reader = SettingReader::new(settings);
        tool.passwords.read(&mut reader)?;
        reader.flag("required", &mut tool.required)?;
        reader.text("login", &mut tool.login)?;
        reader.text("logout", &mut tool.logout)?;
        reader.text("home", &mut tool.home)?;
        reader.count("attempts", &mut tool.attempts)?;
        reader.count("address_attempts", &mut tool.address_attempts)?;
        reader.duration("attempts_window", &mut tool.attempts_window)?;
        reader.text("secret", &mut tool.secret)?;
        reader.finish()?;
        tool.prepare("/", "")?;
        Ok(Box::new(tool))
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
