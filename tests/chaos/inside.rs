//! Kills in the middle of one call of a guest: before one of the calls that it makes to its host, and
//! while it waits for a lock in the database.

use tests::{Stopped, soak};

use crate::scenario::{Scenario, Site};

/// Kills inside of calls of the name `call`, at moments spread over all that they do.
fn check(scenario: Scenario, call: &str) {
    let all = scenario.undisturbed(1).host_calls(Some(call));
    assert!(all > 0, "{scenario:?}: no {call} calls its host");
    let points = if soak() { 25 } else { 3 };
    for point in 1..=points {
        kill(scenario, call, (all * point / points).max(1));
    }
}

/// Kills inside of `call`. A run may do less there than another, such as wait fewer times for an answer,
/// and end before it comes to the moment: then an earlier one is taken.
fn kill(scenario: Scenario, call: &str, mut nth: usize) {
    loop {
        let site = Site::new(scenario, 1);
        let point = format!("{call}.host:{nth}:before");
        match Stopped::at(site.stopping(&[]), &point, site.env.root()) {
            Ok(stopped) => {
                site.killed(|| stopped.kill());
                site.resume(1);
                return;
            }
            Err(output) => {
                site.check(&output.expect(0), 1);
            }
        }
        assert!(nth > 1, "{scenario:?}: no {call} calls its host");
        nth /= 2;
    }
}

/// A test for each call in each scenario.
macro_rules! inside {
    ($($scenario:ident { $($name:ident: $call:expr;)* })*) => {
        $(#[allow(non_snake_case, reason = "named after the scenario")]
        mod $scenario {
            use super::{Scenario, check};
            $(#[test] fn $name() { check(Scenario::$scenario, $call); })*
        })*
    };
}

inside! {
    Table {
        prepare: "writer.prepare";
        close: "writer.close";
        finish: "writer.finish";
    }
    Parquet {
        prepare: "writer.prepare";
        close: "writer.close";
        finish: "writer.finish";
    }
    Refused {
        prepare: "writer.prepare";
        close: "writer.close";
        finish: "writer.finish";
    }
    Long {
        a_commit: "writer.commit";
    }
    Text {
        a_write: "writer.write";
        a_commit: "writer.commit";
        close: "writer.close";
    }
}

#[test]
fn between_two_files_that_finish_publishes() {
    let all = Scenario::Parquet.undisturbed(1).host_calls(Some("writer.finish"));
    let hit = (1..=all).any(|nth| {
        let site = Site::new(Scenario::Parquet, 1);
        site.killed(|| site.stopped_at(&format!("writer.finish.host:{nth}:before")).kill());
        let published = site.env.published("out").len() as u64;
        let is_between = (1..Scenario::Parquet.tasks()).contains(&published);
        if is_between {
            assert_eq!(site.resume(1), Scenario::Parquet.tasks());
        }
        is_between
    });
    assert!(hit, "no kill came between two files");
}

/// Starts the job to `point`, holds a lock that what comes next needs, and kills it while it waits.
fn killed_waiting(site: &Site, point: &str, lock: &str) {
    let stopped = site.stopped_at(point);
    let held = site.database().hold(lock);
    let mut running = stopped.go();
    running.until("a session that waits for the lock", |_| site.database().waiting() > 0);
    site.killed(|| assert_eq!(running.kill().code, None));
    drop(held);
}

#[test]
fn in_prepare() {
    for scenario in [Scenario::Table, Scenario::Refused] {
        let site = Site::new(scenario, 1);
        killed_waiting(&site, "writer.prepare:1:before", "lock table log");
        assert_eq!(site.resume(1), 0);
    }
}

#[test]
fn inside_the_first_commit() {
    let site = Site::new(Scenario::Table, 1);
    killed_waiting(&site, "writer.close:1:before", "lock table _airlock_commit in exclusive mode");
    assert_eq!(site.resume(1), 0);
}

#[test]
fn inside_the_last_commit_of_a_task() {
    let site = Site::new(Scenario::Table, 1);
    killed_waiting(&site, "writer.close:2:before", "lock table _airlock_commit in exclusive mode");
    assert_eq!(site.resume(1), 1);
}

#[test]
fn inside_a_commit_in_the_middle_of_a_task() {
    let site = Site::new(Scenario::Long, 1);
    killed_waiting(&site, "writer.commit:2:before", "lock table _airlock_commit in exclusive mode");
    assert_eq!(site.resume(1), 0);
}

#[test]
fn inside_a_commit_behind_rows_refused() {
    let site = Site::new(Scenario::Refused, 1);
    killed_waiting(&site, "writer.close:3:before", "lock table _airlock_commit in exclusive mode");
    assert_eq!(site.resume(1), 1);
}

#[test]
fn in_the_middle_of_finish() {
    for scenario in [Scenario::Table, Scenario::Refused] {
        let site = Site::new(scenario, 1);
        killed_waiting(&site, "writer.finish:1:before", "lock table log");
        assert_eq!(site.resume(1), scenario.tasks());
    }
}
