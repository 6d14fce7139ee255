//! Krate's terms: kinds, surfaces, orgs, and what an object says of itself.

use crate::config::Config;
use crate::denial::Context;
use crate::scan::{Broken, Cursor, Token};
use std::borrow::Cow;

/// Longest context value, in bytes: the longest name of a Kubernetes label.
pub const VALUE_LIMIT: usize = 63;

/// Plural, kind, surface. Krate's own kinds first, then the others that are governed.
/// A plural that is not here is shown as it is.
const KINDS: &[(&str, &str, &str)] = &[
    ("organizations", "Organization", "identity"),
    ("orgnamespacebindings", "OrgNamespaceBinding", "identity"),
    ("users", "User", "identity"),
    ("teams", "Team", "identity"),
    ("invites", "Invite", "identity"),
    ("identitymappings", "IdentityMapping", "identity"),
    ("authproviders", "AuthProvider", "identity"),
    ("repositories", "Repository", "repo"),
    ("sshkeys", "SSHKey", "identity"),
    ("repositorypermissions", "RepositoryPermission", "repo"),
    ("branchprotections", "BranchProtection", "repo"),
    ("refpolicies", "RefPolicy", "repo"),
    ("webhooksubscriptions", "WebhookSubscription", "hook"),
    ("webhookdeliveries", "WebhookDelivery", "hook"),
    ("runnerpools", "RunnerPool", "runner"),
    ("views", "View", "repo"),
    ("selectors", "Selector", "repo"),
    ("policyprofiles", "PolicyProfile", "policy"),
    ("policytemplates", "PolicyTemplate", "policy"),
    ("policybindings", "PolicyBinding", "policy"),
    (
        "policyexceptionrequests",
        "PolicyExceptionRequest",
        "policy",
    ),
    ("pullrequests", "PullRequest", "pr"),
    ("issues", "Issue", "repo"),
    ("reviews", "Review", "pr"),
    ("pipelines", "Pipeline", "run"),
    ("jobs", "Job", "run"),
    ("agentstacks", "AgentStack", "runner"),
    ("agentdefinitions", "AgentDefinition", "runner"),
    ("agentserviceaccounts", "AgentServiceAccount", "identity"),
    ("agentrolebindings", "AgentRoleBinding", "identity"),
    ("agentsecretgrants", "AgentSecretGrant", "identity"),
    ("agentconfiggrants", "AgentConfigGrant", "identity"),
    ("agentdispatchruns", "AgentDispatchRun", "run"),
    ("agentdispatchattempts", "AgentDispatchAttempt", "run"),
    ("agentsessions", "AgentSession", "run"),
    ("agentapprovals", "AgentApproval", "run"),
    ("agenttriggerrules", "AgentTriggerRule", "hook"),
    ("agenttriggerexecutions", "AgentTriggerExecution", "hook"),
    ("krateworkspaces", "KrateWorkspace", "run"),
    ("krateworkspacepolicies", "KrateWorkspacePolicy", "policy"),
    ("krateprojects", "KrateProject", "repo"),
    ("krateartifacts", "KrateArtifact", "run"),
    ("kradleworkspaces", "KradleWorkspace", "run"),
    ("kradleprojects", "KradleProject", "repo"),
    ("gitproviders", "GitProvider", "repo"),
    ("ciproviders", "CiProvider", "run"),
    ("issuetrackers", "IssueTrackerProvider", "repo"),
    ("apphostingproviders", "AppHostingProvider", "deployment"),
    (
        "artifactregistryproviders",
        "ArtifactRegistryProvider",
        "deployment",
    ),
    (
        "externalwebhookdeliveries",
        "ExternalWebhookDelivery",
        "hook",
    ),
    ("externalwebhookconfigs", "ExternalWebhookConfig", "hook"),
    ("externalsyncpolicies", "ExternalSyncPolicy", "policy"),
    ("guardrails", "Guardrail", "policy"),
    ("applications", "Application", "deployment"),
    ("pods", "Pod", "run"),
    ("deployments", "Deployment", "deployment"),
    ("statefulsets", "StatefulSet", "deployment"),
    ("daemonsets", "DaemonSet", "deployment"),
    ("replicasets", "ReplicaSet", "deployment"),
    ("controllerrevisions", "ControllerRevision", "deployment"),
    ("cronjobs", "CronJob", "run"),
    ("clusterpolicies", "ClusterPolicy", "policy"),
    ("policies", "Policy", "policy"),
    ("policyexceptions", "PolicyException", "policy"),
    ("cleanuppolicies", "CleanupPolicy", "policy"),
    ("clustercleanuppolicies", "ClusterCleanupPolicy", "policy"),
    ("globalcontextentries", "GlobalContextEntry", "policy"),
    ("updaterequests", "UpdateRequest", "policy"),
    ("validatingpolicies", "ValidatingPolicy", "policy"),
    (
        "namespacedvalidatingpolicies",
        "NamespacedValidatingPolicy",
        "policy",
    ),
    ("imagevalidatingpolicies", "ImageValidatingPolicy", "policy"),
    (
        "namespacedimagevalidatingpolicies",
        "NamespacedImageValidatingPolicy",
        "policy",
    ),
    ("mutatingpolicies", "MutatingPolicy", "policy"),
    (
        "namespacedmutatingpolicies",
        "NamespacedMutatingPolicy",
        "policy",
    ),
    ("generatingpolicies", "GeneratingPolicy", "policy"),
    ("deletingpolicies", "DeletingPolicy", "policy"),
    (
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        "policy",
    ),
    (
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        "policy",
    ),
    (
        "mutatingadmissionpolicies",
        "MutatingAdmissionPolicy",
        "policy",
    ),
    (
        "mutatingadmissionpolicybindings",
        "MutatingAdmissionPolicyBinding",
        "policy",
    ),
    (
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        "policy",
    ),
    (
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        "policy",
    ),
];

