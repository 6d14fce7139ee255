//! The files. Each snippet follows the documentation of its distribution, named beside it.

use crate::args::{AuditConfig, Distribution};
use std::fmt::Write as _;

/// The one source: what the first run and the tests start the API server with.
const POLICY: &str = include_str!("../../../deploy/audit-policy.yaml");
/// Where the reporter is, until someone says.
const NO_URL: &str = "https://REPORTER:9443/audit";
/// The webhook's Service, as in deploy/webhookconfig.yaml.
const WEBHOOK: &str = "docket-webhook.docket-system.svc";

/// A file.
pub(super) struct Piece {
    pub(super) name: &'static str,
    pub(super) says: String,
    pub(super) content: String,
}

/// What the files say.
pub(super) struct Settings {
    distribution: Distribution,
    /// Directory of the files, as kube-apiserver sees it.
    dir: String,
    /// Directory of the audit log, as kube-apiserver sees it.
    log: String,
    audit_url: String,
    webhook: String,
}

impl Settings {
    pub(super) fn new(arguments: &AuditConfig) -> Settings {
        let (dir, log) = match arguments.distribution {
            Distribution::K3s => (
                "/var/lib/rancher/k3s/server/docket",
                "/var/lib/rancher/k3s/server/logs",
            ),
            Distribution::Rke2 => (
                "/etc/rancher/rke2/docket",
                "/var/lib/rancher/rke2/server/logs",
            ),
            _ => ("/etc/kubernetes/docket", "/var/log/kubernetes/audit"),
        };
        let or = |given: &Option<String>, usual: &str| {
            let given = given.as_deref().unwrap_or(usual);
            given.trim_end_matches('/').to_owned()
        };
        Settings {
            distribution: arguments.distribution,
            dir: or(&arguments.dir, dir),
            log: or(&arguments.log_dir, log),
            audit_url: or(&arguments.audit_url, NO_URL),
            webhook: or(&arguments.webhook, WEBHOOK),
        }
    }

    /// Someone still has to fill in where the reporter is.
    pub(super) fn is_unfinished(&self) -> bool {
        self.audit_url == NO_URL
    }

    fn flags(&self) -> Vec<(&'static str, String)> {
        let (dir, log) = (&self.dir, &self.log);
        let mut flags = vec![
            ("audit-policy-file", format!("{dir}/audit-policy.yaml")),
            (
                "audit-webhook-config-file",
                format!("{dir}/audit-webhook.yaml"),
            ),
            // The default of 30 s is how old the record would be.
            ("audit-webhook-batch-max-wait", "1s".to_owned()),
            ("audit-log-path", format!("{log}/audit.log")),
            ("audit-log-maxsize", "100".to_owned()),
            ("audit-log-maxbackup", "10".to_owned()),
        ];
        if self.distribution != Distribution::Rke2 {
            let file = format!("{dir}/admission.yaml");
            flags.push(("admission-control-config-file", file));
        }
        flags
    }
}

/// All files of a distribution.
pub(super) fn all(settings: &Settings) -> Vec<Piece> {
    let dir = &settings.dir;
    let place = |name: &str| format!("{dir}/{name} on each control plane node");
    let mut all = vec![
        Piece {
            name: "audit-policy.yaml",
            says: place("audit-policy.yaml"),
            content: POLICY.to_owned(),
        },
        Piece {
            name: "audit-webhook.yaml",
            says: place("audit-webhook.yaml"),
            content: audit_webhook(settings),
        },
        Piece {
            name: "admission.yaml",
            says: place("admission.yaml"),
            content: admission(settings),
        },
        Piece {
            name: "hooks.yaml",
            says: place("hooks.yaml"),
            content: hooks(settings),
        },
    ];
    let (name, says, content) = match settings.distribution {
        Distribution::K3s => (
            "config.yaml",
            "/etc/rancher/k3s/config.yaml.d/docket.yaml on each server".to_owned(),
            k3s(settings),
        ),
        Distribution::Rke2 => (
            "config.yaml",
            "/etc/rancher/rke2/config.yaml.d/docket.yaml on each server".to_owned(),
            rke2(settings),
        ),
        Distribution::Kind => (
            "kind-config.yaml",
            "for `kind create cluster --config`; the other files beside it".to_owned(),
            kind(settings),
        ),
        _ => (
            "kubeadm-config.yaml",
            "what to add to your ClusterConfiguration".to_owned(),
            kubeadm(settings),
        ),
    };
    all.push(Piece {
        name,
        says,
        content,
    });
    all
}

