//! Writes Parquet files.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use sdk::{Fault, Result};

use crate::pack::Sink;
use crate::size::batch_bytes;
use crate::storage::{Output, carried};

/// A row group ends before its values pass this: it fits a guest's memory while it is written, and has
/// about as many rows as readers like to take at once.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// Each column holds a page and a dictionary of this size while it is written.
const PAGE_BYTES: usize = 512 << 10;

/// How the pages of a Parquet file are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageCodec {
    None,
    #[default]
    Snappy,
    Gzip,
    Zstd,
    Lz4,
    Brotli,
}

impl PageCodec {
    fn compression(self) -> Compression {
        match self {
            Self::None => Compression::UNCOMPRESSED,
            Self::Snappy => Compression::SNAPPY,
            Self::Gzip => Compression::GZIP(Default::default()),
            Self::Zstd => Compression::ZSTD(ZstdLevel::default()),
            Self::Lz4 => Compression::LZ4_RAW,
            Self::Brotli => Compression::BROTLI(Default::default()),
        }
    }
}

pub(crate) struct ParquetEncoder {
    writer: ArrowWriter<Sink>,
    /// Of the values in the row group that is open.
    group_bytes: usize,
}

fn wrong(error: ParquetError) -> Fault {
    carried(&error).unwrap_or_else(|| match error {
        ParquetError::NYI(what) | ParquetError::ArrowError(what) => {
            Fault::user("format.type", format!("Parquet can't hold these columns: {what}"))
        }
        other => Fault::plugin("format.parquet", format!("Parquet can't be written: {other}")),
    })
}

impl ParquetEncoder {
    pub(crate) fn new(
        output: Box<dyn Output>,
        schema: &SchemaRef,
        codec: PageCodec,
    ) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(codec.compression())
            .set_data_page_size_limit(PAGE_BYTES)
            .set_dictionary_page_size_limit(PAGE_BYTES)
            .set_created_by(concat!("airlock ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(Sink(output), schema.clone(), Some(properties));
        let writer = writer.map_err(wrong)?;
        Ok(Self { writer, group_bytes: 0 })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let bytes = batch_bytes(batch);
        if bytes > ROW_GROUP_BYTES && batch.num_rows() > 1 {
            let half = batch.num_rows() / 2;
            self.write(&batch.slice(0, half))?;
            return self.write(&batch.slice(half, batch.num_rows() - half));
        }
        if self.group_bytes > 0 && self.group_bytes + bytes > ROW_GROUP_BYTES {
            self.writer.flush().map_err(wrong)?;
            self.group_bytes = 0;
        }
        self.writer.write(batch).map_err(wrong)?;
        self.group_bytes += bytes;
        Ok(())
    }

    /// About the bytes that the open row group will take.
    pub(crate) fn in_progress(&self) -> u64 {
        self.writer.in_progress_size() as u64
    }

    pub(crate) fn finish(self) -> Result<()> {
        let mut sink = self.writer.into_inner().map_err(wrong)?;
        sink.0.sync()
    }
}
