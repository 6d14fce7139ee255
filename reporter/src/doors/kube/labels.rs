//! Label selectors: Kubernetes' grammar, over the labels that denials have.

use super::status::Failure;
use crate::doors::params::shown;
use docket_record::api::label;
use std::collections::BTreeMap;

/// Conditions in one selector.
const MOST: usize = 32;
/// Values in one set.
const VALUES: usize = 64;
/// Longest value of a label.
const LONGEST: usize = 63;

/// All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(Vec<Condition>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    key: &'static str,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    /// Also where there is no such label.
    NotIn(Vec<String>),
}

impl Labels {
    /// An empty text selects everything.
    pub(super) fn parse(text: &str) -> Result<Labels, Failure> {
        let mut conditions = Vec::new();
        for part in split(text)? {
            if conditions.len() == MOST {
                let message = format!("labelSelector: must be at most {MOST} conditions");
                return Err(Failure::bad_request(message));
            }
            conditions.push(condition(part.trim())?);
        }
        Ok(Labels(conditions))
    }

    pub(super) fn take(&self, labels: &BTreeMap<&'static str, String>) -> bool {
        self.0.iter().all(|condition| {
            let value = labels.get(condition.key);
            match &condition.test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.contains(value)),
                Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            }
        })
    }

    /// True if everything is taken.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one value that a label must have, if the selector says one.
    pub(super) fn only(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|condition| match &condition.test {
            Test::In(values) if condition.key == key => match values.as_slice() {
                [value] => Some(value.as_str()),
                _ => None,
            },
            _ => None,
        })
    }

    /// True if one of these is named as a value that the label may have.
    pub(super) fn name_any(&self, key: &str, values: &[&str]) -> bool {
        self.0.iter().any(|condition| match &condition.test {
            Test::In(named) if condition.key == key => {
                named.iter().any(|value| values.contains(&value.as_str()))
            }
            _ => false,
        })
    }
}

/// At the commas that are not inside parentheses.
fn split(text: &str) -> Result<Vec<&str>, Failure> {
    let (mut parts, mut start, mut inside) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' if inside => return Err(wrong(text)),
            '(' => inside = true,
            ')' if !inside => return Err(wrong(text)),
            ')' => inside = false,
            ',' if !inside => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(wrong(text));
    }
    if !text.trim().is_empty() {
        parts.push(&text[start..]);
    }
    Ok(parts)
}

fn condition(text: &str) -> Result<Condition, Failure> {
    let said = |name: &str, test| {
        Ok(Condition {
            key: key(name.trim())?,
            test,
        })
    };
    if let Some(name) = text.strip_prefix('!') {
        return said(name, Test::Absent);
    }
    if let Some((before, set)) = text.split_once('(') {
        let set = set
            .trim_end()
            .strip_suffix(')')
            .ok_or_else(|| wrong(text))?;
        let mut words = before.split_ascii_whitespace();
        let (Some(name), Some(operator), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong(text));
        };
        let values = set.split(',').map(|one| value(one.trim()));
        let values: Vec<String> = values.collect::<Result<_, _>>()?;
        if values.len() > VALUES {
            let message = format!("labelSelector: must be at most {VALUES} values in a set");
            return Err(Failure::bad_request(message));
        }
        return match operator {
            "in" => said(name, Test::In(values)),
            "notin" => said(name, Test::NotIn(values)),
            _ => Err(wrong(text)),
        };
    }
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((name, one)) = text.split_once(operator) {
            let values = vec![value(one.trim())?];
            let test = if equal {
                Test::In(values)
            } else {
                Test::NotIn(values)
            };
            return said(name, test);
        }
    }
    said(text, Test::Exists)
}

/// With or without the group before it.
fn key(name: &str) -> Result<&'static str, Failure> {
    let found = label::ALL.into_iter().find(|key| {
        let short = key.rsplit('/').next();
        *key == name || short == Some(name)
    });
    found.ok_or_else(|| {
        Failure::bad_request(format!(
            "labelSelector: {}: unknown; allowed: {}",
            shown(name),
            label::ALL.join(", ")
        ))
    })
}

fn value(text: &str) -> Result<String, Failure> {
    if text.is_empty() || is_value(text) {
        return Ok(text.to_owned());
    }
    Err(Failure::bad_request(format!(
        "labelSelector: {}: must be a label's value: at most {LONGEST} letters, digits, `-`, `_` \
         and `.`, a letter or digit at both ends",
        shown(text)
    )))
}

/// Can this be the value of a label?
pub(super) fn is_value(text: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= LONGEST
        && ends(text.bytes().next())
        && ends(text.bytes().last())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn wrong(text: &str) -> Failure {
    Failure::bad_request(format!(
        "labelSelector: {}: must be conditions joined by commas: KEY, !KEY, KEY=VALUE, \
         KEY!=VALUE, KEY in (A,B), KEY notin (A,B)",
        shown(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_takes_what_kubernetes_would_take() {
        let labels = BTreeMap::from([
            (label::POLICY, "needs-ok".to_owned()),
            (label::VERDICT, "denied".to_owned()),
        ]);
        for (selector, expected) in [
            ("", true),
            (" ", true),
            ("policy=needs-ok", true),
            ("docket.a5c.ai/policy==needs-ok,verdict=denied", true),
            ("policy=other", false),
            ("policy!=other", true),
            ("repository!=web", true),
            ("repository=web", false),
            ("repository", false),
            ("!repository", true),
            ("! repository , policy", true),
            ("policy", true),
            ("policy in (a, needs-ok),verdict in (denied)", true),
            ("policy in (a,b)", false),
            ("policy notin (a,b)", true),
            ("repository notin (a)", true),
            ("policy notin (needs-ok)", false),
            ("repository in ()", false),
        ] {
            let parsed = Labels::parse(selector).unwrap();
            assert_eq!(parsed.take(&labels), expected, "{selector}");
        }
    }

    #[test]
    fn an_unknown_label_and_a_broken_selector_are_refused_with_what_is_allowed() {
        for (selector, named) in [
            ("app=web", "docket.a5c.ai/org, docket.a5c.ai/repository"),
            ("example.com/policy=a", "docket.a5c.ai/policy"),
            ("policy in (a", "KEY in (A,B)"),
            ("policy in a)", "KEY in (A,B)"),
            ("policy within (a)", "KEY in (A,B)"),
            ("policy in ((a))", "KEY in (A,B)"),
            ("policy=a b", "a label's value"),
            ("policy=-a", "a label's value"),
            ("policy=a,", "unknown"),
            ("policy>1", "unknown"),
        ] {
            let failure = Labels::parse(selector).unwrap_err().status();
            assert_eq!(failure["code"], 400, "{selector}");
            let message = failure["message"].as_str().unwrap().to_owned();
            assert!(message.contains(named), "{selector}: {message}");
        }
        let many = ["policy"; 33].join(",");
        assert!(Labels::parse(&many).is_err());
    }
}
