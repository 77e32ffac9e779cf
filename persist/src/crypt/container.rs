//! Sealed files, the writing side: a header block, the content in sealed units at its own offsets, and a foot with the seals.
//!
//! ```text
//!   0 magic "RSEALED1"   8 version u16   10 purpose u16   12 crc u32   16 file id, 16 bytes   32 master key id, 8 bytes
//!  40 wrapped data key, 60 bytes         zeros up to 4096
//!  4096  units, encrypted, each as long as its content
//!  foot: units x ( len u32, tag 16 bytes )   zeros up to a multiple of 4096 with the trailer
//!        trailer: content's length u64   number of units u64   length of the foot u64   tag 16 bytes   "RSEALEND"
//! ```
//!
//! Units may be sealed by several writers at once and written in any order. What is at byte `n` of the content is at `4096 + n`
//! of the file, so that whole blocks stay whole blocks.
//!
//! Invariant: a file's data key is its own, and the nonce of a unit is its offset, which has one unit only.
//! Invariant: the foot's tag covers all units' tags: no unit can be moved, left out or taken from another file.

use std::sync::Arc;

use aws_lc_rs::rand;

use super::{CryptError, DataKey, Keyring, TAG_BYTES, WrappedKey};
use crate::disk::BLOCK_BYTES;

/// A sealed file's first bytes.
pub(super) const MAGIC: [u8; 8] = *b"RSEALED1";
/// Its last ones.
pub(super) const END_MAGIC: [u8; 8] = *b"RSEALEND";
pub(super) const VERSION: u16 = 1;
/// Where the content begins.
pub const BODY_AT: u64 = BLOCK_BYTES as u64;
pub(super) const TRAILER_BYTES: usize = 48;
pub(super) const ENTRY_BYTES: usize = 4 + TAG_BYTES;
/// Length of the units of [`seal_bytes`].
const UNIT_BYTES: usize = 256 << 10;

/// What a sealed file is: a file of one purpose is not taken for another. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Purpose {
    /// RDB data: `dump.rdb`, the base of a log, what replicas begin with.
    Snapshot = 1,
    /// A part of a log that was archived.
    Archive = 2,
}

/// A part of the content that was sealed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where it begins in the content.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u32,
    /// Its tag.
    pub tag: [u8; TAG_BYTES],
}

/// Seals one file's content. Cheap to clone, so that each writer has one.
#[derive(Clone, Debug)]
pub struct FileSealer {
    key: Arc<DataKey>,
    id: [u8; 16],
    header: Arc<[u8]>,
}

impl FileSealer {
    /// For a new file; `what` names it in errors.
    pub fn new(keyring: &Keyring, purpose: Purpose, what: &str) -> Result<FileSealer, CryptError> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| CryptError::Cipher("there are no random bytes"))?;
        let (key, wrapped) = keyring.new_data_key(&context(purpose as u16, &id), what)?;
        let header = encode_header(purpose, &id, &wrapped).into();
        Ok(FileSealer { key: Arc::new(key), id, header })
    }

    /// Names the file, at random.
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The file's first block.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Encrypts, in place, what stands at `offset` of the content; the bytes go to `BODY_AT + offset` of the file. No offset is
    /// sealed twice with different bytes.
    pub fn seal(&self, offset: u64, bytes: &mut [u8]) -> Result<Unit, CryptError> {
        let len =
            u32::try_from(bytes.len()).map_err(|_| CryptError::Cipher("a unit is too long"))?;
        let tag = self.key.seal(unit_nonce(offset), &unit_aad(offset, len), bytes)?;
        Ok(Unit { offset, len, tag })
    }

    /// Where the foot goes in the file, and its bytes, given all units. Whole blocks where the content is whole blocks.
    pub fn foot(&self, mut units: Vec<Unit>) -> Result<(u64, Vec<u8>), CryptError> {
        units.sort_unstable_by_key(|unit| unit.offset);
        let mut content_len = 0;
        let mut out = Vec::new();
        for unit in &units {
            if unit.offset != content_len {
                return Err(CryptError::Cipher("units of a sealed file overlap or leave a gap"));
            }
            content_len += u64::from(unit.len);
            out.extend_from_slice(&unit.len.to_le_bytes());
            out.extend_from_slice(&unit.tag);
        }
        out.resize((out.len() + TRAILER_BYTES).next_multiple_of(BLOCK_BYTES) - TRAILER_BYTES, 0);
        let foot_len = out.len() + TRAILER_BYTES;
        out.extend_from_slice(&content_len.to_le_bytes());
        out.extend_from_slice(&(units.len() as u64).to_le_bytes());
        out.extend_from_slice(&(foot_len as u64).to_le_bytes());
        let tag = self.key.seal(FOOT_NONCE, &out, &mut [])?;
        out.extend_from_slice(&tag);
        out.extend_from_slice(&END_MAGIC);
        Ok((BODY_AT + content_len, out))
    }
}

/// A whole sealed file with this content.
pub fn seal_bytes(
    keyring: &Keyring,
    purpose: Purpose,
    what: &str,
    content: &[u8],
) -> Result<Vec<u8>, CryptError> {
    let sealer = FileSealer::new(keyring, purpose, what)?;
    let mut out = sealer.header().to_vec();
    out.extend_from_slice(content);
    let mut units = Vec::new();
    let body = out.get_mut(BLOCK_BYTES..).unwrap_or_default();
    for (at, piece) in body.chunks_mut(UNIT_BYTES).enumerate() {
        units.push(sealer.seal((at * UNIT_BYTES) as u64, piece)?);
    }
    out.extend_from_slice(&sealer.foot(units)?.1);
    Ok(out)
}

/// What a data key of a sealed file is for.
pub(super) fn context(purpose: u16, id: &[u8; 16]) -> Vec<u8> {
    [b"ringstone file 1".as_slice(), &purpose.to_le_bytes(), id].concat()
}

/// No unit has it: offsets of units leave the first four bytes zero.
pub(super) const FOOT_NONCE: [u8; 12] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

pub(super) fn unit_nonce(offset: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.iter_mut().skip(4).zip(offset.to_le_bytes()).for_each(|(to, from)| *to = from);
    nonce
}

pub(super) fn unit_aad(offset: u64, len: u32) -> [u8; 12] {
    let mut aad = [0; 12];
    let all = offset.to_le_bytes().into_iter().chain(len.to_le_bytes());
    aad.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    aad
}

fn encode_header(purpose: Purpose, id: &[u8; 16], wrapped: &WrappedKey) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOCK_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(purpose as u16).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(id);
    out.extend_from_slice(&wrapped.id.0);
    out.extend_from_slice(&wrapped.bytes);
    out.resize(BLOCK_BYTES, 0);
    let crc = crc32fast::hash(&out);
    if let Some(place) = out.get_mut(12..16) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
    out
}
