//! The one writer: a thread that owns the store, and a bounded queue before it.
//!
//! Whatever waits when a transaction begins goes into that transaction, so one sync is
//! shared by many callers. A caller's future resolves only when its entries are durable.
//!
//! | state of an arrival | what a crash loses |
//! |---|---|
//! | in the queue | all of it; it was not acknowledged and comes again |
//! | committed | nothing |
//!
//! A panic while an arrival is committed is a failure like any other, and what was handed
//! over comes again. From then on arrivals are kept until they are committed, so that the
//! next panic costs no more than the event that causes it ([`apart`]).

mod apart;

use crate::guard::guarded;
use crate::health::Part;
use crate::intake::outcome::Waiting;
use crate::intake::{Arrival, Intake, NumbersToAsk, Told, Waits};
use crate::metrics::Metrics;
use crate::objects::Objects;
use docket_ledger::store::{Store, StoreError};
use docket_record::kyverno_event::Hearsay;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Arrivals waiting. More than this many parallel batches are not taken anyway.
const QUEUE: usize = 128;
/// Findings in one transaction, so that a busy queue does not delay its first caller.
const FINDINGS: usize = 20_000;
/// Between two attempts to open a store that failed.
const REOPEN: Duration = Duration::from_secs(1);

/// The store can't take entries now; try again in a few seconds.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the ledger cannot take entries at the moment; its log says why")]
pub struct Unavailable;

enum Message {
    Arrival(Box<Arrival>, oneshot::Sender<Result<u64, Unavailable>>),
    State(
        String,
        oneshot::Sender<Result<Option<Vec<u8>>, Unavailable>>,
    ),
    /// Every source was read up to this moment.
    Tick(Timestamp),
}

/// The way to the writer; cheap to clone.
#[derive(Clone)]
pub struct Writer {
    messages: mpsc::Sender<Message>,
    size: watch::Receiver<u64>,
    waiting: Arc<Waiting>,
    numbers_to_ask: Arc<NumbersToAsk>,
}

/// A running writer.
pub struct Started {
    /// The way to it.
    pub writer: Writer,
    /// Resolves when its thread ends: after the last [`Writer`] is gone, or by a panic.
    pub end: oneshot::Receiver<()>,
    /// The public key of the ledger's checkpoints.
    pub verifier_key: String,
    /// What the core remembers of objects that were written.
    pub objects: Objects,
}

/// Opens the store, again after a failure.
pub type Open = Box<dyn FnMut() -> Result<Store, StoreError> + Send>;

struct Thread {
    open: Open,
    waits: Waits,
    metrics: Metrics,
    health: Part,
    size: watch::Sender<u64>,
    held: Option<(Store, Intake)>,
    /// Heard by a core that was thrown away, for the next one.
    hearsay: Vec<Hearsay>,
    tried: Option<Instant>,
    objects: Objects,
    waiting: Arc<Waiting>,
    numbers_to_ask: Arc<NumbersToAsk>,
    /// There was a panic: arrivals are kept until they are committed.
    careful: bool,
}

/// Why an arrival is not committed.
enum Failed {
    /// The store takes nothing now.
    Unavailable,
    /// By a fault of ours.
    Panicked,
}

