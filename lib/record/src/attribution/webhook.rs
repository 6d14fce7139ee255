//! Refusals and failures of webhooks: Kyverno's by their names, others as they are.

use super::kyverno::{self, Family, LEGACY};
use super::{Law, Owed, by, doubt, doubted, gatekeeper, hold_against, kyverno_legacy};
use crate::denial::Attribution;

pub(super) fn refused(hook: &str, said: &str, law: &Law<'_>) -> Vec<Owed> {
    let Some(parts) = kyverno::hook(hook) else {
        if gatekeeper::is_hook(hook) {
            let constraints = gatekeeper::refused(hook, said);
            if !constraints.is_empty() {
                return constraints;
            }
        }
        let attribution = Attribution {
            webhook: Some(hook.to_owned()),
            ..by("webhook")
        };
        return vec![doubted(
            attribution,
            said,
            "the text names a webhook, not a policy",
        )];
    };
    match parts.family {
        Family::Cel(kinds) => kyverno::refused(hook, &parts, kinds, said, law),
        Family::Mutating(kinds) => kyverno::mutating(hook, &parts, kinds, said, law),
        Family::Legacy => kyverno_legacy::refused(hook, &parts, said, law),
        Family::Own => {
            let attribution = Attribution {
                webhook: Some(hook.to_owned()),
                ..by("kyverno")
            };
            let why = "Kyverno refused one of its own objects, not by a policy";
            vec![doubted(attribution, said, why)]
        }
    }
}

/// How the API server asks a hook of Kyverno's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// In the mutating phase, one hook after the other: a refusal ends it.
    InTurn,
    /// In the validating phase, for policies: each that fails leaves an Event.
    SideBySide,
    /// It is not Kyverno's, or judges Kyverno's own objects.
    Unknown,
}

/// How a hook of this name is asked.
pub(crate) fn asked(hook: &str) -> Asked {
    match kyverno::hook(hook).map(|hook| hook.family) {
        Some(Family::Mutating(_)) => Asked::InTurn,
        Some(Family::Own) if hook.starts_with("mutate-") => Asked::InTurn,
        Some(Family::Legacy | Family::Cel(_)) => {
            let phase = hook.split(".kyverno.svc").next().unwrap_or_default();
            if phase == "mutate" || phase.ends_with(".mutate") {
                Asked::InTurn
            } else {
                Asked::SideBySide
            }
        }
        Some(Family::Own) | None => Asked::Unknown,
    }
}

pub(super) fn no_dry_run(hook: &str) -> Owed {
    let attribution = Attribution {
        result: "error".to_owned(),
        ..of(hook)
    };
    doubted(
        attribution,
        "the webhook does not support dry run",
        "the text names a webhook, not a policy",
    )
}

/// A fail-closed call that failed. Its policy is stated only where the hook is
/// registered for one alone: by its name, or by the path that was called.
pub(super) fn unavailable(hook: &str, why: &str, law: &Law<'_>) -> Owed {
    let (policy, kinds) = policy_called(hook, Some(why), law);
    let mut attribution = Attribution {
        policy,
        result: "error".to_owned(),
        ..of(hook)
    };
    if attribution.policy.is_none() {
        return doubted(
            attribution,
            why,
            "the call failed before a policy was named",
        );
    }
    hold_against(&mut attribution, kinds, law);
    Owed {
        attribution,
        message: why.to_owned(),
    }
}

/// A hook that was skipped because its call failed. Its law is that of the configuration
/// that registers it, and of the policy where it is there for one alone.
pub(super) fn failed_open(hook: &str, law: &Law<'_>) -> Owed {
    let (policy, kinds) = policy_called(hook, None, law);
    let mut attribution = Attribution {
        policy,
        result: "error".to_owned(),
        source: "annotations".to_owned(),
        ..of(hook)
    };
    let message = "the webhook was skipped because its call failed";
    if attribution.policy.is_none() {
        doubt(
            &mut attribution,
            "the API server names a webhook, not a policy",
        );
    } else {
        hold_against(&mut attribution, kinds, law);
    }
    let registered = law.policies.configurations.iter();
    let registered = registered.filter(|one| one.hooks.iter().any(|name| name == hook));
    let ids = registered.map(|one| one.law_id.clone());
    attribution.laws.extend(ids.filter(|id| !id.is_empty()));
    Owed {
        attribution,
        message: message.to_owned(),
    }
}

fn of(hook: &str) -> Attribution {
    let enforcer = if kyverno::hook(hook).is_some() {
        "kyverno"
    } else {
        "webhook"
    };
    Attribution {
        webhook: Some(hook.to_owned()),
        ..by(enforcer)
    }
}

fn policy_called(
    hook: &str,
    why: Option<&str>,
    law: &Law<'_>,
) -> (Option<String>, &'static [&'static str]) {
    let Some(parts) = kyverno::hook(hook) else {
        return (None, &[]);
    };
    let kinds = match parts.family {
        Family::Cel(kinds) | Family::Mutating(kinds) => kinds,
        Family::Legacy => LEGACY,
        Family::Own => return (None, &[]),
    };
    let only = kyverno::only_policy(&parts, kinds, law).map(str::to_owned);
    let by_path = || match parts.family {
        Family::Cel(_) | Family::Mutating(_) => why.and_then(only_in_path),
        _ => None,
    };
    (only.or_else(by_path), kinds)
}

/// The policy of a path like `/vpol/<policy>/<policy>?timeout=10s`, if it lists one only.
fn only_in_path(why: &str) -> Option<String> {
    let (_, url) = why.split_once("Post \"https://")?;
    let (url, _) = url.split_once(['?', '"'])?;
    let mut segments = url.split('/').skip(1);
    let family = segments.next()?;
    let mut names: Vec<&str> = match family {
        "ivpol" | "nivpol" => segments.skip(1).collect(),
        "vpol" | "nvpol" | "mpol" | "nmpol" | "gpol" | "ngpol" => segments.collect(),
        _ => return None,
    };
    names.dedup();
    match names[..] {
        [name] if !name.is_empty() => Some(name.to_owned()),
        _ => None,
    }
}
