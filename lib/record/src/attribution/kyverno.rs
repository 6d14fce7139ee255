//! Kyverno's CEL policies: `Policy a failed: …; Policy b error: …`.

use super::{Law, Owed, by, doubt, doubted, hold_against};
use crate::denial::Attribution;
use crate::policies::Policy;

/// What a Kyverno webhook serves, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// CEL policies that validate, of these kinds.
    Cel(&'static [&'static str]),
    /// MutatingPolicy, GeneratingPolicy.
    Mutating(&'static [&'static str]),
    /// ClusterPolicy and Policy.
    Legacy,
    /// The policy objects themselves, exceptions, clean-up.
    Own,
}

/// A Kyverno webhook's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hook<'a> {
    pub(super) family: Family,
    /// Set where the hook is registered for one policy only: its name, or namespace,
    /// `-` and name.
    pub(super) only: Option<&'a str>,
}

/// Kinds of the legacy engine.
pub(super) const LEGACY: &[&str] = &["ClusterPolicy", "Policy"];

const FAMILIES: [(&str, Family); 14] = [
    ("validate", Family::Legacy),
    ("mutate", Family::Legacy),
    ("vpol.validate", Family::Cel(&["ValidatingPolicy"])),
    (
        "nvpol.validate",
        Family::Cel(&["NamespacedValidatingPolicy"]),
    ),
    // One name for both kinds up to 1.18.
    (
        "ivpol.validate",
        Family::Cel(&["ImageValidatingPolicy", "NamespacedImageValidatingPolicy"]),
    ),
    (
        "ivpol.mutate",
        Family::Cel(&["ImageValidatingPolicy", "NamespacedImageValidatingPolicy"]),
    ),
    (
        "nivpol.validate",
        Family::Cel(&["NamespacedImageValidatingPolicy"]),
    ),
    (
        "nivpol.mutate",
        Family::Cel(&["NamespacedImageValidatingPolicy"]),
    ),
    (
        "mpol.validate",
        Family::Mutating(&["MutatingPolicy", "NamespacedMutatingPolicy"]),
    ),
    (
        "nmpol.validate",
        Family::Mutating(&["NamespacedMutatingPolicy"]),
    ),
    (
        "gpol.validate",
        Family::Mutating(&["GeneratingPolicy", "NamespacedGeneratingPolicy"]),
    ),
    (
        "ngpol.validate",
        Family::Mutating(&["NamespacedGeneratingPolicy"]),
    ),
    ("validate-policy", Family::Own),
    ("mutate-policy", Family::Own),
];

pattern!(
    HOOK,
    r"^([a-z.-]+)\.kyverno\.svc(?:-(?:fail|ignore)(?:-finegrained-(.+)|-[0-9a-f]{8})?)?$"
);
pattern!(OWN, r"^kyverno-[a-z0-9-]+\.[a-z0-9-]+\.svc$");
pattern!(
    OPENING,
    r"(^|; )Policy ([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?) (failed|error): "
);
pattern!(
    MUTATING,
    r"(?:^|[ \[])Policy ([a-z0-9][a-z0-9.-]{0,252}): failed to (?:evaluate policy|execute matching|compute exception key): "
);

/// Takes a webhook's name apart; `None` if it is not Kyverno's.
pub(super) fn hook(name: &str) -> Option<Hook<'_>> {
    if let Some(found) = HOOK.captures(name) {
        let first = found.get(1)?.as_str();
        if let Some((_, family)) = FAMILIES.iter().find(|(prefix, _)| *prefix == first) {
            let only = found.get(2).map(|only| only.as_str());
            return Some(Hook {
                family: *family,
                only,
            });
        }
    }
    OWN.is_match(name).then_some(Hook {
        family: Family::Own,
        only: None,
    })
}

