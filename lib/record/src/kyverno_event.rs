//! What Kyverno's admission controller says of a verdict in a Kubernetes Event.
//!
//! Each webhook of Kyverno that refuses a request leaves one Event for each policy (for
//! legacy policies: each rule) that failed, on the policy, about the resource. It is the
//! only word of a denier whose answer came second: the API server tells the client, and
//! the audit event, the first one only. It is also a poor witness: anyone who may create
//! Events can write one, it knows neither user nor request, it may get lost, it is cut
//! at 1,024 bytes, and its `(blocked)` is wrong for CEL policies. So nothing is made
//! from an Event alone, and what it says is held against the law:
//!
//! | Event says | policy | read as |
//! |---|---|---|
//! | `(blocked)` | CEL, has Deny | it denied |
//! | `(blocked)` | CEL, only Audit or Warn | nothing: another policy of that call has Deny |
//! | `(blocked)` | CEL, only Audit or Warn, but what was in force then is in doubt | it denied; ambiguous |
//! | `(blocked)` | legacy, or not known any more | it denied; ambiguous where the law does not agree |
//! | no `(blocked)` | any | nothing: audit mode, or a mutating policy |
//!
//! An Event lies in the policy's namespace, that of a cluster-scoped policy in `default`.
//! One that lies elsewhere is not Kyverno's: who may write Events in a namespace of his
//! own may not speak for policies that are not there.

use crate::attribution::{Law, doubt, hold_against};
use crate::denial::Attribution;
use crate::krate;
use crate::policies::{PolicyList, Target};
use jiff::Timestamp;

/// `reportingController` of the Events that are read.
pub const CONTROLLER: &str = "kyverno-admission";
/// Their `reason`. Kyverno's admission controller uses no other for a policy that failed.
pub const REASON: &str = "PolicyViolation";
/// `source` of an attribution that was read from an Event.
pub const SOURCE: &str = "kyvernoEvent";
/// Where Kyverno cuts a note; then `...` follows.
const CUT: usize = 1021;
/// Longest name of an object that is looked at; the API server takes no longer one.
const NAME: usize = 253;

/// Kinds whose failure can refuse a request in the phase in which webhooks run side by
/// side; true for those that are legacy, whose `(blocked)` can be believed.
const KINDS: [(&str, &str, bool); 6] = [
    ("kyverno.io", "ClusterPolicy", true),
    ("kyverno.io", "Policy", true),
    ("policies.kyverno.io", "ValidatingPolicy", false),
    ("policies.kyverno.io", "NamespacedValidatingPolicy", false),
    ("policies.kyverno.io", "ImageValidatingPolicy", false),
    (
        "policies.kyverno.io",
        "NamespacedImageValidatingPolicy",
        false,
    ),
];

/// An object that an Event names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named<'a> {
    /// apiVersion.
    pub api_version: &'a str,
    /// Kind.
    pub kind: &'a str,
    /// Empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// metadata.name.
    pub name: &'a str,
    /// metadata.uid, if given.
    pub uid: &'a str,
}

/// What is read of an Event (`events.k8s.io/v1`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    /// metadata.uid.
    pub uid: &'a str,
    /// Where it lies.
    pub namespace: &'a str,
    /// metadata.name.
    pub name: &'a str,
    /// `reportingController`.
    pub controller: &'a str,
    /// `reason`.
    pub reason: &'a str,
    /// The policy, in the form that is used.
    pub regarding: Named<'a>,
    /// The resource; absent in the form that is not used.
    pub related: Option<Named<'a>>,
    /// Its text.
    pub note: &'a str,
    /// `eventTime`: Kyverno takes it before it answers the call.
    pub time: Timestamp,
}

