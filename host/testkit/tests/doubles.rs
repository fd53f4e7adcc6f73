//! Proves the doubles and the checkers: a correct engine passes, and each planted bug is found.

mod naive;

use std::collections::BTreeSet;
use std::time::Duration;

use domain::job::ErrorLimit;
use domain::port::{
    Attempt, Budget, CommitMode, Destination, Outcome, Reader, Source, Split, Step, Store, Writer,
};
use domain::run::{RunEvent, RunState};
use domain::{Fault, Mark, Result};
use testkit::destination::ScriptedWriter;
use testkit::source::ScriptedReader;
use testkit::table::Amounts;
use testkit::{
    Abilities, FaultKind, FaultPlan, MemStore, Operation, Parts, Planted, Scenario, examine,
    simulate, store_conformance,
};

/// Enough that every mode meets every kind of fault; a seed takes about a millisecond.
const SEEDS: u64 = 1500;

/// The naive engine never waits, so it does not look at the time; it knows no steps.
const NAIVE: Abilities =
    Abilities { tends: false, verifies: false, steps: false, ..Abilities::ALL };

#[tokio::test]
async fn the_store_in_memory_keeps_every_promise_of_the_port() {
    store_conformance(MemStore::alone).await;
}

#[test]
fn a_correct_engine_passes() {
    let (mut succeeded, mut failed, mut resumed) = (0, 0, 0);
    for seed in 0..SEEDS {
        let report = examine(&Scenario::from_seed(seed, NAIVE), naive::attempt)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        match report.state {
            Some(RunState::Succeeded) => succeeded += 1,
            _ => failed += 1,
        }
        resumed += u64::from(report.attempts > 1);
    }
    // Simulations that all end the same way would prove little.
    assert!(succeeded > SEEDS / 2 && failed > SEEDS / 50, "{succeeded} and {failed}");
    assert!(resumed > SEEDS / 4, "{resumed}");
}

/// Every call of every port with every fault, in a run that makes use of everything.
#[test]
fn every_fault_at_every_call_is_survived() {
    let mut missed = Vec::new();
    for operation in Operation::ALL {
        for kind in FaultKind::ALL.into_iter().filter(|kind| kind.fits(operation)) {
            for (mode, nth) in CommitMode::ALL.into_iter().zip([1, 2, 1, 3, 1]) {
                let mut scenario = Scenario::from_seed(seed_of(mode), NAIVE);
                scenario.error_limit = ErrorLimit::NONE;
                scenario.faults = vec![FaultPlan { phase: None, operation, nth, kind }];
                let report =
                    examine(&scenario, naive::attempt).unwrap_or_else(|wrong| panic!("{wrong}"));
                if nth == 1 && report.met.is_empty() {
                    missed.push(operation);
                }
            }
        }
    }
    // The naive engine neither tends nor looks nor loads nor verifies, knows no steps, and always reads all.
    missed.retain(|one| {
        use Operation as O;
        let not_verified = matches!(
            one,
            O::WriterReadBack
                | O::BackRead
                | O::StoreSaveSums
                | O::StoreRunSums
                | O::StoreSaveVerified
        );
        !not_verified
            && !one.is_step()
            && !matches!(one, O::ReaderTend | O::WriterTend | O::WriterPreview)
            && !matches!(one, O::StoreLoad | O::StoreBookmarks)
    });
    assert_eq!(missed, [], "faults that never came");
}

/// The first scenario of a mode that has several splits, refusals and positions.
fn seed_of(mode: CommitMode) -> u64 {
    (0..)
        .find(|seed| {
            let scenario = Scenario::from_seed(*seed, NAIVE);
            scenario.writing.mode == mode
                && scenario.splits.len() > 2
                && scenario.dirty_expected() > 5
                && scenario.reading.position_every == Some(1)
        })
        .expect("there are many seeds")
}

/// The bugs that the naive engine can meet.
fn planted() -> impl Iterator<Item = Planted> {
    Planted::ALL.into_iter().filter(|planted| *planted != Planted::LoseTwin)
}

#[test]
fn each_planted_bug_is_found() {
    for planted in planted() {
        let found = (0..SEEDS).find(|seed| {
            let scenario = Scenario::from_seed(*seed, NAIVE).with(planted);
            !simulate(scenario, naive::attempt).violations.is_empty()
        });
        assert!(found.is_some(), "{planted:?} was never found");
    }
}

