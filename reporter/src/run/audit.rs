//! The door for audit events: who may post them, and under which source's name.

use super::reloading;
use super::tasks::Tasks;
use crate::args::Arguments;
use crate::metrics::Metrics;
use crate::serve::{self, Role};
use crate::sources::Court;
use crate::sources::webhook::{self, Names};
use crate::writer::Writer;
use anyhow::Result;
use docket_host::ServerFiles;
use std::sync::Arc;
use tokio::sync::watch;

pub(super) fn audit(
    arguments: &Arguments,
    court: Arc<Court>,
    writer: &Writer,
    metrics: &Metrics,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<()> {
    let given = &arguments.audit;
    let (Some(at), None) = (given.audit_listen, &arguments.replay) else {
        return Ok(());
    };
    let (tls, names) = if given.audit_insecure {
        anyhow::ensure!(
            at.ip().is_loopback(),
            "--audit-insecure is for loopback only, and {at} is not; give --audit-tls-cert, --audit-tls-key and --audit-client-ca"
        );
        tracing::warn!("--audit-insecure: any local process can put denials on record");
        (None, Names::Insecure("webhook".into()))
    } else {
        let (Some(cert), Some(key), Some(ca)) = (
            &given.audit_tls_cert,
            &given.audit_tls_key,
            &given.audit_client_ca,
        ) else {
            anyhow::bail!(
                "--audit-listen needs --audit-tls-cert, --audit-tls-key and --audit-client-ca (or, on loopback, --audit-insecure)"
            );
        };
        let files = ServerFiles {
            cert: cert.clone(),
            key: key.clone(),
            client_ca: Some(ca.clone()),
            // A name that is no source is told so.
            client_names: Vec::new(),
        };
        let named: std::collections::BTreeMap<_, _> = given.audit_source.iter().cloned().collect();
        let names = if named.is_empty() {
            Names::Any
        } else {
            Names::These(named)
        };
        (Some(reloading("the audit listener", files, tasks)?), names)
    };
    for source in names.known() {
        metrics.sources.source(source);
    }
    let router = webhook::router(court, writer.clone(), names, metrics.clone());
    let listener = serve::bind(Role::Audit, at, tls, router, metrics)?;
    let serving = serve::serve(Role::Audit, listener, stopped.clone());
    tasks.serve("the audit listener", serving);
    Ok(())
}
