//! The door of the aggregated API, with a double of the reporter behind it.

use crate::harness::{Authority, Got, Setup, Witness, eventually};
use crate::reporter_double::{Feed, Reporter};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const DENIALS: &str = "/apis/docket.a5c.ai/v1/namespaces/acme/denials";
const WATCH: &str = "/apis/docket.a5c.ai/v1/namespaces/acme/denials?watch=true&limit=5";
const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The witness, with the double behind it.
async fn together(flags: &[&str]) -> (Witness, Reporter) {
    let setup = Setup::new();
    let reporter = Reporter::start(&setup.server, &setup.callers.pem, ANY).await;
    let witness = setup.with_api(reporter.address).flags(flags).start().await;
    (witness, reporter)
}

/// The witness with a place behind it where nobody listens.
async fn alone() -> Witness {
    let free = std::net::TcpListener::bind(ANY).unwrap();
    let nobody = free.local_addr().unwrap();
    drop(free);
    Setup::new().with_api(nobody).start().await
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "x");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.to_owned().into())).unwrap()
}

async fn ask(witness: &Witness, method: &str, path: &str, headers: &[(&str, &str)]) -> Got {
    let mut connection = witness
        .connect(witness.api, Some(&witness.front), "http/1.1")
        .await;
    let request = request(method, path, headers, "");
    connection.send(request).await.unwrap()
}

const ANN: (&str, &str) = ("x-remote-user", "ann");

/// Many requests of one connection, as the API server sends them.
#[derive(Clone)]
struct H2(http2::SendRequest<Full<Bytes>>);

impl H2 {
    async fn connect(witness: &Witness) -> Self {
        let io = witness.tls(witness.api, Some(&witness.front), "h2").await;
        let io = TokioIo::new(io.unwrap());
        let (send, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        Self(send)
    }

    /// The head of the answer; its body is still to come.
    async fn begin(&self, path: &str, user: &str) -> http::Response<Incoming> {
        let mut send = self.0.clone();
        send.ready().await.unwrap();
        let uri = format!("https://127.0.0.1{path}");
        let request = Request::get(uri).header("x-remote-user", user);
        let request = request.body(Full::default()).unwrap();
        send.send_request(request).await.unwrap()
    }
}

async fn one_feed(reporter: &Reporter) -> Feed {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(feed) = reporter.feeds().pop() {
            return feed;
        }
        assert!(Instant::now() < until, "no watch came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The next piece of an answer; `None` at its end, which HTTP/2 may tell by an empty one.
async fn piece(answer: &mut http::Response<Incoming>) -> Result<Option<Bytes>, hyper::Error> {
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(20), answer.body_mut().frame());
        let Some(frame) = frame.await.expect("a piece or the end") else {
            return Ok(None);
        };
        if let Some(data) = frame?.into_data().ok().filter(|data| !data.is_empty()) {
            return Ok(Some(data));
        }
    }
}

#[tokio::test]
async fn nobody_but_the_front_proxy_gets_through_the_handshake() {
    let (witness, reporter) = together(&[]).await;
    let namesake = Authority::new("fronts");
    let strangers = [
        None,
        Some(namesake.issue("front-proxy-client")),
        Some(witness.setup.fronts.issue("kubelet")),
        Some(witness.caller.clone()),
    ];
    for stranger in &strangers {
        for alpn in ["http/1.1", "h2"] {
            let stream = witness.tls(witness.api, stranger.as_ref(), alpn).await;
            // In TLS 1.3 the client only learns of the refusal when it reads.
            let Ok(mut stream) = stream else { continue };
            let call = format!("GET {DENIALS} HTTP/1.1\r\nhost: x\r\nx-remote-user: root\r\n\r\n");
            let _ = stream.write_all(call.as_bytes()).await;
            let mut answer = Vec::new();
            assert!(stream.read_to_end(&mut answer).await.is_err(), "{answer:?}");
        }
    }
    let refused = "docket_witness_handshakes_refused_total{part=\"api\"}";
    eventually("all are counted", || async {
        witness.metric(refused).await == 8.0
    })
    .await;
    assert_eq!(reporter.seen().len(), 0);
    assert_eq!(ask(&witness, "GET", DENIALS, &[ANN]).await.status, 200);
}

#[tokio::test]
async fn what_the_api_server_needs_is_answered_without_a_reporter() {
    let witness = alone().await;
    for (path, kind) in [
        ("/apis", "APIGroupList"),
        ("/apis/docket.a5c.ai", "APIGroup"),
        ("/apis/docket.a5c.ai/v1", "APIResourceList"),
        ("/apis/docket.a5c.ai/v1/", "APIResourceList"),
    ] {
        let got = ask(&witness, "GET", path, &[]).await;
        assert_eq!(
            (got.status, &got.json()["kind"]),
            (StatusCode::OK, &kind.into()),
            "{path}"
        );
    }
    let third = ask(&witness, "GET", "/openapi/v3", &[]).await.json();
    let url = &third["paths"]["apis/docket.a5c.ai/v1"]["serverRelativeURL"];
    let third = ask(&witness, "GET", url.as_str().unwrap(), &[])
        .await
        .json();
    assert_eq!(third["openapi"], "3.0.0");
    assert_eq!(
        ask(&witness, "GET", "/openapi/v2", &[]).await.json()["swagger"],
        "2.0"
    );
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(ask(&witness, "GET", path, &[]).await.body, "ok");
    }
    let got = ask(&witness, "GET", "/metrics", &[]).await;
    assert_eq!(
        (got.status, &got.json()["kind"]),
        (StatusCode::NOT_FOUND, &"Status".into())
    );
}

