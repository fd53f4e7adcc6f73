//! One attempt at a run, from where it stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::port::{
    Attempt, Budget, CommitMode, Destination, Dirty, Outcome, Prepared, RunRecord, Source, Store,
    TaskRecord, Writer,
};
use domain::run::{RunEvent, RunState};
use domain::verify::Verified;
use domain::{Counts, Dataset, Fault, FaultDomain, Result, RunId, bookmark};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::advice::{self, Advice};
use crate::lane::Lane;
use crate::mapping::Mapping;
use crate::pool::Pool;
use crate::processing::{Processing, StepPlugin};
use crate::progress::{Progress, Stage};
use crate::retry::Tries;
use crate::session::Resting;
use crate::settings::Settings;
use crate::sorting::Sorting;
use crate::throttle::Throttle;
use crate::union::Union;
use crate::verify::Comparison;
use crate::watch::Phase;

/// How long the other lanes may take to store what they told, where one of them broke the run.
const LANES_END_MAX: Duration = Duration::from_secs(10);

/// The note of a run whose lanes waited more for the throttle than for all else.
const PACED: &str = "the job's own limit on its rate set the pace of this run";

/// Faults of the books that would come again.
const SUMS: &str = "run.sums";
const TASK_OPEN: &str = "run.task_open";
const STOPPED: &str = "run.stopped";

/// A job's two ends, and where its books are kept.
pub struct Engine<S, R, W> {
    pub store: Arc<S>,
    /// One for each reader of the job.
    pub sources: Vec<Arc<R>>,
    pub destination: Arc<W>,
    /// One for each step of the job that a plug-in does, in their order.
    pub plugins: Vec<StepPlugin>,
    pub settings: Settings,
    pub progress: Arc<Progress>,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Summary {
    pub state: RunState,
    /// Of the whole run, over all its attempts, as far as it is done or durable.
    pub counts: Counts,
    pub tasks: u32,
    /// Tasks that earlier attempts had done.
    pub tasks_resumed: u32,
    /// How often this attempt tried something again.
    pub retries: u64,
    pub commit_mode: Option<CommitMode>,
    pub elapsed: Duration,
    /// How long writers waited for their readers, over all lanes.
    pub waited_reader: Duration,
    /// How long readers waited for their writers, over all lanes.
    pub waited_writer: Duration,
    /// How long readers waited because of the job's rates, over all lanes. Writers wait meanwhile, so
    /// `waited_reader` has this time too.
    pub waited_throttle: Duration,
    /// What is read of the datasets that are read in part, in words.
    pub watermarks: Vec<String>,
    /// What would make the run faster, what matters most first.
    pub advice: Vec<Advice>,
    /// For people: what the counts alone don't say.
    pub notes: Vec<String>,
    /// What came of reading back what the run wrote.
    pub verified: Option<Verified>,
    pub fault: Option<Fault>,
}

/// What all lanes of an attempt share.
pub(crate) struct Context<S> {
    pub(crate) store: Arc<S>,
    pub(crate) settings: Settings,
    pub(crate) progress: Arc<Progress>,
    pub(crate) attempt: Attempt,
    /// The readers', by source.
    pub(crate) datasets: Vec<Vec<Dataset>>,
    pub(crate) union: Union,
    pub(crate) prepared: Prepared,
    pub(crate) processing: Processing,
    pub(crate) mapping: Mapping,
    pub(crate) sorting: Sorting,
    /// Where the run is verified.
    pub(crate) comparison: Option<Comparison>,
    pub(crate) budget: Budget,
    /// Of all lanes together.
    pub(crate) throttle: Throttle,
    pub(crate) broken: Broken,
    /// Whoever works for the attempt holds the context, and so this.
    pub(crate) _alive: mpsc::Sender<()>,
}

/// Says that a lane broke the run: the others end at the next moment that suits them. It wakes them in
/// the order in which they wait, so that a simulation plays the same again.
#[derive(Default)]
pub(crate) struct Broken {
    is_so: AtomicBool,
    told: Notify,
}

impl Broken {
    fn tell(&self) {
        self.is_so.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    async fn wait(&self) {
        // Listens before it looks.
        let told = self.told.notified();
        if !self.is_so.load(Ordering::Acquire) {
            told.await;
        }
    }
}

impl<S> Context<S> {
    /// Waits until another lane broke the run.
    pub(crate) async fn stopping(&self) -> Fault {
        self.broken.wait().await;
        Fault::external(STOPPED, "another lane broke the run")
    }

