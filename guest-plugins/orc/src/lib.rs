//! ORC files as Arrow arrays, both ways.
//!
//! A [`Source`] lends bytes at an offset. A [`File`] is what its end says: columns and stripes. A
//! [`StripeReader`] decodes the rows of one stripe, some at a time, with only the streams of the wanted
//! columns, and of each only one block of compression in memory. A [`Writer`] gathers the rows of a stripe
//! in encoded form and writes it when it is full.
//!
//! What this crate is not: it opens nothing, and knows no jobs. Whatever bytes a file holds, it answers with
//! an [`Error`] or with rows; no number in a file decides how much memory is taken before as much was read.
//!
//! Inside, bottom up: `proto` and `meta` (what is said about the rest), `codec` (compression), `stream` with
//! `ints` and `bytes` (numbers as runs), `column` (arrays); and on the way out `out`, `ints_out`, `encode`.

mod bytes;
mod codec;
mod column;
mod encode;
mod error;
mod file;
mod ints;
mod ints_out;
mod meta;
mod out;
mod proto;
mod stats;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod text_out;
mod types;
mod write;
mod zone;

pub use codec::Codec;
pub use error::{Error, Result};
pub use file::{File, StripeReader};
pub use stream::Source;
pub use write::{Options, Writer, unwritable_rows};
