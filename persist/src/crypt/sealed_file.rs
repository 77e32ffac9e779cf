//! Sealed files, the reading side: any part of the content, authenticated unit by unit.
//!
//! Invariant: no byte is handed out that was not authenticated; no length that the file claims is believed before the foot's
//! tag is.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::container::{
    BODY_AT, END_MAGIC, ENTRY_BYTES, FOOT_NONCE, MAGIC, Purpose, TRAILER_BYTES, Unit, VERSION,
    context, unit_aad, unit_nonce,
};
use super::{CryptError, DataKey, KeyId, Keyring, TAG_BYTES, WRAPPED_BYTES, WrappedKey};
use crate::disk::BLOCK_BYTES;
use crate::disk::map::MappedFile;

/// A sealed file that is open for reading, from as many threads as there are.
#[derive(Debug)]
pub struct SealedFile {
    map: MappedFile,
    seal: Seal,
}

/// What is known of a sealed file beside its content.
#[derive(Debug)]
struct Seal {
    what: String,
    id: [u8; 16],
    master: KeyId,
    key: DataKey,
    units: Vec<Unit>,
    content_len: u64,
}

impl SealedFile {
    /// Opens a sealed file and verifies its foot.
    pub fn open(
        path: &Path,
        map: MappedFile,
        keyring: &Keyring,
        purpose: Purpose,
    ) -> Result<SealedFile, CryptError> {
        let seal = Seal::read(map.bytes(), keyring, purpose, &path.display().to_string())?;
        Ok(SealedFile { map, seal })
    }

    /// Length of the content in bytes.
    pub fn len(&self) -> u64 {
        self.seal.content_len
    }

    /// True when there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name that the file was given at random.
    pub fn id(&self) -> [u8; 16] {
        self.seal.id
    }

    /// The master key that it is sealed under.
    pub fn master(&self) -> KeyId {
        self.seal.master
    }

    /// Content from `offset` on, `len` bytes or as far as there are any.
    pub fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, CryptError> {
        self.seal.read_part(self.map.bytes(), offset, len)
    }

    /// The unit in which `offset` lies, with the offset at which it begins; `None` behind the end.
    pub fn unit_at(&self, offset: u64) -> Result<Option<(u64, Vec<u8>)>, CryptError> {
        let at = self.seal.index_of(offset);
        let Some(unit) = self.seal.units.get(at).filter(|_| offset < self.len()) else {
            return Ok(None);
        };
        Ok(Some((unit.offset, self.read(unit.offset, u64::from(unit.len))?)))
    }
}

/// Whether these are the first bytes of a sealed file.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The file's random name and master key, from its first block alone; `None` when it is not sealed.
pub fn sealed_with(path: &Path) -> io::Result<Option<([u8; 16], KeyId)>> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    File::open(path)?.take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
    Ok(sealed_block_with(&block))
}

/// The same, given the first block.
pub fn sealed_block_with(block: &[u8]) -> Option<([u8; 16], KeyId)> {
    Header::decode(block).ok().map(|header| (header.id, header.wrapped.id))
}

/// The content of a whole sealed file.
pub fn open_bytes(
    keyring: &Keyring,
    purpose: Purpose,
    what: &str,
    bytes: &[u8],
) -> Result<Vec<u8>, CryptError> {
    let seal = Seal::read(bytes, keyring, purpose, what)?;
    seal.read_part(bytes, 0, seal.content_len)
}

struct Header {
    purpose: u16,
    id: [u8; 16],
    wrapped: WrappedKey,
}

impl Header {
    fn decode(bytes: &[u8]) -> Result<Header, &'static str> {
        const CUT: &str = "its header is cut off";
        let block = bytes.first_chunk::<BLOCK_BYTES>().ok_or(CUT)?;
        if !is_sealed(block) {
            return Err("it is no sealed file");
        }
        let field = |at: usize, len: usize| block.get(at..at + len).unwrap_or_default();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(field(0, 12));
        hasher.update(&[0; 4]);
        hasher.update(field(16, BLOCK_BYTES - 16));
        if field(12, 4) != hasher.finalize().to_le_bytes() {
            return Err("its header is damaged");
        }
        if field(8, 2) != VERSION.to_le_bytes() {
            return Err("its version is not known to this release");
        }
        let purpose = field(10, 2).try_into().map_err(|_| CUT)?;
        let id = field(16, 16).try_into().map_err(|_| CUT)?;
        let master = field(32, 8).try_into().map_err(|_| CUT)?;
        let bytes = field(40, WRAPPED_BYTES).try_into().map_err(|_| CUT)?;
        let wrapped = WrappedKey { id: KeyId(master), bytes };
        Ok(Header { purpose: u16::from_le_bytes(purpose), id, wrapped })
    }
}

