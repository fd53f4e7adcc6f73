//! What every store decides alike about its records: pure, so that no two stores can differ.
//!
//! A store loads a record, lets it decide here, and writes down what changed in one transaction.

use crate::fault::{Fault, Result};
use crate::mark::Mark;
use crate::port::{DirtyStage, Done, NewRun, RunRecord, TaskRecord};
use crate::run::{self, Epoch, RunEvent, RunId, RunState, SourceIndex, TaskIndex};

impl RunRecord {
    /// A run of which nothing is known but what was asked for.
    pub fn new(new: NewRun) -> Self {
        Self {
            new,
            state: RunState::Recorded,
            epoch: 0,
            sources: Vec::new(),
            prepared: None,
            fault: None,
            verified: None,
        }
    }

    /// Applies [`run::step`]; `Started` raises the epoch.
    ///
    /// `fault` tells what broke the run, or stopped its newest attempt: a new attempt forgets why the
    /// one before stopped, but while a broken run is cleared away, what broke it stays.
    ///
    /// # Errors
    /// `run.illegal_step`, as [`run::step`]; the record is unchanged then.
    pub fn happen(&mut self, event: RunEvent, cause: Option<&Fault>) -> Result<()> {
        let before = self.state;
        self.state = run::step(before, event)?;
        if event == RunEvent::Started {
            self.epoch += 1;
        }
        match (before, event, cause) {
            (RunState::Clearing, _, _) if self.fault.is_some() => {}
            (_, _, Some(cause)) => self.fault = Some(cause.clone()),
            (_, RunEvent::Started, None) => self.fault = None,
            (_, _, None) => {}
        }
        Ok(())
    }
}

impl TaskRecord {
    /// Whether a call that carries `epoch` may change the task.
    ///
    /// # Errors
    /// `store.fenced` where a newer epoch claimed the task, `store.unclaimed` (a bug of the host)
    /// where none claimed it with this one.
    pub fn admit(&self, run: &RunId, epoch: Epoch) -> Result<()> {
        match epoch.cmp(&self.epoch) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(fenced(run, self.index, epoch, self.epoch)),
            std::cmp::Ordering::Greater => Err(Fault::internal(
                "store.unclaimed",
                format!(
                    "task {} of run \"{run}\" was never claimed with epoch {epoch}, the newest is {}",
                    self.index, self.epoch
                ),
            )),
        }
    }

    /// Takes a mark that is further than the stored one; says whether anything changed.
    pub fn checkpoint(&mut self, mark: &Mark) -> bool {
        let further = self.mark.as_ref().is_none_or(|stored| mark.sequence > stored.sequence);
        if further {
            self.mark = Some(mark.clone());
        }
        further
    }

    /// Takes the first end that is told; says whether anything changed.
    pub fn complete(&mut self, done: &Done) -> bool {
        let first = self.done.is_none();
        if first {
            self.done = Some(done.clone());
        }
        first
    }
}

fn fenced(run: &RunId, task: TaskIndex, epoch: Epoch, newest: Epoch) -> Fault {
    Fault::external(
        "store.fenced",
        format!(
            "task {task} of run \"{run}\" was taken over: this is epoch {epoch}, the newest is {newest}"
        ),
    )
    .hint("another attempt works on this run; leave it to that one")
}

/// A run that nobody recorded here.
pub fn no_such_run(run: &RunId) -> Fault {
    Fault::user("store.no_such_run", format!("there is no run \"{run}\" in the books"))
        .hint("look the run's id up in the list of runs, and check the state folder")
}

/// A task that was never added: a bug of the host.
pub fn no_such_task(run: &RunId, task: TaskIndex) -> Fault {
    Fault::internal("store.no_such_task", format!("run \"{run}\" has no task {task}"))
}

/// Splits of a source that was never planned: a bug of the host.
pub fn no_such_source(run: &RunId, source: SourceIndex) -> Fault {
    let message = format!("run \"{run}\" has no plan of source {source}");
    Fault::internal("store.no_such_source", message)
}

/// A second run with the id of the first: a bug of the host.
pub fn run_exists(run: &RunId) -> Fault {
    Fault::internal("store.run_exists", format!("run \"{run}\" was recorded before"))
}

/// Plan and prepared answer are written once and never recomputed: a second, different one is a bug
/// of the host.
pub fn written_once(run: &RunId, what: &str) -> Fault {
    Fault::internal("store.written_once", format!("run \"{run}\" has another {what} already"))
}

impl DirtyStage {
    pub const ALL: [Self; 5] = [Self::Read, Self::Transform, Self::Cast, Self::Write, Self::Loaded];

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RunRecord {
        RunRecord::new(NewRun {
            id: RunId("r1".into()),
            document: "/job.json".into(),
            text: "{}".into(),
            parameters: "{}".into(),
            created_ms: 1,
            verify: None,
        })
    }

    #[test]
    fn a_new_attempt_forgets_why_the_last_one_stopped() {
        let mut run = record();
        run.happen(RunEvent::Started, None).unwrap();
        run.happen(RunEvent::Stopped, Some(&Fault::external("net", "gone"))).unwrap();
        assert_eq!(run.fault.as_ref().unwrap().code, "net");
        run.happen(RunEvent::Started, None).unwrap();
        assert_eq!((run.epoch, run.fault), (2, None));
    }

    #[test]
    fn what_broke_a_run_stays_while_it_is_cleared_away() {
        let mut run = record();
        run.happen(RunEvent::Started, None).unwrap();
        run.happen(RunEvent::Broke, Some(&Fault::data("limit", "too many"))).unwrap();
        run.happen(RunEvent::Stopped, Some(&Fault::external("net", "gone"))).unwrap();
        run.happen(RunEvent::Started, None).unwrap();
        run.happen(RunEvent::Finished, None).unwrap();
        assert_eq!((run.state, run.fault.unwrap().code), (RunState::Failed, "limit".to_owned()));
    }

    #[test]
    fn an_illegal_event_changes_nothing() {
        let mut run = record();
        assert_eq!(run.happen(RunEvent::Finished, None).unwrap_err().code, "run.illegal_step");
        assert_eq!(run, record());
    }
}
