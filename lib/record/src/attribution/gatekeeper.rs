//! Gatekeeper: a line for each constraint, `[name] message`; up to 3.3 `[denied by name]`.
//! Constraints are no policies that Docket keeps, and a message may echo a field with a
//! line like these in it: every name that is read is ambiguous.

use super::{Owed, by, doubted};
use crate::denial::Attribution;

/// Most constraints of one text that are told.
const CONSTRAINTS: usize = 16;

pattern!(
    OPENING,
    r"(?m)^\[(?:denied by )?([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)\] "
);

/// True if the webhook is Gatekeeper's.
pub(super) fn is_hook(name: &str) -> bool {
    name.ends_with(".gatekeeper.sh")
}

/// The constraints that the text names, each once; none if it does not begin with one.
pub(super) fn refused(hook: &str, said: &str) -> Vec<Owed> {
    let openings: Vec<(usize, usize, &str)> = OPENING
        .captures_iter(said)
        .filter_map(|found| {
            let whole = found.get_match();
            Some((whole.start(), whole.end(), found.get(1)?.as_str()))
        })
        .collect();
    let mut all: Vec<Owed> = Vec::new();
    if openings.first().is_none_or(|(start, ..)| *start > 0) {
        return all;
    }
    for (number, (_, from, constraint)) in openings.iter().enumerate() {
        let to = openings.get(number + 1).map_or(said.len(), |next| next.0);
        let message = said[*from..to].trim_end_matches('\n');
        let same = |owed: &&mut Owed| owed.attribution.policy.as_deref() == Some(constraint);
        if let Some(owed) = all.iter_mut().find(same) {
            owed.message.push('\n');
            owed.message.push_str(message);
        } else if all.len() < CONSTRAINTS {
            let attribution = Attribution {
                webhook: Some(hook.to_owned()),
                policy: Some((*constraint).to_owned()),
                ..by("webhook")
            };
            all.push(doubted(
                attribution,
                message,
                "the name is that of a Gatekeeper constraint, and those are not known here",
            ));
        }
    }
    all
}
