//! Everything that a simulation depends on.

use std::time::Duration;

use domain::job::ErrorLimit;
use domain::port::CommitMode;

use crate::fault::{FaultKind, FaultPlan, Operation, Phase};
use crate::planted::Planted;
use crate::prng::Rng;
use crate::table::{self, Amounts, Fate, Record, SplitScript};

/// What the engine under test can do; scenarios ask for no more.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// Casts texts and decimals to integers, and calls those dirty that are none.
    pub casts: bool,
    /// Calls `tend` when a session asked for it, also while the other side holds things up.
    pub tends: bool,
    /// Halves a batch where `undone` named no row.
    pub halves: bool,
    /// Looks at the stop signal.
    pub stops: bool,
    /// Fails a run with too many dirty records.
    pub limits: bool,
    /// Reads back what was written.
    pub verifies: bool,
    /// Sends records through a plug-in between source and destination.
    pub steps: bool,
}

impl Abilities {
    pub const ALL: Self = Self {
        casts: true,
        tends: true,
        halves: true,
        stops: true,
        limits: true,
        verifies: true,
        steps: true,
    };
}

/// A simulation, whole: the same scenario plays the same.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// For what chance decides while it plays: latencies, and where steps are cut.
    pub seed: u64,
    pub splits: Vec<SplitScript>,
    pub reading: Reading,
    /// Between the two, where there is one.
    pub step: Option<Stepping>,
    pub writing: Writing,
    /// Handed to the engine.
    pub lanes: u32,
    /// Dirty records that the run may have; handed to the engine.
    pub error_limit: ErrorLimit,
    /// What the engine may keep of batches that are not taken; handed to it.
    pub uncommitted_bytes: u64,
    /// Each call takes up to this long before and after its effect.
    pub latency_ms_max: u64,
    /// What was written is read back; not where it may be there twice.
    pub verify: bool,
    pub faults: Vec<FaultPlan>,
    pub planted: Option<Planted>,
}

/// How the source behaves.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Records in one step at most.
    pub step_records: u32,
    /// A position with every n-th step; `None`: never, a split is redone whole.
    pub position_every: Option<u32>,
    pub idle_percent: u64,
    /// `Advanced` between two steps.
    pub advance_percent: u64,
    /// Two batches in a step.
    pub two_batches_percent: u64,
    pub bookmark: bool,
    pub splits_per_call: u32,
    pub amounts: Amounts,
    pub tend: Option<Duration>,
}

/// How the step between source and destination behaves.
#[derive(Clone, Copy, Debug)]
pub struct Stepping {
    /// Rows of one answer at most; the others come again.
    pub takes: u32,
}

/// How the destination behaves.
#[derive(Clone, Debug)]
pub struct Writing {
    pub mode: CommitMode,
    /// `open` answers the mark that the destination holds. Always so where redoing would do harm.
    pub keeps_marks: bool,
    pub taking: Taking,
    /// A commit without `now` is durable only after so many more.
    pub lag: usize,
    /// `undone` names all rows that are to blame, not only the first.
    pub names_all: bool,
    /// What is told of a row in a later answer may come with a commit, which then is void.
    pub tells_at_commit: bool,
    /// Every answer tells the newest durable mark, not only the first that can.
    pub repeats_durable: bool,
    pub commit_ms: u32,
    pub batch_rows: u32,
    pub tend: Option<Duration>,
}

/// When the destination takes batches for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    AtOnce,
    /// As soon as it holds so many.
    Every(usize),
    AtCommit,
}

