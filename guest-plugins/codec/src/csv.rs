//! Delimited text: CSV with quotes, and plain text without.
//!
//! A field that begins with a quote ends at the next quote that is not doubled; delimiters and line ends
//! in it are text. A quote anywhere else is text. `\n` ends a record, a `\r` before it belongs to the
//! line end.

use memchr::memchr;
use serde::{Deserialize, Serialize};
use wide::u8x16;

use crate::cells::{Cell, Cells, Form, Record};
use crate::fixed::{self, Slice};
use crate::written;

/// How fields and records are told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dialect {
    #[serde(with = "written::byte")]
    pub delimiter: u8,
    /// `None`: quotes are text.
    #[serde(with = "written::maybe_byte")]
    pub quote: Option<u8>,
    /// A character that takes the meaning from the next one; else a quote is doubled.
    #[serde(with = "written::maybe_byte")]
    pub escape: Option<u8>,
    /// Ends a record. `\n` also takes a `\r` before it.
    #[serde(with = "written::byte")]
    pub line_end: u8,
    /// This text, unquoted, is NULL.
    #[serde(with = "written::text")]
    pub null: Vec<u8>,
    /// An empty text of a type other than string is NULL.
    pub empty_is_null: bool,
    /// Blanks around unquoted fields are no part of them.
    pub trim: bool,
    /// A line that begins with it is passed over.
    #[serde(with = "written::maybe_byte")]
    pub comment: Option<u8>,
    /// `None`: lines without any text are passed over where a record has several fields.
    pub skip_empty: Option<bool>,
    /// The longest field.
    pub field_bytes_max: Option<usize>,
    /// Fields by their places in the line, and not by delimiters.
    pub slices: Option<Vec<Slice>>,
}

impl Dialect {
    pub fn csv() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            line_end: b'\n',
            null: Vec::new(),
            empty_is_null: false,
            trim: false,
            comment: None,
            skip_empty: None,
            field_bytes_max: None,
            slices: None,
        }
    }

    /// Without quotes, where `\N` is NULL and an empty field an empty text.
    pub fn text() -> Self {
        Self { quote: None, null: b"\\N".to_vec(), empty_is_null: true, ..Self::csv() }
    }

    /// Lines with fields of fixed width, of which blank ones are NULL.
    pub fn fixed(slices: Vec<Slice>) -> Self {
        Self { quote: None, slices: Some(slices), ..Self::csv() }
    }

    /// Whether records can be found from the bytes alone, without parsing from the beginning: line ends
    /// never stand in a field.
    pub fn lines_are_records(&self) -> bool {
        self.quote.is_none() && self.escape.is_none()
    }
}

/// A record has no more cells.
pub const CELLS_MAX: usize = 16_384;

/// How many fields a record must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fields {
    Exactly(usize),
    AtLeast(usize),
}

/// What came of reading one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// It is the last of the cells.
    Record,
    /// No record up to `next`: an empty line or a comment.
    Skipped { next: usize, lines: u32 },
    /// It does not end in the window.
    Incomplete,
}

/// Takes records of delimited text apart.
pub struct Tokenizer {
    dialect: Dialect,
    fields: Fields,
    /// The bytes that end an unquoted field: delimiter, line end, escape (or the line end again).
    stops: Stops,
    /// A field without quotes is all that stands before the next stop.
    plain: bool,
}

/// A field's end, and what stands there.
struct Field {
    cell: Cell,
    /// Of its delimiter, its line end, or the end of the window.
    end: usize,
    /// Line ends inside quotes.
    lines: u32,
    flaw: Option<FieldFlaw>,
}

/// Code and message.
type FieldFlaw = (&'static str, &'static str);

/// Text stands behind the closing quote, or there is none.
const BROKEN_QUOTE: FieldFlaw = ("format.quote", "a quoted field does not end with a quote");
const TOO_LONG: FieldFlaw =
    ("format.field_too_long", "a field is longer than \"safetySwitch\" allows");

impl Tokenizer {
    pub fn new(dialect: Dialect, fields: Fields) -> Self {
        let stops =
            [dialect.delimiter, dialect.line_end, dialect.escape.unwrap_or(dialect.line_end)];
        let Dialect { escape, trim, field_bytes_max, .. } = &dialect;
        let plain = escape.is_none() && !trim && field_bytes_max.is_none();
        Self { dialect, fields, stops: Stops::new(stops), plain }
    }

    /// Reads the record at `at` into `cells`. `ended`: nothing comes behind the window.
    pub fn record(&mut self, window: &[u8], at: usize, ended: bool, cells: &mut Cells) -> Scan {
        self.begin();
        self.next_record(window, at, ended, cells)
    }

