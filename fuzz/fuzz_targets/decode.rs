//! A stream read in one piece and in pieces gives the same commands and the same error, and no more is kept than was sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringstone_proto::resp::{Decoded, Decoder, Encoder, Limits, ProtocolError};

/// The commands, where the last one ends, and what ended the reading.
type Outcome = (Vec<Vec<Vec<u8>>>, usize, Option<ProtocolError>);

/// Reads `stream`; whenever the decoder asks for more, the next of `steps` says how many bytes become visible.
fn read(stream: &[u8], limits: &Limits, mut steps: impl Iterator<Item = usize>) -> Outcome {
    let (mut decoder, mut start, mut visible) = (Decoder::new(), 0, 0);
    let mut commands = Vec::new();
    let mut spans: Vec<(u32, u32)> = Vec::new();
    loop {
        let buf = &stream[start..visible];
        let answer = decoder.decode(buf, limits, &mut |at, len| spans.push((at, len)));
        // An argument takes at least `$0\r\n\r\n`.
        assert!(spans.len() <= buf.len() / 6);
        match answer {
            Decoded::Command { consumed } => {
                assert!(!decoder.is_within_command());
                let arg = |(at, len): (u32, u32)| buf[at as usize..(at + len) as usize].to_vec();
                commands.push(spans.drain(..).map(arg).collect());
                start += consumed;
            }
            Decoded::Inline { args, consumed } => {
                assert!(!args.is_empty());
                commands.push(args);
                start += consumed;
            }
            Decoded::Empty { consumed } => {
                assert!(consumed > 0);
                start += consumed;
            }
            Decoded::Incomplete if visible == stream.len() => return (commands, start, None),
            Decoded::Incomplete => {
                let step = steps.next().unwrap_or(usize::MAX).max(1);
                visible = visible.saturating_add(step).min(stream.len());
            }
            Decoded::Error(error) => {
                let message = error.message();
                assert!(message.starts_with(b"ERR Protocol error: "));
                assert!(!message.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
                return (commands, start, Some(error));
            }
        }
    }
}

// Three bytes choose the limits, as many as the third says the cuts, the rest is the stream.
fuzz_target!(|data: &[u8]| {
    let [flags, size, cuts, rest @ ..] = data else { return };
    let (cuts, stream) = rest.split_at(usize::from(*cuts).min(rest.len()));
    let limits = Limits {
        bulk_max_bytes: if flags & 2 == 0 { 1 << 20 } else { u64::from(*size) * 16 },
        args_max: if flags & 4 == 0 { 1 << 20 } else { u32::from(*size) },
        unauthenticated: flags & 1 != 0,
    };
    let whole = read(stream, &limits, std::iter::empty());
    let pieces = cuts.iter().cycle().map(|step| usize::from(*step));
    assert_eq!(read(stream, &limits, pieces), whole);
    if stream.len() <= 4096 {
        assert_eq!(read(stream, &limits, std::iter::repeat(1)), whole);
    }
    // What was read can be said again, and is read as the same.
    let mut again = Vec::new();
    for command in &whole.0 {
        let mut encoder = Encoder::new(&mut again, false);
        encoder.array(command.len());
        command.iter().for_each(|arg| encoder.bulk(arg));
    }
    assert_eq!(read(&again, &Limits::default(), std::iter::empty()).0, whole.0);
});
