//! What was erased. A part that a leaf commits to may be gone only if a later entry of
//! class erasure names it; `docs/ledger-format.md` says how.

use crate::entry::Part;
use docket_record::entry::erasure::{Erased, Public};

/// The parts that an erasure entry at position `at` names, by the position of their entry:
/// personal parts and exhibits of earlier entries. Its public part must have been checked
/// against its leaf. A public part names no one and can't be erased; whatever else can't be
/// read erases nothing.
#[must_use]
pub fn erased(at: u64, public: &[u8]) -> Vec<(u64, Part)> {
    let Ok(Public { erases, .. }) = serde_json::from_slice(public) else {
        return Vec::new();
    };
    let named = erases.into_iter().filter(|one| one.position < at);
    named
        .flat_map(|Erased { position, parts }| {
            [Part::Personal, Part::Exhibit]
                .into_iter()
                .filter(move |part| parts.iter().any(|name| name == part.name()))
                .map(move |part| (position, part))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::erased;
    use crate::entry::Part;

    #[test]
    fn only_what_is_named_of_earlier_entries_is_erased_and_never_a_public_part() {
        let read = |text: &str| erased(7, text.as_bytes());
        assert_eq!(
            read(
                r#"{"id": "e", "time": "2026-10-05T12:00:00Z", "reason": "request of the person",
                   "erases": [{"position": 3, "parts": ["personal", "exhibit"]},
                              {"position": 4, "parts": ["exhibit", "public", "else"]},
                              {"position": 5}]}"#
            ),
            [(3, Part::Personal), (3, Part::Exhibit), (4, Part::Exhibit)]
        );
        for nothing in [
            "",
            "[]",
            r#"{"id": "e"}"#,
            r#"{"erases": {"position": 3, "parts": ["personal"]}}"#,
            r#"{"erases": [{"position": 7, "parts": ["personal"]}]}"#,
            r#"{"erases": [{"position": 8, "parts": ["personal"]}]}"#,
            r#"{"erases": [{"position": 3, "parts": ["public"]}]}"#,
            r#"{"erases": [{"position": -3, "parts": ["personal"]}]}"#,
        ] {
            assert_eq!(read(nothing), [], "{nothing}");
        }
    }
}
