//! A cursor over JSON bytes that never recurses and copies nothing.
//!
//! It checks structure, not grammar: brackets and strings must match, what stands
//! between them is not judged. That is enough to answer a review (the API server wrote
//! the body) and it can't be made to overflow a stack, however deep a body is nested.

use std::borrow::Cow;

/// The bytes are not JSON in a way that stops the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// A place in JSON text, always before a token.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The bytes of one value, as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    /// Offset of the next byte to read.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// The bytes from `start` up to here.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// The next byte that is not white space, without taking it.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Steps into an object. False, and nothing taken, if something else comes.
    pub(crate) fn enter_object(&mut self) -> bool {
        self.take(b'{')
    }

    /// Steps into an array. False, and nothing taken, if something else comes.
    pub(crate) fn enter_array(&mut self) -> bool {
        self.take(b'[')
    }

    /// The next key of the object entered; the cursor then stands before its value.
    /// `None`: the object is over. Keys come without quotes and as they stand.
    pub(crate) fn key(&mut self) -> Result<Option<&'a [u8]>, Broken> {
        if self.take(b'}') {
            return Ok(None);
        }
        self.take(b',');
        if self.peek() != Some(b'"') {
            return Err(Broken);
        }
        let start = self.at + 1;
        self.at = end_of_string(self.bytes, start).ok_or(Broken)?;
        let key = &self.bytes[start..self.at - 1];
        if self.take(b':') {
            Ok(Some(key))
        } else {
            Err(Broken)
        }
    }

    /// True if another element of the array entered comes; false closes it.
    pub(crate) fn element(&mut self) -> Result<bool, Broken> {
        if self.take(b']') {
            return Ok(false);
        }
        self.take(b',');
        self.peek().map(|_| true).ok_or(Broken)
    }

    /// Takes one whole value of any kind.
    pub(crate) fn value(&mut self) -> Result<Token<'a>, Broken> {
        let first = self.peek().ok_or(Broken)?;
        let start = self.at;
        self.at = match first {
            b'"' => end_of_string(self.bytes, start + 1).ok_or(Broken)?,
            b'{' | b'[' => end_of_nest(self.bytes, start).ok_or(Broken)?,
            b'}' | b']' | b',' | b':' => return Err(Broken),
            _ => end_of_literal(self.bytes, start),
        };
        Ok(Token(&self.bytes[start..self.at]))
    }
}

impl<'a> Token<'a> {
    /// The text of a string; `None` for any other value.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if !inner.contains(&b'\\') {
            return Some(String::from_utf8_lossy(inner));
        }
        // Escapes are rare in what we read, so a second pass costs nothing.
        let whole = String::from_utf8_lossy(self.0);
        serde_json::from_str(&whole).ok().map(Cow::Owned)
    }

    /// True for `null`.
    pub(crate) fn is_null(self) -> bool {
        self.0 == b"null"
    }

    /// True for `true`.
    pub(crate) fn is_true(self) -> bool {
        self.0 == b"true"
    }
}

/// Offset after the closing quote of the string whose first byte is at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Offset after the bracket that closes the one at `at`.
fn end_of_nest(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        match byte {
            b'"' => at = end_of_string(bytes, at)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
}

/// Offset after the number or word at `at`.
fn end_of_literal(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_whole_whatever_is_in_it() {
        for text in [
            r#""a\"b\\""#,
            r#"{"a":[1,{"b":"}]"}],"c":null}"#,
            "-1.5e3",
            "true",
            "[]",
        ] {
            let padded = format!("  {text} ,");
            let mut cursor = Cursor::new(padded.as_bytes());
            assert_eq!(cursor.value(), Ok(Token(text.as_bytes())));
        }
    }

    #[test]
    fn torn_text_is_broken_and_not_a_panic() {
        let text = br#"{"a":{"b":["c\"",1]},"d":tru"#;
        for end in 0..text.len() {
            assert_eq!(Cursor::new(&text[..end]).value(), Err(Broken), "{end}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = [vec![b'['; 1_000_000], vec![b']'; 1_000_000]].concat();
        assert_eq!(Cursor::new(&deep).value().map(|t| t.0.len()), Ok(2_000_000));
    }

    #[test]
    fn text_is_unescaped_only_where_needed() {
        assert!(matches!(
            Token(br#""plain""#).text(),
            Some(Cow::Borrowed("plain"))
        ));
        assert_eq!(Token(br#""\u003ca\u003e""#).text().as_deref(), Some("<a>"));
        assert_eq!(Token(b"12").text(), None);
    }
}
