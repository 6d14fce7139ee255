//! The law at any time: the watch's book of the last hour, and the ledger for the days
//! before.

use arc_swap::ArcSwap;
use docket_ledger::query::Reader;
use docket_ledger::store::StoreError;
use docket_record::law::{Entry, LawBook, Shelves, Version, WITHIN, autogen};
use docket_record::policies::PolicyList;
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How far back versions are held in memory by the watch.
pub const HELD: SignedDuration = SignedDuration::from_hours(1);
/// Span of one book that is read from the ledger, in seconds.
const SPAN: i64 = 6 * 3600;
/// Such books held at one time.
const BOOKS: usize = 4;
/// What is doubted where the ledger could not be read.
const UNREAD: &str = "the laws of that time could not be read";

/// What was in force when; shared by all who ask.
pub struct Laws {
    book: ArcSwap<LawBook>,
    /// How often the watch has told of something new.
    published: AtomicU64,
    store: Option<PathBuf>,
    // std: held while a book is made, so that it is made once.
    old: Mutex<Vec<Old>>,
}

/// The law of a span long past, as far as was known when it was read: a version that is
/// found after an absence may have come in any span before.
struct Old {
    span: i64,
    /// [`Laws::published`] of then.
    published: u64,
    book: Arc<LawBook>,
}

impl Default for Laws {
    fn default() -> Laws {
        Laws::new(None)
    }
}

impl Laws {
    /// Nothing is known before the first [`Laws::publish`]. `store`: where the laws of
    /// earlier days are.
    #[must_use]
    pub fn new(store: Option<PathBuf>) -> Laws {
        Laws {
            book: ArcSwap::from_pointee(LawBook::default()),
            published: AtomicU64::new(0),
            store,
            old: Mutex::default(),
        }
    }

    /// The watch knows more, and has it on record. No law is written but by the watch, so
    /// nothing that was read of the ledger before holds now.
    pub fn publish(&self, book: LawBook) {
        self.book.store(Arc::new(book));
        self.published.fetch_add(1, Ordering::AcqRel);
    }

    /// What was in force at a stage time, as far as is known. Cheap where nothing has
    /// changed for a while; may read the ledger for times long past.
    #[must_use]
    pub fn at(&self, time: Timestamp) -> Arc<PolicyList> {
        let book = self.book.load();
        match &self.store {
            Some(store) if time < book.begins() => self.long_ago(store, time),
            _ => book.at(time),
        }
    }

    /// What is in force now.
    #[must_use]
    pub fn now(&self) -> Arc<PolicyList> {
        self.book.load().now()
    }

    fn long_ago(&self, store: &Path, time: Timestamp) -> Arc<PolicyList> {
        let span = time.as_second().div_euclid(SPAN);
        // Read before the ledger and the doubts are: what comes meanwhile is read again.
        let published = self.published.load(Ordering::Acquire);
        let mut old = self.old.lock().unwrap_or_else(PoisonError::into_inner);
        old.retain(|known| known.published == published);
        if let Some(known) = old.iter().find(|known| known.span == span) {
            return known.book.at(time);
        }
        let edge = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        let (from, until) = (edge(span * SPAN), edge((span + 1) * SPAN));
        let read = Reader::open(store).and_then(|reader| shelves(&reader, from, until));
        match read {
            Ok(shelves) => {
                let shelves = shelves.doubting_as(&self.book.load());
                let book = Arc::new(shelves.book(true));
                if old.len() >= BOOKS {
                    old.remove(0);
                }
                let list = book.at(time);
                old.push(Old {
                    span,
                    published,
                    book,
                });
                list
            }
            Err(error) => {
                tracing::warn!("the laws of {from} cannot be read: {error}");
                Arc::new(PolicyList {
                    synced: true,
                    doubt: Some(UNREAD.to_owned()),
                    ..PolicyList::default()
                })
            }
        }
    }
}

fn shelves(reader: &Reader, from: Timestamp, until: Timestamp) -> Result<Shelves, StoreError> {
    let mut shelves = Shelves::default();
    for law in entries(reader, from, until)? {
        let Some(place) = law.entry.place() else {
            continue;
        };
        for version in Version::of(&law.entry, &law.autogen) {
            shelves.put(place.clone(), version);
        }
    }
    Ok(shelves)
}

/// A law entry, with what Kyverno made of the policy for controllers of pods.
pub struct Recorded {
    /// The entry.
    pub entry: Entry,
    /// Oldest first.
    pub autogen: Vec<autogen::Amendment>,
}

/// Law entries that matter to the time between two moments, oldest first: those observed
/// then or a little before or after, the last of each object before them, and the first
/// after them: the watch may have been away at the end of that time.
///
/// # Errors
/// If the ledger can't be read.
pub fn entries(
    reader: &Reader,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<Recorded>, StoreError> {
    let micros = |time: Timestamp| time.as_microsecond();
    let from = micros(from.saturating_sub(WITHIN).unwrap_or(Timestamp::MIN));
    let until = micros(until.saturating_add(WITHIN).unwrap_or(Timestamp::MAX));
    let rows = reader.laws_in_force(from, until)?;
    let mut laws = Vec::with_capacity(rows.len());
    for row in rows {
        let amendments = reader.amendments(&row.id)?.into_iter();
        let autogen = amendments.filter_map(|row| autogen::Amendment::read(&row.public));
        match serde_json::from_slice(&row.public) {
            Ok(entry) => laws.push(Recorded {
                entry,
                autogen: autogen.collect(),
            }),
            Err(error) => tracing::error!(
                position = row.position,
                "a law entry is unreadable: {error}"
            ),
        }
    }
    Ok(laws)
}

#[cfg(test)]
mod tests;
