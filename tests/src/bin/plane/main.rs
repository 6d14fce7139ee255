//! `plane`: the real control plane with Docket in it, on one machine.
//!
//! `make up`, `make down`, `make run` and `make record` call it.

mod record;
mod replay;
mod run;
mod screen;
mod show;
mod texts;
mod updown;

use clap::{Parser, Subcommand};
use docket_tests::binaries::GoError;
use std::process::ExitCode;

/// A real kube-apiserver, etcd and Kyverno with Docket in it, on loopback.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything, wait until it is ready, write target/run/env, return.
    Up {
        /// The control plane, Kyverno and Krate's kinds only.
        #[arg(long)]
        without_docket: bool,
    },
    /// End everything that `up` started, also after a crash, and remove target/run.
    Down,
    /// Everything at once: up, a day of writes, the record, the proof. On a terminal it
    /// follows until Ctrl-C; elsewhere it checks, cleans up, and exits 0 if all holds.
    Run,
    /// Record that day's audit events and reviews into tests/recorded.
    Record,
    /// Record what each form of refusal says into tests/recorded/texts, for the line of
    /// Kyverno that KYVERNO names.
    Texts,
}

fn main() -> ExitCode {
    docket_tests::run::install_crypto();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("plane: no runtime: {error}");
            return ExitCode::from(2);
        }
    };
    let done = runtime.block_on(async {
        match Args::parse().command {
            Command::Up { without_docket } => updown::up(without_docket).await,
            Command::Down => updown::down(),
            Command::Run => run::run().await,
            Command::Record => record::record().await,
            Command::Texts => texts::record().await,
        }
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            // One sentence for the usual reason; what works without Go is said by `run`.
            match error.downcast_ref::<GoError>() {
                Some(go) => eprintln!("{go}."),
                None => eprintln!("plane: {error:#}"),
            }
            ExitCode::from(2)
        }
    }
}
