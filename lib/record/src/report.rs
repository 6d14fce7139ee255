//! A policy report, as the cluster holds it: PolicyReport and ClusterPolicyReport
//! (`wgpolicyk8s.io`), Report and ClusterReport (`openreports.io`).
//!
//! As they are served, both groups say `message` and `resources`; `description` and
//! `subjects`, the names of the newer group's own types, are read as the same. What a
//! report is called does not matter for what it says.
//!
//! Only what Docket has a use for is kept: violations (fail, warn, error), and results
//! that owe themselves to an exception. Docket's own reports say nothing new.

use crate::policies::Policy;
use crate::text::prefix;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Results kept of one report; Kyverno writes one report for one object.
pub const MOST_RESULTS: usize = 1000;
/// Longest message kept, in bytes.
pub const MESSAGE_LIMIT: usize = 4096;
/// Longest name of anything; Kubernetes allows no longer one.
const NAME_LIMIT: usize = 253;
/// Exceptions kept of one result.
const MOST_EXCEPTIONS: usize = 16;
/// `source` of reports that Docket itself writes.
const OURS: &str = "docket";

/// One report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// apiVersion.
    pub api_version: String,
    /// `PolicyReport`, `ClusterPolicyReport`, `Report`, `ClusterReport`.
    pub kind: String,
    /// Empty for cluster-scoped reports.
    pub namespace: String,
    /// metadata.name; Kyverno takes the uid of the object.
    pub name: String,
    /// The one object that it is about, if it says so.
    pub scope: Option<Subject>,
    /// Violations, and results that owe themselves to an exception; each about one object.
    pub results: Vec<ReportResult>,
    /// Results that were to be kept and are not: beyond [`MOST_RESULTS`], or about an object
    /// of a namespace that is not the report's own.
    pub left_out: u64,
}

/// What a result is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// apiVersion.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// metadata.name.
    pub name: String,
    /// metadata.uid, if given.
    pub uid: String,
}

/// How a policy judged an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Judged {
    /// In order.
    Pass,
    /// Not in order.
    Fail,
    /// Not in order, but the policy is not scored.
    Warn,
    /// The policy could not be evaluated.
    Error,
    /// Not evaluated.
    Skip,
}

/// How one policy (or rule) judged one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportResult {
    /// Who judged: `kyverno`, `KyvernoValidatingPolicy`, another tool.
    pub source: String,
    /// For namespaced policies.
    pub policy_namespace: String,
    /// metadata.name.
    pub policy: String,
    /// Empty for CEL policies.
    pub rule: String,
    /// How.
    pub judged: Judged,
    /// `critical`, `high`, `medium`, `low`, `info`, or empty.
    pub severity: String,
    /// Category or empty.
    pub category: String,
    /// What the policy says, cut at [`MESSAGE_LIMIT`].
    pub message: String,
    /// About what.
    pub subject: Option<Subject>,
    /// When it was judged; to the second.
    pub time: Option<Timestamp>,
    /// True if a background scan judged, false if an admission review did; `None` where
    /// the report does not say.
    pub background: Option<bool>,
    /// Names of the exceptions that it owes itself to. They carry no namespace.
    pub exceptions: Vec<String>,
}

impl Report {
    /// Reads an object of one of the four kinds. `None` for anything else.
    pub fn from_object(object: &Value) -> Option<Report> {
        let kind = text(object, "kind", NAME_LIMIT);
        let cluster = match kind.as_str() {
            "PolicyReport" | "Report" => false,
            "ClusterPolicyReport" | "ClusterReport" => true,
            _ => return None,
        };
        let mut report = Report {
            api_version: text(object, "apiVersion", NAME_LIMIT),
            kind,
            namespace: text(&object["metadata"], "namespace", NAME_LIMIT),
            name: text(&object["metadata"], "name", NAME_LIMIT),
            ..Report::default()
        };
        report.scope = subject(&object["scope"], &report.namespace);
        if report.name.is_empty() || report.namespace.is_empty() != cluster {
            return None;
        }
        let scope = report.scope.clone();
        for result in list(&object["results"]) {
            report.result(result, scope.as_ref());
        }
        // What it is about is the word of whoever wrote it: only about its own namespace.
        report.scope = scope.filter(|scope| report.may_speak_of(Some(scope)));
        Some(report)
    }

    fn result(&mut self, result: &Value, scope: Option<&Subject>) {
        let Some(read) = ReportResult::read(result) else {
            return;
        };
        if !read.is_violation() && read.exceptions.is_empty() {
            return;
        }
        let mut subjects: Vec<Option<Subject>> = list(&result["resources"])
            .iter()
            .chain(list(&result["subjects"]))
            .map(|object| subject(object, &self.namespace))
            .collect();
        if subjects.is_empty() {
            subjects.push(scope.cloned());
        }
        for subject in subjects {
            if self.results.len() >= MOST_RESULTS || !self.may_speak_of(subject.as_ref()) {
                self.left_out += 1;
                continue;
            }
            self.results.push(ReportResult {
                subject,
                ..read.clone()
            });
        }
    }