impl Writer {
    /// Start the thread on an open store.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn start(
        mut open: Open,
        waits: Waits,
        metrics: Metrics,
        health: Part,
    ) -> anyhow::Result<Started> {
        let mut store = open()?;
        let verifier_key = store.verifier_key();
        let objects = Objects::default();
        let intake = Intake::load(&mut store, waits, Timestamp::now())?;
        let intake = intake.remembering(objects.clone());
        let waiting = Arc::new(Waiting::default());
        let numbers_to_ask = Arc::<NumbersToAsk>::default();
        let intake = intake
            .telling(Arc::clone(&waiting))
            .asking(Arc::clone(&numbers_to_ask));
        let (size, watched) = watch::channel(store.size());
        let (messages, queue) = mpsc::channel(QUEUE);
        let (ended, end) = oneshot::channel();
        health.ready();
        metrics.ledger.store_ready.set(1);
        metrics.ledger.size(store.size());
        let mut thread = Thread {
            open,
            waits,
            metrics,
            health,
            size,
            held: Some((store, intake)),
            hearsay: Vec::new(),
            tried: None,
            objects: objects.clone(),
            waiting: Arc::clone(&waiting),
            numbers_to_ask: Arc::clone(&numbers_to_ask),
            careful: false,
        };
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || {
                thread.run(queue);
                let _ = ended.send(());
            })?;
        Ok(Started {
            writer: Writer {
                messages,
                size: watched,
                waiting,
                numbers_to_ask,
            },
            end,
            verifier_key,
            objects,
        })
    }

    /// Hand over; resolves when it is durable.
    ///
    /// # Errors
    /// Nothing of it was kept.
    pub async fn commit(&self, arrival: Arrival) -> Result<(), Unavailable> {
        self.commit_counting(arrival).await.map(drop)
    }

    /// The same; how many of its events made a record that was not there before.
    ///
    /// # Errors
    /// Nothing of it was kept.
    pub async fn commit_counting(&self, arrival: Arrival) -> Result<u64, Unavailable> {
        let (done, answer) = oneshot::channel();
        let message = Message::Arrival(Box::new(arrival), done);
        self.messages.send(message).await.map_err(|_| Unavailable)?;
        answer.await.map_err(|_| Unavailable)?
    }

    /// The same for a thread that may block.
    ///
    /// # Errors
    /// Nothing of it was kept.
    pub fn commit_blocking(&self, arrival: Arrival) -> Result<(), Unavailable> {
        let (done, answer) = oneshot::channel();
        let message = Message::Arrival(Box::new(arrival), done);
        self.messages
            .blocking_send(message)
            .map_err(|_| Unavailable)?;
        answer.blocking_recv().map_err(|_| Unavailable)?.map(drop)
    }

    /// One state row.
    ///
    /// # Errors
    /// If the store can't be read now.
    pub async fn state(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let (done, answer) = oneshot::channel();
        let message = Message::State(key.to_owned(), done);
        self.messages.send(message).await.map_err(|_| Unavailable)?;
        answer.await.map_err(|_| Unavailable)?
    }

    /// Which objects wait for a write, as the core knows.
    #[must_use]
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Numbers that the witnesses are to be asked about, as the core misses them.
    #[must_use]
    pub fn numbers_to_ask(&self) -> &NumbersToAsk {
        &self.numbers_to_ask
    }

    /// Let time pass in the core, all sources being read up to `reached`. Skipped when the
    /// queue is full: there is work enough.
    pub fn tick(&self, reached: Timestamp) {
        let _ = self.messages.try_send(Message::Tick(reached));
    }

    /// The tree size, as it grows.
    #[must_use]
    pub fn size(&self) -> watch::Receiver<u64> {
        self.size.clone()
    }
}

impl Thread {
    fn run(&mut self, mut queue: mpsc::Receiver<Message>) {
        // Ends when the last `Writer` is gone, after everything that was handed over.
        while let Some(message) = queue.blocking_recv() {
            let mut next = Some(message);
            let mut arrivals = Vec::new();
            let mut callers = Vec::new();
            let mut findings = 0;
            let mut tick = None;
            while let Some(message) = next {
                match message {
                    Message::Arrival(arrival, done) => {
                        findings += arrival.findings.len();
                        arrivals.push(*arrival);
                        callers.push(done);
                    }
                    Message::State(key, done) => {
                        let _ = done.send(self.state(&key));
                    }
                    Message::Tick(reached) => tick = Some(reached),
                }
                next = if findings < FINDINGS {
                    queue.try_recv().ok()
                } else {
                    None
                };
            }
            if !arrivals.is_empty() {
                let result = self.commit(arrivals);
                for (index, done) in callers.into_iter().enumerate() {
                    let records = result.as_ref().map(|records| records[index]);
                    let _ = done.send(records.map_err(|&error| error));
                }
            }
            if let Some(reached) = tick {
                self.tick(reached);
            }
        }
        tracing::info!("the ledger is closed");
    }

    fn state(&mut self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let (store, _) = self.store()?;
        store.state(key).map_err(|error| {
            tracing::error!("a state row cannot be read: {error}");
            Unavailable
        })
    }

    /// How many new records each of them made.
    fn commit(&mut self, arrivals: Vec<Arrival>) -> Result<Vec<u64>, Unavailable> {
        let kept = self.careful.then(|| arrivals.clone());
        match (self.together(arrivals), kept) {
            (Ok(told), _) => Ok(told.records),
            (Err(Failed::Panicked), Some(kept)) => self.apart(kept),
            (Err(_), _) => Err(Unavailable),
        }
    }

    /// In one transaction.
    fn together(&mut self, arrivals: Vec<Arrival>) -> Result<Told, Failed> {
        let began = Instant::now();
        let (store, intake) = self.store().map_err(|Unavailable| Failed::Unavailable)?;
        // Both are thrown away after a panic; SQLite rolls back what was begun.
        let commit = || intake.commit(store, arrivals, Timestamp::now());
        let committed = guarded(commit);
        let seconds = began.elapsed().as_secs_f64();
        self.metrics.ledger.commit_seconds.observe(seconds);
        match committed {
            Some(committed) => self
                .settle(committed)
                .map_err(|Unavailable| Failed::Unavailable),
            None => Err(self.panicked()),
        }
    }

