//! The engine on scripted doubles under a simulated clock: every call of every port goes wrong from a
//! seed, and what is left must add up (invariants 1, 2 and 5).
//!
//! `SIM_SEED=N` replays one seed and shows its trace, `SIM_COUNT=N` plays more of them.

use std::sync::Arc;

use domain::Result;
use domain::job::ErrorLimit;
use engine::{Engine, Progress, Settings};
use testkit::{Abilities, Parts, Planted, Scenario, examine, simulate};

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
            error_limit: ErrorLimit { records: options.error_limit, share: None },
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
