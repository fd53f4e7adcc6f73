//! Playing a script of `faulty`: everything that can be done with a reader or a writer, while a
//! well-behaved session beside it goes on.

use arrow_array::RecordBatch;
use domain::job::Category;
use domain::port::{
    Destination as _, Outcome, Reader as _, Source as _, Step, Transform, Writer as _,
};
use domain::{Batch, Dataset, FaultDomain, Mark, Result, Side};
use sandbox::{Component, GuestReader, Reach};
use tokio::task::JoinSet;

use crate::setup::{BUDGET, attempt, faulty};

/// Calls of a plug-in that are made outside of sessions.
const INQUIRIES: [&str; 4] = ["requirements", "check", "browse", "discover"];
const READER: [&str; 7] =
    ["connect", "make-plan", "next-splits", "open", "next", "acknowledge", "tend"];
const TRANSFORMER: [&str; 3] = ["connect", "open", "apply"];
const WRITER: [&str; 10] = [
    "connect",
    "prepare",
    "preview",
    "open",
    "committed",
    "write",
    "commit",
    "close",
    "finish",
    "read-back",
];

/// Does everything that can be done with a reader, and answers the first fault.
pub(crate) async fn read(component: &Component, parameter: &str) -> Result<()> {
    let (step, none) = (faulty(Side::Reader, parameter), Reach::none());
    component.requirements(&step).await?;
    component.check(&step, &none).await?;
    component.browse(&step, &none, &[], None, 10).await?;
    component.discover(&step, &none, &[]).await?;
    let mut reader = component.source(step, none).connect().await?;
    let plan = reader.plan(1, &[]).await?;
    let splits = reader.splits(&plan.start, 2).await?;
    reader.open(&splits.splits[0], None, &plan.datasets).await?;
    if let Step::Rows(rows) = reader.next(BUDGET).await?
        && let Some(position) = rows.position
    {
        reader.acknowledge(&position).await?;
    }
    reader.tend().await?;
    // In place of the first cursor, which is dropped.
    reader.open(&splits.splits[0], None, &plan.datasets).await
}

/// The honest plan and a batch of it.
pub(crate) async fn rows(component: &Component) -> (Vec<Dataset>, Batch) {
    let source = component.source(faulty(Side::Reader, "{}"), Reach::none());
    let mut reader = source.connect().await.unwrap();
    let plan = reader.plan(1, &[]).await.unwrap();
    let splits = reader.splits(&plan.start, 1).await.unwrap();
    reader.open(&splits.splits[0], None, &plan.datasets).await.unwrap();
    match reader.next(BUDGET).await.unwrap() {
        Step::Rows(mut rows) => (plan.datasets, rows.batches.remove(0)),
        other => panic!("no rows: {other:?}"),
    }
}

/// Does everything that can be done with a transformer that may not make several rows of one, and
/// answers the first fault.
pub(crate) async fn transform(component: &Component, parameter: &str) -> Result<()> {
    let (datasets, batch) = rows(component).await;
    let step = faulty(Side::Transformer, parameter);
    let transform = component.transform(step, Reach::none(), Category::Map);
    let mut transformer = Transform::connect(&transform).await?;
    transformer.open(&datasets).await?;
    let made = transformer.apply(&batch).await?;
    assert_eq!(made.taken as usize, batch.len());
    Ok(())
}

/// Does everything that can be done with a writer, and answers the first fault.
pub(crate) async fn write(component: &Component, parameter: &str) -> Result<()> {
    let (datasets, batch) = rows(component).await;
    let destination = component.destination(faulty(Side::Writer, parameter), Reach::none());
    let mut writer = destination.connect().await?;
    writer.preview(&datasets).await?;
    writer.prepare(&attempt(), &datasets).await?;
    writer.open(&attempt(), 0, 1, &datasets).await?;
    writer.write(&batch).await?;
    writer.commit(&Mark { sequence: 1, ..Mark::default() }, true).await?;
    writer.close(&Mark { sequence: 2, end: true, ..Mark::default() }).await?;
    writer.tend().await?;
    writer.open(&attempt(), 1, 1, &datasets).await?;
    writer.finish(&attempt(), Outcome::Succeeded, &[]).await?;
    writer.read_back(&attempt(), &datasets, &[]).await.map(|_| ())
}

pub(crate) async fn play(component: &Component, side: Side, parameter: &str) -> Result<()> {
    match side {
        Side::Reader => read(component, parameter).await,
        Side::Transformer => transform(component, parameter).await,
        Side::Writer => write(component, parameter).await,
    }
}

