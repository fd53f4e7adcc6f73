//! The port `Destination` over durable rows in memory. How a sink takes and commits is in `sink`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::port::{
    Answer, Attempt, Closed, CommitMode, Destination, Form, Outcome, Prepared, ReadBack, Wishes,
    Writer,
};
use domain::run::RunState;
use domain::{Batch, Dataset, Epoch, Fault, Mark, Result, TaskIndex};

use crate::back::ScriptedBack;
use crate::fault::Operation;
use crate::planted::Planted;
use crate::sink::{Lose, Sink};
use crate::source;
use crate::table::{self, Amounts};
use crate::world::{Of, State, Tending, World};

pub struct ScriptedDestination {
    world: Arc<World>,
}

/// What the destination holds over all attempts, as a server would.
#[derive(Default)]
pub(crate) struct Durable {
    sessions: u64,
    /// The open sinks by session. What they took and is not durable goes with them, as a transaction
    /// that nobody commits.
    sinks: BTreeMap<u64, Sink>,
    /// The newest attempt that it saw, and the newest epoch of each task: older ones are fenced.
    attempt: Epoch,
    pub(crate) fences: BTreeMap<TaskIndex, Epoch>,
    /// The newest durable mark of each task: the truth, also where the destination keeps no marks.
    pub(crate) durable: BTreeMap<TaskIndex, Mark>,
    /// Everybody sees these.
    pub(crate) rows: Vec<Delivered>,
    /// Nobody sees these before `finish`.
    pub(crate) staged: BTreeMap<TaskIndex, Vec<i64>>,
    pub(crate) receipts: BTreeMap<TaskIndex, Vec<u8>>,
    pub(crate) finished: Option<Outcome>,
    /// How often batches were dropped.
    pub(crate) undone: u32,
}

/// A row at the destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    pub(crate) id: i64,
    pub(crate) task: TaskIndex,
}

impl Durable {
    fn admit_attempt(&mut self, attempt: &Attempt) -> Result<()> {
        if attempt.epoch < self.attempt {
            return Err(fenced("attempt", attempt.epoch, self.attempt));
        }
        self.attempt = attempt.epoch;
        Ok(())
    }

    pub(crate) fn close_session(&mut self, session: Option<u64>) {
        session.and_then(|session| self.sinks.remove(&session));
    }

    /// Different records that the destination has of a task, seen or not.
    pub(crate) fn count(&self, task: TaskIndex) -> u64 {
        let rows = self.rows.iter().filter(|row| row.task == task).map(|row| row.id);
        let staged = self.staged.get(&task).into_iter().flatten().copied();
        rows.chain(staged).collect::<BTreeSet<_>>().len() as u64
    }
}

impl State {
    pub(crate) fn admit(&self, task: TaskIndex, epoch: Epoch) -> Result<()> {
        let newest = self.destination.fences.get(&task).copied().unwrap_or(0);
        let stale = epoch < newest && !self.is_planted(Planted::AcceptStaleEpoch);
        if stale { Err(fenced("task", epoch, newest)) } else { Ok(()) }
    }
}

fn fenced(what: &str, epoch: Epoch, newest: Epoch) -> Fault {
    Fault::external("testkit.fenced", format!("{what} epoch {epoch} is fenced by {newest}"))
}

impl ScriptedDestination {
    pub fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

impl Destination for ScriptedDestination {
    type Session = ScriptedWriter;
    type Back = ScriptedBack;

    async fn connect(&self) -> Result<ScriptedWriter> {
        let number = self
            .world
            .call(Operation::DestinationConnect, String::new(), |state| {
                state.destination.sessions += 1;
                Ok(state.destination.sessions)
            })
            .await?;
        let world = Arc::clone(&self.world);
        Ok(ScriptedWriter { world, number, opened: None, dead: false, tending: Tending::default() })
    }

    fn back(&self, _parameter: &str) -> ScriptedBack {
        ScriptedBack::new(Arc::clone(&self.world))
    }
}

pub struct ScriptedWriter {
    world: Arc<World>,
    number: u64,
    /// The task of the open sink, and its epoch.
    opened: Option<(TaskIndex, Epoch)>,
    /// It answered a fault, so it may only be dropped.
    dead: bool,
    tending: Tending,
}

impl ScriptedWriter {
    async fn call<T>(
        &mut self,
        operation: Operation,
        what: String,
        effect: impl FnOnce(&mut Option<Sink>, &mut State) -> Result<T> + Clone + Send + 'static,
    ) -> Result<T> {
        let what = format!("session {} {what}", self.number);
        {
            let mut state = self.world.lock();
            self.tending.look("writer", &mut state);
            let dead = self.dead;
            state.ensure(!dead, || format!("{} after a fault: {what}", operation.word()));
        }
        // A call that is dropped half-way leaves the session unusable as well.
        self.dead = true;
        let number = self.number;
        let effect = move |state: &mut State| {
            let mut sink = state.destination.sinks.remove(&number);
            let answer = effect(&mut sink, state);
            state.destination.sinks.extend(sink.map(|sink| (number, sink)));
            answer
        };
        let answer = match self.opened {
            Some((task, epoch)) => {
                let of = Of { task, epoch, session: Some(number) };
                self.world.call_of(of, operation, what, effect).await
            }
            None => self.world.call(operation, what, effect).await,
        };
        self.dead = answer.is_err();
        self.tending.rest(None);
        answer
    }
}

impl Drop for ScriptedWriter {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        if !state.is_late(self.number) {
            state.destination.close_session(Some(self.number));
        }
    }
}