impl Seal {
    fn read(
        bytes: &[u8],
        keyring: &Keyring,
        purpose: Purpose,
        what: &str,
    ) -> Result<Seal, CryptError> {
        let layout = |why: &'static str| CryptError::Layout { what: what.to_owned(), why };
        let header = Header::decode(bytes).map_err(layout)?;
        if header.purpose != purpose as u16 {
            return Err(layout("it was sealed for something else"));
        }
        let key =
            keyring.unwrap_key(&header.wrapped, &context(header.purpose, &header.id), what)?;
        let foot = Foot::find(bytes).ok_or_else(|| layout("its end is missing"))?;
        let offset = BODY_AT + foot.content_len;
        if !key.open(FOOT_NONCE, foot.covered, &[], foot.tag, &mut []) {
            return Err(CryptError::Changed { what: what.to_owned(), offset });
        }
        let units = foot.units().ok_or_else(|| layout("its foot does not add up"))?;
        Ok(Seal {
            what: what.to_owned(),
            id: header.id,
            master: header.wrapped.id,
            key,
            units,
            content_len: foot.content_len,
        })
    }

    /// Index of the unit in which an offset lies.
    fn index_of(&self, offset: u64) -> usize {
        self.units.partition_point(|unit| unit.offset + u64::from(unit.len) <= offset)
    }

    fn read_part(&self, file: &[u8], offset: u64, len: u64) -> Result<Vec<u8>, CryptError> {
        let end = offset.saturating_add(len).min(self.content_len);
        if offset >= end {
            return Ok(Vec::new());
        }
        let wanted = self.units.iter().skip(self.index_of(offset));
        let wanted: Vec<&Unit> = wanted.take_while(|unit| unit.offset < end).collect();
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else {
            return Ok(Vec::new());
        };
        let start = first.offset;
        let mut out = vec![0; index(last.offset + u64::from(last.len) - start)];
        for unit in &wanted {
            let changed =
                || CryptError::Changed { what: self.what.clone(), offset: BODY_AT + unit.offset };
            let from = index(BODY_AT + unit.offset);
            let sealed = file.get(from..from + unit.len as usize).ok_or_else(changed)?;
            let to = index(unit.offset - start);
            let place = out.get_mut(to..to + unit.len as usize).ok_or_else(changed)?;
            let (nonce, aad) = (unit_nonce(unit.offset), unit_aad(unit.offset, unit.len));
            if !self.key.open(nonce, &aad, sealed, &unit.tag, place) {
                return Err(changed());
            }
        }
        out.truncate(index(end - start));
        out.drain(..index(offset - start));
        Ok(out)
    }
}

/// A number that lies within a file that is in memory.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

struct Foot<'a> {
    content_len: u64,
    count: u64,
    /// What the tag vouches for.
    covered: &'a [u8],
    tag: &'a [u8],
}

