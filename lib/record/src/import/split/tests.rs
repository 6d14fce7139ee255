use super::*;
use proptest::prelude::*;

fn split(bytes: &[u8], step: usize) -> Vec<(u64, String)> {
    let mut splitter = Splitter::new();
    let mut pieces = Vec::new();
    for part in bytes.chunks(step.max(1)) {
        splitter.push(part);
        while let Some(piece) = splitter.next_piece() {
            pieces.push(piece);
        }
    }
    splitter.finish();
    while let Some(piece) = splitter.next_piece() {
        pieces.push(piece);
    }
    let text = |piece: Piece| {
        (
            piece.line,
            String::from_utf8_lossy(&piece.bytes).into_owned(),
        )
    };
    pieces.into_iter().map(text).collect()
}

#[track_caller]
fn gives(file: &str, records: &[(u64, &str)]) {
    let records: Vec<_> = records.iter().map(|(l, t)| (*l, (*t).to_owned())).collect();
    for step in [1, 2, 7, 4096] {
        assert_eq!(split(file.as_bytes(), step), records, "by {step}:\n{file}");
    }
}

#[test]
fn each_line_is_a_record_and_a_broken_one_costs_only_itself() {
    gives(
        "{\"a\":1}\n\n{\"b\":\n{\"c\":\"}\"}\r\nTIME {\"d\":4}",
        &[
            (1, "{\"a\":1}"),
            (3, "{\"b\":"),
            (4, "{\"c\":\"}\"}"),
            (5, "TIME {\"d\":4}"),
        ],
    );
    // Also where the first line is the broken one, or no JSON at all.
    gives("{\"a\":\n{\"b\":2}\n", &[(1, "{\"a\":"), (2, "{\"b\":2}")]);
    gives(
        "I1122 klog\n{\"b\":2}\n",
        &[(1, "I1122 klog"), (2, "{\"b\":2}")],
    );
}

#[test]
fn records_in_one_line_are_taken_apart() {
    gives(
        "{\"records\":[{\"a\":1},{\"b\":2}]}\n{\"items\":[]}\n{\"c\":3}{\"d\":4}\n",
        &[
            (1, "{\"a\":1}"),
            (1, "{\"b\":2}"),
            (3, "{\"c\":3}"),
            (3, "{\"d\":4}"),
        ],
    );
    gives(
        "{\"x\":{\"records\":[1]},\"records\":\"no\"}\n{}\n",
        &[
            (1, "{\"x\":{\"records\":[1]},\"records\":\"no\"}"),
            (2, "{}"),
        ],
    );
}

#[test]
fn a_document_is_read_over_its_lines() {
    gives(
        "[\n  {\n    \"a\": \"]}\\\"\"\n  },\n  {\"b\": [1, {}]}\n]\n",
        &[
            (2, "{\n    \"a\": \"]}\\\"\"\n  }"),
            (5, "{\"b\": [1, {}]}"),
        ],
    );
    gives(
        "{\n \"kind\": \"EventList\",\n \"x\": {\"items\": [1]},\n \"items\": [\n  {\"a\": 1},\n  {\"b\": 2}\n ],\n \"more\": [{}]\n}\n{\"c\":\n3}",
        &[(5, "{\"a\": 1}"), (6, "{\"b\": 2}"), (10, "{\"c\":\n3}")],
    );
    gives(
        "[{\"messageType\": \"DATA_MESSAGE\", \"logEvents\": [{\"m\": 1},{\"m\": 2}], \"o\": {}},\n{\"n\":1}]",
        &[(1, "{\"m\": 1}"), (1, "{\"m\": 2}"), (2, "{\"n\":1}")],
    );
    // In an array of records a member of such a name is the record's own.
    gives("[]", &[]);
    gives("{}", &[(1, "{}")]);
}