/// The kind of a plural resource; the plural itself where it is not known.
pub fn kind(plural: &str) -> &str {
    row(plural).map_or(plural, |row| row.1)
}

/// The surface of Krate's product that a plural resource belongs to; empty if none.
pub fn surface(plural: &str) -> &'static str {
    row(plural).map_or("", |row| row.2)
}

/// The plural of a kind: from the table, else by the rules that generators use.
pub fn plural(kind: &str) -> String {
    if let Some(row) = KINDS.iter().find(|row| row.1.eq_ignore_ascii_case(kind)) {
        return row.0.to_owned();
    }
    let lower = kind.to_ascii_lowercase();
    match lower.as_bytes() {
        [.., b's' | b'x'] | [.., b'c' | b's', b'h'] => lower + "es",
        [.., b'a' | b'e' | b'i' | b'o' | b'u', b'y'] => lower + "s",
        [.., b'y'] => lower[..lower.len() - 1].to_owned() + "ies",
        _ => lower + "s",
    }
}

fn row(plural: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    KINDS.iter().find(|row| row.0 == plural)
}

/// The org that a namespace belongs to by its name; empty if it does not say.
pub fn org_of_namespace<'a>(namespace: &'a str, config: &Config) -> &'a str {
    namespace
        .strip_prefix(config.org_namespace_prefix.as_str())
        .unwrap_or("")
}

/// Context of an event for which no testimony speaks: namespace, kind and name only.
pub fn context_without_object(
    config: &Config,
    group: &str,
    resource: &str,
    namespace: &str,
    name: &str,
) -> Context {
    let mut context = Context {
        org: value(org_of_namespace(namespace, config)),
        surface: surface_of(config, group, resource).to_owned(),
        ..Context::default()
    };
    name_itself(&mut context, config, group, resource, name);
    context
}

/// `jobs` is Krate's and Kubernetes' word; only Krate's kinds are a run of Krate's.
fn surface_of(config: &Config, group: &str, resource: &str) -> &'static str {
    match surface(resource) {
        "" if group == config.krate_group => "repo",
        found => found,
    }
}

/// Puts the object's own name where it is one of Krate's terms.
pub fn name_itself(
    context: &mut Context,
    config: &Config,
    group: &str,
    resource: &str,
    name: &str,
) {
    if group != config.krate_group || name.is_empty() {
        return;
    }
    match resource {
        "repositories" => context.repository = value(name),
        "pullrequests" => context.pull_request = value(name),
        "pipelines" | "jobs" | "agentdispatchruns" => context.run = value(name),
        _ => {}
    }
}

/// Cut at [`VALUE_LIMIT`], at a character boundary, before the first control character:
/// no name in Krate has one, and each would cost six bytes in the annotation.
pub fn value(text: &str) -> String {
    let end = text
        .char_indices()
        .find(|(_, c)| c.is_control())
        .map_or(text.len(), |(at, _)| at);
    crate::text::prefix(&text[..end], VALUE_LIMIT).to_owned()
}

/// What an object says of itself, as far as Docket reads it. Found in one pass.
#[derive(Clone, Debug, Default)]
pub struct Said<'a> {
    /// metadata.name.
    pub name: Cow<'a, str>,
    /// metadata.generateName.
    pub generate_name: Cow<'a, str>,
    /// metadata.uid.
    pub uid: Cow<'a, str>,
    labels: Option<Token<'a>>,
    organization: Option<Token<'a>>,
    repository: Option<Token<'a>>,
    pull_request: Option<Token<'a>>,
    pipeline: Option<Token<'a>>,
    environment: Option<Token<'a>>,
}

