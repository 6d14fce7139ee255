//! Violations: denials of the ledger and results of reports, in one list.
//!
//! A report is read with its own namespace, never with that of the object it names:
//! whoever may write reports in one namespace can say nothing in the list of another.

use super::{Entry, Listing, ReadError, Records, Scope, entry};
use crate::objects::Last;
use crate::reports::{Kept, Key, Violation};
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, Page, Reader, Row};
use docket_ledger::store::StoreError;
use docket_record::entry::base32;
use docket_record::krate;
use docket_record::policies::Policy;
use docket_record::report::{Judged, ReportResult};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Denials looked at for one answer, of each namespace.
const LOOK: u32 = 10_000;
/// Denied objects in one answer.
const DENIED: u32 = 2_000;

/// Where a violation is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The ledger: a write that was refused.
    Denial,
    /// A policy report: an object that exists.
    Report,
}

/// Which violations. Empty fields do not filter.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// What the ledger can filter: time, policy, rule, kind, name, repository.
    pub filter: Filter,
    /// `low`, …
    pub severity: Option<String>,
    /// `fail`, `warn`, `error`.
    pub result: Option<String>,
    /// `audit`, `enforce`.
    pub mode: Option<String>,
    /// One source only.
    pub from: Option<Origin>,
}

/// One violation, with what belongs to it.
#[derive(Debug)]
pub enum Found {
    /// The latest denial of an object in its series.
    Denied {
        /// The record.
        entry: Box<Entry>,
        /// How many there are, and when the first was.
        count: u64,
        /// Microseconds.
        first: i64,
        /// The report that speaks of the same object.
        report: Option<String>,
    },
    /// A result of a report.
    Reported(Box<Reported>),
}

/// A result of a report, with what else is known of policy and object.
#[derive(Debug)]
pub struct Reported {
    /// Unique while the violation lasts.
    pub id: String,
    /// The result.
    pub violation: Violation,
    /// The policy as it is now.
    pub policy: Option<Policy>,
    /// When the policy's present version was first observed, microseconds.
    pub law_time: Option<i64>,
    /// The last admitted write of the object, as far as it is remembered.
    pub write: Option<Arc<Last>>,
    /// The newest denial by the same policy on the same object.
    pub denial: Option<String>,
}

/// All that an answer says.
#[derive(Debug)]
pub struct Violations {
    /// Newest first.
    pub page: Listing<Found>,
    /// Where the next page begins.
    pub next: Option<(i64, u64)>,
    /// Denials before this time were not looked at.
    pub denials_since: Option<i64>,
    /// Results of reports that there was no room for.
    pub left_out: u64,
}

/// Reports by their keys.
pub(in crate::doors) type Kepts = BTreeMap<Key, Arc<Kept>>;

enum Candidate {
    Denied {
        position: u64,
        count: u64,
        first: i64,
    },
    Reported(String, Violation),
}

impl Records {
    /// Reports of the namespaces that are within the scope whole, by their keys; and which
    /// kinds of them are known.
    pub(in crate::doors) fn reports(&self, scope: &Scope) -> (Kepts, BTreeSet<String>) {
        let table = self.known.reports.read();
        let namespaces = scope.whole().unwrap_or_default();
        let kept = table.of(&namespaces);
        let kept = kept.map(|(key, kept)| (key.clone(), Arc::clone(kept)));
        (kept.collect(), table.kinds().map(str::to_owned).collect())
    }

    /// Another number after any change of any report.
    pub(in crate::doors) fn report_changes(&self) -> u64 {
        self.known.reports.changes()
    }

    /// Results of reports that there was no room for.
    pub(in crate::doors) fn left_out(&self) -> u64 {
        self.known.reports.read().left_out()
    }

