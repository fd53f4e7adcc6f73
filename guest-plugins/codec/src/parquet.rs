//! Rows as a Parquet file.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, IntervalUnit, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::distinct::mostly_differ;
use crate::fault::{Fault, Result};
use crate::parquet_style::{PageCodec, ParquetStyle};
use crate::parts::{PART_BYTES, Parts};
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

/// Each page has a head, and an entry in the indexes.
const PAGE_BYTES_MIN: usize = 1 << 10;

/// Writes a Parquet file.
pub(crate) struct ParquetRows {
    writer: ArrowWriter<Parts>,
    /// Rows have come.
    begun: bool,
    /// The end of the file is written.
    ended: bool,
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

/// Writes nothing yet but the mark of the format; the columns `plain` have no dictionary.
fn writer(
    schema: &SchemaRef,
    style: &ParquetStyle,
    plain: &[String],
) -> Result<ArrowWriter<Parts>> {
    let properties = WriterProperties::builder()
        .set_compression(compression(style.codec))
        .set_max_row_group_row_count(None)
        .set_data_page_size_limit(style.page_bytes)
        .set_dictionary_enabled(style.dictionary)
        .set_dictionary_page_size_limit(style.page_bytes)
        .set_created_by(concat!("airlock ", env!("CARGO_PKG_VERSION")).to_owned());
    let properties = plain.iter().fold(properties, |properties, name| {
        properties.set_column_dictionary_enabled(ColumnPath::new(vec![name.clone()]), false)
    });
    ArrowWriter::try_new(Parts::default(), schema.clone(), Some(properties.build())).map_err(wrong)
}

impl ParquetRows {
    /// # Errors
    /// `format.type`, for a column that Parquet can't hold; `codec.options`.
    pub(crate) fn new(schema: &SchemaRef, style: ParquetStyle) -> Result<Self> {
        schema.fields().iter().try_for_each(|field| check(field))?;
        if style.group_rows == 0 || style.page_bytes < PAGE_BYTES_MIN {
            let message =
                format!("a row group has at least one row, and a page {PAGE_BYTES_MIN} bytes");
            return Err(Fault::plugin("codec.options", message));
        }
        let writer = writer(schema, &style, &[])?;
        Ok(Self { writer, begun: false, ended: false, style, group_bytes: 0, group_rows: 0 })
    }

    /// Begins the file with the first rows. Columns whose values mostly differ get no dictionary: it would
    /// be made, and given up once it is full.
    fn begin(&mut self, rows: &RecordBatch) -> Result<()> {
        self.begun = true;
        let schema = rows.schema();
        let columns = schema.fields().iter().zip(rows.columns());
        let plain = columns.filter(|(_, column)| mostly_differ(column.as_ref()));
        let plain: Vec<_> = plain.map(|(field, _)| field.name().clone()).collect();
        if self.style.dictionary && !plain.is_empty() {
            self.writer = writer(&schema, &self.style, &plain)?;
        }
        Ok(())
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
}

impl Encoder for ParquetRows {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<Vec<Refused>> {
        if !self.begun {
            self.begin(rows)?;
        }
        self.write(rows)?;
        // What is written takes about as much as the rows at most, so that ready parts don't pile up.
        self.writer.inner_mut().take(batch_bytes(rows).max(PART_BYTES), out);
        Ok(Vec::new())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if !self.ended {
            self.writer.finish().map_err(wrong)?;
            self.ended = true;
        }
        self.writer.inner_mut().take(PART_BYTES, out);
        Ok(())
    }

    fn pending(&self) -> usize {
        self.writer.in_progress_size() + self.writer.inner().bytes()
    }

    fn memory(&self) -> usize {
        self.writer.memory_size() + self.writer.inner().bytes()
    }
}
