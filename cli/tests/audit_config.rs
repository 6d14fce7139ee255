//! `docket audit-config`: what is printed can be used.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const OURS: [&str; 4] = ["kubeadm", "k3s", "kind", "rke2"];
const URL: &str = "https://10.0.0.7:9443/audit";

fn docket(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docket"));
    command.arg("audit-config").args(arguments).env_clear();
    command.output().unwrap()
}

#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = docket(arguments);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && err.is_empty(), "{err}");
    String::from_utf8(output.stdout).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

fn piece(distribution: &str, name: &str) -> Value {
    yaml(&printed(&[
        distribution,
        "--audit-url",
        URL,
        "--piece",
        name,
    ]))
}

/// The API server's flags, wherever a distribution keeps them.
fn flags(distribution: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match distribution {
        "kubeadm" => {
            let config = piece(distribution, "kubeadm-config.yaml");
            assert_eq!(config["apiVersion"], "kubeadm.k8s.io/v1beta4");
            let arguments = config["apiServer"]["extraArgs"].as_array().unwrap().clone();
            arguments
                .iter()
                .map(|one| (text(&one["name"]), text(&one["value"])))
                .collect()
        }
        "kind" => {
            let config = piece(distribution, "kind-config.yaml");
            let patch = yaml(
                config["nodes"][0]["kubeadmConfigPatches"][0]
                    .as_str()
                    .unwrap(),
            );
            assert_eq!(patch["kind"], "ClusterConfiguration");
            let arguments = patch["apiServer"]["extraArgs"].as_object().unwrap().clone();
            arguments
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect()
        }
        _ => {
            let config = piece(distribution, "config.yaml");
            let arguments = config["kube-apiserver-arg+"].as_array().unwrap().clone();
            let split = |one: &Value| {
                let (name, value) = one.as_str().unwrap().split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            };
            let mut flags: Vec<_> = arguments.iter().map(split).collect();
            for (setting, flag) in [
                ("audit-policy-file", "audit-policy-file"),
                (
                    "pod-security-admission-config-file",
                    "admission-control-config-file",
                ),
            ] {
                if let Some(value) = config[setting].as_str() {
                    flags.push((flag.to_owned(), value.to_owned()));
                }
            }
            flags
        }
    }
}

#[test]
fn the_flags_are_those_that_docket_needs_whatever_the_distribution() {
    for distribution in OURS {
        let flags = flags(distribution);
        let flag = |name: &str| {
            let found: Vec<_> = flags.iter().filter(|(flag, _)| flag == name).collect();
            assert_eq!(found.len(), 1, "{distribution} {name}: {flags:?}");
            found[0].1.clone()
        };
        assert!(flag("audit-policy-file").ends_with("/docket/audit-policy.yaml"));
        assert!(flag("audit-webhook-config-file").ends_with("/docket/audit-webhook.yaml"));
        assert!(flag("admission-control-config-file").ends_with("/docket/admission.yaml"));
        assert!(flag("audit-log-path").ends_with("/audit.log"));
        assert!(flag("audit-log-maxsize").parse::<u32>().unwrap() >= 16);
        assert_eq!(flag("audit-webhook-batch-max-wait"), "1s");
        let forbidden = flags.iter().any(|(name, _)| name.contains("truncate"));
        assert!(!forbidden, "{flags:?}");
        let whole = printed(&[distribution, "--audit-url", URL]);
        assert!(
            whole.contains("no --audit-webhook-truncate-enabled"),
            "{whole}"
        );
        assert!(whole.contains("--audit-file NAME="), "{whole}");
    }
}

#[test]
fn every_file_is_yaml_and_names_the_others() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let policy = std::fs::read_to_string(repository.join("deploy/audit-policy.yaml")).unwrap();
    for distribution in OURS {
        let printed = printed(&[distribution, "--piece", "audit-policy.yaml"]);
        assert_eq!(printed, policy, "one source");
        let webhook = piece(distribution, "audit-webhook.yaml");
        assert_eq!(webhook["clusters"][0]["cluster"]["server"], URL);
        assert_eq!(webhook["contexts"][0]["name"], webhook["current-context"]);
        let context = &webhook["contexts"][0]["context"];
        assert_eq!(context["cluster"], webhook["clusters"][0]["name"]);
        assert_eq!(context["user"], webhook["users"][0]["name"]);
        let admission = piece(distribution, "admission.yaml");
        let plugins = admission["plugins"].as_array().unwrap();
        let hooks: Vec<&Value> = plugins
            .iter()
            .filter_map(|plugin| plugin["configuration"].get("kubeConfigFile"))
            .collect();
        assert_eq!(hooks.len(), 2, "{admission}");
        assert!(
            hooks
                .iter()
                .all(|file| file.as_str().unwrap().ends_with("/docket/hooks.yaml"))
        );
        // Where the distribution has a file of its own in that place, ours says what it said.
        let security = plugins.iter().any(|plugin| plugin["name"] == "PodSecurity");
        assert_eq!(security, distribution == "rke2", "{admission}");
        let users = piece(distribution, "hooks.yaml");
        let registration = std::fs::read_to_string(repository.join("deploy/webhookconfig.yaml"));
        let registered = yaml(registration.unwrap().split("\n---").next().unwrap());
        let service = &registered["webhooks"][0]["clientConfig"]["service"];
        let host = format!(
            "{}.{}.svc",
            service["name"].as_str().unwrap(),
            service["namespace"].as_str().unwrap()
        );
        assert_eq!(users["users"][0]["name"], host.as_str());
    }
}

