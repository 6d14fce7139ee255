//! Follows files by looking at their content: the one loop behind certificates and keys.

use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Something that follows files.
pub type Look = Arc<dyn Fn() + Send + Sync>;

/// Looks again and again until the process ends. Reading a few small files may block on
/// a bad disk, so it happens off the reactor.
pub async fn follow(looks: Vec<Look>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    // After a stall one look is enough: it sees the present, whatever was missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        for look in &looks {
            let look = Arc::clone(look);
            if let Err(error) = tokio::task::spawn_blocking(move || look()).await {
                tracing::error!("a look at certificates or keys failed: {error}");
            }
        }
    }
}
