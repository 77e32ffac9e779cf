//! A stream read in one piece and in pieces gives the same commands and the same error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringstone_proto::resp::{Decoded, Decoder, Limits, ProtocolError};

type Commands = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// Reads `stream`, of which `step` more bytes become visible whenever the decoder asks.
fn read(stream: &[u8], step: usize) -> Commands {
    let (mut decoder, mut start, mut visible) = (Decoder::new(), 0, step.min(stream.len()));
    let limits = Limits { bulk_max_bytes: 1 << 20, ..Limits::default() };
    let mut commands = Vec::new();
    let mut spans: Vec<(u32, u32)> = Vec::new();
    loop {
        let buf = &stream[start..visible];
        match decoder.decode(buf, &limits, &mut |at, len| spans.push((at, len))) {
            Decoded::Command { consumed } => {
                let arg = |(at, len): (u32, u32)| buf[at as usize..(at + len) as usize].to_vec();
                commands.push(spans.drain(..).map(arg).collect());
                start += consumed;
            }
            Decoded::Inline { args, consumed } => {
                commands.push(args);
                start += consumed;
            }
            Decoded::Empty { consumed } => start += consumed,
            Decoded::Incomplete if visible == stream.len() => return (commands, None),
            Decoded::Incomplete => visible = (visible + step).min(stream.len()),
            Decoded::Error(error) => return (commands, Some(error)),
        }
    }
}

fuzz_target!(|data: (u8, Vec<u8>)| {
    let (step, stream) = data;
    let whole = read(&stream, stream.len().max(1));
    assert_eq!(read(&stream, usize::from(step).max(1)).0, whole.0);
    assert_eq!(read(&stream, 1).1.is_some(), whole.1.is_some());
});
