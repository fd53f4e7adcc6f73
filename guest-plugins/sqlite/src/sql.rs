//! SQL text: names and literals in quotes, names of tables as users write them.

use database::names::quoted;

/// `name` as a quoted identifier.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text`, which has no NUL, as a literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The parts of `schema.table`, where quotes protect dots; `None` for a text that is no such name.
pub(crate) fn split_name(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, behind) = match rest.chars().next()? {
            quote @ ('"' | '`') => quoted(&rest[1..], quote)?,
            '[' => {
                let end = rest.find(']')?;
                (rest[1..end].to_owned(), &rest[end + 1..])
            }
            _ => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        if part.is_empty() || part.contains('\0') {
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

pub(crate) fn without_semicolon(text: &str) -> &str {
    text.trim().trim_end_matches(|c: char| c == ';' || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_are_quoted() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
    }

    #[test]
    fn names_split_at_dots_outside_quotes() {
        let some = |parts: &[&str]| Some(parts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_eq!(split_name("t"), some(&["t"]));
        assert_eq!(split_name(" d . t "), some(&["d", "t"]));
        assert_eq!(split_name("\"a.b\".[c.d]"), some(&["a.b", "c.d"]));
        for bad in ["", ".", "a.", "\"a", "[a", "\"a\"b", "\"\""] {
            assert_eq!(split_name(bad), None, "{bad}");
        }
    }
}
