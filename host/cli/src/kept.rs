//! What the books keep of an attempt beside its marks: stages, times, rates and advice, as JSON of the
//! command line's own. All of it is bounded.

use std::time::Duration;

use domain::fault::{Fault, Result};
use domain::grant::Grant;
use domain::mark::Counts;
use engine::mapping::ColumnCast;
use engine::watch::{Phase, Spent, TaskSpent};
use serde::{Deserialize, Serialize};

use crate::render::summary::Summary;
use crate::render::{dataset, fault};
use crate::sampler::Sample;

/// Columns whose casts are kept; a wider table shows its first ones.
const COLUMNS_MAX: usize = 500;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    /// Milliseconds since 1970.
    pub(crate) began_ms: i64,
    pub(crate) elapsed_ms: u64,
    /// `running`: it was killed before it could say how it ended.
    pub(crate) status: String,
    pub(crate) counts: KeptCounts,
    pub(crate) commit_mode: Option<String>,
    /// Lanes that the job allows.
    pub(crate) concurrent: u32,
    /// What the attempt was at, and for how long, in order.
    pub(crate) stages: Vec<(String, u64)>,
    pub(crate) lanes: Vec<KeptLane>,
    pub(crate) slowest: Vec<KeptTask>,
    /// All tasks but the slowest.
    pub(crate) rest: KeptSpent,
    pub(crate) samples: Vec<Sample>,
    pub(crate) advice: Vec<KeptAdvice>,
    pub(crate) clock: String,
    pub(crate) grants: Vec<KeptGrant>,
    pub(crate) columns: Vec<KeptColumn>,
    /// Columns that are not among `columns`.
    pub(crate) columns_more: usize,
    pub(crate) notes: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) error: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptCounts {
    pub(crate) records_read: u64,
    pub(crate) records_nulled: u64,
    pub(crate) records_written: u64,
    pub(crate) records_filtered: u64,
    pub(crate) records_dirty: u64,
    pub(crate) records_changed: u64,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
}

impl From<Counts> for KeptCounts {
    fn from(counts: Counts) -> Self {
        Self {
            records_read: counts.records_read,
            records_nulled: counts.records_nulled,
            records_written: counts.records_written,
            records_filtered: counts.records_filtered,
            records_dirty: counts.records_dirty,
            records_changed: counts.records_changed,
            bytes_read: counts.bytes_read,
            bytes_written: counts.bytes_written,
        }
    }
}

/// Milliseconds of each part of the work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptSpent {
    pub(crate) tasks: u64,
    pub(crate) elapsed_ms: u64,
    pub(crate) reading_ms: u64,
    pub(crate) processing_ms: u64,
    pub(crate) waiting_throttle_ms: u64,
    pub(crate) waiting_writer_ms: u64,
    pub(crate) waiting_reader_ms: u64,
    pub(crate) writing_ms: u64,
    pub(crate) committing_ms: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) dirty: u64,
    pub(crate) commits: u64,
    pub(crate) retries: u64,
}

