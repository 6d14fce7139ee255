//! `docket why`, `summary`, `export` once, and the forms for programs.

mod support;

use serde_json::{Value, json};
use support::{World, id};

const PASTED: &str = "Error from server: error when creating \"pr.yaml\": admission webhook \
    \"vpol.validate.kyverno.svc-fail\" denied the request: Policy require-pr-description failed: \
    A description of at least 20 characters is required.\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_error_as_kubectl_printed_it_is_explained() {
    let mut world = World::new().await;
    world.denials(0..1);
    world.deny(
        1,
        json!({"attributions": [{"enforcer": "kyverno", "policyKind": "ClusterPolicy", "policy": "signing",
            "rule": "has-secret", "result": "fail", "grade": "exact", "source": "responseStatus"}]}),
        json!({"messages": ["Name a secret."]}),
    );
    let (code, page, err) = world.piped(&["why", "-"], PASTED.as_bytes());
    assert_eq!((code, err.as_str()), (0, ""), "{page}");
    for words in [
        "Refused     PullRequest/pr-0 in krate-org-acme",
        "CREATE by alice",
        "Rule        require-pr-description (ValidatingPolicy)",
        "Said        A description of at least 20 characters is required.",
        "Change      Give spec.description at least 20 characters.",
        "`create policyexceptions.policies.kyverno.io`",
        "`create policyexceptionrequests.krate.a5c.ai`",
        "              policyRef: {kind: ValidatingPolicy, name: require-pr-description}",
        "            kubectl apply --dry-run=server -n krate-org-acme -f FILE",
        &format!("kubectl get denials -n krate-org-acme {} -o yaml", id(0)),
    ] {
        assert!(page.contains(words), "{words}:\n{page}");
    }
    let arguments = [
        "why",
        "signing: has-secret: Name",
        "a secret.",
        "-n",
        "krate-org-acme",
        "-o",
        "json",
    ];
    let answer: Value = serde_json::from_str(&world.run(&arguments).ok()).unwrap();
    assert_eq!(answer["denial"]["id"], id(1));
    assert_eq!(answer["change"], json!([]));
    let (code, _, err) = world.piped(&["why", "-"], b"connection refused\n");
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("none of the newest 2 denials"), "{err}");
    let (code, _, err) = world.piped(&["why", "-"], b" \n");
    assert_eq!(code, 2);
    assert!(err.contains("2>&1"), "{err}");
    let (code, page, _) = world.piped(
        &["why", "-"],
        b"\xff\xfe\x1b[2J require-pr-description \xc3\x28",
    );
    assert_eq!(code, 0);
    assert!(page.contains("pr-0"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_or_an_audit_id_names_the_record_whatever_else_is_newer() {
    let mut world = World::new().await;
    let audit = "3f0a6c1e-6c4e-4f57-9f2e-0a4a5f1f7b3d";
    world.deny(0, json!({}), json!({"event": {"auditID": audit}}));
    world.denials(1..5);
    for clue in [
        audit.to_owned(),
        format!("Audit-Id: {audit}"),
        id(0),
        id(0)[..8].to_owned(),
    ] {
        let page = world.run(&["why", &clue]).ok();
        assert!(page.contains("PullRequest/pr-0 "), "{clue}:\n{page}");
    }
    world
        .run(&["why", "00000000-6c4e-4f57-9f2e-0a4a5f1f7b3d"])
        .fails(1, "none of the newest 5 denials");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_counts_and_says_of_what() {
    let mut world = World::new().await;
    world.denials(0..3);
    world.deny(
        3,
        json!({"namespace": "krate-org-globex", "kind": "Job"}),
        json!({}),
    );
    let page = world.run(&["summary"]).ok();
    assert!(page.starts_with("4 denials\n"), "{page}");
    for words in [
        "4      require-pr-description",
        "3      krate-org-acme",
        "1      Job",
    ] {
        assert!(page.contains(words), "{words}:\n{page}");
    }
    let one = world
        .run(&[
            "summary",
            "-n",
            "krate-org-globex",
            "--since",
            "2026-10-05T12:00:00Z",
        ])
        .ok();
    assert!(
        one.starts_with("1 denial, since 2026-10-05 12:00:00Z\n"),
        "{one}"
    );
    let figures: Value = serde_json::from_str(&world.run(&["summary", "-o", "json"]).ok()).unwrap();
    assert_eq!(figures["total"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_the_same_in_every_form() {
    let mut world = World::new().await;
    world.deny(
        0,
        json!({}),
        json!({"messages": ["a: \u{1b}[31m\u{202e} \"b\""]}),
    );
    world.denials(1..2);
    let whole: Value = serde_json::from_str(&world.run(&["list", "-o", "json"]).ok()).unwrap();
    let yaml = world.run(&["list", "-o", "yaml"]).ok();
    assert!(!yaml.contains(['\u{1b}', '\u{202e}']));
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), whole);
    let lines = world.run(&["list", "-o", "jsonl"]).ok();
    let items: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(Value::from(items), whole["items"]);
    let exported = world.run(&["export"]).ok();
    assert_eq!(exported, lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_every_record_and_no_spreadsheet_or_terminal_obeys_it() {
    let mut world = World::new().await;
    world.denials(0..230);
    let hostile = "=HYPERLINK(\"http://evil\")\u{1b}[2J\r\n<script>alert(1)</script>\u{202e}";
    world.deny(
        230,
        json!({}),
        json!({"name": "+cmd", "actor": {"username": "@SUM(A1)"}, "messages": [hostile]}),
    );
    world.deny(231, json!({}), json!({"messages": ["-".repeat(65_536)]}));
    let csv = world.run(&["export", "-o", "csv"]).ok();
    assert_eq!(csv.lines().count(), 233);
    assert!(csv.starts_with("id,time,recordedAt,verdict,"));
    assert!(!csv.contains(['\u{1b}', '\r', '\u{202e}']));
    for cell in csv.split(['\n', ',']) {
        let cell = cell.trim_start_matches('"');
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
    let file = world.directory.path().join("out.jsonl");
    let to = file.to_str().unwrap();
    world
        .run(&["export", "--to", to, "--policy", "require-pr-description"])
        .ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 232);
    let ocsf = world
        .run(&["export", "-o", "ocsf", "--actor", "@SUM(A1)"])
        .ok();
    let event: Value = serde_json::from_str(&ocsf).unwrap();
    assert_eq!(
        (&event["class_uid"], &event["metadata"]["uid"]),
        (&json!(6003), &json!(id(230)))
    );
    for (arguments, says) in [
        (
            &["export", "--to", "http://siem.example/in"][..],
            "never sent without TLS",
        ),
        (
            &["export", "--to", "https://siem.example/in", "-o", "csv"],
            "takes jsonl or ocsf",
        ),
        (&["export", "--to-header-file", "x"], "for an endpoint"),
        (&["export", "--cursor", "x"], "--follow"),
    ] {
        world.run(arguments).fails(2, says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_shell_gets_its_completions() {
    let world = World::new().await;
    for (shell, has) in [
        ("bash", "complete -F _docket"),
        ("zsh", "#compdef docket"),
        ("fish", "complete -c docket"),
    ] {
        let script = world.run(&["completion", shell]).ok();
        assert!(
            script.contains(has) && script.contains("audit-config"),
            "{shell}"
        );
    }
    world.run(&["completion", "csh"]).fails(2, "csh");
}
