//! One attempt at a run, call by call: what plug-ins may answer and what they may not, and what is
//! left in the books.

#![allow(dead_code, reason = "the play serves other tests too")]

mod play;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::job::{ErrorLimit, Rate, Rates};
use domain::port::{Answer, Closed, CommitMode, Outcome, Rows, Splits, Step, Wishes};
use domain::run::RunState;
use domain::{Fault, Mark};
use engine::Settings;
use play::{Play, again, counts, ended, remark, rows, split, splits, taken};

/// Settings that commit at every position.
fn committing() -> Wishes {
    Wishes { commit_bytes: 1, ..Wishes::default() }
}

/// Two steps of ten rows, each with a position.
fn two_steps((_, step): (String, u64)) -> domain::Result<Step> {
    Ok(match step {
        0 => rows(0..10),
        1 => rows(10..20),
        _ => ended(),
    })
}

/// A sink that takes nothing before a commit, and speaks of batch 0 with the second write.
fn remarks_late(loaded: bool) -> impl Fn((u64, Vec<i64>)) -> domain::Result<Answer> {
    move |(number, _)| {
        let remarks = if number == 1 { vec![remark(0, 3, loaded)] } else { vec![] };
        Ok(Answer { remarks, ..Answer::default() })
    }
}

#[test]
fn a_mark_whose_row_is_refused_later_must_not_become_durable() {
    for loaded in [false, true] {
        let first = std::sync::Mutex::new(None);
        let (_, lied) = Play {
            wishes: committing(),
            next: Box::new(two_steps),
            write: Box::new(remarks_late(loaded)),
            commit: Box::new(move |(_, mark, _)| {
                // The first mark is durable with the second commit, though the refusal voided it.
                let mut first = first.lock().unwrap();
                let durable = first.replace(mark);
                Ok(Answer { durable, ..Answer::default() })
            }),
            ..Play::default()
        }
        .run();
        assert_eq!((lied.code(), lied.state()), ("plugin.lie.mark", RunState::Failed), "{loaded}");
    }
}

#[test]
fn a_refusal_before_its_mark_is_durable_is_counted() {
    let (_, honest) = Play {
        wishes: committing(),
        next: Box::new(two_steps),
        write: Box::new(remarks_late(false)),
        commit: Box::new(|(writes, mark, _)| {
            let durable = (mark.sequence > 1).then_some(mark);
            Ok(Answer { durable, ..taken(if writes > 1 { writes } else { 0 }) })
        }),
        ..Play::default()
    }
    .run();
    assert_eq!(honest.state(), RunState::Succeeded, "{:?}", honest.summary.fault);
    let found = honest.summary.counts;
    assert_eq!((found.records_read, found.records_written, found.records_dirty), (20, 19, 1));
    assert_eq!(honest.dirty, 1);
}

#[test]
fn a_remark_with_the_answer_that_makes_its_mark_durable_is_a_lie() {
    for loaded in [false, true] {
        let hold = |(_, _)| Ok(Answer::default());
        let at_commit = Play {
            wishes: committing(),
            write: Box::new(hold),
            commit: Box::new(move |(_, mark, _)| {
                let remarks = vec![remark(0, 3, loaded)];
                Ok(Answer { durable: Some(mark), remarks, ..Answer::default() })
            }),
            ..Play::default()
        };
        let at_close = |says_durable: bool| Play {
            write: Box::new(hold),
            close: Box::new(move |mark| {
                let durable = says_durable.then_some(mark);
                let remarks = vec![remark(0, 3, loaded)];
                let answer = Answer { durable, remarks, ..Answer::default() };
                Ok(Closed { answer, receipt: vec![] })
            }),
            ..Play::default()
        };
        for play in [at_commit, at_close(false), at_close(true)] {
            let (_, lied) = play.run();
            assert_eq!(lied.code(), "plugin.lie.late_remark", "{loaded}");
            assert!(lied.tasks[0].done.is_none());
        }
    }
}

