//! Hostile tenants against the real API server: each reads through every door what is
//! another's, and gets nothing: no record, no name, no number.
//!
//! Cases share the plane and have namespaces of their own. The same checks run without a
//! cluster in `reporter/src/doors/tests/{scopes,access,impersonating,evidence}.rs`.

use crate::common::{denied, in_namespace, pull_request, shared, wants_ok};
use anyhow::{Context as _, Result};
use docket_tests::call::Http;
use docket_tests::users::{ADMIN, AUDITOR, CONSOLE, CONSOLE_ACCOUNT, members};
use docket_tests::{ControlPlane, Reply, eventually, krate, on_shared_runtime};
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What is taken away is gone within a minute.
const MINUTE: Duration = Duration::from_secs(60);
const V1: &str = "/apis/docket.a5c.ai/v1";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Asks the REST door.
async fn rest(plane: &ControlPlane, user: &str, path: &str) -> Result<Reply> {
    let url = format!("{}{path}", plane.docket_url());
    plane
        .http()
        .get(url)
        .token(&plane.token(user)?)
        .send()
        .await
}

/// Asks the API server, which asks Docket.
async fn api(plane: &ControlPlane, user: &str, path: &str) -> Result<Reply> {
    plane
        .call(user, Method::GET, &format!("{V1}{path}"))?
        .send()
        .await
}

fn binding(
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    role: (&str, &str),
    user: &Value,
) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": RBAC, "kind": role.0, "name": role.1},
        "subjects": [user],
    })
}

fn role(kind: &str, namespace: Option<&str>, name: &str, rule: Value) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": kind,
        "metadata": {"name": name, "namespace": namespace}, "rules": [rule],
    })
}

fn user(name: &str) -> Value {
    json!({"apiGroup": RBAC, "kind": "User", "name": name})
}

/// A namespace with these members, and a policy that refuses what is not ok.
async fn tenant(plane: &ControlPlane, namespace: &str, people: &[&str]) -> Result<()> {
    let mut objects = vec![krate::namespace(namespace, None)];
    objects.extend(members(namespace, people));
    plane.apply_all(&objects).await?;
    plane
        .apply_policies(&[wants_ok(&format!("{namespace}-ok"), namespace)])
        .await
}

/// `who` is refused in that namespace, with this object.
/// Refused by a policy. A role that was bound a moment ago may not hold yet, and what RBAC
/// refuses is no denial.
async fn refused(plane: &ControlPlane, who: &str, object: &Value) -> Result<()> {
    eventually("the write is judged", MINUTE, || async {
        let reply = denied(plane.create(who, object).await?)?;
        Ok((reply.code() != 403).then_some(()))
    })
    .await
}

/// Denials of a namespace once there are as many, as the auditor reads them, oldest first.
async fn on_record(plane: &ControlPlane, namespace: &str, count: usize) -> Result<Vec<Value>> {
    plane
        .denials_at_least(&in_namespace(namespace), count)
        .await
}

fn id(record: &Value) -> &str {
    record["id"].as_str().unwrap_or_default()
}

/// Nothing of these words in the answer, whatever it is.
#[track_caller]
fn silent(reply: &Reply, words: &[&str]) {
    for word in words {
        assert!(
            !reply.text.contains(word),
            "{}: {word}: {}",
            reply.what,
            reply.text
        );
    }
}

/// Ids that a list shows, and its total.
#[track_caller]
fn listed(reply: &Reply) -> (Vec<String>, u64) {
    assert_eq!(reply.code(), 200, "{}: {}", reply.what, reply.text);
    let items = reply.body["items"].as_array().expect("items");
    let ids = items
        .iter()
        .map(|item| item["id"].as_str().unwrap_or_default().to_owned());
    let total = reply.body["total"].as_u64().unwrap_or(items.len() as u64);
    (ids.collect(), total)
}