/// kubernetes.io, "Auditing", webhook backend: a kubeconfig.
fn audit_webhook(settings: &Settings) -> String {
    let Settings { dir, audit_url, .. } = settings;
    format!(
        "apiVersion: v1
kind: Config
clusters:
  - name: docket-reporter
    cluster:
      # An address or a name that the node resolves: kube-apiserver does not ask the cluster's DNS.
      server: {audit_url}
      certificate-authority: {dir}/docket-ca.crt
users:
  - name: kube-apiserver
    user:
      # Its common name is the name of the source in every record.
      client-certificate: {dir}/audit-client.crt
      client-key: {dir}/audit-client.key
contexts:
  - name: docket
    context:
      cluster: docket-reporter
      user: kube-apiserver
current-context: docket
"
    )
}

/// kubernetes.io, "Dynamic Admission Control", authenticate API servers.
fn admission(settings: &Settings) -> String {
    let mut text = String::from(
        "apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
",
    );
    if settings.distribution == Distribution::Rke2 {
        // docs.rke2.io, "Default Pod Security Standards", without a profile.
        text.push_str(
            "  # What RKE2 itself writes without a CIS profile. With one, put here what stands in
  # /etc/rancher/rke2/rke2-pss.yaml: this file takes that one's place.
  - name: PodSecurity
    configuration:
      apiVersion: pod-security.admission.config.k8s.io/v1beta1
      kind: PodSecurityConfiguration
      defaults: {enforce: privileged, enforce-version: latest}
      exemptions: {usernames: [], runtimeClasses: [], namespaces: []}
",
        );
    }
    for plugin in ["MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"] {
        let _ = write!(
            text,
            "  - name: {plugin}
    configuration:
      apiVersion: apiserver.config.k8s.io/v1
      kind: WebhookAdmissionConfiguration
      kubeConfigFile: {}/hooks.yaml
",
            settings.dir
        );
    }
    text
}

fn hooks(settings: &Settings) -> String {
    let Settings { dir, webhook, .. } = settings;
    format!(
        "# Makes kube-apiserver show a certificate to Docket's hooks, and to them only: a user's
# name is the host that is called. Without it anyone who reaches the hooks can burn numbers.
apiVersion: v1
kind: Config
users:
  - name: \"{webhook}\"
    user:
      client-certificate: {dir}/hooks-client.crt
      client-key: {dir}/hooks-client.key
"
    )
}

/// kubernetes.io, kubeadm Configuration (v1beta4): arguments are a list, volumes are
/// mounted into the static pod.
fn kubeadm(settings: &Settings) -> String {
    let mut text = String::from(
        "apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer:
  extraArgs:
",
    );
    for (name, value) in settings.flags() {
        let _ = write!(text, "    - name: {name}\n      value: \"{value}\"\n");
    }
    text.push_str("  extraVolumes:\n");
    text.push_str(&volumes(settings, "    "));
    text
}

fn volumes(settings: &Settings, indent: &str) -> String {
    let Settings { dir, log, .. } = settings;
    let mut text = String::new();
    for (name, path, read_only, kind) in [
        ("docket", dir, "true", "Directory"),
        ("docket-audit-log", log, "false", "DirectoryOrCreate"),
    ] {
        for (first, line) in [
            ("- ", format!("name: {name}")),
            ("  ", format!("hostPath: {path}")),
            ("  ", format!("mountPath: {path}")),
            ("  ", format!("readOnly: {read_only}")),
            ("  ", format!("pathType: {kind}")),
        ] {
            let _ = writeln!(text, "{indent}{first}{line}");
        }
    }
    text
}