/// A policy that refused a request, as one Event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hearsay {
    /// uid of the Event.
    pub uid: String,
    /// Its namespace and name.
    pub event: String,
    /// When.
    pub time: Timestamp,
    /// API group of the resource.
    pub group: String,
    /// Its plural.
    pub resource: String,
    /// Empty for cluster-scoped resources.
    pub namespace: String,
    /// Its name; a generated one is here too.
    pub name: String,
    /// Its uid; for a create, one that never came to be.
    pub object_uid: String,
    /// The policy, graded by the law alone: whether one request fits is not yet asked.
    pub attribution: Attribution,
    /// What the policy said, where that is its own fixed text. A computed one may echo a
    /// secret of the object, and no witness is asked here what to mask: it is not kept.
    pub message: String,
}

/// Why an Event is passed over; the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// Another controller's, or another reason.
    Foreign,
    /// Not about a policy that can refuse side by side with others, or about no resource:
    /// also Kyverno's second form, which lies on the resource.
    OtherForm,
    /// Not where Kyverno writes it.
    Misplaced,
    /// The note is not in Kyverno's form for this resource.
    Unreadable,
    /// It does not even claim to have refused.
    NotBlocked,
    /// It claims to have refused, but its policy refuses nothing.
    NotEnforcing,
}

impl Ignored {
    /// All of them, for metrics that must exist before they count.
    pub const ALL: [Ignored; 6] = [
        Ignored::Foreign,
        Ignored::OtherForm,
        Ignored::Misplaced,
        Ignored::Unreadable,
        Ignored::NotBlocked,
        Ignored::NotEnforcing,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Ignored::Foreign => "foreign",
            Ignored::OtherForm => "other_form",
            Ignored::Misplaced => "misplaced",
            Ignored::Unreadable => "unreadable",
            Ignored::NotBlocked => "not_blocked",
            Ignored::NotEnforcing => "not_enforcing",
        }
    }
}

/// A note, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// Legacy rule.
    pub rule: Option<&'a str>,
    /// `fail` or `error`.
    pub result: &'a str,
    /// It says `(blocked)`.
    pub blocked: bool,
    /// What follows the first `; `.
    pub message: &'a str,
    /// Kyverno cut it.
    pub cut: bool,
}

/// Reads a note about this resource: `<Kind> [<ns>/]<name>: [[<rule>] ]fail|error[
/// (blocked)][; <message>]`. The head is compared, not searched for: a name or a message
/// may hold anything that looks like one.
pub fn note<'a>(text: &'a str, about: &Named<'_>) -> Option<Note<'a>> {
    let rest = text.strip_prefix(about.kind)?.strip_prefix(' ')?;
    let rest = match about.namespace {
        "" => rest,
        namespace => rest.strip_prefix(namespace)?.strip_prefix('/')?,
    };
    let rest = rest.strip_prefix(about.name)?.strip_prefix(": ")?;
    let cut = text.len() >= CUT + 3 && text.ends_with("...");
    let (rule, rest) = match rest.strip_prefix('[') {
        None => (None, rest),
        // A rule's name may hold a bracket; the first end after which a result follows is
        // the shortest reading, and Kyverno's own rule names need no longer one.
        Some(inner) => {
            let end = inner
                .match_indices("] ")
                .map(|(at, _)| at)
                .find(|at| result(&inner[at + 2..]).is_some())?;
            (Some(&inner[..end]), &inner[end + 2..])
        }
    };
    let (result, rest) = result(rest)?;
    let (blocked, rest) = match rest.strip_prefix(" (blocked)") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let message = match rest.strip_prefix("; ") {
        Some(message) => message,
        None if rest.is_empty() => "",
        None => return None,
    };
    Some(Note {
        rule,
        result,
        blocked,
        message,
        cut,
    })
}

/// `fail` or `error` as a whole word, and what follows.
fn result(text: &str) -> Option<(&str, &str)> {
    ["fail", "error"].into_iter().find_map(|word| {
        let rest = text.strip_prefix(word)?;
        let whole = rest.is_empty() || rest.starts_with("; ") || rest.starts_with(" (blocked)");
        whole.then_some((&text[..word.len()], rest))
    })
}

