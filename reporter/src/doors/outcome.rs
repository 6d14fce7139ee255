//! What came of denials: of one, and the figures over many.

use super::item::time;
use docket_ledger::query::{Cases, Row};
use docket_model::{Outcome, Outcomes, TopPath};
use docket_record::audit::User;
use docket_record::changed::{Change, ChangedPath};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The public part of an outcome.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Public {
    relation: String,
    operation: String,
    count: u64,
    after: i64,
    same_actor: bool,
    retried: bool,
    failed_open: bool,
    paths: Option<Vec<ChangedPath>>,
    more_paths: u64,
    paths_unknown: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Personal {
    name: String,
    actor: User,
}

fn public(row: &Row) -> Option<Public> {
    serde_json::from_slice(&row.public).ok()
}

/// What happened after a denial of this time (microseconds). `None` if it can't be read.
pub(super) fn after(row: &Row, denied: i64) -> Option<Outcome> {
    let public = public(row)?;
    let personal = row.personal.as_deref();
    let personal: Option<Personal> = personal.and_then(|bytes| serde_json::from_slice(bytes).ok());
    let given = |text: String| (!text.is_empty()).then_some(text);
    let (by, name) = match personal {
        Some(personal) => (given(personal.actor.username), given(personal.name)),
        None => (None, None),
    };
    Some(Outcome {
        id: row.id.clone(),
        time: time(row.time),
        position: row.position,
        after: (row.time - denied) / 1000,
        by,
        relation: public.relation,
        name,
        operation: public.operation,
        same_actor: public.same_actor,
        retried: public.retried,
        failed_open: public.failed_open,
        count: public.count,
        paths: public.paths,
        more_paths: public.more_paths,
        paths_unknown: public.paths_unknown,
    })
}

/// Paths that are listed.
const TOP: usize = 10;
/// Different paths counted.
const COUNTED: usize = 10_000;

/// What came of the denials of one policy, or of all, in one namespace; which of them, and
/// when, is not said yet.
pub(super) fn figures(cases: &Cases) -> Outcomes {
    let mut figures = Outcomes {
        denials: cases.cases.len() as u64,
        limited: cases.more,
        ..Outcomes::default()
    };
    let mut after = Vec::new();
    let mut paths: BTreeMap<String, TopPath> = BTreeMap::new();
    for row in cases.outcomes.values() {
        let Some(public) = public(row) else { continue };
        if public.relation == "deleted" {
            figures.deleted += 1;
            continue;
        }
        if public.failed_open {
            figures.failed_open += 1;
            continue;
        }
        figures.fixed += 1;
        if public.relation == "series" {
            figures.fixed_series += 1;
        } else {
            figures.fixed_object += 1;
        }
        figures.fixed_retried += u64::from(public.retried);
        figures.fixed_same_actor += u64::from(public.same_actor);
        after.push(public.after);
        if let Some(changed) = public.paths {
            figures.paths_known += 1;
            count(&mut paths, changed);
        }
    }
    let unresolved = cases.cases.iter().filter(|case| case.outcome.is_none());
    figures.unresolved = unresolved.count() as u64;
    figures.unresolved_share = share(figures.unresolved, figures.denials);
    figures.median_after = median(after);
    figures.top_paths = paths.into_values().collect();
    figures
        .top_paths
        .sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.path.cmp(&b.path)));
    figures.top_paths.truncate(TOP);
    figures
}

/// Each path once an outcome, whatever a stored part says.
fn count(paths: &mut BTreeMap<String, TopPath>, changed: Vec<ChangedPath>) {
    let mut seen = BTreeSet::new();
    for ChangedPath { path, change } in changed {
        if !seen.insert(path.clone()) || (paths.len() >= COUNTED && !paths.contains_key(&path)) {
            continue;
        }
        let top = paths.entry(path.clone()).or_insert_with(|| TopPath {
            path,
            ..TopPath::default()
        });
        top.count += 1;
        match change {
            Change::Added => top.added += 1,
            Change::Changed => top.changed += 1,
            Change::Removed => top.removed += 1,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn share(of: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| of as f64 / all as f64)
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