#[tokio::test]
async fn a_reporter_that_is_down_is_told_at_once_and_served_again_when_it_is_back() {
    let mut witness = alone().await;
    let began = Instant::now();
    let got = ask(&witness, "GET", DENIALS, &[ANN]).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(got.headers["retry-after"], "1");
    let status = got.json();
    assert_eq!(status["kind"], "Status");
    assert_eq!(status["reason"], "ServiceUnavailable");
    assert_eq!(status["details"]["retryAfterSeconds"], 1);
    let line = witness.logged("the reporter cannot be asked").await;
    let at = line["reporter"].as_str().unwrap().parse().unwrap();
    assert_eq!(ask(&witness, "GET", WATCH, &[ANN]).await.status, 503);
    let unreachable = "docket_witness_api_unanswered_total{cause=\"unreachable\"}";
    assert_eq!(witness.metric(unreachable).await, 2.0);
    assert_eq!(witness.all_logged("the reporter cannot be asked").len(), 1);
    let setup = &witness.setup;
    let _reporter = Reporter::start(&setup.server, &setup.callers.pem, at).await;
    assert_eq!(ask(&witness, "GET", DENIALS, &[ANN]).await.status, 200);
    witness.logged("the reporter answers again").await;
}

#[tokio::test]
async fn who_asks_passes_and_a_callers_own_secrets_and_hints_do_not() {
    let (witness, reporter) = together(&[]).await;
    let path = "/apis/docket.a5c.ai/v1/denials?fieldSelector=policy%3Dp&limit=7";
    let headers = [
        ANN,
        ("x-remote-group", "developers"),
        ("x-remote-group", "system:authenticated"),
        ("x-remote-uid", "u-1"),
        ("x-remote-extra-acme.example%2fscope", "read"),
        ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"),
        ("user-agent", "kubectl"),
        ("audit-id", "a-1"),
        ("authorization", "Bearer secret"),
        ("cookie", "secret=1"),
        ("proxy-authorization", "Basic secret"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=10.0.0.1"),
        ("impersonate-user", "root"),
        ("connection", "x-remote-uid"),
        ("te", "trailers"),
        ("x_remote_user", "root"),
        ("x-original-uri", "/"),
        ("x-remote-addr", "10.0.0.1"),
    ];
    let got = ask(&witness, "GET", path, &headers).await;
    assert_eq!(got.status, 200);
    assert_eq!(got.json()["kind"], "DenialList");
    let seen = reporter.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", path));
    let mut names: Vec<String> = seen
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "accept: application/json;as=Table;v=v1;g=meta.k8s.io",
            "audit-id: a-1",
            &format!("host: {}", reporter.address),
            "user-agent: kubectl",
            "x-remote-extra-acme.example%2fscope: read",
            "x-remote-group: developers",
            "x-remote-group: system:authenticated",
            "x-remote-uid: u-1",
            "x-remote-user: ann",
        ]
    );
    // And back.
    assert_eq!(got.headers["warning"], "299 - \"mind\"");
    assert!(got.headers.get("set-cookie").is_none() && got.headers.get("server").is_none());
    assert_eq!(got.headers["content-length"], got.body.len().to_string());
}

