//! The port `Source` over the table of a scenario.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::port::{Budget, Plan, Reader, Rows, Source, Split, Splits, Step, Undecodable};
use domain::{Dataset, Fault, Position, Result, TaskIndex};

use crate::fault::Operation;
use crate::planted::Planted;
use crate::prng::Rng;
use crate::table::{self, Amounts, Fate, Record};
use crate::world::{State, Tending, World};

pub struct ScriptedSource {
    world: Arc<World>,
}

/// What the source remembers over all attempts, as a server would.
#[derive(Default)]
pub(crate) struct SourceState {
    sessions: u64,
    /// How often each split was opened.
    pub(crate) opened: BTreeMap<usize, u32>,
    /// Records that were read of each split, again and again counted.
    pub(crate) read: BTreeMap<usize, u64>,
    /// The furthest index that was acknowledged: what lies before may be pruned away.
    acknowledged: BTreeMap<usize, usize>,
    /// The session that has a split open in this attempt.
    pub(crate) live: BTreeMap<usize, u64>,
    /// The session that planned in this attempt, and whether it was dropped before its time.
    pub(crate) planner: Option<u64>,
    planner_dropped: bool,
}

impl SourceState {
    /// What a process held goes with it.
    pub(crate) fn forget_process(&mut self) {
        self.live.clear();
        self.planner = None;
        self.planner_dropped = false;
    }
}

impl ScriptedSource {
    pub fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

impl Source for ScriptedSource {
    type Session = ScriptedReader;

    async fn connect(&self) -> Result<ScriptedReader> {
        let number = self
            .world
            .call(Operation::SourceConnect, String::new(), |state| {
                state.source.sessions += 1;
                Ok(state.source.sessions)
            })
            .await?;
        let world = Arc::clone(&self.world);
        Ok(ScriptedReader { world, number, cursor: None, dead: false, tending: Tending::default() })
    }
}

pub struct ScriptedReader {
    world: Arc<World>,
    number: u64,
    cursor: Option<Cursor>,
    /// It answered a fault, so it may only be dropped.
    dead: bool,
    tending: Tending,
}

struct Cursor {
    split: usize,
    /// The record that comes next.
    index: usize,
    steps: u32,
    /// What was done at this index without moving on, so that it is done once.
    idled: Option<usize>,
    advanced: Option<usize>,
    ended: bool,
}

impl Drop for ScriptedReader {
    fn drop(&mut self) {
        let number = self.number;
        let mut state = self.world.lock();
        state.source.live.retain(|_, owner| *owner != number);
        // A session that failed must be dropped; a healthy one holds what it planned by.
        if state.source.planner == Some(number) && !self.dead {
            state.source.planner_dropped = true;
        }
    }
}

impl ScriptedReader {
    async fn call<T>(
        &mut self,
        operation: Operation,
        what: String,
        effect: impl FnOnce(&mut Option<Cursor>, &mut State) -> Result<T>,
    ) -> Result<T> {
        let what = format!("session {} {what}", self.number);
        {
            let mut state = self.world.lock();
            self.tending.look("reader", &mut state);
            let dead = self.dead;
            state.ensure(!dead, || format!("{} after a fault: {what}", operation.word()));
        }
        // A call that is dropped half-way leaves the session unusable as well.
        self.dead = true;
        let cursor = &mut self.cursor;
        let answer = self.world.call(operation, what, |state| effect(cursor, state)).await;
        self.dead = answer.is_err();
        self.tending.rest(None);
        answer
    }
}

impl Reader for ScriptedReader {
    async fn plan(&mut self, parallelism: u32, since: &[Position]) -> Result<Plan> {
        let what = format!("for {parallelism} since {}", since.len());
        let number = self.number;
        self.call(Operation::ReaderPlan, what, |_, state| {
            state.source.planner = Some(number);
            let planned = state.books.only().is_some_and(|book| !book.record.sources.is_empty());
            state.ensure(!planned, || "a plan is made again, though one is stored".into());
            let datasets = vec![table::dataset(state.scenario.reading.amounts)];
            Ok(Plan { datasets, bounded: true, start: b"0".to_vec() })
        })
        .await
    }

    async fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits> {
        let what = format!("at {} limit {limit}", String::from_utf8_lossy(at));
        self.call(Operation::ReaderSplits, what, |_, state| splits(state, at, limit)).await
    }

    async fn open(
        &mut self,
        split: &Split,
        start: Option<&Position>,
        datasets: &[Dataset],
    ) -> Result<()> {
        let number = self.number;
        let place = start.map(|start| String::from_utf8_lossy(start).into_owned());
        let what = format!("{} from {}", split.label, place.unwrap_or_default());
        self.call(Operation::ReaderOpen, what, |cursor, state| {
            state.source.live.retain(|_, owner| *owner != number);
            *cursor = Some(open(state, number, split, start, datasets)?);
            Ok(())
        })
        .await
    }

