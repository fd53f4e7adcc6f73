//! Arrow IPC: files with a footer (Feather 2), whose record batches are the shares, and streams.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, SchemaRef};
use sdk::{Fault, Result};

use crate::blocks::Block;
use crate::own::{Own, plain_schema};
use crate::pack::Sink;
use crate::plain::plain_batch;
use crate::read::Share;
use crate::storage::{Input, Output, Range, carried, changed};

const FILE_MAGIC: &[u8] = b"ARROW1";
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

fn unreadable(label: &str, error: &(dyn std::error::Error + 'static), place: &str) -> Fault {
    carried(error).unwrap_or_else(|| {
        let message = format!("\"{label}\" is no readable Arrow file{place}: {error}");
        Fault::data("format.corrupt", message).hint(
            "the file may be cut off, or of another format: copy it again, or set \"fileFormat\"",
        )
    })
}

enum Reader {
    File(FileReader<BufReader<Range>>),
    Stream(StreamReader<BufReader<Range>>),
}

impl Reader {
    fn open(input: &Arc<dyn Input>) -> Result<Self> {
        let wrong = |error: ArrowError| unreadable(input.label(), &error, "");
        let mut first = [0; FILE_MAGIC.len()];
        let mut range = Range::all(input.clone());
        let is_file = range.read_exact(&mut first).is_ok() && first == FILE_MAGIC;
        range.seek(SeekFrom::Start(0)).map_err(|error| unreadable(input.label(), &error, ""))?;
        let reader = BufReader::with_capacity(READ_BYTES, range);
        Ok(match is_file {
            true => Self::File(FileReader::try_new(reader, None).map_err(wrong)?),
            false => Self::Stream(StreamReader::try_new(reader, None).map_err(wrong)?),
        })
    }

    fn schema(&self) -> SchemaRef {
        match self {
            Self::File(file) => file.schema(),
            Self::Stream(stream) => stream.schema(),
        }
    }
}

/// What the file says of its columns.
pub(crate) fn own(input: &Arc<dyn Input>) -> Result<Own> {
    let schema = plain_schema(&Reader::open(input)?.schema());
    Ok(Own { label: input.label().to_owned(), schema })
}

/// As many record batches as make about `split_bytes`, or a whole stream, which has no list of them.
pub(crate) fn next_share(
    input: &Arc<dyn Input>,
    after: Option<&Share>,
    split_bytes: u64,
) -> Result<Option<Share>> {
    let Reader::File(file) = Reader::open(input)? else {
        return Ok(after.is_none().then_some(Share::Whole));
    };
    let first = match after {
        None => 0,
        Some(Share::Batches { first, count, .. }) => first + count,
        Some(_) => return Err(changed(input.label())),
    };
    let all = file.num_batches();
    let left = all.saturating_sub(first);
    let batch_bytes = (input.len() / all.max(1) as u64).max(1);
    let count = usize::try_from(split_bytes / batch_bytes).unwrap_or(left).clamp(1, left.max(1));
    // A rest of less than half a share is no share of its own.
    let count = if left < count + count.div_ceil(2) { left } else { count };
    let bytes = batch_bytes * count as u64;
    Ok((left > 0).then_some(Share::Batches { first, count, bytes }))
}

/// The record batches of a share.
pub(crate) struct IpcBlocks {
    reader: Reader,
    label: String,
    /// With plain types.
    schema: SchemaRef,
    next: usize,
    stop: usize,
}

impl IpcBlocks {
    pub(crate) fn open(input: &Arc<dyn Input>, share: &Share) -> Result<(Own, Self)> {
        let label = input.label().to_owned();
        let mut reader = Reader::open(input)?;
        let (next, stop) = match (share, &mut reader) {
            (Share::Whole, Reader::Stream(_)) => (0, usize::MAX),
            (Share::Batches { first, count, .. }, Reader::File(file))
                if first + count <= file.num_batches() =>
            {
                (*first, first + count)
            }
            _ => return Err(changed(&label)),
        };
        let schema = plain_schema(&reader.schema());
        let own = Own { label: label.clone(), schema: schema.clone() };
        let mut blocks = Self { reader, label, schema, next, stop };
        blocks.seek(next as u64)?;
        Ok((own, blocks))
    }

    /// # Errors
    /// `file.changed`, where there is no such record batch.
    pub(crate) fn seek(&mut self, block: u64) -> Result<()> {
        let block = usize::try_from(block).map_err(|_| changed(&self.label))?;
        if let Reader::File(file) = &mut self.reader {
            self.next = block;
            return file.set_index(block).map_err(|_| changed(&self.label));
        }
        while self.next < block {
            self.batch()?.ok_or_else(|| changed(&self.label))?;
        }
        Ok(())
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let batch = match &mut self.reader {
            Reader::File(file) => file.next(),
            Reader::Stream(stream) => stream.next(),
        };
        let place = format!(" in record batch {}", self.next);
        self.next += 1;
        let batch = batch.transpose();
        batch.map_err(|error| match error {
            ArrowError::MemoryError(_) => self.too_large(&place),
            error => unreadable(&self.label, &error, &place),
        })
    }

    fn too_large(&self, place: &str) -> Fault {
        let message = format!("\"{}\" needs more memory{place} than the plug-in has", self.label);
        Fault::data("format.too_large", message).hint(
            "allow more with --limit memory=VALUE, or write the file in smaller record batches",
        )
    }

    pub(crate) fn next(&mut self) -> Result<Option<Block>> {
        if self.next >= self.stop {
            return Ok(None);
        }
        let at = self.next as u64;
        let Some(batch) = self.batch()? else { return Ok(None) };
        let batch = plain_batch(&batch, &self.schema)
            .map_err(|error| unreadable(&self.label, &error, &format!(" in record batch {at}")))?;
        Ok(Some(Block { at, row: 0, batches: vec![batch] }))
    }
}

/// Writes a file or a stream.
pub(crate) enum IpcEncoder {
    File(FileWriter<Sink>),
    Stream(StreamWriter<Sink>),
}

fn unwritable(error: ArrowError) -> Fault {
    carried(&error).unwrap_or_else(|| {
        Fault::plugin("format.arrow", format!("the Arrow file can't be written: {error}"))
    })
}

impl IpcEncoder {
    pub(crate) fn new(
        output: Box<dyn Output>,
        schema: &SchemaRef,
        is_stream: bool,
        compression: Option<CompressionType>,
    ) -> Result<Self> {
        let options = IpcWriteOptions::default().try_with_compression(compression);
        let (options, sink) = (options.map_err(unwritable)?, Sink(output));
        Ok(match is_stream {
            true => Self::Stream(
                StreamWriter::try_new_with_options(sink, schema, options).map_err(unwritable)?,
            ),
            false => Self::File(
                FileWriter::try_new_with_options(sink, schema, options).map_err(unwritable)?,
            ),
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::File(file) => file.write(batch),
            Self::Stream(stream) => stream.write(batch),
        }
        .map_err(unwritable)
    }

    /// A stream may end behind each batch.
    pub(crate) fn sync(&mut self) -> Result<()> {
        match self {
            Self::File(_) => Ok(()),
            Self::Stream(stream) => stream.get_mut().0.sync(),
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        let sink = match self {
            Self::File(file) => file.into_inner(),
            Self::Stream(stream) => stream.into_inner(),
        };
        sink.map_err(unwritable)?.0.sync()
    }
}