#[tokio::test]
async fn a_request_of_nobody_or_of_two_is_not_forwarded() {
    let (witness, reporter) = together(&[]).await;
    for headers in [
        &[][..],
        &[ANN, ("x-remote-user", "root")],
        &[("x-remote-user", "")],
    ] {
        let got = ask(&witness, "GET", DENIALS, headers).await;
        assert_eq!(
            (got.status, &got.json()["reason"]),
            (StatusCode::UNAUTHORIZED, &"Unauthorized".into())
        );
    }
    assert_eq!(reporter.seen().len(), 0);
    assert_eq!(
        witness
            .metric("docket_witness_api_unanswered_total{cause=\"identity\"}")
            .await,
        3.0
    );
}

#[tokio::test]
async fn writes_and_bodies_end_here() {
    let (witness, reporter) = together(&[]).await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
        let got = ask(&witness, method, DENIALS, &[ANN]).await;
        assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(got.headers["allow"], "GET");
    }
    assert_eq!(reporter.seen().len(), 0);
    let mut connection = witness
        .connect(witness.api, Some(&witness.front), "http/1.1")
        .await;
    let with_body = request("GET", DENIALS, &[ANN], "a body");
    assert_eq!(connection.send(with_body).await.unwrap().status, 200);
    assert_eq!(reporter.seen()[0].body.len(), 0);
}

#[tokio::test]
async fn paths_with_two_readings_and_sockets_are_refused_and_not_forwarded() {
    let (witness, reporter) = together(&[]).await;
    for path in [
        "/apis/docket.a5c.ai/v1/namespaces/acme/../globex/denials",
        "/apis/docket.a5c.ai/v1/namespaces/acme%2fdenials/denials",
        "/apis/docket.a5c.ai/v1/namespaces//denials",
        "/apis/docket.a5c.ai/v1/namespaces/acme/denials/%2e%2e",
    ] {
        let got = ask(&witness, "GET", path, &[ANN]).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{path}");
    }
    for path in [
        "/",
        "/api",
        "/apis/docket.a5c.ai/v2/denials",
        "/apis/docket.a5c.ai/v1beta1",
        "/mutate",
    ] {
        assert_eq!(
            ask(&witness, "GET", path, &[ANN]).await.status,
            404,
            "{path}"
        );
    }
    let socket = [ANN, ("upgrade", "websocket"), ("connection", "upgrade")];
    assert_eq!(ask(&witness, "GET", WATCH, &socket).await.status, 400);
    assert_eq!(reporter.seen().len(), 0);
}

#[tokio::test]
async fn events_of_a_watch_come_one_by_one_in_both_versions_of_http() {
    let (witness, reporter) = together(&[]).await;
    let mut answer = H2::connect(&witness).await.begin(WATCH, "ann").await;
    let feed = one_feed(&reporter).await;
    for event in ["{\"type\":\"ADDED\"}\n", "{\"type\":\"BOOKMARK\"}\n"] {
        feed.unbounded_send(Ok(event.into())).unwrap();
        assert_eq!(piece(&mut answer).await.unwrap().unwrap(), event);
    }
    drop(feed);
    assert_eq!(piece(&mut answer).await.unwrap(), None);

    let io = witness
        .tls(witness.api, Some(&witness.front), "http/1.1")
        .await;
    let (mut send, connection) = http1::handshake(TokioIo::new(io.unwrap())).await.unwrap();
    tokio::spawn(connection);
    let mut answer = send
        .send_request(request("GET", WATCH, &[ANN], ""))
        .await
        .unwrap();
    let feed = one_feed(&reporter).await;
    feed.unbounded_send(Ok("one\n".into())).unwrap();
    assert_eq!(piece(&mut answer).await.unwrap().unwrap(), "one\n");
    let open = "docket_witness_api_open{asked=\"watch\"}";
    assert_eq!(witness.metric(open).await, 1.0);
    drop(answer);
    drop(send);
    // Whoever goes away gives his seat back, and the reporter hears of it.
    eventually("the reporter's watch has ended", || async {
        feed.is_closed()
    })
    .await;
    assert_eq!(witness.metric(open).await, 0.0);
}

