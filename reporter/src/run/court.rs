//! What every source reads events with: names, MAC keys, laws, witnesses.

use super::place::Place;
use super::tasks::Tasks;
use crate::args::Arguments;
use crate::keys;
use crate::law::Laws;
use crate::metrics::Metrics;
use crate::sources::Court;
use crate::sources::quarantine::Quarantine;
use crate::witness::{WitnessClient, WitnessFiles, Witnesses};
use anyhow::Result;
use docket_host::health::Part;
use docket_host::{ClientFiles, KeyDirectory};
use docket_record::examine::Config;
use std::sync::Arc;

/// The court, with its keys kept up to date; laws come with the callers.
pub(super) fn court(
    arguments: &Arguments,
    place: &Place,
    metrics: &Metrics,
    keys_part: Part,
    tasks: &mut Tasks,
) -> Result<Arc<Court>> {
    let mac_keys = Arc::new(KeyDirectory::open(place.mac_keys.clone())?);
    let reload = keys::reload(Arc::clone(&mac_keys), keys_part, metrics.clone());
    reload();
    tasks.poll_files("reading MAC keys", move || reload());
    Ok(Arc::new(Court {
        config: config(arguments, &place.cluster),
        keys: mac_keys,
        laws: Arc::new(Laws::new(Some(place.store.clone()))),
        examine: docket_record::examine::examine,
        quarantine: Quarantine::new(place.quarantine.clone()),
        witnesses: witnesses(arguments, metrics, tasks)?,
        metrics: metrics.clone(),
    }))
}

fn config(arguments: &Arguments, cluster: &str) -> Config {
    let names = &arguments.names;
    Config {
        cluster: cluster.to_owned(),
        krate_group: names.krate_group.clone(),
        label_prefix: names.label_prefix.clone(),
        org_namespace_prefix: names.org_namespace_prefix.clone(),
        clock_tolerance: names.clock_tolerance,
    }
}

fn witnesses(
    arguments: &Arguments,
    metrics: &Metrics,
    tasks: &mut Tasks,
) -> Result<Option<Witnesses>> {
    let given = &arguments.witness;
    if given.witness.is_empty() || arguments.replay.is_some() {
        return Ok(None);
    }
    let (ca, cert, key) = (&given.witness_ca, &given.witness_cert, &given.witness_key);
    let client = match (ca, cert, key) {
        (Some(ca), Some(cert), Some(key)) => {
            let files = ClientFiles {
                ca: ca.clone(),
                cert: cert.clone(),
                key: key.clone(),
            };
            WitnessClient::Tls(super::reloading("witnesses", WitnessFiles(files), tasks)?)
        }
        _ => WitnessClient::plain(),
    };
    let urls = given.witness.iter().cloned().collect();
    Witnesses::new(urls, client, metrics.clone()).map(Some)
}
