//! Kills between the calls of the engine.

use tests::Stopped;

use crate::scenario::{Scenario, Site};

/// Kills at `point`, resumes, compares. `done` tasks were done before the kill, and stay done.
fn check(scenario: Scenario, point: &str, done: u64) {
    let site = Site::new(scenario, 1);
    site.killed(|| site.stopped_at(point).kill());
    assert_eq!(site.resume(1), done, "tasks done before the kill at {point}");
}

/// A test for each point in each scenario.
macro_rules! points {
    ($($scenario:ident { $($name:ident: $point:expr, $done:expr;)* })*) => {
        $(#[allow(non_snake_case, reason = "named after the scenario")]
        mod $scenario {
            use super::{Scenario, check};
            const SCENARIO: Scenario = Scenario::$scenario;
            $(#[test] fn $name() { check(SCENARIO, $point, $done); })*
        })*
    };
}

points! {
    Table {
        before_prepare: "writer.prepare:1:before", 0;
        between_prepare_and_the_store: "writer.prepare:1:after", 0;
        between_a_commit_and_the_store: "store.checkpoint:1:before", 0;
        between_the_store_and_the_acknowledge: "store.checkpoint:1:after", 0;
        between_a_commit_of_the_second_task_and_the_store: "store.checkpoint:2:before", 1;
        between_the_last_commit_and_close: "writer.close:2:before", 1;
        between_close_and_the_store: "writer.close:2:after", 1;
        between_the_last_checkpoint_and_complete: "store.complete:2:before", 1;
        between_complete_and_finish: "store.complete:2:after", 2;
        before_finish: "writer.finish:1:before", 2;
        between_finish_and_the_store: "writer.finish:1:after", 2;
    }
    Parquet {
        before_prepare: "writer.prepare:1:before", 0;
        between_prepare_and_the_store: "writer.prepare:1:after", 0;
        in_the_middle_of_a_task: "writer.write:2:after", 1;
        between_the_last_commit_and_close: "writer.close:2:before", 1;
        between_close_and_the_store: "writer.close:2:after", 1;
        between_the_last_checkpoint_and_complete: "store.complete:2:before", 1;
        between_complete_and_finish: "store.complete:4:after", 4;
        before_finish: "writer.finish:1:before", 4;
        between_finish_and_the_store: "writer.finish:1:after", 4;
    }
    Refused {
        before_prepare: "writer.prepare:1:before", 0;
        between_prepare_and_the_store: "writer.prepare:1:after", 0;
        before_dirty_records_are_stored: "store.add_dirty:2:before", 0;
        between_dirty_records_and_their_mark: "store.add_dirty:2:after", 0;
        before_what_was_undone_is_closed_again: "writer.close:2:before", 0;
        between_close_and_the_store: "store.checkpoint:2:before", 1;
        between_the_last_checkpoint_and_complete: "store.complete:2:before", 1;
        before_finish: "writer.finish:1:before", 4;
        between_finish_and_the_store: "writer.finish:1:after", 4;
    }
    Swap {
        between_prepare_and_the_store: "writer.prepare:1:after", 0;
        in_the_middle_of_a_task: "writer.write:2:after", 0;
        between_close_and_the_store: "store.checkpoint:2:before", 1;
        before_finish: "writer.finish:1:before", 4;
        between_finish_and_the_store: "writer.finish:1:after", 4;
    }
    Mysql {
        before_prepare: "writer.prepare:1:before", 0;
        between_prepare_and_the_store: "writer.prepare:1:after", 0;
        between_the_last_commit_and_close: "writer.close:2:before", 1;
        between_close_and_the_store: "writer.close:2:after", 1;
        before_finish: "writer.finish:1:before", 4;
        between_finish_and_the_store: "writer.finish:1:after", 4;
    }
    Sqlite {
        before_prepare: "writer.prepare:1:before", 0;
        between_prepare_and_the_store: "writer.prepare:1:after", 0;
        in_the_middle_of_a_task: "writer.write:2:after", 1;
        between_the_last_commit_and_close: "writer.close:2:before", 1;
        between_close_and_the_store: "writer.close:2:after", 1;
        before_finish: "writer.finish:1:before", 4;
        between_finish_and_the_store: "writer.finish:1:after", 4;
    }
    Lines {
        between_close_and_the_store: "writer.close:2:after", 1;
        between_finish_and_the_store: "writer.finish:1:after", 4;
    }
    Upsert {
        in_the_middle_of_a_task: "writer.write:2:after", 0;
        between_close_and_the_store: "store.checkpoint:2:before", 1;
        before_finish: "writer.finish:1:before", 4;
    }
    Long {
        before_a_commit: "writer.commit:1:before", 0;
        between_a_commit_and_the_store: "store.checkpoint:1:before", 0;
        between_the_store_and_the_acknowledge: "store.checkpoint:1:after", 0;
        between_two_commits: "writer.commit:2:before", 0;
        between_the_second_commit_and_the_store: "store.checkpoint:2:before", 0;
        between_the_last_commit_and_close: "writer.close:1:before", 0;
        between_close_and_the_store: "writer.close:1:after", 0;
    }
    Text {
        between_a_commit_and_the_store: "store.checkpoint:1:before", 0;
        between_the_store_and_the_acknowledge: "store.checkpoint:1:after", 0;
        in_the_middle_of_a_part: "writer.commit:2:after", 0;
        behind_a_commit: "writer.write:100:after", 0;
        between_the_last_commit_and_close: "writer.close:1:before", 0;
        between_close_and_the_store: "writer.close:1:after", 0;
    }
    Huge {
        between_a_file_and_the_store: "store.checkpoint:1:before", 0;
        between_two_files: "store.checkpoint:1:after", 0;
        between_the_last_commit_and_close: "writer.close:1:before", 0;
    }
}

/// Rows that the destination has committed are not read again, though the books lag behind it.
#[test]
fn a_task_goes_on_behind_its_last_commit() {
    let undisturbed = Scenario::Long.undisturbed(1);
    // A slow run commits more often, since it also does so by the clock.
    let last = (2..=undisturbed.count("store.checkpoint")).rev().find_map(|nth| {
        let site = Site::new(Scenario::Long, 1);
        let point = format!("store.checkpoint:{nth}:before");
        let stopped = Stopped::at(site.stopping(&[]), &point, site.env.root()).ok()?;
        site.killed(|| stopped.kill());
        Some(site)
    });
    let site = last.expect("a long file commits on its way");
    site.resume(1);
    let rest = site.calls().iter().filter(|line| *line == "reader.next").count();
    let all = undisturbed.count("reader.next");
    assert!(rest * 2 < all, "{rest} of {all} steps were read again");
}

/// The scenarios are what the points above take them for.
#[test]
fn runs_that_are_never_killed_have_the_calls_that_are_killed_at() {
    for scenario in Scenario::ALL {
        let undisturbed = scenario.undisturbed(1);
        let (calls, tasks) = (&undisturbed.calls, scenario.tasks() as usize);
        assert_eq!(undisturbed.count("store.complete"), tasks, "{scenario:?}: {calls:?}");
        assert_eq!(undisturbed.count("reader.open"), tasks, "{scenario:?}: {calls:?}");
        // One mark of each task is its last.
        let commits = undisturbed.count("store.checkpoint") > tasks;
        assert_eq!(commits, tasks == 1, "{scenario:?} commits on its way: {calls:?}");
    }
    let table = &Scenario::Table.undisturbed(1).rows;
    assert!(table.ends_with("after 8192\nbefore 0\n"), "{table}");
    let swapped = &Scenario::Swap.undisturbed(1).rows;
    assert!(swapped.contains("7988|"), "{swapped}");
    assert!(swapped.ends_with("after 7988\nbefore 3\n"), "{swapped}");
    let refused = &Scenario::Refused.undisturbed(1).rows;
    assert!(refused.ends_with("after 7988\nbefore 0\n"), "{refused}");
    assert_eq!(refused.lines().filter(|line| line.starts_with('{')).count(), 12, "{refused}");
}
