//! Kills in the middle of one call of a guest.

use crate::scenario::{Scenario, Site};

/// Starts the job to `point`, holds a lock that what comes next needs, and kills it while it waits.
fn killed_waiting(site: &Site, point: &str, lock: &str) {
    let stopped = site.stopped_at(point);
    let held = site.database().hold(lock);
    let mut running = stopped.go();
    running.until("a session that waits for the lock", |_| site.database().waiting() > 0);
    assert_eq!(running.kill().code, None);
    drop(held);
}

#[test]
fn in_prepare() {
    let site = Site::new(Scenario::Table, 1);
    killed_waiting(&site, "writer.prepare:1:before", "lock table log");
    assert_eq!(site.resume(1), 0);
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
    assert_eq!(site.resume(1), 2);
}

#[test]
fn in_the_middle_of_finish() {
    let site = Site::new(Scenario::Table, 1);
    killed_waiting(&site, "writer.finish:1:before", "lock table log");
    assert_eq!(site.resume(1), 2);
}

/// How often a kill is tried until it hits between the first and the last file that appears.
const TRIES_MAX: u32 = 50;

#[test]
fn between_two_files_that_finish_publishes() {
    for _ in 0..TRIES_MAX {
        let site = Site::new(Scenario::Parquet, 1);
        let published = || {
            let files = site.env.files("out");
            files
                .iter()
                .filter(|file| {
                    !file.iter().any(|part| part.to_string_lossy().starts_with(['.', '_']))
                })
                .count() as u64
        };
        let running = site.stopped_at("writer.finish:1:before").go();
        while published() == 0 {
            std::hint::spin_loop();
        }
        let _ = running.kill();
        if published() < Scenario::Parquet.tasks() {
            assert_eq!(site.resume(1), Scenario::Parquet.tasks());
            return;
        }
    }
    panic!("no kill came between two files");
}
