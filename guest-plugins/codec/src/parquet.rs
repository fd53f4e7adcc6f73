//! Rows as a Parquet file.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, IntervalUnit, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::fault::{Fault, Result};
use crate::parquet_style::{PageCodec, ParquetStyle};
use crate::size::batch_bytes;
use crate::{Encoder, Refused};

fn compression(codec: PageCodec) -> Compression {
    match codec {
        PageCodec::None => Compression::UNCOMPRESSED,
        PageCodec::Snappy => Compression::SNAPPY,
        PageCodec::Gzip => Compression::GZIP(Default::default()),
        PageCodec::Zstd => Compression::ZSTD(ZstdLevel::default()),
        PageCodec::Lz4 => Compression::LZ4_RAW,
        PageCodec::Brotli => Compression::BROTLI(Default::default()),
    }
}

/// Writes a Parquet file.
pub(crate) struct ParquetRows {
    writer: ArrowWriter<Vec<u8>>,
    style: ParquetStyle,
    /// Of the values in the row group that is open.
    group_bytes: usize,
    /// Rows in it.
    group_rows: usize,
}

fn wrong(error: ParquetError) -> Fault {
    match error {
        ParquetError::NYI(what) | ParquetError::ArrowError(what) => {
            Fault::user("format.type", format!("Parquet can't hold these columns: {what}"))
        }
        other => Fault::plugin("format.parquet", format!("Parquet can't be written: {other}")),
    }
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

impl ParquetRows {
    /// # Errors
    /// `format.type`, for a column that Parquet can't hold.
    pub(crate) fn new(schema: &SchemaRef, style: ParquetStyle) -> Result<Self> {
        schema.fields().iter().try_for_each(|field| check(field))?;
        let properties = WriterProperties::builder()
            .set_compression(compression(style.codec))
            .set_max_row_group_row_count(None)
            .set_data_page_size_limit(style.page_bytes)
            .set_dictionary_enabled(style.dictionary)
            .set_dictionary_page_size_limit(style.page_bytes)
            .set_created_by(concat!("airlock ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties));
        let writer = writer.map_err(wrong)?;
        Ok(Self { writer, style, group_bytes: 0, group_rows: 0 })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
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

    /// Moves what the library has written to `out`.
    fn hand_over(&mut self, out: &mut Vec<u8>) {
        out.append(self.writer.inner_mut());
    }
}

impl Encoder for ParquetRows {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<Vec<Refused>> {
        self.write(rows)?;
        self.hand_over(out);
        Ok(Vec::new())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.writer.finish().map_err(wrong)?;
        self.hand_over(out);
        Ok(())
    }

    fn pending(&self) -> usize {
        self.writer.in_progress_size()
    }

    fn memory(&self) -> usize {
        self.writer.memory_size()
    }
}
