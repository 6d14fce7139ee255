//! The command line.

use clap::{Parser, Subcommand, ValueEnum};
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
    #[command(subcommand)]
    pub command: Command,
}

/// Which server, and as whom.
#[derive(Debug, clap::Args)]
pub struct Server {
    /// Address of the reporter, https://host:port
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
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List denials, newest first
    #[command(visible_alias = "ls", after_help = LIST_EXAMPLES)]
    List(Box<List>),
    /// List what was refused beside what stands though a policy objects
    #[command(after_help = VIOLATIONS_EXAMPLES)]
    Violations(Box<Violations>),
    /// Show one denial in full
    #[command(after_help = SHOW_EXAMPLES)]
    Show(Show),
    /// Show what came of a policy's denials: how soon, how many, by changing what
    #[command(after_help = OUTCOMES_EXAMPLES)]
    Outcomes(Outcomes),
    /// Show where the record may be incomplete, and why
    #[command(after_help = GAPS_EXAMPLES)]
    Gaps(Gaps),
    /// Show the versions of a policy, what changed, and who changed it
    #[command(after_help = LAW_EXAMPLES)]
    Law(Law),
    /// Check that nothing was changed, added, removed or swapped
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Verify),
    /// Rebuild the view of a ledger's file that no reporter holds
    #[command(after_help = REINDEX_EXAMPLES)]
    Reindex(Reindex),
    /// Put audit logs on record that the API server did not send: log files, EKS, AKS, GKE
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Import),
    /// Print what the API server needs to send its audit events here
    #[command(after_help = AUDIT_CONFIG_EXAMPLES)]
    AuditConfig(AuditConfig),
}

const LIST_EXAMPLES: &str = "Examples:
  docket list                                  what you may read, the newest 50
  docket list -n krate-org-acme --since 2h     one namespace, the last two hours
  docket list --org acme --policy require-pr-description
  docket list --actor alice --verdict denied --dry-run false -o wide
  docket list --limit 0 -o json                everything, for a program";

const VIOLATIONS_EXAMPLES: &str = "Examples:
  docket violations                            denied writes and audit findings, newest first
  docket violations -n krate-org-acme --mode audit
  docket violations --policy require-pr-description -o wide
WHAT: `denied`, a write was refused and no object came of it; `audit: fail`, the object exists,
the policy only reports; `enforce: fail`, it exists and would be refused today.";

const LAW_EXAMPLES: &str = "Examples:
  docket law history require-pr-description     its versions, newest first, with a diff
  docket law history kyverno-resource-validating-webhook-cfg
  docket law show ID                            the whole text of one version";

const SHOW_EXAMPLES: &str = "Examples:
  docket show k3j5zq2a          by the beginning of its id, as `docket list` prints it
  docket show k3j5zq2a --exhibit   with all that was kept of the object
  docket show k3j5zq2a -o json";

const OUTCOMES_EXAMPLES: &str = "Examples:
  docket outcomes require-pr-description -n krate-org-acme
  docket outcomes -n krate-org-acme --since 7d       all policies together";

const GAPS_EXAMPLES: &str = "Examples:
  docket gaps                   all of them, newest first
  docket gaps --since 7d --open";

const VERIFY_EXAMPLES: &str = "Examples:
  docket verify                                   over HTTPS; the server's word is not believed
  docket verify --checkpoint published.txt        … and against a checkpoint that you kept
  docket verify --store ledger.db --key KEY       a ledger's file, its view included
Exit codes: 0 intact, 1 tampered (and where), 2 could not check.";

const REINDEX_EXAMPLES: &str = "Examples:
  docket reindex --store ledger.db";

const IMPORT_EXAMPLES: &str = "Examples:
  docket import /var/log/kubernetes/audit/*.log*      rotated and compressed ones too
  aws logs filter-log-events --log-group-name /aws/eks/prod/cluster \
    --log-stream-name-prefix kube-apiserver-audit | docket import -
  docket import insights-logs-kube-audit/**/PT1H.json AKS, from a storage account
  gcloud logging read 'resource.type=k8s_cluster AND …' --format=json | docket import -
The same file may be imported again: what is on record stays as it is. docs/import.md has more.
Exit codes: 0 all of it, 1 some records could not be read (and which), 2 could not import.";

const AUDIT_CONFIG_EXAMPLES: &str = "Examples:
  docket audit-config kubeadm --audit-url https://10.0.0.7:9443/audit
  docket audit-config k3s --audit-url https://10.0.0.7:9443/audit --write docket-k3s
  docket audit-config rke2 --piece audit-policy.yaml
  docket audit-config eks                      what to do where the API server is not yours";

/// How the cluster was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Distribution {
    /// Static pods by kubeadm
    Kubeadm,
    /// k3s
    K3s,
    /// Kubernetes in Docker
    Kind,
    /// RKE2
    Rke2,
    /// Amazon: its API server is not yours to configure
    Eks,
    /// Azure: the same
    Aks,
    /// Google: the same
    Gke,
}

