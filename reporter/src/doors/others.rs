//! Who else denied a request, as far as that can be known: read from a denial's own
//! amendments and from the last word of its round ([`docket_record::others`]).

use super::item::given;
use super::read::Entry;
use docket_ledger::entry::Class;
use docket_model::{AttributionWithMessage, OtherDeniers, OthersState};
use docket_record::denial::{Attribution, Public};
use docket_record::others::known;
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Word {
    kind: String,
    state: String,
    attribution: Option<Attribution>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    message: String,
}

/// Of a denial; passes have none.
pub(super) fn of(public: &Public, entry: &Entry) -> Option<OtherDeniers> {
    if entry.row.class != Class::Denial {
        return None;
    }
    let mut attributions: Vec<AttributionWithMessage> = Vec::new();
    let mut last = entry
        .through
        .as_ref()
        .map(|row| word(&row.public).state)
        .filter(|state| !state.is_empty());
    for row in &entry.amendments {
        let word = word(&row.public);
        match (word.kind.as_str(), word.attribution) {
            ("others", _) => last = Some(word.state),
            ("other-denier", Some(attribution)) => {
                let said = row.personal.as_deref().unwrap_or_default();
                let Said { message } = serde_json::from_slice(said).unwrap_or_default();
                let message = given(message);
                let item = AttributionWithMessage {
                    attribution,
                    message,
                };
                // The last of several words about one policy counts.
                match attributions
                    .iter_mut()
                    .find(|known| known.is_about_the_policy_of(&item))
                {
                    Some(known) => *known = item,
                    None => attributions.push(item),
                }
            }
            _ => {}
        }
    }
    let seen = !attributions.is_empty();
    let (state, why) = known(public, last.as_deref(), seen);
    let state = match state {
        "pending" => OthersState::Pending,
        "none-seen" => OthersState::NoneSeen,
        "seen" => OthersState::Seen,
        _ => OthersState::NotKnown,
    };
    Some(OtherDeniers {
        state,
        attributions,
        why: why.map(str::to_owned),
    })
}

fn word(public: &[u8]) -> Word {
    serde_json::from_slice(public).unwrap_or_default()
}