    async fn next(&mut self, budget: Budget) -> Result<Step> {
        let number = self.number;
        let step = self
            .call(Operation::ReaderNext, String::new(), |cursor, state| {
                let cursor = cursor.as_mut().ok_or_else(|| lie("next without a cursor"))?;
                let step = next(state, number, cursor, budget)?;
                if state.is_planted(Planted::AckOnRead)
                    && let Step::Rows(Rows { position: Some(position), .. }) = &step
                {
                    acknowledge(state, cursor.split, position);
                }
                Ok(step)
            })
            .await?;
        if step == Step::Idle {
            // Dropped while it waits, it is a call that was left half-way.
            self.dead = true;
            tokio::time::sleep(budget.wait).await;
            self.dead = false;
            self.tending.rest(None);
        }
        Ok(step)
    }

    async fn acknowledge(&mut self, position: &Position) -> Result<()> {
        let what = String::from_utf8_lossy(position).into_owned();
        self.call(Operation::ReaderAcknowledge, what, |cursor, state| {
            let cursor = cursor.as_ref().ok_or_else(|| lie("acknowledge without a cursor"))?;
            acknowledge(state, cursor.split, position);
            Ok(())
        })
        .await
    }

    async fn tend(&mut self) -> Result<Option<Duration>> {
        let asked = self
            .call(Operation::ReaderTend, String::new(), |_, state| Ok(state.scenario.reading.tend))
            .await?;
        self.tending.rest(Some(asked));
        Ok(asked)
    }
}

/// The engine did what no reader can answer.
fn lie(what: &str) -> Fault {
    Fault::plugin("testkit.misuse", what)
}

fn splits(state: &mut State, at: &[u8], limit: u32) -> Result<Splits> {
    let stored = state.books.only().map(|book| match book.record.sources.first() {
        Some(source) => source.next.clone(),
        None => b"0".to_vec(),
    });
    state.ensure(stored.as_deref() == Some(at), || {
        "splits are not asked for where they go on".into()
    });
    let text = std::str::from_utf8(at).unwrap_or_default();
    let first: usize = text.parse().map_err(|_| lie("splits at a place that was never told"))?;
    let all = &state.scenario.splits;
    let count = state.scenario.reading.splits_per_call.min(limit.max(1)) as usize;
    let next = all.len().min(first + count);
    let scripts = all.iter().enumerate().take(next).skip(first);
    Ok(Splits {
        splits: scripts.map(|(number, script)| table::split(number, script)).collect(),
        last: next == all.len(),
        next: next.to_string().into_bytes(),
    })
}

fn open(
    state: &mut State,
    session: u64,
    split: &Split,
    start: Option<&Position>,
    datasets: &[Dataset],
) -> Result<Cursor> {
    let number = table::split_of(&split.token)
        .filter(|number| *number < state.scenario.splits.len())
        .ok_or_else(|| lie("a split that was never told"))?;
    let index = match start {
        None => 0,
        Some(position) => match table::place_in(position) {
            Some((of, index)) if of == number => index,
            _ => return Err(lie("a position that was never told")),
        },
    };
    let known = vec![table::dataset(state.scenario.reading.amounts)];
    state.ensure(datasets == known, || format!("split {number} is opened with other datasets"));
    check_stage(state, number);
    let dropped = state.source.planner_dropped;
    state.ensure(!dropped, || "the session that planned was dropped before the run ended".into());
    if let Some(other) = state.source.live.insert(number, session) {
        state.violation(format!("split {number} is open in sessions {other} and {session}"));
    }
    let pruned = state.source.acknowledged.get(&number).copied().unwrap_or(0);
    state.ensure(index >= pruned, || {
        format!("invariant 1: split {number} is read again from {index}, acknowledged was {pruned}")
    });
    *state.source.opened.entry(number).or_default() += 1;
    Ok(Cursor { split: number, index, steps: 0, idled: None, advanced: None, ended: false })
}

/// A split starts when all of lower stages are done, and is not read again when it is done itself.
fn check_stage(state: &mut State, number: usize) {
    let is_done = |split: usize| task_of(state, split).is_some_and(|task| task.1);
    let stage = state.scenario.splits[number].stage;
    let lower = state.scenario.splits.iter().enumerate().filter(|(_, one)| one.stage < stage);
    let early = lower.map(|(split, _)| split).find(|split| !is_done(*split));
    let again = is_done(number);
    state.ensure(early.is_none(), || {
        format!("split {number} is opened before split {early:?} of a lower stage is done")
    });
    state.ensure(!again, || format!("split {number} is opened again, though its task is done"));
}

/// The task of a split, and whether it is done.
fn task_of(state: &State, split: usize) -> Option<(TaskIndex, bool)> {
    let token = table::token(split);
    let book = state.books.only()?;
    let task = book.tasks.iter().find(|task| task.split.token == token)?;
    Some((task.index, task.done.is_some()))
}

fn next(state: &mut State, session: u64, cursor: &mut Cursor, budget: Budget) -> Result<Step> {
    let ended = cursor.ended;
    state.ensure(!ended, || format!("split {} is asked for more after its end", cursor.split));
    let reading = state.scenario.reading.clone();
    let parts = [state.scenario.seed, 3, session, cursor.split as u64, cursor.index as u64];
    let mut rng = Rng::of(&parts);
    if rng.chance(reading.idle_percent) && cursor.idled != Some(cursor.index) {
        cursor.idled = Some(cursor.index);
        state.tell("idle");
        return Ok(Step::Idle);
    }
    let all = &state.scenario.splits[cursor.split].records;
    if cursor.index == all.len() {
        cursor.ended = true;
        let bookmark = reading.bookmark.then(|| table::position(cursor.split, cursor.index));
        state.tell("ended");
        return Ok(Step::Ended { bookmark });
    }
    if reading.position_every.is_some()
        && rng.chance(reading.advance_percent)
        && cursor.advanced != Some(cursor.index)
    {
        cursor.advanced = Some(cursor.index);
        state.tell("advanced");
        return Ok(Step::Advanced { position: table::position(cursor.split, cursor.index) });
    }
    let most = reading.step_records.min(budget.rows.max(1)) as u64;
    let count = (rng.between(1, most) as usize).min(all.len() - cursor.index);
    let records = all[cursor.index..cursor.index + count].to_vec();
    cursor.index += count;
    cursor.steps += 1;
    let position = reading
        .position_every
        .filter(|every| cursor.steps.is_multiple_of(*every))
        .map(|_| table::position(cursor.split, cursor.index));
    *state.source.read.entry(cursor.split).or_default() += count as u64;
    let place = if position.is_some() { " position" } else { "" };
    state.tell(&format!("split {} to {}{place}", cursor.split, cursor.index));
    let halves = rng.chance(reading.two_batches_percent);
    rows(&records, reading.amounts, halves, position)
}

fn rows(
    records: &[Record],
    amounts: Amounts,
    halves: bool,
    position: Option<Position>,
) -> Result<Step> {
    let (bad, good): (Vec<Record>, Vec<Record>) =
        records.iter().partition(|record| record.fate == Fate::Undecodable);
    let (first, second) = good.split_at(if halves { good.len() / 2 } else { 0 });
    let parts = [first, second].into_iter().filter(|part| !part.is_empty());
    let batches = parts.map(|part| table::batch(part, amounts)).collect::<Result<_>>()?;
    let undecodable = bad.iter().map(|record| Undecodable {
        dataset: Some(0),
        origin: format!("record {}", record.id),
        data: record.id.to_string().into_bytes(),
        code: "testkit.undecodable".into(),
        message: "simulated".into(),
    });
    let undecodable = undecodable.collect();
    Ok(Step::Rows(Rows { batches, undecodable, position, ..Rows::default() }))
}

/// Invariant 1: what is acknowledged is durable at the destination, and then in the books.
pub(crate) fn acknowledge(state: &mut State, split: usize, position: &Position) {
    let Some((of, index)) = table::place_in(position).filter(|(of, _)| *of == split) else {
        state.violation(format!("split {split} gets an acknowledgement of another position"));
        return;
    };
    let task = task_of(state, split);
    let reaches = |mark: &domain::Mark| {
        let place = mark.position.as_deref().and_then(table::place_in);
        mark.end || place.is_some_and(|(_, stored)| stored >= index)
    };
    let durable =
        task.and_then(|(task, _)| state.destination.durable.get(&task)).is_some_and(reaches);
    let stored = task.is_some_and(|(task, done)| {
        let tasks = state.books.only().map(|book| &book.tasks);
        let mark = tasks.and_then(|tasks| tasks.get(task as usize)?.mark.as_ref());
        done || mark.is_some_and(reaches)
    });
    state.ensure(durable && stored, || {
        format!("invariant 1: {of}@{index} acknowledged, durable: {durable}, stored: {stored}")
    });
    let before = state.source.acknowledged.get(&split).copied().unwrap_or(0);
    state.ensure(index >= before, || {
        format!("split {split} acknowledged back to {index} from {before}")
    });
    state.source.acknowledged.insert(split, index.max(before));
}
