//! `docket export`: denials for other programs, once, or as they come.
//!
//! ```text
//!  list ───────────────▶ lines (jsonl, csv, ocsf) ─▶ sink: standard output, file, endpoint
//!  changes ─▶ batch ───▶ lines ─▶ sink ─▶ acknowledged ─▶ cursor, synced
//! ```

mod csv;
mod cursor;
mod endpoint;
mod follow;
mod ocsf;
mod sink;

use crate::args::export::Form;
use crate::args::{Export, Server};
use crate::door::{Ask, Door};
use crate::failure::Failure;
use crate::screen::note;
use crate::text::json_line;
use endpoint::Endpoint;
use serde_json::Value;
use sink::{Grown, Sink};
use std::path::PathBuf;

/// Records of one page.
const PAGE: u64 = 200;

pub async fn run(server: &Server, export: Box<Export>) -> Result<(), Failure> {
    let door = Door::open(server).await?;
    let mut sink = sink(&export)?;
    if export.follow {
        follow::run(&door, &export, &mut sink).await
    } else {
        once(&door, &export, &mut sink).await
    }
}

fn sink(export: &Export) -> Result<Sink, Failure> {
    let endpoint = export.to.contains("://");
    if !endpoint && !export.to_header_file.is_empty() {
        return Err(Failure::CouldNot(
            "--to-header-file is for an endpoint: --to https://…".into(),
        ));
    }
    if endpoint && export.output == Form::Csv {
        return Err(Failure::CouldNot(
            "an endpoint takes jsonl or ocsf; CSV has one heading and goes to a file".into(),
        ));
    }
    if export.bom && export.output != Form::Csv {
        return Err(Failure::CouldNot(
            "--bom is for spreadsheets: -o csv --bom".into(),
        ));
    }
    Ok(match export.to.as_str() {
        "-" => Sink::Out,
        url if endpoint => Sink::Endpoint(Box::new(Endpoint::new(url, export)?)),
        path => Sink::File(Grown::at(PathBuf::from(path))),
    })
}

/// One record in one line.
fn line(form: Form, item: &Value) -> String {
    match form {
        Form::Jsonl => json_line(item),
        Form::Csv => csv::line(item),
        Form::Ocsf => json_line(&ocsf::event(item)),
    }
}

/// All that there is, newest first.
async fn once(door: &Door, export: &Export, sink: &mut Sink) -> Result<(), Failure> {
    let ask = door.within(Ask::new(&export.denials)).await;
    let mut cursor: Option<String> = None;
    if export.output == Form::Csv {
        sink.begin(csv::heading(export.bom), true).await?;
    }
    let mut lines = Vec::new();
    let mut partial = false;
    loop {
        let page = door.page(&ask, PAGE, cursor.as_deref()).await?;
        partial |= page.partial;
        lines.extend(page.items.iter().map(|item| line(export.output, item)));
        sink.deliver(&lines).await?;
        lines.clear();
        if page.cursor.is_none() || page.cursor == cursor {
            break;
        }
        cursor = page.cursor;
    }
    if partial {
        note("Some namespaces of this org are not yours to read; their denials are left out.");
    }
    Ok(())
}
