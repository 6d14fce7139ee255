//! What a proof is made of: checkpoint, tiles, leaves, and the parts they commit to.

use super::Reader;
use crate::entry::{Hash, Part};
use crate::error::StoreError;
use crate::head::Head;
use crate::row::to_i64;
use crate::schema;
use crate::tree::{TILE_WIDTH, level_width};
use rusqlite::{OptionalExtension, params};

/// One part as stored, with the salt of its commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaltedPart {
    /// Which part.
    pub part: Part,
    /// Salt.
    pub salt: [u8; 32],
    /// Bytes.
    pub bytes: Vec<u8>,
}

impl Reader {
    /// The newest signed checkpoint.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn checkpoint(&self) -> Result<String, StoreError> {
        Ok(Head::read(&self.connection)?.checkpoint)
    }

    /// Tree size.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn size(&self) -> Result<u64, StoreError> {
        Ok(Head::read(&self.connection)?.size.cast_unsigned())
    }

    /// The verifier key that the store names as its own.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn verifier_key(&self) -> Result<String, StoreError> {
        let missing = || StoreError::Damaged("it names no verifier key".to_owned());
        schema::meta(&self.connection)?
            .remove("verifier_key")
            .ok_or_else(missing)
    }

    /// Bytes of a hash tile (C2SP tlog-tiles): `width` hashes at (level, index), 256 for a
    /// full tile. `None` if the tree has not that many.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn tile(&self, level: u8, index: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot(|_| {
            let head = Head::read(&self.connection)?;
            let there = level_width(head.size.cast_unsigned(), level);
            let Some(width) = within(there, index, width) else {
                return Ok(None);
            };
            let mut bytes = if index < there / TILE_WIDTH as u64 {
                let sql = "SELECT hashes FROM tile WHERE level = ?1 AND idx = ?2";
                let mut statement = self.connection.prepare_cached(sql)?;
                statement.query_row(params![level, to_i64(index)], |row| row.get(0))?
            } else {
                let torn =
                    || StoreError::Damaged("the right edge does not fit the size".to_owned());
                let tree = head.tree().ok_or_else(torn)?;
                tree.partial(level)
                    .unwrap_or_default()
                    .as_flattened()
                    .to_vec()
            };
            bytes.truncate(width * size_of::<Hash>());
            Ok(Some(bytes))
        })
    }

    /// Bytes of an entry bundle: `width` leaves, each with a 16-bit length.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn entries(&self, index: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot(|_| {
            let size = Head::read(&self.connection)?.size.cast_unsigned();
            let Some(width) = within(size, index, width) else {
                return Ok(None);
            };
            let from = to_i64(index * TILE_WIDTH as u64);
            let sql = "SELECT leaf FROM entry WHERE position >= ?1 ORDER BY position LIMIT ?2";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![from, to_i64(width as u64)])?;
            let mut bundle = Vec::new();
            while let Some(row) = rows.next()? {
                let leaf = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
                let long = |_| StoreError::Damaged("a leaf is too long".to_owned());
                bundle.extend(u16::try_from(leaf.len()).map_err(long)?.to_be_bytes());
                bundle.extend(leaf);
            }
            Ok(Some(bundle))
        })
    }

    /// The parts of one entry that are there, with their salts; `None` if there is no such
    /// entry.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn parts(&self, position: u64) -> Result<Option<Vec<SaltedPart>>, StoreError> {
        let Ok(position) = i64::try_from(position) else {
            return Ok(None);
        };
        let sql = "SELECT public_salt, public, personal_salt, personal, exhibit_salt, exhibit \
                   FROM entry WHERE position = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let parts = statement.query_row([position], |row| {
            let mut parts = Vec::new();
            for (part, at) in [(Part::Public, 0), (Part::Personal, 2), (Part::Exhibit, 4)] {
                if let (Some(salt), Some(bytes)) = (row.get(at)?, row.get(at + 1)?) {
                    parts.push(SaltedPart { part, salt, bytes });
                }
            }
            Ok(parts)
        });
        Ok(parts.optional()?)
    }
}

/// `width` if a tile of that width at `index` lies within `there` hashes.
fn within(there: u64, index: u64, width: u16) -> Option<usize> {
    let wide = (1..=TILE_WIDTH).contains(&usize::from(width));
    let end = index
        .checked_mul(TILE_WIDTH as u64)?
        .checked_add(u64::from(width))?;
    (wide && end <= there).then_some(usize::from(width))
}
