use super::*;
use proptest::prelude::*;

/// What a stream means: commands, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct Story {
    commands: Vec<Vec<Vec<u8>>>,
    empties: usize,
    error: Option<ProtocolError>,
    rest: usize,
}

/// Feeds packets as a connection does.
fn feed<'a>(packets: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Story {
    let (mut story, mut buf, mut spans) = (Story::default(), Vec::new(), Vec::new());
    let mut decoder = Decoder::new();
    for packet in packets {
        buf.extend_from_slice(packet);
        let mut at = 0;
        loop {
            let rest = &buf[at..];
            match decoder.decode(rest, limits, &mut |start, len| spans.push((start, len))) {
                Decoded::Command { consumed } => {
                    let arg = |&(s, l): &(u32, u32)| rest[s as usize..][..l as usize].to_vec();
                    story.commands.push(spans.drain(..).as_slice().iter().map(arg).collect());
                    at += consumed;
                }
                Decoded::Inline { args, consumed } => {
                    story.commands.push(args);
                    at += consumed;
                }
                Decoded::Empty { consumed } => {
                    story.empties += 1;
                    at += consumed;
                }
                Decoded::Incomplete => break,
                Decoded::Error(error) => {
                    story.error = Some(error);
                    return story;
                }
            }
        }
        buf.drain(..at);
    }
    story.rest = buf.len();
    story
}

fn whole(stream: &[u8]) -> Story {
    feed([stream], &Limits::default())
}

fn error_of(stream: &[u8]) -> Option<ProtocolError> {
    whole(stream).error
}

