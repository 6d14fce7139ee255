//! Where a run lives, which ports it has, and what a crashed one left behind.

use crate::{paths, process};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// A directory for a run.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    /// `target/run`, the place of `make up`. Refuses while a plane runs there.
    pub fn run() -> Result<Self> {
        end_stale_runs();
        let run = paths::run();
        let alive = process::alive(&run);
        if !alive.is_empty() {
            bail!(
                "a plane is up already ({} processes): `make down` ends it",
                alive.len()
            );
        }
        if run.exists() {
            fs::remove_dir_all(&run).with_context(|| format!("clear {}", run.display()))?;
        }
        Ok(Place(run))
    }

    /// A fresh directory for a test.
    pub fn scratch() -> Result<Self> {
        end_stale_runs();
        let parent = paths::scratch_runs();
        fs::create_dir_all(&parent).with_context(|| format!("create {}", parent.display()))?;
        let run = tempfile::Builder::new()
            .prefix("run-")
            .disable_cleanup(true)
            .tempdir_in(&parent)
            .with_context(|| format!("create a run in {}", parent.display()))?;
        own(run.path())?;
        Ok(Place(run.path().to_owned()))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn into_run_dir(self) -> Result<PathBuf> {
        for dir in ["pids", "logs", "audit"] {
            let dir = self.0.join(dir);
            fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        }
        own(&self.0)?;
        Ok(self.0)
    }
}

/// Writes down that this process has made the run.
fn own(run: &Path) -> Result<()> {
    let own = std::process::id();
    let start = process::start_time(own).unwrap_or_default();
    fs::write(run.join("owner"), format!("{own} {start}\n")).context("write the owner")
}

/// Ends what test runs left behind whose owner is gone, and forgets those that were not
/// kept on purpose. Returns the names of the processes ended.
pub fn end_stale_runs() -> Vec<String> {
    let Ok(runs) = fs::read_dir(paths::scratch_runs()) else {
        return Vec::new();
    };
    let mut ended = Vec::new();
    for run in runs.flatten().map(|entry| entry.path()) {
        if owner_lives(&run) {
            continue;
        }
        ended.extend(process::end_recorded(&run, &[], Duration::ZERO));
        if !super::failure::is_kept(&run) {
            let _ = fs::remove_dir_all(&run);
        }
    }
    ended
}

fn owner_lives(run: &Path) -> bool {
    let Ok(text) = fs::read_to_string(run.join("owner")) else {
        // Being made at this moment, or torn: young ones are left alone.
        let age = fs::metadata(run)
            .and_then(|m| m.modified())
            .ok()
            .and_then(|m| m.elapsed().ok());
        return age.is_none_or(|age| age < Duration::from_secs(600));
    };
    let Some((pid, start)) = text.trim_end().split_once(' ') else {
        return false;
    };
    pid.parse().ok().and_then(process::start_time).as_deref() == Some(start)
}

/// The ports of a run, all on loopback. They stay the same when a part is restarted.
#[derive(Clone, Debug)]
pub struct Ports {
    /// kube-apiserver.
    pub apiserver: u16,
    /// Kyverno's hooks.
    pub kyverno: u16,
    /// Kyverno's metrics (plain HTTP).
    pub kyverno_metrics: u16,
    /// Metrics of Kyverno's reports controller (plain HTTP).
    pub reports_metrics: u16,
    /// The witness's hooks.
    pub webhook: u16,
    /// The witness's exhibits.
    pub exhibits: u16,
    /// The witness's door for the aggregated API.
    pub webhook_api: u16,
    /// The witness's health and metrics (plain HTTP).
    pub webhook_admin: u16,
    /// The reporter's `/audit`.
    pub audit: u16,
    /// The reporter's REST door.
    pub rest: u16,
    /// The reporter's side of the aggregated API.
    pub reporter_api: u16,
    /// The reporter's health and metrics (plain HTTP).
    pub reporter_admin: u16,
}

/// Ports are taken from these. The system gives none of them to those who do not mind
/// which (Linux begins at 32,768): etcd, which does not, would be given one that was found
/// free here and that its plane is about to use.
const FIRST: u16 = 16_000;
const PORTS: u16 = 16_000;

fn free_port() -> Result<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Other processes with planes begin elsewhere.
    let begin = u64::from(std::process::id()) * 97 % u64::from(PORTS);
    let begin = u16::try_from(begin).unwrap_or_default();
    for _ in 0..PORTS {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed) % PORTS;
        let port = FIRST + (begin + given) % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port from {FIRST} on is free")
}

impl Ports {
    /// Free ports, each given out once by this process.
    pub fn free() -> Result<Self> {
        let mut free = (0..12).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
        let mut next = || free.pop().context("more names of ports than ports");
        Ok(Ports {
            apiserver: next()?,
            kyverno: next()?,
            kyverno_metrics: next()?,
            reports_metrics: next()?,
            webhook: next()?,
            exhibits: next()?,
            webhook_api: next()?,
            webhook_admin: next()?,
            audit: next()?,
            rest: next()?,
            reporter_api: next()?,
            reporter_admin: next()?,
        })
    }
}
