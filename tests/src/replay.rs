//! A recorded day in the real reporter, without any control plane.

use crate::call::Http;
use crate::process::{Process, Watchdog};
use crate::progress::Progress;
use crate::run::eventually;
use crate::{binaries, paths, process};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Where the recorded day lies.
pub fn day() -> PathBuf {
    paths::repository().join("tests/recorded/day")
}

/// A reporter that shows a recorded day.
#[derive(Debug)]
pub struct Replay {
    run: PathBuf,
    /// URL of its REST door.
    pub url: String,
    /// The one token that it takes.
    pub token: String,
    process: Process,
    // Its work is to be dropped after everything else.
    _watchdog: Watchdog,
}

impl Replay {
    /// Starts the reporter on `day`, its files in `run`.
    pub async fn start(run: &Path, day: &Path, progress: &Progress) -> Result<Self> {
        let watchdog = Watchdog::start(run)?;
        binaries::docket(&run.join("bin"), progress)?;
        let mut command = Command::new(run.join("bin/docket-reporter"));
        command.arg("--replay").arg(day);
        // Its store too is gone with the run, however it ends.
        command.env("TMPDIR", run);
        let mut process = Process::spawn(run, "docket-reporter", command)?;
        let (url, token) = eventually("the replay is ready", Duration::from_secs(60), || {
            let ended = process.ended();
            let said = std::fs::read_to_string(process::log_file(run, "docket-reporter"));
            async move {
                if let Some(status) = ended {
                    anyhow::bail!("docket-reporter --replay ended ({status})");
                }
                let said = said.unwrap_or_default();
                let line = |name: &str| {
                    said.lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::to_owned)
                };
                Ok(line("DOCKET_URL=").zip(line("DOCKET_TOKEN=")))
            }
        })
        .await
        .with_context(|| process::log_tail(run, "docket-reporter", 8))?;
        Ok(Replay {
            run: run.to_owned(),
            url,
            token,
            process,
            _watchdog: watchdog,
        })
    }

    /// All records, oldest first.
    pub async fn denials(&self) -> Result<Vec<Value>> {
        let http = Http::new(&[], None)?;
        let call = http
            .get(format!("{}/api/policy-denials", self.url))
            .query("limit", "200");
        let page = call.token(&self.token).send().await?.expect_code(200)?.body;
        anyhow::ensure!(
            page["hasMore"] != true,
            "a recorded day has at most 200 denials"
        );
        let mut items = page["items"]
            .as_array()
            .cloned()
            .context("the answer has no items")?;
        items.reverse();
        Ok(items)
    }

    /// The real `docket` against it.
    pub fn docket_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.run.join("bin/docket"));
        command
            .args(args)
            .env("DOCKET_URL", &self.url)
            .env("DOCKET_TOKEN", &self.token)
            .env_remove("DOCKET_CA")
            .env("XDG_STATE_HOME", self.run.join("state"));
        command
    }

    /// Runs it and takes what it prints.
    pub async fn docket(&self, args: &[&str]) -> Result<Output> {
        let mut command = self.docket_command(args);
        tokio::task::spawn_blocking(move || command.output().context("run docket")).await?
    }

    /// Ends the reporter.
    pub fn stop(self) {
        self.process.terminate(Duration::from_secs(3));
    }
}