impl<'a> Foot<'a> {
    /// The foot that the file ends with, if its lengths fit the file.
    fn find(bytes: &'a [u8]) -> Option<Foot<'a>> {
        let (before, trailer) = bytes.split_last_chunk::<TRAILER_BYTES>()?;
        let number = |at: usize| trailer.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let (content_len, count, foot_len) = (number(0)?, number(8)?, number(16)?);
        let tag = trailer.get(24..24 + TAG_BYTES)?;
        if trailer.get(24 + TAG_BYTES..)? != END_MAGIC {
            return None;
        }
        let start = usize::try_from(BODY_AT.checked_add(content_len)?).ok()?;
        let fits = start.checked_add(usize::try_from(foot_len).ok()?)? == bytes.len();
        let covered = bytes.get(start..before.len() + 24)?;
        fits.then_some(Foot { content_len, count, covered, tag })
    }

    /// The units, if they cover the content.
    fn units(&self) -> Option<Vec<Unit>> {
        let len = usize::try_from(self.count).ok()?.checked_mul(ENTRY_BYTES)?;
        let mut offset = 0u64;
        let mut units = Vec::new();
        for entry in self.covered.get(..len)?.chunks_exact(ENTRY_BYTES) {
            let (len, tag) = entry.split_first_chunk::<4>()?;
            let len = u32::from_le_bytes(*len);
            units.push(Unit { offset, len, tag: tag.try_into().ok()? });
            offset = offset.checked_add(u64::from(len))?;
        }
        (offset == self.content_len).then_some(units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypt::seal_bytes;

    fn keyring(number: u8) -> Keyring {
        let text = format!("{number:02x}{}", "5a".repeat(31));
        Keyring::parse(text.as_bytes(), "encryption-key-file k", true).unwrap()
    }

    fn content() -> Vec<u8> {
        b"what must not be seen ".iter().cycle().take(600_000).copied().collect()
    }

    #[test]
    fn any_part_of_the_content_comes_back_and_nothing_of_it_is_in_the_file() {
        let ring = keyring(1);
        let sealed = seal_bytes(&ring, Purpose::Archive, "a", &content()).unwrap();
        assert!(memchr::memmem::find(&sealed, b"seen").is_none());
        assert_eq!(open_bytes(&ring, Purpose::Archive, "a", &sealed).unwrap(), content());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, &sealed).unwrap();
        let map = MappedFile::open(&path).unwrap();
        let file = SealedFile::open(&path, map, &ring, Purpose::Archive).unwrap();
        for (offset, len) in [(0, 1), (262_143, 2), (1, 599_999), (599_999, 9), (600_000, 1)] {
            let expected = content().into_iter().skip(offset).take(len).collect::<Vec<_>>();
            assert_eq!(file.read(offset as u64, len as u64).unwrap(), expected, "{offset} {len}");
        }
        let (at, unit) = file.unit_at(300_000).unwrap().unwrap();
        assert_eq!((at, unit.len()), (262_144, 262_144));
        assert!(file.unit_at(600_000).unwrap().is_none());
        assert_eq!(sealed_with(&path).unwrap(), Some((file.id(), ring.active().unwrap())));
    }

    #[test]
    fn no_content_is_content_too() {
        let sealed = seal_bytes(&keyring(1), Purpose::Archive, "a", b"").unwrap();
        assert_eq!(open_bytes(&keyring(1), Purpose::Archive, "a", &sealed).unwrap(), b"");
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_an_error() {
        let ring = keyring(1);
        let sealed = seal_bytes(&ring, Purpose::Archive, "a", &content()[..5000]).unwrap();
        let open = |bytes: &[u8]| open_bytes(&ring, Purpose::Archive, "a", bytes);
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 0x20;
            assert!(open(&bad).is_err(), "byte {at}");
        }
        for len in (0..sealed.len()).step_by(7) {
            assert!(open(&sealed[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_file_is_for_one_purpose_and_one_key() {
        let sealed = seal_bytes(&keyring(1), Purpose::Archive, "a", b"x").unwrap();
        let error = open_bytes(&keyring(1), Purpose::Snapshot, "a", &sealed).unwrap_err();
        assert!(matches!(error, CryptError::Layout { .. }));
        let error = open_bytes(&keyring(2), Purpose::Archive, "a", &sealed).unwrap_err();
        assert!(matches!(error, CryptError::UnknownKey { .. }));
    }

    #[test]
    fn units_of_two_files_cannot_be_exchanged() {
        let ring = keyring(1);
        let [one, mut two] = [b"first", b"other"]
            .map(|content| seal_bytes(&ring, Purpose::Archive, "a", content).unwrap());
        two[4096..4101].copy_from_slice(&one[4096..4101]);
        let error = open_bytes(&ring, Purpose::Archive, "a", &two).unwrap_err();
        assert!(matches!(error, CryptError::Changed { offset: 4096, .. }));
    }
}
