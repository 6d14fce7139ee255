//! `plane up` and `plane down`.

use anyhow::{Context as _, Result};
use docket_tests::plane::{Place, end_stale_runs};
use docket_tests::{ControlPlane, Options, Part, Progress, paths, process, users};
use std::process::ExitCode;
use std::time::Duration;

pub async fn up(without_docket: bool) -> Result<ExitCode> {
    let progress = Progress::visible();
    let alive = process::alive(&paths::run());
    if alive.len() >= 4 {
        progress.heading("A plane is up already; `make down` ends it.");
        return Ok(ExitCode::SUCCESS);
    }
    // Half a plane is none.
    process::end_recorded(&paths::run(), &[], Duration::ZERO);
    progress.heading("Starting a control plane with Kyverno and Docket");
    let options = if without_docket {
        Options::without_docket()
    } else {
        Options {
            audit_file_source: true,
            ..Options::default()
        }
    };
    let plane = ControlPlane::start_in(Place::run()?, options, &progress).await?;
    progress.heading("\nUp. To try it by hand:");
    eprint!("{}", by_hand(without_docket));
    plane.detach()?;
    Ok(ExitCode::SUCCESS)
}

fn by_hand(without_docket: bool) -> String {
    let mut text = String::from("  . target/run/env\n  kubectl config get-contexts\n");
    if !without_docket {
        text.push_str("  target/run/bin/docket list\n");
    }
    for user in users::USERS {
        text.push_str(&format!(
            "  kubectl --context {:<8} …  # {}\n",
            user.name, user.who
        ));
    }
    text.push_str("  make down\n");
    text
}

pub fn down() -> Result<ExitCode> {
    let run = paths::run();
    let gently = [Part::Webhook.name(), Part::Reporter.name()];
    let mut ended = process::end_recorded(&run, &gently, Duration::from_secs(5));
    ended.extend(end_stale_runs());
    if run.exists() {
        std::fs::remove_dir_all(&run).with_context(|| format!("remove {}", run.display()))?;
    }
    match ended.len() {
        0 => eprintln!("Nothing was up."),
        count => eprintln!("Ended {count} processes: {}.", ended.join(", ")),
    }
    Ok(ExitCode::SUCCESS)
}
