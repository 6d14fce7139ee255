use crate::harness::{Setup, eventually, review, uid};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// True if a call on this connection gets an answer. In TLS 1.3 the client only learns of
/// a refused certificate when it reads.
pub async fn serves(stream: std::io::Result<TlsStream<TcpStream>>) -> bool {
    let Ok(mut stream) = stream else { return false };
    let call = "POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    if stream.write_all(call.as_bytes()).await.is_err() {
        return false;
    }
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.is_ok() && &answer == b"HTTP/1.1 200 OK"
}

#[tokio::test]
async fn a_caller_without_a_valid_client_certificate_gets_no_testimony() {
    let witness = Setup::new().start().await;
    assert!(
        serves(
            witness
                .tls(witness.admission, Some(&witness.caller), "http/1.1")
                .await
        )
        .await
    );
    assert!(!serves(witness.tls(witness.admission, None, "http/1.1").await).await);
    let reporter = Some(&witness.reporter);
    assert!(!serves(witness.tls(witness.admission, reporter, "http/1.1").await).await);
}

#[tokio::test]
async fn without_a_client_ca_anyone_is_served_and_the_log_says_so() {
    let mut setup = Setup::new();
    setup.with_client_ca = false;
    let mut witness = setup.start().await;
    assert!(serves(witness.tls(witness.admission, None, "http/1.1").await).await);
    witness.logged("no --client-ca").await;
}

#[tokio::test]
async fn both_http_versions_are_spoken() {
    let witness = Setup::new().start().await;
    for alpn in ["http/1.1", "h2"] {
        let stream = witness
            .tls(witness.admission, Some(&witness.caller), alpn)
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
        let mut connection = witness
            .connect(witness.admission, Some(&witness.caller), alpn)
            .await;
        for n in 0..3 {
            let got = connection
                .post("/mutate", review(&uid(n)).to_string())
                .await
                .unwrap();
            assert_eq!(got.json()["response"]["uid"], uid(n));
        }
    }
}

#[tokio::test]
async fn a_full_house_closes_the_oldest_idle_connection() {
    let witness = Setup::new()
        .flags(&["--max-connections", "3"])
        .start()
        .await;
    let mut proven = witness.apiserver().await;
    proven
        .post("/mutate", review(&uid(1)).to_string())
        .await
        .unwrap();
    let mut strangers = Vec::new();
    for _ in 0..12 {
        strangers.push(TcpStream::connect(witness.admission).await.unwrap());
    }
    let evicted = "docket_witness_connections_evicted_total{part=\"admission\"}";
    eventually("strangers make room for strangers", || async {
        witness.metric(evicted).await == 10.0
    })
    .await;
    let got = proven
        .post("/mutate", review(&uid(2)).to_string())
        .await
        .unwrap();
    assert_eq!(got.json()["response"]["uid"], uid(2));
    // And the API server still gets in.
    witness.post("/mutate", review(&uid(3)).to_string()).await;
    let mut closed = [0; 1];
    assert_eq!(strangers[0].read(&mut closed).await.unwrap(), 0);
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_timeout() {
    let witness = Setup::new()
        .flags(&["--header-timeout", "200ms"])
        .start()
        .await;
    let mut idle = witness.apiserver().await;
    idle.post("/mutate", review(&uid(1)).to_string())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let got = idle
        .post("/mutate", review(&uid(2)).to_string())
        .await
        .unwrap();
    assert_eq!(got.json()["response"]["uid"], uid(2));
}

#[tokio::test]
async fn a_head_that_dribbles_in_is_cut_off() {
    let witness = Setup::new()
        .flags(&["--header-timeout", "200ms"])
        .start()
        .await;
    let mut stream = witness
        .tls(witness.admission, Some(&witness.caller), "http/1.1")
        .await
        .unwrap();
    stream
        .write_all(b"POST /mutate HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let witness = Setup::new()
        .flags(&["--idle-timeout", "300ms"])
        .start()
        .await;
    let mut stream = witness
        .tls(witness.admission, Some(&witness.caller), "h2")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
    let open = "docket_witness_connections{part=\"admission\"}";
    eventually("its place is free", || async {
        witness.metric(open).await == 0.0
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_ended_leaves_nothing_behind() {
    let witness = Setup::new().start().await;
    for n in 0..50 {
        witness.post("/mutate", review(&uid(n)).to_string()).await;
    }
    let open = "docket_witness_connections{part=\"admission\"}";
    eventually("all places are free", || async {
        witness.metric(open).await == 0.0
    })
    .await;
}