#[test]
fn a_tenant_gets_nothing_of_another_by_any_path_id_cursor_or_number() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let (hers, theirs) = ("krate-org-ten-hers", "krate-org-ten-theirs");
        tenant(plane, hers, &["carol"]).await?;
        tenant(plane, theirs, &["alice"]).await?;
        refused(plane, "carol", &pull_request(hers, "mine", "no")).await?;
        refused(plane, "alice", &pull_request(theirs, "secret-plan", "no")).await?;
        refused(plane, "alice", &pull_request(theirs, "secret-plan", "no")).await?;
        let mine = on_record(plane, hers, 1).await?;
        let secret = on_record(plane, theirs, 2).await?;
        let (mine, secret) = (&mine[0], &secret[1]);
        let words = [theirs, "secret-plan", id(secret), "alice"];

        let since = format!("since={}", mine["time"].as_str().unwrap_or_default());
        let seen = |reply: &Reply| {
            silent(reply, &words);
            let (ids, total) = listed(reply);
            assert_eq!(ids.len() as u64, total, "{}: {}", reply.what, reply.text);
            assert!(ids.iter().any(|one| one == id(mine)), "{}", reply.text);
        };
        for path in [
            "/api/policy-denials?limit=200".to_owned(),
            format!("/api/policy-denials?limit=200&{since}"),
            format!("/api/policy-denials?namespace={hers}"),
            "/api/policy-denials?kind=PullRequest&limit=200".to_owned(),
            "/api/orgs/ten-hers/policy-denials".to_owned(),
        ] {
            seen(&rest(plane, "carol", &path).await?);
        }
        for path in [
            "/api/policy-denials?actor=alice",
            "/api/policy-denials?name=secret-plan",
            &format!("/api/policy-denials?policy={theirs}-ok"),
        ] {
            let reply = rest(plane, "carol", path).await?;
            assert_eq!(listed(&reply), (vec![], 0), "{path}");
        }
        for path in [
            "/api/policy-denials/summary".to_owned(),
            format!("/api/policy-denials/summary?{since}"),
            "/api/policy-violations?limit=200".to_owned(),
            "/api/gaps".to_owned(),
            "/api/laws?limit=200".to_owned(),
            "/api/parts?limit=200".to_owned(),
        ] {
            silent(
                &rest(plane, "carol", &path).await?.expect_code(200)?,
                &words,
            );
        }
        let position = &secret["position"];
        let short = &id(secret)[..8];
        for (path, code) in [
            (format!("/api/policy-denials?namespace={theirs}"), 403),
            (
                format!("/api/policy-denials/summary?namespace={theirs}"),
                403,
            ),
            (format!("/api/policy-violations?namespace={theirs}"), 403),
            (format!("/api/outcomes?namespace={theirs}"), 403),
            (format!("/api/laws?namespace={theirs}"), 403),
            ("/api/orgs/ten-theirs/policy-denials".to_owned(), 403),
            (
                "/api/orgs/ten-theirs/policy-denials/summary".to_owned(),
                403,
            ),
            (format!("/api/policy-denials/{}", id(secret)), 404),
            (format!("/api/policy-denials/{short}"), 404),
            (format!("/api/policy-denials/{}/law", id(secret)), 404),
            (format!("/api/policy-denials/{}/exhibit", id(secret)), 404),
            (format!("/api/my-denials/{}", id(secret)), 404),
            (
                format!("/api/orgs/ten-hers/policy-denials/{}", id(secret)),
                404,
            ),
            (format!("/api/parts/{position}"), 404),
            (
                format!("/api/namespaces/{theirs}/repositories/web/policy-denials"),
                403,
            ),
        ] {
            let reply = rest(plane, "carol", &path).await?;
            assert_eq!(reply.code(), code, "{path}: {}", reply.text);
            silent(&reply, &["secret-plan", "alice"]);
        }
        // What never was and what is not hers get one answer.
        let never = "a".repeat(52);
        let other = rest(plane, "carol", &format!("/api/policy-denials/{never}")).await?;
        let one = rest(
            plane,
            "carol",
            &format!("/api/policy-denials/{}", id(secret)),
        )
        .await?;
        assert_eq!(one.text, other.text);
        // Places that a reader of everything was given lead to nothing more.
        let all = rest(plane, AUDITOR, "/api/policy-denials?limit=1").await?;
        let cursor = all.body["cursor"].as_str().context("a cursor")?;
        silent(
            &rest(
                plane,
                "carol",
                &format!("/api/policy-denials?cursor={cursor}&limit=200"),
            )
            .await?,
            &words,
        );
        let from = format!("/api/parts?from={position}&limit=1");
        silent(
            &rest(plane, "carol", &from).await?.expect_code(200)?,
            &words,
        );
        Ok(())
    });
}

