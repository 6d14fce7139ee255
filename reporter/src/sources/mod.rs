//! Where audit events come from, and what all sources do with them.
//!
//! A source turns bytes into an [`Arrival`]: it filters, examines, puts aside what can't
//! be read, and asks the witnesses: which object of a collection was denied, and for the
//! exhibits by which texts are masked. Deciding and writing is the intake's. What people
//! bring ([`import`]) is read by the same code.

mod answers;
pub mod aside;
mod exhibits;
pub mod file;
pub mod import;
mod opening;
pub mod quarantine;
pub mod rotation;
#[cfg(test)]
pub mod testing;
pub mod webhook;

use crate::gaps::Cause;
use crate::guard::guarded;
use crate::intake::Arrival;
use crate::law::Laws;
use crate::metrics::{Metrics, Step};
use crate::witness::{LastObject, Witnesses};
use aside::gap_of;
use docket_host::KeyDirectory;
use docket_record::audit::{self, AuditEvent, ListError, ParseError};
use docket_record::denial::Record;
use docket_record::examine::{Bench, Config, ExamineError, Finding, Outcome, Refused};
use docket_record::import::{ImportError, Read, container, read};
use docket_record::policies::PolicyList;
use docket_record::verdict::governed;
use jiff::Timestamp;
use quarantine::Quarantine;
use std::sync::Arc;

/// One item or line, and one batch, may be this long.
pub const LONGEST: usize = 64 * 1024 * 1024;

/// How an event becomes a finding: [`docket_record::examine::examine`].
pub type Examine = fn(&AuditEvent, &Bench<'_>) -> Result<Finding, ExamineError>;

/// What sources need to read an event.
pub struct Court {
    /// Names.
    pub config: Config,
    /// MAC keys, as they are now.
    pub keys: Arc<KeyDirectory>,
    /// What was in force when.
    pub laws: Arc<Laws>,
    /// Who examines.
    pub examine: Examine,
    /// Where unreadable bytes go.
    pub quarantine: Quarantine,
    /// Whom to ask about collections and for exhibits.
    pub witnesses: Option<Witnesses>,
    /// Counters.
    pub metrics: Metrics,
}

/// What the bytes of one event came to.
enum Examined {
    /// Governed.
    Finding(Box<Finding>),
    /// None of ours.
    NotGoverned,
    /// To be put aside, and why.
    Unreadable(String),
}

/// Whether a line could be taken for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Read, or put aside.
    Taken,
    /// Of `--audit-log-format=legacy`: no line of such a log says enough.
    Legacy,
}