#[test]
fn reads_pipelined_commands() {
    let story =
        whole(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello\r\nworld\r\n*1\r\n$0\r\n\r\nPING a\r\n");
    let expected: Vec<Vec<&[u8]>> =
        vec![vec![b"SET", b"k", b"hello\r\nworld"], vec![b""], vec![b"PING", b"a"]];
    assert_eq!(story.commands, expected);
    assert_eq!((story.rest, story.error), (0, None));
}

#[test]
fn empty_lines_and_empty_arrays_are_skipped() {
    let story = whole(b"\r\n\n   \r\n*0\r\n*-1\r\n*-10\r\nPING\r\n");
    assert_eq!((story.empties, story.commands.len()), (6, 1));
}

#[test]
fn errors_have_the_texts_of_redis() {
    use ProtocolError::*;
    let text = |e: ProtocolError| String::from_utf8(e.message()).unwrap();
    for (stream, error, expected) in [
        (&b"*a\r\n"[..], ArrayLength, "invalid multibulk length"),
        (b"*\r\n", ArrayLength, "invalid multibulk length"),
        (b"*01\r\n", ArrayLength, "invalid multibulk length"),
        (b"*-0\r\n", ArrayLength, "invalid multibulk length"),
        (b"*2147483648\r\n", ArrayLength, "invalid multibulk length"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", ExpectedBulk(b'f'), "expected '$', got 'f'"),
        (b"*1\r\n\r\n", ExpectedBulk(b'\r'), "expected '$', got ' '"),
        (b"*1\r\n:1\r\n", ExpectedBulk(b':'), "expected '$', got ':'"),
        (b"*1\r\n$-1\r\n", BulkLength, "invalid bulk length"),
        (b"*1\r\n$blabla\r\n", BulkLength, "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", BulkLength, "invalid bulk length"),
        (b"*1\r\n$9223372036854775808\r\n", BulkLength, "invalid bulk length"),
        (b"GET \"a\r\n", UnbalancedQuotes, "unbalanced quotes in request"),
    ] {
        assert_eq!(error_of(stream), Some(error), "{}", stream.escape_ascii());
        assert_eq!(text(error), format!("ERR Protocol error: {expected}"));
    }
    assert_eq!(ExpectedBulk(0xff).message().last_chunk(), Some(b"'\xff'"));
}

#[test]
fn endless_lines_are_refused_at_64_kib() {
    let endless = |head: &[u8], len: usize| {
        let mut stream = head.to_vec();
        stream.resize(len, b'1');
        error_of(&stream)
    };
    assert_eq!(endless(b"", INLINE_MAX_BYTES), None);
    assert_eq!(endless(b"", INLINE_MAX_BYTES + 1), Some(ProtocolError::InlineTooBig));
    assert_eq!(endless(b"*", INLINE_MAX_BYTES + 1), Some(ProtocolError::ArrayHeaderTooBig));
    assert_eq!(endless(b"*1\r\n$", INLINE_MAX_BYTES + 5), Some(ProtocolError::BulkHeaderTooBig));
    let mut line = vec![b'a'; INLINE_MAX_BYTES];
    line.push(b'\n');
    assert_eq!(whole(&line).commands.len(), 1, "a line that ends at the limit is good");
}

#[test]
fn clients_without_password_get_small_commands_only() {
    let limits = Limits { unauthenticated: true, ..Limits::default() };
    let error = |stream: &[u8]| feed([stream], &limits).error;
    assert_eq!(error(b"*10\r\n"), None);
    assert_eq!(error(b"*11\r\n"), Some(ProtocolError::ArrayLengthUnauthenticated));
    assert_eq!(error(b"*1\r\n$16384\r\n"), None);
    assert_eq!(error(b"*1\r\n$16385\r\n"), Some(ProtocolError::BulkLengthUnauthenticated));
}

#[test]
fn a_resumed_command_is_not_read_again_from_its_start() {
    let mut stream = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n".to_vec();
    let head = stream.len();
    stream.resize(head + 1002, b'v');
    let (mut decoder, mut pushed) = (Decoder::new(), Vec::new());
    let mut decode = |buf: &[u8], pushed: &mut Vec<(u32, u32)>| {
        let answer = decoder.decode(buf, &Limits::default(), &mut |s, l| pushed.push((s, l)));
        (answer, decoder.needed_bytes())
    };
    assert_eq!(decode(&stream[..head], &mut pushed), (Decoded::Incomplete, head + 1002));
    assert_eq!(pushed.len(), 2);
    assert_eq!(decode(&stream[..head + 1001], &mut pushed), (Decoded::Incomplete, head + 1002));
    // The start is not looked at again: not even when it is gone.
    stream[..18].fill(b'#');
    assert_eq!(decode(&stream, &mut pushed).0, Decoded::Command { consumed: head + 1002 });
    assert_eq!(pushed, [(8, 3), (17, 1), (27, 1000)]);
}

/// Pieces of which streams are made: whole commands, odd headers and plain junk.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let arg = prop::collection::vec(any::<u8>(), 0..40);
    let command = prop::collection::vec(arg, 1..5).prop_map(|args| {
        let mut out = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            out.extend_from_slice(&arg);
            out.extend_from_slice(b"\r\n");
        }
        out
    });
    let odd = prop::sample::select(vec![
        "*0\r\n",
        "*-1\r\n",
        "\r\n",
        "PING\r\n",
        "set 'a b' \"\\x41\"\r\n",
        "*1\r\n$00\r\n",
        "*2\r\n",
        "$1\r\n",
        "*12\r\n",
        "*1\r\n+",
        "*1\r",
        "a\n",
        "*x\r\n",
        "'\n",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![6 => command, 2 => odd, 1 => prop::collection::vec(any::<u8>(), 0..6)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn any_split_of_a_stream_gives_the_same_commands(
        pieces in prop::collection::vec(piece(), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        unauthenticated in any::<bool>(),
    ) {
        let stream = pieces.concat();
        let limits = Limits { unauthenticated, bulk_max_bytes: 30, args_max: 4 };
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let expected = feed([&stream[..]], &limits);
        prop_assert_eq!(&feed(cuts.windows(2).map(|w| &stream[w[0]..w[1]]), &limits), &expected);
        prop_assert_eq!(&feed(stream.chunks(1), &limits), &expected);
    }
}
