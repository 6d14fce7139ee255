//! What reads: lists, one record, laws, figures.

use super::Output;
use super::select::{Denials, Findings, Period};
use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    pub denials: Denials,
    /// At most so many; 0: all
    #[arg(long, default_value_t = 50)]
    pub limit: u64,
    #[command(flatten)]
    pub output: Form,
}

/// How to print; every command that reads has it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Form {
    /// table, wide, json, jsonl (one a line) or yaml
    #[arg(short, long, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
}

#[derive(Debug, clap::Args)]
pub struct Tail {
    #[command(flatten)]
    pub denials: Denials,
    /// Begin with so many that are there already
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub last: u64,
    #[command(flatten)]
    pub output: Form,
}

#[derive(Debug, clap::Args)]
pub struct Summary {
    #[command(flatten)]
    pub denials: Denials,
    #[command(flatten)]
    pub output: Form,
}

#[derive(Debug, clap::Args)]
pub struct Violations {
    #[command(flatten)]
    pub findings: Findings,
    /// At most so many; 0: all
    #[arg(long, default_value_t = 50)]
    pub limit: u64,
    #[command(flatten)]
    pub output: Form,
}

#[derive(Debug, clap::Args)]
pub struct Show {
    /// Id, or its beginning
    pub id: String,
    /// The namespace in which to look (through a kubeconfig)
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Look in all namespaces (through a kubeconfig)
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Look in what you were refused yourself
    #[arg(long, conflicts_with_all = ["namespace", "all_namespaces"])]
    pub mine: bool,
    /// Look in what lies in no namespace
    #[arg(long, conflicts_with_all = ["namespace", "all_namespaces", "mine"])]
    pub cluster: bool,
    /// The whole redacted object, not only its first lines (needs `get denials/evidence`)
    #[arg(long)]
    pub exhibit: bool,
    #[command(flatten)]
    pub output: Form,
}

#[derive(Debug, clap::Args)]
pub struct Why {
    /// The error as it was printed, an Audit-ID, or an id; - reads it from standard input;
    /// without it, your own last denial
    #[arg(value_name = "ERROR")]
    pub error: Vec<String>,
    /// Look in this namespace too, not only among your own
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Look in all namespaces that you may read
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    #[command(flatten)]
    pub output: Form,
}

#[derive(Debug, clap::Args)]
pub struct Law {
    #[command(subcommand)]
    pub command: LawCommand,
}

#[derive(Debug, Subcommand)]
pub enum LawCommand {
    /// The versions of a policy, exception, binding or webhook configuration
    History(LawHistory),
    /// One version in full
    Show(LawShow),
}

#[derive(Debug, clap::Args)]
pub struct LawHistory {
    /// Name of the object
    pub policy: String,
    /// Only of this kind, such as ClusterPolicy
    #[arg(long)]
    pub kind: Option<String>,
    /// Only of this namespace
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// At most so many; 0: all
    #[arg(long, default_value_t = 20)]
    pub limit: u64,
    #[command(flatten)]
    pub output: Form,
}

#[derive(Debug, clap::Args)]
pub struct LawShow {
    /// Id of the law entry
    pub id: String,
    #[command(flatten)]
    pub output: Form,
}

#[derive(Debug, clap::Args)]
pub struct Outcomes {
    /// Name of the policy; else all of the namespace's denials
    pub policy: Option<String>,
    /// The namespace; figures are of one at a time
    #[arg(short, long)]
    pub namespace: String,
    #[command(flatten)]
    pub period: Period,
    #[command(flatten)]
    pub output: Form,
}

#[derive(Debug, clap::Args)]
pub struct Gaps {
    #[command(flatten)]
    pub period: Period,
    /// Only those that nothing has closed
    #[arg(long)]
    pub open: bool,
    /// At most so many; 0: all
    #[arg(long, default_value_t = 50)]
    pub limit: u64,
    #[command(flatten)]
    pub output: Form,
}
