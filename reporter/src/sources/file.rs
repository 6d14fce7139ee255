//! The tail of kube-apiserver's own audit log.
//!
//! The line is on disk before the client has its answer, so this source loses nothing
//! that a killed API server would have lost. The place reached (device, inode, offset,
//! hash of the first line) is committed with the entries it stands for.
//!
//! ```text
//!  find ──▶ pump ──▶ (end) ──▶ wait, or next file in order of rotation
//!    ▲        │ cut, gone, unreadable: a gap entry, and on
//!    └────────┘
//! ```

mod away;
mod find;
mod lost;
mod pump;
mod reading;

use super::Court;
use crate::health::Part;
use crate::metrics::Metrics;
use crate::writer::Writer;
use away::Away;
use jiff::Timestamp;
use reading::Reading;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two looks at a file that has nothing new.
const POLL: Duration = Duration::from_millis(100);
/// After the ledger refused.
const BACK_OFF: Duration = Duration::from_secs(1);
/// Whole lines committed together, in bytes.
const CHUNK: usize = 2 * 1024 * 1024;
/// A file that is missing or can't be read for this long is a gap.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where we are, as kept in the ledger's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    dev: u64,
    ino: u64,
    /// Bytes read, all of them whole lines; of the uncompressed content.
    offset: u64,
    /// SHA-256 of the first line; empty while there is none.
    first: String,
    /// Byte at which the first line begins: before it is a hole.
    #[serde(default, skip_serializing_if = "is_zero")]
    first_at: u64,
    /// When the first event was written, microseconds; 0 where that is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    began: u64,
    /// When the last line that was read was written, microseconds; 0 where that is not
    /// known.
    #[serde(default, skip_serializing_if = "is_zero")]
    read_to: u64,
    /// When this place was reached, milliseconds.
    at: i64,
    /// Since when every line was read and understood, milliseconds; 0 where that is not
    /// known.
    #[serde(default, skip_serializing_if = "is_zero")]
    whole_since: i64,
    /// As [`Away`]; written here by earlier versions.
    #[serde(default, skip_serializing)]
    unreadable: Option<String>,
}

impl Place {
    /// From when on something may be lost, if what comes after this place is.
    fn lost_from(&self) -> Option<Timestamp> {
        let reached = Timestamp::from_millisecond(self.at).ok()?;
        let read_to = i64::try_from(self.read_to).ok().filter(|time| *time > 0);
        let read_to = read_to.and_then(|time| Timestamp::from_microsecond(time).ok());
        Some(read_to.unwrap_or(reached).min(reached))
    }
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// How far a file source has come, as its state row says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct FileState {
    #[serde(default)]
    read_to: u64,
    #[serde(default)]
    whole_since: i64,
}

impl FileState {
    /// The last line that was read was written then; the epoch where that is not known.
    pub(crate) fn read_to(&self) -> Timestamp {
        let micros = i64::try_from(self.read_to).unwrap_or(0);
        Timestamp::from_microsecond(micros).unwrap_or_default()
    }

    /// Since then every line was read and understood; `None` where that is not known.
    pub(crate) fn whole_since(&self) -> Option<Timestamp> {
        let since = Some(self.whole_since).filter(|since| *since > 0);
        since.and_then(|since| Timestamp::from_millisecond(since).ok())
    }
}

/// What a step has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More can be done at once.
    Again,
    /// Nothing to do at present.
    Wait,
    /// The ledger takes nothing; nothing was lost.
    Refused,
}

/// How far a file source has come: what was written before that moment has been read, or
/// is not to be had. Numbers of that time are missed if they have not come.
#[derive(Debug, Default)]
pub struct Reached(AtomicI64);

impl Reached {
    fn to(&self, time: Timestamp) {
        self.0.fetch_max(time.as_millisecond(), Ordering::Relaxed);
    }

    /// The moment; the epoch until something was read.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        let reached = self.0.load(Ordering::Relaxed);
        Timestamp::from_millisecond(reached).unwrap_or_default()
    }
}

/// One file source.
pub struct Tail {
    name: String,
    path: PathBuf,
    court: Arc<Court>,
    writer: Writer,
    metrics: Metrics,
    part: Part,
    runtime: tokio::runtime::Handle,
    reached: Arc<Reached>,
    place: Option<Place>,
    reading: Option<Reading>,
    /// The file that is written to was read to its end at this moment.
    current: Option<Instant>,
    /// Since when every step fails.
    failing: Option<(Instant, Timestamp)>,
    /// An open gap says that the log is not to be had at present.
    away: Option<Away>,
    /// For how long a failure is taken for a passing one.
    patience: Duration,
}

/// What all file sources share.
pub struct Shared {
    /// How to read events.
    pub court: Arc<Court>,
    /// Where they go.
    pub writer: Writer,
    /// Counters.
    pub metrics: Metrics,
    /// For questions to witnesses.
    pub runtime: tokio::runtime::Handle,
}

impl Tail {
    /// Continue where the ledger says this source was.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn new(
        name: &str,
        path: &Path,
        shared: &Shared,
        part: Part,
        reached: Arc<Reached>,
    ) -> anyhow::Result<Tail> {
        shared.metrics.sources.source(name);
        let place = shared.writer.state(&key(name)).await?;
        let mut place: Option<Place> = place.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(place) = place.as_mut().filter(|place| place.whole_since == 0) {
            // Kept by an earlier version, which said nothing of it.
            place.whole_since = Timestamp::now().as_millisecond();
        }
        let away = shared.writer.state(&away::key(name)).await?;
        let away = away.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let before = place.as_ref().and_then(|place| place.unreadable.clone());
        Ok(Tail {
            name: name.to_owned(),
            path: path.to_owned(),
            court: Arc::clone(&shared.court),
            writer: shared.writer.clone(),
            metrics: shared.metrics.clone(),
            part,
            runtime: shared.runtime.clone(),
            reached,
            place,
            reading: None,
            current: None,
            failing: None,
            away: away.or_else(|| before.map(Away::unreadable)),
            patience: PATIENCE,
        })
    }

    /// Read until told to stop. Blocks; runs on a thread of its own.
    pub fn run(mut self, stopped: &watch::Receiver<bool>) {
        while !*stopped.borrow() {
            match self.step() {
                Step::Again => {}
                Step::Wait => std::thread::sleep(POLL),
                Step::Refused => std::thread::sleep(BACK_OFF),
            }
        }
    }

    /// One step.
    pub fn step(&mut self) -> Step {
        let stepped = if self.reading.is_none() {
            self.find()
        } else {
            self.pump()
        };
        match stepped {
            Ok(step) => {
                self.failing = None;
                step
            }
            Err(error) => self.failed(&error),
        }
    }
}

/// State row of a file source.
pub(crate) fn key(name: &str) -> String {
    format!("source/{name}")
}

#[cfg(test)]
mod tests;
