//! The forms of the tool: a visitor logs in, or out.
//!
//! The password is checked in an admission before that of the session's lock. So no lock is held during the check, and
//! a wrong password waits for none. Then the request waits for the lock like any page, and writes the name into the
//! session, or ends it.

use super::login_form::LoginForm;
use super::prepared::{Place, Prepared};
use super::visitor::{not_kept, outside};
use crate::exchange::{HttpError, RemoteText, Wakers};
use crate::lifecycle::{Admission, Admit};
use crate::{Error, Exchange, Flow, HeaderValue, Login, Method, Redirect, Response, Session, StatusCode, header};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The password was right: the work that is left when the session is locked.
struct Entering {
    name: String,
    next: String,
}

/// The body is there, the session is not locked: looks at the password of a login form.
pub(super) struct PasswordAdmission(pub(super) Arc<Prepared>);

impl Admit for PasswordAdmission {
    fn admit(&self, exchange: &mut Exchange, _: &dyn Wakers) -> Result<Admission, Error> {
        let is_login = *exchange.request.method() == Method::POST && self.0.place(&exchange.request) == Place::Login;
        if is_login && let Flow::Answer(refused) = self.0.log_in(exchange)? {
            return Err(refused.into());
        }
        Ok(Admission::Go)
    }

    /// After limits (20), before the session's lock (50).
    fn priority(&self) -> u8 {
        40
    }
}

impl Prepared {
    /// The session is locked: the forms.
    pub(super) fn act(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        if *exchange.request.method() != Method::POST {
            return Ok(Flow::Continue);
        }
        match self.place(&exchange.request) {
            Place::Login => match exchange.values.remove() {
                Some(Entering { name, next }) => self.enter(exchange, name, &next),
                None => Ok(Flow::Continue),
            },
            Place::Logout => self.log_out(exchange),
            Place::Page => Ok(Flow::Continue),
        }
    }

    /// The login page.
    pub(super) fn show(
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

    fn log_in(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        exchange.request.decode_parameters()?;
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
            crate::line::record!(Warn, target: "kirsch::tools", "wrong password for {shown:?} from {}", RemoteText(exchange.request.remote()));
            let message = "The name or the password is not right.";
            return self.refuse(exchange, StatusCode::UNAUTHORIZED, &name, &next, message, None);
        }
        self.tool.throttle.succeeded(&attempt);
        exchange.values.insert(Entering { name, next });
        Ok(Flow::Continue)
    }

    /// The password was right.
    fn enter(&self, exchange: &mut Exchange, name: String, next: &str) -> Result<Flow, Error> {
        let login = self.login(name);
        let key = self.key.of(&exchange.request);
        let session = Session::of(exchange).ok_or_else(|| Error::unexpected("the tool `sessions` is off"))?;
        if session.is_missing() {
            // A login is always possible, even if the session has ended in between.
            session.delete();
        }
        session.acquire_lock()?;
        let before = session.get::<String>(&key);
        if before.is_some_and(|before| before != login.name()) {
            // The values of one person are not for the next.
            session.delete();
        }
        session.regenerate();
        session.try_set(&key, login.name())?;
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
            // Even if this request fails: the session has ended.
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
        if exchange.request.prefers_html() {
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
}

fn in_words(wait: Duration) -> String {
    match wait.as_secs() {
        0..=89 => "in a minute".to_owned(),
        seconds => format!("in {} minutes", seconds.div_ceil(60)),
    }
}
