//! Reading back what a run wrote, and the comparison with what it had counted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use domain::job::Casts;
use domain::port::{
    Attempt, Destination, Form, Prepared, ReadBack, RunRecord, Source, SourceRecord, Store,
    TaskRecord, Writer,
};
use domain::run::RunEvent;
use domain::verify::{Difference, DifferenceKind, Print, Sums, Verified};
use domain::{Batch, Dataset, Fault, Result, SourceIndex};

use super::narrow::{Differences, Known};
use super::prints::Printer;
use super::scan::{self, Gather, Scan, Way};
use super::{Comparison, IMPOSSIBLE, MISMATCH};
use crate::attempt::Engine;
use crate::dirty;
use crate::mapping::Mapping;
use crate::processing::Processing;
use crate::progress::Stage;
use crate::retry::Tries;
use crate::session::Origin;
use crate::union::Union;

/// Rows of a side whose fingerprints are held at once.
const ROWS_MAX: u64 = 1_000_000;
/// How often both sides are read at most to look for keys; what is not seen by then is counted by
/// buckets alone.
const LOOKS_MAX: u64 = 8;
/// Rows that are fetched for what is shown.
const FETCHED_MAX: usize = 1_000;

/// One side of the comparison: how its batches become rows of the destination's types.
struct Side {
    mapping: Mapping,
    printer: Printer,
}

impl Side {
    /// The rows, and how many could not be brought to the destination's types.
    fn rows(&self, batch: Batch) -> Result<(RecordBatch, u64)> {
        let mapped = self.mapping.apply(batch)?;
        Ok((mapped.batch.rows, mapped.dirty.len() as u64))
    }
}

/// Sums rows up.
struct Summing(Arc<Side>);

#[derive(Default)]
struct Summed {
    sums: Sums,
    /// Rows that the reader gives and that are no rows of the destination's types.
    unreadable: u64,
}

impl Gather for Summing {
    type Part = Summed;

    fn rows(&self, part: &mut Summed, batch: Batch) -> Result<()> {
        let (rows, unreadable) = self.0.rows(batch)?;
        part.unreadable += unreadable;
        self.0.printer.print(&rows).into_iter().for_each(|print| part.sums.add(print));
        Ok(())
    }

    fn undecodable(&self, part: &mut Summed, count: u64) {
        part.unreadable += count;
    }
}

/// Picks fingerprints of some buckets, of one share of their keys.
struct Picking {
    side: Arc<Side>,
    buckets: Arc<[bool]>,
    share: u64,
    shares: u64,
}

impl Gather for Picking {
    type Part = Vec<Print>;

    fn rows(&self, part: &mut Vec<Print>, batch: Batch) -> Result<()> {
        let (rows, _) = self.side.rows(batch)?;
        let wanted = |print: &Print| {
            self.buckets[print.bucket()] && (print.key >> 64) as u64 % self.shares == self.share
        };
        part.extend(self.side.printer.print(&rows).into_iter().filter(wanted));
        Ok(())
    }

    fn undecodable(&self, _part: &mut Vec<Print>, _count: u64) {}
}

/// Fetches the rows of some keys.
struct Fetching {
    side: Arc<Side>,
    keys: HashSet<u128>,
}

impl Gather for Fetching {
    type Part = Vec<(u128, RecordBatch)>;

    fn rows(&self, part: &mut Self::Part, batch: Batch) -> Result<()> {
        let (rows, _) = self.side.rows(batch)?;
        let prints = self.side.printer.print(&rows);
        for (row, print) in prints.iter().enumerate() {
            if self.keys.contains(&print.key) && part.len() < FETCHED_MAX {
                part.push((print.key, rows.slice(row, 1)));
            }
        }
        Ok(())
    }

    fn undecodable(&self, _part: &mut Self::Part, _count: u64) {}
}

/// A published run that is verified.
struct Reading<'a, S, R, W: Destination> {
    engine: &'a Engine<S, R, W>,
    comparison: Comparison,
    union: Union,
    processing: Processing,
    sources: &'a [SourceRecord],
    prepared: &'a Prepared,
    tasks: &'a [TaskRecord],
    /// `None`: there is nothing to read.
    back: Option<Arc<W::Back>>,
}

impl<S: Store, R: Source, W: Destination> Engine<S, R, W> {
    /// How the rows of a run are compared; `receipts` of a run that is published, or none before its
    /// first task.
    pub(crate) async fn comparison(
        &self,
        attempt: &Attempt,
        wanted: &[String],
        (from, to): (&[Dataset], &[Dataset]),
        receipts: &[Vec<u8>],
    ) -> Result<Comparison> {
        let mut tries = Tries::default();
        let back = loop {
            match self.try_read_back(attempt, to, receipts).await {
                Ok(back) => break back,
                Err(fault) => self.wait(&mut tries, fault.within("writer")).await?,
            }
        };
        Comparison::new(wanted, (from, to), back, &self.settings)
    }

