//! `docket import` into a real reporter: every shape made from the recorded day, and
//! imports that are cut short. Only the Kubernetes API is a double.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod cases;
mod court;

use anyhow::{Context as _, Result};
use court::Court;
use data_encoding::BASE64;
use docket_ledger::entry::Class;
use docket_tests::kube_double::{IMPORTER, READER};
use docket_tests::{eventually, on_shared_runtime, replay};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn day() -> Vec<String> {
    let text = std::fs::read_to_string(replay::day().join("audit.jsonl")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn stage(event: &str) -> (Value, i64) {
    let event: Value = serde_json::from_str(event).unwrap();
    // The recorded day's times are all of one form, so their digits are enough.
    let digits = event["stageTimestamp"]
        .as_str()
        .unwrap()
        .get(20..23)
        .unwrap()
        .parse::<i64>()
        .unwrap();
    (event, 1_795_405_000_000 + digits)
}

/// The day in every shape in which its raw events may come.
fn raw_shapes(day: &[String]) -> Vec<(&'static str, Vec<u8>)> {
    let lines = day.join("\n") + "\n";
    let items: Vec<Value> = day
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let list = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items});
    let log_events: Vec<Value> = day
        .iter()
        .enumerate()
        .map(|(n, line)| json!({"id": n.to_string(), "timestamp": stage(line).1, "message": line}))
        .collect();
    let payload = json!({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "/aws/eks/c/cluster",
        "logStream": "kube-apiserver-audit-1", "subscriptionFilters": ["f"], "logEvents": log_events});
    let control = json!({"messageType": "CONTROL_MESSAGE", "logEvents": []});
    let payloads = format!(
        "{}\n{}\n",
        BASE64.encode(&gzip(control.to_string().as_bytes())),
        BASE64.encode(&gzip(payload.to_string().as_bytes()))
    );
    let filtered = json!({"events": log_events, "searchedLogStreams": []});
    let exported: String = day
        .iter()
        .map(|line| {
            format!(
                "{} {line}\n",
                stage(line).0["stageTimestamp"].as_str().unwrap()
            )
        })
        .collect();
    let diagnostic = |line: &String| {
        json!({"category": "kube-audit-admin", "time": "2026-11-23T03:37:00Z",
        "resourceId": "/SUBSCRIPTIONS/X", "properties": {"log": format!("{line}\n"), "stream": "stdout", "pod": "p"}})
    };
    let records: Vec<Value> = day.iter().map(diagnostic).collect();
    let columns: Vec<Value> = day
        .iter()
        .map(|line| json!({"Category": "kube-audit", "log_s": line}))
        .collect();
    vec![
        ("audit.log", lines.clone().into_bytes()),
        ("audit.log.gz", gzip(lines.as_bytes())),
        ("list.json", list.to_string().into_bytes()),
        (
            "pretty-list.json",
            serde_json::to_vec_pretty(&list).unwrap(),
        ),
        ("payload.json", payload.to_string().into_bytes()),
        ("payloads.txt", payloads.into_bytes()),
        (
            "filter-log-events.json",
            serde_json::to_vec_pretty(&filtered).unwrap(),
        ),
        ("s3-export.gz", gzip(exported.as_bytes())),
        (
            "PT1H.json",
            records
                .iter()
                .map(|record| format!("{record}\n"))
                .collect::<String>()
                .into_bytes(),
        ),
        (
            "event-hub.json",
            json!({"records": records}).to_string().into_bytes(),
        ),
        (
            "diagnostics.json",
            serde_json::to_vec_pretty(&columns).unwrap(),
        ),
    ]
}

