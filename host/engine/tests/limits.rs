//! How many dirty records a job allows: a run ends or goes on exactly at the bound, whoever finds them
//! and however often it is resumed.

#[allow(dead_code, reason = "some of it is for other tests")]
mod play;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::Fault;
use domain::job::ErrorLimit;
use domain::port::{Answer, CommitMode, Outcome, Rows, Step, Undecodable, Wishes};
use domain::run::RunState;
use engine::Settings;
use play::{Play, Played, again, ended, remark, rows, splits, taken};

const LIMIT: &str = "run.dirty_limit";

fn records(limit: u64) -> ErrorLimit {
    ErrorLimit { records: Some(limit), share: None }
}

fn share(limit: f64) -> ErrorLimit {
    ErrorLimit { records: None, share: Some(limit) }
}

fn settings(error_limit: ErrorLimit, concurrent: u32) -> Settings {
    Settings { error_limit, concurrent, ..Settings::default() }
}

/// Commits at every position.
fn committing() -> Wishes {
    Wishes { commit_bytes: 1, ..Wishes::default() }
}

/// Steps of ten rows each.
fn steps(count: u64) -> impl Fn((String, u64)) -> domain::Result<Step> {
    move |(_, step)| {
        let first = step as i64 * 10;
        Ok(if step < count { rows(first..first + 10) } else { ended() })
    }
}

/// The sink refuses the first `most` rows of each batch.
fn refusing(most: u32) -> impl Fn((u64, Vec<i64>)) -> domain::Result<Answer> {
    move |(number, ids)| {
        let refused = 0..most.min(ids.len() as u32);
        let remarks = refused.map(|row| remark(number, row, false)).collect();
        Ok(Answer { remarks, ..taken(number + 1) })
    }
}

/// A record that the reader cannot decode, behind rows that it can.
fn half_read((_, step): (String, u64)) -> domain::Result<Step> {
    let undecodable = Undecodable {
        dataset: Some(0),
        origin: "line 11".into(),
        data: b"?".to_vec(),
        code: "play.unreadable".into(),
        message: "it is none".into(),
    };
    Ok(match (step, rows(0..9)) {
        (0, Step::Rows(read)) => Step::Rows(Rows { undecodable: vec![undecodable], ..read }),
        _ => ended(),
    })
}

#[track_caller]
fn went_on(played: &Played, dirty: u64) {
    assert_eq!((played.code(), played.state()), ("", RunState::Succeeded));
    assert_eq!(played.summary.counts.records_dirty, dirty);
    assert_eq!(played.dirty as u64, dirty, "all are in the books");
}

#[track_caller]
fn ended_at(play: &Play, played: &Played, dirty: u64) {
    assert_eq!((played.code(), played.state()), (LIMIT, RunState::Failed));
    assert_eq!(played.summary.counts.records_dirty, dirty);
    assert_eq!(play.count(&format!("finish {:?}", Outcome::Succeeded)), 0, "nothing is published");
    assert_eq!(play.count(&format!("finish {:?}", Outcome::Failed)), 1, "it is cleared away");
}

#[test]
fn no_dirty_record_is_the_first_one_too_many() {
    for next in [0, 1] {
        let reads: Box<dyn Fn(_) -> _ + Send + Sync> =
            if next == 0 { Box::new(half_read) } else { Box::new(steps(1)) };
        let play = Play {
            settings: settings(ErrorLimit::ZERO, 1),
            next: reads,
            write: Box::new(refusing(next)),
            ..Play::default()
        };
        let (play, played) = play.run();
        ended_at(&play, &played, 1);
    }
    let (_, played) = Play { settings: settings(ErrorLimit::ZERO, 1), ..Play::default() }.run();
    went_on(&played, 0);
}

