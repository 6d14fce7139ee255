//! `docket-webhook`, the witness: sees every review of a governed write, always
//! allows it at once, and swears to what it saw in the answer's audit annotation.
//!
//! It keeps nothing on disk and waits for nobody. From the socket to the answer:
//!
//! ```text
//!  serve ──▶ body ──▶ answer ──▶ (docket_record: review, testimony)
//!  accept,   bounded   the only      │ remembers, in bounded memory
//!  TLS, cap  reading   verdict:      ├─▶ exhibits      the object, for the reporter
//!                      allowed       ├─▶ collections   last object of a deletecollection
//!                                    └─▶ numbered      what each number was given for
//! ```
//!
//! `tls` follows its files and `docket_host` the directory of keys; `handout` and `admin` are two other listeners, `api`
//! is the door of those who read with kubectl, on threads of its own; `run` starts and
//! drains all of it.

mod admin;
mod answer;
mod api;
mod args;
mod asked;
mod body;
mod collections;
mod connections;
mod exhibits;
mod files;
mod handout;
mod labels;
mod metrics;
mod numbered;
mod reload;
mod run;
mod serve;
mod tls;
mod witness;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::Args::parse();
    args.log.start();
    // The default hook prints the message, and a message may quote what was being read.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(
            at = panic.location().map(tracing::field::display),
            "the witness panicked"
        );
    }));
    // Before any TLS configuration is made: rustls asks for it then.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("a TLS provider was installed already");
    }
    match run::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the witness ends: {error:#}");
            ExitCode::FAILURE
        }
    }
}
