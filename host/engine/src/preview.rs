//! What a run would do, and what a reader reads: without changing anything.

use arrow_schema::SchemaRef;
use domain::port::{Destination, Plan, Prepared, Reader, Source, Split, Step, Store, Writer};
use domain::{Batch, Dataset, Position, Result, RunId};

use crate::attempt::Engine;
use crate::mapping::{ColumnCast, Mapping};
use crate::processing::Processing;
use crate::session::Origin;
use crate::settings::Settings;
use crate::union::Union;

/// Splits shown at most.
const SPLITS_MAX: u32 = 100;
/// Steps of one split that may bring no row before a sample goes on to the next.
const IDLE_MAX: u32 = 100;
/// Splits that a sample looks into at most.
const SAMPLE_SPLITS_MAX: usize = 1000;

/// A run that did not happen.
#[derive(Clone, Debug)]
pub struct Preview {
    pub sources: Vec<PreviewedSource>,
    /// What the sources give together.
    pub datasets: Vec<Dataset>,
    /// For people: which columns are filled with NULL.
    pub notes: Vec<String>,
    pub prepared: Prepared,
    /// For each dataset the fields behind each transformer.
    pub between: Vec<Vec<SchemaRef>>,
    /// For each dataset its pairs of fields; the first of a pair is as the transformers leave it.
    pub columns: Vec<Vec<ColumnCast>>,
}

/// What a source of the run would do.
#[derive(Clone, Debug)]
pub struct PreviewedSource {
    /// What people call it; `None` where there is one source.
    pub name: Option<String>,
    pub plan: Plan,
    /// The first splits.
    pub splits: Vec<Split>,
    /// Whether `splits` are all.
    pub splits_complete: bool,
}

impl<S: Store, R: Source, W: Destination> Engine<S, R, W> {
    /// Plans a run of a document and looks at the destination.
    pub async fn preview(&self, document: &str) -> Result<Preview> {
        let since = self.store.bookmarks(document).await?;
        let within = |fault: domain::Fault| fault.within("writer");
        let mut sources = Vec::with_capacity(self.sources.len());
        for (number, origin) in self.origins().iter().enumerate() {
            let name = self.settings.source_names.get(number).cloned();
            let previewed = self.preview_of(origin, name, &since).await;
            sources.push(previewed.map_err(|fault| fault.within(&*origin.who))?);
        }
        let plans: Vec<_> = sources.iter().map(|source| &source.plan).collect();
        let union = Union::new(&plans, &self.settings.source_names, self.settings.missing_column)?;
        let datasets = union.datasets();
        let processing = Processing::new(datasets, &self.settings, &self.plugins).await?;
        let datasets = processing.datasets();
        let mut writer = self.destination.connect().await.map_err(within)?;
        let prepared = writer.preview(datasets).await.map_err(within)?;
        let columns = Mapping::unchecked(datasets, &prepared.datasets, &self.settings)?.columns();
        let (datasets, notes) = (union.datasets().to_vec(), union.notes().to_vec());
        let between = processing.schemas();
        Ok(Preview { sources, datasets, notes, prepared, between, columns })
    }

    async fn preview_of(
        &self,
        origin: &Origin<R>,
        name: Option<String>,
        since: &[Position],
    ) -> Result<PreviewedSource> {
        let mut reader = origin.source.connect().await?;
        let plan = reader.plan(self.settings.concurrent, since).await?;
        let splits = reader.splits(&plan.start, SPLITS_MAX).await?;
        Ok(PreviewedSource { name, plan, splits: splits.splits, splits_complete: splits.last })
    }
}

impl<S: Store, R: Source, W: Destination> Engine<S, R, W> {
    /// The tables of a run that was prepared, by name, and the casts of their columns.
    ///
    /// # Errors
    /// Those of the store; none where the run was not prepared.
    pub async fn columns(&self, run: &RunId) -> Result<Vec<(String, Vec<ColumnCast>)>> {
        let record = self.store.load(run).await?;
        let Some(prepared) = record.prepared else { return Ok(Vec::new()) };
        let union = self.union(&record.sources)?;
        let datasets = union.datasets();
        let processing = Processing::new(datasets, &self.settings, &self.plugins).await?;
        let datasets = processing.datasets();
        let columns = Mapping::unchecked(datasets, &prepared.datasets, &self.settings)?.columns();
        let names = datasets.iter().zip(&prepared.datasets);
        let names = names.map(|(from, to)| format!("{} -> {}", from.title(), to.title()));
        Ok(names.zip(columns).collect())
    }
}

/// The first rows that a reader gives.
#[derive(Clone, Debug)]
pub struct Sample {
    pub datasets: Vec<Dataset>,
    pub batches: Vec<Batch>,
    /// Records beside them that could not be decoded.
    pub undecodable: u64,
}

/// Reads `rows` rows at most, from the first splits.
pub async fn sample<R: Source>(source: &R, rows: usize) -> Result<Sample> {
    let mut reader = source.connect().await?;
    let plan = reader.plan(1, &[]).await?;
    let mut sample = Sample { datasets: plan.datasets, batches: Vec::new(), undecodable: 0 };
    let (mut at, mut left, mut opened) = (plan.start, rows, 0);
    while left > 0 && opened < SAMPLE_SPLITS_MAX {
        let splits = reader.splits(&at, SPLITS_MAX).await?;
        for split in &splits.splits {
            if left == 0 {
                break;
            }
            reader.open(split, None, &sample.datasets).await?;
            sample_split(&mut reader, &mut left, &mut sample).await?;
            opened += 1;
        }
        if splits.last || splits.splits.is_empty() {
            break;
        }
        at = splits.next;
    }
    Ok(sample)
}

/// Adds the first `left` rows of the open cursor.
async fn sample_split<R: Reader>(
    reader: &mut R,
    left: &mut usize,
    sample: &mut Sample,
) -> Result<()> {
    let mut budget = Settings::default().budget(&Default::default());
    let mut idle = 0;
    while *left > 0 && idle < IDLE_MAX {
        budget.rows = (*left).min(1000) as u32;
        let before = *left;
        match reader.next(budget).await? {
            Step::Rows(found) => {
                sample.undecodable += found.undecodable.len() as u64;
                for batch in found.batches {
                    let taken = batch.len().min(*left);
                    *left -= taken;
                    let rows = batch.rows.slice(0, taken);
                    sample.batches.push(Batch::new(batch.dataset, rows));
                }
            }
            Step::Ended { .. } => break,
            Step::Idle | Step::Advanced { .. } => {}
        }
        idle = if *left < before { 0 } else { idle + 1 };
    }
    Ok(())
}
