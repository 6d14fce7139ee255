//! First figures: each a ratio to a baseline measured in the same run.
//!
//! No test asserts a time; these commands print tables for people.

mod audit;
mod echo;
mod lag;
mod load;
mod process;
mod reporter;
mod watches;
mod witness;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Docket's parts on this machine.
#[derive(Parser)]
#[command(name = "docket-bench", version)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The witness against a bare TLS echo on the same stack.
    Witness(witness::Args),
    /// Durable audit events through /audit, against a bare endpoint and a plain table.
    Audit(audit::Args),
    /// From a refusal to a watch of the aggregated API, on a whole control plane.
    Lag(lag::Args),
    /// The witness's reviews with and without a thousand open watches beside them.
    Watches(watches::Args),
    /// The echo itself, as a process of its own.
    #[command(hide = true)]
    Echo(echo::Args),
    /// An endpoint that only counts bytes, as a process of its own.
    #[command(hide = true)]
    Sink(reporter::SinkArgs),
    /// A double of the reporter's watches, as a process of its own.
    #[command(hide = true)]
    Double(watches::DoubleArgs),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // Before any TLS configuration is made: rustls asks for it then.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match args.what {
        What::Witness(args) => witness::run(args),
        What::Echo(args) => echo::run(args),
        What::Audit(args) => audit::run(args),
        What::Lag(args) => lag::run(args),
        What::Sink(args) => reporter::sink(args),
        What::Watches(args) => watches::run(args),
        What::Double(args) => watches::double(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
