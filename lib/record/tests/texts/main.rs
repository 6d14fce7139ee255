//! What real parts said, of both lines of Kyverno, through the readers: every recorded
//! refusal against who it is owed to. `make texts` records; `docs/denial-texts.md` is the
//! table for people.

mod expected;

use docket_record::audit::AuditEvent;
use docket_record::denial::{Grade, Verdict};
use docket_record::examine::{Bench, Config, Outcome, examine};
use docket_record::law::{Change, Entry, LawBook, Object, Shelves, Version, autogen, text};
use docket_record::policies::PolicyList;
use docket_record::testimony::Keys;
use expected::{Expected, FORMS, Part};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LINES: [&str; 2] = ["1.18", "1.19"];
/// What 1.18 did not refuse when it was recorded: the first policy of each kind (its text
/// is that of the others), and a kind whose hook it can't register beside another's.
const NOT_IN_1_18: [&str; 3] = ["vpol-message", "mpol-error", "nmpol-error"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn lines_of(line: &str, file: &str) -> Vec<Value> {
    let path = repository()
        .join("tests/recorded/texts")
        .join(line)
        .join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path:?}: {why}"));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect()
}

fn law(line: &str) -> Arc<PolicyList> {
    let objects = lines_of(line, "policies.jsonl").into_iter().map(|value| {
        let object = Object::read(&value).unwrap_or_else(|| panic!("{value} is not read"));
        let id = object.place.name.clone();
        (object, id)
    });
    LawBook::always(objects).now()
}

/// The same policies as they come back from the ledger: entries, and amendments of what
/// Kyverno made of them.
fn law_on_record(line: &str) -> Arc<PolicyList> {
    let mut shelves = Shelves::default();
    for value in lines_of(line, "policies.jsonl") {
        let object = Object::read(&value).unwrap_or_else(|| panic!("{value} is not read"));
        let id = object.place.name.clone();
        let (text, whole) = text::kept(&object.text);
        let entry = Entry {
            id: id.clone(),
            time: Timestamp::UNIX_EPOCH,
            after: None,
            change: Change::FirstSeen,
            api_version: object.api_version,
            kind: object.place.kind.kind.to_owned(),
            namespace: object.place.namespace.clone(),
            name: id.clone(),
            uid: object.uid,
            resource_version: object.resource_version,
            generation: object.generation,
            hash: object.hash,
            previous: None,
            summary: Vec::new(),
            enforces: true,
            text,
            whole,
        };
        let (made, whole) = text::kept(&object.autogen);
        let made = autogen::Amendment {
            id: format!("made of {id}"),
            time: Timestamp::UNIX_EPOCH,
            after: None,
            amends: id,
            kind: autogen::KIND.into(),
            autogen: made,
            whole,
        };
        let made = Some(made).filter(|made| !made.autogen.is_null());
        let made: Vec<autogen::Amendment> = made.into_iter().collect();
        for version in Version::of(&entry, &made) {
            shelves.put(object.place.clone(), version);
        }
    }
    shelves.book(true).now()
}

/// What the event's record says: verdict, and each part with its message.
fn record(event: &Value, policies: &PolicyList) -> Option<(Verdict, Vec<(Part<'static>, String)>)> {
    let config = Config {
        cluster: "texts".into(),
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
        source: "recorded",
    };
    let event = AuditEvent::parse(event.to_string().as_bytes()).expect("an audit event");
    let finding = examine(&event, &bench).expect("a time");
    let Outcome::Record(record) = finding.outcome else {
        return None;
    };
    let named = |text: &Option<String>| -> &'static str {
        Box::leak(text.clone().unwrap_or_default().into_boxed_str())
    };
    let parts = record.public.attributions.iter().map(|one| Part {
        enforcer: Box::leak(one.enforcer.clone().into_boxed_str()),
        policy: named(&one.policy),
        rule: named(&one.rule),
        error: one.result == "error",
        exact: one.grade == Some(Grade::Exact),
        message: "",
    });
    Some((
        record.public.verdict,
        parts
            .zip(record.personal.messages.iter().cloned())
            .collect(),
    ))
}

