//! What keeps a record: checking it, rebuilding its view, importing, and what the API
//! server needs.

use super::Form;
use clap::ValueEnum;
use std::path::PathBuf;

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
    #[command(flatten)]
    pub output: Form,
}

#[derive(Debug, clap::Args)]
pub struct Reindex {
    /// The ledger's file
    #[arg(long, value_name = "FILE")]
    pub store: PathBuf,
}

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
    #[command(flatten)]
    pub output: Form,
}