/// The policy of a hook that serves only one.
pub(super) fn only_policy<'a>(hook: &Hook<'a>, kinds: &[&str], law: &Law<'_>) -> Option<&'a str> {
    let only = hook.only?;
    let namespace = law.target.namespace;
    let within = only
        .strip_prefix(namespace)
        .and_then(|rest| rest.strip_prefix('-'));
    let namespaced = |kind: &str| kind.starts_with("Namespaced") || kind == "Policy";
    match within {
        Some(name) if !namespace.is_empty() && kinds.iter().copied().all(namespaced) => Some(name),
        // Either kind: the one that is known decides; the plain name if none is.
        Some(name) if law.policies.named(kinds, only, namespace).next().is_none() => {
            let known = law.policies.named(kinds, name, namespace).next().is_some();
            Some(if known { name } else { only })
        }
        _ => Some(only),
    }
}

/// One place where a policy's part may begin.
struct Opening<'a> {
    /// Offset of the part, separator included.
    at: usize,
    /// Offset of its message.
    message: usize,
    policy: &'a str,
    failed: bool,
}

/// Most openings that are weighed; a text with more has been written to confuse.
const OPENINGS: usize = 64;

/// Refused by CEL policies.
pub(super) fn refused(
    name: &str,
    hook: &Hook<'_>,
    kinds: &[&str],
    said: &str,
    law: &Law<'_>,
) -> Vec<Owed> {
    let of_hook = || Attribution {
        webhook: Some(name.to_owned()),
        ..by("kyverno")
    };
    let mut openings: Vec<Opening<'_>> = OPENING
        .captures_iter(said)
        .take(OPENINGS + 1)
        .filter_map(|found| {
            Some(Opening {
                at: found.get_match().start(),
                message: found.get_match().end(),
                policy: found.get(2)?.as_str(),
                failed: found.get(3)?.as_str() == "failed",
            })
        })
        .collect();
    let first = openings
        .first()
        .filter(|first| first.at == 0 && !said.starts_with(';'));
    let Some(first) = first.map(|first| first.policy) else {
        let only = only_policy(hook, kinds, law).map(str::to_owned);
        let attribution = Attribution {
            policy: only,
            result: "error".to_owned(),
            ..of_hook()
        };
        return vec![doubted(attribution, said, "the text names no policy")];
    };
    let crowded = openings.len() > OPENINGS;
    openings.truncate(OPENINGS);
    // The first part is Kyverno's own writing. A later one may be an echo inside a
    // message; where the policies are known, an echo that names none of those that can
    // refuse this object, or the first one again, can't be a part.
    if law.policies.synced {
        let mut index = 0;
        openings.retain(|opening| {
            index += 1;
            index == 1
                || (opening.policy != first
                    && law
                        .policies
                        .named(kinds, opening.policy, law.target.namespace)
                        .any(|policy| policy.enforces && policy.covers(&law.target)))
        });
    }
    let (readings, parts) = read(said, &openings, kinds, law);
    let readings = if crowded { Readings::Several } else { readings };
    let mut all = Vec::new();
    for part in parts.iter().take(PARTS) {
        let opening = &openings[part.from];
        let mut attribution = Attribution {
            policy: Some(opening.policy.to_owned()),
            result: if opening.failed { "fail" } else { "error" }.to_owned(),
            ..of_hook()
        };
        match readings {
            Readings::One => {}
            Readings::None => doubt(&mut attribution, "no policy, as known, has this message"),
            Readings::Several if part.goes_on => doubt(
                &mut attribution,
                "the text has several readings: in this one the message goes on over what may be other policies",
            ),
            Readings::Several if part.from == 0 => doubt(
                &mut attribution,
                "the text has several readings: all begin with this policy, its message may go on",
            ),
            Readings::Several => doubt(
                &mut attribution,
                "the text has several readings: this may be part of another policy's message",
            ),
        }
        hold_against(&mut attribution, kinds, law);
        let end = openings.get(part.to).map_or(said.len(), |next| next.at);
        all.push(Owed {
            attribution,
            message: said[opening.message..end].to_owned(),
        });
    }
    all
}

