//! What every store must do, one function a promise. Each gets a store without any run.

use std::sync::Arc;
use std::time::Duration;

use arrow_schema::{DataType, Field, IntervalUnit, Schema, TimeUnit};
use domain::port::{
    CommitMode, Dirty, DirtyRecord, DirtyStage, Done, NewRun, Plan, Prepared, SourceRecord, Split,
    Splits, Store, Wishes,
};
use domain::run::{RunEvent, RunState};
use domain::verify::{Print, Sums, Verified};
use domain::{Counts, Dataset, Fault, Mark, Result, RunId};

/// Runs every check on stores that `make` gives, each empty.
///
/// # Panics
/// Where the store breaks a promise.
pub async fn store_conformance<S: Store>(make: impl Fn() -> S) {
    records_a_run(&make()).await;
    finds_the_newest_unfinished_run(&make()).await;
    changes_states_by_the_step_alone(&make()).await;
    writes_answers_once(&make()).await;
    adds_tasks_in_order(&make()).await;
    fences_older_epochs(&make()).await;
    keeps_the_furthest_mark(&make()).await;
    completes_once(&make()).await;
    keeps_sums_by_their_marks(&make()).await;
    keeps_the_bookmarks_of_runs_that_succeed(&make()).await;
    drops_dirty_records_behind_a_mark(&make()).await;
    knows_what_it_does_not_know(&make()).await;
}

pub fn new_run(id: &str, document: &str, created_ms: i64) -> NewRun {
    NewRun {
        id: RunId(id.into()),
        document: document.into(),
        text: "{\"type\": \"job\"}".into(),
        parameters: "{\"bizdate\": \"20251031\"}".into(),
        created_ms,
        verify: None,
    }
}

/// A plan with fields of many types, nested ones too.
pub fn plan() -> Plan {
    let list = Field::new("item", DataType::Decimal128(15, 2), true);
    let pair = vec![Field::new("x", DataType::Int64, false), Field::new("y", DataType::Utf8, true)];
    let three = Field::new("item", DataType::FixedSizeBinary(16), false);
    let entries = Field::new("entries", DataType::Struct(pair.clone().into()), false);
    let zone = Some("UTC".into());
    let note = [("ARROW:extension:name".to_owned(), "arrow.json".to_owned())];
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, zone), true),
        Field::new("prices", DataType::List(Arc::new(list)), true),
        Field::new("pair", DataType::Struct(pair.clone().into()), true),
        Field::new("triple", DataType::FixedSizeList(Arc::new(three), 3), true),
        Field::new("map", DataType::Map(Arc::new(entries), false), true),
        Field::new("large", DataType::Decimal256(76, 0), true),
        Field::new("took", DataType::Interval(IntervalUnit::MonthDayNano), true),
        Field::new("json", DataType::Utf8, true).with_metadata(note),
    ]);
    let dataset = Dataset {
        path: vec!["db".into(), "public".into(), "a.b".into()],
        schema: Arc::new(schema),
        primary_key: vec!["id".into()],
        metadata: vec![("k".into(), "v".into())],
    };
    Plan { datasets: vec![dataset], bounded: true, start: vec![0, 255, 7] }
}

pub fn prepared() -> Prepared {
    Prepared {
        datasets: plan().datasets,
        commit_mode: CommitMode::BrokerTransaction,
        wishes: Wishes {
            batch_rows: u32::MAX,
            batch_bytes: u64::MAX,
            commit_bytes: 1 << 40,
            commit_ms: 250,
            sort_by: vec!["id".into()],
            lanes: 3,
        },
    }
}

pub fn splits(numbers: std::ops::Range<u8>, last: bool) -> Splits {
    let next = vec![numbers.end];
    let split = |number: u8| Split {
        token: vec![number, 0],
        label: format!("part {number}"),
        stage: u32::from(number / 2),
        rows_estimate: Some(u64::from(number)),
        bytes_estimate: None,
    };
    Splits { splits: numbers.map(split).collect(), last, next }
}

