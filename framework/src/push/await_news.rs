//! Long polling: a request that waits for something before its handler runs, and holds nothing meanwhile.

use crate::exchange::{Admission, Admit, Claim, Error, Exchange, Request, ServerPhase, Turn, Wait, Wakers, Watch};
use crate::lifecycle::{Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use ::http::Method;
use std::borrow::Cow;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// Something that requests can wait for with [`Await`]: a topic, the end of a job, an event of your own.
///
/// ```
/// use kirsch::push::{Await, Awaited, Watch};
/// use kirsch::{prelude::*, testing::Client};
/// use std::borrow::Cow;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::sync::Arc;
///
/// /// The door of the oven.
/// #[derive(Clone)]
/// struct Oven { is_open: Arc<AtomicBool>, opened: Watch<()> }
///
/// impl Oven {
///     fn open(&self) {
///         self.is_open.store(true, Ordering::SeqCst); // first the fact, then the news
///         self.opened.happened(&());
///     }
/// }
///
/// impl Awaited for Oven {
///     type Key = ();
///
///     fn watch(&self) -> &Watch<()> { &self.opened }
///
///     fn key(&self, _: &Request) -> Option<()> { Some(()) }
///
///     fn has_happened(&self, _: &(), _: Option<&str>) -> kirsch::Result<bool> {
///         Ok(self.is_open.load(Ordering::SeqCst))
///     }
///
///     fn waits_for(&self, _: &(), _: Option<&str>) -> Cow<'static, str> { "the oven".into() }
/// }
///
/// let oven = Oven { is_open: Arc::default(), opened: Watch::new("the oven", 100) };
/// let app = App::new(Tree::new().page("bread", |_| "still warm")).tool("/bread", Await::on(&oven));
/// std::thread::spawn(move || oven.open());
/// Client::in_process(app).get("/bread").send().assert_text("still warm");
/// ```
pub trait Awaited: Send + Sync + 'static {
    /// What tells one thing from another that requests wait for, such as the number of a job.
    type Key: Hash + Eq + Clone + Send + Sync + 'static;

    /// Where requests stand in line. What happens is told there, after [`has_happened`](Self::has_happened) has become
    /// true.
    fn watch(&self) -> &Watch<Self::Key>;

    /// What this request waits for; `None` lets it go on at once.
    fn key(&self, request: &Request) -> Option<Self::Key>;

    /// Whether there is something for the request already. `since` is the parameter that [`Await::since`] names: what
    /// the client has seen last.
    ///
    /// # Errors
    /// Ends the request with an error page.
    fn has_happened(&self, key: &Self::Key, since: Option<&str>) -> Result<bool, Error>;

    /// Words that continue the sentence "it waits for ...". They must come at once.
    fn waits_for(&self, key: &Self::Key, since: Option<&str>) -> Cow<'static, str>;
}

/// Lets GET requests wait until something happens: long polling. A request that waits is parked before its handler. It
/// holds no worker, no session and no place of the tool `limit`. Its handler runs when there is something, or at the
/// latest after 25 s, and answers as always.
///
/// ```
/// use kirsch::push::{Await, EventId, Topic};
/// use kirsch::{prelude::*, testing::Client};
/// use std::time::Duration;
///
/// struct News { headlines: Topic<String> }
///
/// #[handlers]
/// impl News {
///     #[expose]
///     fn changes(&self, after: Option<EventId>) -> Text<String> {
///         let changes = self.headlines.changes(after);
///         Text(changes.values.into_iter().map(|(id, text)| format!("{id} {text}\n")).collect())
///     }
/// }
///
/// let headlines = Topic::new("headlines");
/// let app = App::new(News { headlines: headlines.clone() })
///     .tool("/changes", Await::on(&headlines).since("after").up_to(Duration::from_secs(25)));
/// let client = Client::in_process(app);
/// let first = headlines.publish("Cherries ripe".to_owned());
/// client.get("/changes").send().assert_contains("Cherries ripe");
/// # let headlines = headlines.clone();
/// std::thread::spawn(move || headlines.publish("Cherries sold".to_owned()));
/// client.get(&format!("/changes?after={first}")).send().assert_contains("Cherries sold");
/// ```
///
/// The field `Prefer: wait=10` (RFC 7240) shortens the wait. When the server stops, those that wait are answered at
/// once. The status page shows what each of them waits for.
#[derive(Clone, Settings)]
pub struct Await {
    /// How long a request waits at most.
    #[setting(default = "25s")]
    up_to: Duration,
    /// Whether only requests wait that ask for it by `Prefer: wait=...`.
    if_preferred: bool,
    /// The parameter of the query that holds what the client has seen last.
    #[setting(skip)]
    since: Option<Cow<'static, str>>,
    #[setting(skip)]
    what: Option<Arc<dyn Line>>,
}

