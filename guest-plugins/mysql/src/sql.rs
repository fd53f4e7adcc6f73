//! SQL text: names and literals in quotes, names of tables as users write them.

use database::names::quoted;

/// `name` as a quoted identifier.
pub(crate) fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `text` as a literal; sessions take a backslash for what it is by default.
pub(crate) fn literal(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    quote(text.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends a text in UTF-8 as a literal.
pub(crate) fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for byte in text {
        match byte {
            0 => out.extend_from_slice(b"\\0"),
            b'\'' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            _ => out.push(*byte),
        }
    }
    out.push(b'\'');
}

/// Appends a text in UTF-8 as a field of a line, where tabs stand between fields.
pub(crate) fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            0 => out.extend_from_slice(b"\\0"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            _ => out.push(*byte),
        }
    }
}

/// Appends bytes as a literal.
pub(crate) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"x'");
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out.push(b'\'');
}

/// The bytes of hexadecimal digits.
pub(crate) fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?)).collect()
}

/// A statement without its values: those that differ only in them have one shape.
pub(crate) fn shape(statement: &str) -> String {
    let end = statement.find(" VALUES ").map_or(statement.len(), |at| at + 8);
    let mut shape = String::new();
    let mut in_text = false;
    for c in statement[..end].chars() {
        match c {
            '\'' => in_text = !in_text,
            _ if in_text => {}
            '0'..='9' => {}
            _ => shape.push(c),
        }
    }
    shape
}

/// The parts of `database.table`, where quotes protect dots; `None` for a text that is no such name.
pub(crate) fn split_name(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let quote = rest.chars().next().filter(|c| matches!(c, '`' | '"'));
        let (part, behind) = match quote {
            Some(quote) => quoted(&rest[1..], quote)?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        let behind = behind.trim_start();
        match behind.strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None => return behind.is_empty().then_some(parts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_are_quoted() {
        assert_eq!(ident("a`b"), "`a``b`");
        assert_eq!(literal("it's \\ \0"), "'it\\'s \\\\ \\0'");
        let mut out = Vec::new();
        hex(&[0, 0xab], &mut out);
        assert_eq!(out, b"x'00ab'");
        assert_eq!(from_hex("00AB"), Some(vec![0, 0xab]));
        assert_eq!(from_hex("0"), None);
    }

    #[test]
    fn names_split_at_dots_outside_quotes() {
        let some = |parts: &[&str]| Some(parts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_eq!(split_name("t"), some(&["t"]));
        assert_eq!(split_name(" d . t "), some(&["d", "t"]));
        assert_eq!(split_name("`a.b`.`c``d`"), some(&["a.b", "c`d"]));
        for bad in ["", ".", "a.", "`a", "`a`b", "``"] {
            assert_eq!(split_name(bad), None, "{bad}");
        }
    }
}
