//! Read whole lines, examine them, commit them with the place they lead to.

use super::reading::Long;
use super::{Place, Step, Tail, key};
use crate::gaps::json;
use crate::guard::guarded;
use crate::intake::Arrival;
use crate::sources::opening::{began, ends_line, hash};
use crate::sources::quarantine::Put;
use crate::sources::{Court, Line};
use data_encoding::HEXLOWER;
use docket_record::examine::{Finding, Outcome};
use docket_record::import::container::Joined;
use jiff::Timestamp;
use std::io;
use std::time::Instant;

impl Tail {
    /// Read some, commit the whole lines.
    pub(super) fn pump(&mut self) -> io::Result<Step> {
        let looked = Timestamp::now();
        let (Some(reading), Some(place)) = (&mut self.reading, &self.place) else {
            return Ok(Step::Again);
        };
        if reading.was_cut(place)? {
            // Perhaps it was copied before.
            self.reading = None;
            return Ok(Step::Again);
        }
        let end = reading.fill()?;
        let (whole, ended) = (reading.whole_lines(), reading.long_ended());
        if !self.is_legacy() && !self.is_back() {
            return Ok(Step::Refused);
        }
        if whole > 0 || ended {
            return Ok(self.commit(whole, false));
        }
        if end {
            self.at_end(looked)
        } else {
            Ok(Step::Again)
        }
    }

    /// Commit the first `whole` bytes of the buffer; `ends`: nothing more comes in this
    /// file.
    fn commit(&mut self, whole: usize, ends: bool) -> Step {
        let now = Timestamp::now();
        let (Some(reading), Some(place)) = (&mut self.reading, &self.place) else {
            return Step::Again;
        };
        let mut lines = Lines {
            court: &self.court,
            source: &self.name,
            now,
            arrival: Arrival::default(),
            legacy: false,
        };
        let mut to = Place {
            at: now.as_millisecond(),
            ..place.clone()
        };
        let mut at = reading.start;
        // What the ledger refuses is read once more from here.
        let mut joiner = reading.joiner.clone();
        let mut last: &[u8] = b"";
        let mut all = reading.buffer[..whole].split(|&byte| ends_line(byte));
        if let Some(long) = &reading.long {
            // The buffer begins with the end of the long line.
            let rest = all.next().unwrap_or_default();
            at += rest.len() as u64 + 1;
            lines.too_long(long, rest);
            if to.first.is_empty() {
                to.first.clone_from(&long.first);
                to.first_at = long.at;
            }
        }
        for line in all {
            let begins = at;
            at += line.len() as u64 + 1;
            if line.is_empty() {
                continue;
            }
            last = line;
            if to.first.is_empty() {
                to.first = hash(line);
                to.first_at = begins;
                to.began = micros(line).unwrap_or(to.began);
            }
            if !joiner.take(line.trim_ascii_end(), begins, |joined| {
                lines.joined(&joined)
            }) {
                lines.take(line);
            }
        }
        if ends {
            joiner.finish(|joined| lines.joined(&joined));
        }
        let end = reading.start + whole as u64 - reading.padding;
        to.offset = joiner.earliest().unwrap_or(end);
        to.read_to = micros(last).unwrap_or(to.read_to);
        let Lines {
            mut arrival,
            legacy,
            ..
        } = lines;
        self.court.received(&arrival, now);
        // A fault of ours leaves what was not asked as it came.
        if guarded(|| self.ask(&mut arrival)).is_none() {
            self.metrics.panicked("reading");
        }
        let reads = !arrival.findings.is_empty() || arrival.not_governed > 0;
        let away = legacy
            .then(|| self.turns_legacy(&mut arrival, place))
            .flatten();
        if legacy || !arrival.aside.is_empty() {
            to.whole_since = now.as_millisecond();
        }
        arrival.state.push((key(&self.name), Some(json(&to))));
        if self.writer.commit_blocking(arrival).is_err() {
            self.metrics.batch(&self.name, "unavailable");
            return Step::Refused;
        }
        self.metrics.batch(&self.name, "committed");
        if let Some(reading) = &mut self.reading {
            reading.used(whole);
            reading.joiner = joiner;
            if let Some(bytes) = reading.behind() {
                self.metrics.sources.behind(&self.name, bytes);
            }
        }
        let read_to = i64::try_from(to.read_to).ok();
        let read_to = read_to.and_then(|time| Timestamp::from_microsecond(time).ok());
        self.reached.to(read_to.unwrap_or_default().min(now));
        self.place = Some(to);
        self.away = away.or(self.away.take());
        if self.is_legacy() && reads && !legacy && !self.is_back() {
            return Step::Refused;
        }
        Step::Again
    }

    /// What witnesses know of it.
    fn ask(&self, arrival: &mut Arrival) {
        let asks = |finding: &Finding| matches!(finding.outcome, Outcome::Record(_));
        if arrival.findings.iter().any(asks) {
            self.runtime.block_on(async {
                self.court.collections(arrival).await;
                self.court.exhibits(arrival).await;
            });
        }
        if self.court.coming(arrival, self.writer.waiting()) {
            let asking = self.court.answers(arrival, self.writer.waiting());
            self.runtime.block_on(asking);
        }
    }

    /// Nothing more in this file: is it still the one that is written to? Its end was
    /// reached after the moment `looked`.
    fn at_end(&mut self, looked: Timestamp) -> io::Result<Step> {
        let (Some(reading), Some(place)) = (&mut self.reading, &self.place) else {
            return Ok(Step::Again);
        };
        // Missing between rename and create; or the API server is away.
        let current = std::fs::metadata(&self.path)?;
        if reading.is(&current, place) {
            if !self.is_legacy() {
                self.part.ready();
            }
            self.metrics.sources.behind(&self.name, 0);
            self.reached.to(looked);
            self.current = Some(Instant::now());
            return Ok(Step::Wait);
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
            return Ok(self.commit(whole, true));
        }
        if reading.joiner.earliest().is_some() {
            return Ok(self.commit(0, true));
        }
        self.next()
    }
}

/// When a line was written.
fn micros(line: &[u8]) -> Option<u64> {
    u64::try_from(began(line)?).ok()
}

/// Lines that become one arrival.
struct Lines<'a> {
    court: &'a Court,
    source: &'a str,
    now: Timestamp,
    arrival: Arrival,
    /// Some were of `--audit-log-format=legacy`.
    legacy: bool,
}

impl Lines<'_> {
    fn take(&mut self, line: &[u8]) {
        let taken = self
            .court
            .line(self.source, line, self.now, &mut self.arrival);
        self.legacy |= taken == Line::Legacy;
    }

    fn joined(&mut self, joined: &Joined) {
        match joined.too_long {
            None => self.take(&joined.bytes),
            Some(length) => self.put_aside(Put::hash(&joined.bytes), length),
        }
    }

    fn too_long(&mut self, long: &Long, rest: &[u8]) {
        let mut hash = long.hash.clone();
        hash.update(rest);
        let sha256 = HEXLOWER.encode(hash.finish().as_ref());
        self.put_aside(sha256, long.length + rest.len() as u64);
    }

    fn put_aside(&mut self, sha256: String, length: u64) {
        self.arrival.aside.retried = true;
        let aside = &mut self.arrival.aside;
        aside.too_long(self.source, sha256, length, self.now);
    }
}
