//! Without Go there is no control plane; a recorded day is shown instead.

use anyhow::{Context as _, Result};
use docket_tests::{Progress, binaries, paths};
use std::process::{Command, ExitCode};

/// Says why in one sentence, then hands over to the reporter.
pub async fn show(reason: &str) -> Result<ExitCode> {
    eprintln!("{reason}; here is a recorded day instead.");
    let bin = paths::run().join("bin");
    binaries::docket(&bin, &["docket-reporter", "docket"], &Progress::quiet())?;
    let day = paths::repository().join("tests/recorded/day");
    let mut reporter = Command::new(bin.join("docket-reporter"));
    reporter.arg("--replay").arg(day);
    let status = tokio::task::spawn_blocking(move || reporter.status()).await?;
    let status = status.context("run docket-reporter --replay")?;
    Ok(ExitCode::from(u8::from(!status.success())))
}