/// Most parts that are told; a text with more readings has been written to confuse.
const PARTS: usize = 16;

/// In how many ways a text can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readings {
    None,
    One,
    Several,
}

/// From one opening to another, or to the text's end: what one policy says in one reading.
#[derive(Clone, Copy, Debug)]
struct Part {
    from: usize,
    to: usize,
    /// True if the same policy says less in another reading.
    goes_on: bool,
}

/// Weighs all ways to cut the text at these openings; in each, every part must be
/// something that its policy can say. Gives back every part of some way, the shortest of
/// each policy first; all openings if there is no way at all.
fn read(
    said: &str,
    openings: &[Opening<'_>],
    kinds: &[&str],
    law: &Law<'_>,
) -> (Readings, Vec<Part>) {
    let count = openings.len();
    let known: Vec<Vec<&Policy>> = openings
        .iter()
        .map(|opening| {
            law.policies
                .named(kinds, opening.policy, law.target.namespace)
                .collect()
        })
        .collect();
    let can_say = |from: usize, to: usize| {
        let opening = &openings[from];
        let end = openings.get(to).map_or(said.len(), |next| next.at);
        // An error's text is not the author's; and what is not known may say anything.
        !opening.failed
            || !law.policies.synced
            || known[from].is_empty()
            || known[from]
                .iter()
                .any(|policy| policy.can_say(&said[opening.message..end]))
    };
    // ways[i]: in how many ways the text from opening i on can be read, counted to 2.
    let mut ways = vec![0u8; count + 1];
    ways[count] = 1;
    let mut possible: Vec<(usize, usize)> = Vec::new();
    for from in (0..count).rev() {
        for to in from + 1..=count {
            if ways[to] > 0 && can_say(from, to) {
                ways[from] = (ways[from] + ways[to]).min(2);
                possible.push((from, to));
            }
        }
    }
    possible.sort_unstable();
    let readings = match ways.first() {
        Some(1) => Readings::One,
        Some(2) => Readings::Several,
        _ => {
            possible = (0..count).map(|from| (from, from + 1)).collect();
            Readings::None
        }
    };
    // What no way from the beginning comes to is in no reading.
    let mut reached = vec![false; count + 1];
    reached[0] = true;
    let mut parts: Vec<Part> = Vec::new();
    for (from, to) in possible {
        if reached[from] {
            reached[to] = true;
            let goes_on = parts.last().is_some_and(|last| last.from == from);
            parts.push(Part { from, to, goes_on });
        }
    }
    parts.sort_by_key(|part| part.goes_on);
    (readings, parts)
}

/// Refused by a MutatingPolicy that failed: `Resource: …, Errors: [Policy p: failed …]`.
pub(super) fn mutating(
    name: &str,
    hook: &Hook<'_>,
    kinds: &[&str],
    said: &str,
    law: &Law<'_>,
) -> Vec<Owed> {
    let of_hook = |policy: Option<&str>| Attribution {
        webhook: Some(name.to_owned()),
        policy: policy.map(str::to_owned),
        result: "error".to_owned(),
        ..by("kyverno")
    };
    let found: Vec<_> = MUTATING.captures_iter(said).take(OPENINGS).collect();
    if found.is_empty() {
        let only = only_policy(hook, kinds, law);
        return vec![doubted(of_hook(only), said, "the text names no policy")];
    }
    let several = found.len() > 1;
    let starts: Vec<usize> = found.iter().map(|one| one.get_match().start()).collect();
    let mut all = Vec::new();
    for (index, one) in found.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(said.len());
        let mut attribution = of_hook(one.get(1).map(|policy| policy.as_str()));
        if several {
            doubt(
                &mut attribution,
                "the text has several readings: errors are not told apart",
            );
        }
        hold_against(&mut attribution, kinds, law);
        let message = said[one.get_match().end()..end]
            .trim_end()
            .trim_end_matches(']');
        all.push(Owed {
            attribution,
            message: message.to_owned(),
        });
    }
    all
}
