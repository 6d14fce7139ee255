//! `plane texts`: what each form of refusal really says, into `tests/recorded/texts`, for
//! the line of Kyverno that `KYVERNO` names.

use anyhow::{Context as _, Result};
use docket_tests::plane::Place;
use docket_tests::texts::{self, Form, Moment};
use docket_tests::{ControlPlane, Options, Part, Progress, binaries, eventually, krate, paths};
use docket_tests::{manifests, users};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What an event keeps: what the readers look at, and nothing of the machine.
const KEPT: [&str; 11] = [
    "kind",
    "apiVersion",
    "level",
    "auditID",
    "stage",
    "requestURI",
    "verb",
    "objectRef",
    "responseStatus",
    "requestReceivedTimestamp",
    "stageTimestamp",
];

pub async fn record() -> Result<ExitCode> {
    let progress = Progress::visible();
    let line = binaries::kyverno_line()?;
    progress.heading(&format!("Recording what Kyverno {line} says"));
    let mut options = Options::without_docket();
    options.kyverno_flags = vec!["--protectManagedResources=true".to_owned()];
    let plane = ControlPlane::start_in(Place::scratch()?, options, &progress).await?;
    let forms: Vec<Form> = texts::forms()
        .into_iter()
        .filter(|form| form.only.is_none_or(|only| only == line))
        .collect();

    let started = Instant::now();
    enact(&plane, &forms).await?;
    progress.done("policies in force", started, "");
    let laws = laws(&plane).await?;
    let started = Instant::now();
    let mut missing = Vec::new();
    for form in &forms {
        if form.moment != Moment::Killed && !refused(&plane, form).await? {
            missing.push(form.name);
        }
    }
    plane.stop_part(Part::Kyverno);
    for form in &forms {
        if form.moment == Moment::Killed && !refused(&plane, form).await? {
            missing.push(form.name);
        }
    }
    progress.done("writes", started, &format!("{} forms", forms.len()));

    let to = paths::repository().join("tests/recorded/texts").join(line);
    fs::create_dir_all(&to).with_context(|| format!("create {}", to.display()))?;
    let events = events(&plane, &forms)?;
    fs::write(to.join("events.jsonl"), events).context("write the events")?;
    fs::write(to.join("policies.jsonl"), laws).context("write the policies")?;
    plane.stop();
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    progress.heading(&format!("Not refused: {}", missing.join(", ")));
    Ok(ExitCode::FAILURE)
}

/// Namespaces and policies of all forms; waits until each is in force.
async fn enact(plane: &ControlPlane, forms: &[Form]) -> Result<()> {
    let namespaces: Vec<Value> = forms
        .iter()
        .map(|form| krate::namespace(&texts::namespace(form.name), Some(form.name)))
        .collect();
    plane.apply_all(&namespaces).await?;
    let usual = |form: &&Form| !matches!(form.moment, Moment::Generated(_));
    let of = |forms: Vec<&Form>| -> Vec<Value> {
        forms.iter().flat_map(|form| form.laws.clone()).collect()
    };
    // All that can't be enacted is told at once.
    let mut bad = Vec::new();
    for law in of(forms.iter().collect()) {
        if let Err(error) = plane.apply(users::ADMIN, &law).await?.accepted() {
            bad.push(format!("{error:#}"));
        }
    }
    anyhow::ensure!(bad.is_empty(), "refused policies:\n{}", bad.join("\n"));
    // What Kyverno hands on to the API server never comes to serve at a hook. What does
    // not come to serve though it should shows in what is written.
    let served = of(forms.iter().filter(usual).collect());
    if let Err(error) = plane.apply_policies(&served).await {
        eprintln!("{error:#}");
    }
    let admission = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
    for form in forms {
        if let Moment::Generated(name) = form.moment {
            let path = format!("{admission}/{name}");
            // One that does not come shows in what is written: Kyverno then judges.
            let came = eventually(name, Duration::from_secs(30), || async {
                let found = plane.admin(Method::GET, &path).send().await?;
                Ok(found.ok().then_some(()))
            });
            if let Err(error) = came.await {
                eprintln!("{error:#}");
            }
        }
    }
    // The API server compiles its own policies some time after it has them.
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(())
}

/// Makes the form's write. What is admitted, though it should not be, is told.
async fn refused(plane: &ControlPlane, form: &Form) -> Result<bool> {
    let reply = plane
        .creating(users::ADMIN, &form.write)?
        .header("Audit-ID", form.name)
        .send()
        .await?;
    Ok(!reply.ok())
}

/// All policies as the API server has them now, one a line.
async fn laws(plane: &ControlPlane) -> Result<String> {
    let kinds = [
        ("policies.kyverno.io/v1", "ValidatingPolicy"),
        ("policies.kyverno.io/v1", "NamespacedValidatingPolicy"),
        ("policies.kyverno.io/v1", "ImageValidatingPolicy"),
        ("policies.kyverno.io/v1", "MutatingPolicy"),
        ("policies.kyverno.io/v1", "NamespacedMutatingPolicy"),
        ("kyverno.io/v1", "ClusterPolicy"),
        ("kyverno.io/v1", "Policy"),
        (
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicy",
        ),
        (
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicyBinding",
        ),
        ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"),
        (
            "admissionregistration.k8s.io/v1",
            "MutatingAdmissionPolicyBinding",
        ),
    ];
    let mut lines = String::new();
    for (version, kind) in kinds {
        let path = manifests::collection_of(version, &manifests::plural(kind), None);
        let list = plane.admin(Method::GET, &path).send().await?.accepted()?;
        for mut item in list.body["items"].as_array().cloned().unwrap_or_default() {
            item["apiVersion"] = json!(version);
            item["kind"] = json!(kind);
            if let Some(metadata) = item["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
            lines.push_str(&item.to_string());
            lines.push('\n');
        }
    }
    Ok(lines)
}

/// The event of each form's write, cut to what is read of it, in the forms' order.
fn events(plane: &ControlPlane, forms: &[Form]) -> Result<String> {
    let text = fs::read_to_string(plane.audit_log()).context("read the audit log")?;
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    for line in text.lines() {
        let mut event: Value = serde_json::from_str(line).context("read an audit event")?;
        let id = event["auditID"].as_str().unwrap_or_default().to_owned();
        if !forms.iter().any(|form| form.name == id) || event["stage"] != "ResponseComplete" {
            continue;
        }
        let user = json!({"username": event["user"]["username"]});
        if let Some(fields) = event.as_object_mut() {
            fields.retain(|name, _| KEPT.contains(&name.as_str()));
        }
        event["user"] = user;
        found.insert(id, event);
    }
    let lines = forms.iter().filter_map(|form| found.get(form.name));
    Ok(lines.map(|event| format!("{event}\n")).collect())
}
