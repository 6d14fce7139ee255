//! What the watches have told, into the ledger first and then into the book.

use super::table::{ABSENCES, KNOWN, Table};
use super::{Due, Watch};
use crate::gaps::json;
use crate::intake::Arrival;
use crate::law::HELD;
use docket_ledger::entry::{Class, NewEntry};
use docket_record::law::{Entry, LawBook, Object, autogen};
use futures::future::FutureExt as _;
use jiff::Timestamp;
use serde_json::Value;

/// Laws in one transaction.
const LAWS: usize = 100;

impl Watch {
    /// Hands over what is due; `beat`: the signs of life even if nothing else is.
    pub(super) fn commit(&mut self, beat: bool) {
        if self.committing.is_some() {
            return;
        }
        let (entries, gaps) = self.table.due(LAWS);
        let amendments = self.table.amendments(entries.len(), LAWS);
        let of = Due {
            entries: entries.len(),
            amendments: amendments.len(),
            gaps: gaps.len(),
            closing: self.closing.len(),
        };
        let all = of.entries + of.amendments + of.gaps + of.closing;
        if all == 0 && !beat && !self.judged {
            return;
        }
        let mut state = vec![(KNOWN.to_owned(), Some(self.table.known(of.entries)))];
        if of.gaps > 0 || self.judged {
            state.push((ABSENCES.to_owned(), Some(self.table.unproven())));
        }
        let laws = entries.iter().map(entry);
        let arrival = Arrival {
            entries: laws.chain(amendments.iter().map(amendment)).collect(),
            gaps: gaps.to_vec(),
            amendments: self.closing.clone(),
            state,
            ..Arrival::default()
        };
        self.judged = false;
        let writer = self.writer.clone();
        // What is not kept is due again at the next pulse.
        let committing = async move { (of, writer.commit(arrival).await) };
        self.committing = Some(committing.boxed());
    }

    /// The book of what is on record, for all who ask.
    pub(super) fn publish(&mut self) {
        if !self.synced && self.discovered {
            match self.table.waiting() {
                None if self.table.pending() == 0 => {
                    self.synced = true;
                    self.health.ready();
                    tracing::info!("all policies are known");
                }
                None => self.health.not_ready("they are not on record yet"),
                Some(kind) => {
                    self.health
                        .not_ready(format!("waiting for the first list of {}", kind.full()));
                }
            }
        }
        let held = Timestamp::now()
            .saturating_sub(HELD)
            .unwrap_or(Timestamp::MIN);
        let book = self.table.book(held, self.synced);
        self.metrics
            .cluster
            .policies
            .set(i64::try_from(book.now().policies.len()).unwrap_or(i64::MAX));
        self.laws.publish(book);
    }
}

fn entry(law: &Entry) -> NewEntry {
    NewEntry::new(Class::Law, &law.id, json(law))
}

fn amendment(made: &autogen::Amendment) -> NewEntry {
    NewEntry::new(Class::Amendment, &made.id, json(made))
}

/// The law of a recorded day: all objects, in force at all times. Its entries carry the
/// time at which each object was created.
#[must_use]
pub fn recorded(objects: &[Value]) -> (LawBook, Vec<NewEntry>) {
    let mut entries = Vec::new();
    let mut laws = Vec::new();
    for value in objects {
        let Some(object) = Object::read(value) else {
            continue;
        };
        let created = value["metadata"]["creationTimestamp"].as_str();
        let mut table = Table::default();
        let time = created.and_then(|time| time.parse().ok());
        let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
        table.listed(object.place.kind, vec![object.clone()], time, time);
        for law in table.due(usize::MAX).0 {
            entries.push(entry(law));
            laws.push((object.clone(), law.id.clone()));
        }
        let made = table.amendments(table.due(usize::MAX).0.len(), usize::MAX);
        entries.extend(made.iter().map(amendment));
    }
    (LawBook::always(laws), entries)
}
