//! The sessions tool: its settings, its hooks, its background job.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 0 | opens the session: reads the cookie, nothing else. So early that every other hook finds it |
//! | admission | | waits for the lock, if the handler needs it; in mode `early` before the body is read |
//! | `before_finalize` | 60, always | saves or rolls back, releases, sets the cookie; waits for a store that answers later. After hooks of the usual priority, before those that pack or cache |
//! | `before_error_response` | 0, always | rolls back and releases, so that no error page is made under the lock |
//! | `on_end_resource` | 50, always | ends the hold if an internal redirect left it |
//!
//! None of them has to run for the lock to be free in the end: the guard is in the exchange.

use super::admission::LockAdmission;
use super::cookie::CookieSettings;
use super::lock_table::LockStatus;
use super::settings::Settings;
use super::shared::Shared;
use super::{Answers, LockMode, MemoryStore, Moment, Session, Store};
use crate::exchange::Wakers;
use crate::exchange::{Error, Exchange, InLine, ResponseBody, StatusRow, StatusSource, WaitsFor};
use crate::lifecycle::{Admission, Admit, HookPoint, Hooks, Tool, Wait};
use crate::settings::{SettingError, SettingRow, Settings as _};
use ::http::{HeaderValue, header};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

/// The sessions tool: gives handlers [`&Session`](Session) and [`SessionView`](super::SessionView) on a path and below
/// it.
///
/// ```
/// use kirsch::sessions::{LockMode, SameSite};
/// use kirsch::Sessions;
/// use std::time::Duration;
///
/// let sessions = Sessions::in_memory()
///     .timeout(Duration::from_secs(20 * 60))
///     .lock(LockMode::Lazy)
///     .same_site(SameSite::Strict);
/// ```
///
/// In a configuration file the same settings have the same names: `sessions.timeout = "20m"`. Paths below may set them
/// otherwise; the store and the locks are the same. A clone is a handle to both: keep one to ask for
/// [`locks`](Self::locks) or [`statistics`](Self::statistics).
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
}

