//! `docket list`, `show`, `gaps`: what people and programs see.

mod support;

use docket_ledger::entry::Class;
use serde_json::{Value, json};
use support::{World, denial, id};

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_calm_and_says_who_was_refused_what_by_which_policy() {
    let mut world = World::new().await;
    world.denials(0..1);
    world.deny(1, json!({"dryRun": true, "namespace": "krate-org-globex", "attributions": [
        {"enforcer": "kyverno", "policy": "webhook-signing-required", "rule": "has-secret", "result": "fail", "grade": "exact", "source": "responseStatus"},
        {"enforcer": "kyverno", "policy": "other", "result": "fail", "grade": "exact", "source": "responseStatus"}]}),
        json!({"actor": {"username": "system:serviceaccount:krate-system:krate"}, "messages": ["Name a secret."]}));
    world.deny(2, json!({"verdict": "unavailable", "namespace": "", "kind": "Pod", "subresource": "exec", "attributions": [
        {"enforcer": "webhook", "webhook": "guard.example", "result": "error", "grade": "ambiguous", "source": "responseStatus"}]}),
        json!({"messages": ["failed calling webhook"]}));
    let table = world.run(&["list"]).ok();
    assert_eq!(table, "\
ID        TIME                  NAMESPACE         OBJECT            ACTOR                  POLICY                                  VERDICT           MESSAGE
im7l6w6a  2026-10-05 12:00:02Z                    Pod/pr-2 (exec)   alice                  webhook?                                unavailable       failed calling webhook
wqdrdkem  2026-10-05 12:00:01Z  krate-org-globex  PullRequest/pr-1  sa:krate-system/krate  webhook-signing-required/has-secret +1  denied (dry run)  Name a secret.
347wdgae  2026-10-05 12:00:00Z  krate-org-acme    PullRequest/pr-0  alice                  require-pr-description                  denied            A description of at least 20 characters is required.
");
    assert!(!table.contains('\u{1b}'), "no colours into a pipe");
    let one = world.run(&["list", "-n", "krate-org-acme"]).ok();
    assert!(
        !one.contains("NAMESPACE") && one.lines().count() == 2,
        "{one}"
    );
    let narrow = world.run_with(&["list"], &[("COLUMNS", "80")]).ok();
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 80),
        "{narrow}"
    );
    assert!(narrow.contains('…'), "{narrow}");
    assert!(narrow.contains("  10-05 12:00  "), "{narrow}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_finding_stands_beside_a_denial() {
    let mut world = World::new().await;
    world.denials(0..1);
    let report = json!({
        "apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport",
        "metadata": {"name": "8a3d0c", "namespace": "krate-org-acme"},
        "scope": {"apiVersion": "krate.a5c.ai/v1alpha1", "kind": "PullRequest",
            "name": "pr-7", "namespace": "krate-org-acme"},
        "results": [{"source": "KyvernoValidatingPolicy", "policy": "wants-reviewers",
            "result": "fail", "severity": "low", "message": "Name a reviewer.\u{1b}[31m",
            "properties": {"process": "background scan"}, "timestamp": {"seconds": 1_790_000_000}}],
    });
    let report = docket_record::report::Report::from_object(&report).unwrap();
    world.known.reports.write().apply(report);
    let policy = docket_record::law::Object::read(&json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": "wants-reviewers"}, "spec": {"validationActions": ["Audit"]},
    }));
    let book = docket_record::law::LawBook::always([(policy.unwrap(), "law-1".to_owned())]);
    world.known.laws.publish(book);
    let table = world.run(&["violations"]).ok();
    assert_eq!(table, "\
WHAT         LAST SEEN             NAMESPACE       OBJECT            POLICY                  SEVERITY  MESSAGE
denied       2026-10-05 12:00:00Z  krate-org-acme  PullRequest/pr-0  require-pr-description  medium    A description of at least 20 characters is required.
audit: fail  2026-09-21 14:13:20Z  krate-org-acme  PullRequest/pr-7  wants-reviewers         low       Name a reviewer.\\u{1b}[31m
");
    let wide = world
        .run(&["violations", "-o", "wide", "--mode", "audit"])
        .ok();
    assert!(
        wide.contains("SCANNED") && wide.contains("8a3d0c") && !wide.contains("denied"),
        "{wide}"
    );
    let body = world
        .run(&[
            "violations",
            "--source",
            "denial",
            "-n",
            "krate-org-acme",
            "-o",
            "json",
        ])
        .ok();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["items"][0]["denial"], id(0));
    assert_eq!(body["items"].as_array().unwrap().len(), 1);
    world
        .run(&["violations", "--severity", "dire"])
        .fails(2, "severity: must be one of");
    let none = world.run(&["violations", "--policy", "none"]);
    assert_eq!((none.code, none.err.as_str()), (0, "No violations.\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_and_json_say_more() {
    let mut world = World::new().await;
    world.denials(0..2);
    let wide = world.run(&["list", "-o", "wide"]).ok();
    for heading in [
        "OPERATION",
        "REPOSITORY",
        "ENFORCER",
        "TESTIMONY",
        "POSITION",
    ] {
        assert!(wide.contains(heading), "{wide}");
    }
    let body: Value = serde_json::from_str(&world.run(&["list", "-o", "json"]).ok()).unwrap();
    assert_eq!(
        (
            body["items"].as_array().unwrap().len(),
            body.as_object().unwrap().len()
        ),
        (2, 1)
    );
    assert_eq!(body["items"][0]["id"], id(1));
    let none = world.run(&["list", "--actor", "nobody", "-o", "json"]).ok();
    assert_eq!(
        serde_json::from_str::<Value>(&none).unwrap(),
        json!({"items": []})
    );
    let none = world.run(&["list", "--actor", "nobody"]);
    assert_eq!(
        (none.code, none.out.as_str(), none.err.as_str()),
        (0, "", "No denials.\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_reaches_the_server() {
    let mut world = World::new().await;
    world.denials(0..1);
    world.deny(1, json!({"namespace": "other", "verdict": "unknown", "operation": "DELETE", "dryRun": true, "kind": "Job",
        "context": {"repository": "api", "surface": "run"},
        "attributions": [{"enforcer": "webhook", "policy": "p", "rule": "r", "result": "fail", "source": "responseStatus"}]}),
        json!({"name": "job-1", "actor": {"username": "bob & co"}}));
    for filter in [
        ["--namespace", "other"],
        ["--policy", "p"],
        ["-q", "bob \"job-1\""],
        ["--rule", "r"],
        ["--kind", "Job"],
        ["--name", "job-1"],
        ["--repository", "api"],
        ["--surface", "run"],
        ["--actor", "bob & co"],
        ["--enforcer", "webhook"],
        ["--verdict", "unknown"],
        ["--operation", "DELETE"],
        ["--dry-run", "true"],
        ["--since", "2026-10-05T12:00:01Z"],
    ] {
        let out = world
            .run(&["list", "-o", "json", filter[0], filter[1]])
            .ok();
        let body: Value = serde_json::from_str(&out).unwrap();
        let ids: Vec<_> = body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, [id(1)], "{filter:?}");
    }
    let until = world
        .run(&[
            "list",
            "-o",
            "json",
            "--until",
            "2026-10-05T12:00:01Z",
            "-A",
            "--org",
            "acme",
        ])
        .ok();
    assert!(until.contains(&id(0)) && !until.contains(&id(1)));
    world
        .run(&["list", "--since", "soon"])
        .fails(2, "must be how long ago");
    let since = world
        .run(&["list", "-o", "json", "--since", "2026-10-01"])
        .ok();
    assert!(since.contains(&id(0)), "a day is a time");
    world
        .run(&["list", "--verdict", "maybe"])
        .fails(2, "denied, unavailable, unknown, failedOpen");
    world.run(&["list", "--colour", "red"]).fails(2, "--colour");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_paged_by_itself() {
    let mut world = World::new().await;
    world.denials(0..450);
    let all: Value =
        serde_json::from_str(&world.run(&["list", "--limit", "0", "-o", "json"]).ok()).unwrap();
    let mut ids: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 450);
    let some = world.run(&["list", "--limit", "203"]);
    assert_eq!(
        (some.out.lines().count(), some.err.as_str()),
        (204, "247 more; --limit 0 lists all.\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_denial_is_shown_in_full() {
    let mut world = World::new().await;
    world.deny(
        0,
        json!({"notes": ["one of a collection"]}),
        json!({"impersonator": {"username": "root"}}),
    );
    let shown = world.run(&["show", &id(0)[..8]]).ok();
    let ago = shown.find(" (").zip(shown.find(" ago)"));
    let shown = match ago {
        Some((from, to)) => format!("{}{}", &shown[..from], &shown[to + 5..]),
        None => shown,
    };
    assert_eq!(
        shown,
        format!(
            "\
Denied      PullRequest/pr-0 in krate-org-acme
            CREATE by alice, impersonated by root
            2026-10-05 12:00:00Z, HTTP 400

Policy      require-pr-description (ValidatingPolicy)
            A pull request says what it changes · Pull requests · severity medium
            about PullRequest · controls: CC8.1
Message     A description of at least 20 characters is required.
Remedy      Give spec.description at least 20 characters.
            A PolicyException can name this policy.

Krate       org acme · repository web · pull request pr-0 · surface pr
            as the refused object says of itself
Evidence    testimony verified
            recorded 2026-09-21 14:13:21Z from source apiserver
Note        one of a collection
Id          {}
Proof       entry 0 of the ledger; `docket verify` checks it
",
            id(0)
        )
    );
    let item: Value =
        serde_json::from_str(&world.run(&["show", &id(0), "-o", "json"]).ok()).unwrap();
    assert_eq!(item["text"], "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_not_there_is_wrong_and_one_too_short_can_not_be_asked() {
    let mut world = World::new().await;
    world.denials(0..1);
    world.run(&["show", &id(9)]).fails(1, "no such denial");
    world.run(&["show", "../../x"]).fails(1, "no such denial");
    world.run(&["show", "abc"]).fails(2, "first 6 characters");
    for end in ['a', 'b'] {
        let (public, personal) = denial(
            5,
            &json!({"id": format!("aaaaaaa{}", end.to_string().repeat(45))}),
            &json!({}),
        );
        world.add(Class::Denial, &public, Some(&personal));
    }
    world
        .run(&["show", "aaaaaaa"])
        .fails(2, "several denials begin with aaaaaaa");
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_say_from_when_to_when_and_why_and_the_list_points_to_them() {
    let mut world = World::new().await;
    world.denials(0..1);
    let none = world.run(&["gaps"]);
    assert_eq!((none.code, none.err.as_str()), (0, "No gaps.\n"));
    for (n, numbers) in [(1, json!([4, 6])), (2, json!([9, 9]))] {
        world.add(Class::Gap, &json!({"id": format!("gap-{n}"), "time": format!("2026-10-05T11:00:0{n}Z"),
            "from": "2026-10-05T10:00:00Z", "to": "2026-10-05T10:30:00Z", "source": "witness", "cause": "numbers-missing",
            "process": {"instance": "docket-webhook-0", "started": 1}, "numbers": numbers, "detail": "never came"}), None);
    }
    world.add(Class::Amendment, &json!({"id": "a", "time": "2026-10-05T12:00:00Z", "amends": "gap-2", "kind": "gap-closed"}), None);
    assert_eq!(world.run(&["gaps"]).ok(), "\
FROM                  TO                    SOURCE   CAUSE            NUMBERS  STATE              DETAIL
2026-10-05 10:00:00Z  2026-10-05 10:30:00Z  witness  numbers-missing  9        closed by entry 3  never came
2026-10-05 10:00:00Z  2026-10-05 10:30:00Z  witness  numbers-missing  4–6      open               never came
");
    assert_eq!(world.run(&["gaps", "--open"]).ok().lines().count(), 2);
    assert!(
        world
            .run(&["gaps", "-o", "wide"])
            .ok()
            .contains("docket-webhook-0")
    );
    let items: Value = serde_json::from_str(&world.run(&["gaps", "-o", "json"]).ok()).unwrap();
    assert_eq!(items["items"].as_array().unwrap().len(), 2);
    let list = world.run(&["list"]);
    let said = "The record may be incomplete in 1 place (audit events never came): see docket gaps --open.\n";
    assert_eq!((list.code, list.err.as_str()), (0, said));
}

/// An open gap of that hour on the fifth of October.
fn gap(world: &mut World, hour: u32, cause: &str, more: Value) {
    let mut public = json!({"id": format!("gap-{hour}-{cause}"), "source": "api", "cause": cause,
        "time": format!("2026-10-05T{hour:02}:59:00Z"), "from": format!("2026-10-05T{hour:02}:00:00Z"),
        "to": format!("2026-10-05T{hour:02}:30:00Z")});
    for (name, value) in more.as_object().into_iter().flatten() {
        public[name] = value.clone();
    }
    world.add(Class::Gap, &public, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_warns_of_gaps_that_may_hide_what_it_asks_for_and_of_no_others() {
    let mut world = World::new().await;
    // At noon, a minute each.
    for n in 0..3 {
        let time = format!("2026-10-05T12:{n:02}:00Z");
        world.deny(n, json!({"time": time}), json!({}));
    }
    let places = "The record may be incomplete in ";
    let warned = |world: &World, arguments: &[&str]| {
        let outcome = world.run(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.err);
        let said = outcome.err.lines().find(|line| line.starts_with(places));
        said.map(str::to_owned)
    };
    let quiet = |world: &World, arguments: &[&str]| {
        assert_eq!(warned(world, arguments), None, "{arguments:?}");
    };
    let warns = |world: &World, arguments: &[&str], says: &str| {
        let expected = format!("{places}{says}: see docket gaps --open.");
        assert_eq!(warned(world, arguments), Some(expected), "{arguments:?}");
    };
    // Attributions of that time are in doubt, and say so; who denied too each denial says.
    gap(&mut world, 8, "law-watch-away", json!({}));
    gap(&mut world, 8, "events-missing", json!({}));
    let law = json!({"id": "law-1", "time": "2026-10-05T09:00:00Z", "change": "created",
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy", "name": "p", "hash": "1"});
    world.add(Class::Law, &law, None);
    quiet(&world, &["list"]);
    quiet(&world, &["summary"]);
    // What they do hide.
    let unwatched = "1 place (policies were not watched)";
    warns(&world, &["list", "--verdict", "excepted"], unwatched);
    warns(&world, &["law", "history", "p"], unwatched);

    gap(&mut world, 9, "file-gone", json!({}));
    gap(&mut world, 10, "numbers-missing", json!({"count": 2}));
    let two = "2 places (audit events never came: 1, an audit log was gone before it was read: 1)";
    warns(&world, &["list"], two);
    warns(&world, &["summary"], two);
    warns(
        &world,
        &["list", "-n", "krate-org-acme", "--operation", "DELETE"],
        two,
    );
    // Of the span that is asked for, and of the one that is shown.
    let since = "2026-10-05T09:45:00Z";
    warns(
        &world,
        &["list", "--since", since],
        "1 place (audit events never came)",
    );
    quiet(&world, &["list", "--since", "2026-10-05T11:00:00Z"]);
    quiet(&world, &["list", "--until", "2026-10-05T09:00:00Z"]);
    quiet(&world, &["summary", "--since", "2026-10-05T11:00:00Z"]);
    let newest = world.run(&["list", "--limit", "1"]);
    assert_eq!(newest.err, "2 more; --limit 0 lists all.\n");
    warns(&world, &["list", "--limit", "3"], two);

    // Every write that is missing is known, and of another namespace.
    let write = |number: u64, operation: &str| {
        json!({"number": number, "hook": "witness", "operation": operation, "resource": "pullrequests",
            "namespace": "krate-org-globex"})
    };
    gap(
        &mut world,
        13,
        "numbers-missing",
        json!({"count": 2, "writes": [write(4, "CREATE"), write(5, "UPDATE")]}),
    );
    let after = ["list", "--since", "2026-10-05T13:00:00Z"];
    let one = "1 place (audit events never came)";
    warns(&world, &after, one);
    quiet(&world, &[&after[..], &["-n", "krate-org-acme"]].concat());
    warns(
        &world,
        &[&after[..], &["-n", "krate-org-globex"]].concat(),
        one,
    );
    warns(
        &world,
        &[
            &after[..],
            &["-n", "krate-org-globex", "--operation", "UPDATE"],
        ]
        .concat(),
        one,
    );
    quiet(
        &world,
        &[
            &after[..],
            &["-n", "krate-org-globex", "--operation", "DELETE"],
        ]
        .concat(),
    );
    let summary = [
        "summary",
        "--since",
        "2026-10-05T13:00:00Z",
        "-n",
        "krate-org-acme",
    ];
    quiet(&world, &summary);

    // What has closed counts no more.
    for (n, gap) in ["gap-9-file-gone", "gap-10-numbers-missing"]
        .iter()
        .enumerate()
    {
        world.add(
            Class::Amendment,
            &json!({"id": format!("a-{n}"), "time": "2026-10-05T14:00:00Z",
            "amends": gap, "kind": "gap-closed"}),
            None,
        );
    }
    quiet(&world, &["list", "-n", "krate-org-acme"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_names_the_writes_that_are_missing_each_once() {
    let mut world = World::new().await;
    world.denials(0..1);
    let write = |number: u64, hook: &str, resource: &str, namespace: &str| {
        json!({"number": number, "hook": hook, "time": "2026-10-05T10:10:00Z", "operation": "CREATE",
               "group": "krate.a5c.ai", "resource": resource, "namespace": namespace})
    };
    let who =
        |number: u64, name: &str, user: &str| json!({"number": number, "name": name, "user": user});
    let gap = json!({"id": "gap-1", "time": "2026-10-05T11:00:00Z", "from": "2026-10-05T10:00:00Z",
        "to": "2026-10-05T10:30:00Z", "source": "witness", "cause": "numbers-missing", "count": 7, "numbers": [4, 12],
        "writes": [write(4, "witness", "pullrequests", "krate-org-acme"), write(5, "final", "pullrequests", "krate-org-acme"),
            write(6, "witness", "issues", "krate-org-globex"), write(9, "witness", "organizations", ""),
            write(12, "final", "issues", "krate-org-acme")]});
    let personal = json!({"writes": [who(4, "pr-7", "alice"), who(5, "pr-7", "alice"), who(6, "i-\u{202e}1", "bob"),
        who(9, "acme", "root"), who(12, "i-2", "alice")]});
    world.add(Class::Gap, &gap, Some(&personal));
    let said = world.run(&["gaps"]).ok();
    let first = "CREATE pullrequests krate-org-acme/pr-7 by alice; CREATE issues krate-org-globex/i-\\u{202e}1 by bob; \
                 CREATE organizations acme by root";
    assert!(said.contains(&format!("{first}; 1 more")), "{said}");
    assert!(said.lines().next().unwrap().contains("MISSING"), "{said}");
    let wide = world.run(&["gaps", "-o", "wide"]).ok();
    let all = format!("{first}; CREATE issues krate-org-acme/i-2 by alice");
    assert!(wide.contains(&all), "{wide}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_done_names_its_remedy() {
    let mut world = World::new().await;
    world.denials(0..1);
    let list = |environment: &[(&str, &str)]| world.run_with(&["list"], environment);
    list(&[("DOCKET_URL", "https://localhost:1")]).fails(2, ". target/run/env");
    list(&[("DOCKET_URL", "http://docket.example:1")]).fails(2, "not an https address");
    list(&[("DOCKET_URL", "nonsense")]).fails(2, "not an https address");
    list(&[("DOCKET_URL", "https:// x")]).fails(2, "not a URL");
    list(&[("DOCKET_TOKEN", "forged")]).fails(2, "set a fresh DOCKET_TOKEN");
    list(&[("DOCKET_TOKEN", "")]).fails(2, "no token to show: set DOCKET_TOKEN");
    list(&[("DOCKET_TOKEN", "two\nlines")]).fails(2, "is the token one line");
    list(&[("DOCKET_CA", "/nowhere/ca.pem")]).fails(2, "/nowhere/ca.pem holds no certificates");
    let other = World::new().await;
    list(&[("DOCKET_CA", other.ca().to_str().unwrap())])
        .fails(2, "set DOCKET_CA or --ca to the right authority");
    let token = list(&[("DOCKET_TOKEN", "forged")]);
    assert!(
        !format!("{}{}", token.out, token.err).contains("forged"),
        "a token is never shown"
    );
    let bare = std::process::Command::new(env!("CARGO_BIN_EXE_docket"))
        .arg("list")
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(bare.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&bare.stderr).contains("set DOCKET_URL or --url"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_helps_with_examples() {
    let world = World::new().await;
    for command in [
        "list",
        "tail",
        "show",
        "why",
        "summary",
        "law",
        "violations",
        "outcomes",
        "gaps",
        "verify",
        "export",
        "import",
        "reindex",
        "audit-config",
        "completion",
    ] {
        let help = world.run(&[command, "--help"]).ok();
        assert!(
            help.contains("Examples:") && help.contains(&format!("docket {command}")),
            "{help}"
        );
        assert!(!help.contains(support::TOKEN), "a token is never shown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_denied_too_is_shown_and_counted_and_what_is_not_known_is_said() {
    let mut world = World::new().await;
    world.denials(0..2);
    world.add(Class::Amendment, &json!({"id": "w", "time": "2026-10-05T12:10:00Z", "amends": id(0),
        "kind": "other-denier", "attribution": {"enforcer": "kyverno", "policyKind": "ClusterPolicy",
        "policy": "signing", "rule": "has-secret", "result": "fail", "grade": "exact",
        "source": "kyvernoEvent"}}), Some(&json!({"message": "Name a secret."})));
    world.add(
        Class::Amendment,
        &json!({"id": "t", "time": "2026-10-05T12:11:00Z", "amends": id(1),
        "kind": "others-through", "state": "not-known"}),
        None,
    );
    let page = world.run(&["show", &id(0)]).ok();
    assert!(
        page.contains("Also denied signing, rule has-secret (ClusterPolicy)"),
        "{page}"
    );
    assert!(!page.contains("not known"), "{page}");
    let page = world.run(&["show", &id(1)]).ok();
    assert!(
        page.contains("whether others denied too is not known: what is named"),
        "{page}"
    );
    let table = world.run(&["list"]).ok();
    assert!(table.contains("require-pr-description +1"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_excepted_write_shows_its_exception_and_what_says_so() {
    let mut world = World::new().await;
    let (mut public, personal) = denial(
        0,
        &json!({"verdict": "excepted", "code": 201, "exceptions": [
        {"namespace": "kyverno", "name": "let-in", "policy": "require-pr-description",
         "evidence": "law", "laws": ["abcdefghijklmnop"]}]}),
        &json!({"messages": []}),
    );
    world.add(Class::Pass, &public, Some(&personal));
    let listed = world.run(&["list", "--verdict", "excepted"]);
    assert!(
        listed.out.contains("excepted"),
        "{}{}",
        listed.out,
        listed.err
    );
    let shown = world.run(&["show", &id(0)]).ok();
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "Admitted",
        "Exception",
        "kyverno/let-in for policy require-pr-description",
        "conditions held is not known",
        "law entry abcdefghijkl",
        "is not known.",
    ] {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
    public["id"] = id(1).into();
    public["exceptions"][0]["evidence"] = "report".into();
    world.add(Class::Pass, &public, Some(&personal));
    let shown = world.run(&["show", &id(1)]).ok();
    assert!(shown.contains("report says that it decided"), "{shown}");
}