impl Await {
    /// Waits for this.
    #[must_use]
    pub fn on<A: Awaited + Clone>(what: &A) -> Self {
        Self { what: Some(Arc::new(LineFor(what.clone()))), ..Self::defaults() }
    }

    /// The name of the parameter, in the query, that says what the client has seen last: the id of an event for a
    /// topic.
    #[must_use]
    pub fn since(self, parameter: impl Into<Cow<'static, str>>) -> Self {
        Self { since: Some(parameter.into()), ..self }
    }
}

impl std::fmt::Debug for Await {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Await").field("up_to", &self.up_to).field("since", &self.since).finish_non_exhaustive()
    }
}

impl Tool for Await {
    fn name(&self) -> &'static str {
        "await"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.admission(self.clone());
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

impl Admit for Await {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        let request = &mut exchange.request;
        let preferred = request.preferred_wait();
        let up_to = match preferred {
            Some(wait) => wait.min(self.up_to),
            None if self.if_preferred => return Ok(Admission::Go),
            None => self.up_to,
        };
        let (Some(what), false) = (&self.what, *request.method() != Method::GET || up_to.is_zero()) else {
            return Ok(Admission::Go);
        };
        if exchange.route_error().is_some() {
            return Ok(Admission::Go);
        }
        let since = match &self.since {
            None => None,
            Some(name) => {
                exchange.request.decode_parameters()?;
                exchange.request.parameters(name).next().map(str::to_owned)
            }
        };
        match what.wait(&exchange.request, since, wakers)? {
            Some(wait) => Ok(Admission::Park { wait, at_most: up_to }),
            None => Ok(Admission::Go),
        }
    }

    /// Early: it holds nothing while it waits.
    fn priority(&self) -> u8 {
        15
    }
}

/// An [`Awaited`] of any kind.
trait Line: Send + Sync {
    /// The wait of this request; `None` when there is nothing to wait for.
    fn wait(
        &self,
        request: &Request,
        since: Option<String>,
        wakers: &dyn Wakers,
    ) -> Result<Option<Box<dyn Wait>>, Error>;
}

#[derive(Clone)]
struct LineFor<A>(A);

impl<A: Awaited + Clone> Line for LineFor<A> {
    fn wait(
        &self,
        request: &Request,
        since: Option<String>,
        wakers: &dyn Wakers,
    ) -> Result<Option<Box<dyn Wait>>, Error> {
        let Self(what) = self;
        let Some(key) = what.key(request) else { return Ok(None) };
        if what.has_happened(&key, since.as_deref())? {
            return Ok(None);
        }
        let turn = what.watch().enter(key, &Claim::of(request), wakers.waker());
        Ok(turn
            .map(|turn| -> Box<dyn Wait> { Box::new(Awaiting { what: what.clone(), since, turn, was_asked: false }) }))
    }
}

struct Awaiting<A: Awaited> {
    what: A,
    since: Option<String>,
    turn: Turn<A::Key>,
    /// It was looked since the request is in line.
    was_asked: bool,
}

impl<A: Awaited> Wait for Awaiting<A> {
    fn ready(&mut self, exchange: &mut Exchange, _: &dyn Wakers) -> Result<bool, Error> {
        if self.turn.poll().is_ready() {
            return Ok(true);
        }
        if std::mem::replace(&mut self.was_asked, true) {
            return Ok(exchange.request.server().is_some_and(|server| server.phase() >= ServerPhase::Draining));
        }
        // It may have happened before the request was in line.
        self.what.has_happened(self.turn.key(), self.since.as_deref())
    }

    fn waits_for(&self) -> Cow<'static, str> {
        self.what.waits_for(self.turn.key(), self.since.as_deref())
    }

    fn is_wanted(&self) -> bool {
        true
    }

    /// The handler tells the client where things stand.
    fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }
}
