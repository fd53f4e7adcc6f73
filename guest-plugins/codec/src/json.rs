//! JSON lines: one object a line, taken apart without building it.
//!
//! Only the members of the outermost object become fields; a nested value is its own text. A line that is
//! no object is told as it is. Strings are resolved only where they hold escapes.

use std::collections::HashMap;

use memchr::memchr;

use crate::cells::{Cell, Cells, Form, Record};
use crate::csv::Scan;

/// Values nested deeper are refused: nobody writes them.
const DEPTH_MAX: usize = 256;

/// What kind of value a cell is; the inference asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Null,
    Text,
    Number,
    Boolean,
    Nested,
}

/// Takes lines apart into the members that are wanted.
pub struct Tokenizer {
    keys: HashMap<Vec<u8>, usize>,
    names: Vec<Vec<u8>>,
    /// A member that is not wanted is a flaw: the names were inferred and it would be lost.
    complete: bool,
    /// Members that are not known yet become names.
    learns: bool,
    /// For the inference: record, column and shape of each value.
    shapes: Option<Vec<(usize, usize, Shape)>>,
}

type Wrong = (&'static str, String);

fn wrong<T>(message: impl Into<String>) -> Result<T, Wrong> {
    Err(("format.json", message.into()))
}

impl Tokenizer {
    /// `complete`: the names are all that a record may hold.
    pub fn new(names: &[String], complete: bool) -> Self {
        let names: Vec<_> = names.iter().map(|name| name.clone().into_bytes()).collect();
        let keys = names.iter().cloned().enumerate().map(|(at, name)| (name, at)).collect();
        Self { keys, names, complete, learns: false, shapes: None }
    }

    /// Finds the names by itself; only [`Self::names`] is of use afterwards.
    pub fn learning() -> Self {
        Self { learns: true, ..Self::new(&[], false) }
    }

    /// Notes the shape of each value, for [`Self::take_shapes`].
    pub fn noting(names: &[String]) -> Self {
        Self { shapes: Some(Vec::new()), ..Self::new(names, false) }
    }

    /// Record, column and shape of the values since the last call.
    pub fn take_shapes(&mut self) -> Vec<(usize, usize, Shape)> {
        self.shapes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The names in the order in which they came first.
    pub fn names(&self) -> Vec<String> {
        self.names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    pub fn record(&mut self, window: &[u8], at: usize, ended: bool, cells: &mut Cells) -> Scan {
        if at >= window.len() {
            return Scan::Incomplete;
        }
        let (end, next) = match memchr(b'\n', &window[at..]) {
            Some(length) => (at + length, at + length + 1),
            None if ended => (window.len(), window.len()),
            None => return Scan::Incomplete,
        };
        let lines = u32::from(next > end);
        let line = &window[..end];
        let start = blank(line, at);
        if start == end {
            return Scan::Skipped { next, lines };
        }
        let first_cell = cells.cells.len();
        cells.cells.resize(first_cell + cells.width, Cell::NULL);
        let record = cells.records.len();
        if let Err((code, message)) = self.object(line, start, first_cell, record, cells) {
            cells.flaw(record, code, message);
            cells.cells[first_cell..].fill(Cell::NULL);
        }
        let end = if line.last() == Some(&b'\r') && end > at { end - 1 } else { end };
        let (start, end, next) = (at as u32, end as u32, next as u32);
        cells.records.push(Record { start, end, next, fields: 0, lines });
        Scan::Record
    }

    fn object(
        &mut self,
        line: &[u8],
        at: usize,
        first_cell: usize,
        record: usize,
        cells: &mut Cells,
    ) -> Result<(), Wrong> {
        if line[at] != b'{' {
            return wrong("the line is no JSON object");
        }
        let mut at = blank(line, at + 1);
        if line.get(at) == Some(&b'}') {
            return end_of_line(line, at + 1);
        }
        let mut guess = 0;
        loop {
            let (key, behind) = string(line, at, cells)?;
            at = blank(line, behind);
            if line.get(at) != Some(&b':') {
                return wrong("a colon is missing");
            }
            at = blank(line, at + 1);
            let column = self.column(line, key, guess, cells)?;
            let (cell, shape, behind) = value(line, at, column.is_some(), cells)?;
            if let Some(column) = column {
                guess = column + 1;
                self.keep(column, cell, shape, first_cell, record, cells)?;
            }
            at = blank(line, behind);
            match line.get(at) {
                Some(b',') => at = blank(line, at + 1),
                Some(b'}') => return end_of_line(line, at + 1),
                _ => return wrong("the object does not end, or a comma is missing"),
            }
        }
    }

    /// The column of a member; members mostly come in the same order.
    fn column(
        &mut self,
        line: &[u8],
        key: Cell,
        guess: usize,
        cells: &mut Cells,
    ) -> Result<Option<usize>, Wrong> {
        let range = key.start as usize..key.end as usize;
        let key_text = match key.form {
            Form::Resolved => &cells.scratch[range],
            _ => &line[range],
        };
        if self.names.get(guess).is_some_and(|name| name == key_text) {
            return Ok(Some(guess));
        }
        match self.keys.get(key_text) {
            Some(column) => Ok(Some(*column)),
            None if self.learns => {
                let column = self.names.len();
                self.keys.insert(key_text.to_vec(), column);
                self.names.push(key_text.to_vec());
                Ok(Some(column))
            }
            None if self.complete => Err((
                "format.unknown_member",
                "the object has a member that the inferred columns lack".to_owned(),
            )),
            None => Ok(None),
        }
    }

    fn keep(
        &mut self,
        column: usize,
        cell: Cell,
        shape: Shape,
        first_cell: usize,
        record: usize,
        cells: &mut Cells,
    ) -> Result<(), Wrong> {
        if let Some(shapes) = &mut self.shapes {
            shapes.push((record, column, shape));
        }
        if column < cells.width {
            let slot = &mut cells.cells[first_cell + column];
            if *slot != Cell::NULL {
                return wrong("a member stands twice in the object");
            }
            *slot = cell;
        }
        Ok(())
    }
}

fn blank(line: &[u8], mut at: usize) -> usize {
    while matches!(line.get(at), Some(b' ' | b'\t' | b'\r')) {
        at += 1;
    }
    at
}

fn end_of_line(line: &[u8], at: usize) -> Result<(), Wrong> {
    if blank(line, at) == line.len() { Ok(()) } else { wrong("text stands behind the object") }
}

/// The string at `at` and what comes behind it.
fn string(line: &[u8], at: usize, cells: &mut Cells) -> Result<(Cell, usize), Wrong> {
    if line.get(at) != Some(&b'"') {
        return wrong("a string is missing");
    }
    let start = at + 1;
    let Some(length) = memchr::memchr2(b'"', b'\\', &line[start..]) else {
        return wrong("a string does not end");
    };
    let end = start + length;
    if line[end] == b'"' {
        if line[start..end].iter().any(|byte| *byte < 0x20) {
            return wrong("a string holds a control character");
        }
        let cell = Cell { start: start as u32, end: end as u32, form: Form::Plain };
        return Ok((cell, end + 1));
    }
    let from = cells.scratch.len();
    let behind = resolve(line, start, &mut cells.scratch)?;
    let to = cells.scratch.len();
    Ok((Cell { start: from as u32, end: to as u32, form: Form::Resolved }, behind))
}

/// Copies a string with its escapes resolved.
fn resolve(line: &[u8], start: usize, out: &mut Vec<u8>) -> Result<usize, Wrong> {
    let mut at = start;
    loop {
        match line.get(at) {
            None => return wrong("a string does not end"),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => {
                at += 2;
                match line.get(at - 1) {
                    Some(byte @ (b'"' | b'\\' | b'/')) => out.push(*byte),
                    Some(b'b') => out.push(8),
                    Some(b'f') => out.push(12),
                    Some(b'n') => out.push(b'\n'),
                    Some(b'r') => out.push(b'\r'),
                    Some(b't') => out.push(b'\t'),
                    Some(b'u') => at = unicode(line, at, out)?,
                    _ => return wrong("a string holds an escape that does not exist"),
                }
            }
            Some(byte) if *byte < 0x20 => return wrong("a string holds a control character"),
            Some(byte) => {
                out.push(*byte);
                at += 1;
            }
        }
    }
}

/// The character of `\uXXXX`, two of them for one outside the basic plane.
fn unicode(line: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Wrong> {
    let unit = |at: usize| {
        let digits = line.get(at..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    let first = unit(at);
    let pair = match first {
        Some(0xd800..=0xdbff) if line.get(at + 4..at + 6) == Some(b"\\u") => unit(at + 6),
        _ => None,
    };
    let (code, behind) = match (first, pair) {
        (Some(high), Some(low @ 0xdc00..=0xdfff)) => {
            (Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), at + 10)
        }
        (first, _) => (first, at + 4),
    };
    match code.and_then(char::from_u32) {
        Some(character) => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            Ok(behind)
        }
        None => wrong("a string holds a \\u escape that is no character"),
    }
}

/// The value at `at`: its cell (only where it is wanted), its shape, and what comes behind it.
fn value(
    line: &[u8],
    at: usize,
    wanted: bool,
    cells: &mut Cells,
) -> Result<(Cell, Shape, usize), Wrong> {
    let plain = |end: usize| Cell { start: at as u32, end: end as u32, form: Form::Plain };
    let literal = |text: &[u8]| line[at..].starts_with(text).then_some(at + text.len());
    let found = match line.get(at) {
        Some(b'"') => {
            let scratch = cells.scratch.len();
            let (cell, behind) = string(line, at, cells)?;
            if !wanted {
                cells.scratch.truncate(scratch);
            }
            Some((cell, Shape::Text, behind))
        }
        Some(b'{' | b'[') => {
            let end = nested(line, at)?;
            Some((plain(end), Shape::Nested, end))
        }
        Some(b'n') => literal(b"null").map(|end| (Cell::NULL, Shape::Null, end)),
        Some(b't') => literal(b"true").map(|end| (plain(end), Shape::Boolean, end)),
        Some(b'f') => literal(b"false").map(|end| (plain(end), Shape::Boolean, end)),
        Some(b'-' | b'0'..=b'9') => {
            let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
            let end = at + line[at..].iter().take_while(|byte| digit(byte)).count();
            is_number(&line[at..end]).then_some((plain(end), Shape::Number, end))
        }
        _ => None,
    };
    found.map_or_else(|| wrong("a value is missing or is no JSON"), Ok)
}

/// A number as JSON writes it: no plus, no leading zeros, digits on both sides of a point.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || whole > 1 && rest[0] == b'0' {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}

/// The end of an object or array, by its brackets; what is in it stays as it is.
fn nested(line: &[u8], at: usize) -> Result<usize, Wrong> {
    let mut closers = Vec::new();
    let mut position = at;
    while let Some(byte) = line.get(position) {
        position += 1;
        match byte {
            b'{' => closers.push(b'}'),
            b'[' => closers.push(b']'),
            b'}' | b']' => {
                if closers.pop() != Some(*byte) {
                    return wrong("brackets do not match");
                }
                if closers.is_empty() {
                    return Ok(position);
                }
            }
            b'"' => position = string_end(line, position)?,
            _ => {}
        }
        if closers.len() > DEPTH_MAX {
            return wrong(format!("values are nested deeper than {DEPTH_MAX}"));
        }
    }
    wrong("a bracket is not closed")
}

fn string_end(line: &[u8], mut at: usize) -> Result<usize, Wrong> {
    while let Some(length) = memchr::memchr2(b'"', b'\\', &line[at..]) {
        at += length;
        if line[at] == b'"' {
            return Ok(at + 1);
        }
        at = (at + 2).min(line.len());
    }
    wrong("a string does not end")
}
