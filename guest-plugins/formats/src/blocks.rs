//! Reads files that know their columns and come in blocks that stand for themselves: Avro, Arrow IPC and ORC.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use sdk::{Budget, Fault, Result};
use serde::{Deserialize, Serialize};

use crate::avro::AvroBlocks;
use crate::columns::Wanted;
use crate::ipc::IpcBlocks;
use crate::orc_read::OrcBlocks;
use crate::own::{self, Own, Source};
use crate::parquet_read::fitting;
use crate::read::Chunk;

/// Where the next row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BlockPosition {
    /// As the format counts them: where it begins (Avro), or how many stand before it (Arrow IPC, ORC).
    block: u64,
    row: u64,
}

/// The blocks of one share.
pub(crate) enum Blocks {
    Avro(AvroBlocks),
    Ipc(Box<IpcBlocks>),
    Orc(Box<OrcBlocks>),
}

/// A block, several that are read at once, or a part of one.
pub(crate) struct Block {
    /// What a position says.
    pub(crate) at: u64,
    /// Rows of the block before these.
    pub(crate) row: u64,
    /// With the columns that were chosen.
    pub(crate) batches: Vec<RecordBatch>,
}

impl Blocks {
    fn next(&mut self) -> Result<Option<Block>> {
        match self {
            Self::Avro(avro) => avro.next(),
            Self::Ipc(ipc) => ipc.next(),
            Self::Orc(orc) => orc.next(),
        }
    }

    /// Reads some columns alone, where the format can. Answers those that its batches have, sorted.
    fn choose(&mut self, own: &Own, wanted: Vec<usize>) -> Result<Vec<usize>> {
        match self {
            Self::Avro(_) | Self::Ipc(_) => Ok((0..own.schema.fields().len()).collect()),
            Self::Orc(orc) => orc.choose(&wanted).map(|()| wanted),
        }
    }

    /// Goes on with the block of a position.
    fn seek(&mut self, block: u64) -> Result<()> {
        match self {
            Self::Avro(avro) => avro.seek(block),
            Self::Ipc(ipc) => ipc.seek(block),
            Self::Orc(orc) => orc.seek(block),
        }
    }
}

/// Reads the rows of some blocks.
pub(crate) struct BlockReader {
    own: Own,
    blocks: Blocks,
    sources: Vec<Source>,
    /// The file's columns that batches have.
    roots: Vec<usize>,
    schema: SchemaRef,
    at: BlockPosition,
    /// Rows of the block of a position that were read before.
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
        let roots = blocks.choose(&own, own::roots(&sources))?;
        let mut at = BlockPosition { block: 0, row: 0 };
        if let Some(bytes) = position {
            at = serde_json::from_slice(bytes).map_err(|_| {
                Fault::plugin("format.position", "the position is not one of this plug-in")
            })?;
            blocks.seek(at.block)?;
        }
        let pending = VecDeque::new();
        let (schema, skip) = (schema.clone(), at.row);
        Ok(Self { own, blocks, sources, roots, schema, at, skip, pending })
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
        let rows: u64 = block.batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let mut skip = self.skip.saturating_sub(block.row).min(rows);
        if block.row + rows >= self.skip {
            self.skip = 0;
        }
        self.at = BlockPosition { block: block.at, row: block.row + skip };
        for batch in block.batches {
            let rows = batch.num_rows();
            let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(rows);
            skip -= passed as u64;
            if passed == rows {
                continue;
            }
            let batch = batch.slice(passed, rows - passed);
            let batch = Own::arranged(&batch, &self.roots, &self.sources, &self.schema);
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
