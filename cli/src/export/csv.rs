//! CSV for spreadsheets. Columns are stable: new ones come at the end only.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@` (also in their wide forms)
//! for a formula, and a message may hold what a refused object said: such a cell begins
//! with an apostrophe here, which a spreadsheet shows as text.

use crate::text::plain;
use serde_json::Value;

/// Longest cell in characters: spreadsheets take 32,767.
const LONGEST: usize = 32_000;

/// Heading, and where in an item the cell's value stands.
const COLUMNS: [(&str, &str); 33] = [
    ("id", "/id"),
    ("time", "/time"),
    ("recordedAt", "/recordedAt"),
    ("verdict", "/verdict"),
    ("operation", "/operation"),
    ("dryRun", "/dryRun"),
    ("namespace", "/namespace"),
    ("apiVersion", "/resourceRef/apiVersion"),
    ("kind", "/resourceRef/kind"),
    ("name", "/resourceRef/name"),
    ("subresource", "/subresource"),
    ("actor", "/actor"),
    ("impersonator", "/impersonator"),
    ("enforcer", "/attributions/0/enforcer"),
    ("policyKind", "/attributions/0/policyKind"),
    ("policy", "/policy"),
    ("rule", "/rule"),
    ("grade", "/attributions/0/grade"),
    ("severity", "/severity"),
    ("message", "/message"),
    ("remediation", "/remediation"),
    ("org", "/org"),
    ("repository", "/repository"),
    ("environment", "/environment"),
    ("surface", "/surface"),
    ("code", "/code"),
    ("reason", "/reason"),
    ("testimony", "/testimony"),
    ("source", "/source"),
    ("position", "/position"),
    ("auditId", "/auditId"),
    ("outcome", "/outcome/relation"),
    ("outcomeTime", "/outcome/time"),
];

/// The first line; before it, if asked for, the mark by which Excel knows UTF-8. Without it
/// Excel reads the file in its machine's old code page.
pub fn heading(mark: bool) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let mark = if mark { "\u{feff}" } else { "" };
    format!("{mark}{}", names.join(","))
}

/// One denial in one line.
pub fn line(item: &Value) -> String {
    let cells: Vec<String> = COLUMNS
        .iter()
        .map(|(_, place)| match item.pointer(place) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => cell(text),
            Some(other) => cell(&other.to_string()),
        })
        .collect();
    cells.join(",")
}

fn cell(text: &str) -> String {
    let mut text = plain(text);
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) {
        text.insert(0, '\'');
    }
    if text.contains([',', '"', ';', '\'']) || text.starts_with(' ') {
        text = format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{cell, heading, line};
    use serde_json::{Value, json};

    #[test]
    fn no_cell_is_a_formula_or_a_second_cell() {
        for (text, expected) in [
            ("plain", "plain"),
            (
                "=HYPERLINK(\"http://x\",\"y\")",
                "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"",
            ),
            ("+1+cmd|' /C calc'!A0", "\"'+1+cmd|' /C calc'!A0\""),
            ("-2+3", "\"'-2+3\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'=1\""),
            (" =1", "\"'=1\""),
            ("＝1", "\"'＝1\""),
            ("a,b\"c\nd\r\n=e", "\"a,b\"\"c d  =e\""),
            ("x\u{1b}[31m\u{202e}", "x\\u{1b}[31m\\u{202e}"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
        assert!(cell(&"x".repeat(65_536)).chars().count() <= 32_001);
    }

    #[test]
    fn each_line_has_a_cell_for_each_column_whatever_is_known() {
        let cells = heading(false).split(',').count();
        assert_eq!(line(&json!({})).split(',').count(), cells);
        let item = json!({"id": "k3", "dryRun": false, "position": 4, "attributions": [{"enforcer": "kyverno"}]});
        let line = line(&item);
        assert_eq!(line.split(',').count(), cells);
        assert!(
            line.starts_with("k3,,,,,false,") && line.contains(",kyverno,") && line.contains(",4,")
        );
    }

    #[test]
    fn the_mark_for_excel_comes_first_and_letters_of_all_scripts_stay() {
        assert_eq!(heading(true).as_bytes()[..5], *b"\xEF\xBB\xBFid");
        assert!(heading(false).starts_with("id,time,"));
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/recorded/cases/32-csv-for-excel.json"
        );
        let case: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let line = line(&case["item"]);
        for text in ["zoë", "größe", "Größe fehlt – bitte ergänzen (日本語)"] {
            assert!(line.split(',').any(|cell| cell == text), "{line}");
        }
    }
}
