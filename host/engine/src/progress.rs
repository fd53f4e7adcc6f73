//! What people see of a run while it goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use domain::{Counts, TaskIndex};
use tokio::time::Instant;

use crate::watch::{Clocks, Ledger, Ledgers, Times};

/// What an attempt is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    #[default]
    Planning,
    Preparing,
    Moving,
    Finishing,
    Verifying,
    Clearing,
}

impl Stage {
    const ALL: [Self; 6] = [
        Self::Planning,
        Self::Preparing,
        Self::Moving,
        Self::Finishing,
        Self::Verifying,
        Self::Clearing,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Preparing => "preparing",
            Self::Moving => "moving",
            Self::Finishing => "finishing",
            Self::Verifying => "verifying",
            Self::Clearing => "clearing",
        }
    }
}

/// Counters of a running attempt; written by lanes, read by whoever shows them.
#[derive(Debug, Default)]
pub struct Progress {
    stage: AtomicU8,
    records_read: AtomicU64,
    records_written: AtomicU64,
    records_dirty: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    tasks_known: AtomicU64,
    tasks_done: AtomicU64,
    retries: AtomicU64,
    begun: OnceLock<Instant>,
    /// When each stage began.
    stages: Mutex<Vec<(Stage, Instant)>>,
    /// Of all tasks.
    pub(crate) clocks: Clocks,
    pub(crate) ledgers: Ledgers,
    /// Tasks that are done and were begun anew before, and how many of their records may have been
    /// written twice.
    redone: Mutex<BTreeMap<TaskIndex, u64>>,
    /// What unfinished tasks had counted when the attempt began, as long as nobody works on them.
    carried: Mutex<BTreeMap<TaskIndex, Counts>>,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub stage: Stage,
    pub records_read: u64,
    pub records_written: u64,
    pub records_dirty: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub tasks_known: u64,
    pub tasks_done: u64,
    pub retries: u64,
}

impl Progress {
    pub fn seen(&self) -> Seen {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stage = self.stage.load(Ordering::Relaxed);
        Seen {
            stage: Stage::ALL.into_iter().find(|one| *one as u8 == stage).unwrap_or_default(),
            records_read: get(&self.records_read),
            records_written: get(&self.records_written),
            records_dirty: get(&self.records_dirty),
            bytes_read: get(&self.bytes_read),
            bytes_written: get(&self.bytes_written),
            tasks_known: get(&self.tasks_known),
            tasks_done: get(&self.tasks_done),
            retries: get(&self.retries),
        }
    }

    /// How long tasks were at each part of their work, over all lanes.
    pub fn times(&self) -> Times {
        self.clocks.times()
    }

    /// What tasks took that ended, or were left.
    pub fn ledger(&self) -> Ledger {
        self.ledgers.read()
    }

    /// What the attempt was at, in order, and how long; the last until now.
    pub fn stages(&self) -> Vec<(Stage, Duration)> {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = stages.iter().skip(1).map(|(_, begun)| *begun).chain([Instant::now()]);
        stages.iter().zip(ends).map(|((stage, begun), end)| (*stage, end - *begun)).collect()
    }

    /// How long rows have moved.
    pub fn moving(&self) -> Duration {
        let moving = |(stage, _): &(Stage, Duration)| *stage == Stage::Moving;
        self.stages().into_iter().filter(moving).map(|(_, time)| time).sum()
    }

    /// How long after the attempt's beginning `at` is.
    pub(crate) fn since_begun(&self, at: Instant) -> Duration {
        self.begun.get().map_or(Duration::ZERO, |begun| at.saturating_duration_since(*begun))
    }

    pub(crate) fn enter(&self, stage: Stage) {
        let now = Instant::now();
        self.begun.get_or_init(|| now);
        self.stage.store(stage as u8, Ordering::Relaxed);
        self.stages.lock().unwrap_or_else(PoisonError::into_inner).push((stage, now));
    }

    /// A task's counts went from `old` to `new`; back, where it is tried again.
    pub(crate) fn moved(&self, old: &Counts, new: &Counts) {
        let add = |counter: &AtomicU64, old: u64, new: u64| {
            counter.fetch_add(new.wrapping_sub(old), Ordering::Relaxed);
        };
        add(&self.records_read, old.records_read, new.records_read);
        add(&self.records_written, old.records_written, new.records_written);
        add(&self.records_dirty, old.records_dirty, new.records_dirty);
        add(&self.bytes_read, old.bytes_read, new.bytes_read);
        add(&self.bytes_written, old.bytes_written, new.bytes_written);
    }

    /// An earlier attempt left a task unfinished, with these counts.
    pub(crate) fn carry(&self, task: TaskIndex, counts: Counts) {
        self.moved(&Counts::default(), &counts);
        self.carried.lock().unwrap_or_else(PoisonError::into_inner).insert(task, counts);
    }

    /// A task goes on from these counts, or is done with them.
    pub(crate) fn goes_on(&self, task: TaskIndex, counts: &Counts) {
        let carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner).remove(&task);
        self.moved(&carried.unwrap_or_default(), counts);
    }

    pub(crate) fn dirty(&self) -> u64 {
        self.records_dirty.load(Ordering::Relaxed)
    }

    pub(crate) fn tasks_came(&self, count: u64) {
        self.tasks_known.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn task_done(&self) {
        self.tasks_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn redone(&self, task: TaskIndex, records: u64) {
        let mut redone = self.redone.lock().unwrap_or_else(PoisonError::into_inner);
        redone.insert(task, records);
    }

    /// Records of `task` that may have been written twice, where this attempt did it.
    pub(crate) fn written_twice(&self, task: TaskIndex) -> Option<u64> {
        self.redone.lock().unwrap_or_else(PoisonError::into_inner).get(&task).copied()
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }
}
