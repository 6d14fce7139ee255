//! The numbers of one witness process: which came, which never did.
//!
//! A witness numbers its testimonies 1, 2, 3 … Every governed audit event brings its
//! own back, admitted ones too. So a number that stays away is an audit event that never
//! arrived. This file is pure: time is an argument, nothing is stored or logged.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Runs kept for one process. Above it the oldest holes are declared at once: numbers
/// that were burnt on purpose must not make this grow without end.
const MAX_RUNS: usize = 4096;
/// Declared gaps kept for one process, so that late numbers can close them.
const MAX_LOST: usize = 1024;
/// More holes than this in one go become one gap that counts them.
const MAX_HOLES_APART: usize = 64;
/// Explained numbers kept for one process, so that one that comes after all is known.
const MAX_EXPLAINED: usize = 1024;
/// Polls kept while they wait; one each 10 s covers waits of 20 minutes.
const MAX_MARKS: usize = 128;
/// In place of the time at which a hole was noticed: only an import has shown what lies
/// behind it. An import of some files is no evidence that the others hold nothing.
const UNHEARD: i64 = i64::MAX;

/// Numbers `first..=last`, all of which came or were declared missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    first: u64,
    last: u64,
    /// When `first` and `last` were sworn (microseconds): the window of a neighbouring hole.
    #[serde(rename = "ft")]
    first_time: i64,
    #[serde(rename = "lt")]
    last_time: i64,
    /// When the hole before this run was first noticed (milliseconds, our clock), or
    /// [`UNHEARD`].
    #[serde(rename = "n")]
    noticed: i64,
}

/// A gap that was declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lost {
    /// Id of the gap entry.
    id: String,
    /// Numbers still missing, ascending.
    open: Vec<(u64, u64)>,
}

/// What a witness said of itself: it had given `last` when we asked at `at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    last: u64,
    at: i64,
}

/// The numbers of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Numbers below it are not expected. `None` until the first is seen: the process is
    /// older than the ledger, and what it swore before is not ours to miss.
    floor: Option<u64>,
    runs: Vec<Run>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lost: Vec<Lost>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    marks: Vec<Mark>,
    /// Numbers that are explained: their audit event came without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    explained: Vec<u64>,
}

/// What the arrival of a number means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// The first time.
    New,
    /// It was here before.
    Again,
    /// Older than what we account for.
    Below,
    /// It had been explained, by the event of another request as it turns out.
    Explained,
    /// It was declared missing in this gap.
    Late {
        /// Id of the gap entry.
        gap: String,
        /// It was the last one missing there.
        closed: bool,
    },
}

/// Numbers that did not come in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// First missing number.
    pub first: u64,
    /// Last missing number.
    pub last: u64,
    /// How many of `first..=last` are missing.
    pub count: u64,
    /// When the number before was sworn; `None` if there is none.
    pub from: Option<Timestamp>,
    /// When the number after was sworn, or when the witness told of it.
    pub to: Timestamp,
    open: Vec<(u64, u64)>,
}

impl Hole {
    /// True if this number is one of those that are missing.
    #[must_use]
    pub fn holds(&self, number: u64) -> bool {
        let at = self.open.partition_point(|range| range.1 < number);
        self.open.get(at).is_some_and(|range| range.0 <= number)
    }
}

