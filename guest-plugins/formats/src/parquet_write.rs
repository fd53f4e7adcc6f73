//! Writes Parquet files.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, IntervalUnit, SchemaRef};
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

/// How Parquet files are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParquetStyle {
    pub codec: PageCodec,
    /// A row group ends before its values take more.
    pub group_bytes: usize,
    /// A row group has no more rows.
    pub group_rows: usize,
    /// Of a page, and of a column's dictionary.
    pub page_bytes: usize,
    pub dictionary: bool,
}

impl Default for ParquetStyle {
    fn default() -> Self {
        Self {
            codec: PageCodec::default(),
            group_bytes: ROW_GROUP_BYTES,
            group_rows: usize::MAX,
            page_bytes: PAGE_BYTES,
            dictionary: true,
        }
    }
}

pub(crate) struct ParquetEncoder {
    writer: ArrowWriter<Sink>,
    style: ParquetStyle,
    /// Of the values in the row group that is open.
    group_bytes: usize,
    /// Rows in it.
    group_rows: usize,
}

fn wrong(error: ParquetError) -> Fault {
    carried(&error).unwrap_or_else(|| match error {
        ParquetError::NYI(what) | ParquetError::ArrowError(what) => {
            Fault::user("format.type", format!("Parquet can't hold these columns: {what}"))
        }
        other => Fault::plugin("format.parquet", format!("Parquet can't be written: {other}")),
    })
}

/// What the library refuses at the first value only.
fn check(field: &Field) -> Result<()> {
    let inner: &[FieldRef] = match field.data_type() {
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let (name, kind) = (field.name(), field.data_type());
            let message = format!("Parquet can't hold column \"{name}\": it has no {kind}");
            return Err(Fault::user("format.type", message));
        }
        DataType::List(inner) | DataType::FixedSizeList(inner, _) | DataType::Map(inner, _) => {
            std::slice::from_ref(inner)
        }
        DataType::Struct(fields) => fields,
        _ => &[],
    };
    inner.iter().try_for_each(|field| check(field))
}

impl ParquetEncoder {
    pub(crate) fn new(
        output: Box<dyn Output>,
        schema: &SchemaRef,
        style: ParquetStyle,
    ) -> Result<Self> {
        schema.fields().iter().try_for_each(|field| check(field))?;
        let properties = WriterProperties::builder()
            .set_compression(style.codec.compression())
            .set_max_row_group_row_count(None)
            .set_data_page_size_limit(style.page_bytes)
            .set_dictionary_enabled(style.dictionary)
            .set_dictionary_page_size_limit(style.page_bytes)
            .set_created_by(concat!("airlock ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(Sink(output), schema.clone(), Some(properties));
        let writer = writer.map_err(wrong)?;
        Ok(Self { writer, style, group_bytes: 0, group_rows: 0 })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let (bytes, rows) = (batch_bytes(batch), batch.num_rows());
        if bytes > self.style.group_bytes && rows > 1 {
            let half = rows / 2;
            self.write(&batch.slice(0, half))?;
            return self.write(&batch.slice(half, rows - half));
        }
        if self.group_bytes > 0 && self.group_bytes + bytes > self.style.group_bytes {
            self.end_group()?;
        }
        let room = self.style.group_rows - self.group_rows;
        if rows > room {
            self.write(&batch.slice(0, room))?;
            return self.write(&batch.slice(room, rows - room));
        }
        self.writer.write(batch).map_err(wrong)?;
        self.group_bytes += bytes;
        self.group_rows += rows;
        if self.group_rows == self.style.group_rows {
            self.end_group()?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        self.writer.flush().map_err(wrong)?;
        (self.group_bytes, self.group_rows) = (0, 0);
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
