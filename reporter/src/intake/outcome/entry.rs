//! One outcome, as the ledger keeps it.

use crate::gaps::json;
use docket_ledger::entry::{Class, NewEntry};
use docket_record::changed::{ChangedPath, changed};
use docket_record::denial::{DenialId, Verdict};
use docket_record::entry::base32;
use docket_record::entry::outcome::{Personal, Public, Relation};
use docket_record::exhibit::Digests;
use docket_record::write::Write;
use ring::digest::{Context, SHA256};

/// Denials of one actor, and the write that answers them.
pub(super) struct Answered<'a> {
    pub write: &'a Write,
    pub series: bool,
    /// What was denied was a deletion.
    pub deletion: bool,
    /// Who was denied.
    pub actor: &'a str,
    /// By stage time, microseconds.
    pub named: &'a [(i64, DenialId)],
    /// Count, first and last time of those that are only counted.
    pub others: Option<(u32, i64, i64)>,
    pub verdicts: Vec<Verdict>,
    /// Of the object that was denied last.
    pub digests: Option<&'a Digests>,
}

pub(super) fn entry(answered: &Answered<'_>) -> NewEntry {
    let Answered { write, named, .. } = answered;
    let time = write.time.as_microsecond();
    let relation = match (answered.series, write.operation.as_str()) {
        (true, _) => Relation::Series,
        (false, "DELETE") if !answered.deletion => Relation::Deleted,
        (false, _) => Relation::Object,
    };
    let times = || {
        let named = named.iter().map(|(time, _)| *time);
        let others = answered.others.iter();
        named.chain(others.flat_map(|&(_, first, last)| [first, last]))
    };
    let after = |from: Option<i64>| (time - from.unwrap_or(time)) / 1000;
    let (paths, more_paths, paths_unknown) = paths(answered, relation);
    let id = id(write, relation, named);
    let public = Public {
        id,
        time: Some(write.time),
        relation: relation.into(),
        namespace: write.namespace.clone(),
        group: write.group.clone(),
        resource: write.resource.clone(),
        kind: write.kind.clone(),
        operation: write.operation.clone(),
        write: write.event.to_string(),
        denials: named.iter().map(|(_, id)| id.to_string()).collect(),
        count: named.len() as u64 + u64::from(answered.others.map_or(0, |others| others.0)),
        after: after(times().min()),
        after_last: after(times().max()),
        same_actor: answered.actor == write.actor.username,
        retried: answered
            .verdicts
            .iter()
            .all(|verdict| *verdict == Verdict::Unavailable),
        failed_open: !write.failed_open.is_empty(),
        paths,
        more_paths,
        paths_unknown: paths_unknown.map(str::to_owned),
    };
    let personal = Personal {
        name: write.name.clone(),
        actor: write.actor.clone(),
    };
    NewEntry::new(Class::Outcome, &public.id, json(&public)).with_personal(json(&personal))
}

type Paths = (Option<Vec<ChangedPath>>, u64, Option<&'static str>);

fn paths(answered: &Answered<'_>, relation: Relation) -> Paths {
    if answered.write.operation == "DELETE" {
        let why = if relation == Relation::Deleted {
            Some("the object was removed")
        } else {
            None
        };
        return (None, 0, why);
    }
    let unknown = |why| (None, 0, Some(why));
    let Some(admitted) = &answered.write.digests else {
        return unknown("no witness gave the object that was admitted");
    };
    let Some(denied) = answered.digests else {
        return unknown("the object that was denied was not kept");
    };
    match changed(denied, admitted) {
        Some((paths, more)) => (Some(paths), more, None),
        None => unknown("the digests of the two objects are under different keys"),
    }
}

/// The same write answering the same denials is the same outcome.
fn id(write: &Write, relation: Relation, named: &[(i64, DenialId)]) -> String {
    let mut context = Context::new(&SHA256);
    let relation = relation.name().as_bytes();
    for part in [b"docket outcome 1", &write.event.0[..], relation] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    for (_, denial) in named {
        context.update(&denial.0);
    }
    base32(context.finish().as_ref())
}
