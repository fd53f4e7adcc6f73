//! Plug-ins between reader and writer: sums, dirty records, sessions.

#![allow(dead_code, reason = "the play serves other tests too")]

mod play;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use domain::port::{Answer, Boxed, DirtyRecord, Refused, Transform, Transformed, Transformer};
use domain::run::RunState;
use domain::{Batch, Dataset, Fault, Result};
use engine::{Settings, StepPlugin};
use play::{Play, again, ended, rows, taken};
use testkit::step::job_step;

/// Rows of one answer at most.
const TAKES: usize = 3;

/// Makes nothing of 3, two of even ids, the second by 1000 more, and refuses 7.
struct Copies {
    /// Sessions so far.
    sessions: AtomicU64,
    calls: AtomicU64,
    /// What a call answers in place of rows, by its number from 0 on.
    fault: Box<dyn Fn(u64) -> Result<()> + Send + Sync>,
    /// What sessions say that comes out, by their number from 0 on.
    open: fn(u64) -> Result<Vec<Dataset>>,
    batches: Mutex<Vec<usize>>,
}

struct Session(Arc<Copies>, u64);

struct Opening(Arc<Copies>);

impl Transform for Opening {
    fn connect(&self) -> Boxed<'_, Box<dyn Transformer>> {
        let number = self.0.sessions.fetch_add(1, Ordering::Relaxed);
        let session: Box<dyn Transformer> = Box::new(Session(self.0.clone(), number));
        Box::pin(async { Ok(session) })
    }
}

impl Transformer for Session {
    fn open<'a>(&'a mut self, _datasets: &'a [Dataset]) -> Boxed<'a, Vec<Dataset>> {
        Box::pin(async { (self.0.open)(self.1) })
    }

    fn apply<'a>(&'a mut self, batch: &'a Batch) -> Boxed<'a, Transformed> {
        let answer = (self.0.fault)(self.0.calls.fetch_add(1, Ordering::Relaxed));
        self.0.batches.lock().expect("no panic while it is held").push(batch.len());
        Box::pin(async move { answer.map(|()| copied(batch)) })
    }
}

