//! Inputs from the field, each after a public report of somebody who runs a cluster, with
//! the right answer in it (`expect`). They go the way that an import's records go: split
//! from the file, read, examined against the policies.

mod answers;

use answers::ANSWERS;
use docket_record::audit::AuditEvent;
use docket_record::denial::{Grade, Record, Verdict};
use docket_record::examine::{Bench, Config, Outcome, examine};
use docket_record::import::split::Splitter;
use docket_record::import::{Read, read};
use docket_record::law::{LawBook, Object};
use docket_record::policies::PolicyList;
use docket_record::testimony::Keys;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One event of a case, as it was judged.
type Judged = Result<Box<Record>, &'static str>;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recorded/cases")
}

fn bytes(file: &str) -> Vec<u8> {
    fs::read(directory().join(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

/// The files with events in them, by name.
fn files() -> BTreeMap<String, Value> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory()).expect("the cases") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_string_lossy().into_owned();
        if !name.ends_with(".json") {
            continue;
        }
        let case: Result<Value, _> = serde_json::from_slice(&bytes(&name));
        if let Ok(case) = case
            && case["events"].is_array()
            && case["expect"].is_object()
        {
            files.insert(name, case);
        }
    }
    files
}

/// The policies of a case, as the API server would give them.
fn law(case: &Value) -> Arc<PolicyList> {
    let objects = case["policies"].as_array().into_iter().flatten();
    let objects = objects.enumerate().map(|(number, object)| {
        let mut object = object.clone();
        object["metadata"]["uid"] = json!(format!("uid-{number}"));
        object["metadata"]["resourceVersion"] = json!("1");
        object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        let object = Object::read(&object).unwrap_or_else(|| panic!("{object} is not read"));
        (object, format!("law-{number}"))
    });
    LawBook::always(objects).now()
}

/// Every record of the file, judged in its order.
fn judge(file: &str, policies: &PolicyList) -> Vec<Judged> {
    let config = Config {
        cluster: "cases".into(),
        krate_group: "krate.a5c.ai".into(),
        label_prefix: "krate.a5c.ai/".into(),
        org_namespace_prefix: "krate-org-".into(),
        clock_tolerance: SignedDuration::from_secs(1),
    };
    let keys = Keys::from_entries([("k1", "5a".repeat(32))]).expect("a key");
    let bench = Bench {
        config: &config,
        keys: &keys,
        policies,
        source: "import",
    };
    let mut splitter = Splitter::new();
    splitter.push(&bytes(file));
    splitter.finish();
    let mut judged = Vec::new();
    while let Some(piece) = splitter.next_piece() {
        let event = match read(&piece.bytes, None) {
            Ok(Read::Raw(_, event)) => AuditEvent::parse(event.as_bytes()).expect("an event"),
            Ok(Read::Derived(_, event)) => *event,
            other => panic!("{file}: {other:?}"),
        };
        judged.push(match examine(&event, &bench).expect("a time").outcome {
            Outcome::Record(record) => Ok(record),
            Outcome::Counted(counted) => Err(counted.label()),
        });
    }
    judged
}

/// One of the verdicts that the case allows, by its words.
fn allows(said: &str, judged: &Judged) -> bool {
    let word = match judged {
        Err(_) => "none",
        Ok(record) => match record.public.verdict {
            Verdict::Denied => "denied",
            Verdict::Unavailable => "unavailable",
            Verdict::Unknown => "unknown",
            Verdict::FailedOpen | Verdict::Excepted => "pass",
        },
    };
    said.split(|c: char| !c.is_alphanumeric())
        .any(|one| one == word)
}