pub fn mark(sequence: u64, position: &[u8]) -> Mark {
    let counts =
        Counts { records_read: sequence * 10, records_written: sequence * 10, ..Counts::default() };
    Mark { sequence, position: Some(position.to_vec()), counts, end: false }
}

fn dirty(code: &str) -> Dirty {
    Dirty {
        stage: DirtyStage::Cast,
        code: code.into(),
        message: "no number".into(),
        dataset: "orders".into(),
        column: Some("amount".into()),
        plugin: "blake3:00".into(),
        origin: Some("orders.csv:7".into()),
        position: None,
        record: DirtyRecord::Values(vec![("id".into(), Some("1".into())), ("n".into(), None)]),
    }
}

fn code<T>(answer: Result<T>) -> String {
    answer.err().map_or_else(|| "no fault".into(), |fault| fault.code)
}

/// A recorded run that has two tasks.
async fn with_tasks<S: Store>(store: &S) -> RunId {
    let new = new_run("r1", "/job.json", 1);
    store.record(&new).await.expect("recorded");
    store.happened(&new.id, RunEvent::Started, None).await.expect("started");
    store.save_plans(&new.id, &[plan()]).await.expect("planned");
    store.add_splits(&new.id, 0, &splits(0..2, true)).await.expect("added");
    new.id
}

async fn records_a_run<S: Store>(store: &S) {
    let new = new_run("r1", "/job.json", 17);
    store.record(&new).await.expect("recorded");
    let record = store.load(&new.id).await.expect("loaded");
    assert_eq!(record.new, new);
    assert_eq!((record.state, record.epoch), (RunState::Recorded, 0));
    assert_eq!((record.sources, record.prepared), (Vec::new(), None));
    assert_eq!(record.fault, None);
    assert_eq!(code(store.record(&new).await), "store.run_exists");
}

async fn finds_the_newest_unfinished_run<S: Store>(store: &S) {
    for (id, document, at) in
        [("r1", "/a", 10), ("r2", "/a", 30), ("r3", "/a", 20), ("r4", "/b", 99)]
    {
        store.record(&new_run(id, document, at)).await.expect("recorded");
    }
    let newest = || async { store.newest_unfinished("/a").await.expect("asked").map(|run| run.0) };
    assert_eq!(newest().await, Some("r2".into()));
    store.happened(&RunId("r2".into()), RunEvent::Broke, None).await.expect("broke");
    assert_eq!(newest().await, Some("r3".into()));
    store.happened(&RunId("r3".into()), RunEvent::Started, None).await.expect("started");
    assert_eq!(newest().await, Some("r3".into()), "a run whose process died is unfinished");
    assert_eq!(store.newest_unfinished("/none").await, Ok(None));
}

async fn changes_states_by_the_step_alone<S: Store>(store: &S) {
    let new = new_run("r1", "/a", 1);
    store.record(&new).await.expect("recorded");
    assert_eq!(code(store.happened(&new.id, RunEvent::Finished, None).await), "run.illegal_step");
    let record = store.happened(&new.id, RunEvent::Started, None).await.expect("started");
    assert_eq!((record.state, record.epoch), (RunState::Running, 1));
    let mut fault = Fault::external("net.gone", "the server \"x\" went away")
        .hint("look at it")
        .at("/steps/0")
        .retry_after(Duration::from_millis(1500))
        .within("task 3");
    fault.line = Some(("job.json".into(), 12));
    store.happened(&new.id, RunEvent::Stopped, Some(&fault)).await.expect("stopped");
    let record = store.load(&new.id).await.expect("loaded");
    assert_eq!((record.state, record.fault), (RunState::Interrupted, Some(fault)));
    let record = store.happened(&new.id, RunEvent::Started, None).await.expect("started");
    assert_eq!((record.state, record.epoch, record.fault), (RunState::Running, 2, None));
    store.happened(&new.id, RunEvent::TasksDone, None).await.expect("done");
    let record = store.happened(&new.id, RunEvent::Finished, None).await.expect("finished");
    assert_eq!((record.state, record.epoch), (RunState::Succeeded, 2));
    assert_eq!(store.load(&new.id).await, Ok(record));
}