#[test]
fn through_the_api_server_a_tenant_gets_as_little() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let (hers, theirs) = ("krate-org-agg-hers", "krate-org-agg-theirs");
        tenant(plane, hers, &["carol"]).await?;
        tenant(plane, theirs, &["alice"]).await?;
        refused(plane, "carol", &pull_request(hers, "mine", "no")).await?;
        refused(plane, "alice", &pull_request(theirs, "secret-plan", "no")).await?;
        let mine = on_record(plane, hers, 1).await?;
        let secret = on_record(plane, theirs, 1).await?;
        let (mine, secret) = (&mine[0], &secret[0]);
        let words = ["secret-plan", id(secret), "alice"];
        let own = api(plane, "carol", &format!("/namespaces/{hers}/denials")).await?;
        assert_eq!(listed(&own).0, [id(mine)]);
        let sum = api(plane, "carol", &format!("/namespaces/{hers}/summaries"))
            .await?
            .expect_code(200)?;
        silent(&sum, &words);
        for path in [
            "/denials".to_owned(),
            "/clusterdenials".to_owned(),
            "/laws".to_owned(),
            "/summaries".to_owned(),
            format!("/namespaces/{theirs}/denials"),
            format!("/namespaces/{theirs}/denials?watch=true&timeoutSeconds=1"),
            format!("/namespaces/{theirs}/denials/{}", id(secret)),
            format!("/namespaces/{theirs}/denials/{}/law", id(secret)),
            format!("/namespaces/{theirs}/denials/{}/proof", id(secret)),
            format!("/namespaces/{theirs}/denials/{}/evidence", id(secret)),
            format!("/namespaces/{theirs}/summaries"),
            format!("/namespaces/{theirs}/repositories/web/denials"),
            format!("/namespaces/{hers}/denials/{}/evidence", id(mine)),
        ] {
            let reply = api(plane, "carol", &path).await?;
            assert_eq!(reply.code(), 403, "{path}: {}", reply.text);
            silent(&reply, &["secret-plan", "alice"]);
        }
        // Another's id in a namespace of hers, and among her own.
        for path in [
            format!("/namespaces/{hers}/denials/{}", id(secret)),
            format!("/namespaces/{hers}/denials/{}/proof", id(secret)),
            format!("/namespaces/{hers}/denials/{}/law", id(secret)),
            format!("/mydenials/{}", id(secret)),
        ] {
            let reply = api(plane, "carol", &path).await?;
            assert_eq!(reply.code(), 404, "{path}: {}", reply.text);
        }
        let own = api(plane, "carol", "/mydenials").await?;
        silent(&own, &words);
        assert!(listed(&own).0.contains(&id(mine).to_owned()));
        // A selector widens nothing.
        for selector in [
            format!("metadata.namespace={theirs}"),
            format!("namespace={theirs}"),
            "actor=alice".to_owned(),
        ] {
            let path = format!("/namespaces/{hers}/denials?fieldSelector={selector}");
            let reply = api(plane, "carol", &path).await?.expect_code(200)?;
            assert_eq!(listed(&reply).0, Vec::<String>::new(), "{selector}");
        }
        // The token of somebody else's list grants nothing: it is not even of this path.
        let all = api(plane, AUDITOR, "/denials?limit=1")
            .await?
            .expect_code(200)?;
        let token = all.body["metadata"]["continue"]
            .as_str()
            .context("a token")?;
        let path = format!("/namespaces/{hers}/denials?continue={token}");
        let reply = api(plane, "carol", &path).await?;
        assert_eq!(reply.code(), 400, "{}", reply.text);
        silent(&reply, &words);
        // From the ledger's beginning on a watch shows her own and no others.
        let path =
            format!("/namespaces/{hers}/denials?watch=true&timeoutSeconds=2&resourceVersion=0");
        let watched = api(plane, "carol", &path).await?;
        silent(&watched, &words);
        assert!(watched.text.contains(id(mine)), "{}", watched.text);
        Ok(())
    });
}

