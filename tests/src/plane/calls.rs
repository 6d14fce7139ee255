//! Calls to the API server as one of the users, raw and typed.

use super::ControlPlane;
use crate::call::{Call, Http, Reply};
use crate::files::{self, Credential};
use crate::manifests;
use crate::run::eventually;
use crate::users::{self, ADMIN, CONSOLE, CONSOLE_ACCOUNT, USERS};
use anyhow::{Context as _, Result};
use http::Method;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

impl ControlPlane {
    /// The client for raw calls.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// A user's bearer token; good for the API server and for Docket.
    pub fn token(&self, user: &str) -> Result<String> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens
            .get(user)
            .cloned()
            .with_context(|| format!("no user {user}"))
    }

    pub(super) fn keep_token(&self, user: &str, token: String) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(user.to_owned(), token);
    }

    /// A call to the API server as `user`.
    pub fn call(&self, user: &str, method: Method, path: &str) -> Result<Call> {
        let token = self.token(user)?;
        Ok(self
            .http
            .call(method, format!("{}{path}", self.url))
            .token(&token))
    }

    /// A call as the administrator.
    pub fn admin(&self, method: Method, path: &str) -> Call {
        // The administrator's token exists since before the first process.
        let token = self.token(ADMIN).unwrap_or_default();
        self.http
            .call(method, format!("{}{path}", self.url))
            .token(&token)
    }

    /// Creates an object (POST).
    pub async fn create(&self, user: &str, object: &Value) -> Result<Reply> {
        self.creating(user, object)?.send().await
    }

    /// The same, to be changed before it is sent (dry run, headers).
    pub fn creating(&self, user: &str, object: &Value) -> Result<Call> {
        Ok(self
            .call(user, Method::POST, &manifests::collection(object)?)?
            .json(object))
    }

    /// The same over a connection of its own that carries headers of up to a megabyte.
    pub fn creating_with_large_headers(&self, user: &str, object: &Value) -> Result<Call> {
        let http = Http::for_large_headers(&[self.authorities.cluster.pem()])?;
        let url = format!("{}{}", self.url, manifests::collection(object)?);
        Ok(http
            .call(Method::POST, url)
            .token(&self.token(user)?)
            .json(object))
    }

    /// Replaces an object (PUT). Without a resourceVersion the last writer wins.
    pub async fn replace(&self, user: &str, object: &Value) -> Result<Reply> {
        let path = manifests::path(object)?;
        let mut object = object.clone();
        if object["metadata"]["resourceVersion"].is_null() {
            let now = self
                .admin(Method::GET, &path)
                .send()
                .await?
                .accepted()?
                .body;
            object["metadata"]["resourceVersion"] = now["metadata"]["resourceVersion"].clone();
        }
        self.call(user, Method::PUT, &path)?
            .json(&object)
            .send()
            .await
    }

    /// Patches an object (JSON merge patch). `object` says which.
    pub async fn patch(&self, user: &str, object: &Value, patch: &Value) -> Result<Reply> {
        let call = self.call(user, Method::PATCH, &manifests::path(object)?)?;
        call.body(MERGE, patch.to_string()).send().await
    }

    /// Applies an object (server-side, forced, as field manager `plane`).
    pub async fn apply(&self, user: &str, object: &Value) -> Result<Reply> {
        let call = self.call(user, Method::PATCH, &manifests::path(object)?)?;
        let call = call.query("fieldManager", "plane").query("force", "true");
        call.body(APPLY, object.to_string()).send().await
    }

    /// Applies all as the administrator, in their order.
    pub async fn apply_all(&self, objects: &[Value]) -> Result<()> {
        for object in objects {
            self.apply(ADMIN, object).await?.accepted()?;
        }
        Ok(())
    }

    /// Deletes an object.
    pub async fn delete(&self, user: &str, object: &Value) -> Result<Reply> {
        self.call(user, Method::DELETE, &manifests::path(object)?)?
            .send()
            .await
    }

    /// Reads an object.
    pub async fn read(&self, user: &str, object: &Value) -> Result<Reply> {
        self.call(user, Method::GET, &manifests::path(object)?)?
            .send()
            .await
    }

    /// A namespace of an organization that exists nowhere else, for one test, with the
    /// members' rights for alice and bob. Its name starts with `krate-org-`.
    pub async fn org_namespace(&self, org: &str) -> Result<String> {
        let name = format!("krate-org-{org}");
        let mut objects = vec![crate::krate::namespace(&name, Some(org))];
        objects.extend(users::members(&name, &["alice", "bob"]));
        self.apply_all(&objects).await?;
        Ok(name)
    }

    /// Waits until the API server serves all of these (group, plural).
    pub async fn discovered(&self, wanted: &[(String, String)]) -> Result<()> {
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        eventually(
            "the new kinds are served",
            Duration::from_secs(60),
            || async {
                let call = self.admin(Method::GET, "/apis").header("Accept", accept);
                let served = call.send().await?.accepted()?.body;
                let all = wanted
                    .iter()
                    .all(|(group, plural)| serves(&served, group, plural));
                Ok(all.then_some(()))
            },
        )
        .await
    }

    /// A typed client for a user.
    pub async fn kube(&self, user: &str) -> Result<kube::Client> {
        crate::run::install_crypto();
        let file = Kubeconfig::read_from(self.kubeconfig()).context("read the kubeconfig")?;
        let options = KubeConfigOptions {
            context: Some(user.to_owned()),
            ..Default::default()
        };
        let config = kube::Config::from_custom_kubeconfig(file, &options)
            .await
            .with_context(|| format!("no context {user}"))?;
        kube::Client::try_from(config).context("make a client")
    }

    /// The kubeconfig with a context for each user.
    pub fn kubeconfig(&self) -> PathBuf {
        self.run.join("kubeconfig")
    }

    /// The variables of `target/run/env`.
    pub fn env(&self) -> Result<[(&'static str, String); 5]> {
        Ok([
            ("KUBECONFIG", self.kubeconfig().display().to_string()),
            ("DOCKET_URL", self.docket_url()),
            (
                "DOCKET_CA",
                self.authorities.docket.certificate().display().to_string(),
            ),
            ("DOCKET_TOKEN", self.token(users::AUDITOR)?),
            // Each plane has a ledger of its own; what `docket verify` pins of it goes with it.
            ("DOCKET_STATE", self.run.join("state").display().to_string()),
        ])
    }

    pub(super) async fn write_kubeconfig(&self) -> Result<()> {
        let (namespace, account) = CONSOLE_ACCOUNT;
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": 86_400}});
        let reply = self
            .admin(Method::POST, &path)
            .json(&request)
            .send()
            .await?
            .accepted()?;
        let token = reply.body["status"]["token"]
            .as_str()
            .context("no token in the answer")?;
        self.keep_token(CONSOLE, token.to_owned());
        let identity = self
            .authorities
            .cluster
            .client("admin", ADMIN, Some("system:masters"))?;
        let mut people = vec![(ADMIN, Credential::Certificate(identity))];
        for name in USERS.iter().map(|user| user.name).chain([CONSOLE]) {
            people.push((name, Credential::Token(self.token(name)?)));
        }
        let authority = self.authorities.cluster.certificate();
        files::kubeconfig(&self.kubeconfig(), &self.url, &authority, &people)?;
        files::env(&self.run.join("env"), &self.env()?)
    }
}

fn serves(discovery: &Value, group: &str, plural: &str) -> bool {
    let groups = discovery["items"].as_array().into_iter().flatten();
    let versions = groups
        .filter(|item| item["metadata"]["name"] == group)
        .filter_map(|item| item["versions"].as_array())
        .flatten();
    let mut resources = versions
        .filter_map(|version| version["resources"].as_array())
        .flatten();
    resources.any(|resource| resource["resource"] == plural)
}
