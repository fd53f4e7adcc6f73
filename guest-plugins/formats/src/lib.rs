//! File formats over any storage: delimited text (CSV), JSON lines, Parquet, ORC, Avro, Arrow IPC, XML,
//! Excel.
//!
//! A storage lends [`Input`] (reading at an offset) and [`Output`] (writing one byte after another);
//! this crate cuts files into shares, reads them as Arrow batches with exact positions, and writes
//! batches. No file is held whole. What a document says about formats is in [`parameters`].
//!
//! What this crate is not: it lists no files, opens none, and knows nothing of runs, parts and marks.
//!
//! Begin with [`ReadFormat`] (shares, readers) and [`WriteFormat`] (encoders). Inside, text goes through
//! `window` (bytes) and `csv` or `json` (where fields begin and end) into `cells` (columns of values);
//! `bounds` finds where a large file can be cut, `infer` guesses types. Formats that know their columns find
//! those of the job by `own`; `blocks` reads those that come in blocks.

mod avro;
mod back;
mod blocks;
mod bounds;
mod cells;
mod characters;
mod charset;
mod columns;
mod csv;
mod fixed;
mod folders;
mod groups;
mod hadoop;
mod head;
mod infer;
mod int96;
mod ipc;
mod json;
mod kind;
pub mod lenient;
mod orc_read;
mod orc_write;
mod own;
mod pack;
pub mod parameters;
mod parquet_read;
mod parquet_write;
mod plain;
mod print;
mod read;
mod sample;
mod size;
mod stand_in;
mod storage;
mod temporal;
#[cfg(test)]
mod tests;
mod text;
mod value;
mod window;
mod workbook;
mod write;
mod xml;
mod zipped;

pub use back::Back;
pub use charset::Charset;
pub use columns::{Listed, Origin, Wanted};
pub use csv::Dialect;
pub use fixed::Slice;
pub use folders::Folders;
pub use kind::Kind;
pub use pack::{Packing, Wrapping};
pub use parquet_write::{PageCodec, ParquetStyle};
pub use print::Style;
pub use read::{Chunk, FileReader, Format, Header, ReadFormat, Share, Shares};
pub use storage::{Input, Memory, Output, UNKNOWN_LENGTH, changed};
pub use temporal::Pattern;
pub use text::TextReader;
pub use write::{CsvStyle, Encoder, Refused, TextEncoder, WriteFormat};
