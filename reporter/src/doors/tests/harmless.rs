//! What refused objects say may be anything: the doors show it, and it does nothing.

use super::streaming::Events;
use super::world::{Denial, World, id};
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::Batch;
use docket_record::harmful::{HARMFUL, is_harmful};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A terminal's title and colours, C1, right-to-left, markup, a formula, a frame of a
/// stream, every harmful character, and 64 KiB.
fn hostile() -> String {
    let begin = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}gnp.exe\u{2066}</script><img src=x onerror=alert(1)>\
                 &lt;\r\ndata: {\"type\":\"forged\"}\n\nid: 1\n\n=cmd|' /C calc'!A0\u{2028}\u{feff}\0";
    let all: String = HARMFUL.into_iter().flatten().collect();
    let mut text = format!("=HYPERLINK(\"http://x\") {begin}{all}");
    while text.len() < 64 * 1024 {
        text.push_str("<b>\u{1b}[31m");
    }
    text
}

#[track_caller]
fn inert(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let bad = |c: char| (is_harmful(c) && c != '\n') || "<>&".contains(c);
    assert!(!text.contains(bad), "{:?}", text.find(bad));
}

#[tokio::test]
async fn hostile_texts_are_shown_whole_and_do_nothing() {
    let mut world = World::new();
    let text = hostile();
    let personal = json!({ "text": text, "messages": [text], "name": "<b>\u{1b}[1m",
                           "actor": { "username": "\u{9b}1m<i>" } });
    world.deny(&Denial::new(0).personal(personal));
    let one = format!("/api/policy-denials/{}", id(0));
    let list = "/api/policy-denials?q=owned".to_owned();
    for path in [&one, &list, &format!("{one}/law"), &format!("{one}/proof")] {
        let answer = world.get("admin", path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.headers["content-type"], "application/json", "{path}");
        assert_eq!(
            answer.headers["x-content-type-options"], "nosniff",
            "{path}"
        );
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        inert(&answer.bytes);
    }
    let shown = world.get("admin", &one).await.json();
    assert_eq!(
        (&shown["text"], &shown["message"]),
        (&json!(text), &json!(text))
    );
    assert_eq!(shown["actor"], "\u{9b}1m<i>");

    // In a stream too each is one frame, whatever it holds.
    let version = world.get("admin", &list).await.json()["version"].clone();
    let begin: u64 = version.as_str().unwrap().parse().unwrap();
    let path = format!("/api/policy-denials/stream?cursor={}", begin - 1);
    let mut events = Events::open(&world, "admin", &path, None).await;
    assert_eq!(events.next().await.unwrap().1["type"], "connected");
    let (version, data) = events.next().await.unwrap();
    assert_eq!(version, Some(begin.to_string()));
    assert_eq!(
        (&data["type"], &data["denial"]["message"]),
        (&json!("denial"), &json!(text))
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_hide_nothing_of_the_page() {
    let mut world = World::new();
    world.deny(&Denial::new(0));
    let (public, _) = Denial::new(1).parts();
    let torn = NewEntry {
        id: id(1),
        class: Class::Denial,
        public: public.to_string().into_bytes(),
        personal: Some(b"{\"name\":\"\xff\xfe\xc0\x80\",\"text\":\"\xed\xa0\x80\"}".to_vec()),
        exhibit: None,
    };
    let batch = Batch {
        entries: vec![torn],
        state: Vec::new(),
    };
    let late = Timestamp::from_second(1_900_000_000).unwrap();
    world.store.append(&batch, late).unwrap();
    let list = world.get("admin", "/api/policy-denials").await;
    assert_eq!(list.positions(), [1, 0]);
    inert(&list.bytes);
    assert_eq!(list.json()["items"][0]["actor"], Value::Null);
    let found = world
        .get("admin", "/api/policy-denials?q=description")
        .await;
    assert_eq!(found.positions(), [1, 0], "by its policy");
    let one = world
        .get("admin", &format!("/api/policy-denials/{}", id(1)))
        .await;
    assert_eq!(one.status, 200);
    inert(&one.bytes);
}
