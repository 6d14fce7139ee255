use super::*;
use crate::redact::REDACTED;
use crate::testimony::Keys;
use serde_json::json;

fn digester(namespace: &str) -> Digester {
    Keys::from_entries([("k1", "5a".repeat(32))])
        .unwrap()
        .digester(None, "c", namespace)
        .unwrap()
}

fn asked(texts: &[&str]) -> Question {
    Question {
        uid: "u".into(),
        namespace: "n".into(),
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..Question::default()
    }
}

fn held(object: &Value, question: &Question) -> Held {
    let digester = digester("n");
    let object = object.to_string();
    answer(
        question,
        object.as_bytes(),
        None,
        &Rules::default(),
        Some(&digester),
    )
}

fn exhibit(held: &Held) -> Exhibit {
    serde_json::from_str(held.exhibit.as_ref().unwrap().get()).unwrap()
}

#[test]
fn an_answer_has_the_excerpt_the_digests_and_the_texts_masked() {
    let object = json!({"apiVersion": "v1", "kind": "PullRequest",
        "metadata": {"name": "p", "uid": "x", "labels": {"a.b/c": "d"}},
        "spec": {"title": "t", "token": "s3cr3t-value", "steps": [{"n": 1}, {}]}});
    let held = held(&object, &asked(&["denied: s3cr3t-value", "nothing here"]));
    let exhibit = exhibit(&held);
    assert_eq!(exhibit.object.unwrap()["spec"]["token"], REDACTED);
    let digests = exhibit.digests.unwrap();
    assert_eq!(digests.key, "k1");
    let paths: Vec<&str> = digests.paths.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "metadata.labels[\"a.b/c\"]",
            "metadata.name",
            "spec.steps[0].n",
            "spec.steps[1]",
            "spec.title",
            "spec.token"
        ]
    );
    let mark = &digests.paths["spec.token"][..4];
    assert_eq!(
        held.texts,
        [Some(format!("denied: [redacted:{mark}]")), None]
    );
}

#[test]
fn digests_compare_within_a_namespace_and_a_key_and_nowhere_else() {
    let all = [
        digester("n").of_text("v"),
        digester("m").of_text("v"),
        digester("n").of_text("w"),
    ];
    assert_eq!(all[0], digester("n").of_text("v"));
    assert!(all[0] != all[1] && all[0] != all[2]);
    let keys = [("k1", "5a".repeat(32)), ("k2", "5b".repeat(32))];
    let keys = Keys::from_entries(keys).unwrap();
    let old = keys.digester(Some("k1"), "c", "n").unwrap().of_text("v");
    assert_eq!(old, all[0]);
    assert_ne!(keys.digester(None, "c", "n").unwrap().of_text("v"), old);
    assert!(keys.digester(Some("k3"), "c", "n").is_none());
}

#[test]
fn what_an_update_replaces_is_masked_too() {
    let new = json!({"kind": "A", "spec": {"token": "new-value"}}).to_string();
    let old = json!({"kind": "A", "spec": {"token": "old-value"}}).to_string();
    let question = asked(&["old-value is not new-value"]);
    let held = answer(
        &question,
        new.as_bytes(),
        Some(old.as_bytes()),
        &Rules::default(),
        None,
    );
    assert_eq!(
        held.texts,
        [Some("[redacted] is not [redacted]".to_owned())]
    );
}

