//! Against a double of the witness: plain HTTP, one path, and the witness's own code to answer.

use super::*;
use crate::events::{self, CLUSTER, Day};
use crate::metrics::{Metrics, render};
use crate::witness::{WitnessClient, Witnesses};
use axum::routing::post;
use docket_record::exhibit::{self, Answers, Questions};
use docket_record::redact::Rules;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What the witness does with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Answers,
    /// After two seconds.
    Slow,
    /// With fewer answers than questions.
    Short,
    Nonsense,
    /// Remembers nothing.
    Forgot,
    /// Ends the connection.
    Busy,
}

async fn double(mood: Mood, object: Value) -> (String, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let answer = move |body: bytes::Bytes| async move {
        called.fetch_add(1, Ordering::Relaxed);
        if mood == Mood::Slow {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let asked = Questions::parse(&body).unwrap().questions;
        let object = object.to_string();
        let mut answers: Vec<Answer> = asked
            .iter()
            .map(|question| {
                let digester = events::keys().digester(None, CLUSTER, &question.namespace);
                Answer::Held(exhibit::answer(
                    question,
                    object.as_bytes(),
                    None,
                    &Rules::default(),
                    digester.as_ref(),
                ))
            })
            .collect();
        match mood {
            Mood::Answers | Mood::Slow => {}
            Mood::Short => drop(answers.pop()),
            Mood::Forgot => answers.fill_with(|| Answer::Missing(Missing::Gone)),
            Mood::Nonsense => return (http::StatusCode::OK, b"{\"answers\":7}".to_vec()),
            Mood::Busy => return (http::StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
        }
        let body = serde_json::to_vec(&Answers { answers }).unwrap();
        (http::StatusCode::OK, body)
    };
    let router = axum::Router::new()
        .route("/exhibits", post(answer))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, calls)
}

fn court(urls: &[(&str, &str)]) -> (Court, Registry) {
    let (metrics, registry) = Metrics::new();
    let urls: BTreeMap<String, String> = urls
        .iter()
        .map(|(name, url)| ((*name).to_owned(), (*url).to_owned()))
        .collect();
    let witnesses = Witnesses::new(urls, WitnessClient::plain(), metrics.clone()).unwrap();
    let court = Court {
        witnesses: Some(witnesses),
        metrics,
        ..crate::sources::testing::court()
    };
    (court, registry)
}

fn counted(registry: &Registry, outcome: &str) -> u64 {
    let series = format!("docket_reporter_exhibits_total{{outcome=\"{outcome}\"}} ");
    let text = render(registry);
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("no {series} in {text}"))
        .parse()
        .unwrap()
}

/// A denial whose text repeats the object's token, also in a cause and in the annotation of
/// a policy that only audits.
fn telling(day: &mut Day) -> Value {
    let mut event = day.denied();
    let said = format!("{} and not \"s3cr3t-value\"", events::MESSAGE);
    event["responseStatus"]["message"] = said.into();
    event["responseStatus"]["details"] = json!({"causes": [{"message": "it was s3cr3t-value"}]});
    event["annotations"]["validation.policy.admission.k8s.io/validation_failure"] =
        "[{\"message\":\"was s3cr3t-value\"}]".into();
    event
}

fn object() -> Value {
    json!({"kind": "PullRequest", "metadata": {"name": "p"}, "spec": {"token": "s3cr3t-value", "title": "t"}})
}

async fn delivered(court: &Court, items: &[Value]) -> Vec<Record> {
    let mut arrival = court.delivery("api", &events::list(items), Timestamp::now());
    court.exhibits(&mut arrival).await;
    let records = arrival
        .findings
        .into_iter()
        .filter_map(|finding| match finding.outcome {
            Outcome::Record(record) => Some(*record),
            Outcome::Counted(_) => None,
        });
    records.collect()
}

fn day() -> Day {
    let mut day = Day::new(Timestamp::now());
    day.exhibit = 100;
    day
}