#[test]
fn in_a_shared_namespace_each_org_reads_its_own_part() {
    on_shared_runtime(async {
        let plane = shared().await?;
        // No org's prefix: who a record is of stands in the object alone.
        let namespace = "ten-commons";
        tenant(plane, namespace, &["alice", "bob", "carol"]).await?;
        let bind = |org: &str| {
            krate::object(
                "OrgNamespaceBinding",
                krate::SYSTEM,
                org,
                &format!("ten-{org}"),
                json!({"organizationRef": org, "namespace": namespace}),
            )
        };
        let may_get = |org: &str| json!({"apiGroups": ["krate.a5c.ai"], "resources": ["organizations"], "resourceNames": [org], "verbs": ["get"]});
        let system = Some(krate::SYSTEM);
        let mut objects = vec![bind("acme"), bind("globex")];
        for (org, who) in [("acme", "alice"), ("globex", "carol")] {
            let name = format!("ten-{org}-members");
            objects.push(role("Role", system, &name, may_get(org)));
            objects.push(binding(
                "RoleBinding",
                system,
                &name,
                ("Role", &name),
                &user(who),
            ));
        }
        plane.apply_all(&objects).await?;
        let of = |org: &str, name: &str| {
            krate::object(
                "PullRequest",
                namespace,
                org,
                name,
                json!({"organizationRef": org, "repository": "web", "title": "t", "description": "no"}),
            )
        };
        refused(plane, "alice", &of("acme", "of-acme")).await?;
        refused(plane, "carol", &of("globex", "of-globex")).await?;
        on_record(plane, namespace, 2).await?;
        // Both bindings are watched, and may come a moment after the records.
        eventually("the namespace is known as shared", MINUTE, || async {
            let path = format!("/api/policy-denials?namespace={namespace}");
            let reply = rest(plane, "alice", &path).await?;
            Ok((reply.body["partial"] == true).then_some(()))
        })
        .await?;
        for (who, own, other) in [
            ("alice", "of-acme", "of-globex"),
            ("carol", "of-globex", "of-acme"),
        ] {
            let rested = rest(
                plane,
                who,
                &format!("/api/policy-denials?namespace={namespace}"),
            )
            .await?;
            let aggregated = api(plane, who, &format!("/namespaces/{namespace}/denials")).await?;
            for reply in [&rested, &aggregated] {
                silent(reply, &[other]);
                assert!(reply.text.contains(own), "{}", reply.text);
                assert_eq!(listed(reply).1, 1);
            }
            assert_eq!(rested.body["items"][0]["count"], 1);
            assert_eq!(rested.body["partial"], true);
            let sum = rest(
                plane,
                who,
                &format!("/api/policy-denials/summary?namespace={namespace}"),
            )
            .await?;
            assert_eq!(
                (
                    sum.body["total"].as_u64(),
                    sum.body["series"][0]["count"].as_u64()
                ),
                (Some(1), Some(1)),
                "{}",
                sum.text
            );
            let sum = api(plane, who, &format!("/namespaces/{namespace}/summaries")).await?;
            silent(&sum, &[other]);
            let parts = rest(plane, who, "/api/parts?limit=200").await?;
            silent(&parts, &[other]);
            let figures = rest(plane, who, &format!("/api/outcomes?namespace={namespace}")).await?;
            assert_eq!(figures.code(), 404, "{}", figures.text);
        }
        // bob may read denials here, and is a member of neither org.
        let reply = rest(
            plane,
            "bob",
            &format!("/api/policy-denials?namespace={namespace}"),
        )
        .await?;
        assert_eq!(reply.code(), 403, "{}", reply.text);
        let reply = api(plane, "bob", &format!("/namespaces/{namespace}/denials")).await?;
        assert_eq!(reply.code(), 403, "{}", reply.text);
        Ok(())
    });
}

#[test]
fn a_developer_of_one_repository_reads_that_repository() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = "krate-org-ten-repo";
        tenant(plane, namespace, &["alice"]).await?;
        let rule = json!({"apiGroups": ["docket.a5c.ai"], "resources": ["repositories/denials"],
            "resourceNames": ["web"], "verbs": ["get"]});
        plane
            .apply_all(&[
                role("Role", Some(namespace), "web-denials", rule),
                binding(
                    "RoleBinding",
                    Some(namespace),
                    "web-denials",
                    ("Role", "web-denials"),
                    &user("carol"),
                ),
            ])
            .await?;
        refused(plane, "alice", &pull_request(namespace, "in-web", "no")).await?;
        let mut other = pull_request(namespace, "in-billing", "no");
        other["spec"]["repository"] = "billing".into();
        refused(plane, "alice", &other).await?;
        let records = on_record(plane, namespace, 2).await?;
        let billing = records
            .iter()
            .find(|one| one["repository"] == "billing")
            .context("billing")?;
        let base = format!("/api/namespaces/{namespace}/repositories");
        for reply in [
            rest(plane, "carol", &format!("{base}/web/policy-denials")).await?,
            api(
                plane,
                "carol",
                &format!("/namespaces/{namespace}/repositories/web/denials"),
            )
            .await?,
        ] {
            silent(&reply, &["in-billing"]);
            assert!(reply.text.contains("in-web"), "{}", reply.text);
            assert_eq!(listed(&reply).1, 1);
        }
        let sum = rest(
            plane,
            "carol",
            &format!("{base}/web/policy-denials/summary"),
        )
        .await?;
        assert_eq!(sum.body["total"], 1, "{}", sum.text);
        silent(&sum, &["billing"]);
        for (path, code) in [
            (format!("{base}/billing/policy-denials"), 403),
            (format!("{base}/web/policy-denials/{}", id(billing)), 404),
            (format!("/api/policy-denials?namespace={namespace}"), 403),
            (
                format!("/api/policy-denials?namespace={namespace}&repository=web"),
                403,
            ),
            (format!("/api/policy-violations?namespace={namespace}"), 403),
            (format!("/api/outcomes?namespace={namespace}"), 403),
        ] {
            let reply = rest(plane, "carol", &path).await?;
            assert_eq!(reply.code(), code, "{path}: {}", reply.text);
        }
        for path in [
            "repositories/billing/denials",
            "denials",
            "denials?fieldSelector=repository%3Dweb",
            "summaries",
        ] {
            let reply = api(plane, "carol", &format!("/namespaces/{namespace}/{path}")).await?;
            assert_eq!(reply.code(), 403, "{path}: {}", reply.text);
        }
        Ok(())
    });
}

