//! Running async tests, and waiting for things.

use anyhow::{Context as _, Result};
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Runs a test on a runtime that outlives it. Tests of one binary share a plane, its
/// connections belong to the runtime that opened them, so all tests must use the same one.
/// An error is a panic, so that the run is kept.
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test must panic"
)]
pub fn on_shared_runtime(test: impl Future<Output = Result<()>>) {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    install_crypto();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("a tokio runtime"));
    if let Err(error) = runtime.block_on(test) {
        panic!("{error:?}");
    }
}

/// One crypto provider for the whole process; a second call changes nothing.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Calls `probe` until it gives a value. An error ends it at once; after `within` the last
/// answer of `probe` being `None` is the error.
pub async fn eventually<T, F>(
    what: &str,
    within: Duration,
    mut probe: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + within;
    let mut pause = Duration::from_millis(20);
    loop {
        if let Some(value) = probe().await.with_context(|| what.to_owned())? {
            return Ok(value);
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "{what}: not within {}",
            crate::progress::elapsed(within)
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(400));
    }
}
