//! Go at work: from modules to programs, one build at a time on a machine.
//!
//! A build writes its output to a log in a directory of its own, where the progress is read.
//! Whatever ends this process ends the build and removes that directory.

use crate::process::{self, Process, Watchdog};
use crate::progress::Progress;
use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Why there is no control plane on this machine. The plane's commands and `make test`
/// print it and offer what works without Go.
#[derive(Debug, thiserror::Error)]
pub enum GoError {
    /// No `go` on the PATH.
    #[error("Go is not installed: the real control plane needs Go {0} or newer on the PATH")]
    Missing(String),
    /// Too old for the modules.
    #[error("Go {found} is too old: the real control plane needs Go {needed} or newer")]
    TooOld {
        /// What `go version` says.
        found: String,
        /// What the go.mod files say.
        needed: String,
    },
}

/// How often a build is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Lines of a failed build that are shown.
const SHOWN: usize = 20;
/// What a build's directory is called, before some letters of its own.
const PREFIX: &str = "build-";

/// Builds, while nobody else does.
pub struct Go<'a> {
    run: PathBuf,
    progress: &'a Progress,
    _watchdog: Watchdog,
    _lock: File,
}

/// What Go has said so far.
#[derive(Default)]
struct Said {
    modules: usize,
    packages: usize,
    /// All else.
    lines: Vec<String>,
}

impl Said {
    fn take(&mut self, line: &str) {
        if line.starts_with("go: downloading ") {
            self.modules += 1;
        } else if line.is_empty() || line.starts_with('#') || line.contains(' ') {
            self.lines.push(line.to_owned());
        } else {
            self.packages += 1;
        }
    }
}