impl Writer for ScriptedWriter {
    async fn prepare(&mut self, attempt: &Attempt, datasets: &[Dataset]) -> Result<Prepared> {
        let what = format!("attempt {}", attempt.epoch);
        let (attempt, datasets) = (attempt.clone(), datasets.to_vec());
        self.call(Operation::WriterPrepare, what, move |_, state| {
            state.destination.admit_attempt(&attempt)?;
            let again = state.books.is_prepared();
            state.ensure(!again, || "prepare is called though its answer is stored".into());
            check_attempt(state, &attempt);
            prepared(state, &datasets)
        })
        .await
    }

    async fn preview(&mut self, datasets: &[Dataset]) -> Result<Prepared> {
        let datasets = datasets.to_vec();
        let preview = move |_: &mut Option<Sink>, state: &mut State| prepared(state, &datasets);
        self.call(Operation::WriterPreview, String::new(), preview).await
    }

    async fn open(
        &mut self,
        attempt: &Attempt,
        task: TaskIndex,
        epoch: Epoch,
        datasets: &[Dataset],
    ) -> Result<Option<Mark>> {
        let what = format!("task {task} epoch {epoch}");
        let (attempt, datasets) = (attempt.clone(), datasets.to_vec());
        self.opened = None;
        let opening = self.call(Operation::WriterOpen, what, move |sink, state| {
            *sink = None;
            check_attempt(state, &attempt);
            let (opened, mark) = open(state, task, epoch, &datasets)?;
            *sink = Some(opened);
            Ok(mark)
        });
        let mark = opening.await?;
        self.opened = Some((task, epoch));
        Ok(mark)
    }

    async fn write(&mut self, batch: &Batch) -> Result<Answer> {
        let what = format!("{} rows", batch.len());
        let batch = batch.clone();
        self.call(Operation::WriterWrite, what, move |sink, state| {
            let batch = match state.is_planted(Planted::ChangeValue) {
                true => table::cut(&batch)?,
                false => batch,
            };
            opened(sink, "write")?.write(state, &batch)
        })
        .await
    }

    async fn commit(&mut self, mark: &Mark, now: bool) -> Result<Answer> {
        let what = format!("mark {}{}", mark.sequence, if now { " now" } else { "" });
        let mark = mark.clone();
        self.call(Operation::WriterCommit, what, move |sink, state| {
            let sink = opened(sink, "commit")?;
            let mut answer = sink.commit(state, &mark, now)?;
            if state.is_planted(Planted::TrustEveryCommit) && answer.undone.is_none() {
                answer.durable = Some(mark);
            }
            let durable = answer.durable.as_ref().and_then(|mark| mark.position.as_ref());
            if let (true, Some(position)) = (state.is_planted(Planted::AckBeforeStore), durable) {
                source::acknowledge(state, sink.split(), position);
            }
            Ok(answer)
        })
        .await
    }

    async fn close(&mut self, mark: &Mark) -> Result<Closed> {
        let what = format!("mark {}", mark.sequence);
        let mark = mark.clone();
        self.call(Operation::WriterClose, what, move |sink, state| {
            let closed = opened(sink, "close")?.close(state, &mark)?;
            if closed.answer.undone.is_none() {
                *sink = None;
            }
            Ok(closed)
        })
        .await
    }

    async fn finish(
        &mut self,
        attempt: &Attempt,
        outcome: Outcome,
        receipts: &[Vec<u8>],
    ) -> Result<()> {
        let what = format!("attempt {} {outcome:?} with {}", attempt.epoch, receipts.len());
        let (attempt, receipts) = (attempt.clone(), receipts.to_vec());
        self.call(Operation::WriterFinish, what, move |_, state| {
            state.destination.admit_attempt(&attempt)?;
            check_attempt(state, &attempt);
            let missing = usize::from(state.is_planted(Planted::LoseReceipt));
            finish(state, outcome, &receipts[..receipts.len().saturating_sub(missing)]);
            Ok(())
        })
        .await
    }

    async fn read_back(
        &mut self,
        attempt: &Attempt,
        datasets: &[Dataset],
        receipts: &[Vec<u8>],
    ) -> Result<ReadBack> {
        let what = format!("attempt {} with {}", attempt.epoch, receipts.len());
        let forms = datasets.iter().flat_map(|dataset| dataset.schema.fields().iter());
        let forms = forms.map(|_| Form::Same).collect::<Vec<_>>();
        let attempt = attempt.clone();
        self.call(Operation::WriterReadBack, what, move |_, state| {
            check_attempt(state, &attempt);
            let replaces = state.scenario.writing.mode == CommitMode::Idempotent;
            let replaces_by = replaces.then(|| "id".to_owned()).into_iter().collect();
            Ok(ReadBack::By { parameter: "{}".into(), forms, replaces_by })
        })
        .await
    }

