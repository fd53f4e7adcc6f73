//! Takes secrets out of what is kept or shown: of a document's text, of a connection.
//!
//! A document is stored as it was written, before substitution, so it need not be JSON: its text is
//! scanned, not parsed. Keys decide: those that a schema marks `writeOnly`, and those that look like
//! a secret's.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use domain::description::SourceType;
use regex::{Captures, Regex};
use serde_json::Value;

use crate::json;
use crate::schema::Schema;

/// Parts of the names of keys that hold secrets, in lower case without `_` and `-`.
const SECRET_WORDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "accesskey",
    "privatekey",
    "apikey",
    "credential",
];

/// Whether a key's name says that its value is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| !matches!(c, '_' | '-')).collect();
    let plain = plain.to_lowercase();
    // A starred key holds a cipher text.
    name.starts_with('*') || SECRET_WORDS.iter().any(|word| plain.contains(word))
}

/// Names of all properties of a type that are secrets, on any level of any of its schemas.
pub fn secret_keys(kind: &SourceType) -> BTreeSet<String> {
    let roles = [&kind.reader, &kind.transformer, &kind.writer];
    let roles = roles.into_iter().flatten().map(|role| &role.parameter_schema);
    let schemas = std::iter::once(&kind.connection_schema).chain(roles);
    let schemas = schemas.filter_map(|text| Schema::parse(text).ok());
    schemas.flat_map(|schema| schema.secret_names()).collect()
}

/// The texts of a JSON value that are others in its blanked form.
pub(crate) fn secret_texts(value: &Value, blanked: &Value, texts: &mut BTreeSet<String>) {
    match (value, blanked) {
        (Value::Object(members), Value::Object(others)) => {
            for (value, blanked) in members.values().zip(others.values()) {
                secret_texts(value, blanked, texts);
            }
        }
        (Value::Array(items), Value::Array(others)) => {
            for (value, blanked) in items.iter().zip(others) {
                secret_texts(value, blanked, texts);
            }
        }
        (Value::String(text), blanked) if value != blanked => drop(texts.insert(text.clone())),
        (value, blanked) if value != blanked => drop(texts.insert(value.to_string())),
        _ => {}
    }
}

/// Blanks the secrets of a JSON value: texts and numbers under secret keys, and what stands at the
/// pointers in `hidden`.
pub(crate) fn blank_value(value: &mut Value, names: &BTreeSet<String>, hidden: &BTreeSet<String>) {
    blank_below(value, "", names, hidden, false);
}

