//! A strict JSON parser that keeps where every value stands, so that each error can show the line.
//!
//! It knows nothing of jobs. Numbers that a double cannot keep are refused instead of rounded; of
//! duplicate keys the last wins and all are told.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

/// A document at most; real ones have some kilobytes.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// Nesting at most, so that no recursion follows a user's word.
pub(crate) const DEPTH_MAX: usize = 64;
/// Values at most: each costs a pointer and an extent.
pub(crate) const VALUES_MAX: usize = 100_000;
/// A pointer at most, so that long keys around many values cannot fill the memory.
pub(crate) const POINTER_BYTES_MAX: usize = 1024;

/// Byte offsets of a value; `start` is that of its key where it is a member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) value: Value,
    /// By JSON pointer.
    pub(crate) extents: HashMap<String, Extent>,
    /// Pointers of members whose key stood before in the same object, and where they stand.
    pub(crate) duplicates: Vec<(String, usize)>,
}

/// Why a text is no JSON, at which byte and in which value.
#[derive(Debug, PartialEq)]
pub(crate) struct Syntax {
    pub(crate) at: usize,
    pub(crate) pointer: String,
    pub(crate) message: String,
    pub(crate) hint: Option<&'static str>,
}

/// A JSON pointer one level down.
pub(crate) fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The last part of a pointer, as a key.
pub(crate) fn last_key(pointer: &str) -> String {
    let last = pointer.rsplit('/').next().unwrap_or_default();
    last.replace("~1", "/").replace("~0", "~")
}

pub(crate) fn parse(text: &str) -> Result<Parsed, Syntax> {
    let mut parser = Parser {
        text,
        bytes: text.as_bytes(),
        at: if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 },
        pointer: String::new(),
        depth: 0,
        extents: HashMap::new(),
        duplicates: Vec::new(),
    };
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(parser.wrong(format!("the document has more than {DOCUMENT_BYTES_MAX} bytes")));
    }
    parser.blanks();
    let start = parser.at;
    let value = parser.value(start)?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.wrong(format!("{} follows the end of the document", parser.here())));
    }
    Ok(Parsed { value, extents: parser.extents, duplicates: parser.duplicates })
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    pointer: String,
    depth: usize,
    extents: HashMap<String, Extent>,
    duplicates: Vec<(String, usize)>,
}

