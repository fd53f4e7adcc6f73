//! Reads ORC files: stripes are the shares, only the wanted columns are read.

use std::io;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use orc::{Error, File, Source, StripeReader};
use sdk::{Fault, Result};

use crate::blocks::Block;
use crate::groups;
use crate::own::Own;
use crate::parquet_read::{BATCH_BYTES, BATCH_ROWS_FIRST, most_rows};
use crate::read::Share;
use crate::size::batch_bytes;
use crate::stand_in::{converted, own_fields};
use crate::storage::{Input, carried, changed, io_error};

/// A batch has no more rows than so many times those of the one before, since a short text may be followed by
/// long ones.
const GROWTH: u64 = 8;

/// An input as the library reads it.
struct Bytes(Arc<dyn Input>);

impl Source for Bytes {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer).map_err(io_error)
    }
}

fn unreadable(label: &str, error: &Error) -> Fault {
    let told = |code: &str, what: &str, hint: &str| {
        Fault::data(code, format!("\"{label}\" {what}: {error}")).hint(hint)
    };
    match error {
        Error::Io(_) | Error::Corrupt(_) => carried(error).unwrap_or_else(|| {
            told(
                "format.corrupt",
                "is no readable ORC file",
                "the file may be cut off, or of another format: copy it again, or set \"fileFormat\"",
            )
        }),
        Error::Unsupported(_) => told(
            "format.unsupported",
            "is an ORC file that can't be read",
            "write it anew with another compression (none, zlib, snappy, lz4, zstd) or without what is named",
        ),
        Error::Precision(_) => told(
            "format.precision",
            "holds a value that its column's type does not",
            "leave the column out, or write the file anew: timestamps are read as microseconds",
        ),
        Error::TooLarge(_) => told(
            "format.too_large",
            "holds too long values",
            "leave the column out, or write the file anew",
        ),
    }
}

/// What the end of an ORC file says about the rest.
pub(crate) struct OrcFile {
    pub(crate) own: Own,
    file: File,
}

impl OrcFile {
    pub(crate) fn open(input: &Arc<dyn Input>) -> Result<Self> {
        let label = input.label().to_owned();
        let file = File::open(Arc::new(Bytes(input.clone())));
        let file = file.map_err(|error| unreadable(&label, &error))?;
        let schema = Arc::new(Schema::new(own_fields(file.schema().fields())));
        Ok(Self { own: Own { label, schema }, file })
    }

    pub(crate) fn next_share(
        &self,
        after: Option<&Share>,
        split_bytes: u64,
    ) -> Result<Option<Share>> {
        let stripes: Vec<_> = self.file.stripes().collect();
        groups::next_share(&self.own.label, &stripes, after, split_bytes)
    }

    /// The stripes of a share.
    pub(crate) fn blocks(self, share: &Share) -> Result<(Own, OrcBlocks)> {
        let label = self.own.label.clone();
        let stripes = self.file.stripes().count();
        let (next, stop) = match share {
            Share::Groups { first, count, .. } if first + count <= stripes => {
                (*first, first + count)
            }
            _ => return Err(changed(&label)),
        };
        let (schema, roots) = (self.own.schema.clone(), Vec::new());
        let current = None;
        let blocks = OrcBlocks {
            file: self.file,
            label,
            schema,
            roots,
            next,
            stop,
            current,
            row_bytes: None,
        };
        Ok((self.own, blocks))
    }
}

/// The rows of some stripes, a part of a stripe at a time.
pub(crate) struct OrcBlocks {
    file: File,
    label: String,
    schema: SchemaRef,
    /// The columns that are read, sorted.
    roots: Vec<usize>,
    next: usize,
    stop: usize,
    current: Option<Stripe>,
    /// Of a decoded row, as the last batch had them, and its rows.
    row_bytes: Option<(u64, u64)>,
}

/// A stripe that is being read.
struct Stripe {
    index: usize,
    rows: StripeReader,
    /// Rows that were read.
    row: u64,
}

impl OrcBlocks {
    /// Reads these columns of the file, which are sorted, and no others.
    pub(crate) fn choose(&mut self, roots: &[usize]) -> Result<()> {
        let schema = self.schema.project(roots);
        let wrong = |error: ArrowError| Fault::plugin("format.plan", error.to_string());
        self.schema = Arc::new(schema.map_err(wrong)?);
        self.roots = roots.to_vec();
        Ok(())
    }

    /// # Errors
    /// `file.changed`, where there is no such stripe.
    pub(crate) fn seek(&mut self, stripe: u64) -> Result<()> {
        let found = usize::try_from(stripe).ok().filter(|stripe| *stripe < self.stop);
        self.next = found.ok_or_else(|| changed(&self.label))?;
        Ok(())
    }

    fn batch_rows(&self) -> usize {
        let Some((bytes, rows)) = self.row_bytes else { return BATCH_ROWS_FIRST as usize };
        let fitting = BATCH_BYTES / bytes.max(1);
        fitting.min(rows * GROWTH).clamp(1, most_rows(&self.schema)) as usize
    }

    pub(crate) fn next(&mut self) -> Result<Option<Block>> {
        loop {
            let Some(mut stripe) = self.current.take() else {
                if self.next >= self.stop {
                    return Ok(None);
                }
                let index = self.next;
                self.next += 1;
                let rows = self.file.stripe(index, &self.roots);
                let rows = rows.map_err(|error| unreadable(&self.label, &error))?;
                self.current = Some(Stripe { index, rows, row: 0 });
                continue;
            };
            let batch = stripe.rows.next(self.batch_rows());
            let Some(batch) = batch.map_err(|error| unreadable(&self.label, &error))? else {
                continue;
            };
            let (at, row) = (stripe.index as u64, stripe.row);
            let rows = batch.num_rows();
            stripe.row += rows as u64;
            self.current = Some(stripe);
            if let Some(bytes) = batch_bytes(&batch).checked_div(rows) {
                self.row_bytes = Some((bytes as u64, rows as u64));
            }
            return Ok(Some(Block { at, row, batches: vec![self.own_types(&batch)?] }));
        }
    }

    fn own_types(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let pairs = batch.columns().iter().zip(self.schema.fields());
        let columns = pairs.map(|(column, field)| converted(column, field.data_type()));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = columns.collect::<Result<_, _>>().and_then(|columns| {
            RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
        });
        batch.map_err(|error| unreadable(&self.label, &Error::Corrupt(error.to_string())))
    }
}
