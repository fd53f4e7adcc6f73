//! The dirty records that a replay took, as a source: the books are read, no plug-in.

use std::sync::Arc;
use std::time::Duration;

use domain::fault::{Fault, Result};
use domain::port::{
    Budget, Dirty, DirtyRecord, Plan, Reader, Rows, Source, Split, Splits, Step, Undecodable,
};
use domain::run::RunId;
use domain::{Batch, Dataset, Position};
use engine::replay::{Restored, Restoring, Values};
use store::{Replay, SqliteStore};

/// Records of a step at most.
const PAGE: u32 = 500;

/// The records of one replay.
#[derive(Clone)]
pub(crate) struct ReplaySource {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) replay: Replay,
    pub(crate) restoring: Arc<Restoring>,
}

/// A reading of them, from the position `next` on.
pub(crate) struct ReplayReader {
    source: ReplaySource,
    next: u64,
}

/// The values of a record, none of one that is bytes.
pub(crate) fn values(dirty: &Dirty) -> &Values {
    match &dirty.record {
        DirtyRecord::Values(values) => values,
        DirtyRecord::Raw(_) => &[],
    }
}

impl Source for ReplaySource {
    type Session = ReplayReader;

    async fn connect(&self) -> Result<ReplayReader> {
        Ok(ReplayReader { source: self.clone(), next: 0 })
    }
}

impl Reader for ReplayReader {
    async fn plan(&mut self, _parallelism: u32, _since: &[Position]) -> Result<Plan> {
        let dataset = self.source.restoring.dataset().clone();
        Ok(Plan { datasets: vec![dataset], bounded: true, start: Vec::new() })
    }

    async fn splits(&mut self, _at: &[u8], _limit: u32) -> Result<Splits> {
        let Replay { of, records, .. } = &self.source.replay;
        let split = Split {
            token: Vec::new(),
            label: format!("dirty records of {of}"),
            stage: 0,
            rows_estimate: Some(*records),
            bytes_estimate: None,
        };
        Ok(Splits { splits: vec![split], last: true, next: Vec::new() })
    }

    async fn open(&mut self, _: &Split, start: Option<&Position>, _: &[Dataset]) -> Result<()> {
        self.next = start.map_or(Ok(0), |position| {
            let bytes = position.as_slice().try_into().map(u64::from_le_bytes);
            bytes.map_err(|_| Fault::internal("replay.position", "a position that no replay told"))
        })?;
        Ok(())
    }

    async fn next(&mut self, budget: Budget) -> Result<Step> {
        let Self { source, next } = self;
        let limit = budget.rows.clamp(1, PAGE);
        let page = source.store.replay_records(&source.replay.run, *next, limit).await?;
        let Some(first) = page.first() else { return Ok(Step::Ended { bookmark: None }) };
        let records: Vec<_> = page.iter().map(values).collect();
        // A step is either rows or one record that can be none, so that positions stay in order.
        let mut rows = Rows::default();
        match source.restoring.restore(&records)? {
            Restored::Rows(batch) => {
                *next += batch.num_rows() as u64;
                rows.batches.push(Batch::new(0, batch));
            }
            Restored::Misfit { code, message } => {
                *next += 1;
                rows.undecodable.push(undecodable(&source.replay.of, first, code, message)?);
            }
        }
        rows.position = Some(next.to_le_bytes().to_vec());
        Ok(Step::Rows(rows))
    }

    async fn acknowledge(&mut self, _: &Position) -> Result<()> {
        Ok(())
    }

    async fn tend(&mut self) -> Result<Option<Duration>> {
        Ok(None)
    }
}

fn undecodable(of: &RunId, dirty: &Dirty, code: String, message: String) -> Result<Undecodable> {
    let data = serde_json::to_vec(values(dirty))
        .map_err(|error| Fault::internal("replay.record", error.to_string()))?;
    let origin = dirty.origin.clone().unwrap_or_else(|| format!("dirty records of {of}"));
    Ok(Undecodable { dataset: Some(0), origin, data, code, message })
}
