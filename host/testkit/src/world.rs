//! What all doubles of a simulation share: the books, the destination, what goes wrong, and the trace.
//!
//! Every call of a port goes through [`World::call`]: it is counted, perhaps bent, takes its time, takes
//! effect at one instant, and leaves a line. When the process "dies", nothing takes effect any more and
//! no call answers; the harness sees it and drops the engine.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use domain::run::RunState;
use domain::{Epoch, Fault, Result, TaskIndex};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::destination::Durable;
use crate::fault::{FaultKind, FaultPlan, Met, Operation, Phase};
use crate::planted::Planted;
use crate::prng::Rng;
use crate::scenario::Scenario;
use crate::source::SourceState;
use crate::store::Books;

/// Half of it passes before a hanging call takes effect.
const HANG: Duration = Duration::from_secs(20 * 60);

/// Lines of the trace that are kept (invariant 7); an engine that goes round in circles stops there.
const TRACE_LINES_MAX: usize = 200_000;

pub struct World {
    state: Mutex<State>,
    died: Notify,
}

pub(crate) struct State {
    pub(crate) scenario: Scenario,
    /// Whether the doubles check what they are told.
    pub(crate) strict: bool,
    pub(crate) books: Books,
    pub(crate) source: SourceState,
    pub(crate) destination: Durable,
    /// Faults that came.
    pub(crate) met: Vec<Met>,
    /// Calls of processes that were taken for dead.
    late: Vec<Late>,
    /// Late calls that were made.
    pub(crate) overtaken: u32,
    calls: BTreeMap<Operation, u64>,
    calls_in: BTreeMap<(Phase, Operation), u64>,
    attempt: u32,
    dead: bool,
    began: Instant,
    stop: watch::Sender<bool>,
    trace: Vec<String>,
    violations: Vec<String>,
}

/// Calls that a late one lets pass, at most.
const LATE_CALLS_MAX: u64 = 12;

/// For whom a call is made.
#[derive(Clone, Copy)]
pub(crate) struct Of {
    pub(crate) task: TaskIndex,
    pub(crate) epoch: Epoch,
    /// The destination's session, where it is one of its calls.
    pub(crate) session: Option<u64>,
}

type Effect = Box<dyn FnOnce(&mut State) -> Result<()> + Send>;

/// A call of a process that was taken for dead.
struct Late {
    of: Of,
    operation: Operation,
    /// Calls that it still lets pass.
    waits: u64,
    effect: Effect,
}

/// What happens to one call.
struct Bent {
    kind: Option<FaultKind>,
    number: u64,
    before: Duration,
    after: Duration,
}

impl World {
    /// A world whose doubles check what they are told.
    pub fn new(scenario: Scenario) -> Self {
        Self::with_strictness(scenario, true)
    }

