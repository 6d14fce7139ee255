//! What can be set from outside, parsed once into types that cannot be wrong.

use clap::{Args as ClapArgs, Parser, ValueEnum};
use http::uri::Authority;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  # Smallest: answers reviews, swears with the newest key of a directory.
  docket-webhook --tls-cert tls.crt --tls-key tls.key --mac-keys keys/ --cluster prod

  # As deployed: only kube-apiserver may ask, only the reporter may see exhibits.
  docket-webhook --tls-cert tls/tls.crt --tls-key tls/tls.key --client-ca apiserver-ca.crt \\
    --exhibits-listen 0.0.0.0:8444 --exhibits-tls-cert tls/tls.crt \\
    --exhibits-tls-key tls/tls.key --exhibits-client-ca reporter-ca.crt \\
    --mac-keys keys/ --cluster prod

Certificates and keys are followed: their content is read again every few seconds, so a
mounted Secret may be replaced at any time. Signals: SIGTERM or SIGINT drains, a second one
ends at once. RUST_LOG sets what is logged (default: info); objects never are.";

/// The witness: sees every write to a governed resource and always allows it.
#[derive(Parser, Debug)]
#[command(name = "docket-webhook", version, after_help = EXAMPLES)]
pub struct Args {
    /// Admission calls, limits and drain.
    #[command(flatten)]
    pub admission: AdmissionArgs,
    /// The reporter's listener.
    #[command(flatten)]
    pub exhibits: ExhibitArgs,
    /// The door of those who read with kubectl.
    #[command(flatten)]
    pub api: ApiArgs,
    /// Who swears, and with what.
    #[command(flatten)]
    pub oath: OathArgs,
    /// Krate's names.
    #[command(flatten)]
    pub krate: KrateArgs,
    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,

    /// Plain HTTP for the kubelet and Prometheus: /healthz, /readyz, /metrics.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub admin_listen: SocketAddr,

    /// How often certificates and keys are read again.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub reload_interval: Duration,
}

/// Where kube-apiserver calls, and what one caller may cost.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Admission")]
pub struct AdmissionArgs {
    /// Where kube-apiserver calls: HTTPS, HTTP/1.1 or HTTP/2, /mutate and /validate.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,

    /// Server certificate chain, PEM.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: PathBuf,

    /// Its private key, PEM.
    #[arg(long, value_name = "FILE")]
    pub tls_key: PathBuf,

    /// CA of kube-apiserver's client certificate, PEM. With it, a call without such a
    /// certificate is refused in the TLS handshake; without it, anyone who reaches the
    /// port can have reviews sworn to.
    #[arg(long, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,

    /// Open connections at most. When full, a new one takes the place of the oldest
    /// idle one (first of those that never sent a request); if none is idle it is closed.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = at_least_one)]
    pub max_connections: usize,

    /// Close a connection that has been idle this long. kube-apiserver closes its own
    /// after 90 s; ours must be longer, or it may lose a call to the race.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub idle_timeout: Duration,

    /// The TLS handshake, and the head of a request, must be complete within this time.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub header_timeout: Duration,

    /// A body must be complete within this time, and within what kube-apiserver waits (the
    /// `timeout` of its URL); else the answer is given without it.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub body_timeout: Duration,

    /// Bodies held at one time, all calls together. Above it a body is answered from its
    /// first 64 KiB, without testimony.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub body_bytes: usize,

    /// After the signal: time in which calls are still taken, while /readyz already says
    /// no, so that no one is refused before the endpoint is gone.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub drain_delay: Duration,

    /// After that: time in which calls under way may end.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub drain_timeout: Duration,
}

/// The listener from which the reporter, and nobody else, gets what the witness remembers.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Exhibits (all four or none)")]
pub struct ExhibitArgs {
    /// Where the reporter asks: HTTPS with a client certificate.
    #[arg(long, value_name = "ADDR", requires_all = ["exhibits_tls_cert", "exhibits_tls_key", "exhibits_client_ca"])]
    pub exhibits_listen: Option<SocketAddr>,

    /// Server certificate chain, PEM.
    #[arg(long, value_name = "FILE", requires = "exhibits_listen")]
    pub exhibits_tls_cert: Option<PathBuf>,

    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "exhibits_listen")]
    pub exhibits_tls_key: Option<PathBuf>,

    /// CA of the reporter's client certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "exhibits_listen")]
    pub exhibits_client_ca: Option<PathBuf>,

    /// Memory for reviewed objects; the oldest go first.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub exhibit_bytes: usize,

    /// Taken out of every exhibit besides what looks secret anyhow: field names with dots
    /// between, `*` for any one, as in spec.auth.header. May be repeated.
    #[arg(long, value_name = "PATH")]
    pub redact: Vec<String>,

    /// The value of every field whose name has these words in it, beside the built-in ones
    /// (token, password, key and their kin), as in accountNumber. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub redact_name: Vec<String>,
}

