//! A run and its states. States change only through [`step`] (invariant 6).

use std::fmt;

use crate::fault::{Fault, Result};

/// Names one execution of a job: time and chance, in lower case letters and digits, safe in names of
/// files and tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A higher epoch fences every lower one of the same task, or of the run, at the destination.
pub type Epoch = u64;

/// Counts the splits of a run, from 0.
pub type TaskIndex = u32;

/// Counts the sources of a run, which are the readers of its job, from 0.
pub type SourceIndex = u32;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Recorded, nothing else done.
    Recorded,
    /// An attempt is, or was, at work. A run found here whose process is gone can be resumed.
    Running,
    /// Stopped by the user or by the outside world after it began; can be resumed.
    Interrupted,
    /// All tasks are done; the destination publishes.
    Finishing,
    /// Published; what was written is read back and compared.
    Verifying,
    /// Failed on its document or data; the destination clears away.
    Clearing,
    Succeeded,
    Failed,
}

impl RunState {
    pub const ALL: [Self; 8] = [
        Self::Recorded,
        Self::Running,
        Self::Interrupted,
        Self::Finishing,
        Self::Verifying,
        Self::Clearing,
        Self::Succeeded,
        Self::Failed,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Finishing => "finishing",
            Self::Verifying => "verifying",
            Self::Clearing => "clearing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// What happened to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunEvent {
    /// An attempt begins, the first or a resumed one.
    Started,
    /// Every task is done and its receipt stored.
    TasksDone,
    /// `finish` answered, and what was written is to be read back.
    Published,
    /// `finish` answered, or what was read back is what was written.
    Finished,
    /// A fault of the document or the data, a lie or a limit: it would come again.
    Broke,
    /// A fault of the outside world, a signal: another attempt may go on.
    Stopped,
}

impl RunEvent {
    pub const ALL: [Self; 6] = [
        Self::Started,
        Self::TasksDone,
        Self::Published,
        Self::Finished,
        Self::Broke,
        Self::Stopped,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::TasksDone => "tasks-done",
            Self::Published => "published",
            Self::Finished => "finished",
            Self::Broke => "broke",
            Self::Stopped => "stopped",
        }
    }
}

/// The state after `event`.
///
/// # Errors
/// `run.illegal_step`, a bug of the host, for an event that cannot happen in `state`.
pub fn step(state: RunState, event: RunEvent) -> Result<RunState> {
    use RunEvent as E;
    use RunState as S;
    Ok(match (state, event) {
        (S::Recorded | S::Running | S::Interrupted, E::Started) => S::Running,
        // The work that is left is publishing, or clearing away.
        (S::Finishing, E::Started) => S::Finishing,
        (S::Clearing, E::Started) => S::Clearing,
        (S::Verifying, E::Started | E::Stopped) => S::Verifying,
        // What is published stays, and nobody may take it for what was read.
        (S::Verifying, E::Broke) => S::Failed,
        (S::Running, E::TasksDone) => S::Finishing,
        (S::Finishing, E::Published) => S::Verifying,
        (S::Finishing | S::Verifying, E::Finished) => S::Succeeded,
        (S::Clearing, E::Finished) => S::Failed,
        // Before anything was prepared there is nothing to clear away.
        (S::Recorded, E::Broke | E::Stopped) => S::Failed,
        (S::Running, E::Broke) => S::Clearing,
        // What is published in part must not be cleared away; publishing may be tried again.
        (S::Finishing, E::Broke) => S::Finishing,
        (S::Clearing, E::Broke) => S::Failed,
        (S::Running, E::Stopped) => S::Interrupted,
        (S::Finishing, E::Stopped) => S::Finishing,
        (S::Clearing, E::Stopped) => S::Clearing,
        (S::Recorded, E::TasksDone | E::Published | E::Finished)
        | (S::Running, E::Published | E::Finished)
        | (S::Finishing, E::TasksDone)
        | (S::Verifying | S::Clearing, E::TasksDone | E::Published)
        | (S::Interrupted, E::TasksDone | E::Published | E::Finished | E::Broke | E::Stopped)
        | (S::Succeeded | S::Failed, _) => {
            return Err(Fault::internal(
                "run.illegal_step",
                format!("a run that is {} cannot be {}", state.word(), event.word()),
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_steps() {
        let mut table = String::new();
        for state in RunState::ALL {
            for event in RunEvent::ALL {
                if let Ok(next) = step(state, event) {
                    table += &format!("{} + {} = {}\n", state.word(), event.word(), next.word());
                }
            }
        }
        assert_eq!(
            table,
            "\
recorded + started = running
recorded + broke = failed
recorded + stopped = failed
running + started = running
running + tasks-done = finishing
running + broke = clearing
running + stopped = interrupted
interrupted + started = running
finishing + started = finishing
finishing + published = verifying
finishing + finished = succeeded
finishing + broke = finishing
finishing + stopped = finishing
verifying + started = verifying
verifying + finished = succeeded
verifying + broke = failed
verifying + stopped = verifying
clearing + started = clearing
clearing + finished = failed
clearing + broke = failed
clearing + stopped = clearing
"
        );
    }

    #[test]
    fn words_come_back() {
        for state in RunState::ALL {
            assert_eq!(RunState::parse(state.word()), Some(state));
        }
    }
}
