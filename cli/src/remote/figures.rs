//! Answers with figures: the summary, what came of denials, and violations. What they are
//! made of in the ledger is counted here again.

use super::expected::Expected;
use super::lists::{Lists, MOST};
use super::outcomes::figures;
use super::parts::no_room;
use super::record::{View, item, time};
use super::report::Kind;
use super::walk::Walk;
use crate::client::encode;
use crate::failure::Failure;
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, Plot, Scope, SeriesRow};
use docket_record::denial::Public;
use docket_record::gap::{Hidden, hides};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Series that a summary is made of, and those that it spells out.
const SERIES: u32 = 1000;
const SPELLED_OUT: usize = 50;
/// Denials that figures on outcomes are made of, and that violations are looked for in.
const CASES: u32 = 10_000;
/// Denied objects among violations.
const DENIED: u32 = 2000;
impl Lists<'_> {
    /// How many answers were compared.
    pub(super) async fn figures(&mut self) -> Result<u64, Failure> {
        let summary = self.summary().await?;
        let violations = self.violations().await?;
        let mut outcomes = 0;
        let namespaces = self.verified.view.namespaces(u32::MAX).map_err(no_room)?;
        let more = namespaces.len().saturating_sub(MOST) as u64;
        self.report.skip_all(Kind::Lists, more);
        for namespace in namespaces.into_iter().take(MOST) {
            outcomes += self.outcomes(&namespace).await?;
        }
        Ok(summary + violations + outcomes)
    }

    async fn summary(&mut self) -> Result<u64, Failure> {
        let path = "/api/policy-denials/summary";
        let Some(shown) = self.client.json_if_any(path).await? else {
            return Ok(0);
        };
        let view = &self.verified.view;
        let total = view.count(&Filter::default()).map_err(no_room)?;
        let series = view.series(&Filter::default(), SERIES).map_err(no_room)?;
        let open = view.gaps(true).map_err(no_room)?;
        // Those that may hide a denial.
        let open = open
            .iter()
            .filter(|gap| hides(&gap.cause).contains(&Hidden::Denials))
            .count();
        let by =
            |name: &str, column: fn(&SeriesRow) -> &String| Expected::Is(by(&series, name, column));
        let mut expected = Expected::object([
            ("total", total.into()),
            ("since", Value::Null.into()),
            ("until", Value::Null.into()),
            ("byPolicy", by("policy", |row| &row.policy)),
            ("byNamespace", by("namespace", |row| &row.namespace)),
            ("byKind", by("kind", |row| &row.kind)),
            ("byEnforcer", by("enforcer", |row| &row.enforcer)),
            ("byRepository", by("repository", |row| &row.repository)),
            (
                "series",
                Value::from_iter(series.iter().take(SPELLED_OUT).map(series_item)).into(),
            ),
            (
                "openGaps",
                match self.verified.whole {
                    true => open.into(),
                    false => Expected::Unknown(Kind::Figures),
                },
            ),
            ("partial", shown["partial"].clone().into()),
            ("replay", shown["replay"].clone().into()),
        ]);
        // The order of equal counts is not said.
        let ordered = |name: &str| {
            let mut items = shown[name].as_array().cloned().unwrap_or_default();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        };
        let mut sorted = shown.clone();
        for name in [
            "byPolicy",
            "byNamespace",
            "byKind",
            "byEnforcer",
            "byRepository",
            "series",
        ] {
            sorted[name] = ordered(name);
            if let Some(Expected::Is(Value::Array(items))) = expected.get(name).cloned() {
                let mut items = items;
                items.sort_by_key(ToString::to_string);
                expected.set(name, Value::Array(items));
            }
        }
        self.figure(path, expected, &sorted, shown["total"].as_u64(), total)
            .await
    }

    /// One answer, of so many more than must be.
    async fn figure(
        &mut self,
        path: &str,
        expected: Expected,
        shown: &Value,
        said: Option<u64>,
        known: u64,
    ) -> Result<u64, Failure> {
        let differences = expected.differences(shown);
        for kind in differences.skipped {
            self.report.skip(kind);
        }
        for name in differences.unknown {
            self.report.unknown_field(name);
        }
        if differences.fields.is_empty() {
            return Ok(1);
        }
        // Whatever came meanwhile makes other figures; it can't make less of them.
        let more = said.and_then(|said| said.checked_sub(known));
        match more {
            Some(more) if self.grown(more.max(1)).await? => self.report.skip(Kind::Newer),
            _ => self.report.find(format!(
                "{path} says otherwise than the parts: {}",
                differences.fields.join(", ")
            )),
        }
        Ok(0)
    }

    /// What came of the denials of one namespace.
    async fn outcomes(&mut self, namespace: &str) -> Result<u64, Failure> {
        let path = format!("/api/outcomes?namespace={}", encode(namespace));
        let Some(shown) = self.client.json_if_any(&path).await? else {
            return Ok(0);
        };
        let cases = self.verified.view.cases(namespace, None, None, None, CASES);
        let cases = cases.map_err(no_room)?;
        // An outcome is found by a name, too.
        if !self.verified.withheld.is_empty() {
            self.report.skip(Kind::Figures);
            return Ok(0);
        }
        let mut expected = figures(&cases);
        for (name, value) in [
            ("namespace", json!(namespace)),
            ("policy", Value::Null),
            ("since", Value::Null),
            ("until", Value::Null),
            ("replay", shown["replay"].clone()),
        ] {
            expected.set(name, value);
        }
        let said = shown["denials"].as_u64();
        self.figure(&path, expected, &shown, said, cases.cases.len() as u64)
            .await
    }

    /// Denials among the violations; what reports say is the cluster's word.
    async fn violations(&mut self) -> Result<u64, Failure> {
        let view = &self.verified.view;
        // Of each namespace by itself, for who does not read all.
        let scope = match self.verified.whole {
            true => Scope::all(),
            false => {
                let names = view.namespaces(u32::MAX).map_err(no_room)?;
                Scope::of(names.into_iter().map(|name| (name, Plot::default())))
            }
        };
        let filter = Filter {
            classes: vec![Class::Denial],
            verdict: Some("denied".to_owned()),
            dry_run: Some(false),
            scope,
            ..Filter::default()
        };
        let latest = view.latest(&filter, CASES, DENIED).map_err(no_room)?;
        let mut wanted = BTreeMap::new();
        for one in latest.found {
            if let Some(row) = view.at(one.position).map_err(no_room)? {
                wanted.insert(row.id.clone(), (row, one.count, one.first));
            }
        }
        // Objects are told apart by their names.
        let names = self.verified.withheld.is_empty();
        let mut walk = Walk::new("/api/policy-violations", None);
        let mut seen = BTreeSet::new();
        while let Some(page) = walk.next(self.client).await? {
            for shown in page["items"].as_array().into_iter().flatten() {
                if shown["source"] != "denial" {
                    self.report.skip(Kind::Reports);
                    continue;
                }
                if !names {
                    continue;
                }
                let id = shown["id"].as_str().unwrap_or_default();
                let Some((row, count, first)) = wanted.get(id).cloned() else {
                    match self.grown(1).await? {
                        true => self.report.skip(Kind::Newer),
                        false => self.report.find(format!(
                            "{} shows a denial {id:?} that is not the latest of any object",
                            walk.path
                        )),
                    }
                    continue;
                };
                if !seen.insert(row.position) {
                    let finding =
                        format!("entry {} is listed twice in {}", row.position, walk.path);
                    self.report.find(finding);
                    continue;
                }
                let Some(record) = item(self.verified, &row, View::default())? else {
                    self.report.skip_of(Kind::Forms, row.position);
                    continue;
                };
                let mut expected = violation(&record, &row.public, count, first);
                if shown["count"] != count && self.grown(1).await? {
                    expected.set("count", Expected::Unknown(Kind::Newer));
                    expected.set("firstSeen", Expected::Unknown(Kind::Newer));
                }
                // An org is the namespace's, which the cluster says, else the record's own.
                let own = record.get("org").map(|own| own.differences(&shown["org"]));
                if own.is_some_and(|own| !own.fields.is_empty()) {
                    self.report.skip_of(Kind::Orgs, row.position);
                }
                expected.set("org", shown["org"].clone());
                self.compare(expected, shown, row.position, &walk.path)?;
            }
            if walk.has_no_end() {
                self.report.find(format!("{} has no end", walk.path));
                return Ok(0);
            }
        }
        if walk.pages == 0 {
            return Ok(0);
        }
        if !names {
            self.report.skip(Kind::Figures);
            return Ok(0);
        }
        for (row, _, _) in wanted.values() {
            if seen.contains(&row.position) {
                continue;
            }
            match self.grown(1).await? {
                true => self.report.skip(Kind::Newer),
                false => self.report.find(format!(
                    "entry {} is in the ledger, but not in {}",
                    row.position, walk.path
                )),
            }
        }
        Ok(1)
    }
}