#[test]
fn a_namespace_that_was_made_again_shows_nothing_of_the_one_before() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = "krate-org-ten-again";
        tenant(plane, namespace, &["alice"]).await?;
        let object = |name: &str| pull_request(namespace, name, "no");
        refused(plane, "alice", &object("before")).await?;
        let old = on_record(plane, namespace, 1).await?.remove(0);
        assert_eq!(
            rest(
                plane,
                "alice",
                &format!("/api/policy-denials?namespace={namespace}")
            )
            .await?
            .code(),
            200
        );

        let space = krate::namespace(namespace, None);
        plane.delete(ADMIN, &space).await?.accepted()?;
        eventually("the namespace is gone", MINUTE, || async {
            Ok((plane.read(ADMIN, &space).await?.code() == 404).then_some(()))
        })
        .await?;
        tenant(plane, namespace, &["carol"]).await?;
        refused(plane, "carol", &object("after")).await?;
        let all = on_record(plane, namespace, 2).await?;
        let new = &all[1];

        let words = ["before", id(&old), "alice"];
        // A list of hers by another test may have asked of this namespace when she had no
        // right in it, and that answer is believed for a while.
        let list = eventually("her new right is known", MINUTE, || async {
            let path = format!("/api/policy-denials?namespace={namespace}");
            let list = rest(plane, "carol", &path).await?;
            silent(&list, &words);
            Ok((list.code() != 403).then_some(list))
        })
        .await?;
        assert_eq!(listed(&list), (vec![id(new).to_owned()], 1));
        // Both are of one series.
        assert_eq!(list.body["items"][0]["count"], 1);
        assert_eq!(list.body["items"][0]["firstSeen"], new["time"]);
        let sum = rest(
            plane,
            "carol",
            &format!("/api/policy-denials/summary?namespace={namespace}"),
        )
        .await?;
        assert_eq!(
            (
                sum.body["total"].as_u64(),
                sum.body["byPolicy"][0]["count"].as_u64()
            ),
            (Some(1), Some(1)),
            "{}",
            sum.text
        );
        let figures = rest(
            plane,
            "carol",
            &format!("/api/outcomes?namespace={namespace}"),
        )
        .await?;
        assert_eq!(figures.body["denials"], 1, "{}", figures.text);
        for path in [
            "/api/policy-denials?limit=200",
            "/api/policy-violations?limit=200",
            "/api/parts?limit=200",
            "/api/orgs/ten-again/policy-denials",
        ] {
            silent(&rest(plane, "carol", path).await?.expect_code(200)?, &words);
        }
        for path in [
            format!("/api/policy-denials/{}", id(&old)),
            format!("/api/parts/{}", old["position"]),
        ] {
            assert_eq!(rest(plane, "carol", &path).await?.code(), 404, "{path}");
        }
        let list = api(plane, "carol", &format!("/namespaces/{namespace}/denials")).await?;
        assert_eq!(listed(&list).0, [id(new)]);
        let one = api(
            plane,
            "carol",
            &format!("/namespaces/{namespace}/denials/{}", id(&old)),
        )
        .await?;
        assert_eq!(one.code(), 404, "{}", one.text);
        let path = format!(
            "/namespaces/{namespace}/denials?watch=true&timeoutSeconds=2&resourceVersion=0"
        );
        silent(&api(plane, "carol", &path).await?, &words);
        // Who reads the cluster reads both.
        assert_eq!(
            listed(
                &rest(
                    plane,
                    AUDITOR,
                    &format!("/api/policy-denials?namespace={namespace}")
                )
                .await?
            )
            .1,
            2
        );
        Ok(())
    });
}