    fn tick(&mut self, reached: Timestamp) {
        let Ok((store, intake)) = self.store() else {
            return;
        };
        let tick = || {
            let ticked = intake.tick(store, Timestamp::now(), reached);
            (ticked, intake.missing())
        };
        let Some((ticked, missing)) = guarded(tick) else {
            self.panicked();
            return;
        };
        self.metrics.ledger.missing(missing);
        // What did not work now is due again at the next tick.
        let _ = self.settle(ticked);
    }

    /// The core is in the middle of something: the next one begins with what is on disk.
    fn panicked(&mut self) -> Failed {
        self.metrics.panicked("committing");
        self.careful = true;
        if let Some((_, intake)) = self.held.take() {
            self.hearsay = guarded(|| intake.into_hearsay()).unwrap_or_default();
        }
        // There is nothing to wait for.
        self.tried = None;
        Failed::Panicked
    }

    fn settle(&mut self, done: Result<Told, StoreError>) -> Result<Told, Unavailable> {
        match done {
            Ok(told) => {
                self.metrics.told(&told, Timestamp::now());
                if let Some(size) = told.size {
                    self.size.send_replace(size);
                }
                Ok(told)
            }
            Err(error) => {
                self.failed(&error);
                Err(Unavailable)
            }
        }
    }

    fn failed(&mut self, error: &StoreError) {
        use std::error::Error as _;
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            source,
            "the ledger took nothing and is opened again: {error}"
        );
        self.metrics.ledger.commit_failures.inc();
        self.metrics.ledger.store_ready.set(0);
        self.health.not_ready(format!("{error}: {source}"));
        if let Some((_, intake)) = self.held.take() {
            self.hearsay = intake.into_hearsay();
        }
        self.tried = Some(Instant::now());
    }

    /// The open store; opened again, with everything the core knew, after a failure.
    fn store(&mut self) -> Result<&mut (Store, Intake), Unavailable> {
        if self.held.is_none() {
            if self.tried.is_some_and(|tried| tried.elapsed() < REOPEN) {
                return Err(Unavailable);
            }
            self.tried = Some(Instant::now());
            let (waits, objects) = (self.waits, self.objects.clone());
            let waiting = Arc::clone(&self.waiting);
            let to_ask = Arc::clone(&self.numbers_to_ask);
            let heard = Arrival {
                hearsay: self.hearsay.clone(),
                ..Arrival::default()
            };
            let open = || {
                (self.open)().and_then(|mut store| {
                    let now = Timestamp::now();
                    let intake = Intake::load(&mut store, waits, now)?;
                    let mut intake = intake.remembering(objects).telling(waiting).asking(to_ask);
                    intake.commit(&mut store, vec![heard], now)?;
                    Ok((store, intake))
                })
            };
            let Some(opened) = guarded(open) else {
                // What was heard is all that is not on disk.
                self.metrics.panicked("committing");
                self.hearsay.clear();
                return Err(Unavailable);
            };
            match opened {
                Ok(held) => {
                    tracing::info!(size = held.0.size(), "the ledger is open again");
                    self.health.ready();
                    self.metrics.ledger.store_ready.set(1);
                    self.size.send_replace(held.0.size());
                    self.hearsay.clear();
                    self.held = Some(held);
                }
                Err(error) => {
                    self.failed(&error);
                    return Err(Unavailable);
                }
            }
        }
        self.held.as_mut().ok_or(Unavailable)
    }
}

#[cfg(test)]
pub(crate) use by_hand::{ByHand, Done};

/// A ledger that a test plays.
#[cfg(test)]
mod by_hand {
    use super::*;

    /// Where the answer goes.
    pub(crate) type Done = oneshot::Sender<Result<u64, Unavailable>>;

    /// What is handed over, to be answered by the test.
    pub(crate) struct ByHand {
        queue: mpsc::Receiver<Message>,
        _size: watch::Sender<u64>,
    }

    impl Writer {
        pub(crate) fn by_hand() -> (Writer, ByHand) {
            let (messages, queue) = mpsc::channel(QUEUE);
            let (sender, size) = watch::channel(0);
            let writer = Writer {
                messages,
                size,
                waiting: Arc::default(),
                numbers_to_ask: Arc::default(),
            };
            let ledger = ByHand {
                queue,
                _size: sender,
            };
            (writer, ledger)
        }
    }

    impl ByHand {
        pub(crate) async fn next(&mut self) -> (Arrival, Done) {
            loop {
                match self.queue.recv().await.unwrap() {
                    Message::Arrival(arrival, done) => return (*arrival, done),
                    Message::State(_, done) => _ = done.send(Ok(None)),
                    Message::Tick(_) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
