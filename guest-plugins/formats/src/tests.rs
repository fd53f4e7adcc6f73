//! Whole files through readers and encoders.

mod blocks;
mod cuts;
mod inference;
mod orc;
mod reading;
mod round_trip;
mod row_groups;
mod workbooks;

use std::sync::{Arc, Mutex};

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use sdk::{Budget, Result, Undecodable};
use serde_json::{Value, json};

use crate::parameters::{ReadParameters, WriteParameters};
use crate::print::{Printer, Style};
use crate::{Input, Memory, Output, ReadFormat, Share};

pub(super) const BUDGET: Budget = Budget { rows: 10_000, bytes: 1 << 20, wait_ms: 0 };

pub(super) fn format(parameter: &Value, name: &str) -> ReadFormat {
    let parameters: ReadParameters = serde_json::from_value(parameter.clone()).unwrap();
    parameters.format(name).unwrap()
}

pub(super) fn input(name: &str, bytes: impl Into<Vec<u8>>) -> Arc<dyn Input> {
    Arc::new(Memory { label: name.to_owned(), bytes: bytes.into() })
}

/// What a file gives: fields, rows as text, and what could not be read.
pub(super) struct Content {
    pub(super) schema: SchemaRef,
    pub(super) rows: Vec<Vec<Option<String>>>,
    pub(super) undecodable: Vec<Undecodable>,
}

pub(super) fn schema(format: &ReadFormat, input: &Arc<dyn Input>) -> Result<SchemaRef> {
    format.schema(1, &|_| Ok(input.clone()))
}

/// Reads a whole file by its shares.
pub(super) fn read(parameter: &Value, input: &Arc<dyn Input>) -> Result<Content> {
    let format = format(parameter, input.label());
    let schema = schema(&format, input)?;
    let (mut rows, mut undecodable) = (Vec::new(), Vec::new());
    for share in format.shares(input, None)? {
        read_share(&format, input, &share?, &schema, None, BUDGET, &mut rows, &mut undecodable)?;
    }
    Ok(Content { schema, rows, undecodable })
}

#[allow(clippy::too_many_arguments, reason = "only tests call it")]
pub(super) fn read_share(
    format: &ReadFormat,
    input: &Arc<dyn Input>,
    share: &Share,
    schema: &SchemaRef,
    position: Option<&[u8]>,
    budget: Budget,
    rows: &mut Vec<Vec<Option<String>>>,
    undecodable: &mut Vec<Undecodable>,
) -> Result<Vec<(usize, usize, Vec<u8>)>> {
    let mut reader = format.open(input, share, schema, position)?;
    let mut positions = Vec::new();
    while let Some(chunk) = reader.next(budget)? {
        if let Some(batch) = chunk.batch {
            rows.extend(texts(&batch));
        }
        undecodable.extend(chunk.undecodable);
        positions.push((rows.len(), undecodable.len(), chunk.position));
    }
    Ok(positions)
}

/// The rows of a batch as text.
pub(super) fn texts(batch: &RecordBatch) -> Vec<Vec<Option<String>>> {
    let style = Style { separator: b' ', date: None };
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let printers: Vec<_> =
        columns.map(|(field, column)| Printer::new(field, column, &style).unwrap()).collect();
    let text = |printer: &Printer<'_>, row: usize| {
        let mut out = Vec::new();
        printer.push(row, &mut out);
        (!printer.is_null(row)).then(|| String::from_utf8(out).unwrap())
    };
    (0..batch.num_rows())
        .map(|row| printers.iter().map(|printer| text(printer, row)).collect())
        .collect()
}

pub(super) fn row(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| (*text != "NULL").then(|| (*text).to_owned())).collect()
}

/// An output that the test looks into.
#[derive(Clone, Default)]
pub(super) struct Shared(pub(super) Arc<Mutex<Vec<u8>>>);

impl Output for Shared {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The bytes of a file with these batches.
pub(super) fn written(parameter: &Value, batches: &[RecordBatch]) -> Vec<u8> {
    let parameters: WriteParameters = serde_json::from_value(parameter.clone()).unwrap();
    let schema = batches[0].schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let output = Shared::default();
    let format = parameters.format(&names).unwrap();
    let mut encoder = format.encoder(Box::new(output.clone()), &schema).unwrap();
    for batch in batches {
        assert_eq!(encoder.write(batch).unwrap(), []);
    }
    let length = encoder.finish().unwrap();
    let bytes = output.0.lock().unwrap().clone();
    assert_eq!(bytes.len() as u64, length);
    bytes
}

pub(super) fn types(schema: &SchemaRef) -> Vec<String> {
    let word = |data_type: &arrow_schema::DataType| {
        crate::Kind::of(data_type).map_or_else(|| data_type.to_string(), |kind| kind.word())
    };
    schema.fields().iter().map(|field| word(field.data_type())).collect()
}

/// Columns that are all text, by index.
pub(super) fn text_columns(count: usize) -> Value {
    (0..count).map(|index| json!({ "index": index, "type": "string" })).collect()
}
