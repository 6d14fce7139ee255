//! Who said no, and how the record tells it.

use crate::common::{admission_policy, denied, entries, exactly, in_namespace, personal, public};
use crate::common::{pull_request, refused, shared, the_one, validating_policy, wants_ok};
use docket_ledger::entry::Class;
use docket_tests::{Filter, on_shared_runtime};
use http::Method;
use serde_json::json;

#[test]
fn two_policies_that_deny_one_request_are_both_named() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("both").await?;
        plane
            .apply_policies(&[
                wants_ok("both-description", &namespace),
                validating_policy(
                    "both-title",
                    &namespace,
                    "object.spec.title.startsWith('ok')",
                    "The title must start with ok.",
                ),
            ])
            .await?;
        let object = pull_request(&namespace, "two-faults", "no");
        let reply = denied(plane.create("alice", &object).await?)?;

        let record = the_one(plane, &namespace).await?;
        assert_eq!(record["verdict"], "denied");
        assert_eq!(record["actor"], "alice");
        assert_eq!(record["org"], "both");
        assert_eq!(record["repository"], "web");
        assert_eq!(record["testimony"], "verified");
        let named: Vec<(&str, &str, &str)> = record["attributions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| {
                let text = |key: &str| one[key].as_str().unwrap_or_default();
                (text("policy"), text("grade"), text("message"))
            })
            .collect();
        let mut sorted = named.clone();
        sorted.sort_unstable();
        // Both in one hook, or each in a hook of its own: then one of them stays unnamed,
        // and the client saw no more than the record says.
        let all = [
            (
                "both-description",
                "exact",
                "The description must start with ok.",
            ),
            ("both-title", "exact", "The title must start with ok."),
        ];
        assert!(
            !sorted.is_empty() && sorted.iter().all(|one| all.contains(one)),
            "{named:?}"
        );
        for (policy, _, message) in all {
            assert_eq!(
                sorted.iter().any(|one| one.0 == policy),
                reply.message().contains(message),
                "{policy} in {}",
                reply.message()
            );
        }
        Ok(())
    });
}

#[test]
fn a_validating_admission_policy_is_named_with_its_binding() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("vap").await?;
        let rule = json!({"apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"],
            "resources": ["pullrequests"], "operations": ["CREATE"]});
        let policy = admission_policy(
            "vap-title",
            &namespace,
            rule,
            "object.spec.description == 'ok'",
        );
        plane.apply_all(&policy).await?;
        refused(plane, &pull_request(&namespace, "probe", "no")).await?;

        denied(
            plane
                .create("alice", &pull_request(&namespace, "by-vap", "no"))
                .await?,
        )?;

        let record = the_one(plane, &namespace).await?;
        let first = &record["attributions"][0];
        assert_eq!(record["verdict"], "denied");
        assert_eq!(first["enforcer"], "ValidatingAdmissionPolicy");
        assert_eq!(first["policy"], "vap-title");
        assert_eq!(first["binding"], "vap-title");
        assert_eq!(first["message"], "The API server says no.");
        assert_eq!(first["grade"], "exact", "{record:#}");
        // The API server asks it before our second hook: the first one's word is enough.
        assert_eq!(record["testimony"], "verified");
        assert_eq!(record["repository"], "web");
        Ok(())
    });
}

#[test]
fn an_admitted_write_is_not_on_record_and_a_dry_run_is_marked() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("dry").await?;
        plane
            .apply_policies(&[wants_ok("dry-description", &namespace)])
            .await?;
        plane
            .create("alice", &pull_request(&namespace, "good", "ok then"))
            .await?
            .accepted()?;
        let bad = pull_request(&namespace, "tried", "no");
        denied(plane.creating("alice", &bad)?.dry_run().send().await?)?;

        let found = exactly(plane, &Filter::namespace(&namespace), 1).await?;
        assert_eq!(found[0]["dryRun"], true);
        assert_eq!(found[0]["resourceRef"]["name"], "tried");
        Ok(())
    });
}

#[test]
fn every_way_of_writing_is_on_record_with_its_operation() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("ways").await?;
        let stored = pull_request(&namespace, "stored", "no, but older than the policy");
        let stored = plane.create("alice", &stored).await?.accepted()?.body;
        let keep = validating_policy(
            "ways-description",
            &namespace,
            "request.operation != 'DELETE' && object.spec.description.startsWith('ok')",
            "Neither changed nor deleted.",
        );
        plane.apply_policies(&[keep]).await?;

        let mut replaced = stored.clone();
        replaced["spec"]["title"] = json!("Replaced");
        denied(plane.replace("alice", &replaced).await?)?;
        let patch = json!({"spec": {"title": "Patched"}});
        denied(plane.patch("bob", &stored, &patch).await?)?;
        denied(
            plane
                .apply("alice", &pull_request(&namespace, "applied", "no"))
                .await?,
        )?;
        denied(
            plane
                .create("alice", &pull_request(&namespace, "", "no"))
                .await?,
        )?;
        denied(plane.delete("bob", &stored).await?)?;

        let found = exactly(plane, &in_namespace(&namespace), 5).await?;
        let mut ways: Vec<(String, String, String)> = found
            .iter()
            .map(|record| {
                let text =
                    |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                let name = text(&record["resourceRef"]["name"]);
                let name = if name.starts_with("made-") {
                    "made-".to_owned()
                } else {
                    name
                };
                (text(&record["operation"]), name, text(&record["actor"]))
            })
            .collect();
        ways.sort();
        let expected = [
            ("CREATE", "applied", "alice"),
            ("CREATE", "made-", "alice"),
            ("DELETE", "stored", "bob"),
            ("UPDATE", "stored", "alice"),
            ("UPDATE", "stored", "bob"),
        ];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(ways, expected);
        Ok(())
    });
}

