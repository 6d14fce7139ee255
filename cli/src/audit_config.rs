//! `docket audit-config`: what kube-apiserver needs so that every refusal reaches the
//! reporter, for each way in which clusters are made; where that can't be had, what can.
//!
//! ```text
//!  distribution ─▶ Pieces (files, where they go) ─▶ printed, or written to a directory
//!              └─▶ steps; for managed clusters, only these
//! ```

mod managed;
mod pieces;

use crate::args::{AuditConfig, Distribution};
use crate::failure::{Failure, could_not};
use crate::screen::{note, print};
use pieces::{Piece, Settings};
use std::fmt::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What the file names stand for, whichever the distribution.
const FACTS: &str = "\
# Two things must hold whatever else you change:
#   no --audit-webhook-truncate-enabled
#       With it kube-apiserver drops an event that is too long, and whoever makes one long
#       (an Audit-ID of 100 KB does) hides a refusal. Docket then knows of a gap, not of what.
#   --audit-log-maxsize of at least 16 (MB)
#       A line longer than that is not written at all, for the same price.
# There is one audit policy in a cluster. If you have one, put these rules before its own:
# the first that matches counts.
# The log and the webhook check each other: with both on, a reporter that is away for long
# misses nothing, and neither doubles what the other brought.";

pub fn run(arguments: &AuditConfig) -> Result<(), Failure> {
    let managed = match arguments.distribution {
        Distribution::Eks => Some(managed::EKS),
        Distribution::Aks => Some(managed::AKS),
        Distribution::Gke => Some(managed::GKE),
        _ => None,
    };
    if let Some(says) = managed {
        if arguments.write.is_some() || arguments.piece.is_some() {
            return Err(Failure::CouldNot(
                "there are no files for a managed cluster: its API server is not yours to configure; \
                 run it without --write and --piece for what can be done"
                    .into(),
            ));
        }
        print(&format!("{says}\n\n{}", managed::KUBECTL));
        return Ok(());
    }
    let settings = Settings::new(arguments);
    let all = pieces::all(&settings);
    if let Some(wanted) = &arguments.piece {
        let piece = all.iter().find(|piece| piece.name == wanted.as_str());
        let Some(piece) = piece else {
            let names: Vec<&str> = all.iter().map(|piece| piece.name).collect();
            return Err(Failure::Wrong(format!(
                "no piece {wanted}; there are {}",
                names.join(", ")
            )));
        };
        print(&piece.content);
        return Ok(());
    }
    let steps = pieces::steps(&settings);
    match &arguments.write {
        None => print(&whole(&all, &steps)),
        Some(dir) => {
            write(dir, &all).map_err(could_not(&format!("{} can't be written", dir.display())))?;
            for piece in &all {
                print(&format!(
                    "{}  {}",
                    dir.join(piece.name).display(),
                    piece.says
                ));
            }
            print(&format!("\n{steps}\n\n{FACTS}"));
        }
    }
    if settings.is_unfinished() {
        note("Give --audit-url the address at which the API server reaches the reporter.");
    }
    Ok(())
}

fn whole(all: &[Piece], steps: &str) -> String {
    let mut text = String::new();
    for piece in all {
        let _ = writeln!(text, "# ---- {}: {}", piece.name, piece.says);
        let _ = writeln!(text, "{}", piece.content);
    }
    let _ = write!(text, "{steps}\n\n{FACTS}");
    text
}

/// Nothing in them is secret, and what is beside them will be.
fn write(dir: &Path, all: &[Piece]) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    for piece in all {
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(dir.join(piece.name))?;
        std::io::Write::write_all(&mut file, piece.content.as_bytes())?;
    }
    Ok(())
}
