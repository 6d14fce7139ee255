//! How a file is compressed, told by its first bytes.

/// Of a file's beginning, so many bytes are enough.
pub const MAGIC: usize = 6;

/// A way of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    /// Read as it is.
    Gzip,
    /// Not read: its name, and the command that unpacks it to standard output.
    Other {
        /// As its users call it.
        name: &'static str,
        /// Program and option.
        command: &'static str,
    },
}

const MAGICS: [(&[u8], Packed); 9] = [
    (b"\x1f\x8b", Packed::Gzip),
    (b"\x28\xb5\x2f\xfd", other("zstd", "zstd -dc")),
    (b"\xfd7zXZ\0", other("xz", "xz -dc")),
    (b"BZh", other("bzip2", "bzip2 -dc")),
    (b"\x04\x22\x4d\x18", other("lz4", "lz4 -dc")),
    (b"LZIP", other("lzip", "lzip -dc")),
    (b"PK\x03\x04", other("zip", "unzip -p")),
    (b"\x1f\x9d", other("compress", "uncompress -c")),
    (b"7z\xbc\xaf\x27\x1c", other("7-Zip", "7z e -so")),
];

const fn other(name: &'static str, command: &'static str) -> Packed {
    Packed::Other { name, command }
}

impl Packed {
    /// `None`: not compressed, in no way that is known.
    #[must_use]
    pub fn of(start: &[u8]) -> Option<Packed> {
        let found = MAGICS.iter().find(|(magic, _)| start.starts_with(magic));
        found.map(|(_, packed)| *packed)
    }
}
