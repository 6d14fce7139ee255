//! After a panic: arrivals one by one, and of the one that causes it the events by halves,
//! down to the one that does. It becomes a gap, and everything else is kept.
//!
//! An arrival may be committed in parts: its events are on record once however often they
//! come, and its source's progress is written with the last part.

use super::{Failed, Thread, Unavailable};
use crate::gaps::{Cause, Gap};
use crate::intake::Arrival;
use docket_record::examine::{Finding, Outcome};
use jiff::Timestamp;

impl Thread {
    /// How many new records each of them made.
    pub(super) fn apart(&mut self, arrivals: Vec<Arrival>) -> Result<Vec<u64>, Unavailable> {
        let each = arrivals.into_iter().map(|arrival| self.alone(arrival));
        each.collect()
    }

    fn alone(&mut self, arrival: Arrival) -> Result<u64, Unavailable> {
        match self.together(vec![arrival.clone()]) {
            Ok(told) => return Ok(told.records.iter().sum()),
            Err(Failed::Unavailable) => return Err(Unavailable),
            Err(Failed::Panicked) => {}
        }
        let mut rest = arrival;
        match rest.findings.len() {
            // No event is the cause, so there is none to put aside.
            0 => Err(Unavailable),
            1 => {
                let gaps = rest.findings.drain(..).map(|finding| gap(&finding));
                rest.gaps.extend(gaps);
                self.alone(rest)
            }
            count => {
                let first = Arrival {
                    findings: rest.findings.drain(..count / 2).collect(),
                    imported: rest.imported,
                    ..Arrival::default()
                };
                Ok(self.alone(first)? + self.alone(rest)?)
            }
        }
    }
}

/// Of the event nothing can be kept but its id, which is a hash over it.
fn gap(finding: &Finding) -> Gap {
    let source = match &finding.outcome {
        Outcome::Record(record) => record.public.source.as_str(),
        Outcome::Counted(_) => "reporter",
    };
    let id = finding.id.to_string();
    Gap::new(source, Cause::QuarantinedItem, &id, Timestamp::now())
        .spanning(finding.time, finding.time)
        .counting(1)
        .saying(format!(
            "committing it made the reporter panic, which is a fault of Docket; the event's id is {id}"
        ))
}
