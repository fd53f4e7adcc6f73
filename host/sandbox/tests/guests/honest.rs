//! Sessions that go as they should.

use std::sync::{Arc, Mutex};

use arrow_cast::display::{ArrayFormatter, FormatOptions};
use domain::job::Category;
use domain::port::{
    Attempt, Destination as _, Outcome, Reader as _, Source as _, Step, Transform, Writer as _,
};
use domain::{Batch, Mark, Side};
use sandbox::{
    Compiled, Faces, GuestReader, HostCall, Limits, OnHostCall, Reach, Sandbox, Settings,
};

use crate::play::rows as rows_of;
use crate::setup::{BUDGET, attempt, configuration, faulty, guest, guest_within};

const COLUMNS: &str = r#"{"sliceRecordCount": 2500, "column": [
    {"type": "long", "sequence": "1"}, {"type": "string", "value": "héllo"},
    {"type": "decimal(9,2)", "value": "1.50"}, {"type": "bool", "random": "1,1"},
    {"type": "timestamp", "value": "2025-01-02 03:04:05"}, {"type": "bytes", "random": "0,9"},
    {"type": "double", "value": null}]}"#;

/// Reads the open cursor to its end.
async fn rows(reader: &mut GuestReader) -> Vec<Batch> {
    let mut batches = Vec::new();
    loop {
        match reader.next(BUDGET).await.unwrap() {
            Step::Rows(rows) => batches.extend(rows.batches),
            Step::Ended { .. } => return batches,
            Step::Idle | Step::Advanced { .. } => {}
        }
    }
}

#[tokio::test]
async fn a_plugin_says_what_it_is() {
    let stream = guest("stream").await;
    assert!(stream.digest().starts_with("blake3:"));
    let all = Faces { reader: true, transformer: true, writer: true, sql: true };
    assert_eq!(stream.faces(), all);
    let description = stream.describe().await.unwrap();
    assert_eq!(description.name, "stream");
    let kind = description.source_type("StreamReader").unwrap();
    assert!(kind.reader.as_ref().unwrap().parameter_schema.contains("sliceRecordCount"));
    // The second sandbox of this process finds code and description in the cache.
    let again = guest("stream").await;
    assert!(matches!(again.compiled(), Compiled::FromCache(_)));
    assert_eq!(again.describe().await.unwrap(), description);
    let step = configuration("stream", Side::Reader, COLUMNS);
    assert_eq!(again.requirements(&step).await.unwrap(), []);
    let checked = again.check(&step, &Reach::none()).await.unwrap();
    assert_eq!(checked[0].name, "parameters");
    assert_eq!(checked[0].fault, None);
    let entries = again.browse(&step, &Reach::none(), &[], None, 10).await.unwrap();
    assert!(entries[0].is_dataset);
    let datasets = again.discover(&step, &Reach::none(), &[]).await.unwrap();
    assert_eq!(datasets[0].schema.fields().len(), 7);
}

#[tokio::test]
async fn rows_cross_two_sandboxes_unchanged() {
    let (stream, printed) = guest_within("stream", Limits::default()).await;
    let source = stream.source(configuration("stream", Side::Reader, COLUMNS), Reach::none());
    let mut reader = source.connect().await.unwrap();
    let plan = reader.plan(1, &[]).await.unwrap();
    assert!(plan.bounded);
    let splits = reader.splits(&plan.start, 10).await.unwrap();
    assert!(splits.last && splits.splits.len() == 1);

    let print = configuration("stream", Side::Writer, r#"{"print": true, "fieldDelimiter": "|"}"#);
    let mut writer = stream.destination(print, Reach::none()).connect().await.unwrap();
    let attempt = attempt();
    let prepared = writer.prepare(&attempt, &plan.datasets).await.unwrap();
    assert_eq!(prepared.datasets.len(), 1);
    assert_eq!(writer.preview(&plan.datasets).await.unwrap().commit_mode, prepared.commit_mode);
    assert_eq!(writer.open(&attempt, 0, 1, &plan.datasets).await.unwrap(), None);
    reader.open(&splits.splits[0], None, &plan.datasets).await.unwrap();

    let batches = rows(&mut reader).await;
    assert_eq!(batches.iter().map(Batch::len).sum::<usize>(), 2500);
    for batch in &batches {
        writer.write(batch).await.unwrap();
    }
    let mark = Mark { sequence: 1, end: true, ..Mark::default() };
    let closed = writer.close(&mark).await.unwrap();
    assert_eq!(closed.answer.durable, Some(mark));
    assert!(writer.finish(&attempt, Outcome::Succeeded, &[closed.receipt]).await.is_ok());

    let text = printed.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2500);
    assert!(lines[0].starts_with("1|héllo|1.50|"), "{}", lines[0]);
    assert!(lines[2499].starts_with("2500|héllo|1.50|"), "{}", lines[2499]);
}

