//! SQL text: names and literals in quotes, names of tables as users write them.

use database::names::quoted;

/// `name` as a quoted identifier.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names as a list of quoted identifiers.
pub(crate) fn idents<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(ident).collect::<Vec<_>>().join(", ")
}

/// `text` as a literal; sessions have `standard_conforming_strings` on.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Texts as a list of literals.
pub(crate) fn literals<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(literal).collect::<Vec<_>>().join(", ")
}

/// A statement without its values, which are texts and numbers: statements that differ only in them
/// have one shape.
pub(crate) fn shape(statement: &str) -> String {
    let mut shape = String::with_capacity(statement.len());
    let mut rest = statement;
    while let Some(c) = rest.chars().next() {
        let in_name = shape.ends_with(|before: char| before.is_alphanumeric() || before == '_');
        let length = match c {
            '\'' => 1 + rest[1..].find('\'').map_or(rest.len() - 1, |end| end + 1),
            '"' => {
                let length = 1 + rest[1..].find('"').map_or(rest.len() - 1, |end| end + 1);
                shape.push_str(&rest[..length]);
                rest = &rest[length..];
                continue;
            }
            '0'..='9' if !in_name => {
                rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len())
            }
            _ => {
                shape.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        rest = &rest[length..];
        // A list of values is as good as one; a quote inside a text comes as two texts.
        let before = shape.trim_end_matches([',', ' ']).len();
        if shape[..before].ends_with('?') {
            shape.truncate(before);
        } else {
            shape.push('?');
        }
    }
    shape
}

/// `bytes` as a literal of type bytea.
pub(crate) fn bytea(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + 12);
    text.push_str("'\\x");
    for byte in bytes {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text.push_str("'::bytea");
    text
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The bytes of a bytea in its hexadecimal text form.
pub(crate) fn bytea_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    digits.chunks(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?)).collect()
}

/// A name as the user wrote it, and whether it stood in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) quoted: bool,
}

impl Written {
    /// The names that it may mean, the likeliest first: as it stands, and folded as SQL folds.
    pub(crate) fn candidates(&self) -> Vec<String> {
        let folded = self.name.to_lowercase();
        if self.quoted || folded == self.name {
            vec![self.name.clone()]
        } else {
            vec![self.name.clone(), folded]
        }
    }
}

/// The parts of `schema.table`, where quotes protect dots; `None` for a text that is no such name.
pub(crate) fn split_name(text: &str) -> Option<Vec<Written>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, behind) = match rest.strip_prefix('"') {
            Some(inner) => {
                let (name, behind) = quoted(inner, '"')?;
                (Written { name, quoted: true }, behind)
            }
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                let name = rest[..end].trim().to_owned();
                (Written { name, quoted: false }, &rest[end..])
            }
        };
        if part.name.is_empty() {
            return None;
        }
        parts.push(part);
        match behind.strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None => return behind.trim().is_empty().then_some(parts),
        }
    }
}

/// The candidate nearest to `name`, where one is near enough to be meant.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_lowercase();
    let limit = match name.chars().count() {
        0..3 => 1,
        length => (length / 3).max(2),
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's \\"), "'it''s \\'");
        assert_eq!(idents(["a", "B"]), "\"a\", \"B\"");
        assert_eq!(bytea(&[0, 0xab, 255]), "'\\x00abff'::bytea");
        assert_eq!(bytea_bytes("\\x00abff"), Some(vec![0, 0xab, 255]));
        assert_eq!(bytea_bytes("\\x0"), None);
        assert_eq!(bytea_bytes("\\xzz"), None);
    }

    #[test]
    fn statements_that_differ_in_values_have_one_shape() {
        assert_eq!(
            shape("SELECT \"a'1\", t1.b2 FROM t WHERE a = 'it''s' AND b IN (1, 2.5, 'x') LIMIT 10"),
            "SELECT \"a'1\", t1.b2 FROM t WHERE a = ? AND b IN (?) LIMIT ?"
        );
        assert_eq!(shape("a = 'open"), "a = ?");
        assert_eq!(shape("é'"), "é?");
    }

    #[test]
    fn names_split_at_dots_outside_quotes() {
        let names = |text: &str| {
            split_name(text).map(|parts| parts.into_iter().map(|p| p.name).collect::<Vec<_>>())
        };
        let some = |parts: &[&str]| Some(parts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_eq!(names("t"), some(&["t"]));
        assert_eq!(names(" s . t "), some(&["s", "t"]));
        assert_eq!(names("\"a.b\".\"c\"\"d\""), some(&["a.b", "c\"d"]));
        assert_eq!(names("db.s.t"), some(&["db", "s", "t"]));
        for bad in ["", ".", "a.", "\"a", "\"a\"b", "\"\""] {
            assert_eq!(names(bad), None, "{bad}");
        }
    }

    #[test]
    fn unquoted_names_fold() {
        let written = |name: &str, quoted| Written { name: name.into(), quoted };
        assert_eq!(written("Orders", false).candidates(), ["Orders", "orders"]);
        assert_eq!(written("Orders", true).candidates(), ["Orders"]);
        assert_eq!(written("orders", false).candidates(), ["orders"]);
    }

    #[test]
    fn near_names_are_found() {
        assert_eq!(nearest("ordres", ["customers", "orders"]), Some("orders"));
        assert_eq!(nearest("Orders", ["orders"]), Some("orders"));
        assert_eq!(nearest("nwe", ["old", "new"]), Some("new"));
        assert_eq!(nearest("x", ["id", "customers"]), None);
    }
}
