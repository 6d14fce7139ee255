//! One leaf and its parts.

pub use docket_record::entry::Class;

/// An entry before it has a position. `public` is a JSON object with at least `id`
/// (text) and `time` (RFC 3339); `docs/ledger-format.md` lists what the view reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Unique for ever: a second entry with the same id is not appended.
    pub id: String,
    /// Which class.
    pub class: Class,
    /// Bytes of the public part; stored and hashed as they are.
    pub public: Vec<u8>,
    /// Bytes of the personal part, a JSON object, if there is one.
    pub personal: Option<Vec<u8>>,
    /// Bytes of the exhibit part, if there is one.
    pub exhibit: Option<Vec<u8>>,
}

impl NewEntry {
    /// With a public part only.
    #[must_use]
    pub fn new(class: Class, id: &str, public: Vec<u8>) -> NewEntry {
        NewEntry {
            id: id.to_owned(),
            class,
            public,
            personal: None,
            exhibit: None,
        }
    }

    /// And with this personal part.
    #[must_use]
    pub fn with_personal(self, personal: Vec<u8>) -> NewEntry {
        NewEntry {
            personal: Some(personal),
            ..self
        }
    }
}

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Which part of an entry. The number is the kind byte of its commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Part {
    /// Names no one; what the view is mostly made of.
    Public = 1,
    /// Names persons and things.
    Personal = 2,
    /// A redacted excerpt of the object.
    Exhibit = 3,
}

impl Part {
    /// As people and programs read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Part::Public => "public",
            Part::Personal => "personal",
            Part::Exhibit => "exhibit",
        }
    }
}

/// What stands in a leaf where an entry has no such part.
pub const NO_PART: Hash = [0; 32];

/// Bytes of a leaf of format 1.
pub const LEAF_LENGTH: usize = 106;

/// Format byte of the leaves written here.
pub const LEAF_FORMAT: u8 = 1;

/// One leaf of the tree: small and of fixed size; the parts lie beside the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Which class.
    pub class: Class,
    /// When the ledger took the entry, microseconds since the epoch.
    pub recorded_at: i64,
    /// Commitment to the public part.
    pub public: Hash,
    /// Commitment to the personal part, or [`NO_PART`].
    pub personal: Hash,
    /// Commitment to the exhibit, or [`NO_PART`].
    pub exhibit: Hash,
}

impl Leaf {
    /// The bytes that the tree hashes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LEAF_LENGTH] {
        let mut bytes = [0; LEAF_LENGTH];
        bytes[0] = LEAF_FORMAT;
        bytes[1] = self.class as u8;
        bytes[2..10].copy_from_slice(&self.recorded_at.to_be_bytes());
        bytes[10..42].copy_from_slice(&self.public);
        bytes[42..74].copy_from_slice(&self.personal);
        bytes[74..106].copy_from_slice(&self.exhibit);
        bytes
    }

    /// Read a leaf; `None` if the length, the format or the class is not one of ours.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Leaf> {
        let bytes: &[u8; LEAF_LENGTH] = bytes.try_into().ok()?;
        if bytes[0] != LEAF_FORMAT {
            return None;
        }
        let (class, rest) = (Class::from_number(bytes[1])?, &bytes[2..]);
        let (recorded_at, rest) = rest.split_first_chunk::<8>()?;
        let (public, rest) = rest.split_first_chunk::<32>()?;
        let (personal, rest) = rest.split_first_chunk::<32>()?;
        let (exhibit, _) = rest.split_first_chunk::<32>()?;
        let recorded_at = i64::from_be_bytes(*recorded_at);
        Some(Leaf {
            class,
            recorded_at,
            public: *public,
            personal: *personal,
            exhibit: *exhibit,
        })
    }

    /// The commitment to one part.
    #[must_use]
    pub fn commitment(&self, part: Part) -> &Hash {
        match part {
            Part::Public => &self.public,
            Part::Personal => &self.personal,
            Part::Exhibit => &self.exhibit,
        }
    }
}

/// The leaves of an entry bundle (C2SP tlog-tiles: each after its length, 16 bits, high
/// byte first); `None` if it ends within one.
#[must_use]
pub fn bundle_leaves(bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut leaves, mut rest) = (Vec::new(), bundle);
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (leaf, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        leaves.push(leaf);
        rest = after;
    }
    Some(leaves)
}

/// What a leaf says of a part: hides it without the salt, and fits no other bytes.
#[must_use]
pub fn commitment(part: Part, salt: &[u8; 32], bytes: &[u8]) -> Hash {
    sha256(&[b"docket part v1\n", &[part as u8], salt, bytes])
}

/// SHA-256 over the pieces, one after the other.
pub(crate) fn sha256(pieces: &[&[u8]]) -> Hash {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for piece in pieces {
        context.update(piece);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