#[tokio::test]
async fn a_watch_is_not_idle_however_little_happens() {
    let (witness, reporter) = together(&["--idle-timeout", "200ms"]).await;
    let mut answer = H2::connect(&witness).await.begin(WATCH, "ann").await;
    let feed = one_feed(&reporter).await;
    // The sweep looks once a second.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    feed.unbounded_send(Ok("late\n".into())).unwrap();
    assert_eq!(piece(&mut answer).await.unwrap().unwrap(), "late\n");
}

#[tokio::test]
async fn a_reporter_that_dies_ends_watches_between_events_and_breaks_them_within_one() {
    let (witness, reporter) = together(&[]).await;
    let connection = H2::connect(&witness).await;
    let mut whole = connection.begin(WATCH, "ann").await;
    let first = one_feed(&reporter).await;
    let mut torn = connection.begin(WATCH, "ann").await;
    let second = one_feed(&reporter).await;
    first.unbounded_send(Ok("event\n".into())).unwrap();
    second.unbounded_send(Ok("half an ev".into())).unwrap();
    assert_eq!(piece(&mut whole).await.unwrap().unwrap(), "event\n");
    assert_eq!(piece(&mut torn).await.unwrap().unwrap(), "half an ev");
    drop(reporter);
    assert_eq!(piece(&mut whole).await.unwrap(), None);
    assert!(piece(&mut torn).await.is_err());
    assert_eq!(
        witness
            .metric("docket_witness_api_cut_total{cause=\"broken\"}")
            .await,
        2.0
    );
}

#[tokio::test]
async fn watches_have_their_seats_and_leave_calls_theirs() {
    let flags = ["--api-max-watches", "20", "--api-max-calls", "1"];
    let (witness, reporter) = together(&flags).await;
    let connection = H2::connect(&witness).await;
    let mut open = Vec::new();
    for _ in 0..16 {
        let answer = connection.begin(WATCH, "ann").await;
        assert_eq!(answer.status(), StatusCode::OK);
        open.push(answer);
    }
    // ann has her share; ben has not, until all seats are taken.
    let refused = connection.begin(WATCH, "ann").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    for _ in 0..4 {
        open.push(connection.begin(WATCH, "ben").await);
    }
    assert!(open.iter().all(|answer| answer.status() == StatusCode::OK));
    let refused = connection.begin(WATCH, "carol").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    for cause in ["share", "full"] {
        let series = format!("docket_witness_api_unanswered_total{{cause=\"{cause}\"}}");
        assert_eq!(witness.metric(&series).await, 1.0, "{cause}");
    }
    // Discovery needs no seat, a call has its own.
    assert_eq!(
        connection.begin("/apis", "x").await.status(),
        StatusCode::OK
    );
    assert_eq!(
        connection.begin(DENIALS, "ann").await.status(),
        StatusCode::OK
    );
    open.pop();
    eventually("a seat is free", || async {
        let answer = connection.begin(WATCH, "carol").await;
        answer.status() == StatusCode::OK
    })
    .await;
    assert_eq!(reporter.feeds().len(), 21);
}

