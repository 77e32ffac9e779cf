//! Command scripts: a command a line, words quoted as in redis-cli, `#` begins a comment.

/// The words of a line; double quotes with `\n`, `\r`, `\"`, `\\`, `\xHH`.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(&first) = chars.peek() {
        if first == ' ' {
            chars.next();
            continue;
        }
        let mut word = Vec::new();
        let quoted = first == '"';
        if quoted {
            chars.next();
        }
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted => break,
                ' ' if !quoted => break,
                '\\' if quoted => match chars.next().expect("an escape is whole") {
                    'n' => word.push(b'\n'),
                    'r' => word.push(b'\r'),
                    'x' => {
                        let hex: String = chars.by_ref().take(2).collect();
                        word.push(u8::from_str_radix(&hex, 16).expect("two hex digits"));
                    }
                    other => word.push(u8::try_from(other).expect("ASCII")),
                },
                c => word.extend(c.to_string().bytes()),
            }
        }
        out.push(word);
    }
    out
}
