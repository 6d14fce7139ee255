//! The `continue` token: opaque; holds the place of the last object, the version that the
//! list is of, and what was asked. It grants nothing: the scope is asked again with every
//! page.

use super::status::Failure;
use data_encoding::BASE64URL_NOPAD;
use ring::digest::{Context, SHA256};

const FORM: u8 = 1;
/// Bytes of a token.
const LENGTH: usize = 1 + 5 * 8;

/// Where a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// resourceVersion of the list's first page.
    pub(super) version: u64,
    /// Time and position of the last object.
    pub(super) after: (i64, u64),
    /// Objects given so far.
    pub(super) given: u64,
    /// [`asked`] of the query that it belongs to.
    pub(super) asked: u64,
}

impl Token {
    pub(super) fn print(self) -> String {
        let mut bytes = vec![FORM];
        for number in [
            self.version,
            self.after.0.cast_unsigned(),
            self.after.1,
            self.given,
            self.asked,
        ] {
            bytes.extend(number.to_be_bytes());
        }
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Only of the same query: with another one the rest of the list would be of both.
    pub(super) fn parse(text: &str, asked: u64) -> Result<Token, Failure> {
        let token = Token::read(text).ok_or_else(|| {
            Failure::bad_request(
                "continue: must be what an earlier answer gave as metadata.continue",
            )
        })?;
        if token.asked != asked {
            return Err(Failure::bad_request(
                "continue: was given for another path or other selectors; repeat those, or begin anew",
            ));
        }
        Ok(token)
    }

    fn read(text: &str) -> Option<Token> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (&form, rest) = bytes.split_first()?;
        if form != FORM || bytes.len() != LENGTH {
            return None;
        }
        let mut numbers = rest.chunks_exact(8).filter_map(|eight| {
            let eight: [u8; 8] = eight.try_into().ok()?;
            Some(u64::from_be_bytes(eight))
        });
        let mut next = || numbers.next();
        Some(Token {
            version: next()?,
            after: (next()?.cast_signed(), next()?),
            given: next()?,
            asked: next()?,
        })
    }
}

/// What is asked, as a number: length before each part, so that no two lists of parts have
/// one digest.
pub(super) fn asked(parts: &[&str]) -> u64 {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&context.finish().as_ref()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_printed_and_only_with_its_own_query() {
        let token = Token {
            version: 7_000_000_000_042,
            after: (-5, 41),
            given: 500,
            asked: asked(&["/denials", "policy=a", ""]),
        };
        let text = token.print();
        assert_eq!(Token::parse(&text, token.asked).unwrap(), token);
        let other = asked(&["/denials", "", "policy=a"]);
        let message = Token::parse(&text, other).unwrap_err().status();
        assert!(
            message["message"]
                .as_str()
                .unwrap()
                .contains("another path")
        );
        for wrong in [
            "",
            "AQ",
            "%",
            &text[1..],
            &format!("{text}AAAA"),
            &format!("Ag{}", &text[2..]),
        ] {
            assert!(Token::parse(wrong, token.asked).is_err(), "{wrong}");
        }
    }
}
