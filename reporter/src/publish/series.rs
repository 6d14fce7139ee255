//! Which Events there are, how far they count, and what a new denial does to them.
//!
//! The rules are those of client-go: the first denial of a series makes an Event without
//! `series`; the next ones are counted in it, from 2 on; after [`QUIET`] without one the
//! next denial makes a new Event. Here time is that of the denials and of the ledger, never
//! a clock, and all of it is kept in the ledger's state rows beside the cursor. So what is
//! looked at twice, because the process died in between, ends in the same Events with the
//! same counts.
//!
//! Bounded: so many series for a namespace and in all; the one that was quiet longest makes
//! room, and its next denial makes a new Event.

use super::rate::Rate;
use data_encoding::HEXLOWER;
use docket_ledger::query::Row;
use jiff::SignedDuration;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A series that was quiet for so long is over.
const QUIET: SignedDuration = SignedDuration::from_mins(6);
/// Series that are counted, for one namespace and in all.
const PER_NAMESPACE: usize = 256;
const SERIES: usize = 8192;
/// Namespaces whose rate is remembered.
const NAMESPACES: usize = 4096;
/// State rows: one for each series, by the hash of what it is.
const SERIES_ROWS: &str = "publish/series/";
/// State rows: one for each namespace that had Events lately.
const RATE_ROWS: &str = "publish/rate/";

/// What denials have in common that are one Event, as a hash.
pub(super) type Key = [u8; 16];

/// The key of a series.
pub(super) fn key(parts: &[&str]) -> Key {
    let mut bytes = Vec::with_capacity(256);
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    let mut key = Key::default();
    let length = key.len();
    key.copy_from_slice(&digest(&SHA256, &bytes).as_ref()[..length]);
    key
}

/// One Event that is counted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Series {
    /// Of the Event.
    pub(super) namespace: String,
    /// Of the Event.
    pub(super) name: String,
    /// Denials, the first included.
    pub(super) count: u64,
    /// How many of them the API server was told; 0 until the Event is there.
    pub(super) said: u64,
    /// Stage time of the last one, microseconds.
    pub(super) last: i64,
    /// Place of the latest one in the ledger.
    pub(super) position: u64,
    /// Round in which the API server was told last: others go first.
    #[serde(skip)]
    round: u64,
}

/// What a denial does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It makes a new Event, which also says how many before had none.
    Begins {
        /// Held back in that namespace since its last new Event.
        held: u64,
    },
    /// It is counted in an Event.
    Counts,
    /// It would make a new Event, and the namespace has had its share.
    HeldBack,
}

/// A denial, as far as counting goes.
pub(super) struct Seen<'a> {
    pub(super) namespace: &'a str,
    /// Stage time, microseconds.
    pub(super) time: i64,
    /// Of its row: when the ledger took it, and where.
    pub(super) recorded_at: i64,
    pub(super) position: u64,
    /// Name of the Event that it would make.
    pub(super) name: &'a str,
}

impl<'a> Seen<'a> {
    pub(super) fn of(row: &Row, namespace: &'a str, name: &'a str) -> Seen<'a> {
        Seen {
            namespace,
            time: row.time,
            recorded_at: row.recorded_at,
            position: row.position,
            name,
        }
    }
}

/// All that is counted at the moment.
#[derive(Default)]
pub(super) struct Book {
    series: HashMap<Key, Series>,
    rates: BTreeMap<String, Rate>,
    changed: BTreeSet<Key>,
    changed_rates: BTreeSet<String>,
    round: u64,
    /// Series that made room before the API server knew their count.
    pub(super) forgotten: u64,
}

impl Book {
    /// What the state rows say. A row that can't be read is as if it were not there: its
    /// series begins anew.
    pub(super) fn load(rows: Vec<(String, Vec<u8>)>) -> Book {
        let mut book = Book::default();
        for (row, value) in rows {
            if let Some(hash) = row.strip_prefix(SERIES_ROWS) {
                let key = HEXLOWER.decode(hash.as_bytes()).ok();
                let key = key.and_then(|key| Key::try_from(key).ok());
                if let (Some(key), Ok(series)) = (key, serde_json::from_slice(&value)) {
                    book.series.insert(key, series);
                }
            } else if let Some(namespace) = row.strip_prefix(RATE_ROWS)
                && let Ok(rate) = serde_json::from_slice(&value)
            {
                book.rates.insert(namespace.to_owned(), rate);
            }
        }
        book
    }

    /// Takes a denial into account.
    pub(super) fn denial(&mut self, key: Key, seen: &Seen<'_>) -> Effect {
        if let Some(series) = self.series.get_mut(&key)
            && seen.time.saturating_sub(series.last) <= micros(QUIET)
        {
            series.count += 1;
            series.last = series.last.max(seen.time);
            series.position = seen.position;
            self.changed.insert(key);
            return Effect::Counts;
        }
        match self.token(seen.namespace, seen.recorded_at) {
            Some(held) => {
                self.begin(key, seen, 1);
                Effect::Begins { held }
            }
            None => Effect::HeldBack,
        }
    }