    pub(crate) fn with_strictness(scenario: Scenario, strict: bool) -> Self {
        let state = State {
            scenario,
            strict,
            books: Books::default(),
            source: SourceState::default(),
            destination: Durable::default(),
            met: Vec::new(),
            late: Vec::new(),
            overtaken: 0,
            calls: BTreeMap::new(),
            calls_in: BTreeMap::new(),
            attempt: 0,
            dead: false,
            began: Instant::now(),
            stop: watch::Sender::new(false),
            trace: Vec::new(),
            violations: Vec::new(),
        };
        Self { state: Mutex::new(state), died: Notify::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no double panics while it looks at the world")
    }

    /// A process begins: what died is forgotten, and nobody asked for a stop yet.
    pub(crate) fn begin_attempt(&self) -> watch::Receiver<bool> {
        let mut state = self.lock();
        state.attempt += 1;
        state.dead = false;
        state.began = Instant::now();
        state.source.forget_process();
        state.stop = watch::Sender::new(false);
        let line = format!("attempt {}", state.attempt);
        state.note(line);
        state.stop.subscribe()
    }

    /// Answers when the process of this attempt died.
    pub(crate) async fn died(&self) {
        while !self.lock().dead {
            self.died.notified().await;
        }
    }

    pub(crate) async fn call<T>(
        &self,
        operation: Operation,
        what: String,
        effect: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        self.call_or_late(operation, what, effect, || None).await
    }

    /// A call for a task, which may be overtaken.
    pub(crate) async fn call_of<T>(
        &self,
        of: Of,
        operation: Operation,
        what: String,
        effect: impl FnOnce(&mut State) -> Result<T> + Clone + Send + 'static,
    ) -> Result<T> {
        let again = effect.clone();
        let late = || {
            let effect = Box::new(move |state: &mut State| again(state).map(drop));
            Some(Late { of, operation, waits: 0, effect })
        };
        self.call_or_late(operation, what, effect, late).await
    }

    async fn call_or_late<T>(
        &self,
        operation: Operation,
        what: String,
        effect: impl FnOnce(&mut State) -> Result<T>,
        late: impl FnOnce() -> Option<Late>,
    ) -> Result<T> {
        let bent = self.lock().bend(operation);
        pass(bent.before).await;
        match bent.kind {
            Some(kind @ (FaultKind::Error | FaultKind::Retry | FaultKind::DataError)) => {
                let mut state = self.lock();
                if !state.dead {
                    state.note(format!(
                        "{}#{} {what} = {}",
                        operation.word(),
                        bent.number,
                        kind.word()
                    ));
                }
                return Err(fault(kind, operation));
            }
            Some(FaultKind::CrashBefore) => self.die(operation, bent.number, "before").await,
            Some(FaultKind::Hang) => sleep(HANG / 2).await,
            Some(FaultKind::Overtaken) => {
                let late = late();
                self.lock().be_late(late);
                self.die(operation, bent.number, "in").await;
            }
            _ => {}
        }
        let answer = self.take_effect(operation, bent.number, what, effect).await;
        match bent.kind {
            Some(FaultKind::CrashAfter) => self.die(operation, bent.number, "after").await,
            Some(FaultKind::Lost) if answer.is_ok() => {
                self.lock().tell(" = lost");
                return Err(fault(FaultKind::Lost, operation));
            }
            Some(FaultKind::Hang) => sleep(HANG / 2).await,
            Some(FaultKind::Stop) => {
                let mut state = self.lock();
                state.note("the user asks for a stop".into());
                state.stop.send_replace(true);
            }
            _ => {}
        }
        pass(bent.after).await;
        answer
    }

    async fn take_effect<T>(
        &self,
        operation: Operation,
        number: u64,
        what: String,
        effect: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let done = {
            let mut state = self.lock();
            if state.dead {
                None
            } else {
                state.play_late();
                state.note(format!("{}#{number} {what}", operation.word()));
                let answer = effect(&mut state);
                if let Err(fault) = &answer {
                    state.tell(&format!(" = {}", fault.code));
                }
                Some(answer)
            }
        };
        match done {
            Some(answer) => answer,
            // The process is dead; the harness drops this future.
            None => pending().await,
        }
    }

    async fn die(&self, operation: Operation, number: u64, when: &str) {
        {
            let mut state = self.lock();
            if !state.dead {
                state.note(format!("dies {when} {}#{number}", operation.word()));
                state.dead = true;
                self.died.notify_one();
            }
        }
        pending::<()>().await;
    }
}

impl State {
    fn bend(&mut self, operation: Operation) -> Bent {
        let number = *self.calls.entry(operation).and_modify(|count| *count += 1).or_insert(1);
        let phase = self.phase();
        let in_phase =
            *self.calls_in.entry((phase, operation)).and_modify(|count| *count += 1).or_insert(1);
        let due = |plan: &&FaultPlan| {
            let counted = match plan.phase {
                None => number,
                Some(wanted) if wanted == phase => in_phase,
                Some(_) => return false,
            };
            plan.operation == operation && plan.nth == counted
        };
        let due = if self.dead { None } else { self.scenario.faults.iter().find(due).copied() };
        if let Some(plan) = due {
            let prepared = self.books.is_prepared();
            self.met.push(Met { phase, operation, kind: plan.kind, prepared });
        }
        let mut rng = Rng::of(&[self.scenario.seed, 2, operation as u64, number]);
        let max = self.scenario.latency_ms_max;
        let mut latency = || Duration::from_millis(rng.between(0, max));
        Bent { kind: due.map(|plan| plan.kind), number, before: latency(), after: latency() }
    }

    fn phase(&self) -> Phase {
        let Some(record) = self.books.only().map(|book| &book.record) else {
            return Phase::Starting;
        };
        match record.state {
            RunState::Recorded | RunState::Interrupted => Phase::Starting,
            RunState::Running if record.sources.is_empty() => Phase::Planning,
            RunState::Running if record.prepared.is_none() => Phase::Preparing,
            RunState::Running if self.attempt == 1 => Phase::Moving,
            RunState::Running => Phase::Resuming,
            RunState::Finishing | RunState::Verifying => Phase::Finishing,
            RunState::Clearing => Phase::Clearing,
            RunState::Succeeded | RunState::Failed => Phase::Ended,
        }
    }