    async fn tend(&mut self) -> Result<Option<Duration>> {
        let asked = self
            .call(Operation::WriterTend, String::new(), |_, state| Ok(state.scenario.writing.tend))
            .await?;
        self.tending.rest(Some(asked));
        Ok(asked)
    }
}

fn opened<'a>(sink: &'a mut Option<Sink>, what: &str) -> Result<&'a mut Sink> {
    sink.as_mut()
        .ok_or_else(|| Fault::plugin("testkit.misuse", format!("{what} without an open sink")))
}

/// The attempt that the engine tells is the one that the books know.
fn check_attempt(state: &mut State, attempt: &Attempt) {
    let known = state.books.only().map(|book| (book.record.new.id.clone(), book.record.epoch));
    let told = (attempt.run.clone(), attempt.epoch);
    state.ensure(known.as_ref() == Some(&told), || {
        format!("the destination is told attempt {told:?}, the books know {known:?}")
    });
}

fn prepared(state: &mut State, datasets: &[Dataset]) -> Result<Prepared> {
    let known = vec![table::dataset(state.scenario.reading.amounts)];
    state.ensure(datasets == known, || "prepare is called with other datasets".into());
    let writing = &state.scenario.writing;
    Ok(Prepared {
        datasets: vec![table::dataset(Amounts::Integers)],
        commit_mode: writing.mode,
        wishes: Wishes {
            batch_rows: writing.batch_rows,
            batch_bytes: 0,
            commit_bytes: 0,
            commit_ms: writing.commit_ms,
            sort_by: Vec::new(),
            lanes: 0,
        },
    })
}

fn open(
    state: &mut State,
    task: TaskIndex,
    epoch: Epoch,
    datasets: &[Dataset],
) -> Result<(Sink, Option<Mark>)> {
    state.admit(task, epoch)?;
    state.destination.fences.insert(task, epoch);
    let known = vec![table::dataset(Amounts::Integers)];
    state.ensure(datasets == known, || format!("task {task} is opened with other datasets"));
    let record = state.books.only().and_then(|book| book.tasks.get(task as usize)).cloned();
    let claimed = record.as_ref().map(|record| record.epoch);
    state.ensure(claimed == Some(epoch), || {
        format!("task {task} is opened with epoch {epoch}, claimed is {claimed:?}")
    });
    let split = record
        .and_then(|record| table::split_of(&record.split.token))
        .ok_or_else(|| Fault::plugin("testkit.misuse", format!("no task {task}")))?;
    let keeps = state.scenario.writing.keeps_marks;
    let kept = state.destination.durable.get(&task).filter(|_| keeps).cloned();
    let told = kept.clone().filter(|_| !state.is_planted(Planted::IgnoreDestinationMark));
    let forgets = state.is_planted(Planted::ForgetEnd);
    let told = told.map(|mark| Mark { end: mark.end && !forgets, ..mark });
    let redone = |planted| epoch > 1 && state.is_planted(planted);
    let lose =
        Lose { row: redone(Planted::LoseRowOnRetry), commit: redone(Planted::LoseCommitOnRetry) };
    Ok((Sink::new(task, epoch, split, kept, lose), told))
}

/// Staged rows are published, or cleared away; again, nothing more happens.
fn finish(state: &mut State, outcome: Outcome, receipts: &[Vec<u8>]) {
    let wanted = match outcome {
        Outcome::Succeeded => RunState::Finishing,
        Outcome::Failed => RunState::Clearing,
    };
    let found = state.books.only().map(|book| book.record.state);
    state.ensure(found == Some(wanted), || {
        format!("finish {outcome:?} is called while the run is {found:?}")
    });
    let before = state.destination.finished.replace(outcome);
    // A run whose publishing failed may still be cleared away.
    state.ensure(before != Some(Outcome::Failed) || outcome == Outcome::Failed, || {
        "finish succeeded is called after finish failed".into()
    });
    if outcome == Outcome::Failed {
        state.destination.staged.clear();
        return;
    }
    let tasks = state.books.only().map_or(0, |book| book.tasks.len());
    let known: BTreeSet<_> = state.destination.receipts.values().cloned().collect();
    let told: BTreeSet<_> = receipts.iter().cloned().collect();
    state.ensure(receipts.len() == tasks && known == told, || {
        format!("finish gets {} receipts of {tasks} tasks, or others than were given", told.len())
    });
    for (task, ids) in std::mem::take(&mut state.destination.staged) {
        // Without its receipt, what a task staged is nobody's.
        if told.contains(state.destination.receipts.get(&task).unwrap_or(&Vec::new())) {
            let rows = ids.into_iter().map(|id| Delivered { id, task });
            state.destination.rows.extend(rows);
        }
    }
}

/// Whether rows are seen as soon as they are taken, and redoing is harmless or not prevented.
pub(crate) fn is_eager(mode: CommitMode) -> bool {
    matches!(mode, CommitMode::Idempotent | CommitMode::AtLeastOnce)
}