/// kind.sigs.k8s.io, "Auditing": a patch of the ClusterConfiguration that kind writes
/// (arguments are a map there), and mounts from this machine into the node.
fn kind(settings: &Settings) -> String {
    let dir = &settings.dir;
    let mut text = String::from(
        "kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
  - role: control-plane
    kubeadmConfigPatches:
      - |
        kind: ClusterConfiguration
        apiServer:
          extraArgs:
",
    );
    for (name, value) in settings.flags() {
        let _ = writeln!(text, "            {name}: \"{value}\"");
    }
    text.push_str("          extraVolumes:\n");
    text.push_str(&volumes(settings, "            "));
    let _ = write!(
        text,
        "    extraMounts:
      - hostPath: .
        containerPath: {dir}
        readOnly: true
"
    );
    text
}

/// docs.k3s.io, "CIS Hardening Guide" (audit flags) and "Configuration Options" (`+` adds
/// to a list). k3s runs kube-apiserver in its own process: nothing is mounted.
fn k3s(settings: &Settings) -> String {
    let mut text = String::from(
        "# The + adds to arguments that you have; the key needs it in later files too.
kube-apiserver-arg+:
",
    );
    for (name, value) in settings.flags() {
        let _ = writeln!(text, "  - \"{name}={value}\"");
    }
    text
}

/// docs.rke2.io, "Server Configuration" (audit-policy-file, extra mounts) and "Default Pod
/// Security Standards" (the admission configuration has a setting of its own).
fn rke2(settings: &Settings) -> String {
    let Settings { dir, log, .. } = settings;
    let mut text = format!(
        "# The + adds to what you have; the key needs it in later files too.
audit-policy-file: {dir}/audit-policy.yaml
pod-security-admission-config-file: {dir}/admission.yaml
kube-apiserver-arg+:
"
    );
    for (name, value) in settings.flags() {
        if name != "audit-policy-file" {
            let _ = writeln!(text, "  - \"{name}={value}\"");
        }
    }
    let _ = write!(
        text,
        "kube-apiserver-extra-mount+:
  - \"{dir}:{dir}:ro\"
  - \"{log}:{log}\"
"
    );
    text
}

/// What is left to do, as comments, so that all that is printed is YAML.
pub(super) fn steps(settings: &Settings) -> String {
    let Settings { dir, log, .. } = settings;
    let apply = match settings.distribution {
        Distribution::K3s => "systemctl restart k3s, one server after the other",
        Distribution::Rke2 => "systemctl restart rke2-server, one server after the other",
        Distribution::Kind => {
            "kind create cluster --config kind-config.yaml, in the directory of these files \
             (kind configures an API server only when it makes it)"
        }
        _ => {
            "new cluster: kubeadm init --config with this merged into your configuration; else merge \
             it into the ConfigMap kubeadm-config of kube-system and, on each control plane node, \
             kubeadm init phase control-plane apiserver --config FILE"
        }
    };
    let tail = format!("docket-reporter --audit-file NAME={log}/audit.log");
    let steps = [
        format!(
            "Put the files, and docket-ca.crt (the authority of reporter and webhook), \
             audit-client.crt and .key, hooks-client.crt and .key (two certificates of an \
             authority that they know), into {dir}; keys readable by root only."
        ),
        format!("Then {apply}."),
        format!(
            "Where the reporter can read that directory, let it read the log too ({tail}): a line \
             is on disk before the client has its answer, so a killed API server loses none."
        ),
        "If kube-apiserver has an AdmissionConfiguration already, add these plugins to it: there \
         is only one."
            .to_owned(),
        "For kubectl get denials kube-apiserver also shows a certificate as front proxy \
         (--proxy-client-cert-file, --requestheader-*); this distribution has set that already. \
         The webhook asks for it: give it the authority and the name that the ConfigMap \
         extension-apiserver-authentication of kube-system holds, requestheader-client-ca-file as \
         --api-front-proxy-ca and requestheader-allowed-names as --api-front-proxy-name."
            .to_owned(),
    ];
    let mut text = String::from("# What to do:");
    for (number, step) in (1..).zip(&steps) {
        let lines = crate::text::wrap(step, 92);
        for (first, line) in lines.iter().enumerate() {
            let lead = if first == 0 {
                format!("{number}.")
            } else {
                "  ".to_owned()
            };
            let _ = write!(text, "\n#   {lead} {line}");
        }
    }
    text
}
