//! A process that dies at any moment loses nothing that was acknowledged.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod make;

use docket_ledger::store::Batch;
use docket_ledger::verify::{VerifyOptions, verify};
use make::{at, denial, open, seeded};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const STORE: &str = "DOCKET_TEST_CRASH_STORE";

fn numbered(n: i64) -> Batch {
    let state = vec![("batch".to_owned(), Some(n.to_string().into_bytes()))];
    Batch {
        entries: (n * 20..n * 20 + 20).map(denial).collect(),
        state,
    }
}

/// Open, and return how many whole batches are there; nothing else may be.
fn recovered(path: &Path) -> i64 {
    let store = open(path);
    let batches = match store.state("batch").unwrap() {
        None => 0,
        Some(last) => String::from_utf8(last).unwrap().parse::<i64>().unwrap() + 1,
    };
    assert_eq!(
        store.size(),
        batches as u64 * 20,
        "part of a batch is there"
    );
    drop(store);
    let report = verify(path, &VerifyOptions::default()).unwrap();
    assert_eq!(report.findings, []);
    batches
}

/// Not a test of its own: the process that the next test kills.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let mut store = open(Path::new(&path));
    let first = store.size() as i64 / 20;
    for n in first.. {
        store.append(&numbered(n), at(n)).unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "\nacknowledged {n}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_killed_process_loses_no_acknowledged_batch() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let mut random = seeded(5);
    let mut seen = 0;
    for _ in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child_that_appends_until_it_is_killed",
                "--nocapture",
            ])
            .env(STORE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_acknowledged = |line: &std::io::Result<String>| {
            line.as_ref()
                .is_ok_and(|line| line.starts_with("acknowledged"))
        };
        assert!(
            lines.by_ref().any(|line| is_acknowledged(&line)),
            "the child never appended"
        );
        let mut wait = [0];
        random(&mut wait);
        std::thread::sleep(Duration::from_micros(u64::from(wait[0]) * 150));
        child.kill().unwrap();
        child.wait().unwrap();
        let said: Vec<String> = lines.map_while(Result::ok).collect();
        let last = said
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix("acknowledged "));
        let there = recovered(&path);
        if let Some(last) = last {
            assert!(
                there > last.parse::<i64>().unwrap(),
                "{there} batches, {last} acknowledged"
            );
        }
        assert!(there > seen);
        seen = there;
    }
}

#[test]
fn a_log_cut_anywhere_keeps_the_batches_that_end_before_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let wal = directory.path().join("ledger-wal");
    let mut store = open(&path);
    let mut ends = Vec::new();
    for n in 0..12 {
        store.append(&numbered(n), at(n)).unwrap();
        ends.push(std::fs::metadata(&wal).unwrap().len());
    }
    assert!(ends.is_sorted(), "the log was not reset in between");
    let (file, log) = (std::fs::read(&path).unwrap(), std::fs::read(&wal).unwrap());
    drop(store);
    let mut random = seeded(6);
    let copy = directory.path().join("copy");
    for case in 0..60 {
        let mut at = [0; 8];
        random(&mut at);
        // From the first commit on: before it there was no store.
        let (low, high) = (ends[0] as usize, log.len());
        let cut = match case {
            0 => high,
            n if n <= ends.len() => ends[n - 1] as usize,
            _ => low + (u64::from_be_bytes(at) as usize) % (high - low),
        };
        for suffix in ["copy-wal", "copy-shm"] {
            let _ = std::fs::remove_file(directory.path().join(suffix));
        }
        std::fs::write(&copy, &file).unwrap();
        std::fs::write(directory.path().join("copy-wal"), &log[..cut]).unwrap();
        let acknowledged = ends.iter().filter(|end| **end as usize <= cut).count() as i64;
        assert_eq!(recovered(&copy), acknowledged, "cut at {cut}");
    }
}
