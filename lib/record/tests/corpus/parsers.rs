//! One function for each parser that reads bytes others wrote. The fuzz targets and the
//! test over their corpora run exactly these.

use docket_record::attribution::{Law, attribute};
use docket_record::audit::{AuditEvent, Cut, Status, glance, split_list};
use docket_record::denial::DenialId;
use docket_record::exhibit::{self, LONGEST_EXHIBIT, QUESTIONS, Question, Questions, TEXTS};
use docket_record::import::split::Splitter;
use docket_record::import::{Format, Read, read};
use docket_record::kyverno_event::{self, CONTROLLER, Named, REASON};
use docket_record::law::summary::summary;
use docket_record::law::text::{TEXT_LIMIT, hash, kept};
use docket_record::law::{LawBook, Object};
use docket_record::policies::{Policy, PolicyList, Rule, Target};
use docket_record::redact::{Rules, clean_text};
use docket_record::report::{MESSAGE_LIMIT, MOST_RESULTS, Report};
use docket_record::review::{Review, answer, find_uid};
use docket_record::testimony::{Bound, Keys, Testimony, WITNESS};
use docket_record::verdict::refusal;

/// An audit event: what is read can be kept, and keeping it is bounded.
pub fn audit_event(bytes: &[u8]) {
    if let Ok(event) = AuditEvent::parse(bytes) {
        assert!(event.audit_id.text.len() <= Cut::LIMIT);
        assert_eq!(event.kept(), event.kept());
    }
}

/// A list: every item is either read or put aside by itself.
pub fn audit_list(bytes: &[u8]) {
    if let Ok(items) = split_list(bytes) {
        for item in items {
            if let Ok(event) = AuditEvent::parse(item) {
                assert_eq!(glance(item), Some(event.glance()));
            }
        }
    }
}

/// A record of an export: what is read is one event, whatever the format asked for, and
/// the same the second time; a derived one has an id that no raw event has.
pub fn import_record(bytes: &[u8]) {
    let Ok(found) = read(bytes, None) else {
        return;
    };
    match &found {
        Read::Raw(shape, event) => {
            assert!(read(bytes, Some(shape.format())).is_ok());
            let again = read(event.as_bytes(), Some(Format::Kubernetes));
            // A message may end in the line break of the log that it came from.
            let same = |read| matches!(read, Read::Raw(_, same) if same.trim() == event.trim());
            assert!(again.is_ok_and(same));
        }
        Read::Derived(shape, event) => {
            assert!(read(bytes, Some(shape.format())).is_ok());
            let derived = event.derived.expect("it says what it was made from");
            assert_eq!(derived.shape, shape.name());
            let mut raw = event.clone();
            raw.derived = None;
            assert_ne!(DenialId::of(event, "c"), DenialId::of(&raw, "c"));
            assert!(event.audit_id.text.len() <= Cut::LIMIT);
        }
        Read::Other => {}
    }
    assert_eq!(read(bytes, None).ok(), Some(found));
}

/// A file of records: its pieces do not depend on how it comes, and no more is given than
/// was pushed.
pub fn import_split(bytes: &[u8]) {
    let split = |step: usize| {
        let mut splitter = Splitter::new();
        let mut pieces = Vec::new();
        for part in bytes.chunks(step) {
            splitter.push(part);
            while let Some(piece) = splitter.next_piece() {
                pieces.push(piece);
            }
        }
        splitter.finish();
        while let Some(piece) = splitter.next_piece() {
            pieces.push(piece);
        }
        pieces
    };
    let whole = split(bytes.len().max(1));
    assert_eq!(split(7), whole);
    let given: usize = whole.iter().map(|piece| piece.bytes.len()).sum();
    assert!(given <= bytes.len());
}

