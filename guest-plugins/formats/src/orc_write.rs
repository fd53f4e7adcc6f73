//! Writes ORC files.

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use orc::{Error, Options, Writer, unwritable_rows};
use sdk::{Fault, Result};

use crate::pack::Sink;
use crate::stand_in::{converted, stored_fields};
use crate::storage::{Output, carried};
use sdk::codec::Refused;

/// A stripe ends when it takes about so many bytes.
pub(crate) const STRIPE_BYTES: usize = 64 << 20;

pub(crate) struct OrcEncoder {
    writer: Writer<Sink>,
    /// With the types that stand in the file.
    schema: SchemaRef,
}

fn wrong(error: Error) -> Fault {
    carried(&error).unwrap_or_else(|| match error {
        Error::Unsupported(what) => {
            Fault::user("format.type", format!("ORC can't hold these columns: {what}"))
                .hint("let a step between Reader and Writer cast it, or write another format")
        }
        other => Fault::plugin("format.orc", format!("ORC can't be written: {other}")),
    })
}

impl OrcEncoder {
    pub(crate) fn new(
        output: Box<dyn Output>,
        schema: &SchemaRef,
        options: Options,
    ) -> Result<Self> {
        let schema = Arc::new(Schema::new(stored_fields(schema.fields())));
        let writer = Writer::new(Sink(output), &schema, options).map_err(wrong)?;
        Ok(Self { writer, schema })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<Vec<Refused>> {
        let failed = |error: ArrowError| Fault::plugin("format.orc", error.to_string());
        let refused = refused(batch);
        let mut batch = batch.clone();
        if !refused.is_empty() {
            let mut kept = vec![true; batch.num_rows()];
            refused.iter().for_each(|it| kept[it.row as usize] = false);
            batch = filter_record_batch(&batch, &BooleanArray::from(kept)).map_err(failed)?;
        }
        let pairs = batch.columns().iter().zip(self.schema.fields());
        let columns = pairs.map(|(column, field)| converted(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        self.writer.write(&columns, batch.num_rows()).map_err(wrong)?;
        Ok(refused)
    }

    /// About the bytes that the open stripe will take.
    pub(crate) fn in_progress(&self) -> u64 {
        self.writer.in_progress() as u64
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.writer.finish().map_err(wrong)?.0.sync()
    }
}

/// Rows that would come back as others, each told once, in their order.
fn refused(batch: &RecordBatch) -> Vec<Refused> {
    let columns = batch.columns().iter().enumerate();
    let mut refused: Vec<_> = columns
        .flat_map(|(column, array)| {
            let rows = unwritable_rows(array.as_ref()).into_iter();
            rows.map(move |row| Refused {
                row: row as u32,
                column: column as u32,
                code: "format.unwritable".into(),
                message: "the value is in the last second before 1970, which ORC stores as the first one after"
                    .to_owned(),
            })
        })
        .collect();
    refused.sort_by_key(|it| it.row);
    refused.dedup_by_key(|it| it.row);
    refused
}
