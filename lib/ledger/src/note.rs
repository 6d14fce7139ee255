//! Signed notes (C2SP signed-note, Ed25519): the checkpoint that others read, and the
//! store head that binds what lies beside the tree.

use crate::entry::{Hash, sha256};
use data_encoding::{BASE64, HEXLOWER};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// Signature type of Ed25519 in note keys.
const ED25519_TYPE: u8 = 1;

/// First line of a store head. An origin has no spaces, so neither note can pass for
/// the other although one key signs both.
const STORE_HEAD: &str = "docket store head v1";

/// Why a note or a key was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The verifier key is not `<origin>+<hash>+<base64>` of an Ed25519 key.
    #[error("the verifier key is not <origin>+<8 hex digits>+<base64 of an Ed25519 key>")]
    Key,
    /// An origin must be one word.
    #[error("the origin is empty or holds a space, a plus sign or a control character")]
    Origin,
    /// The note does not have the form of a signed note.
    #[error("the note is not a signed note: text, an empty line, one signature line of the key")]
    Form,
    /// Another key's.
    #[error("the note carries no signature of the verifier key; was it written by another origin?")]
    OtherKey,
    /// The signature does not fit the text.
    #[error("the note's signature does not fit its text")]
    Signature,
    /// The text is not that of a checkpoint (or store head).
    #[error("the note is signed, but its text is not a checkpoint of this origin")]
    Text,
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            BASE64.encode(&self.root)
        )
    }

    fn parse(text: &str) -> Option<Checkpoint> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let origin = lines.next()?.to_owned();
        let size = lines.next()?.parse().ok()?;
        let root = BASE64
            .decode(lines.next()?.as_bytes())
            .ok()?
            .try_into()
            .ok()?;
        let checkpoint = Checkpoint { origin, size, root };
        // Rebuilding it refuses a sign, leading zeros and extension lines, which we never write.
        (lines.next().is_none() && checkpoint.text() == text).then_some(checkpoint)
    }
}

/// What a store head says: the tree, and hashes of what lies beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreHead {
    pub checkpoint: Checkpoint,
    pub meta: Hash,
    pub state: Hash,
}

impl StoreHead {
    fn text(&self) -> String {
        let (meta, state) = (BASE64.encode(&self.meta), BASE64.encode(&self.state));
        format!("{STORE_HEAD}\n{}{meta}\n{state}\n", self.checkpoint.text())
    }
}

/// Signs as one origin.
pub(crate) struct Signer {
    origin: String,
    key: Ed25519KeyPair,
    id: [u8; 4],
}

impl Signer {
    pub fn new(origin: &str, seed: &[u8; 32]) -> Result<Signer, NoteError> {
        if !is_name(origin) {
            return Err(NoteError::Origin);
        }
        let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Key)?;
        let id = key_id(origin, key.public_key().as_ref());
        Ok(Signer {
            origin: origin.to_owned(),
            key,
            id,
        })
    }

    pub fn verifier_key(&self) -> String {
        let key = [&[ED25519_TYPE], self.key.public_key().as_ref()].concat();
        format!(
            "{}+{}+{}",
            self.origin,
            HEXLOWER.encode(&self.id),
            BASE64.encode(&key)
        )
    }

    pub fn checkpoint(&self, size: u64, root: Hash) -> String {
        self.sign(
            &Checkpoint {
                origin: self.origin.clone(),
                size,
                root,
            }
            .text(),
        )
    }

    pub fn store_head(&self, size: u64, root: Hash, meta: Hash, state: Hash) -> String {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size,
            root,
        };
        self.sign(
            &StoreHead {
                checkpoint,
                meta,
                state,
            }
            .text(),
        )
    }

    fn sign(&self, text: &str) -> String {
        let signature = [&self.id, self.key.sign(text.as_bytes()).as_ref()].concat();
        format!(
            "{text}\n\u{2014} {} {}\n",
            self.origin,
            BASE64.encode(&signature)
        )
    }
}

/// A public key as a note verifier key.
pub(crate) struct Verifier {
    origin: String,
    id: [u8; 4],
    key: Vec<u8>,
}

