//! Writes a small ledger as files that any reader of C2SP tiled logs can open:
//! `export DIRECTORY`. The Go test in `tests/tlog` reads them.

use data_encoding::BASE64;
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::query::Reader;
use docket_ledger::store::{Batch, Options, Store};
use jiff::Timestamp;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// More than one tile of tiles would need 65,536 entries; this has a second level too.
const ENTRIES: u64 = 777;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .ok_or("give the directory to write to")?;
    let directory = PathBuf::from(directory);
    let temporary = tempfile::tempdir()?;
    let path = temporary.path().join("ledger");
    let mut salt = 0_u8;
    let random = Box::new(move |buffer: &mut [u8]| {
        for byte in buffer {
            salt = salt.wrapping_mul(5).wrapping_add(17);
            *byte = salt;
        }
    });
    let options = Options {
        origin: "docket.a5c.ai/export".into(),
        signing_seed: [3; 32],
        random,
    };
    let mut store = Store::open(&path, options)?;
    for first in (0..ENTRIES).step_by(100) {
        let entries = (first..ENTRIES.min(first + 100)).map(entry).collect();
        store.append(
            &Batch {
                entries,
                state: Vec::new(),
            },
            Timestamp::UNIX_EPOCH,
        )?;
    }
    write(&directory.join("verifier-key"), store.verifier_key())?;
    let reader = Reader::open(&path)?;
    write(&directory.join("checkpoint"), reader.checkpoint()?)?;
    for position in [0, 300, ENTRIES - 1] {
        let proof = reader.inclusion(position)?.ok_or("an entry is missing")?;
        // As the doors write it.
        let hash = |hash| BASE64.encode(hash);
        let proof = serde_json::json!({
            "position": proof.position,
            "leaf": BASE64.encode(&proof.leaf),
            "path": proof.path.iter().map(|one| hash(one)).collect::<Vec<_>>(),
            "treeSize": proof.size,
            "checkpoint": proof.checkpoint,
        });
        let path = directory.join(format!("proof/{position}"));
        write(&path, proof.to_string())?;
    }
    for level in 0..8_u8 {
        let hashes = ENTRIES >> (8 * level);
        for index in 0..hashes.div_ceil(256) {
            let width = u16::try_from((hashes - index * 256).min(256))?;
            let place = place(index, width);
            let tile = reader
                .tile(level, index, width)?
                .ok_or("a tile is missing")?;
            write(&directory.join(format!("tile/{level}/{place}")), tile)?;
            if level == 0 {
                let bundle = reader.entries(index, width)?.ok_or("a bundle is missing")?;
                write(&directory.join(format!("tile/entries/{place}")), bundle)?;
            }
        }
    }
    Ok(())
}

fn entry(n: u64) -> NewEntry {
    let id = format!("entry-{n}");
    let public = format!(r#"{{"id":"{id}","time":"2026-11-23T00:00:00Z"}}"#).into_bytes();
    let personal = n
        .is_multiple_of(2)
        .then(|| format!(r#"{{"name":"object-{n}"}}"#).into_bytes());
    NewEntry {
        id,
        class: Class::Denial,
        public,
        personal,
        exhibit: None,
    }
}

/// Index and width as a path of C2SP tlog-tiles; all indices here have three digits.
fn place(index: u64, width: u16) -> String {
    if width == 256 {
        format!("{index:03}")
    } else {
        format!("{index:03}.p/{width}")
    }
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(path.parent().ok_or("no parent")?)?;
    Ok(fs::write(path, bytes)?)
}
