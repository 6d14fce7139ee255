//! What an audit event's final status says: denied, unavailable, unknown, let through
//! by a hook that failed open, or nothing that Docket keeps.

mod failure;
mod text;

pub(crate) use failure::asked_for_dry_run;
pub use text::{Refusal, refusal};

use crate::audit::{AuditEvent, Glance, Status};
use crate::config::Config;
use crate::denial::Verdict;
use crate::testimony::{FINAL, WITNESS};

/// Why an event makes no entry; the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Not governed: other group, verb, stage or namespace.
    NotGoverned,
    /// Code below 400, nothing failed open.
    Admitted,
    /// 401.
    Unauthenticated,
    /// 429.
    TooManyRequests,
    /// 403 by RBAC.
    Forbidden,
    /// 400, 415, 422: decoding, schema.
    Invalid,
    /// 404.
    NotFound,
    /// 409.
    Conflict,
    /// Terminating namespace or CRD.
    Terminating,
    /// Server not ready.
    NotReady,
    /// 504 where no hook of ours was called.
    TimedOut,
    /// What the kubelet, pod or service behind exec, attach, portforward or proxy
    /// answered, or that it can't be reached.
    Backend,
    /// Any other failure of the API server itself (5xx): nobody refused.
    ServerError,
}

impl Counted {
    /// All of them, for metrics that must exist before they count.
    pub const ALL: [Counted; 13] = [
        Counted::NotGoverned,
        Counted::Admitted,
        Counted::Unauthenticated,
        Counted::TooManyRequests,
        Counted::Forbidden,
        Counted::Invalid,
        Counted::NotFound,
        Counted::Conflict,
        Counted::Terminating,
        Counted::NotReady,
        Counted::TimedOut,
        Counted::Backend,
        Counted::ServerError,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Counted::NotGoverned => "not_governed",
            Counted::Admitted => "admitted",
            Counted::Unauthenticated => "unauthenticated",
            Counted::TooManyRequests => "too_many_requests",
            Counted::Forbidden => "forbidden",
            Counted::Invalid => "invalid",
            Counted::NotFound => "not_found",
            Counted::Conflict => "conflict",
            Counted::Terminating => "terminating",
            Counted::NotReady => "not_ready",
            Counted::TimedOut => "timed_out",
            Counted::Backend => "backend",
            Counted::ServerError => "server_error",
        }
    }
}

/// Subresources that are opened with `get`, and whose refusal Docket keeps.
const CONNECTS: [&str; 4] = ["exec", "attach", "portforward", "proxy"];

/// What the event means, before anyone asks to whom the denial is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement<'a> {
    /// A record is made, and this is what the text says.
    Record(Verdict, Refusal<'a>),
    /// Only counted.
    Counted(Counted),
}

/// What our own testimonies and the API server's marks say of our hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// A verified testimony of either hook is there.
    pub witnessed: bool,
    /// A verified testimony of the `final` hook is there: all mutating hooks, the
    /// schema and every ValidatingAdmissionPolicy had let the object pass.
    pub reached_final: bool,
    /// The API server says that it called a hook of ours, or tried to.
    pub tried: bool,
}

/// True if Docket answers for this event: a write (or an exec and its kin) to a
/// governed resource, at its final stage.
pub fn governed(glance: &Glance<'_>, config: &Config) -> bool {
    if !matches!(&*glance.stage, "ResponseComplete" | "Panic") {
        return false;
    }
    let connects = CONNECTS.contains(&&*glance.subresource);
    let verb = match &*glance.verb {
        "create" | "update" | "patch" | "delete" | "deletecollection" => true,
        "get" => connects,
        _ => false,
    };
    if !verb {
        return false;
    }
    let in_org = glance
        .namespace
        .starts_with(config.org_namespace_prefix.as_str())
        && !config.org_namespace_prefix.is_empty();
    match &*glance.group {
        "" => glance.resource == "pods" && in_org,
        "apps" | "batch" => in_org,
        "core.oam.dev" => glance.resource == "applications",
        "kyverno.io" | "policies.kyverno.io" | "admissionregistration.k8s.io" => true,
        group => group == config.krate_group,
    }
}

/// True if our hooks are registered for this write, so that a testimony is due.
pub fn has_hook(config: &Config, group: &str, resource: &str, subresource: &str) -> bool {
    if CONNECTS.contains(&subresource) {
        return false;
    }
    group == config.krate_group
        || (group == "core.oam.dev" && resource == "applications" && subresource.is_empty())
}

/// Names of hooks that failed open in this request, ours left out.
pub fn failed_open(event: &AuditEvent) -> Vec<&str> {
    let mut hooks: Vec<&str> = all_failed_open(event)
        .filter(|hook| !is_ours(hook))
        .collect();
    hooks.sort_unstable();
    hooks.dedup();
    hooks
}

/// True if the API server says that a hook of ours failed open.
pub fn ours_failed_open(event: &AuditEvent) -> bool {
    all_failed_open(event).any(is_ours)
}

/// True if the API server says that it called our mutating hook, or tried to call one
/// of ours.
pub fn ours_tried(event: &AuditEvent) -> bool {
    let called = event.annotations.iter().any(|(key, value)| {
        key.starts_with("mutation.webhook.admission.k8s.io/")
            && value.contains(&format!("\"webhook\":\"{WITNESS}\""))
    });
    called || ours_failed_open(event)
}

fn all_failed_open(event: &AuditEvent) -> impl Iterator<Item = &str> {
    // Hook names hold no slash, so no hook's own annotation can begin like this and
    // also name a round.
    event
        .annotations
        .iter()
        .filter(|(key, _)| {
            key.starts_with("failed-open.validating.webhook.admission.k8s.io/round_")
                || key.starts_with("failed-open.mutation.webhook.admission.k8s.io/round_")
        })
        .map(|(_, hook)| hook.as_str())
}