/// Reads an Event and holds it against the policies of its time.
///
/// # Errors
/// Why it says nothing about a refusal.
pub fn read(event: &Event<'_>, policies: &PolicyList) -> Result<Hearsay, Ignored> {
    if event.controller != CONTROLLER || event.reason != REASON {
        return Err(Ignored::Foreign);
    }
    let policy = event.regarding;
    let group = |api_version: &'_ str| match api_version.split_once('/') {
        Some((group, _)) => group.to_owned(),
        None => String::new(),
    };
    let own = group(policy.api_version);
    let kind = KINDS
        .iter()
        .find(|(group, kind, _)| *group == own && *kind == policy.kind);
    let (Some((_, _, legacy)), Some(related)) = (kind, event.related) else {
        return Err(Ignored::OtherForm);
    };
    let place = match policy.namespace {
        "" => "default",
        namespace => namespace,
    };
    if event.namespace != place {
        return Err(Ignored::Misplaced);
    }
    if related.name.is_empty() || related.name.len() > NAME || policy.name.len() > NAME {
        return Err(Ignored::Unreadable);
    }
    let note = note(event.note, &related).ok_or(Ignored::Unreadable)?;
    if !note.blocked {
        return Err(Ignored::NotBlocked);
    }
    let resource = krate::plural(related.kind);
    let target_group = group(related.api_version);
    let mut attribution = Attribution {
        enforcer: "kyverno".to_owned(),
        policy_kind: Some(policy.kind.to_owned()),
        policy_namespace: Some(policy.namespace.to_owned()).filter(|space| !space.is_empty()),
        policy: Some(policy.name.to_owned()),
        rule: note.rule.map(str::to_owned),
        result: note.result.to_owned(),
        source: SOURCE.to_owned(),
        ..Attribution::default()
    };
    let mut known = policies
        .named(
            std::slice::from_ref(&policy.kind),
            policy.name,
            policy.namespace,
        )
        .filter(|known| known.namespace == policy.namespace)
        .peekable();
    if known.peek().is_some() {
        // A version that is not known may have had Deny.
        let mut enforces = !policies.synced || policies.doubt.is_some();
        let mut same = false;
        for version in known {
            enforces |= version.enforces || version.doubt.is_some();
            same |= policy.uid.is_empty() || version.uid.is_empty() || version.uid == policy.uid;
        }
        if !enforces && !legacy && same {
            return Err(Ignored::NotEnforcing);
        }
        if !same {
            doubt(
                &mut attribution,
                "the policy was deleted and made again since",
            );
        }
    }
    let law = Law {
        policies,
        target: Target {
            group: &target_group,
            resource: &resource,
            subresource: "",
            namespace: related.namespace,
            name: related.name,
        },
        cut: false,
    };
    hold_against(&mut attribution, &[policy.kind], &law);
    let message = if says(policies, &policy, &note) {
        note.message.trim_end_matches('\u{fffd}').to_owned()
    } else {
        String::new()
    };
    Ok(Hearsay {
        uid: event.uid.to_owned(),
        event: format!("{}/{}", event.namespace, event.name),
        time: event.time,
        group: target_group,
        resource,
        namespace: related.namespace.to_owned(),
        name: related.name.to_owned(),
        object_uid: related.uid.to_owned(),
        attribution,
        message,
    })
}

/// True if the policy, as known, has this very message (or one that begins with what
/// Kyverno left of it).
fn says(policies: &PolicyList, policy: &Named<'_>, note: &Note<'_>) -> bool {
    let said = note.message.trim();
    // Kyverno cuts bytes, not characters: the torn one comes as U+FFFD.
    let left = said
        .strip_suffix("...")
        .unwrap_or(said)
        .trim_end_matches('\u{fffd}');
    policies
        .named(
            std::slice::from_ref(&policy.kind),
            policy.name,
            policy.namespace,
        )
        .filter_map(|known| known.messages.as_ref())
        .flatten()
        .any(|text| text.trim() == said || (note.cut && text.starts_with(left)))
}

#[cfg(test)]
mod tests;
