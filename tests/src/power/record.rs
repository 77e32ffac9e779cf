//! What reached a disk, in which order, and what of it a power cut may leave.
//!
//! ```text
//!   stream   issue a · issue b · done a · FLUSH issued · issue c · FLUSH done · done b ·│cut
//!   image    a: certain (done before a flush was issued that was done before the cut)
//!            b, c: each absent, whole, or some of its sectors
//! ```
//!
//! Invariant: a write is certain only when a flush that began after the write was done was itself done before the cut;
//! the loop device turns FUA and O_DSYNC into such flushes.

use std::time::Instant;

use super::image::{BLOCK, Image, SECTOR};
use crate::crash::Random;

/// Pending writes of which every subset is tried, rather than some.
const ENUMERATED_MAX: usize = 3;

#[derive(Debug)]
struct Write {
    offset: u64,
    bytes: Vec<u8>,
    issued: u64,
    done: u64,
}

#[derive(Clone, Copy, Debug)]
struct Flush {
    issued: u64,
    done: u64,
}

/// The events of one disk from a known content on.
#[derive(Debug)]
pub struct Recording {
    base: Image,
    writes: Vec<Write>,
    flushes: Vec<Flush>,
    began: Instant,
    times_us: Vec<u64>,
    bytes: u64,
}

/// Which kind of event, as the disk reports it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begun {
    Write(usize),
    Flush(usize),
}

impl Recording {
    pub(super) fn new(base: Image, began: Instant) -> Recording {
        let (writes, flushes, times_us) = (Vec::new(), Vec::new(), Vec::new());
        Recording { base, writes, flushes, began, times_us, bytes: 0 }
    }

    /// The position behind the last event.
    pub fn position(&self) -> u64 {
        self.times_us.len() as u64
    }

    /// Writes, flushes, bytes.
    pub fn counts(&self) -> (usize, usize, u64) {
        (self.writes.len(), self.flushes.len(), self.bytes)
    }

    /// Until when the disk was as it is at a position: when the event behind it happened, in microseconds.
    pub fn time_us(&self, position: u64) -> u64 {
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        self.times_us.get(at).or(self.times_us.last()).copied().unwrap_or(0)
    }

    fn event(&mut self) -> u64 {
        self.times_us.push(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(0));
        self.position() - 1
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Begun {
        let issued = self.event();
        self.bytes += bytes.len() as u64;
        self.writes.push(Write { offset, bytes: bytes.to_vec(), issued, done: u64::MAX });
        Begun::Write(self.writes.len() - 1)
    }

    pub(super) fn flush(&mut self) -> Begun {
        let issued = self.event();
        self.flushes.push(Flush { issued, done: u64::MAX });
        Begun::Flush(self.flushes.len() - 1)
    }

    pub(super) fn done(&mut self, begun: Begun) {
        let at = self.event();
        match begun {
            Begun::Write(write) => self.writes[write].done = at,
            Begun::Flush(flush) => self.flushes[flush].done = at,
        }
    }

    /// Walks over the recording, from its begin on.
    pub fn cutter(&self) -> Cutter<'_> {
        let mut flushes: Vec<Flush> =
            self.flushes.iter().copied().filter(|f| f.done != u64::MAX).collect();
        flushes.sort_by_key(|f| f.done);
        let certain = self.base.clone();
        Cutter { recording: self, certain, flushes, flush: 0, write: 0, pending: Vec::new() }
    }
}

/// The state of the disk at one position of a recording.
#[derive(Debug)]
pub struct Cutter<'a> {
    recording: &'a Recording,
    certain: Image,
    flushes: Vec<Flush>,
    flush: usize,
    write: usize,
    /// Writes that were issued and are not certain, in that order.
    pending: Vec<usize>,
}