#[test]
fn a_task_that_is_closed_again_has_nothing_to_tell() {
    let end = Mark { sequence: 3, end: true, counts: counts(5, 5, 0), position: None };
    for (undone, remarks) in
        [(Some(Fault::data("x", "x")), vec![]), (None, vec![remark(0, 0, true)])]
    {
        let end = end.clone();
        let (_, lied) = Play {
            open: Box::new(move |_| Ok(Some(end.clone()))),
            close: Box::new(move |_| {
                let (undone, remarks) = (undone.clone(), remarks.clone());
                let answer = Answer { undone, remarks, ..Answer::default() };
                Ok(Closed { answer, receipt: vec![] })
            }),
            ..Play::default()
        }
        .run();
        assert_eq!(lied.code(), "plugin.lie.closed");
    }
}

#[test]
fn one_bad_row_that_is_not_named_costs_its_search() {
    for bad in [0, 511, 512, 1023] {
        let (play, played) = Play {
            next: Box::new(|(_, step)| Ok(if step == 0 { rows(0..1024) } else { ended() })),
            write: Box::new(move |(number, ids)| {
                let undone = ids.contains(&bad).then(|| Fault::data("play.refused", "no"));
                Ok(Answer { undone, ..taken(if ids.contains(&bad) { number } else { number + 1 }) })
            }),
            ..Play::default()
        }
        .run();
        assert_eq!(played.state(), RunState::Succeeded);
        assert_eq!((played.summary.counts.records_written, played.dirty), (1023, 1), "{bad}");
        assert!(play.count("write") <= 1 + 10 + 2, "{bad}: {}", play.count("write"));
    }
}

#[test]
fn a_session_that_wants_all_attention_leaves_some_to_others() {
    let (play, played) = Play {
        tend: Some(Duration::ZERO),
        next: Box::new(|(_, step)| {
            Ok(match step {
                0..4 => Step::Idle,
                4 => rows(0..10),
                _ => ended(),
            })
        }),
        ..Play::default()
    }
    .run();
    assert_eq!(played.state(), RunState::Succeeded);
    let most = 4 * (played.took.as_millis() as usize / 100 + 10);
    assert!(play.count("tend") <= most, "{} in {:?}", play.count("tend"), played.took);
}

#[test]
fn two_sessions_that_are_slow_to_tend_do_not_keep_a_lane_from_its_work() {
    let (_, played) = Play {
        tend: Some(Duration::ZERO),
        tend_takes: Duration::from_millis(300),
        next: Box::new(two_steps),
        ..Play::default()
    }
    .run();
    assert_eq!(played.state(), RunState::Succeeded);
    assert!(played.took < Duration::from_secs(60), "{:?}", played.took);
}

#[test]
fn a_writer_that_cannot_be_tended_at_a_tasks_end_is_not_kept() {
    let once = AtomicU64::new(0);
    let (play, played) = Play {
        tend: Some(Duration::from_secs(1)),
        // The reader hears of the end for so long that the writer is tended meanwhile.
        acknowledge_takes: Duration::from_secs(10),
        tend_writer: Box::new(move |closed| match (closed, once.load(Ordering::Relaxed)) {
            (1.., 0) => {
                once.store(1, Ordering::Relaxed);
                Err(Fault::external("net.gone", "the server went away"))
            }
            _ => Ok(()),
        }),
        splits: Box::new(|_| Ok(splits(&["a", "b"]))),
        ..Play::default()
    }
    .run();
    assert_eq!(played.state(), RunState::Succeeded, "{:?}", played.summary.fault);
    assert_eq!((play.count("close"), played.tasks[0].epoch), (2, 1), "the task was done");
}