#[tokio::test]
async fn every_text_is_masked_and_the_excerpt_kept_by_one_call_for_a_batch() {
    let (url, calls) = double(Mood::Answers, object()).await;
    let (court, registry) = court(&[("witness-0", &url)]);
    let mut day = day();
    let items = [telling(&mut day), day.admitted(), telling(&mut day)];
    let records = delivered(&court, &items).await;
    assert_eq!(records.len(), 2);
    for record in &records {
        assert!(!record.public.unmasked);
        let whole = format!(
            "{} {}",
            serde_json::to_string(&record.public).unwrap(),
            serde_json::to_string(&record.personal).unwrap()
        );
        assert!(!whole.contains("s3cr3t"), "{whole}");
        assert!(record.personal.text.contains("not \"[redacted:"));
        assert!(record.personal.text.starts_with(events::MESSAGE));
        let exhibit: Value = serde_json::from_slice(record.exhibit.as_ref().unwrap()).unwrap();
        assert_eq!(
            exhibit["object"]["spec"],
            json!({"token": "[redacted]", "title": "t"})
        );
        assert_eq!(exhibit["digests"]["key"], "k1");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(counted(&registry, "kept"), 2);
    // The same events again make the same bytes.
    assert_eq!(delivered(&court, &items).await, records);
}

#[tokio::test]
async fn without_an_answer_the_record_stands_says_so_and_is_counted_by_cause() {
    for (mood, outcome) in [
        (Mood::Forgot, "gone"),
        (Mood::Short, "failed"),
        (Mood::Nonsense, "failed"),
        (Mood::Busy, "failed"),
    ] {
        let (url, _) = double(mood, object()).await;
        let (court, registry) = court(&[("witness-0", &url)]);
        let records = delivered(&court, &[telling(&mut day())]).await;
        assert!(records[0].public.unmasked, "{mood:?}");
        assert!(records[0].exhibit.is_none());
        assert!(records[0].personal.text.contains("s3cr3t-value"));
        assert_eq!(counted(&registry, outcome), 1, "{mood:?}");
    }
    let (court, registry) = court(&[("another", "http://127.0.0.1:1")]);
    let mut day = day();
    let mut unsworn = telling(&mut day);
    unsworn["annotations"] = json!({});
    let known = telling(&mut day);
    day.exhibit = 0;
    let items = [unsworn, known, telling(&mut day)];
    let records = delivered(&court, &items).await;
    assert!(records.iter().all(|record| record.public.unmasked));
    for outcome in ["noTestimony", "unknownWitness", "notHeld"] {
        assert_eq!(counted(&registry, outcome), 1, "{outcome}");
    }
}

#[tokio::test]
async fn a_slow_witness_costs_a_second_and_then_none() {
    let (url, calls) = double(Mood::Slow, object()).await;
    let (court, registry) = court(&[("witness-0", &url)]);
    let mut day = day();
    for _ in 0..3 {
        let began = Instant::now();
        let records = delivered(&court, &[telling(&mut day)]).await;
        assert!(
            began.elapsed() < Duration::from_millis(1_900),
            "{:?}",
            began.elapsed()
        );
        assert!(records[0].public.unmasked);
    }
    let began = Instant::now();
    delivered(&court, &[telling(&mut day)]).await;
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        calls.load(Ordering::Relaxed),
        3,
        "the fourth time it is left alone"
    );
    assert_eq!(counted(&registry, "slow"), 4);
}

#[tokio::test]
async fn two_witnesses_are_asked_at_the_same_time() {
    let (slow, _) = double(Mood::Slow, object()).await;
    let (fast, _) = double(Mood::Answers, object()).await;
    let (court, registry) = court(&[
        ("witness-0", &slow),
        ("witness-1", &slow),
        ("witness-2", &fast),
    ]);
    let mut days: Vec<Day> = (0..3).map(|_| day()).collect();
    for (at, day) in days.iter_mut().enumerate() {
        day.process.instance = format!("witness-{at}");
    }
    let items: Vec<Value> = days.iter_mut().map(telling).collect();
    let began = Instant::now();
    let records = delivered(&court, &items).await;
    assert!(
        began.elapsed() < Duration::from_millis(1_900),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        records
            .iter()
            .map(|record| record.public.unmasked)
            .collect::<Vec<_>>(),
        [true, true, false]
    );
    assert_eq!(
        (counted(&registry, "slow"), counted(&registry, "kept")),
        (2, 1)
    );
}

