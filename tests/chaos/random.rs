//! Kills at points that chance names, on two lanes, some runs killed twice.

use tests::{Stopped, soak};

use crate::chance::Chance;
use crate::scenario::{Scenario, Site};

/// A number that says which points; printed where a test fails.
const SEED: u64 = 0x5eed;

/// Runs that are drawn for each kill that is wanted.
const DRAWS_MAX: u64 = 4;

fn kills(scenario: Scenario) {
    let count = if soak() { 100 } else { 2 };
    // A run that ends before its point proves nothing: another is drawn.
    let mut seeds = SEED..SEED + DRAWS_MAX * count;
    let hits =
        seeds.by_ref().filter(|seed| kill(scenario, &mut Chance(*seed))).take(count as usize);
    assert_eq!(hits.count() as u64, count, "{scenario:?}: too many runs end before their point");
}

/// A call of a port, or a moment inside of one.
fn point(scenario: Scenario, chance: &mut Chance) -> String {
    let undisturbed = scenario.undisturbed(2);
    if chance.below(2) == 0 {
        // How often a guest waits differs from run to run; the last tenth may not be there.
        return format!("host:{}:before", 1 + chance.below(undisturbed.host_calls(None) * 9 / 10));
    }
    let moment = ["before", "after"][chance.below(2)];
    format!("any:{}:{moment}", 1 + chance.below(undisturbed.calls.len()))
}

/// One run, killed once or twice. Answers whether the first kill hit.
fn kill(scenario: Scenario, chance: &mut Chance) -> bool {
    let site = Site::new(scenario, 2);
    for hits in 0..1 + chance.below(2) {
        let point = point(scenario, chance);
        let more: &[&str] = if hits == 0 { &[] } else { &["--resume"] };
        #[allow(clippy::print_stderr, reason = "a test that fails shows where it killed")]
        {
            eprintln!("{scenario:?}: {point} {more:?}");
        }
        match Stopped::at(site.stopping(more), &point, site.env.root()) {
            Ok(stopped) => site.killed(|| stopped.kill()),
            // Two runs differ by a call or two, and a resumed one has fewer: it may end before.
            Err(output) => {
                site.check(&output.expect(0), 2);
                return hits > 0;
            }
        }
        // Killed behind the end, there is nothing to resume.
        if let Some(run) = site.succeeded() {
            site.check_rows(&run, 2);
            return true;
        }
    }
    site.resume(2);
    true
}

#[test]
fn a_table_without_a_key() {
    kills(Scenario::Table);
}

#[test]
fn parquet_files() {
    kills(Scenario::Parquet);
}

#[test]
fn rows_refused_by_the_destination() {
    kills(Scenario::Refused);
}

#[test]
fn rows_that_replace_others() {
    kills(Scenario::Swap);
}

#[test]
fn rows_into_mariadb() {
    kills(Scenario::Mysql);
}

#[test]
fn rows_into_sqlite() {
    kills(Scenario::Sqlite);
}

#[test]
fn files_of_lines() {
    kills(Scenario::Lines);
}

#[test]
fn a_table_with_a_key() {
    kills(Scenario::Upsert);
}

#[test]
fn a_long_file() {
    kills(Scenario::Long);
}

#[test]
fn a_long_file_into_text() {
    kills(Scenario::Text);
}
