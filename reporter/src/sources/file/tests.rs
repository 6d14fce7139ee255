//! The tail against real files: renamed, compressed, cut, absent.

use super::*;
use crate::events::{self, Day};
use crate::health::Health;
use crate::sources::{LONGEST, testing};
use docket_ledger::entry::Class;
use jiff::Timestamp;
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::time::UNIX_EPOCH;

struct Bench {
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    shared: Shared,
    health: Health,
    tail: Option<Tail>,
    reached: Arc<Reached>,
    day: Day,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let health = Health::default();
        let writer = testing::writer(&dir.path().join("ledger"), &health);
        let court = testing::court();
        let metrics = court.metrics.clone();
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
            reached: Arc::default(),
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
        self.reached = Arc::default();
        let tail = Tail::new("log", &log, &self.shared, part, Arc::clone(&self.reached));
        self.tail = Some(self.runtime.block_on(tail).unwrap());
    }

    /// What does not work now is a failure at once.
    fn impatient(&mut self) {
        self.tail.as_mut().unwrap().patience = Duration::ZERO;
    }

    /// Names of the denied objects, as they were recorded.
    fn names(&self) -> Vec<String> {
        let path = self.dir.path().join("ledger");
        let reader = docket_ledger::query::Reader::open(&path).unwrap();
        let page = docket_ledger::query::Page {
            limit: 1000,
            ..Default::default()
        };
        let mut rows = reader.list(&Default::default(), &page).unwrap();
        rows.retain(|row| row.class == Class::Denial);
        rows.sort_by_key(|row| row.position);
        let name = |personal: &[u8]| -> String {
            let personal: Value = serde_json::from_slice(personal).unwrap();
            personal["name"].as_str().unwrap().to_owned()
        };
        rows.iter()
            .map(|row| name(row.personal.as_ref().unwrap()))
            .collect()
    }

    fn closed(&self) -> usize {
        let amendments = self.rows(Class::Amendment);
        amendments
            .iter()
            .filter(|one| one["kind"] == "gap-closed")
            .count()
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
        testing::rows(&self.dir.path().join("ledger"), class)
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

/// Milliseconds since the epoch.
fn set_modified(path: &Path, time: i64) {
    let time = UNIX_EPOCH + Duration::from_millis(time.try_into().unwrap());
    let file = std::fs::OpenOptions::new().append(true).open(path);
    file.unwrap().set_modified(time).unwrap();
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
fn a_log_that_is_not_there_is_one_gap_and_holds_no_number_up() {
    let mut bench = Bench::new();
    bench.read();
    assert!(
        bench.causes().is_empty(),
        "at first it may come at any moment"
    );
    assert_eq!(bench.reached.time(), Timestamp::UNIX_EPOCH);
    bench.impatient();
    let before = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
    for _ in 0..3 {
        bench.read();
        bench.restart();
        bench.impatient();
    }
    bench.read();
    assert_eq!(bench.causes(), ["file-unreadable"]);
    assert!(bench.reached.time() >= before);
    assert!(
        bench.rows(Class::Gap)[0]["detail"]
            .as_str()
            .unwrap()
            .contains("does not exist")
    );
    bench.write(2);
    bench.read();
    assert_eq!((bench.denials(), bench.closed()), (2, 1));
    // Gone while it is read: the same, however often.
    std::fs::remove_file(bench.log()).unwrap();
    bench.read();
    assert_eq!(bench.causes(), ["file-unreadable", "file-unreadable"]);
    bench.write(1);
    bench.read();
    assert_eq!((bench.denials(), bench.closed()), (3, 2));
    assert_eq!(bench.causes().len(), 2, "{:?}", bench.rows(Class::Gap));
}

#[test]
fn a_log_is_reached_as_far_as_it_is_read() {
    let mut bench = Bench::new();
    bench.day.clock = "2026-11-22T10:00:00Z".parse().unwrap();
    bench.write(3);
    std::fs::rename(bench.log(), bench.rotated(1)).unwrap();
    bench.write(0);
    bench.restart();
    let tail = bench.tail.as_mut().unwrap();
    tail.place = None;
    // The rotated one alone: its lines are of that day, and more may follow.
    std::fs::rename(bench.rotated(1), bench.log()).unwrap();
    let tail = bench.tail.as_mut().unwrap();
    assert_eq!((tail.step(), tail.step()), (Step::Again, Step::Again));
    let day: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    assert!((0..60).contains(&bench.reached.time().duration_since(day).as_secs()));
    bench.read();
    assert!(
        Timestamp::now()
            .duration_since(bench.reached.time())
            .as_secs()
            < 60
    );
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

impl Bench {
    fn append(&self, bytes: &[u8]) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log());
        log.unwrap().write_all(bytes).unwrap();
    }

    fn event(&mut self) -> String {
        let line = events::line(&self.day.denied());
        String::from_utf8(line).unwrap().trim().to_owned()
    }

    fn rotate(&mut self, suffix: &str) {
        let to = self.dir.path().join(format!("audit.log{suffix}"));
        std::fs::rename(self.log(), to).unwrap();
    }
}

/// The event with these members first, as the API server has them.
fn begins_with(event: &str, names: &[&str]) -> String {
    let mut members: serde_json::Map<String, Value> = serde_json::from_str(event).unwrap();
    let first = names
        .iter()
        .map(|name| (*name, members.remove(*name).unwrap()));
    let first: Vec<String> = first
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    let rest = Value::from(members).to_string();
    format!("{{{},{}", first.join(","), &rest[1..])
}

#[test]
fn the_output_of_a_container_is_read_as_its_runtime_keeps_it() {
    let time = "2026-12-01T10:00:00.600000001Z";
    let mut bench = Bench::new();
    let (one, two, three) = (bench.event(), bench.event(), bench.event());
    bench.append(format!("{time} stderr F I1201 10:00:00.101000 1 x.go:1] begins\n").as_bytes());
    bench.append(format!("{time} stdout F {one}\n").as_bytes());
    let (a, b) = two.split_at(300);
    bench.append(format!("{time} stdout P {a}\n{time} stderr F between\n").as_bytes());
    bench.read();
    assert_eq!(bench.denials(), 1);
    // Its end comes to the next process.
    bench.restart();
    bench.append(format!("{time} stdout F {b}\n").as_bytes());
    bench.read();
    assert_eq!(bench.denials(), 2);
    // The last piece never comes: what stands before it is on record all the same.
    let three = begins_with(
        &three,
        &["auditID", "stage", "verb", "objectRef", "responseStatus"],
    );
    let cut = three.find(",\"requestReceived").unwrap();
    bench.append(format!("{time} stdout P {}\n", &three[..cut]).as_bytes());
    bench.read();
    assert_eq!(bench.denials(), 2);
    bench.rotate(".20261122-232951");
    let four = bench.event();
    let docker = serde_json::json!({"log": format!("{four}\n"), "stream": "stdout", "time": time});
    bench.append(format!("{docker}\n").as_bytes());
    bench.read();
    assert_eq!(bench.denials(), 4);
    assert!(bench.causes().is_empty(), "{:?}", bench.rows(Class::Gap));
    let derived = bench.rows(Class::Denial);
    assert_eq!(
        derived.iter().filter(|one| one["derived"] == "cut").count(),
        1
    );
}

#[test]
fn pieces_that_are_read_again_because_the_ledger_refused_are_put_together_once() {
    let time = "2026-12-01T10:00:00.600000001Z";
    let mut bench = Bench::new();
    let mut faulty = bench.day.denied();
    faulty["objectRef"]["name"] = crate::intake::MAKES_THE_CORE_PANIC.into();
    let faulty = String::from_utf8(events::line(&faulty)).unwrap();
    let event = bench.event();
    let (a, b) = event.split_at(300);
    bench.append(format!("{time} stdout F {faulty}{time} stdout P {a}\n").as_bytes());
    let tail = bench.tail.as_mut().unwrap();
    let steps: Vec<Step> = (0..4).map(|_| tail.step()).collect();
    assert!(steps.contains(&Step::Refused), "{steps:?}");
    bench.append(format!("{time} stdout F {b}\n").as_bytes());
    bench.read();
    assert_eq!(bench.names(), ["pr-2"]);
    assert_eq!(
        bench.causes(),
        ["quarantined-item"],
        "{:?}",
        bench.rows(Class::Gap)
    );
}

#[test]
fn a_line_of_what_carries_logs_is_no_line_of_the_log() {
    let mut bench = Bench::new();
    let event = bench.event();
    let shipped = serde_json::json!({"message": event, "@timestamp": "2026-12-01T10:00:00Z"});
    bench
        .append(format!("{shipped}\nDec 01 10:00:00 node kube-apiserver[1]: {event}\n").as_bytes());
    bench.read();
    assert_eq!(bench.denials(), 0);
    assert_eq!(bench.causes(), ["quarantined-item", "quarantined-item"]);
}

#[test]
fn a_log_in_the_legacy_format_is_named_once_and_closed_when_it_is_json() {
    let mut bench = Bench::new();
    let line = "2026-12-01T10:00:01.885328047Z AUDIT: id=\"a\" stage=\"ResponseComplete\" ip=\"192.0.2.10\"\n";
    for _ in 0..3 {
        bench.append(line.repeat(3).as_bytes());
        bench.read();
        bench.restart();
    }
    bench.read();
    let gaps = bench.rows(Class::Gap);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(
        gaps[0]["detail"]
            .as_str()
            .unwrap()
            .contains("--audit-log-format=legacy")
    );
    assert_eq!(bench.closed(), 0);
    bench.write(1);
    bench.read();
    assert_eq!(
        (bench.denials(), bench.closed(), bench.causes().len()),
        (1, 1, 1)
    );
}

#[test]
fn a_hole_before_the_next_event_is_passed_over_at_any_length() {
    let mut bench = Bench::new();
    // Longer than a line may be, and sparse as copytruncate leaves it.
    let hole = LONGEST as u64 + 12_345;
    let file = File::create(bench.log()).unwrap();
    file.set_len(hole).unwrap();
    bench.read();
    bench.write(2);
    bench.read();
    assert_eq!(bench.denials(), 2);
    let place = bench.tail.as_ref().unwrap().place.clone().unwrap();
    assert_eq!(place.first_at, hole);
    // Two such files are told apart, and found again under another name.
    bench.write(1);
    bench.rotate(".1");
    let file = File::create(bench.log()).unwrap();
    file.set_len(hole).unwrap();
    bench.write(1);
    bench.restart();
    bench.read();
    assert_eq!(bench.denials(), 4);
    // Zeros that are no hole, within the file too, and packed.
    bench.write(1);
    bench.append(&[0; 100_000]);
    bench.write(1);
    bench.rotate(".1.tmp");
    bench.rotate_packed(".1.tmp", ".1");
    bench.write(1);
    bench.restart();
    bench.read();
    assert_eq!(bench.denials(), 7);
    assert!(bench.causes().is_empty(), "{:?}", bench.rows(Class::Gap));
}

impl Bench {
    fn rotate_packed(&mut self, from: &str, to: &str) {
        let path = |suffix: &str| self.dir.path().join(format!("audit.log{suffix}"));
        std::fs::rename(path(from), path(to)).unwrap();
        compress(&path(to));
    }
}

#[test]
fn a_log_that_is_copied_and_cut_while_it_is_read_loses_nothing() {
    let mut bench = Bench::new();
    bench.write(2);
    bench.read();
    bench.write(2);
    let length = std::fs::metadata(bench.log()).unwrap().len();
    std::fs::copy(bench.log(), bench.dir.path().join("audit.log-20261122")).unwrap();
    // Its writer goes on at its old place.
    let log = std::fs::OpenOptions::new()
        .write(true)
        .open(bench.log())
        .unwrap();
    log.set_len(0).unwrap();
    let line = events::line(&bench.day.denied());
    std::os::unix::fs::FileExt::write_all_at(&log, &line, length).unwrap();
    bench.read();
    assert_eq!(bench.denials(), 5);
    assert!(bench.causes().is_empty(), "{:?}", bench.rows(Class::Gap));
}

#[test]
fn rotated_files_with_a_date_are_each_read_once_and_the_oldest_first() {
    for suffixes in [
        [".20261121", ".20261122", ".20261123"],
        [".2026-11-21", ".2026-11-22", ".2026-11-23"],
        ["-20261121.gz", "-20261122.gz", "-20261123"],
        ["-1795996800", "-1796083200", "-1796169600"],
        ["-21-11-2026", "-22-11-2026", "-01-12-2026"],
        [".3", ".2", ".1"],
    ] {
        let mut bench = Bench::new();
        bench.write(1);
        bench.tail = None;
        let rotate = |bench: &mut Bench, suffix: &str| match suffix.strip_suffix(".gz") {
            Some(plain) => {
                bench.rotate(plain);
                bench.rotate_packed(plain, plain);
            }
            None => bench.rotate(suffix),
        };
        rotate(&mut bench, suffixes[0]);
        bench.write(1);
        bench.restart();
        bench.read();
        assert_eq!(
            bench.names(),
            ["pr-2"],
            "it begins with the log that is written to"
        );
        bench.write(2);
        bench.tail = None;
        rotate(&mut bench, suffixes[1]);
        bench.write(2);
        rotate(&mut bench, suffixes[2]);
        bench.write(1);
        bench.restart();
        bench.read();
        let expected = ["pr-2", "pr-3", "pr-4", "pr-5", "pr-6", "pr-7"];
        assert_eq!(bench.names(), expected, "{suffixes:?}");
        assert!(bench.causes().is_empty(), "{:?}", bench.rows(Class::Gap));
    }
}

#[test]
fn a_rotated_file_that_no_one_can_unpack_is_named_in_a_gap_and_the_next_is_read() {
    let zstd = b"\x28\xb5\x2f\xfd and so on";
    // The one that was being read, and the one after it.
    for packed in [1, 2] {
        let mut bench = Bench::new();
        bench.write(1);
        bench.read();
        for second in 1..=2 {
            bench.write(1);
            std::fs::rename(bench.log(), bench.rotated(second)).unwrap();
        }
        bench.write(1);
        let path = bench.rotated(packed);
        std::fs::remove_file(&path).unwrap();
        let packed_path = path.with_extension("log.zst");
        std::fs::write(&packed_path, zstd).unwrap();
        // As old as its first line, or a tick of the system's clock older.
        set_modified(&packed_path, bench.day.process.started - 4);
        bench.restart();
        bench.read();
        bench.restart();
        bench.read();
        let gaps = bench.rows(Class::Gap);
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        let detail = gaps[0]["detail"].as_str().unwrap();
        assert!(
            detail.contains("zstd") && detail.contains(".log.zst"),
            "{detail}"
        );
        let expected: &[&str] = if packed == 1 {
            &["pr-1", "pr-3", "pr-4"]
        } else {
            &["pr-1", "pr-2", "pr-4"]
        };
        assert_eq!(bench.names(), expected);
    }
}

#[test]
fn files_that_were_rotated_before_a_line_was_read_are_not_passed_over() {
    let mut bench = Bench::new();
    File::create(bench.log()).unwrap();
    bench.read();
    let reached = bench.tail.as_ref().unwrap().place.as_ref().unwrap().at;
    bench.tail = None;
    for second in 1..=2 {
        bench.write(1);
        std::fs::rename(bench.log(), bench.rotated(second)).unwrap();
        compress(&bench.rotated(second));
    }
    // Written at once, hence with the time of a tick of the system's clock before.
    set_modified(&bench.rotated(1).with_extension("log.gz"), reached - 4);
    bench.write(1);
    bench.restart();
    bench.read();
    assert_eq!(bench.names(), ["pr-1", "pr-2", "pr-3"]);
    assert!(bench.causes().is_empty(), "{:?}", bench.rows(Class::Gap));
}

#[test]
fn a_line_that_makes_the_examiner_panic_costs_itself_and_no_other() {
    let mut bench = Bench::new();
    let court = Arc::get_mut(&mut bench.shared.court);
    assert!(court.is_none(), "the tail holds it");
    bench.tail = None;
    let court = Arc::get_mut(&mut bench.shared.court).unwrap();
    court.examine = testing::panics_at_pr_2;
    bench.restart();
    bench.write(3);
    bench.read();
    bench.restart();
    bench.read();
    assert_eq!(bench.names(), ["pr-1", "pr-3"]);
    let gaps = bench.rows(Class::Gap);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0]["cause"], "quarantined-item");
    assert!(gaps[0]["detail"].as_str().unwrap().contains("panic"));
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

