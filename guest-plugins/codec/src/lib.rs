//! Codecs: bytes of a format into Arrow columns, and columns into bytes.
//!
//! They know no file, no connection and no plug-in, and keep no more than they are in the middle of. The
//! host runs them at full speed on bytes that a plug-in hands to it (the contract's interface `codec`);
//! plug-ins may also be built with them.
//!
//! Begin with [`Decoder`] and [`Encoder`], and with [`decoder`] and [`encoder`], which make one by its name.
//! Text goes through `csv` or `json` (where fields begin and end) into `cells` (columns of values), and out
//! through `print` (values) and `rows` (records); `kind` names the types that a text is read as.

pub mod bounds;
pub mod cells;
pub mod csv;
mod decode;
#[cfg(feature = "parquet")]
mod distinct;
mod fault;
pub mod fixed;
pub mod json;
pub mod kind;
pub mod mysql;
mod named;
#[cfg(feature = "parquet")]
mod parquet;
mod parquet_style;
#[cfg(feature = "parquet")]
mod parts;
pub mod postgresql;
pub mod print;
pub mod rows;
pub mod size;
pub mod temporal;
pub mod value;
mod written;

use arrow_array::RecordBatch;

pub use decode::{CellColumn, Records, TextDecoder, TextDecoding};
pub use fault::{Domain, Fault, Result};
pub use named::{decoder, encoder};
pub use parquet_style::{PageCodec, ParquetStyle};

/// How much one call may decode at most. One record is always decoded, however large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub rows: u32,
    /// About the bytes of the columns.
    pub bytes: usize,
}

/// What came of the front of some bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Bytes that are done with.
    pub taken: usize,
    /// In these bytes, the flawed ones included.
    pub records: u32,
    /// Lines before the first record.
    pub lines_before: u32,
    /// Lines of the records, and between them.
    pub lines: u32,
    /// The records that are none of `flawed`.
    pub rows: RecordBatch,
    pub flawed: Vec<Flawed>,
}

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flawed {
    /// Which one of the records it is, from 0.
    pub record: u32,
    /// Where it begins in the bytes, if it lies in them whole.
    pub start: usize,
    /// Lines of the records before it.
    pub lines_before: u32,
    pub data: Vec<u8>,
    pub code: String,
    pub message: String,
}

/// Turns bytes into columns.
pub trait Decoder: Send {
    /// Decodes whole records from the front of `bytes`. Nothing taken: more bytes are needed, unless
    /// these are the `last`. A decoder may gather records over several calls; handed no bytes, it gives
    /// what it has.
    ///
    /// # Errors
    /// Where no record can be told any more; what is wrong with single records is no error.
    fn decode(&mut self, bytes: &[u8], last: bool, budget: Budget) -> Result<Decoded>;

    /// Bytes of memory that it holds.
    fn memory(&self) -> usize {
        0
    }
}

/// A row that was not written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub row: u32,
    pub column: u32,
    pub code: String,
    pub message: String,
}

/// Turns columns into bytes.
pub trait Encoder: Send {
    /// Appends what is ready of the bytes of `rows` to `out`, and answers the rows that are left out.
    ///
    /// # Errors
    /// Where the format can't go on.
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<Vec<Refused>>;

    /// Appends what is left, or the next part of it: it is called until it appends nothing.
    ///
    /// # Errors
    /// As [`Self::encode`].
    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    /// About the bytes that are still to come for the rows so far.
    fn pending(&self) -> usize {
        0
    }

    /// Bytes of memory that it holds.
    fn memory(&self) -> usize {
        0
    }
}
