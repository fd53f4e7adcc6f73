//! A plug-in as a reader.

use std::sync::Arc;
use std::time::Duration;

use domain::port::{Budget, Plan, Reader, Rows, Source, Split, Splits, Step, Undecodable};
use domain::{Configuration, Dataset, Fault, Position, Result, Side};
use wasmtime::component::ResourceAny;

use crate::batch::{self, Refused};
use crate::bindings::airlock::connector::types;
use crate::bindings::exports::airlock::connector::reader;
use crate::call::Call;
use crate::convert;
use crate::instance::{Factory, Instance, who};
use crate::reach::Reach;
use crate::secrets::Secrets;
use crate::text::{MESSAGE_BYTES_MAX, harmless};

/// Datasets of one plan at most.
const DATASETS_MAX: usize = 65_536;
/// Batches of one step at most: a transaction over many tables.
const BATCHES_MAX: usize = 10_000;
/// A split's label at most, bytes.
const LABEL_BYTES_MAX: usize = 256;

/// A reader plug-in with its step's configuration and grants.
pub struct GuestSource {
    factory: Arc<Factory>,
    face: Option<reader::GuestIndices>,
    configuration: Configuration,
    reach: Reach,
}

/// One session of a reader, in an instance of its own.
pub struct GuestReader {
    instance: Instance,
    face: reader::Guest,
    session: ResourceAny,
    cursor: Option<ResourceAny>,
    /// As the open cursor's batches look.
    datasets: Vec<Dataset>,
}

impl GuestSource {
    pub(crate) fn new(
        factory: Arc<Factory>,
        face: Option<reader::GuestIndices>,
        configuration: Configuration,
        reach: Reach,
    ) -> Self {
        Self { factory, face, configuration, reach }
    }
}

impl Source for GuestSource {
    type Session = GuestReader;

    async fn connect(&self) -> Result<GuestReader> {
        let face = self.face.as_ref().ok_or_else(|| {
            Fault::user("plugin.no_reader", format!("{} cannot read", who(&self.factory.title)))
        })?;
        let secrets = Secrets::of(&self.configuration);
        let mut instance =
            Instance::start(&self.factory, Some(Side::Reader), &self.reach, secrets).await?;
        let (mut live, turn) = instance.enter(Call::Connect)?;
        let loaded = face.load(&mut live.store, &live.instance);
        let face = instance.leave(live, turn, Some(loaded))?;
        let configuration = convert::configuration(&self.configuration);
        let (mut live, turn) = instance.enter(Call::Connect)?;
        let outcome = turn.wait(face.session().call_connect(&mut live.store, &configuration)).await;
        let session = instance.answer(live, turn, outcome)?;
        Ok(GuestReader { instance, face, session, cursor: None, datasets: Vec::new() })
    }
}

impl Reader for GuestReader {
    async fn plan(&mut self, parallelism: u32, since: &[Position]) -> Result<Plan> {
        let call = Call::MakePlan;
        let (mut live, turn) = self.instance.enter(call)?;
        let face = self.face.session();
        let outcome =
            turn.wait(face.call_make_plan(&mut live.store, self.session, parallelism, since)).await;
        let plan = self.instance.answer(live, turn, outcome)?;
        if plan.datasets.is_empty() || plan.datasets.len() > DATASETS_MAX {
            let what =
                format!("a plan of {} datasets, 1 to {DATASETS_MAX} can be", plan.datasets.len());
            return Err(self.instance.lie(call, "datasets", what));
        }
        self.check_size(call, "token", plan.start.len())?;
        let datasets = convert::datasets_in(plan.datasets);
        let datasets = datasets.map_err(|fault| self.instance.broke(call, fault))?;
        Ok(Plan { datasets, bounded: plan.bounded, start: plan.start })
    }

