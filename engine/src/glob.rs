//! Glob patterns as Redis matches them (`stringmatchlen`), quirks included.
//!
//! ```text
//!   *        any bytes            [abc]  one of          [^a]  none of
//!   ?        one byte             [a-z]  a range         \x    x itself
//! ```
//!
//! A class that is not closed ends with the pattern. `*` does not match the empty text (KEYS and SCAN treat a lone `*` as "all").
//!
//! Invariant: time is at most pattern length times text length: only the last `*` is ever tried again.

/// True when all of `text` matches.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    run(pattern, text, false)
}

/// True when all of `text` matches, ASCII case ignored.
pub fn matches_ignoring_case(pattern: &[u8], text: &[u8]) -> bool {
    run(pattern, text, true)
}

fn run(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut pattern, mut text) = (pattern, text);
    // What follows the last `*`, and the text where that was tried last.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(rest) = pattern.strip_prefix(b"*") {
            if rest.is_empty() {
                return true;
            }
            pattern = rest;
            retry = Some((rest, text));
            continue;
        }
        match (pattern.is_empty(), text.split_first()) {
            (true, None) => return true,
            (false, Some((byte, text_rest))) => {
                if let Some(rest) = one(pattern, *byte, ignore_case) {
                    (pattern, text) = (rest, text_rest);
                    continue;
                }
            }
            (true, Some(_)) | (false, None) => {}
        }
        // A text that is used up can only get shorter by trying again.
        match retry {
            Some((after_star, tried)) if !text.is_empty() => {
                let Some((_, later)) = tried.split_first() else { return false };
                (pattern, text) = (after_star, later);
                retry = Some((after_star, later));
            }
            _ => return false,
        }
    }
}

/// Matches the pattern's first element, which is no `*`, with one byte; the rest of the pattern when it does.
fn one(pattern: &[u8], byte: u8, ignore_case: bool) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => class(rest, byte, ignore_case),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            equal(*literal, byte, ignore_case).then_some(rest)
        }
        [] => None,
    }
}

/// Matches a class, `pattern` beginning after its `[`.
fn class(pattern: &[u8], byte: u8, ignore_case: bool) -> Option<&[u8]> {
    let (negated, mut pattern) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    let rest = loop {
        pattern = match pattern {
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            [b']', rest @ ..] => break rest,
            [] => break pattern,
            [from, b'-', to, rest @ ..] => {
                found |= in_range(*from, *to, byte, ignore_case);
                rest
            }
            [literal, rest @ ..] => {
                found |= equal(*literal, byte, ignore_case);
                rest
            }
        }
    };
    (found != negated).then_some(rest)
}

fn equal(a: u8, b: u8, ignore_case: bool) -> bool {
    a == b || ignore_case && a.eq_ignore_ascii_case(&b)
}

fn in_range(from: u8, to: u8, byte: u8, ignore_case: bool) -> bool {
    let (mut low, mut high, mut byte) = (from.min(to), from.max(to), byte);
    if ignore_case {
        low.make_ascii_lowercase();
        high.make_ascii_lowercase();
        byte.make_ascii_lowercase();
    }
    (low..=high).contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_documented() {
        let yes: &[(&str, &str)] = &[
            ("*", "abc"),
            ("a*", "a"),
            ("a**", "a"),
            ("*a*", "bab"),
            ("h?llo", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("h[b-a]llo", "hallo"),
            (r"a\*b", "a*b"),
            (r"a\", r"a\"),
            (r"[\]]", "]"),
            ("[abc", "b"),
            ("x[^", "xy"),
            ("", ""),
            ("[a-]", "]"),
        ];
        for (pattern, text) in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        let no: &[(&str, &str)] = &[
            ("*", ""),
            ("**", ""),
            ("a", "b"),
            ("a?", "a"),
            ("h[^e]llo", "hello"),
            ("[", "a"),
            ("[]a]", "a"),
            (r"a\*b", "axb"),
            ("", "a"),
        ];
        for (pattern, text) in no {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        assert!(matches_ignoring_case(b"H[A-C]llo*", b"hBLLO there"));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = b"*a".repeat(2_000);
        let text = [b"a".repeat(20_000), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &text));
    }

    /// The recursive definition, as a twin.
    fn twin(pattern: &[u8], text: &[u8]) -> bool {
        let Some((byte, text_rest)) = text.split_first() else {
            return pattern.is_empty();
        };
        match pattern {
            [] => false,
            [b'*', rest @ ..] => {
                rest.iter().all(|b| *b == b'*')
                    || (0..text.len()).any(|skip| twin(rest, &text[skip..]))
            }
            _ => {
                let Some(mut rest) = one(pattern, *byte, false) else { return false };
                if text_rest.is_empty() {
                    while let [b'*', after @ ..] = rest {
                        rest = after;
                    }
                }
                twin(rest, text_rest)
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_recursive_definition(
            pattern in r"[ab*?\[\]\\^-]{0,9}",
            text in r"[ab\]\\-]{0,9}",
        ) {
            prop_assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                twin(pattern.as_bytes(), text.as_bytes())
            );
        }
    }
}
