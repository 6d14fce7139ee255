//! The same commands through a kubeconfig: the aggregated API instead of the REST API.

#![expect(clippy::unwrap_used, reason = "a harness that fails says where")]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Outcome, World, id};

/// Without any address in the environment.
fn run(world: &World, program: &str, arguments: &[&str], kubeconfig: &str) -> Outcome {
    let output = command(world, program, arguments, kubeconfig)
        .output()
        .unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn command(world: &World, program: &str, arguments: &[&str], kubeconfig: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", world.directory.path())
        .env("KUBECONFIG", kubeconfig);
    command
}

const DOCKET: &str = env!("CARGO_BIN_EXE_docket");

async fn court() -> World {
    let mut world = World::new().await;
    world.denials(0..3);
    world.deny(
        3,
        json!({"namespace": "krate-org-globex"}),
        json!({"actor": {"username": "bob"}}),
    );
    world.deny(
        4,
        json!({"namespace": "", "kind": "Namespace"}),
        json!({"actor": {"username": "bob"}}),
    );
    world
}

fn ids(out: &str) -> Vec<String> {
    let body: Value = serde_json::from_str(out).unwrap();
    let items = body["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_give_the_same_items() {
    let world = court().await;
    let config = world.kubeconfig(&json!({"token": "admins-token"}));
    let through = |arguments: &[&str]| run(&world, DOCKET, arguments, &config).ok();
    for (there, here) in [
        (
            &["list", "-n", "krate-org-acme", "-o", "json"][..],
            &["list", "-o", "json"][..],
        ),
        (
            &[
                "list",
                "--actor",
                "bob",
                "-n",
                "krate-org-globex",
                "-o",
                "json",
            ],
            &["list", "-A", "--actor", "bob", "-o", "json"],
        ),
    ] {
        let (rest, api) = (world.run(there).ok(), through(here));
        assert_eq!(ids(&rest), ids(&api), "{here:?}");
        let (rest, api): (Value, Value) = (
            serde_json::from_str(&rest).unwrap(),
            serde_json::from_str(&api).unwrap(),
        );
        assert_eq!(rest, api);
    }
    assert_eq!(ids(&through(&["list", "--cluster", "-o", "json"])), [id(4)]);
    let table = run(&world, DOCKET, &["list"], &config);
    assert!(
        !table.out.contains("NAMESPACE") && table.out.lines().count() == 4,
        "{}",
        table.out
    );
    let page = through(&["show", &id(3)[..8]]);
    assert!(
        page.contains("in krate-org-globex"),
        "found everywhere:\n{page}"
    );
    let summary = through(&["summary", "-A"]);
    assert!(
        summary.starts_with("4 denials\n") && summary.contains("krate-org-globex"),
        "{summary}"
    );
    let one = through(&["list", "--limit", "2", "-o", "json"]);
    assert_eq!(ids(&one).len(), 2);
    let more = run(&world, DOCKET, &["list", "--limit", "2"], &config);
    assert!(more.err.contains("1 more"), "{}", more.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_developer_reads_her_own_and_is_told_why() {
    let world = court().await;
    let config = world.kubeconfig(&json!({"token": "alices-token"}));
    let mine = run(&world, DOCKET, &["list", "--mine", "-o", "json"], &config).ok();
    assert_eq!(ids(&mine), [id(2), id(1), id(0)]);
    let page = run(&world, DOCKET, &["why"], &config).ok();
    assert!(page.contains("Refused     PullRequest/pr-2"), "{page}");
    assert!(page.contains("(you may not)"), "{page}");
    let all = run(&world, DOCKET, &["list", "-A"], &config);
    all.fails(2, "or ask for your own (--mine)");
    let admin = world.kubeconfig(&json!({"token": "admins-token"}));
    let page = run(
        &world,
        DOCKET,
        &["why", "pr-1 require-pr-description"],
        &admin,
    )
    .ok();
    assert!(
        page.contains("PullRequest/pr-1 ") && page.contains("(you may)"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_a_plugin_too_and_the_context_says_the_namespace() {
    let world = court().await;
    let plugin = world.plugin("admins-token");
    let exec = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1",
        "command": plugin, "interactiveMode": "Never"}});
    let config = world.kubeconfig(&exec);
    let here = run(&world, DOCKET, &["list", "-o", "json"], &config).ok();
    assert_eq!(ids(&here).len(), 3);
    let elsewhere = run(&world, DOCKET, &["list", "--context", "elsewhere"], &config);
    assert_eq!((elsewhere.code, elsewhere.out.as_str()), (0, ""));
    assert!(
        elsewhere.err.contains("Looked in namespace default only"),
        "{}",
        elsewhere.err
    );
    run(&world, DOCKET, &["list", "--context", "nowhere"], &config).fails(2, "nowhere");
    let wrong = world.plugin("no-token");
    let config = world.kubeconfig(&json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": wrong, "interactiveMode": "Never"}}));
    let refused = run(&world, DOCKET, &["list"], &config);
    refused.fails(2, "does not accept the kubeconfig's credentials");
    assert!(!refused.err.contains("no-token"));
    let broken = world.kubeconfig(&json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nowhere/plugin", "interactiveMode": "Never"}}));
    run(&world, DOCKET, &["list"], &broken).fails(2, "/nowhere/plugin");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_kubectls_plugin_it_asks_the_kubeconfigs_cluster_whatever_the_environment_says() {
    let world = court().await;
    let config = world.kubeconfig(&json!({"token": "admins-token"}));
    let plugin = world.directory.path().join("kubectl-docket");
    std::os::unix::fs::symlink(DOCKET, &plugin).unwrap();
    let plugin = plugin.to_str().unwrap();
    let listed = command(&world, plugin, &["list", "-o", "json"], &config)
        .env("DOCKET_URL", "https://localhost:1")
        .env("DOCKET_TOKEN", "none")
        .output()
        .unwrap();
    assert_eq!(ids(&String::from_utf8_lossy(&listed.stdout)).len(), 3);
    let url = [
        "list",
        "-o",
        "json",
        "--url",
        &world.url,
        "--token",
        support::TOKEN,
    ];
    let ca = world.ca().display().to_string();
    let direct = run(
        &world,
        plugin,
        &[&url[..], &["--ca", &ca]].concat(),
        &config,
    )
    .ok();
    assert_eq!(ids(&direct).len(), 5);
    let help = run(&world, plugin, &["list", "--help"], &config).ok();
    assert!(help.contains("kubectl docket list"), "{help}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let world = court().await;
    let config = world.kubeconfig(&json!({"token": "admins-token"}));
    let none = run(&world, DOCKET, &["list"], "/nowhere/config");
    none.fails(2, "set DOCKET_URL or --url, or use a kubeconfig");
    run(&world, DOCKET, &["show", "aaaaaaaa"], &config).fails(1, "aaaaaaaa");
    run(&world, DOCKET, &["list", "--verdict", "maybe"], &config).fails(2, "denied, unavailable");
    run(&world, DOCKET, &["verify"], &config).fails(2, "set DOCKET_URL or --url");
    let text = std::fs::read_to_string(&config).unwrap();
    let dead = text.replace(&world.cluster_url, "https://localhost:1");
    std::fs::write(&config, dead).unwrap();
    run(&world, DOCKET, &["list"], &config).fails(2, "can't be reached with this kubeconfig");
    std::fs::write(
        &config,
        text.replace(&world.cluster_url, &format!("{}/other", world.cluster_url)),
    )
    .unwrap();
    run(&world, DOCKET, &["list"], &config).fails(2, "has no API docket.a5c.ai/v1");
}

/// Ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_printed_as_it_happens_after_the_last_ones() {
    let mut world = court().await;
    let config = world.kubeconfig(&json!({"token": "admins-token"}));
    let mut child = command(
        &world,
        DOCKET,
        &["tail", "--last", "2", "-o", "jsonl"],
        &config,
    )
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let out = child.stdout.take().unwrap();
    let _running = Running(child);
    let (told, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            let item: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if told.send(item["id"].as_str().unwrap().to_owned()).is_err() {
                return;
            }
        }
    });
    let next = || lines.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!([next(), next()], [id(1), id(2)]);
    world.deny(9, json!({"namespace": "krate-org-globex"}), json!({}));
    world.denials(10..12);
    assert_eq!([next(), next()], [id(10), id(11)]);
}
