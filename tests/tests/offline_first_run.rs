//! `make run` while Go builds, with a stand-in for Go: what is shown meanwhile, and how it ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use docket_tests::process;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any machine needs; tests wait for things, not for time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Says what Go says. It builds nothing before the file `go-on` is there: programs that end
/// at once, or nothing at all if it holds a word.
const GO: &str = r#"#!/bin/sh
here=${0%/*}
case "$1 $2" in
"env "*) echo go1.99.0; exit ;;
"list -m") echo "$here/module"; exit ;;
"list "*) printf 'unsafe\nk8s.io/api\nk8s.io/apiserver\n'; exit ;;
esac
echo k8s.io/api >&2
echo $$ >"$here/building"
until [ -e "$here/go-on" ]; do sleep 0.1; done
if [ -s "$here/go-on" ]; then
    echo "main.go:1:1: $(cat "$here/go-on")" >&2
    exit 1
fi
until [ "$1" = -o ]; do shift; done
printf '#!/bin/sh\necho a stand-in >&2; exit 3\n' >"$2"
chmod +x "$2"
"#;

/// Where the CRDs lie in the modules that the stand-in knows.
const CRDS: [&str; 5] = [
    "config/crds/kyverno",
    "config/crds/policies.kyverno.io",
    "config/crds/policyreport",
    "config/crds/reports",
    "config/crd",
];

/// `plane run`, not on a terminal, in a place of its own.
struct Run {
    dir: tempfile::TempDir,
    child: Child,
}

impl Run {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let go = dir.path().join("go");
        fs::write(&go, GO).unwrap();
        fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
        for crds in CRDS {
            fs::create_dir_all(dir.path().join("module").join(crds)).unwrap();
        }
        let file = |name: &str| fs::File::create(dir.path().join(name)).unwrap();
        let path = format!(
            "{}:{}",
            dir.path().display(),
            std::env::var("PATH").unwrap()
        );
        let child = Command::new(env!("CARGO_BIN_EXE_plane"))
            .arg("run")
            .env("PATH", path)
            .env("DOCKET_PLANES", dir.path().join("planes"))
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        Self { dir, child }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    fn wait_for(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            let said = (self.read("stdout"), self.read("stderr"));
            assert!(Instant::now() < until, "{what}: {said:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the whole recorded day is shown, and Go still builds.
    fn shown(&mut self) {
        self.wait_for("the recorded day", |run| {
            assert_eq!(
                run.child.try_wait().unwrap(),
                None,
                "{}",
                run.read("stderr")
            );
            run.read("stderr").contains("Go still builds")
        });
        let day = self.read("stdout");
        assert!(
            day.contains("a recorded day") && day.contains("13 denials, each on record once"),
            "{day}"
        );
        assert_eq!(self.left().len(), 2, "{:?}", self.left());
    }

    /// Lets Go go on: to its end, or to this failure.
    fn go_on(&self, failure: &str) {
        // Never seen half written.
        let draft = self.dir.path().join("draft");
        fs::write(&draft, failure).unwrap();
        fs::rename(draft, self.dir.path().join("go-on")).unwrap();
    }

    fn ended(&mut self) -> Option<i32> {
        self.wait_for("the end", |run| run.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }

    /// Directories of builds and of reporters that show a day.
    fn left(&self) -> Vec<PathBuf> {
        let planes = self.dir.path().join("planes");
        let in_each = ["controlplane", "test-runs"].map(|dir| fs::read_dir(planes.join(dir)));
        let all = in_each.into_iter().flatten().flatten().flatten();
        let all = all.map(|entry| entry.path());
        all.filter(|path| path.join("pids").exists()).collect()
    }

    /// Nothing runs any more, and nothing is left of what ran.
    fn nothing_left(&mut self, was: &[PathBuf]) {
        self.wait_for("all is removed", |run| {
            run.left().is_empty() && !was.iter().any(|dir| dir.exists())
        });
        let go: u32 = self.read("building").trim().parse().unwrap();
        self.wait_for("Go has ended", |_| process::start_time(go).is_none());
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_recorded_day_is_shown_while_go_builds_and_the_real_one_follows() {
    let mut run = Run::start();
    run.shown();
    let (was, before) = (run.left(), run.read("stderr"));
    assert!(!before.contains("Starting a control plane"), "{before}");
    run.go_on("");
    // The stand-in's API server ends at once: the code is that of the real run.
    assert_eq!(run.ended(), Some(2));
    let (stderr, day) = (run.read("stderr"), run.read("stdout"));
    let order = [
        "built reports-controller",
        "is built",
        "Starting a",
        "did not come up",
    ];
    let places: Vec<usize> = order.iter().filter_map(|part| stderr.find(part)).collect();
    assert!(
        places.len() == order.len() && places.is_sorted(),
        "{stderr}"
    );
    assert!(
        stderr.contains("kube-apiserver ended (exit status: 3)"),
        "{stderr}"
    );
    assert_eq!(day.matches("What was refused").count(), 1, "{day}");
    run.nothing_left(&was);
}

#[test]
fn a_build_that_fails_says_why_and_leaves_nothing() {
    let mut run = Run::start();
    run.shown();
    let was = run.left();
    run.go_on("undefined: etcd");
    assert_eq!(run.ended(), Some(2));
    let stderr = run.read("stderr");
    let last = stderr.lines().rev().take(2).collect::<Vec<_>>().join("\n");
    assert!(last.contains("main.go:1:1: undefined: etcd"), "{stderr}");
    assert!(
        last.contains("the control plane cannot be built: go build of kube-apiserver"),
        "{stderr}"
    );
    run.nothing_left(&was);
}

#[test]
fn ctrl_c_while_go_builds_ends_everything() {
    let mut run = Run::start();
    run.shown();
    let was = run.left();
    interrupt(&run.child, "INT");
    assert_eq!(run.ended(), Some(130));
    run.nothing_left(&was);
}

#[test]
fn a_kill_while_go_builds_ends_everything_too() {
    let mut run = Run::start();
    run.shown();
    let was = run.left();
    interrupt(&run.child, "KILL");
    assert_eq!(run.ended(), None);
    run.nothing_left(&was);
}

fn interrupt(child: &Child, signal: &str) {
    let mut kill = Command::new("kill");
    let sent = kill
        .arg(format!("-{signal}"))
        .arg(child.id().to_string())
        .status();
    assert!(sent.unwrap().success());
}
