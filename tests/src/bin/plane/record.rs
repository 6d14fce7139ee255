//! `plane record`: a day at court into `tests/recorded`, for the offline ring and for
//! machines without Go.

use anyhow::{Context as _, Result};
use docket_tests::day::{self, Action};
use docket_tests::plane::Place;
use docket_tests::recorder::Recorder;
use docket_tests::{ControlPlane, Options, Progress, docket, paths, replay, users};
use http::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// What the reporter knows as law.
const POLICIES: [&str; 4] = [
    "/apis/policies.kyverno.io/v1/validatingpolicies",
    "/apis/kyverno.io/v1/clusterpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
];

pub async fn record() -> Result<ExitCode> {
    let progress = Progress::visible();
    progress.heading("Starting a control plane to record a day of");
    let plane = ControlPlane::start_in(Place::run()?, Options::default(), &progress).await?;
    plane.apply_policies(&day::policies()?).await?;

    let started = Instant::now();
    let mut done = Vec::new();
    for step in day::writes() {
        done.push(day::perform(&plane, step).await?);
    }
    let records = day::records(&plane, &done).await?;
    let verdict = day::check(&done, &records);
    anyhow::ensure!(
        verdict.wrong.is_empty(),
        "the day went wrong: {:#?}",
        verdict.wrong
    );
    let lines = write_day(&plane, &replay::day()).await?;
    progress.done("audit events", started, &format!("{lines} lines"));

    // The same day once more for its reviews: a second hook would show in the events.
    let started = Instant::now();
    clear(&plane).await?;
    let recorder = Recorder::start(&plane).await?;
    for step in day::writes() {
        day::perform(&plane, step).await?;
    }
    let reviews = recorder.write(&paths::repository().join("tests/recorded/reviews.jsonl"))?;
    progress.done("reviews", started, &format!("{reviews} lines"));
    plane.stop();
    progress.heading("Recorded into tests/recorded");
    Ok(ExitCode::SUCCESS)
}

async fn write_day(plane: &ControlPlane, to: &Path) -> Result<usize> {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to.join("mac-keys")).with_context(|| format!("create {}", to.display()))?;
    // From the start, so that no number is missing.
    let audit = fs::read(plane.audit_log()).context("read the audit log")?;
    let end = audit
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    fs::write(to.join("audit.jsonl"), &audit[..end]).context("write the audit events")?;
    let mut policies = Vec::new();
    for path in POLICIES {
        let list = plane
            .admin(Method::GET, path)
            .send()
            .await?
            .accepted()?
            .body;
        policies.extend(of_list(&list)?);
    }
    let text = serde_json::to_string_pretty(&policies).context("write the policies")?;
    fs::write(to.join("policies.json"), text + "\n").context("write the policies")?;
    fs::write(to.join("cluster"), format!("{}\n", docket::CLUSTER)).context("write the name")?;
    // Worth nothing: made for this run, and the run is over.
    fs::copy(plane.run_dir().join("mac-keys/k1"), to.join("mac-keys/k1"))
        .context("copy the key")?;
    Ok(audit[..end].iter().filter(|byte| **byte == b'\n').count())
}

/// Items of a list carry neither kind nor apiVersion; managed fields are of no use.
fn of_list(list: &Value) -> Result<Vec<Value>> {
    let kind = list["kind"]
        .as_str()
        .and_then(|kind| kind.strip_suffix("List"));
    let kind = kind.context("the answer is no list")?;
    let mut items = list["items"].as_array().cloned().unwrap_or_default();
    for item in &mut items {
        item["kind"] = json!(kind);
        item["apiVersion"] = list["apiVersion"].clone();
        if let Some(metadata) = item["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
    }
    Ok(items)
}

/// Removes what the day left, so that it can begin again.
async fn clear(plane: &ControlPlane) -> Result<()> {
    for step in day::writes() {
        if let (None, Action::Create(object)) = (&step.denied, &step.action) {
            // Its policy lets a branch protection go only when it is retired.
            let retired = json!({"spec": {"retired": true}});
            plane
                .patch(users::ADMIN, object, &retired)
                .await?
                .accepted()?;
            plane.delete(users::ADMIN, object).await?.accepted()?;
        }
    }
    Ok(())
}