    /// Another window comes, for [`Self::next_record`].
    pub(crate) fn begin(&mut self) {
        self.stops.begin();
    }

    /// As [`Self::record`], of the window that has been the same since [`Self::begin`].
    pub(crate) fn next_record(
        &mut self,
        window: &[u8],
        at: usize,
        ended: bool,
        cells: &mut Cells,
    ) -> Scan {
        if at >= window.len() {
            return Scan::Incomplete;
        }
        if self.dialect.comment == Some(window[at]) {
            return self.skipped_line(window, at, ended);
        }
        if let Some(slices) = &self.dialect.slices {
            return self.fixed(slices, window, at, ended, cells);
        }
        let (first_cell, scratch) = (cells.cells.len(), cells.scratch.len());
        let (mut position, mut count, mut lines, mut flaw) = (at, 0, 0, None);
        loop {
            if self.plain
                && let Some((cell, next)) = self.plain_field(window, position)
            {
                if count < cells.width {
                    cells.cells.push(cell);
                }
                (count, position) = (count + 1, next);
                continue;
            }
            let Some(field) = self.field(window, position, ended, cells) else {
                cells.cells.truncate(first_cell);
                cells.scratch.truncate(scratch);
                return Scan::Incomplete;
            };
            if count < cells.width {
                cells.cells.push(field.cell);
            }
            count += 1;
            lines += field.lines;
            flaw = flaw.or(field.flaw);
            position = field.end;
            if window.get(position) != Some(&self.dialect.delimiter) {
                break;
            }
            position += 1;
        }
        let next = (position + 1).min(window.len());
        let end = self.without_return(window, at, position);
        lines += u32::from(position < window.len());
        if end == at && self.skips_empty() {
            cells.cells.truncate(first_cell);
            return Scan::Skipped { next, lines };
        }
        for _ in count..cells.width {
            cells.cells.push(Cell::NULL);
        }
        self.judge(count, flaw, cells);
        cells.records.push(Record {
            start: at as u32,
            end: end as u32,
            next: next as u32,
            fields: count as u32,
            lines,
        });
        Scan::Record
    }

    fn fixed(
        &self,
        slices: &[Slice],
        window: &[u8],
        at: usize,
        ended: bool,
        cells: &mut Cells,
    ) -> Scan {
        let (position, lines) = match memchr(self.dialect.line_end, &window[at..]) {
            Some(length) => (at + length, 1),
            None if ended => (window.len(), 0),
            None => return Scan::Incomplete,
        };
        let next = (position + 1).min(window.len());
        let end = self.without_return(window, at, position);
        if end == at && self.dialect.skip_empty.unwrap_or(true) {
            return Scan::Skipped { next, lines };
        }
        let record = cells.records.len();
        let taken = fixed::cells(slices, window, at..end, &self.dialect.null, cells);
        for _ in slices.len()..cells.width {
            cells.cells.push(Cell::NULL);
        }
        match taken {
            Err(message) => cells.flaw(record, "format.fields", message),
            Ok(()) => self.judge(slices.len(), None, cells),
        }
        cells.records.push(Record {
            start: at as u32,
            end: end as u32,
            next: next as u32,
            fields: slices.len() as u32,
            lines,
        });
        Scan::Record
    }

    fn skips_empty(&self) -> bool {
        let several = !matches!(self.fields, Fields::Exactly(0 | 1) | Fields::AtLeast(0 | 1));
        self.dialect.skip_empty.unwrap_or(several)
    }

    fn skipped_line(&self, window: &[u8], at: usize, ended: bool) -> Scan {
        match memchr(self.dialect.line_end, &window[at..]) {
            Some(length) => Scan::Skipped { next: at + length + 1, lines: 1 },
            None if ended => Scan::Skipped { next: window.len(), lines: 0 },
            None => Scan::Incomplete,
        }
    }

    fn judge(&self, count: usize, flaw: Option<FieldFlaw>, cells: &mut Cells) {
        let record = cells.records.len();
        if let Some((code, message)) = flaw {
            cells.flaw(record, code, message.to_owned());
        }
        let wanted = match self.fields {
            Fields::Exactly(wanted) if count != wanted => wanted.to_string(),
            Fields::AtLeast(wanted) if count < wanted => format!("at least {wanted}"),
            _ => return,
        };
        let message = format!("the record has {count} fields and not {wanted}");
        cells.flaw(record, "format.fields", message);
    }

