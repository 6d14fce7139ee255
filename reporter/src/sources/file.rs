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

use super::quarantine::Put;
use super::{Court, LONGEST, aside};
use crate::gaps::{Amendment, Cause, Gap};
use crate::health::Part;
use crate::intake::Arrival;
use crate::metrics::Metrics;
use crate::sources::rotation::{self, Candidate};
use crate::writer::Writer;
use data_encoding::HEXLOWER;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use ring::digest::{Context, SHA256, digest};
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two looks at a file that has nothing new.
const POLL: Duration = Duration::from_millis(100);
/// After the ledger refused.
const BACK_OFF: Duration = Duration::from_secs(1);
/// Whole lines committed together, in bytes.
const CHUNK: usize = 2 * 1024 * 1024;
/// Of the first line, this much is hashed.
const FIRST: usize = 64 * 1024;
/// A file that can't be read for this long is a gap.
const UNREADABLE: Duration = Duration::from_secs(10);
/// A compressed file younger than this may still be being written.
const COMPRESSING: Duration = Duration::from_secs(60);

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

/// A file being read.
struct Reading {
    path: PathBuf,
    input: Input,
    /// Bytes after `place.offset` that were read and not committed.
    buffer: Vec<u8>,
    /// It was seen to be replaced; what is left is read once more to its end.
    replaced: bool,
    /// A line longer than [`LONGEST`], of which only hash and length are kept.
    long: Option<Long>,
    /// Bytes in the buffer that are not in the file.
    padding: u64,
    seen: Option<(u64, i64, i64)>,
}

/// What is kept of a line that is too long.
struct Long {
    hash: Context,
    length: u64,
    /// Hash of its beginning, as [`Place::first`] would have it.
    first: String,
}

enum Input {
    Plain(File),
    Gzip(MultiGzDecoder<File>),
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

    /// The file of our place, or what is read in its stead.
    fn find(&mut self) -> io::Result<Step> {
        let candidates = rotation::candidates(&self.path)?;
        let Some(place) = self.place.clone() else {
            if candidates.last().is_none_or(|last| last.path != self.path) {
                self.part
                    .not_ready(format!("{} does not exist yet", self.path.display()));
                return Ok(Step::Wait);
            }
            let path = self.path.clone();
            return self.open(&path, None);
        };
        let mut by_first = None;
        for candidate in &candidates {
            let same_inode = !candidate.gzip && candidate.identity == (place.dev, place.ino);
            if place.first.is_empty() {
                if same_inode {
                    let path = candidate.path.clone();
                    return self.open(&path, Some(place));
                }
                continue;
            }
            let first = match first_line(candidate) {
                Ok(first) => first,
                Err(_) if candidate.young(COMPRESSING) => return Ok(Step::Wait),
                Err(error) if candidate.path == self.path => return Err(error),
                Err(_) => continue,
            };
            if first.as_deref() == Some(place.first.as_str()) {
                by_first = Some(candidate.path.clone());
                if same_inode {
                    break;
                }
            }
        }
        if let Some(path) = by_first {
            return self.open(&path, Some(place));
        }
        if place.first.is_empty() && place.offset == 0 {
            // Nothing was ever read of it: nothing is lost by starting over.
            self.place = None;
            return Ok(Step::Again);
        }
        let next = candidates
            .iter()
            .find(|c| c.modified >= place.at)
            .or(candidates.last());
        let Some(next) = next.map(|next| next.path.clone()) else {
            self.part
                .not_ready(format!("{} is missing", self.path.display()));
            return Ok(Step::Wait);
        };
        let rewritten = candidates
            .iter()
            .any(|c| c.path == self.path && c.identity == (place.dev, place.ino));
        let (cause, says) = if rewritten {
            (
                Cause::FileCut,
                "the audit log was cut in place, or replaced by another under the same inode",
            )
        } else {
            (
                Cause::FileGone,
                "the audit log was removed before it was read to its end",
            )
        };
        if !self.lost(cause, says, &place) {
            return Ok(Step::Refused);
        }
        self.open(&next, None)
    }

