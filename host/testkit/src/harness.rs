//! Plays a scenario, attempt after attempt, and judges what is left.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use domain::job::ErrorLimit;
use domain::port::{NewRun, Store};
use domain::run::RunState;
use domain::{Result, RunId};
use tokio::sync::watch;

use crate::destination::ScriptedDestination;
use crate::fault::Met;
use crate::scenario::Scenario;
use crate::source::ScriptedSource;
use crate::step::ScriptedStep;
use crate::store::MemStore;
use crate::verdict;
use crate::world::World;

/// Attempts beyond one for each fault: the last ones meet none, so one is enough; the others are for
/// faults that make two of them.
const SPARE_ATTEMPTS: usize = 4;

/// Simulated time after which an attempt counts as hanging; the longest pause of a double is minutes.
const ATTEMPT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// What an attempt gets.
pub struct Parts {
    pub store: Arc<MemStore>,
    pub source: Arc<ScriptedSource>,
    /// Between the two, where the scenario has one.
    pub step: Option<Arc<ScriptedStep>>,
    pub destination: Arc<ScriptedDestination>,
    pub run: RunId,
    pub options: Options,
}

/// Settings of the engine that a scenario decides.
#[derive(Clone, Debug)]
pub struct Options {
    pub lanes: u32,
    /// Dirty records that the run may have.
    pub error_limit: ErrorLimit,
    pub uncommitted_bytes: u64,
    /// For the jitter of the engine's own waits.
    pub seed: u64,
    /// Becomes true when the user asks for a stop.
    pub stop: watch::Receiver<bool>,
}

/// What came of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Every call that took effect, in order, with the simulated milliseconds of its attempt.
    pub trace: Vec<String>,
    /// What must not happen and did; empty where all is well.
    pub violations: Vec<String>,
    pub attempts: u32,
    /// Faults that really came.
    pub met: Vec<Met>,
    /// Calls that came after a newer epoch had the task.
    pub overtaken: u32,
    pub state: Option<RunState>,
    /// How often each split was opened, and how many of its records were read.
    pub reads: Vec<(u32, u64)>,
}

/// Plays `scenario` with the engine that `attempt` runs. Each attempt has a runtime of its own with
/// simulated time, which is dropped when the process "dies", with everything that the engine spawned.
///
/// Traces are equal only where the engine takes no chances of its own: `select!` must be `biased`, and
/// nothing may depend on the order of a hash map.
pub fn simulate<F, Fut>(scenario: Scenario, attempt: F) -> Report
where
    F: Fn(Parts) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let attempts = scenario.faults.len() + SPARE_ATTEMPTS;
    let world = Arc::new(World::new(scenario));
    let run = RunId("sim".into());
    for _ in 0..attempts {
        let played = catch_unwind(AssertUnwindSafe(|| play(&world, &run, &attempt)));
        if let Err(panic) = played {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
            let text = format!("the engine panicked: {text}");
            world.lock().violation(text);
            break;
        }
        let state = world.lock().books.only().map(|book| book.record.state);
        if state.is_none_or(RunState::is_ended) {
            break;
        }
    }
    let mut state = world.lock();
    verdict::judge(&mut state);
    let splits = 0..state.scenario.splits.len();
    Report {
        trace: state.trace().to_vec(),
        violations: state.violations().to_vec(),
        attempts: state.attempt(),
        met: state.met.clone(),
        overtaken: state.overtaken,
        state: state.books.only().map(|book| book.record.state),
        reads: splits
            .map(|split| {
                let opened = state.source.opened.get(&split).copied().unwrap_or(0);
                (opened, state.source.read.get(&split).copied().unwrap_or(0))
            })
            .collect(),
    }
}

/// Plays a scenario, which must go without violations.
///
/// # Errors
/// The violations, what goes wrong in the scenario, and the end of the trace.
pub fn check<F, Fut>(scenario: &Scenario, attempt: F) -> Result<Report, String>
where
    F: Fn(Parts) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let report = simulate(scenario.clone(), attempt);
    match report.violations.is_empty() {
        true => Ok(report),
        false => Err(describe(scenario, &report, &report.violations.join("\n  "))),
    }
}

/// Plays a scenario twice: the traces must be the same, and without violations.
///
/// # Errors
/// As [`check`], and where the two differ.
pub fn examine<F, Fut>(scenario: &Scenario, attempt: F) -> Result<Report, String>
where
    F: Fn(Parts) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let report = check(scenario, &attempt)?;
    let again = simulate(scenario.clone(), &attempt);
    if report != again {
        let same = report.trace.iter().zip(&again.trace).take_while(|(a, b)| a == b).count();
        let line = |trace: &[String]| trace.get(same).cloned().unwrap_or_default();
        let what = format!(
            "the same seed played differently at line {same}: \"{}\" and \"{}\"",
            line(&report.trace),
            line(&again.trace)
        );
        return Err(describe(scenario, &report, &what));
    }
    Ok(report)
}

/// Lines of a trace that a message shows.
const SHOWN_LINES: usize = 120;

fn describe(scenario: &Scenario, report: &Report, what: &str) -> String {
    let first = report.trace.len().saturating_sub(SHOWN_LINES);
    let end = report.trace[first..].join("\n  ");
    format!(
        "seed {}:\n  {what}\nfaults: {:?}\nreading: {:?}\nstep: {:?}\nwriting: {:?}\ntrace:\n  {end}",
        scenario.seed, scenario.faults, scenario.reading, scenario.step, scenario.writing
    )
}

/// One attempt, until the engine answers or the process dies.
fn play<F, Fut>(world: &Arc<World>, run: &RunId, attempt: &F)
where
    F: Fn(Parts) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without input and output needs nothing of the machine");
    runtime.block_on(async {
        let stop = world.begin_attempt();
        let store = Arc::new(MemStore::new(Arc::clone(world)));
        if world.lock().books.only().is_none() {
            let new = new_run(run, world.lock().scenario.verify);
            store.record(&new).await.expect("a first run can be recorded");
        }
        let scenario = world.lock().scenario.clone();
        let parts = Parts {
            store,
            source: Arc::new(ScriptedSource::new(Arc::clone(world))),
            step: scenario.step.map(|_| Arc::new(ScriptedStep::new(Arc::clone(world)))),
            destination: Arc::new(ScriptedDestination::new(Arc::clone(world))),
            run: run.clone(),
            options: Options {
                lanes: scenario.lanes,
                error_limit: scenario.error_limit,
                uncommitted_bytes: scenario.uncommitted_bytes,
                seed: scenario.seed,
                stop,
            },
        };
        tokio::select! {
            biased;
            () = world.died() => {}
            ended = tokio::time::timeout(ATTEMPT_MAX, attempt(parts)) => {
                let mut state = world.lock();
                match ended {
                    Ok(Ok(())) => state.note("the attempt ended".into()),
                    Ok(Err(fault)) => state.note(format!("the attempt ended with {fault}")),
                    Err(_) => state.violation("the attempt hangs".into()),
                }
            }
        }
    });
}

fn new_run(run: &RunId, verify: bool) -> NewRun {
    NewRun {
        id: run.clone(),
        document: "/sim/job.json".into(),
        text: "{}".into(),
        parameters: "{}".into(),
        created_ms: 0,
        verify: verify.then(Vec::new),
    }
}
