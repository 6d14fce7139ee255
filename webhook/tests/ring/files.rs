use crate::harness::{Authority, Setup, eventually, review, uid};
use http::StatusCode;

#[tokio::test]
async fn a_certificate_swapped_in_is_served_and_open_connections_live_on() {
    let witness = Setup::new().start().await;
    let mut open = witness.apiserver().await;
    open.post("/mutate", review(&uid(1)).to_string())
        .await
        .unwrap();
    let first = witness.served_certificate().await;
    let pair = witness.setup.server.issue("second");
    witness
        .setup
        .mount("tls", &[("tls.crt", &pair.cert), ("tls.key", &pair.key)]);
    eventually("the new certificate is served", || async {
        witness.served_certificate().await != first
    })
    .await;
    let got = open
        .post("/mutate", review(&uid(2)).to_string())
        .await
        .unwrap();
    assert_eq!(got.status, StatusCode::OK);
    let taken = "docket_witness_reloads_total{part=\"admission\",result=\"taken\"}";
    assert_eq!(witness.metric(taken).await, 1.0);
    // A second rotation is seen as well: the symlink is followed anew each time.
    let second = witness.served_certificate().await;
    let pair = witness.setup.server.issue("third");
    witness
        .setup
        .mount("tls", &[("tls.crt", &pair.cert), ("tls.key", &pair.key)]);
    eventually("the third certificate is served", || async {
        witness.served_certificate().await != second
    })
    .await;
}

#[tokio::test]
async fn a_pair_that_does_not_fit_is_refused_once_and_the_old_one_serves_on() {
    let mut witness = Setup::new().start().await;
    let first = witness.served_certificate().await;
    let (one, other) = (
        witness.setup.server.issue("a"),
        witness.setup.server.issue("b"),
    );
    witness
        .setup
        .mount("tls", &[("tls.crt", &one.cert), ("tls.key", &other.key)]);
    witness.logged("new certificates refused").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(witness.served_certificate().await, first);
    let refused = "docket_witness_reloads_total{part=\"admission\",result=\"refused\"}";
    assert_eq!(witness.metric(refused).await, 1.0);
    witness
        .setup
        .mount("tls", &[("tls.crt", &other.cert), ("tls.key", &other.key)]);
    eventually("the repaired pair is served", || async {
        witness.served_certificate().await != first
    })
    .await;
}

#[tokio::test]
async fn a_client_ca_swapped_in_decides_who_may_call() {
    let witness = Setup::new().start().await;
    let others = Authority::new("others");
    let newcomer = others.issue("kube-apiserver");
    witness.setup.mount("callers", &[("ca.crt", &others.pem)]);
    eventually("the newcomer is let in", || async {
        let stream = witness
            .tls(witness.admission, Some(&newcomer), "http/1.1")
            .await;
        crate::connections::serves(stream).await
    })
    .await;
    let stream = witness
        .tls(witness.admission, Some(&witness.caller), "http/1.1")
        .await;
    assert!(!crate::connections::serves(stream).await);
}

#[tokio::test]
async fn the_end_of_the_certificate_is_told() {
    let witness = Setup::new().start().await;
    let end =
        witness.metric("docket_witness_certificate_expiry_timestamp_seconds{part=\"admission\"}");
    // As issued by the harness: the year 4096.
    assert!(end.await > 60_000_000_000.0);
}

#[tokio::test]
async fn a_start_without_certificates_fails_and_names_the_file() {
    let setup = Setup::new();
    std::fs::remove_file(setup.path("tls/tls.key")).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_docket-webhook"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--cluster",
            "c",
        ])
        .arg("--tls-cert")
        .arg(setup.path("tls/tls.crt"))
        .arg("--tls-key")
        .arg(setup.path("tls/tls.key"))
        .arg("--mac-keys")
        .arg(setup.path("keys"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("tls/tls.key") && said.contains("cannot read"),
        "{said}"
    );
}