#[test]
fn the_planted_bugs_are_found_for_what_they_are() {
    let words = |planted: Planted| match planted {
        Planted::AckOnRead | Planted::AckBeforeStore => "invariant 1",
        Planted::LoseRowOnRetry => "invariant 5",
        Planted::LoseCommitOnRetry => "invariant 1",
        Planted::SendTwiceAfterUndone | Planted::AcceptStaleEpoch => "invariant",
        Planted::ForgetEnd => "invariant 5",
        Planted::CountDirtyTwice => "the destination was told",
        Planted::CutDirty => "invariant 9",
        Planted::ChangeValue => "arrived with other values",
        Planted::ForgetDirty => "invariant 5",
        Planted::KeepDirtyOnResume => "invariant 5",
        Planted::IgnoreDestinationMark => "the destination",
        Planted::TrustEveryCommit => "invariant 1",
        Planted::LoseReceipt => "receipts",
        Planted::ForgetAnswers => "a plan is made again",
        Planted::Miscount => "invariant 5",
        Planted::LoseTwin => "the twin of record",
    };
    for planted in planted() {
        let mut found = (0..SEEDS).flat_map(|seed| {
            let scenario = Scenario::from_seed(seed, NAIVE).with(planted);
            simulate(scenario, naive::attempt).violations
        });
        assert!(found.any(|found| found.contains(words(planted))), "{planted:?}");
    }
}

#[test]
fn the_same_seed_plays_the_same_and_another_seed_another_way() {
    let trace = |seed| simulate(Scenario::from_seed(seed, NAIVE), naive::attempt).trace;
    assert_eq!(trace(3), trace(3));
    let different: BTreeSet<_> = (0..20).map(trace).collect();
    assert_eq!(different.len(), 20);
}

async fn panics(_: Parts) -> Result<()> {
    panic!("planted")
}

async fn hangs(_: Parts) -> Result<()> {
    std::future::pending().await
}

async fn gives_up(_: Parts) -> Result<()> {
    Err(Fault::external("planted", "gives up"))
}

fn violations<F, Fut>(attempt: F) -> String
where
    F: Fn(Parts) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    simulate(Scenario::from_seed(1, NAIVE), attempt).violations.join("\n")
}

#[test]
fn an_engine_that_panics_hangs_or_gives_up_is_found() {
    assert!(violations(panics).contains("the engine panicked: planted"));
    assert!(violations(hangs).contains("the attempt hangs"));
    assert!(violations(gives_up).contains("the run does not end"));
}

const BUDGET: Budget = Budget { rows: 100, bytes: 1 << 20, wait: Duration::from_millis(10) };

/// A run that has begun: its first tasks, a reader and a writer. All splits are in the books.
struct Begun {
    splits: Vec<Split>,
    attempt: Attempt,
    reader: ScriptedReader,
    writer: ScriptedWriter,
}

async fn begin(parts: &Parts) -> Result<Begun> {
    let Parts { store, source, destination, run, .. } = parts;
    let epoch = store.happened(run, RunEvent::Started, None).await?.epoch;
    let attempt = Attempt { run: run.clone(), epoch, bounded: true, verify: false };
    let mut reader = source.connect().await?;
    let plan = reader.plan(1, &[]).await?;
    store.save_plans(run, std::slice::from_ref(&plan)).await?;
    let mut writer = destination.connect().await?;
    store.save_prepared(run, &writer.prepare(&attempt, &plan.datasets).await?).await?;
    let mut next = (plan.start, false);
    while !next.1 {
        let splits = reader.splits(&next.0, 10).await?;
        store.add_splits(run, 0, &splits).await?;
        next = (splits.next, splits.last);
    }
    let splits = store.tasks(run).await?.into_iter().map(|task| task.split).collect();
    Ok(Begun { splits, attempt, reader, writer })
}

/// A scenario of two stages in which nothing goes wrong by itself.
fn calm() -> Scenario {
    let mut scenario = (0..)
        .map(|seed| Scenario::from_seed(seed, Abilities::ALL))
        .find(|one| {
            let staged = one.splits.last().is_some_and(|split| split.stage == 1);
            staged && one.splits.iter().all(|split| split.records.len() > 3)
        })
        .expect("there are many seeds");
    scenario.faults.clear();
    scenario.reading.amounts = Amounts::Integers;
    scenario
}

/// The violations of an engine that only does what `attempt` does.
fn wrongs<F, Fut>(scenario: Scenario, attempt: F) -> String
where
    F: Fn(Parts) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    simulate(scenario, attempt).violations.join("\n")
}

#[test]
fn a_session_that_asked_for_tend_and_is_left_alone_is_found() {
    let scenario = |wait| {
        let mut scenario = calm();
        scenario.reading.tend = Some(Duration::from_secs(10));
        let waits = move |parts: Parts| async move {
            let mut begun = begin(&parts).await?;
            begun.reader.tend().await?;
            tokio::time::sleep(Duration::from_secs(wait)).await;
            begun.reader.tend().await?;
            Err(Fault::external("planted", "gives up"))
        };
        wrongs(scenario, waits)
    };
    assert!(!scenario(12).contains("asked for tend"));
    assert!(scenario(60).contains("a reader asked for tend"));
}

