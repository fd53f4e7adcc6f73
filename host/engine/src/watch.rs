//! Where the time of tasks goes: each half of a task says what it was at, and how long.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Counts, TaskIndex};
use tokio::time::Instant;

use crate::progress::Progress;

/// Tasks that are kept by themselves, the slowest; the others are summed.
pub const SLOWEST_MAX: usize = 100;

/// What one of the two halves of a task is at. The first four are of the reading half, the others of the
/// writing half; each half's add up to about the time that the task takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// In the reader's calls.
    Reading,
    /// In transformers, casts and sorting.
    Processing,
    /// Held up by the job's rates.
    WaitingThrottle,
    /// The queue between the halves is full.
    WaitingWriter,
    /// The queue between the halves is empty.
    WaitingReader,
    /// In the writer's calls for rows.
    Writing,
    /// In the writer's calls for marks.
    Committing,
}

impl Phase {
    pub const ALL: [Self; 7] = [
        Self::Reading,
        Self::Processing,
        Self::WaitingThrottle,
        Self::WaitingWriter,
        Self::WaitingReader,
        Self::Writing,
        Self::Committing,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Processing => "processing",
            Self::WaitingThrottle => "waiting_throttle",
            Self::WaitingWriter => "waiting_writer",
            Self::WaitingReader => "waiting_reader",
            Self::Writing => "writing",
            Self::Committing => "committing",
        }
    }
}

/// How long each part took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times([Duration; Phase::ALL.len()]);

impl Times {
    pub fn of(&self, part: Phase) -> Duration {
        self.0[part as usize]
    }

    pub fn set(&mut self, part: Phase, time: Duration) {
        self.0[part as usize] = time;
    }

    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, other)| *mine += other);
    }
}

/// Counters of [`Times`] that both halves write.
#[derive(Debug, Default)]
pub(crate) struct Clocks([AtomicU64; Phase::ALL.len()]);

impl Clocks {
    pub(crate) fn add(&self, part: Phase, time: Duration) {
        self.0[part as usize].fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }

    pub(crate) fn times(&self) -> Times {
        let read = |clock: &AtomicU64| Duration::from_micros(clock.load(Ordering::Relaxed));
        Times(std::array::from_fn(|part| read(&self.0[part])))
    }
}

/// What tasks took, and what they moved: of one, of a lane's, or of all that are not kept by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub tasks: u64,
    /// From the claim of each task to its end, tries and pauses included.
    pub elapsed: Duration,
    pub times: Times,
    pub records: u64,
    pub bytes: u64,
    pub dirty: u64,
    /// Marks that the destination was given.
    pub commits: u64,
    pub retries: u64,
}

impl Spent {
    pub fn add(&mut self, other: &Self) {
        self.tasks += other.tasks;
        self.elapsed += other.elapsed;
        self.times.add(&other.times);
        self.records += other.records;
        self.bytes += other.bytes;
        self.dirty += other.dirty;
        self.commits += other.commits;
        self.retries += other.retries;
    }
}

/// What an attempt's work on one task took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpent {
    pub task: TaskIndex,
    pub label: String,
    pub lane: u32,
    /// Since the attempt began.
    pub started: Duration,
    /// Whether the task came to its end.
    pub done: bool,
    pub spent: Spent,
}

/// The tasks of an attempt so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// At most [`SLOWEST_MAX`], the slowest first.
    pub slowest: Vec<TaskSpent>,
    /// All others.
    pub rest: Spent,
    /// Of each lane that had a task.
    pub lanes: BTreeMap<u32, Spent>,
}

impl Ledger {
    pub(crate) fn take(&mut self, ended: TaskSpent) {
        self.lanes.entry(ended.lane).or_default().add(&ended.spent);
        let slower = |kept: &TaskSpent| kept.spent.elapsed >= ended.spent.elapsed;
        let place = self.slowest.partition_point(slower);
        self.slowest.insert(place, ended);
        if self.slowest.len() > SLOWEST_MAX
            && let Some(quick) = self.slowest.pop()
        {
            self.rest.add(&quick.spent);
        }
    }

    pub fn total(&self) -> Spent {
        let mut total = Spent::default();
        self.lanes.values().for_each(|lane| total.add(lane));
        total
    }
}

/// The ledger that lanes write.
#[derive(Debug, Default)]
pub(crate) struct Ledgers(Mutex<Ledger>);

