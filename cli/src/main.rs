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
mod failure;
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
mod table;
mod text;
mod violations;
mod yaml;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The only provider; a second call could only find the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = args::Args::parse();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.code()
        }
    }
}

fn run(args: args::Args) -> Result<(), failure::Failure> {
    let args::Args { server, command } = args;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failure::could_not("the runtime could not be started"))?;
    runtime.block_on(async {
        match command {
            args::Command::List(list) => list::run(&server, list).await,
            args::Command::Violations(asked) => violations::run(&server, asked).await,
            args::Command::Show(show) => show::run(&server, show).await,
            args::Command::Outcomes(asked) => outcomes::run(&server, asked).await,
            args::Command::Gaps(gaps) => gaps::run(&server, gaps).await,
            args::Command::Law(law) => law::run(&server, law).await,
            args::Command::Verify(args::Verify {
                store: Some(file),
                checkpoint,
                key,
            }) => store::verify(&file, checkpoint.as_deref(), key.as_deref()),
            args::Command::Verify(verify) => remote::run(&server, verify).await,
            args::Command::Reindex(reindex) => store::reindex(&reindex.store),
            args::Command::AuditConfig(config) => audit_config::run(&config),
            args::Command::Import(import) => import::run(&server, import).await,
        }
    })
}