impl Parser<'_> {
    fn wrong(&self, message: String) -> Syntax {
        Syntax { at: self.at, pointer: self.pointer.clone(), message, hint: None }
    }

    fn hinted(&self, message: String, hint: &'static str) -> Syntax {
        Syntax { hint: Some(hint), ..self.wrong(message) }
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// What stands here, for people.
    fn here(&self) -> String {
        match self.text[self.at..].chars().next() {
            Some(c) if c.is_control() => format!("the control character {:#04x}", c as u32),
            Some('"') => "a text".into(),
            Some(c) => format!("\"{c}\""),
            None => "the end of the document".into(),
        }
    }

    fn blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self, start: usize) -> Result<Value, Syntax> {
        if self.extents.len() >= VALUES_MAX {
            return Err(self.wrong(format!("the document has more than {VALUES_MAX} values")));
        }
        let value = match self.byte() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            _ => self.word()?,
        };
        self.extents.insert(self.pointer.clone(), Extent { start, end: self.at });
        Ok(value)
    }

    fn nested(&mut self, content: fn(&mut Self) -> Result<Value, Syntax>) -> Result<Value, Syntax> {
        if self.depth == DEPTH_MAX {
            return Err(self.wrong(format!("values are nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        self.at += 1;
        let value = content(self)?;
        self.at += 1;
        self.depth -= 1;
        Ok(value)
    }

    /// The members, up to the closing brace.
    fn object(&mut self) -> Result<Value, Syntax> {
        let mut members = Map::new();
        self.blanks();
        while self.byte() != Some(b'}') {
            let start = self.at;
            let key = self.key()?;
            let length = self.pointer.len();
            self.down(&key)?;
            let value = self.value(start)?;
            if members.contains_key(&key) {
                self.duplicates.push((self.pointer.clone(), start));
            }
            self.pointer.truncate(length);
            members.insert(key, value);
            self.separator(b'}')?;
        }
        Ok(Value::Object(members))
    }

    fn down(&mut self, key: &str) -> Result<(), Syntax> {
        let pointer = child(&self.pointer, key);
        if pointer.len() > POINTER_BYTES_MAX {
            let message =
                format!("the keys down to a value have more than {POINTER_BYTES_MAX} bytes");
            return Err(self.wrong(message));
        }
        self.pointer = pointer;
        Ok(())
    }

    fn key(&mut self) -> Result<String, Syntax> {
        match self.byte() {
            Some(b'"') => {}
            Some(b'\'') => return Err(self.single_quote()),
            _ => {
                let message = format!("expected a key in double quotes, found {}", self.here());
                return Err(self.or_comment(message));
            }
        }
        let key = self.string()?;
        self.blanks();
        if self.byte() != Some(b':') {
            return Err(self.wrong(format!("expected \":\" after the key, found {}", self.here())));
        }
        self.at += 1;
        self.blanks();
        Ok(key)
    }

    /// The items, up to the closing bracket.
    fn list(&mut self) -> Result<Value, Syntax> {
        let mut items = Vec::new();
        self.blanks();
        while self.byte() != Some(b']') {
            let length = self.pointer.len();
            self.down(&items.len().to_string())?;
            let value = self.value(self.at)?;
            self.pointer.truncate(length);
            items.push(value);
            self.separator(b']')?;
        }
        Ok(Value::Array(items))
    }

    /// A comma and what follows it, or the closing mark, which is left.
    fn separator(&mut self, close: u8) -> Result<(), Syntax> {
        self.blanks();
        match self.byte() {
            Some(byte) if byte == close => Ok(()),
            Some(b',') => {
                self.at += 1;
                self.blanks();
                if self.byte() == Some(close) {
                    let message = format!("a comma stands before the closing {}", self.here());
                    return Err(self.hinted(message, "remove the last comma"));
                }
                Ok(())
            }
            _ => {
                let message =
                    format!("expected \",\" or \"{}\", found {}", close as char, self.here());
                Err(self.or_comment(message))
            }
        }
    }

    fn or_comment(&self, message: String) -> Syntax {
        match self.byte() {
            Some(b'/' | b'#') => self.hinted(message, "JSON has no comments; remove it"),
            Some(b'\'') => self.single_quote(),
            _ => self.wrong(message),
        }
    }

    fn single_quote(&self) -> Syntax {
        let message = "a text begins with a single quote".to_owned();
        self.hinted(message, "JSON texts and keys stand in double quotes")
    }

    fn word(&mut self) -> Result<Value, Syntax> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let value = match &rest[..length] {
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            b"null" => Value::Null,
            b"" => {
                let message = format!("expected a value, found {}", self.here());
                return Err(self.or_comment(message));
            }
            word => {
                let word = String::from_utf8_lossy(word);
                let message = format!("expected a value, found \"{word}\"");
                return Err(self.hinted(message, "a text stands in double quotes"));
            }
        };
        self.at += length;
        Ok(value)
    }

    fn number(&mut self) -> Result<Number, Syntax> {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = self.bytes[self.at..].iter().take_while(|byte| is_part(byte)).count();
        let text = &self.text[self.at..self.at + length];
        if !is_number(text) {
            let message = format!("\"{text}\" is no number");
            let hint = "a number has no leading zero or plus; a text stands in double quotes";
            return Err(self.hinted(message, hint));
        }
        match exact_number(text) {
            Some(number) => {
                self.at += length;
                Ok(number)
            }
            None => {
                let message = format!("the number {text} cannot be kept exactly");
                Err(self.hinted(message, "write it as a text, in double quotes"))
            }
        }
    }

    fn string(&mut self) -> Result<String, Syntax> {
        let opening = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            text.push_str(&rest[..plain]);
            self.at += plain;
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(b'\n' | b'\r') | None => {
                    self.at = opening;
                    return Err(self.hinted(
                        "a text is not closed on its line".into(),
                        "add the closing double quote; a line end within a text is written \\n",
                    ));
                }
                Some(_) => {
                    let message = format!("{} stands in a text", self.here());
                    return Err(self.hinted(message, "write it as an escape, such as \\t"));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Syntax> {
        let character = match self.bytes.get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => {
                let message = "a backslash begins no escape".to_owned();
                return Err(self.hinted(message, "a backslash itself is written \\\\"));
            }
        };
        self.at += 2;
        Ok(character)
    }

    fn unicode(&mut self) -> Result<char, Syntax> {
        let first = self.code_unit(self.at);
        let second = self.code_unit(self.at + 6);
        let (code, length) = match (first, second) {
            (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => {
                (Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12)
            }
            (first, _) => (first, 6),
        };
        match code.and_then(char::from_u32) {
            Some(character) => {
                self.at += length;
                Ok(character)
            }
            None => Err(self.hinted(
                "\\u begins no character".into(),
                "\\u has four hexadecimal digits; characters beyond ffff need a pair",
            )),
        }
    }

    fn code_unit(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let all_hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(digits).ok().filter(|_| all_hexadecimal)?;
        u32::from_str_radix(digits, 16).ok()
    }
}

/// Whether `text` is a number by JSON's grammar.
pub(crate) fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

/// The number, or `None` where it would be rounded.
pub(crate) fn exact_number(text: &str) -> Option<Number> {
    if !text.contains(['.', 'e', 'E']) {
        let signed = text.parse::<i64>().ok().map(Number::from);
        return signed.or_else(|| text.parse::<u64>().ok().map(Number::from));
    }
    let double: f64 = text.parse().ok()?;
    let kept = format!("{double:e}");
    let same = significant(text) == significant(&kept);
    same.then(|| Number::from_f64(double)).flatten()
}

/// The digits of a mantissa without zeros on either end.
fn significant(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_text() {
        let text = "\u{feff} {\"a\": [1, -2.50, 1e3, true, null, \"x\\n\\u00e9\\ud83d\\ude00\"], \"b/c~\": {}}\n";
        let parsed = parse(text).unwrap();
        let expected: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
        assert_eq!(parsed.value, expected);
        let extent = parsed.extents["/b~1c~0"];
        assert_eq!(&text[extent.start..extent.end], "\"b/c~\": {}");
        let extent = parsed.extents["/a/1"];
        assert_eq!(&text[extent.start..extent.end], "-2.50");
    }

    #[test]
    fn of_duplicate_keys_the_last_wins_and_is_told() {
        let parsed = parse(r#"{"a": 1, "b": {"a": 2}, "a": 3}"#).unwrap();
        assert_eq!(parsed.value["a"], 3);
        assert_eq!(parsed.duplicates, [("/a".to_owned(), 24)]);
    }

    #[test]
    fn what_is_wrong_is_said_at_its_byte() {
        let table = [
            ("", 0, "expected a value, found the end of the document"),
            ("{\"a\": 1,}", 8, "a comma stands before the closing \"}\""),
            ("[1 2]", 3, "expected \",\" or \"]\", found \"2\""),
            ("{'a': 1}", 1, "a text begins with a single quote"),
            ("{\"a\" 1}", 5, "expected \":\" after the key, found \"1\""),
            ("{a: 1}", 1, "expected a key in double quotes, found \"a\""),
            ("// x\n{}", 0, "expected a value, found \"/\""),
            ("[007]", 1, "\"007\" is no number"),
            ("[nul]", 1, "expected a value, found \"nul\""),
            ("[\"a\nb\"]", 1, "a text is not closed on its line"),
            ("[\"a\tb\"]", 3, "the control character 0x09 stands in a text"),
            ("[\"\\x\"]", 2, "a backslash begins no escape"),
            ("[\"\\ud800\"]", 2, "\\u begins no character"),
            ("[\"\\u+123\"]", 2, "\\u begins no character"),
            ("{} {}", 3, "\"{\" follows the end of the document"),
            ("[18446744073709551616]", 1, "the number 18446744073709551616 cannot be kept exactly"),
            (
                "[0.1234567890123456789]",
                1,
                "the number 0.1234567890123456789 cannot be kept exactly",
            ),
            ("[1e999]", 1, "the number 1e999 cannot be kept exactly"),
        ];
        for (text, at, message) in table {
            let error = parse(text).unwrap_err();
            assert_eq!((error.at, error.message.as_str()), (at, message), "{text}");
        }
    }

    #[test]
    fn depth_size_and_number_of_values_are_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        assert!(parse(&nested(DEPTH_MAX + 1)).unwrap_err().message.contains("deeper"));
        let many = format!("[{}1]", "1,".repeat(VALUES_MAX));
        assert!(parse(&many).unwrap_err().message.contains("values"));
        let long = format!("{{\"{}\": 1}}", "k".repeat(POINTER_BYTES_MAX));
        assert!(parse(&long).unwrap_err().message.contains("keys"));
        assert!(parse(&" ".repeat(DOCUMENT_BYTES_MAX + 1)).unwrap_err().message.contains("bytes"));
    }

    #[test]
    fn numbers_that_a_double_keeps_are_taken() {
        for text in ["0.1", "100.0", "1.10", "-2.5E-3", "1e2", "0.0", "9007199254740993.0e0"] {
            assert_eq!(exact_number(text).is_some(), text != "9007199254740993.0e0", "{text}");
        }
    }
}
