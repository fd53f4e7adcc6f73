//! Writes Parquet files.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use codec::ParquetStyle;
use sdk::Result;
use sdk::codec::Encoder;

use crate::storage::Output;

pub(crate) struct ParquetEncoder {
    encoder: Encoder,
    output: Box<dyn Output>,
    pending: u64,
}

impl ParquetEncoder {
    pub(crate) fn new(
        output: Box<dyn Output>,
        schema: &SchemaRef,
        style: ParquetStyle,
    ) -> Result<Self> {
        Ok(Self { encoder: Encoder::open("parquet", &style, schema)?, output, pending: 0 })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let encoded = self.encoder.encode(batch)?;
        self.pending = encoded.pending;
        self.output.write(&encoded.bytes)
    }

    /// About the bytes that the open row group will take.
    pub(crate) fn in_progress(&self) -> u64 {
        self.pending
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        loop {
            let rest = self.encoder.finish()?;
            if rest.is_empty() {
                return self.output.sync();
            }
            self.output.write(&rest)?;
        }
    }
}