/// `…` at an end stands for any words.
fn fits(wanted: &str, message: &str) -> bool {
    match (wanted.strip_prefix('…'), wanted.strip_suffix('…')) {
        _ if wanted == "…" => true,
        (Some(rest), Some(_)) => message.contains(rest.trim_end_matches('…')),
        (Some(end), None) => message.ends_with(end),
        (None, Some(start)) => message.starts_with(start),
        (None, None) => message == wanted,
    }
}

#[test]
fn each_recorded_refusal_is_owed_to_whom_it_is_owed() {
    each_is_owed_to_whom_it_is_owed(law);
}

#[test]
fn each_recorded_refusal_is_owed_to_the_same_when_the_law_comes_back_from_the_ledger() {
    each_is_owed_to_whom_it_is_owed(law_on_record);
}

fn each_is_owed_to_whom_it_is_owed(law: fn(&str) -> Arc<PolicyList>) {
    let mut wrong = Vec::new();
    for line in LINES {
        let law = law(line);
        for event in lines_of(line, "events.jsonl") {
            let form = event["auditID"].as_str().expect("a form");
            let Some(expected) = FORMS.iter().find(|one| one.form == form) else {
                wrong.push(format!("{line} {form}: nothing is expected of it"));
                continue;
            };
            let found = record(&event, &law);
            if !holds(expected, line, &found) {
                wrong.push(format!("{line} {form}: {found:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

type Found = Option<(Verdict, Vec<(Part<'static>, String)>)>;

fn holds(expected: &Expected, line: &str, found: &Found) -> bool {
    let Some((verdict, parts)) = found else {
        return expected.verdict.is_none();
    };
    let wanted = match line {
        "1.18" => expected.older.unwrap_or(expected.parts),
        _ => expected.parts,
    };
    // In Kyverno's order, which is that of a map: any.
    let same = |wanted: &Part<'_>| {
        parts.iter().any(|(part, message)| {
            (Part {
                message: "",
                ..*wanted
            }) == *part
                && fits(wanted.message, message)
        })
    };
    Some(*verdict) == expected.verdict && wanted.len() == parts.len() && wanted.iter().all(same)
}

#[test]
fn the_recording_holds_every_form_that_is_expected() {
    for line in LINES {
        let events = lines_of(line, "events.jsonl");
        let recorded: BTreeSet<&str> = events
            .iter()
            .filter_map(|event| event["auditID"].as_str())
            .collect();
        let expected: BTreeSet<&str> = FORMS.iter().map(|one| one.form).collect();
        let missing: BTreeSet<&str> = expected.difference(&recorded).copied().collect();
        let known = match line {
            "1.18" => BTreeSet::from(NOT_IN_1_18),
            _ => BTreeSet::new(),
        };
        assert_eq!(missing, known, "{line}");
    }
}

#[test]
fn the_table_names_every_recorded_form_and_only_tests_that_exist() {
    let table = fs::read_to_string(repository().join("docs/denial-texts.md")).expect("the table");
    for form in FORMS {
        let cell = format!("`{}`", form.form);
        assert!(
            table.contains(&cell),
            "{cell} is not in docs/denial-texts.md"
        );
    }
    let mut sources = String::new();
    for dir in [
        "lib/record/src",
        "lib/record/tests",
        "tests/tests",
        "tests/src",
    ] {
        gather(&repository().join(dir), &mut sources);
    }
    let mut tests = 0;
    for word in table.split('`').skip(1).step_by(2) {
        // A test's name is a sentence; a form's has no underscore.
        if word.matches('_').count() >= 3 && !word.contains(['/', ' ', '.', '%']) {
            assert!(
                sources.contains(&format!("fn {word}(")),
                "there is no test {word}"
            );
            tests += 1;
        }
    }
    assert!(tests >= 10, "{tests} tests are named");
}

fn gather(dir: &Path, into: &mut String) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("a source file"));
        }
    }
}
