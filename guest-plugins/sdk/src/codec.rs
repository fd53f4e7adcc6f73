//! Codecs that the host runs on a plug-in's own bytes, at the speed of the machine.
//!
//! A plug-in that reads or writes a format of the list keeps the protocol, the files and the connection,
//! and leaves the loops over bytes to the host. The names, and the options of each, which travel as JSON:
//!
//! | name | what it does | options |
//! |---|---|---|
//! | `text` (decoder) | CSV, other delimited text, fixed width, JSON lines into columns | [`codec::TextDecoding`] |
//! | `postgresql-copy` (decoder) | messages of a binary COPY from PostgreSQL into columns | [`codec::postgresql::CopyDecoding`] |
//! | `mysql-rows` (decoder) | packets of rows in binary form from MySQL into columns | [`codec::mysql::RowDecoding`] |
//! | `csv` (encoder) | rows as delimited text, without a header | [`codec::rows::CsvStyle`] |
//! | `jsonl` (encoder) | rows as JSON lines | none |
//! | `parquet` (encoder) | a Parquet file | [`codec::ParquetStyle`] |
//! | `postgresql-copy` (encoder) | rows of a COPY, binary or text | [`codec::postgresql::CopyEncoding`] |
//!
//! Built natively, as unit tests are, the same codecs are linked.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use codec::Domain;
pub use codec::{Decoded, Flawed, Refused};
use serde::Serialize;

use crate::{Fault, Result};

#[cfg(target_arch = "wasm32")]
use hosted as own;
#[cfg(not(target_arch = "wasm32"))]
use linked as own;

/// What came of some rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// To be appended to what came before.
    pub bytes: Vec<u8>,
    pub refused: Vec<Refused>,
    /// About the bytes that are still to come for the rows so far.
    pub pending: u64,
}

/// Turns bytes into rows of one schema.
pub struct Decoder {
    inner: own::Decoder,
    schema: SchemaRef,
}

impl Decoder {
    /// # Errors
    /// `codec.unknown`, `codec.options`.
    pub fn open(name: &str, options: &impl Serialize, schema: &SchemaRef) -> Result<Self> {
        let inner = own::decoder(name, &written(options)?, schema)?;
        Ok(Self { inner, schema: schema.clone() })
    }

    /// Decodes whole records from the front of `bytes`, at most `rows`, and about `size` bytes of columns; one
    /// record at least. Where nothing is taken, more bytes are needed, unless these are the `last`. A
    /// decoder may gather records over several calls; handed no bytes, it gives what it has.
    ///
    /// # Errors
    /// Where no record can be told any more; what is wrong with single records is no error.
    pub fn decode(&mut self, bytes: &[u8], last: bool, rows: u32, size: u64) -> Result<Decoded> {
        own::decode(&mut self.inner, bytes, last, (rows, size), &self.schema)
    }
}

/// Turns rows into bytes.
pub struct Encoder {
    inner: own::Encoder,
}

impl Encoder {
    /// # Errors
    /// `codec.unknown`, `codec.options`, `format.type` for a column that the format can't hold.
    pub fn open(name: &str, options: &impl Serialize, schema: &SchemaRef) -> Result<Self> {
        Ok(Self { inner: own::encoder(name, &written(options)?, schema)? })
    }

    /// # Errors
    /// Where the format can't go on.
    pub fn encode(&mut self, rows: &RecordBatch) -> Result<Encoded> {
        own::encode(&mut self.inner, rows)
    }

    /// The next part of what is left of the bytes; empty behind the last one.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn finish(&mut self) -> Result<Vec<u8>> {
        own::finish(&mut self.inner)
    }
}

impl From<codec::Fault> for Fault {
    fn from(fault: codec::Fault) -> Self {
        let told = match fault.domain {
            Domain::User => Self::user(fault.code, fault.message),
            Domain::External => Self::external(fault.code, fault.message),
            Domain::Data => Self::data(fault.code, fault.message),
            Domain::Plugin => Self::plugin(fault.code, fault.message),
        };
        fault.hint.into_iter().fold(told, Self::hint)
    }
}

