//! Names of rotated files, by those who give them.

use super::*;
use std::fs::FileTimes;
use std::io::Write as _;

struct Logs(tempfile::TempDir);

impl Logs {
    fn of(names: &[&str]) -> Logs {
        let logs = Logs(tempfile::tempdir().unwrap());
        for name in names {
            logs.write(name, name);
        }
        logs
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    /// The names of the log's files, in their order.
    fn order(&self, log: &str) -> Vec<String> {
        let all = candidates(&self.0.path().join(log)).unwrap();
        let name = |one: &Candidate| one.path.file_name().unwrap().to_str().unwrap().to_owned();
        all.iter().map(name).collect()
    }
}

#[test]
fn files_stand_in_the_order_in_which_they_were_written() {
    let logs = Logs::of(&[
        "audit-2026-11-22T23-29-51.817.log",
        "audit-2026-11-22T23-28-51.817.log.gz",
        "audit-2026-11-22T23-29-51.817.log.gz",
        "audit.log",
        "audit-policy.yaml",
        "audit-2026-policy.log",
        "other.log",
        "audit.log.20261122.swp",
    ]);
    assert_eq!(
        logs.order("audit.log"),
        [
            "audit-2026-11-22T23-28-51.817.log.gz",
            "audit-2026-11-22T23-29-51.817.log",
            "audit.log"
        ]
    );
    assert!(logs.order("absent/audit.log").is_empty());
}

#[test]
fn a_date_behind_a_name_is_no_number_of_rotations() {
    let forms: [[&str; 3]; 12] = [
        ["k.log.10.gz", "k.log.2.gz", "k.log.1"],
        ["k.10.log.gz", "k.2.log", "k.1.log"],
        ["k.log.20261121", "k.log.20261122", "k.log.20261123"],
        ["k.log.2026-11-21", "k.log.2026-11-22", "k.log.2026-11-23"],
        ["k.log-20261121.gz", "k.log-20261122.gz", "k.log-20261123"],
        ["k-20261130.log", "k-20261201.log", "k-20270101.log"],
        ["k.log-2026112209", "k.log-2026112210", "k.log-2026112300"],
        [
            "k.log.2026-11-22_09",
            "k.log.2026-11-22_10",
            "k.log.2026-11-23_00",
        ],
        ["k.log-1795996800", "k.log-1796083200", "k.log-1796169600"],
        [
            "k.log-1795996800000",
            "k.log-1796083200000",
            "k.log-1796169600000",
        ],
        [
            "k.log.20261122-232951.gz",
            "k.log.20261122-233001",
            "k.log.20261123-000000",
        ],
        [
            "k-2026-11-22T23-29-51.817.log",
            "k-2026-11-22T23-29-52.001.log",
            "k-2026-11-23T00-00-00.000.log",
        ],
    ];
    for form in forms {
        let logs = Logs::of(&form);
        logs.write("k.log", "");
        logs.write("k.log.old", "none of it");
        let mut expected: Vec<&str> = form.to_vec();
        expected.push("k.log");
        assert_eq!(logs.order("k.log"), expected);
    }
}

#[test]
fn names_that_say_nothing_or_contradict_each_other_are_ordered_by_their_first_events() {
    let event = |day: u32| {
        format!(
            "\0\n{{\"stage\":\"x\",\"stageTimestamp\":\"2026-11-{day}T10:00:00.000001Z\",\"a\":1}}\n"
        )
    };
    for form in [
        ["k.log.21-11-2026", "k.log.22-11-2026", "k.log.01-12-2026"],
        ["k.log.1", "k.log-20261122", "k.log-20261123"],
        ["k.log-20261122.2", "k.log-20261122.1", "k.log-20261122"],
        ["k.log.261121", "k.log.261122", "k.log.261201"],
    ] {
        let logs = Logs::of(&[]);
        for (name, day) in form.iter().zip(11..) {
            logs.write(name, &event(day));
        }
        logs.write("k.log", "");
        let mut expected: Vec<&str> = form.to_vec();
        expected.push("k.log");
        assert_eq!(logs.order("k.log"), expected);
    }
    // A container's line says it before the event; of what can't be read the file's own
    // time is taken.
    let logs = Logs::of(&[]);
    logs.write("k.log.1", "2026-11-12T10:00:00Z stdout F {}\n");
    logs.write("k.log-20261122", &event(11));
    let old = File::create(logs.0.path().join("k.log.2")).unwrap();
    (&old).write_all(b"nothing that has a time\n").unwrap();
    old.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))
        .unwrap();
    assert_eq!(
        logs.order("k.log"),
        ["k.log.2", "k.log-20261122", "k.log.1"]
    );
}

#[test]
fn how_a_file_is_compressed_is_told_by_its_beginning_and_not_by_its_name() {
    let logs = Logs::of(&["audit.log.3.xz", "audit.log.4.br", "audit.log"]);
    for (name, start) in [
        ("audit.log.1", &b"\x1f\x8b\x08\0\0\0\0\0"[..]),
        ("audit.log.2.gz", b"\x28\xb5\x2f\xfd\0\0\0\0"),
        ("audit.log.3.xz", b"\xfd7zXZ\0\0\0"),
    ] {
        std::fs::write(logs.0.path().join(name), start).unwrap();
    }
    let all = candidates(&logs.0.path().join("audit.log")).unwrap();
    let packed: Vec<Option<&str>> = all
        .iter()
        .map(|one| match one.packed {
            Some(Packed::Gzip) => Some("gzip"),
            Some(Packed::Other { name, .. }) => Some(name),
            None => None,
        })
        .collect();
    assert_eq!(
        packed,
        [Some("brotli"), Some("xz"), Some("zstd"), Some("gzip"), None]
    );
}

#[test]
fn a_link_to_the_log_finds_what_was_rotated_where_it_lies() {
    let logs = Logs::of(&["0.log", "0.log.20261122-232951.gz", "0.log.20261122-233951"]);
    let links = tempfile::tempdir().unwrap();
    let link = links.path().join("kube-apiserver_kube-system.log");
    std::os::unix::fs::symlink(logs.0.path().join("0.log"), &link).unwrap();
    let all = candidates(&link).unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(all.last().unwrap().path, link);
}
