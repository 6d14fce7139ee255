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

mod find;
mod lost;
mod opening;
mod pump;
mod reading;

use super::Court;
use crate::health::Part;
use crate::metrics::Metrics;
use crate::writer::Writer;
use reading::Reading;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two looks at a file that has nothing new.
const POLL: Duration = Duration::from_millis(100);
/// After the ledger refused.
const BACK_OFF: Duration = Duration::from_secs(1);
/// Whole lines committed together, in bytes.
const CHUNK: usize = 2 * 1024 * 1024;

/// Where we are, as kept in the ledger's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    dev: u64,
    ino: u64,
    /// Bytes read, all of them whole lines; of the uncompressed content.
    offset: u64,
    /// SHA-256 of the first line; empty while there is none.
    first: String,
    /// When this place was reached, milliseconds.
    at: i64,
    /// Id of a gap that says the file can't be read at present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
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

/// One file source.
pub struct Tail {
    name: String,
    path: PathBuf,
    court: Arc<Court>,
    writer: Writer,
    metrics: Metrics,
    part: Part,
    runtime: tokio::runtime::Handle,
    /// True while old lines are being read: numbers are not missed meanwhile.
    catching_up: Arc<AtomicBool>,
    place: Option<Place>,
    reading: Option<Reading>,
    failing: Option<Instant>,
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
        catching_up: Arc<AtomicBool>,
    ) -> anyhow::Result<Tail> {
        shared.metrics.sources.source(name);
        let place = shared.writer.state(&key(name)).await?;
        let place = place.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Tail {
            name: name.to_owned(),
            path: path.to_owned(),
            court: Arc::clone(&shared.court),
            writer: shared.writer.clone(),
            metrics: shared.metrics.clone(),
            part,
            runtime: shared.runtime.clone(),
            catching_up,
            place,
            reading: None,
            failing: None,
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

fn key(name: &str) -> String {
    format!("source/{name}")
}

#[cfg(test)]
mod tests;
