//! `docs/config.md` and the sample `ringstone.conf`, from the table.

use super::params::{PARAMS, Param, When};
use super::unsupported::UNSUPPORTED;
use std::fmt::Write;

/// The text of `docs/config.md`.
pub fn config_markdown() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         Generated from `server/src/config/params.rs`; do not edit. A parameter is set in the configuration file \
         (`name value`, the syntax of redis.conf), on the command line (`--name value`, which beats the file) or, where \
         the table says *live*, with CONFIG SET. CONFIG REWRITE writes the values in force into the file.\n\n\
         Sizes take a unit: `1k` is 1000 bytes, `1kb` 1024, likewise `m`, `mb`, `g` and `gb`.\n",
    );
    for section in sections() {
        let _infallible = write!(
            out,
            "\n## {section}\n\n| parameter | value | default | change | meaning |\n|---|---|---|---|---|\n"
        );
        for param in PARAMS.iter().filter(|p| p.section == section) {
            let _infallible = writeln!(
                out,
                "| `{}`{} | {} | `{}` | {} | {} |",
                param.name,
                param.aliases.iter().map(|a| format!(", `{a}`")).collect::<String>(),
                param.kind.describe(),
                default_text(param),
                when_text(param.when),
                param.doc.trim(),
            );
        }
    }
    out.push_str(
        "\n## Parameters of Redis without effect\n\n\
         They give a warning at start, unless they have the value in the second column. Those marked *refused* stop the \
         start, as the server would be less protected than asked for. A parameter that stands nowhere on this page \
         stops the start as well.\n\n| parameter | no warning with | why |\n|---|---|---|\n",
    );
    for entry in UNSUPPORTED {
        let fits = match entry.fits {
            None => String::new(),
            Some("") => "`\"\"`".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        let refused = if entry.refused { " (*refused*)" } else { "" };
        let _infallible =
            writeln!(out, "| `{}`{refused} | {fits} | {} |", entry.name, entry.reason);
    }
    out
}

/// The text of the sample configuration file: every parameter with its default, commented out.
pub fn sample_conf() -> String {
    let mut out = String::from(
        "# Ringstone's sample configuration: every parameter with its default.\n\
         #\n\
         #   ringstone-server /path/to/ringstone.conf [--name value ...]\n\
         #\n\
         # The syntax is that of redis.conf: one parameter a line, words in quotes where they hold spaces, and\n\
         # include /path/to/*.conf\n\
         # takes in further files. Sizes take a unit: 1k is 1000 bytes, 1kb 1024, likewise m, mb, g and gb.\n",
    );
    for section in sections() {
        let _infallible = write!(out, "\n################ {section} ################\n");
        for param in PARAMS.iter().filter(|p| p.section == section && p.when != When::CommandLine) {
            out.push('\n');
            let text = format!("{} Takes {}.", param.doc.trim(), param.kind.describe());
            wrap(&mut out, &text);
            let _infallible = writeln!(out, "# {} {}", param.name, default_text(param));
        }
    }
    out
}

fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = PARAMS.iter().map(|p| p.section).collect();
    sections.dedup();
    sections
}

fn default_text(param: &Param) -> &'static str {
    if param.default.is_empty() { "\"\"" } else { param.default }
}

fn when_text(when: When) -> &'static str {
    match when {
        When::Boot => "at start",
        When::Live => "live",
        When::Protected => "live, if `enable-protected-configs` allows it",
        When::CommandLine => "command line only",
    }
}

/// Comment lines of up to 78 characters.
fn wrap(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.len() > 76 {
            out.push('\n');
            width = 0;
        }
        out.push_str(if width == 0 { "# " } else { " " });
        out.push_str(word);
        width += word.len() + 1;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::file::load_text;
    use super::super::params::Config;
    use super::*;

    /// Compares with the file in the repository; with `UPDATE_DOCS=1` in the environment writes it.
    fn assert_fresh(path: &str, expected: &str) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "{} is stale: run UPDATE_DOCS=1 cargo test -p ringstone-server config::docs",
            path.display()
        );
    }

    #[test]
    fn the_page_is_fresh() {
        assert_fresh("docs/config.md", &config_markdown());
    }

    #[test]
    fn the_sample_file_is_fresh() {
        assert_fresh("ringstone.conf", &sample_conf());
    }

    #[test]
    fn the_sample_file_without_its_hashes_is_the_default_configuration() {
        let is_setting = |line: &&str| {
            let name = line.split(' ').next().unwrap_or("");
            line.starts_with(char::is_lowercase) && Param::find(name.as_bytes()).is_some()
        };
        let text = sample_conf();
        let lines: Vec<&str> =
            text.lines().filter_map(|l| l.strip_prefix("# ")).filter(is_setting).collect();
        let rows = PARAMS.iter().filter(|p| p.when != When::CommandLine).count();
        assert_eq!(lines.len(), rows);
        let (config, warnings) = load_text("sample", lines.join("\n").as_bytes()).unwrap();
        assert_eq!(config, Config::default());
        assert!(warnings.is_empty());
        assert_eq!(load_text("sample", text.as_bytes()).unwrap().0, Config::default());
    }
}
