//! Before an arrival is committed: what the witness can tell of the admitted writes that
//! answer a denial, so that an outcome says which paths were changed. Of these objects
//! only digests are asked for, and none of them is kept.

use super::Court;
use super::exhibits::shows_it;
use crate::intake::Arrival;
use crate::intake::outcome::{Waiting, opens};
use docket_record::examine::{Finding, Outcome};
use docket_record::exhibit::{Answer, Exhibit, Question};
use docket_record::write::Write;
use std::collections::BTreeMap;

/// Writes asked about for one arrival; the outcomes of others name no paths.
const ASKED: usize = 256;

impl Court {
    /// Says which denials are on their way. True if a write of this arrival may answer one,
    /// of it or of another.
    pub fn coming(&self, arrival: &Arrival, waiting: &Waiting) -> bool {
        for finding in &arrival.findings {
            if let Outcome::Record(record) = &finding.outcome
                && opens(&record.public)
            {
                let personal = &record.personal;
                waiting.coming(&record.public, &personal.name, &personal.actor.username);
            }
        }
        let mut writes = arrival
            .findings
            .iter()
            .filter_map(|finding| finding.write.as_ref());
        self.witnesses.is_some() && writes.any(|write| asked_for(write, waiting))
    }

    /// Asks each witness once for digests of the objects that answer a denial. Denials of
    /// the arrival count too, whatever their place in it.
    pub async fn answers(&self, arrival: &mut Arrival, waiting: &Waiting) {
        if !self.coming(arrival, waiting) {
            return;
        }
        let Some(witnesses) = &self.witnesses else {
            return;
        };
        let mut by_witness: BTreeMap<&str, (Vec<Question>, Vec<&mut Write>)> = BTreeMap::new();
        let findings = arrival.findings.iter_mut();
        let answering = findings.filter_map(|finding| {
            let Finding { write, sworn, .. } = finding;
            let write = write
                .as_deref_mut()
                .filter(|write| asked_for(write, waiting))?;
            Some((write, shows_it(sworn)?))
        });
        for (write, sworn) in answering.take(ASKED) {
            let instance = sworn.testimony.process.instance.as_str();
            let (questions, writes) = by_witness.entry(instance).or_default();
            questions.push(Question {
                uid: sworn.uid.clone(),
                namespace: write.namespace.clone(),
                digests_only: true,
                ..Question::default()
            });
            writes.push(write);
        }
        let asked = by_witness
            .into_iter()
            .map(|(instance, (questions, writes))| async move {
                (writes, witnesses.ask_exhibits(instance, questions).await)
            });
        for (writes, answers) in futures::future::join_all(asked).await {
            for (write, answer) in writes.into_iter().zip(answers) {
                write.digests = digests(&answer);
            }
        }
    }
}

fn asked_for(write: &Write, waiting: &Waiting) -> bool {
    !write.dry_run && write.operation != "DELETE" && waiting.waits_for(write)
}

fn digests(answer: &Answer) -> Option<docket_record::exhibit::Digests> {
    match answer {
        Answer::Held(held) => {
            let exhibit: Exhibit = serde_json::from_str(held.exhibit.as_ref()?.get()).ok()?;
            exhibit.digests
        }
        Answer::Missing(_) => None,
    }
}
