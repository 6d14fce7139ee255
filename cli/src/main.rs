//! `docket`: denials in the terminal, and the proof that none was changed.
//!
//! ```text
//!  args ─▶ list | violations | show | outcomes | gaps ─▶ client (HTTPS) ─▶ table, text ─▶ terminal
//!        ├ verify ─▶ remote (over HTTPS, nothing believed) or store (a ledger's file)
//!        ├ reindex ─▶ store
//!        ├ audit-config ─▶ what the API server needs
//!        └ import ─▶ files, records ─▶ client, the other way
//! ```
//!
//! Exit codes: 0 done; 1 the thing asked about is wrong (tampered, not found); 2 could
//! not do it.

mod args;
mod audit_config;
mod client;
mod completion;
mod door;
mod export;
mod failure;
mod forms;
mod gaps;
mod import;
mod known;
mod law;
mod list;
mod outcomes;
mod remote;
mod screen;
mod show;
mod store;
mod summary;
mod table;
mod tail;
mod text;
mod violations;
mod why;
mod yaml;

use clap::{CommandFactory as _, FromArgMatches as _, parser::ValueSource};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The only provider; a second call could only find the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = read();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.code()
        }
    }
}

/// The command line. Under the name `kubectl-docket` it is kubectl's plugin, which asks the
/// kubeconfig's cluster, whatever address the environment names.
fn read() -> args::Args {
    let called = std::env::args_os().next().unwrap_or_default();
    let plugin = Path::new(&called)
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("kubectl-"));
    let mut command = args::Args::command();
    if plugin {
        command = command.bin_name("kubectl docket");
    }
    let matches = command.get_matches();
    let named = matches.value_source("url") == Some(ValueSource::CommandLine);
    let mut args = args::Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    args.server.plugin = plugin && !named;
    args
}

fn run(args: args::Args) -> Result<(), failure::Failure> {
    let args::Args {
        server,
        terminal,
        command,
    } = args;
    if terminal.no_pager {
        screen::never_page();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failure::could_not("the runtime could not be started"))?;
    runtime.block_on(async {
        match command {
            args::Command::List(list) => list::run(&server, list).await,
            args::Command::Tail(tail) => tail::run(&server, tail).await,
            args::Command::Violations(asked) => violations::run(&server, asked).await,
            args::Command::Show(show) => show::run(&server, show).await,
            args::Command::Summary(asked) => summary::run(&server, asked).await,
            args::Command::Outcomes(asked) => outcomes::run(&server, asked).await,
            args::Command::Gaps(gaps) => gaps::run(&server, gaps).await,
            args::Command::Law(law) => law::run(&server, law).await,
            args::Command::Verify(args::Verify {
                store: Some(file),
                checkpoint,
                key,
                output,
            }) => store::verify(&file, checkpoint.as_deref(), key.as_deref(), output),
            args::Command::Verify(verify) => remote::run(&server, verify).await,
            args::Command::Reindex(reindex) => store::reindex(&reindex.store),
            args::Command::AuditConfig(config) => audit_config::run(&config),
            args::Command::Import(import) => import::run(&server, import).await,
            args::Command::Completion { shell } => completion::run(shell),
            args::Command::Why(why) => why::run(&server, why).await,
            args::Command::Export(export) => export::run(&server, export).await,
        }
    })
}
