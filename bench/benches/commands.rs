//! Commands on a shard with many keys, network and log left out.
#![expect(
    clippy::expect_used,
    clippy::missing_docs_in_private_items,
    reason = "a bench fails by panicking"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringstone_bench::{Call, Shard};

/// Keys, and elements of the collections.
const COUNT: usize = 100_000;

/// Command, and what fills the shard for it; `@` is a number.
const COMMANDS: &[(&str, &str, &str)] = &[
    (
        "SET new values",
        "SET key:@ value",
        "SET key:@ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ),
    ("GET", "SET key:@ value", "GET key:@"),
    ("INCR", "SET key:@ 1", "INCR key:@"),
    ("EXPIRE", "SET key:@ value", "EXPIRE key:@ 1000"),
    ("RPUSH", "RPUSH list 1", "RPUSH list element"),
    ("SADD", "SADD set member:@", "SADD set member:@"),
    ("HSET", "HSET hash field:@ value", "HSET hash field:@ other"),
    ("ZADD", "ZADD zset @ member:@", "ZADD zset 5000 member:@"),
    ("ZRANK", "ZADD zset @ member:@", "ZRANK zset member:@"),
    ("ZRANGE of 10", "ZADD zset @ member:@", "ZRANGE zset @ +10"),
];

fn calls(line: &str) -> Vec<Call> {
    let with = |n: usize| {
        let line = line.replace("+10", &(n + 10).to_string()).replace('@', &n.to_string());
        Call::new(&line).expect("the command is in the table")
    };
    (0..COUNT).map(with).collect()
}

fn commands(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("command");
    group.throughput(Throughput::Elements(1));
    for (name, fill, line) in COMMANDS {
        let mut shard = Shard::default();
        assert!(calls(fill).iter().all(|call| shard.call(call)), "{fill}");
        let calls = calls(line);
        // A stride that is coprime to the number of calls: neighbours in time are no neighbours in memory.
        let mut order = (0..COUNT).map(|n| n * 7919 % COUNT).cycle();
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                let call = order.next().and_then(|at| calls.get(at)).expect("it never ends");
                shard.call(call)
            });
        });
    }
}

criterion_group!(benches, commands);
criterion_main!(benches);
