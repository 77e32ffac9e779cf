//! The keyspace as commands and the shard's tasks see it.

use super::*;
use crate::effect::Records;
use crate::raw::Entry;
use crate::types::{Hash, List, Value, ValueRef};

fn keyspace() -> Keyspace {
    Keyspace::new(16, 42)
}

fn text(entry: &Entry) -> String {
    let mut scratch = itoa::Buffer::new();
    String::from_utf8(entry.value().str_bytes(&mut scratch).unwrap().to_vec()).unwrap()
}

fn deleted(ks: &Keyspace) -> Vec<(u32, Vec<u8>)> {
    Records::new(ks.effects.bytes())
        .map(|r| r.unwrap())
        .inspect(|r| assert_eq!(r.opcode, OPCODE_DEL))
        .map(|r| (r.db, r.args.as_args().at(0).to_vec()))
        .collect()
}

#[test]
fn set_get_overwrite_and_remove() {
    let mut ks = keyspace();
    let mut db = ks.db(0, 0, Mode::Live);
    db.set_str(b"a", b"one", None);
    assert_eq!(text(db.get(b"a").unwrap()), "one");
    db.set_str(b"a", b"2", None);
    assert!(matches!(db.get(b"a").unwrap().value(), ValueRef::Int(2)));
    assert!(db.get(b"b").is_none());
    assert!(db.remove(b"a"));
    assert!(!db.remove(b"a"));
    assert_eq!(db.len(), 0);
    assert_eq!((ks.stats.hits, ks.stats.misses), (2, 1));
}

#[test]
fn an_expired_key_is_gone_for_clients_and_stays_in_replay() {
    let mut ks = keyspace();
    ks.db(3, 0, Mode::Live).set_str(b"k", b"v", Some(100));
    assert!(ks.db(3, 100, Mode::Replay).contains(b"k"));
    assert!(ks.db(3, 99, Mode::Live).contains(b"k"));
    assert!(!ks.db(3, 100, Mode::Live).contains(b"k"));
    assert_eq!(deleted(&ks), [(3, b"k".to_vec())]);
    assert_eq!(ks.stats.expired, 1);
    assert_eq!(ks.db(3, 0, Mode::Live).len(), 0);
}

#[test]
fn a_set_over_an_expired_key_records_its_removal_first() {
    let mut ks = keyspace();
    ks.db(0, 0, Mode::Live).set_str(b"k", b"v", Some(100));
    ks.db(0, 200, Mode::Live).set_str(b"k", b"w", None);
    assert_eq!(deleted(&ks).len(), 1);
    assert_eq!(text(ks.db(0, 200, Mode::Live).peek(b"k").unwrap()), "w");
}

#[test]
fn keys_with_an_expiry_are_counted_exactly() {
    let mut ks = keyspace();
    let mut db = ks.db(0, 0, Mode::Live);
    for n in 0..1000 {
        db.set_str(format!("{n}").as_bytes(), b"v", (n % 2 == 0).then_some(n));
    }
    let mut db = ks.db(0, -1, Mode::Live);
    assert_eq!(db.expires_len(), 500);
    assert!(db.set_expire_at_ms(b"1", Some(7)));
    assert!(db.set_expire_at_ms(b"2", None));
    assert!(db.set_expire_at_ms(b"4", Some(9)));
    db.set_str(b"6", b"w", None);
    db.set_str(b"3", b"w", Some(5));
    db.remove(b"8");
    assert!(db.take(b"10").is_some());
    assert_eq!(db.expires_len(), 498);
    assert_eq!(db.flush(), 998);
    assert_eq!(db.expires_len(), 0);
}

