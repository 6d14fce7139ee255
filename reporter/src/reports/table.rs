//! What the reports say, by namespace, and which report speaks of which object.
//!
//! Bounded in results and bytes. What does not fit is not kept, counted while it exists,
//! and the count is said with every answer; it gets its place at its next change after
//! there is room again. Reports without a violation are kept for the link to their object
//! only, and only in the first half of the room.

use docket_record::report::{Report, ReportResult, Subject};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Results.
    pub results: usize,
    /// Bytes, estimated from the lengths of all texts.
    pub bytes: usize,
    /// Reports that are not kept, remembered by a number each to be counted.
    pub left_out: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            results: 50_000,
            bytes: 64 * 1024 * 1024,
            left_out: 100_000,
        }
    }
}

/// Which report. In order of their namespaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Empty for cluster-scoped ones.
    pub namespace: String,
    /// Kind; no two groups have one of the same name.
    pub kind: String,
    /// metadata.name.
    pub name: String,
}

/// One report with what was seen of it over time.
#[derive(Debug)]
pub struct Kept {
    /// As it is now.
    pub report: Report,
    /// For each result: when this violation was first judged, as far as was seen here.
    pub first_seen: Vec<Option<Timestamp>>,
    bytes: usize,
    listed: u64,
}

/// One result of a report that is kept.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The report.
    pub kept: Arc<Kept>,
    /// Place in its results.
    pub at: usize,
}

impl Violation {
    /// How the object was judged.
    #[must_use]
    pub fn result(&self) -> &ReportResult {
        &self.kept.report.results[self.at]
    }

    /// When it was first judged so.
    #[must_use]
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.kept.first_seen.get(self.at).copied().flatten()
    }
}

/// Group, kind, namespace, name; as a number, which is enough for a link.
fn object(subject: &Subject) -> u64 {
    let mut hasher = DefaultHasher::new();
    (
        subject.group(),
        &subject.kind,
        &subject.namespace,
        &subject.name,
    )
        .hash(&mut hasher);
    hasher.finish()
}

struct LeftOut {
    kind: String,
    results: u64,
    listed: u64,
}

/// All reports. Change it by what a watch says.
#[derive(Default)]
pub struct Table {
    bounds: Bounds,
    reports: BTreeMap<Key, Arc<Kept>>,
    objects: HashMap<u64, Key>,
    results: usize,
    bytes: usize,
    left_out: HashMap<u64, LeftOut>,
    /// Sum over `left_out`.
    lost: u64,
    /// Number of the list that is being read, or was read last, of each kind.
    lists: HashMap<String, u64>,
    /// Kinds that are served and were listed in full.
    known: BTreeSet<String>,
}

impl Table {
    /// With other bounds.
    #[must_use]
    pub fn bounded(bounds: Bounds) -> Table {
        Table {
            bounds,
            ..Table::default()
        }
    }

    /// A list of one kind begins. What is kept stays until the list is complete.
    pub fn list(&mut self, kind: &str) {
        *self.lists.entry(kind.to_owned()).or_default() += 1;
    }

    /// The list is complete: what was not in it is gone.
    pub fn listed(&mut self, kind: &str) {
        let now = self.lists.get(kind).copied().unwrap_or_default();
        self.known.insert(kind.to_owned());
        self.sweep(|key_kind, listed| key_kind == kind && listed < now);
    }

    /// The kind is not served any more.
    pub fn forget(&mut self, kind: &str) {
        self.known.remove(kind);
        self.sweep(|key_kind, _| key_kind == kind);
    }

    /// Kinds that the cluster serves and whose reports are all known.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }

