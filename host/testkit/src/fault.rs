//! What goes wrong in a simulation, as data: the n-th call of an operation, and how.

/// A call of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    SourceConnect,
    ReaderPlan,
    ReaderSplits,
    ReaderOpen,
    ReaderNext,
    ReaderAcknowledge,
    ReaderTend,
    StepConnect,
    StepOpen,
    StepApply,
    DestinationConnect,
    WriterPrepare,
    WriterPreview,
    WriterOpen,
    WriterWrite,
    WriterCommit,
    WriterClose,
    WriterFinish,
    WriterReadBack,
    BackRead,
    WriterTend,
    StoreRecord,
    StoreLoad,
    StoreNewestUnfinished,
    StoreBookmarks,
    StoreHappened,
    StoreSavePlan,
    StoreSavePrepared,
    StoreAddSplits,
    StoreTasks,
    StoreClaim,
    StoreDropDirty,
    StoreAddDirty,
    StoreSaveSums,
    StoreTaskSums,
    StoreRunSums,
    StoreSaveVerified,
    StoreCheckpoint,
    StoreComplete,
}

use Operation as O;

impl Operation {
    /// All that an attempt on a recorded run may call, but what only a resumed task asks for.
    pub const ALL: [Self; 36] = [
        O::SourceConnect,
        O::ReaderPlan,
        O::ReaderSplits,
        O::ReaderOpen,
        O::ReaderNext,
        O::ReaderAcknowledge,
        O::ReaderTend,
        O::StepConnect,
        O::StepOpen,
        O::StepApply,
        O::DestinationConnect,
        O::WriterPrepare,
        O::WriterPreview,
        O::WriterOpen,
        O::WriterWrite,
        O::WriterCommit,
        O::WriterClose,
        O::WriterFinish,
        O::WriterReadBack,
        O::BackRead,
        O::WriterTend,
        O::StoreLoad,
        O::StoreBookmarks,
        O::StoreHappened,
        O::StoreSavePlan,
        O::StoreSavePrepared,
        O::StoreAddSplits,
        O::StoreTasks,
        O::StoreClaim,
        O::StoreDropDirty,
        O::StoreAddDirty,
        O::StoreSaveSums,
        O::StoreRunSums,
        O::StoreSaveVerified,
        O::StoreCheckpoint,
        O::StoreComplete,
    ];

    pub fn word(self) -> &'static str {
        match self {
            O::SourceConnect => "source.connect",
            O::ReaderPlan => "reader.plan",
            O::ReaderSplits => "reader.splits",
            O::ReaderOpen => "reader.open",
            O::ReaderNext => "reader.next",
            O::ReaderAcknowledge => "reader.acknowledge",
            O::ReaderTend => "reader.tend",
            O::StepConnect => "step.connect",
            O::StepOpen => "step.open",
            O::StepApply => "step.apply",
            O::DestinationConnect => "destination.connect",
            O::WriterPrepare => "writer.prepare",
            O::WriterPreview => "writer.preview",
            O::WriterOpen => "writer.open",
            O::WriterWrite => "writer.write",
            O::WriterCommit => "writer.commit",
            O::WriterClose => "writer.close",
            O::WriterFinish => "writer.finish",
            O::WriterReadBack => "writer.read_back",
            O::BackRead => "back.read",
            O::WriterTend => "writer.tend",
            O::StoreRecord => "store.record",
            O::StoreLoad => "store.load",
            O::StoreNewestUnfinished => "store.newest_unfinished",
            O::StoreBookmarks => "store.bookmarks",
            O::StoreHappened => "store.happened",
            O::StoreSavePlan => "store.save_plan",
            O::StoreSavePrepared => "store.save_prepared",
            O::StoreAddSplits => "store.add_splits",
            O::StoreTasks => "store.tasks",
            O::StoreClaim => "store.claim",
            O::StoreDropDirty => "store.drop_dirty",
            O::StoreAddDirty => "store.add_dirty",
            O::StoreSaveSums => "store.save_sums",
            O::StoreTaskSums => "store.task_sums",
            O::StoreRunSums => "store.run_sums",
            O::StoreSaveVerified => "store.save_verified",
            O::StoreCheckpoint => "store.checkpoint",
            O::StoreComplete => "store.complete",
        }
    }

    pub fn is_store(self) -> bool {
        self >= O::StoreRecord
    }

    /// Whether it is one of a plug-in between source and destination.
    pub fn is_step(self) -> bool {
        matches!(self, O::StepConnect | O::StepOpen | O::StepApply)
    }

    /// Whether a newer epoch of the task makes it fail.
    pub fn is_fenced(self) -> bool {
        matches!(
            self,
            O::WriterWrite
                | O::WriterCommit
                | O::WriterClose
                | O::StoreDropDirty
                | O::StoreAddDirty
                | O::StoreCheckpoint
                | O::StoreComplete
        )
    }
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A fault of the outside world that would come again.
    Error,
    /// A fault of the outside world that may not come again.
    Retry,
    /// It took effect, and the answer got lost: a fault that may not come again.
    Lost,
    /// A fault of the content.
    DataError,
    /// Answers after a long simulated time; whether it took effect before is chance.
    Hang,
    /// The user asks for a stop while the call is under way.
    Stop,
    /// The process dies just before the call takes effect.
    CrashBefore,
    /// The process dies just after the call took effect.
    CrashAfter,
    /// The process is taken for dead and another one goes on; when that has the task in hand, the call
    /// reaches its end after all, and must be refused.
    Overtaken,
}

