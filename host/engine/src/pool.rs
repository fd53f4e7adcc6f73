//! Which task comes next: splits are asked for as lanes need them, and written down before they are
//! worked on.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use domain::port::{Reader, Source, SourceRecord, Split, Splits, Store, TaskRecord};
use domain::{Fault, Result, SourceIndex, TaskIndex};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use crate::attempt::Context;
use crate::planning::Planners;
use crate::retry::Tries;
use crate::session::{Kept, Origin, Reads, tend_or_lose, until};

/// Splits asked for at once, for each lane.
const SPLITS_PER_LANE: u32 = 2;
/// A bounded plan that gives no split so often in a row never will.
const EMPTY_ANSWERS_MAX: u32 = 1000;
/// Tasks of a run at most.
const TASKS_MAX: u32 = 1_000_000;

/// The tasks of a run that wait for a lane. Whoever finds that a source has none asks its planning
/// session; meanwhile the others take tasks of other sources, so that a slow one holds up nobody.
pub(crate) struct Pool<S, R: Source> {
    context: Arc<Context<S>>,
    sources: Vec<Asked<R>>,
    board: Mutex<Board>,
    /// A task was done, or splits came.
    moved: Notify,
}

/// A source, and the session that planned it, which lives as long as the run.
struct Asked<R: Source> {
    origin: Origin<R>,
    planner: Mutex<Option<Kept<Reads<R::Session>>>>,
}

struct Board {
    queues: Vec<Queue>,
    /// How many tasks the store has.
    count: u32,
    /// How many were taken.
    taken: u64,
}

/// The tasks of one source.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<(TaskIndex, Split)>,
    /// Tasks at work, by stage.
    working: BTreeMap<u32, u32>,
    /// When a task was taken last, counted in tasks.
    taken: u64,
    /// The highest stage among the tasks.
    stage: u32,
    next: Vec<u8>,
    last: bool,
    /// A lane asks for more splits.
    asking: bool,
    empty: u32,
    /// Why no more splits come: the books may have some of which the answer was lost, so that asking
    /// again would give them twice.
    broken: Option<Fault>,
}

/// A task for a lane.
pub(crate) struct Taken {
    pub(crate) index: TaskIndex,
    pub(crate) source: SourceIndex,
    pub(crate) split: Split,
}

impl Queue {
    fn new(planned: &SourceRecord) -> Self {
        Self { next: planned.next.clone(), last: planned.last, ..Self::default() }
    }

    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.last
    }

    /// Whether a lane that turns to this source finds a task, or can ask for some.
    fn can_give(&self) -> bool {
        match self.waiting.front() {
            Some((_, split)) => {
                self.working.first_key_value().is_none_or(|(stage, _)| *stage >= split.stage)
            }
            None => !self.last && !self.asking && self.broken.is_none(),
        }
    }
}

impl Board {
    /// The source that a lane turns to: the one that the fewest lanes work on, among them one that the
    /// lane has a session with, else the one that waited longest.
    fn choose(&self, kept: &[SourceIndex]) -> Option<SourceIndex> {
        let giving = (0..).zip(&self.queues).filter(|(_, queue)| queue.can_give());
        let order = |(source, queue): &(SourceIndex, &Queue)| {
            let working: u32 = queue.working.values().sum();
            (working, !kept.contains(source), queue.taken)
        };
        giving.min_by_key(order).map(|(source, _)| source)
    }

    /// The first task of a source, where it has one.
    fn pop(&mut self, source: SourceIndex) -> Option<Taken> {
        self.taken += 1;
        let taken = self.taken;
        let queue = self.queue(source);
        let (index, split) = queue.waiting.pop_front()?;
        queue.taken = taken;
        *queue.working.entry(split.stage).or_default() += 1;
        Some(Taken { index, source, split })
    }

    fn queue(&mut self, source: SourceIndex) -> &mut Queue {
        &mut self.queues[source as usize]
    }
}

impl<S: Store, R: Source> Pool<S, R> {
    /// Goes on with the tasks that the store has.
    pub(crate) fn new(
        context: Arc<Context<S>>,
        origins: Vec<Origin<R>>,
        mut planners: Planners<R>,
        tasks: &[TaskRecord],
        planned: &[SourceRecord],
    ) -> Self {
        let mut queues: Vec<_> = planned.iter().map(Queue::new).collect();
        let mut waiting = 0;
        for task in tasks {
            let Some(queue) = queues.get_mut(task.source as usize) else { continue };
            queue.stage = queue.stage.max(task.split.stage);
            if task.done.is_none() {
                queue.waiting.push_back((task.index, task.split.clone()));
                waiting += 1;
            }
        }
        context.progress.tasks_came(waiting);
        let asked = |(source, origin)| Asked { origin, planner: Mutex::new(planners.take(source)) };
        let sources = (0..).zip(origins).map(asked).collect();
        let board = Board { queues, count: tasks.len() as u32, taken: 0 };
        Self { context, sources, board: Mutex::new(board), moved: Notify::new() }
    }

    /// The next task that may start, or `None` where no more will come; `kept` are the sources that the
    /// lane has sessions with.
    pub(crate) async fn take(&self, kept: &[SourceIndex]) -> Result<Option<Taken>> {
        loop {
            let moved = self.moved.notified();
            let mut board = self.board.lock().await;
            let Some(source) = board.choose(kept) else {
                if board.queues.iter().all(Queue::is_over) {
                    return Ok(None);
                }
                let broken = board.queues.iter().find_map(|queue| queue.broken.clone());
                if let Some(fault) = broken {
                    return Err(fault);
                }
                drop(board);
                moved.await;
                continue;
            };
            if let Some(taken) = board.pop(source) {
                return Ok(Some(taken));
            }
            board.queue(source).asking = true;
            drop(board);
            let asked = self.ask(source).await;
            let mut board = self.board.lock().await;
            let queue = board.queue(source);
            (queue.asking, queue.broken) = (false, asked.clone().err());
            drop(board);
            self.moved.notify_waiters();
            asked?;
            tokio::task::yield_now().await;
        }
    }

