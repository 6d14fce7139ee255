use super::*;
use crate::metrics::render;
use axum::routing::get;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_full_listener_closes_the_oldest_idle_connection_and_counts_it() {
    let (metrics, registry) = Metrics::new();
    let router = Router::new().route("/", get(async || "ok"));
    let at = ([127, 0, 0, 1], 0).into();
    let listener = bind(Role::Admin, at, None, router, &metrics).unwrap();
    let at = listener.address().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(Role::Admin, listener, stopped));
    let mut all = Vec::new();
    for _ in 0..=ADMIN {
        all.push(TcpStream::connect(at).await.unwrap());
    }
    let mut byte = [0];
    let closed = tokio::time::timeout(Duration::from_secs(20), all[0].read(&mut byte)).await;
    assert_eq!(closed.unwrap().unwrap(), 0, "the oldest made room");
    let page = render(&registry);
    let has = |line: &str| assert!(page.lines().any(|one| one == line), "{line}\n{page}");
    has("docket_reporter_connections_evicted_total{listener=\"admin\"} 1");
    has("docket_reporter_refused_connections_total{listener=\"admin\"} 0");
    stop.send_replace(true);
    serving.await.unwrap().unwrap();
    let page = render(&registry);
    let gone = "docket_reporter_connections{listener=\"admin\"} 0";
    assert!(page.lines().any(|line| line == gone), "{page}");
}

#[test]
fn readers_go_without_where_open_files_are_few() {
    assert_eq!(readers(usize::MAX), READERS);
    let some = readers(AUDIT + ADMIN + OTHER_FILES + 200);
    assert_eq!(some, 100);
    assert_eq!(readers(64), 1);
}