impl Scenario {
    pub fn from_seed(seed: u64, can: Abilities) -> Self {
        let mut rng = Rng::of(&[seed, 1]);
        let reading = reading(&mut rng, can);
        let position_every = reading.position_every;
        let writing = writing(&mut rng, can);
        let step = stepping(&mut Rng::of(&[seed, 5]), can);
        let splits = splits(&mut rng, can, &reading, step, &writing);
        let dirty = splits.iter().flat_map(|one| &one.records).filter(|one| one.fate.is_dirty());
        let dirty = dirty.count() as u64;
        let error_limit = match rng.between(0, 9) {
            0 if can.limits && dirty > 0 => records_limit(rng.between(0, dirty - 1)),
            1 | 2 if can.limits => records_limit(dirty),
            3 if can.limits => ErrorLimit { records: None, share: Some(rng.pick(&SHARES)) },
            _ => ErrorLimit::NONE,
        };
        let verify = Rng::of(&[seed, 2]).between(0, 1) == 1;
        let may_repeat = writing.mode == CommitMode::AtLeastOnce;
        let mut scenario = Self {
            seed,
            splits,
            reading,
            step,
            writing,
            lanes: rng.between(1, 4) as u32,
            error_limit,
            uncommitted_bytes: uncommitted_bytes(&mut rng, position_every),
            latency_ms_max: rng.pick(&[0, 1, 5, 200]),
            verify: can.verifies && verify && !may_repeat,
            faults: faults(&mut rng, can, step),
            planted: None,
        };
        // A session that wants to be tended all the time, for hours, would say nothing new.
        if scenario.faults.iter().any(|fault| fault.kind == FaultKind::Hang) {
            let calm = |tend: &mut Option<Duration>| *tend = tend.map(|_| TEND);
            calm(&mut scenario.reading.tend);
            calm(&mut scenario.writing.tend);
        }
        scenario
    }

    /// The same with `planted` in it.
    pub fn with(mut self, planted: Planted) -> Self {
        self.planted = Some(planted);
        self
    }

    /// All records with the split that they stand in.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.splits.iter().flat_map(|split| split.records.iter().copied())
    }

    pub fn fate(&self, id: i64) -> Option<Fate> {
        if let Some(origin) = table::twin_of(id) {
            return (self.fate(origin)? == Fate::Doubled).then_some(Fate::Good);
        }
        let (split, index) = table::place_of(id)?;
        Some(self.splits.get(split)?.records.get(index)?.fate)
    }

    pub fn dirty_expected(&self) -> u64 {
        self.records().filter(|record| record.fate.is_dirty()).count() as u64
    }

    /// Records of one fate.
    pub fn count(&self, fate: Fate) -> u64 {
        self.records().filter(|record| record.fate == fate).count() as u64
    }
}

/// Too little for a whole split only where positions come often enough for commits in between.
fn uncommitted_bytes(rng: &mut Rng, position_every: Option<u32>) -> u64 {
    match position_every {
        Some(_) => rng.pick(&[8_000, 50_000, 1 << 20]),
        None => rng.pick(&[100_000, 1 << 20]),
    }
}

const TEND: Duration = Duration::from_secs(20);
/// What sessions may ask for, sensible or not.
const TENDS: [Duration; 4] = [TEND, TEND, Duration::from_millis(1), Duration::ZERO];
/// Dirty records as a share of all: around what scenarios have.
const SHARES: [f64; 3] = [0.0, 0.05, 0.5];

fn records_limit(records: u64) -> ErrorLimit {
    ErrorLimit { records: Some(records), share: None }
}

fn reading(rng: &mut Rng, can: Abilities) -> Reading {
    Reading {
        step_records: rng.between(1, 12) as u32,
        position_every: rng.pick(&[Some(1), Some(1), Some(2), Some(5), None]),
        idle_percent: rng.pick(&[0, 0, 20]),
        advance_percent: rng.pick(&[0, 0, 20]),
        two_batches_percent: rng.pick(&[0, 30]),
        bookmark: rng.chance(50),
        splits_per_call: rng.between(1, 4) as u32,
        amounts: match can.casts {
            true => rng.pick(&[Amounts::Integers, Amounts::Texts, Amounts::Decimals]),
            false => Amounts::Integers,
        },
        tend: (can.tends && rng.chance(25)).then(|| rng.pick(&TENDS)),
    }
}

fn stepping(rng: &mut Rng, can: Abilities) -> Option<Stepping> {
    (can.steps && rng.chance(30)).then(|| Stepping { takes: rng.pick(&[1, 3, 100]) })
}

