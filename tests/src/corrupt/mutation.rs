//! What can become of a file.

use crate::sim::rng::Rng;

const BLOCK: usize = 4096;

/// A change of a file's bytes.
#[derive(Clone, Debug)]
pub(super) enum Mutation {
    /// One bit is another.
    Flip { at: usize, bit: u8 },
    /// A byte, or the bytes of a field, are others.
    Set { at: usize, bytes: Vec<u8> },
    /// Bytes became zeros.
    Zero { at: usize, len: usize },
    /// Two blocks changed places.
    Swap { a: usize, b: usize },
    /// A block stands twice, over another.
    Repeat { from: usize, to: usize },
    /// The file is shorter.
    Cut { len: usize },
    /// Bytes are there twice, what follows is moved.
    Insert { at: usize, len: usize },
    /// Bytes are gone, what follows is moved.
    Delete { at: usize, len: usize },
    /// The file is gone.
    Remove,
    /// A file of another log, or of another server, stands in its place.
    Foreign,
    /// The file stands under another name, too, or instead.
    Rename { keep: bool },
}

impl Mutation {
    /// A random one for a file of `len` bytes; `fields` are offsets and lengths of what a header holds, `used` how much of
    /// the file holds anything.
    pub(super) fn choose(
        rng: &mut Rng,
        len: usize,
        used: usize,
        fields: &[(usize, usize)],
    ) -> Mutation {
        let used = used.clamp(1, len.max(1));
        let near = |rng: &mut Rng| if rng.percent(90) { rng.index(used) } else { rng.index(len) };
        let block = |rng: &mut Rng| rng.index(used.div_ceil(BLOCK) + 1) * BLOCK;
        match rng.below(16) {
            0..4 => Mutation::Flip { at: near(rng), bit: rng.below(8) as u8 },
            4..8 if !fields.is_empty() => {
                let (at, field) = fields[rng.index(fields.len())];
                if rng.percent(50) {
                    return Mutation::Flip { at: at + rng.index(field), bit: rng.below(8) as u8 };
                }
                let byte = [0, 1, 0x7f, 0xff, rng.below(256) as u8][rng.index(5)];
                Mutation::Set { at, bytes: vec![byte; field] }
            }
            4..9 => Mutation::Set { at: near(rng), bytes: vec![rng.below(256) as u8] },
            9 => Mutation::Zero { at: near(rng), len: 1 + rng.index(3 * BLOCK) },
            10 => Mutation::Swap { a: block(rng), b: block(rng) },
            11 => Mutation::Repeat { from: block(rng), to: block(rng) },
            12 => Mutation::Cut { len: near(rng) },
            13 => Mutation::Insert { at: near(rng), len: 1 + rng.index(300) },
            14 => Mutation::Delete { at: near(rng), len: 1 + rng.index(300) },
            _ => match rng.below(4) {
                0 => Mutation::Remove,
                1 => Mutation::Foreign,
                _ => Mutation::Rename { keep: rng.percent(50) },
            },
        }
    }

    /// The changed bytes; as they were for what is no change of bytes.
    pub(super) fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        let span = |at: usize, len: usize| at.min(bytes.len())..(at + len).min(bytes.len());
        match self {
            Mutation::Flip { at, bit } => {
                if let Some(byte) = out.get_mut(*at) {
                    *byte ^= 1 << bit;
                }
            }
            Mutation::Set { at, bytes: new } => {
                out.iter_mut().skip(*at).zip(new).for_each(|(to, from)| *to = *from);
            }
            Mutation::Zero { at, len } => out[span(*at, *len)].fill(0),
            Mutation::Swap { a, b } => {
                for i in 0..BLOCK {
                    if a + i < out.len() && b + i < out.len() {
                        out.swap(a + i, b + i);
                    }
                }
            }
            Mutation::Repeat { from, to } => {
                let block = bytes[span(*from, BLOCK)].to_vec();
                out.iter_mut().skip(*to).zip(block).for_each(|(to, from)| *to = from);
            }
            Mutation::Cut { len } => out.truncate(*len),
            Mutation::Insert { at, len } => {
                let piece = bytes[span(*at, *len)].to_vec();
                let at = (*at).min(out.len());
                out.splice(at..at, piece);
            }
            Mutation::Delete { at, len } => {
                out.drain(span(*at, *len));
            }
            Mutation::Remove | Mutation::Foreign | Mutation::Rename { .. } => {}
        }
        out
    }
}
