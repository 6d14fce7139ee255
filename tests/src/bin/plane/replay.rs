//! Without Go there is no control plane; a recorded day is shown instead.

use crate::screen::Screen;
use crate::show;
use anyhow::{Context as _, Result};
use docket_tests::plane::Place;
use docket_tests::{Progress, day, replay};
use std::process::ExitCode;

/// Says why in one sentence, then shows the day in the real reporter.
pub async fn show(reason: &str) -> Result<ExitCode> {
    eprintln!("{reason}; here is a recorded day instead (`docket-reporter --replay`).");
    let place = Place::scratch()?;
    let progress = Progress::visible();
    let replayed = replay::Replay::start(place.path(), &replay::day(), &progress).await?;
    let screen = Screen::new();
    let records = replayed.denials().await?;

    screen.heading("What was refused (replay)");
    show::docket(&screen, replayed.docket_command(&["list"]), &["list"]).await?;
    let one = show::told(&records);
    screen.heading("One of them in full");
    show::docket(
        &screen,
        replayed.docket_command(&["show", &one]),
        &["show", &one],
    )
    .await?;
    screen.heading("The proof");
    let verify = replayed.docket_command(&["verify"]);
    let proved = show::docket(&screen, verify, &["verify"]).await?;

    let verdict = day::check_records(&day::writes(), &records);
    screen.heading("The check");
    show::verdict(&screen, &verdict, proved);
    if screen.terminal {
        screen.heading("Try it by hand");
        screen.line(&format!(
            "  export DOCKET_URL={} DOCKET_TOKEN={}",
            replayed.url, replayed.token
        ));
        screen.line(&format!("  {}/bin/docket list", place.path().display()));
        screen.line("\n  Ctrl-C ends it and cleans up.");
        tokio::signal::ctrl_c().await.context("wait for Ctrl-C")?;
    }
    replayed.stop();
    let right = verdict.wrong.is_empty() && proved;
    Ok(if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
