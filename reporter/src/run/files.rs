//! The file sources: a thread each, and the clock that waits for them.

use super::tasks::Tasks;
use crate::args::Arguments;
use crate::health::Health;
use crate::sources::file::{Shared, Tail};
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Time passes in the intake.
const TICK: Duration = Duration::from_secs(1);

/// One thread per file; what is returned says whether old lines are being read.
pub(super) async fn files(
    arguments: &Arguments,
    shared: &Shared,
    health: &Health,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<Vec<Arc<AtomicBool>>> {
    let mut all = Vec::new();
    if arguments.replay.is_some() {
        return Ok(all);
    }
    for (name, path) in &arguments.audit.audit_file {
        let part = health.part(format!("source {name}"), "not read yet");
        let catching_up = Arc::new(AtomicBool::new(true));
        let tail = Tail::new(
            name,
            Path::new(path),
            shared,
            part,
            Arc::clone(&catching_up),
        )
        .await?;
        all.push(catching_up);
        let (ended, end) = oneshot::channel::<()>();
        let stopped = stopped.clone();
        std::thread::Builder::new()
            .name(format!("tail-{name}"))
            .spawn(move || {
                tail.run(&stopped);
                let _ = ended.send(());
            })?;
        let task = async move {
            end.await.context("its thread panicked")?;
            Ok(())
        };
        tasks.serve(&format!("the file source {name}"), task);
    }
    Ok(all)
}

/// Lets time pass in the intake, but not while old lines are being read: what they hold
/// is not missing.
pub(super) async fn clock(writer: Writer, catching_up: Vec<Arc<AtomicBool>>) -> Result<()> {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if !catching_up
            .iter()
            .any(|source| source.load(Ordering::Relaxed))
        {
            writer.tick();
        }
    }
}
