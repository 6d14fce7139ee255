//! Child processes that never outlive their run.
//!
//! Each part is the leader of a process group of its own; its pid and start time are
//! written to `pids/NAME` in the run directory. Three things end it: the handle
//! ([`Process::kill`]), the watchdog of the run (a shell that waits for the harness's
//! end, however it comes), or the next run, which finds what a crash of both left.

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// A running part.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Pid,
    pid_file: PathBuf,
}

impl Process {
    /// Starts `command` as a group of its own, its output appended to `logs/NAME.log`.
    pub fn spawn(run: &Path, name: &str, mut command: Command) -> Result<Self> {
        let log = log_file(run, name);
        let out = open_log(&log)?;
        let err = out.try_clone().context("duplicate the log handle")?;
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("start {name} ({})", command.get_program().display()))?;
        let group = Pid::from_child(&child);
        let pid_file = run.join("pids").join(name);
        let process = Process {
            child,
            group,
            pid_file,
        };
        let start = start_time(process.child.id()).unwrap_or_default();
        create_parent(&process.pid_file)?;
        fs::write(
            &process.pid_file,
            format!("{} {start}\n", process.child.id()),
        )
        .with_context(|| format!("write {}", process.pid_file.display()))?;
        Ok(process)
    }

    /// The exit status, if the process has ended by itself.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal to the whole group.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process_group(self.group, signal).context("signal the process group")
    }

    /// Kills the group at once and waits for it.
    pub fn kill(mut self) {
        self.end(Duration::ZERO);
    }

    /// Asks the process to end, and kills the group after `grace`.
    pub fn terminate(mut self, grace: Duration) {
        self.end(grace);
    }

    fn end(&mut self, grace: Duration) {
        if !grace.is_zero() {
            // A stopped process acts on no signal but KILL and CONT.
            let _ = kill_process_group(self.group, Signal::TERM);
            let _ = kill_process_group(self.group, Signal::CONT);
            let deadline = Instant::now() + grace;
            while Instant::now() < deadline && self.ended().is_none() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // The group may hold children of an ended leader.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.pid_file);
    }

    /// Leaves the process running; only its pid file knows it from here on.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// The log of a part.
pub fn log_file(run: &Path, name: &str) -> PathBuf {
    run.join("logs").join(format!("{name}.log"))
}

fn open_log(path: &Path) -> Result<File> {
    create_parent(path)?;
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))
}

fn create_parent(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    }
    Ok(())
}

/// The end of a part's log, for error messages.
pub fn log_tail(run: &Path, name: &str, lines: usize) -> String {
    let text = fs::read(log_file(run, name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// When a process started, as text that is equal for the same process only; `None` if it
/// does not run (a zombie does not).
pub fn start_time(pid: u32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold anything; what follows is numbers.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        if fields.first() == Some(&"Z") {
            return None;
        }
        return fields.get(19).map(|ticks| (*ticks).to_owned());
    }
    let ps = Command::new("ps")
        .args(["-o", "lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&ps.stdout);
    let words: Vec<&str> = text.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join("_"))
}

/// The parts of a run that are alive, by name, with their pids.
pub fn alive(run: &Path) -> Vec<(String, u32)> {
    let Ok(entries) = fs::read_dir(run.join("pids")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        if let Some((pid, start)) = text.trim_end().split_once(' ')
            && let Ok(pid) = pid.parse()
            && start_time(pid).as_deref() == Some(start)
        {
            found.push((entry.file_name().to_string_lossy().into_owned(), pid));
        }
    }
    found.sort();
    found
}

/// Ends every part that `run` recorded and that is still the same process: first a
/// request to those in `gently`, then KILL for all.
pub fn end_recorded(run: &Path, gently: &[&str], grace: Duration) -> Vec<String> {
    let signal = |pid: u32, signal| {
        if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal);
        }
    };
    let found = alive(run);
    for (name, pid) in &found {
        if gently.contains(&name.as_str()) {
            signal(*pid, Signal::TERM);
            signal(*pid, Signal::CONT);
        }
    }
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline
        && alive(run)
            .iter()
            .any(|(name, _)| gently.contains(&name.as_str()))
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    for (_, pid) in &found {
        signal(*pid, Signal::KILL);
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline && !alive(run).is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    found.into_iter().map(|(name, _)| name).collect()
}

/// Waits for the harness's end (its end of the pipe closes, whatever the reason), then
/// kills what `pids/` names and removes the run, unless it is marked `failed`.
const WATCHDOG: &str = r#"
run=$1
cat >/dev/null
[ -e "$run/detached" ] && exit 0
started() {
    if [ -e /proc/self/stat ]; then
        stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
        set -- ${stat##*) }
        echo "${20}"
    else
        ps -o lstart= -p "$1" | tr -s ' \n' '_' | sed 's/^_//; s/_$//'
    fi
}
for file in "$run"/pids/*; do
    [ -e "$file" ] || continue
    read -r pid start <"$file"
    [ "$(started "$pid")" = "$start" ] && kill -KILL "-$pid" 2>/dev/null
done
[ -e "$run/failed" ] || rm -rf "$run"
"#;

/// Ends the run when this process ends, be it by a signal no one can catch.
#[derive(Debug)]
pub struct Watchdog {
    // The shell waits for the end of this pipe.
    _pipe: ChildStdin,
}

impl Watchdog {
    /// Starts the watchdog of a run.
    pub fn start(run: &Path) -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(run)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start the watchdog (sh)")?;
        let pipe = shell.stdin.take().context("the watchdog has no pipe")?;
        Ok(Watchdog { _pipe: pipe })
    }
}

/// Writes a file that only its owner can read: keys and tokens.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    create_parent(path)?;
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("write {}", path.display()))?;
    file.write_all(content.as_ref())
        .with_context(|| format!("write {}", path.display()))
}