fn writing(rng: &mut Rng, can: Abilities) -> Writing {
    let mode = rng.pick(&CommitMode::ALL);
    let may_forget = matches!(mode, CommitMode::Idempotent | CommitMode::AtLeastOnce);
    Writing {
        mode,
        keeps_marks: !may_forget || (mode == CommitMode::Idempotent && rng.chance(50)),
        taking: rng.pick(&[Taking::AtOnce, Taking::Every(2), Taking::Every(4), Taking::AtCommit]),
        lag: rng.pick(&[0, 0, 1, 3]),
        names_all: rng.chance(50),
        tells_at_commit: rng.chance(50),
        repeats_durable: rng.chance(50),
        commit_ms: rng.pick(&[0, 0, 10, 1_000]),
        batch_rows: rng.pick(&[0, 3, 50]),
        tend: (can.tends && rng.chance(25)).then(|| rng.pick(&TENDS)),
    }
}

fn splits(
    rng: &mut Rng,
    can: Abilities,
    reading: &Reading,
    step: Option<Stepping>,
    writing: &Writing,
) -> Vec<SplitScript> {
    let mut bad = vec![Fate::Undecodable, Fate::RefusedAtOnce, Fate::RefusedNext, Fate::Changed];
    bad.extend([Fate::RefusedLate, Fate::ChangedNext]);
    if reading.amounts != Amounts::Integers {
        bad.push(Fate::Uncastable);
    }
    if step.is_some() {
        bad.extend([Fate::Dropped, Fate::Doubled, Fate::RefusedByStep]);
    }
    // Halving finds the row only where a write says by itself that it went wrong.
    if can.halves && writing.taking == Taking::AtOnce {
        bad.push(Fate::RefusedUnnamed);
    }
    let bad_percent = rng.pick(&[0, 3, 15]);
    let stages = rng.pick(&[1, 1, 2]);
    let count = rng.between(1, 5) as usize;
    (0..count)
        .map(|split| {
            let length = rng.between(0, 60) as usize;
            let records = (0..length).map(|index| Record {
                id: table::id(split, index),
                fate: if rng.chance(bad_percent) { rng.pick(&bad) } else { Fate::Good },
            });
            let records = records.collect();
            SplitScript { stage: (split * stages / count) as u32, records }
        })
        .collect()
}

/// Mostly a few faults, sometimes none, so that the plain way is simulated too.
fn faults(rng: &mut Rng, can: Abilities, step: Option<Stepping>) -> Vec<FaultPlan> {
    let steps = Phase::ALL
        .into_iter()
        .flat_map(|phase| phase.operations().iter().map(move |operation| (phase, *operation)));
    let steps: Vec<_> = steps.collect();
    let count = rng.pick(&[0, 1, 1, 2, 3, 5]);
    let mut faults = Vec::new();
    while faults.len() < count {
        let (phase, operation) = rng.pick(&steps);
        let kind = rng.pick(&FaultKind::ALL);
        let nth = rng.between(1, often(operation));
        let wanted = kind.fits(operation)
            && (can.stops || kind != FaultKind::Stop)
            && (step.is_some() || !operation.is_step());
        // A fault of the content ends most runs, so it must not come with every other seed.
        if wanted && (kind != FaultKind::DataError || rng.chance(60)) {
            faults.extend(way_to(phase, rng));
            faults.push(FaultPlan { phase: Some(phase), operation, nth, kind });
        }
    }
    faults
}

/// The fault without which a run seldom comes into a phase.
fn way_to(phase: Phase, rng: &mut Rng) -> Option<FaultPlan> {
    let kind = match phase {
        Phase::Resuming => rng.pick(&[FaultKind::CrashBefore, FaultKind::CrashAfter]),
        Phase::Clearing => FaultKind::DataError,
        _ => return None,
    };
    let operation = rng.pick(&[Operation::ReaderNext, Operation::WriterWrite]);
    let nth = rng.between(1, often(operation));
    Some(FaultPlan { phase: Some(Phase::Moving), operation, nth, kind })
}

/// How often an operation is called in a phase of a typical run, roughly: faults beyond never come.
fn often(operation: Operation) -> u64 {
    use Operation as O;
    match operation {
        O::ReaderNext | O::StepApply | O::WriterWrite => 20,
        O::WriterCommit | O::StoreCheckpoint | O::ReaderAcknowledge => 3,
        O::ReaderOpen | O::WriterOpen | O::WriterClose | O::StoreClaim | O::StoreComplete => 4,
        O::StoreDropDirty | O::ReaderTend | O::WriterTend => 4,
        O::StoreHappened | O::StoreTasks | O::StoreLoad => 1,
        _ => 2,
    }
}
