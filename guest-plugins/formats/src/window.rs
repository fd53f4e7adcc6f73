//! A moving window on the bytes of a text file.

use std::sync::Arc;

use sdk::{Fault, Result};

use crate::pack::{Unwrapped, Wrapping};
use crate::storage::{Input, Range};

/// Bytes read at once: large enough that a call costs nothing, small enough for the cache.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;
/// The longest record; with its copies it fits a guest's memory of 256 MiB.
pub(crate) const RECORD_BYTES_MAX: usize = 48 << 20;

enum Source {
    Plain(Range),
    Unwrapped(Unwrapped),
}

/// Some bytes of a file in memory, and where they stand in it.
pub(crate) struct Window {
    source: Source,
    label: String,
    bytes: Vec<u8>,
    begin: usize,
    /// Of the first byte in the window, in the text.
    offset: u64,
    ended: bool,
}

impl Window {
    /// A window on the bytes from `start` to `stop`.
    pub(crate) fn plain(input: Arc<dyn Input>, start: u64, stop: u64) -> Self {
        let label = input.label().to_owned();
        Self::new(Source::Plain(Range { input, at: start, stop }), label, start)
    }

    /// A window on the text of a whole file, whatever lies around it.
    pub(crate) fn whole(input: &Arc<dyn Input>, wrapping: &Wrapping) -> Result<Self> {
        Ok(match Unwrapped::open(input, wrapping)? {
            Some(text) => Self::new(Source::Unwrapped(text), input.label().to_owned(), 0),
            None => Self::plain(input.clone(), 0, input.len()),
        })
    }

    fn new(source: Source, label: String, offset: u64) -> Self {
        Self { source, label, bytes: Vec::new(), begin: 0, offset, ended: false }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.begin..]
    }

    /// Of the first byte in the window, in the text.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Nothing comes behind the window.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.begin += count;
        self.offset += count as u64;
    }

    /// Reads on until the window holds `wanted` bytes, or the end came.
    pub(crate) fn fill(&mut self, wanted: usize) -> Result<()> {
        if self.ended || self.bytes.len() - self.begin >= wanted {
            return Ok(());
        }
        self.bytes.drain(..self.begin);
        self.begin = 0;
        while self.bytes.len() < wanted {
            let held = self.bytes.len();
            self.bytes.resize(held + BLOCK_BYTES, 0);
            let read = match &mut self.source {
                Source::Plain(range) => range.fill(&mut self.bytes[held..]),
                Source::Unwrapped(text) => text.fill(&mut self.bytes[held..]),
            };
            self.bytes.truncate(held + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                self.ended = true;
                break;
            }
        }
        Ok(())
    }

    /// Makes the window larger, for a record that does not end in it.
    pub(crate) fn grow(&mut self) -> Result<()> {
        let held = self.bytes().len();
        if held >= RECORD_BYTES_MAX {
            let message = format!(
                "the record at byte {} of \"{}\" is longer than {} MiB",
                self.offset,
                self.label,
                RECORD_BYTES_MAX >> 20
            );
            return Err(Fault::data("format.record_too_long", message)
                .hint("perhaps a quote is not closed, or the line ends are others"));
        }
        // Doubling keeps the work linear in the length of a long record.
        self.fill((held * 2).clamp(BLOCK_BYTES, RECORD_BYTES_MAX))
    }
}