#[test]
fn a_person_acting_as_another_is_kept_beside_the_actor() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("as").await?;
        plane
            .apply_policies(&[wants_ok("as-description", &namespace)])
            .await?;
        let object = pull_request(&namespace, "for-alice", "no");
        let call = plane
            .creating(docket_tests::users::ADMIN, &object)?
            .acting_as("alice");
        denied(call.send().await?)?;

        let record = the_one(plane, &namespace).await?;
        assert_eq!(record["actor"], "alice");
        assert_eq!(record["impersonator"], docket_tests::users::ADMIN);
        assert_eq!(record["testimony"], "verified");
        Ok(())
    });
}

#[test]
fn a_refused_exec_is_one_denial_for_each_request_and_no_more() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("exec").await?;
        let rule = json!({"apiGroups": [""], "apiVersions": ["v1"],
            "resources": ["pods/exec"], "operations": ["CONNECT"]});
        plane
            .apply_all(&admission_policy("no-exec", &namespace, rule, "false"))
            .await?;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "runner", "namespace": namespace},
            "spec": {"containers": [{"name": "main", "image": "example.test/none"}]},
        });
        plane
            .create(docket_tests::users::ADMIN, &pod)
            .await?
            .accepted()?;
        let path = format!("/api/v1/namespaces/{namespace}/pods/runner/exec");
        let exec =
            |method: Method| anyhow::Ok(plane.call("alice", method, &path)?.query("command", "sh"));
        // Without a kubelet an admitted exec fails otherwise; these tries leave no record.
        docket_tests::eventually(
            "exec is judged",
            std::time::Duration::from_secs(30),
            || async {
                let reply = exec(Method::POST)?.send().await?;
                Ok(reply.message().contains("denied request").then_some(()))
            },
        )
        .await?;
        denied(exec(Method::GET)?.send().await?)?;

        // kubectl tries both ways; each is a request that was refused.
        let found = exactly(plane, &in_namespace(&namespace), 2).await?;
        let mut verbs: Vec<&str> = Vec::new();
        for record in &found {
            assert_eq!(record["operation"], "CONNECT");
            assert_eq!(record["attributions"][0]["policy"], "no-exec");
            assert_eq!(record["actor"], "alice");
        }
        let store = plane.store();
        let rows: Vec<_> = entries(&store, Class::Denial)?
            .into_iter()
            .map(|row| public(&row))
            .filter(|public| public["namespace"] == namespace.as_str())
            .collect();
        verbs.extend(rows.iter().filter_map(|public| public["verb"].as_str()));
        verbs.sort_unstable();
        assert_eq!(verbs, ["create", "get"]);
        Ok(())
    });
}

#[test]
fn five_hundred_concurrent_writes_leave_exactly_the_refusals_that_clients_saw() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("crowd").await?;
        plane
            .apply_policies(&[wants_ok("crowd-description", &namespace)])
            .await?;
        let writes = (0..500).map(|index| {
            let text = if index % 2 == 0 { "ok" } else { "no" };
            let object = pull_request(&namespace, &format!("pr-{index}"), text);
            async move { plane.create(["alice", "bob"][index % 2], &object).await }
        });
        let replies: Vec<_> = futures::StreamExt::collect(futures::StreamExt::buffer_unordered(
            futures::stream::iter(writes),
            50,
        ))
        .await;
        let mut refused: Vec<String> = Vec::new();
        for reply in replies {
            let reply = reply?;
            if !reply.ok() {
                refused.push(reply.audit_id().unwrap_or_default().to_owned());
            }
        }
        refused.sort();
        assert_eq!(refused.len(), 250);

        exactly(plane, &in_namespace(&namespace), 250).await?;
        let mut kept: Vec<String> = entries(&plane.store(), Class::Denial)?
            .iter()
            .filter(|row| public(row)["namespace"] == namespace.as_str())
            .map(|row| {
                personal(row)["event"]["auditID"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        kept.sort();
        assert_eq!(kept, refused);
        Ok(())
    });
}
