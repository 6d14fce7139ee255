//! Starting, stopping, freezing one part.

use super::{ControlPlane, apiserver};
use crate::options::Part;
use crate::process::{self, Process};
use crate::{docket, kyverno};
use anyhow::{Result, bail};
use http::Method;
use rustix::process::Signal;
use std::process::Command;
use std::time::{Duration, Instant};

/// The API server needs 5 s, Kyverno about 10; a loaded machine with two cores far more.
const READY_WITHIN: Duration = Duration::from_secs(120);

impl ControlPlane {
    /// Starts a part and waits until it does its work.
    pub async fn start_part(&self, part: Part) -> Result<()> {
        match part {
            // A killed holder's lease would delay its successor by 12 s.
            Part::Kyverno => kyverno::forget_lease(self, "kyverno").await?,
            Part::ReportsController => {
                kyverno::forget_lease(self, "kyverno-reports-controller").await?;
            }
            _ => {}
        }
        let process = Process::spawn(&self.run, part.name(), self.command(part)?)?;
        self.processes().insert(part, process);
        self.wait_for(part).await
    }

    /// Kills a part at once (SIGKILL), as a crash would.
    pub fn stop_part(&self, part: Part) {
        let process = self.processes().remove(&part);
        if let Some(process) = process {
            process.kill();
        }
    }

    /// Asks a part to end (SIGTERM) and kills it after `grace`.
    pub fn stop_part_gently(&self, part: Part, grace: Duration) {
        let process = self.processes().remove(&part);
        if let Some(process) = process {
            process.terminate(grace);
        }
    }

    /// Freezes a part (SIGSTOP): it keeps its connections and answers nothing.
    pub fn pause_part(&self, part: Part) -> Result<()> {
        self.signal(part, Signal::STOP)
    }

    /// Lets a frozen part go on (SIGCONT).
    pub fn resume_part(&self, part: Part) -> Result<()> {
        self.signal(part, Signal::CONT)
    }

    fn signal(&self, part: Part, signal: Signal) -> Result<()> {
        match self.processes().get(&part) {
            Some(process) => process.signal(signal),
            None => bail!("{} does not run", part.name()),
        }
    }

    /// True while the part's process runs (a frozen one runs).
    pub fn runs(&self, part: Part) -> bool {
        self.processes()
            .get_mut(&part)
            .is_some_and(|process| process.ended().is_none())
    }

    /// The last lines of a part's log.
    pub fn log_tail(&self, part: Part, lines: usize) -> String {
        process::log_tail(&self.run, part.name(), lines)
    }

    fn command(&self, part: Part) -> Result<Command> {
        match part {
            Part::ApiServer => apiserver::apiserver(self),
            Part::ControllerManager => apiserver::controller_manager(self),
            Part::Kyverno => kyverno::admission(self),
            Part::ReportsController => kyverno::reports(self),
            Part::Webhook => Ok(docket::webhook(self, &self.options)),
            Part::Reporter => Ok(docket::reporter(self, &self.options)),
        }
    }

    async fn wait_for(&self, part: Part) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let ended = self.processes().get_mut(&part).and_then(Process::ended);
            if let Some(status) = ended {
                bail!(
                    "{} ended ({status}):\n{}",
                    part.name(),
                    self.log_tail(part, 15)
                );
            }
            // No answer yet is the usual case while a part starts.
            if self.is_ready(part).await.unwrap_or(false) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} is not ready:\n{}", part.name(), self.log_tail(part, 15));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// True if the part does its work.
    pub async fn is_ready(&self, part: Part) -> Result<bool> {
        let soon = Duration::from_secs(3);
        let healthy = |url: String| async move {
            anyhow::Ok(self.http.get(url).within(soon).send().await?.ok())
        };
        match part {
            Part::ApiServer => Ok(self
                .admin(Method::GET, "/readyz")
                .within(soon)
                .send()
                .await?
                .ok()),
            // The default account of the default namespace is the proof of its work.
            Part::ControllerManager => {
                let path = "/api/v1/namespaces/default/serviceaccounts/default";
                Ok(self
                    .admin(Method::GET, path)
                    .within(soon)
                    .send()
                    .await?
                    .ok())
            }
            Part::Kyverno => kyverno::serves(self).await,
            Part::ReportsController => kyverno::leads(self, "kyverno-reports-controller").await,
            Part::Webhook => {
                healthy(format!(
                    "http://127.0.0.1:{}/readyz",
                    self.ports.webhook_admin
                ))
                .await
            }
            Part::Reporter => {
                healthy(format!(
                    "http://127.0.0.1:{}/readyz",
                    self.ports.reporter_admin
                ))
                .await
            }
        }
    }
}

/// What to say of a part that is ready.
pub(super) fn note(plane: &ControlPlane, part: Part) -> String {
    match part {
        Part::ApiServer => plane.url.clone(),
        Part::Kyverno => format!("https://127.0.0.1:{}", plane.ports.kyverno),
        Part::Webhook => format!("https://127.0.0.1:{}", plane.ports.webhook),
        Part::Reporter => plane.docket_url(),
        Part::ControllerManager | Part::ReportsController => String::new(),
    }
}
