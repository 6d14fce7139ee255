//! Read whole lines, examine them, commit them with the place they lead to.

use super::opening::hash_first;
use super::reading::Long;
use super::{CHUNK, Place, Step, Tail, key};
use crate::gaps::{Amendment, Cause};
use crate::intake::Arrival;
use crate::sources::aside;
use crate::sources::quarantine::Put;
use data_encoding::HEXLOWER;
use docket_record::examine::{Finding, Outcome};
use jiff::Timestamp;
use std::io;
use std::sync::atomic::Ordering;

impl Tail {
    /// Read some, commit the whole lines.
    pub(super) fn pump(&mut self) -> io::Result<Step> {
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
    pub(super) fn commit(&mut self, whole: usize, next: Option<Place>) -> Step {
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
        self.court.received(&arrival, now);
        if let Some(gap) = &place.unreadable {
            arrival.amendments.push(Amendment::gap_closed(gap, now));
        }
        if let Some(next) = next {
            to = next;
        }
        let asks = |finding: &Finding| matches!(finding.outcome, Outcome::Record(_));
        if arrival.findings.iter().any(asks) {
            self.runtime.block_on(async {
                self.court.collections(&mut arrival).await;
                self.court.exhibits(&mut arrival).await;
            });
        }
        if self.court.coming(&arrival, self.writer.waiting()) {
            let asking = self.court.answers(&mut arrival, self.writer.waiting());
            self.runtime.block_on(asking);
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
                self.metrics.sources.behind(&self.name, 0);
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
}