    /// The fault of a run with too many dirty records, naming the last one's reason.
    pub(crate) fn dirty_limit(&self, dirty: u64, last: Option<&Dirty>) -> Fault {
        let limit = match (self.settings.error_limit.records, self.settings.error_limit.share) {
            (Some(records), _) => records.to_string(),
            (None, Some(share)) => format!("{share} of those read"),
            (None, None) => "none".to_owned(),
        };
        let mut message = format!("{dirty} dirty records, and the limit is {limit}");
        if let Some(last) = last {
            message += &format!("; the last one: {} [{}]", last.message, last.code);
        }
        Fault::data("run.dirty_limit", message)
            .hint("correct the records or the column types, or raise \"errorLimit\" in \"setting\"")
    }
}

impl<S: Store, R: Source, W: Destination> Engine<S, R, W> {
    /// Takes a recorded run as far as it comes: to its end, to a fault, or until `stop` says so.
    pub async fn attempt(&self, run: &RunId, stop: watch::Receiver<bool>) -> Summary {
        let begun = Instant::now();
        let fault = self.until_stopped(run, stop).await.err();
        let mut fault = match fault {
            Some(fault) => Some(self.note(run, fault).await),
            None => None,
        };
        let record = self.store.load(run).await;
        let tasks = self.store.tasks(run).await.unwrap_or_default();
        let seen = self.progress.seen();
        let watermarks = record.as_ref().ok().map(watermarks).unwrap_or_default();
        let changes = match &record {
            Ok(record) => self.changes(record).await,
            Err(_) => Vec::new(),
        };
        let mut verified = None;
        let (state, prepared) = match record {
            Ok(record) => {
                verified = record.verified;
                (record.state, record.prepared)
            }
            Err(unread) => {
                fault.get_or_insert(unread);
                (RunState::Interrupted, None)
            }
        };
        let mut counts = Counts::default();
        for task in &tasks {
            let done = task.done.as_ref().map(|done| done.counts);
            counts.add(&done.or(task.mark.as_ref().map(|mark| mark.counts)).unwrap_or_default());
        }
        if fault.is_some() {
            // What was read on the way to the fault; written is only what is durable.
            counts.records_read = counts.records_read.max(seen.records_read);
            counts.bytes_read = counts.bytes_read.max(seen.bytes_read);
            counts.records_dirty = counts.records_dirty.max(seen.records_dirty);
        }
        let done = tasks.iter().filter(|task| task.done.is_some()).count() as u64;
        let tasks_resumed = done.saturating_sub(seen.tasks_done) as u32;
        let elapsed = begun.elapsed();
        let times = self.progress.times();
        let waited_throttle = times.of(Phase::WaitingThrottle);
        let concurrent = prepared
            .as_ref()
            .map_or(self.settings.concurrent, |prepared| self.settings.lanes(&prepared.wishes));
        let lanes = (tasks.len() as u32 - tasks_resumed).min(concurrent).max(1);
        let paced = (waited_throttle > elapsed * lanes / 2).then(|| PACED.to_owned());
        Summary {
            state,
            counts,
            tasks: tasks.len() as u32,
            tasks_resumed,
            retries: seen.retries,
            commit_mode: prepared.as_ref().map(|prepared| prepared.commit_mode),
            elapsed,
            waited_reader: times.of(Phase::WaitingReader),
            waited_writer: times.of(Phase::WaitingWriter),
            waited_throttle,
            watermarks,
            advice: self.advice(concurrent, prepared.as_ref()),
            notes: changes
                .into_iter()
                .chain(self.notes(prepared.as_ref(), &tasks))
                .chain(paced)
                .collect(),
            verified,
            fault,
        }
    }

    async fn until_stopped(&self, run: &RunId, mut stop: watch::Receiver<bool>) -> Result<()> {
        let (alive, mut gone) = mpsc::channel(1);
        // Dropping the work is safe at every await, so it is also how it stops.
        let result = tokio::select! {
            biased;
            result = self.go_on(run, alive) => result,
            Ok(_) = stop.wait_for(|stop| *stop) => {
                Err(Fault::external(STOPPED, "the run was stopped and can be resumed"))
            }
        };
        // No lane may touch the destination any more when what comes next clears it away.
        gone.recv().await;
        result
    }

