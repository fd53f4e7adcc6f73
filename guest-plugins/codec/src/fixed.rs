//! Fields of fixed width: each takes the same characters of every line, with blanks around its value.

use serde::{Deserialize, Serialize};

use crate::cells::{Cell, Cells, Form};

/// Where a field stands in its line, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    pub start: usize,
    pub width: usize,
}

/// Appends the first fields of a line to `cells`, as many as those keep. What is `null` is NULL.
///
/// # Errors
/// Why the record can't be taken: a line that ends before a field begins.
pub fn cells(
    slices: &[Slice],
    window: &[u8],
    line: std::ops::Range<usize>,
    null: &[u8],
    cells: &mut Cells,
) -> Result<(), String> {
    let text = &window[line.clone()];
    let begins = if text.is_ascii() { None } else { Some(characters(text)) };
    let count = begins.as_ref().map_or(text.len(), Vec::len);
    let place = |character: usize| match &begins {
        Some(begins) => begins.get(character).copied().unwrap_or(text.len()),
        None => character.min(text.len()),
    };
    for slice in &slices[..slices.len().min(cells.width)] {
        let (mut from, mut to) =
            (place(slice.start), place(slice.start.saturating_add(slice.width)));
        while from < to && text[from] == b' ' {
            from += 1;
        }
        while from < to && text[to - 1] == b' ' {
            to -= 1;
        }
        let (start, end) = ((line.start + from) as u32, (line.start + to) as u32);
        let is_null = from == to || text[from..to] == *null;
        cells.cells.push(if is_null { Cell::NULL } else { Cell { start, end, form: Form::Plain } });
    }
    match slices.iter().find(|slice| slice.start >= count) {
        None => Ok(()),
        Some(slice) => Err(format!(
            "the record has {count} characters, and a field begins behind {}",
            slice.start
        )),
    }
}

/// Where each character begins.
fn characters(text: &[u8]) -> Vec<usize> {
    let begins = text.iter().enumerate().filter(|(_, byte)| !matches!(byte, 0x80..=0xbf));
    begins.map(|(at, _)| at).collect()
}

/// Appends a value that fills its width: numbers stand at the right, others at the left.
///
/// # Errors
/// Why it can't be read again as it is.
pub fn push(text: &[u8], width: usize, right: bool, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let count = characters(text).len();
    if count > width {
        return Err("is longer than the width of its column");
    }
    if text.is_empty() {
        return Err("is an empty text, which blanks do not tell from NULL");
    }
    if text.starts_with(b" ") || text.ends_with(b" ") {
        return Err("has blanks around it, which fixed width does not keep");
    }
    if text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err("holds a line end");
    }
    if right {
        out.extend(std::iter::repeat_n(b' ', width - count));
    }
    out.extend_from_slice(text);
    if !right {
        out.extend(std::iter::repeat_n(b' ', width - count));
    }
    Ok(())
}
