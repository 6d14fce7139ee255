//! What the tests of this ring share: the plane, the objects they write, and how to
//! look into the ledger.

use anyhow::{Context as _, Result};
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter as LedgerFilter, Page, Reader, Row};
use docket_tests::{ControlPlane, Filter, Options, Reply};
use http::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::sync::OnceCell;

/// The plane that all tests share which stop no part of it. Both sources are on, so every
/// test here is also a test that two sources double nothing.
pub async fn shared() -> Result<&'static ControlPlane> {
    static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    PLANE
        .get_or_try_init(|| {
            ControlPlane::start(Options {
                audit_file_source: true,
                ..Options::default()
            })
        })
        .await
}

/// A pull request.
pub fn pull_request(namespace: &str, name: &str, description: &str) -> Value {
    let mut object = docket_tests::krate::object(
        "PullRequest",
        namespace,
        namespace.trim_start_matches("krate-org-"),
        name,
        json!({
            "organizationRef": namespace.trim_start_matches("krate-org-"),
            "repository": "web",
            "title": "Make it so",
            "description": description,
        }),
    );
    if name.is_empty() {
        object["metadata"] = json!({"generateName": "made-", "namespace": namespace});
    }
    object
}

/// A ValidatingPolicy on pull requests of one namespace, in Deny.
pub fn validating_policy(name: &str, namespace: &str, expression: &str, message: &str) -> Value {
    // Kyverno 1.18 puts all policies behind one hook, whatever their selectors: the hook is
    // then not called for most of them. There the expression looks at the namespace.
    let old_line = docket_tests::binaries::kyverno_line().is_ok_and(|line| line == "1.18");
    let (selector, expression) = if old_line {
        let expression = format!("request.namespace != '{namespace}' || ({expression})");
        (json!({}), expression)
    } else {
        let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
        (selector, expression.to_owned())
    };
    json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ValidatingPolicy",
        "metadata": {"name": name, "annotations": {"policies.kyverno.io/severity": "high"}},
        "spec": {
            "validationActions": ["Deny"],
            "matchConstraints": {
                "namespaceSelector": selector,
                "resourceRules": [{"apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"],
                    "resources": ["pullrequests"], "operations": ["CREATE", "UPDATE", "DELETE"]}],
            },
            "validations": [{"expression": expression, "message": message}],
        },
    })
}

/// The usual one: a description that starts with `ok`. A deletion is judged by the old object.
pub fn wants_ok(name: &str, namespace: &str) -> Value {
    let expression = "request.operation == 'DELETE' || object.spec.description.startsWith('ok')";
    validating_policy(
        name,
        namespace,
        expression,
        "The description must start with ok.",
    )
}

/// A ValidatingAdmissionPolicy with its binding to one namespace, in Deny.
pub fn admission_policy(name: &str, namespace: &str, rule: Value, expression: &str) -> [Value; 2] {
    [
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": expression, "message": "The API server says no."}],
            },
        }),
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector":
                    {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
            },
        }),
    ]
}

/// Waits until the API server refuses `probe`. Each try is a dry run by the administrator;
/// the refused one is on record as such, and [`in_namespace`] leaves dry runs out.
pub async fn refused(plane: &ControlPlane, probe: &Value) -> Result<()> {
    docket_tests::eventually("the policy judges", Duration::from_secs(30), || async {
        let reply = plane
            .creating(docket_tests::users::ADMIN, probe)?
            .dry_run()
            .send()
            .await?;
        Ok((!reply.ok()).then_some(()))
    })
    .await
}

/// The denials of one namespace that are no probes.
pub fn in_namespace(namespace: &str) -> Filter {
    Filter::namespace(namespace).with("dryRun", "false")
}

/// Exactly `count` denials, also after a while: more would be as wrong as fewer.
pub async fn exactly(plane: &ControlPlane, filter: &Filter, count: usize) -> Result<Vec<Value>> {
    plane.denials_at_least(filter, count).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let found = plane.denials(filter).await?;
    anyhow::ensure!(
        found.len() == count,
        "{} denials instead of {count}: {found:#?}",
        found.len()
    );
    Ok(found)
}

/// The one denial of a namespace.
pub async fn the_one(plane: &ControlPlane, namespace: &str) -> Result<Value> {
    let mut found = exactly(plane, &in_namespace(namespace), 1).await?;
    Ok(found.remove(0))
}

/// Every entry of a class in the ledger, with its parts, read beside the reporter.
pub fn entries(store: &Path, class: Class) -> Result<Vec<Row>> {
    let reader = Reader::open(store).context("open the ledger for reading")?;
    let filter = LedgerFilter {
        classes: vec![class],
        ..LedgerFilter::default()
    };
    let page = Page {
        limit: 100_000,
        ..Page::default()
    };
    Ok(reader.list(&filter, &page)?)
}

/// The public part as JSON.
pub fn public(row: &Row) -> Value {
    serde_json::from_slice(&row.public).unwrap_or_default()
}

/// The personal part as JSON.
pub fn personal(row: &Row) -> Value {
    row.personal
        .as_deref()
        .and_then(|bytes| serde_json::from_slice(bytes).ok())
        .unwrap_or_default()
}

/// Gap entries, by the REST door.
pub async fn gaps(plane: &ControlPlane) -> Result<Vec<Value>> {
    let token = plane.token(docket_tests::users::AUDITOR)?;
    let url = format!("{}/api/gaps", plane.docket_url());
    let reply = plane
        .http()
        .get(url)
        .token(&token)
        .send()
        .await?
        .expect_code(200)?;
    Ok(reply.body["items"].as_array().cloned().unwrap_or_default())
}

/// One counter of the reporter, summed over the label sets that contain `labels`.
pub async fn counter(plane: &ControlPlane, name: &str, labels: &str) -> Result<u64> {
    let url = format!("http://127.0.0.1:{}/metrics", plane.ports().reporter_admin);
    let text = plane.http().get(url).send().await?.expect_code(200)?.text;
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(labels));
    Ok(lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64)
}

/// A refusal, with its text at hand when it is none.
pub fn denied(reply: Reply) -> Result<Reply> {
    anyhow::ensure!(!reply.ok(), "{} was admitted: {}", reply.what, reply.text);
    Ok(reply)
}

/// Deletes everything of one namespace's pull requests in one request.
pub async fn delete_collection(plane: &ControlPlane, user: &str, namespace: &str) -> Result<Reply> {
    let path = format!("/apis/krate.a5c.ai/v1alpha1/namespaces/{namespace}/pullrequests");
    plane.call(user, Method::DELETE, &path)?.send().await
}

/// Serves a webhook of the test's own, with a certificate that the plane's authority signed.
pub async fn serve(
    listener: tokio::net::TcpListener,
    identity: docket_tests::pki::Identity,
    router: axum::Router,
) {
    use rustls_pki_types::pem::PemObject as _;
    let config = || -> Result<rustls::ServerConfig> {
        let chain = rustls_pki_types::CertificateDer::pem_file_iter(&identity.certificate)?
            .collect::<Result<Vec<_>, _>>()?;
        let key = rustls_pki_types::PrivateKeyDer::from_pem_file(&identity.key)?;
        rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .context("use the certificate")
    };
    let Ok(config) = config() else { return };
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let service = hyper_util::service::TowerToHyperService::new(router);
                let io = hyper_util::rt::TokioIo::new(stream);
                let builder = hyper_util::server::conn::auto::Builder::new(
                    hyper_util::rt::TokioExecutor::new(),
                );
                let _ = builder.serve_connection(io, service).await;
            }
        });
    }
}
