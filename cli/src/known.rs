//! What was seen of ledgers before: keys, and the last checkpoint of each. Pinned at the
//! first visit, so that a server can't show another ledger, or an older one, later on.

use crate::failure::{Failure, could_not};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The state file.
#[derive(Debug)]
pub struct Known {
    file: PathBuf,
    seen: Seen,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    /// `host:port` to the origin that was shown there.
    servers: BTreeMap<String, String>,
    /// Origin to what is known of it.
    ledgers: BTreeMap<String, Ledger>,
}

/// One ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Verifier key.
    pub key: String,
    /// The newest checkpoint that was found intact.
    pub checkpoint: String,
}

impl Known {
    /// `$DOCKET_STATE`, else `$XDG_STATE_HOME/docket`, else `~/.local/state/docket`.
    pub fn load() -> Result<Known, Failure> {
        let set = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let directory = set("DOCKET_STATE")
            .or_else(|| set("XDG_STATE_HOME").map(|home| home.join("docket")))
            .or_else(|| set("HOME").map(|home| home.join(".local/state/docket")))
            .ok_or_else(|| {
                Failure::CouldNot(
                    "no place to remember checkpoints: set DOCKET_STATE to a directory".into(),
                )
            })?;
        let file = directory.join("known-ledgers.json");
        let seen = match fs::read(&file) {
            Ok(bytes) => {
                // Starting afresh would forget what protects the user.
                let what = format!(
                    "{} can't be read; put it right, or delete it to start afresh",
                    file.display()
                );
                serde_json::from_slice(&bytes).map_err(could_not(&what))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Seen::default(),
            Err(error) => {
                return Err(could_not(&format!("{} can't be read", file.display()))(
                    error,
                ));
            }
        };
        Ok(Known { file, seen })
    }

    /// For ledgers that are not to be remembered.
    pub fn nothing() -> Known {
        Known {
            file: PathBuf::new(),
            seen: Seen::default(),
        }
    }

    /// Where it is kept, for messages.
    pub fn file(&self) -> &std::path::Path {
        &self.file
    }

    /// The origin that this server showed before.
    pub fn origin_at(&self, server: &str) -> Option<&str> {
        self.seen.servers.get(server).map(String::as_str)
    }

    /// What is known of a ledger.
    pub fn ledger(&self, origin: &str) -> Option<&Ledger> {
        self.seen.ledgers.get(origin)
    }

    /// Remember an intact visit. Written beside and renamed: whole or not at all.
    pub fn remember(&mut self, server: &str, origin: &str, ledger: Ledger) -> Result<(), Failure> {
        self.seen
            .servers
            .insert(server.to_owned(), origin.to_owned());
        self.seen.ledgers.insert(origin.to_owned(), ledger);
        let what = format!("{} can't be written", self.file.display());
        let bytes = serde_json::to_vec_pretty(&self.seen).map_err(could_not(&what))?;
        let beside = self
            .file
            .with_extension(format!("{}.new", std::process::id()));
        let directory = self.file.parent().unwrap_or(std::path::Path::new("."));
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&beside, bytes))
            .and_then(|()| fs::rename(&beside, &self.file))
            .map_err(could_not(&what))
    }
}