#[derive(Debug, clap::Args)]
pub struct AuditConfig {
    /// How the cluster was made
    #[arg(value_enum)]
    pub distribution: Distribution,
    /// Where the API server reaches the reporter's /audit
    #[arg(long, value_name = "URL")]
    pub audit_url: Option<String>,
    /// Host of the webhook, with its port unless that is 443; as in its registration
    #[arg(long, value_name = "HOST")]
    pub webhook: Option<String>,
    /// Directory of the files, as the API server sees it
    #[arg(long, value_name = "DIR")]
    pub dir: Option<String>,
    /// Directory of the audit log, as the API server sees it
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<String>,
    /// Write the files to this directory instead of printing them
    #[arg(long, value_name = "DIR", conflicts_with = "piece")]
    pub write: Option<PathBuf>,
    /// Print this file only
    #[arg(long, value_name = "NAME")]
    pub piece: Option<String>,
}

/// Whose export a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// kube-apiserver's own events: log lines, EventLists
    Kubernetes,
    /// CloudWatch Logs of EKS
    Eks,
    /// Azure Monitor of AKS
    Aks,
    /// Cloud Logging of GKE
    Gke,
}

#[derive(Debug, clap::Args)]
pub struct Import {
    /// Files, plain or gzip; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Take records of this form only; else each record is told by what it holds
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// table or json
    #[arg(short, long, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For people with room
    Wide,
    /// For programs
    Json,
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Only this namespace
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// All namespaces that you may read (as without -n)
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Only the namespaces of this org
    #[arg(long)]
    pub org: Option<String>,
    /// From then on: 2h, 7d, or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Name of a policy
    #[arg(long)]
    pub policy: Option<String>,
    /// Name of a rule
    #[arg(long)]
    pub rule: Option<String>,
    /// Kind of the object, such as PullRequest
    #[arg(long)]
    pub kind: Option<String>,
    /// Name of the object
    #[arg(long)]
    pub name: Option<String>,
    /// Krate repository
    #[arg(long)]
    pub repository: Option<String>,
    /// Krate surface, such as pr
    #[arg(long)]
    pub surface: Option<String>,
    /// User name
    #[arg(long)]
    pub actor: Option<String>,
    /// Who said no, such as kyverno
    #[arg(long)]
    pub enforcer: Option<String>,
    /// denied, unavailable, unknown, failedOpen or excepted
    #[arg(long)]
    pub verdict: Option<String>,
    /// CREATE, UPDATE, DELETE or CONNECT
    #[arg(long)]
    pub operation: Option<String>,
    /// true: only dry runs; false: none
    #[arg(long, value_name = "BOOL")]
    pub dry_run: Option<bool>,
    /// At most so many; 0: all
    #[arg(long, default_value_t = 50)]
    pub limit: u64,
    /// table, wide or json
    #[arg(short, long, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
}

#[derive(Debug, clap::Args)]
pub struct Violations {
    /// Only this namespace
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// All namespaces that you may read (as without -n)
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Only the namespaces of this org
    #[arg(long)]
    pub org: Option<String>,
    /// Seen from then on: 2h, 7d, or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Last seen before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Name of a policy
    #[arg(long)]
    pub policy: Option<String>,
    /// Name of a rule
    #[arg(long)]
    pub rule: Option<String>,
    /// Kind of the object, such as PullRequest
    #[arg(long)]
    pub kind: Option<String>,
    /// Name of the object
    #[arg(long)]
    pub name: Option<String>,
    /// Krate repository
    #[arg(long)]
    pub repository: Option<String>,
    /// critical, high, medium, low or info
    #[arg(long)]
    pub severity: Option<String>,
    /// fail, warn or error
    #[arg(long)]
    pub result: Option<String>,
    /// audit: the policy only reports; enforce: it refuses
    #[arg(long)]
    pub mode: Option<String>,
    /// denial or report
    #[arg(long)]
    pub source: Option<String>,
    /// At most so many; 0: all
    #[arg(long, default_value_t = 50)]
    pub limit: u64,
    /// table, wide or json
    #[arg(short, long, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
}

#[derive(Debug, clap::Args)]
pub struct Show {
    /// Id, or its beginning
    pub id: String,
    /// The whole redacted object, not only its first lines (needs `get denials/evidence`)
    #[arg(long)]
    pub exhibit: bool,
    /// table or json
    #[arg(short, long, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
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
    /// table or json
    #[arg(short, long, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
}

#[derive(Debug, clap::Args)]
pub struct LawShow {
    /// Id of the law entry
    pub id: String,
    /// table or json
    #[arg(short, long, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
}

#[derive(Debug, clap::Args)]
pub struct Outcomes {
    /// Name of the policy; else all of the namespace's denials
    pub policy: Option<String>,
    /// The namespace; figures are of one at a time
    #[arg(short, long)]
    pub namespace: String,
    /// Denials from then on: 2h, 7d, or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// table or json
    #[arg(short, long, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
}

#[derive(Debug, clap::Args)]
pub struct Gaps {
    /// From then on: 2h, 7d, or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only those that nothing has closed
    #[arg(long)]
    pub open: bool,
    /// At most so many; 0: all
    #[arg(long, default_value_t = 50)]
    pub limit: u64,
    /// table, wide or json
    #[arg(short, long, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
}

#[derive(Debug, clap::Args)]
pub struct Verify {
    /// A ledger's file, instead of a server
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// A checkpoint that you kept: the ledger must hold all that it held
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Verifier key, <origin>+<hash>+<base64>; else the one seen first at this server
    #[arg(long)]
    pub key: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Reindex {
    /// The ledger's file
    #[arg(long, value_name = "FILE")]
    pub store: PathBuf,
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
