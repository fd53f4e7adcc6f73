//! Functions of texts. Positions and lengths count characters.

use std::fmt::Write;
use std::sync::Arc;

use ::md5::{Digest, Md5};
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::Buffer;
use domain::{Fault, Result};
use sha2::Sha256;

use super::calls::{Arguments, Prepared, Unfit};
use crate::json;
use crate::node::Value;

/// Characters that a text may be filled up to.
const LENGTH_MAX: i64 = 1 << 20;

pub(super) fn lower(arguments: &Arguments<'_>) -> Result<Value> {
    letters(arguments, <[u8]>::make_ascii_lowercase, |text, to| {
        to.extend(text.chars().flat_map(char::to_lowercase));
    })
}

pub(super) fn upper(arguments: &Arguments<'_>) -> Result<Value> {
    letters(arguments, <[u8]>::make_ascii_uppercase, |text, to| {
        to.extend(text.chars().flat_map(char::to_uppercase));
    })
}

/// Texts of ASCII alone are turned at once.
fn letters(
    arguments: &Arguments<'_>,
    ascii: fn(&mut [u8]),
    write: fn(&str, &mut String),
) -> Result<Value> {
    let value = &arguments.values[0];
    let texts = value.array.as_string::<i32>();
    if !value.scalar && texts.value_data().is_ascii() {
        let mut bytes = texts.value_data().to_vec();
        ascii(&mut bytes);
        let (offsets, nulls) = (texts.offsets().clone(), texts.nulls().cloned());
        let made = StringArray::try_new(offsets, Buffer::from(bytes), nulls);
        let made = made.map_err(crate::node::bug)?;
        return Ok(arguments.done(Arc::new(made) as ArrayRef, Vec::new()));
    }
    let text = arguments.texts(0);
    arguments.make_texts(|row, to| {
        write(text(row), to);
        Ok(())
    })
}

fn trimmed(
    arguments: &Arguments<'_>,
    cut: impl for<'t> Fn(&'t str, &dyn Fn(char) -> bool) -> &'t str,
) -> Result<Value> {
    let text = arguments.texts(0);
    let characters = arguments.has(1).then(|| arguments.texts(1));
    arguments.make_texts(|row, to| {
        to.push_str(match &characters {
            None => cut(text(row), &|char| char == ' '),
            Some(characters) => cut(text(row), &|char| characters(row).contains(char)),
        });
        Ok(())
    })
}

pub(super) fn trim(arguments: &Arguments<'_>) -> Result<Value> {
    trimmed(arguments, |text, is| text.trim_matches(is))
}

pub(super) fn ltrim(arguments: &Arguments<'_>) -> Result<Value> {
    trimmed(arguments, |text, is| text.trim_start_matches(is))
}

pub(super) fn rtrim(arguments: &Arguments<'_>) -> Result<Value> {
    trimmed(arguments, |text, is| text.trim_end_matches(is))
}

/// The byte at which the character `index` begins, or the end.
fn at(text: &str, index: usize) -> usize {
    if text.is_ascii() {
        return index.min(text.len());
    }
    text.char_indices().nth(index).map_or(text.len(), |(byte, _)| byte)
}

fn count(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

fn index(number: i64) -> usize {
    usize::try_from(number.max(0)).unwrap_or(usize::MAX)
}

pub(super) fn substring(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, from) = (arguments.texts(0), arguments.integers(1));
    let length = arguments.has(2).then(|| arguments.integers(2));
    arguments.make_texts(|row, to| {
        let (text, from) = (text(row), from(row).saturating_sub(1));
        let end = match &length {
            None => i64::MAX,
            Some(length) if length(row) < 0 => {
                let message = "a length of substring is negative".to_owned();
                return Err(("expression.range", message));
            }
            // Characters before the first count, too.
            Some(length) => from.saturating_add(length(row)),
        };
        let (start, end) = (at(text, index(from)), at(text, index(end)));
        to.push_str(text.get(start..end).unwrap_or_default());
        Ok(())
    })
}

pub(super) fn length(arguments: &Arguments<'_>) -> Result<Value> {
    let text = arguments.texts(0);
    arguments.make_integers(|row| Ok(count(text(row)) as i64))
}

pub(super) fn position(arguments: &Arguments<'_>) -> Result<Value> {
    let (part, text) = (arguments.texts(0), arguments.texts(1));
    arguments.make_integers(|row| {
        let text = text(row);
        Ok(text.find(part(row)).map_or(0, |byte| count(&text[..byte]) as i64 + 1))
    })
}

pub(super) fn replace(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, find, by) = (arguments.texts(0), arguments.texts(1), arguments.texts(2));
    arguments.make_texts(|row, to| {
        let (text, find, by) = (text(row), find(row), by(row));
        if find.is_empty() {
            to.push_str(text);
            return Ok(());
        }
        let mut rest = 0;
        for (start, found) in text.match_indices(find) {
            to.extend([&text[rest..start], by]);
            rest = start + found.len();
        }
        to.push_str(&text[rest..]);
        Ok(())
    })
}