#[test]
fn a_cursor_that_does_not_wait_is_waited_for() {
    let (_, played) = Play {
        next: Box::new(|(_, step)| {
            Ok(match step {
                0..20 => Step::Idle,
                20 => rows(0..10),
                _ => ended(),
            })
        }),
        ..Play::default()
    }
    .run();
    assert_eq!(played.state(), RunState::Succeeded);
    assert!(played.took >= 20 * Settings::default().wait, "{:?}", played.took);
}

#[test]
fn a_bounded_plan_that_does_not_get_on_is_ended() {
    let empty = || Step::Rows(Rows { position: Some(vec![1]), ..Rows::default() });
    let advanced = || Step::Advanced { position: vec![1] };
    let ways: [fn() -> Step; 2] = [empty, advanced];
    for way in ways {
        let (_, played) = Play { next: Box::new(move |_| Ok(way())), ..Play::default() }.run();
        assert_eq!((played.code(), played.state()), ("plugin.lie.idle", RunState::Failed));
    }
    // One that waits is not broken: it may go on another time.
    let (_, played) = Play { next: Box::new(|_| Ok(Step::Idle)), ..Play::default() }.run();
    assert_eq!((played.code(), played.state()), ("run.no_progress", RunState::Interrupted));
    let fault = played.summary.fault.as_ref().unwrap();
    assert!(fault.to_string().contains("reader: the source has given neither"), "{fault}");
    let wanted = Settings::default().no_progress;
    assert!((wanted..wanted * 2).contains(&played.took), "{:?}", played.took);
    // One that moves on without a row for this job is no such plan.
    let (_, played) = Play {
        next: Box::new(|(_, step)| {
            Ok(match step {
                0..30_000 => Step::Advanced { position: step.to_le_bytes().to_vec() },
                _ => ended(),
            })
        }),
        ..Play::default()
    }
    .run();
    assert_eq!(played.state(), RunState::Succeeded, "{:?}", played.summary.fault);
}

#[test]
fn splits_that_never_end_or_go_back_are_refused() {
    let given = |all: Vec<(Vec<domain::port::Split>, bool, &'static [u8])>| {
        let call = AtomicU64::new(0);
        let splits = move |_: Vec<u8>| {
            let index = call.fetch_add(1, Ordering::Relaxed) as usize;
            let (splits, last, next) = all[index.min(all.len() - 1)].clone();
            Ok(Splits { splits, last, next: next.to_vec() })
        };
        Play { splits: Box::new(splits), ..Play::default() }.run().1
    };
    let same = given(vec![(vec![split("a", 0)], false, b"start")]);
    assert_eq!(same.code(), "plugin.lie.splits");
    let none = given(vec![(vec![], false, b"start")]);
    assert_eq!(none.code(), "plugin.lie.splits");
    let back = given(vec![(vec![split("a", 1)], false, b"1"), (vec![split("b", 0)], true, b"2")]);
    assert_eq!((back.code(), back.tasks.len()), ("plugin.lie.stage", 1));
    let many = given(vec![(vec![split("", 0); 1_000_001], false, b"1")]);
    assert_eq!((many.code(), many.tasks.len()), ("run.too_many_tasks", 0));
}

#[test]
fn a_run_that_fails_before_it_is_prepared_has_nothing_to_go_on_with() {
    let gone = || Err(Fault::external("net.gone", "the server went away"));
    for play in [
        Play { plan: Box::new(move |()| gone()), ..Play::default() },
        Play { prepare: Box::new(move |()| gone()), ..Play::default() },
    ] {
        let (play, played) = play.run();
        assert_eq!((played.code(), played.state()), ("net.gone", RunState::Failed));
        assert_eq!(play.count("finish"), 0, "there is nothing to clear away");
    }
    let gone = move |_| Err(Fault::external("net.gone", "the server went away"));
    let (_, later) = Play { write: Box::new(gone), ..Play::default() }.run();
    assert_eq!((later.code(), later.state()), ("net.gone", RunState::Interrupted));
    let stopped = Play { plan: Box::new(|()| Err(again())), ..Play::default() };
    stopped.stop.send_replace(true);
    let (_, stopped) = stopped.run();
    assert_eq!((stopped.code(), stopped.state()), ("run.stopped", RunState::Interrupted));
}