#[test]
fn one_reads_what_oneself_was_denied_and_no_program_does() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = "krate-org-ten-own";
        // dana's permission to read denials is not what is tested: alice has none here.
        tenant(plane, namespace, &["bob"]).await?;
        let developer = binding(
            "RoleBinding",
            Some(namespace),
            "writes",
            ("ClusterRole", "krate-developer"),
            &user("alice"),
        );
        plane.apply(ADMIN, &developer).await?.accepted()?;
        refused(plane, "alice", &pull_request(namespace, "hers", "no")).await?;
        refused(plane, "bob", &pull_request(namespace, "his", "no")).await?;
        refused(
            plane,
            CONSOLE,
            &pull_request(namespace, "the-consoles", "no"),
        )
        .await?;
        on_record(plane, namespace, 3).await?;
        let closed = rest(
            plane,
            "alice",
            &format!("/api/policy-denials?namespace={namespace}"),
        )
        .await?;
        assert_eq!(closed.code(), 403, "{}", closed.text);
        for reply in [
            rest(
                plane,
                "alice",
                &format!("/api/my-denials?namespace={namespace}"),
            )
            .await?,
            api(
                plane,
                "alice",
                &format!("/mydenials?fieldSelector=namespace%3D{namespace}"),
            )
            .await?,
        ] {
            silent(&reply, &["his", "the-consoles"]);
            assert_eq!(listed(&reply).1, 1, "{}", reply.text);
            assert_eq!(reply.body["items"][0]["count"], 1, "{}", reply.text);
        }
        let sum = rest(
            plane,
            "alice",
            &format!("/api/my-denials/summary?namespace={namespace}"),
        )
        .await?;
        assert_eq!(sum.body["total"], 1, "{}", sum.text);
        for reply in [
            rest(plane, CONSOLE, "/api/my-denials").await?,
            api(plane, CONSOLE, "/mydenials").await?,
        ] {
            assert_eq!(reply.code(), 403, "{}", reply.text);
        }
        Ok(())
    });
}

#[test]
fn a_front_end_reads_as_its_user_only_if_it_may_impersonate() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = "krate-org-ten-front";
        tenant(plane, namespace, &["alice"]).await?;
        refused(plane, "alice", &pull_request(namespace, "shown", "no")).await?;
        on_record(plane, namespace, 1).await?;
        let url = format!(
            "{}/api/policy-denials?namespace={namespace}",
            plane.docket_url()
        );
        let ask = |who: &'static str, groups: &'static [&'static str]| {
            let url = url.clone();
            async move {
                let token = plane.token(CONSOLE)?;
                let mut call = plane.http().get(url).token(&token).acting_as(who);
                for group in groups {
                    call = call.header("Impersonate-Group", *group);
                }
                call.send().await
            }
        };
        for who in ["alice", ADMIN, AUDITOR] {
            let reply = ask(who, &[]).await?;
            assert_eq!(reply.code(), 403, "{}", reply.text);
            assert!(reply.text.contains("impersonate users"), "{}", reply.text);
            silent(&reply, &["shown"]);
        }
        let (console_namespace, console) = CONSOLE_ACCOUNT;
        let account =
            json!({"kind": "ServiceAccount", "namespace": console_namespace, "name": console});
        let rule = json!({"apiGroups": [""], "resources": ["users"], "resourceNames": ["alice", "carol"], "verbs": ["impersonate"]});
        plane
            .apply_all(&[
                role("ClusterRole", None, "ten-front-end", rule),
                binding(
                    "ClusterRoleBinding",
                    None,
                    "ten-front-end",
                    ("ClusterRole", "ten-front-end"),
                    &account,
                ),
            ])
            .await?;
        let hers = eventually("the front end may ask for alice", MINUTE, || async {
            let reply = ask("alice", &[]).await?;
            Ok((reply.code() == 200).then_some(reply))
        })
        .await?;
        assert_eq!(listed(&hers).1, 1);
        // carol may not read here, and neither what others she might be.
        assert_eq!(ask("carol", &[]).await?.code(), 403);
        for (who, groups) in [
            (ADMIN, &[][..]),
            (AUDITOR, &[]),
            ("alice", &["system:masters"]),
            ("carol", &["krate:platform-engineers"]),
            ("system:serviceaccount:kube-system:any", &[]),
        ] {
            let reply = ask(who, groups).await?;
            assert_eq!(reply.code(), 403, "{who} {groups:?}: {}", reply.text);
            silent(&reply, &["shown"]);
        }
        Ok(())
    });
}