async fn writes_answers_once<S: Store>(store: &S) {
    let new = new_run("r1", "/a", 1);
    store.record(&new).await.expect("recorded");
    let plans = [plan(), Plan { datasets: Vec::new(), ..plan() }];
    let sources = plans.clone().map(SourceRecord::new).to_vec();
    for _ in 0..2 {
        store.save_plans(&new.id, &plans).await.expect("the same plans again");
        store.save_prepared(&new.id, &prepared()).await.expect("the same answer again");
    }
    let record = store.load(&new.id).await.expect("loaded");
    assert_eq!((&record.sources, record.prepared), (&sources, Some(prepared())));
    let other = [plan(), Plan { bounded: false, ..plan() }];
    for other in [&other[..], &other[..1]] {
        assert_eq!(code(store.save_plans(&new.id, other).await), "store.written_once");
    }
    let other = Prepared { commit_mode: CommitMode::Staged, ..prepared() };
    assert_eq!(code(store.save_prepared(&new.id, &other).await), "store.written_once");
    let record = store.load(&new.id).await.expect("loaded");
    assert_eq!((record.sources, record.prepared), (sources, Some(prepared())));
}

async fn adds_tasks_in_order<S: Store>(store: &S) {
    let new = new_run("r1", "/a", 1);
    store.record(&new).await.expect("recorded");
    assert_eq!(store.tasks(&new.id).await, Ok(Vec::new()));
    assert_eq!(
        code(store.add_splits(&new.id, 0, &splits(0..2, false)).await),
        "store.no_such_source"
    );
    store.save_plans(&new.id, &[plan(), plan()]).await.expect("planned");
    let next = async || {
        let record = store.load(&new.id).await.expect("loaded");
        record.sources.into_iter().map(|one| (one.next, one.last)).collect::<Vec<_>>()
    };
    let start = (plan().start, false);
    store.add_splits(&new.id, 1, &splits(0..2, false)).await.expect("added");
    assert_eq!(next().await, [start.clone(), (vec![2], false)]);
    store.add_splits(&new.id, 1, &splits(2..2, false)).await.expect("none added");
    store.add_splits(&new.id, 1, &splits(2..5, true)).await.expect("added");
    assert_eq!(next().await, [start, (vec![5], true)]);
    store.add_splits(&new.id, 0, &splits(5..6, true)).await.expect("added");
    assert_eq!(next().await, [(vec![6], true), (vec![5], true)]);
    let tasks = store.tasks(&new.id).await.expect("tasks");
    let wanted = splits(0..6, true).splits;
    assert_eq!(tasks.len(), wanted.len());
    for (index, (task, split)) in tasks.iter().zip(wanted).enumerate() {
        let source = u32::from(index < 5);
        assert_eq!((task.index, task.source, &task.split), (index as u32, source, &split));
        assert_eq!((task.epoch, &task.mark, &task.done), (0, &None, &None));
    }
}

