//! Kyverno's legacy policies: a block whose tail is YAML, or one line for mutate rules.

use super::kyverno::{Hook, LEGACY, only_policy};
use super::{Law, Owed, by, doubt, doubted, hold_against};
use crate::denial::Attribution;
use crate::policies::Rule;
use std::collections::BTreeMap;

const SEPARATOR: &str = " was blocked due to the following policies \n\n";

pattern!(
    MUTATE,
    r"^mutation policy ([a-z0-9][a-z0-9./-]*) error: (?:failed to apply policy [^ ]+ rules \[([^:\]]+): )?"
);

/// Policy name → rule name → message, as Kyverno writes it.
type Block = BTreeMap<String, BTreeMap<String, String>>;

pub(super) fn refused(name: &str, hook: &Hook<'_>, said: &str, law: &Law<'_>) -> Vec<Owed> {
    let of_hook = || Attribution {
        webhook: Some(name.to_owned()),
        ..by("kyverno")
    };
    if let Some(found) = MUTATE.captures(said) {
        let mut attribution = Attribution {
            policy: found.get(1).map(|policy| policy.as_str().to_owned()),
            rule: found.get(2).map(|rule| rule.as_str().to_owned()),
            result: "error".to_owned(),
            ..of_hook()
        };
        hold_against(&mut attribution, LEGACY, law);
        return vec![Owed {
            attribution,
            message: said[found.get_match().end()..].to_owned(),
        }];
    }
    let Some(tail) = tail(said) else {
        let policy = only_policy(hook, LEGACY, law).map(str::to_owned);
        return vec![doubted(
            Attribution {
                policy,
                ..of_hook()
            },
            said,
            "the text names no policy",
        )];
    };
    let Some(block) = parse(tail, law.cut) else {
        let policy = only_policy(hook, LEGACY, law).map(str::to_owned);
        let why = "the list of policies in the text can't be read";
        return vec![doubted(
            Attribution {
                policy,
                ..of_hook()
            },
            said,
            why,
        )];
    };
    // A name is not checked before mutating hooks, so it may hold the separator itself.
    let echoed = said.matches(SEPARATOR).count() > 1;
    let mut all = Vec::new();
    for (policy, rules) in block {
        for (rule, message) in rules {
            let mut attribution = Attribution {
                policy: Some(policy.clone()),
                rule: Some(rule),
                ..of_hook()
            };
            if echoed {
                doubt(
                    &mut attribution,
                    "the text has several readings: its heading comes twice",
                );
            }
            hold_rule(&mut attribution, law);
            all.push(Owed {
                attribution,
                message,
            });
        }
    }
    all
}

fn tail(said: &str) -> Option<&str> {
    let (heading, tail) = said.split_once(SEPARATOR)?;
    let subject = heading.strip_prefix("\n\nresource ")?;
    (subject.split('/').count() >= 3).then_some(tail)
}

/// The list, if it is one, and not empty.
fn parse(tail: &str, cut: bool) -> Option<Block> {
    let whole = if cut { whole_policies(tail)? } else { tail };
    let block: Block = serde_saphyr::from_str(whole).ok()?;
    block
        .values()
        .any(|rules| !rules.is_empty())
        .then_some(block)
}

/// Of a list that was cut, the policies before the last one, which may be torn.
fn whole_policies(tail: &str) -> Option<&str> {
    let last = tail
        .match_indices('\n')
        .filter(|(at, _)| tail[at + 1..].starts_with(|c: char| !c.is_whitespace()))
        .map(|(at, _)| at + 1)
        .next_back()?;
    Some(&tail[..last])
}

/// As [`hold_against`], and the rule must be there, cover the object and refuse. The
/// policy as it is known lists those that Kyverno made for controllers of pods.
fn hold_rule(attribution: &mut Attribution, law: &Law<'_>) {
    let policy = attribution.policy.clone().unwrap_or_default();
    let rule = attribution.rule.clone().unwrap_or_default();
    let known: Vec<&Rule> = law
        .policies
        .named(LEGACY, &policy, law.target.namespace)
        .flat_map(|policy| policy.rules.iter().filter(|one| one.name == rule))
        .collect();
    hold_against(attribution, LEGACY, law);
    if attribution.law.is_none() {
        return;
    }
    if known.is_empty() {
        doubt(attribution, "the policy, as known, has no such rule");
    } else if !known.iter().any(|rule| rule.enforces) {
        doubt(attribution, "the rule, as known, does not refuse");
    } else if !known.iter().any(|rule| rule.covers(&law.target)) {
        doubt(
            attribution,
            "the rule, as known, does not cover this resource",
        );
    }
}