    /// Writes down how the attempt ended, and clears away where the run is broken for good.
    async fn note(&self, run: &RunId, fault: Fault) -> Fault {
        // Before the destination is prepared there is nothing to go on with, except where the user
        // stopped it.
        let unprepared = async || match self.store.load(run).await {
            Ok(record) => record.prepared.is_none(),
            Err(_) => false,
        };
        let broke = breaks(&fault) || (fault.code != STOPPED && unprepared().await);
        let event = if broke { RunEvent::Broke } else { RunEvent::Stopped };
        let noted = match self.store.happened(run, event, Some(&fault)).await {
            Ok(record) if record.state == RunState::Clearing => {
                self.finish(record).await.map(|_| ())
            }
            Ok(_) => Ok(()),
            Err(unwritten) => Err(unwritten),
        };
        if let Err(second) = noted {
            tracing::warn!("while ending the run: {second}");
        }
        fault
    }

    async fn go_on(&self, run: &RunId, alive: mpsc::Sender<()>) -> Result<()> {
        let record = self.store.happened(run, RunEvent::Started, None).await?;
        let record = match record.state {
            RunState::Running => self.work(record, alive).await?,
            _ => record,
        };
        let record = self.finish(record).await?;
        match record.state {
            RunState::Verifying => self.verify(&record).await,
            _ => Ok(()),
        }
    }

    /// Plans, prepares and moves the rows.
    async fn work(&self, record: RunRecord, alive: mpsc::Sender<()>) -> Result<RunRecord> {
        let run = record.new.id.clone();
        self.progress.enter(Stage::Planning);
        let (planned, mut planners) = self.plan(&record).await?;
        self.progress.enter(Stage::Preparing);
        let attempt = Attempt {
            run: run.clone(),
            epoch: record.epoch,
            bounded: planned.iter().all(|source| source.plan.bounded),
            verify: record.new.verify.is_some(),
        };
        let union = self.union(&planned)?;
        let processing = planners.during(async { Ok(self.processing(&union).await) }).await??;
        let preparing = async {
            let prepared = self.prepare(&record, &attempt, &processing).await?;
            let sides = (processing.datasets(), prepared.datasets.as_slice());
            let comparison = match &record.new.verify {
                Some(wanted) => Some(self.comparison(&attempt, wanted, sides, &[]).await?),
                None => None,
            };
            Ok((comparison, prepared, self.store.tasks(&run).await?))
        };
        let (comparison, prepared, tasks) = planners.during(preparing).await?;
        let context = Arc::new(Context {
            store: self.store.clone(),
            settings: self.settings.clone(),
            progress: self.progress.clone(),
            mapping: Mapping::new(processing.datasets(), &prepared.datasets, &self.settings)?,
            processing,
            sorting: Sorting::new(&prepared)?,
            comparison,
            broken: Broken::default(),
            budget: self.settings.budget(&prepared.wishes),
            throttle: Throttle::new(self.settings.rates.job),
            datasets: planned.iter().map(|source| source.plan.datasets.clone()).collect(),
            union,
            attempt,
            prepared,
            _alive: alive,
        });
        for task in &tasks {
            match (&task.done, &task.mark) {
                (Some(done), _) => self.progress.goes_on(task.index, &done.counts),
                (None, Some(mark)) => self.progress.carry(task.index, mark.counts),
                (None, None) => {}
            }
        }
        let origins = self.origins();
        let pool = Pool::new(context.clone(), origins, planners, &tasks, &planned);
        self.progress.enter(Stage::Moving);
        self.run_lanes(&context, Arc::new(pool)).await?;
        self.add_up(&context).await?;
        self.store.happened(&run, RunEvent::TasksDone, None).await
    }

    /// What becomes of the datasets on their way, asked for until each plug-in has answered.
    pub(crate) async fn processing(&self, union: &Union) -> Result<Processing> {
        let mut tries = Tries::of_first_contact();
        loop {
            match Processing::new(union.datasets(), &self.settings, &self.plugins).await {
                Ok(processing) => return Ok(processing),
                Err(fault) => self.wait(&mut tries, fault).await?,
            }
        }
    }

