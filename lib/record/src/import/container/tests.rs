use super::super::{Read, Shape, read};
use super::*;

const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","stage":"ResponseComplete","verb":"create","responseStatus":{"code":400,"message":"no: \"}{\""},"stageTimestamp":"2026-12-01T10:00:00.500032Z"}"#;
const TIME: &str = "2026-12-01T10:00:00.600000001Z";

/// What a reader of these lines is given, in order; at which line each begins.
fn given(lines: &[String]) -> Vec<(u64, String)> {
    let mut joiner = Joiner::default();
    let mut all = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for (number, line) in (1..).zip(lines) {
        let taken = joiner.take(line.as_bytes(), number, |joined| {
            all.push((joined.at, text(&joined.bytes)));
        });
        if !taken {
            all.push((number, line.clone()));
        }
    }
    joiner.finish(|joined| all.push((joined.at, text(&joined.bytes))));
    all
}

fn cri_line(stream: &str, tag: &str, text: &str) -> String {
    format!("{TIME} {stream} {tag} {text}")
}

fn docker_line(stream: &str, text: &str) -> String {
    serde_json::json!({"log": text, "stream": stream, "time": TIME}).to_string()
}

fn is_the_event(line: &str) -> bool {
    matches!(read(line.as_bytes(), None), Ok(Read::Raw(Shape::Container | Shape::Wrapped, text)) if text.trim() == EVENT)
}

#[test]
fn pieces_are_put_together_by_stream_and_whole_lines_stay_as_they_are() {
    let other = cri_line("stderr", "F", "I1201 10:00:00.101000 1 x.go:1] between");
    let (a, b) = EVENT.split_at(60);
    let (b, c) = b.split_at(40);
    let lines = [
        cri_line("stdout", "F", EVENT),
        cri_line("stdout", "P", a),
        other.clone(),
        cri_line("stdout", "P:more", b),
        cri_line("stdout", "F", c),
        cri_line("stderr", "F", "the end"),
    ];
    let given = given(&lines);
    let numbers: Vec<u64> = given.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 3, 2, 6], "an end is told where it comes");
    assert_eq!(given[1].1, other);
    assert!(
        is_the_event(&given[0].1) && is_the_event(&given[2].1),
        "{given:?}"
    );
    assert!(given[2].1.starts_with(&cri_line("stdout", "F", "{")));
}

#[test]
fn dockers_pieces_end_with_the_line_break_and_a_shippers_whole_lines_need_none() {
    let (a, b) = EVENT.split_at(100);
    let line = format!("{b}\n");
    let lines = [
        docker_line("stdout", &format!("{EVENT}\n")),
        docker_line("stdout", a),
        docker_line("stderr", "I1201 10:00:00.101000 1 x.go:1] between\n"),
        docker_line("stdout", &line),
        docker_line("stdout", EVENT),
        docker_line("stdout", "text that ends no line"),
        docker_line("stdout", a),
        docker_line("stdout", b),
    ];
    let given = given(&lines);
    let events: Vec<u64> = given
        .iter()
        .filter(|(_, line)| is_the_event(line))
        .map(|(number, _)| *number)
        .collect();
    assert_eq!(events, [1, 2, 5, 7], "{given:?}");
    assert_eq!(given.len(), 6, "{given:?}");
}

#[test]
fn pieces_whose_end_never_came_cost_no_line_after_them() {
    let (a, _) = EVENT.split_at(100);
    for lines in [
        [
            cri_line("stdout", "P", a),
            cri_line("stdout", "F", EVENT),
            cri_line("stdout", "P", a),
        ],
        [
            docker_line("stdout", a),
            docker_line("stdout", &format!("{EVENT}\n")),
            docker_line("stdout", a),
        ],
    ] {
        let given = given(&lines);
        assert_eq!(given.len(), 3, "{given:?}");
        assert_eq!(given[0], (1, cri_line("stdout", "P", a)));
        assert!(is_the_event(&given[1].1), "{given:?}");
        assert_eq!(given[2], (3, cri_line("stdout", "P", a)));
    }
}

#[test]
fn other_peoples_lines_are_none_of_these() {
    let mut joiner = Joiner::default();
    for line in [
        EVENT.to_owned(),
        format!("{TIME} {EVENT}"),
        format!("{TIME} stdin F x"),
        format!("{TIME} stdout X x"),
        "yesterday stdout F x".to_owned(),
        r#"{"log":"x","stream":"stdout","time":"2026-12-01T10:00:00Z","kubernetes":{}}"#.to_owned(),
        r#"{"log":"x","stream":"stdout"}"#.to_owned(),
        r#"{"log":7,"stream":"stdout","time":"2026-12-01T10:00:00Z"}"#.to_owned(),
        r#"{"stream""#.to_owned(),
    ] {
        assert!(
            !joiner.take(line.as_bytes(), 1, |_| panic!("{line}")),
            "{line}"
        );
    }
    assert_eq!(joiner.earliest(), None);
}

#[test]
fn a_line_that_never_ends_takes_no_more_than_its_share() {
    let mut joiner = Joiner::default();
    let piece = cri_line("stdout", "P", &"x".repeat(1 << 20));
    for number in 0..70 {
        assert!(joiner.take(piece.as_bytes(), number, |_| panic!("it has not ended")));
        let held = joiner.unfinished[0].as_ref().unwrap().text.len();
        assert!(held <= LONGEST, "{held}");
    }
    let mut ended = None;
    joiner.take(cri_line("stdout", "F", "x").as_bytes(), 99, |joined| {
        ended = Some(joined)
    });
    let ended = ended.unwrap();
    assert_eq!((ended.at, ended.too_long), (0, Some((70 << 20) + 1)));
    assert!(ended.bytes.len() < KEPT + 100);
}