/// An annotation: nothing that we did not sign holds.
pub fn testimony(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let keys = Keys::from_entries([("k1", "5a".repeat(32))]).expect("a key in the form");
    let bound = Bound {
        cluster: "fuzz",
        hook: WITNESS,
        uid: "u",
        group: "g",
        resource: "r",
        subresource: "",
        namespace: "n",
        name_sha256: [0; 32],
        user_sha256: [0; 32],
    };
    assert!(keys.verify(text, &bound).is_err());
    if let Some(read) = Testimony::read(text)
        && let Some(signed) = keys.sign(&read, &bound)
    {
        assert!(keys.verify(&signed, &bound).is_ok());
    }
}

/// A review: what is found lies inside the body, and there is always an answer.
pub fn review(bytes: &[u8]) {
    let uid = find_uid(bytes);
    let answer = answer(&uid, "", Some(("k", "v")));
    assert!(serde_json::from_slice::<serde_json::Value>(&answer).is_ok());
    if let Ok(review) = Review::parse(bytes) {
        for object in [review.object, review.old_object].into_iter().flatten() {
            assert!(bytes.as_ptr_range().contains(&object.as_ptr()));
            drop(Rules::default().view(object, None));
        }
    }
}

/// A denial's text: at least one attribution, and what is exact has no doubt.
pub fn attribution(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let policy = |name: &str| Policy {
        kind: "ValidatingPolicy".into(),
        name: name.into(),
        enforces: true,
        covers: vec![("*".into(), "*".into())],
        ..Policy::default()
    };
    let rule = |name: &str| Rule {
        name: name.into(),
        enforces: true,
        covers: vec![("*".into(), "*".into())],
    };
    let legacy = Policy {
        kind: "ClusterPolicy".into(),
        rules: vec![rule("r"), rule("s")],
        ..policy("p")
    };
    let mutating = Policy {
        kind: "MutatingPolicy".into(),
        ..policy("m")
    };
    let policies = PolicyList {
        policies: vec![policy("a"), policy("b"), legacy, mutating],
        synced: true,
        ..PolicyList::default()
    };
    let message = Cut::at(&text, Cut::MESSAGE_LIMIT);
    let law = Law {
        policies: &policies,
        target: Target::default(),
        cut: message.whole.is_some(),
    };
    let owed = attribute(
        &refusal(&Status {
            message: Some(message),
            ..Status::default()
        }),
        &law,
    );
    assert!(!owed.is_empty());
    for one in owed {
        let exact = one.attribution.grade == Some(docket_record::denial::Grade::Exact);
        assert_eq!(exact, one.attribution.doubt.is_empty());
        assert!(clean_text(&one.message, 100).len() <= 100);
    }
}

/// A policy object: what is read is named.
pub fn policy(bytes: &[u8]) {
    if let Ok(object) = serde_json::from_slice(bytes)
        && let Some(policy) = Policy::from_object(&object)
    {
        assert!(!policy.name.is_empty());
    }
}

/// A policy report: what is kept is bounded, and about the report's own namespace.
pub fn report(bytes: &[u8]) {
    if let Ok(object) = serde_json::from_slice(bytes)
        && let Some(report) = Report::from_object(&object)
    {
        assert!(!report.name.is_empty() && report.results.len() <= MOST_RESULTS);
        for result in report.results {
            assert!(result.is_violation() || !result.exceptions.is_empty());
            assert!(result.message.len() <= MESSAGE_LIMIT);
            let elsewhere =
                |namespace: &str| !report.namespace.is_empty() && namespace != report.namespace;
            assert!(
                !result
                    .subject
                    .is_some_and(|subject| elsewhere(&subject.namespace))
            );
        }
    }
}

