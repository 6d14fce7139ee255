//! A day at court: a dozen and a half writes by several people, and what Docket has to
//! have on record afterwards. The first run shows it, a cluster test holds it, and the
//! recorded day is one of them.

mod check;
pub mod next;
mod writes;

pub use check::{Expected, Verdict, check, check_records, records};
pub use writes::{Action, Step, writes};

use crate::plane::ControlPlane;
use crate::{Reply, manifests, paths};
use anyhow::Result;
use serde_json::Value;
use std::path::PathBuf;

/// The policies of the day: the plan's three, and what else it takes to show every kind
/// of refusal.
pub fn policies() -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for file in policy_files() {
        all.extend(manifests::read(&file)?);
    }
    Ok(all)
}

/// Where they are.
pub fn policy_files() -> [PathBuf; 4] {
    [
        "deploy/policies/require-pr-description.yaml",
        "deploy/policies/fork-runs-untrusted.yaml",
        "deploy/policies/webhook-signing-required.yaml",
        "tests/controlplane/demo/policies.yaml",
    ]
    .map(|file| paths::repository().join(file))
}

/// A write that was made.
#[derive(Clone, Debug)]
pub struct Done {
    /// What was to be done.
    pub step: Step,
    /// What the API server said.
    pub reply: Reply,
}

/// Makes one write.
pub async fn perform(plane: &ControlPlane, step: Step) -> Result<Done> {
    let reply = match &step.action {
        Action::Create(object) => plane.create(step.user, object).await?,
        Action::DryRun(object) => plane.creating(step.user, object)?.dry_run().send().await?,
        Action::Replace(object) => plane.replace(step.user, object).await?,
        Action::Patch(object, patch) => plane.patch(step.user, object, patch).await?,
        Action::Apply(object) => plane.apply(step.user, object).await?,
        Action::Delete(object) => plane.delete(step.user, object).await?,
    };
    Ok(Done { step, reply })
}
