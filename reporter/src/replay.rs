//! `--replay DIR`: a recorded day, through the same intake, into a store that goes away.
//!
//! `DIR/policies.json` (an array of objects), `DIR/audit.jsonl` (audit events, one a
//! line), `DIR/mac-keys/` (a file per key), `DIR/cluster` (the cluster's name, if
//! `--cluster` is not given). Nothing is asked of a cluster and no Event is published.

use crate::intake::Arrival;
use crate::sources::{Court, Line};
use crate::watch::recorded;
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use docket_ledger::entry::NewEntry;
use docket_record::entry::base32;
use docket_record::law::LawBook;
use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// Lines in one transaction.
const LINES: usize = 400;

/// A directory that is removed when the replay ends.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh one.
    ///
    /// # Errors
    /// If none can be made.
    pub fn new() -> Result<Scratch> {
        let name = format!("docket-replay-{}-{}", std::process::id(), &token()?[..8]);
        let dir = std::env::temp_dir().join(name);
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Scratch(dir))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// 160 random bits, for the one reader of a replay.
///
/// # Errors
/// If the system has no randomness.
pub fn token() -> Result<String> {
    let mut bytes = [0; 20];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no randomness"))?;
    Ok(base32(&bytes))
}

/// The law of the recording, and its entries.
///
/// # Errors
/// If it can't be read.
pub fn laws(dir: &Path) -> Result<(LawBook, Vec<NewEntry>)> {
    let path = dir.join("policies.json");
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let objects: Vec<Value> = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not an array of objects", path.display()))?;
    Ok(recorded(&objects))
}

/// The recorded cluster's name.
#[must_use]
pub fn cluster(dir: &Path) -> Option<String> {
    let name = std::fs::read_to_string(dir.join("cluster")).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// All recorded events, through the intake.
///
/// # Errors
/// If they can't be read or kept.
pub fn events(dir: &Path, court: &Court, writer: &Writer) -> Result<u64> {
    let path = dir.join("audit.jsonl");
    let file =
        std::fs::File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines = BufReader::new(file).split(b'\n');
    let mut total = 0;
    loop {
        let mut arrival = Arrival::default();
        let mut read = 0;
        for line in lines.by_ref().take(LINES) {
            if court.line("replay", &line?, Timestamp::now(), &mut arrival) == Line::Legacy {
                anyhow::bail!("{} is of --audit-log-format=legacy", path.display());
            }
            read += 1;
        }
        if read == 0 {
            return Ok(total);
        }
        total += read;
        writer.commit_blocking(arrival)?;
    }
}
