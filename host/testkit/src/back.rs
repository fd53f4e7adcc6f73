//! The destination's own reader: what everybody sees there, in one split.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::port::{Budget, CommitMode, Plan, Reader, Rows, Source, Split, Splits, Step};
use domain::{Dataset, Position, Result};

use crate::fault::Operation;
use crate::table::{self, Amounts, Fate, Record};
use crate::world::{State, World};

pub struct ScriptedBack {
    world: Arc<World>,
}

impl ScriptedBack {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

impl Source for ScriptedBack {
    type Session = BackReader;

    async fn connect(&self) -> Result<BackReader> {
        Ok(BackReader { world: Arc::clone(&self.world), next: 0 })
    }
}

/// One session, and the row that comes next.
pub struct BackReader {
    world: Arc<World>,
    next: usize,
}

impl Reader for BackReader {
    async fn plan(&mut self, _parallelism: u32, _since: &[Position]) -> Result<Plan> {
        Ok(Plan {
            datasets: vec![table::dataset(Amounts::Integers)],
            bounded: true,
            start: Vec::new(),
        })
    }

    async fn splits(&mut self, _at: &[u8], _limit: u32) -> Result<Splits> {
        let split = Split {
            token: Vec::new(),
            label: "all".into(),
            stage: 0,
            rows_estimate: None,
            bytes_estimate: None,
        };
        Ok(Splits { splits: vec![split], last: true, next: Vec::new() })
    }

    async fn open(
        &mut self,
        _split: &Split,
        _start: Option<&Position>,
        _datasets: &[Dataset],
    ) -> Result<()> {
        self.next = 0;
        Ok(())
    }

    async fn next(&mut self, budget: Budget) -> Result<Step> {
        let (from, most) = (self.next, budget.rows.max(1) as usize);
        let what = format!("from {from}");
        let read = |state: &mut State| {
            let records: Vec<_> = seen(state).into_iter().skip(from).take(most).collect();
            Ok((records.len(), table::batch(&records, Amounts::Integers)?))
        };
        let (count, batch) = self.world.call(Operation::BackRead, what, read).await?;
        self.next += count;
        Ok(match count {
            0 => Step::Ended { bookmark: None },
            _ => Step::Rows(Rows { batches: vec![batch], ..Rows::default() }),
        })
    }

    async fn acknowledge(&mut self, _position: &Position) -> Result<()> {
        Ok(())
    }

    async fn tend(&mut self) -> Result<Option<Duration>> {
        Ok(None)
    }
}

/// Where a key decides, rows of one key are one row.
fn seen(state: &State) -> Vec<Record> {
    let ids: Vec<i64> = state.destination.rows.iter().map(|row| row.id).collect();
    let ids = match state.scenario.writing.mode {
        CommitMode::Idempotent => ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect(),
        _ => ids,
    };
    ids.into_iter().map(|id| Record { id, fate: Fate::Good }).collect()
}
