//! Bodies that are not held whole: CSV as an input of `formats`, JSON lines in blocks.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use formats::Input;
use sdk::{Fault, Result};
use ureq::BodyReader;

use crate::error::of_io;

/// The beginning of a body may be read again, up to here: a format looks at its head first.
const HEAD_BYTES: usize = 1 << 20;
/// Lines are handed on in blocks of about this size.
const BLOCK_BYTES: usize = 256 << 10;
/// The longest line.
const LINE_BYTES_MAX: usize = 16 << 20;

/// A body that is read once, from its beginning to its end.
pub(crate) struct BodyInput {
    label: String,
    state: Mutex<State>,
}

struct State {
    body: BodyReader<'static>,
    head: Vec<u8>,
    at: u64,
}

impl BodyInput {
    pub(crate) fn new(label: String, body: BodyReader<'static>) -> Self {
        Self { label, state: Mutex::new(State { body, head: Vec::new(), at: 0 }) }
    }
}

impl Input for BodyInput {
    fn label(&self) -> &str {
        &self.label
    }

    fn len(&self) -> u64 {
        formats::UNKNOWN_LENGTH
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let again = usize::try_from(offset).ok().and_then(|offset| state.head.get(offset..));
        if let Some(again) = again.filter(|again| !again.is_empty()) {
            let count = again.len().min(buffer.len());
            buffer[..count].copy_from_slice(&again[..count]);
            return Ok(count);
        }
        if offset != state.at {
            return Err(Fault::data(
                "http.head_too_long",
                format!("the head of \"{}\" is longer than {HEAD_BYTES} bytes", self.label),
            ));
        }
        let count = state.body.read(buffer).map_err(of_io)?;
        state.at += count as u64;
        if state.at <= HEAD_BYTES as u64 {
            state.head.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}

/// The lines of a body.
pub(crate) struct Lines {
    body: BodyReader<'static>,
    /// Behind the lines that were handed on.
    rest: Vec<u8>,
    ended: bool,
}

impl Lines {
    pub(crate) fn new(body: BodyReader<'static>) -> Self {
        Self { body, rest: Vec::new(), ended: false }
    }

    /// The next whole lines; `None` at the end.
    ///
    /// # Errors
    /// Those of the connection; `http.line_too_long`.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut block = std::mem::take(&mut self.rest);
        loop {
            if block.len() >= BLOCK_BYTES
                && let Some(end) = block.iter().rposition(|byte| *byte == b'\n')
            {
                self.rest = block.split_off(end + 1);
                return Ok(Some(block));
            }
            if self.ended {
                return Ok((!block.is_empty()).then_some(block));
            }
            if block.len() > LINE_BYTES_MAX {
                let message = format!("a line is longer than {} MiB", LINE_BYTES_MAX >> 20);
                return Err(Fault::data("http.line_too_long", message)
                    .hint("check that the body is JSON lines"));
            }
            let held = block.len();
            block.resize(held + BLOCK_BYTES, 0);
            let read = self.body.read(&mut block[held..]);
            block.truncate(held + *read.as_ref().unwrap_or(&0));
            self.ended = read.map_err(of_io)? == 0;
        }
    }
}

/// The beginning of a CSV body, cut behind a record where it goes on, for looking at.
pub(crate) fn sample(body: BodyReader<'static>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    body.take(HEAD_BYTES as u64).read_to_end(&mut bytes).map_err(of_io)?;
    if bytes.len() == HEAD_BYTES
        && let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n')
    {
        bytes.truncate(end + 1);
    }
    Ok(bytes)
}
