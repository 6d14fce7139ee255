//! Where the record is kept, and the writer that keeps it there.

use crate::args::Arguments;
use crate::health::Part;
use crate::intake::Waits;
use crate::keys;
use crate::metrics::Metrics;
use crate::replay::{self, Scratch};
use crate::writer::{Open, Started, Writer};
use anyhow::{Context as _, Result};
use docket_ledger::store::{Options, Store};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::path::PathBuf;

/// Where the record is kept: a store of ours, or one that goes away with a replay.
pub(super) struct Place {
    pub(super) store: PathBuf,
    seed: [u8; 32],
    pub(super) cluster: String,
    pub(super) mac_keys: PathBuf,
    pub(super) quarantine: Option<PathBuf>,
    /// Held so that it is removed at the end.
    _scratch: Option<Scratch>,
}

pub(super) fn place(arguments: &Arguments) -> Result<Place> {
    let ledger = &arguments.ledger;
    if let Some(dir) = &arguments.replay {
        let scratch = Scratch::new()?;
        let cluster = arguments
            .names
            .cluster
            .clone()
            .or_else(|| replay::cluster(dir));
        return Ok(Place {
            store: scratch.path().join("ledger.sqlite"),
            seed: keys::random_seed()?,
            cluster: cluster.context("the recording names no cluster; give --cluster")?,
            mac_keys: arguments
                .names
                .mac_keys
                .clone()
                .unwrap_or_else(|| dir.join("mac-keys")),
            quarantine: None,
            _scratch: Some(scratch),
        });
    }
    let store = ledger.store.clone().context("--store is missing")?;
    let signing_key = ledger
        .signing_key
        .as_deref()
        .context("--signing-key is missing")?;
    let beside = || {
        let mut name = store.clone().into_os_string();
        name.push(".quarantine");
        PathBuf::from(name)
    };
    Ok(Place {
        seed: keys::signing_seed(signing_key, &store)?,
        cluster: arguments
            .names
            .cluster
            .clone()
            .context("--cluster is missing")?,
        mac_keys: arguments
            .names
            .mac_keys
            .clone()
            .context("--mac-keys is missing")?,
        quarantine: Some(ledger.quarantine.clone().unwrap_or_else(beside)),
        store,
        _scratch: None,
    })
}

/// Open the store and start the thread that alone writes to it.
pub(super) fn ledger(
    arguments: &Arguments,
    place: &Place,
    metrics: &Metrics,
    part: Part,
) -> Result<Started> {
    let started = Writer::start(opener(place), waits(arguments), metrics.clone(), part)
        .with_context(|| format!("cannot open the store {}", place.store.display()))?;
    tracing::info!(
        key = started.verifier_key,
        "checkpoints are signed; give readers this key"
    );
    Ok(started)
}

/// A replay hears no Events: it has its recording alone.
fn waits(arguments: &Arguments) -> Waits {
    Waits {
        numbers: arguments.audit.number_wait,
        others: arguments
            .replay
            .is_none()
            .then_some(arguments.audit.others_wait),
    }
}

fn opener(place: &Place) -> Open {
    let (path, seed) = (place.store.clone(), place.seed);
    let origin = format!("docket.a5c.ai/{}", place.cluster);
    Box::new(move || {
        let system = SystemRandom::new();
        Store::open(
            &path,
            Options {
                origin: origin.clone(),
                signing_seed: seed,
                random: Box::new(move |buffer| {
                    // A salt that can be guessed would undo what it is for: better to stop.
                    #[expect(clippy::expect_used, reason = "no salt is better than a known one")]
                    system.fill(buffer).expect("the system gives randomness");
                }),
            },
        )
    })
}
