//! `MANIFEST`: what a log consists of. Text, so that an operator can read it; checksummed, so that nobody edits it unnoticed.
//!
//! ```text
//!   ringstone-log 1
//!   uuid 000102030405060708090a0b0c0d0e0f
//!   shards 4
//!   base base-120.rdb 120            the snapshot and its cut; absent as long as there is none
//!   epoch 2 101 150                  number, first GSN, last GSN; closed
//!   epoch 3 151 open
//!   first-live 0 7                   shard, number of its first segment that matters
//!   pending 4                        an epoch that begins with a base that is still being written
//!   superseded                       a snapshot was saved while this log was off: dump.rdb is newer
//!   sealed 101                       frames from this GSN on are encrypted; see [`super::seal`]
//!   data-key 3 1 5a4a4dd0581c80ef <120 hex digits>    epoch, number, master key, wrapped key
//!   base-id <32 hex digits>          the base is this sealed file
//!   mac 5a4a4dd0581c80ef <64 hex digits>              of all bytes before this line
//!   crc32 89abcdef                   of all bytes before this line
//! ```
//!
//! Invariant: replaced as a whole by write-new, fdatasync, rename, fsync of the directory; never written in place.
//! Invariant: epoch numbers are never used twice. A frame counts only within its epoch's range of GSNs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::LogId;
use super::seal::Seals;
use crate::disk::Disk;
use crate::install::install;

/// The file's name in the log's directory.
pub const MANIFEST_NAME: &str = "MANIFEST";
const TEMPORARY_NAME: &str = "MANIFEST.new";
const FORMAT: &str = "ringstone-log 1";
/// GSNs and segment numbers stay below this, so that counting on never overflows.
const NUMBER_MAX: u64 = 1 << 62;
/// Longer files are refused unread.
const LEN_BYTES_MAX: u64 = 16 << 20;

/// A span of GSNs written by one run of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its number.
    pub number: u32,
    /// The first GSN that it may hold.
    pub first_gsn: u64,
    /// The last one, once it is closed. Frames above it never count again.
    pub last_gsn: Option<u64>,
}

/// A snapshot that the log continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The file's name in the log's directory.
    pub file_name: String,
    /// The GSN of its cut: it holds the effects of all GSNs up to this one.
    pub cut_gsn: u64,
}

/// The content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The log's name.
    pub log: LogId,
    /// Shards of the run that wrote it; another number at the next start is fine.
    pub shards: u32,
    /// The snapshot that the log continues, if there is one.
    pub base: Option<Base>,
    /// Rising in number and GSN; only the last one may be open.
    pub epochs: Vec<Epoch>,
    /// By shard, the number of the first segment that matters; none: all do.
    pub first_live: BTreeMap<u32, u64>,
    /// An epoch that counts from the next [`Manifest::set_base`] on. Until then its frames continue nothing.
    pub pending: Option<u32>,
    /// A snapshot was saved while the log was off, so that the log is older than `dump.rdb`.
    pub is_superseded: bool,
    /// What is encrypted, and with which keys.
    pub seals: Seals,
}

