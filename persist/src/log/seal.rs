//! Encryption of the log: frames are sealed one by one, and MANIFEST says with which keys.
//!
//! ```text
//!   a frame's header stays readable, and is authenticated with the payload:
//!   payload = encrypted records, then a tag of 16 bytes      nonce = shard u32, gsn u64
//!   authenticated too: uuid, header bytes 0..8 and 16..56    (both checksums depend on what the payload became)
//! ```
//!
//! So recovery needs no key to tell a torn tail from damage, and to find G: checksums are over what is on the disk. Each run
//! of the log, and each rotation of the master key, has a data key of its own, drawn at random and kept in MANIFEST, wrapped.
//! A mark has no records and is not sealed.
//!
//! Invariant: a data key is in MANIFEST, durably, before the first frame that is sealed with it.
//! Invariant: GSNs of a writer rise, and no two writers of a run share a shard: no nonce comes up twice under a data key.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::frame::FrameHeader;
use super::manifest::Manifest;
use super::report::{Location, RecoveryError};
use super::scan::SegmentScan;
use super::{LogId, MANIFEST_NAME};
use crate::crypt::{CryptError, DataKey, KeyId, Keyring, TAG_BYTES, WrappedKey, sealed_block_with};
use crate::disk::{BLOCK_BYTES, Disk};
use crate::hex::{from_hex, to_hex};

/// What stays in clear and is authenticated: uuid, and the header without its checksums.
const AAD_BYTES: usize = 16 + 8 + 40;

/// Seals the frames of one shard's writer.
#[derive(Clone, Debug)]
pub struct FrameCipher {
    log: LogId,
    number: u16,
    key: Arc<DataKey>,
}

impl FrameCipher {
    /// Seals `records` into `out`, and completes the header, whose payload fields are not set yet.
    pub(super) fn seal(
        &self,
        header: &mut FrameHeader,
        records: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CryptError> {
        header.key = self.number;
        header.payload_len = (records.len() + TAG_BYTES) as u64;
        out.clear();
        out.reserve(records.len() + TAG_BYTES);
        out.extend_from_slice(records);
        let tag = self.key.seal(nonce(header), &aad(&self.log, header), out)?;
        out.extend_from_slice(&tag);
        header.payload_crc = crc32fast::hash(out);
        Ok(())
    }
}

/// Opens sealed frames of one log.
#[derive(Debug, Default)]
pub struct FrameOpener {
    log: Option<LogId>,
    keys: BTreeMap<(u32, u16), DataKey>,
}

impl FrameOpener {
    /// Turns a frame's payload, whose checksum is right, into its records. `what` names the frame's place in errors.
    pub fn open(
        &self,
        header: &FrameHeader,
        payload: &mut Vec<u8>,
        what: &dyn std::fmt::Display,
    ) -> Result<(), CryptError> {
        if header.key == 0 {
            return Ok(());
        }
        let changed = || CryptError::Frame(what.to_string());
        let (Some(log), Some(key)) = (&self.log, self.keys.get(&(header.epoch, header.key))) else {
            let (epoch, number) = (header.epoch, header.key);
            return Err(CryptError::NoDataKey { what: what.to_string(), epoch, number });
        };
        let (sealed, tag) = payload.split_last_chunk::<TAG_BYTES>().ok_or_else(changed)?;
        let mut records = vec![0; sealed.len()];
        if !key.open(nonce(header), &aad(log, header), sealed, tag, &mut records) {
            return Err(changed());
        }
        *payload = records;
        Ok(())
    }

    fn knows(&self, epoch: u32, number: u16) -> bool {
        number == 0 || self.keys.contains_key(&(epoch, number))
    }
}

fn nonce(header: &FrameHeader) -> [u8; 12] {
    let mut nonce = [0; 12];
    let all = header.shard.to_le_bytes().into_iter().chain(header.gsn.to_le_bytes());
    nonce.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    nonce
}

fn aad(log: &LogId, header: &FrameHeader) -> [u8; AAD_BYTES] {
    let bytes = header.encode();
    let (head, rest) = bytes.split_at(8);
    let covered = log.uuid.iter().chain(head).chain(rest.iter().skip(8));
    let mut aad = [0; AAD_BYTES];
    aad.iter_mut().zip(covered).for_each(|(to, from)| *to = *from);
    aad
}

/// What MANIFEST says of encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seals {
    /// Frames from this GSN on are sealed.
    pub from_gsn: Option<u64>,
    /// By epoch, and within it by the number that frames name.
    pub data_keys: BTreeMap<(u32, u16), WrappedKey>,
    /// The random name of the base, if that is a sealed file: no other file may stand in for it.
    pub base_id: Option<[u8; 16]>,
    pub(super) keyring: Keyring,
    /// As read, until it is verified.
    pub(super) mac: Option<Mac>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mac {
    id: KeyId,
    bytes: [u8; 32],
    pub(super) covered: String,
}

impl Seals {
    /// Whether MANIFEST depends on a key, and has a MAC.
    pub fn is_sealed(&self) -> bool {
        self.from_gsn.is_some() || !self.data_keys.is_empty() || self.base_id.is_some()
    }

