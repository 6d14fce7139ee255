//! Figures on what came of denials, from the entries.

use super::expected::Expected;
use docket_ledger::query::Cases;
use docket_record::entry::outcome::{Change, ChangedPath, Public, Relation};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Paths told, and different ones counted.
const TOP: usize = 10;
const COUNTED: usize = 10_000;

/// What came of denials, counted as `docs/rest.md` says.
pub(super) fn figures(cases: &Cases) -> Expected {
    let (mut fixed, mut series, mut retried, mut own) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut deleted, mut failed_open, mut known) = (0_u64, 0_u64, 0_u64);
    let mut after = Vec::new();
    let mut paths: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for row in cases.outcomes.values() {
        let Ok(public) = serde_json::from_slice::<Public>(&row.public) else {
            continue;
        };
        if public.relation == Relation::Deleted {
            deleted += 1;
            continue;
        }
        if public.failed_open {
            failed_open += 1;
            continue;
        }
        fixed += 1;
        series += u64::from(public.relation == Relation::Series);
        retried += u64::from(public.retried);
        own += u64::from(public.same_actor);
        after.push(public.after);
        if let Some(changed) = public.paths {
            known += 1;
            count_paths(&mut paths, changed);
        }
    }
    let denials = cases.cases.len() as u64;
    let unresolved = cases
        .cases
        .iter()
        .filter(|case| case.outcome.is_none())
        .count() as u64;
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let share = (denials > 0).then(|| unresolved as f64 / denials as f64);
    let mut top: Vec<(String, [u64; 4])> = paths.into_iter().collect();
    top.sort_by(|(a, [x, ..]), (b, [y, ..])| y.cmp(x).then_with(|| a.cmp(b)));
    top.truncate(TOP);
    let top: Value = top
        .into_iter()
        .map(|(path, [count, added, changed, removed])| {
            json!({"path": path, "count": count, "added": added, "changed": changed, "removed": removed})
        })
        .collect();
    Expected::object([
        ("denials", denials.into()),
        ("unresolved", unresolved.into()),
        ("unresolvedShare", share.into()),
        ("fixed", fixed.into()),
        ("fixedObject", (fixed - series).into()),
        ("fixedSeries", series.into()),
        ("fixedRetried", retried.into()),
        ("fixedSameActor", own.into()),
        ("deleted", deleted.into()),
        ("failedOpen", failed_open.into()),
        ("medianAfter", median(after).into()),
        ("pathsKnown", known.into()),
        ("topPaths", top.into()),
        ("limited", cases.more.into()),
    ])
}

/// Each path once an outcome: how often, and how often added, changed, removed.
fn count_paths(paths: &mut BTreeMap<String, [u64; 4]>, changed: Vec<ChangedPath>) {
    let mut seen = BTreeSet::new();
    for ChangedPath { path, change } in changed {
        if !seen.insert(path.clone()) || (paths.len() >= COUNTED && !paths.contains_key(&path)) {
            continue;
        }
        let counts = paths.entry(path).or_default();
        counts[0] += 1;
        counts[match change {
            Change::Added => 1,
            Change::Changed => 2,
            Change::Removed => 3,
        }] += 1;
    }
}

/// The middle one; of an even number the mean of the two in the middle.
fn median(mut numbers: Vec<i64>) -> Option<i64> {
    numbers.sort_unstable();
    let upper = *numbers.get(numbers.len() / 2)?;
    if numbers.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *numbers.get(numbers.len() / 2 - 1)?;
    Some(lower + (upper - lower) / 2)
}
