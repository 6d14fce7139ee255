//! The answer for people.

use super::advice::denied_by;
use crate::list::{moment, object};
use crate::screen::{Screen, Style};
use crate::show::{Page, ago};
use crate::text::plain;
use jiff::Timestamp;
use serde_json::Value;

/// Lines of a rule's text.
const FIRST_LINES: usize = 24;

/// The document of `docket why` as a page.
pub fn page(screen: Screen, document: &Value, now: Timestamp) -> String {
    let item = &document["denial"];
    let mut page = Page::new(screen);
    refused(&mut page, item, now);
    for one in denied_by(item) {
        rule(&mut page, one);
    }
    if denied_by(item).next().is_none() {
        page.gap();
        let words = if item["text"].is_string() {
            &item["text"]
        } else {
            &item["message"]
        };
        page.paragraph("Said", Style::Plain, words);
    }
    page.gap();
    let mut label = "Change";
    for remedy in document["change"].as_array().into_iter().flatten() {
        page.paragraph(label, Style::Green, remedy);
        label = "";
    }
    if label == "Change" {
        let said =
            "The policy says no more than its message; its text is below, if it is yours to read.";
        page.line(label, Style::Plain, said);
    }
    if let Some(told) = crate::outcomes::told(item) {
        let mut label = "Since then";
        for line in told {
            page.line(label, Style::Green, &line);
            label = "";
        }
    }
    for exception in document["exceptions"].as_array().into_iter().flatten() {
        self::exception(&mut page, exception);
    }
    page.gap();
    let mut label = "Commands";
    for command in document["commands"].as_array().into_iter().flatten() {
        let what = plain(command["what"].as_str().unwrap_or_default());
        page.line(label, Style::Dim, &format!("{what}:"));
        page.verbatim(command["command"].as_str().unwrap_or_default());
        label = "";
    }
    for law in document["laws"].as_array().into_iter().flatten() {
        page.law(law, FIRST_LINES);
    }
    page.end()
}

fn refused(page: &mut Page, item: &Value, now: Timestamp) {
    let of = |name: &str| plain(item[name].as_str().unwrap_or_default());
    let place = match item["namespace"].as_str() {
        Some(namespace) => format!("{} in {}", object(item), plain(namespace)),
        None => format!("{} (of the cluster)", object(item)),
    };
    let (label, style) = match item["verdict"].as_str() {
        Some("denied") => ("Refused", Style::Bold),
        Some("failedOpen" | "excepted") => ("Admitted", Style::Bold),
        _ => ("Not done", Style::Bold),
    };
    page.line(label, style, &place);
    let dry = if item["dryRun"] == true {
        ", a dry run"
    } else {
        ""
    };
    let who = match item["actor"].as_str() {
        Some(actor) => format!(" by {}", plain(actor)),
        None => String::new(),
    };
    page.line("", Style::Plain, &format!("{}{dry}{who}", of("operation")));
    let time = of("time");
    let ago = time.parse().map(|time| ago(now, time)).unwrap_or_default();
    let answer = format!("{}{ago}, HTTP {}", moment(&time), item["code"]);
    page.line("", Style::Plain, &answer);
}

fn rule(page: &mut Page, attribution: &Value) {
    let of = |name: &str| plain(attribution[name].as_str().unwrap_or_default());
    page.gap();
    let kind = [of("policyKind"), of("enforcer")]
        .into_iter()
        .find(|kind| !kind.is_empty());
    let name = match (of("policy"), of("rule")) {
        (policy, _) if policy.is_empty() => "no policy is named".to_owned(),
        (policy, rule) if rule.is_empty() => policy,
        (policy, rule) => format!("{policy}, rule {rule}"),
    };
    let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
    page.line("Rule", Style::Bold, &format!("{name}{kind}"));
    let law = &attribution["law"];
    page.line(
        "",
        Style::Plain,
        &plain(law["title"].as_str().unwrap_or_default()),
    );
    if of("grade") == "ambiguous" {
        let doubt = of("doubt");
        let why = if doubt.is_empty() {
            String::new()
        } else {
            format!(": {doubt}")
        };
        page.line(
            "",
            Style::Yellow,
            &format!("it may have been another one{why}"),
        );
    }
    page.paragraph("Said", Style::Plain, &attribution["message"]);
}

fn exception(page: &mut Page, exception: &Value) {
    let permission = |of: &Value| {
        let part = |name: &str| plain(of[name].as_str().unwrap_or_default());
        format!("{} {}.{}", part("verb"), part("resource"), part("group"))
    };
    let you = |of: &Value| match of["you"].as_bool() {
        Some(true) => " (you may)",
        Some(false) => " (you may not)",
        None => "",
    };
    let (grant, ask) = (&exception["grant"], &exception["ask"]);
    page.gap();
    let policy = plain(exception["policy"].as_str().unwrap_or_default());
    let words = format!("from {policy} can be granted by whoever may");
    page.line("Exception", Style::Plain, &words);
    let words = format!("`{}`{}", permission(grant), you(grant));
    page.line("", Style::Plain, &words);
    if ask.is_object() {
        let words = format!("to ask for one you need `{}`{}:", permission(ask), you(ask));
        page.line("", Style::Plain, &words);
        page.verbatim(ask["command"].as_str().unwrap_or_default());
    } else {
        page.verbatim(grant["command"].as_str().unwrap_or_default());
    }
}