impl Ledgers {
    pub(crate) fn read(&self) -> Ledger {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, ended: TaskSpent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(ended);
    }
}

/// Looks at one task from its claim on; enters the ledger when it is dropped, however the task ended.
#[derive(Debug)]
pub(crate) struct Watch {
    progress: Arc<Progress>,
    task: TaskIndex,
    label: String,
    lane: u32,
    begun: Instant,
    clocks: Clocks,
    /// What the task had counted before this attempt, and what it has now.
    counts: Mutex<Option<(Counts, Counts)>>,
    commits: AtomicU64,
    retries: AtomicU64,
    done: AtomicU64,
}

impl Watch {
    pub(crate) fn new(progress: Arc<Progress>, task: TaskIndex, label: String, lane: u32) -> Self {
        Self {
            progress,
            task,
            label,
            lane,
            begun: Instant::now(),
            clocks: Clocks::default(),
            counts: Mutex::default(),
            commits: AtomicU64::default(),
            retries: AtomicU64::default(),
            done: AtomicU64::default(),
        }
    }

    /// Counts the time since `begun`, for the task and for the run.
    pub(crate) fn since(&self, part: Phase, begun: Instant) {
        let time = begun.elapsed();
        self.clocks.add(part, time);
        self.progress.clocks.add(part, time);
    }

    /// The task's counts, over all attempts: those of the first call stand for what there was before.
    pub(crate) fn counted(&self, counts: &Counts) {
        let mut kept = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.map_or(*counts, |(before, _)| before);
        *kept = Some((before, *counts));
    }

    pub(crate) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn done(&self) {
        self.done.store(1, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let counts = *self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, now) = counts.unwrap_or_default();
        let spent = Spent {
            tasks: 1,
            elapsed: self.begun.elapsed(),
            times: self.clocks.times(),
            records: now.records_read.saturating_sub(before.records_read),
            bytes: now.bytes_read.saturating_sub(before.bytes_read),
            dirty: now.records_dirty.saturating_sub(before.records_dirty),
            commits: self.commits.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        };
        self.progress.ledgers.take(TaskSpent {
            task: self.task,
            label: std::mem::take(&mut self.label),
            lane: self.lane,
            started: self.progress.since_begun(self.begun),
            done: self.done.load(Ordering::Relaxed) == 1,
            spent,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(task: TaskIndex, lane: u32, seconds: u64) -> TaskSpent {
        let spent = Spent {
            tasks: 1,
            elapsed: Duration::from_secs(seconds),
            records: 10,
            ..Spent::default()
        };
        let started = Duration::ZERO;
        TaskSpent { task, label: format!("t{task}"), lane, started, done: true, spent }
    }

    #[test]
    fn the_slowest_tasks_are_kept_and_the_rest_is_summed() {
        let mut ledger = Ledger::default();
        for task in 0..1000 {
            ledger.take(ended(task, task % 2, u64::from(task * 7 % 1000)));
        }
        assert_eq!(ledger.slowest.len(), SLOWEST_MAX);
        assert!(ledger.slowest.iter().all(|task| task.spent.elapsed.as_secs() >= 900));
        assert!(ledger.slowest.is_sorted_by(|a, b| a.spent.elapsed >= b.spent.elapsed));
        assert_eq!((ledger.rest.tasks, ledger.rest.records), (900, 9_000));
        let total = ledger.total();
        assert_eq!((total.tasks, total.elapsed.as_secs()), (1000, 999 * 500));
        assert_eq!(ledger.lanes.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_counts_what_this_attempt_did() {
        let progress = Arc::new(Progress::default());
        let watch = Watch::new(progress.clone(), 3, "a".into(), 1);
        let counts = |records_read| Counts { records_read, ..Counts::default() };
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        watch.since(Phase::Writing, begun);
        [100, 150, 120, 180].iter().for_each(|read| watch.counted(&counts(*read)));
        watch.retried();
        drop(watch);
        let ledger = progress.ledger();
        let task = &ledger.slowest[0];
        assert_eq!((task.task, task.lane, task.done), (3, 1, false));
        assert_eq!((task.spent.records, task.spent.retries), (80, 1));
        assert_eq!(task.spent.times.of(Phase::Writing), Duration::from_secs(2));
        assert_eq!(progress.times().of(Phase::Writing), Duration::from_secs(2));
    }
}
