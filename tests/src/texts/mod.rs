//! Every form of text in which a write can be refused, as the real parts can be made to
//! say it: the policies and the write that provoke each. `plane texts` records what they
//! said into `tests/recorded/texts`, one set for each line of Kyverno; the offline ring
//! holds the readers to it, and `docs/denial-texts.md` is the table of them.

mod apiserver;
mod cel;
mod legacy;
mod own;

use serde_json::{Value, json};

/// One form of text.
#[derive(Clone, Debug)]
pub struct Form {
    /// Its name in the table and in the recording; its namespace is made of it.
    pub name: &'static str,
    /// What must be in force.
    pub laws: Vec<Value>,
    /// What is written, and refused.
    pub write: Value,
    /// When.
    pub moment: Moment,
    /// The only line of Kyverno that has it; `None` for both.
    pub only: Option<&'static str>,
}

/// The state of the plane in which a form is provoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Everything runs.
    Serving,
    /// Everything runs, and Kyverno has generated an admission policy of this name.
    Generated(&'static str),
    /// Kyverno has been killed.
    Killed,
}

/// All forms, in the order of their table.
pub fn forms() -> Vec<Form> {
    let mut all = cel::forms();
    all.extend(legacy::forms());
    all.extend(own::forms());
    all.extend(apiserver::forms());
    all
}

/// The namespace of a form.
pub fn namespace(form: &str) -> String {
    format!("krate-org-{form}")
}

impl Form {
    fn new(name: &'static str, laws: Vec<Value>, write: Value) -> Form {
        Form {
            name,
            laws,
            write,
            moment: Moment::Serving,
            only: None,
        }
    }

    fn at(self, moment: Moment) -> Form {
        Form { moment, ..self }
    }

    fn only(self, line: &'static str) -> Form {
        Form {
            only: Some(line),
            ..self
        }
    }
}

/// A pull request in the form's namespace.
fn pull_request(form: &str, title: &str) -> Value {
    crate::krate::object(
        "PullRequest",
        &namespace(form),
        form,
        "written",
        json!({"organizationRef": form, "repository": "web", "title": title}),
    )
}

/// A pod template's spec.
fn pod_spec(image: &str) -> Value {
    json!({"containers": [{"name": "main", "image": image}]})
}

fn pod(form: &str, image: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "written", "namespace": namespace(form)}, "spec": pod_spec(image)})
}

fn deployment(form: &str, image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "written", "namespace": namespace(form)},
        "spec": {"selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": pod_spec(image)}}})
}

fn cron_job(form: &str, image: &str) -> Value {
    let mut template = pod_spec(image);
    template["restartPolicy"] = json!("Never");
    json!({"apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "written", "namespace": namespace(form)},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": template}}}}})
}

/// A match on pull requests that are made in the form's namespace.
fn on_pull_requests(form: &str) -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace(form)}},
        "resourceRules": [{"apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"],
            "resources": ["pullrequests"], "operations": ["CREATE"]}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_form_has_a_name_and_a_namespace_of_its_own() {
        let names: BTreeSet<_> = forms().iter().map(|form| form.name).collect();
        assert_eq!(names.len(), forms().len());
        for name in names {
            assert!(namespace(name).len() <= 63, "{name}");
        }
    }

    #[test]
    fn each_law_of_a_form_has_a_name_of_its_own() {
        let mut seen = BTreeSet::new();
        for law in forms().iter().flat_map(|form| &form.laws) {
            let key = crate::manifests::path(law).unwrap();
            assert!(seen.insert(key.clone()), "{key}");
        }
    }
}
