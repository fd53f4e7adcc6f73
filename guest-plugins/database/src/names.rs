//! Names as users write them.

/// A quoted name up to its closing quote, behind the opening one, and what stands behind it; `None` where
/// the quote is never closed. Two quotes are one in the name.
pub fn quoted(inner: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = inner;
    loop {
        let end = rest.find(quote)?;
        name.push_str(&rest[..end]);
        rest = &rest[end + quote.len_utf8()..];
        match rest.strip_prefix(quote) {
            Some(more) => {
                name.push(quote);
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

/// A name as the user wrote it, in quotes where it has none of its own.
pub fn shown(name: &str) -> String {
    match name.starts_with(['"', '`', '[']) {
        true => name.to_owned(),
        false => format!("\"{name}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_in_quotes() {
        assert_eq!(shown("a.b"), "\"a.b\"");
        assert_eq!(shown("`a`.`b`"), "`a`.`b`");
    }

    #[test]
    fn two_quotes_are_one() {
        assert_eq!(quoted("a`\".b", '"'), Some(("a`".to_owned(), ".b")));
        assert_eq!(quoted("a``b` c", '`'), Some(("a`b".to_owned(), " c")));
        assert_eq!(quoted("a", '`'), None);
    }
}
