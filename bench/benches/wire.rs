//! Bytes to words: the decoder over a pipelined stream.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringstone_proto::resp::{Decoded, Decoder, Limits};

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let streams = [
        ("GET", "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n".to_owned()),
        (
            "SET of 64 bytes",
            format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$64\r\n{}\r\n", "x".repeat(64)),
        ),
        ("PING inline", "PING\r\n".to_owned()),
    ];
    for (name, command) in streams {
        let stream = command.repeat(100).into_bytes();
        group.throughput(Throughput::Elements(100));
        group.bench_function(name, |bencher| bencher.iter(|| count(black_box(&stream))));
    }
}

/// Number of arguments in a stream of whole commands.
fn count(mut stream: &[u8]) -> u32 {
    let (mut decoder, limits, mut args_count) = (Decoder::new(), Limits::default(), 0);
    while !stream.is_empty() {
        let consumed = match decoder.decode(stream, &limits, &mut |_, _| args_count += 1) {
            Decoded::Command { consumed } | Decoded::Empty { consumed } => consumed,
            Decoded::Inline { args, consumed } => {
                args_count += u32::try_from(args.len()).unwrap_or(0);
                consumed
            }
            Decoded::Incomplete | Decoded::Error(_) => break,
        };
        stream = stream.get(consumed..).unwrap_or_default();
    }
    args_count
}

criterion_group!(benches, decode);
criterion_main!(benches);