    /// The master keys that the log's data keys are wrapped under.
    pub fn master_keys(&self) -> Vec<KeyId> {
        let mut ids: Vec<KeyId> = self.data_keys.values().map(|wrapped| wrapped.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    pub(super) fn retain_epochs(&mut self, needed: impl Fn(u32) -> bool) {
        self.data_keys.retain(|(epoch, _), _| needed(*epoch));
    }

    /// Appends MANIFEST's lines about encryption, the MAC over all before it as the last.
    pub(super) fn write_lines(&self, out: &mut String) {
        if !self.is_sealed() {
            return;
        }
        // Writing to a String cannot fail.
        if let Some(from) = self.from_gsn {
            let _ = writeln!(out, "sealed {from}");
        }
        for ((epoch, number), wrapped) in &self.data_keys {
            let (id, hex) = (wrapped.id, wrapped.to_hex());
            let _ = writeln!(out, "data-key {epoch} {number} {id} {hex}");
        }
        if let Some(id) = &self.base_id {
            let _ = writeln!(out, "base-id {}", to_hex(id));
        }
        if let Some((id, mac)) = self.keyring.mac(out.as_bytes()) {
            let _ = writeln!(out, "mac {id} {}", to_hex(&mac));
        }
    }

    /// Takes a line about encryption; `None` when it is about something else.
    pub(super) fn parse_line(&mut self, words: &[&str]) -> Option<Result<(), String>> {
        let taken = match words {
            _ if self.mac.is_some() => Err("it stands behind the MAC".to_owned()),
            ["sealed", from] => super::manifest::number(from).map(|from| {
                self.from_gsn = Some(from);
            }),
            ["data-key", epoch, number, id, hex] => {
                let number_of = super::manifest::number::<u16>(number);
                match (super::manifest::number(epoch), number_of, WrappedKey::from_hex(id, hex)) {
                    (Ok(epoch), Ok(number @ 1..), Some(wrapped)) => {
                        self.data_keys.insert((epoch, number), wrapped);
                        Ok(())
                    }
                    _ => Err("not a data key".to_owned()),
                }
            }
            ["base-id", hex] => from_hex(hex)
                .map(|id| self.base_id = Some(id))
                .ok_or_else(|| "not a file's id".to_owned()),
            ["mac", id, hex] => match (KeyId::parse(id), from_hex(hex)) {
                (Some(id), Some(bytes)) => {
                    self.mac = Some(Mac { id, bytes, covered: String::new() });
                    Ok(())
                }
                _ => Err("not a MAC".to_owned()),
            },
            _ => return None,
        };
        Some(taken)
    }
}

impl Manifest {
    /// Verifies the MAC, and that each key which the log needs is there; from then on MANIFEST can be stored. Without
    /// encryption there is nothing to verify.
    pub fn unlock(&mut self, keyring: &Keyring) -> Result<FrameOpener, CryptError> {
        if let Some(Mac { id, bytes, covered }) = self.seals.mac.take() {
            keyring.verify(id, covered.as_bytes(), &bytes, MANIFEST_NAME)?;
        } else if self.seals.is_sealed() {
            let what = MANIFEST_NAME.to_owned();
            return Err(CryptError::Layout { what, why: "it names keys and has no MAC" });
        }
        self.seals.keyring = keyring.clone();
        let mut opener = FrameOpener { log: Some(self.log), keys: BTreeMap::new() };
        for ((epoch, number), wrapped) in &self.seals.data_keys {
            let context = self.key_context(*epoch, *number);
            let key = keyring.unwrap_key(wrapped, &context, MANIFEST_NAME)?;
            opener.keys.insert((*epoch, *number), key);
        }
        Ok(opener)
    }

    /// Whether there may be frames in clear behind the base.
    pub fn has_clear_frames(&self) -> bool {
        self.seals.from_gsn.is_none_or(|from| from > self.cut_gsn() + 1)
    }

    /// The first data key of an epoch that begins behind `gsn`; `None` where what is written is not sealed. MANIFEST is to be
    /// stored before anything is sealed with it.
    pub(super) fn seal_epoch(
        &mut self,
        epoch: u32,
        gsn: u64,
    ) -> Result<Option<FrameCipher>, CryptError> {
        if !self.seals.keyring.seals() {
            self.seals.from_gsn = None;
            return Ok(None);
        }
        let from = self.seals.from_gsn.unwrap_or(u64::MAX);
        self.seals.from_gsn = Some(from.min(gsn + 1));
        self.new_cipher(epoch).map(Some)
    }

    /// Another keyring: wraps what the log needs under its active key, and gives the last epoch a data key for what is written
    /// from now on. MANIFEST is to be stored before that is used.
    pub fn change_keyring(&mut self, keyring: &Keyring) -> Result<Option<FrameCipher>, CryptError> {
        let mut changed = self.clone();
        for ((epoch, number), wrapped) in &mut changed.seals.data_keys {
            let context = self.key_context(*epoch, *number);
            *wrapped = keyring.rewrap(wrapped, &context, MANIFEST_NAME)?;
        }
        changed.seals.keyring = keyring.clone();
        let cipher = match self.seals.from_gsn {
            Some(_) if keyring.seals() => Some(changed.new_cipher(self.last_epoch())?),
            _ => None,
        };
        *self = changed;
        Ok(cipher)
    }

    fn new_cipher(&mut self, epoch: u32) -> Result<FrameCipher, CryptError> {
        let last = self.seals.data_keys.range((epoch, 0)..=(epoch, u16::MAX)).next_back();
        let number = last
            .map_or(Some(1), |((_, number), _)| number.checked_add(1))
            .ok_or(CryptError::Cipher("too many data keys in one run: start anew"))?;
        let context = self.key_context(epoch, number);
        let (key, wrapped) = self.seals.keyring.new_data_key(&context, MANIFEST_NAME)?;
        self.seals.data_keys.insert((epoch, number), wrapped);
        Ok(FrameCipher { log: self.log, number, key: Arc::new(key) })
    }

    fn key_context(&self, epoch: u32, number: u16) -> Vec<u8> {
        let head = [b"ringstone log 1".as_slice(), &self.log.uuid].concat();
        [&*head, &epoch.to_le_bytes(), &number.to_le_bytes()].concat()
    }
}

/// That the base is the file that MANIFEST means, and its master key is known.
pub(super) async fn check_base<D: Disk>(
    disk: &D,
    dir: &Path,
    manifest: &Manifest,
    keyring: &Keyring,
) -> Result<(), RecoveryError> {
    let Some(base) = &manifest.base else { return Ok(()) };
    let read = async {
        let file = disk.open(&dir.join(&base.file_name)).await?;
        let mut block = vec![0; BLOCK_BYTES];
        disk.read_full_at(&file, &mut block, 0).await?;
        Ok(block)
    };
    let block = read.await.map_err(|error: io::Error| RecoveryError::Io {
        what: format!("read {}", base.file_name),
        error,
    })?;
    let found = sealed_block_with(&block);
    if manifest.seals.base_id.is_some_and(|id| found.is_none_or(|(found, _)| found != id)) {
        return Err(RecoveryError::OtherBase(base.file_name.clone()));
    }
    if let Some((_, master)) = found {
        keyring.check_known(master, &base.file_name)?;
    }
    Ok(())
}

/// That each frame that counts is sealed where it must be, with a key that MANIFEST names.
pub(super) fn check_frames(
    manifest: &Manifest,
    opener: &FrameOpener,
    scans: &[SegmentScan],
    gsn: u64,
) -> Result<(), RecoveryError> {
    let (cut, from) = (manifest.cut_gsn(), manifest.seals.from_gsn.unwrap_or(u64::MAX));
    for scan in scans {
        let counts = |f: &&super::scan::FrameEntry| {
            f.gsn > cut && f.gsn <= gsn && manifest.admits(f.epoch, f.gsn)
        };
        for frame in scan.frames.iter().filter(counts) {
            let location = Location { segment: scan.id, offset: frame.offset };
            if frame.key == 0 && frame.gsn >= from {
                return Err(RecoveryError::NotSealed { location, from });
            }
            if !opener.knows(frame.epoch, frame.key) {
                let (what, epoch, number) = (location.to_string(), frame.epoch, frame.key);
                return Err(CryptError::NoDataKey { what, epoch, number }.into());
            }
        }
    }
    Ok(())
}
