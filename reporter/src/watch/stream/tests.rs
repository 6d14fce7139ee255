//! One watch against an API server that plays what a test tells it to.

use super::*;
use bytes::Bytes;
use futures::{FutureExt as _, future};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::api::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

type Body = BoxBody<Bytes, Infallible>;

/// What it does with one watch.
#[derive(Clone)]
struct Play {
    /// Before it answers.
    opens: Duration,
    /// (after, event), then silence until the end.
    events: Vec<(Duration, Value)>,
    /// After which it ends; never if it is longer than a test waits.
    ends: Duration,
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn play(ends: u64) -> Play {
    Play {
        opens: Duration::ZERO,
        events: Vec::new(),
        ends: seconds(ends),
    }
}

const NEVER: u64 = 1_000_000;

fn event(kind: &str, version: &str) -> Value {
    json!({"type": kind, "object": {"apiVersion": "kyverno.io/v1", "kind": "Policy",
        "metadata": {"name": "p", "namespace": "n", "resourceVersion": version}}})
}

fn body(play: Play) -> Body {
    let Play { events, ends, .. } = play;
    let begun = Instant::now();
    let mut due: Vec<(Duration, Option<Value>)> = Vec::new();
    due.extend(
        events
            .into_iter()
            .map(|(after, event)| (after, Some(event))),
    );
    due.push((ends, None));
    let lines = stream::iter(due).then(move |(after, event)| async move {
        tokio::time::sleep_until(begun + after).await;
        event
    });
    let lines = lines.take_while(|event| future::ready(event.is_some()));
    let lines = lines.map(|event| {
        let line = format!("{}\n", event.unwrap_or_default());
        Ok::<_, Infallible>(Frame::data(Bytes::from(line)))
    });
    BodyExt::boxed(StreamBody::new(sync(lines)))
}

/// A boxed body must be `Sync`; nobody shares this one.
fn sync<S>(stream: S) -> impl Stream<Item = S::Item> + Send + Sync
where
    S: Stream + Send + 'static,
    S::Item: Send + 'static,
{
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(stream.for_each(move |item| {
        let _ = sender.send(item);
        future::ready(())
    }));
    stream::unfold(receiver, |mut receiver| async move {
        let item = receiver.recv().await?;
        Some((item, receiver))
    })
}

/// Events of the watches that are played one after the other, and what was asked for.
fn watch(times: Times, plays: Vec<Play>) -> (BoxStream<'static, Event>, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let plays = Arc::new(Mutex::new(plays));
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let plays = Arc::clone(&plays);
        let log = Arc::clone(&log);
        async move {
            let version = query
                .split('&')
                .find_map(|one| one.strip_prefix("resourceVersion="));
            let watches = query.contains("watch=true");
            let what = match version {
                Some(version) if watches => format!("watch {version}"),
                _ => "list".to_owned(),
            };
            log.lock().unwrap().push(what);
            if !watches {
                let list = json!({"apiVersion": "kyverno.io/v1", "kind": "PolicyList",
                    "metadata": {"resourceVersion": "10"}, "items": []});
                let body = Full::new(Bytes::from(list.to_string()));
                return Ok::<_, Infallible>(Response::new(BodyExt::boxed(body)));
            }
            assert!(
                query.contains(&format!("timeoutSeconds={}", times.watch)),
                "{query}"
            );
            let next = {
                let mut plays = plays.lock().unwrap();
                (!plays.is_empty()).then(|| plays.remove(0))
            };
            let Some(play) = next else {
                let mut response = Response::new(BodyExt::boxed(Full::new(Bytes::from("{}"))));
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                return Ok(response);
            };
            tokio::time::sleep(play.opens).await;
            Ok(Response::new(body(play)))
        }
    });
    let client = kube::Client::new(service, "default");
    let kind = GroupVersionKind::gvk("kyverno.io", "v1", "Policy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "policies");
    let events = watching(Api::all_with(client, &resource), times);
    (events.boxed(), asked)
}

fn name(event: &Event) -> String {
    match event {
        Event::Listed { .. } => "listed".into(),
        Event::Applied(_, after) => format!("applied{}", late(after.as_ref())),
        Event::Deleted(_, after) => format!("deleted{}", late(after.as_ref())),
        Event::Alive => "alive".into(),
        Event::Broke(why) => match why {
            Broke::Api(_) => "broke: api".into(),
            other => format!("broke: {other}"),
        },
    }
}