    async fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits> {
        let call = Call::NextSplits;
        let (mut live, turn) = self.instance.enter(call)?;
        let at = at.to_vec();
        let outcome = turn
            .wait(self.face.session().call_next_splits(&mut live.store, self.session, &at, limit))
            .await;
        let splits = self.instance.answer(live, turn, outcome)?;
        if splits.splits.len() > limit as usize {
            let what = format!("{} splits, asked for {limit}", splits.splits.len());
            return Err(self.instance.lie(call, "splits", what));
        }
        let largest = splits.splits.iter().map(|split| split.token.len()).max().unwrap_or(0);
        self.check_size(call, "token", largest.max(splits.next.len()))?;
        let secrets = self.instance.secrets();
        let split = |split: reader::Split| Split {
            token: split.token,
            label: harmless(&secrets.blank(&split.label), LABEL_BYTES_MAX),
            stage: split.stage,
            rows_estimate: split.rows_estimate,
            bytes_estimate: split.bytes_estimate,
        };
        Ok(Splits {
            splits: splits.splits.into_iter().map(split).collect(),
            last: splits.last,
            next: splits.next,
        })
    }

    async fn open(
        &mut self,
        split: &Split,
        start: Option<&Position>,
        datasets: &[Dataset],
    ) -> Result<()> {
        if let Some(cursor) = self.cursor.take() {
            self.instance.drop_resource(cursor).await?;
        }
        let wanted = convert::datasets_out(datasets)?;
        let split = reader::Split {
            token: split.token.clone(),
            label: split.label.clone(),
            stage: split.stage,
            rows_estimate: split.rows_estimate,
            bytes_estimate: split.bytes_estimate,
        };
        let (mut live, turn) = self.instance.enter(Call::Open)?;
        let face = self.face.session();
        let outcome =
            turn.wait(face.call_open(&mut live.store, self.session, &split, start, &wanted)).await;
        self.cursor = Some(self.instance.answer(live, turn, outcome)?);
        self.datasets = datasets.to_vec();
        Ok(())
    }

    async fn next(&mut self, budget: Budget) -> Result<Step> {
        let cursor = self.open_cursor()?;
        let budget = reader::Budget {
            rows: budget.rows,
            bytes: budget.bytes,
            wait_ms: u32::try_from(budget.wait.as_millis()).unwrap_or(u32::MAX),
        };
        let (mut live, turn) = self.instance.enter(Call::Next)?;
        let outcome =
            turn.wait(self.face.cursor().call_next(&mut live.store, cursor, budget)).await;
        let step = self.instance.answer(live, turn, outcome)?;
        self.step(step, budget)
    }

    async fn acknowledge(&mut self, position: &Position) -> Result<()> {
        let cursor = self.open_cursor()?;
        let (mut live, turn) = self.instance.enter(Call::Acknowledge)?;
        let outcome =
            turn.wait(self.face.cursor().call_acknowledge(&mut live.store, cursor, position)).await;
        self.instance.answer(live, turn, outcome)
    }

    async fn tend(&mut self) -> Result<Option<Duration>> {
        let (mut live, turn) = self.instance.enter(Call::Tend)?;
        let outcome = turn.wait(self.face.session().call_tend(&mut live.store, self.session)).await;
        let again = self.instance.answer(live, turn, outcome)?;
        Ok(again.map(|ms| Duration::from_millis(ms.into())))
    }
}

impl GuestReader {
    fn open_cursor(&self) -> Result<ResourceAny> {
        self.cursor.ok_or_else(|| {
            Fault::internal("sandbox.no_cursor", "a cursor was used before it was opened")
        })
    }

    fn check_size(&mut self, call: Call, limit: &'static str, size: usize) -> Result<()> {
        let limits = self.instance.limits();
        let max = if limit == "token" { limits.token_bytes } else { limits.position_bytes };
        match size as u64 <= max {
            true => Ok(()),
            false => Err(self.instance.passed(call, limit)),
        }
    }

    fn position(&mut self, position: Option<Vec<u8>>) -> Result<Option<Position>> {
        let size = position.as_ref().map_or(0, Vec::len);
        self.check_size(Call::Next, "position", size)?;
        Ok(position)
    }

