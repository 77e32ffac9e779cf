//! The key index and its entries at a million keys of 16 bytes with values of 64: the hot paths of GET and SET, the worst
//! insertion, bytes a key.
//!
//! `cargo bench -p ringstone-bench --bench index`; jemalloc, as in the server. The one-off figures go to stderr first.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::print_stderr, reason = "figures that criterion has no place for")]
#![allow(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use ringstone_engine::keyspace::{Keyspace, Mode};
use tikv_jemalloc_ctl::{epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const KEYS: u64 = 1_000_000;
const VALUE: [u8; 64] = [b'v'; 64];

fn key(n: u64) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = n;
    for digit in key.iter_mut().skip(4).rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap();
        rest /= 10;
    }
    key
}

/// Keys in an order that no cache can follow.
struct Shuffle(u64);

impl Shuffle {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % KEYS
    }
}

fn filled(keys: u64) -> Keyspace {
    let mut ks = Keyspace::new(16, 7);
    let mut db = ks.db(0, 0, Mode::Live);
    (0..keys).for_each(|n| db.set_str(&key(n), &VALUE, None));
    ks
}

fn allocated() -> usize {
    epoch::advance().unwrap();
    stats::allocated::read().unwrap()
}

fn one_off_figures() {
    let before = allocated();
    let ks = filled(KEYS);
    let bytes = (allocated() - before) as f64 / KEYS as f64;
    let index = ks.index_bytes() as f64 / KEYS as f64;
    eprintln!("bytes a key: {bytes:.1}, of which index {index:.1}");
    drop(ks);

    let mut ks = Keyspace::new(16, 7);
    let mut times: Vec<Duration> = (0..4 * KEYS)
        .map(|n| {
            let key = key(n);
            let start = Instant::now();
            ks.db(0, 0, Mode::Live).set_str(&key, &VALUE, None);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let but_one_of = |share: usize| times.get(times.len() - 1 - times.len() / share).unwrap();
    eprintln!(
        "insert of 4M keys one by one: p50 {:?} p99 {:?} p99.9 {:?} p99.99 {:?} worst {:?}",
        but_one_of(2),
        but_one_of(100),
        but_one_of(1000),
        but_one_of(10_000),
        times.last().unwrap(),
    );
}

fn index(c: &mut Criterion) {
    one_off_figures();
    let mut group = c.benchmark_group("index");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    group.bench_function("insert", |b| {
        b.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            let mut left = count;
            while left > 0 {
                let some = left.min(KEYS);
                let mut ks = Keyspace::new(16, 7);
                let start = Instant::now();
                let mut db = ks.db(0, 0, Mode::Live);
                (0..some).for_each(|n| db.set_str(&key(n), &VALUE, None));
                spent += start.elapsed();
                left -= some;
            }
            spent
        });
    });
    let mut ks = filled(KEYS);
    let mut shuffle = Shuffle(1);
    group.bench_function("overwrite", |b| {
        b.iter(|| ks.db(0, 0, Mode::Live).set_str(&key(shuffle.next()), black_box(&VALUE), None));
    });
    group.bench_function("get_hit", |b| {
        b.iter(|| {
            let mut db = ks.db(0, 0, Mode::Live);
            db.get(&key(shuffle.next())).map(|e| black_box(e.value().encoding()));
        });
    });
    group.bench_function("get_hit_hot", |b| {
        b.iter(|| {
            let mut db = ks.db(0, 0, Mode::Live);
            db.get(&key(shuffle.next() % 1000)).map(|e| black_box(e.value().encoding()));
        });
    });
    group.bench_function("get_hit_prefetched_by_16", |b| {
        b.iter_custom(|count| {
            let start = Instant::now();
            for _ in 0..count.div_ceil(16) {
                let keys: [[u8; 16]; 16] = std::array::from_fn(|_| key(shuffle.next()));
                keys.iter().for_each(|key| ks.prefetch(0, key));
                let mut db = ks.db(0, 0, Mode::Live);
                for key in &keys {
                    db.get(key).map(|e| black_box(e.value().encoding()));
                }
            }
            start.elapsed()
        });
    });
    group.bench_function("get_miss", |b| {
        b.iter(|| {
            let mut db = ks.db(0, 0, Mode::Live);
            black_box(db.get(&key(KEYS + shuffle.next())).is_some());
        });
    });
    group.finish();
}

criterion_group!(benches, index);
criterion_main!(benches);