    /// Violations within the scope, newest first.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn violations(
        &self,
        scope: &Scope,
        asked: Asked,
        page: Page,
    ) -> Result<Violations, ReadError> {
        let asked = Asked {
            filter: Filter {
                classes: vec![Class::Denial],
                verdict: Some("denied".to_owned()),
                dry_run: Some(false),
                scope: scope.clone(),
                ..asked.filter
            },
            ..asked
        };
        let this = self.clone();
        let question = move |reader: &Reader| this.collect(reader, &asked, &page);
        self.pool
            .read(move |reader| reader.snapshot(question))
            .await
    }

    fn collect(
        &self,
        reader: &Reader,
        asked: &Asked,
        page: &Page,
    ) -> Result<Violations, StoreError> {
        let mut candidates = Vec::new();
        let mut denials_since = None;
        if asked.from != Some(Origin::Report) && asked.mode.as_deref() != Some("audit") {
            let latest = reader.latest(&asked.filter, LOOK, DENIED)?;
            denials_since = latest.since;
            for one in latest.found {
                if asked.severity.is_some() || asked.result.is_some() {
                    let row = reader.at(one.position)?;
                    if !row.is_some_and(|row| judged_as_asked(&row, asked)) {
                        continue;
                    }
                }
                let denied = Candidate::Denied {
                    position: one.position,
                    count: one.count,
                    first: one.first,
                };
                candidates.push(((one.time, one.position), denied));
            }
        }
        if asked.from != Some(Origin::Denial) {
            let whole = asked.filter.scope.whole();
            let found = self.known.reports.read().violations(whole.as_deref());
            for violation in found.into_iter().filter(|one| self.takes(one, asked)) {
                let (id, tie) = id(&violation);
                let time = violation.result().time;
                let time = time.map_or(i64::MIN, Timestamp::as_microsecond);
                candidates.push(((time, tie), Candidate::Reported(id, violation)));
            }
        }
        candidates.sort_unstable_by_key(|(key, _)| std::cmp::Reverse(*key));
        let total = candidates.len() as u64;
        if let Some(after) = page.after {
            candidates.retain(|(key, _)| *key < after);
        }
        let skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
        let mut rest = candidates.into_iter().skip(skip);
        let mut items = Vec::new();
        let mut last = None;
        for (key, candidate) in rest.by_ref().take(page.limit as usize) {
            last = Some(key);
            items.extend(self.found(reader, &asked.filter.scope, candidate)?);
        }
        let more = rest.next().is_some();
        Ok(Violations {
            page: Listing {
                items,
                total,
                capped: false,
                more,
            },
            next: last.filter(|_| more),
            denials_since,
            left_out: self.known.reports.read().left_out(),
        })
    }

    fn takes(&self, violation: &Violation, asked: &Asked) -> bool {
        let result = violation.result();
        let subject = result.subject.as_ref();
        let filter = &asked.filter;
        let is =
            |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        let time = result.time.map(Timestamp::as_microsecond);
        is(&filter.policy, &result.policy)
            && is(&filter.rule, &result.rule)
            && is(&filter.kind, subject.map_or("", |subject| &subject.kind))
            && is(&filter.name, subject.map_or("", |subject| &subject.name))
            && is(&asked.result, word(result.judged))
            && filter.since.is_none_or(|since| time >= Some(since))
            && filter
                .until
                .is_none_or(|until| time.is_none_or(|time| time < until))
            && (filter.repository.is_none()
                || is(
                    &filter.repository,
                    &self.repository(&filter.scope, result).unwrap_or_default(),
                ))
            && ((asked.severity.is_none() && asked.mode.is_none()) || {
                let policy = self.policy(result);
                let law = policy.as_ref().map(|policy| &policy.law);
                let severity = law.map_or("", |law| &law.severity);
                let severity = [&*result.severity, severity]
                    .into_iter()
                    .find(|text| !text.is_empty());
                is(&asked.severity, severity.unwrap_or_default())
                    && is(&asked.mode, law.map_or("", |law| &law.mode))
            })
    }

    fn repository(&self, scope: &Scope, result: &ReportResult) -> Option<String> {
        let subject = result.subject.as_ref()?;
        if subject.kind == "Repository" {
            return Some(subject.name.clone());
        }
        Some(self.write(scope, result)?.context.repository.clone())
    }

    /// Not what was written in a former namespace of that name.
    fn write(&self, scope: &Scope, result: &ReportResult) -> Option<Arc<Last>> {
        let subject = result.subject.as_ref()?;
        let last = self.known.objects.last(
            subject.group(),
            &krate::plural(&subject.kind),
            &subject.namespace,
            &subject.name,
        )?;
        let time = last.time.as_microsecond();
        scope
            .covers_all_of(&subject.namespace, time)
            .then_some(last)
    }

    fn policy(&self, result: &ReportResult) -> Option<Policy> {
        let list = self.known.laws.now();
        list.policies
            .iter()
            .find(|policy| result.is_of(policy))
            .cloned()
    }

    /// `None` for an entry that was taken away meanwhile.
    fn found(
        &self,
        reader: &Reader,
        scope: &Scope,
        candidate: Candidate,
    ) -> Result<Option<Found>, StoreError> {
        match candidate {
            Candidate::Denied {
                position,
                count,
                first,
            } => {
                let Some(row) = reader.at(position)? else {
                    return Ok(None);
                };
                let entry = entry(reader, scope, row)?;
                let report = self.report_of(&entry.row);
                Ok(Some(Found::Denied {
                    entry: Box::new(entry),
                    count,
                    first,
                    report,
                }))
            }
            Candidate::Reported(id, violation) => {
                let result = violation.result();
                let policy = self.policy(result);
                let law = policy.as_ref().map_or("", |policy| &policy.law_id);
                let law_time = if law.is_empty() {
                    None
                } else {
                    reader.get(law, &Scope::all())?.map(|row| row.time)
                };
                let reported = Reported {
                    policy,
                    law_time,
                    write: self.write(scope, result),
                    denial: denial_of(reader, scope, &violation)?,
                    id,
                    violation,
                };
                Ok(Some(Found::Reported(Box::new(reported))))
            }
        }
    }

    /// Name of the report that speaks of the object of a record: the object exists.
    pub(in crate::doors) fn report_of(&self, row: &Row) -> Option<String> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Object {
            group: String,
            version: String,
            kind: String,
            namespace: String,
        }
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Named {
            name: String,
        }
        let object: Object = serde_json::from_slice(&row.public).ok()?;
        let Named { name } = serde_json::from_slice(row.personal.as_deref()?).ok()?;
        let api_version = match object.group.as_str() {
            "" => object.version,
            group => format!("{group}/{}", object.version),
        };
        let table = self.known.reports.read();
        table
            .about(&api_version, &object.kind, &object.namespace, &name)
            .map(str::to_owned)
    }
}