    fn step(&mut self, step: reader::Step, budget: reader::Budget) -> Result<Step> {
        Ok(match step {
            reader::Step::Rows(rows) => Step::Rows(self.rows(rows, budget)?),
            reader::Step::Advanced(advanced) => {
                let position = self.position(Some(advanced.position))?.unwrap_or_default();
                Step::Advanced { position }
            }
            reader::Step::Idle => Step::Idle,
            reader::Step::Ended(ended) => Step::Ended { bookmark: self.position(ended.bookmark)? },
            reader::Step::Changed(_) => {
                return Err(Fault::external(
                    "plugin.change_unsupported",
                    format!(
                        "{} reports a change of its source's tables, which this version cannot follow",
                        self.instance.who()
                    ),
                )
                .hint("run the job again: it begins with the tables as they are now"));
            }
        })
    }

    fn rows(&mut self, rows: reader::Rows, budget: reader::Budget) -> Result<Rows> {
        if rows.batches.len() > BATCHES_MAX {
            let what = format!("{} batches in one step, at most {BATCHES_MAX}", rows.batches.len());
            return Err(self.instance.lie(Call::Next, "batch", what));
        }
        let count: u64 = rows.batches.iter().map(|batch| u64::from(batch.rows)).sum();
        if count > u64::from(budget.rows) {
            let what = format!("{count} rows, asked for {}", budget.rows);
            return Err(self.instance.lie(Call::Next, "rows", what));
        }
        if rows.nulled > count {
            let what = format!("{} of {count} rows with NULL in place of a value", rows.nulled);
            return Err(self.instance.lie(Call::Next, "nulled", what));
        }
        self.check_undecodable(&rows.undecodable)?;
        let position = self.position(rows.position)?;
        let mut batches = Vec::with_capacity(rows.batches.len());
        for batch in rows.batches {
            batches.push(self.batch(batch)?);
        }
        let secrets = self.instance.secrets();
        let undecodable = |record: reader::Undecodable| Undecodable {
            dataset: record.dataset,
            origin: harmless(&secrets.blank(&record.origin), MESSAGE_BYTES_MAX),
            data: record.data,
            code: convert::code(&record.code),
            message: harmless(&secrets.blank(&record.message), MESSAGE_BYTES_MAX),
        };
        Ok(Rows {
            batches,
            undecodable: rows.undecodable.into_iter().map(undecodable).collect(),
            nulled: rows.nulled,
            position,
            source_time_ms: rows.source_time_ms,
            backlog: rows.backlog,
        })
    }

    fn check_undecodable(&mut self, records: &[reader::Undecodable]) -> Result<()> {
        if records.len() as u64 > self.instance.limits().batch_rows {
            return Err(self.instance.passed(Call::Next, "batch-rows"));
        }
        let bytes: u64 = records.iter().map(|record| record.data.len() as u64).sum();
        if bytes > self.instance.limits().batch_bytes {
            return Err(self.instance.passed(Call::Next, "batch-bytes"));
        }
        let known = self.datasets.len();
        let unknown = |record: &reader::Undecodable| {
            record.dataset.is_some_and(|dataset| dataset as usize >= known)
        };
        if records.iter().any(unknown) {
            let what = format!("a record of a dataset that is none of {known}");
            return Err(self.instance.lie(Call::Next, "dataset", what));
        }
        Ok(())
    }

    fn batch(&mut self, batch: types::Batch) -> Result<domain::Batch> {
        batch::decode(batch, &self.datasets, self.instance.limits()).map_err(
            |refused| match refused {
                Refused::Limit(name) => self.instance.passed(Call::Next, name),
                Refused::Lie(what) => {
                    let what = harmless(&what, MESSAGE_BYTES_MAX);
                    self.instance.lie(Call::Next, "batch", what)
                }
            },
        )
    }
}

impl Drop for GuestReader {
    fn drop(&mut self) {
        self.instance.retire(self.cursor.take().into_iter().chain([self.session]).collect());
    }
}