#[test]
fn what_is_published_in_part_is_not_cleared_away() {
    let call = AtomicU64::new(0);
    let play = Arc::new(Play {
        finish: Box::new(move |_| match call.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Fault::plugin("plugin.trap", "unreachable")),
            _ => Ok(()),
        }),
        ..Play::default()
    });
    let attempts = play.attempts(2);
    let told: Vec<_> = attempts.iter().map(|one| (one.code(), one.state())).collect();
    assert_eq!(told, [("plugin.trap", RunState::Finishing), ("", RunState::Succeeded)]);
    assert_eq!(play.count(&format!("finish {:?}", Outcome::Failed)), 0);
}

#[test]
fn every_dirty_record_of_the_counts_is_in_the_books() {
    let settings = Settings {
        concurrent: 3,
        error_limit: ErrorLimit { records: Some(40), share: None },
        ..Settings::default()
    };
    let (_, played) = Play {
        settings,
        splits: Box::new(|_| Ok(splits(&["a", "b", "c"]))),
        next: Box::new(|(_, step)| Ok(rows(step as i64 * 10..step as i64 * 10 + 10))),
        write: Box::new(|(number, _)| {
            Ok(Answer { remarks: vec![remark(number, 0, false)], ..taken(number + 1) })
        }),
        ..Play::default()
    }
    .run();
    let fault = played.summary.fault.as_ref().unwrap();
    assert_eq!(fault.code, "run.dirty_limit");
    assert_eq!(fault.context.len(), 1, "the writer is not to blame: {:?}", fault.context);
    assert!(played.dirty > 40);
    assert_eq!(played.dirty as u64, played.summary.counts.records_dirty);
    assert!(played.took < Duration::from_secs(5), "nobody was waited for: {:?}", played.took);
}

#[test]
fn a_fault_of_the_reader_keeps_the_dirty_records_too() {
    let (_, played) = Play {
        next: Box::new(|(_, step)| match step {
            0..3 => Ok(rows(0..10)),
            _ => Err(Fault::plugin("plugin.trap", "unreachable")),
        }),
        write: Box::new(|(number, _)| {
            Ok(Answer { remarks: vec![remark(number, 0, false)], ..taken(number + 1) })
        }),
        ..Play::default()
    }
    .run();
    assert_eq!((played.code(), played.state()), ("plugin.trap", RunState::Failed));
    assert_eq!((played.dirty, played.summary.counts.records_dirty), (3, 3));
}

#[test]
fn records_that_may_be_there_twice_are_counted() {
    let call = AtomicU64::new(0);
    let (_, played) = Play {
        mode: CommitMode::AtLeastOnce,
        wishes: committing(),
        next: Box::new(two_steps),
        commit: Box::new(move |(writes, mark, _)| match call.fetch_add(1, Ordering::Relaxed) {
            // The first is durable, the second breaks; the test's cursor begins from the start.
            1 => Err(again()),
            _ => Ok(Answer { durable: Some(mark), ..taken(writes) }),
        }),
        ..Play::default()
    }
    .run();
    assert_eq!(played.state(), RunState::Succeeded);
    assert_eq!(played.tasks[0].epoch, 2);
    let notes = &played.summary.notes;
    assert!(notes.len() == 1 && notes[0].contains("up to 20 records"), "{notes:?}");
}

