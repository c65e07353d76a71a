//! The new process's side of an upgrade: what it gets before it starts, and the older processes while they still live.

use super::VARIABLE;
use super::message::{Link, MAX_MESSAGES, Message, Received, unexpected};
use crate::Result;
use crate::exchange::{Error, StatusRow, StatusSource};
use crate::neighbours::Neighbour;
use crate::server::NamedSocket;
use crate::threads::Threads;
use crossbeam_channel::Sender;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SocketType, sockopt};
use rustix::pipe::{PipeFlags, pipe_with};
use std::convert::Infallible;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the old process hands over. It is not shown: there are keys in it.
pub(crate) struct Inheritance {
    pub(crate) listeners: Vec<NamedSocket>,
    /// Whether the old process has given up the rights of root, and this one with it.
    pub(crate) has_dropped: bool,
    /// The keys of its TLS tickets.
    pub(crate) ticket_keys: Option<Vec<u8>>,
    link: Link,
    /// The old process first.
    living: Arc<Mutex<Vec<Elder>>>,
}

/// An older process, until it has ended.
#[derive(Debug)]
struct Elder {
    process: u32,
    link: Link,
    _neighbour: Neighbour,
}

/// How long the hand-over may take: it is there before the process is.
const PATIENCE: Duration = Duration::from_secs(10);

impl Inheritance {
    /// What an older process has left at the standard input of this one, which is `/dev/null` then; `None` if this
    /// process has not been started by an upgrade, or it was taken before.
    ///
    /// # Errors
    /// When the old process says what this one does not understand.
    pub(crate) fn take() -> Result<Option<Self>> {
        let Some(process) = old_process() else { return Ok(None) };
        let link = Link::of(std::io::stdin().as_fd().try_clone_to_owned()?);
        let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null).map_err(std::io::Error::from)?;
        let old = Elder { process, link: link.try_clone()?, _neighbour: Neighbour::appears() };
        let living = Arc::new(Mutex::new(vec![old]));
        let mut inheritance = Self { listeners: Vec::new(), has_dropped: false, ticket_keys: None, link, living };
        let read = inheritance.read();
        if let Err(error) = &read {
            inheritance.teller()?.tell(error);
        }
        read.map(|()| Some(inheritance))
    }

    fn read(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let next = |link: &Link| match link.receive(deadline)? {
            Received::Message(message, carried) => Ok((message, carried)),
            Received::Closed | Received::Late => Err(Error::unexpected("the process that is replaced says nothing")),
        };
        (self.has_dropped, self.ticket_keys) = next(&self.link)?.0.greeted()?;
        for _ in 0..MAX_MESSAGES {
            match next(&self.link)? {
                (Message::Listener { name }, Some(socket)) => self.listeners.push(NamedSocket { name, socket }),
                (Message::Elder, Some(socket)) => {
                    let process = creator(&socket).unwrap_or_default();
                    let link = Link::of(socket);
                    self.living.lock().push(Elder { process, link, _neighbour: Neighbour::appears() });
                }
                (Message::Complete, None) => return Ok(()),
                (other, _) => return Err(unexpected(&other)),
            }
        }
        Err(Error::unexpected("the process that is replaced hands over without an end"))
    }

    /// The way to tell the old process why this one does not start.
    pub(crate) fn teller(&self) -> Result<Teller> {
        Ok(Teller(self.link.try_clone()?))
    }

    /// The older processes, for the status page.
    pub(crate) fn shown(&self) -> Arc<dyn StatusSource> {
        Arc::new(Shown(self.living.clone()))
    }

    /// Tells the old process that this one accepts, and watches the older ones from now on. `waiting` is dropped when
    /// the background work of the old one has ended.
    pub(crate) fn ready(self, waiting: Option<Sender<Infallible>>) -> Result<Elders> {
        self.link.send(&Message::Ready, None)?;
        Elders::watch(self.living, waiting)
    }
}

/// Tells the old process that this one does not start.
pub(crate) struct Teller(Link);

impl Teller {
    pub(crate) fn tell(&self, error: &Error) {
        let reason = error.to_string().chars().take(1000).collect();
        // It sees the end of this process in any case.
        let _ = self.0.send(&Message::Failed { reason }, None);
    }
}