/// A session that behaves, step by step beside others that do not.
pub(crate) struct Beside {
    reader: GuestReader,
    rows: usize,
}

impl Beside {
    pub(crate) async fn start(component: &Component) -> Self {
        let parameter = r#"{"rows": 1000000, "batch": 100}"#;
        let source = component.source(faulty(Side::Reader, parameter), Reach::none());
        let mut reader = source.connect().await.unwrap();
        let plan = reader.plan(1, &[]).await.unwrap();
        let splits = reader.splits(&plan.start, 1).await.unwrap();
        reader.open(&splits.splits[0], None, &plan.datasets).await.unwrap();
        Self { reader, rows: 0 }
    }

    pub(crate) async fn go_on(&mut self) {
        let Step::Rows(rows) = self.reader.next(BUDGET).await.unwrap() else { panic!("no rows") };
        let batch: &RecordBatch = &rows.batches[0].rows;
        assert_eq!(batch.num_rows(), 100);
        self.rows += batch.num_rows();
    }
}

/// What is done wrong, and the code of the fault that must come of it.
pub(crate) struct Case {
    pub(crate) side: Side,
    pub(crate) call: &'static str,
    pub(crate) act: &'static str,
    /// More of the script, with a leading comma.
    pub(crate) more: &'static str,
    pub(crate) code: &'static str,
}

/// Plays all cases on one component, some side by side, and a well-behaved session all the while.
pub(crate) async fn all(component: &Component, cases: Vec<Case>) {
    // Below the slots of `tight`: each case may hold three instances for a moment.
    const SIDE_BY_SIDE: usize = 10;
    let mut beside = Beside::start(component).await;
    let mut running = JoinSet::new();
    let mut waiting = cases.into_iter();
    let mut wrong = Vec::new();
    loop {
        while running.len() < SIDE_BY_SIDE {
            let Some(case) = waiting.next() else { break };
            let component = component.clone();
            running.spawn(async move {
                let Case { side, call, act, more, code } = case;
                let parameter = format!(r#"{{"call": "{call}", "act": "{act}"{more}}}"#);
                let outcome = play(&component, side, &parameter).await;
                let title = format!("{} {call} {act}", side.word());
                judge(&title, call, code, outcome)
            });
        }
        let Some(done) = running.join_next().await else { break };
        wrong.extend(done.unwrap());
        beside.go_on().await;
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(beside.rows > 0);
}

/// What is wrong with an outcome, if anything.
fn judge(title: &str, call: &str, code: &str, outcome: Result<()>) -> Option<String> {
    let fault = match outcome {
        Ok(()) if code.is_empty() => return None,
        Ok(()) => return Some(format!("{title}: no fault, {code} expected")),
        Err(fault) => fault,
    };
    if fault.code != code {
        return Some(format!("{title}: {code} expected, {fault}"));
    }
    let whole = fault.to_string();
    if whole.chars().any(|c| c.is_control() || c == '\u{202e}') {
        return Some(format!("{title}: raw text of the guest: {whole:?}"));
    }
    if let Some(limit) = fault.code.strip_prefix("plugin.limit.") {
        let option = format!("--limit {}=VALUE", limit.replace('_', "-"));
        if !fault.hint.as_ref().is_some_and(|hint| hint.contains(&option)) {
            return Some(format!("{title}: it is not told how to raise the limit: {whole}"));
        }
    }
    if fault.domain == FaultDomain::Plugin {
        let word = if call.starts_with("drop-") { "drop" } else { call };
        if !whole.contains("plug-in \"faulty\"") || !whole.contains(&format!("\"{word}\"")) {
            return Some(format!("{title}: plug-in or call is not named: {whole}"));
        }
    }
    None
}

/// The acts of crashing in every call.
pub(crate) fn in_every_call(acts: &[(&'static str, &'static str)]) -> Vec<Case> {
    let mut cases = Vec::new();
    let reader = INQUIRIES.iter().chain(&READER).chain(&["drop-cursor"]);
    let writer = WRITER.iter().chain(&["tend", "drop-sink"]);
    let calls = reader.map(|call| (Side::Reader, *call));
    let calls = calls.chain(TRANSFORMER.map(|call| (Side::Transformer, call)));
    let calls: Vec<_> = calls.chain(writer.map(|call| (Side::Writer, *call))).collect();
    for (act, code) in acts {
        for (side, call) in &calls {
            cases.push(Case { side: *side, call, act, more: "", code });
        }
    }
    cases
}
