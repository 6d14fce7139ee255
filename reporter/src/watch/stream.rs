//! The watch of one kind: a list, then what comes after it, and the signs that nothing
//! was missed.
//!
//! The API server is told to end each watch after [`Times::watch`]; the next one goes on where it
//! ended. So a connection that is dead without a word is known as such soon, and not taken
//! for a cluster in which nothing happens. Whatever else goes wrong, a list begins anew: to
//! go on where a watch broke would say nothing of when that was.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream, Stream};
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams, WatchEvent, WatchParams};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// First pause before a broken watch begins again.
const PAUSE: Duration = Duration::from_millis(500);
/// Objects in one page of a list.
const PAGE: u32 = 500;

/// How long things may take.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// The API server is told to end a watch after so many seconds.
    pub(crate) watch: u32,
    /// Its end may come so much sooner or later.
    pub(crate) margin: Duration,
    /// For the answer to one request.
    pub(crate) answer: Duration,
    /// Longest pause before a broken watch begins again.
    pub(crate) pause: Duration,
    /// A watch that took longer to open brings old news at first; a process that did
    /// nothing for longer has old news before it. Shorter than
    /// [`docket_record::law::WITHIN`], within which two versions are both held possible.
    pub(crate) late: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            watch: 20,
            margin: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            pause: Duration::from_secs(30),
            late: Duration::from_secs(5),
        }
    }
}

/// What a watch tells.
pub(crate) enum Event {
    /// All objects that there were when they were asked for.
    Listed {
        objects: Vec<DynamicObject>,
        asked: Timestamp,
    },
    /// An object came or changed. `after`: perhaps as long ago as that.
    Applied(Box<DynamicObject>, Option<Timestamp>),
    /// An object is gone.
    Deleted(Box<DynamicObject>, Option<Timestamp>),
    /// Nothing happened that was not told.
    Alive,
    /// Changes may have been missed since the last of these.
    Broke(Broke),
}

/// Why a watch begins again with a list.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broke {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("the API server refuses to go on: {0}")]
    Refused(String),
    #[error("the API server does not answer")]
    NoAnswer,
    #[error("neither an event nor its end came in time: the connection is dead")]
    Silent,
    #[error("it ended before its time")]
    Ended,
    #[error("the API server gives no resourceVersion")]
    NoVersion,
}

/// Events of one kind, for ever. A watch that broke is begun again after a pause.
pub(crate) fn watching(
    api: Api<DynamicObject>,
    times: Times,
) -> impl Stream<Item = Event> + Send + 'static {
    let watch = Watching {
        api,
        times,
        state: State::Away,
        pause: Duration::ZERO,
    };
    stream::unfold(watch, |mut watch| async move {
        let event = match watch.step().await {
            Ok(event) => event,
            Err(why) => {
                watch.state = State::Away;
                watch.pause = (watch.pause * 2).clamp(PAUSE, watch.times.pause);
                Event::Broke(why)
            }
        };
        Some((event, watch))
    })
}

struct Watching {
    api: Api<DynamicObject>,
    times: Times,
    state: State,
    /// Before the next list.
    pause: Duration,
}

enum State {
    Away,
    /// What happened since then, after this version, is to be told.
    Told {
        version: String,
        since: Since,
    },
    Open(Open),
}

#[derive(Clone, Copy)]
struct Since {
    time: Timestamp,
    instant: Instant,
}

struct Open {
    events: BoxStream<'static, kube::Result<WatchEvent<DynamicObject>>>,
    version: String,
    opened: Instant,
    /// It was opened late: what comes at first may be as old as that.
    backlog: Option<Timestamp>,
}

impl Watching {
    async fn step(&mut self) -> Result<Event, Broke> {
        loop {
            match std::mem::replace(&mut self.state, State::Away) {
                State::Away => {
                    sleep(self.pause).await;
                    let since = Since::now();
                    let (objects, version) = list(&self.api, self.times).await?;
                    self.state = State::Told { version, since };
                    let asked = since.time;
                    return Ok(Event::Listed { objects, asked });
                }
                State::Told { version, since } => {
                    self.state = State::Open(open(&self.api, self.times, version, since).await?);
                }
                State::Open(open) => {
                    let event = self.next(open).await?;
                    self.pause = Duration::ZERO;
                    return Ok(event);
                }
            }
        }
    }

    async fn next(&mut self, mut open: Open) -> Result<Event, Broke> {
        let Times { margin, late, .. } = self.times;
        let watch = Duration::from_secs(self.times.watch.into());
        let end = open.opened + watch + margin;
        let next = timeout_at(end, open.events.next()).await;
        let event = match next.map_err(|_| Broke::Silent)? {
            None if open.opened.elapsed() + margin < watch => return Err(Broke::Ended),
            None => {
                let (version, since) = (open.version, Since::now());
                self.state = State::Told { version, since };
                return Ok(Event::Alive);
            }
            Some(event) => event?,
        };
        let after = open
            .backlog
            .filter(|_| open.opened.elapsed() < late)
            .map(|since| since.min(Timestamp::now()));
        let (version, event) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let version = object.metadata.resource_version.clone();
                (version, Event::Applied(Box::new(object), after))
            }
            WatchEvent::Deleted(object) => {
                let version = object.metadata.resource_version.clone();
                (version, Event::Deleted(Box::new(object), after))
            }
            WatchEvent::Bookmark(mark) => (Some(mark.metadata.resource_version), Event::Alive),
            WatchEvent::Error(status) => return Err(Broke::Refused(status.message)),
        };
        open.version = version
            .filter(|version| !version.is_empty())
            .ok_or(Broke::NoVersion)?;
        self.state = State::Open(open);
        Ok(event)
    }
}

impl Since {
    fn now() -> Since {
        Since {
            time: Timestamp::now(),
            instant: Instant::now(),
        }
    }
}

async fn list(
    api: &Api<DynamicObject>,
    times: Times,
) -> Result<(Vec<DynamicObject>, String), Broke> {
    let mut objects = Vec::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = timeout(times.answer, api.list(&parameters)).await;
        let page = page.map_err(|_| Broke::NoAnswer)??;
        objects.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => {
                let version = page.metadata.resource_version;
                let version = version.filter(|version| !version.is_empty());
                return Ok((objects, version.ok_or(Broke::NoVersion)?));
            }
        }
    }
}

async fn open(
    api: &Api<DynamicObject>,
    times: Times,
    version: String,
    since: Since,
) -> Result<Open, Broke> {
    let parameters = WatchParams::default().timeout(times.watch);
    let events = timeout(times.answer, api.watch(&parameters, &version)).await;
    let events = events.map_err(|_| Broke::NoAnswer)??;
    Ok(Open {
        events: events.boxed(),
        version,
        opened: Instant::now(),
        backlog: (since.instant.elapsed() > times.late).then_some(since.time),
    })
}

#[cfg(test)]
mod tests;
