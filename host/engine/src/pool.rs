//! Which task comes next: splits are asked for as lanes need them, and written down before they are
//! worked on.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use domain::port::{Reader, Source, Split, Splits, Store, TaskRecord};
use domain::{Fault, Result, TaskIndex};
use tokio::sync::{Mutex, Notify};

use crate::attempt::Context;
use crate::retry::Tries;
use crate::session::{Kept, Reads, tend_or_lose, until};

/// Splits asked for at once, for each lane.
const SPLITS_PER_LANE: u32 = 2;
/// A bounded plan that gives no split so often in a row never will.
const EMPTY_ANSWERS_MAX: u32 = 1000;
/// Tasks of a run at most.
const TASKS_MAX: u32 = 1_000_000;

/// The tasks of a run that wait for a lane. One lock: whoever finds the queue empty asks the planning
/// session, the others wait for the same answer.
pub(crate) struct Pool<S, R: Source> {
    context: Arc<Context<S>>,
    source: Arc<R>,
    inner: Mutex<Inner<R::Session>>,
    /// A task was done, or splits came.
    moved: Notify,
}

struct Inner<P> {
    /// The session that planned; it lives as long as the run.
    planner: Option<Kept<Reads<P>>>,
    waiting: VecDeque<(TaskIndex, Split)>,
    /// Tasks at work, by stage.
    working: BTreeMap<u32, u32>,
    /// How many tasks the store has.
    count: u32,
    /// The highest stage among them.
    stage: u32,
    next: Vec<u8>,
    last: bool,
    empty: u32,
    /// Why no more splits come: the books may have some of which the answer was lost, so that asking
    /// again would give them twice.
    broken: Option<Fault>,
}

impl<S: Store, R: Source> Pool<S, R> {
    /// Goes on with the tasks that the store has.
    pub(crate) fn new(
        context: Arc<Context<S>>,
        source: Arc<R>,
        planner: Option<Kept<Reads<R::Session>>>,
        tasks: &[TaskRecord],
        (next, last): (Vec<u8>, bool),
    ) -> Self {
        let waiting: VecDeque<_> = tasks
            .iter()
            .filter(|task| task.done.is_none())
            .map(|task| (task.index, task.split.clone()))
            .collect();
        context.progress.tasks_came(waiting.len() as u64);
        let inner = Inner {
            planner,
            waiting,
            working: BTreeMap::new(),
            count: tasks.len() as u32,
            stage: tasks.iter().map(|task| task.split.stage).max().unwrap_or(0),
            next,
            last,
            empty: 0,
            broken: None,
        };
        Self { context, source, inner: Mutex::new(inner), moved: Notify::new() }
    }

    /// The next task that may start, or `None` where no more will come.
    pub(crate) async fn take(&self) -> Result<Option<(TaskIndex, Split)>> {
        loop {
            let moved = self.moved.notified();
            let mut inner = self.inner.lock().await;
            if inner.waiting.is_empty() && !inner.last {
                if let Some(fault) = &inner.broken {
                    return Err(fault.clone());
                }
                let asked = self.ask(&mut inner).await;
                inner.broken = asked.clone().err();
                self.moved.notify_waiters();
                asked?;
            }
            let Some((_, split)) = inner.waiting.front() else {
                if inner.last {
                    return Ok(None);
                }
                drop(inner);
                tokio::task::yield_now().await;
                continue;
            };
            let lower =
                inner.working.first_key_value().is_some_and(|(stage, _)| *stage < split.stage);
            if !lower {
                let task = inner.waiting.pop_front();
                if let Some((_, split)) = &task {
                    *inner.working.entry(split.stage).or_default() += 1;
                }
                return Ok(task);
            }
            drop(inner);
            moved.await;
        }
    }

    /// A task that was taken is done.
    pub(crate) async fn done(&self, stage: u32) -> Result<()> {
        let mut inner = self.inner.lock().await;
        if let Some(count) = inner.working.get_mut(&stage) {
            *count -= 1;
            if *count == 0 {
                inner.working.remove(&stage);
            }
        }
        self.context.progress.task_done();
        self.moved.notify_waiters();
        Ok(())
    }

