//! What people bring from files: records, one a line, in any shape that
//! [`docket_record::import`] knows.
//!
//! Raw events go the way that every source's events go. Witnesses are not asked about
//! collections: what they remember of those is a minute old at most.

use super::{Court, Examined, WHICH_NOT_KNOWN, not_imported};
use crate::guard::guarded;
use crate::intake::Arrival;
use docket_record::examine::Outcome;
use docket_record::import::{Format, Read, read};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Name of the source, in records and metrics.
pub const SOURCE: &str = "import";

/// What was in a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines with something in them.
    pub records: u64,
    /// Records of something else than an audit event; nothing is wrong with them.
    pub other: u64,
    /// Audit records by shape.
    pub shapes: BTreeMap<&'static str, u64>,
    /// Audit records by what the events were, as in the metrics.
    pub events: BTreeMap<&'static str, u64>,
    /// Records that could not be read.
    pub broken: Vec<Broken>,
}

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Line of the chunk, from 0.
    pub line: u64,
    /// Why, and where its bytes are.
    pub why: String,
}

impl Court {
    /// The records of a chunk, brought by `importer`.
    pub fn import(
        &self,
        body: &[u8],
        format: Option<Format>,
        importer: &str,
        now: Timestamp,
    ) -> (Arrival, Report) {
        let mut chunk = Chunk {
            court: self,
            now,
            arrival: Arrival {
                imported: true,
                ..Arrival::default()
            },
            report: Report::default(),
        };
        for (number, line) in (0..).zip(body.split(|&byte| byte == b'\n')) {
            if !line.trim_ascii().is_empty() {
                chunk.report.records += 1;
                chunk.record(number, line, format);
            }
        }
        chunk.finish(importer)
    }
}

/// A chunk that is being read.
struct Chunk<'a> {
    court: &'a Court,
    now: Timestamp,
    arrival: Arrival,
    report: Report,
}

impl Chunk<'_> {
    fn record(&mut self, number: u64, line: &[u8], format: Option<Format>) {
        let (shape, examined) = match guarded(|| read(line, format)) {
            Some(Ok(Read::Other)) => {
                self.report.other += 1;
                return;
            }
            Some(Ok(Read::Raw(shape, event))) => {
                (shape, self.court.examined(SOURCE, event.as_bytes()))
            }
            Some(Ok(Read::Derived(shape, event))) => (shape, self.court.derived(SOURCE, &event)),
            Some(Err(error)) => return self.broken(number, line, &not_imported(&error)),
            None => return self.broken(number, line, &self.court.panicked()),
        };
        match examined {
            Examined::Finding(finding) => self.arrival.findings.push(*finding),
            Examined::NotGoverned => self.arrival.not_governed += 1,
            Examined::Unreadable(why) => return self.broken(number, line, &why),
        }
        *self.report.shapes.entry(shape.name()).or_default() += 1;
    }

    fn broken(&mut self, line: u64, bytes: &[u8], why: &str) {
        let aside = &mut self.arrival.aside;
        let why = aside.item(&self.court.quarantine, SOURCE, bytes, why, self.now);
        self.report.broken.push(Broken { line, why });
    }

    fn finish(mut self, importer: &str) -> (Arrival, Report) {
        let events = &mut self.report.events;
        if self.arrival.not_governed > 0 {
            events.insert("not_governed", self.arrival.not_governed);
        }
        for finding in &mut self.arrival.findings {
            let collection = finding.collection;
            let what = match &mut finding.outcome {
                Outcome::Counted(counted) => counted.label(),
                Outcome::Record(record) => {
                    importer.clone_into(&mut record.personal.importer);
                    if collection {
                        record.public.notes.push(WHICH_NOT_KNOWN.into());
                    }
                    crate::intake::verdict_name(record.public.verdict)
                }
            };
            *events.entry(what).or_default() += 1;
        }
        (self.arrival, self.report)
    }
}