    /// The process was taken for dead in the middle of a call.
    fn be_late(&mut self, late: Option<Late>) {
        if let (Some(late), false) = (late, self.dead) {
            let mut rng = Rng::of(&[self.scenario.seed, 4, self.attempt.into()]);
            self.late.push(Late { waits: rng.between(0, LATE_CALLS_MAX), ..late });
        }
    }

    /// Makes the late calls whose time has come: a newer epoch has the task in hand.
    fn play_late(&mut self) {
        for mut late in std::mem::take(&mut self.late) {
            if !self.is_overtaken(&late) {
                self.late.push(late);
            } else if late.waits > 0 {
                late.waits -= 1;
                self.late.push(late);
            } else {
                let Of { task, epoch, session } = late.of;
                self.note(format!("late {} task {task} epoch {epoch}", late.operation.word()));
                if let Err(fault) = (late.effect)(self) {
                    self.tell(&format!(" = {}", fault.code));
                }
                self.overtaken += 1;
                self.destination.close_session(session);
            }
        }
    }

    fn is_overtaken(&self, late: &Late) -> bool {
        let Of { task, epoch, .. } = late.of;
        let newest = if late.operation.is_store() {
            let tasks = self.books.only().map(|book| &book.tasks);
            tasks.and_then(|tasks| tasks.get(task as usize)).map(|task| task.epoch)
        } else {
            self.destination.fences.get(&task).copied()
        };
        newest.is_some_and(|newest| newest > epoch)
    }

    /// Whether a late call still needs what the session held.
    pub(crate) fn is_late(&self, session: u64) -> bool {
        self.late.iter().any(|late| late.of.session == Some(session))
    }

    pub(crate) fn is_planted(&self, planted: Planted) -> bool {
        self.scenario.planted == Some(planted)
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&mut self, line: String) {
        if self.trace.len() < TRACE_LINES_MAX {
            let passed = self.began.elapsed().as_millis();
            let line = if self.strict { format!("{passed} {line}") } else { line };
            self.trace.push(line);
        } else if !self.dead {
            self.violations.push(format!("no end in sight after {TRACE_LINES_MAX} calls"));
            self.dead = true;
        }
    }

    /// Adds to the last line of the trace.
    pub(crate) fn tell(&mut self, more: &str) {
        if let Some(line) = self.trace.last_mut() {
            line.push_str(more);
        }
    }

    /// Something happened that must not.
    pub(crate) fn violation(&mut self, what: String) {
        if self.strict {
            self.note(format!("VIOLATION {what}"));
            self.violations.push(what);
        }
    }

    /// Ensures `holds`, else it is a violation.
    pub(crate) fn ensure(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violation(what());
        }
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn trace(&self) -> &[String] {
        &self.trace
    }

    pub(crate) fn violations(&self) -> &[String] {
        &self.violations
    }
}

async fn pass(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

fn fault(kind: FaultKind, operation: Operation) -> Fault {
    let message = format!("simulated at {}", operation.word());
    match kind {
        FaultKind::DataError => Fault::data("testkit.data", message),
        FaultKind::Retry | FaultKind::Lost => {
            Fault::external("testkit.retry", message).retry_after(Duration::ZERO)
        }
        _ => Fault::external("testkit.error", message),
    }
}

/// Watches that a session which asked for `tend` gets it.
#[derive(Default)]
pub(crate) struct Tending {
    asked: Option<Duration>,
    since: Option<Instant>,
}

impl Tending {
    /// Beyond twice the time and this, a host is late.
    const GRACE: Duration = Duration::from_secs(5);

    /// A call begins.
    pub(crate) fn look(&self, who: &str, state: &mut State) {
        if let (Some(asked), Some(since)) = (self.asked, self.since) {
            let waited = since.elapsed();
            state.ensure(waited <= asked * 2 + Self::GRACE, || {
                format!("a {who} asked for tend within {asked:?} and was left alone for {waited:?}")
            });
        }
    }

    /// A call ended; `asked` is the answer of `tend`.
    pub(crate) fn rest(&mut self, asked: Option<Option<Duration>>) {
        self.since = Some(Instant::now());
        if let Some(asked) = asked {
            self.asked = asked;
        }
    }
}
