//! The recorded day in the real reporter: while Go builds the control plane, and instead of
//! one where there is no Go.

use crate::screen::Screen;
use crate::show;
use anyhow::{Context as _, Result};
use docket_tests::plane::Place;
use docket_tests::{Progress, binaries, day, replay};
use std::pin::pin;
use std::process::ExitCode;

/// A day that was shown; its reporter still answers.
struct Shown {
    replayed: replay::Replay,
    place: Place,
    /// As it should be.
    right: bool,
}

/// Without Go: says why, shows the day, and on a terminal leaves it there until Ctrl-C.
pub async fn instead(reason: &str) -> Result<ExitCode> {
    eprintln!("{reason}; here is a recorded day instead (`docket-reporter --replay`).");
    let screen = Screen::new();
    let shown = Shown::start(&screen, &Progress::visible()).await?;
    if screen.terminal {
        screen.heading("Try it by hand");
        shown.by_hand(&screen);
        screen.line("\n  Ctrl-C ends it and cleans up.");
        tokio::signal::ctrl_c().await.context("wait for Ctrl-C")?;
    }
    shown.replayed.stop();
    Ok(if shown.right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds the control plane, and shows the day meanwhile.
pub async fn while_building(progress: &Progress) -> Result<()> {
    progress.heading("Go builds the control plane; meanwhile, a recorded day");
    eprintln!(
        "  kube-apiserver with etcd, and Kyverno, built once: some 14 minutes on two cores.\n  \
         Here is a recorded day in the real reporter (`docket-reporter --replay`); the real\n  \
         one follows by itself. Ctrl-C ends everything."
    );
    let screen = Screen::new();
    let mut building = pin!(binaries::control_plane(progress));
    progress.hold();
    let shown = tokio::select! {
        biased;
        // Little was missing.
        built = &mut building => {
            progress.let_go();
            return built.map(drop);
        }
        shown = Shown::start(&screen, progress) => shown,
    };
    match &shown {
        Ok(shown) if screen.terminal => {
            screen.heading("Try it by hand, until the control plane is built");
            shown.by_hand(&screen);
        }
        Ok(_) => {}
        // It is in nobody's way.
        Err(error) => eprintln!("The recorded day cannot be shown: {error:#}"),
    }
    progress.heading("\nGo still builds the control plane; then the real day begins by itself");
    progress.let_go();
    building.await?;
    if let Ok(shown) = shown {
        shown.replayed.stop();
    }
    progress.heading("\nThe control plane is built; the recorded day ends here");
    Ok(())
}

impl Shown {
    async fn start(screen: &Screen, progress: &Progress) -> Result<Self> {
        let place = Place::scratch()?;
        let replayed = replay::Replay::start(place.path(), &replay::day(), progress).await?;
        let records = replayed.denials().await?;

        screen.heading("What was refused (a recorded day)");
        show::docket(screen, replayed.docket_command(&["list"]), &["list"]).await?;
        let one = show::told(&records);
        screen.heading("One of them in full");
        let args = ["show", &one];
        show::docket(screen, replayed.docket_command(&args), &args).await?;
        screen.heading("The proof");
        let verify = replayed.docket_command(&["verify"]);
        let proved = show::docket(screen, verify, &["verify"]).await?;

        let verdict = day::check_records(&day::writes(), &records);
        screen.heading("The check");
        show::verdict(screen, &verdict, proved);
        Ok(Shown {
            replayed,
            place,
            right: verdict.wrong.is_empty() && proved,
        })
    }

    /// Commands for a person.
    fn by_hand(&self, screen: &Screen) {
        screen.line(&format!(
            "  export DOCKET_URL={} DOCKET_TOKEN={}",
            self.replayed.url, self.replayed.token
        ));
        screen.line(&format!(
            "  {}/bin/docket list",
            self.place.path().display()
        ));
    }
}