    /// Start to read `path`, at `place` or at its beginning.
    fn open(&mut self, path: &Path, place: Option<Place>) -> io::Result<Step> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let gzip = rotation::is_gzip(path);
        let now = Timestamp::now();
        let place = match place {
            Some(place) if !gzip && metadata.len() < place.offset => {
                let says = "the audit log is shorter than what was read of it";
                if !self.lost(Cause::FileCut, says, &place) {
                    return Ok(Step::Refused);
                }
                Place {
                    at: now.as_millisecond(),
                    ..Place::default()
                }
            }
            Some(place) => place,
            None => Place {
                at: now.as_millisecond(),
                ..Place::default()
            },
        };
        let input = if gzip {
            let mut input = MultiGzDecoder::new(file);
            let skipped = io::copy(&mut (&mut input).take(place.offset), &mut io::sink())?;
            if skipped < place.offset {
                return Err(io::Error::other(
                    "the compressed log is shorter than what was read",
                ));
            }
            Input::Gzip(input)
        } else {
            file.seek(SeekFrom::Start(place.offset))?;
            Input::Plain(file)
        };
        tracing::info!(source = self.name, path = %path.display(), offset = place.offset, "reading");
        self.catching_up.store(true, Ordering::Relaxed);
        self.place = Some(Place {
            dev: metadata.dev(),
            ino: metadata.ino(),
            ..place
        });
        self.reading = Some(Reading {
            path: path.to_owned(),
            input,
            buffer: Vec::new(),
            replaced: false,
            long: None,
            padding: 0,
            seen: None,
        });
        Ok(Step::Again)
    }

    /// Read some, commit the whole lines.
    fn pump(&mut self) -> io::Result<Step> {
        let (Some(reading), Some(place)) = (&mut self.reading, &self.place) else {
            return Ok(Step::Again);
        };
        if reading.was_cut(place)? {
            let place = place.clone();
            if !self.lost(Cause::FileCut, "the audit log was cut in place", &place) {
                return Ok(Step::Refused);
            }
            let path = self.path.clone();
            self.reading = None;
            self.place = None;
            return self.open(&path, None);
        }
        let end = reading.fill()?;
        let whole = reading.whole_lines();
        if whole > 0 || reading.long_ended() {
            return Ok(self.commit(whole, None));
        }
        if end { self.at_end() } else { Ok(Step::Again) }
    }

    /// Commit the first `whole` bytes of the buffer, and then be at `next` if given.
    fn commit(&mut self, whole: usize, next: Option<Place>) -> Step {
        let now = Timestamp::now();
        let (Some(reading), Some(place)) = (&mut self.reading, &self.place) else {
            return Step::Again;
        };
        let mut arrival = Arrival::default();
        let mut to = Place {
            offset: place.offset + whole as u64 - reading.padding,
            at: now.as_millisecond(),
            unreadable: None,
            ..place.clone()
        };
        let mut lines = reading.buffer[..whole].split(|&byte| byte == b'\n');
        if let Some(Long {
            hash,
            length,
            first,
        }) = &reading.long
        {
            // The buffer begins with the end of the long line.
            let rest = lines.next().unwrap_or_default();
            let mut hash = hash.clone();
            hash.update(rest);
            let sha256 = HEXLOWER.encode(hash.finish().as_ref());
            let put = Put {
                sha256,
                length: length + rest.len() as u64,
                kept: false,
            };
            let why = "the line is longer than 64 MiB";
            arrival
                .gaps
                .push(aside(&self.name, Cause::QuarantinedItem, &put, why, now).counting(1));
            to.offset += length;
            if to.first.is_empty() {
                to.first.clone_from(first);
            }
        }
        for line in lines {
            if to.first.is_empty() && !line.is_empty() {
                to.first = hash_first(line);
            }
            self.court.line(&self.name, line, now, &mut arrival);
        }
        if let Some(gap) = &place.unreadable {
            arrival.amendments.push(Amendment::gap_closed(gap, now));
        }
        if let Some(next) = next {
            to = next;
        }
        if arrival.findings.iter().any(|finding| finding.collection) {
            self.runtime.block_on(self.court.collections(&mut arrival));
        }
        arrival
            .state
            .push((key(&self.name), Some(crate::gaps::json(&to))));
        if self.writer.commit_blocking(arrival).is_err() {
            self.metrics.batch(&self.name, "unavailable");
            return Step::Refused;
        }
        self.metrics.batch(&self.name, "committed");
        reading.long = None;
        reading.padding = 0;
        reading.buffer.drain(..whole);
        if reading.buffer.capacity() > 8 * CHUNK {
            reading.buffer.shrink_to(CHUNK);
        }
        self.place = Some(to);
        Step::Again
    }

    /// Nothing more in this file: is it still the one that is written to?
    fn at_end(&mut self) -> io::Result<Step> {
        let (Some(reading), Some(place)) = (&mut self.reading, &self.place) else {
            return Ok(Step::Again);
        };
        match std::fs::metadata(&self.path) {
            Ok(current) if reading.is(&current, place) => {
                self.part.ready();
                self.metrics.behind(&self.name, 0);
                self.catching_up.store(false, Ordering::Relaxed);
                return Ok(Step::Wait);
            }
            // Between rename and create; or the API server is away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.catching_up.store(false, Ordering::Relaxed);
                return Ok(Step::Wait);
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        if !reading.replaced {
            // What was written between our last read and the rename is still to come.
            reading.replaced = true;
            return Ok(Step::Again);
        }
        if !reading.buffer.is_empty() {
            // A last line without its newline: its writer died. If it is whole it counts.
            if reading.padding == 0 {
                reading.buffer.push(b'\n');
                reading.padding = 1;
            }
            let whole = reading.buffer.len();
            return Ok(self.commit(whole, None));
        }
        self.next()
    }

    /// The file that was begun after this one.
    fn next(&mut self) -> io::Result<Step> {
        let (Some(reading), Some(place)) = (&self.reading, &self.place) else {
            return Ok(Step::Again);
        };
        let candidates = rotation::candidates(&self.path)?;
        let ours = candidates.iter().position(|candidate| {
            candidate.path == reading.path && candidate.path != self.path
                || !candidate.gzip && candidate.identity == (place.dev, place.ino)
                || !place.first.is_empty()
                    && first_line(candidate).ok().flatten().as_ref() == Some(&place.first)
        });
        let next = match ours {
            Some(ours) => candidates.get(ours + 1),
            None => candidates
                .iter()
                .find(|c| c.modified >= place.at)
                .or(candidates.last()),
        };
        let Some(next) = next.map(|next| next.path.clone()) else {
            return Ok(Step::Wait);
        };
        let metadata = std::fs::metadata(&next)?;
        let start = Place {
            dev: metadata.dev(),
            ino: metadata.ino(),
            at: Timestamp::now().as_millisecond(),
            ..Place::default()
        };
        match self.commit(0, Some(start.clone())) {
            Step::Again => {
                self.reading = None;
                self.open(&next, Some(start))
            }
            refused => Ok(refused),
        }
    }

    /// Write down that something was lost after `place`. False if the ledger refused.
    fn lost(&mut self, cause: Cause, says: &str, place: &Place) -> bool {
        let now = Timestamp::now();
        let from = Timestamp::from_millisecond(place.at).unwrap_or(now);
        let which = format!(
            "{} {} {} {}",
            place.dev, place.ino, place.offset, place.first
        );
        let gap = Gap::new(&self.name, cause, &which, now)
            .spanning(from, now)
            .saying(says);
        let arrival = Arrival {
            gaps: vec![gap],
            // The place is given up in the same transaction, so it is told once.
            state: vec![(key(&self.name), None)],
            ..Arrival::default()
        };
        tracing::warn!(
            source = self.name,
            "{says}; the ledger says from when to when"
        );
        let kept = self.writer.commit_blocking(arrival).is_ok();
        if kept {
            self.place = None;
        }
        kept
    }

    fn failed(&mut self, error: &io::Error) -> Step {
        let since = *self.failing.get_or_insert_with(Instant::now);
        self.part
            .not_ready(format!("{} cannot be read: {error}", self.path.display()));
        if since.elapsed() < UNREADABLE {
            return Step::Wait;
        }
        self.catching_up.store(false, Ordering::Relaxed);
        let current = self
            .reading
            .as_ref()
            .is_none_or(|reading| reading.path == self.path);
        if current {
            return self.unreadable(error);
        }
        // A rotated file that stays unreadable (a damaged archive) is given up.
        let Some(place) = self.place.clone() else {
            return Step::Wait;
        };
        if !self.lost(
            Cause::FileUnreadable,
            &format!("a rotated log is unreadable: {error}"),
            &place,
        ) {
            return Step::Refused;
        }
        self.place = Some(place);
        self.failing = None;
        match self.next() {
            Ok(step) => step,
            Err(_) => Step::Wait,
        }
    }

    /// The current file can't be read: said once, closed when it can be again.
    fn unreadable(&mut self, error: &io::Error) -> Step {
        let Some(place) = &mut self.place else {
            return Step::Wait;
        };
        if place.unreadable.is_some() {
            return Step::Wait;
        }
        let now = Timestamp::now();
        let from = Timestamp::from_millisecond(place.at).unwrap_or(now);
        let which = format!("{} {}", place.offset, now);
        let gap = Gap::new(&self.name, Cause::FileUnreadable, &which, now)
            .spanning(from, now)
            .saying(format!(
                "the audit log cannot be read: {error}; it is tried again"
            ));
        place.unreadable = Some(gap.id.clone());
        let state = vec![(key(&self.name), Some(crate::gaps::json(place)))];
        let arrival = Arrival {
            gaps: vec![gap],
            state,
            ..Arrival::default()
        };
        if self.writer.commit_blocking(arrival).is_err() {
            if let Some(place) = &mut self.place {
                place.unreadable = None;
            }
            return Step::Refused;
        }
        Step::Wait
    }
}

