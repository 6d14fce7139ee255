//! The command line.

mod examples;
pub mod export;
mod keeping;
mod reading;
pub mod select;
mod when;

pub use export::Export;
pub use keeping::{AuditConfig, Distribution, Format, Import, Reindex, Verify};
pub use reading::{
    Form, Gaps, Law, LawCommand, LawHistory, LawShow, List, Outcomes, Show, Summary, Tail,
    Violations, Why,
};

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

/// Denials of Krate's admission control: who was refused what, by which policy, and the
/// proof that the record is whole.
#[derive(Debug, Parser)]
#[command(
    name = "docket",
    version,
    max_term_width = 100,
    after_help = "After `make up`: `. target/run/env` sets DOCKET_URL, DOCKET_CA and DOCKET_TOKEN.\n\
                  Exit codes: 0 done, 1 what was asked about is wrong (tampered, not found), 2 could not do it."
)]
pub struct Args {
    #[command(flatten)]
    pub server: Server,
    #[command(flatten)]
    pub terminal: Terminal,
    #[command(subcommand)]
    pub command: Command,
}

/// Which server, and as whom: a reporter by its address, or a cluster by a kubeconfig.
#[derive(Debug, clap::Args)]
pub struct Server {
    /// Address of the reporter, https://host:port; without it, the kubeconfig's cluster
    #[arg(long, global = true, env = "DOCKET_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Certificates of the authority that signed the server's (PEM); else the system's
    #[arg(long, global = true, env = "DOCKET_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Bearer token of the cluster; better given as DOCKET_TOKEN, which `ps` does not show
    #[arg(
        long,
        global = true,
        env = "DOCKET_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<String>,
    /// Go through this cluster's API server, with its credentials; else KUBECONFIG or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; else its current one
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Called as a kubectl plugin: the kubeconfig comes before the environment's address.
    #[arg(skip)]
    pub plugin: bool,
}

/// How to use a terminal.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Terminal {
    /// Print what is longer than the terminal at once; else PAGER shows it
    #[arg(long, global = true)]
    pub no_pager: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List denials, newest first
    #[command(visible_alias = "ls", after_help = examples::LIST)]
    List(Box<List>),
    /// Print denials as they happen
    #[command(after_help = examples::TAIL)]
    Tail(Box<Tail>),
    /// Show one denial in full
    #[command(after_help = examples::SHOW)]
    Show(Show),
    /// Say why you were refused, and what to do about it
    #[command(after_help = examples::WHY)]
    Why(Why),
    /// Count denials: by policy, namespace, kind, enforcer and repository
    #[command(after_help = examples::SUMMARY)]
    Summary(Box<Summary>),
    /// Show the versions of a policy, what changed, and who changed it
    #[command(after_help = examples::LAW)]
    Law(Law),
    /// List what was refused beside what stands though a policy objects
    #[command(after_help = examples::VIOLATIONS)]
    Violations(Box<Violations>),
    /// Show what came of a policy's denials: how soon, how many, by changing what
    #[command(after_help = examples::OUTCOMES)]
    Outcomes(Outcomes),
    /// Show where the record may be incomplete, and why
    #[command(after_help = examples::GAPS)]
    Gaps(Gaps),
    /// Check that nothing was changed, added, removed or swapped
    #[command(after_help = examples::VERIFY)]
    Verify(Verify),
    /// Write denials out for other programs, once or as they happen
    #[command(after_help = examples::EXPORT)]
    Export(Box<Export>),
    /// Put audit logs on record that the API server did not send: log files, EKS, AKS, GKE
    #[command(after_help = examples::IMPORT)]
    Import(Import),
    /// Rebuild the view of a ledger's file that no reporter holds
    #[command(after_help = examples::REINDEX)]
    Reindex(Reindex),
    /// Print what the API server needs to send its audit events here
    #[command(after_help = examples::AUDIT_CONFIG)]
    AuditConfig(AuditConfig),
    /// Print the completions of a shell
    #[command(after_help = examples::COMPLETION)]
    Completion {
        /// bash, zsh, fish, elvish or powershell
        shell: Shell,
    },
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For people with room
    Wide,
    /// For programs: one document
    Json,
    /// For programs: one object a line
    Jsonl,
    /// For people and programs
    Yaml,
}

#[cfg(test)]
mod tests {
    use super::Args;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent_with_itself() {
        Args::command().debug_assert();
    }
}