    async fn try_read_back(
        &self,
        attempt: &Attempt,
        datasets: &[Dataset],
        receipts: &[Vec<u8>],
    ) -> Result<ReadBack> {
        let mut writer = self.destination.connect().await?;
        let asking = writer.read_back(attempt, datasets, receipts);
        asking.await
    }

    /// Reads back what the run wrote, and ends it.
    ///
    /// # Errors
    /// `verify.mismatch` where the destination does not hold it.
    pub(crate) async fn verify(&self, record: &RunRecord) -> Result<()> {
        let run = &record.new.id;
        self.progress.enter(Stage::Verifying);
        let (sources, Some(prepared)) = (&record.sources, &record.prepared) else {
            return Err(Fault::internal("verify.unplanned", "a run was published unplanned"));
        };
        let tasks = self.store.tasks(run).await?;
        let sums = self.store.run_sums(run).await?;
        let done = tasks.iter().filter_map(|task| task.done.as_ref());
        let written: u64 = done.clone().map(|done| done.counts.records_written).sum();
        if sums.rows() != written {
            let message = format!("sums of {} records, and {written} were written", sums.rows());
            return Err(Fault::internal("verify.sums", message));
        }
        let receipts: Vec<_> = done.map(|done| done.receipt.clone()).collect();
        let (epoch, bounded) = (record.epoch, sources.iter().all(|source| source.plan.bounded));
        let attempt = Attempt { run: run.clone(), epoch, bounded, verify: true };
        let union = self.union(sources)?;
        let processing = self.processing(&union).await?;
        let sides = (processing.datasets(), prepared.datasets.as_slice());
        let wanted = record.new.verify.as_deref().unwrap_or_default();
        let comparison = self.comparison(&attempt, wanted, sides, &receipts).await?;
        let back = comparison.parameter.as_deref();
        let back = back.map(|parameter| Arc::new(self.destination.back(parameter)));
        let tasks = tasks.as_slice();
        let engine = self;
        let reading =
            Reading { engine, comparison, union, processing, sources, prepared, tasks, back };
        let verified = reading.compare(&sums).await?;
        self.store.save_verified(run, &verified).await?;
        if !verified.matches() {
            return Err(mismatch(&verified));
        }
        self.store.happened(run, RunEvent::Finished, None).await?;
        Ok(())
    }
}

fn mismatch(verified: &Verified) -> Fault {
    let Verified { written, found, missing, extra, different, buckets_differ, .. } = verified;
    let what = if missing + extra + different > 0 {
        format!("{missing} keys are missing, {extra} are there too often, {different} differ")
    } else if verified.key.is_empty() {
        format!("{written} rows were written, {found} are there, and their checksums differ")
    } else {
        format!("the checksums of {buckets_differ} of 1024 buckets differ")
    };
    Fault::data(MISMATCH, format!("the destination does not hold what this run wrote: {what}"))
        .hint("the rows are published; look for triggers and rules of the destination, for what the job itself does to it at its end, and for others that write there")
}