/// The newest denial of the same object by the same policy.
fn denial_of(
    reader: &Reader,
    scope: &Scope,
    violation: &Violation,
) -> Result<Option<String>, StoreError> {
    let result = violation.result();
    let Some(subject) = &result.subject else {
        return Ok(None);
    };
    let filter = Filter {
        classes: vec![Class::Denial],
        scope: scope.clone(),
        namespace: Some(subject.namespace.clone()),
        policy: Some(result.policy.clone()),
        kind: Some(subject.kind.clone()),
        name: Some(subject.name.clone()),
        verdict: Some("denied".to_owned()),
        dry_run: Some(false),
        ..Filter::default()
    };
    let page = Page {
        limit: 1,
        ..Page::default()
    };
    Ok(reader.list(&filter, &page)?.pop().map(|row| row.id))
}

/// What only the parts of a denial say.
fn judged_as_asked(row: &Row, asked: &Asked) -> bool {
    let public: serde_json::Value = serde_json::from_slice(&row.public).unwrap_or_default();
    let first = &public["attributions"][0];
    let is = |wanted: &Option<String>, value: &serde_json::Value| {
        wanted
            .as_deref()
            .is_none_or(|wanted| value.as_str() == Some(wanted))
    };
    is(&asked.severity, &first["law"]["severity"]) && is(&asked.result, &first["result"])
}

/// As the reports write it.
pub(in crate::doors) fn word(judged: Judged) -> &'static str {
    match judged {
        Judged::Pass => "pass",
        Judged::Fail => "fail",
        Judged::Warn => "warn",
        Judged::Error => "error",
        Judged::Skip => "skip",
    }
}

/// The same as long as the violation lasts; and a number to sort equal times by.
fn id(violation: &Violation) -> (String, u64) {
    let (report, result) = (&violation.kept.report, violation.result());
    let subject = result.subject.clone().unwrap_or_default();
    let parts = [
        "violation",
        &report.namespace,
        &report.kind,
        &report.name,
        &result.source,
        &result.policy_namespace,
        &result.policy,
        &result.rule,
        &subject.api_version,
        &subject.kind,
        &subject.name,
    ];
    let hash = digest(&SHA256, parts.join("\0").as_bytes());
    let mut tie = [0; 8];
    tie.copy_from_slice(&hash.as_ref()[..8]);
    (base32(hash.as_ref()), u64::from_be_bytes(tie))
}
