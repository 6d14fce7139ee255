//! The file sources: a thread each, and the clock that heeds how far they are.

use super::tasks::Tasks;
use crate::args::Arguments;
use crate::health::Health;
use crate::sources::file::{Reached, Shared, Tail};
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Time passes in the intake.
const TICK: Duration = Duration::from_secs(1);

/// One thread per file; what is returned says how far each has come.
pub(super) async fn files(
    arguments: &Arguments,
    shared: &Shared,
    health: &Health,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<Vec<Arc<Reached>>> {
    let mut all = Vec::new();
    if arguments.replay.is_some() {
        return Ok(all);
    }
    for (name, path) in &arguments.audit.audit_file {
        let part = health.part(format!("source {name}"), "not read yet");
        let reached = Arc::new(Reached::default());
        let tail = Tail::new(name, Path::new(path), shared, part, Arc::clone(&reached)).await?;
        all.push(reached);
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

/// Lets time pass in the intake. What is written in lines that are still to be read is not
/// missing, so numbers are missed as of the moment up to which every file was read.
pub(super) async fn clock(writer: Writer, files: Vec<Arc<Reached>>) -> Result<()> {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let reached = files.iter().map(|file| file.time()).min();
        writer.tick(reached.unwrap_or(Timestamp::MAX));
    }
}