    /// The Event of a series is gone: its latest denial makes a new one, which counts what
    /// the old one did not say. `None` while the namespace has had its share.
    pub(super) fn again(&mut self, key: Key, seen: &Seen<'_>) -> Option<(u64, u64)> {
        let series = self.series.get(&key)?;
        let unsaid = series.count.saturating_sub(series.said).max(1);
        let held = self.token(seen.namespace, seen.recorded_at)?;
        self.begin(key, seen, unsaid);
        Some((unsaid, held))
    }

    /// The API server has the Event with this count.
    pub(super) fn said(&mut self, key: Key, name: &str, count: u64) {
        let round = self.round;
        if let Some(series) = self.series.get_mut(&key).filter(|one| one.name == name) {
            series.said = series.said.max(count);
            series.round = round;
            self.changed.insert(key);
        }
    }

    /// There is no such Event, and there will be none: the next denial begins anew.
    pub(super) fn forget(&mut self, key: Key, name: &str) {
        if self.series.get(&key).is_some_and(|one| one.name == name) {
            self.series.remove(&key);
            self.changed.insert(key);
        }
    }

    /// Events that have more denials than the API server knows, at most so many of each
    /// namespace; those that were told longest ago first.
    pub(super) fn due(&mut self, per_namespace: usize) -> Vec<(Key, Series)> {
        self.round += 1;
        let mut due: Vec<(Key, Series)> = self
            .series
            .iter()
            .filter(|(_, series)| (1..series.count).contains(&series.said))
            .map(|(key, series)| (*key, series.clone()))
            .collect();
        due.sort_by_key(|(key, series)| (series.round, series.position, *key));
        let mut taken: HashMap<String, usize> = HashMap::new();
        due.retain(|(_, series)| {
            let taken = taken.entry(series.namespace.clone()).or_default();
            *taken += 1;
            *taken <= per_namespace
        });
        due
    }

    /// Lets go of what is over at this time, microseconds.
    pub(super) fn expire(&mut self, now: i64) {
        let Book {
            series, changed, ..
        } = self;
        series.retain(|key, series| {
            let quiet = now.saturating_sub(series.last);
            let over = quiet > micros(QUIET)
                && (series.said >= series.count || quiet > micros(super::STALE));
            if over {
                changed.insert(*key);
            }
            !over
        });
        let Book {
            rates,
            changed_rates,
            ..
        } = self;
        rates.retain(|namespace, rate| {
            let idle = rate.is_idle(now);
            if idle {
                changed_rates.insert(namespace.clone());
            }
            !idle
        });
    }

    /// State rows that differ from what was kept last.
    pub(super) fn rows(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let series = self.changed.iter().map(|key| {
            let row = format!("{SERIES_ROWS}{}", HEXLOWER.encode(key));
            (row, self.series.get(key).map(crate::gaps::json))
        });
        let rates = self.changed_rates.iter().map(|namespace| {
            let rate = self.rates.get(namespace).map(crate::gaps::json);
            (format!("{RATE_ROWS}{namespace}"), rate)
        });
        series.chain(rates).collect()
    }

    /// They were kept.
    pub(super) fn kept(&mut self) {
        self.changed.clear();
        self.changed_rates.clear();
    }

    fn begin(&mut self, key: Key, seen: &Seen<'_>, count: u64) {
        let replaced = Series {
            namespace: seen.namespace.to_owned(),
            name: seen.name.to_owned(),
            count,
            said: 0,
            last: seen.time,
            position: seen.position,
            round: self.round,
        };
        self.series.remove(&key);
        self.make_room(seen.namespace);
        self.series.insert(key, replaced);
        self.changed.insert(key);
    }

    fn make_room(&mut self, namespace: &str) {
        let own = |series: &Series| series.namespace == namespace;
        let full = self.series.values().filter(|series| own(series)).count() >= PER_NAMESPACE;
        if !full && self.series.len() < SERIES {
            return;
        }
        let quietest = self
            .series
            .iter()
            .filter(|(_, series)| !full || own(series))
            .min_by_key(|(key, series)| (series.last, **key))
            .map(|(key, _)| *key);
        if let Some(key) = quietest {
            let gone = self.series.remove(&key);
            self.forgotten += gone.map_or(0, |gone| u64::from(gone.said < gone.count));
            self.changed.insert(key);
        }
    }

    /// Takes a token, and with it the count of what was held back; else counts one more.
    fn token(&mut self, namespace: &str, at: i64) -> Option<u64> {
        if !self.rates.contains_key(namespace) && self.rates.len() >= NAMESPACES {
            let oldest = self.rates.iter().min_by_key(|(_, rate)| rate.since());
            if let Some(oldest) = oldest.map(|(namespace, _)| namespace.clone()) {
                self.rates.remove(&oldest);
                self.changed_rates.insert(oldest);
            }
        }
        self.changed_rates.insert(namespace.to_owned());
        let rate = self.rates.entry(namespace.to_owned());
        rate.or_insert_with(|| Rate::full(at)).take(at)
    }
}

fn micros(span: SignedDuration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
