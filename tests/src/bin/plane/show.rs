//! The scenes of `plane run`.

use crate::screen::{Colour, Screen};
use anyhow::{Context as _, Result};
use docket_tests::day::{Done, Verdict};
use docket_tests::{ControlPlane, Filter, eventually, users};
use http::Method;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// One write: who, what, and what came of it.
pub fn write(screen: &Screen, done: &Done) {
    let reply = &done.reply;
    let who = format!("  {:<6} {:<50} ", done.step.user, done.step.says);
    if reply.ok() {
        screen.line(&format!("{who}{}", screen.paint(&Colour::Good, "admitted")));
        return;
    }
    let message = strip(reply.message());
    let cut = screen.cut(message, who.chars().count() + 12);
    let code = screen.paint(&Colour::Bad, &format!("denied {}", reply.code()));
    screen.line(&format!(
        "{who}{code}  {}",
        screen.paint(&Colour::Dim, &cut)
    ));
}

/// The part of a denial's text that is not the same in every line.
fn strip(message: &str) -> &str {
    let after = message
        .split_once("denied the request: ")
        .map_or(message, |(_, after)| after);
    after
        .split_once("due to the following policies")
        .map_or(after, |(_, after)| after)
}

/// Runs the real `docket` and shows what it prints; false if it is not content.
pub async fn command(plane: &ControlPlane, screen: &Screen, args: &[&str]) -> Result<bool> {
    docket(screen, plane.docket_command(args)?, args).await
}

/// The same for a command that is ready to run. On a terminal it gets the terminal, so
/// that it knows width and colours; elsewhere its lines are set in.
pub async fn docket(screen: &Screen, mut docket: Command, args: &[&str]) -> Result<bool> {
    let line = format!("  $ docket {}", args.join(" "));
    screen.line(&screen.paint(&Colour::Dim, &line));
    if screen.terminal {
        let status = tokio::task::spawn_blocking(move || docket.status()).await?;
        return Ok(status.context("run docket")?.success());
    }
    let output = tokio::task::spawn_blocking(move || docket.output()).await?;
    let output = output.context("run docket")?;
    for part in [&output.stdout, &output.stderr] {
        for line in String::from_utf8_lossy(part).lines() {
            screen.line(format!("  {line}").trim_end());
        }
    }
    Ok(output.status.success())
}

/// What a developer sees with nothing but kubectl: the denials of her namespace, which
/// must be `expected` many. `None`: there is no kubectl on this machine.
pub async fn kubectl(
    plane: &ControlPlane,
    screen: &Screen,
    namespace: &str,
    expected: usize,
) -> Result<Option<bool>> {
    let args = ["get", "denials", "-n", namespace];
    let line = format!("  $ kubectl --context alice {}", args.join(" "));
    screen.line(&screen.paint(&Colour::Dim, &line));
    let output = match plane.kubectl_command("alice", &args).output().await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            screen.line("  kubectl is not installed here; with it, this is the list above.");
            return Ok(None);
        }
        output => output.context("run kubectl")?,
    };
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines() {
        screen.line(&format!("  {}", screen.cut_only(line, 2)));
    }
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        screen.line(&format!("  {line}"));
    }
    Ok(Some(text.lines().count() == expected + 1))
}

/// What she does next: ask why, through the same kubeconfig.
pub async fn why(plane: &ControlPlane, screen: &Screen) -> Result<bool> {
    let args = ["--context", "alice", "why"];
    let mut docket = Command::new(plane.program("docket"));
    docket.env("KUBECONFIG", plane.kubeconfig());
    for name in ["DOCKET_URL", "DOCKET_TOKEN", "DOCKET_CA"] {
        docket.env_remove(name);
    }
    docket.args(args);
    self::docket(screen, docket, &args).await
}

/// The id of the denial to tell of: the one that two webhooks denied; else one with two
/// deniers.
pub fn told(records: &[Value]) -> String {
    let two = |record: &&Value| {
        record["attributions"]
            .as_array()
            .is_some_and(|a| a.len() > 1)
    };
    let race = |record: &&Value| record["others"]["state"] == "seen";
    let record = records.iter().find(race).or(records.iter().find(two));
    let record = record.or(records.first());
    record
        .and_then(|record| record["id"].as_str())
        .unwrap_or_default()
        .to_owned()
}

