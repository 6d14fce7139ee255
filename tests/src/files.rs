//! Files that the parts read: kubeconfigs, the admission configuration, tokens, and
//! `env`. Written as JSON, which every reader of YAML takes.

use crate::pki::Identity;
use crate::process::write_private;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::path::Path;

/// How a kubeconfig's user proves who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Client certificate.
    Certificate(Identity),
    /// Bearer token.
    Token(String),
}

impl Credential {
    fn user(&self) -> Value {
        match self {
            Credential::Certificate(identity) => json!({
                "client-certificate": identity.certificate, "client-key": identity.key,
            }),
            Credential::Token(token) => json!({"token": token}),
        }
    }
}

/// Writes a kubeconfig for one server; the first user's context is current.
pub fn kubeconfig(
    path: &Path,
    server: &str,
    authority: &Path,
    users: &[(&str, Credential)],
) -> Result<()> {
    let named = |name: &str, key: &str, value: Value| json!({"name": name, key: value});
    let cluster = json!({"server": server, "certificate-authority": authority});
    let contexts: Vec<Value> = users
        .iter()
        .map(|(name, _)| named(name, "context", json!({"cluster": "plane", "user": name})))
        .collect();
    let people: Vec<Value> = users
        .iter()
        .map(|(name, credential)| named(name, "user", credential.user()))
        .collect();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [named("plane", "cluster", cluster)],
        "users": people,
        "contexts": contexts,
        "current-context": users.first().map(|(name, _)| *name),
    });
    write_json(path, &config)
}

/// Makes the API server show a client certificate to the hooks at `host` (HOST:PORT).
/// Returns nothing to other hooks: the user's name must be the host that is called.
pub fn admission_configuration(path: &Path, host: &str, identity: &Identity) -> Result<()> {
    let users = path.with_extension("kubeconfig");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "users": [{"name": host, "user": Credential::Certificate(identity.clone()).user()}],
    });
    write_json(&users, &config)?;
    let plugin = |name: &str| {
        json!({
            "name": name,
            "configuration": {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "WebhookAdmissionConfiguration",
                "kubeConfigFile": users,
            },
        })
    };
    let config = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [plugin("MutatingAdmissionWebhook"), plugin("ValidatingAdmissionWebhook")],
    });
    write_json(path, &config)
}

/// Writes a value as JSON that only its owner can read.
pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("write JSON")?;
    write_private(path, text + "\n")
}

/// Writes assignments that `sh` can source.
pub fn env(path: &Path, variables: &[(&str, String)]) -> Result<()> {
    let mut text = String::new();
    for (name, value) in variables {
        let quoted = value.replace('\'', r"'\''");
        text.push_str(&format!("export {name}='{quoted}'\n"));
    }
    write_private(path, text)
}

/// A random secret of `bytes` bytes in hex.
pub fn secret(bytes: usize) -> Result<String> {
    use ring::rand::{SecureRandom as _, SystemRandom};
    let mut buffer = vec![0; bytes];
    SystemRandom::new()
        .fill(&mut buffer)
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(data_encoding::HEXLOWER.encode(&buffer))
}
