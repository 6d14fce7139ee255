//! Writes that an exception let through.
//!
//! Two things say so. The **law**: an exception that was in force names a policy which
//! covers the resource there; such an event comes here as a record of its own, at once. A
//! **report** of the enforcer, which says that the exception decided: it comes later, from
//! the object as it is stored, and is linked to the last admitted write of that object; it
//! raises the evidence of what the law said, or makes the pass if there is none.
//!
//! An exception for many objects must not flood the ledger: of the law's word, at most
//! [`KEPT`] writes of one exception in one namespace and minute are kept; how many more
//! there were is said in an amendment of the last of them. Two sources bring their minutes
//! at different times, so a minute counts until nothing of it has come for a while. A
//! crash loses the count of those that are open.

use super::law::Lawgivers;
use crate::gaps::{id, json};
use crate::objects::{Last, Objects};
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::{Batch, Store, StoreError};
use docket_record::audit::User;
use docket_record::denial::{
    Attribution, Evidence, Excepted, Grade, Personal, Public, Record, TestimonyState, Verdict,
};
use docket_record::entry::amendment::{self, AmendmentKind};
use docket_record::examine::{self, Finding, Outcome};
use docket_record::krate;
use docket_record::report::Subject;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashSet};

/// Passes kept of one exception in one namespace and minute.
const KEPT: u64 = 10;
/// Exceptions, namespaces and minutes that are counted at one time. Of more, the oldest
/// minute is over.
const COUNTED: usize = 4096;
/// A minute is over if nothing of it has come for so long.
const QUIET: SignedDuration = SignedDuration::from_secs(120);
/// Sightings remembered in each of two generations, so that each scan does not ask anew.
const REMEMBERED: usize = 16_384;
/// A report tells its time to the second.
const REPORT_TIME: SignedDuration = SignedDuration::from_secs(1);

/// What a report says of an object that an exception let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The object.
    pub subject: Subject,
    /// When it was judged.
    pub time: Timestamp,
    /// True if a background scan judged, false if an admission review did.
    pub background: Option<bool>,
    /// Kind and name of the report.
    pub report: (String, String),
    /// What is owed to the policy.
    pub attribution: Attribution,
    /// The exceptions that decided.
    pub exceptions: Vec<Excepted>,
}

/// Minute (since 1970), exception, namespace: the oldest minute comes first.
type Counted = (i64, String, String);

#[derive(Debug)]
struct Budget {
    /// When something of it came last.
    last_came: Timestamp,
    kept: u64,
    more: u64,
    /// Id of the last pass that was kept.
    last: String,
}

/// The core of it.
#[derive(Default)]
pub(super) struct Passes {
    budgets: BTreeMap<Counted, Budget>,
    young: HashSet<String>,
    old: HashSet<String>,
}

impl Passes {
    /// Of imported events none is made: which of very many are kept depends on when they
    /// come, and importing what was seen live must change nothing.
    pub(super) fn judge(&self, finding: &mut Finding, live: bool) {
        if let Outcome::Record(record) = &finding.outcome
            && record.public.verdict == Verdict::Excepted
            && !live
        {
            finding.outcome = Outcome::Counted(examine::Counted::Admitted);
        }
    }

    /// Is there room for this pass in its minute?
    pub(super) fn keep(
        &mut self,
        record: &Record,
        time: Timestamp,
        now: Timestamp,
        batch: &mut Batch,
    ) -> bool {
        let Some(first) = record.public.exceptions.first() else {
            return true;
        };
        let exception = format!("{}/{}", first.namespace, first.name);
        let minute = time.as_second().div_euclid(60);
        let key = (minute, exception, record.public.namespace.clone());
        if !self.budgets.contains_key(&key)
            && self.budgets.len() >= COUNTED
            && let Some((_, oldest)) = self.budgets.pop_first()
        {
            batch.entries.extend(more(&oldest, now));
        }
        let budget = self.budgets.entry(key).or_insert_with(|| Budget {
            last_came: now,
            kept: 0,
            more: 0,
            last: String::new(),
        });
        budget.last_came = now;
        if budget.kept >= KEPT {
            budget.more += 1;
            return false;
        }
        budget.kept += 1;
        budget.last.clone_from(&record.public.id);
        true
    }

    /// Minutes that are over are told.
    pub(super) fn tick(&mut self, now: Timestamp, batch: &mut Batch) {
        self.budgets.retain(|_, budget| {
            let over = now.duration_since(budget.last_came) > QUIET;
            if over {
                batch.entries.extend(more(budget, now));
            }
            !over
        });
    }

