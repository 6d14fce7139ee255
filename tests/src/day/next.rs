//! What the reporter learns beside the refusals of the day: who else denied, by which law,
//! what was refused, what happened next, and what audit mode finds meanwhile.

use super::Step;
use crate::plane::ControlPlane;
use crate::{denials::Filter, eventually, users};
use anyhow::Result;
use serde_json::Value;
use std::time::Duration;

/// How long the reports controller and Kyverno's Events may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// What audit mode finds on this day: policy and object.
const FINDING: (&str, &str) = ("pr-names-a-reviewer", "add-login");

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The denials again, once the losers of the race are known and the fix is on record.
pub async fn settled(plane: &ControlPlane, steps: &[Step]) -> Result<Vec<Value>> {
    let races = steps.iter().filter_map(|step| step.denied);
    let races = races.filter(|expected| expected.race).count();
    let fixes = steps.iter().filter_map(|step| step.denied);
    let fixes = fixes.filter(|expected| expected.fixed.is_some()).count();
    eventually("who else denied, and what was fixed", PATIENCE, || async {
        let records = plane.denials(&Filter::all()).await?;
        let seen = |record: &&Value| record["others"]["state"] == "seen";
        let came = |record: &&Value| !record["outcome"].is_null();
        let all = records.iter().filter(seen).count() >= races
            && records.iter().filter(came).count() >= fixes;
        Ok(all.then_some(records))
    })
    .await
}

/// Waits for the finding of audit mode.
pub async fn audited(plane: &ControlPlane) -> Result<()> {
    let token = plane.token(users::AUDITOR)?;
    let url = format!("{}/api/policy-violations", plane.docket_url());
    eventually("what audit mode finds", PATIENCE, || async {
        let call = plane.http().get(url.clone()).query("policy", FINDING.0);
        let page = call.token(&token).send().await?.expect_code(200)?.body;
        let found = list(&page["items"])
            .iter()
            .any(|item| text(&item["resourceRef"]["name"]) == FINDING.1);
        Ok(found.then_some(()))
    })
    .await
}

/// What is wrong with the settled records, a sentence each.
pub fn faults(steps: &[Step], records: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for record in records {
        let name = text(&record["resourceRef"]["name"]);
        for attribution in list(&record["attributions"]) {
            let laws = list(&attribution["laws"]).len();
            if laws != 1 {
                let policy = text(&attribution["policy"]);
                faults.push(format!("{name}: {policy} names {laws} laws instead of one"));
            }
        }
        if record["unmasked"] == true {
            faults.push(format!("{name}: its texts are not masked"));
        }
    }
    for step in steps {
        let Some(expected) = &step.denied else {
            continue;
        };
        let object = &step.action.object()["metadata"]["name"];
        let mut mine = records.iter().filter(|record| {
            record["resourceRef"]["name"] == *object
                && record["operation"] == expected.operation
                && record["dryRun"] == matches!(step.action, super::Action::DryRun(_))
        });
        // Names of a day are told apart by who and how in `check`; here one will do.
        let Some(record) = mine.next() else { continue };
        if expected.race {
            let both = list(&record["attributions"]).iter();
            let both = both.chain(list(&record["others"]["attributions"]));
            let both: Vec<&str> = both.map(|found| text(&found["policy"])).collect();
            for (policy, ..) in expected.policies {
                if !both.contains(policy) {
                    faults.push(format!("{}: {policy} is not named: {both:?}", step.title()));
                }
            }
        }
        if let Some(paths) = expected.fixed {
            let outcome = &record["outcome"];
            let found: Vec<&str> = list(&outcome["paths"])
                .iter()
                .map(|changed| text(&changed["path"]))
                .collect();
            if found != paths || outcome["sameActor"] != true {
                faults.push(format!("{}: fixed otherwise: {outcome}", step.title()));
            }
        }
    }
    faults
}
