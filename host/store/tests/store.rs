//! The books on real files: conformance, reopening, fences against the world outside, kills.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use domain::port::{Dirty, DirtyRecord, DirtyStage, Done, SourceRecord, Store};
use domain::run::{RunEvent, RunState};
use domain::{Counts, Fault, FaultDomain, Mark, RunId};
use store::{DirtyFilter, RunLock, SqliteStore};
use tempfile::TempDir;
use testkit::conformance::{mark, new_run, plan, prepared, splits};

const FILE: &str = "runs.sqlite";

fn run_id() -> RunId {
    RunId("r1".into())
}

/// Refusals of files, with the words that people get.
fn refusal<T>(answer: Result<T, Fault>) -> Fault {
    let fault = answer.err().expect("a refusal");
    assert_eq!(fault.domain, FaultDomain::External, "{fault}");
    assert!(fault.hint.is_some(), "{fault}");
    assert!(fault.message.contains(FILE), "the file is named: {fault}");
    fault
}

#[tokio::test]
async fn keeps_every_promise_of_the_port() {
    let folders = Mutex::new(Vec::new());
    testkit::store_conformance(|| {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        folders.lock().unwrap().push(folder);
        store
    })
    .await;
}

fn dirty(code: &str, record: DirtyRecord) -> Dirty {
    Dirty {
        stage: DirtyStage::Write,
        code: code.into(),
        message: "refused".into(),
        dataset: "orders".into(),
        column: Some("id".into()),
        plugin: "digest".into(),
        origin: Some("orders.csv:3".into()),
        position: Some(2),
        record,
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let folder = TempDir::new().unwrap();
    let end = Mark { end: true, position: None, ..mark(5, b"") };
    let done = Done { counts: Counts::default(), receipt: vec![1, 0], bookmark: Some(vec![9]) };
    let fault = Fault::external("net.gone", "gone").retry_after(Duration::from_secs(2));
    {
        let store = SqliteStore::open(folder.path()).unwrap();
        store.record(&new_run("r1", "/a", 1)).await.unwrap();
        store.happened(&run_id(), RunEvent::Started, None).await.unwrap();
        store.save_plans(&run_id(), &[plan()]).await.unwrap();
        store.save_prepared(&run_id(), &prepared()).await.unwrap();
        store.add_splits(&run_id(), 0, &splits(0..3, false)).await.unwrap();
        store.claim(&run_id(), 1).await.unwrap();
        store.checkpoint(&run_id(), 1, 1, &end).await.unwrap();
        store.complete(&run_id(), 1, 1, &done).await.unwrap();
        store.happened(&run_id(), RunEvent::Stopped, Some(&fault)).await.unwrap();
    }
    let store = SqliteStore::open(folder.path()).unwrap();
    let record = store.load(&run_id()).await.unwrap();
    let source = SourceRecord { plan: plan(), next: vec![3], last: false };
    assert_eq!((record.sources, record.prepared), (vec![source], Some(prepared())));
    assert_eq!((record.state, record.fault), (RunState::Interrupted, Some(fault.clone())));
    let tasks = store.tasks(&run_id()).await.unwrap();
    assert_eq!(tasks.len(), 3);
    assert_eq!((tasks[1].epoch, &tasks[1].mark, &tasks[1].done), (1, &Some(end), &Some(done)));
    let events = store.events(&run_id()).await.unwrap();
    let told: Vec<_> = events.iter().map(|one| (one.event.as_str(), one.state)).collect();
    assert_eq!(told, [("started", RunState::Running), ("stopped", RunState::Interrupted)]);
    assert_eq!((events[0].fault.as_ref(), events[1].fault.as_ref()), (None, Some(&fault)));
    assert!(events[0].at_ms > 1_600_000_000_000, "a time of today: {}", events[0].at_ms);
}

#[tokio::test]
async fn a_refused_event_leaves_no_trace() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.record(&new_run("r1", "/a", 1)).await.unwrap();
    store.happened(&run_id(), RunEvent::TasksDone, None).await.unwrap_err();
    assert_eq!(store.events(&run_id()).await.unwrap(), []);
    assert_eq!(store.load(&run_id()).await.unwrap().state, RunState::Recorded);
}