impl Sessions {
    /// Sessions that are kept in memory and end with the process; at most [`MemoryStore::DEFAULT_CAPACITY`].
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(MemoryStore::new())
    }

    /// Sessions that are kept in `store`.
    #[must_use]
    pub fn new(store: impl Store) -> Self {
        Self::of(Shared::new(store))
    }

    /// Sessions that are in their cookies, encrypted or signed: for small ones, where no server should keep anything.
    ///
    /// ```
    /// use kirsch::sessions::{CookieSeal, MemoryStore};
    /// use kirsch::Sessions;
    ///
    /// # let secret = "PHa3fI5XWqdyRCJNFVYh9IyTm0yvbS1u1kp4CoZQk6o=";
    /// let alone = Sessions::cookie(secret);
    /// let paired = Sessions::cookie(CookieSeal::encrypted(secret).paired_with(MemoryStore::new()));
    /// ```
    ///
    /// In a configuration file: `sessions.secret`, `sessions.old_secrets` (a list), `sessions.protection`
    /// (`"encrypted"`, `"signed"`). A secret of fewer than 32 bytes stops the start.
    ///
    /// The limits of a cookie:
    /// * **There is no lock**, in any lock mode: two requests at the same time begin with the same content, and the
    ///   cookie that the browser gets last wins. The changes of the other one are lost silently, unless the seal is
    ///   [paired with a store](super::CookieSeal::paired_with), which keeps a version for each session: then the second
    ///   is refused with 409.
    /// * **An old cookie can be sent again** until its life has ended (`timeout` after it was made), also after a
    ///   logout: the holder of a copy is back in. Paired with a store, an ended session is over for every copy; an old
    ///   cookie of a living one can still be read.
    /// * **It is small**: 4096 bytes with name and attributes, of which about 2900 are left for names and values. More
    ///   is a 500, and the log names the largest values.
    /// * Every request brings it along, and a session lives between half of `timeout` and all of it after its last use.
    #[cfg(feature = "cookie")]
    #[must_use]
    pub fn cookie(seal: impl Into<super::CookieSeal>) -> Self {
        let (seal, versions) = seal.into().into_parts();
        Self::of(Shared { backings: super::session::Backings::InCookie(seal), ..Shared::new(versions) })
    }

    fn of(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), settings: Arc::default() }
    }

    /// How often ended sessions are removed (`sweep_interval`, default 5 minutes); `None` (`"off"`) leaves that to
    /// [`sweep`](Self::sweep).
    #[must_use]
    pub fn sweep_interval(self, interval: Option<Duration>) -> Self {
        self.with(|settings| settings.sweep_interval = interval)
    }

    /// Maximum of sessions (`capacity`, default 100,000): one more, and one goes that never came back, or the one used
    /// longest ago. It is the store's, so it holds for all paths.
    ///
    /// # Panics
    /// When the store has no such limit.
    #[must_use]
    #[track_caller]
    pub fn capacity(self, sessions: usize) -> Self {
        self.of_store("capacity", sessions as u64)
    }

    /// Maximum of memory for all sessions together in bytes (`max_bytes`, default 256 MiB, at least 1 MiB), with the
    /// overhead around their content. Beyond it those go first that were made by one request and never came back, then
    /// those used longest ago. It is the store's, so it holds for all paths.
    ///
    /// # Panics
    /// When the store has no such limit.
    #[must_use]
    #[track_caller]
    pub fn max_bytes(self, bytes: u64) -> Self {
        self.of_store("max_bytes", bytes)
    }

    #[track_caller]
    fn of_store(self, key: &str, value: u64) -> Self {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        let table = toml::Table::from_iter([(key.to_owned(), toml::Value::Integer(value))]);
        if let Err(error) = self.shared.store.configure(&table) {
            panic!("this session store cannot have that {key}: {error}");
        }
        self
    }

    /// Removes the sessions whose life has ended, now. Returns how many.
    ///
    /// # Errors
    /// The store's.
    pub fn sweep(&self) -> Result<usize, Error> {
        Ok(self.shared.store.sweep(Moment::now())?)
    }

    /// The locks of all sessions: their holders, since when, and how many wait; the one held longest first.
    #[must_use]
    pub fn locks(&self) -> Vec<LockStatus> {
        let mut locks = self.shared.locks.status();
        locks.sort_by_key(|lock| std::cmp::Reverse(lock.held_for));
        locks
    }

    /// Counters and gauges of this moment.
    #[must_use]
    pub fn statistics(&self) -> SessionsStatistics {
        SessionsStatistics {
            stored: self.shared.store.count().ok().flatten(),
            evicted: self.shared.store.evicted(),
            quarantined: self.shared.store.quarantined(),
            store_errors: self.shared.health.failures(),
            conflicts: self.shared.counters.conflicts(),
            locks_held: self.shared.locks.len(),
            waits: self.shared.counters.waits(),
            longest_wait: self.shared.counters.longest_wait(),
            lock_timeouts: self.shared.counters.lock_timeouts(),
            locks_lost: self.shared.counters.locks_lost(),
            lease_renewals: self.shared.keeper.renewals(),
        }
    }

    #[cfg(test)]
    pub(super) fn inner(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    pub(super) fn with_cookie(self, change: impl FnOnce(&mut CookieSettings)) -> Self {
        self.with(|settings| change(&mut settings.cookie))
    }

    /// The settings of the sessions, and those of their store.
    #[must_use]
    pub fn setting_rows(&self) -> Vec<SettingRow> {
        let mut rows = self.settings.setting_rows();
        rows.append(&mut self.shared.store.setting_rows());
        rows
    }
}

