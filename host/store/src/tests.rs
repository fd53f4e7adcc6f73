//! Refusals of the database that need a look inside: what fills up, what is held by others.

use std::time::Duration;

use domain::port::{Dirty, DirtyRecord, DirtyStage, Store};
use domain::run::RunEvent;
use domain::{FaultDomain, RunId};
use tempfile::TempDir;
use testkit::conformance::{new_run, plan, splits};

use crate::{DirtyFilter, SqliteStore};

async fn with_a_task(folder: &TempDir) -> (SqliteStore, RunId) {
    let store = SqliteStore::open(folder.path()).unwrap();
    let new = new_run("r1", "/a", 1);
    store.record(&new).await.unwrap();
    store.save_plans(&new.id, &[plan()]).await.unwrap();
    store.add_splits(&new.id, 0, &splits(0..1, true)).await.unwrap();
    store.claim(&new.id, 0).await.unwrap();
    (store, new.id)
}

/// Records of 8 KiB each.
fn many(count: usize) -> Vec<Dirty> {
    let one = Dirty {
        stage: DirtyStage::Read,
        code: "big".into(),
        message: "big".into(),
        dataset: "orders".into(),
        column: None,
        plugin: "digest".into(),
        origin: None,
        position: None,
        record: DirtyRecord::Raw(vec![7; 8192]),
    };
    vec![one; count]
}

#[tokio::test]
async fn a_full_disk_undoes_the_call_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let (store, run) = with_a_task(&folder).await;
    store.worker.call(|books| Ok(books.pragma_update(None, "max_page_count", 60)?)).await.unwrap();
    store.add_dirty(&run, 0, 1, 1, &many(3)).await.unwrap();
    let fault = store.add_dirty(&run, 0, 1, 2, &many(100)).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.domain), ("store.disk_full", FaultDomain::External));
    assert!(fault.message.contains("runs.sqlite") && fault.hint.is_some(), "{fault}");
    assert_eq!(
        store.dirty_count(&run, &DirtyFilter::default()).await,
        Ok(3),
        "nothing of the refused call is there"
    );
    store.add_dirty(&run, 0, 1, 2, &many(1)).await.unwrap();
}

#[tokio::test]
async fn books_that_another_program_holds_are_told_as_locked() {
    let folder = TempDir::new().unwrap();
    let (store, run) = with_a_task(&folder).await;
    store.worker.call(|books| Ok(books.busy_timeout(Duration::from_millis(20))?)).await.unwrap();
    let other = rusqlite::Connection::open(folder.path().join("runs.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let fault = store.happened(&run, RunEvent::Started, None).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.may_retry()), ("store.locked", true));
    store.load(&run).await.expect("reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    store.happened(&run, RunEvent::Started, None).await.unwrap();
}

#[tokio::test]
async fn a_commit_is_synced_to_the_disk() {
    let folder = TempDir::new().unwrap();
    let (store, _) = with_a_task(&folder).await;
    let settings = store
        .worker
        .call(|books| {
            let log: String = books.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            let sync: i64 = books.pragma_query_value(None, "synchronous", |row| row.get(0))?;
            Ok((log, sync))
        })
        .await;
    assert_eq!(settings, Ok(("wal".into(), 2)));
}

#[tokio::test]
async fn a_panic_of_the_thread_is_told_to_those_who_wait() {
    let folder = TempDir::new().unwrap();
    let (store, run) = with_a_task(&folder).await;
    let answer = store.worker.call::<()>(|_| panic!("planted")).await;
    assert_eq!(answer.unwrap_err().code, "store.stopped");
    assert_eq!(store.load(&run).await.unwrap_err().code, "store.stopped");
}
