//! The characters that give delimited text its form: each one ASCII character, none with two meanings.

use sdk::Result;

use crate::parameters::invalid;

/// One ASCII character, also as `\t`, `\u001b` or `\x1b`.
pub(crate) fn character(key: &str, text: &str) -> Result<u8> {
    let escaped = |digits: &str| u8::from_str_radix(digits, 16).ok();
    let byte = match text {
        "\\t" => Some(b'\t'),
        "\\n" => Some(b'\n'),
        "\\r" => Some(b'\r'),
        _ => match text.as_bytes() {
            [byte] => Some(*byte),
            [b'\\', b'u', _, _, _, _] => text[2..].strip_prefix("00").and_then(escaped),
            [b'\\', b'x', _, _] => escaped(&text[2..]),
            _ => None,
        },
    };
    byte.filter(u8::is_ascii).ok_or_else(|| {
        invalid(key, format!("\"{key}\" must be one ASCII character, such as \",\" or \"\\u0001\""))
    })
}

pub(crate) fn field_delimiter(key: &str, text: &str) -> Result<u8> {
    match character(key, text)? {
        b'\n' | b'\r' | b'"' => Err(invalid(key, "fields can't be divided by quotes or line ends")),
        byte => Ok(byte),
    }
}

/// Fails where two of the characters are the same, at the key of the second.
pub(crate) fn all_differ(characters: &[(&str, Option<u8>)]) -> Result<()> {
    for (at, (key, character)) in characters.iter().enumerate() {
        let same = |(_, other): &&(&str, Option<u8>)| character.is_some() && other == character;
        if let Some((other, _)) = characters[..at].iter().find(same) {
            return Err(invalid(key, format!("\"{key}\" and \"{other}\" have the same character"))
                .hint("give each its own"));
        }
    }
    Ok(())
}

/// Fails where the text for NULL could not be told from what has a meaning around it.
pub(crate) fn check_null(null: &str, characters: &[(&str, Option<u8>)]) -> Result<()> {
    let within =
        |character: &Option<u8>| character.is_some_and(|byte| null.as_bytes().contains(&byte));
    match characters.iter().find(|(_, character)| within(character)) {
        None if !null.contains(['\n', '\r']) => Ok(()),
        None => Err(invalid("nullFormat", "\"nullFormat\" holds a line end")),
        Some((key, _)) => {
            let message = format!("\"nullFormat\" holds the character of \"{key}\"");
            Err(invalid("nullFormat", message).hint("choose another text for NULL"))
        }
    }
}
