//! What becomes of dirty records that a run sends again, in the transaction that ends it.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use domain::port::{CommitMode, Dirty, DirtyRecord, DirtyStage, Done, NewRun, Prepared, Store};
use domain::run::RunEvent;
use domain::{Counts, Mark, RunId};
use store::{DirtyFilter, Replay, Shape, SqliteStore, Standing};
use tempfile::TempDir;
use testkit::conformance::{new_run, plan, prepared, splits};

fn id(run: &str) -> RunId {
    RunId(run.into())
}

fn dirty(stage: DirtyStage, code: &str, position: u64, record: DirtyRecord) -> Dirty {
    Dirty {
        stage,
        code: code.into(),
        message: "no number".into(),
        dataset: "orders".into(),
        column: Some("amount".into()),
        plugin: "digest".into(),
        origin: None,
        position: Some(position),
        record,
    }
}

fn values(text: &str) -> DirtyRecord {
    DirtyRecord::Values(vec![("amount".into(), Some(text.into()))])
}

/// A run with one task that is at work, whose destination commits so.
async fn at_work(store: &SqliteStore, run: &RunId, commit_mode: CommitMode) {
    store.happened(run, RunEvent::Started, None).await.unwrap();
    store.save_plans(run, &[plan()]).await.unwrap();
    store.save_prepared(run, &Prepared { commit_mode, ..prepared() }).await.unwrap();
    store.add_splits(run, 0, &splits(0..1, true)).await.unwrap();
    store.claim(run, 0).await.unwrap();
}

/// `r1` with three records that could not be cast, one of bytes, one refused and one that was changed.
async fn books(folder: &TempDir) -> SqliteStore {
    let store = SqliteStore::open(folder.path()).unwrap();
    store.record(&new_run("r1", "/a", 1)).await.unwrap();
    at_work(&store, &id("r1"), CommitMode::Transactional).await;
    let records = [
        dirty(DirtyStage::Cast, "a", 0, values("a")),
        dirty(DirtyStage::Cast, "b", 1, values("b")),
        dirty(DirtyStage::Read, "raw", 2, DirtyRecord::Raw(vec![0xff])),
        dirty(DirtyStage::Write, "refused", 3, values("1")),
        dirty(DirtyStage::Loaded, "cut", 4, values("2")),
        dirty(DirtyStage::Transform, "c", 5, values("c")),
    ];
    store.add_dirty(&id("r1"), 0, 1, 1, &records).await.unwrap();
    end(&store, &id("r1")).await;
    store
}

async fn end(store: &SqliteStore, run: &RunId) {
    let done = Done { counts: Counts::default(), receipt: vec![], bookmark: None };
    store.complete(run, 0, 1, &done).await.unwrap();
    store.happened(run, RunEvent::TasksDone, None).await.unwrap();
    store.happened(run, RunEvent::Finished, None).await.unwrap();
}

async fn numbers(store: &SqliteStore, shape: Shape) -> Vec<u64> {
    let found = store.replayable(&id("r1"), shape, &DirtyFilter::default(), 0, 10).await.unwrap();
    found.iter().map(|entry| entry.number).collect()
}

/// Records a replay of all that was not cast and stops it behind two of them, the second dirty again.
async fn replayed_by(store: &SqliteStore, run: &str, commit_mode: CommitMode) {
    let records = numbers(store, Shape::Read).await;
    let replay = Replay {
        run: id(run),
        of: id("r1"),
        shape: Shape::Read,
        definition: "{}".into(),
        records: records.len() as u64,
    };
    let new = NewRun { id: id(run), ..new_run("r1", "dirty records of r1", 2) };
    store.record_replay(&new, &replay, records).await.unwrap();
    assert_eq!(store.unfinished_replay(&id("r1")).await.unwrap(), Some(replay.clone()));
    assert_eq!(store.replay(&id(run)).await.unwrap(), Some(replay));
    at_work(store, &id(run), commit_mode).await;
    let again = dirty(DirtyStage::Write, "again", 1, values("b"));
    store.add_dirty(&id(run), 0, 1, 1, &[again]).await.unwrap();
    let counts =
        Counts { records_read: 2, records_written: 1, records_dirty: 1, ..Counts::default() };
    let mark = Mark { sequence: 1, position: Some(vec![2]), counts, end: false };
    store.checkpoint(&id(run), 0, 1, &mark).await.unwrap();
    let behind = dirty(DirtyStage::Cast, "behind", 2, values("c"));
    store.add_dirty(&id(run), 0, 1, 2, &[behind]).await.unwrap();
}

