//! One outcome, as the ledger keeps it.

use crate::gaps::json;
use docket_ledger::entry::{Class, NewEntry};
use docket_record::audit::User;
use docket_record::changed::{ChangedPath, changed};
use docket_record::denial::{DenialId, Verdict};
use docket_record::exhibit::Digests;
use docket_record::write::Write;
use jiff::Timestamp;
use ring::digest::{Context, SHA256};
use serde::Serialize;

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

/// Names no one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Public<'a> {
    id: String,
    time: Timestamp,
    /// `object`, `series`, or `deleted`: the object was not written again but removed.
    relation: &'static str,
    namespace: &'a str,
    group: &'a str,
    resource: &'a str,
    kind: &'a str,
    operation: &'a str,
    /// Id of the write's audit event.
    write: String,
    denials: Vec<String>,
    /// With those that are not named.
    count: u64,
    /// From the first denial to the write, milliseconds.
    after: i64,
    /// From the last one.
    after_last: i64,
    same_actor: bool,
    /// All that was in the way was an enforcer that could not be asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retried: bool,
    /// It passed because an enforcer's hook failed open.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    failed_open: bool,
    paths: Option<Vec<ChangedPath>>,
    #[serde(skip_serializing_if = "is_zero")]
    more_paths: u64,
    /// Why the paths are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    paths_unknown: Option<&'static str>,
}

#[derive(Serialize)]
struct Personal<'a> {
    name: &'a str,
    actor: &'a User,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

pub(super) fn entry(answered: &Answered<'_>) -> NewEntry {
    let Answered { write, named, .. } = answered;
    let time = write.time.as_microsecond();
    let relation = match (answered.series, write.operation.as_str()) {
        (true, _) => "series",
        (false, "DELETE") if !answered.deletion => "deleted",
        (false, _) => "object",
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
        id: id.clone(),
        time: write.time,
        relation,
        namespace: &write.namespace,
        group: &write.group,
        resource: &write.resource,
        kind: &write.kind,
        operation: &write.operation,
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
        paths_unknown,
    };
    let personal = Personal {
        name: &write.name,
        actor: &write.actor,
    };
    NewEntry {
        id,
        class: Class::Outcome,
        public: json(&public),
        personal: Some(json(&personal)),
        exhibit: None,
    }
}

type Paths = (Option<Vec<ChangedPath>>, u64, Option<&'static str>);

fn paths(answered: &Answered<'_>, relation: &str) -> Paths {
    if answered.write.operation == "DELETE" {
        let why = if relation == "deleted" {
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
fn id(write: &Write, relation: &str, named: &[(i64, DenialId)]) -> String {
    let mut context = Context::new(&SHA256);
    for part in [b"docket outcome 1", &write.event.0[..], relation.as_bytes()] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    for (_, denial) in named {
        context.update(&denial.0);
    }
    data_encoding::BASE32_NOPAD
        .encode(context.finish().as_ref())
        .to_ascii_lowercase()
}