    /// A task that was taken is done.
    pub(crate) async fn done(&self, source: SourceIndex, stage: u32) -> Result<()> {
        let mut board = self.board.lock().await;
        let working = &mut board.queue(source).working;
        if let Some(count) = working.get_mut(&stage) {
            *count -= 1;
            if *count == 0 {
                working.remove(&stage);
            }
        }
        self.context.progress.task_done();
        self.moved.notify_waiters();
        Ok(())
    }

    /// Asks for the next splits of a source, and writes them down.
    async fn ask(&self, source: SourceIndex) -> Result<()> {
        let settings = &self.context.settings;
        let limit = settings.concurrent * SPLITS_PER_LANE;
        let asked = &self.sources[source as usize];
        let at = self.board.lock().await.queue(source).next.clone();
        let mut planner = asked.planner.lock().await;
        let mut tries = Tries::default();
        let splits = loop {
            match splits(&asked.origin, &mut planner, &at, limit).await {
                Ok(splits) => break splits,
                Err(fault) => {
                    *planner = None;
                    let wait = tries.again(fault, settings)?;
                    self.context.progress.retried();
                    tokio::time::sleep(wait).await;
                }
            }
        };
        // Locked until they are stored: tasks have their numbers in the order of the books.
        let mut board = self.board.lock().await;
        board.look(source, &splits, &asked.origin.who)?;
        self.store_splits(&mut planner, source, &splits).await?;
        for split in splits.splits {
            let index = board.count;
            board.queue(source).waiting.push_back((index, split));
            board.count += 1;
            self.context.progress.tasks_came(1);
        }
        let queue = board.queue(source);
        (queue.next, queue.last) = (splits.next, splits.last);
        Ok(())
    }

    async fn store_splits(
        &self,
        planner: &mut Option<Kept<Reads<R::Session>>>,
        source: SourceIndex,
        splits: &Splits,
    ) -> Result<()> {
        let storing = self.context.store.add_splits(&self.context.attempt.run, source, splits);
        tokio::pin!(storing);
        loop {
            tokio::select! {
                biased;
                () = until(planner.as_ref().and_then(Kept::due)) => {
                    tend_or_lose(planner).await;
                }
                stored = &mut storing => return stored,
            }
        }
    }

    /// Tends the planning sessions for as long as the run goes on.
    pub(crate) async fn tend(&self) -> Infallible {
        loop {
            let moved = self.moved.notified();
            let mut due: Option<Instant> = None;
            for asked in &self.sources {
                // Whoever has it locked is at work with it.
                let Ok(mut planner) = asked.planner.try_lock() else { continue };
                if planner.as_ref().is_some_and(Kept::is_due) {
                    // The next question opens a new session, where there is one.
                    tend_or_lose(&mut planner).await;
                }
                due = due.into_iter().chain(planner.as_ref().and_then(Kept::due)).min();
            }
            tokio::select! {
                biased;
                () = until(due) => {}
                () = moved => {}
            }
        }
    }
}

impl Board {
    /// # Errors
    /// `plugin.lie.splits`, `plugin.lie.stage`, `run.too_many_tasks`: it would never end, or in a wrong
    /// order.
    fn look(&mut self, source: SourceIndex, splits: &Splits, who: &str) -> Result<()> {
        let lie = |message: String| Err(Fault::plugin("plugin.lie.splits", message).within(who));
        let count = u64::from(self.count) + splits.splits.len() as u64;
        let queue = self.queue(source);
        queue.empty = if splits.splits.is_empty() { queue.empty + 1 } else { 0 };
        if queue.empty > EMPTY_ANSWERS_MAX {
            return lie(format!(
                "the reader gave no split {EMPTY_ANSWERS_MAX} times and did not say that it has none"
            ));
        }
        if !splits.splits.is_empty() && !splits.last && splits.next == queue.next {
            return lie("the reader gave splits and would give the same again".into());
        }
        for split in &splits.splits {
            if split.stage < queue.stage {
                let message = format!(
                    "the reader gave split \"{}\" of stage {} after one of stage {}",
                    split.label, split.stage, queue.stage
                );
                return Err(Fault::plugin("plugin.lie.stage", message).within(who));
            }
            queue.stage = split.stage;
        }
        if count > u64::from(TASKS_MAX) {
            let message = format!("the reader cut the source into more than {TASKS_MAX} splits");
            return Err(Fault::plugin("run.too_many_tasks", message)
                .within(who)
                .hint("make the splits larger in the reader's parameters, or read less at once"));
        }
        Ok(())
    }
}

async fn splits<R: Source>(
    origin: &Origin<R>,
    kept: &mut Option<Kept<Reads<R::Session>>>,
    at: &[u8],
    limit: u32,
) -> Result<Splits> {
    let mut planner = match kept.take() {
        Some(planner) => planner,
        None => origin.connect().await?,
    };
    let splits = planner.session.0.splits(at, limit).await;
    let splits = splits.map_err(|fault| fault.within(&*origin.who))?;
    *kept = Some(planner);
    Ok(splits)
}
