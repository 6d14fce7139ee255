//! Fifty secret values go into objects, and policies repeat them in their messages. With the
//! witness up none of them is anywhere in what Docket keeps or says; with it down only
//! records that say `unmasked` hold any.

use crate::common::{denied, in_namespace, refused, validating_policy};
use anyhow::{Context as _, Result, ensure};
use docket_ledger::entry::Part as LedgerPart;
use docket_ledger::query::Reader;
use docket_tests::users::AUDITOR;
use docket_tests::{ControlPlane, Options, Part, eventually, on_shared_runtime};
use http::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

const ORG: &str = "leaky";

/// A planted value. Every way of writing it leaves the needle in one piece, but base64.
#[derive(Clone)]
struct Planted {
    value: String,
    needle: String,
}

impl Planted {
    fn new(number: usize) -> Planted {
        let needle = format!(
            "n{number:02}x{:08x}",
            0x9e37_79b9_u32.wrapping_mul(number as u32 + 7)
        );
        let value = match number % 4 {
            0 => needle.clone(),
            1 => format!("pass \"{needle}\" 'word' \\ {needle}"),
            2 => format!("{needle}-and-so-on+/=="),
            _ => format!(
                "words that fill a line up to its eightieth column and are then folded {needle} é"
            ),
        };
        Planted { value, needle }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let packed = data_encoding::BASE64_NOPAD.encode(self.value.as_bytes());
        [self.needle.as_bytes(), packed.as_bytes()]
            .iter()
            .any(|form| memchr::memmem::find(bytes, form).is_some())
    }
}

/// Takes the next value.
fn next(values: &mut std::slice::Iter<'_, Planted>) -> Result<String> {
    Ok(values
        .next()
        .context("more values are planted than made")?
        .value
        .clone())
}

/// A pull request with six of them: in fields of secret names (built in and configured), a
/// configured path, an annotation, and what kubectl keeps.
fn leaky(
    namespace: &str,
    name: &str,
    why: &str,
    values: &mut std::slice::Iter<'_, Planted>,
) -> Result<Value> {
    let mut object = crate::common::pull_request(namespace, name, why);
    let applied = json!({"spec": {"token": next(values)?}}).to_string();
    object["metadata"]["annotations"] = json!({
        "example.com/api-key": next(values)?,
        "kubectl.kubernetes.io/last-applied-configuration": applied,
    });
    object["spec"]["token"] = next(values)?.into();
    object["spec"]["credentials"] = json!({"user": "u", "words": [next(values)?]});
    object["spec"]["bankAccountNumber"] = next(values)?.into();
    object["spec"]["notes"] = json!({"private": next(values)?, "public": "plain to see"});
    Ok(object)
}

fn grant(namespace: &str, name: &str, why: &str, data: &[String]) -> Value {
    let data: serde_json::Map<String, Value> = data
        .iter()
        .enumerate()
        .map(|(at, value)| (format!("FIELD_{at}"), value.clone().into()))
        .collect();
    docket_tests::krate::object(
        "AgentSecretGrant",
        namespace,
        ORG,
        name,
        json!({"organizationRef": ORG, "subject": "agent", "secretRef": "s", "purpose": why, "data": data}),
    )
}

/// Everything that a pull request may be refused by says all that it knows.
const ECHO: &str = "'token ' + object.spec.token + ', quoted ' + strings.quote(object.spec.notes.private) \
    + ', key ' + object.metadata.annotations['example.com/api-key'] \
    + ', account ' + object.spec.bankAccountNumber + ', words ' + object.spec.credentials.words[0] \
    + ', title ' + object.spec.title";