impl Verifier {
    pub fn parse(text: &str) -> Result<Verifier, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(origin), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let key = BASE64.decode(key.as_bytes()).map_err(|_| NoteError::Key)?;
        let Some((&ED25519_TYPE, key)) = key.split_first() else {
            return Err(NoteError::Key);
        };
        let expected = key_id(origin, key);
        if !is_name(origin) || key.len() != 32 || HEXLOWER.encode(&expected) != id {
            return Err(NoteError::Key);
        }
        Ok(Verifier {
            origin: origin.to_owned(),
            id: expected,
            key: key.to_vec(),
        })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The text of a note, if it is signed by this key. Signature lines of other keys
    /// (cosigners) are passed over.
    fn open<'n>(&self, note: &'n str) -> Result<&'n str, NoteError> {
        let end = note.rfind("\n\n").ok_or(NoteError::Form)? + 1;
        let (text, signatures) = (&note[..end], &note[end + 1..]);
        if signatures.is_empty() || !signatures.ends_with('\n') {
            return Err(NoteError::Form);
        }
        let mut ours = None;
        for line in signatures.lines() {
            let line = line.strip_prefix("\u{2014} ").ok_or(NoteError::Form)?;
            let (name, signature) = line.split_once(' ').ok_or(NoteError::Form)?;
            let signature = BASE64
                .decode(signature.as_bytes())
                .map_err(|_| NoteError::Form)?;
            let (id, signature) = signature.split_first_chunk::<4>().ok_or(NoteError::Form)?;
            if name == self.origin && *id == self.id && ours.replace(signature.to_vec()).is_some() {
                return Err(NoteError::Form);
            }
        }
        let signature = ours.ok_or(NoteError::OtherKey)?;
        UnparsedPublicKey::new(&ED25519, &self.key)
            .verify(text.as_bytes(), &signature)
            .map_err(|_| NoteError::Signature)?;
        Ok(text)
    }

    pub fn checkpoint(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let checkpoint = Checkpoint::parse(self.open(note)?).ok_or(NoteError::Text)?;
        if checkpoint.origin == self.origin {
            Ok(checkpoint)
        } else {
            Err(NoteError::Text)
        }
    }

    /// True if the note is exactly what the store writes for this head.
    pub fn is_store_head(&self, note: &str, head: &StoreHead) -> Result<bool, NoteError> {
        Ok(self.open(note)? == head.text())
    }
}

/// Check a checkpoint against a verifier key.
///
/// # Errors
/// If the key or the note is malformed, of another key, or wrongly signed.
pub fn check_note(note: &str, verifier_key: &str) -> Result<Checkpoint, NoteError> {
    Verifier::parse(verifier_key)?.checkpoint(note)
}

/// True if the note has one signature line and no other: all that the store writes.
pub(crate) fn has_one_signature(note: &str) -> bool {
    note.rfind("\n\n")
        .is_some_and(|end| note[end + 2..].lines().count() == 1)
}

fn is_name(origin: &str) -> bool {
    !origin.is_empty()
        && !origin.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(origin: &str, key: &[u8]) -> [u8; 4] {
    let hash = sha256(&[origin.as_bytes(), b"\n", &[ED25519_TYPE], key]);
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new("docket.a5c.ai/test", &[7; 32]).unwrap()
    }

    #[test]
    fn a_checkpoint_is_read_back_with_its_key_only() {
        let note = signer().checkpoint(300, [9; 32]);
        let checkpoint = check_note(&note, &signer().verifier_key()).unwrap();
        assert_eq!((checkpoint.size, checkpoint.root), (300, [9; 32]));
        let other = Signer::new("docket.a5c.ai/test", &[8; 32])
            .unwrap()
            .verifier_key();
        assert_eq!(check_note(&note, &other), Err(NoteError::OtherKey));
        let changed = note.replacen("300", "301", 1);
        assert_eq!(
            check_note(&changed, &signer().verifier_key()),
            Err(NoteError::Signature)
        );
    }

    #[test]
    fn a_store_head_never_passes_for_a_checkpoint() {
        let note = signer().store_head(300, [9; 32], [1; 32], [2; 32]);
        assert_eq!(
            check_note(&note, &signer().verifier_key()),
            Err(NoteError::Text)
        );
    }

    #[test]
    fn any_changed_byte_of_a_note_is_refused() {
        let (note, key) = (signer().checkpoint(300, [9; 32]), signer().verifier_key());
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(check_note(&text, &key).is_err(), "byte {at}: {text:?}");
            }
        }
    }

    #[test]
    fn an_origin_with_a_space_or_a_plus_is_refused() {
        for origin in ["", "a b", "a+b", "a\nb"] {
            assert_eq!(
                Signer::new(origin, &[7; 32]).err(),
                Some(NoteError::Origin),
                "{origin:?}"
            );
        }
    }
}
