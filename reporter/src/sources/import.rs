//! What people bring from files: records, one a line, in any shape that
//! [`docket_record::import`] knows.
//!
//! Raw events go the way that every source's events go. Witnesses are not asked about
//! collections: what they remember of those is a minute old at most.

use super::{Court, WHICH_NOT_KNOWN, aside, json_error};
use crate::gaps::Cause;
use crate::intake::Arrival;
use crate::sources::quarantine::Put;
use data_encoding::HEXLOWER;
use docket_record::audit::{AuditEvent, ParseError};
use docket_record::examine::{Config, Outcome};
use docket_record::import::{Format, ImportError, Read, read};
use docket_record::verdict::governed;
use jiff::Timestamp;
use ring::digest::{Context, SHA256};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Name of the source, in records and metrics.
pub const SOURCE: &str = "import";
/// Unreadable records of one chunk that are put aside each by itself; more than these are
/// one gap that counts them, so that a file of something else does not fill the ledger.
const ASIDE: u64 = 16;

/// What was in a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
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
            more: None,
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
    /// Unreadable records beyond [`ASIDE`]: hash over them, and how many bytes.
    more: Option<(Context, u64, u64)>,
}

impl Chunk<'_> {
    fn record(&mut self, number: u64, line: &[u8], format: Option<Format>) {
        match read(line, format) {
            Ok(Read::Other) => self.report.other += 1,
            Ok(Read::Raw(shape, event)) => {
                let before = self.arrival.gaps.len();
                if self.full() {
                    // Only what can be read is of use now.
                    if AuditEvent::parse(event.as_bytes()).is_err() {
                        return self.broken(number, line, "the event cannot be read");
                    }
                }
                match serde_json::from_str::<&RawValue>(&event) {
                    Ok(item) => self.court.item(SOURCE, item, self.now, &mut self.arrival),
                    Err(error) => return self.broken(number, line, &json_error(&error)),
                }
                match self.arrival.gaps.get(before) {
                    Some(gap) => self.report.broken.push(Broken {
                        line: number,
                        why: gap.detail.clone().unwrap_or_default(),
                    }),
                    None => *self.report.shapes.entry(shape.name()).or_default() += 1,
                }
            }
            Ok(Read::Derived(shape, event)) => match self.derived(&event) {
                Ok(()) => *self.report.shapes.entry(shape.name()).or_default() += 1,
                Err(why) => self.broken(number, line, &why),
            },
            Err(error) => self.broken(number, line, &told(&error)),
        }
    }

    fn derived(&mut self, event: &AuditEvent) -> Result<(), String> {
        let config: &Config = &self.court.config;
        if !governed(&event.glance(), config) {
            self.arrival.not_governed += 1;
            return Ok(());
        }
        let examined = self.court.examined(SOURCE, event);
        let finding = examined.map_err(|error| error.to_string())?;
        self.arrival.findings.push(finding);
        Ok(())
    }

    fn full(&self) -> bool {
        self.report.broken.len() as u64 >= ASIDE
    }

    fn broken(&mut self, number: u64, line: &[u8], why: &str) {
        let mut said = Cow::Borrowed(why);
        if self.full() {
            let (hash, length, count) = self
                .more
                .get_or_insert_with(|| (Context::new(&SHA256), 0, 0));
            hash.update(&(line.len() as u64).to_be_bytes());
            hash.update(line);
            *length += line.len() as u64;
            *count += 1;
        } else {
            let put = self.court.quarantine.put(line);
            let gap = aside(SOURCE, Cause::QuarantinedItem, &put, why, self.now).counting(1);
            said = Cow::Owned(gap.detail.clone().unwrap_or_default());
            self.arrival.gaps.push(gap);
        }
        self.report.broken.push(Broken {
            line: number,
            why: said.into_owned(),
        });
    }

    fn finish(mut self, importer: &str) -> (Arrival, Report) {
        if let Some((hash, length, count)) = self.more.take() {
            let put = Put {
                sha256: HEXLOWER.encode(hash.finish().as_ref()),
                length,
                kept: false,
            };
            let why = format!("{count} more records of one import cannot be read");
            let gap = aside(SOURCE, Cause::QuarantinedItem, &put, &why, self.now);
            self.arrival.gaps.push(gap.counting(count));
        }
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

/// Nothing of the record is quoted.
fn told(error: &ImportError) -> String {
    match error {
        ImportError::Json(json) | ImportError::Event(ParseError::Json(json)) => json_error(json),
        error => error.to_string(),
    }
}
