//! JSON that is harmless wherever it ends up: texts of denials hold what refused objects
//! said. What a terminal obeys, a page takes for markup or an eye does not see is escaped,
//! so that the bytes are safe and whoever parses them reads the text as it came.

use super::error::Refusal;
use axum::response::{IntoResponse, Response};
use docket_record::harmful::is_harmful;
use http::header;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io;

/// An answer.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match bytes(&self.0) {
            Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
            Err(error) => {
                Refusal::unavailable("the answer can't be written", &error).into_response()
            }
        }
    }
}

/// One line.
pub(super) fn bytes(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Harmless))?;
    Ok(bytes)
}

struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut plain = 0;
        for (at, c) in fragment.char_indices() {
            if !is_harmful(c) && !matches!(c, '<' | '>' | '&') {
                continue;
            }
            out.write_all(&fragment.as_bytes()[plain..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[plain..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn hostile_texts_are_escaped_and_read_back_as_they_came() {
        let text =
            "\u{1b}]0;x\u{7}\u{9b}31m<script>&amp;\u{202e}\u{2028}\u{e0041}\0\"\\\r\n=1+1 ünï";
        let value = json!({ "message": text, text: [text] });
        let written = String::from_utf8(bytes(&value).unwrap()).unwrap();
        assert!(
            !written.chars().any(|c| is_harmful(c) || "<>&".contains(c)),
            "{written:?}"
        );
        assert!(written.contains("ünï"), "{written}");
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
    }
}
