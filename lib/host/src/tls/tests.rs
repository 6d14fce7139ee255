use super::*;
use crate::testing::{Authority, write_pair};
use std::sync::mpsc::{Receiver, channel};

fn loaded(dir: &Path) -> (ReloadingTls, Receiver<ReloadEvent>) {
    let files = ServerFiles {
        cert: dir.join("tls.crt"),
        key: dir.join("tls.key"),
        client_ca: None,
        client_names: Vec::new(),
    };
    let (send, events) = channel();
    let observe = move |event| send.send(event).unwrap();
    (ReloadingTls::load("test", files, observe).unwrap(), events)
}

#[test]
fn what_does_not_fit_is_refused_once_and_what_fits_again_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("docket");
    let [first, second] = ["first", "second"].map(|name| authority.issue(name));
    write_pair(dir.path(), &first.cert, &first.key);
    let (tls, events) = loaded(dir.path());
    let before = tls.current();
    assert!(matches!(events.try_recv(), Ok(ReloadEvent::Loaded { expires }) if expires > 0));

    // Certificate and key are replaced one after the other.
    write_pair(dir.path(), &second.cert, &first.key);
    for _ in 0..3 {
        tls.reload();
    }
    assert_eq!(
        events.try_iter().collect::<Vec<_>>(),
        [ReloadEvent::Refused]
    );
    assert!(Arc::ptr_eq(&before, &tls.current()));

    write_pair(dir.path(), &second.cert, &second.key);
    tls.reload();
    tls.reload();
    let taken: Vec<_> = events.try_iter().collect();
    assert!(
        matches!(taken[..], [ReloadEvent::Reloaded { .. }]),
        "{taken:?}"
    );
    assert!(!Arc::ptr_eq(&before, &tls.current()));
}

#[test]
fn a_file_that_is_gone_is_told_once_and_what_was_loaded_stays() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("docket");
    let pair = authority.issue("first");
    write_pair(dir.path(), &pair.cert, &pair.key);
    let (tls, events) = loaded(dir.path());
    let before = tls.current();
    std::fs::remove_file(dir.path().join("tls.key")).unwrap();
    tls.reload();
    tls.reload();
    write_pair(dir.path(), &pair.cert, &pair.key);
    tls.reload();
    let told: Vec<_> = events.try_iter().skip(1).collect();
    assert_eq!(told, [ReloadEvent::Refused]);
    assert!(Arc::ptr_eq(&before, &tls.current()), "nothing has changed");
}
