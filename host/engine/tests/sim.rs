//! The engine on scripted doubles under a simulated clock: every call of every port goes wrong from a
//! seed, and what is left must add up (invariants 1, 2 and 5).
//!
//! `SIM_SEED=N` replays one seed and shows its trace, `SIM_COUNT=N` plays more of them.

use std::sync::Arc;
use std::time::Duration;

use domain::Result;
use domain::job::ErrorLimit;
use domain::port::CommitMode;
use domain::run::RunState;
use engine::{Engine, Progress, Settings};
use testkit::{
    Abilities, FaultKind, FaultPlan, Operation, Parts, Planted, Scenario, examine, simulate,
};

/// Seeds of the test command; `cargo xtask soak` plays thousands.
const SEEDS: u64 = 400;
/// Seeds in which a planted bug must show itself at least once.
const SEEDS_PLANTED: u64 = 300;

async fn attempt(parts: Parts) -> Result<()> {
    let options = parts.options;
    let engine = Engine {
        store: parts.store,
        source: parts.source,
        destination: parts.destination,
        settings: Settings {
            concurrent: options.lanes,
            error_limit: options.error_limit,
            uncommitted_bytes: options.uncommitted_bytes,
            ..Settings::default()
        },
        progress: Arc::new(Progress::default()),
    };
    let summary = engine.attempt(&parts.run, options.stop).await;
    match summary.fault {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_seed_breaks_an_invariant() {
    if let Some(seed) = number("SIM_SEED") {
        let report = simulate(Scenario::from_seed(seed, Abilities::ALL), attempt);
        println!("{}", report.trace.join("\n"));
        assert_eq!(report.violations, Vec::<String>::new());
        return;
    }
    let first = number("SIM_FIRST").unwrap_or(0);
    let count = number("SIM_COUNT").unwrap_or(SEEDS);
    let mut fired = 0;
    let mut broken = Vec::new();
    for seed in first..first + count {
        match examine(&Scenario::from_seed(seed, Abilities::ALL), attempt) {
            Ok(report) => fired += report.fired,
            Err(text) => broken.push((seed, text)),
        }
    }
    if let Some((_, text)) = broken.first() {
        let seeds: Vec<_> = broken.iter().map(|(seed, _)| seed).collect();
        panic!(
            "{text}\n\n{} broken seeds: {seeds:?}\nreplay one: cargo xtask sim --seed {}",
            broken.len(),
            seeds[0]
        );
    }
    assert!(fired as u64 > count / 2, "only {fired} faults came in {count} seeds");
}

#[test]
fn planted_bugs_are_found() {
    for planted in Planted::ALL {
        let found = (0..SEEDS_PLANTED).any(|seed| {
            let scenario = Scenario::from_seed(seed, Abilities::ALL).with(planted);
            !simulate(scenario, attempt).violations.is_empty()
        });
        assert!(found, "{planted:?} went unnoticed in {SEEDS_PLANTED} seeds");
    }
}

/// A scenario in which every operation is called, several times.
fn busy(mode: CommitMode) -> Scenario {
    let wanted = |scenario: &Scenario| {
        scenario.writing.mode == mode
            && scenario.splits.len() > 2
            && scenario.dirty_expected() > 5
            && scenario.reading.position_every == Some(1)
    };
    let mut seeds = (0..).map(|seed| Scenario::from_seed(seed, Abilities::ALL));
    let mut scenario = seeds.find(wanted).expect("there are many seeds");
    scenario.error_limit = ErrorLimit::NONE;
    scenario.reading.tend = Some(Duration::from_secs(1));
    scenario.writing.tend = Some(Duration::from_secs(1));
    scenario.writing.commit_ms = 10;
    scenario.latency_ms_max = 200;
    scenario
}

/// Every call of every port with every fault, in a run that makes use of everything.
#[test]
fn every_fault_at_every_call_is_survived() {
    let scenarios = CommitMode::ALL.map(busy);
    for operation in Operation::ALL {
        for kind in FaultKind::ALL.into_iter().filter(|kind| kind.fits(operation)) {
            let mut fired = 0;
            for (scenario, nth) in scenarios.iter().zip([1, 2, 3, 2, 1]) {
                let mut scenario = scenario.clone();
                scenario.faults = vec![FaultPlan { operation, nth, kind }];
                match examine(&scenario, attempt) {
                    Ok(report) => fired += report.fired,
                    Err(wrong) => panic!("{wrong}"),
                }
            }
            assert!(fired > 0, "{} of {} never came", kind.word(), operation.word());
        }
    }
}

#[test]
fn a_run_whose_sums_do_not_add_up_fails() {
    let mut scenario = busy(CommitMode::Staged).with(Planted::Miscount);
    scenario.faults.clear();
    let report = simulate(scenario, attempt);
    assert_eq!((report.state, report.attempts), (Some(RunState::Failed), 1));
    assert!(report.trace.iter().any(|line| line.ends_with("[run.sums]")), "{:#?}", report.trace);
}
