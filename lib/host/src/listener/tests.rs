use super::*;
use crate::testing::{Authority, Pair, write_pair};
use crate::tls::ServerFiles;
use axum::Extension;
use axum::routing::get;
use futures::future::try_join_all;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use tokio_rustls::TlsConnector;

fn config(tls: Option<Arc<ReloadingTls>>, limits: ListenerLimits) -> ListenerConfig {
    ListenerConfig {
        name: "test",
        address: ([127, 0, 0, 1], 0).into(),
        tls,
        identify_peers: true,
        limits,
        metrics: ListenerMetrics::default(),
    }
}

fn limits() -> ListenerLimits {
    ListenerLimits {
        connections: 64,
        idle: Duration::from_secs(300),
        head: Duration::from_secs(10),
        drain: Duration::from_secs(2),
        streams: 100,
        send_buffer: 64 << 10,
        headers: None,
    }
}

/// Says who asks.
fn router() -> Router {
    let who = async |Extension(Peer(name)): Extension<Peer>| name.unwrap_or("nobody".to_owned());
    Router::new().route("/", get(who))
}

fn tls(authority: &Authority, dir: &std::path::Path) -> Arc<ReloadingTls> {
    let pair = authority.issue("server");
    write_pair(dir, &pair.cert, &pair.key);
    std::fs::write(dir.join("ca.crt"), &authority.pem).unwrap();
    let files = ServerFiles {
        cert: dir.join("tls.crt"),
        key: dir.join("tls.key"),
        client_ca: Some(dir.join("ca.crt")),
        client_names: Vec::new(),
    };
    Arc::new(ReloadingTls::load("test", files, |_| {}).unwrap())
}

/// A connection that pings all the time, and what ends when it does.
async fn pinging(
    at: SocketAddr,
    authority: &Authority,
    identity: &Pair,
) -> (
    http2::SendRequest<Empty<bytes::Bytes>>,
    JoinHandle<hyper::Result<()>>,
) {
    let stream = TcpStream::connect(at).await.unwrap();
    let client = Arc::new(authority.client(Some(identity), "h2"));
    let name = "127.0.0.1".try_into().unwrap();
    let stream = TlsConnector::from(client)
        .connect(name, stream)
        .await
        .unwrap();
    let (send, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_millis(20))
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    (send, tokio::spawn(connection))
}

async fn who(send: &mut http2::SendRequest<Empty<bytes::Bytes>>) -> String {
    let request = Request::get("https://127.0.0.1/").body(Empty::new());
    let answer = send.send_request(request.unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_connection_that_only_pings_outlives_the_head_timeout_and_is_closed_as_idle() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("docket");
    let limits = ListenerLimits {
        head: Duration::from_millis(100),
        idle: Duration::from_millis(1500),
        ..limits()
    };
    let config = config(Some(tls(&authority, dir.path())), limits);
    let open = config.metrics.open.clone();
    let listener = Listener::bind(config, router()).unwrap();
    let at = listener.address().unwrap();
    let running = listener.start();
    let identity = authority.issue("ann");
    let (mut send, connection) = pinging(at, &authority, &identity).await;
    assert_eq!(who(&mut send).await, "ann");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(who(&mut send).await, "ann", "pings are no head");
    let ended = tokio::time::timeout(Duration::from_secs(10), connection).await;
    assert!(ended.is_ok(), "pings keep nobody in");
    assert!(running.drain().await);
    assert_eq!(open.get(), 0);
}

#[tokio::test]
async fn a_client_without_the_right_certificate_is_counted_and_one_without_tls_is_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("docket");
    let config_tls = config(Some(tls(&authority, dir.path())), limits());
    let refused = config_tls.metrics.handshakes_refused.clone();
    let listener = Listener::bind(config_tls, router()).unwrap();
    let at = listener.address().unwrap();
    let running = listener.start();
    let stranger = Arc::new(authority.client(Some(&Authority::new("other").issue("ann")), "h2"));
    let stream = TcpStream::connect(at).await.unwrap();
    let name = "127.0.0.1".try_into().unwrap();
    // In TLS 1.3 a client learns of it when it reads.
    if let Ok(mut stream) = TlsConnector::from(stranger).connect(name, stream).await {
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1]).await;
        assert!(!matches!(read, Ok(1..)));
    }
    assert!(running.drain().await);
    assert_eq!(refused.get(), 1);

    let listener = Listener::bind(config(None, limits()), router()).unwrap();
    let at = listener.address().unwrap();
    let running = listener.start();
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    let client = client.build_http::<Empty<bytes::Bytes>>();
    let answer = client.get(format!("http://{at}/").parse().unwrap()).await;
    let body = answer.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "nobody");
    assert!(running.drain().await);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut_off_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("docket");
    let limits = ListenerLimits {
        head: Duration::from_millis(100),
        ..limits()
    };
    let config = config(Some(tls(&authority, dir.path())), limits);
    let refused = config.metrics.handshakes_refused.clone();
    let listener = Listener::bind(config, router()).unwrap();
    let mut silent = TcpStream::connect(listener.address().unwrap())
        .await
        .unwrap();
    let running = listener.start();
    let mut rest = Vec::new();
    let end = tokio::io::AsyncReadExt::read_to_end(&mut silent, &mut rest);
    let ended = tokio::time::timeout(Duration::from_secs(10), end).await;
    assert!(ended.is_ok());
    assert_eq!(refused.get(), 1);
    assert!(running.drain().await);
}

#[tokio::test]
async fn those_that_come_at_once_wait_their_turn() {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let all = allowed.trim().parse::<usize>().unwrap().min(1000);
    let listener = Listener::bind(config(None, limits()), router()).unwrap();
    // Nobody is accepted meanwhile. One that the system drops tries again for minutes.
    let at = listener.address().unwrap();
    let coming = try_join_all((0..all).map(|_| TcpStream::connect(at)));
    let waiting = timeout(Duration::from_secs(20), coming).await;
    assert_eq!(waiting.expect("all are queued").unwrap().len(), all);
}
