//! Where audit events come from, and what all sources do with them.
//!
//! A source turns bytes into an [`Arrival`]: it filters, examines, puts aside what can't
//! be read, and asks the witnesses: which object of a collection was denied, and for the
//! exhibits by which texts are masked. Deciding and writing is the intake's. What people
//! bring ([`import`]) is read by the same code.

mod answers;
mod exhibits;
pub mod file;
pub mod import;
pub mod quarantine;
pub mod rotation;
pub mod webhook;

use crate::gaps::{Cause, Gap};
use crate::intake::Arrival;
use crate::law::Laws;
use crate::metrics::{Metrics, Step};
use crate::witness::{LastObject, Witnesses};
use docket_host::KeyDirectory;
use docket_record::audit::{self, AuditEvent, ListError, ParseError};
use docket_record::denial::Record;
use docket_record::examine::{Bench, Config, ExamineError, Finding, Outcome, Refused, examine};
use docket_record::policies::PolicyList;
use docket_record::verdict::governed;
use jiff::Timestamp;
use quarantine::{Put, Quarantine};
use serde_json::value::RawValue;
use std::sync::Arc;

/// One item or line, and one batch, may be this long.
pub const LONGEST: usize = 64 * 1024 * 1024;

/// What sources need to read an event.
pub struct Court {
    /// Names.
    pub config: Config,
    /// MAC keys, as they are now.
    pub keys: Arc<KeyDirectory>,
    /// What was in force when.
    pub laws: Arc<Laws>,
    /// Where unreadable bytes go.
    pub quarantine: Quarantine,
    /// Whom to ask about collections and for exhibits.
    pub witnesses: Option<Witnesses>,
    /// Counters.
    pub metrics: Metrics,
}

impl Court {
    /// The body of one delivery. Whatever it is, the answer is something to commit.
    pub fn delivery(&self, source: &str, body: &[u8], now: Timestamp) -> Arrival {
        let mut arrival = Arrival::default();
        match audit::split_list(body) {
            Ok(items) => {
                for item in items {
                    self.item(source, item, now, &mut arrival);
                }
            }
            Err(error) => {
                let put = self.quarantine.put(body);
                arrival.gaps.push(aside(
                    source,
                    Cause::QuarantinedBatch,
                    &put,
                    &told(&error),
                    now,
                ));
            }
        }
        self.received(&arrival, now);
        arrival
    }

    /// How late its denials are.
    fn received(&self, arrival: &Arrival, now: Timestamp) {
        for finding in &arrival.findings {
            if matches!(&finding.outcome, Outcome::Record(record) if !record.public.verdict.is_pass())
            {
                self.metrics.lag(Step::Received, finding.time, now);
            }
        }
    }

    /// One line of an audit log.
    pub fn line(&self, source: &str, line: &[u8], now: Timestamp, arrival: &mut Arrival) {
        if line.trim_ascii().is_empty() {
            return;
        }
        match serde_json::from_slice::<&RawValue>(line) {
            Ok(item) => self.item(source, item, now, arrival),
            Err(error) => self.unreadable(source, line, &json_error(&error), now, arrival),
        }
    }

    fn item(&self, source: &str, item: &RawValue, now: Timestamp, arrival: &mut Arrival) {
        if let Some(glance) = audit::glance(item)
            && !governed(&glance, &self.config)
        {
            arrival.not_governed += 1;
            return;
        }
        let bytes = item.get().as_bytes();
        let event = match AuditEvent::parse(bytes) {
            Ok(event) => event,
            Err(ParseError::Json(error)) => {
                return self.unreadable(source, bytes, &json_error(&error), now, arrival);
            }
            Err(error) => {
                return self.unreadable(source, bytes, &error.to_string(), now, arrival);
            }
        };
        match self.examined(source, &event) {
            Ok(finding) => arrival.findings.push(finding),
            Err(error) => self.unreadable(source, bytes, &error.to_string(), now, arrival),
        }
    }

    /// By the law of its time and the keys of now. The witness may sign with a key that
    /// came to the directory a moment ago.
    fn examined(&self, source: &str, event: &AuditEvent) -> Result<Finding, ExamineError> {
        let policies = self.in_force(event);
        let examined = || {
            let keys = self.keys.keys();
            let bench = Bench {
                config: &self.config,
                keys: &keys.load(),
                policies: &policies,
                source,
            };
            examine(event, &bench)
        };
        let finding = examined()?;
        if finding.refused.contains(&Refused::UnknownKey) && self.keys.look_soon() {
            return examined();
        }
        Ok(finding)
    }

    /// The law of the event's time. One without a readable time is put aside, whatever
    /// the law says.
    fn in_force(&self, event: &AuditEvent) -> Arc<PolicyList> {
        match event.stage_timestamp.parse() {
            Ok(time) => self.laws.at(time),
            Err(_) => self.laws.now(),
        }
    }

    fn unreadable(
        &self,
        source: &str,
        bytes: &[u8],
        why: &str,
        now: Timestamp,
        arrival: &mut Arrival,
    ) {
        let put = self.quarantine.put(bytes);
        arrival
            .gaps
            .push(aside(source, Cause::QuarantinedItem, &put, why, now).counting(1));
    }

    /// Denied collections: the witnesses may know which object was reviewed last.
    pub async fn collections(&self, arrival: &mut Arrival) {
        let asked = arrival
            .findings
            .iter_mut()
            .filter(|finding| finding.collection);
        let asked = asked.filter_map(|finding| match &mut finding.outcome {
            Outcome::Record(record) => Some((record, finding.time)),
            Outcome::Counted(_) => None,
        });
        futures::future::join_all(asked.map(|(record, time)| async move {
            let last = match &self.witnesses {
                Some(witnesses) => witnesses.last_object(record, time).await,
                None => LastObject::default(),
            };
            name_last(record, last);
        }))
        .await;
    }
}

/// Names the denied object of a collection, or says why it is not known.
fn name_last(record: &mut Record, last: LastObject) {
    let notes = &mut record.public.notes;
    notes.retain(|note| note != WHICH_NOT_KNOWN);
    match last.object {
        Some(object) => {
            record.personal.name = object.name;
            record.personal.object_uid = object.uid;
            notes.push("one of a collection: the object that was reviewed last".into());
        }
        None => notes.push(WHICH_NOT_KNOWN.into()),
    }
    if last.tied {
        notes.push("witnesses reviewed different objects at the same last time".into());
    }
    if last.silent > 0 {
        notes.push(format!(
            "{} of {} witnesses did not say which object they reviewed last: it may be another",
            last.silent, last.asked
        ));
    }
}

const WHICH_NOT_KNOWN: &str = "one of a collection, which one is not known";

/// A gap for bytes that were put aside.
pub fn aside(source: &str, cause: Cause, put: &Put, why: &str, now: Timestamp) -> Gap {
    let kept = if put.kept {
        "kept in quarantine"
    } else {
        "not kept: quarantine is full"
    };
    Gap::new(source, cause, &put.sha256, now).saying(format!(
        "{why}; {} bytes, sha256 {}, {kept}",
        put.length, put.sha256
    ))
}

/// What serde says may quote the input: only kind and place of the fault are told.
fn json_error(error: &serde_json::Error) -> String {
    format!("{:?} error at byte {}", error.classify(), error.column()).to_lowercase()
}

fn told(error: &ListError) -> String {
    match error {
        ListError::Json(json) => format!("{error} ({})", json_error(json)),
        ListError::Kind(_) => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