#[test]
fn rows_come_to_the_sink_as_it_wishes() {
    let wishes = Wishes { sort_by: vec!["id".into()], ..Wishes::default() };
    let backwards = |(_, step): (String, u64)| {
        let ids: arrow_array::Int64Array = (0..3).rev().collect();
        let rows = arrow_array::RecordBatch::try_new(play::dataset().schema, vec![Arc::new(ids)]);
        let batches = vec![domain::Batch::new(0, rows.unwrap())];
        let rows = Step::Rows(Rows { batches, ..Rows::default() });
        Ok(if step == 0 { rows } else { ended() })
    };
    let (play, _) = Play { wishes, next: Box::new(backwards), ..Play::default() }.run();
    assert_eq!(play.count("write [0, 1, 2]"), 1);
    let wishes = Wishes { sort_by: vec!["nope".into()], ..Wishes::default() };
    let (_, lied) = Play { wishes, ..Play::default() }.run();
    assert_eq!(lied.code(), "plugin.lie.sort_by");
}

#[test]
fn marks_that_wait_are_bounded() {
    let steps = |(_, step): (String, u64)| {
        let id = step as i64;
        Ok(if id < 5000 { rows(id..id + 1) } else { ended() })
    };
    let lazy = |may_wait: bool| {
        let commit = move |(writes, mark, now)| {
            let durable = (now && may_wait).then_some(mark);
            Ok(Answer { durable, ..taken(writes) })
        };
        let wishes = committing();
        Play { wishes, next: Box::new(steps), commit: Box::new(commit), ..Play::default() }.run()
    };
    let (play, played) = lazy(true);
    assert_eq!(played.state(), RunState::Succeeded, "{:?}", played.summary.fault);
    assert_eq!(play.calls.lock().unwrap().iter().filter(|call| call.ends_with(" now")).count(), 1);
    assert_eq!(lazy(false).1.code(), "plugin.lie.mark");
}

#[test]
fn a_sample_ends_with_its_last_row_and_tells_what_cannot_be_decoded() {
    let bad = |count: usize| {
        let one = domain::port::Undecodable {
            dataset: Some(0),
            origin: "line 1".into(),
            data: vec![0xff],
            code: "x".into(),
            message: "x".into(),
        };
        Step::Rows(Rows { undecodable: vec![one; count], ..Rows::default() })
    };
    let sampled = |next: fn(&dyn Fn(usize) -> Step, &str, u64) -> Step, rows: usize| {
        let next = move |(label, step): (String, u64)| Ok(next(&bad, &label, step));
        let splits = |_| Ok(splits(&["a", "b"]));
        Play { splits: Box::new(splits), next: Box::new(next), ..Play::default() }.sample(rows)
    };
    let (play, sample) = sampled(|bad, _, step| if step == 0 { bad(2) } else { rows(0..10) }, 5);
    assert_eq!((sample.undecodable, sample.batches[0].len()), (2, 5));
    assert_eq!(play.count("open"), 1, "the second split was not needed");
    let (play, sample) = sampled(|_, _, _| Step::Rows(Rows::default()), 5);
    assert_eq!((sample.batches.len(), play.count("open")), (0, 2), "it ends without rows too");
}

/// Settings with rates of the job and of a lane.
fn paced(concurrent: u32, job: Rate, lane: Rate) -> Settings {
    Settings { concurrent, rates: Rates { job, lane }, ..Settings::default() }
}

/// A cursor that gives `steps` steps, by turns of one row and of `many`.
fn uneven(steps: u64, many: i64) -> impl Fn((String, u64)) -> domain::Result<Step> {
    move |(_, step)| Ok(if step == steps { ended() } else { rows(0..[1, many][step as usize % 2]) })
}