fn written(options: &impl Serialize) -> Result<String> {
    serde_json::to_string(options)
        .map_err(|error| Fault::plugin("codec.options", error.to_string()))
}

/// The host's, through the contract.
#[cfg(target_arch = "wasm32")]
mod hosted {
    use super::*;
    use crate::batch::{buffers_of, rows_of};
    use crate::bindings::airlock::connector::codec as wire;
    use crate::dataset::flat_fields;

    pub(super) use wire::{Decoder, Encoder};

    pub(super) fn decoder(name: &str, options: &str, schema: &SchemaRef) -> Result<Decoder> {
        Decoder::open(name, options, &flat_fields(schema)?)
    }

    pub(super) fn decode(
        decoder: &mut Decoder,
        bytes: &[u8],
        last: bool,
        (rows, bytes_max): (u32, u64),
        schema: &SchemaRef,
    ) -> Result<Decoded> {
        let decoded = decoder.decode(bytes, last, wire::Budget { rows, bytes: bytes_max })?;
        let flawed = |flawed: wire::Flawed| Flawed {
            record: flawed.record,
            start: flawed.start as usize,
            lines_before: flawed.lines_before,
            data: flawed.data,
            code: flawed.code,
            message: flawed.message,
        };
        Ok(Decoded {
            taken: decoded.taken as usize,
            records: decoded.records,
            lines_before: decoded.lines_before,
            lines: decoded.lines,
            rows: rows_of(decoded.rows, decoded.buffers, schema)?,
            flawed: decoded.flawed.into_iter().map(flawed).collect(),
        })
    }

    pub(super) fn encoder(name: &str, options: &str, schema: &SchemaRef) -> Result<Encoder> {
        Encoder::open(name, options, &flat_fields(schema)?)
    }

    pub(super) fn encode(encoder: &mut Encoder, rows: &RecordBatch) -> Result<Encoded> {
        let encoded = encoder.encode(rows.num_rows() as u32, &buffers_of(rows)?)?;
        let refused = |refused: wire::Refused| Refused {
            row: refused.row,
            column: refused.column,
            code: refused.code,
            message: refused.message,
        };
        Ok(Encoded {
            bytes: encoded.bytes,
            refused: encoded.refused.into_iter().map(refused).collect(),
            pending: encoded.pending,
        })
    }

    pub(super) fn finish(encoder: &mut Encoder) -> Result<Vec<u8>> {
        encoder.finish()
    }
}

/// Those that are linked.
#[cfg(not(target_arch = "wasm32"))]
mod linked {
    use super::*;

    pub(super) type Decoder = Box<dyn codec::Decoder>;
    pub(super) type Encoder = Box<dyn codec::Encoder>;

    pub(super) fn decoder(name: &str, options: &str, schema: &SchemaRef) -> Result<Decoder> {
        Ok(codec::decoder(name, options, schema.clone())?)
    }

    pub(super) fn decode(
        decoder: &mut Decoder,
        bytes: &[u8],
        last: bool,
        (rows, bytes_max): (u32, u64),
        _: &SchemaRef,
    ) -> Result<Decoded> {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        Ok(decoder.decode(bytes, last, codec::Budget { rows, bytes: bytes_max })?)
    }

    pub(super) fn encoder(name: &str, options: &str, schema: &SchemaRef) -> Result<Encoder> {
        Ok(codec::encoder(name, options, schema)?)
    }

    pub(super) fn encode(encoder: &mut Encoder, rows: &RecordBatch) -> Result<Encoded> {
        let mut bytes = Vec::new();
        let refused = encoder.encode(rows, &mut bytes)?;
        Ok(Encoded { bytes, refused, pending: encoder.pending() as u64 })
    }

    pub(super) fn finish(encoder: &mut Encoder) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        encoder.finish(&mut bytes)?;
        Ok(bytes)
    }
}