    pub(crate) async fn wait(&self, tries: &mut Tries, fault: Fault) -> Result<()> {
        let wait = tries.again(fault, &self.settings)?;
        self.progress.retried();
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// The stored answer of `prepare`, or a new one: asked for until it is stored, then never again.
    async fn prepare(
        &self,
        record: &RunRecord,
        attempt: &Attempt,
        processing: &Processing,
    ) -> Result<Prepared> {
        if let Some(prepared) = &record.prepared {
            return Ok(prepared.clone());
        }
        let mut tries = Tries::of_first_contact();
        let prepared = loop {
            match self.try_prepare(record, attempt, processing).await {
                Ok(prepared) => break prepared,
                Err(fault) => self.wait(&mut tries, fault).await?,
            }
        };
        self.store.save_prepared(&record.new.id, &prepared).await?;
        Ok(prepared)
    }

    /// Looks first, so that a job whose columns don't match, or that can't be verified, changes nothing.
    async fn try_prepare(
        &self,
        record: &RunRecord,
        attempt: &Attempt,
        processing: &Processing,
    ) -> Result<Prepared> {
        let within = |fault: Fault| fault.within("writer");
        let datasets = processing.datasets();
        let mut writer = self.destination.connect().await.map_err(within)?;
        let preview = writer.preview(datasets).await.map_err(within)?;
        Mapping::new(datasets, &preview.datasets, &self.settings)?;
        if let Some(wanted) = &record.new.verify {
            let back = writer.read_back(attempt, &preview.datasets, &[]).await.map_err(within)?;
            Comparison::new(wanted, (datasets, &preview.datasets), back, &self.settings)?;
        }
        writer.prepare(attempt, datasets).await.map_err(within)
    }

    async fn run_lanes(&self, context: &Arc<Context<S>>, pool: Arc<Pool<S, R>>) -> Result<()> {
        let mut lanes = JoinSet::new();
        for number in 0..self.settings.lanes(&context.prepared.wishes) {
            let lane = Lane {
                number,
                context: context.clone(),
                origins: self.origins(),
                destination: self.destination.clone(),
                source: 0,
                reader: None,
                resting: Resting::new(self.settings.resting_sessions),
                writer: None,
                transformers: None,
                throttle: Arc::new(Throttle::new(self.settings.rates.lane)),
                counted: Counts::default(),
                careful: 0,
                redone_from: None,
                lost: None,
            };
            lanes.spawn(lane.run(pool.clone()));
        }
        let tending = pool.tend();
        tokio::pin!(tending);
        loop {
            tokio::select! {
                biased;
                ended = lanes.join_next() => match ended {
                    Some(Ok(Ok(()))) => {}
                    // The first fault ends the others with the set.
                    Some(Ok(Err(fault))) => {
                        if breaks(&fault) {
                            stop_lanes(context, &mut lanes).await;
                        }
                        return Err(fault);
                    }
                    Some(Err(error)) => {
                        return Err(Fault::internal("engine.panic", format!("a lane ended: {error}")));
                    }
                    None => return Ok(()),
                },
                never = &mut tending => match never {},
            }
        }
    }

    /// Invariant 5, and the job's limit of dirty records as a share.
    async fn add_up(&self, context: &Context<S>) -> Result<()> {
        let mut total = Counts::default();
        for task in self.store.tasks(&context.attempt.run).await? {
            let Some(done) = task.done else {
                return Err(Fault::internal(
                    TASK_OPEN,
                    format!("task {} is not done at the end of the run", task.index),
                ));
            };
            if !done.counts.add_up() {
                return Err(Fault::internal(
                    SUMS,
                    format!("the sums of task {} do not add up: {:?}", task.index, done.counts),
                ));
            }
            total.add(&done.counts);
        }
        if self.settings.error_limit.exceeded_at_end(total.records_dirty, total.records_in()) {
            return Err(context.dirty_limit(total.records_dirty, None));
        }
        Ok(())
    }

    /// Publishes, or clears away, until it is written down that it was done.
    async fn finish(&self, record: RunRecord) -> Result<RunRecord> {
        let run = &record.new.id;
        let (outcome, stage) = match record.state {
            RunState::Finishing => (Outcome::Succeeded, Stage::Finishing),
            RunState::Clearing => (Outcome::Failed, Stage::Clearing),
            _ => return Ok(record),
        };
        self.progress.enter(stage);
        if record.prepared.is_some() {
            let tasks = self.store.tasks(run).await?;
            let receipts = tasks.into_iter().filter_map(|task| task.done);
            let receipts: Vec<_> = receipts.map(|done| done.receipt).collect();
            let bounded = record.sources.iter().all(|source| source.plan.bounded);
            let verify = record.new.verify.is_some();
            let attempt = Attempt { run: run.clone(), epoch: record.epoch, bounded, verify };
            let mut tries = Tries::default();
            while let Err(fault) = self.try_finish(&attempt, outcome, &receipts).await {
                self.wait(&mut tries, fault.within("writer")).await?;
            }
        }
        let event = match (outcome, &record.new.verify) {
            (Outcome::Succeeded, Some(_)) => RunEvent::Published,
            _ => RunEvent::Finished,
        };
        self.store.happened(run, event, None).await
    }

    async fn try_finish(
        &self,
        attempt: &Attempt,
        outcome: Outcome,
        receipts: &[Vec<u8>],
    ) -> Result<()> {
        let mut writer = self.destination.connect().await?;
        let finishing = writer.finish(attempt, outcome, receipts);
        finishing.await
    }

    fn advice(&self, concurrent: u32, prepared: Option<&Prepared>) -> Vec<Advice> {
        advice::advise(&advice::Numbers {
            moving: self.progress.moving(),
            concurrent,
            lanes_max: prepared.map_or(0, |prepared| prepared.wishes.lanes),
            ledger: self.progress.ledger(),
        })
    }

    /// The notes about missing columns and casts of a run that was prepared.
    async fn changes(&self, record: &RunRecord) -> Vec<String> {
        let Ok(union) = self.union(&record.sources) else { return Vec::new() };
        let casts = async {
            let prepared = record.prepared.as_ref()?;
            let made = Processing::new(union.datasets(), &self.settings, &self.plugins).await;
            let made = made.ok()?;
            Mapping::unchecked(made.datasets(), &prepared.datasets, &self.settings).ok()?.note()
        };
        let casts = casts.await;
        union.notes().iter().cloned().chain(casts).collect()
    }

    /// What the counts alone don't say.
    fn notes(&self, prepared: Option<&Prepared>, tasks: &[TaskRecord]) -> Vec<String> {
        let Some(prepared) = prepared else { return Vec::new() };
        let (lanes, wanted) = (self.settings.lanes(&prepared.wishes), self.settings.concurrent);
        let fewer = (lanes < wanted).then(|| {
            format!("the destination takes {lanes} of the job's {wanted} channels at a time")
        });
        if prepared.commit_mode != CommitMode::AtLeastOnce {
            return fewer.into_iter().collect();
        }
        // Of a task that an earlier attempt began anew it is not known from where.
        let redone = tasks.iter().filter(|task| task.epoch > 1).filter_map(|task| {
            let done = task.done.as_ref()?.counts.records_written;
            Some(self.progress.written_twice(task.index).unwrap_or(done))
        });
        let records: u64 = redone.sum();
        let twice = (records > 0).then(|| {
            format!(
                "tasks were redone, and the destination cannot tell: it may contain duplicates, up to \
                 {records} records are there twice or more"
            )
        });
        fewer.into_iter().chain(twice).collect()
    }
}

fn watermarks(record: &RunRecord) -> Vec<String> {
    let datasets = record.sources.iter().flat_map(|source| &source.plan.datasets);
    let pairs = datasets.flat_map(|dataset| &dataset.metadata);
    pairs.filter(|(key, _)| key == bookmark::METADATA).map(|(_, text)| text.clone()).collect()
}

/// Whether the same again would fail again, so that the run is broken for good.
fn breaks(fault: &Fault) -> bool {
    match fault.domain {
        FaultDomain::User | FaultDomain::Data | FaultDomain::Plugin => true,
        FaultDomain::Internal => [SUMS, TASK_OPEN].contains(&fault.code.as_str()),
        FaultDomain::External => false,
    }
}

/// Lets the lanes that are left store what they have told, so that the books have every dirty record
/// that the counts have.
async fn stop_lanes<S>(context: &Context<S>, lanes: &mut JoinSet<Result<()>>) {
    context.broken.tell();
    let ended = async { while lanes.join_next().await.is_some() {} };
    if timeout(LANES_END_MAX, ended).await.is_err() {
        tracing::warn!(
            "a lane did not end in time; dirty records that it told last are not stored"
        );
    }
}