/// The older processes that still end what they have begun.
#[derive(Debug, Default)]
pub(crate) struct Elders {
    living: Arc<Mutex<Vec<Elder>>>,
    /// Dropped before the thread is waited for: that wakes it.
    going_on: Option<OwnedFd>,
    thread: Option<Threads>,
}

impl Elders {
    fn watch(living: Arc<Mutex<Vec<Elder>>>, waiting: Option<Sender<Infallible>>) -> Result<Self> {
        let (stopped, going_on) = pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let mut thread = Threads::new();
        let watched = living.clone();
        thread.spawn("kirsch-elders", move || watch(&watched, &stopped, waiting))?;
        Ok(Self { living, going_on: Some(going_on), thread: Some(thread) })
    }

    /// The numbers of those that live.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.living.lock().iter().map(|elder| elder.process).collect()
    }

    /// Their sockets, for the next new process.
    pub(crate) fn sockets(&self) -> Result<Vec<OwnedFd>> {
        self.living.lock().iter().map(|elder| Ok(elder.link.try_clone()?.into_socket())).collect()
    }
}

impl Drop for Elders {
    fn drop(&mut self) {
        self.going_on = None;
        if let Some(mut thread) = self.thread.take() {
            thread.end_by(Instant::now() + Duration::from_secs(1));
        }
    }
}

struct Shown(Arc<Mutex<Vec<Elder>>>);

impl StatusSource for Shown {
    fn title(&self) -> String {
        "Older processes".to_owned()
    }

    fn rows(&self) -> Vec<StatusRow> {
        let living: Vec<_> = self.0.lock().iter().map(|elder| elder.process).collect();
        if living.is_empty() {
            return vec![StatusRow::new("older processes", "have ended")];
        }
        living.iter().map(|process| StatusRow::new(format!("process {process}"), "ends what it has begun")).collect()
    }
}

/// Until all have ended, or nobody wants to know any more.
fn watch(living: &Mutex<Vec<Elder>>, stopped: &OwnedFd, mut waiting: Option<Sender<Infallible>>) {
    let links = || {
        let living = living.lock();
        living.iter().map(|elder| Some((elder.process, elder.link.try_clone().ok()?))).collect::<Option<Vec<_>>>()
    };
    let Some(mut links) = links() else { return };
    let old = links.first().map(|(process, _)| *process);
    while !links.is_empty() {
        let mut polled = vec![PollFd::new(stopped, PollFlags::IN)];
        // What is said on the others' sockets is not for this process; their end is told in any case.
        let wanted = |process| if Some(process) == old { PollFlags::IN } else { PollFlags::empty() };
        polled.extend(links.iter().map(|(process, link)| PollFd::new(link, wanted(*process))));
        if poll(&mut polled, None).is_err() {
            continue;
        }
        let news: Vec<_> = polled.iter().map(PollFd::revents).collect();
        if !news[0].is_empty() {
            return;
        }
        let mut news = news[1..].iter();
        links.retain(|(process, link)| {
            let news = news.next().copied().unwrap_or(PollFlags::empty());
            let has_ended = news.intersects(PollFlags::HUP | PollFlags::ERR);
            let is_told = news.contains(PollFlags::IN) && !matches!(link.receive_now(), Ok(Received::Late));
            if Some(*process) == old && (has_ended || is_told) {
                waiting = None;
            }
            if has_ended {
                living.lock().retain(|elder| elder.process != *process);
                crate::line::record!(Info, target: "kirsch::engine", "the older process {process} has ended");
            }
            !has_ended
        });
    }
}

/// The process that has started this one to be its successor, if the standard input is its socket.
fn old_process() -> Option<u32> {
    let said = std::env::var(VARIABLE).ok()?.parse().ok()?;
    let stdin = std::io::stdin();
    let is_ours = sockopt::socket_type(&stdin) == Ok(SocketType::SEQPACKET) && creator(&stdin) == Some(said);
    is_ours.then_some(said)
}

/// The process that has made this pair of sockets.
fn creator(socket: impl AsFd) -> Option<u32> {
    let process = sockopt::socket_peercred(&socket).ok()?.pid;
    u32::try_from(process.as_raw_nonzero().get()).ok()
}