#[test]
fn zeros_are_between_records_however_many_and_wherever() {
    let hole = "\0".repeat(5000);
    gives(
        &format!("{hole}{{\"a\":1}}\n{hole}\n\0{{\"b\":2}}\0\0{{\"c\":3}}\n{hole}"),
        &[(1, "{\"a\":1}"), (3, "{\"b\":2}"), (3, "{\"c\":3}")],
    );
    gives(
        &format!("{hole}[\n{{\"a\":1}},{hole}\n{{\"b\":2}}]"),
        &[(2, "{\"a\":1}"), (3, "{\"b\":2}")],
    );
    // A line that the hole has torn costs itself, and not the one behind the hole.
    gives(
        &format!("{{\"a\":1}}\n{{\"b\":{hole}{{\"c\":3}}\n"),
        &[(1, "{\"a\":1}"), (2, "{\"b\":"), (2, "{\"c\":3}")],
    );
    // More than a record may be long, in no more memory than a step takes.
    let mut splitter = Splitter::new();
    let step = vec![0; 1 << 20];
    for _ in 0..LONGEST / step.len() + 3 {
        splitter.push(&step);
        assert!(splitter.next_piece().is_none());
        assert!(splitter.input.buffer.len() <= 2 * step.len());
    }
    splitter.push(b"{\"a\":1}\n");
    splitter.finish();
    assert_eq!(splitter.next_piece().unwrap().bytes, b"{\"a\":1}");
    assert_eq!(splitter.zeros(), (LONGEST + 3 * step.len()) as u64);
}

#[test]
fn pieces_of_a_containers_line_are_one_record() {
    gives(
        "2026-12-01T10:00:00Z stderr F klog\n2026-12-01T10:00:01Z stdout P {\"a\":\n\
         2026-12-01T10:00:02Z stderr F more\n2026-12-01T10:00:03Z stdout F 1}\n\
         2026-12-01T10:00:04Z stdout P {\"b\":",
        &[
            (1, "2026-12-01T10:00:00Z stderr F klog"),
            (3, "2026-12-01T10:00:02Z stderr F more"),
            (2, "2026-12-01T10:00:01Z stdout F {\"a\":1}"),
            (5, "2026-12-01T10:00:04Z stdout P {\"b\":"),
        ],
    );
}

#[test]
fn what_is_broken_in_a_document_is_handed_on_and_the_rest_is_read_on() {
    gives(
        "[\n {\"a\": \"torn\n {\"b\": 2},\n nonsense,\n {\"c\": 3}\n]",
        &[
            (2, "{\"a\": \"torn"),
            (3, "{\"b\": 2}"),
            (4, "nonsense"),
            (5, "{\"c\": 3}"),
        ],
    );
    gives(
        "[\n {\"a\": 1},\n {\"b\": [",
        &[(2, "{\"a\": 1}"), (3, "{\"b\": [")],
    );
}

#[test]
fn a_record_that_is_too_long_is_cut_and_its_length_is_told() {
    for (open, close) in [("", "\n"), ("[\n", "\n]")] {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST));
        let file = format!("{open}{{\"z\":0}}\n,{long}{close}\n");
        let file = if open.is_empty() {
            file.replace("\n,", "\n")
        } else {
            file
        };
        let file = format!("{file}{{\"b\":2}}");
        let mut splitter = Splitter::new();
        let mut pieces = Vec::new();
        for part in file.as_bytes().chunks(1 << 20) {
            splitter.push(part);
            while let Some(piece) = splitter.next_piece() {
                pieces.push(piece);
            }
            assert!(splitter.input.buffer.len() <= LONGEST + (2 << 20));
        }
        splitter.finish();
        while let Some(piece) = splitter.next_piece() {
            pieces.push(piece);
        }
        assert_eq!(pieces.len(), 3, "{open:?}");
        assert_eq!(pieces[1].bytes.len(), KEPT);
        assert_eq!(pieces[1].too_long, Some(long.len() as u64));
        assert_eq!(pieces[2].bytes, b"{\"b\":2}");
    }
}

proptest! {
    #[test]
    fn pieces_do_not_depend_on_how_the_file_is_pushed(
        bytes in proptest::collection::vec(
            prop_oneof![
                4 => proptest::sample::select(b"{}[]\",:\n\\ a1".to_vec()),
                1 => any::<u8>(),
            ],
            0..200,
        ),
        step in 1..50_usize,
    ) {
        prop_assert_eq!(split(&bytes, step), split(&bytes, 1_000));
    }

    #[test]
    fn nothing_but_separators_is_lost_from_lines(lines in proptest::collection::vec("[a-z{}\"\\[\\]:,]{1,20}", 1..10)) {
        let file = format!("x\n{}", lines.join("\n"));
        let found = split(file.as_bytes(), 3);
        for (index, line) in lines.iter().enumerate() {
            let of_line: String = found.iter().filter(|(l, _)| *l == index as u64 + 2).map(|(_, t)| t.as_str()).collect();
            if lines::values(line.as_bytes()).is_none() {
                prop_assert_eq!(&of_line, line);
            }
        }
    }
}