#[test]
fn a_rate_is_exact_over_ten_seconds() {
    let bytes = |rate| Rate { bytes: Some(rate), records: None };
    let records = |rate| Rate { bytes: None, records: Some(rate) };
    let both = |bytes, records| Rate { bytes: Some(bytes), records: Some(records) };
    let none = Rate::default();
    // Each lane reads 10,000 rows of 8 bytes, in steps of 1 and 99 rows.
    let table = [
        (1, records(1000), none),
        (1, bytes(8000), none),
        (1, none, records(1000)),
        (1, both(8000, 5000), both(1 << 20, 1 << 20)),
        (1, both(1 << 20, 1000), none),
        (4, records(4000), none),
        (4, none, bytes(8000)),
        (4, bytes(32_000), records(2000)),
        (4, bytes(1 << 20), both(16_000, 1000)),
    ];
    for (lanes, job, lane) in table {
        let (_, played) = Play {
            settings: paced(lanes, job, lane),
            splits: Box::new(move |_| Ok(splits(&["a", "b", "c", "d"][..lanes as usize]))),
            next: Box::new(uneven(200, 99)),
            ..Play::default()
        }
        .run();
        let counts = &played.summary.counts;
        assert_eq!(counts.records_written, 10_000 * u64::from(lanes), "{job:?} {lane:?}");
        assert_eq!(counts.bytes_read, counts.records_read * 8, "{job:?} {lane:?}");
        let took = played.took.as_secs_f64();
        assert!((9.5..10.5).contains(&took), "{job:?} {lane:?}: {took}");
        let waited = played.summary.waited_throttle.as_secs_f64() / f64::from(lanes);
        assert!((9.0..10.5).contains(&waited), "{job:?} {lane:?}: {waited}");
        assert!(played.summary.notes.iter().any(|note| note.contains("rate")));
    }
}

#[test]
fn no_second_goes_over_the_rate_by_more_than_what_is_saved() {
    let begun = std::sync::OnceLock::new();
    let written = AtomicU64::new(0);
    let most = Arc::new(AtomicU64::new(0));
    let over = most.clone();
    let play = Play {
        settings: paced(1, Rate { bytes: None, records: Some(1000) }, Rate::default()),
        next: Box::new(|(_, step)| {
            Ok(match step {
                // The source is slow for ten seconds, then fast.
                0..20 => Step::Idle,
                20..120 => rows(0..100),
                _ => ended(),
            })
        }),
        write: Box::new(move |(number, ids)| {
            let now = tokio::time::Instant::now();
            let since = now - *begun.get_or_init(|| now);
            let so_far = written.fetch_add(ids.len() as u64, Ordering::Relaxed) + 100;
            over.fetch_max(so_far.saturating_sub(since.as_millis() as u64), Ordering::Relaxed);
            Ok(taken(number + 1))
        }),
        ..Play::default()
    };
    let (_, played) = play.run();
    assert_eq!(played.state(), RunState::Succeeded);
    assert!(most.load(Ordering::Relaxed) <= 350, "{most:?}");
}

#[test]
fn who_waits_for_the_rate_is_tended_and_acknowledges() {
    let (play, played) = Play {
        settings: paced(1, Rate::default(), Rate { bytes: None, records: Some(10) }),
        wishes: committing(),
        tend: Some(Duration::from_secs(1)),
        next: Box::new(|(_, step)| {
            Ok(match step {
                0 => rows(0..1),
                1 => rows(1..1001),
                _ => ended(),
            })
        }),
        ..Play::default()
    }
    .run();
    assert_eq!(played.state(), RunState::Succeeded);
    assert!((95..105).contains(&played.took.as_secs()), "{:?}", played.took);
    // Both sessions, each every second.
    assert!(play.count("tend") >= 190, "{}", play.count("tend"));
    let calls = play.calls.lock().unwrap();
    let at = |call: &str| calls.iter().position(|one| one.starts_with(call)).unwrap();
    assert!(at("acknowledge") < at("write [1,"), "the first was acknowledged meanwhile");
}

#[test]
fn a_run_without_a_rate_does_not_wait_for_one() {
    let (_, played) = Play { next: Box::new(uneven(200, 99)), ..Play::default() }.run();
    assert_eq!((played.took, played.summary.waited_throttle), Default::default());
    assert!(!played.summary.notes.iter().any(|note| note.contains("rate")));
}