#[test]
fn headers_that_name_a_user_count_from_nobody_but_the_webhook() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = "krate-org-ten-headers";
        tenant(plane, namespace, &["alice"]).await?;
        refused(plane, "alice", &pull_request(namespace, "shown", "no")).await?;
        on_record(plane, namespace, 1).await?;
        let ports = plane.ports();
        let path = format!("{V1}/namespaces/{namespace}/denials");
        let forged = |http: &Http, url: String| {
            http.get(url)
                .header("X-Remote-User", "admin")
                .header("X-Remote-Group", "system:masters")
                .header("X-Remote-Extra-Scopes", "all")
        };
        // REST: they are not read, with a token or without.
        let url = format!(
            "{}/api/policy-denials?namespace={namespace}",
            plane.docket_url()
        );
        let reply = forged(plane.http(), url.clone()).send().await?;
        assert_eq!(reply.code(), 401, "{}", reply.text);
        let reply = forged(plane.http(), url)
            .token(&plane.token("carol")?)
            .send()
            .await?;
        assert_eq!(reply.code(), 403, "{}", reply.text);
        // Through the API server: it takes them off and says who it is.
        let call = plane.call("carol", Method::GET, &path)?;
        let reply = call
            .header("X-Remote-User", "admin")
            .header("X-Remote-Group", "system:masters")
            .header("X-Remote-Extra-Scopes", "all")
            .send()
            .await?;
        assert_eq!(reply.code(), 403, "{}", reply.text);
        let mine = plane.call("carol", Method::GET, &format!("{V1}/mydenials"))?;
        let reply = mine.header("X-Remote-User", "alice").send().await?;
        silent(&reply.expect_code(200)?, &["shown"]);
        let reply = plane
            .call("carol", Method::GET, &path)?
            .acting_as("alice")
            .send()
            .await?;
        assert_eq!(reply.code(), 403, "{}", reply.text);
        // Straight at the two listeners of the aggregated API.
        let authority = [plane.docket_authority().pem()];
        let other = plane
            .docket_authority()
            .client("ten-other", "docket-reporter", None)?;
        let stranger =
            plane
                .authority()
                .client("ten-stranger", "docket-webhook", Some("system:masters"))?;
        let named = plane
            .front_proxy_authority()
            .client("ten-named", "somebody", None)?;
        for (whose, port) in [
            ("the reporter", ports.reporter_api),
            ("the webhook", ports.webhook_api),
        ] {
            let url = format!("https://127.0.0.1:{port}{path}");
            for (what, identity) in [
                ("no certificate", None),
                ("another certificate of Docket's", Some(&other)),
                ("a cluster certificate of that name", Some(&stranger)),
                ("another of the front proxy's", Some(&named)),
            ] {
                let http = Http::new(&authority, identity)?;
                // Refused in TLS, or by an answer that says nothing.
                if let Ok(reply) = forged(&http, url.clone()).send().await {
                    assert!(
                        [401, 403].contains(&reply.code()),
                        "{whose}, {what}: {} {}",
                        reply.code(),
                        reply.text
                    );
                    silent(&reply, &["shown"]);
                }
            }
        }
        // The one that counts, to show that the others could have.
        let webhook = plane
            .docket_authority()
            .client("ten-webhook", "docket-webhook", None)?;
        let http = Http::new(&authority, Some(&webhook))?;
        let url = format!("https://127.0.0.1:{}{path}", ports.reporter_api);
        let reply = forged(&http, url).send().await?.expect_code(200)?;
        assert!(reply.text.contains("shown"), "{}", reply.text);
        Ok(())
    });
}

