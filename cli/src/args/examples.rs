//! What `--help` of each command ends with.

pub const LIST: &str = "Examples:
  docket list                                  what you may read, the newest 50
  docket list -n krate-org-acme --since 2h     one namespace, the last two hours
  docket list --mine --since monday            what you were refused yourself
  docket list --org acme --policy require-pr-description
  docket list --actor alice --verdict denied --dry-run false -o wide
  docket list --limit 0 -o json                everything, for a program";

pub const TAIL: &str = "Examples:
  docket tail -n krate-org-acme                the last 10, then what comes
  docket tail --policy require-pr-description --last 0
  docket tail -o jsonl | jq .message           for a program";

pub const SHOW: &str = "Examples:
  docket show k3j5zq2a          by the beginning of its id, as `docket list` prints it
  docket show k3j5zq2a --exhibit   with all that was kept of the object
  docket show k3j5zq2a -o json";

pub const WHY: &str = "Examples:
  docket why                                   your own last denial
  kubectl apply -f pr.yaml 2>&1 | docket why - the one that this error tells of
  docket why 'admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: …'
  docket why 3f0a6c1e-6c4e-4f57-9f2e-0a4a5f1f7b3d    by the Audit-ID of the answer";

pub const SUMMARY: &str = "Examples:
  docket summary --since 7d                    what was refused most, the last week
  docket summary -n krate-org-acme -o json";

pub const LAW: &str = "Examples:
  docket law history require-pr-description     its versions, newest first, with a diff
  docket law history kyverno-resource-validating-webhook-cfg
  docket law show ID                            the whole text of one version";

pub const VIOLATIONS: &str = "Examples:
  docket violations                            denied writes and audit findings, newest first
  docket violations -n krate-org-acme --mode audit
  docket violations --policy require-pr-description -o wide
WHAT: `denied`, a write was refused and no object came of it; `audit: fail`, the object exists,
the policy only reports; `enforce: fail`, it exists and would be refused today.";

pub const OUTCOMES: &str = "Examples:
  docket outcomes require-pr-description -n krate-org-acme
  docket outcomes -n krate-org-acme --since 7d       all policies together";

pub const GAPS: &str = "Examples:
  docket gaps                   all of them, newest first
  docket gaps --since 7d --open";

pub const VERIFY: &str = "Examples:
  docket verify                                   over HTTPS; the server's word is not believed
  docket verify --checkpoint published.txt        … and against a checkpoint that you kept
  docket verify --store ledger.db --key KEY       a ledger's file, its view included
Exit codes: 0 intact, 1 tampered (and where), 2 could not check.";

pub const EXPORT: &str = "Examples:
  docket export --since 7d > denials.jsonl
  docket export -o csv --policy require-pr-description > denials.csv
  docket export -o csv --bom --to denials.csv     to be opened in Excel
  docket export --follow --cursor docket.cursor --to denials.jsonl
  docket export --follow --cursor docket.cursor -o ocsf --to https://siem.example/in \\
    --to-header-file token.header
Each record is delivered at least once; receivers drop doubles by `id` (OCSF: `metadata.uid`).";

pub const IMPORT: &str = "Examples:
  docket import /var/log/kubernetes/audit/*.log*      rotated and compressed ones too
  aws logs filter-log-events --log-group-name /aws/eks/prod/cluster \\
    --log-stream-name-prefix kube-apiserver-audit | docket import -
  docket import insights-logs-kube-audit/**/PT1H.json AKS, from a storage account
  gcloud logging read 'resource.type=k8s_cluster AND …' --format=json | docket import -
The same file may be imported again: what is on record stays as it is. docs/import.md has more.
Exit codes: 0 all of it, 1 some records could not be read (and which), 2 could not import.";

pub const REINDEX: &str = "Examples:
  docket reindex --store ledger.db";

pub const AUDIT_CONFIG: &str = "Examples:
  docket audit-config kubeadm --audit-url https://10.0.0.7:9443/audit
  docket audit-config k3s --audit-url https://10.0.0.7:9443/audit --write docket-k3s
  docket audit-config rke2 --piece audit-policy.yaml
  docket audit-config eks                      what to do where the API server is not yours";

pub const COMPLETION: &str = "Examples:
  docket completion bash > /etc/bash_completion.d/docket
  docket completion zsh > \"${fpath[1]}/_docket\"
  docket completion fish > ~/.config/fish/completions/docket.fish";