#[test]
fn the_day_is_on_record_once_in_whatever_shape_it_is_imported() {
    on_shared_runtime(async {
        let court = Court::new().await?;
        let day = day();
        let mut before = None;
        for (name, bytes) in raw_shapes(&day) {
            let told = court.import(name, &bytes).await?;
            assert_eq!(told["records"], day.len(), "{name}: {told}");
            assert_eq!(
                told["events"]["denied"].as_u64().unwrap(),
                13,
                "{name}: {told}"
            );
            let content = court.content()?;
            match &before {
                None => {
                    assert_eq!(told["new"], content.0.len(), "{told}");
                    before = Some(content);
                }
                Some(before) => {
                    assert_eq!((&told["new"], &content), (&json!(0), before), "{name}");
                }
            }
        }
        // Through standard input, and as a table.
        let mut command = court.docket(IMPORTER, &["import", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        child
            .stdin
            .take()
            .unwrap()
            .write_all((day.join("\n")).as_bytes())?;
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
        let table = String::from_utf8(output.stdout)?;
        assert!(
            table.contains(&format!("{} records in 1 file", day.len())) && table.contains("0 new"),
            "{table}"
        );
        assert!(table.contains("13 denied"), "{table}");
        court.verified().await?;
        court.stop();
        Ok(())
    });
}

#[test]
fn a_broken_line_is_named_and_everything_else_is_imported() {
    on_shared_runtime(async {
        let court = Court::new().await?;
        let mut lines = day();
        let whole = lines.len();
        lines.insert(40, "{\"kind\":\"Event\",\"auditID\":\"torn".to_owned());
        lines.push("not even JSON".to_owned());
        let file = court.path("torn.log");
        std::fs::write(&file, lines.join("\n"))?;
        let output = court
            .run(IMPORTER, &["import", file.to_str().unwrap()])
            .await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for place in ["torn.log:41: ", &format!("torn.log:{}: ", whole + 2)] {
            assert!(said.contains(place), "{said}");
        }
        assert_eq!(court.rows(Class::Gap)?.len(), 2);
        assert_eq!(
            std::fs::read_dir(court.path("ledger.quarantine"))?.count(),
            2
        );
        assert_eq!(court.rows(Class::Denial)?.len(), 13);
        // What is no audit log at all is refused before anything is sent.
        let wrong = court.path("wrong.csv");
        std::fs::write(&wrong, "a,b,c\n".repeat(500))?;
        let output = court
            .run(IMPORTER, &["import", wrong.to_str().unwrap()])
            .await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("does not look like an audit log"), "{said}");
        let mismatch = court
            .run(
                IMPORTER,
                &["import", "--format", "gke", file.to_str().unwrap()],
            )
            .await?;
        assert_eq!(mismatch.status.code(), Some(2));
        assert_eq!(court.rows(Class::Gap)?.len(), 2);
        // And who may not import is told what is missing.
        let refused = court
            .run(READER, &["import", file.to_str().unwrap()])
            .await?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("create denials.docket.a5c.ai"), "{said}");
        court.stop();
        Ok(())
    });
}

/// Denials without testimonies, as many as it takes to be in the middle of it.
fn many(count: usize) -> Vec<u8> {
    let day = day();
    let denied = day
        .iter()
        .find(|line| line.contains("denied the request"))
        .unwrap();
    let mut event: Value = serde_json::from_str(denied).unwrap();
    event["annotations"] = json!({});
    let mut bytes = Vec::new();
    for number in 0..count {
        event["auditID"] = format!("many-{number}").into();
        serde_json::to_writer(&mut bytes, &event).unwrap();
        bytes.push(b'\n');
    }
    bytes
}

#[test]
fn an_import_that_is_cut_short_can_be_run_again() {
    on_shared_runtime(async {
        const COUNT: usize = 8000;
        let (mut court, whole) = (Court::new().await?, Court::new().await?);
        let bytes = many(COUNT);
        assert_eq!(whole.import("many.log", &bytes).await?["new"], COUNT);
        let file = court.path("many.log");
        std::fs::write(&file, &bytes)?;
        let arguments = ["import", "-o", "json", file.to_str().unwrap()];

        // The command is killed.
        let mut child = court
            .docket(IMPORTER, &arguments)
            .stdout(Stdio::null())
            .spawn()?;
        some(&court, 1).await?;
        child.kill()?;
        child.wait()?;
        let partly = court.rows(Class::Denial)?.len();
        assert!(
            (1..COUNT).contains(&partly),
            "{partly}: it was in the middle"
        );

        // Run again; the reporter is killed meanwhile, and comes back.
        let mut child = court
            .docket(IMPORTER, &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        some(&court, partly + 1).await?;
        court.process.take().unwrap().kill();
        assert!(child.try_wait()?.is_none(), "it waits for the reporter");
        court.start().await?;
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(
            court.content()?,
            whole.content()?,
            "as if nothing had happened"
        );
        court.verified().await?;
        court.stop();
        whole.stop();
        Ok(())
    });
}

async fn some(court: &Court, count: usize) -> Result<()> {
    eventually("denials are on record", Duration::from_secs(60), || async {
        Ok((court.rows(Class::Denial)?.len() >= count).then_some(()))
    })
    .await
}

/// The entry that Cloud Logging would hold of an event.
fn gke(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).unwrap();
    let object = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut name = vec![text(&object["apiGroup"]), text(&object["apiVersion"])];
    if name[0].is_empty() {
        name[0] = "core".into();
    }
    if object["namespace"].is_string() {
        name.extend(["namespaces".to_owned(), text(&object["namespace"])]);
    }
    name.push(text(&object["resource"]));
    name.extend([&object["name"], &object["subresource"]].map(text));
    let code = event["responseStatus"]["code"].as_u64().unwrap();
    let user = event.get("impersonatedUser").unwrap_or(&event["user"]);
    json!({
        "insertId": event["auditID"], "timestamp": event["requestReceivedTimestamp"],
        "resource": {"type": "k8s_cluster"}, "labels": event["annotations"],
        "protoPayload": {
            "serviceName": "k8s.io",
            "methodName": format!("x.v1.{}.{}", text(&object["resource"]), text(&event["verb"])),
            "resourceName": name.join("/").trim_end_matches('/'),
            "authenticationInfo": {"principalEmail": user["username"]},
            "status": if code < 400 { json!({}) } else { json!({"code": 2, "message": event["responseStatus"]["message"]}) },
            "response": {"@type": "core.k8s.io/v1.Status", "status": "Failure", "code": code,
                "message": event["responseStatus"]["message"]},
        },
    })
}

