//! SIGKILLs of the real binary at any time, until the run comes to its end between two of them.

use std::time::{Duration, Instant};

use tests::soak;

use crate::chance::Chance;
use crate::scenario::{Scenario, Site};

/// Kills of one run; then it may go on undisturbed.
const KILLS_MAX: u32 = 4;

/// Two lanes, as the runs that are compared with.
const LANES: u32 = 2;

fn kills(scenario: Scenario) {
    let wanted = if soak() { 50 } else { 2 };
    let mut whole = duration(scenario);
    let mut chance = Chance(scenario as u64);
    let mut killed = 0;
    while killed < wanted {
        killed += kill(scenario, &mut whole, &mut chance);
    }
}

/// How long the real binary takes where nothing disturbs it.
fn duration(scenario: Scenario) -> Duration {
    let site = Site::new(scenario, LANES);
    let begun = Instant::now();
    site.check_result(&site.airlock(&[]).run().expect(0), LANES);
    begun.elapsed()
}

/// One run, killed again and again. Answers how often. A run that ends before its kill says how long a whole
/// one takes now.
fn kill(scenario: Scenario, whole: &mut Duration, chance: &mut Chance) -> u32 {
    let site = Site::new(scenario, LANES);
    let mut more: &[&str] = &[];
    for kills in 0..KILLS_MAX {
        let wait = *whole * chance.below(1000) as u32 / 1000;
        let begun = Instant::now();
        let mut running = site.airlock(more).start();
        let mut has_ended = false;
        while !has_ended && begun.elapsed() < wait {
            std::thread::sleep(Duration::from_millis(1));
            has_ended = running.has_ended();
        }
        let took = begun.elapsed();
        let output = if has_ended { running.wait() } else { running.kill() };
        if output.code.is_some() {
            if kills == 0 {
                *whole = took;
            }
            site.check_result(&output.expect(0), LANES);
            return kills;
        }
        // Killed behind the end, there is nothing to resume.
        if let Some(run) = site.succeeded() {
            site.check_rows(&run, LANES);
            return kills + 1;
        }
        more = &["--resume"];
    }
    site.check_result(&site.airlock(more).run().expect(0), LANES);
    KILLS_MAX
}

/// A test for each way to commit that loses and doubles nothing.
macro_rules! sudden {
    ($($name:ident: $scenario:ident;)*) => {
        $(#[test] fn $name() { kills(Scenario::$scenario); })*
    };
}

sudden! {
    transactional: Table;
    transactional_with_refusals: Refused;
    transactional_in_one_task: Long;
    transactional_in_mariadb: Mysql;
    staged_in_a_database: Swap;
    staged_parquet: Parquet;
    staged_lines: Lines;
    staged_text_in_one_task: Text;
    idempotent: Upsert;
}
