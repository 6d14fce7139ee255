//! The parts of the reporter, put together, watched, and taken apart in order.
//!
//! ```text
//!  admin ─▶ place ─▶ ledger ─▶ court ─▶ callers ─▶ files, audit ─▶ reading ─▶ (until a signal)
//! ```

mod audit;
mod callers;
mod court;
mod files;
mod place;
mod reading;
mod tasks;

use crate::args::Arguments;
use crate::doors;
use crate::health::Health;
use crate::measure;
use crate::metrics::Metrics;
use crate::reports::Reports;
use crate::sources::file::Shared;
use crate::writer::Started;
use anyhow::Result;
use docket_host::{ConfigFiles, ReloadingTls, ShutdownSignal};
use std::sync::Arc;
use tasks::Tasks;
use tokio::sync::watch;

/// Run until a signal.
///
/// # Errors
/// If something can't start, or a part ends by itself.
pub async fn run(arguments: Arguments) -> Result<()> {
    let mut signals = ShutdownSignal::new()?;
    let (stop, stopped) = watch::channel(false);
    let health = Health::default();
    let (metrics, registry) = Metrics::new();
    let mut tasks = Tasks::default();

    let store_part = health.part("ledger", "it is being opened");
    let policies_part = health.part("policies", "not asked yet");
    let reports_part = health.part("reports", "not asked yet");
    let orgs_part = health.part("orgs", "not asked yet");
    let keys_part = health.part("macKeys", "not read yet");
    reading::admin(
        &arguments, &health, registry, &metrics, &stopped, &mut tasks,
    )?;

    let place = place::place(&arguments)?;
    let Started {
        writer,
        mut end,
        verifier_key,
        objects,
    } = place::ledger(&arguments, &place, &metrics, store_part)?;
    let measuring = measure::run(place.store.clone(), metrics.clone());
    tasks.spawn("measuring", measuring);
    let court = court::court(&arguments, &place, &metrics, keys_part, &mut tasks)?;
    let witnesses = court.witnesses.clone();
    let known = doors::Known {
        reports: Reports::default(),
        laws: Arc::clone(&court.laws),
        objects,
        head: doors::Head::new(writer.size(), stopped.clone()),
    };
    let callers = callers::callers(
        &arguments,
        &place,
        &court,
        &writer,
        &metrics,
        policies_part,
        orgs_part,
        &mut tasks,
    )
    .await?;
    callers::reports(
        &callers,
        &known.reports,
        &court,
        &writer,
        &metrics,
        reports_part,
        &mut tasks,
    );

    let shared = Shared {
        court: Arc::clone(&court),
        writer: writer.clone(),
        metrics: metrics.clone(),
        runtime: tokio::runtime::Handle::current(),
    };
    let reached = files::files(&arguments, &shared, &health, &stopped, &mut tasks).await?;
    let importing = (Arc::clone(&court), writer.clone());
    audit::audit(&arguments, court, &writer, &metrics, &stopped, &mut tasks)?;
    if let Some(witnesses) = witnesses {
        let numbers = witnesses.clone().ask_numbers(writer.clone());
        tasks.spawn("asking what numbers were given for", numbers);
        tasks.spawn("asking witnesses", witnesses.poll(writer.clone()));
    }
    tasks.spawn("the clock", files::clock(writer.clone(), reached));
    reading::reading(
        &arguments,
        &place,
        callers,
        known,
        verifier_key,
        importing.0,
        importing.1,
        &metrics,
        &stopped,
        &mut tasks,
    )?;

    // From here on the writer lives as long as those who use it.
    drop((shared, writer));
    tracing::info!(mode = mode(&arguments), "started");
    let ended = tokio::select! {
        () = signals.received() => Ok(()),
        error = tasks.first_end() => Err(error),
        _ = &mut end => Err(anyhow::anyhow!("the ledger's thread ended")),
    };
    tracing::info!("stopping");
    tokio::select! {
        () = tasks::shut_down(tasks, &stop, end) => {}
        () = signals.received() => tracing::warn!("a second signal: stopping at once"),
    }
    ended
}

fn mode(arguments: &Arguments) -> &'static str {
    if arguments.replay.is_some() {
        "replay"
    } else {
        "live"
    }
}

/// The certificates of a listener, or of our calls, now and whenever they change.
fn reloading<F: ConfigFiles>(
    name: &'static str,
    files: F,
    tasks: &mut Tasks,
) -> Result<Arc<ReloadingTls<F>>> {
    let tls = Arc::new(ReloadingTls::load(name, files, |_| {})?);
    let reloaded = Arc::clone(&tls);
    tasks.poll_files(&format!("reading the certificates of {name}"), move || {
        reloaded.reload();
    });
    Ok(tls)
}