/// Why a MANIFEST cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The disk failed.
    #[error("cannot read MANIFEST: {0}")]
    Io(#[from] io::Error),
    /// A line is not as it should be.
    #[error("MANIFEST line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

impl Manifest {
    /// A new log's: one open epoch that begins with GSN 1.
    pub fn new(log: LogId, shards: u32) -> Self {
        let epochs = vec![Epoch { number: 1, first_gsn: 1, last_gsn: None }];
        let first_live = BTreeMap::new();
        Manifest {
            log,
            shards,
            base: None,
            epochs,
            first_live,
            pending: None,
            is_superseded: false,
            seals: Seals::default(),
        }
    }

    /// The GSN up to which the base holds everything, 0 without a base.
    pub fn cut_gsn(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.cut_gsn)
    }

    /// Whether a frame of that epoch and GSN counts.
    pub fn admits(&self, epoch: u32, gsn: u64) -> bool {
        self.epochs.iter().any(|e| {
            e.number == epoch && e.first_gsn <= gsn && e.last_gsn.is_none_or(|last| gsn <= last)
        })
    }

    /// Closes the open epoch, if there is one, at `last_gsn`. At a clean shutdown it tells the next start what must be there.
    pub fn close_epoch(&mut self, last_gsn: u64) {
        if let Some(epoch) = self.epochs.last_mut() {
            epoch.last_gsn.get_or_insert(last_gsn);
        }
    }

    /// Closes the open epoch at `last_gsn` and opens the next, dropping epochs that nothing depends on any more. Its number,
    /// which is returned, is above `seen`, too: the highest that any frame names.
    pub fn next_epoch(&mut self, last_gsn: u64, seen: u32) -> u32 {
        self.close_epoch(last_gsn);
        let number = self.unused_epoch(seen);
        self.pending = None;
        self.drop_old_epochs();
        self.drop_old_keys();
        self.epochs.push(Epoch { number, first_gsn: last_gsn + 1, last_gsn: None });
        number
    }

    /// Closes the open epoch at `last_gsn` and names the next, whose frames do not count before [`Manifest::set_base`] gives
    /// it a base: what it logs does not follow on what this log holds so far. As for the rest, see [`Manifest::next_epoch`].
    pub fn pend_epoch(&mut self, last_gsn: u64, seen: u32) -> u32 {
        self.close_epoch(last_gsn);
        let number = self.unused_epoch(seen);
        self.pending = Some(number);
        number
    }

    /// The last epoch that frames may name.
    pub fn last_epoch(&self) -> u32 {
        let last = self.epochs.last().map_or(0, |epoch| epoch.number);
        last.max(self.pending.unwrap_or(0))
    }

    fn unused_epoch(&self, seen: u32) -> u32 {
        self.last_epoch().max(seen).saturating_add(1)
    }

    /// Gives up everything above `gsn`, closed epochs included.
    pub fn truncate(&mut self, gsn: u64) {
        for epoch in &mut self.epochs {
            epoch.last_gsn = epoch.last_gsn.map(|last| last.min(gsn));
        }
    }

    /// A new base with its cut, and each shard's [`super::LogWriter::first_live_seq`] for that cut. A pending epoch begins
    /// with it. Where the base is a sealed file, [`Seals::base_id`] is to be set after this.
    pub fn set_base(&mut self, base: Base, first_live: impl IntoIterator<Item = (u32, u64)>) {
        if let Some(number) = self.pending.take() {
            self.epochs.push(Epoch { number, first_gsn: base.cut_gsn, last_gsn: None });
        }
        self.is_superseded = false;
        self.seals.base_id = None;
        self.base = Some(base);
        self.first_live.extend(first_live);
        let last = self.epochs.pop();
        self.drop_old_epochs();
        self.epochs.extend(last);
        self.drop_old_keys();
    }

    fn drop_old_epochs(&mut self) {
        let cut = self.cut_gsn();
        let needed = |e: &Epoch| e.last_gsn.is_none_or(|last| last > cut && last >= e.first_gsn);
        self.epochs.retain(needed);
    }

    fn drop_old_keys(&mut self) {
        let (epochs, pending) = (&self.epochs, self.pending);
        let needed = |number| pending == Some(number) || epochs.iter().any(|e| e.number == number);
        self.seals.retain_epochs(needed);
    }

    /// The text.
    pub fn to_text(&self) -> String {
        let mut out = format!("{FORMAT}\nuuid {}\nshards {}\n", self.log, self.shards);
        let mut line = |args: std::fmt::Arguments<'_>| {
            // Writing to a String cannot fail.
            let _ = out.write_fmt(args);
        };
        if let Some(base) = &self.base {
            line(format_args!("base {} {}\n", base.file_name, base.cut_gsn));
        }
        for epoch in &self.epochs {
            line(format_args!("epoch {} {} ", epoch.number, epoch.first_gsn));
            match epoch.last_gsn {
                Some(last) => line(format_args!("{last}\n")),
                None => line(format_args!("open\n")),
            }
        }
        for (shard, seq) in &self.first_live {
            line(format_args!("first-live {shard} {seq}\n"));
        }
        if let Some(epoch) = self.pending {
            line(format_args!("pending {epoch}\n"));
        }
        if self.is_superseded {
            line(format_args!("superseded\n"));
        }
        self.seals.write_lines(&mut out);
        let crc = crc32fast::hash(out.as_bytes());
        let _ = writeln!(out, "crc32 {crc:08x}");
        out
    }

    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let lines: Vec<&str> = text.lines().collect();
        let fail =
            |line: usize, reason: &str| ManifestError::Line { line, reason: reason.to_owned() };
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
            return Err(fail(1, "the file is empty"));
        };
        if *first != FORMAT {
            return Err(fail(1, &format!("expected `{FORMAT}`")));
        }
        let body = text
            .strip_suffix('\n')
            .and_then(|text| text.strip_suffix(last))
            .ok_or_else(|| fail(lines.len(), "the last line is not ended"))?;
        if *last != format!("crc32 {:08x}", crc32fast::hash(body.as_bytes())) {
            return Err(fail(lines.len(), "the checksum does not fit the lines before it"));
        }
        let mut manifest = Manifest { epochs: Vec::new(), ..Manifest::new(LogId::new([0; 16]), 0) };
        let mut has_uuid = false;
        for (at, line) in body.lines().enumerate().skip(1) {
            let words: Vec<&str> = line.split(' ').collect();
            has_uuid |= words.first() == Some(&"uuid");
            let sealing = manifest.seals.parse_line(&words);
            let parsed = sealing.unwrap_or_else(|| manifest.parse_line(&words));
            parsed.map_err(|reason| fail(at + 1, &reason))?;
        }
        if let Some(mac) = &mut manifest.seals.mac {
            let before = body.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
            mac.covered = body.get(..before).unwrap_or_default().to_owned();
        }
        if !has_uuid || manifest.shards == 0 || manifest.epochs.is_empty() {
            return Err(fail(lines.len(), "`uuid`, `shards` or `epoch` is missing"));
        }
        Ok(manifest)
    }

    fn parse_line(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["uuid", hex] => self.log = LogId::from_hex(hex).ok_or("not a uuid")?,
            ["shards", count] => self.shards = number(count)?,
            ["base", name, cut] => {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
                if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
                    return Err("not a file name".to_owned());
                }
                self.base = Some(Base { file_name: (*name).to_owned(), cut_gsn: number(cut)? });
            }
            ["epoch", epoch, first, last] => {
                let last_gsn = if *last == "open" { None } else { Some(number(last)?) };
                let epoch = Epoch { number: number(epoch)?, first_gsn: number(first)?, last_gsn };
                if epoch.number == u32::MAX {
                    return Err("no epoch can follow this one".to_owned());
                }
                if let Some(before) = self.epochs.last()
                    && (before.number >= epoch.number
                        || before.last_gsn.is_none_or(|last| last >= epoch.first_gsn))
                {
                    return Err("the epoch does not follow the one before".to_owned());
                }
                self.epochs.push(epoch);
            }
            ["first-live", shard, seq] => {
                self.first_live.insert(number(shard)?, number(seq)?);
            }
            ["pending", epoch] => {
                let epoch = number(epoch)?;
                if epoch == u32::MAX || epoch <= self.last_epoch() {
                    return Err("the pending epoch does not follow the last one".to_owned());
                }
                self.pending = Some(epoch);
            }
            ["superseded"] => self.is_superseded = true,
            _ => return Err("not a line that this release knows".to_owned()),
        }
        Ok(())
    }

    /// Reads the file; `None` when there is none.
    pub async fn load<D: Disk>(disk: &D, dir: &Path) -> Result<Option<Self>, ManifestError> {
        let path = dir.join(MANIFEST_NAME);
        if !disk.exists(&path).await? {
            return Ok(None);
        }
        let file = disk.open(&path).await?;
        let len = disk.len(&file).await?;
        if len > LEN_BYTES_MAX {
            return Err(ManifestError::Line {
                line: 1,
                reason: format!("{len} bytes are too many"),
            });
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let filled = disk.read_full_at(&file, &mut bytes, 0).await?;
        bytes.truncate(filled);
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid =
                error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = valid.iter().filter(|b| **b == b'\n').count() + 1;
            ManifestError::Line { line, reason: "not UTF-8".to_owned() }
        })?;
        Manifest::parse(&text).map(Some)
    }

    /// Replaces the file. When this returns `Ok`, the new content is durable; on an error either content may be found.
    pub async fn store<D: Disk>(&self, disk: &D, dir: &Path) -> io::Result<()> {
        if self.seals.is_sealed() && self.seals.keyring.active().is_none() {
            return Err(io::Error::other("MANIFEST has a MAC, and there is no key to make one"));
        }
        let temporary = dir.join(TEMPORARY_NAME);
        let file = disk.create(&temporary).await?;
        disk.write_all_at(&file, self.to_text().as_bytes(), 0).await?;
        drop(file);
        install(disk, &temporary, &dir.join(MANIFEST_NAME), self.log.faults).await
    }
}