fn blank_below(
    value: &mut Value,
    pointer: &str,
    names: &BTreeSet<String>,
    hidden: &BTreeSet<String>,
    secret: bool,
) {
    let secret = secret || hidden.contains(pointer);
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let secret = secret || names.contains(name) || is_secret_name(name);
                blank_below(value, &json::child(pointer, name), names, hidden, secret);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                blank_below(item, &format!("{pointer}/{index}"), names, hidden, secret);
            }
        }
        Value::String(_) | Value::Number(_) if secret => *value = Value::String(String::new()),
        Value::String(text) => *text = blank_url(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `key=value` of a URL's query where the key is a secret's.
static URL_OPTION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"([?&;])([^=?&;"]+)=([^&;"]*)"#).expect("the pattern is valid"));
/// `user:password@` of a URL.
static URL_USER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(://[^:/?@"]*:)[^/?"]*@"#).expect("the pattern is valid"));

/// All before the `@` of a URL, also of one with escaped slashes.
static URL_USERINFO: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#":\\?/\\?/([^/?"\s]*)@"#).expect("the pattern is valid"));

/// Where secrets stand within the URLs of a text: before an `@`, and behind the secret keys of a
/// query.
pub(crate) fn secret_ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    let users = URL_USERINFO.captures_iter(text).filter_map(|url| Some(url.get(1)?.range()));
    let options = URL_OPTION.captures_iter(text).filter(|option| is_secret_name(&option[2]));
    users.chain(options.filter_map(|option| Some(option.get(3)?.range())))
}

pub(crate) fn blank_url(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    let text = URL_USER.replace_all(text, "$1@");
    let blanked = URL_OPTION.replace_all(&text, |option: &Captures<'_>| {
        let value = if is_secret_name(&option[2]) { "" } else { &option[3] };
        format!("{}{}={value}", &option[1], &option[2])
    });
    blanked.into_owned()
}

/// The text of a document, before substitution or after, with the values of secret keys blanked;
/// `names` are secret keys beside those that look like one. `{"env": …}` and `{"file": …}` stay.
pub fn blank_document(text: &str, names: &BTreeSet<String>) -> String {
    let mut scan = Scan { text, at: 0, blanked: String::with_capacity(text.len()), copied: 0 };
    // By level of nesting, whether a secret key stands above.
    let mut levels = vec![false];
    let mut key: Option<String> = None;
    while let Some(byte) = text.as_bytes().get(scan.at).copied() {
        let start = scan.at;
        let above = levels.last().copied().unwrap_or(false);
        let reference = matches!(key.as_deref(), Some("env" | "file"));
        let named = key.as_deref().is_some_and(|key| names.contains(key) || is_secret_name(key));
        let secret = named || (above && !reference);
        match byte {
            b'"' => {
                let end = scan.text_end();
                if scan.is_key(end) {
                    key = Some(unquoted(&text[start..end]));
                    scan.at = end;
                } else if secret {
                    scan.replace(end, "\"\"");
                } else {
                    let plain = unquoted(&text[start..end]);
                    match blank_url(&plain) {
                        blanked if blanked == plain => scan.at = end,
                        blanked => scan.replace(end, &Value::from(blanked).to_string()),
                    }
                }
            }
            b'{' | b'[' => {
                levels.push(secret);
                // Items of a list are values of the list's key.
                key = if byte == b'{' { None } else { key };
                scan.at += 1;
            }
            b'}' | b']' => {
                levels.pop();
                key = None;
                scan.at += 1;
            }
            b',' => {
                key = None;
                scan.at += 1;
            }
            b':' | b' ' | b'\t' | b'\r' | b'\n' => scan.at += 1,
            _ => {
                let end = scan.word_end();
                let word = &text[start..end];
                match secret && !matches!(word, "null" | "true" | "false") {
                    true => scan.replace(end, "\"\""),
                    false => scan.at = end,
                }
            }
        }
    }
    scan.blanked + &text[scan.copied..]
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    blanked: String,
    /// Up to here the text is in `blanked`.
    copied: usize,
}

impl Scan<'_> {
    /// The end of the text that begins here, its quote included.
    fn text_end(&self) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        while at < bytes.len() {
            match bytes[at] {
                b'"' => return at + 1,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        bytes.len()
    }

    fn is_key(&self, end: usize) -> bool {
        self.text[end..].trim_start().starts_with(':')
    }

    /// The end of a number, a word, a variable, or of anything else that begins here.
    fn word_end(&self) -> usize {
        let rest = &self.text[self.at..];
        let variable = rest.strip_prefix("${").and_then(|rest| rest.find('}')).map(|end| end + 3);
        let plain = rest.find(|c: char| {
            c.is_whitespace() || matches!(c, ',' | ':' | '}' | ']' | '{' | '[' | '"')
        });
        let first = rest.chars().next().map_or(1, char::len_utf8);
        self.at + variable.or(plain).unwrap_or(rest.len()).max(first)
    }

    fn replace(&mut self, end: usize, by: &str) {
        self.blanked.push_str(&self.text[self.copied..self.at]);
        self.blanked.push_str(by);
        self.copied = end;
        self.at = end;
    }
}

/// The key that a JSON text spells, escapes resolved.
fn unquoted(quoted: &str) -> String {
    serde_json::from_str(quoted).unwrap_or_else(|_| quoted.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "password",
            "clientPassword",
            "access_key",
            "accessKey",
            "authToken",
            "*x",
            "secret-key",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["username", "keyColumns", "splitPk", "accessId"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn documents_lose_their_secrets_and_nothing_else() {
        let names = BTreeSet::from(["pin".to_owned()]);
        let table = [
            (r#"{"password": "a\"b", "x": "y"}"#, r#"{"password": "", "x": "y"}"#),
            (r#"{"password": 12, "x": 3}"#, r#"{"password": "", "x": 3}"#),
            (r#"{"password": ${pw}, "x": ${n}}"#, r#"{"password": "", "x": ${n}}"#),
            (r#"{"password": {"env": "PGPASSWORD"}}"#, r#"{"password": {"env": "PGPASSWORD"}}"#),
            (
                r#"{"password": {"value": "a", "env": "E"}, "x": "y"}"#,
                r#"{"password": {"value": "", "env": "E"}, "x": "y"}"#,
            ),
            (r#"{"tokens": ["a", ["b"]], "x": ["y"]}"#, r#"{"tokens": ["", [""]], "x": ["y"]}"#),
            (
                r#"{"pin": "a", "useSpecialSecret": true}"#,
                r#"{"pin": "", "useSpecialSecret": true}"#,
            ),
            (r#"{"p\u0061ssword": "a"}"#, r#"{"p\u0061ssword": ""}"#),
            (
                r#"{"u": "jdbc:postgresql://h/d?user=x&password=y&a=b", "v": "http://u:p@h/x?token=1"}"#,
                r#"{"u": "jdbc:postgresql://h/d?user=x&password=&a=b", "v": "http://u:@h/x?token="}"#,
            ),
            (r#"{"v": "http:\/\/u:p@h"}"#, r#"{"v": "http://u:@h"}"#),
            (r#"{"password": "unclosed"#, r#"{"password": """#),
            ("é {\"x\" \"y\" ü: ,", "é {\"x\" \"y\" ü: ,"),
        ];
        for (text, expected) in table {
            assert_eq!(blank_document(text, &names), expected);
        }
    }

    #[test]
    fn values_lose_their_secrets() {
        let mut value = json!({"host": "h", "password": "p", "ssl": {"ca": "pem"}, "port": 1, "pin": 5, "list": [{"token": "x"}]});
        blank_value(
            &mut value,
            &BTreeSet::from(["pin".into()]),
            &BTreeSet::from(["/ssl/ca".into()]),
        );
        let blanked = json!({"host": "h", "password": "", "ssl": {"ca": ""}, "port": 1, "pin": "", "list": [{"token": ""}]});
        assert_eq!(value, blanked);
    }
}
