//! What runs, what ends it, and the order in which it ends.

use anyhow::Result;
use docket_host::poll_files;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// How often certificates and keys are read again.
const RELOAD: Duration = Duration::from_secs(5);
/// What the end waits for the ledger's last transaction.
const LAST_COMMIT: Duration = Duration::from_secs(15);

/// Everything that runs. The end of any of it, unasked, ends the process.
#[derive(Default)]
pub(super) struct Tasks {
    /// End by themselves when told to stop: listeners, file sources.
    serving: JoinSet<(String, Result<()>)>,
    /// Are in the middle of nothing that must finish.
    background: JoinSet<(String, Result<()>)>,
}

impl Tasks {
    pub(super) fn serve(
        &mut self,
        name: &str,
        task: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        let name = name.to_owned();
        self.serving.spawn(async move { (name, task.await) });
    }

    pub(super) fn spawn(
        &mut self,
        name: &str,
        task: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        let name = name.to_owned();
        self.background.spawn(async move { (name, task.await) });
    }

    /// Calls `reload`, which reads files again, now and then.
    pub(super) fn poll_files(&mut self, name: &str, reload: impl Fn() + Send + Sync + 'static) {
        let reloading = poll_files(vec![Arc::new(reload)], RELOAD);
        self.spawn(name, async move {
            reloading.await;
            Ok(())
        });
    }

    /// The first to end, which none should.
    pub(super) async fn first_end(&mut self) -> anyhow::Error {
        let ended = tokio::select! {
            Some(ended) = self.serving.join_next() => ended,
            Some(ended) = self.background.join_next() => ended,
            else => return anyhow::anyhow!("nothing runs"),
        };
        match ended {
            Ok((name, Ok(()))) => anyhow::anyhow!("{name} ended by itself"),
            Ok((name, Err(error))) => error.context(format!("{name} ended")),
            Err(error) => anyhow::anyhow!("a part panicked: {error}"),
        }
    }

    /// What takes deliveries first, then what feeds the ledger.
    async fn stop(mut self, stop: &watch::Sender<bool>) {
        stop.send_replace(true);
        while let Some(ended) = self.serving.join_next().await {
            if let Ok((name, Err(error))) = ended {
                tracing::warn!("{name}: {error:#}");
            }
        }
        self.background.shutdown().await;
    }
}

/// Deliveries in progress are answered, then the ledger commits what it has.
pub(super) async fn shut_down(
    tasks: Tasks,
    stop: &watch::Sender<bool>,
    end: oneshot::Receiver<()>,
) {
    tasks.stop(stop).await;
    if tokio::time::timeout(LAST_COMMIT, end).await.is_err() {
        tracing::warn!("the ledger was still busy; what it had not acknowledged comes again");
    }
}
