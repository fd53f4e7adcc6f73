//! Reads Parquet files: row groups are the shares, only the wanted columns are read.

use std::collections::VecDeque;
use std::io::{BufReader, Read};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetStatisticsPolicy, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use sdk::{Budget, Fault, Result};
use serde::{Deserialize, Serialize};

use crate::columns::Wanted;
use crate::groups;
use crate::int96;
use crate::own::{self, Own, Source, plain_schema};
use crate::read::{Chunk, Share};
use crate::size::batch_bytes;
use crate::storage::{Input, Range, carried, changed};

/// A batch of this size keeps the costs of a call small and the batch in the cache.
pub(crate) const BATCH_BYTES: u64 = 384 << 10;
/// Rows that are decoded at once at most; fewer where values have no fixed width, since a short text may be
/// followed by long ones.
const BATCH_ROWS_MAX: u64 = 64 << 10;
const BATCH_ROWS_MAX_WIDE: u64 = 8 << 10;
/// Rows of the first batch at most, which tells how wide the rows are. Encoded sizes do not: a long text
/// that stands in every row is stored once.
pub(crate) const BATCH_ROWS_FIRST: u64 = 64;
/// How far the rows of a batch may be from what fits before the group is opened anew.
const FAR_OFF: u64 = 4;
/// How often larger batches may be tried in a row group; what was read is passed over each time.
const GROWTHS_MAX: u32 = 3;
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// An input as the Parquet library reads it.
struct Chunks(Arc<dyn Input>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Range>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let range = Range { input: self.0.clone(), at: start, stop: self.0.len() };
        Ok(BufReader::with_capacity(READ_BYTES, range))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let left = self.0.len().saturating_sub(start);
        if length as u64 > left {
            return Err(ParquetError::EOF(format!(
                "{length} bytes are wanted and {left} are there"
            )));
        }
        let mut bytes = Vec::with_capacity(length);
        let range = Range { input: self.0.clone(), at: start, stop: start + length as u64 };
        let read = range.take(length as u64).read_to_end(&mut bytes);
        match read {
            Ok(count) if count == length => Ok(bytes.into()),
            Ok(_) => Err(ParquetError::EOF("the file ends early".to_owned())),
            Err(error) => Err(ParquetError::External(Box::new(error))),
        }
    }
}

fn unreadable(label: &str, error: &(dyn std::error::Error + 'static)) -> Fault {
    carried(error).unwrap_or_else(|| {
        let message = format!("\"{label}\" is no readable Parquet file: {error}");
        Fault::data("format.corrupt", message).hint(
            "the file may be cut off, or of another format: copy it again, or set \"fileFormat\"",
        )
    })
}

/// Row group and row in it, both from 0, of the next row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct GroupPosition {
    group: usize,
    row: u64,
}

/// What the end of a Parquet file says about the rest.
pub(crate) struct Footer {
    pub(crate) own: Own,
    metadata: ArrowReaderMetadata,
    /// The same with nanoseconds for INT96, and these columns; `None` where there are none.
    nanos: Option<(ArrowReaderMetadata, Vec<usize>)>,
}

/// Nothing is looked up in a footer's statistics, and a file of many row groups has megabytes of them.
fn without_statistics() -> ArrowReaderOptions {
    ArrowReaderOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
}

