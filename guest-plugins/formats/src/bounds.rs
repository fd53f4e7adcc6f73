//! Where a large text file can be cut into splits.
//!
//! Every cut is the exact start of a record. Where line ends never stand in a field, a cut is found at any
//! offset. With quotes or escapes it is not: what a byte means depends on everything before it. There one
//! pass over the bytes from the last cut looks at quotes, escapes and comments alone, by the rule of `csv`
//! (a quote opens a field only as its first byte), which costs far less than reading the fields.

use std::sync::Arc;

use memchr::{memchr, memchr_iter, memchr2, memchr3};
use sdk::Result;

use crate::csv::Dialect;
use crate::storage::{Input, Range};
use crate::window::BLOCK_BYTES;

/// The start of a record, and its line counted from 1 where it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) offset: u64,
    pub(crate) line: Option<u64>,
}

/// The first start of a record at `target` or behind it, coming from the record start `from`; the end of
/// the file where there is none.
pub(crate) fn next_start(
    input: &Arc<dyn Input>,
    dialect: &Dialect,
    from: Start,
    target: u64,
) -> Result<Start> {
    if target >= input.len() {
        return Ok(Start { offset: input.len(), line: None });
    }
    match dialect.lines_are_records() {
        true => line_start(input, dialect.line_end, target),
        false => scanned_start(input, dialect, from, target),
    }
}

/// The byte before a start is a line end.
pub(crate) fn line_start(input: &Arc<dyn Input>, line_end: u8, target: u64) -> Result<Start> {
    let stop = input.len();
    let mut range = Range { input: input.clone(), at: target.saturating_sub(1), stop };
    let mut block = vec![0; BLOCK_BYTES.min(64 << 10)];
    loop {
        let at = range.at;
        let count = range.fill(&mut block)?;
        if count == 0 {
            return Ok(Start { offset: stop, line: None });
        }
        if let Some(found) = memchr(line_end, &block[..count]) {
            return Ok(Start { offset: at + found as u64 + 1, line: None });
        }
    }
}

/// Where the next byte stands.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// In a field without quotes, or before a field.
    Plain,
    Quoted,
    /// Behind a quote inside quotes: the end, unless another follows.
    MaybeEnd,
    /// Behind the end of a quoted field: only its delimiter or line end has a meaning.
    Behind,
    /// Behind an escape; the state goes on behind the next byte.
    Escaped {
        quoted: bool,
    },
    Comment,
}

/// The pass over bytes that have a meaning, block by block.
struct Pass<'a> {
    dialect: &'a Dialect,
    state: State,
    /// The byte before the next one.
    before: u8,
    /// Quote, escape and comment; one twice or thrice where the dialect lacks the others.
    special: [u8; 3],
}

fn scanned_start(
    input: &Arc<dyn Input>,
    dialect: &Dialect,
    from: Start,
    target: u64,
) -> Result<Start> {
    let mut range = Range { input: input.clone(), at: from.offset, stop: input.len() };
    let mut pass = Pass::new(dialect);
    let mut block = vec![0; BLOCK_BYTES];
    let mut line = from.line;
    loop {
        let at = range.at;
        let count = range.fill(&mut block)?;
        if count == 0 {
            return Ok(Start { offset: input.len(), line });
        }
        let block = &block[..count];
        // The line end that counts stands one byte before the target, or later.
        let wanted = usize::try_from((target - 1).saturating_sub(at)).unwrap_or(usize::MAX);
        let found = pass.record_end(block, wanted);
        let passed = found.map_or(block, |found| &block[..=found]);
        line = line.map(|line| line + memchr_iter(dialect.line_end, passed).count() as u64);
        if let Some(found) = found {
            return Ok(Start { offset: at + found as u64 + 1, line });
        }
    }
}

impl<'a> Pass<'a> {
    fn new(dialect: &'a Dialect) -> Self {
        let marks = [dialect.quote, dialect.escape, dialect.comment];
        let any = marks.into_iter().flatten().next().unwrap_or(dialect.line_end);
        let special = marks.map(|mark| mark.unwrap_or(any));
        Self { dialect, state: State::Plain, before: dialect.line_end, special }
    }

    /// The first line end that ends a record, at index `wanted` or behind it.
    fn record_end(&mut self, block: &[u8], wanted: usize) -> Option<usize> {
        let mut at = 0;
        while at < block.len() {
            let rest = &block[at..];
            let Some(length) = self.next(rest, wanted.saturating_sub(at)) else {
                self.before = rest[rest.len() - 1];
                return None;
            };
            if length > 0 {
                self.before = rest[length - 1];
            }
            at += length;
            let ends = matches!(self.state, State::Plain | State::Behind | State::Comment);
            if ends && at >= wanted && block[at] == self.dialect.line_end {
                return Some(at);
            }
            at += self.step(block[at]);
        }
        None
    }

    /// Index of the next byte with a meaning; line ends in plain text have one from `wanted` on.
    fn next(&self, rest: &[u8], wanted: usize) -> Option<usize> {
        let Dialect { delimiter, line_end, .. } = *self.dialect;
        let [quote, escape, comment] = self.special;
        match self.state {
            State::Plain => {
                let found = memchr3(quote, escape, comment, rest);
                let before = rest[..found.unwrap_or(rest.len())].get(wanted..);
                let line = before.and_then(|before| memchr(line_end, before));
                line.map(|length| wanted + length).or(found)
            }
            State::Quoted => memchr2(quote, self.dialect.escape.unwrap_or(quote), rest),
            State::Behind => memchr2(delimiter, line_end, rest),
            State::Comment => memchr(line_end, rest),
            State::MaybeEnd | State::Escaped { .. } => Some(0),
        }
    }

    /// Answers how many bytes were taken: none where the next state looks at this one again.
    fn step(&mut self, byte: u8) -> usize {
        let Dialect { quote, escape, comment, delimiter, line_end, .. } = *self.dialect;
        let is = |mark: Option<u8>| mark == Some(byte);
        let first = self.before == delimiter || self.before == line_end;
        let next = match self.state {
            State::Plain if is(comment) && self.before == line_end => State::Comment,
            State::Plain if is(quote) && first => State::Quoted,
            State::Plain if is(escape) => State::Escaped { quoted: false },
            State::Quoted if is(escape) => State::Escaped { quoted: true },
            State::Quoted if escape.is_some() => State::Behind,
            State::Quoted => State::MaybeEnd,
            State::MaybeEnd if is(quote) => State::Quoted,
            State::MaybeEnd => {
                self.state = State::Behind;
                return 0;
            }
            State::Escaped { quoted: true } => State::Quoted,
            State::Plain | State::Behind | State::Comment | State::Escaped { .. } => State::Plain,
        };
        // An escaped byte is text, whatever it is: nothing begins behind it.
        let escaped = matches!(self.state, State::Escaped { .. });
        self.before = escape.filter(|_| escaped).unwrap_or(byte);
        self.state = next;
        1
    }
}
