//! Reads a source from beginning to end without moving its rows anywhere: some lanes, each with a
//! session of its own, one split after another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use domain::port::{Reader, Source, Split, Step};
use domain::{Batch, Dataset, Fault, Result, SourceIndex};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::processing::{Passing, Processing, Sessions};
use crate::progress::Progress;
use crate::retry::Tries;
use crate::session::{Kept, Origin, Reads};
use crate::settings::Settings;
use crate::union::Union;

/// Splits asked for at once.
const SPLITS_AT_ONCE: u32 = 100;
/// Splits of a source at most, as of a run.
const SPLITS_MAX: usize = 1_000_000;
/// Steps and answers in a row that may bring nothing.
const EMPTY_MAX: u32 = 10_000;

/// What rows are made into. Each split makes a part, which counts when its split is at its end.
pub(crate) trait Gather: Send + Sync + 'static {
    type Part: Default + Send + 'static;
    fn rows(&self, part: &mut Self::Part, batch: Batch) -> Result<()>;
    /// Records that could not be decoded.
    fn undecodable(&self, part: &mut Self::Part, count: u64);
}

/// The way of a source's batches to the mapping.
pub(crate) struct Way {
    pub(crate) union: Union,
    pub(crate) source: SourceIndex,
    pub(crate) processing: Processing,
}

/// What is read.
pub(crate) struct Scan<R> {
    pub(crate) origin: Origin<R>,
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) splits: Vec<Split>,
    /// `None`: what is read comes from the destination.
    pub(crate) way: Option<Way>,
    pub(crate) settings: Settings,
    pub(crate) progress: Arc<Progress>,
}

/// What a source has, and the session that said so: it may hold the snapshot.
pub(crate) struct Planned<S> {
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) splits: Vec<Split>,
    pub(crate) planner: Kept<Reads<S>>,
}

/// Plans a source as a whole, again after each fault that says so.
pub(crate) async fn plan<R: Source>(
    origin: &Origin<R>,
    settings: &Settings,
    progress: &Progress,
) -> Result<Planned<R::Session>> {
    let mut tries = Tries::default();
    loop {
        match try_plan(origin, settings).await {
            Ok(planned) => return Ok(planned),
            Err(fault) => wait(&mut tries, fault, settings, progress).await?,
        }
    }
}

async fn try_plan<R: Source>(
    origin: &Origin<R>,
    settings: &Settings,
) -> Result<Planned<R::Session>> {
    let mut planner = origin.connect().await?;
    let session = &mut planner.session.0;
    let plan = session.plan(settings.concurrent, &[]).await?;
    let (mut splits, mut at, mut empty) = (Vec::new(), plan.start, 0);
    loop {
        let more = session.splits(&at, SPLITS_AT_ONCE).await?;
        empty = if more.splits.is_empty() { empty + 1 } else { 0 };
        splits.extend(more.splits);
        if splits.len() > SPLITS_MAX || empty > EMPTY_MAX {
            return Err(Fault::plugin("plugin.lie.splits", "the reader gives splits without end"));
        }
        if more.last {
            break;
        }
        at = more.next;
    }
    Ok(Planned { datasets: plan.datasets, splits, planner })
}

async fn wait(
    tries: &mut Tries,
    fault: Fault,
    settings: &Settings,
    progress: &Progress,
) -> Result<()> {
    let wait = tries.again(fault, settings)?;
    progress.retried();
    tokio::time::sleep(wait).await;
    Ok(())
}

/// What the lanes share.
struct Shared<R, G> {
    scan: Scan<R>,
    waiting: Mutex<VecDeque<Split>>,
    gather: Arc<G>,
}

impl<R: Source> Scan<R> {
    /// Reads all splits, and hands the part of each to `done`.
    pub(crate) async fn run<G: Gather>(
        mut self,
        gather: Arc<G>,
        mut done: impl FnMut(G::Part) -> Result<()>,
    ) -> Result<()> {
        let waiting = Mutex::new(std::mem::take(&mut self.splits).into());
        let count = self.settings.concurrent.max(1);
        let shared = Arc::new(Shared { scan: self, waiting, gather });
        let (parts, mut ended) = mpsc::channel(1);
        // They end with the set.
        let mut lanes = JoinSet::new();
        for _ in 0..count {
            lanes.spawn(lane(shared.clone(), parts.clone()));
        }
        drop(parts);
        while let Some(part) = ended.recv().await {
            done(part?)?;
        }
        while let Some(lane) = lanes.join_next().await {
            lane.map_err(|error| {
                Fault::internal("engine.panic", format!("a lane ended: {error}"))
            })?;
        }
        Ok(())
    }
}

/// A reader's session, and those with the plug-ins among the steps.
type Lane<R> = (Kept<Reads<<R as Source>::Session>>, Sessions);

async fn lane<R: Source, G: Gather>(
    shared: Arc<Shared<R, G>>,
    parts: mpsc::Sender<Result<G::Part>>,
) {
    let mut session = None;
    loop {
        let next = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(split) = next else { return };
        let part = shared.read(&mut session, &split).await;
        let failed = part.is_err();
        if parts.send(part).await.is_err() || failed {
            return;
        }
    }
}

impl<R: Source, G: Gather> Shared<R, G> {
    /// One split, from its beginning again after each fault that says so.
    async fn read(&self, session: &mut Option<Lane<R>>, split: &Split) -> Result<G::Part> {
        let mut tries = Tries::default();
        loop {
            match self.try_read(session, split).await {
                Ok(part) => return Ok(part),
                Err(fault) => {
                    *session = None;
                    let fault = fault.within(split.label.clone());
                    wait(&mut tries, fault, &self.scan.settings, &self.scan.progress).await?;
                }
            }
        }
    }

    async fn try_read(&self, session: &mut Option<Lane<R>>, split: &Split) -> Result<G::Part> {
        let (kept, steps) = match session {
            Some(lane) => lane,
            None => session.insert(self.lane().await?),
        };
        kept.session.0.open(split, None, &self.scan.datasets).await?;
        let budget = self.scan.settings.budget(&Default::default());
        let (mut part, mut empty) = (G::Part::default(), 0);
        loop {
            if kept.is_due() {
                kept.tend().await?;
            }
            let asked = Instant::now();
            empty += 1;
            match kept.session.0.next(budget).await? {
                Step::Rows(rows) => {
                    empty = 0;
                    self.gather.undecodable(&mut part, rows.undecodable.len() as u64);
                    for batch in rows.batches {
                        kept.during(self.take(&mut part, steps, batch)).await?;
                    }
                }
                Step::Idle => tokio::time::sleep_until(asked + budget.wait).await,
                Step::Advanced { .. } => {}
                Step::Ended { .. } => return Ok(part),
            }
            if empty > EMPTY_MAX {
                let message = "the reader does not get on and does not say that it is at its end";
                return Err(Fault::plugin("plugin.lie.idle", message));
            }
        }
    }

    async fn lane(&self) -> Result<Lane<R>> {
        let steps = match &self.scan.way {
            Some(way) => way.processing.sessions().await?,
            None => Sessions::default(),
        };
        Ok((self.scan.origin.connect().await?, steps))
    }

    /// Takes in a batch, as it is at the end of its way.
    async fn take(&self, part: &mut G::Part, steps: &mut Sessions, batch: Batch) -> Result<()> {
        let Some(way) = &self.scan.way else { return self.gather.rows(part, batch) };
        let mut passing = Passing::new(way.union.apply(way.source, &batch)?);
        while let Some(processed) = passing.next(&way.processing, steps).await? {
            self.gather.rows(part, processed.batch)?;
        }
        Ok(())
    }
}
