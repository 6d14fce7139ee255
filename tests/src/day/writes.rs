//! The writes of the day, in order, each with what is to come of it.

use super::Expected;
use crate::krate::{ACME, GLOBEX, object};
use crate::users::CONSOLE;
use serde_json::{Value, json};

/// One write.
#[derive(Clone, Debug)]
pub struct Step {
    /// Who writes (a context of the kubeconfig).
    pub user: &'static str,
    /// What they do, for a line of text.
    pub says: &'static str,
    /// The write.
    pub action: Action,
    /// The record it has to leave; none if it is admitted.
    pub denied: Option<Expected>,
}

impl Step {
    /// Who does what, as a line of text.
    pub fn title(&self) -> String {
        format!("{} {}", self.user, self.says)
    }
}

/// A way to write.
#[derive(Clone, Debug)]
pub enum Action {
    /// POST.
    Create(Value),
    /// POST with `dryRun=All`.
    DryRun(Value),
    /// PUT.
    Replace(Value),
    /// PATCH, JSON merge.
    Patch(Value, Value),
    /// PATCH, server-side apply.
    Apply(Value),
    /// DELETE.
    Delete(Value),
}

impl Action {
    /// The object that is written.
    pub fn object(&self) -> &Value {
        match self {
            Action::Create(object)
            | Action::DryRun(object)
            | Action::Replace(object)
            | Action::Patch(object, _)
            | Action::Apply(object)
            | Action::Delete(object) => object,
        }
    }
}

const GOOD: &str = "Adds a login page, because people could not sign in.";
const NO_DESCRIPTION: &str = "Pull requests need a description of at least 20 characters.";
const FORK: &str = "Runs of forks must have the trust tier untrusted.";

fn pull_request(namespace: &str, repository: &str, name: &str, title: &str, why: &str) -> Value {
    let org = namespace.trim_start_matches("krate-org-");
    let spec = json!({"organizationRef": org, "repository": repository, "title": title,
        "description": why, "sourceBranch": name, "targetBranch": "main"});
    object("PullRequest", namespace, org, name, spec)
}

fn acme(kind: &str, name: &str, mut spec: Value) -> Value {
    spec["organizationRef"] = json!("acme");
    object(kind, ACME, "acme", name, spec)
}

fn admitted(user: &'static str, says: &'static str, action: Action) -> Step {
    Step {
        user,
        says,
        action,
        denied: None,
    }
}

fn denied(user: &'static str, says: &'static str, action: Action, expected: Expected) -> Step {
    Step {
        user,
        says,
        action,
        denied: Some(expected),
    }
}

/// The day.
pub fn writes() -> Vec<Step> {
    let mut day = pull_requests();
    day.extend(runs_and_hooks());
    day.extend(infrastructure());
    day
}

fn pull_requests() -> Vec<Step> {
    let login = pull_request(ACME, "web", "add-login", "Add a login page", GOOD);
    let mut blank = login.clone();
    blank["spec"]["description"] = json!("   ");
    let hotfix = pull_request(ACME, "billing", "hotfix", "Round to cents", "fix");
    let draft = pull_request(ACME, "web", "try-things", "WIP try things", "");
    let panel = pull_request(GLOBEX, "reactor", "panel", "New control panel", "todo");
    let mut generated = pull_request(GLOBEX, "reactor", "", "Bump the fuel rods", "");
    generated["metadata"] = json!({"namespace": GLOBEX, "generateName": "bump-",
        "labels": generated["metadata"]["labels"]});
    let description = |operation| Expected {
        operation,
        code: 400,
        policies: &[("require-pr-description", None, NO_DESCRIPTION)],
        org: "acme",
        repository: Some("web"),
        race: false,
        fixed: None,
    };
    let globex = Expected {
        org: "globex",
        repository: Some("reactor"),
        ..description("CREATE")
    };
    vec![
        admitted(
            "alice",
            "opens pull request add-login",
            Action::Create(login.clone()),
        ),
        denied(
            "bob",
            "opens pull request hotfix, described as “fix”",
            Action::Create(hotfix.clone()),
            Expected {
                repository: Some("billing"),
                fixed: Some(&["spec.description"]),
                ..description("CREATE")
            },
        ),
        denied(
            "bob",
            "tries hotfix again as a dry run",
            Action::DryRun(hotfix),
            Expected {
                repository: Some("billing"),
                ..description("CREATE")
            },
        ),
        denied(
            "alice",
            "replaces add-login, description blank",
            Action::Replace(blank),
            description("UPDATE"),
        ),
        admitted(
            "alice",
            "patches the title of add-login",
            Action::Patch(
                login.clone(),
                json!({"spec": {"title": "Add the login page"}}),
            ),
        ),
        denied(
            "bob",
            "patches the description of add-login away",
            Action::Patch(login, json!({"spec": {"description": null}})),
            description("UPDATE"),
        ),
        denied(
            "alice",
            "opens a draft without a description: two policies",
            Action::Create(draft),
            Expected {
                policies: &[
                    ("require-pr-description", None, NO_DESCRIPTION),
                    (
                        "pr-title-is-no-draft",
                        None,
                        "A title that starts with WIP is a draft.",
                    ),
                ],
                ..description("CREATE")
            },
        ),
        denied(
            "carol",
            "applies pull request panel (server-side)",
            Action::Apply(panel),
            globex,
        ),
        denied(
            "carol",
            "opens one with a generated name",
            Action::Create(generated),
            globex,
        ),
        admitted(
            "bob",
            "opens hotfix with a description that says why",
            Action::Create(pull_request(
                ACME,
                "billing",
                "hotfix",
                "Round to cents",
                "Rounds invoice totals to cents, as the bank asks for.",
            )),
        ),
    ]
}