/// A denial as a violation: with the same names for the same things.
fn violation(record: &Expected, public: &[u8], count: u64, first: i64) -> Expected {
    let public: Option<Public> = serde_json::from_slice(public).ok();
    let attribution = public.and_then(|public| public.attributions.into_iter().next());
    let law = attribution.and_then(|one| one.law).unwrap_or_default();
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    let same = |name: &str| record.get(name).cloned().unwrap_or(Value::Null.into());
    let mut shown = Expected::object([
        ("source", "denial".into()),
        ("denial", same("id")),
        ("category", said(law.category).into()),
        ("title", said(law.title).into()),
        ("firstSeen", time(first).into()),
        ("lastSeen", same("time")),
        ("count", count.into()),
    ]);
    for name in [
        "id",
        "policyRef",
        "policy",
        "rule",
        "result",
        "severity",
        "message",
        "resource",
        "resourceRef",
        "namespace",
        "repository",
        "environment",
        "surface",
        "mode",
        "remediation",
        "exceptionEligible",
        "report",
    ] {
        shown.set(name, same(name));
    }
    for name in ["age", "backgroundScanAge", "stale", "reportKind"] {
        shown.set(name, Value::Null);
    }
    shown
}

/// Series added up by one of their columns, largest first.
fn by(series: &[SeriesRow], name: &str, column: fn(&SeriesRow) -> &String) -> Value {
    let mut counts = BTreeMap::<&str, u64>::new();
    for row in series.iter().filter(|row| !column(row).is_empty()) {
        *counts.entry(column(row)).or_default() += row.count;
    }
    let counts = counts.into_iter();
    counts
        .map(|(value, count)| json!({ name: value, "count": count }))
        .collect()
}

fn series_item(row: &SeriesRow) -> Value {
    json!({
        "namespace": row.namespace, "enforcer": row.enforcer, "policy": row.policy,
        "rule": row.rule, "kind": row.kind, "operation": row.operation,
        "repository": row.repository, "count": row.count, "firstSeen": time(row.first),
        "lastSeen": time(row.last),
    })
}