    async fn ask(&self, inner: &mut Inner<R::Session>) -> Result<()> {
        let settings = &self.context.settings;
        let limit = settings.concurrent * SPLITS_PER_LANE;
        let mut tries = Tries::default();
        let splits = loop {
            match self.splits(inner, limit).await {
                Ok(splits) => break splits,
                Err(fault) => {
                    inner.planner = None;
                    let wait = tries.again(fault, settings)?;
                    self.context.progress.retried();
                    tokio::time::sleep(wait).await;
                }
            }
        };
        self.look(inner, &splits)?;
        self.store_splits(inner, &splits).await?;
        for split in splits.splits {
            inner.waiting.push_back((inner.count, split));
            inner.count += 1;
            self.context.progress.tasks_came(1);
        }
        inner.next = splits.next;
        inner.last = splits.last;
        Ok(())
    }

    /// # Errors
    /// `plugin.lie.splits`, `plugin.lie.stage`, `run.too_many_tasks`: it would never end, or in a wrong
    /// order.
    fn look(&self, inner: &mut Inner<R::Session>, splits: &Splits) -> Result<()> {
        let lie =
            |message: String| Err(Fault::plugin("plugin.lie.splits", message).within("reader"));
        inner.empty = if splits.splits.is_empty() { inner.empty + 1 } else { 0 };
        if inner.empty > EMPTY_ANSWERS_MAX {
            return lie(format!(
                "the reader gave no split {EMPTY_ANSWERS_MAX} times and did not say that it has none"
            ));
        }
        if !splits.splits.is_empty() && !splits.last && splits.next == inner.next {
            return lie("the reader gave splits and would give the same again".into());
        }
        for split in &splits.splits {
            if split.stage < inner.stage {
                let message = format!(
                    "the reader gave split \"{}\" of stage {} after one of stage {}",
                    split.label, split.stage, inner.stage
                );
                return Err(Fault::plugin("plugin.lie.stage", message).within("reader"));
            }
            inner.stage = split.stage;
        }
        if u64::from(inner.count) + splits.splits.len() as u64 > u64::from(TASKS_MAX) {
            let message = format!("the reader cut the source into more than {TASKS_MAX} splits");
            return Err(Fault::plugin("run.too_many_tasks", message)
                .within("reader")
                .hint("make the splits larger in the reader's parameters, or read less at once"));
        }
        Ok(())
    }

    async fn store_splits(&self, inner: &mut Inner<R::Session>, splits: &Splits) -> Result<()> {
        let storing = self.context.store.add_splits(&self.context.attempt.run, splits);
        tokio::pin!(storing);
        loop {
            tokio::select! {
                biased;
                () = until(inner.planner.as_ref().and_then(Kept::due)) => {
                    tend_or_lose(&mut inner.planner).await;
                }
                stored = &mut storing => return stored,
            }
        }
    }

    async fn splits(&self, inner: &mut Inner<R::Session>, limit: u32) -> Result<Splits> {
        let mut planner = match inner.planner.take() {
            Some(planner) => planner,
            None => Kept::new(Reads(self.source.connect().await.map_err(within)?)).await?,
        };
        let splits = planner.session.0.splits(&inner.next, limit).await.map_err(within)?;
        inner.planner = Some(planner);
        Ok(splits)
    }

    /// Tends the planning session for as long as the run goes on.
    pub(crate) async fn tend(&self) -> Infallible {
        loop {
            let moved = self.moved.notified();
            let due = {
                let mut inner = self.inner.lock().await;
                if inner.planner.as_ref().is_some_and(Kept::is_due) {
                    // The next question opens a new session, where there is one.
                    tend_or_lose(&mut inner.planner).await;
                }
                inner.planner.as_ref().and_then(Kept::due)
            };
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => moved.await,
            }
        }
    }
}

fn within(fault: Fault) -> Fault {
    fault.within("reader")
}