fn policies(namespace: &str) -> Vec<Value> {
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    let mut by_cel = validating_policy(
        "echo-cel",
        namespace,
        "object.spec.description != 'cel'",
        "unused",
    );
    by_cel["spec"]["validations"][0]["messageExpression"] = format!(
        "{ECHO} + ', packed ' + base64.encode(bytes(object.spec.token)) + ', applied ' \
         + object.metadata.annotations['kubectl.kubernetes.io/last-applied-configuration']"
    )
    .into();
    let mut of_grants = validating_policy(
        "echo-grants",
        namespace,
        "object.spec.purpose != 'refuse'",
        "unused",
    );
    of_grants["spec"]["matchConstraints"]["resourceRules"][0]["resources"] =
        json!(["agentsecretgrants"]);
    of_grants["spec"]["validations"][0]["messageExpression"] =
        "'data ' + object.spec.data.FIELD_0 + ' and ' + strings.quote(object.spec.data.FIELD_1)"
            .into();
    let legacy = json!({
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "echo-legacy"},
        "spec": {"background": false, "rules": [{
            "name": "echo",
            "match": {"any": [{"resources": {
                "kinds": ["krate.a5c.ai/v1alpha1/PullRequest"], "namespaces": [namespace], "operations": ["CREATE"]}}]},
            "validate": {
                "failureAction": "Enforce",
                "message": "Refused: {{ request.object.spec.token }}, {{ request.object.spec.notes.private }}, \
                    {{ to_string(request.object.spec.credentials) }}, {{ request.object.spec.bankAccountNumber }}",
                "deny": {"conditions": {"any": [
                    {"key": "{{ request.object.spec.description }}", "operator": "Equals", "value": "legacy"}]}},
            },
        }]},
    });
    let of_server = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "echo-server"},
        "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"],
                "resources": ["pullrequests"], "operations": ["CREATE"]}]},
            "validations": [{"expression": "object.spec.description != 'server'", "message": "unused",
                "messageExpression": ECHO.replace("strings.quote(object.spec.notes.private)", "object.spec.notes.private")}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "echo-server"},
        "spec": {"policyName": "echo-server", "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": here}},
    });
    vec![by_cel, of_grants, legacy, of_server, binding]
}

#[test]
fn no_planted_secret_is_found_anywhere_with_the_witness_up_and_only_in_unmasked_records_with_it_down()
 {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options {
            audit_file_source: true,
            webhook_flags: [
                "--redact",
                "spec.notes.private",
                "--redact-name",
                "accountNumber",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..Options::default()
        })
        .await?;
        let namespace = plane.org_namespace(ORG).await?;
        plane.apply_policies(&policies(&namespace)).await?;
        // Their readiness is told by probes that hold none of the values.
        for why in ["cel", "legacy", "server"] {
            let probes: Vec<Planted> = (100..106).map(Planted::new).collect();
            let probe = leaky(&namespace, "probe", why, &mut probes.iter())?;
            refused(&plane, &probe).await?;
        }
        let probe = grant(
            &namespace,
            "probe",
            "refuse",
            &["probe-a".into(), "probe-b".into()],
        );
        refused(&plane, &probe).await?;

        let planted: Vec<Planted> = (0..50).map(Planted::new).collect();
        let count = plant(&plane, &namespace, &planted).await?;
        let records = plane
            .denials_at_least(&in_namespace(&namespace), count)
            .await?;
        ensure!(records.len() == count, "{records:#?}");
        for record in &records {
            ensure!(record["unmasked"] == false, "{record:#}");
        }
        let said = everything(&plane, &namespace).await?;
        let found = search(&said, &planted);
        ensure!(found.is_empty(), "{found:#?}");
        evidence(&plane, &records).await?;

        can_fail(&plane, &namespace).await?;
        with_the_witness_down(&plane, &namespace).await?;
        plane.stop();
        Ok(())
    });
}

/// Writes them all, refused and admitted. Returns how many were refused.
async fn plant(plane: &ControlPlane, namespace: &str, planted: &[Planted]) -> Result<usize> {
    let mut values = planted.iter();
    let reasons = ["cel", "legacy", "server", "cel", "legacy", "server"];
    for (at, why) in reasons.iter().enumerate() {
        let object = leaky(namespace, &format!("refused-{at}"), why, &mut values)?;
        let reply = denied(plane.create("alice", &object).await?)?;
        // The messages do repeat what is to be masked.
        let token = object["spec"]["token"].as_str().unwrap_or_default();
        let plain = token.split(['"', '\\']).next().unwrap_or_default();
        ensure!(reply.message().contains(plain), "{}", reply.message());
    }
    plane
        .create("alice", &leaky(namespace, "admitted", "fine", &mut values)?)
        .await?
        .accepted()?;
    let mut data = Vec::new();
    while let Ok(value) = next(&mut values) {
        data.push(value);
    }
    ensure!(data.len() == 8, "{} are left for grants", data.len());
    let (refuse, admit) = data.split_at(5);
    denied(
        plane
            .create("alice", &grant(namespace, "refused", "refuse", refuse))
            .await?,
    )?;
    plane
        .create("alice", &grant(namespace, "admitted", "fine", admit))
        .await?
        .accepted()?;
    Ok(reasons.len() + 1)
}

