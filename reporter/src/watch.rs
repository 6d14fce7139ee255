//! The law, as the cluster holds it now.
//!
//! ```text
//!  discovery (each 30 s) ──▶ one watch per kind served ──▶ table ──▶ law entries, gaps
//!                                                            │        (writer)
//!                                                            └──▶ the book: law::Laws
//! ```
//!
//! Groups that are not installed are no error, and kinds that appear later are found.
//! `synced` is true from the moment each watch of the first discovery has its first list.
//!
//! A version has the time at which it was received, so nothing keeps the loop from
//! receiving: what the API server is asked and what is handed to the ledger is waited for
//! beside it. A version is in the book only after its entry is in the ledger; until then
//! the book holds a doubt in its place.
//!
//! A watch may have missed something, and begins again with a list, when it breaks, is
//! silent for too long, when the API server does not answer, when this process stood
//! still, and when more changes wait for the ledger than are kept. The time between is an
//! absence like a restart: a gap entry, and nothing is exact in it that changed.

mod awake;
mod discovery;
mod proof;
mod recording;
pub(crate) mod stream;
mod table;

pub use recording::recorded;

use crate::gaps::Amendment;
use crate::guard::guarded;
use crate::health::Part;
use crate::law::{self, HELD, Laws};
use crate::metrics::Metrics;
use crate::writer::{Unavailable, Writer};
use anyhow::{Context as _, Result};
use awake::Awake;
use discovery::Served;
use docket_ledger::query::Reader;
use docket_record::law::{KINDS, Kind, Object};
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _, OptionFuture};
use futures::stream::{AbortHandle, BoxStream, SelectAll, abortable};
use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::{Client, ResourceExt as _};
use proof::Evidence;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stream::{Event, Times, watching};
use table::Table;
use tokio::time::{Instant, sleep_until, timeout};

/// Between two looks at what the cluster serves.
const DISCOVERY: Duration = Duration::from_secs(30);
/// The same while the first one has not succeeded.
const FIRST_DISCOVERY: Duration = Duration::from_secs(1);
/// The loop turns at least this often; what the ledger refused is handed over again.
const PULSE: Duration = Duration::from_secs(1);
/// Between two questions to the API server whether it is there.
const QUESTION: Duration = Duration::from_secs(5);
/// Between two signs of life on record, which bound what a restart does not know.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Changes within this time are published together.
const SETTLE: Duration = Duration::from_millis(50);
/// Laws that wait for the ledger, besides those of a list. A text has up to 64 KiB.
const WAITING: usize = 1000;

type Committed = (Due, Result<(), Unavailable>);
type Discovered = (Timestamp, Result<Served, String>);

/// All watches and what they have seen.
pub struct Watch {
    client: Client,
    laws: Arc<Laws>,
    store: PathBuf,
    writer: Writer,
    health: Part,
    metrics: Metrics,
    watched: BTreeMap<&'static Kind, (ApiResource, AbortHandle)>,
    streams: SelectAll<BoxStream<'static, (&'static Kind, Event)>>,
    table: Table,
    /// Names of the file sources.
    files: Vec<String>,
    /// Gaps that are to be closed.
    closing: Vec<Amendment>,
    /// The absences are not on record as they are now.
    judged: bool,
    /// Under way: a commit, and what it is of.
    committing: Option<BoxFuture<'static, Committed>>,
    /// Under way: what the cluster serves.
    discovering: Option<BoxFuture<'static, Discovered>>,
    /// Under way: whether the API server answers.
    asking: Option<BoxFuture<'static, bool>>,
    /// Under way: what the file sources say of absences.
    proving: Option<BoxFuture<'static, Result<Evidence>>>,
    /// Too much waits for the ledger: nothing is watched until it is there.
    full: bool,
    discovered: bool,
    synced: bool,
    times: Times,
    /// Between two questions to the API server whether it is there.
    questions: Duration,
    /// Between two signs of life on record, which bound what a restart does not know.
    heartbeats: Duration,
}