#[test]
fn a_later_stage_that_is_opened_early_is_found() {
    let early = |parts: Parts| async move {
        let mut begun = begin(&parts).await?;
        let last = begun.splits.last().expect("a split");
        begun.reader.open(last, None, &[testkit::table::dataset(Amounts::Integers)]).await
    };
    assert!(wrongs(calm(), early).contains("of a lower stage is done"));
}

#[test]
fn a_planning_session_that_is_dropped_early_is_found() {
    let drops = |parts: Parts| async move {
        let begun = begin(&parts).await?;
        drop(begun.reader);
        let mut reader = parts.source.connect().await?;
        reader.open(&begun.splits[0], None, &[testkit::table::dataset(Amounts::Integers)]).await
    };
    assert!(wrongs(calm(), drops).contains("the session that planned was dropped"));
}

#[test]
fn a_split_that_is_open_twice_is_found() {
    let twice = |parts: Parts| async move {
        let mut begun = begin(&parts).await?;
        let mut other = parts.source.connect().await?;
        let datasets = [testkit::table::dataset(Amounts::Integers)];
        begun.reader.open(&begun.splits[0], None, &datasets).await?;
        other.open(&begun.splits[0], None, &datasets).await
    };
    assert!(wrongs(calm(), twice).contains("is open in sessions"));
}

#[test]
fn a_cursor_that_is_called_after_its_end_is_found() {
    let further = |parts: Parts| async move {
        let mut begun = begin(&parts).await?;
        begun
            .reader
            .open(&begun.splits[0], None, &[testkit::table::dataset(Amounts::Integers)])
            .await?;
        while !matches!(begun.reader.next(BUDGET).await?, Step::Ended { .. }) {}
        begun.reader.next(BUDGET).await.map(drop)
    };
    assert!(wrongs(calm(), further).contains("after its end"));
}

#[test]
fn a_session_that_is_used_after_a_fault_or_half_a_call_is_found() {
    let after_fault = |parts: Parts| async move {
        let mut begun = begin(&parts).await?;
        let fault = begun.reader.next(BUDGET).await.expect_err("no cursor is open");
        assert_eq!(fault.code, "testkit.misuse");
        begun.reader.tend().await.map(drop)
    };
    assert!(wrongs(calm(), after_fault).contains("reader.tend after a fault"));
    let after_half = |parts: Parts| async move {
        let mut begun = begin(&parts).await?;
        let half = tokio::time::timeout(Duration::ZERO, begun.writer.tend()).await;
        assert!(half.is_err());
        begun.writer.tend().await.map(drop)
    };
    let mut slow = calm();
    slow.latency_ms_max = 1_000_000;
    assert!(wrongs(slow, after_half).contains("writer.tend after a fault"));
}

#[test]
fn an_older_epoch_is_fenced() {
    let zombie = |parts: Parts| async move {
        let mut begun = begin(&parts).await?;
        let mut newer = parts.destination.connect().await?;
        let datasets = [testkit::table::dataset(Amounts::Integers)];
        let old = parts.store.claim(&parts.run, 0).await?.epoch;
        begun.writer.open(&begun.attempt, 0, old, &datasets).await?;
        let new = parts.store.claim(&parts.run, 0).await?.epoch;
        newer.open(&begun.attempt, 0, new, &datasets).await?;
        let mark = Mark { sequence: 1, end: true, ..Mark::default() };
        let fault = begun.writer.commit(&mark, true).await.expect_err("fenced");
        assert_eq!(fault.code, "testkit.fenced");
        Err(fault)
    };
    let found = wrongs(calm(), zombie);
    assert!(!found.contains("panicked"), "{found}");
}

#[test]
fn a_finish_at_the_wrong_time_is_found() {
    let early = |parts: Parts| async move {
        let mut begun = begin(&parts).await?;
        begun.writer.finish(&begun.attempt, Outcome::Succeeded, &[]).await
    };
    let found = wrongs(calm(), early);
    assert!(found.contains("is called while the run is"), "{found}");
    assert!(found.contains("finish gets 0 receipts"), "{found}");
}

#[test]
fn a_mark_that_counts_what_is_not_there_is_found() {
    let lies = |parts: Parts| async move {
        let mut begun = begin(&parts).await?;
        let epoch = parts.store.claim(&parts.run, 0).await?.epoch;
        begun
            .writer
            .open(&begun.attempt, 0, epoch, &[testkit::table::dataset(Amounts::Integers)])
            .await?;
        let mut mark = Mark { sequence: 1, end: true, ..Mark::default() };
        mark.counts.records_read = 4;
        mark.counts.records_written = 3;
        begun.writer.close(&mark).await.map(drop)
    };
    let mut scenario = calm();
    scenario.writing.mode = CommitMode::Transactional;
    let found = wrongs(scenario, lies);
    assert!(found.matches("invariant 5").count() >= 2, "{found}");
}