fn pattern<'a>(arguments: &'a Arguments<'_>) -> Result<&'a regex::Regex> {
    match &arguments.call.prepared {
        Prepared::Pattern(pattern) => Ok(pattern),
        _ => Err(Fault::internal("expression.call", "there is no pattern")),
    }
}

pub(super) fn regexp_replace(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, by, pattern) = (arguments.texts(0), arguments.texts(1), pattern(arguments)?);
    arguments.make_texts(|row, to| {
        to.push_str(&pattern.replace_all(text(row), by(row)));
        Ok(())
    })
}

pub(super) fn regexp_like(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, pattern) = (arguments.texts(0), pattern(arguments)?);
    arguments.make_booleans(|row| pattern.is_match(text(row)))
}

pub(super) fn split_part(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, separator, n) = (arguments.texts(0), arguments.texts(1), arguments.integers(2));
    arguments.make_texts(|row, to| {
        let (text, separator, n) = (text(row), separator(row), n(row));
        let nth = index(n.saturating_abs()).saturating_sub(1);
        let found = match n {
            0 => {
                let message = "split_part counts from 1, or from -1 at the end".to_owned();
                return Err(("expression.range", message));
            }
            _ if separator.is_empty() => (nth == 0).then_some(text),
            1.. => text.split(separator).nth(nth),
            _ => text.rsplit(separator).nth(nth),
        };
        to.push_str(found.unwrap_or_default());
        Ok(())
    })
}

pub(super) fn left(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, n) = (arguments.texts(0), arguments.integers(1));
    arguments.make_texts(|row, to| {
        let (text, n) = (text(row), n(row));
        let keeps =
            if n < 0 { count(text).saturating_sub(index(-n.max(-i64::MAX))) } else { index(n) };
        to.push_str(&text[..at(text, keeps)]);
        Ok(())
    })
}

pub(super) fn right(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, n) = (arguments.texts(0), arguments.integers(1));
    arguments.make_texts(|row, to| {
        let (text, n) = (text(row), n(row));
        let drops =
            if n < 0 { index(-n.max(-i64::MAX)) } else { count(text).saturating_sub(index(n)) };
        to.push_str(&text[at(text, drops)..]);
        Ok(())
    })
}

pub(super) fn lpad(arguments: &Arguments<'_>) -> Result<Value> {
    padded(arguments, true)
}

pub(super) fn rpad(arguments: &Arguments<'_>) -> Result<Value> {
    padded(arguments, false)
}

fn padded(arguments: &Arguments<'_>, at_start: bool) -> Result<Value> {
    let (text, length) = (arguments.texts(0), arguments.integers(1));
    let fill = arguments.has(2).then(|| arguments.texts(2));
    arguments.make_texts(|row, to| {
        let (text, length) = (text(row), length(row));
        if length > LENGTH_MAX {
            return Err(too_long());
        }
        let (has, wanted) = (count(text), index(length));
        if has >= wanted {
            to.push_str(&text[..at(text, wanted)]);
            return Ok(());
        }
        let fill = fill.as_ref().map_or(" ", |fill| fill(row));
        let filling = fill.chars().cycle().take(if fill.is_empty() { 0 } else { wanted - has });
        if at_start {
            to.extend(filling);
            to.push_str(text);
        } else {
            to.push_str(text);
            to.extend(filling);
        }
        Ok(())
    })
}

fn too_long() -> Unfit {
    ("expression.range", format!("a text is filled up to {LENGTH_MAX} characters at most"))
}

pub(super) fn reverse(arguments: &Arguments<'_>) -> Result<Value> {
    let text = arguments.texts(0);
    arguments.make_texts(|row, to| {
        to.extend(text(row).chars().rev());
        Ok(())
    })
}

pub(super) fn md5(arguments: &Arguments<'_>) -> Result<Value> {
    let text = arguments.texts(0);
    arguments.make_texts(|row, to| {
        hexadecimal(&Md5::digest(text(row)), to);
        Ok(())
    })
}

pub(super) fn sha256(arguments: &Arguments<'_>) -> Result<Value> {
    let text = arguments.texts(0);
    arguments.make_texts(|row, to| {
        hexadecimal(&Sha256::digest(text(row)), to);
        Ok(())
    })
}

fn hexadecimal(bytes: &[u8], to: &mut String) {
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = write!(to, "{byte:02x}");
    }
}

pub(super) fn json_value(arguments: &Arguments<'_>) -> Result<Value> {
    let Prepared::Path(path) = &arguments.call.prepared else {
        return Err(Fault::internal("expression.call", "there is no path"));
    };
    let text = arguments.texts(0);
    let (mut failures, mut bytes) = (Vec::new(), 0);
    let mut made = StringBuilder::with_capacity(arguments.rows, arguments.rows * 8);
    for row in 0..arguments.rows {
        let found = match arguments.is_null(row) {
            true => Ok(None),
            false => json::Document::parse(text(row)).and_then(|document| document.find(path)),
        };
        let found = found.unwrap_or_else(|message| {
            failures.push(crate::Failure { row, code: "expression.json", message });
            None
        });
        bytes += found.as_ref().map_or(0, String::len);
        super::calls::check_size(bytes)?;
        made.append_option(found);
    }
    Ok(arguments.done(Arc::new(made.finish()), failures))
}
