use super::*;

const ID: &str = "0123456789012345678901234567890123456789";

fn replica(stage: Stage) -> Replica {
    Replica { ip: "::1".into(), port: 7000, stage, tells: true, offset: 0, told_ms: 1000 }
}

fn chunk(text: &[u8]) -> Chunk {
    let mut chunk = Chunk::default();
    chunk.push_anywhere(text);
    chunk
}

fn begun() -> Source<u32> {
    let mut source = Source::new("x".into());
    source.begin(1, ID.into());
    source
}

#[test]
fn who_comes_back_in_time_gets_what_it_missed() {
    let mut source = begun();
    source.take(1, chunk(b"one"));
    source.take(2, chunk(b"two"));
    assert_eq!(source.offset(), 6);
    assert_eq!(source.negotiate(ID.as_bytes(), Some(4)), Negotiated::Goes(b"two".to_vec()));
    assert_eq!(source.negotiate(ID.as_bytes(), Some(7)), Negotiated::Goes(Vec::new()));
    assert_eq!(source.negotiate(ID.as_bytes(), Some(8)), Negotiated::NeedsAll);
    assert_eq!(source.negotiate(b"?", None), Negotiated::NeedsAll);
    assert_eq!(source.negotiate(b"another", Some(4)), Negotiated::NeedsAll);
    assert_eq!(source.counters(), Counters { full: 0, partial: 2, partial_refused: 2 });
}

#[test]
fn a_stream_that_begins_again_has_another_name_and_goes_on_counting() {
    let mut source = begun();
    source.take(1, chunk(b"one"));
    source.end();
    source.take(2, chunk(b"lost"));
    let other = ID.replace('0', "a");
    source.begin(3, other.clone());
    source.take(3, chunk(b"three"));
    assert_eq!(source.offset(), 8);
    assert_eq!(source.negotiate(ID.as_bytes(), Some(4)), Negotiated::NeedsAll);
    assert_eq!(source.negotiate(other.as_bytes(), Some(4)), Negotiated::Goes(b"three".to_vec()));
}

#[test]
fn only_followers_that_tell_count_and_only_they_can_be_silent() {
    let mut source = begun();
    source.add(1, replica(Stage::Online));
    source.add(2, Replica { tells: false, ..replica(Stage::Online) });
    source.add(3, replica(Stage::Sending));
    source.take(1, chunk(b"one"));
    assert_eq!(source.take_fresh(), b"one");
    source.acknowledge(1, 3, 2000);
    assert_eq!((source.have(0), source.have(3), source.have(4)), (2, 1, 0));
    assert_eq!((source.good(2500, 0), source.good(9000, 8)), (1, 2));
    assert_eq!(source.silent(9000, 5000), [1]);
}

#[test]
fn a_snapshot_serves_all_that_wait_when_it_begins() {
    let mut source = begun();
    source.add(1, replica(Stage::Waiting));
    source.add(2, replica(Stage::Online));
    source.take(1, chunk(b"one"));
    assert_eq!(source.begin_snapshot(), [1]);
    assert!(!source.has_waiting());
    assert_eq!(source.replica(1).map(|r| (r.stage, r.offset)), Some((Stage::Saving, 3)));
    assert_eq!(source.counters().full, 1);
}

#[test]
fn a_stream_that_nobody_follows_is_forgotten_after_a_while() {
    let mut source = begun();
    source.add(1, replica(Stage::Online));
    assert!(!source.is_forgotten(100_000, 10));
    source.remove(1, 5000);
    assert!(!source.is_forgotten(5010, 10));
    assert!(source.is_forgotten(5011, 10));
    assert!(!source.is_forgotten(5011, 0));
}
