//! Secrets of a session, taken out of everything that it says (invariant 8).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use domain::Configuration;
use serde_json::Value;

/// Shorter values are not looked for: they are part of innocent words.
const LENGTH_MIN: usize = 3;
/// Lines of secrets of several lines (keys) that are looked for by themselves.
const LINE_LENGTH_MIN: usize = 16;
const BLANK: &str = "***";

/// The values that were blanked in a connection and its parameters.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<[String]>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// What differs between connection and parameters and their blanked copies. Where two cannot be
    /// compared, every text of the first counts as a secret.
    pub(crate) fn of(configuration: &Configuration) -> Self {
        let mut found = Vec::new();
        for (whole, blanked) in [
            (configuration.connection.expose(), &configuration.connection_blanked),
            (configuration.parameter.as_str(), &configuration.parameter_blanked),
        ] {
            let blanked = serde_json::from_str(blanked).unwrap_or(Value::Null);
            match serde_json::from_str(whole) {
                Ok(whole) => collect(&whole, Some(&blanked), &mut found),
                Err(_) => add(whole, &mut found),
            }
        }
        // The longest first, so that none leaves a part of another.
        found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        found.dedup();
        Self(found.into())
    }

    #[cfg(test)]
    pub(crate) fn from_texts(texts: &[&str]) -> Self {
        Self(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    /// The text without secrets.
    pub(crate) fn blank<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in self.0.iter() {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), BLANK));
            }
        }
        text
    }

    /// The longest secret, bytes.
    pub(crate) fn longest(&self) -> usize {
        // They are sorted by their length.
        self.0.first().map_or(0, String::len)
    }

    /// How many bytes at the end of `text` may be the beginning of a secret.
    pub(crate) fn begun(&self, text: &[u8]) -> usize {
        let begins = |secret: &String| {
            let longest = text.len().min(secret.len().saturating_sub(1));
            (1..=longest).rev().find(|length| text.ends_with(&secret.as_bytes()[..*length]))
        };
        self.0.iter().filter_map(begins).max().unwrap_or(0)
    }

    /// The text without secrets, and without what may be the rest of one that was cut at its end.
    pub(crate) fn blank_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let whole = text.len() - self.begun(text.as_bytes());
        // A secret's beginning is whole characters, and so is what stands before it.
        self.blank(text.get(..whole).unwrap_or_default())
    }
}

/// Walks both documents side by side. Their depth is bounded by the parser.
fn collect(value: &Value, blanked: Option<&Value>, found: &mut Vec<String>) {
    match value {
        Value::String(text) if blanked.and_then(Value::as_str) != Some(text) => add(text, found),
        Value::Number(number) if blanked != Some(value) => add(&number.to_string(), found),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, blanked.and_then(|blanked| blanked.get(index)), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                collect(field, blanked.and_then(|blanked| blanked.get(name)), found);
            }
        }
        _ => {}
    }
}

fn add(secret: &str, found: &mut Vec<String>) {
    if secret.len() < LENGTH_MIN {
        return;
    }
    found.push(secret.to_owned());
    // As it stands in a document that is printed whole.
    let quoted = Value::from(secret).to_string();
    found.push(quoted.trim_matches('"').to_owned());
    let lines = secret.lines().map(str::trim).filter(|line| line.len() >= LINE_LENGTH_MIN);
    found.extend(lines.map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use domain::{Secret, Side};

    use super::*;

    fn secrets(connection: &str, blanked: &str) -> Secrets {
        Secrets::of(&Configuration {
            source_type: "x".into(),
            side: Side::Reader,
            connection: Secret::new(connection),
            connection_blanked: blanked.into(),
            parameter: r#"{"accessKey": "key-7", "pin": 48213, "rows": 1000}"#.into(),
            parameter_blanked: r#"{"accessKey": "", "pin": "", "rows": 1000}"#.into(),
        })
    }

    #[test]
    fn t03_blanked_values_are_found_wherever_they_stand() {
        let connection = r#"{"host": "db.example", "password": "s3cr\"et", "ssl": {"key": "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----"}, "list": [{"token": "tok-1"}], "pin": "1"}"#;
        let blanked = r#"{"host": "db.example", "password": "", "ssl": {"key": ""}, "list": [{"token": ""}], "pin": ""}"#;
        let secrets = secrets(connection, blanked);
        let table = [
            ("connecting to db.example", "connecting to db.example"),
            ("password s3cr\"et is wrong", "password *** is wrong"),
            ("line MIIEvQIBADANBgkq", "line ***"),
            ("tok-1tok-1 and 1", "****** and 1"),
            ("key-7 with 48213 for 1000 rows", "*** with *** for 1000 rows"),
        ];
        for (text, blank) in table {
            assert_eq!(secrets.blank(text), blank);
        }
        let whole = secrets.blank(connection).into_owned();
        for secret in ["s3cr", "MIIE", "tok-1"] {
            assert!(!whole.contains(secret), "{whole}");
        }
        assert!(!format!("{secrets:?}").contains("tok"));
    }

    #[test]
    fn a_secret_that_was_cut_is_not_shown_either() {
        let secrets = secrets(r#"{"password": "canary-bird"}"#, r#"{"password": ""}"#);
        assert_eq!(secrets.longest(), "canary-bird".len());
        assert_eq!(secrets.begun(b"a canary-b"), 8);
        assert_eq!(secrets.begun(b"a canary-bird"), 0);
        assert_eq!(secrets.begun(b"no"), 0);
        assert_eq!(secrets.blank_cut("canary-bird and canary-bir"), "*** and ");
    }

    #[test]
    fn documents_that_cannot_be_compared_are_secret_as_a_whole() {
        assert_eq!(secrets("not json", "{}").blank("it is not json."), "it is ***.");
        assert_eq!(secrets(r#"{"a": "value"}"#, "not json").blank("value"), "***");
        assert_eq!(Secrets::default().blank("text"), "text");
    }
}