/// Every byte that Docket keeps or says, by where it was found.
async fn everything(plane: &ControlPlane, namespace: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut said = Vec::new();
    let store = plane.store();
    let name = store
        .file_name()
        .context("a store has a name")?
        .to_string_lossy()
        .into_owned();
    for entry in fs::read_dir(store.parent().context("a store has a directory")?)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with(&name) {
            files(&entry.path(), &mut said)?;
        }
    }
    ensure!(
        said.iter()
            .any(|(file, bytes)| file.ends_with(&name) && !bytes.is_empty()),
        "no store"
    );
    parts(&store, &mut said)?;
    for part in [Part::Webhook, Part::Reporter] {
        said.push((
            format!("log of {}", part.name()),
            plane.log_tail(part, 1_000_000).into_bytes(),
        ));
    }
    // Kyverno's own Events repeat messages too; what is ours is told by its controller.
    let events = plane
        .admin(Method::GET, "/apis/events.k8s.io/v1/events")
        .send()
        .await?;
    let events = events.expect_code(200)?.body;
    let ours: Vec<&Value> = events["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["reason"] == "PolicyDenied")
        .collect();
    ensure!(!ours.is_empty(), "no Event was published");
    said.push(("Events".into(), serde_json::to_vec(&ours)?));
    for port in [plane.ports().webhook_admin, plane.ports().reporter_admin] {
        let url = format!("http://127.0.0.1:{port}/metrics");
        let page = plane.http().get(url).send().await?.expect_code(200)?;
        said.push((format!("metrics of {port}"), page.text.into_bytes()));
    }
    let token = plane.token(AUDITOR)?;
    let get = async |path: &str| -> Result<Vec<u8>> {
        let url = format!("{}{path}", plane.docket_url());
        Ok(plane
            .http()
            .get(url)
            .token(&token)
            .send()
            .await?
            .text
            .into_bytes())
    };
    // Parts are sent as base64, in which nothing would be found.
    let served: Value = serde_json::from_slice(&get("/api/parts?from=0&limit=200").await?)?;
    for item in served["items"].as_array().into_iter().flatten() {
        for part in ["public", "personal", "exhibit"] {
            let bytes = item[part]["bytes"].as_str().unwrap_or_default();
            let bytes = data_encoding::BASE64.decode(bytes.as_bytes())?;
            said.push((format!("/api/parts: {part} of {}", item["position"]), bytes));
        }
    }
    let list = "/api/policy-denials?limit=200".to_owned();
    let in_org = format!("/api/orgs/{ORG}/policy-denials?limit=200");
    for path in [
        list,
        in_org,
        "/api/policy-denials/summary".into(),
        "/api/gaps".into(),
    ] {
        said.push((path.clone(), get(&path).await?));
    }
    for arguments in [
        ["list", "-o", "json", "--limit", "0"],
        ["list", "-o", "wide", "--limit", "0"],
    ] {
        said.push((arguments.join(" "), plane.docket(&arguments).await?.stdout));
    }
    for record in plane.denials(&in_namespace(namespace)).await? {
        let id = record["id"].as_str().context("a record has an id")?;
        for path in ["", "/exhibit"] {
            let path = format!("/api/policy-denials/{id}{path}");
            said.push((path.clone(), get(&path).await?));
        }
        for output in ["json", "table"] {
            let shown = plane
                .docket(&["show", id, "--exhibit", "-o", output])
                .await?;
            said.push((format!("show {id} -o {output}"), shown.stdout));
        }
    }
    Ok(said)
}

/// A file, or all files under a directory.
fn files(path: &Path, said: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            files(&entry?.path(), said)?;
        }
    } else {
        said.push((path.display().to_string(), fs::read(path)?));
    }
    Ok(())
}

/// Every part of every entry, as it was before it was stored.
fn parts(store: &Path, said: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let reader = Reader::open(store)?;
    for row in reader.scan(0, 1_000_000)? {
        for part in reader.parts(row.position)?.unwrap_or_default() {
            let place = format!(
                "entry {} ({:?}), {:?} part",
                row.position, row.class, part.part
            );
            said.push((place, part.bytes));
        }
    }
    Ok(())
}

fn search(said: &[(String, Vec<u8>)], planted: &[Planted]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, bytes) in said {
        for one in planted.iter().filter(|one| one.is_in(bytes)) {
            found.push(format!("{:?} in {place}", one.value));
        }
    }
    found
}

