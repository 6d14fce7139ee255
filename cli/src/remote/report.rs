//! What was checked, what was found, and what could not be compared.

use docket_ledger::note::Checkpoint;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Findings that are spelled out.
const SPELLED_OUT: usize = 20;
/// Names of fields that are spelled out.
const FIELDS: usize = 20;

/// Why something that was served or shown was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Personal parts that the API server says are not the caller's to read.
    Personal,
    /// Exhibits, the same.
    Exhibit,
    /// Personal parts that the server calls withheld, with no API server to ask.
    PersonalUnasked,
    /// Exhibits, the same.
    ExhibitUnasked,
    /// Entries that are not served.
    Entries,
    /// The same, with no API server to ask.
    EntriesUnasked,
    /// Texts of records whose personal part is withheld.
    Texts,
    /// What amendments say of records.
    Amendments,
    /// Outcomes of records.
    Outcomes,
    /// Own denials in places that are not the caller's to read.
    Own,
    /// Gaps: their parts are not served.
    Gaps,
    /// Figures of namespaces whose personal parts are withheld.
    Figures,
    /// What the cluster's reports say.
    Reports,
    /// Orgs of violations.
    Orgs,
    /// Records in a form that is not known here.
    Forms,
    /// Fields that are not known here.
    Fields,
    /// What entries behind the checkpoint changed meanwhile.
    Newer,
    /// Lists that could not be asked for.
    Lists,
}

impl Kind {
    /// One, several, and why.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        const HIDDEN: &str = "not yours to read, as the API server says";
        const UNASKED: &str = "not yours to read, says the server; no API server was asked: \
                               name its kubeconfig";
        match self {
            Kind::Personal => ("personal part withheld", "personal parts withheld", HIDDEN),
            Kind::PersonalUnasked => ("personal part withheld", "personal parts withheld", UNASKED),
            Kind::Exhibit => ("exhibit withheld", "exhibits withheld", HIDDEN),
            Kind::ExhibitUnasked => ("exhibit withheld", "exhibits withheld", UNASKED),
            Kind::Entries => ("entry not served", "entries not served", HIDDEN),
            Kind::EntriesUnasked => ("entry not served", "entries not served", UNASKED),
            Kind::Texts => (
                "record's names and messages",
                "records' names and messages",
                "you lack `get denials/evidence`",
            ),
            Kind::Amendments => (
                "record by what amendments say",
                "records by what amendments say",
                "amendments are for readers of the cluster",
            ),
            Kind::Outcomes => (
                "record's outcome",
                "records' outcomes",
                "its entry was not served",
            ),
            Kind::Own => (
                "denial of your own",
                "denials of your own",
                "their entries were not served",
            ),
            Kind::Gaps => (
                "gap by what it says",
                "gaps by what they say",
                "gaps' parts are for readers of the cluster",
            ),
            Kind::Figures => (
                "figure",
                "figures",
                "made of names that were withheld, or that orgs share",
            ),
            Kind::Reports => (
                "word of policy reports",
                "words of policy reports",
                "of the cluster as it is, not of the ledger",
            ),
            Kind::Orgs => (
                "violation's org",
                "violations' orgs",
                "the namespace's, as the cluster says",
            ),
            Kind::Forms => (
                "record of another form",
                "records of another form",
                "use a newer docket",
            ),
            Kind::Fields => ("field", "fields", "not known here; use a newer docket"),
            Kind::Newer => (
                "item that was changed meanwhile",
                "items that were changed meanwhile",
                "the ledger grew; run it again",
            ),
            Kind::Lists => ("list", "lists", "refused, or too many"),
        }
    }
}

/// All that `docket verify` says of a server.
#[derive(Default)]
pub(super) struct Report {
    /// What was checked, a line each.
    lines: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
    findings: u64,
    spelled_out: Vec<String>,
    not_compared: BTreeMap<Kind, u64>,
    /// Entries of which something was not compared, each counted once.
    partly: BTreeSet<(Kind, u64)>,
    fields: BTreeSet<String>,
}

impl Report {
    /// Something is not as it was signed.
    pub(super) fn find(&mut self, finding: String) {
        self.findings += 1;
        if self.spelled_out.len() < SPELLED_OUT {
            self.spelled_out.push(finding);
        }
    }

    /// How many findings there are.
    pub(super) fn findings(&self) -> u64 {
        self.findings
    }

    /// What was checked and is as it should be.
    pub(super) fn say(&mut self, label: &str, what: &str) {
        self.lines.push(format!("{label:<12}{what}"));
    }

    /// For programs: how many of what were compared.
    pub(super) fn count(&mut self, what: &'static str, count: u64) {
        *self.counts.entry(what).or_default() += count;
    }

    /// One thing more that was not compared.
    pub(super) fn skip(&mut self, kind: Kind) {
        self.skip_all(kind, 1);
    }

    /// Something of the entry at this position, in whatever list it stands.
    pub(super) fn skip_of(&mut self, kind: Kind, position: u64) {
        if self.partly.insert((kind, position)) {
            self.skip(kind);
        }
    }

    /// Several of one kind.
    pub(super) fn skip_all(&mut self, kind: Kind, count: u64) {
        if count > 0 {
            *self.not_compared.entry(kind).or_default() += count;
        }
    }

    /// A field that is not known here.
    pub(super) fn unknown_field(&mut self, name: String) {
        if !self.fields.contains(&name) && self.fields.len() < FIELDS {
            self.skip(Kind::Fields);
            self.fields.insert(name);
        }
    }

    /// For people: a line for each check, and one for what was not compared.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = self.lines.clone();
        let skipped: Vec<String> = self
            .not_compared
            .iter()
            .map(|(kind, number)| {
                let (one, many, why) = kind.words();
                let what = count(*number, one, many);
                let names = match kind {
                    Kind::Fields => self.fields.iter().cloned().collect::<Vec<_>>().join(" "),
                    _ => String::new(),
                };
                let names = if names.is_empty() {
                    names
                } else {
                    format!("{names}: ")
                };
                format!("{what} ({names}{why})")
            })
            .collect();
        if !skipped.is_empty() {
            lines.push(format!("not compared: {}", skipped.join(", ")));
        }
        lines
    }

    /// For people: what was found.
    pub(super) fn spelled_out(&self) -> Vec<String> {
        let mut lines = self.spelled_out.clone();
        let more = self.findings - lines.len() as u64;
        if more > 0 {
            lines.push(format!("{more} more findings"));
        }
        lines
    }

    /// For programs.
    pub(super) fn document(&self, checkpoint: &Checkpoint, how: &str, replay: bool) -> Value {
        let not_compared = self.not_compared.iter().map(|(kind, count)| {
            let (_, what, why) = kind.words();
            json!({ "what": what, "count": count, "why": why })
        });
        let mut document = json!({
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": data_encoding::BASE64.encode(&checkpoint.root),
            "signedBy": how,
            "intact": self.findings == 0,
            "compared": self.counts,
            "notCompared": not_compared.collect::<Vec<_>>(),
            "findings": self.spelled_out,
            "moreFindings": self.findings - self.spelled_out.len() as u64,
        });
        if replay {
            document["replay"] = true.into();
        }
        document
    }
}

/// `1 entry`, `2 entries`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// How many entries.
pub(super) fn entries(number: u64) -> String {
    count(number, "entry", "entries")
}