#[test]
fn a_binding_that_is_taken_away_closes_lists_and_open_streams_within_a_minute() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = "krate-org-ten-revoked";
        tenant(plane, namespace, &["alice", "carol"]).await?;
        refused(plane, "alice", &pull_request(namespace, "first", "no")).await?;
        on_record(plane, namespace, 1).await?;
        let list = format!("/api/policy-denials?namespace={namespace}");
        assert_eq!(listed(&rest(plane, "carol", &list).await?).1, 1);
        let watch = plane
            .call(
                "carol",
                Method::GET,
                &format!("{V1}/namespaces/{namespace}/denials?watch=true&timeoutSeconds=300"),
            )?
            .within(Duration::from_secs(120));
        let watch = tokio::spawn(watch.send());
        let stream = plane
            .http()
            .get(format!(
                "{}/api/orgs/ten-revoked/policy-denials/stream",
                plane.docket_url()
            ))
            .token(&plane.token("carol")?)
            .within(Duration::from_secs(120));
        let stream = tokio::spawn(stream.send());
        // The streams are open: they show what happens while she may read.
        tokio::time::sleep(Duration::from_secs(2)).await;
        refused(
            plane,
            "alice",
            &pull_request(namespace, "while-she-may", "no"),
        )
        .await?;
        on_record(plane, namespace, 2).await?;

        let revoked = Instant::now();
        for object in members(namespace, &["alice"]) {
            plane.apply(ADMIN, &object).await?.accepted()?;
        }
        eventually("the list is closed", MINUTE, || async {
            Ok((rest(plane, "carol", &list).await?.code() == 403).then_some(()))
        })
        .await?;
        println!("the list was closed after {:?}", revoked.elapsed());
        for (what, open) in [("the watch", watch), ("the stream", stream)] {
            let reply = open.await?.with_context(|| format!("{what} did not end"))?;
            println!("{what} was closed after {:?}", revoked.elapsed());
            assert!(
                revoked.elapsed() < MINUTE + Duration::from_secs(5),
                "{what}"
            );
            assert!(
                reply.text.contains("while-she-may"),
                "{what}: {}",
                reply.text
            );
        }
        Ok(())
    });
}

#[test]
fn what_stands_behind_a_denial_needs_the_permission_for_evidence() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = "krate-org-ten-evidence";
        tenant(plane, namespace, &["alice", "bob"]).await?;
        refused(plane, "bob", &pull_request(namespace, "proved", "no")).await?;
        let record = on_record(plane, namespace, 1).await?.remove(0);
        let part = format!("/api/parts/{}", record["position"]);
        let bare = rest(plane, "alice", &part).await?.expect_code(200)?;
        assert!(bare.body["personal"].is_null(), "{}", bare.text);
        assert_eq!(bare.body["withheld"][0], "personal", "{}", bare.text);
        let proof = api(
            plane,
            "alice",
            &format!("/namespaces/{namespace}/denials/{}/proof", id(&record)),
        )
        .await?
        .expect_code(200)?;
        let evidence = format!("/namespaces/{namespace}/denials/{}/evidence", id(&record));
        assert_eq!(api(plane, "alice", &evidence).await?.code(), 403);
        for reply in [
            &proof,
            &rest(
                plane,
                "alice",
                &format!("/api/policy-denials/{}", id(&record)),
            )
            .await?,
            &api(
                plane,
                "alice",
                &format!("/namespaces/{namespace}/denials/{}", id(&record)),
            )
            .await?,
        ] {
            silent(
                reply,
                &["krate:developers", "system:authenticated", "127.0.0.1"],
            );
        }
        let whole = rest(plane, AUDITOR, &part).await?.expect_code(200)?;
        assert!(
            whole.body["personal"]["bytes"].is_string(),
            "{}",
            whole.text
        );
        let role = ("ClusterRole", "docket-evidence-reader");
        plane
            .apply(
                ADMIN,
                &binding(
                    "RoleBinding",
                    Some(namespace),
                    "evidence",
                    role,
                    &user("alice"),
                ),
            )
            .await?
            .accepted()?;
        eventually("alice may see it", MINUTE, || async {
            let reply = rest(plane, "alice", &part).await?;
            Ok(reply.body["personal"]["bytes"].is_string().then_some(()))
        })
        .await?;
        let seen = api(plane, "alice", &evidence).await?.expect_code(200)?;
        assert!(seen.text.contains("krate:developers"), "{}", seen.text);
        // No verifier takes what it may not see for erased.
        let mut command = plane.docket_command(&["verify"])?;
        command.env("DOCKET_TOKEN", plane.token("bob")?);
        let said = tokio::task::spawn_blocking(move || command.output()).await??;
        let out = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(
            said.status.success() && out.contains("not yours to read"),
            "{out}"
        );
        Ok(())
    });
}