impl Footer {
    pub(crate) fn read(input: &Arc<dyn Input>) -> Result<Self> {
        let label = input.label().to_owned();
        let wrong = |error: ParquetError| unreadable(&label, &error);
        let chunks = Chunks(input.clone());
        let metadata = ArrowReaderMetadata::load(&chunks, without_statistics()).map_err(wrong)?;
        let typed = |schema: SchemaRef| match schema == *metadata.schema() {
            true => Ok(metadata.clone()),
            false => {
                let options = ArrowReaderOptions::new().with_schema(schema);
                ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).map_err(wrong)
            }
        };
        let plain = plain_schema(metadata.schema());
        let old = int96::columns(metadata.metadata().file_metadata().schema_descr());
        let micros = typed(int96::as_micros(&plain, &old))?;
        let nanos = if old.is_empty() { None } else { Some((typed(plain)?, old)) };
        let schema = micros.schema().clone();
        Ok(Self { own: Own { label, schema }, metadata: micros, nanos })
    }

    /// Row groups, as many as make about `split_bytes`, and shares of one size.
    pub(crate) fn next_share(
        &self,
        after: Option<&Share>,
        split_bytes: u64,
    ) -> Result<Option<Share>> {
        let size = |group: &RowGroupMetaData| {
            (group.num_rows().max(0) as u64, group.compressed_size().max(0) as u64)
        };
        let groups: Vec<_> = self.metadata.metadata().row_groups().iter().map(size).collect();
        groups::next_share(&self.own.label, &groups, after, split_bytes)
    }

    pub(crate) fn open(
        self,
        input: &Arc<dyn Input>,
        wanted: &Wanted,
        share: &Share,
        schema: &SchemaRef,
        position: Option<&[u8]>,
    ) -> Result<ParquetReader> {
        let Share::Groups { first, count, .. } = share else {
            return Err(changed(&self.own.label));
        };
        if first + count > self.metadata.metadata().num_row_groups() {
            return Err(changed(&self.own.label));
        }
        let sources = self.own.sources(wanted, schema)?;
        let position = match position {
            None => GroupPosition { group: *first, row: 0 },
            Some(bytes) => serde_json::from_slice(bytes).map_err(|_| {
                Fault::plugin("format.position", "the position is not one of this plug-in")
            })?,
        };
        Ok(ParquetReader {
            input: input.clone(),
            footer: self,
            sources,
            schema: schema.clone(),
            next_group: position.group,
            stop: first + count,
            skip: position.row,
            row_bytes: None,
            current: None,
            at: position,
            pending: VecDeque::new(),
        })
    }
}

/// Reads the rows of some row groups.
pub(crate) struct ParquetReader {
    input: Arc<dyn Input>,
    footer: Footer,
    sources: Vec<Source>,
    schema: SchemaRef,
    next_group: usize,
    stop: usize,
    /// Rows of the next group that were read before.
    skip: u64,
    /// Of a decoded row, as the last batch had them.
    row_bytes: Option<u64>,
    current: Option<Group>,
    /// Of the next row to hand out.
    at: GroupPosition,
    /// Decoded rows that did not fit the budget.
    pending: VecDeque<RecordBatch>,
}

/// A row group that is being read.
struct Group {
    index: usize,
    rows: ParquetRecordBatchReader,
    /// The INT96 columns once more, as nanoseconds.
    nanos: Option<ParquetRecordBatchReader>,
    batch_rows: u64,
    /// Rows of the group that were decoded or passed over.
    decoded: u64,
    growths: u32,
}

impl ParquetReader {
    pub(crate) fn next(&mut self, budget: Budget) -> Result<Option<Chunk>> {
        let Some(batch) = self.decoded()? else { return Ok(None) };
        let rows = fitting(&batch, budget);
        if rows < batch.num_rows() {
            self.pending.push_front(batch.slice(rows, batch.num_rows() - rows));
        }
        self.at.row += rows as u64;
        let position = serde_json::to_vec(&self.at)
            .map_err(|error| Fault::plugin("format.position", error.to_string()))?;
        Ok(Some(Chunk { batch: Some(batch.slice(0, rows)), undecodable: Vec::new(), position }))
    }

    /// Decoded rows, left over or new.
    fn decoded(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(batch) = self.pending.pop_front() {
            return Ok(Some(batch));
        }
        loop {
            let Some(mut group) = self.current.take() else {
                if self.next_group >= self.stop {
                    return Ok(None);
                }
                let (index, skip) = (self.next_group, std::mem::take(&mut self.skip));
                self.next_group += 1;
                self.at = GroupPosition { group: index, row: skip };
                self.current = Some(self.open_group(index, skip)?);
                continue;
            };
            let Some(batch) = group.rows.next() else { continue };
            let batch = batch.map_err(|error| self.unreadable(&error))?;
            self.check_digits(&mut group, &batch)?;
            group.decoded += batch.num_rows() as u64;
            self.measure(&batch);
            self.current = Some(self.fitted(group)?);
            if batch.num_rows() > 0 {
                return self.arranged(&batch).map(Some);
            }
        }
    }