/// What was masked is marked, exhibits are kept, and only those who may see them do.
async fn evidence(plane: &ControlPlane, records: &[Value]) -> Result<()> {
    let get = async |user: &str, path: &str| {
        let token = plane.token(user)?;
        let url = format!("{}{path}", plane.docket_url());
        plane.http().get(url).token(&token).send().await
    };
    for record in records {
        let path = format!(
            "/api/policy-denials/{}",
            record["id"].as_str().unwrap_or_default()
        );
        let whole = get("alice", &path).await?.expect_code(200)?;
        let text = whole.body["text"].as_str().unwrap_or_default();
        ensure!(text.contains("[redacted:"), "{text}");
        get("alice", &format!("{path}/exhibit"))
            .await?
            .expect_code(403)?;
        let exhibit = get(AUDITOR, &format!("{path}/exhibit"))
            .await?
            .expect_code(200)?
            .body;
        let marks = exhibit.to_string();
        ensure!(marks.contains("[redacted]"), "{exhibit:#}");
        let digests = &exhibit["digests"]["paths"];
        // The mark in the text is the beginning of a digest of the object.
        let mark = text
            .split("[redacted:")
            .nth(1)
            .and_then(|rest| rest.get(..4));
        let mark = mark.context("a mark has four digits")?;
        let known = digests.as_object().context("digests")?;
        ensure!(
            known.values().any(|digest| digest
                .as_str()
                .is_some_and(|digest| digest.starts_with(mark))),
            "{mark} is not among {digests:#}"
        );
    }
    let kept =
        crate::common::counter(plane, "docket_reporter_exhibits_total", "outcome=\"kept\"").await?;
    ensure!(kept as usize >= records.len(), "{kept} exhibits kept");
    Ok(())
}

/// A value under an innocent name is no secret: the same search finds it.
async fn can_fail(plane: &ControlPlane, namespace: &str) -> Result<()> {
    let innocent = Planted::new(60);
    let others: Vec<Planted> = (61..67).map(Planted::new).collect();
    let mut object = leaky(namespace, "innocent", "cel", &mut others.iter())?;
    object["spec"]["title"] = innocent.value.clone().into();
    denied(plane.create("alice", &object).await?)?;
    let named = in_namespace(namespace).with("name", "innocent");
    plane.denials_at_least(&named, 1).await?;
    let found = search(&everything(plane, namespace).await?, &[innocent]);
    for place in ["Public", "Personal", "Exhibit"] {
        let expected = place != "Public";
        let part = format!("{place} part");
        ensure!(
            found.iter().any(|one| one.contains(&part)) == expected,
            "{part}: {found:#?}"
        );
    }
    for place in ["show ", "/exhibit", "list -o json", "/api/parts"] {
        ensure!(
            found.iter().any(|one| one.contains(place)),
            "{place}: {found:#?}"
        );
    }
    Ok(())
}

async fn with_the_witness_down(plane: &ControlPlane, namespace: &str) -> Result<()> {
    plane.stop_part(Part::Webhook);
    let planted: Vec<Planted> = (70..88).map(Planted::new).collect();
    let mut values = planted.iter();
    for why in ["cel", "legacy", "server"] {
        let object = leaky(namespace, &format!("unseen-{why}"), why, &mut values)?;
        denied(plane.create("alice", &object).await?)?;
    }
    let unseen = eventually("the records are there", Duration::from_secs(30), || async {
        let all = plane.denials(&in_namespace(namespace)).await?;
        let unseen: Vec<Value> = all
            .into_iter()
            .filter(|one| one["unmasked"] == true)
            .collect();
        Ok((unseen.len() == 3).then_some(unseen))
    })
    .await?;
    for record in &unseen {
        ensure!(record["testimony"] == "missing", "{record:#}");
    }
    let reader = Reader::open(&plane.store())?;
    let mut holding = 0;
    for row in reader.scan(0, 1_000_000)? {
        let public: Value = serde_json::from_slice(&row.public).unwrap_or_default();
        let all = reader.parts(row.position)?.unwrap_or_default();
        let holds = all
            .iter()
            .any(|part| planted.iter().any(|one| one.is_in(&part.bytes)));
        ensure!(
            !holds || public["unmasked"] == true,
            "entry {} holds one: {public:#}",
            row.position
        );
        ensure!(
            !holds || all.iter().all(|part| part.part != LedgerPart::Exhibit),
            "there was no one to give an exhibit"
        );
        holding += usize::from(holds);
    }
    ensure!(
        holding == 3,
        "{holding} records hold what could not be masked"
    );
    Ok(())
}
