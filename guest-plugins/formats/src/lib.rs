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
//! `window` (bytes) into a decoder of the crate `codec`, which the host runs where this is a guest; `bounds` finds where a large file can be cut, `infer` guesses types. Formats that know their columns find
//! those of the job by `own`; `blocks` reads those that come in blocks.

mod avro;
mod back;
mod blocks;
mod bounds;
mod characters;
mod charset;
mod columns;
mod folders;
mod groups;
mod hadoop;
mod head;
mod infer;
mod int96;
mod ipc;
pub mod lenient;
mod orc_read;
mod orc_write;
mod own;
mod pack;
pub mod parameters;
mod parquet_read;
mod parquet_write;
mod plain;
mod read;
mod sample;
mod stand_in;
mod storage;
#[cfg(test)]
mod tests;
mod text;
mod window;
mod workbook;
mod write;
mod xml;
mod zipped;

use codec::{cells, csv, fixed, json, kind, print, size, temporal, value};

pub use back::Back;
pub use charset::Charset;
pub use codec::csv::Dialect;
pub use codec::fixed::Slice;
pub use codec::kind::Kind;
pub use codec::print::Style;
pub use codec::rows::CsvStyle;
pub use codec::temporal::Pattern;
pub use codec::{PageCodec, ParquetStyle};
pub use columns::{Listed, Origin, Wanted};
pub use folders::Folders;
pub use pack::{Packing, Wrapping};
pub use read::{Chunk, FileReader, Format, Header, ReadFormat, Share, Shares};
pub use sdk::codec::Refused;
pub use storage::{Input, Memory, Output, UNKNOWN_LENGTH, changed};
pub use text::TextReader;
pub use write::{Encoder, TextEncoder, WriteFormat};
