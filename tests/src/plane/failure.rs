//! When a test fails: logs stay, what the API server holds is written beside them, and
//! the place is printed, once.

use super::ControlPlane;
use crate::call::Http;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

/// What to write down, as paths of the API.
const OBJECTS: [&str; 12] = [
    "/api/v1/namespaces",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/policies.kyverno.io/v1/validatingpolicies",
    "/apis/kyverno.io/v1/clusterpolicies",
    "/apis/events.k8s.io/v1/events",
    "/apis/wgpolicyk8s.io/v1alpha2/policyreports",
    "/apis/coordination.k8s.io/v1/leases",
    "/apis/krate.a5c.ai/v1alpha1/organizations",
    "/apis/krate.a5c.ai/v1alpha1/pullrequests",
    "/apis/krate.a5c.ai/v1alpha1/pipelines",
];

struct Watched {
    run: PathBuf,
    url: String,
    token: String,
    authority: String,
}

static WATCHED: Mutex<Vec<Watched>> = Mutex::new(Vec::new());

fn watched() -> std::sync::MutexGuard<'static, Vec<Watched>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on a panic anywhere in this process keeps the run.
pub(super) fn watch(plane: &ControlPlane) -> Result<()> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            usual(info);
            keep_all();
        }));
    });
    if std::env::var_os("DOCKET_KEEP_RUNS").is_some() {
        keep(&plane.run);
    }
    watched().push(Watched {
        run: plane.run.clone(),
        url: plane.url.clone(),
        token: plane.token(crate::users::ADMIN)?,
        authority: plane.authorities.cluster.pem(),
    });
    Ok(())
}

/// The run is over, well or not.
pub(super) fn forget(run: &Path) {
    watched().retain(|watched| watched.run != run);
}

/// Marks a run to be kept.
pub(super) fn keep(run: &Path) {
    let _ = std::fs::write(run.join("failed"), "");
}

/// True if the run is to be kept.
pub(super) fn is_kept(run: &Path) -> bool {
    run.join("failed").exists()
}

fn keep_all() {
    // Taken, so that a panic in here or a second failing test prints nothing more.
    let runs = std::mem::take(&mut *watched());
    if runs.is_empty() {
        return;
    }
    // A thread of its own: the panicking one may sit in a runtime.
    let dump = std::thread::spawn(move || {
        for run in runs {
            keep(&run.run);
            let written = dump(&run);
            eprintln!(
                "kept: {} (logs/, {written} lists in objects/, docket.db)",
                run.run.display()
            );
        }
    });
    let _ = dump.join();
}

fn dump(run: &Watched) -> usize {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return 0;
    };
    let Ok(http) = Http::new(std::slice::from_ref(&run.authority), None) else {
        return 0;
    };
    let dir = run.run.join("objects");
    let _ = std::fs::create_dir_all(&dir);
    let mut written = 0;
    for path in OBJECTS {
        let call = http.get(format!("{}{path}", run.url)).token(&run.token);
        let reply = runtime.block_on(call.within(Duration::from_secs(3)).send());
        let Ok(reply) = reply else { break };
        let name = path.rsplit('/').next().unwrap_or_default();
        let text = serde_json::to_string_pretty(&reply.body).unwrap_or(reply.text);
        written += usize::from(std::fs::write(dir.join(format!("{name}.json")), text).is_ok());
    }
    written
}
