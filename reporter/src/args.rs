//! The command line.

use clap::{Args, Parser};
use jiff::SignedDuration;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Keeps the record of denied requests: takes audit events, writes the ledger, serves
/// readers.
#[derive(Debug, Parser)]
#[command(name = "docket-reporter", version)]
pub struct Arguments {
    #[command(flatten)]
    pub(crate) ledger: Ledger,
    #[command(flatten)]
    pub(crate) names: Names,
    #[command(flatten)]
    pub(crate) audit: Audit,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) witness: Witness,
    /// Kubeconfig of the cluster; without it, the pod's service account.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Show a recorded day: on loopback, without a cluster, into a store that goes away.
    #[arg(long, value_name = "DIR")]
    pub(crate) replay: Option<PathBuf>,
    /// Name under which Kubernetes Events name this process; default: the host's name.
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
}

/// Where the record is kept.
#[derive(Debug, Args)]
pub struct Ledger {
    /// The ledger; made if it does not exist. On a local disk.
    #[arg(long, value_name = "FILE", required_unless_present = "replay")]
    pub store: Option<PathBuf>,
    /// Ed25519 key that signs checkpoints; made, readable by its owner only, with a new
    /// store. A lost key can't be replaced: keep a copy, and never beside the store.
    #[arg(long, value_name = "FILE", required_unless_present = "replay")]
    pub signing_key: Option<PathBuf>,
    /// Where unreadable bytes are put aside; default: beside the store.
    #[arg(long, value_name = "DIR")]
    pub quarantine: Option<PathBuf>,
}

/// What the cluster calls things; the same for webhook and reporter.
#[derive(Debug, Args)]
pub struct Names {
    /// Name of the cluster; part of every id and of the testimonies.
    #[arg(long, value_name = "NAME", required_unless_present = "replay")]
    pub cluster: Option<String>,
    /// A file per key: its name is the key's id, 64 hexadecimal digits its content.
    #[arg(long, value_name = "DIR", required_unless_present = "replay")]
    pub mac_keys: Option<PathBuf>,
    /// Krate's API group.
    #[arg(long, value_name = "GROUP", default_value = "krate.a5c.ai")]
    pub krate_group: String,
    /// Prefix of Krate's labels.
    #[arg(long, value_name = "PREFIX", default_value = "krate.a5c.ai/")]
    pub label_prefix: String,
    /// Prefix of the namespaces of orgs.
    #[arg(long, value_name = "PREFIX", default_value = "krate-org-")]
    pub org_namespace_prefix: String,
    /// Namespace in which Organizations and their bindings are believed.
    #[arg(long, value_name = "NAMESPACE", default_value = "krate-system")]
    pub platform_namespace: String,
    /// How far the clocks of webhook and API server may differ.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub clock_tolerance: SignedDuration,
}

/// How audit events arrive.
#[derive(Debug, Args)]
pub struct Audit {
    /// Where kube-apiserver posts audit events (path /audit).
    #[arg(long, value_name = "ADDR")]
    pub audit_listen: Option<SocketAddr>,
    /// Its certificate.
    #[arg(long, value_name = "FILE", requires = "audit_tls_key")]
    pub audit_tls_cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "audit_tls_cert")]
    pub audit_tls_key: Option<PathBuf>,
    /// Authority of the client certificates; one is required.
    #[arg(long, value_name = "FILE", requires = "audit_tls_cert")]
    pub audit_client_ca: Option<PathBuf>,
    /// Take deliveries only from certificates with these common names, each under the
    /// name of a source. Without any: every certificate of the authority, its common
    /// name being the source.
    #[arg(long, value_name = "CN=NAME", value_parser = pair)]
    pub audit_source: Vec<(String, String)>,
    /// Plain HTTP without certificates; loopback addresses only.
    #[arg(long, conflicts_with_all = ["audit_tls_cert", "audit_client_ca"])]
    pub audit_insecure: bool,
    /// Read kube-apiserver's own audit log; once for each API server.
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    pub audit_file: Vec<(String, String)>,
    /// After which time a testimony whose audit event has not come is a gap.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub number_wait: SignedDuration,
    /// How long Kyverno's Events are waited for that name others who would have denied
    /// too; then the record says that there were none, or that it is not known.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub others_wait: SignedDuration,
}

/// Where people read.
#[derive(Debug, Args)]
pub struct Reading {
    /// The REST API.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Its certificate; required, but for a replay.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The aggregated API, for the webhook, which forwards what kube-apiserver asks. Who
    /// asks is believed from its headers, hence from its certificate only.
    #[arg(long, value_name = "ADDR", requires_all = ["api_tls_cert", "api_tls_key", "api_client_ca"], conflicts_with = "replay")]
    pub api_listen: Option<SocketAddr>,
    /// Its certificate.
    #[arg(long, value_name = "FILE", requires = "api_listen")]
    pub api_tls_cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "api_listen")]
    pub api_tls_key: Option<PathBuf>,
    /// Authority of the webhook's client certificate.
    #[arg(long, value_name = "FILE", requires = "api_listen")]
    pub api_client_ca: Option<PathBuf>,
    /// Common name of that certificate; may be given several times.
    #[arg(long, value_name = "NAME", default_value = "docket-webhook")]
    pub api_client: Vec<String>,
    /// Plain HTTP: /healthz, /readyz, /metrics.
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,
}

/// Where the witnesses are.
#[derive(Debug, Args)]
pub struct Witness {
    /// A witness's exhibit listener, by its instance name.
    #[arg(long, value_name = "NAME=URL", value_parser = pair)]
    pub witness: Vec<(String, String)>,
    /// Authority of their certificates.
    #[arg(long, value_name = "FILE", requires_all = ["witness_cert", "witness_key"])]
    pub witness_ca: Option<PathBuf>,
    /// Our certificate for them.
    #[arg(long, value_name = "FILE", requires = "witness_ca")]
    pub witness_cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "witness_ca")]
    pub witness_key: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write it as NAME=VALUE".into()),
    }
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let duration: SignedDuration = text
        .parse()
        .map_err(|_| "write it like 2s, 5m or 1h".to_owned())?;
    if duration.is_negative() {
        Err("it cannot be negative".into())
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_replay_needs_nothing_else_and_refuses_a_cluster() {
        let replay = Arguments::try_parse_from(["r", "--replay", "day"]).unwrap();
        assert!(replay.ledger.store.is_none());
        let both = ["r", "--replay", "day", "--kubeconfig", "k"];
        assert!(Arguments::try_parse_from(both).is_err());
        assert!(Arguments::try_parse_from(["r"]).is_err());
    }
}