#[tokio::test]
async fn a_thousand_watches_opened_at_once_are_all_open() {
    let (witness, reporter) = together(&["--api-timeout", "60s"]).await;
    let connections = [H2::connect(&witness).await, H2::connect(&witness).await];
    let opening = (0..1000).map(|n| {
        // One user may have an eighth of the seats.
        let (connection, user) = (connections[n % 2].clone(), format!("user-{}", n % 50));
        async move { connection.begin(WATCH, &user).await }
    });
    // The reporter is busy, longer than it may take to connect to it.
    let busy = reporter.busy().await;
    let free = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        drop(busy);
    };
    let (open, ()) = tokio::join!(futures::future::join_all(opening), free);
    let refused: Vec<StatusCode> = open.iter().map(http::Response::status).collect();
    let refused = refused.iter().filter(|status| **status != 200).count();
    let why = witness.all_logged("the reporter cannot be asked");
    assert_eq!(refused, 0, "{why:?}");
    // Each of them is one of the reporter's, and brings what that one is sent.
    let feeds = reporter.feeds();
    assert_eq!(feeds.len(), 1000);
    for (n, feed) in feeds.iter().enumerate() {
        feed.unbounded_send(Ok(format!("{n}\n").into())).unwrap();
    }
    let mut got = Vec::<u32>::new();
    for mut answer in open {
        let event = piece(&mut answer).await.unwrap().unwrap();
        got.push(std::str::from_utf8(&event).unwrap().trim().parse().unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_takes_too_long_is_given_up_and_a_watch_is_not() {
    let (witness, reporter) = together(&["--api-timeout", "400ms"]).await;
    let got = ask(&witness, "GET", "/apis/docket.a5c.ai/v1/silent", &[ANN]).await;
    assert_eq!(
        (got.status, &got.json()["reason"]),
        (StatusCode::GATEWAY_TIMEOUT, &"Timeout".into())
    );
    // One that begins and does not end.
    let connection = H2::connect(&witness).await;
    let mut answer = connection
        .begin("/apis/docket.a5c.ai/v1/endless", "ann")
        .await;
    let feed = one_feed(&reporter).await;
    feed.unbounded_send(Ok("begun".into())).unwrap();
    assert_eq!(piece(&mut answer).await.unwrap().unwrap(), "begun");
    let mut watch = connection.begin(WATCH, "ann").await;
    let watched = one_feed(&reporter).await;
    assert!(piece(&mut answer).await.is_err());
    assert_eq!(
        witness
            .metric("docket_witness_api_cut_total{cause=\"slow\"}")
            .await,
        1.0
    );
    eventually("the call's seat is free", || async {
        witness
            .metric("docket_witness_api_open{asked=\"read\"}")
            .await
            == 0.0
    })
    .await;
    watched.unbounded_send(Ok("still\n".into())).unwrap();
    assert_eq!(piece(&mut watch).await.unwrap().unwrap(), "still\n");
}

#[tokio::test]
async fn the_end_of_the_process_ends_watches_after_a_whole_event() {
    let (mut witness, reporter) = together(&[]).await;
    let connection = H2::connect(&witness).await;
    let mut quiet = connection.begin(WATCH, "ann").await;
    let _quiet = one_feed(&reporter).await;
    let mut torn = connection.begin(WATCH, "ann").await;
    let feed = one_feed(&reporter).await;
    feed.unbounded_send(Ok("{\"type\":".into())).unwrap();
    assert_eq!(piece(&mut torn).await.unwrap().unwrap(), "{\"type\":");
    witness.signal("TERM");
    assert_eq!(piece(&mut quiet).await.unwrap(), None);
    feed.unbounded_send(Ok("\"ADDED\"}\n".into())).unwrap();
    assert_eq!(piece(&mut torn).await.unwrap().unwrap(), "\"ADDED\"}\n");
    assert_eq!(piece(&mut torn).await.unwrap(), None);
    assert!(witness.ended().await.success());
}

#[tokio::test]
async fn garbage_costs_its_connection_and_nothing_else() {
    let (witness, reporter) = together(&["--header-timeout", "300ms"]).await;
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01".as_slice(),
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff",
        b"GET /apis HTTP/1.1\r\nx-remote-user: a\nb\r\n: \r\n\r\n",
        b"GET /ap",
    ] {
        for alpn in ["http/1.1", "h2"] {
            let stream = witness.tls(witness.api, Some(&witness.front), alpn).await;
            let mut stream = stream.unwrap();
            stream.write_all(garbage).await.unwrap();
            let mut answer = Vec::new();
            let ended = stream.read_to_end(&mut answer);
            let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
            assert!(ended.is_ok(), "{garbage:?} is waited for");
            assert!(!answer.starts_with(b"HTTP/1.1 200"), "{garbage:?}");
        }
    }
    let long = "g".repeat(300 << 10);
    let mut connection = witness
        .connect(witness.api, Some(&witness.front), "h2")
        .await;
    let mut huge = request("GET", "https://127.0.0.1/apis", &[], "");
    huge.headers_mut()
        .insert("x-remote-group", long.parse().unwrap());
    if let Ok(got) = connection.send(huge).await {
        assert_eq!(got.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    assert_eq!(reporter.seen().len(), 0);
    assert_eq!(ask(&witness, "GET", DENIALS, &[ANN]).await.status, 200);
}

#[tokio::test]
async fn a_user_of_five_hundred_groups_is_forwarded_whole() {
    let (witness, reporter) = together(&[]).await;
    let groups: Vec<String> = (0..500)
        .map(|n| format!("department-{n}:of-a-rather-large-company:developers"))
        .collect();
    let mut connection = witness
        .connect(witness.api, Some(&witness.front), "h2")
        .await;
    let mut request = request("GET", &format!("https://127.0.0.1{DENIALS}"), &[ANN], "");
    request.headers_mut().remove("host");
    for group in &groups {
        request
            .headers_mut()
            .append("x-remote-group", group.parse().unwrap());
    }
    assert_eq!(connection.send(request).await.unwrap().status, 200);
    let seen = reporter.seen().pop().unwrap();
    let forwarded: Vec<&str> = seen
        .headers
        .get_all("x-remote-group")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(forwarded, groups);
}

#[tokio::test]
async fn certificates_of_both_sides_are_followed() {
    let (mut witness, reporter) = together(&[]).await;
    assert_eq!(ask(&witness, "GET", DENIALS, &[ANN]).await.status, 200);
    // The front proxy gets another authority.
    let fronts = Authority::new("new fronts");
    witness.setup.mount("fronts", &[("ca.crt", &fronts.pem)]);
    let old = std::mem::replace(&mut witness.front, fronts.issue("front-proxy-client"));
    let taken = "docket_witness_reloads_total{part=\"api\",result=\"taken\"}";
    eventually("the new authority is taken", || async {
        witness.metric(taken).await == 1.0
    })
    .await;
    assert_eq!(ask(&witness, "GET", "/apis", &[]).await.status, 200);
    let stream = witness.tls(witness.api, Some(&old), "http/1.1").await;
    let refused = match stream {
        Err(_) => true,
        Ok(mut stream) => stream.read_to_end(&mut Vec::new()).await.is_err(),
    };
    assert!(refused, "the old front proxy is still let in");
    // The reporter is replaced by one that believes another authority.
    let callers = Authority::new("new callers");
    let at = reporter.address;
    drop(reporter);
    let _reporter = loop_until_bound(&witness, &callers, at).await;
    assert_eq!(ask(&witness, "GET", DENIALS, &[ANN]).await.status, 503);
    let pair = callers.issue("docket-webhook");
    let ca = witness.setup.server.pem.clone();
    let files = [
        ("ca.crt", ca.as_str()),
        ("tls.crt", &pair.cert),
        ("tls.key", &pair.key),
    ];
    witness.setup.mount("reporter", &files);
    eventually("the new certificate is shown", || async {
        ask(&witness, "GET", DENIALS, &[ANN]).await.status == StatusCode::OK
    })
    .await;
}

/// The address is free once the old one's connections have ended.
async fn loop_until_bound(witness: &Witness, callers: &Authority, at: SocketAddr) -> Reporter {
    eventually("the address is free", || async {
        tokio::net::TcpListener::bind(at).await.is_ok()
    })
    .await;
    Reporter::start(&witness.setup.server, &callers.pem, at).await
}

#[tokio::test]
async fn a_start_on_a_taken_port_ends_with_an_error_and_no_panic() {
    let taken = std::net::TcpListener::bind(ANY).unwrap();
    let at = taken.local_addr().unwrap();
    let setup = Setup::new().with_api(at);
    let path = |name: &str| setup.path(name).display().to_string();
    let mut flags: Vec<String> = setup.flags.clone();
    let listen = flags
        .iter()
        .position(|flag| flag == "--api-listen")
        .unwrap();
    flags[listen + 1] = at.to_string();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_docket-webhook"))
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .args(["--cluster", "c", "--tls-cert", &path("tls/tls.crt")])
        .args([
            "--tls-key",
            &path("tls/tls.key"),
            "--mac-keys",
            &path("keys"),
        ])
        .args(flags)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("cannot listen on --api-listen {at}")),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn without_the_flags_there_is_no_such_door() {
    let mut witness = Setup::new().start().await;
    assert_eq!(
        witness.logged("witness listening").await["api"],
        Value::from("off")
    );
    let page = witness.admin("/metrics").await.unwrap();
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!page.contains("docket_witness_connections{part=\"api\"}"));
}
