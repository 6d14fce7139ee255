//! What the harness promises of its child processes, without any control plane.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use docket_tests::process::{self, Process, Watchdog};
use std::process::Command;
use std::time::{Duration, Instant};

fn sleeper(run: &std::path::Path, name: &str) -> Process {
    let mut command = Command::new("sleep");
    command.arg("300");
    Process::spawn(run, name, command).unwrap()
}

fn gone_within(run: &std::path::Path, seconds: u64) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < deadline {
        if process::alive(run).is_empty() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn the_watchdog_kills_what_the_harness_leaves_when_it_ends() {
    let run = tempfile::tempdir().unwrap();
    let watchdog = Watchdog::start(run.path()).unwrap();
    let started = sleeper(run.path(), "sleeper");
    assert_eq!(process::alive(run.path()).len(), 1);
    let pids = run.path().join("pids/sleeper");
    let pid: u32 = std::fs::read_to_string(pids)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    // The end of the pipe is what the end of the harness looks like. The child stays a
    // zombie until it is waited for, which counts as gone.
    drop(watchdog);
    let deadline = Instant::now() + Duration::from_secs(10);
    while process::start_time(pid).is_some() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(process::start_time(pid), None);
    let deadline = Instant::now() + Duration::from_secs(10);
    while run.path().exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!run.path().exists(), "a run that did not fail is removed");
    started.kill();
}

#[test]
fn recorded_processes_are_ended_and_others_with_their_pid_are_not() {
    let run = tempfile::tempdir().unwrap();
    let one = sleeper(run.path(), "one");
    // A pid that was given to another process since: another start time.
    let own = std::process::id();
    std::fs::write(run.path().join("pids/reused"), format!("{own} 1\n")).unwrap();
    let ended = process::end_recorded(run.path(), &["one"], Duration::from_secs(5));
    assert_eq!(ended, ["one"]);
    assert!(gone_within(run.path(), 5));
    one.kill();
}