#[test]
fn the_expiry_cycle_removes_what_is_due_in_all_databases_and_nothing_else() {
    let mut ks = keyspace();
    for index in [0, 5] {
        let mut db = ks.db(index, 0, Mode::Live);
        for n in 0..3000 {
            db.set_str(format!("{n}").as_bytes(), b"v", (n % 3 != 0).then_some(n));
        }
    }
    ks.set_active_expire(false);
    assert_eq!(ks.expire_cycle(1500, 10), ExpireReport { done: true, ..Default::default() });
    ks.set_active_expire(true);
    let mut expired = 0;
    let mut cycles = 0;
    loop {
        let report = ks.expire_cycle(1500, 100);
        assert!(report.examined < 1200, "{report:?}");
        expired += report.expired;
        cycles += 1;
        if report.done {
            break;
        }
    }
    assert!((10..200).contains(&cycles), "{cycles}");
    assert_eq!(expired, 2000);
    assert_eq!(deleted(&ks).len(), 2000);
    assert_eq!(ks.db(0, 0, Mode::Replay).len(), 2000);
    assert_eq!(ks.db(5, 0, Mode::Replay).expires_len(), 1000);
    let again = ks.expire_cycle(1500, usize::MAX);
    assert_eq!((again.examined, again.expired, again.done), (0, 0, true));
}

#[test]
fn a_scan_skips_the_expired_and_ends() {
    let mut ks = keyspace();
    let mut db = ks.db(0, 0, Mode::Live);
    for n in 0..1000 {
        db.set_str(format!("{n}").as_bytes(), b"v", (n % 2 == 0).then_some(10));
    }
    let mut db = ks.db(0, 50, Mode::Live);
    let (mut cursor, mut seen, mut steps) = (0, std::collections::HashSet::new(), 0);
    loop {
        cursor = db.scan(cursor, 10, &mut |e| {
            seen.insert(e.key().to_vec());
        });
        steps += 1;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), 500);
    assert!(steps > 30);
    let mut all = 0;
    db.for_each(&mut |_| all += 1);
    assert_eq!(all, 500);
}

#[test]
fn a_random_key_is_alive() {
    let mut ks = keyspace();
    assert_eq!(ks.db(0, 0, Mode::Live).random_key(), None);
    let mut db = ks.db(0, 0, Mode::Live);
    for n in 0..500 {
        db.set_str(format!("{n}").as_bytes(), b"v", Some(10));
    }
    db.set_str(b"alive", b"v", None);
    // In replay nothing is removed, so that the last resort is needed too.
    assert_eq!(ks.db(0, 50, Mode::Live).random_key().unwrap(), b"alive");
}

#[test]
fn databases_swap_and_indexes_out_of_range_change_nothing() {
    let mut ks = keyspace();
    ks.db(0, 0, Mode::Live).set_str(b"k", b"v", None);
    ks.swap(0, 9);
    ks.swap(0, 16);
    assert!(!ks.db(0, 0, Mode::Live).contains(b"k"));
    assert!(ks.db(9, 0, Mode::Live).contains(b"k"));
    assert!(ks.db(0, 0, Mode::Live).other(16).is_err());
}

#[test]
fn collections_are_made_on_demand_and_checked() {
    let mut ks = keyspace();
    let mut db = ks.db(0, 0, Mode::Live);
    assert!(db.get_or_insert_as::<Hash>(b"h", Hash::new).is_ok());
    assert!(db.get_mut_as::<Hash>(b"h").unwrap().is_some());
    assert!(db.get_as::<List>(b"h").is_err());
    assert!(db.get_mut_as::<List>(b"h").is_err());
    assert!(db.get_or_insert_as::<List>(b"h", List::new).is_err());
    assert!(db.remove_if_empty::<Hash>(b"h"));
    assert!(db.is_empty());
}

#[test]
fn an_entry_on_loan_comes_back_as_it_was() {
    let mut ks = keyspace();
    ks.set_clock(5_000);
    ks.db(2, 0, Mode::Live).set_str(b"k", b"v", Some(10));
    ks.set_clock(9_000);
    let entry = ks.checkout(2, b"k").unwrap();
    assert!(ks.checkout(2, b"k").is_none());
    let mut scratch = Keyspace::new(16, 1);
    assert_eq!(scratch.index_bytes(), 0);
    scratch.checkin(2, entry);
    scratch.drain(&mut |db, entry| ks.checkin(db, entry));
    assert!(scratch.is_empty());
    let mut db = ks.db(2, 0, Mode::Live);
    assert_eq!(db.peek(b"k").unwrap().expire_at_ms(), Some(10));
    assert_eq!(db.expires_len(), 1);
    assert_eq!(db.idle_seconds(b"k"), Some(4));
    assert!(ks.effects.is_empty());
    assert_eq!(ks.stats.hits, 0);
}