    fn unreadable(&self, error: &(dyn std::error::Error + 'static)) -> Fault {
        unreadable(&self.footer.own.label, error)
    }

    fn measure(&mut self, batch: &RecordBatch) {
        if let Some(bytes) = batch_bytes(batch).checked_div(batch.num_rows()) {
            self.row_bytes = Some(bytes as u64);
        }
    }

    /// How many rows of a group are decoded at once.
    fn batch_rows(&self, group: usize) -> u64 {
        let most = match self.row_bytes {
            None => BATCH_ROWS_FIRST,
            Some(_) => most_rows(&self.schema),
        };
        let bytes = self.row_bytes.unwrap_or(0).max(self.encoded_row_bytes(group));
        (BATCH_BYTES / bytes.max(1)).clamp(1, most)
    }

    /// Of the columns that are read; a decoded row is rarely smaller.
    fn encoded_row_bytes(&self, group: usize) -> u64 {
        let metadata = self.footer.metadata.metadata();
        let (file, group) = (metadata.file_metadata().schema_descr(), metadata.row_group(group));
        let roots = self.roots();
        let leaves = group.columns().iter().enumerate();
        let read = leaves.filter(|(leaf, _)| roots.contains(&file.get_column_root_idx(*leaf)));
        let bytes: i64 = read.map(|(_, column)| column.uncompressed_size().max(0)).sum();
        (bytes / group.num_rows().max(1)) as u64
    }

    /// The group, opened anew where its batches are far too large or too small.
    fn fitted(&self, group: Group) -> Result<Group> {
        let (now, wanted) = (group.batch_rows, self.batch_rows(group.index));
        let total = self.footer.metadata.metadata().row_group(group.index).num_rows().max(0) as u64;
        let left = total.saturating_sub(group.decoded);
        let shrinks = now > wanted * FAR_OFF && left > wanted;
        let grows = wanted > now * FAR_OFF && left > now && group.growths < GROWTHS_MAX;
        if !shrinks && !grows {
            return Ok(group);
        }
        let growths = group.growths + u32::from(grows);
        Ok(Group { growths, ..self.open_group(group.index, group.decoded)? })
    }

    fn open_group(&self, index: usize, skip: u64) -> Result<Group> {
        let batch_rows = self.batch_rows(index);
        let wanted = self.roots();
        let open = |metadata: &ArrowReaderMetadata, roots: &[usize]| {
            let descriptor = metadata.metadata().file_metadata().schema_descr();
            let mask = ProjectionMask::roots(descriptor, roots.iter().copied());
            ParquetRecordBatchReaderBuilder::new_with_metadata(
                Chunks(self.input.clone()),
                metadata.clone(),
            )
            .with_row_groups(vec![index])
            .with_projection(mask)
            .with_batch_size(batch_rows as usize)
            .with_offset(usize::try_from(skip).unwrap_or(usize::MAX))
            .build()
            .map_err(|error| self.unreadable(&error))
        };
        let nanos = self.footer.nanos.as_ref().and_then(|(metadata, columns)| {
            let roots: Vec<_> =
                wanted.iter().copied().filter(|root| columns.contains(root)).collect();
            (!roots.is_empty()).then(|| open(metadata, &roots))
        });
        Ok(Group {
            index,
            rows: open(&self.footer.metadata, &wanted)?,
            nanos: nanos.transpose()?,
            batch_rows,
            decoded: skip,
            growths: 0,
        })
    }

    fn check_digits(&self, group: &mut Group, batch: &RecordBatch) -> Result<()> {
        let Some(nanos) = group.nanos.as_mut().and_then(Iterator::next) else { return Ok(()) };
        let nanos = nanos.map_err(|error| self.unreadable(&error))?;
        let Some((name, row)) = int96::lost_digits(batch, &nanos) else { return Ok(()) };
        let message = format!(
            "column \"{name}\" of \"{}\" holds digits below a microsecond, in row {} of row group {}",
            self.footer.own.label,
            group.decoded + row as u64,
            group.index
        );
        Err(Fault::data("format.precision", message)
            .hint("INT96 is read as microseconds; write the file with INT64 timestamps"))
    }

    /// The columns in the job's order, which the library does not keep.
    fn arranged(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Own::arranged(batch, &self.roots(), &self.sources, &self.schema)
            .map_err(|error| self.unreadable(&error))
    }

    fn roots(&self) -> Vec<usize> {
        own::roots(&self.sources)
    }
}

/// How many rows are decoded at once at most.
pub(crate) fn most_rows(schema: &Schema) -> u64 {
    let is_wide = schema.fields().iter().any(|field| !field.data_type().is_primitive());
    if is_wide { BATCH_ROWS_MAX_WIDE } else { BATCH_ROWS_MAX }
}

/// How many of the first rows fit the budget; one at least.
pub(crate) fn fitting(batch: &RecordBatch, budget: Budget) -> usize {
    let mut rows = batch.num_rows().min(budget.rows.max(1) as usize);
    let bytes_max = budget.bytes.min(BATCH_BYTES * 2);
    while rows > 1 && batch_bytes(&batch.slice(0, rows)) as u64 > bytes_max {
        rows /= 2;
    }
    rows
}