fn late(after: Option<&Timestamp>) -> &'static str {
    after.map_or("", |_| " late")
}

async fn first(events: &mut BoxStream<'static, Event>, count: usize) -> Vec<String> {
    let first: Vec<Event> = events.take(count).collect().await;
    first.iter().map(name).collect()
}

/// Whenever a watch ends, it is in time.
fn patient() -> Times {
    Times {
        watch: 1,
        margin: seconds(60),
        ..Times::default()
    }
}

#[tokio::test]
async fn a_watch_that_ends_in_time_goes_on_where_it_was() {
    let mut one = play(0);
    one.events = vec![
        (seconds(0), event("ADDED", "11")),
        (seconds(0), event("DELETED", "12")),
        (seconds(0), event("BOOKMARK", "15")),
    ];
    let mut two = play(0);
    two.events = vec![(seconds(0), event("MODIFIED", "16"))];
    let (mut events, asked) = watch(patient(), vec![one, two]);
    assert_eq!(
        first(&mut events, 6).await,
        ["listed", "applied", "deleted", "alive", "alive", "applied"]
    );
    assert_eq!(*asked.lock().unwrap(), ["list", "watch 10", "watch 15"]);
}

#[tokio::test]
async fn a_connection_that_is_dead_without_a_word_is_broken() {
    let times = Times {
        watch: 0,
        margin: Duration::from_millis(200),
        ..Times::default()
    };
    let (mut events, asked) = watch(times, vec![play(NEVER)]);
    let told = first(&mut events, 3).await;
    assert!(told[1].contains("dead"), "{told:?}");
    assert_eq!(told[2], "listed");
    assert_eq!(*asked.lock().unwrap(), ["list", "watch 10", "list"]);
}

#[tokio::test]
async fn an_api_server_that_never_answers_is_a_broken_watch() {
    let times = Times {
        answer: Duration::from_millis(200),
        ..Times::default()
    };
    let mut one = play(NEVER);
    one.opens = seconds(NEVER);
    let (mut events, _) = watch(times, vec![one]);
    let told = first(&mut events, 2).await;
    assert_eq!(told[1], "broke: the API server does not answer");
}

#[tokio::test]
async fn a_watch_that_ends_before_its_time_begins_again_with_a_list() {
    let times = Times {
        watch: 3600,
        ..Times::default()
    };
    let (mut events, asked) = watch(times, vec![play(0)]);
    let told = first(&mut events, 3).await;
    assert_eq!(
        told,
        ["listed", "broke: it ended before its time", "listed"]
    );
    assert_eq!(*asked.lock().unwrap(), ["list", "watch 10", "list"]);
}

#[tokio::test]
async fn a_version_that_is_too_old_begins_again_with_a_list() {
    let mut one = play(NEVER);
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410,
        "message": "too old resource version", "reason": "Expired", "status": "Failure"}});
    one.events = vec![(seconds(0), gone)];
    let (mut events, _) = watch(patient(), vec![one]);
    let told = first(&mut events, 3).await;
    assert!(told[1].contains("too old resource version"), "{told:?}");
    assert_eq!(told[2], "listed");
}

#[tokio::test]
async fn what_a_watch_tells_that_was_opened_late_may_have_been_earlier() {
    let times = Times {
        late: seconds(2),
        ..patient()
    };
    let mut two = play(NEVER);
    two.opens = seconds(3);
    two.events = vec![
        (seconds(0), event("MODIFIED", "16")),
        (seconds(6), event("DELETED", "17")),
    ];
    let (mut events, _) = watch(times, vec![play(0), two]);
    assert_eq!(
        first(&mut events, 4).await,
        ["listed", "alive", "applied late", "deleted"]
    );
}

#[tokio::test]
async fn an_api_server_that_opens_no_watch_is_not_asked_without_a_pause() {
    let (mut events, asked) = watch(patient(), Vec::new());
    let told = first(&mut events, 4).await;
    assert_eq!(told, ["listed", "broke: api", "listed", "broke: api"]);
    assert!(events.next().now_or_never().is_none(), "it waits");
    assert_eq!(asked.lock().unwrap().len(), 4);
}