/// What one member of `expect` says of all events of the case; members that are prose for
/// people alone are held by the table of answers.
fn holds(member: &str, wanted: &Value, judged: &[Judged]) -> bool {
    let words = wanted.as_str().unwrap_or_default();
    let records = || judged.iter().flatten();
    // Of the n-th event, or of all.
    let of = |number: usize| match wanted {
        Value::Array(all) => all.get(number).and_then(Value::as_str),
        one => one.as_str(),
    };
    match member {
        "verdict" => judged.iter().all(|one| allows(words, one)),
        "not" => judged.iter().all(|one| !allows(words, one)),
        "notTheReason" => records().all(|record| {
            let mut attributions = record.public.attributions.iter();
            attributions.all(|one| !one.doubt.contains(words))
        }),
        // Docket makes Events of these two alone.
        "kubernetesEvent" => judged
            .iter()
            .all(|one| !allows("denied unavailable", one) || wanted == &json!(true)),
        "attributions" => {
            records().all(|record| wanted == &json!(record.public.attributions.len()))
        }
        "enforcer" => records().all(|record| record.public.attributions[0].enforcer == words),
        "webhook" => {
            records().all(|record| record.public.attributions[0].webhook.as_deref() == Some(words))
        }
        "rule" => records()
            .enumerate()
            .all(|(number, record)| record.public.attributions[0].rule.as_deref() == of(number)),
        "messages" => records().all(|record| {
            let said = record
                .public
                .attributions
                .iter()
                .zip(&record.personal.messages);
            let said: BTreeMap<&str, &str> = said
                .map(|(one, message)| (one.rule.as_deref().unwrap_or_default(), message.as_str()))
                .collect();
            wanted.as_object().is_some_and(|wanted| {
                wanted.iter().all(|(rule, text)| {
                    let text = text.as_str().unwrap_or_default();
                    let message = said.get(rule.as_str()).copied().unwrap_or_default();
                    match text.strip_prefix("begins: ") {
                        Some(start) => message.starts_with(start),
                        None => message == text,
                    }
                })
            })
        }),
        _ => true,
    }
}

/// A line for each event: how it was judged, and to whom a refusal is owed.
fn line(judged: &Judged) -> String {
    match judged {
        Err(counted) => format!("counted {counted}"),
        Ok(record) => {
            let owed = record.public.attributions.iter().map(|one| {
                let grade = match one.grade {
                    Some(Grade::Exact) => "exact",
                    _ => "ambiguous",
                };
                let part = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
                let (policy, rule) = (part(&one.policy), part(&one.rule));
                let webhook = part(&one.webhook);
                format!(
                    "{} {webhook} {policy} {rule} {} {grade}",
                    one.enforcer, one.result
                )
            });
            let owed: Vec<String> = owed.collect();
            format!("{:?}: {}", record.public.verdict, owed.join("; "))
        }
    }
}

#[test]
fn each_case_from_the_field_has_its_right_answer() {
    let mut wrong = Vec::new();
    for (file, case) in files() {
        let judged = judge(&file, &law(&case));
        let events = case["events"].as_array().map_or(0, Vec::len);
        assert_eq!(judged.len(), events, "{file}: an event was not read");
        let expected = case["expect"].as_object().into_iter().flatten();
        for (member, wanted) in expected {
            if !holds(member, wanted, &judged) {
                wrong.push(format!("{file}: not {member}: {wanted}"));
            }
        }
        let lines: Vec<String> = judged.iter().map(line).collect();
        match ANSWERS.iter().find(|(name, _)| file == *name) {
            Some((_, answers)) if lines == *answers => {}
            Some((_, answers)) => wrong.push(format!("{file}: {lines:#?}, not {answers:#?}")),
            None => wrong.push(format!("{file}: no answer is written for it: {lines:#?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_answer_is_of_a_case() {
    let files = files();
    for (file, _) in ANSWERS {
        assert!(files.contains_key(*file), "{file}");
    }
}

/// A refusal's whole text is kept, and what machines read is a word: neither a table nor a
/// row of CSV can break at it.
#[test]
fn a_reason_of_many_lines_stays_in_the_text() {
    let file = "14-gatekeeper-two-constraints.json";
    let case: Value = serde_json::from_slice(&bytes(file)).expect("a case");
    let judged = judge(file, &law(&case));
    let events = case["events"].as_array().expect("events");
    for (judged, event) in judged.iter().zip(events) {
        let record = judged.as_ref().expect("a record");
        let message = event["responseStatus"]["message"].as_str();
        assert_eq!(Some(record.personal.text.as_str()), message);
        assert_eq!(record.public.reason, "");
        for one in &record.public.attributions {
            assert!(!format!("{one:?}").contains("\\n"), "{one:?}");
        }
    }
}
