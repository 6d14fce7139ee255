//! Does what a command said have the shape that a page shows? Ids, times, numbers and the
//! widths of columns may differ; `…` is anything, on a line of its own any lines.

use anyhow::{Context as _, Result};
use regex::Regex;

/// What differs from run to run, in the order in which it is looked for.
const VARIES: [(&str, &str); 7] = [
    (
        r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?Z",
        r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?Z",
    ),
    (
        r"\d+ (?:second|minute|hour|day)s? ago",
        r"\d+ (?:second|minute|hour|day)s? ago",
    ),
    // Of an id a page shows all 52 characters, or those that a list prints.
    (r"\b[a-z2-7]{52}\b", "[a-z2-7]{52}"),
    (r"\b[a-z2-7]{12}\b", "[a-z2-7]{12}"),
    (r"\b[a-z2-7]{8}\b", "[a-z2-7]{8}"),
    (r"\b(?:\d+[smhd])+\b", r"(?:\d+[smhd])+"),
    (r"\d+", r"\d+"),
];

/// As told above.
pub fn fits(shown: &str, said: &str) -> Result<bool> {
    let mut pattern = String::from(r"\A");
    for line in shown.trim_end().lines() {
        if line.trim() == "…" {
            pattern.push_str(r"(?:[^\n]*\n)*?");
        } else {
            pattern.push_str(&one(line)?);
            pattern.push_str(r"[ \t]*\n");
        }
    }
    pattern.push_str(r"\n*\z");
    let pattern = Regex::new(&pattern).context("the page can't be compared")?;
    let said = format!("{}\n", said.trim_end());
    Ok(pattern.is_match(if said == "\n" { "" } else { &said }))
}

fn one(line: &str) -> Result<String> {
    let mut pattern = String::new();
    let mut rest = line.trim_end();
    while let Some(first) = rest.chars().next() {
        if rest.starts_with(' ') {
            pattern.push_str(" +");
            rest = rest.trim_start_matches(' ');
            continue;
        }
        if let Some(after) = rest.strip_prefix('…') {
            pattern.push_str(r"[^\n]*");
            rest = after;
            continue;
        }
        if let Some((length, varies)) = varying(line, line.trim_end().len() - rest.len())? {
            pattern.push_str(varies);
            rest = &rest[length..];
            continue;
        }
        pattern.push_str(&regex::escape(first.encode_utf8(&mut [0; 4])));
        rest = &rest[first.len_utf8()..];
    }
    Ok(pattern)
}

/// What varies and begins at this place: how long it is, and what fits instead.
fn varying(line: &str, at: usize) -> Result<Option<(usize, &'static str)>> {
    for (looks, fits) in VARIES {
        let looks = Regex::new(looks)?;
        if let Some(found) = looks.find_at(line, at).filter(|found| found.start() == at) {
            let text = found.as_str();
            // A word of so many letters is a word.
            let is_word = text.bytes().all(|byte| byte.is_ascii_lowercase());
            if !is_word {
                return Ok(Some((text.len(), fits)));
            }
        }
    }
    Ok(None)
}