impl Court {
    /// The body of one delivery. Whatever it is, the answer is something to commit.
    pub fn delivery(&self, source: &str, body: &[u8], now: Timestamp) -> Arrival {
        let mut arrival = Arrival::default();
        arrival.aside.retried = true;
        match guarded(|| audit::split_list(body)) {
            Some(Ok(items)) => {
                for item in items {
                    self.take(source, item, self.examined(source, item), now, &mut arrival);
                }
            }
            other => {
                let why = match other {
                    Some(Err(error)) => told(&error),
                    _ => self.panicked(),
                };
                let put = self.quarantine.put(body);
                let mut gap = gap_of(source, Cause::QuarantinedBatch, &put, &why, now);
                gap.retried = true;
                arrival.gaps.push(gap);
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

    /// One line of an audit log: an Event, or a line of a container's output that may hold
    /// one, its pieces put together.
    pub fn line(&self, source: &str, line: &[u8], now: Timestamp, arrival: &mut Arrival) -> Line {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Line::Taken;
        }
        arrival.aside.retried = true;
        let is_event = guarded(|| audit::glance(line).is_some()).unwrap_or(true);
        let examined = if is_event {
            self.examined(source, line)
        } else {
            match guarded(|| (read(line, None), container::is_line(line))) {
                Some((Err(ImportError::Legacy), _)) => return Line::Legacy,
                // Who carries logs from elsewhere is none that is followed.
                Some((Ok(_), false)) => Examined::Unreadable(NO_EVENT.to_owned()),
                Some((Ok(Read::Raw(_, event)), _)) => self.examined(source, event.as_bytes()),
                Some((Ok(Read::Derived(_, event)), _)) => self.derived(source, &event),
                // A container's output holds the API server's own log too.
                Some((Ok(Read::Other), _)) => Examined::NotGoverned,
                Some((Err(error), _)) => Examined::Unreadable(not_imported(&error)),
                None => Examined::Unreadable(self.panicked()),
            }
        };
        self.take(source, line, examined, now, arrival);
        Line::Taken
    }

    fn take(
        &self,
        source: &str,
        bytes: &[u8],
        examined: Examined,
        now: Timestamp,
        arrival: &mut Arrival,
    ) {
        match examined {
            Examined::Finding(finding) => arrival.findings.push(*finding),
            Examined::NotGoverned => arrival.not_governed += 1,
            Examined::Unreadable(why) => {
                let aside = &mut arrival.aside;
                aside.item(&self.quarantine, source, bytes, &why, now);
            }
        }
    }

    /// One event, by its bytes. A fault of ours in it costs this event and no other.
    fn examined(&self, source: &str, bytes: &[u8]) -> Examined {
        let examined = guarded(|| {
            if let Some(glance) = audit::glance(bytes)
                && !governed(&glance, &self.config)
            {
                return Ok(None);
            }
            let event = AuditEvent::parse(bytes).map_err(|error| match error {
                ParseError::Json(error) => json_error(&error),
                error => error.to_string(),
            })?;
            self.finding(source, &event).map(Some)
        });
        self.as_examined(examined)
    }

    /// One event that an export told of.
    fn derived(&self, source: &str, event: &AuditEvent) -> Examined {
        let examined = guarded(|| {
            if governed(&event.glance(), &self.config) {
                self.finding(source, event).map(Some)
            } else {
                Ok(None)
            }
        });
        self.as_examined(examined)
    }

    /// By the law of its time and the keys of now. The witness may sign with a key that
    /// came to the directory a moment ago.
    fn finding(&self, source: &str, event: &AuditEvent) -> Result<Finding, String> {
        let policies = self.in_force(event);
        let examined = || {
            let keys = self.keys.keys();
            let bench = Bench {
                config: &self.config,
                keys: &keys.load(),
                policies: &policies,
                source,
            };
            (self.examine)(event, &bench).map_err(|error| error.to_string())
        };
        let finding = examined()?;
        if finding.refused.contains(&Refused::UnknownKey) && self.keys.look_soon() {
            return examined();
        }
        Ok(finding)
    }

    fn as_examined(&self, examined: Option<Result<Option<Finding>, String>>) -> Examined {
        match examined {
            Some(Ok(Some(finding))) => Examined::Finding(Box::new(finding)),
            Some(Ok(None)) => Examined::NotGoverned,
            Some(Err(why)) => Examined::Unreadable(why),
            None => Examined::Unreadable(self.panicked()),
        }
    }

    fn panicked(&self) -> String {
        self.metrics.panicked("reading");
        PANICKED.to_owned()
    }

    /// The law of the event's time. One without a readable time is put aside, whatever
    /// the law says.
    fn in_force(&self, event: &AuditEvent) -> Arc<PolicyList> {
        match event.stage_timestamp.parse() {
            Ok(time) => self.laws.at(time),
            Err(_) => self.laws.now(),
        }
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

/// What is said of a line that is another one.
const NO_EVENT: &str = "the line is no Event of audit.k8s.io/v1";
/// What is said of bytes that made the reporter panic.
const PANICKED: &str = "reading it made the reporter panic, which is a fault of Docket";

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

/// Nothing of the record is quoted.
fn not_imported(error: &ImportError) -> String {
    match error {
        ImportError::Json(json) | ImportError::Event(ParseError::Json(json)) => json_error(json),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
