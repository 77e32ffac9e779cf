//! The command line, as redis-server has it:
//!
//! ```text
//! ringstone-server [file|-] [--name value ...] [-]      settings beat the file; "-" reads settings from standard input
//! ringstone-server -v | --version | -h | --help
//! ```
//!
//! What follows `--name` is its value even if it begins with `--`, save for parameters that need none.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use ringstone_proto::resp::split_args;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run the server.
    Run(CommandLine),
    /// Print the version.
    Version,
    /// Print [`HELP`].
    Help,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// Read settings from standard input, after the file.
    pub stdin: bool,
    /// Settings, each a name and its words; they come last.
    pub settings: Vec<Vec<Vec<u8>>>,
}

/// The text of `--help`.
pub const HELP: &str = "\
Usage: ringstone-server [FILE | -] [--NAME VALUE ...]

  FILE            configuration file, in the syntax of redis.conf
  -               read settings from standard input
  --NAME VALUE    set a parameter; beats the file
  --force-truncate
                  start although acknowledged writes are missing from the log
  -v, --version   print the version
  -h, --help      print this text

Examples:
  ringstone-server
  ringstone-server /etc/ringstone/ringstone.conf
  ringstone-server --port 7777 --appendfsync always
  ringstone-server /etc/ringstone/ringstone.conf --loglevel verbose --save \"\"
  echo 'port 7777' | ringstone-server -

All parameters: docs/config.md, or the sample file ringstone.conf.
";

/// Parameters that stand for something without a value.
const BARE: &[(&[u8], &[u8])] = &[(b"save", b""), (b"force-truncate", b"yes")];

impl Action {
    /// Reads the arguments, without the program's name.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Action {
        let args: Vec<Vec<u8>> = args.into_iter().map(OsString::into_vec).collect();
        match args.first().map(Vec::as_slice) {
            Some(b"-v" | b"--version") => Action::Version,
            Some(b"-h" | b"--help") => Action::Help,
            _ => Action::Run(CommandLine::parse(&args)),
        }
    }
}

impl CommandLine {
    fn parse(args: &[Vec<u8>]) -> CommandLine {
        let mut line = CommandLine::default();
        let mut rest = args;
        if let Some((first, after)) = rest.split_first()
            && !first.starts_with(b"-")
        {
            line.file = Some(PathBuf::from(OsString::from_vec(first.clone())));
            rest = after;
        }
        // True directly after a name that still lacks its value.
        let mut lacks_value = false;
        let mut is_first = line.file.is_none();
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            if arg == b"-" && (is_first || rest.is_empty()) {
                line.stdin = true;
            } else if let Some(name) = arg.strip_prefix(b"--").filter(|_| !lacks_value) {
                // As in Redis, one argument may hold the name and the value: `"--port 6380"`.
                let words = split_args(name).unwrap_or_else(|_| vec![name.to_vec()]);
                lacks_value = words.len() == 1;
                let mut setting = words;
                if let Some(value) = bare_value(&setting).filter(|_| ends_here(rest)) {
                    setting.push(value.to_vec());
                    lacks_value = false;
                }
                line.settings.push(setting);
            } else {
                match line.settings.last_mut() {
                    Some(setting) => setting.push(arg.clone()),
                    None => line.settings.push(vec![arg.clone()]),
                }
                lacks_value = false;
            }
            is_first = false;
        }
        line
    }
}

/// The value that a name has when none follows it.
fn bare_value(setting: &[Vec<u8>]) -> Option<&'static [u8]> {
    let [name] = setting else { return None };
    BARE.iter().find(|(bare, _)| name.eq_ignore_ascii_case(bare)).map(|(_, value)| *value)
}

fn ends_here(rest: &[Vec<u8>]) -> bool {
    rest.first().is_none_or(|next| next.starts_with(b"--"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> CommandLine {
        let Action::Run(line) = Action::parse(args.iter().map(OsString::from)) else {
            panic!("{args:?} do not run the server")
        };
        line
    }

    fn settings(args: &[&str]) -> Vec<String> {
        let join = |words: &Vec<Vec<u8>>| {
            let words: Vec<_> =
                words.iter().map(|w| format!("{:?}", w.escape_ascii().to_string())).collect();
            words.join(" ")
        };
        run(args).settings.iter().map(join).collect()
    }

    #[test]
    fn reads_file_stdin_and_settings() {
        let line = run(&["a.conf", "--port", "0", "-"]);
        assert_eq!((line.file, line.stdin), (Some(PathBuf::from("a.conf")), true));
        assert_eq!(line.settings.len(), 1);
        let line = run(&["-", "--port", "1"]);
        assert_eq!((line.file, line.stdin), (None, true));
        assert_eq!(run(&[]), CommandLine::default());
        assert_eq!(Action::parse(["-v".into()]), Action::Version);
        assert_eq!(Action::parse(["--help".into()]), Action::Help);
    }

    #[test]
    fn values_go_up_to_the_next_name() {
        assert_eq!(
            settings(&["--save", "3600", "1", "300", "100", "--port", "0"]),
            ["\"save\" \"3600\" \"1\" \"300\" \"100\"", "\"port\" \"0\""]
        );
        assert_eq!(settings(&["--requirepass", "--secret"]), ["\"requirepass\" \"--secret\""]);
        assert_eq!(settings(&["--port 6380"]), ["\"port\" \"6380\""]);
        assert_eq!(settings(&["--bind", "-::1"]), ["\"bind\" \"-::1\""]);
    }

    #[test]
    fn some_names_need_no_value() {
        let empty = "\"save\" \"\"";
        assert_eq!(settings(&["--save", ""]), [empty]);
        assert_eq!(settings(&["--save"]), [empty]);
        assert_eq!(settings(&["--save", "--port", "1"]), [empty, "\"port\" \"1\""]);
        let truncate = "\"force-truncate\" \"yes\"";
        assert_eq!(settings(&["--force-truncate", "--port", "1"]), [truncate, "\"port\" \"1\""]);
        assert_eq!(settings(&["--force-truncate", "no"]), ["\"force-truncate\" \"no\""]);
    }
}
