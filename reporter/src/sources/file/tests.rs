//! The tail against real files: renamed, compressed, cut, absent.

use super::*;
use crate::events::{self, CLUSTER, Day};
use crate::health::Health;
use crate::sources::LONGEST;
use crate::sources::quarantine::Quarantine;
use crate::writer::Started;
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, Page, Reader};
use docket_ledger::store::{Options, Store};
use docket_record::examine::Config;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;

struct Bench {
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    shared: Shared,
    health: Health,
    tail: Option<Tail>,
    day: Day,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let path = dir.path().join("ledger");
        let open = Box::new(move || {
            let options = Options {
                origin: format!("docket.a5c.ai/{CLUSTER}"),
                signing_seed: [7; 32],
                random: Box::new(|buffer| buffer.fill(1)),
            };
            Store::open(&path, options)
        });
        let (metrics, _) = Metrics::new();
        let health = Health::default();
        let wait = crate::intake::Waits {
            numbers: SignedDuration::from_secs(300),
            others: None,
        };
        let Started { writer, .. } =
            crate::writer::Writer::start(open, wait, metrics.clone(), health.part("ledger", ""))
                .unwrap();
        let court = Court {
            config: Config {
                cluster: CLUSTER.into(),
                krate_group: "krate.a5c.ai".into(),
                label_prefix: "krate.a5c.ai/".into(),
                org_namespace_prefix: "krate-org-".into(),
                clock_tolerance: SignedDuration::from_secs(2),
            },
            keys: events::key_directory(),
            laws: Arc::new(crate::law::Laws::new(None)),
            quarantine: Quarantine::new(None),
            witnesses: None,
            metrics: metrics.clone(),
        };
        let shared = Shared {
            court: Arc::new(court),
            writer,
            metrics,
            runtime: runtime.handle().clone(),
        };
        let mut bench = Bench {
            dir,
            runtime,
            shared,
            health,
            tail: None,
            day: Day::new(Timestamp::now()),
        };
        bench.restart();
        bench
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("audit.log")
    }

    fn rotated(&self, second: u32) -> PathBuf {
        self.dir
            .path()
            .join(format!("audit-2026-11-22T23-29-{second:02}.817.log"))
    }

    /// Append denials to the log as the API server does.
    fn write(&mut self, count: usize) {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        for _ in 0..count {
            file.write_all(&events::line(&self.day.denied())).unwrap();
        }
    }

    /// A new process takes up the source.
    fn restart(&mut self) {
        let log = self.log();
        let part = self.health.part("source log", "");
        let catching_up = Arc::new(AtomicBool::new(true));
        let tail = Tail::new("log", &log, &self.shared, part, catching_up);
        self.tail = Some(self.runtime.block_on(tail).unwrap());
    }

    /// Until there is nothing more to do.
    fn read(&mut self) {
        let tail = self.tail.as_mut().unwrap();
        for _ in 0..10_000 {
            match tail.step() {
                Step::Again => {}
                Step::Wait => return,
                Step::Refused => panic!("the ledger refused"),
            }
        }
        panic!("the source never rests");
    }

    fn rows(&self, class: Class) -> Vec<Value> {
        let reader = Reader::open(&self.dir.path().join("ledger")).unwrap();
        let filter = Filter {
            classes: vec![class],
            ..Filter::default()
        };
        let rows = reader
            .list(
                &filter,
                &Page {
                    limit: 200,
                    ..Page::default()
                },
            )
            .unwrap();
        rows.iter()
            .map(|row| serde_json::from_slice(&row.public).unwrap())
            .collect()
    }

    fn denials(&self) -> usize {
        self.rows(Class::Denial).len()
    }

    fn causes(&self) -> Vec<String> {
        let gaps = self.rows(Class::Gap);
        gaps.iter()
            .map(|gap| gap["cause"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn compress(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    let mut out =
        flate2::write::GzEncoder::new(File::create(name).unwrap(), flate2::Compression::fast());
    out.write_all(&bytes).unwrap();
    out.finish().unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_log_that_is_not_there_yet_is_waited_for_and_then_read_from_its_start() {
    let mut bench = Bench::new();
    bench.read();
    bench.write(3);
    bench.read();
    assert_eq!(bench.denials(), 3);
    bench.restart();
    bench.write(2);
    bench.read();
    assert_eq!(bench.denials(), 5);
    assert!(bench.causes().is_empty());
}

#[test]
fn a_last_line_without_newline_waits_for_its_end() {
    let mut bench = Bench::new();
    let line = events::line(&bench.day.denied());
    let mut file = File::create(bench.log()).unwrap();
    file.write_all(&line[..100]).unwrap();
    bench.read();
    assert_eq!(bench.denials(), 0);
    file.write_all(&line[100..]).unwrap();
    bench.read();
    assert_eq!(bench.denials(), 1);
    assert!(bench.causes().is_empty());
}

#[test]
fn a_renamed_log_is_finished_before_the_new_one() {
    let mut bench = Bench::new();
    bench.write(2);
    bench.read();
    bench.write(2);
    std::fs::rename(bench.log(), bench.rotated(1)).unwrap();
    bench.write(3);
    bench.read();
    assert_eq!(bench.denials(), 7);
    assert!(bench.causes().is_empty());
}

#[test]
fn rotations_while_nobody_read_are_caught_up_in_order_compressed_ones_too() {
    let mut bench = Bench::new();
    bench.write(2);
    bench.read();
    bench.write(1);
    for second in 1..=3 {
        std::fs::rename(bench.log(), bench.rotated(second)).unwrap();
        bench.write(2);
    }
    compress(&bench.rotated(1));
    compress(&bench.rotated(2));
    bench.restart();
    bench.read();
    assert_eq!(bench.denials(), 9);
    assert!(bench.causes().is_empty(), "{:?}", bench.rows(Class::Gap));
}

#[test]
fn a_log_copied_and_cut_in_place_is_finished_from_the_copy() {
    let mut bench = Bench::new();
    bench.write(2);
    bench.read();
    bench.write(2);
    std::fs::copy(bench.log(), bench.dir.path().join("audit.log.1")).unwrap();
    File::create(bench.log()).unwrap();
    bench.write(1);
    bench.restart();
    bench.read();
    assert_eq!(bench.denials(), 5);
    assert!(bench.causes().is_empty(), "{:?}", bench.rows(Class::Gap));
}

#[test]
fn a_log_cut_in_place_is_a_gap_and_read_on() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    File::create(bench.log()).unwrap();
    bench.write(1);
    bench.read();
    assert_eq!(bench.denials(), 4);
    assert_eq!(bench.causes(), ["file-cut"]);
    // Cut and grown beyond the old length, while nobody looked.
    File::create(bench.log()).unwrap();
    bench.write(9);
    bench.restart();
    bench.read();
    assert_eq!(bench.denials(), 13);
    assert_eq!(bench.causes(), ["file-cut", "file-cut"]);
}

#[test]
fn a_log_that_is_gone_unread_is_a_gap() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.tail = None;
    bench.write(2);
    // Held open, so that its inode is not given to the next file.
    let _held = File::open(bench.log()).unwrap();
    std::fs::remove_file(bench.log()).unwrap();
    bench.write(1);
    bench.restart();
    bench.read();
    assert_eq!(bench.denials(), 4);
    assert_eq!(bench.causes(), ["file-gone"]);
    bench.restart();
    bench.read();
    assert_eq!(bench.causes().len(), 1, "told once");
}

#[test]
fn a_line_that_is_no_event_is_put_aside_and_the_rest_is_read() {
    let mut bench = Bench::new();
    bench.write(1);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(bench.log())
        .unwrap();
    file.write_all(b"{\"kind\":\"Event\",\n\n").unwrap();
    bench.write(1);
    bench.read();
    assert_eq!(bench.denials(), 2);
    assert_eq!(bench.causes(), ["quarantined-item"]);
}

#[test]
fn a_line_longer_than_can_be_kept_is_put_aside_by_its_hash() {
    let mut bench = Bench::new();
    bench.write(1);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(bench.log())
        .unwrap();
    let piece = vec![b'x'; 1024 * 1024];
    for _ in 0..LONGEST / piece.len() + 3 {
        file.write_all(&piece).unwrap();
    }
    file.write_all(b"\n").unwrap();
    bench.write(2);
    bench.read();
    bench.restart();
    bench.read();
    assert_eq!(bench.denials(), 3);
    let gaps = bench.rows(Class::Gap);
    assert_eq!(gaps.len(), 1);
    let detail = gaps[0]["detail"].as_str().unwrap();
    assert!(
        detail.contains(&format!("{} bytes", LONGEST + 3 * piece.len())),
        "{detail}"
    );
    assert!(
        bench
            .tail
            .as_ref()
            .unwrap()
            .reading
            .as_ref()
            .unwrap()
            .buffer
            .len()
            < 1024
    );
}

#[test]
fn the_place_and_the_entries_are_one_transaction() {
    let mut bench = Bench::new();
    bench.write(5);
    bench.read();
    let place = bench.tail.as_ref().unwrap().place.clone().unwrap();
    assert_eq!(place.offset, std::fs::metadata(bench.log()).unwrap().len());
    bench.restart();
    assert_eq!(bench.tail.as_ref().unwrap().place.clone().unwrap(), place);
}