#[tokio::test]
async fn slices_of_batches_arrive_as_they_are() {
    let (stream, printed) = guest_within("stream", Limits::default()).await;
    let source = stream.source(configuration("stream", Side::Reader, COLUMNS), Reach::none());
    let mut reader = source.connect().await.unwrap();
    let plan = reader.plan(1, &[]).await.unwrap();
    let splits = reader.splits(&plan.start, 1).await.unwrap();
    reader.open(&splits.splits[0], None, &plan.datasets).await.unwrap();
    let batch = rows(&mut reader).await.remove(0);

    let print = configuration("stream", Side::Writer, r#"{"print": true, "fieldDelimiter": "|"}"#);
    let mut writer = stream.destination(print, Reach::none()).connect().await.unwrap();
    writer.prepare(&attempt(), &plan.datasets).await.unwrap();
    writer.open(&attempt(), 0, 1, &plan.datasets).await.unwrap();
    let mut expected = String::new();
    for (offset, length) in [(0, 3), (1, 1), (7, 20), (13, 0), (63, 66)] {
        let rows = batch.rows.slice(offset, length);
        let column = rows.column(0);
        let text = ArrayFormatter::try_new(column, &FormatOptions::new()).unwrap();
        for row in 0..length {
            expected += &format!("{}|héllo|1.50|", text.value(row));
            expected.push('\n');
        }
        writer.write(&Batch::new(0, rows.clone())).await.unwrap();
    }
    writer.close(&Mark { sequence: 1, end: true, ..Mark::default() }).await.unwrap();
    let begins = printed
        .text()
        .lines()
        .map(|line| {
            let parts: Vec<_> = line.splitn(4, '|').collect();
            format!("{}|{}|{}|\n", parts[0], parts[1], parts[2])
        })
        .collect::<String>();
    assert_eq!(begins, expected);
}

#[tokio::test]
async fn a_session_opens_one_cursor_after_another_and_resumes() {
    let faulty_guest = guest("faulty").await;
    let source = faulty_guest.source(faulty(Side::Reader, "{}"), Reach::none());
    let mut reader = source.connect().await.unwrap();
    let plan = reader.plan(2, &[]).await.unwrap();
    let splits = reader.splits(&plan.start, 3).await.unwrap();
    assert_eq!((splits.splits.len(), splits.last), (3, false));
    let rest = reader.splits(&splits.next, 10).await.unwrap();
    assert_eq!((rest.splits.len(), rest.last), (1, true));
    for split in splits.splits.iter().chain(&rest.splits) {
        reader.open(split, None, &plan.datasets).await.unwrap();
        let batches = rows(&mut reader).await;
        assert_eq!(batches.iter().map(Batch::len).sum::<usize>(), 1000);
    }
    reader.open(&splits.splits[0], None, &plan.datasets).await.unwrap();
    let Step::Rows(first) = reader.next(BUDGET).await.unwrap() else { panic!("no rows") };
    let position = first.position.unwrap();
    reader.acknowledge(&position).await.unwrap();
    assert_eq!(reader.tend().await.unwrap(), None);
    reader.open(&splits.splits[0], Some(&position), &plan.datasets).await.unwrap();
    let batches = rows(&mut reader).await;
    assert_eq!(batches.iter().map(Batch::len).sum::<usize>(), 900);
}

#[tokio::test]
async fn a_step_on_the_wrong_side_is_said() {
    let stream = guest("stream").await;
    let attempt = Attempt { epoch: 2, ..attempt() };
    let step = configuration("stream", Side::Reader, r#"{"column": []}"#);
    let source = stream.source(step.clone(), Reach::none());
    let fault = source.connect().await.err().or(stream.requirements(&step).await.err()).unwrap();
    assert_eq!(fault.domain, domain::FaultDomain::User, "{fault}");
    assert_eq!(attempt.epoch, 2);
}

#[tokio::test]
async fn host_calls_are_told_with_their_side_and_number() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    let on_host_call: OnHostCall = Arc::new(move |call: &HostCall<'_>| {
        assert_eq!(call.plugin, "stream");
        hearing.lock().unwrap().push((call.side, call.number));
    });
    let settings = Settings { on_host_call: Some(on_host_call), ..Settings::default() };
    let sandbox = Sandbox::new(settings).unwrap();
    let stream = sandbox.load(testkit::guest::component("stream"), "stream").await.unwrap();
    let reader = configuration("stream", Side::Reader, COLUMNS);
    let mut reader = stream.source(reader, Reach::none()).connect().await.unwrap();
    reader.plan(1, &[]).await.unwrap();
    let writer = configuration("stream", Side::Writer, r#"{"print": true}"#);
    stream.destination(writer, Reach::none()).connect().await.unwrap();
    let heard = heard.lock().unwrap();
    assert!(heard.iter().map(|(_, number)| *number).eq(1..=heard.len() as u64));
    for side in [Some(Side::Reader), Some(Side::Writer)] {
        assert!(heard.iter().any(|(told, _)| *told == side), "{heard:?}");
    }
}

#[tokio::test]
async fn rows_go_through_a_transformer() {
    let component = guest("faulty").await;
    let (datasets, batch) = rows_of(&component).await;
    let all: Vec<u32> = (0..batch.len() as u32).collect();
    let session = async |call: &str, act: &str, category| {
        let script = format!(r#"{{"call": "{call}", "act": "{act}"}}"#);
        let step = faulty(Side::Transformer, &script);
        let transform = component.transform(step, Reach::none(), category);
        Transform::connect(&transform).await.unwrap()
    };
    let play = async |act: &str, category| {
        let mut transformer = session("apply", act, category).await;
        assert_eq!(transformer.open(&datasets).await.unwrap(), datasets);
        transformer.apply(&batch).await.unwrap()
    };
    let whole = play("", Category::Map).await;
    assert_eq!((whole.rows, &whole.origins), (batch.clone(), &all));
    let dropped = play("drop", Category::Map).await;
    assert!(dropped.rows.is_empty() && dropped.refused.is_empty());
    let refused = play("refuse", Category::Map).await.refused;
    assert!(refused.iter().map(|refused| refused.row).eq(all.iter().copied()));
    assert_eq!((refused[0].column, refused[0].code.as_str()), (Some(0), "faulty.refused"));
    let twice = play("origins-twice", Category::Flatmap).await;
    assert_eq!(twice.origins[..3], [0, 0, 2]);
    // What comes out is held against what was said to come out.
    let mut other = session("open", "fields-few", Category::Map).await;
    assert_ne!(other.open(&datasets).await.unwrap(), datasets);
    assert_eq!(other.apply(&batch).await.unwrap_err().code, "plugin.lie.batch");
}
