//! Transformers that make another text of a value. Lengths are in UTF-16 units, as Java counts them.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field};
use domain::job::{Action, DigestAlgorithm, PadSide};
use domain::{Fault, Result};
use md5::{Digest, Md5};
use sha1::Sha1;

use super::Misfit;
use crate::mapping::Values;

/// A transformer of one column.
#[derive(Clone, Debug)]
pub(super) struct Change(Action);

/// Why a text cannot be changed: code and message.
type Unfit = (&'static str, String);

/// Whether NULL becomes a text.
pub(super) fn fills_nulls(action: &Action) -> bool {
    matches!(action, Action::Pad { .. } | Action::Digest { .. })
}

impl Change {
    pub(super) fn new(action: &Action) -> Result<Self> {
        match action {
            Action::Drop(_) => Err(Fault::internal("engine.transform", "a filter changes nothing")),
            Action::Pad { pad, .. } if pad.is_empty() => {
                Err(Fault::user("transform.pad", "there is nothing to fill up with"))
            }
            other => Ok(Self(other.clone())),
        }
    }

    /// The new column, and the rows that it holds no true value for.
    pub(super) fn apply(
        &self,
        field: &Field,
        column: &ArrayRef,
        values: &Values,
    ) -> Result<(ArrayRef, Vec<Misfit>)> {
        let (texts, unread) = values.read(field, &DataType::Utf8, column)?;
        let texts = texts.as_string::<i32>();
        let mut misfits: Vec<_> = unread.iter().map(|row| Misfit::unread(*row, "text")).collect();
        let mut unread = unread.into_iter().peekable();
        let fills = fills_nulls(&self.0);
        let mut made = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        let mut text = String::new();
        for row in 0..texts.len() {
            // A dirty row needs some value until it is out.
            if unread.next_if_eq(&row).is_some() {
                made.append_value("");
                continue;
            }
            if texts.is_null(row) && !fills {
                made.append_null();
                continue;
            }
            text.clear();
            let value = if texts.is_null(row) { "" } else { texts.value(row) };
            if let Err((code, message)) = self.write(value, &mut text) {
                misfits.push(Misfit { row, code, message });
            }
            made.append_value(&text);
        }
        Ok((Arc::new(made.finish()), misfits))
    }

    fn write(&self, value: &str, to: &mut String) -> Result<(), Unfit> {
        match &self.0 {
            Action::Substring { start, length } => {
                let (from, end) = part(value, *start, *length)?;
                to.push_str(&value[from..end]);
            }
            Action::Replace { start, length, replacement } => {
                let (from, end) = part(value, *start, *length)?;
                to.extend([&value[..from], replacement, &value[end..]]);
            }
            Action::Pad { side, length, pad } => return padded(value, *side, *length, pad, to),
            Action::Digest { algorithm, upper_case } => match algorithm {
                DigestAlgorithm::Md5 => hexadecimal(&Md5::digest(value), *upper_case, to),
                DigestAlgorithm::Sha1 => hexadecimal(&Sha1::digest(value), *upper_case, to),
            },
            // `new` lets no filter in.
            Action::Drop(_) => to.push_str(value),
        }
        Ok(())
    }
}

/// The bytes from `start` on, `length` long, or to the end where the text is shorter.
fn part(value: &str, start: usize, length: usize) -> Result<(usize, usize), Unfit> {
    let whole = units(value);
    if start > whole {
        let message = format!("the value has length {whole}, and the part begins at {start}");
        return Err(("transform.range", message));
    }
    Ok((at(value, start)?, at(value, start.saturating_add(length).min(whole))?))
}

fn padded(
    value: &str,
    side: PadSide,
    length: usize,
    pad: &str,
    to: &mut String,
) -> Result<(), Unfit> {
    let whole = units(value);
    if whole >= length {
        to.push_str(&value[..at(value, length)?]);
        return Ok(());
    }
    let (missing, each) = (length - whole, units(pad).max(1));
    let rest = &pad[..at(pad, missing % each)?];
    if side == PadSide::Right {
        to.push_str(value);
    }
    (0..missing / each).for_each(|_| to.push_str(pad));
    to.push_str(rest);
    if side == PadSide::Left {
        to.push_str(value);
    }
    Ok(())
}

/// How many UTF-16 units a text has.
fn units(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// The byte at which the UTF-16 unit `unit` begins; the text has as many, or one less.
fn at(text: &str, unit: usize) -> Result<usize, Unfit> {
    if text.is_ascii() {
        return Ok(unit);
    }
    let mut count = 0;
    for (byte, char) in text.char_indices() {
        match count {
            _ if count == unit => return Ok(byte),
            // Java would leave half a character, which is no text.
            _ if count > unit => break,
            _ => count += char.len_utf16(),
        }
    }
    if count == unit {
        return Ok(text.len());
    }
    Err(("transform.half", "the cut would leave half a character".to_owned()))
}

fn hexadecimal(bytes: &[u8], upper_case: bool, to: &mut String) {
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = if upper_case { write!(to, "{byte:02X}") } else { write!(to, "{byte:02x}") };
    }
}