#[tokio::test]
async fn a_text_that_can_repeat_nothing_needs_no_masking() {
    let (court, _) = court(&[]);
    let mut day = day();
    let mut timeout = day.denied();
    timeout["responseStatus"] = json!({"metadata": {}, "status": "Failure", "reason": "Timeout", "code": 504,
        "message": "Timeout: request did not complete within requested timeout - context deadline exceeded"});
    let mut unreachable = day.denied();
    unreachable["responseStatus"] = json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": "Internal error occurred: failed calling webhook \"a.b\": failed to call webhook: Post \"https://x:443/?timeout=10s\": context deadline exceeded"});
    let mut answered = day.denied();
    answered["responseStatus"] = json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": "Internal error occurred: failed calling webhook \"a.b\": an error on the server (\"s3cr3t-value\") has prevented the request from succeeding"});
    let records = delivered(&court, &[timeout, unreachable, answered, day.denied()]).await;
    let unmasked: Vec<bool> = records
        .iter()
        .map(|record| record.public.unmasked)
        .collect();
    assert_eq!(unmasked, [false, false, true, true]);
}

#[tokio::test]
async fn the_answers_of_a_witness_are_as_many_as_the_questions() {
    let (url, _) = double(Mood::Answers, object()).await;
    let (court, _) = court(&[("witness-0", &url)]);
    let witnesses = court.witnesses.unwrap();
    let question = |text: String| Question {
        uid: "u".into(),
        texts: vec![text],
        ..Question::default()
    };
    // The second does not fit into a call beside the first.
    let long = "x".repeat(20 << 20);
    let asked = vec![question(long.clone()), question(long)];
    let answers = witnesses.ask_exhibits("witness-0", asked).await;
    assert_eq!(answers.len(), 2);
    assert!(
        matches!(
            answers[1],
            Answer::Missing(Missing::TooLarge | Missing::Slow)
        ),
        "{answers:?}"
    );
    assert!(
        witnesses
            .ask_exhibits("witness-0", Vec::new())
            .await
            .is_empty()
    );
    let nobody = witnesses
        .ask_exhibits("nobody", vec![question(String::new())])
        .await;
    assert!(matches!(
        nobody[..],
        [Answer::Missing(Missing::UnknownWitness)]
    ));
}

#[tokio::test]
async fn of_admitted_writes_only_those_that_answer_a_denial_are_asked_for_by_digest() {
    let (url, calls) = double(Mood::Answers, object()).await;
    let (court, _registry) = court(&[("witness-0", &url)]);
    let (waiting, mut day) = (crate::intake::outcome::Waiting::default(), day());
    let answered = async |items: &[Value]| {
        let mut arrival = court.delivery("api", &events::list(items), Timestamp::now());
        court.answers(&mut arrival, &waiting).await;
        let writes = arrival.findings.into_iter().filter_map(|one| one.write);
        writes.map(|write| write.digests).collect::<Vec<_>>()
    };
    assert_eq!(
        answered(&[day.admitted(), day.admitted()]).await,
        [None, None]
    );
    assert_eq!(calls.load(Ordering::Relaxed), 0, "nothing waits for them");
    // The denial may come in the same batch, and after the write.
    let items = [day.admitted(), day.denied(), day.admitted()];
    let given = answered(&items).await;
    assert_eq!((given.len(), calls.load(Ordering::Relaxed)), (2, 1));
    for digests in given {
        let digests = digests.unwrap();
        assert_eq!(digests.key, "k1");
        assert!(digests.paths.contains_key("spec.title"), "{digests:?}");
        assert!(!format!("{digests:?}").contains("s3cr3t"), "{digests:?}");
    }
    // And in an earlier one. Dry runs store nothing.
    assert!(answered(&[day.admitted()]).await[0].is_some());
    let mut dry = day.admitted();
    let uri = format!("{}?dryRun=All", dry["requestURI"].as_str().unwrap());
    dry["requestURI"] = uri.into();
    assert_eq!(answered(&[dry]).await, [None]);
}