#[test]
fn idle_time_starts_again_with_an_access() {
    let mut ks = keyspace();
    ks.set_clock(1_000);
    ks.db(0, 0, Mode::Live).set_str(b"k", b"v", None);
    ks.set_clock(61_000);
    let mut db = ks.db(0, 0, Mode::Live);
    assert_eq!(db.idle_seconds(b"k"), Some(60));
    assert!(db.touch(b"k"));
    assert_eq!(db.idle_seconds(b"k"), Some(0));
    db.set_idle_seconds(b"k", 33);
    assert_eq!(db.idle_seconds(b"k"), Some(33));
}

#[test]
fn frequency_grows_with_accesses_and_decays_with_minutes() {
    let mut ks = keyspace();
    ks.set_access_policy(AccessPolicy::Lfu { log_factor: 0, decay_minutes: 1 });
    ks.set_clock(0);
    ks.db(0, 0, Mode::Live).set_str(b"k", b"v", None);
    let mut db = ks.db(0, 0, Mode::Live);
    assert_eq!(db.frequency(b"k"), Some(5));
    for _ in 0..10 {
        db.get(b"k");
    }
    assert_eq!(db.frequency(b"k"), Some(15));
    ks.set_clock(4 * 60_000);
    assert_eq!(ks.db(0, 0, Mode::Live).frequency(b"k"), Some(11));
}

#[test]
fn flushed_tables_are_freed_in_slices() {
    let mut ks = keyspace();
    let mut db = ks.db(0, 0, Mode::Live);
    for n in 0..1000 {
        db.set_str(format!("{n}").as_bytes(), b"v", None);
    }
    db.set(b"hash", Value::Hash(Box::new(Hash::new(&EncodingLimits::default()))), None);
    assert_eq!(db.flush(), 1001);
    assert_eq!(ks.lazyfree_pending_objects(), 1001);
    assert!(ks.free_some(400));
    assert_eq!(ks.lazyfree_pending_objects(), 601);
    while ks.free_some(400) {}
    assert_eq!((ks.lazyfree_pending_objects(), ks.lazyfreed_objects()), (0, 1001));
}

#[test]
fn commands_of_a_quiet_client_are_no_accesses_except_touch() {
    let mut keyspace = Keyspace::new(1, 7);
    keyspace.set_clock(1_000_000);
    keyspace.db(0, 1_000_000, Mode::Live).set_str(b"key", b"value", None);
    keyspace.set_clock(1_060_000);
    keyspace.set_quiet(true);
    let mut db = keyspace.db(0, 1_060_000, Mode::Live);
    assert!(db.get(b"key").is_some());
    assert_eq!(db.idle_seconds(b"key"), Some(60));
    assert!(db.touch(b"key"));
    assert_eq!(db.idle_seconds(b"key"), Some(0));
}

#[test]
fn a_key_that_moves_takes_along_what_is_known_of_its_accesses() {
    let mut keyspace = Keyspace::new(2, 7);
    keyspace.set_clock(1_000_000);
    keyspace.db(0, 1_000_000, Mode::Live).set_str(b"a", b"value", None);
    keyspace.set_clock(1_060_000);
    keyspace.set_quiet(true);
    let mut run = |line: &str| {
        let args = crate::ArgBuf::from_parts(line.split(' ').map(str::as_bytes));
        let name = line.split(' ').next().unwrap_or_default().to_lowercase();
        let command = crate::cmd::all().find(|c| c.spec.name == name).unwrap();
        let mut reply = crate::reply::TreeSink::new(false);
        let db = keyspace.db(0, 1_060_000, Mode::Live);
        (command.run)(&mut Ctx { db, reply: &mut reply }, args.as_args()).unwrap();
    };
    run("RENAME a b");
    run("COPY b copied");
    run("MOVE b 1");
    let mut idle = |db: usize, key: &[u8]| keyspace.db(db, 0, Mode::Live).idle_seconds(key);
    assert_eq!(idle(1, b"b"), Some(60));
    assert_eq!(idle(0, b"copied"), Some(0), "a copy is a new key");
}
