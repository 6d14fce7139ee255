//! How ids of entries are made and written.

use data_encoding::{Encoding, Specification};
use ring::digest::{Context, SHA256};
use std::sync::LazyLock;

/// RFC 4648 base32, lower case, without padding.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut form = Specification::new();
    form.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    #[expect(clippy::unwrap_used, reason = "a fixed alphabet of 32 letters")]
    form.encoding().unwrap()
});

/// As ids are written: base32 (RFC 4648), lower case, without padding.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    BASE32.encode(bytes)
}

/// The bytes of such a text.
pub(super) fn from_base32(text: &str) -> Option<Vec<u8>> {
    BASE32.decode(text.as_bytes()).ok()
}

/// The id of an entry that chooses its own: SHA-256 over the parts, each ended by a zero
/// byte, as [`base32`].
#[must_use]
pub fn id(parts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    base32(context.finish().as_ref())
}