impl Tool for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Err(error) = self.settings.check_settings() {
            return hooks.refuse(error);
        }
        if let Some(problem) = self.shared.backings.problem() {
            return hooks.refuse(problem);
        }
        if self.settings.probe
            && !hooks.is_rehearsal()
            && !self.shared.is_probed.swap(true, Ordering::Relaxed)
            && let Err(error) = self.shared.store.probe()
        {
            let problem = format!(
                "found that the session store cannot work: {error}; mend that, or set `sessions.probe = false` to start without it"
            );
            return hooks.refuse(SettingError::new("probe", problem));
        }
        if self.shared.is_lost_with_the_process() {
            hooks.lost_at_upgrade("sessions in memory");
        }
        let Self { shared, settings } = self.clone();
        hooks.at(HookPoint::OnStartResource, move |exchange| open(exchange, &shared, &settings)).priority(0);
        if self.settings.lock == LockMode::Early {
            hooks.early_admission(LockAdmission { is_early: true });
        }
        hooks.admission(LockAdmission { is_early: false });
        hooks.before_finalize(Finish).priority(60).always();
        hooks.at(HookPoint::BeforeErrorResponse, |exchange| end(exchange, false)).priority(0).always();
        hooks.at(HookPoint::OnEndResource, end_resource).always();
        hooks.status(self.clone());
        if let Some(interval) = self.settings.sweep_interval
            && !self.shared.store.expires_by_itself()
            && !self.shared.is_swept.swap(true, Ordering::Relaxed)
        {
            let sessions = self.clone();
            hooks.background("sessions sweep", interval, move || {
                let swept = sessions.sweep()?;
                crate::line::record!(Debug, target: "kirsch::sessions", "{swept} ended sessions removed");
                Ok::<_, Error>(())
            });
        }
    }

    fn configure(&self, settings: &toml::Table) -> Result<Box<dyn Tool>, SettingError> {
        let mut configured = self.clone();
        Arc::make_mut(&mut configured.settings).read(settings, &*self.shared.store)?;
        Ok(Box::new(configured))
    }
}

/// The counts of [`statistics`](Sessions::statistics), and the locks that are held longest. A store that is not in
/// memory is not asked how many sessions it has.
impl StatusSource for Sessions {
    fn title(&self) -> String {
        "Sessions".to_owned()
    }

    fn rows(&self) -> Vec<StatusRow> {
        let counters = &self.shared.counters;
        let stored = || self.shared.store.count().ok().flatten();
        let stored = if self.shared.answers == Answers::AtOnce { stored() } else { None };
        let failures = self.shared.health.failures();
        let mut rows: Vec<_> = stored.map(|count| StatusRow::new("in the store", count)).into_iter().collect();
        let locks = self.locks();
        rows.extend([
            StatusRow::new("locks held now", locks.len()),
            StatusRow::new("waits for a lock", counters.waits()),
            StatusRow::new("longest wait", shown(counters.longest_wait())),
            StatusRow::new("waits given up", counters.lock_timeouts()).alarming(counters.lock_timeouts() > 0),
            StatusRow::new("conflicts", counters.conflicts()),
            StatusRow::new("failures of the store", failures).alarming(failures > 0),
        ]);
        rows.extend(locks.into_iter().take(MAX_LOCKS_SHOWN).map(|lock| {
            let is_long = lock.held_for >= LONG_HOLD;
            StatusRow::new("lock", lock.to_string()).alarming(is_long)
        }));
        rows
    }
}

fn shown(wait: Duration) -> String {
    if wait.is_zero() { "none yet".to_owned() } else { format!("{wait:.1?}") }
}

/// The status page shows as many locks.
const MAX_LOCKS_SHOWN: usize = 20;
/// A lock that is held for longer is worth a look.
const LONG_HOLD: Duration = Duration::from_secs(1);

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The counts of the tool; see the field names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionsStatistics {
    /// Sessions in the store, if it can say.
    pub stored: Option<usize>,
    /// Sessions that had to go before their time because there were too many.
    pub evicted: u64,
    /// Sessions that the store could not read, and has put aside.
    pub quarantined: u64,
    /// How often the store failed.
    pub store_errors: u64,
    /// Requests that were not saved because another request had changed or ended their session, lost locks included.
    pub conflicts: u64,
    /// Session locks held now by requests of this process.
    pub locks_held: usize,
    /// Requests that were parked to wait for their session's lock, since the start.
    pub waits: u64,
    /// The longest that a parked request has waited for it.
    pub longest_wait: Duration,
    /// Requests that did not get it in time.
    pub lock_timeouts: u64,
    /// Requests that lost the lock between processes while they ran.
    pub locks_lost: u64,
    /// How often such a lock was renewed because a request took long.
    pub lease_renewals: u64,
}