/// What the loop woke for.
enum Turn {
    Told(&'static Kind, Event),
    Settled,
    Committed(Committed),
    Discovered(Discovered),
    Answered(bool),
    Read(Result<Evidence>),
    Look,
    Pulse,
}

/// How much of what waits for the ledger.
#[derive(Clone, Copy)]
struct Due {
    entries: usize,
    amendments: usize,
    gaps: usize,
    closing: usize,
}

/// When things are to be done.
struct Schedule {
    begun: Timestamp,
    look: Instant,
    pulse: Instant,
    question: Instant,
    heartbeat: Instant,
    publish: Option<Instant>,
}

impl Watch {
    /// Nothing is asked before [`Watch::run`]. `store`: the ledger's file, for what was
    /// known before. `files`: the names of the file sources, which may prove of an absence
    /// that nothing happened.
    #[must_use]
    pub fn new(
        client: Client,
        laws: Arc<Laws>,
        store: PathBuf,
        files: Vec<String>,
        writer: Writer,
        health: Part,
        metrics: Metrics,
    ) -> Watch {
        Watch {
            client,
            laws,
            store,
            writer,
            health,
            metrics,
            watched: BTreeMap::new(),
            streams: SelectAll::new(),
            table: Table::default(),
            files,
            closing: Vec::new(),
            judged: false,
            committing: None,
            discovering: None,
            asking: None,
            proving: None,
            full: false,
            discovered: false,
            synced: false,
            times: Times::default(),
            questions: QUESTION,
            heartbeats: HEARTBEAT,
        }
    }

    /// Watch for ever.
    ///
    /// # Errors
    /// If the ledger can't be read at the start; what fails later is counted and tried
    /// again.
    pub async fn run(mut self) -> Result<()> {
        self.table = self.load().await?;
        let begun = Instant::now();
        let mut due = Schedule {
            begun: Timestamp::now(),
            look: begun,
            pulse: begun,
            question: begun + self.questions,
            heartbeat: begun + self.heartbeats,
            publish: None,
        };
        let mut awake = Awake::now();
        loop {
            let settled = due.publish.unwrap_or(due.look);
            let looks = self.discovering.is_none() && !self.full;
            let turn = tokio::select! {
                Some((kind, event)) = self.streams.next(), if !self.streams.is_empty() => {
                    Turn::Told(kind, event)
                }
                () = sleep_until(settled), if due.publish.is_some() => Turn::Settled,
                Some(done) = OptionFuture::from(self.committing.as_mut()) => Turn::Committed(done),
                Some(found) = OptionFuture::from(self.discovering.as_mut()) => {
                    Turn::Discovered(found)
                }
                Some(answered) = OptionFuture::from(self.asking.as_mut()) => {
                    Turn::Answered(answered)
                }
                Some(read) = OptionFuture::from(self.proving.as_mut()) => Turn::Read(read),
                () = sleep_until(due.look), if looks => Turn::Look,
                () = sleep_until(due.pulse) => Turn::Pulse,
            };
            // Before anything of it gets a time: it may have waited for long.
            if awake.stood_still(self.times.late) {
                self.again("this process stood still");
                due.publish = Some(Instant::now());
                if matches!(turn, Turn::Told(..)) {
                    continue;
                }
            }
            self.turn(turn, &mut due);
        }
    }

