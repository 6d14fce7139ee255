//! `plane run`: the whole thing in one command, from nothing to a denial that is proved.

use crate::{replay, screen::Screen, show};
use anyhow::Result;
use docket_tests::binaries::{self, GoError};
use docket_tests::krate::ACME;
use docket_tests::plane::Place;
use docket_tests::{ControlPlane, Options, Progress, day};
use std::process::ExitCode;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};

/// Ended by Ctrl-C, as shells say it.
const INTERRUPTED: u8 = 130;

pub async fn run() -> Result<ExitCode> {
    let progress = Progress::visible();
    match binaries::ready_or_buildable() {
        Ok(true) => {}
        Ok(false) => {
            if unless_interrupted(replay::while_building(&progress))
                .await?
                .is_none()
            {
                return Ok(ExitCode::from(INTERRUPTED));
            }
        }
        Err(error) => {
            let Some(reason) = error.downcast_ref::<GoError>() else {
                return Err(error);
            };
            return replay::instead(&reason.to_string()).await;
        }
    }
    let Some(plane) = unless_interrupted(bring_up(&progress)).await? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };

    let screen = Screen::new();
    let done = match unless_interrupted(follow_through(&plane, &screen)).await {
        Ok(code) => Ok(code.unwrap_or(ExitCode::from(INTERRUPTED))),
        Err(error) => Err(error),
    };
    if screen.terminal {
        eprintln!("\nCleaning up.");
    }
    if done.as_ref().is_ok_and(|code| *code != ExitCode::FAILURE) {
        plane.stop();
    } else {
        let kept = plane.keep();
        eprintln!("Logs are kept: {}", kept.display());
    }
    done
}

/// `None`: Ctrl-C came first. What was under way is dropped, which ends its processes.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    // Before anything has begun.
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        biased;
        done = work => done.map(Some),
        _ = interrupt.recv() => {
            eprintln!("\nEnded by Ctrl-C.");
            Ok(None)
        }
    }
}

async fn bring_up(progress: &Progress) -> Result<ControlPlane> {
    progress.heading("Starting a control plane with Kyverno and Docket");
    // Nobody wants to wait a minute here to be told who else denied.
    let options = Options {
        audit_file_source: true,
        reporter_flags: vec!["--others-wait=5s".to_owned()],
        ..Options::default()
    };
    let plane = ControlPlane::start_in(Place::run()?, options, progress).await?;
    let policies = Instant::now();
    plane.apply_policies(&day::policies()?).await?;
    progress.done(
        "policies in force",
        policies,
        "deploy/policies, tests/controlplane/demo",
    );
    Ok(plane)
}

async fn follow_through(plane: &ControlPlane, screen: &Screen) -> Result<ExitCode> {
    screen.heading("A day at court");
    let mut done = Vec::new();
    for step in day::writes() {
        let step = day::perform(plane, step).await?;
        show::write(screen, &step);
        done.push(step);
    }
    let records = day::records(plane, &done).await?;
    let steps: Vec<day::Step> = done.iter().map(|done| done.step.clone()).collect();
    let settled = day::next::settled(plane, &steps).await?;
    day::next::audited(plane).await?;

    screen.heading("What was refused");
    show::command(plane, screen, &["list"]).await?;
    let one = show::told(&settled);
    screen.heading("One of them in full: two webhooks denied it, by which law, and what it was");
    show::command(plane, screen, &["show", &one]).await?;
    screen.heading("Its Kubernetes Event");
    let told = settled.iter().find(|record| record["id"] == *one);
    show::event(plane, screen, told.unwrap_or(&settled[0])).await?;
    screen.heading("What a developer sees of it, with her own rights");
    let hers = records.iter().filter(|one| one["namespace"] == ACME);
    let listed = show::kubectl(plane, screen, ACME, hers.count()).await?;
    let explained = show::why(plane, screen).await?;
    screen.heading("What happened next");
    let outcomes = ["outcomes", "require-pr-description", "-n", ACME];
    show::command(plane, screen, &outcomes).await?;
    screen.heading("What audit mode finds, beside what was denied");
    show::command(plane, screen, &["violations", "-n", ACME]).await?;
    screen.heading("The proof");
    let proved = show::command(plane, screen, &["verify"]).await?;
    let gaps = show::command(plane, screen, &["gaps"]).await?;

    let verdict = day::check(&done, &records);
    let faults = day::next::faults(&steps, &settled);
    screen.heading("The check");
    show::verdict(screen, &verdict, proved);
    show::learned(screen, &faults);
    let read = listed != Some(false) && explained;
    show::read(screen, read);
    if !read || !verdict.wrong.is_empty() || !faults.is_empty() || !proved || !gaps {
        return Ok(ExitCode::FAILURE);
    }
    if screen.terminal {
        screen.heading("Try it by hand");
        show::by_hand(plane, screen);
        // Ctrl-C is the end that was asked for.
        tokio::select! {
            failed = show::follow(plane, screen, records.len()) => failed?,
            signal = tokio::signal::ctrl_c() => signal?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
