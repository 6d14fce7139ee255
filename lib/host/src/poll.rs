//! Follows files by reading them again: the one loop behind certificates and keys.

use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Reads some files again and takes over what has changed.
pub type Reload = Arc<dyn Fn() + Send + Sync>;

/// Reloads again and again until the process ends. Reading a few small files may block on a
/// bad disk, so it happens off the reactor. One that panics is logged and tried again.
pub async fn poll_files(reloads: Vec<Reload>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    // After a stall one look is enough: it sees the present, whatever was missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        for reload in &reloads {
            let reload = Arc::clone(reload);
            if let Err(error) = tokio::task::spawn_blocking(move || reload()).await {
                tracing::error!("a look at certificates or keys failed: {error}");
            }
        }
    }
}