impl<S: Store, R: Source, W: Destination> Reading<'_, S, R, W> {
    async fn compare(&self, sums: &Sums) -> Result<Verified> {
        let found = self.sum_up().await.map_err(within_back)?;
        let pairs = sums.buckets().iter().zip(found.sums.buckets());
        let differ: Vec<bool> = pairs.map(|(own, other)| own != other).collect();
        let count = differ.iter().filter(|differs| **differs).count() as u32;
        let mut verified = Verified {
            written: sums.rows(),
            found: found.sums.rows() + found.unreadable,
            key: self.comparison.key.clone(),
            buckets_differ: count,
            notes: self.comparison.notes.clone(),
            ..Verified::default()
        };
        if found.unreadable > 0 {
            verified.notes.push(format!("{} rows could not be read back", found.unreadable));
            verified.buckets_differ = count.max(1);
        }
        if count == 0 {
            return Ok(verified);
        }
        if self.comparison.key.is_empty() {
            let changed = !sums.changed().prints.is_empty();
            if changed && verified.written == verified.found && found.unreadable == 0 {
                verified.buckets_differ = 0;
                verified.notes.push("the destination changed rows, as it said: without a key only counts were compared".into());
            }
            return Ok(verified);
        }
        let rows = |sums: &Sums| {
            let buckets = sums.buckets().iter().zip(&differ).filter(|(_, differs)| **differs);
            buckets.map(|(bucket, _)| bucket.rows).sum::<u64>()
        };
        let rows = rows(sums).max(rows(&found.sums));
        self.narrow(sums, &differ.into(), rows, &mut verified).await?;
        if found.unreadable > 0 {
            verified.buckets_differ = verified.buckets_differ.max(1);
        }
        Ok(verified)
    }

    /// The side of the destination.
    fn back_side(&self, datasets: &[Dataset]) -> Result<Arc<Side>> {
        let printer = self.comparison.printer.clone();
        let target = comparable(datasets, &self.prepared.datasets, printer.forms());
        let settings = crate::Settings {
            casts: Casts::Exact,
            column_casts: Default::default(),
            ..self.engine.settings.clone()
        };
        let mapping = Mapping::new(datasets, &target, &settings)
            .map_err(|fault| Fault::plugin(IMPOSSIBLE, fault.message))?;
        Ok(Arc::new(Side { mapping, printer }))
    }

    fn source_side(&self) -> Result<Arc<Side>> {
        let (settings, prepared) = (&self.engine.settings, &self.prepared.datasets);
        let mapping = Mapping::new(self.processing.datasets(), prepared, settings)?;
        Ok(Arc::new(Side { mapping, printer: self.comparison.printer.clone() }))
    }

    fn way(&self, source: SourceIndex) -> Way {
        Way { union: self.union.clone(), source, processing: self.processing.clone() }
    }

    async fn sum_up(&self) -> Result<Summed> {
        let mut total = Summed::default();
        let done = |part: Summed| {
            total.sums.fold(&part.sums);
            total.unreadable += part.unreadable;
            Ok(())
        };
        self.read_back(Summing, done).await?;
        Ok(total)
    }

    async fn read_back<G: Gather>(
        &self,
        gather: impl FnOnce(Arc<Side>) -> G,
        done: impl FnMut(G::Part) -> Result<()>,
    ) -> Result<()> {
        let (settings, progress) = (&self.engine.settings, &self.engine.progress);
        let Some(source) = &self.back else { return Ok(()) };
        let origin = Origin { source: source.clone(), who: "reader".into() };
        let mut planned = scan::plan(&origin, settings, progress).await?;
        let gather = Arc::new(gather(self.back_side(&planned.datasets)?));
        let scan = Scan {
            origin,
            datasets: planned.datasets,
            splits: planned.splits,
            way: None,
            settings: settings.clone(),
            progress: progress.clone(),
        };
        planned.planner.during(scan.run(gather, done)).await
    }

    /// Reads the splits of the run's tasks again.
    async fn read_source<G: Gather>(
        &self,
        gather: impl Fn(Arc<Side>) -> G,
        mut done: impl FnMut(G::Part) -> Result<()>,
    ) -> Result<()> {
        for (number, (origin, source)) in
            (0..).zip(self.engine.origins().into_iter().zip(self.sources))
        {
            let tasks = self.tasks.iter().filter(|task| task.source == number);
            let scan = Scan {
                origin,
                datasets: source.plan.datasets.clone(),
                splits: tasks.map(|task| task.split.clone()).collect(),
                way: Some(self.way(number)),
                settings: self.engine.settings.clone(),
                progress: self.engine.progress.clone(),
            };
            scan.run(Arc::new(gather(self.source_side()?)), &mut done).await?;
        }
        Ok(())
    }

    /// Looks at the keys of buckets that differ.
    async fn narrow(
        &self,
        sums: &Sums,
        differ: &Arc<[bool]>,
        rows: u64,
        verified: &mut Verified,
    ) -> Result<()> {
        let known = Known::new(sums.refused(), sums.changed(), self.comparison.replaces);
        let mut differences = Differences::default();
        let shares = rows.div_ceil(ROWS_MAX).max(1);
        for share in 0..shares.min(LOOKS_MAX) {
            let picking = |side| Picking { side, buckets: differ.clone(), share, shares };
            let mut source = Vec::new();
            let read = self.read_source(picking, |part| {
                source.extend(part);
                Ok(())
            });
            if let Err(fault) = read.await {
                verified.notes.push(format!(
                    "the source cannot be read again, so no key is named: {} [{}]",
                    fault.message, fault.code
                ));
                return Ok(());
            }
            let buckets = differ.clone();
            let picking = |side| Picking { side, buckets, share, shares };
            let mut back = Vec::new();
            let read = self.read_back(picking, |part| {
                back.extend(part);
                Ok(())
            });
            read.await.map_err(within_back)?;
            differences.look(&known, source, back);
        }
        let is_whole = shares <= LOOKS_MAX;
        if !is_whole {
            verified.notes.push(format!(
                "so much differs that keys were looked for in {LOOKS_MAX} of {shares} shares alone"
            ));
        } else {
            verified.buckets_differ = judge(sums, differ, &differences, &mut verified.notes);
        }
        if sums.refused().more || sums.changed().more {
            verified.notes.push(
                "rows that the destination refused or changed may be named, since there are too many to know".into(),
            );
        }
        verified.missing = differences.missing;
        verified.extra = differences.extra;
        verified.different = differences.different;
        self.show(&differences.first, verified).await
    }

    /// Names the first keys, and the columns that differ.
    async fn show(&self, first: &[(u128, DifferenceKind)], verified: &mut Verified) -> Result<()> {
        if first.is_empty() {
            return Ok(());
        }
        let keys: HashSet<u128> = first.iter().map(|(key, _)| *key).collect();
        let mut rows: [HashMap<u128, Vec<RecordBatch>>; 2] = Default::default();
        let [source, back] = &mut rows;
        let put = |into: &mut HashMap<u128, Vec<RecordBatch>>, part: Vec<(u128, RecordBatch)>| {
            for (key, row) in part {
                into.entry(key).or_default().push(row);
            }
            Ok(())
        };
        let fetching = |side| Fetching { side, keys: keys.clone() };
        self.read_source(fetching, |part| put(source, part)).await?;
        let fetching = |side| Fetching { side, keys };
        self.read_back(fetching, |part| put(back, part)).await.map_err(within_back)?;
        for (key, kind) in first {
            let [source, back] = rows.each_ref().map(|side| side.get(key).map_or(&[][..], |it| it));
            verified.differences.extend(self.difference(*kind, source, back));
        }
        Ok(())
    }

    fn difference(
        &self,
        kind: DifferenceKind,
        source: &[RecordBatch],
        back: &[RecordBatch],
    ) -> Option<Difference> {
        let printer = &self.comparison.printer;
        let mut values = dirty::values(source.first().or(back.first())?, 0);
        let key = printer.key().iter().map(|column| std::mem::take(&mut values[*column]));
        let key = self.comparison.key.iter().cloned().zip(key.map(|(_, value)| value)).collect();
        let hashes = |rows: &[RecordBatch]| -> Vec<Vec<u128>> {
            let row = |row: &RecordBatch| printer.columns(row).into_iter().flatten().collect();
            rows.iter().map(row).collect()
        };
        let (source, back) = (hashes(source), hashes(back));
        let one = source.iter().find(|row| !back.contains(row));
        let other = back.iter().find(|row| !source.contains(row));
        let columns = match (kind, one, other) {
            (DifferenceKind::Different, Some(one), Some(other)) => {
                let differs = |index: usize| one.get(index) != other.get(index);
                super::names(&self.prepared.datasets[0], differs)
            }
            _ => Vec::new(),
        };
        Some(Difference { kind, key, columns })
    }
}