    /// The end of a text at `end` without a `\r` of the line end.
    fn without_return(&self, window: &[u8], start: usize, end: usize) -> usize {
        let strips =
            self.dialect.line_end == b'\n' && window.get(end) != Some(&self.dialect.delimiter);
        if strips && end > start && window[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// The field at `start` and where the next one starts; `None` for a quoted one and the last of its record.
    #[inline]
    fn plain_field(&mut self, window: &[u8], start: usize) -> Option<(Cell, usize)> {
        if window.get(start).copied() == self.dialect.quote {
            return None;
        }
        let end = self.stops.find(window, start)?;
        if window[end] != self.dialect.delimiter {
            return None;
        }
        let is_null = window[start..end] == self.dialect.null[..];
        let form = if is_null { Form::Null } else { Form::Plain };
        Some((Cell { start: start as u32, end: end as u32, form }, end + 1))
    }

    /// The field at `start`; `None` where it does not end in the window.
    fn field(
        &mut self,
        window: &[u8],
        start: usize,
        ended: bool,
        cells: &mut Cells,
    ) -> Option<Field> {
        if let Some(quote) = self.dialect.quote
            && window.get(start) == Some(&quote)
        {
            return self.quoted(window, start, quote, ended, cells);
        }
        let end = match self.stops.find(window, start) {
            Some(end) => end,
            None if ended => window.len(),
            None => return None,
        };
        if self.dialect.escape.is_some() && window.get(end) == self.dialect.escape.as_ref() {
            return self.escaped(window, start, ended, cells);
        }
        let (mut from, mut to) = (start, self.without_return(window, start, end));
        if self.dialect.trim {
            (from, to) = trimmed(window, from, to);
        }
        let cell = if window[from..to] == self.dialect.null[..] {
            Cell::NULL
        } else {
            Cell { start: from as u32, end: to as u32, form: Form::Plain }
        };
        Some(Field { cell, end, lines: 0, flaw: self.too_long(to - from) })
    }

    fn quoted(
        &self,
        window: &[u8],
        start: usize,
        quote: u8,
        ended: bool,
        cells: &mut Cells,
    ) -> Option<Field> {
        let from = start + 1;
        let (mut at, mut resolve, mut closed) = (from, false, true);
        loop {
            let found = match self.dialect.escape {
                Some(escape) => memchr::memchr2(quote, escape, &window[at..]),
                None => memchr(quote, &window[at..]),
            };
            let Some(length) = found else {
                if !ended {
                    return None;
                }
                (at, closed) = (window.len(), false);
                break;
            };
            at += length;
            let doubled = self.dialect.escape.is_none_or(|escape| escape == quote)
                && window.get(at + 1) == Some(&quote);
            if at + 1 >= window.len() && !ended {
                return None;
            }
            if window[at] == quote && !doubled {
                break;
            }
            resolve = true;
            at = (at + 2).min(window.len());
        }
        let behind = (at + 1).min(window.len());
        let stop = window[behind..]
            .iter()
            .position(|byte| *byte == self.dialect.delimiter || *byte == self.dialect.line_end);
        let end = match stop {
            Some(length) => behind + length,
            None if ended => window.len(),
            None => return None,
        };
        let rest = behind..self.without_return(window, behind, end);
        let is_blank = |text: &[u8]| text.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        let clean = rest.is_empty() || self.dialect.trim && is_blank(&window[rest]);
        let cell = match resolve {
            false => Cell { start: from as u32, end: at as u32, form: Form::Plain },
            true => self.resolved(&window[from..at], quote, cells),
        };
        let inner = &window[from..at];
        let lines = memchr::memchr_iter(self.dialect.line_end, inner).count() as u32;
        let flaw = if clean && closed { self.too_long(at - from) } else { Some(BROKEN_QUOTE) };
        Some(Field { cell, end, lines, flaw })
    }

    fn too_long(&self, length: usize) -> Option<FieldFlaw> {
        self.dialect.field_bytes_max.is_some_and(|most| length > most).then_some(TOO_LONG)
    }

    /// A copy of a quoted text in which two quotes are one, and escapes what they stand for.
    fn resolved(&self, text: &[u8], quote: u8, cells: &mut Cells) -> Cell {
        let start = cells.scratch.len();
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            let byte = match self.dialect.escape {
                Some(escape) if escape == *byte && escape != quote => {
                    bytes.next().map_or(escape, |next| unescaped(*next))
                }
                _ => {
                    if *byte == quote {
                        bytes.next();
                    }
                    *byte
                }
            };
            cells.scratch.push(byte);
        }
        Cell { start: start as u32, end: cells.scratch.len() as u32, form: Form::Resolved }
    }

    /// An unquoted field with escapes in it.
    fn escaped(
        &self,
        window: &[u8],
        start: usize,
        ended: bool,
        cells: &mut Cells,
    ) -> Option<Field> {
        let escape = self.dialect.escape?;
        let mut text = Vec::new();
        let mut at = start;
        let mut lines = 0;
        loop {
            match window.get(at) {
                None if !ended => return None,
                None => break,
                Some(byte) if *byte == escape => {
                    match window.get(at + 1) {
                        Some(next) => {
                            lines += u32::from(*next == self.dialect.line_end);
                            text.push(unescaped(*next));
                        }
                        None if !ended => return None,
                        None => text.push(escape),
                    }
                    at += 2;
                }
                Some(byte) if self.stops.bytes.contains(byte) => break,
                Some(byte) => {
                    text.push(*byte);
                    at += 1;
                }
            }
        }
        let end = at.min(window.len());
        let written = &window[start..self.without_return(window, start, end)];
        if written == self.dialect.null {
            return Some(Field { cell: Cell::NULL, end, lines, flaw: None });
        }
        if written.len() < end - start {
            text.pop();
        }
        let from = cells.scratch.len();
        cells.scratch.extend_from_slice(&text);
        let to = cells.scratch.len();
        let cell = Cell { start: from as u32, end: to as u32, form: Form::Resolved };
        Some(Field { cell, end, lines, flaw: self.too_long(to - from) })
    }
}

/// Finds one of three bytes, block by block: fields are short, and one look at a block finds where all of
/// its fields end.
struct Stops {
    bytes: [u8; 3],
    /// Where the block begins that was looked at last; at no multiple of its size if there is none.
    block: usize,
    /// Its stops, a bit a byte, the lowest first.
    found: u64,
}

/// Bytes of a block.
const BLOCK: usize = 64;

impl Stops {
    fn new(bytes: [u8; 3]) -> Self {
        Self { bytes, block: usize::MAX, found: 0 }
    }