fn micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Seen {
    /// A process that started while the ledger was already kept: from 1 on, all count.
    #[must_use]
    pub fn from_one() -> Seen {
        Seen {
            floor: Some(1),
            ..Seen::default()
        }
    }

    /// A process that is older than the ledger: the first that is heard of it, a number or
    /// what it says of itself, is the baseline.
    #[must_use]
    pub fn from_first() -> Seen {
        Seen::default()
    }

    /// Take one number, sworn at `sworn`, arriving `now`.
    pub fn insert(&mut self, number: u64, sworn: Timestamp, now: Timestamp) -> Arrived {
        let floor = *self.floor.get_or_insert(number);
        if number < floor {
            return Arrived::Below;
        }
        self.heard(number, now);
        self.take(number, sworn, now.as_millisecond())
    }

    /// Take one number that an import brings. It closes holes and declared gaps; a hole
    /// that nothing but imports shows is not missed, until the process is heard of again.
    pub fn import(&mut self, number: u64, sworn: Timestamp) -> Arrived {
        // Without a first number of its own the process is older than the ledger.
        let Some(floor) = self.floor else {
            return Arrived::Below;
        };
        if number < floor {
            return Arrived::Below;
        }
        // What the witness itself told of is waited for, whoever brings what lies behind it.
        let behind = self.runs.last().is_none_or(|run| run.last < number);
        let told = self.marks.iter().filter(|_| behind).map(|mark| mark.at);
        let noticed = told.min().unwrap_or(UNHEARD);
        if self.runs.len() >= MAX_RUNS && !self.touches(number) {
            // Not remembered: a second time it looks new, which harms nothing.
            return Arrived::New;
        }
        self.take(number, sworn, noticed)
    }

    /// The audit event of this number's request came without it: nothing is missing. `New`
    /// or `Late` if that is news.
    pub fn explain(&mut self, number: u64, sworn: Timestamp) -> Arrived {
        if self.explained.contains(&number) {
            return Arrived::Again;
        }
        // It would not be remembered.
        if self.runs.len() >= MAX_RUNS && !self.is_within(number) && !self.touches(number) {
            return Arrived::Below;
        }
        let arrived = self.import(number, sworn);
        if matches!(arrived, Arrived::New | Arrived::Late { .. }) {
            if self.explained.len() >= MAX_EXPLAINED {
                self.explained.remove(0);
            }
            self.explained.push(number);
        }
        arrived
    }

    fn is_within(&self, number: u64) -> bool {
        let at = self.runs.partition_point(|run| run.last < number);
        self.runs.get(at).is_some_and(|run| run.first <= number)
    }

    /// Numbers that are missed since `limit` or before, the first `most` of them: in holes,
    /// and those at the end that the witness told of.
    #[must_use]
    pub fn awaited(&self, limit: Timestamp, most: usize) -> Vec<u64> {
        let limit = limit.as_millisecond();
        let mut expected = self.floor.unwrap_or(1);
        let mut ranges = Vec::new();
        for run in &self.runs {
            if run.first > expected && run.noticed != UNHEARD && run.noticed <= limit {
                ranges.push(expected..run.first);
            }
            expected = run.last + 1;
        }
        let told = self.marks.iter().filter(|mark| mark.at <= limit);
        if let (Some(last), Some(_)) = (told.map(|mark| mark.last).max(), self.floor) {
            ranges.push(expected..last.saturating_add(1));
        }
        ranges.into_iter().flatten().take(most).collect()
    }

    /// True if the oldest holes may soon have to be declared to make room.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.runs.len() > MAX_RUNS / 2
    }

    /// True if the oldest holes have to be declared to make room; that may be put off while
    /// there are no more than twice as many runs as are kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        (MAX_RUNS + 1..=MAX_RUNS * 2).contains(&self.runs.len())
    }

    /// True if `number` lies in a run or beside one.
    fn touches(&self, number: u64) -> bool {
        let near = self.runs.partition_point(|run| run.last + 1 < number);
        self.runs
            .get(near)
            .is_some_and(|run| run.first <= number + 1)
    }

    /// The process itself has got to `number`: holes that begin below it are missed. True
    /// if that is news of one.
    fn heard(&mut self, number: u64, now: Timestamp) -> bool {
        let mut expected = self.floor.unwrap_or(1);
        let mut news = false;
        for run in &mut self.runs {
            if run.noticed == UNHEARD && expected < run.first && expected <= number {
                run.noticed = now.as_millisecond();
                news = true;
            }
            expected = run.last + 1;
        }
        news
    }

    fn take(&mut self, number: u64, sworn: Timestamp, noticed: i64) -> Arrived {
        let next = self.runs.partition_point(|run| run.last < number);
        if self.runs.get(next).is_some_and(|run| run.first <= number) {
            return self.reopen(number);
        }
        let time = sworn.as_microsecond();
        let joins_left = next > 0 && self.runs[next - 1].last + 1 == number;
        let joins_right = self
            .runs
            .get(next)
            .is_some_and(|run| number + 1 == run.first);
        match (joins_left, joins_right) {
            (true, true) => {
                let right = self.runs.remove(next);
                self.runs[next - 1].last = right.last;
                self.runs[next - 1].last_time = right.last_time;
            }
            (true, false) => {
                self.runs[next - 1].last = number;
                self.runs[next - 1].last_time = time;
            }
            (false, true) => {
                self.runs[next].first = number;
                self.runs[next].first_time = time;
            }
            (false, false) => {
                // Inside a known hole both halves are as old as the hole was.
                let right = self.runs.get(next).map_or(noticed, |right| right.noticed);
                let noticed = noticed.min(right);
                let run = Run {
                    first: number,
                    last: number,
                    first_time: time,
                    last_time: time,
                    noticed,
                };
                self.runs.insert(next, run);
            }
        }
        if let Some(end) = self.runs.last().map(|run| run.last) {
            self.marks.retain(|mark| mark.last > end);
        }
        Arrived::New
    }

    /// A number inside a run: here before, or declared missing and late.
    fn reopen(&mut self, number: u64) -> Arrived {
        if let Some(at) = self.explained.iter().position(|known| *known == number) {
            self.explained.remove(at);
            return Arrived::Explained;
        }
        for index in 0..self.lost.len() {
            let open = &mut self.lost[index].open;
            let at = open.partition_point(|range| range.1 < number);
            let Some(&(first, last)) = open.get(at) else {
                continue;
            };
            if first > number {
                continue;
            }
            let halves = [(first, number.wrapping_sub(1)), (number + 1, last)];
            let keep = [first < number, number < last];
            open.splice(
                at..=at,
                (0..2).filter(|&half| keep[half]).map(|half| halves[half]),
            );
            let gap = self.lost[index].id.clone();
            let closed = self.lost[index].open.is_empty();
            if closed {
                self.lost.remove(index);
            }
            return Arrived::Late { gap, closed };
        }
        Arrived::Again
    }

    /// The witness says that it has given `last` so far. True if that is news.
    pub fn mark(&mut self, last: u64, now: Timestamp) -> bool {
        if self.floor.is_none() {
            self.floor = Some(last + 1);
            self.marks.clear();
            return true;
        }
        let news = self.heard(last, now);
        let end = self.runs.last().map_or(0, |run| run.last);
        if last == 0 || last <= end || self.marks.iter().any(|mark| mark.last >= last) {
            return news;
        }
        if self.marks.len() >= MAX_MARKS {
            // Keep the oldest ones: they fall due first.
            self.marks.pop();
        }
        self.marks.push(Mark {
            last,
            at: now.as_millisecond(),
        });
        true
    }

    /// Holes that have been open for `wait`. The caller names each gap; from then on
    /// its numbers are late, not missing.
    pub fn due(&mut self, now: Timestamp, wait: SignedDuration) -> Vec<Hole> {
        let limit = now
            .as_millisecond()
            .saturating_sub(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        self.due_tail(limit);
        let forced = self.runs.len().saturating_sub(MAX_RUNS);
        let mut holes: Vec<Hole> = Vec::new();
        let mut kept: Vec<Run> = Vec::with_capacity(self.runs.len());
        let mut expected = self.floor.unwrap_or(1);
        for (index, run) in self.runs.drain(..).enumerate() {
            let open = run.first > expected;
            let unheard = run.noticed == UNHEARD;
            let due = open && !unheard && (run.noticed <= limit || index < forced);
            if due {
                let range = (expected, run.first - 1);
                holes.push(Hole {
                    first: range.0,
                    last: range.1,
                    count: range.1 - range.0 + 1,
                    from: kept.last().map(|left| micros(left.last_time)),
                    to: micros(run.first_time),
                    open: vec![range],
                });
            }
            expected = run.last + 1;
            match kept.last_mut() {
                Some(left) if due || !open => {
                    left.last = run.last;
                    left.last_time = run.last_time;
                }
                _ if due => {
                    let first = self.floor.unwrap_or(1);
                    kept.push(Run { first, ..run });
                }
                _ => kept.push(run),
            }
        }
        self.runs = kept;
        coalesce(holes)
    }

    /// The end of what the witness swore: a mark older than `limit` is as good as a number.
    fn due_tail(&mut self, limit: i64) {
        let due = self
            .marks
            .iter()
            .filter(|mark| mark.at <= limit)
            .max_by_key(|mark| mark.last);
        let Some(Mark { last, at }) = due.cloned() else {
            return;
        };
        let Some(floor) = self.floor else {
            // Of a store from before an answer was a baseline: the next one clears them.
            return;
        };
        self.marks.retain(|mark| mark.last > last);
        let end = self.runs.last().map_or(floor - 1, |run| run.last);
        if last > end {
            // An empty run behind the hole, so that it is declared like any other; `last`
            // itself is part of the hole, hence the run starts after it.
            let time = at.saturating_mul(1000);
            self.runs.push(Run {
                first: last + 1,
                last,
                first_time: time,
                last_time: time,
                noticed: at,
            });
        }
    }

    /// Remember that `hole` was written down as the gap `id`.
    pub fn declared(&mut self, hole: &Hole, id: &str) {
        if self.lost.len() >= MAX_LOST {
            self.lost.remove(0);
        }
        self.lost.push(Lost {
            id: id.to_owned(),
            open: hole.open.clone(),
        });
    }

    /// True if holes or unanswered polls are waiting.
    #[must_use]
    pub fn waiting(&self) -> bool {
        !self.marks.is_empty() || self.holes().next().is_some()
    }

    /// Runs with a hole before them that is missed, and how long that is.
    fn holes(&self) -> impl Iterator<Item = u64> {
        let mut expected = self.floor.unwrap_or(1);
        self.runs.iter().filter_map(move |run| {
            let missing = run.first.saturating_sub(expected);
            expected = run.last + 1;
            (missing > 0 && run.noticed != UNHEARD).then_some(missing)
        })
    }

    /// Numbers that have not come and are not declared yet.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.holes().sum()
    }
}

/// Too many at once are told as one gap that counts them.
fn coalesce(holes: Vec<Hole>) -> Vec<Hole> {
    if holes.len() <= MAX_HOLES_APART {
        return holes;
    }
    let mut all = holes.into_iter();
    let Some(mut one) = all.next() else {
        return Vec::new();
    };
    for hole in all {
        one.last = hole.last;
        one.count += hole.count;
        one.to = hole.to;
        one.open.extend(hole.open);
    }
    vec![one]
}

#[cfg(test)]
mod tests;