#[tokio::test]
async fn lists_runs_and_dirty_records() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    for (id, at) in [("r1", 5), ("r2", 9), ("r3", 7)] {
        store.record(&new_run(id, "/a", at)).await.unwrap();
    }
    let runs = store.runs(2).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.id.0.as_str()).collect::<Vec<_>>(), ["r2", "r3"]);

    store.save_plans(&run_id(), &[plan()]).await.unwrap();
    store.add_splits(&run_id(), 0, &splits(0..2, true)).await.unwrap();
    let raw = dirty("raw", DirtyRecord::Raw(vec![0xff, 0]));
    let named = dirty("named", DirtyRecord::Values(vec![("a".into(), None)]));
    for task in [1, 0] {
        let epoch = store.claim(&run_id(), task).await.unwrap().epoch;
        store.add_dirty(&run_id(), task, epoch, 1, &[raw.clone(), named.clone()]).await.unwrap();
        store.add_dirty(&run_id(), task, epoch, 2, std::slice::from_ref(&named)).await.unwrap();
    }
    let all = DirtyFilter::default();
    assert_eq!(store.dirty_count(&run_id(), &all).await, Ok(6));
    store.drop_dirty_behind(&run_id(), 0, 1, 1).await.unwrap();
    assert_eq!(store.dirty_count(&run_id(), &all).await, Ok(5), "the other task keeps its own");
    let entries = store.dirty(&run_id(), &all, None, 3).await.unwrap();
    let told: Vec<_> = entries.iter().map(|one| (one.task, one.sequence)).collect();
    assert_eq!(told, [(0, 1), (0, 1), (1, 1)]);
    assert_eq!((&entries[0].dirty, &entries[1].dirty), (&raw, &named));
    let next = store.dirty(&run_id(), &all, entries.last(), 3).await.unwrap();
    let told: Vec<_> = next.iter().map(|one| (one.task, one.sequence)).collect();
    assert_eq!(told, [(1, 1), (1, 2)], "pages go on where the last one ended");
    for (task, code, count) in
        [(Some(1), None, 3), (None, Some("named"), 3), (Some(0), Some("raw"), 1)]
    {
        let filter = DirtyFilter { task, code: code.map(str::to_owned) };
        assert_eq!(store.dirty_count(&run_id(), &filter).await, Ok(count), "{filter:?}");
        let entries = store.dirty(&run_id(), &filter, None, 10).await.unwrap();
        assert_eq!(entries.len() as u64, count, "{filter:?}");
    }
    assert_eq!(store.dirty_count(&RunId("none".into()), &all).await, Ok(0));
}

#[tokio::test]
async fn counts_dirty_records_by_reason() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.record(&new_run("r1", "/a", 1)).await.unwrap();
    store.save_plans(&run_id(), &[plan()]).await.unwrap();
    store.add_splits(&run_id(), 0, &splits(0..2, true)).await.unwrap();
    let of = |code: &str, column: Option<&str>, message: &str| Dirty {
        column: column.map(str::to_owned),
        message: message.into(),
        ..dirty(code, DirtyRecord::Raw(vec![]))
    };
    // Told by the second task first: the order is the source's all the same.
    for (task, batch) in [
        (1, vec![of("b", None, "late"), of("a", Some("x"), "second")]),
        (0, vec![of("a", Some("x"), "first"), of("a", Some("y"), "other")]),
        (0, vec![of("a", Some("x"), "third"); 1500]),
    ] {
        let epoch = store.claim(&run_id(), task).await.unwrap().epoch;
        store.add_dirty(&run_id(), task, epoch, 1, &batch).await.unwrap();
    }
    let reasons = store.dirty_reasons(&run_id(), 5).await.unwrap();
    let told = |reason: &store::DirtyReason| {
        (reason.code.clone(), reason.column.clone(), reason.message.clone(), reason.records)
    };
    let wanted = [
        ("a".into(), Some("x".into()), "first".into(), 1502),
        ("a".into(), Some("y".into()), "other".into(), 1),
        ("b".into(), None, "late".into(), 1),
    ];
    assert_eq!(reasons.iter().map(told).collect::<Vec<_>>(), wanted);
    assert_eq!(store.dirty_reasons(&run_id(), 1).await.unwrap().len(), 1);
    assert_eq!(store.dirty_reasons(&RunId("none".into()), 5).await, Ok(vec![]));
}