impl From<&Spent> for KeptSpent {
    fn from(spent: &Spent) -> Self {
        let of = |part| milliseconds(spent.times.of(part));
        Self {
            tasks: spent.tasks,
            elapsed_ms: milliseconds(spent.elapsed),
            reading_ms: of(Phase::Reading),
            processing_ms: of(Phase::Processing),
            waiting_throttle_ms: of(Phase::WaitingThrottle),
            waiting_writer_ms: of(Phase::WaitingWriter),
            waiting_reader_ms: of(Phase::WaitingReader),
            writing_ms: of(Phase::Writing),
            committing_ms: of(Phase::Committing),
            records: spent.records,
            bytes: spent.bytes,
            dirty: spent.dirty,
            commits: spent.commits,
            retries: spent.retries,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptLane {
    pub(crate) lane: u32,
    #[serde(flatten)]
    pub(crate) spent: KeptSpent,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptTask {
    pub(crate) task: u32,
    pub(crate) label: String,
    pub(crate) lane: u32,
    /// Since the attempt began.
    pub(crate) started_ms: u64,
    pub(crate) done: bool,
    #[serde(flatten)]
    pub(crate) spent: KeptSpent,
}

impl From<&TaskSpent> for KeptTask {
    fn from(task: &TaskSpent) -> Self {
        Self {
            task: task.task,
            label: task.label.clone(),
            lane: task.lane,
            started_ms: milliseconds(task.started),
            done: task.done,
            spent: (&task.spent).into(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptAdvice {
    pub(crate) code: String,
    pub(crate) text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptGrant {
    pub(crate) side: String,
    pub(crate) place: String,
    pub(crate) named_by: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptColumn {
    pub(crate) dataset: String,
    pub(crate) from: String,
    pub(crate) from_type: String,
    pub(crate) to: String,
    pub(crate) to_type: String,
    pub(crate) cast: String,
    pub(crate) allowed: bool,
}

impl KeptColumn {
    pub(crate) fn new(dataset: &str, pair: &ColumnCast) -> Self {
        Self {
            dataset: dataset.to_owned(),
            from: pair.from.name().clone(),
            from_type: dataset::type_text(&pair.from),
            to: pair.to.name().clone(),
            to_type: dataset::type_text(&pair.to),
            cast: pair.cast.word().to_owned(),
            allowed: pair.is_allowed(),
        }
    }
}

impl Kept {
    /// An attempt that begins.
    pub(crate) fn begun(began_ms: i64, concurrent: u32, clock: &str) -> Self {
        Self {
            began_ms,
            concurrent,
            clock: clock.to_owned(),
            status: "running".into(),
            ..Self::default()
        }
    }

    fn grant(side: &str, grant: &Grant) -> KeptGrant {
        let (place, named_by) = (grant.requirement.to_string(), grant.origin.clone());
        KeptGrant { side: side.to_owned(), place, named_by }
    }

    /// What the engine knows of the attempt so far.
    pub(crate) fn look(&mut self, progress: &engine::Progress) {
        let ledger = progress.ledger();
        let lane = |(lane, spent): (&u32, &Spent)| KeptLane { lane: *lane, spent: spent.into() };
        self.lanes = ledger.lanes.iter().map(lane).collect();
        self.slowest = ledger.slowest.iter().map(KeptTask::from).collect();
        self.rest = (&ledger.rest).into();
        let stages = progress.stages().into_iter();
        self.stages =
            stages.map(|(stage, time)| (stage.word().to_owned(), milliseconds(time))).collect();
    }

    /// How the attempt ended, and what was told of it.
    pub(crate) fn end(&mut self, summary: &Summary, columns: &[(String, Vec<ColumnCast>)]) {
        self.status = summary.status.word().to_owned();
        self.counts = summary.counts.into();
        self.commit_mode = summary.commit_mode.map(|mode| mode.word().to_owned());
        let advice = summary.advice.iter();
        self.advice = advice
            .map(|one| KeptAdvice { code: one.code.to_owned(), text: one.text.clone() })
            .collect();
        self.grants = summary.grants.iter().map(|(side, grant)| Self::grant(side, grant)).collect();
        let all =
            columns.iter().flat_map(|(name, pairs)| pairs.iter().map(move |pair| (name, pair)));
        self.columns_more = all.clone().count().saturating_sub(COLUMNS_MAX);
        let kept = all.take(COLUMNS_MAX);
        self.columns = kept.map(|(name, pair)| KeptColumn::new(name, pair)).collect();
        self.notes = summary.notes.clone();
        self.warnings = summary.warnings.iter().map(fault::text).collect();
        self.error = summary.fault.as_ref().map(fault::text);
    }

    pub(crate) fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| {
            Fault::internal("books.report", format!("cannot write a report: {error}"))
        })
    }

    pub(crate) fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Fault::internal("books.report", format!("a report is unreadable: {error}"))
        })
    }
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
