//! `docket-webhook`, the witness: sees every review of a governed write, always
//! allows it at once, and swears to what it saw in the answer's audit annotation.
//!
//! It keeps nothing on disk and waits for nobody. From the socket to the answer:
//!
//! ```text
//!  (docket_host) ──▶ body ──▶ answer ──▶ (docket_record: review, testimony)
//!  accept, TLS,     bounded   the only      │ remembers, in bounded memory
//!  limits           reading   verdict:      ├─▶ exhibits      the object, for the reporter
//!                             allowed       ├─▶ collections   last object of a deletecollection
//!                                           └─▶ numbered      what each number was given for
//! ```
//!
//! `docket_host` follows certificates and keys; `handout` and `admin` are two other
//! listeners, `api` is that of those who read with kubectl, on threads of its own; `run`
//! starts and drains all of it.

mod admin;
mod answer;
mod api;
mod args;
mod asked;
mod body;
mod collections;
mod exhibits;
mod files;
mod handout;
mod labels;
mod metrics;
mod numbered;
mod run;
mod witness;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::Args::parse();
    args.log.start();
    docket_host::log_panics("the witness");
    docket_host::install_crypto_provider();
    match run::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the witness ends: {error:#}");
            ExitCode::FAILURE
        }
    }
}