#[tokio::test]
async fn only_its_owner_may_look_into_it() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("deep/state");
    let store = SqliteStore::open(&state).unwrap();
    store.record(&new_run("r1", "/a", 1)).await.unwrap();
    let _lock = RunLock::take(&state, &run_id()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("locks"))), (0o700, 0o700));
    for file in [FILE, "runs.sqlite-wal", "runs.sqlite-shm", "locks/r1.lock"] {
        assert_eq!(mode(&state.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let folder = TempDir::new().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let file = folder.path().join(FILE);
    let books = rusqlite::Connection::open(&file).unwrap();
    books.pragma_update(None, "user_version", 99).unwrap();
    drop(books);
    let fault = refusal(SqliteStore::open(folder.path()));
    assert_eq!(fault.code, "store.newer");
    assert!(fault.message.contains("99"), "{fault}");
    let books = rusqlite::Connection::open(&file).unwrap();
    let version: i64 = books.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(FILE), "not a database, but long enough to be read".repeat(99))
        .unwrap();
    assert_eq!(refusal(SqliteStore::open(folder.path())).code, "store.corrupt");
}

#[tokio::test]
async fn damage_inside_the_file_is_told() {
    let folder = TempDir::new().unwrap();
    {
        let store = SqliteStore::open(folder.path()).unwrap();
        for number in 0..200 {
            store.record(&new_run(&format!("r{number}"), "/a", number)).await.unwrap();
        }
    }
    let file = folder.path().join(FILE);
    let length = fs::metadata(&file).unwrap().len();
    let mut bytes = OpenOptions::new().write(true).open(&file).unwrap();
    // The first page stays, so that the file still looks like a database.
    bytes.seek(SeekFrom::Start(4096)).unwrap();
    bytes.write_all(&vec![0xa5; (length - 4096) as usize]).unwrap();
    drop(bytes);
    // What describes the tables may be damaged too: then opening tells it.
    let told = match SqliteStore::open(folder.path()) {
        Ok(store) => store.runs(10).await.map(|_| ()),
        Err(fault) => Err(fault),
    };
    assert_eq!(refusal(told).code, "store.corrupt");
}

#[tokio::test]
async fn two_processes_may_open_at_the_same_time() {
    for _ in 0..5 {
        let folder = TempDir::new().unwrap();
        std::thread::scope(|scope| {
            let open = || drop(SqliteStore::open(folder.path()).unwrap());
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}

#[tokio::test]
async fn a_call_whose_caller_went_away_is_done_in_its_turn() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.record(&new_run("r1", "/a", 1)).await.unwrap();
    {
        let run = run_id();
        let started = std::pin::pin!(store.happened(&run, RunEvent::Started, None));
        // One poll hands the job over.
        let mut once = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(started.poll(&mut once).is_pending());
    }
    assert_eq!(store.load(&run_id()).await.unwrap().state, RunState::Running);
}

#[test]
fn a_run_that_lives_is_not_taken_twice() {
    let folder = TempDir::new().unwrap();
    let lock = RunLock::take(folder.path(), &run_id()).unwrap();
    let fault = RunLock::take(folder.path(), &run_id()).unwrap_err();
    assert_eq!((fault.code.as_str(), fault.domain), ("run.still_alive", FaultDomain::User));
    assert!(fault.message.contains(&std::process::id().to_string()), "{fault}");
    let other = RunLock::take(folder.path(), &RunId("r2".into())).unwrap();
    drop((lock, other));
    let files = fs::read_dir(folder.path().join("locks")).unwrap().count();
    assert_eq!(files, 0, "nothing is left behind");
    drop(RunLock::take(folder.path(), &run_id()).unwrap());
}

#[test]
fn an_id_with_a_path_in_it_is_refused() {
    let folder = TempDir::new().unwrap();
    for bad in ["", "../x", "a/b", "A", "a.b"] {
        let fault = RunLock::take(folder.path(), &RunId(bad.into())).unwrap_err();
        assert_eq!(fault.code, "run.bad_id", "{bad}");
    }
}

/// Set in a process that this test starts again as the victim of a kill.
const VICTIM: &str = "AIRLOCK_STORE_TEST_VICTIM";
const WAIT_MAX: Duration = Duration::from_secs(120);

/// The victim: holds the lock, writes marks one after another, and says each that is stored.
#[tokio::test]
async fn victim_of_a_kill() {
    let Ok(state) = std::env::var(VICTIM) else { return };
    let state = Path::new(&state);
    let _lock = RunLock::take(state, &run_id()).unwrap();
    let store = SqliteStore::open(state).unwrap();
    store.claim(&run_id(), 0).await.unwrap();
    for sequence in 1.. {
        store.checkpoint(&run_id(), 0, 1, &mark(sequence, b"p")).await.unwrap();
        fs::write(state.join("stored.new"), sequence.to_string()).unwrap();
        fs::rename(state.join("stored.new"), state.join("stored")).unwrap();
    }
}

fn start_victim(state: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["victim_of_a_kill", "--exact", "--nocapture"])
        .env(VICTIM, state)
        .stdout(Stdio::null())
        .spawn()
        .expect("this program starts again")
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = TempDir::new().unwrap();
    let state = folder.path();
    {
        let store = SqliteStore::open(state).unwrap();
        store.record(&new_run("r1", "/a", 1)).await.unwrap();
        store.save_plans(&run_id(), &[plan()]).await.unwrap();
        store.add_splits(&run_id(), 0, &splits(0..1, true)).await.unwrap();
    }
    let mut victim = start_victim(state);
    let begun = Instant::now();
    let stored = || -> u64 {
        fs::read_to_string(state.join("stored"))
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    };
    while stored() < 20 && begun.elapsed() < WAIT_MAX {
        std::thread::sleep(Duration::from_millis(5));
    }
    let held = RunLock::take(state, &run_id()).unwrap_err();
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(held.code, "run.still_alive");
    assert!(held.message.contains(&victim.id().to_string()), "{held}");

    let _lock = RunLock::take(state, &run_id()).expect("the kernel released it");
    let store = SqliteStore::open(state).unwrap();
    let task = store.claim(&run_id(), 0).await.unwrap();
    let mark = task.mark.expect("marks were stored").sequence;
    // The last one may have been stored and not said.
    assert!(stored() >= 20 && (stored()..=stored() + 1).contains(&mark), "{mark} of {}", stored());
    assert_eq!(task.epoch, 2);
}