    /// The first stop at `from` or behind it. All calls since the last [`Self::begin`] are about one window.
    #[inline(always)]
    fn find(&mut self, window: &[u8], from: usize) -> Option<usize> {
        let block = from / BLOCK * BLOCK;
        let behind = u64::MAX << (from % BLOCK);
        if self.block == block && self.found & behind != 0 {
            return Some(block + (self.found & behind).trailing_zeros() as usize);
        }
        self.find_further(window, block, behind)
    }

    /// The same, from the bits `behind` of the block on.
    #[inline(never)]
    fn find_further(&mut self, window: &[u8], mut block: usize, mut behind: u64) -> Option<usize> {
        while block < window.len() {
            self.found = self.look(&window[block..]);
            self.block = block;
            if self.found & behind != 0 {
                return Some(block + (self.found & behind).trailing_zeros() as usize);
            }
            (block, behind) = (block + BLOCK, u64::MAX);
        }
        None
    }

    /// Another window comes.
    fn begin(&mut self) {
        self.block = usize::MAX;
    }

    /// The stops of the first block of `bytes`.
    fn look(&self, bytes: &[u8]) -> u64 {
        match bytes.first_chunk::<BLOCK>() {
            Some(block) => self.look_at(block),
            None => {
                let mut block = [0; BLOCK];
                block[..bytes.len()].copy_from_slice(bytes);
                self.look_at(&block) & !(u64::MAX << bytes.len())
            }
        }
    }

    fn look_at(&self, block: &[u8; BLOCK]) -> u64 {
        const LANES: usize = 16;
        let [first, second, third] = self.bytes.map(u8x16::splat);
        let mut found = 0;
        for (index, lanes) in block.as_chunks::<LANES>().0.iter().enumerate() {
            let lanes = u8x16::new(*lanes);
            let is_stop = lanes.simd_eq(first) | lanes.simd_eq(second) | lanes.simd_eq(third);
            found |= u64::from(is_stop.to_bitmask()) << (index * LANES);
        }
        found
    }
}

fn trimmed(window: &[u8], mut from: usize, mut to: usize) -> (usize, usize) {
    let blank = |byte: u8| matches!(byte, b' ' | b'\t');
    while from < to && blank(window[from]) {
        from += 1;
    }
    while to > from && blank(window[to - 1]) {
        to -= 1;
    }
    (from, to)
}

/// What a character behind a backslash stands for.
fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        b'0' => 0,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_found_wherever_they_stand() {
        let bytes: Vec<u8> = (0..1000_usize).map(|at| (at * at % 41) as u8 + b'0').collect();
        let mut stops = Stops::new(*b"17U");
        for length in (0..200).chain([960, 1000]) {
            let window = &bytes[..length];
            stops.begin();
            for from in 0..=length {
                let behind = window[from..].iter().position(|byte| b"17U".contains(byte));
                assert_eq!(stops.find(window, from), behind.map(|place| from + place));
            }
        }
    }
}
