//! What has to be on record, compared with what is.

use super::{Action, Done, Step};
use crate::denials::Filter;
use crate::plane::ControlPlane;
use crate::users::{CONSOLE, CONSOLE_ACCOUNT};
use anyhow::Result;
use serde_json::Value;

/// The record that a refused write leaves.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// `CREATE`, `UPDATE`, `DELETE`.
    pub operation: &'static str,
    /// What the client gets.
    pub code: u16,
    /// Policy, rule (legacy policies have one), and what the message says.
    pub policies: &'static [(&'static str, Option<&'static str>, &'static str)],
    /// The org.
    pub org: &'static str,
    /// The repository, for kinds that name one.
    pub repository: Option<&'static str>,
    /// True if the policies sit behind different webhooks: the API server names one of
    /// them, whichever answered first.
    pub race: bool,
    /// The paths whose change let the same object through later that day.
    pub fixed: Option<&'static [&'static str]>,
}

/// What the check found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// How many denials were expected and found as they should be.
    pub right: usize,
    /// How many admitted writes left no record, as they should.
    pub admitted: usize,
    /// What is wrong, a sentence each.
    pub wrong: Vec<String>,
}

/// Reads the records of the day: waits until there are as many as were refused, and a
/// moment longer, so that a doubled one is seen.
pub async fn records(plane: &ControlPlane, done: &[Done]) -> Result<Vec<Value>> {
    let refused = done.iter().filter(|done| !done.reply.ok()).count();
    plane.denials_at_least(&Filter::all(), refused).await?;
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    plane.denials(&Filter::all()).await
}

/// Compares what clients were told with what they should have been told, and the records
/// with both, one by one. Every record must belong to exactly one refused write.
pub fn check(done: &[Done], records: &[Value]) -> Verdict {
    let mut verdict = Verdict::default();
    for Done { step, reply } in done {
        let wanted = step.denied.map(|expected| expected.code);
        if wanted != (!reply.ok()).then(|| reply.code()) {
            let answer = format!("{} {}", reply.status, reply.message());
            verdict
                .wrong
                .push(format!("{}: the API server said {answer}", step.title()));
        }
    }
    let steps: Vec<&Step> = done.iter().map(|done| &done.step).collect();
    compare(&steps, records, &mut verdict);
    verdict
}

/// The same without clients: for a recorded day.
pub fn check_records(steps: &[Step], records: &[Value]) -> Verdict {
    let mut verdict = Verdict::default();
    compare(&steps.iter().collect::<Vec<_>>(), records, &mut verdict);
    verdict
}

fn compare(steps: &[&Step], records: &[Value], verdict: &mut Verdict) {
    let mut left: Vec<&Value> = records.iter().collect();
    for step in steps {
        let Some(expected) = &step.denied else {
            verdict.admitted += 1;
            continue;
        };
        let mine: Vec<usize> = (0..left.len())
            .filter(|i| is_of(left[*i], step, expected))
            .collect();
        let faults = match mine[..] {
            [] => vec!["is not on record".to_owned()],
            [one] => faults(left.remove(one), expected),
            _ => vec![format!("is on record {} times", mine.len())],
        };
        verdict.right += usize::from(faults.is_empty());
        let title = step.title();
        verdict
            .wrong
            .extend(faults.into_iter().map(|fault| format!("{title}: {fault}")));
    }
    for record in left {
        verdict.wrong.push(format!(
            "on record, but nothing of this day was refused like this: {} {} {} by {}",
            text(&record["operation"]),
            text(&record["resourceRef"]["kind"]),
            text(&record["resourceRef"]["name"]),
            text(&record["actor"]),
        ));
    }
}

/// The user name that the API server knows a user by.
fn actor(user: &str) -> String {
    match user {
        CONSOLE => format!(
            "system:serviceaccount:{}:{}",
            CONSOLE_ACCOUNT.0, CONSOLE_ACCOUNT.1
        ),
        name => name.to_owned(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// True if the record is of this write: by who, what kind, where, which name, dry or not.
fn is_of(record: &Value, step: &Step, expected: &Expected) -> bool {
    let object = step.action.object();
    let metadata = &object["metadata"];
    let name = text(&record["resourceRef"]["name"]);
    let named = match metadata["generateName"].as_str() {
        Some(prefix) => name.len() > prefix.len() && name.starts_with(prefix),
        None => name == text(&metadata["name"]),
    };
    named
        && record["resourceRef"]["kind"] == object["kind"]
        && record["namespace"] == metadata["namespace"]
        && text(&record["actor"]) == actor(step.user)
        && record["dryRun"] == matches!(step.action, Action::DryRun(_))
        && record["operation"] == expected.operation
}

fn faults(record: &Value, expected: &Expected) -> Vec<String> {
    let mut faults = Vec::new();
    let mut same = |what: &str, found: &Value, wanted: &Value| {
        if found != wanted {
            faults.push(format!("{what} is {found} instead of {wanted}"));
        }
    };
    same("verdict", &record["verdict"], &"denied".into());
    same("org", &record["org"], &expected.org.into());
    same(
        "repository",
        &record["repository"],
        &expected.repository.into(),
    );
    same("code", &record["code"], &expected.code.into());
    same("testimony", &record["testimony"], &"verified".into());
    let attributions = record["attributions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let named = if expected.race {
        1
    } else {
        expected.policies.len()
    };
    same(
        "count of attributions",
        &attributions.len().into(),
        &named.into(),
    );
    let of_the_day = |found: &Value| {
        expected
            .policies
            .iter()
            .any(|(p, ..)| found["policy"] == *p)
    };
    if !attributions.iter().all(of_the_day) {
        same("policy", &record["policy"], &expected.policies[0].0.into());
    }
    for (policy, rule, message) in expected.policies {
        let Some(found) = attributions.iter().find(|found| found["policy"] == *policy) else {
            if !expected.race {
                same("policy", &record["policy"], &(*policy).into());
            }
            continue;
        };
        same("rule", &found["rule"], &(*rule).into());
        same("grade", &found["grade"], &"exact".into());
        if !text(&found["message"]).contains(message) {
            same("message", &found["message"], &(*message).into());
        }
    }
    faults
}
