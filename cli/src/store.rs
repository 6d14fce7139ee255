//! A ledger's file, without a server: `docket verify --store`, `docket reindex`.

use crate::args::Form;
use crate::failure::{Failure, could_not};
use crate::forms::printed;
use crate::screen::{Screen, Style, print};
use crate::text::plain;
use docket_ledger::entry::Class;
use docket_ledger::store::reindex as rebuild;
use docket_ledger::verify::{Report, VerifyOptions, verify as check};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

pub fn verify(
    file: &Path,
    checkpoint: Option<&Path>,
    key: Option<&str>,
    output: Form,
) -> Result<(), Failure> {
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
    let by = if key.is_some() {
        "the key given"
    } else {
        "the key that it names itself (give --key to be sure whose)"
    };
    if !printed(output.output, &document(&report, by)) {
        say(&report, by, against);
    }
    if report.intact() {
        return Ok(());
    }
    Err(Failure::Wrong(format!(
        "{} is not what was signed; keep a copy of it, and of what is said here",
        file.display()
    )))
}

/// For programs.
fn document(report: &Report, by: &str) -> Value {
    let entries = report
        .entries
        .iter()
        .map(|(class, number)| (class_name(*class), Value::from(*number)));
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    json!({
        "origin": report.origin,
        "size": report.size,
        "root": data_encoding::BASE64.encode(&report.root),
        "signedBy": by,
        "intact": report.intact(),
        "compared": {
            "entries": entries.collect::<serde_json::Map<_, _>>(),
            "parts": report.parts_present,
            "erased": report.parts_erased,
        },
        "notCompared": [],
        "findings": findings,
        "moreFindings": report.more_findings,
    })
}

fn class_name(class: Class) -> String {
    let name = serde_json::to_value(class).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// For people.
fn say(report: &Report, by: &str, against: bool) {
    let screen = Screen::now();
    print(&format!(
        "checkpoint  {}, {} entries, signed by {by}",
        plain(&report.origin),
        report.size
    ));
    let classes: Vec<String> = report
        .entries
        .iter()
        .map(|(class, number)| format!("{number} {}", class_name(*class)))
        .collect();
    if !classes.is_empty() {
        print(&format!("entries     {}", classes.join(", ")));
    }
    let erased = match report.parts_erased {
        0 => String::new(),
        1 => ", 1 was erased".to_owned(),
        erased => format!(", {erased} were erased"),
    };
    print(&format!(
        "parts       {} compared with their commitments{erased}",
        report.parts_present
    ));
    if report.intact() {
        if against {
            print("history     holds all of the checkpoint given");
        }
        print("view        as the entries say");
        print(&screen.paint(Style::Green, "intact"));
        return;
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
}

pub fn reindex(file: &Path) -> Result<(), Failure> {
    let what = format!("the view of {} could not be rebuilt", file.display());
    let entries = rebuild(file).map_err(could_not(&what))?;
    print(&format!("The view was rebuilt from {entries} entries."));
    Ok(())
}
