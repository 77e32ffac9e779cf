use proptest::prelude::*;
use ringstone_engine::ArgBuf;

use super::*;
use crate::table::{Entry, Table};

fn set(users: &mut Users, name: &str, rules: &str) -> Result<(), String> {
    let rules = rules.split(' ').map(str::as_bytes);
    users.set(name.as_bytes(), rules, NewChannels::None).map_err(|e| e.to_string())
}

fn described(rules: &str) -> String {
    let mut users = Users::new(None);
    match set(&mut users, "u", rules) {
        Ok(()) => String::from_utf8(users.get(b"u").unwrap().describe()).unwrap(),
        Err(error) => error,
    }
}

fn command(line: &str) -> (&'static Entry, ArgBuf) {
    let args = ArgBuf::from_parts(line.split(' '));
    let top = Table::get().find(args.as_args().at(0)).unwrap();
    let entry = if top.subs.is_empty() { top } else { top.sub(args.as_args()).unwrap() };
    (entry, args)
}

/// `ok`, or the reason and the argument.
fn verdict(rules: &str, line: &str) -> String {
    let mut users = Users::new(None);
    set(&mut users, "u", rules).unwrap();
    let (entry, args) = command(line);
    match users.get(b"u").unwrap().may(entry, args.as_args()) {
        Ok(()) => "ok".to_owned(),
        Err(denied) => format!("{:?} {}", denied.reason, denied.argument),
    }
}

