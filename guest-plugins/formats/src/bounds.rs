//! Where a large text file can be cut into splits.
//!
//! Every cut is the exact start of a record. Where line ends never stand in a field, a cut is found at any
//! offset. With quotes it is not: whether a byte is inside quotes depends on everything before it. There
//! one pass over the bytes from the last cut looks at quotes alone, by the rule of `csv` (a quote opens a
//! field only as its first byte), which costs far less than reading the fields.

use std::sync::Arc;

use memchr::{memchr, memchr_iter};
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
    match dialect.quote {
        None => line_start(input, dialect.line_end, target),
        Some(quote) => quoted_start(input, dialect, quote, from, target),
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

/// Whether the bytes that come are inside quotes.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Outside,
    Inside,
    /// A quote inside quotes: the end, unless another follows.
    MaybeEnd,
}

/// The pass over quotes, block by block.
struct Quotes {
    state: State,
    /// The byte before the next one.
    before: u8,
    quote: u8,
    delimiter: u8,
    line_end: u8,
}

fn quoted_start(
    input: &Arc<dyn Input>,
    dialect: &Dialect,
    quote: u8,
    from: Start,
    target: u64,
) -> Result<Start> {
    let mut range = Range { input: input.clone(), at: from.offset, stop: input.len() };
    let mut quotes = Quotes {
        state: State::Outside,
        before: dialect.line_end,
        quote,
        delimiter: dialect.delimiter,
        line_end: dialect.line_end,
    };
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
        let found = quotes.line_end_outside(block, wanted);
        let passed = found.map_or(block, |found| &block[..=found]);
        line = line.map(|line| line + memchr_iter(dialect.line_end, passed).count() as u64);
        if let Some(found) = found {
            return Ok(Start { offset: at + found as u64 + 1, line });
        }
    }
}

impl Quotes {
    /// The first line end outside quotes at index `wanted` or behind it.
    fn line_end_outside(&mut self, block: &[u8], wanted: usize) -> Option<usize> {
        let mut at = 0;
        while at < block.len() {
            match self.state {
                State::MaybeEnd => {
                    if block[at] == self.quote {
                        self.state = State::Inside;
                        at += 1;
                    } else {
                        self.state = State::Outside;
                        self.before = self.quote;
                    }
                }
                State::Inside => match memchr(self.quote, &block[at..]) {
                    Some(length) => {
                        self.state = State::MaybeEnd;
                        at += length + 1;
                    }
                    None => return None,
                },
                State::Outside => {
                    let quote = memchr(self.quote, &block[at..]).map(|length| at + length);
                    let end = quote.unwrap_or(block.len());
                    let from = at.max(wanted);
                    if from < end
                        && let Some(length) = memchr(self.line_end, &block[from..end])
                    {
                        return Some(from + length);
                    }
                    self.before = if end > at { block[end - 1] } else { self.before };
                    if quote.is_some() {
                        self.open();
                    }
                    at = end + 1;
                }
            }
        }
        None
    }

    /// A quote stands here, outside quotes.
    fn open(&mut self) {
        if self.before == self.delimiter || self.before == self.line_end {
            self.state = State::Inside;
        }
        self.before = self.quote;
    }
}