impl Reading {
    /// Read until there is a chunk of whole lines, or no more. True at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut piece = vec![0; 256 * 1024];
        while self.buffer.len() < CHUNK || !self.buffer.contains(&b'\n') {
            if self.buffer.len() > LONGEST && self.whole_lines() == 0 {
                let long = self.long.get_or_insert_with(|| Long {
                    hash: Context::new(&SHA256),
                    length: 0,
                    first: hash_first(&self.buffer),
                });
                long.hash.update(&self.buffer);
                long.length += self.buffer.len() as u64;
                self.buffer = Vec::new();
            }
            let read = match &mut self.input {
                Input::Plain(file) => file.read(&mut piece)?,
                Input::Gzip(decoder) => decoder.read(&mut piece)?,
            };
            if read == 0 {
                return Ok(true);
            }
            self.buffer.extend_from_slice(&piece[..read]);
        }
        Ok(false)
    }

    /// Length of the whole lines in the buffer, newline included.
    fn whole_lines(&self) -> usize {
        self.buffer
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1)
    }

    fn long_ended(&self) -> bool {
        self.long.is_some() && self.whole_lines() > 0
    }

    fn is(&self, current: &Metadata, place: &Place) -> bool {
        matches!(self.input, Input::Plain(_))
            && (current.dev(), current.ino()) == (place.dev, place.ino)
    }

    /// True if the file no longer holds what was read of it. Looked at again only when
    /// size or times have changed.
    fn was_cut(&mut self, place: &Place) -> io::Result<bool> {
        let Input::Plain(file) = &self.input else {
            return Ok(false);
        };
        let metadata = file.metadata()?;
        let seen = (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        if self.seen == Some(seen) {
            return Ok(false);
        }
        self.seen = Some(seen);
        if metadata.len() < place.offset {
            return Ok(true);
        }
        if place.offset == 0 || place.first.is_empty() {
            return Ok(false);
        }
        let mut start = vec![0; FIRST];
        let mut read = 0;
        while read < FIRST {
            match file.read_at(&mut start[read..], read as u64)? {
                0 => break,
                more => read += more,
            }
            if start[..read].contains(&b'\n') {
                break;
            }
        }
        Ok(hash_of_start(&start[..read]).is_some_and(|first| first != place.first))
    }
}

fn key(name: &str) -> String {
    format!("source/{name}")
}

fn hash_first(line: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, &line[..line.len().min(FIRST)]).as_ref())
}

/// The hash of the first line in `start`, the beginning of a file; `None` without one.
fn hash_of_start(start: &[u8]) -> Option<String> {
    match start.iter().position(|&byte| byte == b'\n') {
        Some(end) => Some(hash_first(&start[..end])),
        None if start.len() >= FIRST => Some(hash_first(start)),
        None => None,
    }
}

fn first_line(candidate: &Candidate) -> io::Result<Option<String>> {
    let file = File::open(&candidate.path)?;
    let mut start = Vec::with_capacity(4096);
    if candidate.gzip {
        MultiGzDecoder::new(file)
            .take(FIRST as u64)
            .read_to_end(&mut start)?;
    } else {
        file.take(FIRST as u64).read_to_end(&mut start)?;
    }
    Ok(hash_of_start(&start))
}

#[cfg(test)]
mod tests;