async fn fences_older_epochs<S: Store>(store: &S) {
    let run = with_tasks(store).await;
    let old = store.claim(&run, 0).await.expect("claimed").epoch;
    let new = store.claim(&run, 0).await.expect("claimed again").epoch;
    assert_eq!((old, new), (1, 2));
    assert_eq!(store.claim(&run, 1).await.expect("another task").epoch, 1);
    let done = Done { counts: Counts::default(), receipt: vec![1], bookmark: None };
    for (epoch, wanted) in [(old, "store.fenced"), (new + 1, "store.unclaimed")] {
        let refused = [
            code(store.drop_dirty_behind(&run, 0, epoch, 0).await),
            code(store.add_dirty(&run, 0, epoch, 1, &[dirty("a")]).await),
            code(store.checkpoint(&run, 0, epoch, &mark(1, b"p")).await),
            code(store.complete(&run, 0, epoch, &done).await),
        ];
        assert_eq!(refused, [wanted; 4].map(str::to_owned), "epoch {epoch}");
    }
    let fenced = store.checkpoint(&run, 0, old, &mark(1, b"p")).await.expect_err("fenced");
    assert!(!fenced.may_retry(), "the same again is refused again");
    let task = store.tasks(&run).await.expect("tasks").remove(0);
    assert_eq!((task.epoch, task.mark, task.done), (2, None, None), "nothing took effect");
}

async fn keeps_the_furthest_mark<S: Store>(store: &S) {
    let run = with_tasks(store).await;
    let epoch = store.claim(&run, 1).await.expect("claimed").epoch;
    for (sequence, position) in [(1, b"a"), (3, b"c"), (2, b"b"), (3, b"x")] {
        store.checkpoint(&run, 1, epoch, &mark(sequence, position)).await.expect("stored");
    }
    let task = store.claim(&run, 1).await.expect("claimed");
    assert_eq!(task.mark, Some(mark(3, b"c")));
    let end =
        Mark { sequence: 4, position: None, counts: task.mark.expect("a mark").counts, end: true };
    store.checkpoint(&run, 1, task.epoch, &end).await.expect("stored");
    let tasks = store.tasks(&run).await.expect("tasks");
    assert_eq!((&tasks[0].mark, &tasks[1].mark), (&None, &Some(end)));
}

async fn completes_once<S: Store>(store: &S) {
    let run = with_tasks(store).await;
    let counts =
        Counts { records_read: 3, records_written: 3, bytes_read: u64::MAX, ..Counts::default() };
    let done = Done { counts, receipt: vec![0, 9], bookmark: Some(vec![7]) };
    let epoch = store.claim(&run, 0).await.expect("claimed").epoch;
    store.complete(&run, 0, epoch, &done).await.expect("done");
    let other = Done { receipt: vec![1], ..done.clone() };
    store.complete(&run, 0, epoch, &other).await.expect("done before");
    let tasks = store.tasks(&run).await.expect("tasks");
    assert_eq!((&tasks[0].done, &tasks[1].done), (&Some(done), &None), "the first counts");
}

async fn keeps_sums_by_their_marks<S: Store>(store: &S) {
    let run = with_tasks(store).await;
    let sums = |rows: u128| {
        let mut sums = Sums::default();
        (0..rows).for_each(|row| sums.add(Print { key: row, row }));
        sums
    };
    let save = async |task, epoch, sequence, rows| {
        store.save_sums(&run, task, epoch, sequence, &sums(rows)).await
    };
    let kept = async |sequence| store.task_sums(&run, 0, sequence).await.expect("sums");
    let first = store.claim(&run, 0).await.expect("claimed").epoch;
    for (sequence, rows) in [(1, 1), (2, 2), (3, 9)] {
        save(0, first, sequence, rows).await.expect("saved");
    }
    let epoch = store.claim(&run, 0).await.expect("claimed").epoch;
    assert_eq!(save(0, first, 3, 9).await.expect_err("fenced").code, "store.fenced");
    let mark = |sequence| Mark { sequence, ..Mark::default() };
    store.checkpoint(&run, 0, epoch, &mark(2)).await.expect("stored");
    assert_eq!(
        (kept(1).await, kept(2).await),
        (None, Some(sums(2))),
        "others are asked for no more"
    );
    save(0, epoch, 3, 3).await.expect("saved again");
    assert_eq!(kept(3).await, Some(sums(3)), "the last counts");
    store.checkpoint(&run, 0, epoch, &mark(3)).await.expect("stored");
    let done = Done { counts: Counts::default(), receipt: Vec::new(), bookmark: None };
    assert_eq!(store.run_sums(&run).await, Ok(Sums::default()));
    for _ in 0..2 {
        store.complete(&run, 0, epoch, &done).await.expect("done");
        assert_eq!(store.run_sums(&run).await, Ok(sums(3)), "a task that is done counts once");
    }
    let verified = Verified { written: 3, key: vec!["id".into()], ..Verified::default() };
    store.save_verified(&run, &verified).await.expect("saved");
    assert_eq!(store.load(&run).await.expect("the run").verified, Some(verified));
}

