//! The page token: opaque, versioned, holds the place of the last item read. It grants
//! nothing: the scope is asked again with every page.

use data_encoding::BASE64URL_NOPAD;

const VERSION: u8 = 1;

/// Continue after this (time in microseconds, position).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) time: i64,
    pub(super) position: u64,
}

impl Cursor {
    /// As it is handed out.
    pub(super) fn print(self) -> String {
        let mut bytes = [0; 17];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.time.to_be_bytes());
        bytes[9..].copy_from_slice(&self.position.to_be_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// `None` for anything that [`Cursor::print`] did not make.
    pub(super) fn parse(text: &str) -> Option<Cursor> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (&version, place) = bytes.split_first()?;
        let (time, position) = place.split_first_chunk::<8>()?;
        let position = position.try_into().ok()?;
        (version == VERSION).then_some(Cursor {
            time: i64::from_be_bytes(*time),
            position: u64::from_be_bytes(position),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn a_cursor_is_read_as_it_was_printed_and_nothing_else_is() {
        for (time, position) in [(0, 0), (-1, 1), (i64::MAX, u64::MAX), (i64::MIN, 7)] {
            let cursor = Cursor { time, position };
            assert_eq!(Cursor::parse(&cursor.print()), Some(cursor));
        }
        let good = Cursor {
            time: 5,
            position: 6,
        }
        .print();
        let other_version = format!("Ag{}", &good[2..]);
        for wrong in [
            "",
            "AQ",
            "not a cursor",
            &good[1..],
            &format!("{good}AA"),
            &other_version,
        ] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