    fn turn(&mut self, turn: Turn, due: &mut Schedule) {
        let now = Instant::now();
        match turn {
            Turn::Told(kind, event) => {
                if self.take(kind, event) {
                    due.publish = due.publish.or(Some(now + SETTLE));
                }
                if self.full {
                    due.publish = Some(now);
                }
            }
            Turn::Settled => {
                due.publish = None;
                self.publish();
                self.commit(false);
            }
            Turn::Committed((of, done)) => {
                self.committing = None;
                if done.is_ok() {
                    self.closing.drain(..of.closing);
                    self.table.committed(of.entries, of.gaps);
                    self.table.amended(of.amendments);
                } else {
                    // Not known to be kept: all of it is due again.
                    self.judged = true;
                }
                if done.is_ok() && of.entries + of.amendments + of.gaps > 0 {
                    self.commit(false);
                    self.publish();
                }
                if self.full && self.table.pending() == 0 {
                    self.full = false;
                    due.look = now;
                }
            }
            Turn::Look => self.look(),
            Turn::Discovered((asked, found)) => {
                self.discovering = None;
                match found {
                    Ok(served) => {
                        self.serve(served, asked);
                        due.publish = due.publish.or(Some(now));
                    }
                    Err(error) => {
                        self.metrics.watch_error("discovery");
                        tracing::warn!("the API server does not say what it serves: {error}");
                        if !self.discovered {
                            self.health.not_ready(format!("no discovery yet: {error}"));
                        }
                    }
                }
                let pause = match self.discovered {
                    true => DISCOVERY,
                    false => FIRST_DISCOVERY,
                };
                due.look = now + pause;
            }
            Turn::Answered(answered) => {
                self.asking = None;
                due.question = now + self.questions;
                if !answered {
                    self.again("the API server does not answer");
                    due.publish = due.publish.or(Some(now));
                }
            }
            Turn::Read(read) => {
                self.proving = None;
                match read {
                    Ok(evidence) => self.judge(&evidence),
                    Err(error) => tracing::warn!("an absence cannot be judged now: {error:#}"),
                }
            }
            Turn::Pulse => {
                due.pulse = now + PULSE;
                if now >= due.question && self.asking.is_none() {
                    self.ask();
                }
                let beats = now >= due.heartbeat;
                if beats {
                    due.heartbeat = now + self.heartbeats;
                    self.table.lasts(due.begun, Timestamp::now());
                    self.prove();
                }
                self.commit(beats);
            }
        }
    }

    async fn load(&mut self) -> Result<Table> {
        let store = self.store.clone();
        let begins = Timestamp::now()
            .saturating_sub(HELD)
            .unwrap_or(Timestamp::MIN);
        let (laws, states) = tokio::task::spawn_blocking(move || {
            let reader = Reader::open(&store)?;
            let laws = law::entries(&reader, begins, Timestamp::MAX)?;
            anyhow::Ok((laws, reader.states()?))
        })
        .await?
        .context("the laws of earlier days cannot be read")?;
        Ok(Table::load(laws, begins, &states))
    }

    fn look(&mut self) {
        let client = self.client.clone();
        let discovering = async move {
            let asked = Timestamp::now();
            let served = match timeout(DISCOVERY, discovery::served(&client)).await {
                Ok(served) => served.map_err(|error| error.to_string()),
                Err(_) => Err("no answer".to_owned()),
            };
            (asked, served)
        };
        self.discovering = Some(discovering.boxed());
    }

    fn serve(&mut self, mut served: Served, asked: Timestamp) {
        // One that was under way when it became too much.
        if self.full {
            return;
        }
        for kind in &KINDS {
            match served.remove(kind) {
                Some(resource) => self.watch(kind, resource),
                None => {
                    if let Some((_, abort)) = self.watched.remove(kind) {
                        abort.abort();
                    }
                    self.table.unserved(kind, asked, Timestamp::now());
                }
            }
        }
        self.discovered = true;
    }

    fn watch(&mut self, kind: &'static Kind, resource: ApiResource) {
        match self.watched.get(&kind) {
            Some((known, _)) if *known == resource => return,
            Some((_, abort)) => {
                abort.abort();
                self.table.broke(kind);
            }
            None => {}
        }
        tracing::info!(kind = kind.full(), version = resource.version, "watching");
        self.table.served(kind);
        self.begin(kind, resource);
    }