/// How many buckets differ for a reason that is not known: those with keys that differ, and those
/// whose source is not what it was.
fn judge(sums: &Sums, differ: &[bool], differences: &Differences, notes: &mut Vec<String>) -> u32 {
    let again = sums.buckets().iter().zip(differences.source.buckets()).zip(differ).enumerate();
    let moved: HashSet<usize> = again
        .filter(|(_, ((before, now), differs))| **differs && before != now)
        .map(|(index, _)| index)
        .collect();
    if !moved.is_empty() && !sums.refused().more {
        notes.push(format!(
            "the source has changed since this run read it, in {} of the buckets that differ: their keys are named by what it holds now",
            moved.len()
        ));
    }
    moved.union(&differences.buckets.iter().copied().collect()).count() as u32
}

/// The prepared datasets, with the reader's own type where values are not compared.
fn comparable(back: &[Dataset], prepared: &[Dataset], forms: &[Form]) -> Vec<Dataset> {
    let sides = back.iter().zip(prepared);
    let dataset = |(back, prepared): (&Dataset, &Dataset)| {
        let fields = prepared.schema.fields().iter().enumerate().map(|(index, field)| {
            let own = back.schema.fields().get(index);
            match (forms.get(index), own) {
                (Some(Form::Reshaped), Some(own)) => own.clone(),
                _ => field.clone(),
            }
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Dataset { schema, ..prepared.clone() }
    };
    sides.map(dataset).collect()
}

fn within_back(fault: Fault) -> Fault {
    fault.within("reading back")
}