fn runs_and_hooks() -> Vec<Step> {
    let pipeline = |name: &str, tier: &str| {
        acme(
            "Pipeline",
            name,
            json!({"repository": "web", "ref": "refs/heads/main", "fork": true, "trustTier": tier}),
        )
    };
    let mut bare = pipeline("web-3", "trusted");
    bare["spec"]["ref"] = json!("main");
    let job = acme(
        "Job",
        "web-2-test",
        json!({"pipeline": "web-2", "step": "test", "fork": true}),
    );
    let hook = |name: &str, secret: Option<&str>| {
        let mut spec = json!({"url": "https://chat.example/hook", "events": ["push"]});
        if let Some(secret) = secret {
            spec["secretRef"] = json!(secret);
        }
        acme("WebhookSubscription", name, spec)
    };
    let fork = Expected {
        operation: "CREATE",
        code: 400,
        policies: &[("fork-runs-untrusted", None, FORK)],
        org: "acme",
        repository: Some("web"),
        race: false,
        fixed: None,
    };
    vec![
        admitted(
            CONSOLE,
            "starts pipeline web-1 of a fork, untrusted",
            Action::Create(pipeline("web-1", "untrusted")),
        ),
        denied(
            CONSOLE,
            "starts pipeline web-2 of a fork, trusted",
            Action::Create(pipeline("web-2", "trusted")),
            fork,
        ),
        denied(
            CONSOLE,
            "starts web-3, trusted, of a bare name: two hooks",
            Action::Create(bare),
            Expected {
                policies: &[
                    ("fork-runs-untrusted", None, FORK),
                    (
                        "pipelines-name-a-full-ref",
                        Some("ref-is-full"),
                        "Pipelines name a full ref, like refs/heads/main.",
                    ),
                ],
                race: true,
                ..fork
            },
        ),
        denied(
            CONSOLE,
            "starts a job of it without a trust tier",
            Action::Create(job),
            Expected {
                repository: None,
                ..fork
            },
        ),
        admitted(
            "bob",
            "subscribes a signed webhook",
            Action::Create(hook("chat", Some("chat-signing-key"))),
        ),
        denied(
            "bob",
            "subscribes an unsigned one (legacy policy)",
            Action::Create(hook("chat-unsigned", None)),
            Expected {
                policies: &[(
                    "webhook-signing-required",
                    Some("names-a-signing-secret"),
                    "Webhook subscriptions must name a signing secret.",
                )],
                repository: None,
                ..fork
            },
        ),
    ]
}

fn infrastructure() -> Vec<Step> {
    let pool = acme(
        "RunnerPool",
        "big",
        json!({"warmReplicas": 2, "maxReplicas": 50}),
    );
    let protection = acme("BranchProtection", "main", json!({"refs": ["main"]}));
    let panel = pull_request(GLOBEX, "reactor", "cooling", "Second cooling loop", GOOD);
    vec![
        denied(
            "dana",
            "creates a runner pool of 50 (a VAP, not Kyverno)",
            Action::Create(pool),
            Expected {
                operation: "CREATE",
                code: 422,
                policies: &[(
                    "runner-pools-stay-small",
                    None,
                    "A runner pool has at most 20 replicas.",
                )],
                org: "acme",
                repository: None,
                race: false,
                fixed: None,
            },
        ),
        admitted(
            "dana",
            "protects branch main",
            Action::Create(protection.clone()),
        ),
        denied(
            "alice",
            "deletes that protection",
            Action::Delete(protection),
            Expected {
                operation: "DELETE",
                code: 400,
                policies: &[(
                    "branch-protection-stays",
                    None,
                    "A branch protection can be deleted only after it is retired.",
                )],
                org: "acme",
                repository: None,
                race: false,
                fixed: None,
            },
        ),
        admitted(
            "carol",
            "applies pull request cooling",
            Action::Apply(panel.clone()),
        ),
        admitted("carol", "deletes it again", Action::Delete(panel)),
    ]
}