/// The Event in the denied resource's namespace, as people find it: of its series, which an
/// earlier denial may have begun.
pub async fn event(plane: &ControlPlane, screen: &Screen, record: &Value) -> Result<()> {
    let path = "/apis/events.k8s.io/v1/events?fieldSelector=reason%3DPolicyDenied";
    let kind = text(&record["resourceRef"]["kind"]);
    let what = format!("{} {kind}", text(&record["operation"]));
    let found = eventually("the denial's Event", Duration::from_secs(20), || async {
        let reply = plane
            .call(users::ADMIN, Method::GET, path)?
            .send()
            .await?
            .accepted()?;
        let events = reply.body["items"].as_array().cloned().unwrap_or_default();
        let mine = events.into_iter().find(|event| {
            event["metadata"]["namespace"] == record["namespace"]
                && event["related"]["name"] == record["policy"]
                && text(&event["note"]).contains(&what)
        });
        Ok(mine)
    })
    .await?;
    let regarding = &found["regarding"];
    let line = "  $ kubectl get events -A --field-selector reason=PolicyDenied";
    screen.line(&screen.paint(&Colour::Dim, line));
    for (name, value) in [
        (
            "NAMESPACE",
            text(&found["metadata"]["namespace"]).to_owned(),
        ),
        ("TYPE", text(&found["type"]).to_owned()),
        ("REASON", text(&found["reason"]).to_owned()),
        (
            "OBJECT",
            format!("{}/{}", text(&regarding["kind"]), text(&regarding["name"])),
        ),
        (
            "COUNT",
            found["series"]["count"].as_u64().unwrap_or(1).to_string(),
        ),
        ("MESSAGE", text(&found["note"]).to_owned()),
    ] {
        screen.line(&format!("  {name:<10} {value}"));
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn mark(screen: &Screen, good: bool) -> String {
    match good {
        true => screen.paint(&Colour::Good, "✓"),
        false => screen.paint(&Colour::Bad, "✗"),
    }
}

/// What is wrong with what was learned beside the denials.
pub fn learned(screen: &Screen, faults: &[String]) {
    let good = faults.is_empty();
    screen.line(&format!(
        "  {} each denier under one law, both where two webhooks denied, and what fixed it",
        mark(screen, good)
    ));
    for fault in faults {
        screen.line(&format!("  {} {fault}", mark(screen, false)));
    }
}

/// Whether the developer found what is hers.
pub fn read(screen: &Screen, good: bool) {
    screen.line(&format!(
        "  {} a developer reads her namespace's denials with kubectl, and why hers were refused",
        mark(screen, good)
    ));
}

/// What the check found.
pub fn verdict(screen: &Screen, verdict: &Verdict, proved: bool) {
    let mark = |good: bool| mark(screen, good);
    let all = verdict.wrong.is_empty();
    screen.line(&format!(
        "  {} {} denials, each on record once: policy, rule, message, actor, org, repository, verdict",
        mark(all),
        verdict.right
    ));
    screen.line(&format!(
        "  {} {} admitted writes, none on record",
        mark(all),
        verdict.admitted
    ));
    screen.line(&format!("  {} the ledger is proved", mark(proved)));
    for wrong in &verdict.wrong {
        screen.line(&format!("  {} {wrong}", mark(false)));
    }
}

/// Addresses and commands for a person.
pub fn by_hand(plane: &ControlPlane, screen: &Screen) {
    let env = plane.run_dir().join("env");
    for (what, value) in [
        ("in another terminal", format!(". {}", env.display())),
        (
            "the record",
            format!("{} list", plane.program("docket").display()),
        ),
        (
            "as a developer",
            "kubectl --context alice get denials -n krate-org-acme -w".to_owned(),
        ),
        (
            "be refused as bob",
            "kubectl --context bob -n krate-org-acme patch pullrequest add-login \
             --type=merge -p '{\"spec\":{\"description\":\"\"}}'"
                .to_owned(),
        ),
        (
            "the REST door",
            format!("{}/api/policy-denials", plane.docket_url()),
        ),
        ("the API server", plane.url().to_owned()),
    ] {
        screen.line(&format!("  {what:<20} {value}"));
    }
    screen.line("\n  New denials appear below; Ctrl-C ends everything and cleans up.\n");
}

/// Prints new denials as they come, until the caller stops listening.
pub async fn follow(plane: &ControlPlane, screen: &Screen, mut seen: usize) -> Result<()> {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let records = plane
            .denials(&Filter::all())
            .await
            .context("follow the denials")?;
        for record in records.iter().skip(seen) {
            let object = &record["resourceRef"];
            let who = format!(
                "  {:<8} {} {} {}/{}  ",
                text(&record["actor"]),
                text(&record["operation"]),
                text(&object["kind"]),
                text(&record["namespace"]),
                text(&object["name"]),
            );
            let policy = screen.paint(&Colour::Bad, text(&record["policy"]));
            let message = screen.cut(text(&record["message"]), who.chars().count() + 26);
            screen.line(&format!(
                "{who}{policy}  {}",
                screen.paint(&Colour::Dim, &message)
            ));
        }
        seen = records.len().max(seen);
    }
}
