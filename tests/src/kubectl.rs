//! The real kubectl, as one of the users.

use crate::plane::ControlPlane;
use anyhow::{Context as _, Result};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Longer than any command needs that does not watch.
const PATIENCE: Duration = Duration::from_secs(60);

/// What kubectl said.
#[derive(Clone, Debug)]
pub struct Said {
    /// It ended without an error.
    pub ok: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Standard output, if it ended without an error.
    pub fn done(self) -> Result<String> {
        anyhow::ensure!(self.ok, "kubectl failed: {}{}", self.out, self.err);
        Ok(self.out)
    }
}

impl ControlPlane {
    /// kubectl as `user`, not yet started: for a watch.
    pub fn kubectl_command(&self, user: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .env("KUBECONFIG", self.kubeconfig())
            // Discovery is kept on disk; each run has its own.
            .env("KUBECACHEDIR", self.run_dir().join("kube-cache"))
            .env("HOME", self.run_dir())
            .args(["--context", user])
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs kubectl as `user` to its end.
    pub async fn kubectl(&self, user: &str, arguments: &[&str]) -> Result<Said> {
        let ending = self.kubectl_command(user, arguments).output();
        let output = tokio::time::timeout(PATIENCE, ending)
            .await
            .with_context(|| format!("kubectl {arguments:?} did not end"))?
            .context("run kubectl: it must be on PATH")?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said {
            ok: output.status.success(),
            out: text(output.stdout),
            err: text(output.stderr),
        })
    }
}