async fn keeps_the_bookmarks_of_runs_that_succeed<S: Store>(store: &S) {
    // Each run has one task, which gives a bookmark.
    let play = async |id: &str, created_ms: i64, bookmark: &[u8], last: RunEvent| {
        let run = new_run(id, "/job.json", created_ms);
        store.record(&run).await.expect("recorded");
        store.happened(&run.id, RunEvent::Started, None).await.expect("started");
        store.save_plans(&run.id, &[plan()]).await.expect("planned");
        store.add_splits(&run.id, 0, &splits(0..2, true)).await.expect("added");
        let epoch = store.claim(&run.id, 0).await.expect("claimed").epoch;
        let done = Done {
            counts: Counts::default(),
            receipt: Vec::new(),
            bookmark: Some(bookmark.to_vec()),
        };
        store.complete(&run.id, 0, epoch, &done).await.expect("done");
        for event in [RunEvent::TasksDone, last] {
            store.happened(&run.id, event, None).await.expect("a step");
        }
        store.bookmarks("/job.json").await.expect("bookmarks")
    };
    assert_eq!(store.bookmarks("/job.json").await, Ok(Vec::new()));
    assert_eq!(play("r2", 2, b"t.id=5", RunEvent::Finished).await, [b"t.id=5"]);
    assert_eq!(play("r3", 3, b"t.id=6", RunEvent::Stopped).await, [b"t.id=5"], "unfinished");
    assert_eq!(play("r1", 1, b"t.id=4", RunEvent::Finished).await, [b"t.id=5"], "older");
    let both: [&[u8]; 2] = [b"t.id=5", b"u.id=7"];
    assert_eq!(play("r4", 4, b"u.id=7", RunEvent::Finished).await, both);
    assert_eq!(store.bookmarks("/other.json").await, Ok(Vec::new()));
}

/// The port cannot list dirty records, so this shows only that the calls are taken.
async fn drops_dirty_records_behind_a_mark<S: Store>(store: &S) {
    let run = with_tasks(store).await;
    let epoch = store.claim(&run, 0).await.expect("claimed").epoch;
    store.add_dirty(&run, 0, epoch, 1, &[]).await.expect("none added");
    store.add_dirty(&run, 0, epoch, 1, &[dirty("a"), dirty("b")]).await.expect("added");
    store.drop_dirty_behind(&run, 0, epoch, 0).await.expect("dropped");
    store.drop_dirty_behind(&run, 0, epoch, 0).await.expect("dropped again");
}

async fn knows_what_it_does_not_know<S: Store>(store: &S) {
    let nobody = RunId("nobody".into());
    let missing = store.load(&nobody).await.expect_err("missing");
    assert_eq!((missing.code.as_str(), missing.domain.word()), ("store.no_such_run", "user"));
    assert_eq!(code(store.happened(&nobody, RunEvent::Started, None).await), "store.no_such_run");
    assert_eq!(code(store.save_plans(&nobody, &[plan()]).await), "store.no_such_run");
    assert_eq!(code(store.save_prepared(&nobody, &prepared()).await), "store.no_such_run");
    assert_eq!(code(store.add_splits(&nobody, 0, &splits(0..1, true)).await), "store.no_such_run");
    let run = with_tasks(store).await;
    assert_eq!(code(store.claim(&run, 2).await), "store.no_such_task");
}