impl<'a> Said<'a> {
    /// Reads the object at the cursor and leaves the cursor after it.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Said<'a>, Broken> {
        let mut said = Said::default();
        if !cursor.enter_object() {
            cursor.value()?;
            return Ok(said);
        }
        while let Some(key) = cursor.key()? {
            match key {
                b"metadata" if cursor.enter_object() => said.metadata(cursor)?,
                b"spec" if cursor.enter_object() => said.spec(cursor)?,
                _ => drop(cursor.value()?),
            }
        }
        Ok(said)
    }

    fn metadata(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Broken> {
        while let Some(key) = cursor.key()? {
            let token = cursor.value()?;
            match key {
                b"name" => self.name = token.text().unwrap_or_default(),
                b"generateName" => self.generate_name = token.text().unwrap_or_default(),
                b"uid" => self.uid = token.text().unwrap_or_default(),
                b"labels" => self.labels = Some(token),
                _ => {}
            }
        }
        Ok(())
    }

    fn spec(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Broken> {
        // The spellings that Krate's code writes for a repository, weakest first.
        let mut repository = (0u8, None);
        while let Some(key) = cursor.key()? {
            let token = cursor.value()?;
            let rank = match key {
                b"repository" => 5,
                b"repoRef" => 4,
                b"repositoryRef" => 3,
                b"repositories" => 2,
                b"repositoryRefs" => 1,
                _ => 0,
            };
            if rank > 0 && rank >= repository.0 {
                repository = (rank, Some(token));
            }
            match key {
                b"organizationRef" => self.organization = Some(token),
                b"pullRequest" => self.pull_request = Some(token),
                b"pipeline" => self.pipeline = Some(token),
                b"environment" => self.environment = Some(token),
                _ => {}
            }
        }
        self.repository = repository.1;
        Ok(())
    }

    fn label(&self, prefix: &str, name: &str) -> String {
        let Some(labels) = self.labels else {
            return String::new();
        };
        let mut cursor = Cursor::new(labels.0);
        let mut found = String::new();
        if cursor.enter_object() {
            while let Ok(Some(key)) = cursor.key() {
                let Ok(token) = cursor.value() else { break };
                let ours = key.strip_prefix(prefix.as_bytes()) == Some(name.as_bytes());
                if ours {
                    found = token.text().as_deref().map(value).unwrap_or_default();
                }
            }
        }
        found
    }
}

/// Which object of a review speaks, and whether the API server vouches for it.
#[derive(Clone, Copy)]
pub struct Speaker<'a> {
    /// The object as it would be; absent on delete.
    pub new: Option<&'a Said<'a>>,
    /// The object as it is stored; absent on create.
    pub old: Option<&'a Said<'a>>,
}

impl Speaker<'_> {
    /// Krate's terms for the object under review. What a stored object says was
    /// admitted once; what only a new object says is its author's claim, and marked so.
    pub fn context(
        self,
        config: &Config,
        group: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Context {
        let prefix = config.label_prefix.as_str();
        // Each from the stored object, else from the new one; and whether the latter.
        let first = |from: &dyn Fn(&Said<'_>) -> [String; 3]| {
            let find = |said: &Said<'_>| from(said).into_iter().find(|text| !text.is_empty());
            let stored = self.old.and_then(find);
            let claimed = stored.is_none();
            let found = stored.or_else(|| self.new.and_then(find));
            let claimed = claimed && found.is_some();
            (found.unwrap_or_default(), claimed)
        };
        let (own_org, org_claimed) = first(&|said| {
            [
                reference(said.organization),
                said.label(prefix, "org"),
                String::new(),
            ]
        });
        let (repository, repository_claimed) = first(&|said| {
            [
                reference(said.repository),
                said.label(prefix, "repository"),
                said.label("", "repository"),
            ]
        });
        let by_namespace = value(org_of_namespace(namespace, config));
        let org_is_own = by_namespace.is_empty();
        let mut context = Context {
            org: if org_is_own { own_org } else { by_namespace },
            repository,
            pull_request: first(&|said| {
                [
                    reference(said.pull_request),
                    said.label(prefix, "pullrequest"),
                    said.label("", "pullrequest"),
                ]
            })
            .0,
            run: first(&|said| {
                [
                    reference(said.pipeline),
                    said.label(prefix, "run"),
                    said.label("", "pipeline"),
                ]
            })
            .0,
            environment: first(&|said| {
                [
                    reference(said.environment),
                    said.label(prefix, "environment"),
                    said.label("", "environment"),
                ]
            })
            .0,
            surface: surface_of(config, group, resource).to_owned(),
            claimed: false,
        };
        name_itself(&mut context, config, group, resource, name);
        let named_itself = group == config.krate_group && resource == "repositories";
        context.claimed = (org_is_own && org_claimed) || (repository_claimed && !named_itself);
        context
    }
}

/// The name in a reference: a string, an object's `name`, or the first of a list.
fn reference(token: Option<Token<'_>>) -> String {
    let Some(token) = token else {
        return String::new();
    };
    let mut cursor = Cursor::new(token.0);
    if cursor.enter_array() && !matches!(cursor.element(), Ok(true)) {
        return String::new();
    }
    if cursor.enter_object() {
        let mut name = String::new();
        while let Ok(Some(key)) = cursor.key() {
            let Ok(token) = cursor.value() else { break };
            if key == b"name" {
                name = token.text().as_deref().map(value).unwrap_or_default();
            }
        }
        return name;
    }
    let text = cursor.value().ok().and_then(Token::text);
    text.as_deref().map(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