impl FaultKind {
    pub const ALL: [Self; 9] = [
        Self::Error,
        Self::Retry,
        Self::Lost,
        Self::DataError,
        Self::Hang,
        Self::Stop,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Overtaken,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Retry => "retry",
            Self::Lost => "lost",
            Self::DataError => "data-error",
            Self::Hang => "hang",
            Self::Stop => "stop",
            Self::CrashBefore => "crash-before",
            Self::CrashAfter => "crash-after",
            Self::Overtaken => "overtaken",
        }
    }

    /// Books have no content to complain about, and a `tend` is short: the sandbox ends one that hangs.
    /// Only what is done for a task has an epoch that a newer one fences. Everything else may happen
    /// everywhere.
    pub fn fits(self, operation: Operation) -> bool {
        let tend = matches!(operation, Operation::ReaderTend | Operation::WriterTend);
        match self {
            Self::DataError => !operation.is_store(),
            Self::Hang => !tend,
            Self::Overtaken => operation.is_fenced(),
            _ => true,
        }
    }
}

/// One thing that goes wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// The phase in which the calls are counted; `None`: the whole run.
    pub phase: Option<Phase>,
    pub operation: Operation,
    /// Counts the calls of the operation over all attempts, from 1.
    pub nth: u64,
    pub kind: FaultKind,
}

/// How far a run has come when a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The attempt is not in the books yet.
    Starting,
    Planning,
    Preparing,
    /// The first attempt moves records.
    Moving,
    /// A later one does, behind what is durable.
    Resuming,
    Finishing,
    Clearing,
    /// Succeeded or failed: only the summary is made.
    Ended,
}

impl Phase {
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Planning,
        Self::Preparing,
        Self::Moving,
        Self::Resuming,
        Self::Finishing,
        Self::Clearing,
        Self::Ended,
    ];

    /// What is called here in every run, or behind a single fault.
    pub fn operations(self) -> &'static [Operation] {
        match self {
            Self::Starting => &[O::StoreHappened, O::StoreLoad, O::StoreTasks],
            Self::Planning => &[O::SourceConnect, O::ReaderPlan, O::ReaderTend, O::StoreSavePlan],
            Self::Preparing => &[
                O::StepConnect,
                O::StepOpen,
                O::DestinationConnect,
                O::WriterPrepare,
                O::WriterPreview,
                O::StoreSavePrepared,
            ],
            Self::Moving | Self::Resuming => &[
                O::SourceConnect,
                O::ReaderSplits,
                O::ReaderOpen,
                O::ReaderNext,
                O::ReaderAcknowledge,
                O::ReaderTend,
                O::StepConnect,
                O::StepOpen,
                O::StepApply,
                O::DestinationConnect,
                O::WriterOpen,
                O::WriterWrite,
                O::WriterCommit,
                O::WriterClose,
                O::WriterTend,
                O::StoreHappened,
                O::StoreAddSplits,
                O::StoreTasks,
                O::StoreClaim,
                O::StoreDropDirty,
                O::StoreAddDirty,
                O::StoreCheckpoint,
                O::StoreComplete,
            ],
            Self::Finishing | Self::Clearing => {
                &[O::DestinationConnect, O::WriterFinish, O::StoreTasks, O::StoreHappened]
            }
            Self::Ended => &[O::StoreLoad, O::StoreTasks],
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Planning => "planning",
            Self::Preparing => "preparing",
            Self::Moving => "moving",
            Self::Resuming => "resuming",
            Self::Finishing => "finishing",
            Self::Clearing => "clearing",
            Self::Ended => "ended",
        }
    }
}

/// A fault that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Met {
    pub phase: Phase,
    pub operation: Operation,
    pub kind: FaultKind,
    /// Whether the prepared answer was in the books.
    pub prepared: bool,
}