    /// A report says that an exception decided over an object.
    pub(super) fn sighted(
        &mut self,
        mut sighting: Sighting,
        objects: &Objects,
        lawgivers: &mut Lawgivers,
        store: &Store,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        let subject = &sighting.subject;
        let resource = krate::plural(&subject.kind);
        let write = objects.last(
            subject.group(),
            &resource,
            &subject.namespace,
            &subject.name,
        );
        let judged = sighting.time.saturating_add(REPORT_TIME);
        let judged = judged.unwrap_or(sighting.time);
        if write
            .as_ref()
            .is_some_and(|write| write.received > judged || write.operation == "DELETE")
        {
            // Of an older state of the object: the next scan speaks of this one.
            return Ok(());
        }
        let event = write.as_ref().map(|write| write.event.to_string());
        let key = sighting.key(event.as_deref().unwrap_or_default());
        if self.young.contains(&key) || self.old.contains(&key) {
            return Ok(());
        }
        let kind = krate::kind(&resource);
        let object = (&*subject.namespace, kind, &*subject.name);
        let known = match &event {
            // Perhaps in this very transaction.
            Some(event) if batch.entries.iter().any(|entry| entry.id == *event) => {
                event.clone().into()
            }
            _ => store.last_pass("excepted", object, judged)?,
        };
        let known = known.filter(|known| event.as_ref().is_none_or(|event| event == known));
        match known {
            Some(pass) => {
                let raised = sighting.exceptions.iter();
                let raised = raised.map(|exception| sighting.evidence(&pass, exception, now));
                batch.entries.extend(raised);
            }
            None => {
                let id = event.unwrap_or_else(|| key.clone());
                lawgivers.attribution(&id, &mut sighting.attribution, sighting.time);
                let pass = sighting.pass(id, &resource, write.as_deref());
                batch.entries.push(pass);
            }
        }
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key);
        Ok(())
    }
}

impl Sighting {
    /// The same for each scan of the same object, policy and exceptions, as long as it is
    /// not written anew.
    fn key(&self, event: &str) -> String {
        let exceptions: Vec<String> = self
            .exceptions
            .iter()
            .map(|one| format!("{}/{} {}", one.namespace, one.name, one.laws.join(" ")))
            .collect();
        let policy = self.attribution.policy.as_deref().unwrap_or_default();
        id(&[
            "excepted",
            &self.subject.uid,
            &self.subject.namespace,
            &self.subject.kind,
            &self.subject.name,
            policy,
            &exceptions.join(","),
            event,
        ])
    }

    /// Raises the evidence of a pass.
    fn evidence(&self, pass: &str, exception: &Excepted, now: Timestamp) -> NewEntry {
        let place = format!("{}/{}", exception.namespace, exception.name);
        let kind = AmendmentKind::Evidence;
        let id = id(&["amendment", kind.name(), pass, &exception.policy, &place]);
        let (report_kind, report) = self.report.clone();
        let raised = amendment::Public {
            evidence: Some(Evidence::Report),
            exception: Some(exception.clone()),
            report,
            report_kind,
            report_time: Some(self.time),
            background: self.background,
            ..amendment::Public::new(kind, id, pass, now)
        };
        NewEntry::new(Class::Amendment, &raised.id, raised.bytes())
    }

    /// A pass of which the law said nothing, or that there was no room for.
    fn pass(&self, id: String, resource: &str, write: Option<&Last>) -> NewEntry {
        let subject = &self.subject;
        let (group, version) = match subject.api_version.split_once('/') {
            Some((group, version)) => (group, version),
            None => ("", &*subject.api_version),
        };
        let mut notes = Vec::new();
        if write.is_none() {
            notes.push("the write that brought the object is not known: only its report is");
        }
        if self.background == Some(true) {
            notes.push("a background scan says so; of the write itself nothing is said");
        }
        let public = Public {
            id: id.clone(),
            time: write.map_or(self.time, |write| write.time).to_string(),
            verdict: Verdict::Excepted,
            operation: write
                .map(|write| write.operation.clone())
                .unwrap_or_default(),
            verb: String::new(),
            dry_run: false,
            group: group.to_owned(),
            version: version.to_owned(),
            resource: resource.to_owned(),
            subresource: String::new(),
            kind: krate::kind(resource).to_owned(),
            namespace: subject.namespace.clone(),
            code: 0,
            reason: String::new(),
            attributions: vec![self.attribution.clone()],
            exceptions: self.exceptions.clone(),
            context: write.map(|write| write.context.clone()).unwrap_or_default(),
            testimony: TestimonyState::NotExpected,
            passes: 0,
            source: format!("{} {}", self.report.0, self.report.1),
            derived: String::new(),
            unmasked: false,
            notes: notes.into_iter().map(str::to_owned).collect(),
        };
        let personal = Personal {
            name: subject.name.clone(),
            generated_name: false,
            object_uid: subject.uid.clone(),
            actor: User {
                username: write.map(|write| write.actor.clone()).unwrap_or_default(),
                ..User::default()
            },
            impersonator: None,
            source_ips: Vec::new(),
            user_agent: String::new(),
            text: String::new(),
            messages: Vec::new(),
            event: serde_json::Value::Null,
            importer: String::new(),
        };
        NewEntry::new(Class::Pass, &id, json(&public)).with_personal(json(&personal))
    }
}

/// What is owed to a policy whose exception decided, by the enforcer's own word.
pub(crate) fn by_report(policy: Attribution) -> Attribution {
    Attribution {
        enforcer: "kyverno".to_owned(),
        result: "skip".to_owned(),
        grade: Some(Grade::Exact),
        source: "report".to_owned(),
        ..policy
    }
}

/// How many more there were in a minute than were kept.
fn more(budget: &Budget, now: Timestamp) -> Option<NewEntry> {
    if budget.more == 0 {
        return None;
    }
    let kind = AmendmentKind::More;
    let id = id(&["amendment", kind.name(), &budget.last]);
    let more = amendment::Public {
        count: Some(budget.more),
        ..amendment::Public::new(kind, id, &budget.last, now)
    };
    Some(NewEntry::new(Class::Amendment, &more.id, more.bytes()))
}
