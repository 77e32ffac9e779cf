use super::*;
use std::collections::{BTreeMap, HashSet};

#[test]
fn names_are_unique_and_lower_case() {
    let mut seen = HashSet::new();
    for name in PARAMS.iter().flat_map(Param::names) {
        assert!(seen.insert(name), "{name} twice");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
    }
}

#[test]
fn every_default_is_a_value_and_reads_back() {
    let config = Config::default();
    for param in PARAMS {
        let mut copy = config.clone();
        param.set_text(&mut copy, param.default.as_bytes()).expect(param.name);
        param.set_text(&mut copy, &param.text(&config)).expect(param.name);
        assert!(param.is_same(&copy, &config), "{}", param.name);
        assert!(!param.doc.trim().is_empty());
    }
}

#[test]
fn every_value_is_written_as_lines_that_read_back() {
    for param in PARAMS {
        for value in good_values(param) {
            let (mut config, mut again) = (Config::default(), Config::default());
            param.set_text(&mut config, value.as_bytes()).expect(param.name);
            for (n, line) in param.lines(&config).iter().enumerate() {
                let words = ringstone_proto::resp::split_args(line).unwrap();
                param.set(&mut again, &words, n > 0).expect(param.name);
            }
            assert!(param.is_same(&config, &again), "{} {value:?}", param.name);
        }
    }
}

#[test]
fn every_bad_value_is_refused_and_changes_nothing() {
    for param in PARAMS {
        for value in bad_values(param.kind) {
            let mut config = Config::default();
            let refused = param.set_text(&mut config, value.as_bytes());
            assert!(refused.is_err(), "{} takes {value:?}", param.name);
            assert_eq!(config, Config::default(), "{} {value:?}", param.name);
        }
        if !param.kind.is_list() {
            let two = [b"1".to_vec(), b"2".to_vec()];
            assert!(param.set(&mut Config::default(), &two, false).is_err(), "{}", param.name);
        }
    }
}

/// Values at the edges of a kind.
fn good_values(param: &Param) -> Vec<String> {
    let owned = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect();
    match param.kind {
        Kind::Bool => owned(&["yes", "no", "YES"]),
        Kind::Int { min, max, .. } | Kind::Memory { min, max } => {
            vec![min.to_string(), max.to_string()]
        }
        Kind::MemoryOrPercent => owned(&["0", "5mb", "1%", "100%", &i64::MAX.to_string()]),
        Kind::Octal { max } => vec!["0".to_owned(), format!("{max:o}"), "700".to_owned()],
        Kind::Enum(words) => owned(words),
        Kind::Secret | Kind::Path => owned(&["", "a b", "\"q\" \\ '", "#x", "\n"]),
        Kind::FileName { may_be_empty: true } => owned(&["", "x y"]),
        Kind::FileName { .. } | Kind::DirName => owned(&["x", "a b"]),
        Kind::Dir => owned(&["/", "."]),
        Kind::Addresses => owned(&["", "*", "::1 -::* localhost"]),
        Kind::SavePoints => owned(&["", "1 0", "900 1 60 10000"]),
        Kind::Percentiles => owned(&["", "0", "50 99.9 100"]),
        Kind::Events => owned(&["", "KEA", "g$lshzxetdnKEm"]),
        Kind::OutputLimits => owned(&["normal 1 2 3", "replica 1gb 1kb 0 pubsub 0 0 0"]),
    }
}

fn bad_values(kind: Kind) -> Vec<String> {
    let owned = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect();
    match kind {
        Kind::Bool => owned(&["", "1", "true", "yes ", "maybe"]),
        Kind::Int { min, max, .. } => {
            let mut out: Vec<String> = owned(&["", "x", "1x", " 1", "0x1", "+1", "01", "1.5"]);
            out.push((i128::from(min) - 1).to_string());
            out.push((i128::from(max) + 1).to_string());
            out
        }
        Kind::Memory { min, max } => {
            let mut out: Vec<String> = owned(&["", "x", "-1", "1.5gb", "1 mb", "10%", "kb"]);
            if min > 0 {
                out.push((min - 1).to_string());
            }
            if max < i64::MAX {
                out.push((max + 1).to_string());
            }
            out
        }
        Kind::MemoryOrPercent => {
            owned(&["", "x", "-1", "101%", "1.5%", "+5%", "%", "99999999999gb"])
        }
        Kind::Octal { .. } => owned(&["", "9", "1777", "-1", "rw"]),
        Kind::Enum(_) => owned(&["", "nosuch"]),
        Kind::Secret => Vec::new(),
        Kind::Path => owned(&["a\0b"]),
        Kind::FileName { may_be_empty: true } => owned(&["a/b"]),
        Kind::FileName { .. } => owned(&["", "a/b"]),
        Kind::DirName => owned(&["", "a/b", "..", "."]),
        Kind::Dir => owned(&["", "/no/such/directory", "/dev/null"]),
        Kind::Addresses => owned(&["a/b", "127.0.0.1 ", "x y z/"]),
        Kind::Percentiles => owned(&["101", "-1", "50 x", "nan", "50  99"]),
        Kind::SavePoints => owned(&["1", "1 2 3", "0 1", "1 -1", "a b", "1 2  3 4"]),
        Kind::Events => owned(&["KEq", "kea", "K E"]),
        Kind::OutputLimits => {
            owned(&["normal", "normal 1 2", "nobody 1 2 3", "normal a 2 3", "normal 1 2 -3"])
        }
    }
}

/// Where Ringstone's default is deliberately another one than that of redis-server.
const OTHER_DEFAULTS: &[&str] = &["bind", "appendonly", "appenddirname"];

#[test]
fn shared_parameters_have_the_values_of_redis() {
    // CONFIG GET of redis-server 7.0.15 without a file. Its `port` and `dir` are those of the run.
    let redis: BTreeMap<&str, &str> = include_str!("redis-7.0.15-defaults.txt")
        .lines()
        .filter_map(|line| line.split_once(' ').or(Some((line, ""))))
        .collect();
    let config = Config::default();
    let mut shared = 0;
    for param in PARAMS.iter().filter(|p| !OTHER_DEFAULTS.contains(&p.name) && p.name != "dir") {
        for name in param.names() {
            let Some(theirs) = redis.get(name) else { continue };
            assert_eq!(String::from_utf8_lossy(&param.text(&config)), *theirs, "{name}");
            shared += 1;
        }
    }
    assert!(shared > 40, "only {shared} shared");
}
