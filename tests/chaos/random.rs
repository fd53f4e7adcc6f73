//! Kills at points that chance names, on two lanes, some runs killed twice.

use tests::{Stopped, soak};

use crate::scenario::{Scenario, Site};

/// A number that says which points; printed where a test fails.
const SEED: u64 = 0x5eed;

/// Splitmix64: all that is needed of chance here.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

fn kills(scenario: Scenario) {
    let count = if soak() { 100 } else { 5 };
    for number in 0..count {
        kill(scenario, &mut Chance(SEED + number));
    }
}

/// One run, killed once or twice.
fn kill(scenario: Scenario, chance: &mut Chance) {
    let calls = scenario.undisturbed(2).calls.len();
    let site = Site::new(scenario, 2);
    let mut more: &[&str] = &[];
    for _ in 0..1 + chance.below(2) {
        let moment = ["before", "after"][chance.below(2)];
        let point = format!("any:{}:{moment}", 1 + chance.below(calls));
        #[allow(clippy::print_stderr, reason = "a test that fails shows where it killed")]
        {
            eprintln!("{scenario:?}: {point} {more:?}");
        }
        match Stopped::at(site.stopping(more), &point, site.env.root()) {
            Ok(stopped) => stopped.kill(),
            // Two runs differ by a call or two, and a resumed one has fewer: it may end before.
            Err(output) => {
                site.check(&output.expect(0), 2);
                return;
            }
        }
        // Killed behind the end, there is nothing to resume.
        if site.has_succeeded() {
            return;
        }
        more = &["--resume"];
    }
    site.resume(2);
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
fn a_long_file() {
    kills(Scenario::Long);
}
