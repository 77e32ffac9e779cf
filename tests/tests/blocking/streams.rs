//! Readers of streams.

use ringstone_tests::resp::Conn;

use crate::{call, on_servers, read, until_blocked, waiting};

#[test]
fn all_readers_of_a_stream_get_what_is_new() {
    on_servers(|server| {
        let mut conn = server.conn();
        conn.line("XADD s 1-1 f old");
        let mut readers: Vec<Conn> = Vec::new();
        for line in [
            "XREAD BLOCK 0 STREAMS s $",
            "XREAD BLOCK 0 STREAMS t s $ 1-1",
            "XREAD BLOCK 0 STREAMS s 1-5",
            "XREAD COUNT 1 BLOCK 0 STREAMS s s $ 0-0",
        ] {
            if line.ends_with("0-0") {
                assert_eq!(call(&mut conn, line), "[[s, [[1-1, [f, old]]]]]", "{line}");
            } else {
                readers.push(waiting(server, line, readers.len()));
            }
        }
        conn.line("XADD s 1-2 f new");
        for reader in readers.iter_mut().take(2) {
            assert_eq!(read(reader), "[[s, [[1-2, [f, new]]]]]");
        }
        conn.line("XADD s 1-6 f newer");
        assert_eq!(read(&mut readers[2]), "[[s, [[1-6, [f, newer]]]]]");
    });
}

#[test]
fn a_group_s_readers_share_and_learn_when_it_goes() {
    on_servers(|server| {
        let mut conn = server.conn();
        let reader = |name: &str, before| {
            let line = format!("XREADGROUP GROUP g {name} BLOCK 0 STREAMS s >");
            waiting(server, &line, before)
        };
        conn.line("XGROUP CREATE s g $ MKSTREAM");
        let (mut ann, mut bob) = (reader("ann", 0), reader("bob", 1));
        conn.line("XADD s 1-1 f 1");
        assert_eq!(read(&mut ann), "[[s, [[1-1, [f, 1]]]]]");
        until_blocked(server, 1);
        conn.line("XADD s 1-2 f 2");
        assert_eq!(read(&mut bob), "[[s, [[1-2, [f, 2]]]]]");
        assert_eq!(call(&mut conn, "XPENDING s g"), "[2, 1-1, 1-2, [[ann, 1], [bob, 1]]]");

        let gone = "UNBLOCKED the stream key no longer exists";
        let ends = [
            ("DEL s", gone),
            ("SET s x", gone),
            ("FLUSHALL", gone),
            ("SWAPDB 0 1", gone),
            ("RENAME s other", gone),
            (
                "XGROUP DESTROY s g",
                "NOGROUP the consumer group this client was blocked on no longer exists",
            ),
        ];
        for (end, error) in ends {
            conn.line("FLUSHALL");
            conn.line("XGROUP CREATE s g $ MKSTREAM");
            let mut ann = reader("ann", 0);
            assert!(!conn.line(end).is_error(), "{end}");
            assert_eq!(read(&mut ann), error, "{end}");
        }
        conn.line("FLUSHALL");
        conn.line("XGROUP CREATE s g $ MKSTREAM");
        let mut ann = reader("ann", 0);
        conn.line("PEXPIRE s 20");
        assert_eq!(read(&mut ann), gone);
    });
}