#[test]
fn gke_entries_are_linked_with_live_ones_and_a_second_import_changes_nothing() {
    on_shared_runtime(async {
        let court = Court::new().await?;
        let day = day();
        let raw = court
            .import("audit.log", (day.join("\n")).as_bytes())
            .await?;
        let entries: Vec<Value> = day.iter().map(|line| gke(line)).collect();
        let array = serde_json::to_vec_pretty(&entries).unwrap();
        let told = court.import("entries.json", &array).await?;
        assert_eq!(
            (&told["shapes"], &told["new"]),
            (&json!({"gke": day.len()}), &raw["new"]),
            "{told}"
        );
        let records = told["new"].as_u64().unwrap() as usize;
        let links = court.rows(Class::Amendment)?;
        assert_eq!(links.len(), 2 * records, "each with its own, on both");
        for link in &links {
            let link: Value = serde_json::from_slice(&link.public)?;
            assert_eq!(link["kind"], "same-request", "{link}");
        }
        let content = court.content()?;
        let lines: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
        assert_eq!(
            court.import("entries.jsonl", lines.as_bytes()).await?["new"],
            0
        );
        assert_eq!(court.content()?, content);
        // One of them in full.
        let derived = court.rows(Class::Denial)?.into_iter().find(|row| {
            let public: Value = serde_json::from_slice(&row.public).unwrap();
            public["derived"] == "gke" && public["testimony"] == "verified"
        });
        let id = derived.context("no derived record with its testimony")?.id;
        let shown = court.run(READER, &["show", &id]).await?;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            shown.contains("source import") && shown.contains("Cloud Logging"),
            "{shown}"
        );
        assert!(shown.contains("same-request"), "{shown}");
        assert!(shown.contains("both carry the same testimony"), "{shown}");
        court.verified().await?;
        court.stop();
        Ok(())
    });
}

#[test]
fn a_file_that_is_not_there_is_named_and_an_empty_one_is_no_error() {
    on_shared_runtime(async {
        let court = Court::new().await?;
        let output = court.run(IMPORTER, &["import", "/no/such/file"]).await?;
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/file"));
        let empty = court.import("empty.log", b"").await?;
        assert_eq!(
            (&empty["records"], &empty["broken"]),
            (&json!(0), &json!(0))
        );
        court.stop();
        Ok(())
    });
}

/// Files as people bring them; `lib/record/tests/cases` says to whom each refusal is owed.
#[test]
fn each_case_from_the_field_is_imported_and_what_became_of_it_is_said() {
    let cases = [
        (
            "01-etcd-timeout-500",
            json!({"unknown": 1, "server_error": 1}),
        ),
        (
            "03-mutating-patch-does-not-apply-500",
            json!({"unavailable": 2}),
        ),
        ("05-exec-error-dialing-backend", json!({"backend": 2})),
        (
            "07-eviction-two-budgets-500",
            json!({"server_error": 1, "too_many_requests": 1}),
        ),
        ("08-proxy-and-kubelet-bare-codes", json!({"backend": 4})),
        ("09-kyverno-before-1.12-headings", json!({"denied": 5})),
        ("10-kyverno-ephemeral-containers", json!({"denied": 1})),
        ("12-kyverno-yaml-odd-scalars", json!({"denied": 1})),
        ("14-gatekeeper-two-constraints", json!({"denied": 2})),
    ];
    on_shared_runtime(async {
        let court = Court::new().await?;
        let directory = docket_tests::paths::repository().join("tests/recorded/cases");
        for (case, events) in cases {
            let name = format!("{case}.json");
            let bytes = std::fs::read(directory.join(&name))?;
            let told = court.import(&name, &bytes).await?;
            assert_eq!(told["events"], events, "{case}: {told}");
            assert_eq!(told["broken"], 0, "{case}: {told}");
        }
        assert!(court.rows(Class::Gap)?.is_empty());
        court.verified().await?;
        court.stop();
        Ok(())
    });
}
