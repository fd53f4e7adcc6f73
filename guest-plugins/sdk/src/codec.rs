//! Codecs that the host runs on a plug-in's own bytes, at the speed of the machine.
//!
//! A plug-in that reads or writes a format of the list keeps the protocol, the files and the connection,
//! and leaves the loops over bytes to the host. The names, and the options of each in JSON:
//!
//! | name | what it does | options |
//! |---|---|---|
//! | `text` (decoder) | CSV, other delimited text, fixed width, JSON lines into columns | `TextDecoding` of the crate `codec` |
//! | `postgresql-copy` (decoder) | messages of a binary COPY from PostgreSQL into columns | `CopyDecoding` |
//! | `postgresql-copy` (encoder) | rows of a COPY, binary or text | `CopyEncoding` |
//! | `csv` (encoder) | rows as delimited text, without a header | `CsvStyle` |
//! | `jsonl` (encoder) | rows as JSON lines | none |
//! | `parquet` (encoder) | a Parquet file | `ParquetStyle` |
//!
//! Built natively, as unit tests are, the same codecs are linked.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde::Serialize;

use crate::{Fault, Result};

#[cfg(target_arch = "wasm32")]
use hosted as own;
#[cfg(not(target_arch = "wasm32"))]
use linked as own;

/// What came of the front of some bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Bytes that are done with.
    pub taken: usize,
    /// In these bytes, the flawed ones included.
    pub records: u32,
    /// Line ends before the first record.
    pub lines_before: u32,
    /// Line ends of the records.
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
    /// Line ends of the records before it.
    pub lines_before: u32,
    pub data: Vec<u8>,
    pub code: String,
    pub message: String,
}

/// A row that an encoder left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub row: u32,
    pub column: u32,
    pub code: String,
    pub message: String,
}

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

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Decodes whole records from the front of `bytes`, at most `rows`, and about `size` bytes of columns; one
    /// record at least. Where nothing is taken, more bytes are needed, unless these are the `last`. A
    /// decoder may gather records over several calls; handed no bytes, it gives what it has.
    ///
    /// # Errors
    /// Where no record can be told any more; what is wrong with single records is no error.
    pub fn decode(&mut self, bytes: &[u8], last: bool, rows: u32, size: u64) -> Result<Decoded> {
        self.inner.decode(bytes, last, rows, size, &self.schema)
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
        self.inner.encode(rows)
    }

    /// What is left of the bytes.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn finish(self) -> Result<Vec<u8>> {
        self.inner.finish()
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

    pub(super) struct Decoder(wire::Decoder);

    pub(super) fn decoder(name: &str, options: &str, schema: &SchemaRef) -> Result<Decoder> {
        wire::Decoder::open(name, options, &flat_fields(schema)?).map(Decoder)
    }

    impl Decoder {
        pub(super) fn decode(
            &mut self,
            bytes: &[u8],
            last: bool,
            rows: u32,
            size: u64,
            schema: &SchemaRef,
        ) -> Result<Decoded> {
            let decoded = self.0.decode(bytes, last, wire::Budget { rows, bytes: size })?;
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
    }

    pub(super) struct Encoder(wire::Encoder);

    pub(super) fn encoder(name: &str, options: &str, schema: &SchemaRef) -> Result<Encoder> {
        wire::Encoder::open(name, options, &flat_fields(schema)?).map(Encoder)
    }

    impl Encoder {
        pub(super) fn encode(&mut self, rows: &RecordBatch) -> Result<Encoded> {
            let encoded = self.0.encode(rows.num_rows() as u32, &buffers_of(rows)?)?;
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

        pub(super) fn finish(self) -> Result<Vec<u8>> {
            self.0.finish()
        }
    }
}

/// Those that are linked.
#[cfg(not(target_arch = "wasm32"))]
mod linked {
    use super::*;
    use codec::Domain;

    fn told(fault: codec::Fault) -> Fault {
        let told = match fault.domain {
            Domain::User => Fault::user(fault.code, fault.message),
            Domain::External => Fault::external(fault.code, fault.message),
            Domain::Data => Fault::data(fault.code, fault.message),
            Domain::Plugin => Fault::plugin(fault.code, fault.message),
        };
        fault.hint.into_iter().fold(told, Fault::hint)
    }

    pub(super) struct Decoder(Box<dyn codec::Decoder>);

    pub(super) fn decoder(name: &str, options: &str, schema: &SchemaRef) -> Result<Decoder> {
        codec::decoder(name, options, schema.clone()).map(Decoder).map_err(told)
    }

    impl Decoder {
        pub(super) fn decode(
            &mut self,
            bytes: &[u8],
            last: bool,
            rows: u32,
            size: u64,
            _: &SchemaRef,
        ) -> Result<Decoded> {
            let bytes_max = usize::try_from(size).unwrap_or(usize::MAX);
            let budget = codec::Budget { rows, bytes: bytes_max };
            let decoded = self.0.decode(bytes, last, budget).map_err(told)?;
            let flawed = |flawed: codec::Flawed| Flawed {
                record: flawed.record,
                start: flawed.start,
                lines_before: flawed.lines_before,
                data: flawed.data,
                code: flawed.code,
                message: flawed.message,
            };
            Ok(Decoded {
                taken: decoded.taken,
                records: decoded.records,
                lines_before: decoded.lines_before,
                lines: decoded.lines,
                rows: decoded.rows,
                flawed: decoded.flawed.into_iter().map(flawed).collect(),
            })
        }
    }

    pub(super) struct Encoder(Box<dyn codec::Encoder>);

    pub(super) fn encoder(name: &str, options: &str, schema: &SchemaRef) -> Result<Encoder> {
        codec::encoder(name, options, schema).map(Encoder).map_err(told)
    }

    impl Encoder {
        pub(super) fn encode(&mut self, rows: &RecordBatch) -> Result<Encoded> {
            let mut bytes = Vec::new();
            let refused = self.0.encode(rows, &mut bytes).map_err(told)?;
            let refused = refused.into_iter().map(|refused| Refused {
                row: refused.row,
                column: refused.column,
                code: refused.code,
                message: refused.message,
            });
            Ok(Encoded { bytes, refused: refused.collect(), pending: self.0.pending() as u64 })
        }

        pub(super) fn finish(mut self) -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            self.0.finish(&mut bytes).map_err(told)?;
            Ok(bytes)
        }
    }
}