fn copied(batch: &Batch) -> Transformed {
    let ids = batch.rows.column(0).as_primitive::<Int64Type>();
    let taken = batch.len().min(TAKES) as u32;
    let (mut made, mut origins, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..taken {
        let id = ids.value(row as usize);
        let copies: &[i64] = match id {
            3 => &[],
            7 => {
                let (code, message) = ("play.seven".to_owned(), "seven".to_owned());
                refused.push(Refused { row, column: Some(0), code, message });
                &[]
            }
            _ if id % 2 == 0 => &[0, 1000],
            _ => &[0],
        };
        made.extend(copies.iter().map(|more| id + more));
        origins.extend(copies.iter().map(|_| row));
    }
    let column: ArrayRef = Arc::new(Int64Array::from(made));
    let rows =
        RecordBatch::try_new(batch.rows.schema(), vec![column]).expect("columns of the schema");
    Transformed { rows: Batch::new(batch.dataset, rows), origins, refused, taken }
}

fn copies() -> Copies {
    Copies {
        sessions: AtomicU64::new(0),
        calls: AtomicU64::new(0),
        fault: Box::new(|_| Ok(())),
        open: |_| Ok(vec![play::dataset()]),
        batches: Mutex::default(),
    }
}

/// A play with the plug-in in it.
fn playing(copies: Copies) -> (Arc<Copies>, Play) {
    let copies = Arc::new(copies);
    let play = Play::default();
    let transform: Arc<dyn Transform> = Arc::new(Opening(copies.clone()));
    let plugins = vec![StepPlugin { transform, digest: "blake3:copies".into() }];
    let settings = Settings { transformers: vec![job_step("Copies")], ..play.settings.clone() };
    (copies, Play { plugins, settings, ..play })
}

#[test]
fn sums_add_up_where_records_become_several() {
    let (copies, play) = playing(copies());
    let (play, played) = play.run();
    assert_eq!(played.state(), RunState::Succeeded, "{:?}", played.summary.fault);
    let counts = played.summary.counts;
    assert!(counts.add_up(), "{counts:?}");
    assert_eq!((counts.records_read, counts.records_added), (10, 5));
    assert_eq!((counts.records_filtered, counts.records_dirty, counts.records_written), (1, 1, 13));
    let [dirty] = played.told.as_slice() else { panic!("{:?}", played.told) };
    assert_eq!((dirty.plugin.as_str(), dirty.code.as_str()), ("blake3:copies", "play.seven"));
    assert_eq!((dirty.message.as_str(), dirty.column.as_deref()), ("Copies: seven", Some("id")));
    let record = DirtyRecord::Values(vec![("id".into(), Some("7".into()))]);
    assert_eq!(dirty.record, record);
    // What was not taken came again, and each part was written by itself, in order.
    assert_eq!(*copies.batches.lock().unwrap(), [10, 7, 4, 1]);
    let calls = play.calls.lock().unwrap();
    let writes: Vec<_> = calls.iter().filter(|call| call.starts_with("write")).cloned().collect();
    assert_eq!(
        writes,
        [
            "write [0, 1000, 1, 2, 1002]",
            "write [4, 1004, 5]",
            "write [6, 1006, 8, 1008]",
            "write [9]"
        ]
    );
    // One position, behind the last part.
    drop(calls);
    assert_eq!(play.count("acknowledge"), 1);
}

#[test]
fn a_step_that_says_retry_costs_the_lane_its_sessions() {
    let fault = |call| if call == 2 { Err(again()) } else { Ok(()) };
    let (copies, play) = playing(Copies { fault: Box::new(fault), ..copies() });
    let (play, played) = play.run();
    assert_eq!(played.state(), RunState::Succeeded, "{:?}", played.summary.fault);
    let counts = played.summary.counts;
    assert!(counts.add_up(), "{counts:?}");
    assert_eq!((counts.records_added, counts.records_written, played.dirty), (5, 13, 1));
    assert_eq!((played.summary.retries, play.count("open")), (1, 2));
    // To plan, for each try, and for the notes of the summary.
    assert_eq!(copies.sessions.load(Ordering::Relaxed), 4);
}

#[test]
fn a_step_that_fails_is_named() {
    let fault = |_| Err(Fault::data("play.broken", "broken"));
    let (_, play) = playing(Copies { fault: Box::new(fault), ..copies() });
    let (_, played) = play.run();
    let fault = played.summary.fault.clone().expect("a fault");
    assert_eq!((fault.code.as_str(), played.state()), ("play.broken", RunState::Failed));
    assert_eq!(fault.context[0], "transformer of step \"Copies\"");
}

#[test]
fn sessions_that_say_different_things_are_refused() {
    let open = |session| match session {
        0 => Ok(vec![play::dataset()]),
        _ => Ok(vec![Dataset { primary_key: vec!["id".into()], ..play::dataset() }]),
    };
    let (_, play) = playing(Copies { open, ..copies() });
    let (_, played) = play.run();
    assert_eq!((played.code(), played.state()), ("plugin.lie.datasets", RunState::Failed));
}

#[test]
fn a_step_that_cannot_say_what_comes_out_changes_nothing() {
    let fault = |_| Err(Fault::internal("test.prepared", "it must not be"));
    let (_, play) =
        playing(Copies { open: |_| Err(Fault::user("play.columns", "no")), ..copies() });
    let (_, played) = Play { prepare: Box::new(fault), ..play }.run();
    assert_eq!((played.code(), played.state()), ("play.columns", RunState::Failed));
}

#[test]
fn a_row_of_several_that_is_refused_is_found_by_halving() {
    let (_, play) = playing(copies());
    // The copy of 4 is never taken; nobody says which row it was.
    let write = |(number, ids): (u64, Vec<i64>)| {
        let undone = ids.contains(&1004).then(|| Fault::data("play.refused", "refused"));
        Ok(Answer { undone, ..taken(number + u64::from(!ids.contains(&1004))) })
    };
    let next = |(_, step): (String, u64)| Ok(if step == 0 { rows(0..10) } else { ended() });
    let (_, played) = Play { write: Box::new(write), next: Box::new(next), ..play }.run();
    assert_eq!(played.state(), RunState::Succeeded, "{:?}", played.summary.fault);
    let counts = played.summary.counts;
    assert!(counts.add_up(), "{counts:?}");
    assert_eq!((counts.records_added, counts.records_written, counts.records_dirty), (5, 12, 2));
}
