//! Regular expressions as Java writes them, for those who match as Rust's `regex` does.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// Names of `\p{…}` that mean ASCII in Java.
const POSIX: [&str; 12] = [
    "Lower", "Upper", "ASCII", "Alpha", "Digit", "Alnum", "Punct", "Graph", "Print", "Blank",
    "Cntrl", "XDigit",
];

/// The same pattern, anchored at both ends.
///
/// # Errors
/// Why it has no counterpart, for people.
pub(crate) fn anchored(java: &str) -> Result<String, String> {
    // "R": also "\r" ends a line, so that "." does not match it.
    let pattern = format!("(?R)\\A(?:{})\\z", translated(java)?);
    match Regex::new(&pattern) {
        Ok(_) => Ok(pattern),
        Err(regex::Error::CompiledTooBig(_)) => Err("it is too large".to_owned()),
        Err(_) => Err("it is not well formed, or has what only Java knows".to_owned()),
    }
}

/// Java's classes `\d`, `\s` and `\w` are of ASCII alone.
fn translated(java: &str) -> Result<String, String> {
    let mut pattern = String::with_capacity(java.len());
    let mut chars = java.chars().peekable();
    let (mut in_class, mut repeats) = (0_usize, false);
    while let Some(char) = chars.next() {
        let repeated = std::mem::take(&mut repeats);
        match char {
            '\\' => escape(&mut chars, &mut pattern),
            '[' => {
                in_class += 1;
                pattern.push(char);
            }
            ']' => {
                in_class = in_class.saturating_sub(1);
                pattern.push(char);
            }
            '+' if in_class == 0 && repeated => {
                return Err("it has a possessive repetition".to_owned());
            }
            '*' | '+' | '?' | '}' => {
                repeats = in_class == 0 && !(repeated && char == '?');
                pattern.push(char);
            }
            _ => pattern.push(char),
        }
    }
    Ok(pattern)
}

fn escape(chars: &mut Peekable<Chars<'_>>, pattern: &mut String) {
    match chars.next() {
        Some('d') => pattern.push_str("[0-9]"),
        Some('D') => pattern.push_str("[^0-9]"),
        Some('w') => pattern.push_str("[0-9A-Za-z_]"),
        Some('W') => pattern.push_str("[^0-9A-Za-z_]"),
        Some('s') => pattern.push_str(r"[ \t\n\x0B\f\r]"),
        Some('S') => pattern.push_str(r"[^ \t\n\x0B\f\r]"),
        Some('Q') => quoted(chars, pattern),
        Some(letter @ ('p' | 'P')) => property(letter, chars, pattern),
        Some(char) => pattern.extend(['\\', char]),
        None => pattern.push('\\'),
    }
}

/// `\Q…\E`: all as it stands.
fn quoted(chars: &mut Peekable<Chars<'_>>, pattern: &mut String) {
    let rest: String = chars.clone().collect();
    let (text, used) = match rest.find("\\E") {
        Some(end) => (&rest[..end], rest[..end].chars().count() + 2),
        None => (rest.as_str(), rest.chars().count()),
    };
    pattern.push_str(&regex::escape(text));
    chars.take(used).for_each(drop);
}

/// `\p{Alpha}` and the like, of ASCII; others as they are.
fn property(letter: char, chars: &mut Peekable<Chars<'_>>, pattern: &mut String) {
    let rest: String = chars.clone().collect();
    let name = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
    match name.filter(|name| POSIX.contains(name)) {
        Some(name) => {
            let not = if letter == 'P' { "^" } else { "" };
            pattern.push_str(&format!("[[:{not}{}:]]", name.to_ascii_lowercase()));
            chars.take(name.len() + 2).for_each(drop);
        }
        None => pattern.extend(['\\', letter]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_java() {
        for (java, text, matches) in [
            ("a.c", "abc", true),
            ("b", "abc", false),
            ("a|abc", "abc", true),
            ("a.c", "a\rc", false),
            ("(?s)a.c", "a\nc", true),
            (r"\d+", "42", true),
            (r"\d+", "٤٢", false),
            (r"[\d.]+", "4.2", true),
            (r"\w", "é", false),
            (r"\W", "é", true),
            (r"\Qa.b\E+", "a.bb", true),
            (r"\Qa.b\E", "axb", false),
            (r"\p{Alpha}", "é", false),
            (r"\P{Alpha}", "é", true),
            (r"\p{L}", "é", true),
            (r"[\p{Digit}x]+", "1x", true),
            (r"a+?b", "aab", true),
            (r"a\++", "a++", true),
            ("[+*]+", "+*", true),
        ] {
            let pattern = Regex::new(&anchored(java).unwrap()).unwrap();
            assert_eq!(pattern.is_match(text), matches, "{java} {text}");
        }
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        for java in ["(", "a(?=b)", r"(a)\1", "a*+", "a{2}+", r"a\G", "\\"] {
            assert!(anchored(java).is_err(), "{java}");
        }
    }
}