    /// Whoever may write reports in one namespace says nothing about another.
    fn may_speak_of(&self, subject: Option<&Subject>) -> bool {
        self.namespace.is_empty()
            || subject.is_none_or(|subject| subject.namespace == self.namespace)
    }
}

impl ReportResult {
    fn read(result: &Value) -> Option<ReportResult> {
        let of = |name: &str| text(result, name, NAME_LIMIT);
        let judged = match result["result"].as_str()? {
            "pass" => Judged::Pass,
            "fail" => Judged::Fail,
            "warn" => Judged::Warn,
            "error" => Judged::Error,
            "skip" => Judged::Skip,
            _ => return None,
        };
        let source = of("source");
        if source == OURS {
            return None;
        }
        let policy = text(result, "policy", 2 * NAME_LIMIT + 1);
        let (policy_namespace, policy) = names(&source, &policy);
        let (policy_namespace, policy) = (policy_namespace.to_owned(), policy.to_owned());
        let properties = &result["properties"];
        let message = [&result["message"], &result["description"]]
            .into_iter()
            .find_map(|text| text.as_str().filter(|text| !text.is_empty()))
            .unwrap_or_default();
        Some(ReportResult {
            source,
            policy_namespace,
            policy,
            rule: of("rule"),
            judged,
            severity: of("severity"),
            category: of("category"),
            message: prefix(message, MESSAGE_LIMIT).to_owned(),
            subject: None,
            time: time(&result["timestamp"]),
            background: match properties["process"].as_str() {
                Some("background scan") => Some(true),
                Some("admission review") => Some(false),
                _ => None,
            },
            exceptions: properties["exceptions"]
                .as_str()
                .unwrap_or_default()
                .split(',')
                .map(|name| prefix(name.trim(), NAME_LIMIT).to_owned())
                .filter(|name| !name.is_empty())
                .take(MOST_EXCEPTIONS)
                .collect(),
        })
    }

    /// Is the object, as it stands, not in order?
    pub fn is_violation(&self) -> bool {
        matches!(self.judged, Judged::Fail | Judged::Warn | Judged::Error)
    }

    /// Did an exception decide?
    pub fn is_excepted(&self) -> bool {
        matches!(self.judged, Judged::Skip | Judged::Pass) && !self.exceptions.is_empty()
    }

    /// Kinds that the policy can be of, by who judged; empty for other tools.
    pub fn policy_kinds(&self) -> &'static [&'static str] {
        kinds(&self.source)
    }

    /// Is this the policy that judged?
    pub fn is_of(&self, policy: &Policy) -> bool {
        policy.name == self.policy
            && policy.namespace == self.policy_namespace
            && self.policy_kinds().contains(&policy.kind.as_str())
    }
}

fn kinds(source: &str) -> &'static [&'static str] {
    match source {
        "kyverno" => &["ClusterPolicy", "Policy"],
        "KyvernoValidatingPolicy" => &["ValidatingPolicy", "NamespacedValidatingPolicy"],
        "KyvernoImageValidatingPolicy" => {
            &["ImageValidatingPolicy", "NamespacedImageValidatingPolicy"]
        }
        "KyvernoMutatingPolicy" => &["MutatingPolicy", "NamespacedMutatingPolicy"],
        "KyvernoGeneratingPolicy" => &["GeneratingPolicy", "NamespacedGeneratingPolicy"],
        "ValidatingAdmissionPolicy" => &["ValidatingAdmissionPolicy"],
        "MutatingAdmissionPolicy" => &["MutatingAdmissionPolicy"],
        _ => &[],
    }
}

/// Namespace and name of a policy. Kyverno puts the namespace of a namespaced policy before
/// its name; what other tools call a policy may be a title with a slash in it.
fn names<'a>(source: &str, policy: &'a str) -> (&'a str, &'a str) {
    let is_name = |part: &str| {
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        !part.is_empty() && part.bytes().all(letters)
    };
    match policy.split_once('/') {
        Some((namespace, name))
            if !kinds(source).is_empty() && is_name(namespace) && is_name(name) =>
        {
            (namespace, name)
        }
        _ => ("", policy),
    }
}

impl Subject {
    /// API group, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }
}

/// Some tools leave the namespace out in a report of the same namespace.
fn subject(object: &Value, namespace: &str) -> Option<Subject> {
    let of = |name: &str| text(object, name, NAME_LIMIT);
    let said = of("namespace");
    let subject = Subject {
        api_version: of("apiVersion"),
        kind: of("kind"),
        namespace: if said.is_empty() {
            namespace.to_owned()
        } else {
            said
        },
        name: of("name"),
        uid: of("uid"),
    };
    (!subject.kind.is_empty()).then_some(subject)
}

fn time(timestamp: &Value) -> Option<Timestamp> {
    let seconds = timestamp["seconds"].as_i64().filter(|&s| s > 0)?;
    let nanos = timestamp["nanos"].as_i64().unwrap_or(0);
    Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)).ok()
}

fn text(object: &Value, name: &str, limit: usize) -> String {
    prefix(object[name].as_str().unwrap_or_default(), limit).to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