#[test]
fn of_a_secret_kind_there_is_no_exhibit_and_its_data_is_masked() {
    let secret = json!({"kind": "Secret", "data": {"a": "aHVudGVyMg=="}});
    let held = held(&secret, &asked(&["not aHVudGVyMg== nor hunter2"]));
    assert!(held.exhibit.is_none());
    let text = held.texts[0].as_ref().unwrap();
    assert!(
        !text.contains("aHVu") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn of_an_admitted_write_only_digests_are_given() {
    let object = json!({"kind": "A", "spec": {"a": "b"}});
    let question = Question {
        digests_only: true,
        ..asked(&[])
    };
    let held = held(&object, &question);
    let exhibit = exhibit(&held);
    assert_eq!(exhibit.object, None);
    assert_eq!(exhibit.digests.unwrap().paths.len(), 1);
    assert!(!held.exhibit.unwrap().get().contains("\"b\""));
}

#[test]
fn an_excerpt_always_fits_and_says_what_was_left_out() {
    let long = "x".repeat(2_000);
    let wide: serde_json::Map<String, Value> = (0..5_000)
        .map(|n| (format!("field-{n}"), json!({"a": [long.as_str(), n]})))
        .collect();
    let object = json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "n"},
        "spec": wide, "status": {"x": "y"}});
    let held = held(&object, &asked(&[]));
    let raw = held.exhibit.as_ref().unwrap().get();
    assert!(raw.len() <= LONGEST_EXHIBIT, "{}", raw.len());
    let exhibit = exhibit(&held);
    let shown = exhibit.object.unwrap();
    assert!(shown.to_string().len() <= LONGEST_EXCERPT);
    assert_eq!(shown["metadata"]["name"], "n");
    assert_eq!(exhibit.cut[..2], ["texts longer than 1024 bytes", "status"]);
    assert!(exhibit.digests.unwrap().cut);
}

#[test]
fn whatever_an_object_is_made_of_its_excerpt_fits() {
    let name = "n".repeat(100_000);
    let deep = (0..50).fold(json!(1), |inside, _| json!({"a": inside, "b": [1, 2]}));
    let list: Vec<Value> = (0..20_000).map(|n| json!([n, {"k": n}])).collect();
    for spec in [
        json!({&name: 1}),
        json!(list),
        json!({"d": deep, "l": list, &name: name}),
    ] {
        let object = json!({"kind": &name, "metadata": {"name": &name, &name: 1}, "spec": spec});
        let held = held(&object, &asked(&[]));
        let exhibit = held.exhibit.unwrap();
        assert!(
            exhibit.get().len() <= LONGEST_EXHIBIT,
            "{}",
            exhibit.get().len()
        );
    }
}

#[test]
fn an_object_of_too_many_fields_leaves_no_text() {
    let object = format!("{{\"spec\":[{}1]}}", "1,".repeat(200_000));
    let held = answer(
        &asked(&["a message"]),
        object.as_bytes(),
        None,
        &Rules::default(),
        None,
    );
    assert_eq!(held.texts, [Some("[masked]".to_owned())]);
}

#[test]
fn a_call_has_no_more_questions_or_texts_than_it_may() {
    let many = |n: usize| {
        format!(
            "{{\"questions\":[{}{{\"uid\":\"u\"}}]}}",
            "{\"uid\":\"u\"},".repeat(n)
        )
    };
    assert_eq!(
        Questions::parse(many(QUESTIONS - 1).as_bytes())
            .unwrap()
            .questions
            .len(),
        QUESTIONS
    );
    assert!(Questions::parse(many(QUESTIONS).as_bytes()).is_err());
    let texts = |n: usize| {
        format!(
            "{{\"questions\":[{{\"uid\":\"u\",\"texts\":[{}\"\"]}}]}}",
            "\"\",".repeat(n)
        )
    };
    assert!(Questions::parse(texts(TEXTS - 1).as_bytes()).is_ok());
    assert!(Questions::parse(texts(TEXTS).as_bytes()).is_err());
}

#[test]
fn calls_and_answers_are_read_as_they_are_written() {
    let questions = Questions {
        questions: vec![asked(&["a\n\u{7}\"é"]), Question::default()],
    };
    let bytes = serde_json::to_vec(&questions).unwrap();
    assert_eq!(Questions::parse(&bytes).unwrap(), questions);
    let answers = Answers {
        answers: vec![
            Answer::Held(Held {
                exhibit: serde_json::value::to_raw_value(&json!({"a": 1})).ok(),
                texts: vec![None, Some("t".into())],
            }),
            Answer::Missing(Missing::TooLarge),
        ],
    };
    let bytes = serde_json::to_string(&answers).unwrap();
    assert_eq!(
        bytes,
        r#"{"answers":[{"held":{"exhibit":{"a":1},"texts":[null,"t"]}},{"missing":"tooLarge"}]}"#
    );
    let read: Answers = serde_json::from_str(&bytes).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), bytes);
}
