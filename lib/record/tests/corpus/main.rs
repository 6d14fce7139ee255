//! Every file of the fuzz targets' corpora, through the same functions, on stable.

mod parsers;

use std::fs;
use std::path::Path;

fn run(target: &str, parse: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let files = fs::read_dir(&directory).unwrap_or_else(|why| panic!("{directory:?}: {why}"));
    let mut seen = 0;
    for file in files {
        let path = file.expect("a directory entry").path();
        let bytes = fs::read(&path).unwrap_or_else(|why| panic!("{path:?}: {why}"));
        parse(&bytes);
        // And torn at each byte, up to a bound: most trouble lies at an early end.
        for end in 0..bytes.len().min(4096) {
            parse(&bytes[..end]);
        }
        seen += 1;
    }
    assert!(seen > 0, "{directory:?} is empty");
}

#[test]
fn the_corpus_of_audit_events_holds() {
    run("audit_event", parsers::audit_event);
}

#[test]
fn the_corpus_of_lists_holds() {
    run("audit_list", parsers::audit_list);
}

#[test]
fn the_corpus_of_testimonies_holds() {
    run("testimony", parsers::testimony);
}

#[test]
fn the_corpus_of_reviews_holds() {
    run("review", parsers::review);
}

#[test]
fn the_corpus_of_denial_texts_holds() {
    run("attribution", parsers::attribution);
}

#[test]
fn the_corpus_of_policies_holds() {
    run("policy", parsers::policy);
}

#[test]
fn the_corpus_of_reports_holds() {
    run("report", parsers::report);
}

#[test]
fn the_corpus_of_kyverno_events_holds() {
    run("kyverno_event", parsers::kyverno_event);
}

#[test]
fn the_corpus_of_imported_records_holds() {
    run("import_record", parsers::import_record);
}

#[test]
fn the_corpus_of_imported_files_holds() {
    run("import_split", parsers::import_split);
}

#[test]
fn the_corpus_of_calls_for_exhibits_holds() {
    run("exhibit_call", parsers::exhibit_call);
}

#[test]
fn the_corpus_of_objects_and_texts_to_mask_holds() {
    run("mask", parsers::mask);
}

#[test]
fn the_corpus_of_laws_holds() {
    run("law", parsers::law);
}
