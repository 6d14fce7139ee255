//! A ledger's file, without a server: `docket verify --store`, `docket reindex`.

use crate::failure::{Failure, could_not};
use crate::screen::{Screen, Style, print};
use crate::text::plain;
use docket_ledger::store::reindex as rebuild;
use docket_ledger::verify::{VerifyOptions, verify as check};
use std::fs;
use std::path::Path;

pub fn verify(file: &Path, checkpoint: Option<&Path>, key: Option<&str>) -> Result<(), Failure> {
    let known_checkpoint = match checkpoint {
        None => None,
        Some(kept) => {
            let what = format!("{} can't be read", kept.display());
            Some(fs::read_to_string(kept).map_err(could_not(&what))?)
        }
    };
    let against = known_checkpoint.is_some();
    let options = VerifyOptions {
        verifier_key: key.map(str::to_owned),
        known_checkpoint,
    };
    let report = check(file, &options).map_err(could_not(&format!(
        "{} could not be checked",
        file.display()
    )))?;
    let screen = Screen::now();
    let by = if key.is_some() {
        "the key given"
    } else {
        "the key that it names itself (give --key to be sure whose)"
    };
    print(&format!(
        "checkpoint  {}, {} entries, signed by {by}",
        plain(&report.origin),
        report.size
    ));
    let classes: Vec<String> = report
        .entries
        .iter()
        .map(|(class, number)| {
            let name = serde_json::to_value(class).unwrap_or_default();
            format!("{number} {}", name.as_str().unwrap_or_default())
        })
        .collect();
    if !classes.is_empty() {
        print(&format!("entries     {}", classes.join(", ")));
    }
    print(&format!(
        "parts       {} compared with their commitments",
        report.parts_present
    ));
    if report.intact() {
        if against {
            print("history     holds all of the checkpoint given");
        }
        print("view        as the entries say");
        print(&screen.paint(Style::Green, "intact"));
        return Ok(());
    }
    for finding in &report.findings {
        print(&screen.paint(
            Style::Red,
            &format!("TAMPERED    {}", plain(&finding.to_string())),
        ));
    }
    if report.more_findings > 0 {
        let more = format!("TAMPERED    {} more findings", report.more_findings);
        print(&screen.paint(Style::Red, &more));
    }
    Err(Failure::Wrong(format!(
        "{} is not what was signed; keep a copy of it, and of what is said here",
        file.display()
    )))
}

pub fn reindex(file: &Path) -> Result<(), Failure> {
    let what = format!("the view of {} could not be rebuilt", file.display());
    let entries = rebuild(file).map_err(could_not(&what))?;
    print(&format!("The view was rebuilt from {entries} entries."));
    Ok(())
}
