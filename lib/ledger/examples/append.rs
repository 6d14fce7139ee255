//! How many entries a second one thread commits: `append [entries] [batch]`.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::{Batch, Options, Store};
use jiff::Timestamp;
use std::error::Error;
use std::time::Instant;

fn denial(n: u64) -> NewEntry {
    // Spread like the hash that a real id is.
    let id = format!("{:016x}{:036x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n);
    let time =
        Timestamp::from_microsecond(1_790_000_000_000_000 + n as i64 * 700).unwrap_or_default();
    let public = format!(
        r#"{{"id":"{id}","time":"{time}","verdict":"denied","operation":"CREATE","verb":"create","dryRun":false,"group":"krate.a5c.ai","version":"v1alpha1","resource":"pullrequests","kind":"PullRequest","namespace":"krate-org-{}","code":400,"attributions":[{{"enforcer":"kyverno","webhook":"vpol.validate.kyverno.svc-fail","policyKind":"ValidatingPolicy","policy":"policy-{}","result":"fail","grade":"exact","source":"responseStatus"}}],"context":{{"org":"acme","repository":"repo-{}","surface":"pr"}},"testimony":"verified","passes":1,"source":"kube-apiserver"}}"#,
        n % 50,
        n % 20,
        n % 400
    );
    let personal = format!(
        r#"{{"name":"pr-{n}","actor":{{"username":"user-{}","groups":["system:authenticated"]}},"sourceIps":["10.0.0.1"],"userAgent":"kubectl/v1.36.0","text":"admission webhook denied the request: Policy failed: a description of at least 20 characters is needed","messages":["a description of at least 20 characters is needed"],"event":{{"pad":"{}"}}}}"#,
        n % 1000,
        "x".repeat(250)
    );
    NewEntry {
        id,
        class: Class::Denial,
        public: public.into_bytes(),
        personal: Some(personal.into_bytes()),
        exhibit: None,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let entries = arguments.next().transpose()?.unwrap_or(200_000);
    let size = arguments.next().transpose()?.unwrap_or(400);
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("ledger");
    let mut salt = 0_u64;
    let random = Box::new(move |buffer: &mut [u8]| {
        for chunk in buffer.chunks_mut(8) {
            salt = salt.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let bytes = (salt ^ (salt >> 29)).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    });
    let options = Options {
        origin: "docket.a5c.ai/bench".into(),
        signing_seed: [1; 32],
        random,
    };
    let mut store = Store::open(&path, options)?;
    let (mut spent, mut bytes) = (0.0, 0);
    for first in (0..entries).step_by(usize::try_from(size)?) {
        let entries: Vec<_> = (first..entries.min(first + size)).map(denial).collect();
        let part =
            |entry: &NewEntry| entry.public.len() + entry.personal.as_ref().map_or(0, Vec::len);
        bytes += entries.iter().map(part).sum::<usize>();
        let batch = Batch {
            entries,
            state: vec![("place".into(), Some(first.to_be_bytes().into()))],
        };
        let start = Instant::now();
        store.append(&batch, Timestamp::now())?;
        spent += start.elapsed().as_secs_f64();
    }
    let (rate, each) = (entries as f64 / spent, bytes as u64 / entries.max(1));
    let file = std::fs::metadata(&path)?.len() / entries.max(1);
    println!(
        "{rate:.0} entries/s in batches of {size}; {each} bytes of parts, {file} bytes of file each"
    );
    Ok(())
}