fn is_ours(hook: &str) -> bool {
    hook == WITNESS || hook == FINAL
}

/// Judges a governed event.
pub fn judge<'a>(event: &'a AuditEvent, called: Called) -> Judgement<'a> {
    use Judgement::{Counted as Count, Record};

    let Some(status) = &event.response_status else {
        return without_code(called);
    };
    if event.stage == "Panic" {
        return Record(Verdict::Unknown, Refusal::Panic);
    }
    let said = refusal(status);
    match status.code {
        // Of an event that was cut behind the text.
        0 if said.is_enforcers() => Record(said.verdict(), said),
        0 => without_code(called),
        1..400 if failed_open(event).is_empty() => Count(Counted::Admitted),
        1..400 => Record(Verdict::FailedOpen, Refusal::FailedOpen),
        // What begins with an enforcer's own words is its refusal, whatever the code: a
        // hook may answer 401, 404, 409 or 500 if it likes.
        _ if said.is_enforcers() => Record(said.verdict(), said),
        code if answered_behind(event, code) => Count(Counted::Backend),
        500.. if let Some(failed) = failure::failure(event) => Record(failed.verdict(), failed),
        401 => Count(Counted::Unauthenticated),
        429 => Count(Counted::TooManyRequests),
        404 => Count(Counted::NotFound),
        503 => Count(Counted::NotReady),
        504 if called.witnessed || called.tried => Record(Verdict::Unknown, Refusal::TimedOut),
        504 => Count(Counted::TimedOut),
        403 if forbidden_by_authorizer(event) => Count(Counted::Forbidden),
        // No answer of its own: someone it had asked in its stead.
        502 => Count(Counted::ServerError),
        code if status.message.is_none() => withheld(code, called),
        500.. => Count(Counted::ServerError),
        400 if status.reason == "BadRequest" => Count(Counted::Invalid),
        405 | 406 | 410 | 413 | 415 => Count(Counted::Invalid),
        409 => Count(Counted::Conflict),
        422 if is_schema(status, &said) => Count(Counted::Invalid),
        403 => forbidden(status, said),
        _ => Record(Verdict::Denied, said),
    }
}

fn without_code<'a>(called: Called) -> Judgement<'a> {
    if called.witnessed || called.tried {
        Judgement::Record(Verdict::Unknown, Refusal::NoStatus)
    } else {
        Judgement::Counted(Counted::Admitted)
    }
}

// What the API server says of a connection that the kubelet or pod did not take.
pattern!(
    NOT_CONNECTED,
    r"^(?:error dialing backend|error trying to reach service|unable to upgrade |container not found |container [^ ]+ not found )"
);

/// True if the answer is that of the kubelet, pod or service behind the API server, or says
/// that it can't be reached: admission had let the request pass. The API server hands such
/// an answer on as it is, so that the event has its code and no text.
fn answered_behind(event: &AuditEvent, code: u16) -> bool {
    let object = event.object_ref.as_ref();
    if !object.is_some_and(|object| CONNECTS.contains(&object.subresource.as_str())) {
        return false;
    }
    let message = event
        .response_status
        .as_ref()
        .and_then(|status| status.message.as_ref());
    match message {
        None => !forbidden_by_authorizer(event),
        Some(message) => code >= 500 || NOT_CONNECTED.is_match(&message.text),
    }
}

/// The client asked for its answer in a form that keeps the text out of the event.
/// Only enforcers that answer after `final` use 400; for the rest any could have.
fn withheld<'a>(code: u16, called: Called) -> Judgement<'a> {
    let verdict = if code == 400 && called.reached_final {
        Verdict::Denied
    } else {
        Verdict::Unknown
    };
    Judgement::Record(verdict, Refusal::Withheld)
}

/// False only where the answer says that nothing was stored.
pub fn may_be_stored(event: &AuditEvent) -> bool {
    let code = event
        .response_status
        .as_ref()
        .map_or(0, |status| status.code);
    match code {
        _ if event.stage == "Panic" => true,
        401 | 429 => false,
        403 if forbidden_by_authorizer(event) => false,
        // Some of a collection may be gone before one of it is refused.
        400..500 => event.verb == "deletecollection",
        _ => true,
    }
}

fn forbidden_by_authorizer(event: &AuditEvent) -> bool {
    event
        .annotations
        .get("authorization.k8s.io/decision")
        .is_some_and(|word| word == "forbid")
}

/// `Kind.group "name" is invalid: …`, or a patch that can't be applied.
fn is_schema(status: &Status, said: &Refusal<'_>) -> bool {
    status.reason == "Invalid" && !matches!(said, Refusal::Forbidden { .. })
}

fn forbidden<'a>(status: &Status, said: Refusal<'a>) -> Judgement<'a> {
    let Refusal::Forbidden { said: words } = said else {
        return Judgement::Record(Verdict::Denied, said);
    };
    let terminating = status
        .cause_reasons
        .iter()
        .any(|r| r == "NamespaceTerminating")
        || words.starts_with("unable to create new content in namespace ")
        || words.starts_with("create not allowed while custom resource definition is terminating");
    if terminating {
        return Judgement::Counted(Counted::Terminating);
    }
    if words.starts_with("not yet ready to handle request") {
        return Judgement::Counted(Counted::NotReady);
    }
    // An update that would create is authorised a second time, with the decision of the
    // first left in the event.
    if words.starts_with("User \"") && words.contains("\" cannot ") {
        return Judgement::Counted(Counted::Forbidden);
    }
    Judgement::Record(Verdict::Denied, said)
}

#[cfg(test)]
mod tests;
