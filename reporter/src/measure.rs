//! What is looked at now and then to be told in metrics: files, their disk, open gaps.

use crate::metrics::Metrics;
use anyhow::Result;
use docket_ledger::query::Reader;
use rustix::fs::statvfs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks. Prometheus asks as often, as it is usually set.
const EVERY: Duration = Duration::from_secs(15);

/// Look for ever.
///
/// # Errors
/// If looking panics. What can't be read keeps its last value, and the log says why.
pub async fn run(store: PathBuf, metrics: Metrics) -> Result<()> {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let (store, metrics) = (store.clone(), metrics.clone());
        tokio::task::spawn_blocking(move || {
            disk(&store, &metrics);
            gaps(&store, &metrics);
        })
        .await?;
    }
}

fn disk(store: &Path, metrics: &Metrics) {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let mut wal = store.to_owned().into_os_string();
    wal.push("-wal");
    let beside = store.parent().filter(|dir| !dir.as_os_str().is_empty());
    let free = match statvfs(beside.unwrap_or(Path::new("."))) {
        Ok(disk) => Some(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => {
            tracing::warn!("the store's disk does not say what is free: {error}");
            None
        }
    };
    metrics
        .ledger
        .disk(length(store), length(Path::new(&wal)), free);
}

fn gaps(store: &Path, metrics: &Metrics) {
    match Reader::open(store).and_then(|reader| reader.open_gaps()) {
        Ok(open) => metrics.ledger.open_gaps(&open),
        Err(error) => tracing::warn!("open gaps cannot be counted: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gaps::{Amendment, Cause, Gap};
    use crate::metrics::render;
    use docket_ledger::store::{Batch, Options, Store};
    use jiff::Timestamp;

    #[test]
    fn files_free_bytes_and_open_gaps_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger");
        let options = Options {
            origin: "docket.a5c.ai/test".into(),
            signing_seed: [7; 32],
            random: Box::new(|buffer| buffer.fill(9)),
        };
        let mut store = Store::open(&path, options).unwrap();
        let now = Timestamp::now();
        let gap = |of: &str| Gap::new("log", Cause::FileCut, of, now);
        let closed = Amendment::gap_closed(&gap("b").id, now);
        let batch = Batch {
            entries: vec![gap("a").entry(), gap("b").entry(), closed.entry()],
            state: Vec::new(),
        };
        store.append(&batch, now).unwrap();
        let (metrics, registry) = Metrics::new();
        disk(&path, &metrics);
        gaps(&path, &metrics);
        let text = render(&registry);
        let value = |series: &str| -> u64 {
            let line = text.lines().find(|line| line.starts_with(series)).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert_eq!(value("docket_reporter_gaps_open{cause=\"file-cut\"}"), 1);
        assert_eq!(value("docket_reporter_gaps_open{cause=\"file-gone\"}"), 0);
        let length = std::fs::metadata(&path).unwrap().len();
        assert_eq!(
            value("docket_reporter_store_bytes{file=\"ledger\"}"),
            length
        );
        assert!(value("docket_reporter_store_bytes{file=\"wal\"}") > 0);
        assert!(value("docket_reporter_store_free_bytes") > 0);
    }
}
