//! Random choices within one command: seeded from the keyspace's generator, so that a seed repeats a whole run.

use std::collections::HashSet;

use super::listpack::Item;

/// A small generator (xorshift64*).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that a random number starts.
    pub fn new(seed: u64) -> Self {
        Rng(seed | 1)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, 0 when that is 0. The bias is below `bound / 2^64`.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next_u64()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }
}

/// `count` different ones of `len` elements (all when there are fewer), each choice with the same chance: drawn one by one
/// by `random` while few, else in one pass over `all`. `name` tells elements apart.
pub fn sample<'a, T>(
    (len, count): (usize, usize),
    rng: &mut Rng,
    all: impl Iterator<Item = T>,
    random: impl Fn(&mut Rng) -> Option<T>,
    name: impl Fn(&T) -> Item<'a>,
) -> Vec<T> {
    let mut chosen = Vec::with_capacity(count.min(len));
    if count < len / 3 {
        let mut names = HashSet::with_capacity(count);
        while chosen.len() < count
            && let Some(element) = random(rng)
        {
            if names.insert(name(&element)) {
                chosen.push(element);
            }
        }
        return chosen;
    }
    // Reservoir sampling; its order is not random, so it is shuffled.
    for (seen, element) in all.enumerate() {
        if chosen.len() < count {
            chosen.push(element);
        } else if let Some(slot) = chosen.get_mut(rng.below(seen + 1)) {
            *slot = element;
        }
    }
    if count < len {
        for at in (1..chosen.len()).rev() {
            chosen.swap(at, rng.below(at + 1));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_distinct_and_every_element_has_the_same_chance() {
        let mut rng = Rng::new(1);
        for count in [1, 5, 20, 29] {
            let mut hits = [0; 30];
            for _ in 0..3000 {
                let random = |rng: &mut Rng| Some(rng.below(30));
                let chosen = sample((30, count), &mut rng, 0..30, random, |n| Item::Int(*n as i64));
                assert_eq!(chosen.iter().collect::<HashSet<_>>().len(), count);
                chosen.iter().for_each(|n| hits[*n] += 1);
            }
            let expected = 100 * count;
            let near = expected * 6 / 10..expected * 14 / 10;
            assert!(hits.iter().all(|n| near.contains(n)), "{count}: {hits:?}");
        }
        assert_eq!(sample((2, 9), &mut rng, 0..2, |_| None, |n| Item::Int(*n)), [0, 1]);
    }
}