    fn begin(&mut self, kind: &'static Kind, resource: ApiResource) {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let events = watching(api, self.times).map(move |event| (kind, event));
        let (events, abort) = abortable(events);
        self.streams.push(events.boxed());
        self.watched.insert(kind, (resource, abort));
    }

    /// No watch is believed: something may have been missed since its last sign of life.
    fn again(&mut self, why: &str) {
        let believed = self.watched.iter();
        let believed = believed.filter(|(kind, _)| self.table.believed(kind));
        let believed: Vec<(&'static Kind, ApiResource)> = believed
            .map(|(kind, (resource, _))| (*kind, resource.clone()))
            .collect();
        if believed.is_empty() {
            return;
        }
        tracing::warn!("all watches of policies begin again: {why}");
        for (kind, resource) in believed {
            self.metrics.watch_error(&kind.full());
            if let Some((_, abort)) = self.watched.remove(kind) {
                abort.abort();
            }
            self.table.broke(kind);
            self.begin(kind, resource);
        }
    }

    /// True if there is something to commit or to publish.
    fn take(&mut self, kind: &'static Kind, event: Event) -> bool {
        let Some((resource, _)) = self.watched.get(&kind) else {
            return false;
        };
        let now = Timestamp::now();
        let waited = self.table.pending();
        match event {
            Event::Listed { objects, asked } => {
                let objects = objects.into_iter();
                let objects = objects.filter_map(|object| read(resource, object, &self.metrics));
                self.table.listed(kind, objects.collect(), asked, now);
                return true;
            }
            Event::Applied(object, after) => {
                if let Some(object) = read(resource, *object, &self.metrics) {
                    self.table.apply(object, after, now);
                }
            }
            Event::Deleted(object, after) => {
                if let Some(object) = read(resource, *object, &self.metrics) {
                    self.table.delete(&object, after, now);
                }
            }
            Event::Alive => {
                self.table.alive(kind, now);
                return false;
            }
            Event::Broke(why) => {
                self.metrics.watch_error(&kind.full());
                tracing::warn!(
                    kind = kind.full(),
                    "the watch failed and is begun again: {why}"
                );
                if !self.synced {
                    self.health
                        .not_ready(format!("no first list of {}: {why}", kind.full()));
                }
                self.table.broke(kind);
                return true;
            }
        }
        let waits = self.table.pending();
        if waits > WAITING && waits > waited {
            self.stop();
        }
        true
    }

    /// Too many changes wait for the ledger. They are kept, and what comes after them is
    /// found by the lists that begin when they are on record.
    fn stop(&mut self) {
        tracing::warn!("too many changes of policies wait for the ledger: no more are taken");
        self.full = true;
        for (kind, (_, abort)) in std::mem::take(&mut self.watched) {
            abort.abort();
            self.table.broke(kind);
            self.metrics.watch_error(&kind.full());
        }
    }

    /// Does the API server answer at all? A watch would not tell.
    fn ask(&mut self) {
        let (client, late) = (self.client.clone(), self.times.late);
        let asking = async move {
            match timeout(late, client.apiserver_version()).await {
                Ok(Ok(_) | Err(kube::Error::Api(_))) => true,
                Ok(Err(_)) | Err(_) => false,
            }
        };
        self.asking = Some(asking.boxed());
    }
}

fn read(resource: &ApiResource, mut object: DynamicObject, metrics: &Metrics) -> Option<Object> {
    // Often larger than the policy.
    object.managed_fields_mut().clear();
    let name = object.name_any();
    let read = serde_json::to_value(object).ok().and_then(|mut object| {
        object["kind"] = resource.kind.clone().into();
        object["apiVersion"] = resource.api_version.clone().into();
        guarded(|| Object::read(&object)).flatten()
    });
    if read.is_none() {
        metrics.cluster.bad_policies.inc();
        tracing::warn!(
            kind = resource.kind,
            name,
            "this policy is unreadable and skipped"
        );
    }
    read
}

#[cfg(test)]
mod tests;