impl Cutter<'_> {
    /// Goes on to a later position.
    pub fn advance(&mut self, cut: u64) {
        let writes = &self.recording.writes;
        while self.write < writes.len() && writes[self.write].issued < cut {
            self.pending.push(self.write);
            self.write += 1;
        }
        while let Some(flush) = self.flushes.get(self.flush).filter(|f| f.done < cut) {
            self.pending.retain(|write| {
                let write = &writes[*write];
                let certain = write.done < flush.issued;
                if certain {
                    self.certain.write(write.offset, &write.bytes);
                }
                !certain
            });
            self.flush += 1;
        }
    }

    /// Writes whose fate is open.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What a power cut here may leave: all of it, when few writes are open, otherwise something by chance.
    pub fn leavings(&self, random: &mut Random) -> Vec<Leaving> {
        let count = self.pending.len();
        if count <= ENUMERATED_MAX {
            let fate = |is_there| if is_there { Fate::Whole } else { Fate::Absent };
            let with = |subset: usize| {
                let fates = (0..count).map(|nth| fate(subset >> nth & 1 == 1));
                self.leaving(&fates.collect::<Vec<Fate>>())
            };
            return (0..1 << count).map(with).collect();
        }
        // Orders that a disk's cache is likely to leave, and some that it is not.
        let style = random.below(8);
        let percent = [3, 15, 50, 50, 85, 97][usize::try_from(random.below(6)).unwrap_or(0)];
        let mark = usize::try_from(random.below(count as u64)).unwrap_or(0);
        let fates = (0..count).map(|nth| match style {
            0 if nth < mark => Fate::Whole,
            1 if nth >= mark => Fate::Whole,
            2 if nth != mark => Fate::Whole,
            3 if nth == mark => Fate::Whole,
            0..=3 => Fate::Absent,
            _ if random.below(100) >= percent => Fate::Absent,
            _ if random.one_in(4) => Fate::Torn(random.next()),
            _ => Fate::Whole,
        });
        vec![self.leaving(&fates.collect::<Vec<Fate>>())]
    }

    fn leaving(&self, fates: &[Fate]) -> Leaving {
        let is_torn = fates.iter().any(|fate| matches!(fate, Fate::Torn(_)));
        Leaving {
            image: self.image(fates, SECTOR),
            whole_blocks: is_torn.then(|| self.image(fates, BLOCK)),
        }
    }

    fn image(&self, fates: &[Fate], unit: usize) -> Image {
        let mut image = self.certain.clone();
        for (fate, write) in fates.iter().zip(&self.pending) {
            let write = &self.recording.writes[*write];
            match *fate {
                Fate::Absent => {}
                Fate::Whole => image.write(write.offset, &write.bytes),
                Fate::Torn(seed) => {
                    let mut random = Random::new(seed);
                    let (mut offset, mut rest) = (write.offset, &write.bytes[..]);
                    while !rest.is_empty() {
                        let within = usize::try_from(offset % unit as u64).unwrap_or(0);
                        let (piece, next) = rest.split_at((unit - within).min(rest.len()));
                        if random.one_in(2) {
                            image.write(offset, piece);
                        }
                        offset += piece.len() as u64;
                        rest = next;
                    }
                }
            }
        }
        image
    }
}

/// What a power cut leaves.
#[derive(Debug)]
pub struct Leaving {
    /// With writes torn between sectors.
    pub image: Image,
    /// The same, torn between blocks only, when anything was torn.
    pub whole_blocks: Option<Image>,
}

#[derive(Clone, Copy)]
enum Fate {
    Absent,
    Whole,
    /// Some of its sectors.
    Torn(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_bytes(leavings: &[Leaving]) -> Vec<[u8; 2]> {
        let byte = |image: &Image, at| {
            let mut out = [0];
            image.read(at, &mut out);
            out[0]
        };
        let mut all: Vec<[u8; 2]> =
            leavings.iter().map(|l| [byte(&l.image, 0), byte(&l.image, 4096)]).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn only_a_flush_begun_after_a_write_and_done_before_the_cut_makes_it_certain() {
        let mut recording = Recording::new(Image::zeros(1 << 16), Instant::now());
        let a = recording.write(0, &[1; 512]);
        let b = recording.write(4096, &[2; 512]);
        recording.done(a);
        let flush = recording.flush();
        recording.done(b);
        let before = recording.position();
        recording.done(flush);
        let after = recording.position();

        let mut random = Random::new(1);
        let mut cutter = recording.cutter();
        cutter.advance(before);
        assert_eq!(first_bytes(&cutter.leavings(&mut random)), [[0, 0], [0, 2], [1, 0], [1, 2]]);
        cutter.advance(after);
        assert_eq!(first_bytes(&cutter.leavings(&mut random)), [[1, 0], [1, 2]]);
    }
}