impl Bench {
    /// As others read it. A moment later, so that two breaks have two times.
    fn state(&self) -> FileState {
        std::thread::sleep(Duration::from_millis(5));
        let path = self.dir.path().join("ledger");
        let reader = docket_ledger::query::Reader::open(&path).unwrap();
        let states = reader.states().unwrap();
        let row = states.iter().find(|(name, _)| *name == key("log"));
        serde_json::from_slice(&row.unwrap().1).unwrap()
    }
}

#[test]
fn a_log_says_since_when_it_was_read_without_a_break() {
    let mut bench = Bench::new();
    bench.write(2);
    bench.read();
    let whole = bench.state().whole_since().unwrap();
    // Renamed, finished, begun anew by another process: no break.
    bench.write(1);
    std::fs::rename(bench.log(), bench.rotated(1)).unwrap();
    bench.restart();
    bench.write(1);
    let day = bench.day.clock;
    bench.read();
    assert_eq!(bench.state().whole_since(), Some(whole));
    assert!(day.duration_since(bench.state().read_to()).as_secs().abs() < 60);
    assert!(bench.causes().is_empty());
    let mut last = whole;
    let mut broke = |bench: &mut Bench, why: &str| {
        bench.read();
        let since = bench.state().whole_since().unwrap();
        assert!(since > last, "{why}");
        last = since;
    };
    bench.append(b"{\"kind\":\"Event\",\n");
    broke(&mut bench, "a line that can't be read");
    File::create(bench.log()).unwrap();
    bench.write(1);
    broke(&mut bench, "cut in place");
    let legacy = "2026-12-01T10:00:01.885328047Z AUDIT: id=\"a\" stage=\"ResponseComplete\" ip=\"192.0.2.10\"\n";
    bench.append(legacy.as_bytes());
    broke(&mut bench, "lines that say too little");
    bench.impatient();
    std::fs::remove_file(bench.log()).unwrap();
    bench.read();
    bench.write(1);
    broke(&mut bench, "gone for a while");
    assert_eq!(bench.denials(), 6);
}

#[test]
fn a_place_of_an_earlier_version_says_nothing_of_the_time_before() {
    let mut bench = Bench::new();
    bench.write(1);
    bench.read();
    let tail = bench.tail.as_mut().unwrap();
    let place = Place {
        whole_since: 0,
        ..tail.place.clone().unwrap()
    };
    tail.be_at(place);
    assert_eq!(bench.state().whole_since(), None);
    let now = Timestamp::now();
    bench.restart();
    bench.write(1);
    bench.read();
    assert!(bench.state().whole_since().unwrap().as_millisecond() >= now.as_millisecond());
}