impl<'a> Go<'a> {
    /// Waits until no other process builds in `dir`, and removes what a crash left there.
    pub async fn start(dir: &Path, progress: &'a Progress) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let lock = File::create(dir.join("lock")).context("create the build lock")?;
        let started = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    progress.still("waiting for another build of the control plane", started);
                    tokio::time::sleep(LOOK).await;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).context("lock the builds of the control plane");
                }
            }
        }
        for entry in fs::read_dir(dir).context("read the builds")?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                process::end_recorded(&entry.path(), &[], Duration::ZERO);
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let run = tempfile::Builder::new()
            .prefix(PREFIX)
            .disable_cleanup(true)
            .tempdir_in(dir)
            .context("create a directory for the build")?;
        let run = run.path().to_owned();
        fs::create_dir_all(run.join("tmp")).context("create a directory for the build")?;
        Ok(Go {
            _watchdog: Watchdog::start(&run)?,
            run,
            progress,
            _lock: lock,
        })
    }

    /// Builds one package of a module.
    pub async fn build(&self, module: &Path, package: &str, linker: &str, to: &Path) -> Result<()> {
        let started = Instant::now();
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        self.progress
            .begin_long(&format!("building {name} from Go modules, once"));
        // Fetches the modules, and tells how much there is to compile if nothing is cached.
        let list = ["list", "-deps", package].map(OsStr::new);
        let all = self
            .run(module, &name, &list, |said| {
                let text = format!("{name}: {} modules fetched", said.modules);
                self.progress.still(&text, started);
            })
            .await?
            .packages;
        let linker = format!("-s -w {linker}");
        let build = [
            "build".as_ref(),
            "-v".as_ref(),
            "-trimpath".as_ref(),
            "-ldflags".as_ref(),
            OsStr::new(&linker),
            "-o".as_ref(),
            to.as_os_str(),
            package.as_ref(),
        ];
        self.run(module, &name, &build, |said| {
            let text = format!(
                "building {name}: {} of at most {all} packages",
                said.packages
            );
            self.progress.still(&text, started);
        })
        .await?;
        self.progress.end_long(&format!("built {name}"), started);
        Ok(())
    }

    /// Runs `go`, telling what it said whenever it is looked at.
    async fn run(
        &self,
        module: &Path,
        name: &str,
        args: &[&OsStr],
        tell: impl Fn(&Said),
    ) -> Result<Said> {
        let verb = args.first().unwrap_or(&OsStr::new("")).to_string_lossy();
        let part = format!("go-{verb}-{name}");
        let mut go = Command::new("go");
        go.current_dir(module)
            .args(args)
            .env("CGO_ENABLED", "0")
            .env("GOTOOLCHAIN", "local")
            // What an end in the middle leaves goes with the directory.
            .env("GOTMPDIR", self.run.join("tmp"));
        let mut process = Process::spawn(&self.run, &part, go)?;
        let log = File::open(process::log_file(&self.run, &part)).context("read Go's output")?;
        let mut log = BufReader::new(log);
        let (mut said, mut line) = (Said::default(), Vec::new());
        loop {
            // Looked for first, so that nothing is missed that was said before.
            let ended = process.ended();
            while log
                .read_until(b'\n', &mut line)
                .context("read Go's output")?
                > 0
            {
                if line.pop_if(|last| *last == b'\n').is_some() || ended.is_some() {
                    said.take(String::from_utf8_lossy(&line).trim_end());
                    line.clear();
                }
            }
            tell(&said);
            match ended {
                Some(status) if status.success() => return Ok(said),
                Some(status) => {
                    let last = &said.lines[said.lines.len().saturating_sub(SHOWN)..];
                    bail!(
                        "go {verb} of {name} failed ({status}); is the network or GOPROXY at \
                         hand?\n{}",
                        last.join("\n")
                    )
                }
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

/// Fails unless there is a Go that is new enough.
pub fn check(needed: String) -> Result<()> {
    let found = Command::new("go")
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .output();
    let Ok(found) = found else {
        bail!(GoError::Missing(needed))
    };
    let found = String::from_utf8_lossy(&found.stdout)
        .trim()
        .trim_start_matches("go")
        .to_owned();
    if version(&found) < version(&needed) {
        bail!(GoError::TooOld { found, needed });
    }
    Ok(())
}

/// A version of Go, to compare.
pub fn version(text: &str) -> Vec<u32> {
    let digits = text
        .split(['.', '-', ' ', 'r', 'b'])
        .map(|part| part.parse().unwrap_or(0));
    digits.collect()
}

/// Copies the YAML files in some directories of a required module.
pub fn copy_yaml(module: &Path, required: &str, dirs: &[&str], to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
    let go = Command::new("go")
        .current_dir(module)
        .args(["list", "-m", "-f", "{{.Dir}}", required])
        .env("GOTOOLCHAIN", "local")
        .output()
        .context("run go list")?;
    let root = PathBuf::from(String::from_utf8_lossy(&go.stdout).trim());
    for dir in dirs {
        let dir = root.join(dir);
        let entries = fs::read_dir(&dir)
            .with_context(|| format!("{required} has no CRDs in {}", dir.display()))?;
        for entry in entries.flatten() {
            let file = entry.path();
            if file.extension() == Some(OsStr::new("yaml")) {
                let name = file.file_name().unwrap_or_default();
                fs::copy(&file, to.join(name))
                    .with_context(|| format!("copy {}", file.display()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_compare_by_number() {
        assert!(version("1.26.10") > version("1.26.5"));
        assert!(version("1.27rc1") > version("1.26.6"));
        assert!(version("1.9") < version("1.26.5"));
    }

    #[test]
    fn modules_packages_and_complaints_are_told_apart() {
        let mut said = Said::default();
        for line in [
            "go: downloading k8s.io/api v0.36.3",
            "unsafe",
            "k8s.io/api/core/v1",
            "# k8s.io/api/core/v1",
            "types.go:7:2: undefined: nothing",
        ] {
            said.take(line);
        }
        assert_eq!((said.modules, said.packages), (1, 2));
        assert_eq!(said.lines.len(), 2);
    }
}
