//! Reads files that know their columns and come in blocks that stand for themselves: Avro and Arrow IPC.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use sdk::{Budget, Fault, Result};
use serde::{Deserialize, Serialize};

use crate::avro::AvroBlocks;
use crate::columns::Wanted;
use crate::ipc::IpcBlocks;
use crate::own::{Own, Source};
use crate::parquet_read::fitting;
use crate::read::Chunk;

/// Where the next row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BlockPosition {
    /// As the format counts them: where it begins (Avro), or how many stand before it (Arrow IPC).
    block: u64,
    row: u64,
}

/// The blocks of one share.
pub(crate) enum Blocks {
    Avro(AvroBlocks),
    Ipc(Box<IpcBlocks>),
}

/// A block, or several that are read at once.
pub(crate) struct Block {
    /// What a position says.
    pub(crate) at: u64,
    /// With the columns of [`Own`].
    pub(crate) batches: Vec<RecordBatch>,
}

impl Blocks {
    fn next(&mut self) -> Result<Option<Block>> {
        match self {
            Self::Avro(avro) => avro.next(),
            Self::Ipc(ipc) => ipc.next(),
        }
    }

    /// Goes on with the block of a position.
    fn seek(&mut self, block: u64) -> Result<()> {
        match self {
            Self::Avro(avro) => avro.seek(block),
            Self::Ipc(ipc) => ipc.seek(block),
        }
    }
}

/// Reads the rows of some blocks.
pub(crate) struct BlockReader {
    own: Own,
    blocks: Blocks,
    sources: Vec<Source>,
    schema: SchemaRef,
    at: BlockPosition,
    /// Rows of the next block that were read before.
    skip: u64,
    pending: VecDeque<RecordBatch>,
}

impl BlockReader {
    pub(crate) fn open(
        own: Own,
        mut blocks: Blocks,
        wanted: &Wanted,
        schema: &SchemaRef,
        position: Option<&[u8]>,
    ) -> Result<Self> {
        let sources = own.sources(wanted, schema)?;
        let mut at = BlockPosition { block: 0, row: 0 };
        if let Some(bytes) = position {
            at = serde_json::from_slice(bytes).map_err(|_| {
                Fault::plugin("format.position", "the position is not one of this plug-in")
            })?;
            blocks.seek(at.block)?;
        }
        let pending = VecDeque::new();
        Ok(Self { own, blocks, sources, schema: schema.clone(), at, skip: at.row, pending })
    }

    pub(crate) fn next(&mut self, budget: Budget) -> Result<Option<Chunk>> {
        let batch = loop {
            if let Some(batch) = self.pending.pop_front() {
                break batch;
            }
            let Some(block) = self.blocks.next()? else { return Ok(None) };
            self.take(block)?;
        };
        let rows = fitting(&batch, budget);
        if rows < batch.num_rows() {
            self.pending.push_front(batch.slice(rows, batch.num_rows() - rows));
        }
        self.at.row += rows as u64;
        let position = serde_json::to_vec(&self.at)
            .map_err(|error| Fault::plugin("format.position", error.to_string()))?;
        Ok(Some(Chunk { batch: Some(batch.slice(0, rows)), undecodable: Vec::new(), position }))
    }

    /// Keeps the rows that were not read before, in the job's columns.
    fn take(&mut self, block: Block) -> Result<()> {
        let mut skip = std::mem::take(&mut self.skip);
        self.at = BlockPosition { block: block.at, row: skip };
        let all: Vec<_> = (0..self.own.schema.fields().len()).collect();
        for batch in block.batches {
            let rows = batch.num_rows();
            let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(rows);
            skip -= passed as u64;
            if passed == rows {
                continue;
            }
            let batch = batch.slice(passed, rows - passed);
            let batch = Own::arranged(&batch, &all, &self.sources, &self.schema);
            let wrong = |error: arrow_schema::ArrowError| {
                let message =
                    format!("\"{}\" holds other values than it says: {error}", self.own.label);
                Fault::data("format.corrupt", message)
            };
            self.pending.push_back(batch.map_err(wrong)?);
        }
        Ok(())
    }
}
