//! Codecs by their names, with options in JSON: how a plug-in asks the host for one.

use arrow_schema::SchemaRef;
use serde::de::DeserializeOwned;

use crate::decode::TextDecoder;
use crate::fault::{Fault, Result};
use crate::mysql::RowDecoder;
use crate::postgresql::decode::CopyDecoder;
use crate::postgresql::encode::CopyEncoder;
use crate::rows::TextRows;
use crate::{Decoder, Encoder};

/// Records of text ([`crate::TextDecoding`]) into columns.
const TEXT: &str = "text";
/// Messages of a COPY in binary form from a PostgreSQL server into columns
/// ([`crate::postgresql::CopyDecoding`]), and columns into the rows of one
/// ([`crate::postgresql::CopyEncoding`]), without what stands before and behind them.
const COPY: &str = "postgresql-copy";
/// Packets of rows in binary form from a MySQL server into columns ([`crate::mysql::RowDecoding`]).
const MYSQL: &str = "mysql-rows";
/// Columns into records of delimited text ([`crate::rows::CsvStyle`]).
const CSV: &str = "csv";
/// Columns into JSON lines; without options.
const JSONL: &str = "jsonl";
/// Columns into a Parquet file ([`crate::ParquetStyle`]).
#[cfg(feature = "parquet")]
const PARQUET: &str = "parquet";

/// The decoder of this name, into columns of `schema`.
///
/// # Errors
/// `codec.unknown`, `codec.options`.
pub fn decoder(name: &str, options: &str, schema: SchemaRef) -> Result<Box<dyn Decoder>> {
    Ok(match name {
        TEXT => Box::new(TextDecoder::new(read(name, options)?, schema)?),
        COPY => Box::new(CopyDecoder::new(&read(name, options)?, schema)?),
        MYSQL => Box::new(RowDecoder::new(read(name, options)?, schema)?),
        _ => return Err(unknown("decoder", name)),
    })
}

/// The encoder of this name, for columns of `schema`.
///
/// # Errors
/// `codec.unknown`, `codec.options`, `format.type`.
pub fn encoder(name: &str, options: &str, schema: &SchemaRef) -> Result<Box<dyn Encoder>> {
    Ok(match name {
        CSV => Box::new(TextRows::csv(read(name, options)?, schema)?),
        JSONL => Box::new(TextRows::json(schema)?),
        #[cfg(feature = "parquet")]
        PARQUET => Box::new(crate::parquet::ParquetRows::new(schema, read(name, options)?)?),
        COPY => Box::new(CopyEncoder::new(read(name, options)?, schema)?),
        _ => return Err(unknown("encoder", name)),
    })
}

fn read<T: DeserializeOwned>(name: &str, options: &str) -> Result<T> {
    serde_json::from_str(options).map_err(|error| {
        Fault::plugin("codec.options", format!("the options of the codec \"{name}\": {error}"))
    })
}

fn unknown(what: &str, name: &str) -> Fault {
    let name: String = name.chars().take(64).collect();
    Fault::plugin("codec.unknown", format!("there is no {what} \"{name}\""))
}