fn open(exchange: &mut Exchange, shared: &Arc<Shared>, settings: &Arc<Settings>) {
    let request = &exchange.request;
    if let Some(session) = exchange.values.get_mut::<Session>()
        && session.go_on(shared, settings, request)
    {
        return;
    }
    let session = Session::new(Arc::clone(shared), Arc::clone(settings), request);
    exchange.values.insert(session);
}

/// The end of the session's part in a request.
struct Finish;

impl Admit for Finish {
    fn admit(&self, exchange: &mut Exchange, _: &dyn Wakers) -> Result<Admission, Error> {
        let Some(session) = Session::of(exchange) else { return Ok(Admission::Go) };
        let is_success = is_success(exchange);
        let waits_for_place = is_success && session.needs_place() && session.has_business();
        if !waits_for_place && finish(exchange, Waker::noop())? {
            return Ok(Admission::Go);
        }
        let at_most = Session::of(exchange).map_or(Duration::ZERO, Session::lock_timeout);
        Ok(Admission::park(SaveWait { line: InLine::default() }, at_most))
    }
}

/// A request that waits until its session is kept, or for its turn to ask a store that blocks.
struct SaveWait {
    line: InLine,
}

impl Wait for SaveWait {
    fn ready(&mut self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<bool, Error> {
        let Some(session) = Session::of(exchange) else { return Ok(true) };
        let _blocking = match session.needs_place() {
            true => match self.line.begin(WaitsFor::Store, || wakers.waker())? {
                Some(blocking) => Some(blocking),
                None => return Ok(false),
            },
            false => None,
        };
        finish(exchange, &wakers.waker())
    }

    fn waits_for(&self) -> Cow<'static, str> {
        self.line.waits_for().unwrap_or(Cow::Borrowed("the store of sessions, to keep what was changed"))
    }

    fn expired(&mut self, exchange: &mut Exchange) -> Result<(), Error> {
        if let Some(refusal) = self.line.refusal() {
            // Nothing is kept, and nothing of it is said.
            end(exchange, false);
            return Err(refusal.into());
        }
        if let Some(finished) = Session::of(exchange).map(Session::give_up_finish) {
            set_cookie(exchange, finished?);
        }
        Ok(())
    }
}

/// Whether the session's part in the request has ended; if not, the waker will be woken.
fn finish(exchange: &mut Exchange, waker: &Waker) -> Result<bool, Error> {
    let Some(session) = Session::of(exchange) else { return Ok(true) };
    match session.poll_finish(is_success(exchange), waker) {
        Poll::Ready(finished) => set_cookie(exchange, finished?),
        Poll::Pending => return Ok(false),
    }
    Ok(true)
}

fn set_cookie(exchange: &mut Exchange, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        exchange.response.add_header(header::SET_COOKIE, cookie);
    }
}

fn end(exchange: &mut Exchange, is_success: bool) {
    if let Some(session) = Session::of(exchange) {
        session.end(is_success);
    }
}

fn end_resource(exchange: &mut Exchange) {
    end(exchange, is_success(exchange));
    // What begins now ends with the session. A stream that does not look at the visitor is for everybody.
    let response = &exchange.response;
    let Some(session) = Session::of(exchange) else { return };
    let begins_stream = matches!(response.body(), ResponseBody::Push(_)) && session.is_used();
    if (begins_stream || response.begins_conversation())
        && let Some(tie) = session.tie()
    {
        tie.bind(&mut exchange.response);
    }
}

fn is_success(exchange: &Exchange) -> bool {
    !exchange.failed() && !exchange.response.status().is_server_error()
}