async fn fail(store: &SqliteStore, run: &str) {
    store.happened(&id(run), RunEvent::Broke, None).await.unwrap();
    store.happened(&id(run), RunEvent::Finished, None).await.unwrap();
}

async fn codes(store: &SqliteStore) -> Vec<(String, Option<RunId>)> {
    let all = store.dirty(&id("r1"), &DirtyFilter::default(), None, 10).await.unwrap();
    all.into_iter().map(|entry| (entry.dirty.code, entry.replayed_by)).collect()
}

#[tokio::test]
async fn records_with_values_that_are_not_at_the_destination_can_be_sent() {
    let folder = TempDir::new().unwrap();
    let store = books(&folder).await;
    assert_eq!(numbers(&store, Shape::Read).await.len(), 3);
    assert_eq!(numbers(&store, Shape::Written).await.len(), 1);
    let standing = Standing { dirty: 4, raw: 1, replayed: 0, loaded: 1 };
    assert_eq!(store.standing(&id("r1")).await.unwrap(), standing);
}

#[tokio::test]
async fn what_a_mark_covers_is_settled_when_the_replay_ends() {
    let folder = TempDir::new().unwrap();
    let store = books(&folder).await;
    replayed_by(&store, "r2", CommitMode::Transactional).await;
    assert_eq!(store.standing(&id("r1")).await.unwrap().replayed, 0, "it may still go on");
    fail(&store, "r2").await;
    assert_eq!(store.unfinished_replay(&id("r1")).await.unwrap(), None);
    let expected = [
        ("a", Some("r2")),
        ("again", None),
        ("raw", None),
        ("refused", None),
        ("cut", None),
        ("c", None),
    ];
    let expected = expected.map(|(code, run)| (code.to_owned(), run.map(id)));
    assert_eq!(codes(&store).await, expected);
    assert_eq!(store.replayed_by(&id("r2")).await.unwrap(), 1);
    // Whatever its reason is now, its values are still those of the source.
    assert_eq!(numbers(&store, Shape::Read).await.len(), 2);
}

#[tokio::test]
async fn a_replay_that_publishes_at_its_end_and_failed_has_written_nothing() {
    let folder = TempDir::new().unwrap();
    let store = books(&folder).await;
    let before = codes(&store).await;
    replayed_by(&store, "r2", CommitMode::Staged).await;
    fail(&store, "r2").await;
    assert_eq!(codes(&store).await, before);
    replayed_by(&store, "r3", CommitMode::Staged).await;
    let done =
        Counts { records_read: 3, records_written: 1, records_dirty: 2, ..Counts::default() };
    let done = Done { counts: done, receipt: vec![], bookmark: None };
    store.complete(&id("r3"), 0, 1, &done).await.unwrap();
    store.happened(&id("r3"), RunEvent::TasksDone, None).await.unwrap();
    assert_eq!(codes(&store).await, before, "not published");
    store.happened(&id("r3"), RunEvent::Finished, None).await.unwrap();
    let found = codes(&store).await;
    let settled: Vec<_> = [0, 1, 5].map(|at: usize| found[at].clone()).into();
    let expected = [("a", Some("r3")), ("again", None), ("behind", None)];
    assert_eq!(settled, expected.map(|(code, run)| (code.to_owned(), run.map(id))));
}