#[test]
fn rules_are_described_in_few_words() {
    let hash = format!("#{}", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    for (rules, expected) in [
        ("", "off resetchannels -@all"),
        ("on nopass ~* &* +@all", "on nopass ~* &* +@all"),
        ("on >test", &*format!("on {hash} resetchannels -@all")),
        ("on >test >test nopass >test", &format!("on {hash} resetchannels -@all")),
        ("reset", "off sanitize-payload resetchannels -@all"),
        ("skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"),
        ("%R~a %W~a %W~b %rw~c %R~d", "off ~a %W~b ~c %R~d resetchannels -@all"),
        ("~a ~b resetkeys ~c &x &y &x", "off ~c resetchannels &x &y -@all"),
        ("+get -get +set", "off resetchannels -@all +set"),
        ("+@all -get -set", "off resetchannels +@all -get -set"),
        ("+@all -config|set -config|get", "off resetchannels +@all -config|get -config|set"),
        ("+config -config|set", "off resetchannels -@all +config -config|set"),
        ("+config|set +config|get +config", "off resetchannels -@all +config"),
        ("+@all -@hash +hget", "off resetchannels +@all -@hash +hget"),
        ("-@all +@hash -hget", "off resetchannels -@all +@hash -hget"),
        ("+select|1 +select|2 +SELECT|1", "off resetchannels -@all +select|1 +select|2"),
        ("+select|1 +select", "off resetchannels -@all +select"),
        (
            "+get (~a +set) ( &c %R~b +get )",
            "off resetchannels -@all +get (~a resetchannels -@all +set) (%R~b resetchannels &c -@all +get)",
        ),
        ("(+get) clearselectors", "off resetchannels -@all"),
        ("()", "off resetchannels -@all (resetchannels -@all)"),
    ] {
        assert_eq!(described(rules), expected, "{rules}");
        if !rules.is_empty() {
            assert_eq!(described(expected), expected, "a description is read back");
        }
    }
}

#[test]
fn wrong_rules_are_refused_with_the_reason() {
    let rule = |rule: &str, why: &str| format!("Error in ACL SETUSER modifier '{rule}': {why}");
    let unknown = "Unknown command or category name in ACL";
    for (rules, bad, why) in [
        ("foo", "foo", "Syntax error"),
        ("+nosuch", "+nosuch", unknown),
        ("+@nosuch", "+@nosuch", unknown),
        ("-config|nosuch", "-config|nosuch", unknown),
        ("-get|a", "-get|a", unknown),
        ("+get|a|b", "+get|a|b", unknown),
        ("+config|get|a", "+config|get|a", "Allowing first-arg of a subcommand is not supported"),
        ("+get|", "+get|", "Syntax error"),
        ("%~a", "%~a", "Syntax error"),
        ("%RR~a", "%RR~a", "Syntax error"),
        ("%X~a", "%X~a", "Syntax error"),
        (
            "<nosuch",
            "<nosuch",
            "The password you are trying to remove from the user does not exist",
        ),
        (
            "#12",
            "#12",
            "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters",
        ),
        ("(on)", "(on)", "Syntax error"),
        (")", ")", "Syntax error"),
    ] {
        assert_eq!(described(rules), rule(bad, why), "{rules}");
    }
    assert!(
        described("allkeys ~a")
            .contains("Adding a pattern after the * pattern (or the 'allkeys' flag)")
    );
    assert!(
        described("&* &a").contains("Try 'resetchannels' to start with an empty list of channels")
    );
    assert_eq!(described("+get ( ~a"), "Unmatched parenthesis in acl selector starting at '('.");
}

#[test]
fn one_wrong_rule_leaves_the_user_as_it_was() {
    let mut users = Users::new(None);
    set(&mut users, "u", "on +get ~a").unwrap();
    let before = users.lines();
    assert!(set(&mut users, "u", "+set nosuch").is_err());
    assert!(set(&mut users, "v", "on nosuch").is_err());
    assert!(set(&mut users, "a b", "on").is_err());
    assert_eq!(users.lines(), before);
    assert_eq!(users.iter().len(), 2);
}

#[test]
fn commands_keys_and_channels_are_checked() {
    for (rules, line, expected) in [
        ("+get ~a*", "GET abc", "ok"),
        ("+get ~a*", "GET b", "Key 1"),
        ("+get ~a*", "SET abc 1", "Command 0"),
        ("+mget ~a*", "MGET a ab b c", "Key 3"),
        ("+@all %R~r %W~w", "GET r", "ok"),
        ("+@all %R~r %W~w", "GET w", "Key 1"),
        ("+@all %R~r %W~w", "SET w 1", "ok"),
        ("+@all %R~r %W~w", "SET w 1 GET", "Key 1"),
        ("+@all %R~r %W~w", "SET r 1", "Key 1"),
        ("+@all %R~r %W~w", "COPY r w", "ok"),
        ("+@all %R~r %W~w", "COPY w r", "Key 1"),
        ("+@all %R~r %W~w", "EXISTS r w", "ok"),
        ("+@all %R~r %W~w", "EXISTS r w x", "Key 3"),
        ("+@all %R~r %W~w", "BITFIELD r GET u4 0", "ok"),
        ("+@all %R~r %W~w", "BITFIELD r GET u4 0 SET u4 0 1", "Key 1"),
        ("+@all %R~r %W~w", "SORT r STORE w", "ok"),
        ("+@all %R~r %W~w", "SORT r STORE r", "Key 3"),
        ("+@all %R~r %W~w", "SORT w", "Key 1"),
        ("+@all %R~r %W~w", "ZUNIONSTORE w 1 r", "ok"),
        ("+@all %R~r %W~w", "ZUNIONSTORE x 7 r", "ok"),
        ("+@all %R~r %W~w", "ZUNIONSTORE r 1 r", "Key 1"),
        ("(+@all %R~r) (+@all %W~w)", "COPY r w", "Key 2"),
        ("+mget ~key (+mget ~key ~other)", "MGET other some", "Key 2"),
        ("+select|0", "SELECT 0", "ok"),
        ("+select|0", "SELECT 1", "Command 0"),
        ("-@all", "AUTH a b", "ok"),
        ("+@all -client|kill", "CLIENT KILL x", "Command 0"),
        ("+@all -client|kill", "CLIENT ID", "ok"),
        ("+client|id", "CLIENT ID", "ok"),
    ] {
        assert_eq!(verdict(rules, line), expected, "{rules}: {line}");
    }
}

#[test]
fn any_key_is_readable_only_where_one_selector_says_so() {
    for (rules, expected) in [
        ("+@all ~*", true),
        ("+@all ~l", false),
        ("+sort ~l ~v*", false),
        ("+sort ~l %W~*", false),
        ("+sort ~l %R~*", true),
        ("+sort ~l (+get %R~*)", false),
    ] {
        let mut users = Users::new(None);
        set(&mut users, "u", rules).unwrap();
        let (entry, args) = command("SORT l BY v*");
        let user = users.get(b"u").unwrap();
        assert_eq!(user.may_read_every_key(entry, args.as_args()), expected, "{rules}");
    }
}

#[test]
fn passwords_open_the_door() {
    let mut users = Users::new(None);
    set(&mut users, "u", ">one >two").unwrap();
    assert!(users.log_in(b"u", b"one").is_none(), "not while it is off");
    set(&mut users, "u", "on").unwrap();
    assert!(users.log_in(b"u", b"one").is_some() && users.log_in(b"u", b"two").is_some());
    assert!(users.log_in(b"u", b"three").is_none() && users.log_in(b"v", b"one").is_none());
    set(&mut users, "u", "<one").unwrap();
    assert!(users.log_in(b"u", b"one").is_none());
    assert!(!users.must_authenticate());
    users.set_default_password(Some(b"secret"));
    assert!(users.must_authenticate() && users.log_in(b"default", b"secret").is_some());
    users.set_default_password(None);
    assert!(!users.must_authenticate() && users.log_in(b"default", b"any").is_some());
}

#[test]
fn a_deleted_user_is_another_than_its_namesake() {
    let mut users = Users::new(None);
    set(&mut users, "u", "on").unwrap();
    let first = users.get(b"u").unwrap().clone();
    set(&mut users, "u", "+get").unwrap();
    assert!(users.heir(&first).is_some_and(|heir| heir.describe() != first.describe()));
    assert!(users.delete(b"u") && !users.delete(b"u") && !users.delete(b"default"));
    set(&mut users, "u", "on").unwrap();
    assert!(users.heir(&first).is_none());
    let second = users.get(b"u").unwrap().clone();
    let default = users.default().clone();
    let same = from_file("f", &users.lines().join(&b'\n'), NewChannels::None).unwrap();
    let loaded = users.replaced_by(same);
    assert_eq!(loaded.lines(), users.lines());
    assert!(loaded.heir(&second).is_none() && loaded.heir(&default).is_some());
}

#[test]
fn subscribers_stay_while_no_channel_is_taken_away() {
    let keeps = |before: &str, after: &str| {
        let mut users = Users::new(None);
        set(&mut users, "b", before).unwrap();
        set(&mut users, "a", after).unwrap();
        users.get(b"a").unwrap().keeps_subscribers_of(users.get(b"b").unwrap())
    };
    assert!(keeps("&a", "&a &b") && keeps("&a", "&*") && keeps("&a", "&x (&a)"));
    assert!(!keeps("&a &b", "&a") && !keeps("&*", "&a") && !keeps("&a", "off"));
    let mut users = Users::new(None);
    set(&mut users, "u", "&news:*").unwrap();
    let user = users.get(b"u").unwrap();
    assert!(user.allows_channel(b"news:a", false) && !user.allows_channel(b"news:a*", true));
    assert!(user.allows_channel(b"news:*", true) && !user.allows_channel(b"x", false));
}

#[test]
fn a_file_is_taken_as_a_whole_or_told_off_line_by_line() {
    let good = "user ann on +get ~a\n\n  user bob on nopass (+set %W~w*) (+get %R~r*)\r\n";
    let users = from_file("users.acl", good.as_bytes(), NewChannels::None).unwrap();
    assert_eq!(users.iter().len(), 3);
    assert_eq!(users.default().describe(), b"on nopass ~* &* +@all");
    let bad = "users ann\nuser ann on +nosuch foo bar\nuser ann off\nuser bob (\nuser a\tb";
    let told = from_file("f", bad.as_bytes(), NewChannels::None).unwrap_err();
    for part in [
        "f:1 should start with user keyword followed by the username. ",
        "f:2: Error in applying operation '+nosuch': Unknown command or category name in ACL. f:2: Syntax error. ",
        "WARNING: Duplicate user 'ann' found on line 3. ",
        "f:4: Unmatched parenthesis in selector definition. ",
        "f:5: username 'a\tb' contains invalid characters. ",
        "no change to the previously active ACL rules was performed",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("bar"));
}

#[test]
fn lines_of_the_configuration_make_users() {
    let words = |text: &str| text.split(' ').map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>();
    let lines = [words("default on nopass ~* +@all"), words("ann >x ( +get ~a )")];
    let lines: Vec<_> =
        lines.iter().map(|words| ConfiguredUser { place: "c".into(), words }).collect();
    let made = from_config(&lines, Some(b"old"), NewChannels::None).unwrap();
    assert_eq!(made.disabled, ["ann"]);
    let default = made.users.default().describe();
    assert_eq!(default, b"on nopass sanitize-payload ~* resetchannels +@all");
    assert!(!made.users.is_plain(None));
    assert!(Users::new(Some(b"p")).is_plain(Some(b"p")) && !Users::new(None).is_plain(Some(b"p")));
    for (text, why) in [
        ("foo on", "Duplicate user found"),
        ("bar >x #12", "'(hidden)': The password hash"),
        ("bar +nosuch", "'+nosuch': Unknown command"),
        ("bar (", "'(': Unmatched"),
    ] {
        let (first, second) = (words("foo on"), words(text));
        let lines = [&first, &second]
            .map(|words| ConfiguredUser { place: "my.conf, line 7".into(), words });
        let told = from_config(&lines, None, NewChannels::None).unwrap_err();
        assert!(told.starts_with("my.conf, line 7: ") && told.contains(why), "{told}");
    }
}

/// Rules that mean something, as they may follow one another.
fn any_rule() -> impl Strategy<Value = String> {
    let words = || {
        let commands = Table::get().sorted();
        let subs = commands.iter().flat_map(|top| top.subs.iter().map(|(_, sub)| sub.spec.name));
        let names: Vec<String> =
            commands.iter().map(|top| top.spec.name).chain(subs).map(str::to_owned).collect();
        let categories = ringstone_engine::cmd::CATEGORIES.iter().map(|name| (*name).to_owned());
        names.into_iter().chain(categories).chain(["@all".to_owned()]).collect::<Vec<_>>()
    };
    let about_commands = (prop::sample::select(vec!['+', '-']), prop::sample::select(words()))
        .prop_map(|(s, w)| format!("{s}{w}"));
    let inner = prop_oneof![
        8 => about_commands,
        1 => "\\+(get|select|set)\\|[ab01]".prop_map(|rule| rule),
        2 => "(~|%R~|%W~|%RW~)[ab*?]{0,3}".prop_map(|rule| rule),
        2 => "&[ab*]{0,3}".prop_map(|rule| rule),
        1 => prop::sample::select(vec!["allkeys", "resetkeys", "allchannels", "resetchannels", "nocommands"])
            .prop_map(str::to_owned),
    ];
    let inner = inner.boxed();
    prop_oneof![
        6 => inner.clone(),
        1 => prop::collection::vec(inner, 0..6).prop_map(|rules| format!("({})", rules.join(" "))),
        1 => prop::sample::select(vec!["on", "off", "nopass", ">a", ">b", "<a", "reset", "clearselectors"])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_rules_made_is_described_so_that_it_is_made_again(
        rules in prop::collection::vec(any_rule(), 0..20),
    ) {
        let mut users = Users::new(None);
        // Those that are refused change nothing.
        for rule in &rules {
            let _refused = users.set(b"u", [rule.as_bytes()], NewChannels::None);
        }
        let text = users.lines().join(&b'\n');
        for channels in [NewChannels::None, NewChannels::All] {
            let again = from_file("f", &text, channels);
            let again = again.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&text)));
            prop_assert!(again.mean_the_same_as(&users), "{}", String::from_utf8_lossy(&text));
            for (user, again) in users.iter().zip(again.iter()) {
                for (selector, again) in user.all_selectors().zip(again.all_selectors()) {
                    prop_assert_eq!(&selector.commands, &again.commands);
                    prop_assert_eq!(&selector.first_args, &again.first_args);
                }
            }
        }
    }
}