/// The aggregated API `docket.a5c.ai/v1`: kube-apiserver's front proxy calls here for those
/// who read denials with kubectl; the reporter answers.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Aggregated API (all but names and numbers, or none)")]
pub struct ApiArgs {
    /// Where kube-apiserver sends the requests for docket.a5c.ai: HTTPS with its front
    /// proxy's certificate.
    #[arg(long, value_name = "ADDR", requires_all = [
        "api_tls_cert", "api_tls_key", "api_front_proxy_ca", "api_reporter",
        "api_reporter_ca", "api_reporter_cert", "api_reporter_key",
    ])]
    pub api_listen: Option<SocketAddr>,

    /// Server certificate chain, PEM; signed by the caBundle of the APIService.
    #[arg(long, value_name = "FILE", requires = "api_listen")]
    pub api_tls_cert: Option<PathBuf>,

    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "api_listen")]
    pub api_tls_key: Option<PathBuf>,

    /// CA of the front proxy, PEM: what kube-apiserver has as --requestheader-client-ca-file.
    #[arg(long, value_name = "FILE", requires = "api_listen")]
    pub api_front_proxy_ca: Option<PathBuf>,

    /// Common name of the front proxy's certificate, of all that its CA has signed: one of
    /// kube-apiserver's --requestheader-allowed-names. May be repeated.
    #[arg(long, value_name = "NAME", default_value = "front-proxy-client")]
    pub api_front_proxy_name: Vec<String>,

    /// Where the reporter listens for us (its --api-listen).
    #[arg(long, value_name = "URL", requires = "api_listen", value_parser = https)]
    pub api_reporter: Option<Authority>,

    /// CA of the reporter's certificate there, PEM.
    #[arg(long, value_name = "FILE", requires = "api_listen")]
    pub api_reporter_ca: Option<PathBuf>,

    /// Our certificate for the reporter, PEM; it believes this common name alone.
    #[arg(long, value_name = "FILE", requires = "api_listen")]
    pub api_reporter_cert: Option<PathBuf>,

    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "api_listen")]
    pub api_reporter_key: Option<PathBuf>,

    /// Open connections at most; over HTTP/2 one carries up to 1,000 requests.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = at_least_one)]
    pub api_max_connections: usize,

    /// Open watches at most; one user may have an eighth of them. Above it: 429.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = at_least_one)]
    pub api_max_watches: usize,

    /// Other requests under way at most; one user may have an eighth, or 16. Above it: 429.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = at_least_one)]
    pub api_max_calls: usize,

    /// In it a request must be answered in full, and a watch have begun. The reporter gives
    /// itself 10 s, kube-apiserver a request 60 s.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    pub api_timeout: Duration,
}

/// What a testimony is bound to.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Testimony")]
pub struct OathArgs {
    /// A file per key: its name is the key's id ([a-z0-9-], at most 16), its content 64 hex
    /// digits. The last in byte order signs. Without a key nothing is sworn, and /readyz
    /// says no.
    #[arg(long, value_name = "DIR")]
    pub mac_keys: PathBuf,

    /// Name of this cluster, the same as the reporter's.
    #[arg(long, value_name = "NAME")]
    pub cluster: String,

    /// Name of this process, so that the reporter finds it [default: the host's name].
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
}

/// Krate's public code base has renamed itself; so these are settings.
#[derive(ClapArgs, Debug, Clone)]
#[command(next_help_heading = "Krate")]
pub struct KrateArgs {
    /// API group of Krate's kinds.
    #[arg(long, value_name = "GROUP", default_value = "krate.a5c.ai")]
    pub krate_group: String,

    /// Prefix of Krate's labels.
    #[arg(long, value_name = "PREFIX", default_value = "krate.a5c.ai/")]
    pub label_prefix: String,

    /// Prefix of the namespaces of organizations.
    #[arg(long, value_name = "PREFIX", default_value = "krate-org-")]
    pub org_namespace_prefix: String,
}

/// How the log is written.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// Form of the lines on standard error.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub log_format: LogFormat,
}

/// Form of a log line.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl LogArgs {
    /// Starts logging; before it nothing is logged.
    pub fn start(&self) {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
        let base = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => base.with_ansi(false).with_target(false).init(),
            LogFormat::Json => base.json().flatten_event(true).with_target(false).init(),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|d| Duration::try_from(d).ok())
        .ok_or_else(|| "write a time such as 500ms, 5s or 2m".to_owned())
}

fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => return Err(format!("no unit {other:?}: use KiB, MiB or GiB")),
    };
    digits
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
        .ok_or_else(|| "write a size such as 64MiB".to_owned())
}

/// `https://HOST[:PORT]`: the paths are those that the API server sends.
fn https(text: &str) -> Result<Authority, String> {
    let url = text.parse::<http::Uri>().ok();
    url.filter(|url| url.scheme_str() == Some("https"))
        .filter(|url| url.query().is_none() && matches!(url.path(), "" | "/"))
        .and_then(|url| url.authority().cloned())
        .filter(|authority| !authority.as_str().contains('@'))
        .ok_or_else(|| "write https://HOST:PORT and nothing behind it".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("write a number from 1".to_owned()),
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

    #[test]
    fn sizes_and_times_are_read_with_their_units() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("12"), Ok(12));
        assert!(size("12 parsecs").is_err());
        assert!(size("99999999999GiB").is_err());
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("-5s").is_err());
        assert!(at_least_one("0").is_err());
    }

    #[test]
    fn the_reporter_is_named_by_host_and_port_alone() {
        assert_eq!(https("https://reporter:8446").unwrap(), "reporter:8446");
        assert_eq!(https("https://[::1]:1/").unwrap(), "[::1]:1");
        for wrong in [
            "reporter:8446",
            "http://reporter:8446",
            "https://reporter/apis",
            "https://reporter/?a=b",
            "https://ann:word@reporter",
            "",
        ] {
            assert!(https(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_exhibit_flags_come_together_or_not_at_all() {
        let base = [
            "x",
            "--tls-cert",
            "c",
            "--tls-key",
            "k",
            "--mac-keys",
            "m",
            "--cluster",
            "c",
        ];
        assert!(Args::try_parse_from(base).is_ok());
        let alone = base
            .iter()
            .copied()
            .chain(["--exhibits-listen", "127.0.0.1:1"]);
        assert!(Args::try_parse_from(alone).is_err());
        let orphan = base.iter().copied().chain(["--exhibits-client-ca", "ca"]);
        assert!(Args::try_parse_from(orphan).is_err());
    }
}
