//! Kyverno's legacy policies: a block whose tail is YAML, or one line for mutate rules.

use super::kyverno::{Hook, LEGACY, only_policy};
use super::{Law, Owed, by, doubt, doubted, hold_against};
use crate::denial::Attribution;
use crate::policies::Rule;
use std::collections::{BTreeMap, BTreeSet};

// The end of a heading: since 1.10; up to 1.7 without the blank; in 1.8 and 1.9 as a
// violation, or as an error where no rule failed and some could not judge.
pattern!(
    SEPARATOR,
    r" (?:was blocked due to the following policies ?|for resource (violation|error)s?: ?)\n\n"
);
pattern!(
    MUTATE,
    r"^(?:mutation policy ([a-z0-9][a-z0-9./-]*) error: (failed to apply policy [^ ]+ rules \[)?|failed to update resource in context for policy ([a-z0-9][a-z0-9./-]*): )"
);
// Up to 1.11 a block also lists the rules of its policies that did not apply.
pattern!(
    SKIPPED,
    r"^(?:preconditions not met(?:$|; )|rule skipped(?:$| due to policy exception)|rule not matched$|image verified$|no patches applied$|skipping modified resource as validation results have not changed$|(?:conditional|global) anchor mismatch: )"
);

/// Policy name → rule name → message, as Kyverno writes it.
type Block = BTreeMap<String, BTreeMap<String, String>>;

pub(super) fn refused(name: &str, hook: &Hook<'_>, said: &str, law: &Law<'_>) -> Vec<Owed> {
    let of_hook = || Attribution {
        webhook: Some(name.to_owned()),
        ..by("kyverno")
    };
    if let Some(found) = MUTATE.captures(said) {
        let policy = found.get(1).or_else(|| found.get(3));
        let policy = policy.map_or("", |policy| policy.as_str());
        let attribution = Attribution {
            policy: Some(policy.to_owned()),
            result: "error".to_owned(),
            ..of_hook()
        };
        let rest = &said[found.get_match().end()..];
        return match found.get(2) {
            Some(why) if !rest.contains(": ") => {
                named_only(&attribution, rest, &said[why.start()..], law)
            }
            Some(_) => mutated(&attribution, rest, law),
            None => {
                let mut attribution = attribution;
                hold_against(&mut attribution, LEGACY, law);
                vec![Owed {
                    attribution,
                    message: rest.to_owned(),
                }]
            }
        };
    }
    let Some(heading) = Heading::of(said) else {
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
    let Some(block) = parse(heading.tail, law.cut) else {
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
    let echoed = SEPARATOR.is_match(heading.tail) && !is_whole(heading.subject, name, law);
    let result = if heading.errors { "error" } else { "fail" };
    let mut messages = block.values().flat_map(BTreeMap::values);
    let any_refused = messages.any(|message| !SKIPPED.is_match(message));
    let mut all = Vec::new();
    for (policy, rules) in block {
        for (rule, message) in rules {
            let mut attribution = Attribution {
                policy: Some(policy.clone()),
                rule: Some(rule),
                result: result.to_owned(),
                ..of_hook()
            };
            if any_refused && SKIPPED.is_match(&message) {
                doubt(
                    &mut attribution,
                    "the rule did not apply: Kyverno up to 1.11 lists such rules beside those that refuse",
                );
            }
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

/// How a block begins, and what follows.
struct Heading<'a> {
    /// `Kind/namespace/name`.
    subject: &'a str,
    /// No rule failed; some could not judge.
    errors: bool,
    /// The list.
    tail: &'a str,
}

impl<'a> Heading<'a> {
    fn of(said: &'a str) -> Option<Heading<'a>> {
        let found = SEPARATOR.captures(said)?;
        let whole = found.get_match();
        let before = said[..whole.start()].trim_start_matches('\n');
        let subject = ["resource ", "policy "]
            .into_iter()
            .find_map(|word| before.strip_prefix(word))?;
        (subject.split('/').count() >= 3).then_some(Heading {
            subject,
            errors: found.get(1).is_some_and(|word| word.as_str() == "error"),
            tail: &said[whole.end()..],
        })
    }
}

/// True if the first separator is the real one: the heading names the object, or a name
/// with a separator in it could not have come so far.
fn is_whole(heading: &str, hook: &str, law: &Law<'_>) -> bool {
    let name = heading.splitn(3, '/').nth(2).unwrap_or_default();
    let known = law.target.name;
    hook.starts_with("validate.") || (!known.is_empty() && name == known)
}

/// Most rules of one text that are told.
const RULES: usize = 16;

/// `[first second]`, as 1.8 and 1.9 write it: names, and not why.
fn named_only(of_policy: &Attribution, rest: &str, said: &str, law: &Law<'_>) -> Vec<Owed> {
    let list = rest.strip_suffix(']').unwrap_or(rest);
    let policy = of_policy.policy.clone().unwrap_or_default();
    // A rule's name may hold blanks.
    let whole = law
        .policies
        .named(LEGACY, &policy, law.target.namespace)
        .any(|policy| policy.rules.iter().any(|rule| rule.name == list));
    let names: Vec<&str> = if whole {
        vec![list]
    } else {
        list.split(' ').take(RULES).collect()
    };
    let of_rule = |rule: &str| {
        let mut attribution = Attribution {
            rule: Some(rule.to_owned()),
            ..of_policy.clone()
        };
        hold_rule(&mut attribution, law);
        Owed {
            attribution,
            message: said.to_owned(),
        }
    };
    names.into_iter().map(of_rule).collect()
}

/// `[first: message second: message]`: where a message ends is not said, so another rule
/// that is named in it may be part of it.
fn mutated(of_policy: &Attribution, rest: &str, law: &Law<'_>) -> Vec<Owed> {
    let list = rest.strip_suffix(']').unwrap_or(rest);
    let policy = of_policy.policy.clone().unwrap_or_default();
    let known: BTreeSet<&str> = law
        .policies
        .named(LEGACY, &policy, law.target.namespace)
        .flat_map(|policy| policy.rules.iter().map(|rule| rule.name.as_str()))
        .collect();
    let first = list.split_once(": ").map_or("", |(rule, _)| rule);
    let mut starts = vec![(0, first)];
    for rule in known {
        let opening = format!(" {rule}: ");
        starts.extend(list.match_indices(&opening).map(|(at, _)| (at + 1, rule)));
    }
    starts.sort_unstable();
    let several = starts.len() > 1;
    let mut all = Vec::new();
    for (index, (at, rule)) in starts.iter().enumerate().take(RULES) {
        let end = starts.get(index + 1).map_or(list.len(), |next| next.0 - 1);
        let mut attribution = Attribution {
            rule: Some((*rule).to_owned()),
            ..of_policy.clone()
        };
        if several {
            doubt(
                &mut attribution,
                "the text has several readings: one rule's message may name another rule",
            );
        }
        hold_rule(&mut attribution, law);
        let message = list.get(at + rule.len() + 2..end).unwrap_or_default();
        all.push(Owed {
            attribution,
            message: message.to_owned(),
        });
    }
    all
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