#[test]
fn a_number_is_allowed_and_one_more_is_not() {
    // Three batches with two refused rows each: six in all.
    for (limit, goes_on) in [(7, true), (6, true), (5, false), (1, false)] {
        let (play, played) = Play {
            settings: settings(records(limit), 1),
            next: Box::new(steps(3)),
            write: Box::new(refusing(2)),
            ..Play::default()
        }
        .run();
        if goes_on {
            went_on(&played, 6);
            continue;
        }
        // The batch that goes beyond the limit is the last one that is written.
        let batches = limit / 2 + 1;
        ended_at(&play, &played, batches * 2);
        assert_eq!(play.count("write") as u64, batches, "limit {limit}");
        let message = played.summary.fault.as_ref().unwrap().to_string();
        let expected = format!("{} dirty records, and the limit is {limit}", batches * 2);
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn records_loaded_with_a_change_are_not_dirty() {
    let (_, played) = Play {
        settings: settings(ErrorLimit::ZERO, 1),
        write: Box::new(|(number, _)| {
            Ok(Answer { remarks: vec![remark(number, 0, true)], ..taken(number + 1) })
        }),
        ..Play::default()
    }
    .run();
    assert_eq!((played.code(), played.state()), ("", RunState::Succeeded));
    assert_eq!(played.summary.counts.records_changed, 1);
}

#[test]
fn any_number_is_allowed_where_the_job_says_so() {
    let (_, played) = Play {
        settings: settings(ErrorLimit::NONE, 1),
        next: Box::new(steps(30)),
        write: Box::new(refusing(10)),
        ..Play::default()
    }
    .run();
    went_on(&played, 300);
}

#[test]
fn a_share_is_of_all_that_was_read_and_is_looked_at_in_the_end() {
    // Of a hundred records thirty are refused, the first ones all at once.
    let thirty =
        |(number, ids): (u64, Vec<i64>)| refusing(if number < 3 { 10 } else { 0 })((number, ids));
    for (limit, goes_on) in [(1.0, true), (0.31, true), (0.3, true), (0.29, false), (0.0, false)] {
        let (play, played) = Play {
            settings: settings(share(limit), 1),
            next: Box::new(steps(10)),
            write: Box::new(thirty),
            ..Play::default()
        }
        .run();
        assert_eq!(play.count("write"), 10, "all is written before");
        if goes_on {
            went_on(&played, 30);
        } else {
            ended_at(&play, &played, 30);
            let message = played.summary.fault.as_ref().unwrap().to_string();
            assert!(message.contains(&format!("the limit is {limit} of")), "{message}");
        }
    }
    // What is filtered or undecodable was read too: one of ten.
    for (limit, goes_on) in [(0.1, true), (0.09, false)] {
        let settings = settings(share(limit), 1);
        let (play, played) = Play { settings, next: Box::new(half_read), ..Play::default() }.run();
        if goes_on { went_on(&played, 1) } else { ended_at(&play, &played, 1) }
    }
}

#[test]
fn a_number_beside_a_share_wins() {
    let both = |records, share| ErrorLimit { records: Some(records), share: Some(share) };
    for (limit, goes_on) in [(both(1, 0.0), true), (both(0, 1.0), false)] {
        let settings = settings(limit, 1);
        let (play, played) = Play { settings, next: Box::new(half_read), ..Play::default() }.run();
        if goes_on { went_on(&played, 1) } else { ended_at(&play, &played, 1) }
    }
}

#[test]
fn lanes_share_one_limit() {
    let labels = ["a", "b", "c", "d", "e", "f"];
    for concurrent in [1, 2, 3, 6] {
        for (limit, goes_on) in
            [(records(12), true), (records(11), false), (share(0.2), true), (share(0.19), false)]
        {
            let (play, played) = Play {
                settings: settings(limit, concurrent),
                splits: Box::new(move |_| Ok(splits(&labels))),
                next: Box::new(steps(1)),
                write: Box::new(refusing(2)),
                ..Play::default()
            }
            .run();
            if goes_on { went_on(&played, 12) } else { ended_at(&play, &played, 12) }
        }
    }
}

#[test]
fn a_task_that_is_tried_again_counts_its_dirty_records_once() {
    for (limit, goes_on) in [(4, true), (3, false)] {
        let commits = AtomicU64::new(0);
        let play = Play {
            settings: settings(records(limit), 1),
            wishes: committing(),
            next: Box::new(steps(2)),
            write: Box::new(refusing(2)),
            // The first try loses its connection; nothing of it was durable.
            commit: Box::new(move |(writes, mark, _)| {
                match commits.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(again()),
                    _ => Ok(Answer { durable: Some(mark), ..taken(writes) }),
                }
            }),
            ..Play::default()
        };
        let (play, played) = play.run();
        if goes_on { went_on(&played, 4) } else { ended_at(&play, &played, 4) }
    }
}

/// Two tasks, each with a mark and two dirty records when the first attempt breaks off; in the second,
/// each has two more.
fn resumed(limit: ErrorLimit, lanes_later: u32) -> (Arc<Play>, Played) {
    let (opened, idle) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
    let begun = opened.clone();
    let play = Arc::new(Play {
        settings: settings(limit, 2),
        lanes_later: Some(lanes_later),
        wishes: committing(),
        splits: Box::new(|_| Ok(splits(&["a", "b"]))),
        open: Box::new(move |_| {
            opened.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        }),
        next: Box::new(move |(_, step)| match step {
            0 => Ok(rows(0..10)),
            _ if begun.load(Ordering::Relaxed) > 2 => Ok(ended()),
            // Both lanes wait a while, and break off.
            _ if idle.fetch_add(1, Ordering::Relaxed) < 6 => Ok(Step::Idle),
            _ => Err(Fault::external("play.broken", "broken off")),
        }),
        mode: CommitMode::AtLeastOnce,
        write: Box::new(refusing(2)),
        ..Play::default()
    });
    let [first, second] = play.attempts(2).try_into().ok().expect("two attempts");
    assert_eq!((first.code(), first.state()), ("play.broken", RunState::Interrupted));
    let marks = first.tasks.iter().filter_map(|task| task.mark.as_ref());
    assert_eq!(marks.map(|mark| mark.counts.records_dirty).collect::<Vec<_>>(), [2, 2]);
    (play, second)
}

#[test]
fn a_resumed_run_counts_on() {
    for lanes in [1, 2] {
        let table =
            [(records(8), true), (records(7), false), (share(0.2), true), (share(0.19), false)];
        for (limit, goes_on) in table {
            let (play, second) = resumed(limit, lanes);
            if goes_on { went_on(&second, 8) } else { ended_at(&play, &second, 8) }
        }
    }
}

#[test]
fn a_resumed_run_ends_at_the_bound_before_it_comes_to_all_its_tasks() {
    let (play, second) = resumed(records(4), 1);
    // Two dirty records of the first task are too many, since the marks of both have four.
    ended_at(&play, &second, 6);
    assert_eq!(play.count("write"), 3);
}