#[test]
fn what_the_api_server_reads_is_mounted_where_it_is_a_pod() {
    let mounts = |config: &Value| -> Vec<String> {
        let volumes = config["apiServer"]["extraVolumes"].as_array().unwrap();
        volumes
            .iter()
            .map(|volume| volume["mountPath"].as_str().unwrap().to_owned())
            .collect()
    };
    let kubeadm = piece("kubeadm", "kubeadm-config.yaml");
    let kind = piece("kind", "kind-config.yaml");
    let patch = yaml(
        kind["nodes"][0]["kubeadmConfigPatches"][0]
            .as_str()
            .unwrap(),
    );
    for config in [&kubeadm, &patch] {
        assert_eq!(
            mounts(config),
            ["/etc/kubernetes/docket", "/var/log/kubernetes/audit"]
        );
        assert_eq!(config["apiServer"]["extraVolumes"][0]["readOnly"], true);
        assert_eq!(config["apiServer"]["extraVolumes"][1]["readOnly"], false);
    }
    assert_eq!(
        kind["nodes"][0]["extraMounts"][0]["containerPath"],
        "/etc/kubernetes/docket"
    );
    let rke2 = piece("rke2", "config.yaml");
    assert_eq!(
        rke2["kube-apiserver-extra-mount+"][0],
        "/etc/rancher/rke2/docket:/etc/rancher/rke2/docket:ro"
    );
}

#[test]
fn the_files_can_be_written_for_other_places() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("out");
    let arguments = [
        "kubeadm",
        "--audit-url",
        URL,
        "--dir",
        "/srv/docket/",
        "--log-dir",
        "/srv/log",
        "--webhook",
        "10.0.0.8:8443",
        "--write",
        place.to_str().unwrap(),
    ];
    let said = printed(&arguments);
    for name in [
        "audit-policy.yaml",
        "audit-webhook.yaml",
        "admission.yaml",
        "hooks.yaml",
        "kubeadm-config.yaml",
    ] {
        let text = std::fs::read_to_string(place.join(name)).unwrap();
        yaml(&text);
        assert!(said.contains(name), "{said}");
    }
    let read = |name: &str| std::fs::read_to_string(place.join(name)).unwrap();
    assert!(read("kubeadm-config.yaml").contains("/srv/docket/audit-policy.yaml"));
    assert!(read("kubeadm-config.yaml").contains("/srv/log/audit.log"));
    assert!(read("hooks.yaml").contains("\"10.0.0.8:8443\""));
    // Again over what is there.
    assert_eq!(printed(&arguments), said);
}

#[test]
fn a_managed_cluster_is_told_what_can_be_had_and_by_which_commands() {
    for (cloud, says) in [
        (
            "eks",
            ["aws logs filter-log-events", "docket import -", "eks-cut"],
        ),
        (
            "aks",
            [
                "az monitor diagnostic-settings create",
                "PT1H.json",
                "aks-row",
            ],
        ),
        (
            "gke",
            [
                "gcloud logging read",
                "docket import --format gke -",
                "insertId",
            ],
        ),
    ] {
        let text = printed(&[cloud]);
        assert!(text.contains("--api-front-proxy-ca"), "{cloud}");
        for words in says {
            assert!(text.contains(words), "{cloud} should say {words}:\n{text}");
        }
        assert!(text.contains("What can't be had"), "{text}");
        let refused = docket(&[cloud, "--write", "somewhere"]);
        assert_eq!(refused.status.code(), Some(2));
    }
}

#[test]
fn every_distribution_is_told_what_kubectl_needs() {
    for distribution in ["kubeadm", "kind", "k3s", "rke2"] {
        let url = "https://reporter.example:9443/audit";
        let text = printed(&[distribution, "--audit-url", url]);
        for words in [
            "extension-apiserver-authentication",
            "--api-front-proxy-name",
        ] {
            assert!(text.contains(words), "{distribution} should say {words}");
        }
    }
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let unfinished = docket(&["kubeadm"]);
    assert!(unfinished.status.success());
    assert!(String::from_utf8_lossy(&unfinished.stderr).contains("--audit-url"));
    let unknown = docket(&["kubeadm", "--piece", "passwords.yaml"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("audit-policy.yaml"));
}