    /// The reports of these namespaces, in the order of their keys.
    pub fn of<'t>(
        &'t self,
        namespaces: &'t [String],
    ) -> impl Iterator<Item = (&'t Key, &'t Arc<Kept>)> {
        namespaces.iter().flat_map(|namespace| {
            let from = Key {
                namespace: namespace.clone(),
                kind: String::new(),
                name: String::new(),
            };
            let range = self.reports.range(from..);
            range.take_while(move |(key, _)| key.namespace == *namespace)
        })
    }

    fn sweep(&mut self, gone: impl Fn(&str, u64) -> bool) {
        let keys: Vec<Key> = self
            .reports
            .iter()
            .filter(|(key, kept)| gone(&key.kind, kept.listed))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.remove(&key);
        }
        self.left_out.retain(|_, out| !gone(&out.kind, out.listed));
        self.lost = self.left_out.values().map(|out| out.results).sum();
    }

    /// A report as it is now.
    pub fn apply(&mut self, report: Report) {
        let key = Key {
            namespace: report.namespace.clone(),
            kind: report.kind.clone(),
            name: report.name.clone(),
        };
        let before = self.remove(&key);
        let listed = self.lists.get(&key.kind).copied().unwrap_or_default();
        let bytes = size(&report);
        let count = report.results.len();
        let room = if count == 0 {
            self.bounds.bytes / 2
        } else {
            self.bounds.bytes
        };
        let fits = self.bytes + bytes <= room && self.results + count <= self.bounds.results;
        let lost = report.left_out + if fits { 0 } else { count as u64 };
        if lost > 0 && self.left_out.len() < self.bounds.left_out {
            let out = LeftOut {
                kind: key.kind.clone(),
                results: lost,
                listed,
            };
            self.left_out.insert(number(&key), out);
            self.lost += lost;
        }
        if !fits {
            return;
        }
        let first_seen = first_seen(&report, before.as_deref());
        if let Some(scope) = &report.scope {
            self.objects.insert(object(scope), key.clone());
        }
        self.bytes += bytes;
        self.results += count;
        let kept = Kept {
            report,
            first_seen,
            bytes,
            listed,
        };
        self.reports.insert(key, Arc::new(kept));
    }

    /// One report, if it is kept.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Kept>> {
        self.reports.get(key).cloned()
    }

    /// A report that is gone.
    pub fn delete(&mut self, key: &Key) {
        self.remove(key);
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<Kept>> {
        if let Some(out) = self.left_out.remove(&number(key)) {
            self.lost -= out.results;
        }
        let kept = self.reports.remove(key)?;
        self.bytes -= kept.bytes;
        self.results -= kept.report.results.len();
        if let Some(scope) = &kept.report.scope {
            let place = object(scope);
            if self.objects.get(&place) == Some(key) {
                self.objects.remove(&place);
            }
        }
        Some(kept)
    }

    /// All violations; `namespaces`: only those of reports in these, else of all reports,
    /// the cluster-scoped ones too.
    pub fn violations(&self, namespaces: Option<&[String]>) -> Vec<Violation> {
        let mut found = Vec::new();
        match namespaces {
            None => self
                .reports
                .values()
                .for_each(|kept| take(kept, &mut found)),
            Some(names) => {
                for namespace in names.iter().filter(|name| !name.is_empty()) {
                    let of = |kind: &str| Key {
                        namespace: namespace.clone(),
                        kind: kind.to_owned(),
                        name: String::new(),
                    };
                    let from = (Included(of("")), Unbounded::<Key>);
                    let own = self.reports.range(from);
                    own.take_while(|(key, _)| key.namespace == *namespace)
                        .for_each(|(_, kept)| take(kept, &mut found));
                }
            }
        }
        found
    }

    /// Namespaces of reports with a violation, at most `limit`.
    pub fn namespaces(&self, limit: usize) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut from = Unbounded;
        while found.len() < limit
            && let Some((key, _)) = self.reports.range((from, Unbounded)).find(|(key, kept)| {
                !key.namespace.is_empty() && kept.report.results.iter().any(|r| r.is_violation())
            })
        {
            found.push(key.namespace.clone());
            // Behind every report of this namespace.
            from = Excluded(Key {
                namespace: format!("{}\0", key.namespace),
                kind: String::new(),
                name: String::new(),
            });
        }
        found
    }

    /// Name of the report that speaks of an object.
    #[must_use]
    pub fn about(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<&str> {
        let subject = Subject {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: String::new(),
        };
        let key = self.objects.get(&object(&subject))?;
        (key.namespace == namespace).then_some(&key.name)
    }

    /// Results of existing reports that are not kept.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.lost
    }

    /// Reports, and results of them, that are kept.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.reports.len(), self.results)
    }
}

fn take(kept: &Arc<Kept>, found: &mut Vec<Violation>) {
    let results = kept.report.results.iter().enumerate();
    let violations = results.filter(|(_, result)| result.is_violation());
    found.extend(violations.map(|(at, _)| Violation {
        kept: Arc::clone(kept),
        at,
    }));
}

fn number(key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// A scan writes the same violation again with its own time: the first one stays known as
/// long as the violation is never away.
fn first_seen(report: &Report, before: Option<&Kept>) -> Vec<Option<Timestamp>> {
    let mut known = HashMap::new();
    if let Some(before) = before {
        for (result, seen) in before.report.results.iter().zip(&before.first_seen) {
            if result.is_violation() {
                known.insert(same(result), *seen);
            }
        }
    }
    let results = report.results.iter();
    let first = |result| known.get(&same(result)).copied().flatten().or(result.time);
    results.map(first).collect()
}

/// What makes it the same violation.
fn same(result: &ReportResult) -> (&str, &str, &str, &str, Option<u64>) {
    (
        &result.source,
        &result.policy_namespace,
        &result.policy,
        &result.rule,
        result.subject.as_ref().map(object),
    )
}

/// A guess at the memory that it takes: texts, and what holds them.
fn size(report: &Report) -> usize {
    let subject = |subject: &Option<Subject>| {
        subject.as_ref().map_or(0, |subject| {
            subject.api_version.len()
                + subject.kind.len()
                + subject.namespace.len()
                + subject.name.len()
                + subject.uid.len()
        })
    };
    let result = |result: &ReportResult| {
        let texts = [
            &result.source,
            &result.policy_namespace,
            &result.policy,
            &result.rule,
            &result.severity,
            &result.category,
            &result.message,
        ];
        let exceptions: usize = result.exceptions.iter().map(|name| name.len() + 24).sum();
        let texts: usize = texts.into_iter().map(String::len).sum();
        texts + exceptions + subject(&result.subject) + size_of::<ReportResult>()
    };
    // Twice the key: in the table, and for the link to the object.
    2 * (report.namespace.len() + report.kind.len() + report.name.len())
        + report.api_version.len()
        + subject(&report.scope)
        + size_of::<Kept>()
        + report.results.iter().map(result).sum::<usize>()
}

#[cfg(test)]
mod tests;
