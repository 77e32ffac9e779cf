//! A command's words as logs and monitors may show them: without passwords.

use std::borrow::Cow;

use ringstone_engine::Args;

use crate::config::Param;

/// What stands in a secret's place.
const REDACTED: &[u8] = b"(redacted)";
/// Parameters of Redis with secrets that are none of ours; somebody may set them all the same.
const FOREIGN_SECRETS: &[&str] =
    &["masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass"];

/// The words of the command `name` with its secrets taken out.
pub fn redacted<'a>(name: &str, args: Args<'a>) -> Vec<Cow<'a, [u8]>> {
    let is_secret = secrets(name, args);
    let words = args.iter_from(0).enumerate();
    words.map(|(at, word)| Cow::Borrowed(if is_secret(at) { REDACTED } else { word })).collect()
}

/// Which arguments are secret.
fn secrets<'a>(name: &str, args: Args<'a>) -> Box<dyn Fn(usize) -> bool + 'a> {
    match name {
        "auth" => Box::new(|at| at >= 1),
        "acl|setuser" | "acl|deluser" | "acl|getuser" => Box::new(|at| at >= 2),
        "config|set" => Box::new(move |at| at >= 3 && at % 2 == 1 && names_secret(args.at(at - 1))),
        "hello" => {
            let auth = position(args, 2, "AUTH");
            Box::new(move |at| auth.is_some_and(|auth| at == auth + 1 || at == auth + 2))
        }
        "migrate" => {
            let (auth, auth2) = (position(args, 6, "AUTH"), position(args, 6, "AUTH2"));
            Box::new(move |at| {
                auth.is_some_and(|auth| at == auth + 1)
                    || auth2.is_some_and(|auth| at == auth + 1 || at == auth + 2)
            })
        }
        _ => Box::new(|_| false),
    }
}

fn position(args: Args<'_>, from: usize, word: &str) -> Option<usize> {
    (from..args.len()).find(|at| args.is(*at, word))
}

fn names_secret(parameter: &[u8]) -> bool {
    Param::find(parameter).is_some_and(Param::is_secret)
        || FOREIGN_SECRETS.iter().any(|name| parameter.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringstone_engine::ArgBuf;

    fn shown(name: &str, line: &str) -> String {
        let args = ArgBuf::from_parts(line.split(' '));
        let words = redacted(name, args.as_args());
        let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
        words.join(" ")
    }

    #[test]
    fn passwords_are_taken_out_and_nothing_else() {
        for (name, line, expected) in [
            ("auth", "AUTH user pass", "AUTH (redacted) (redacted)"),
            ("hello", "HELLO 3 AUTH u p SETNAME n", "HELLO 3 AUTH (redacted) (redacted) SETNAME n"),
            (
                "config|set",
                "CONFIG SET requirepass x hz 10",
                "CONFIG SET requirepass (redacted) hz 10",
            ),
            ("config|set", "config set masterauth x", "config set masterauth (redacted)"),
            ("acl|setuser", "ACL SETUSER me >p", "ACL SETUSER (redacted) (redacted)"),
            (
                "migrate",
                "MIGRATE h 1 k 0 9 AUTH2 u p",
                "MIGRATE h 1 k 0 9 AUTH2 (redacted) (redacted)",
            ),
            ("set", "SET auth x", "SET auth x"),
        ] {
            assert_eq!(shown(name, line), expected);
        }
    }
}
