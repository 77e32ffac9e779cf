//! RESP: what decoding a pipeline and encoding replies costs.
#![allow(missing_docs, reason = "criterion's macros define undocumented items")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringstone_proto::resp::{Decoded, Decoder, Encoder, Limits};
use std::hint::black_box;

/// Commands of one packet, as a client with a pipeline of 16 sends them.
fn pipeline(command: impl Fn(usize) -> Vec<String>) -> Vec<u8> {
    let mut out = Vec::new();
    for n in 0..16 {
        let args = command(n);
        let mut encoder = Encoder::new(&mut out, false);
        encoder.array(args.len());
        args.iter().for_each(|arg| encoder.bulk(arg.as_bytes()));
    }
    out
}

/// Decodes a packet as a connection does; the number of commands.
fn decode_all(decoder: &mut Decoder, spans: &mut Vec<(u32, u32)>, packet: &[u8]) -> usize {
    let limits = Limits::default();
    let (mut rest, mut commands) = (packet, 0);
    while !rest.is_empty() {
        spans.clear();
        let answer = decoder.decode(rest, &limits, &mut |start, len| spans.push((start, len)));
        let Decoded::Command { consumed } = answer else { break };
        rest = rest.get(consumed..).unwrap_or_default();
        commands += 1;
        black_box(&spans);
    }
    commands
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    let value = "x".repeat(64);
    for (name, packet) in [
        ("get", pipeline(|n| vec!["GET".into(), format!("key:{n:012}")])),
        ("set", pipeline(|n| vec!["SET".into(), format!("key:{n:012}"), value.clone()])),
    ] {
        let (mut decoder, mut spans) = (Decoder::new(), Vec::new());
        assert_eq!(decode_all(&mut decoder, &mut spans, &packet), 16);
        group.throughput(Throughput::Elements(16));
        group.bench_function(format!("{name} x16"), |b| {
            b.iter(|| decode_all(&mut decoder, &mut spans, black_box(&packet)));
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    let mut out = Vec::with_capacity(1 << 16);
    let value = [b'x'; 64];
    group.throughput(Throughput::Elements(16));
    let mut bench = |name: &str, write: &dyn Fn(&mut Encoder<'_>)| {
        group.bench_function(format!("{name} x16"), |b| {
            b.iter(|| {
                out.clear();
                let mut encoder = Encoder::new(&mut out, false);
                (0..16).for_each(|_| write(black_box(&mut encoder)));
            });
        });
    };
    bench("ok", &|e| e.ok());
    bench("bulk of 64 bytes", &|e| e.bulk(black_box(&value)));
    bench("small integer", &|e| e.int(black_box(7)));
    bench("integer", &|e| e.int(black_box(1_234_567)));
    bench("double", &|e| e.double(black_box(1234.5678)));
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
