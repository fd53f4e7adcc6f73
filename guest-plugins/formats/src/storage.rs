//! What a format needs of a storage: reading at an offset, writing one byte after another.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use sdk::{Fault, Result};

/// The length of an input that ends where it ends, such as the body of an answer. It is read once, from its
/// beginning on, apart from its head; only a share that is [`crate::Share::Whole`] can be read of it.
pub const UNKNOWN_LENGTH: u64 = u64::MAX;

/// One stored object, open for reading. Where it ends before `len`, a reader fails with `file.changed`.
pub trait Input: Send + Sync {
    /// What people see: `in/orders-3.csv`.
    fn label(&self) -> &str;
    /// Bytes, or [`UNKNOWN_LENGTH`].
    fn len(&self) -> u64;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills the front of `buffer` with what stands at `offset` and answers how much; 0 at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;
}

/// One object that is being written.
pub trait Output: Send {
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// What was written is durable on return.
    fn sync(&mut self) -> Result<()>;
}

/// The bytes of `input` from `at` up to `stop`.
pub(crate) struct Range {
    pub(crate) input: Arc<dyn Input>,
    pub(crate) at: u64,
    pub(crate) stop: u64,
}

impl Range {
    pub(crate) fn all(input: Arc<dyn Input>) -> Self {
        let stop = input.len();
        Self { input, at: 0, stop }
    }

    /// Reads once; 0 at the end of the range.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.stop.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.input.read_at(self.at, &mut buffer[..wanted])?;
        if count == 0 && self.stop == UNKNOWN_LENGTH {
            self.stop = self.at;
        } else if count == 0 {
            return Err(changed(self.input.label()));
        }
        self.at += count as u64;
        Ok(count)
    }
}

/// A file is not what it was when it was planned or opened.
pub fn changed(label: &str) -> Fault {
    let message = format!("\"{label}\" changed after the run had planned it");
    Fault::external("file.changed", message).hint("start a new run")
}

impl Read for Range {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill(buffer).map_err(io_error)
    }
}

/// From the beginning of the input, whatever the range.
impl Seek for Range {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.stop.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A fault on its way through code that knows only `std::io`.
pub(crate) fn io_error(fault: Fault) -> io::Error {
    io::Error::other(fault)
}

/// The fault that an error carries, however deep it is wrapped.
pub(crate) fn carried(error: &(dyn std::error::Error + 'static)) -> Option<Fault> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return Some(fault.clone());
        }
        // An `io::Error` names what it wraps by `get_ref`, not by `source`.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or(error.source());
    }
    None
}

/// Bytes in memory: small documents and tests.
pub struct Memory {
    pub label: String,
    pub bytes: Vec<u8>,
}

impl Input for Memory {
    fn label(&self) -> &str {
        &self.label
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Output for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}