/// A note of Kyverno's Event, on the first line the name of the resource: what is read is
/// the note's own end, and what is exact has no doubt.
pub fn kyverno_event(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some((name, note)) = text.split_once('\n') else {
        return;
    };
    let about = Named {
        api_version: "krate.a5c.ai/v1alpha1",
        kind: "PullRequest",
        namespace: "krate-org-acme",
        name,
        uid: "",
    };
    let read = kyverno_event::note(note, &about);
    if let Some(read) = &read {
        assert!(note.ends_with(read.message));
        assert!(matches!(read.result, "fail" | "error"));
    }
    let policies = PolicyList {
        policies: vec![Policy {
            kind: "ClusterPolicy".into(),
            name: "p".into(),
            enforces: true,
            covers: vec![("*".into(), "*".into())],
            ..Policy::default()
        }],
        synced: true,
        ..PolicyList::default()
    };
    let event = kyverno_event::Event {
        namespace: "default",
        controller: CONTROLLER,
        reason: REASON,
        regarding: Named {
            api_version: "kyverno.io/v1",
            kind: "ClusterPolicy",
            name: "p",
            ..Named::default()
        },
        related: Some(about),
        note,
        ..kyverno_event::Event::default()
    };
    if let Ok(seen) = kyverno_event::read(&event, &policies) {
        assert!(read.is_some_and(|read| read.blocked));
        let exact = seen.attribution.grade == Some(docket_record::denial::Grade::Exact);
        assert_eq!(exact, seen.attribution.doubt.is_empty());
    }
}

/// A call for exhibits: what is read is within its bounds, and is written as it was read.
pub fn exhibit_call(bytes: &[u8]) {
    let Ok(call) = Questions::parse(bytes) else {
        return;
    };
    assert!(call.questions.len() <= QUESTIONS);
    assert!(call.questions.iter().all(|one| one.texts.len() <= TEXTS));
    let written = serde_json::to_vec(&call).expect("texts and flags");
    assert_eq!(Questions::parse(&written).expect("what was written"), call);
}

/// An object, a NUL, a text: the exhibit is within its bounds, the masked text too, and no
/// value that the object's token names is left in it.
pub fn mask(bytes: &[u8]) {
    let (object, text) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, bytes),
    };
    let text = String::from_utf8_lossy(text).into_owned();
    let question = Question {
        texts: vec![text.clone()],
        ..Question::default()
    };
    let keys = Keys::from_entries([("k1", "5a".repeat(32))]).expect("a key in the form");
    let digester = keys.digester(None, "fuzz", "n");
    let held = exhibit::answer(
        &question,
        object,
        None,
        &Rules::default(),
        digester.as_ref(),
    );
    if let Some(exhibit) = &held.exhibit {
        assert!(exhibit.get().len() <= LONGEST_EXHIBIT);
    }
    let masked = held.texts[0].as_ref().unwrap_or(&text);
    assert!(masked.len() <= text.len() + 256 * 16);
    let read: Option<serde_json::Value> = serde_json::from_slice(object).ok();
    let token = read
        .as_ref()
        .and_then(|object| object["spec"]["token"].as_str());
    // What counts of it: see the limits of the masker.
    let counts = |c: char| c.is_alphanumeric();
    if let Some(token) = token.filter(|token| token.len() > 5 && token.chars().all(counts)) {
        assert!(!masked.contains(token) || "[redacted:][masked]".contains(token));
    }
}

/// A law from an object, or from two versions of one: what is read can be kept, names the
/// same version however often it is read, and what changed in it is said in few words.
pub fn law(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else {
        return;
    };
    let objects = match &value {
        serde_json::Value::Array(objects) => objects.iter().take(2).collect(),
        object => vec![object],
    };
    let read: Vec<Object> = objects.into_iter().filter_map(Object::read).collect();
    for object in &read {
        assert!(!object.place.name.is_empty());
        assert_eq!(hash(&object.text), object.hash);
        let (kept, whole) = kept(&object.text);
        let length = kept.as_str().map_or(kept.to_string().len(), str::len);
        assert!(length <= TEXT_LIMIT);
        assert_eq!(whole.is_some(), kept.is_string());
    }
    if let [old, new] = &read[..] {
        let said = summary(&old.text, &new.text);
        assert_eq!(said.is_empty(), old.text == new.text);
        assert!(said.len() <= 25 && said.iter().all(|line| line.len() < 1024));
    }
    let laws = read.into_iter().map(|object| (object, "law".to_owned()));
    drop(LawBook::always(laws).now());
}
