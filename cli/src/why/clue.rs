//! Which denial a pasted text tells of. A client prints the enforcer's words, a hook's
//! name, the object; the record has the same, so the one that shares most is meant, and of
//! equals the newest.

use serde_json::Value;

/// Shortest message that counts: shorter ones stand in too many texts.
const SHORTEST: usize = 8;
/// A match needs the policy, or the message, or else several small things.
const ENOUGH: u32 = 30;

/// What someone pasted.
#[derive(Debug)]
pub struct Clue {
    /// In one line, as messages are compared.
    text: String,
    /// Ids and Audit-IDs that may stand in it.
    names: Vec<String>,
}

impl Clue {
    /// Anything is read; nothing of it is believed but to find a record.
    pub fn read(text: &str) -> Clue {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let is_name = |word: &&str| is_id(word) || is_uuid(word);
        let mut names: Vec<String> = words.filter(is_name).map(str::to_ascii_lowercase).collect();
        // An Audit-ID may be whatever its client liked.
        let whole = text.trim();
        let whole = whole.strip_prefix("Audit-Id:").unwrap_or(whole);
        let whole = whole.strip_prefix("Audit-ID:").unwrap_or(whole).trim();
        if !whole.is_empty() && !whole.contains(char::is_whitespace) {
            names.push(whole.to_owned());
        }
        Clue {
            text: one_line(text),
            names,
        }
    }

    /// Is that record named by its id or its Audit-ID?
    pub fn names(&self, item: &Value) -> bool {
        let (id, audit) = (item["id"].as_str(), item["auditId"].as_str());
        self.names.iter().any(|name| {
            let begins = id.is_some_and(|id| name.len() >= 6 && id.starts_with(name.as_str()));
            begins || audit.is_some_and(|audit| audit.eq_ignore_ascii_case(name))
        })
    }

    /// How much of that record stands in the text; `None`: not enough to believe it.
    pub fn shares(&self, item: &Value) -> Option<u32> {
        let mut best = 0;
        let attributions = item["attributions"].as_array().into_iter().flatten();
        let others = item["others"]["attributions"]
            .as_array()
            .into_iter()
            .flatten();
        for said in attributions.chain(others) {
            let mut points = self.message(&said["message"]);
            points += self.word(&said["policy"], 30);
            points += self.word(&said["rule"], 10);
            points += self.word(&said["webhook"], 10);
            points += self.word(&said["binding"], 5);
            best = best.max(points);
        }
        best = best.max(self.message(&item["message"]));
        let object = &item["resourceRef"];
        best += self.word(&object["name"], 15);
        best += self.word(&object["kind"], 3);
        best += self.word(&object["namespace"], 3);
        (best >= ENOUGH).then_some(best)
    }

    /// The longer a message that stands in it whole, the surer.
    fn message(&self, message: &Value) -> u32 {
        let message = one_line(message.as_str().unwrap_or_default());
        if message.len() < SHORTEST || !self.text.contains(&message) {
            return 0;
        }
        40 + u32::try_from(message.len().min(200) / 10).unwrap_or(0)
    }

    /// Whole, not as a part of a longer name.
    fn word(&self, value: &Value, points: u32) -> u32 {
        let word = value.as_str().unwrap_or_default();
        if word.len() < 3 {
            return 0;
        }
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let stands = self.text.match_indices(word).any(|(at, _)| {
            let before = self.text[..at].chars().next_back();
            let after = self.text[at + word.len()..].chars().next();
            !before.is_some_and(part) && !after.is_some_and(part)
        });
        if stands { points } else { 0 }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning of an id as `docket list` prints it, or all of it.
fn is_id(word: &str) -> bool {
    (8..=52).contains(&word.len())
        && word
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

fn is_uuid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && word
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::Clue;
    use serde_json::{Value, json};

    fn item(policy: &str, message: &str, name: &str) -> Value {
        json!({"id": "k3j5zq2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "auditId": "3f0a6c1e-6c4e-4f57-9f2e-0a4a5f1f7b3d", "message": message,
            "attributions": [{"policy": policy, "message": message, "webhook": "vpol.validate.kyverno.svc-fail"}],
            "resourceRef": {"kind": "PullRequest", "name": name, "namespace": "krate-org-acme"}})
    }

    #[test]
    fn what_kubectl_prints_is_recognised_also_where_it_was_wrapped() {
        let text = "Error from server: error when creating \"pr.yaml\": admission webhook\n \
             \"vpol.validate.kyverno.svc-fail\" denied the request: Policy require-pr-description failed: A description\n \
             of at least 20 characters is required.";
        let clue = Clue::read(text);
        let right = item(
            "require-pr-description",
            "A description of at least 20 characters is required.",
            "add-login",
        );
        let other = item("require-pr", "A title is required.", "add-login");
        assert!(clue.shares(&right) > Some(60));
        assert_eq!(
            clue.shares(&other),
            None,
            "a part of a name is not the name"
        );
    }

    #[test]
    fn the_object_tells_two_denials_of_one_policy_apart() {
        let text = "resource PullRequest/krate-org-acme/add-login was blocked due to the following policies signing";
        let clue = Clue::read(text);
        let right = clue.shares(&item("signing", "Name a secret.", "add-login"));
        let other = clue.shares(&item("signing", "Name a secret.", "other"));
        assert!(right > other && other.is_some());
    }

    #[test]
    fn an_audit_id_or_an_id_names_one_record_wherever_it_stands() {
        let one = item("p", "m", "n");
        for text in [
            "3F0A6C1E-6c4e-4f57-9f2e-0a4a5f1f7b3d",
            "< Audit-Id: 3f0a6c1e-6c4e-4f57-9f2e-0a4a5f1f7b3d\n< Date: now",
            "k3j5zq2a",
            "denied (docket k3j5zq2aaaaa): no",
        ] {
            assert!(Clue::read(text).names(&one), "{text}");
        }
        for text in [
            "",
            "k3j5z",
            "3f0a6c1e",
            "aaaaaaaa",
            "-",
            "an ordinary error",
        ] {
            assert!(!Clue::read(text).names(&one), "{text:?}");
        }
        let mut chosen = one;
        chosen["auditId"] = "mine_own".into();
        assert!(Clue::read("Audit-ID: mine_own").names(&chosen));
    }

    #[test]
    fn a_text_that_shares_little_is_no_match() {
        let one = item("require-pr-description", "no", "pr");
        for text in ["", "no", "error in PullRequest of krate-org-acme", "pr"] {
            assert_eq!(Clue::read(text).shares(&one), None, "{text:?}");
        }
    }
}