/// A number without sign or leading zeros.
pub(super) fn number<N: TryFrom<u64>>(word: &str) -> Result<N, String> {
    let value: u64 = word.parse().map_err(|_| format!("`{word}` is not a number"))?;
    let large = || format!("`{word}` is too large");
    if value > NUMBER_MAX {
        return Err(large());
    }
    N::try_from(value).map_err(|_| large())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let mut manifest = Manifest::new(LogId::new([0xab; 16]), 4);
        assert_eq!(manifest.next_epoch(100, 0), 2);
        assert_eq!(manifest.next_epoch(150, 0), 3);
        let base = Base { file_name: "base-120.rdb".to_owned(), cut_gsn: 120 };
        manifest.set_base(base, [(0, 7), (1, 2)]);
        manifest
    }

    #[test]
    fn reads_back_what_it_wrote_and_drops_epochs_below_the_cut() {
        let manifest = sample();
        assert_eq!(Manifest::parse(&manifest.to_text()).unwrap(), manifest);
        assert_eq!(manifest.epochs.iter().map(|e| e.number).collect::<Vec<_>>(), [2, 3]);
        assert!(manifest.admits(2, 150) && !manifest.admits(2, 151) && manifest.admits(3, 999));
        assert!(!manifest.admits(1, 50));
    }

    #[test]
    fn any_flipped_byte_is_an_error_that_names_a_line() {
        let text = sample().to_text().into_bytes();
        for at in 0..text.len() {
            for flip in [1, 0x20, 0x80, 0xff] {
                let mut bad = text.clone();
                bad[at] ^= flip;
                let Ok(bad) = String::from_utf8(bad) else { continue };
                let error = Manifest::parse(&bad).unwrap_err().to_string();
                assert!(error.starts_with("MANIFEST line "), "{error}");
            }
        }
        for len in 0..text.len() {
            assert!(Manifest::parse(std::str::from_utf8(&text[..len]).unwrap()).is_err());
        }
    }

    #[test]
    fn numbers_that_leave_no_room_to_count_on_are_refused() {
        let seal = |lines: &str| {
            let body = format!("{FORMAT}\nuuid {}\nshards 1\n{lines}\n", LogId::new([1; 16]));
            Manifest::parse(&format!("{body}crc32 {:08x}\n", crc32fast::hash(body.as_bytes())))
        };
        assert!(seal("epoch 1 1 open").is_ok());
        for lines in [
            "base base-1.rdb 18446744073709551615\nepoch 1 1 open",
            "epoch 1 1 18446744073709551615",
            "epoch 1 18446744073709551615 open",
            "epoch 4294967295 1 open",
            "epoch 1 1 open\nfirst-live 0 18446744073709551615",
            "epoch 1 1 5\npending 4294967295",
            "epoch 2 1 5\npending 2",
        ] {
            assert!(seal(lines).is_err(), "{lines}");
        }
    }

    #[test]
    fn a_pending_epoch_counts_from_its_base_on() {
        let mut manifest = sample();
        manifest.is_superseded = true;
        assert_eq!(manifest.pend_epoch(200, 0), 4);
        assert_eq!(Manifest::parse(&manifest.to_text()).unwrap(), manifest);
        assert!(!manifest.admits(4, 201) && manifest.admits(3, 200) && !manifest.admits(3, 201));
        let mut given_up = manifest.clone();
        assert_eq!(given_up.pend_epoch(200, 0), 5, "numbers are not used again");
        assert_eq!(given_up.next_epoch(200, 0), 6);
        assert!(!given_up.admits(4, 201) && !given_up.admits(5, 201) && given_up.admits(6, 201));
        assert_eq!(Manifest::parse(&given_up.to_text()).unwrap(), given_up);
        manifest.set_base(Base { file_name: "base-201.rdb".to_owned(), cut_gsn: 201 }, [(0, 9)]);
        assert!(manifest.admits(4, 201) && !manifest.is_superseded);
        assert_eq!(manifest.epochs.iter().map(|e| e.number).collect::<Vec<_>>(), [4]);
        assert_eq!(Manifest::parse(&manifest.to_text()).unwrap(), manifest);
    }

    #[test]
    fn an_epoch_number_is_never_used_twice() {
        let mut manifest = Manifest::new(LogId::new([1; 16]), 1);
        for number in 2..20 {
            assert_eq!(manifest.next_epoch(0, 0), number);
            assert_eq!(manifest.epochs.len(), 1);
        }
    }
}
