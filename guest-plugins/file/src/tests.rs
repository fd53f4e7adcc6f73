//! Sessions, cursors and sinks on real folders.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use sdk::{
    Batch, Budget, Configuration, Cursor, Dataset, Outcome, Plugin, Reader, Run, Side, Sink, Split,
    Step, Task, Writer,
};
use serde_json::{Value, json};

use crate::{FilePlugin, FileSession, FolderSession};

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("file-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn put(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Published files, by name.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn configuration(side: Side, parameter: &Value) -> Configuration {
    Configuration {
        source_type: "file".into(),
        side,
        connection: "{}".into(),
        parameter: parameter.to_string(),
    }
}

fn reader(parameter: &Value) -> FileSession {
    FileSession::connect(&configuration(Side::Reader, parameter)).unwrap()
}

fn writer(parameter: &Value) -> FolderSession {
    FolderSession::connect(&configuration(Side::Writer, parameter)).unwrap()
}

const BUDGET: Budget = Budget { rows: 1000, bytes: 1 << 20, wait_ms: 0 };

fn all_splits(session: &mut FileSession, limit: u32) -> Vec<Split> {
    let mut at = session.plan(1, &[]).unwrap().start;
    let mut all = Vec::new();
    loop {
        let splits = session.splits(&at, limit).unwrap();
        all.extend(splits.splits);
        at = splits.next;
        if splits.last {
            return all;
        }
        // Another session goes on as well.
    }
}

/// Everything that the parameter's files hold: schema, batches, undecodable records.
fn read_all(parameter: &Value) -> (Dataset, Vec<RecordBatch>, Vec<sdk::Undecodable>) {
    let mut session = reader(parameter);
    let plan = session.plan(1, &[]).unwrap();
    let (mut batches, mut dirty) = (Vec::new(), Vec::new());
    for split in all_splits(&mut session, 3) {
        let mut cursor = session.open(split, None, plan.datasets.clone()).unwrap();
        while let Step::Rows(rows) = cursor.next(BUDGET).unwrap() {
            batches.extend(rows.batches.into_iter().map(|batch| batch.rows));
            dirty.extend(rows.undecodable);
        }
    }
    (plan.datasets.into_iter().next().unwrap(), batches, dirty)
}

fn texts(batches: &[RecordBatch], column: usize) -> Vec<Option<String>> {
    let column = |batch: &RecordBatch| {
        let values = batch.column(column).as_string::<i32>().clone();
        values.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(column).collect()
}

#[test]
fn paths_mean_files_in_a_stable_order() {
    let folder = Folder::new();
    for name in ["b.csv", "a.csv", "c.txt", ".hidden.csv", "sub/d.csv", "sub/deep/e.csv"] {
        folder.put(name, b"x\n");
    }
    let table: [(&str, &[&str]); 6] = [
        ("", &["a.csv", "b.csv", "c.txt"]),
        ("/*.csv", &["a.csv", "b.csv"]),
        ("/[bc].*", &["b.csv", "c.txt"]),
        ("/**/*.csv", &["a.csv", "b.csv", "sub/d.csv", "sub/deep/e.csv"]),
        ("/s*/d.csv", &["sub/d.csv"]),
        ("/{a,b}.csv", &["a.csv", "b.csv"]),
    ];
    for (pattern, expected) in table {
        let found = crate::places::files(&[format!("{}{pattern}", folder.text())], None).unwrap();
        let expected: Vec<_> =
            expected.iter().map(|name| format!("{}/{name}", folder.text())).collect();
        assert_eq!(found, expected, "{pattern}");
    }
    let missing = crate::places::files(&[format!("{}/x*.csv", folder.text())], None).unwrap_err();
    assert_eq!(missing.code, "file.not_found");
    assert_eq!(missing.place.as_deref(), Some("/parameter/path/0"));
}

#[test]
fn requirements_name_each_folder_once() {
    let ask = |side, parameter: Value| {
        let found = FilePlugin::requirements(&configuration(side, &parameter)).unwrap();
        found
            .into_iter()
            .map(|requirement| match requirement {
                sdk::Requirement::Directory(directory) => directory.path,
                _ => panic!("a file needs folders alone"),
            })
            .collect::<Vec<_>>()
    };
    let read = |path: Value| ask(Side::Reader, json!({ "path": path }));
    assert_eq!(read(json!("in/orders-*.csv")), ["in"]);
    assert_eq!(read(json!(["a-*.csv", "b.csv", "in/", "in/*.csv"])), [".", "b.csv", "in"]);
    assert_eq!(ask(Side::Writer, json!({ "path": "out/dt=1", "fileName": "x" })), ["out/dt=1"]);
}

#[test]
fn schemas_name_exactly_what_the_code_reads() {
    let description = FilePlugin::describe();
    let types = &description.types[0];
    let keys = |schema: &str| {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let properties = schema["properties"].as_object().unwrap().clone();
        for (key, property) in &properties {
            let described = property.get("description").is_some()
                || property.get("$ref").is_some()
                || property.get("allOf").is_some();
            assert!(described, "{key} has no description");
        }
        let mut keys: Vec<_> = properties.keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(
        keys(&types.reader.as_ref().unwrap().parameter_schema),
        "column compress csvReaderConfig encoding fieldDelimiter fileFormat header inferTypes \
         lineDelimiter markDoneFileName maxRetryTime nullFormat object parquetSchema path \
         skipHeader splitBytes"
    );
    assert_eq!(
        keys(&types.writer.as_ref().unwrap().parameter_schema),
        "column compress compression dateFormat encoding escapeChar fieldDelimiter fileFormat \
         fileName generateEmptyFile header lineDelimiter markDoneFileName maxFileSize nullFormat \
         object ossBlockSize parquetSchema path quote singleFileOutput skipHeader suffix timeout \
         writeHeader writeMode writeSingleObject"
    );
}

#[test]
fn bad_parameters_are_refused_before_anything_runs() {
    let read = |mut more: Value| {
        more["path"] = json!("x.csv");
        (Side::Reader, more)
    };
    let write = |mut more: Value| {
        more["path"] = json!("x");
        more["fileName"] = more.get("fileName").cloned().unwrap_or(json!("a"));
        (Side::Writer, more)
    };
    let invalid = [
        (Side::Reader, json!({ "path": [] })),
        (Side::Reader, json!({})),
        read(json!({ "object": "y" })),
        read(json!({ "fieldDelimiter": "||" })),
        read(json!({ "fieldDelimiter": ";", "lineDelimiter": ";" })),
        read(json!({ "fieldDelimiter": "'", "csvReaderConfig": { "textQualifier": "'" } })),
        read(json!({ "fieldDelimiter": "\\", "csvReaderConfig": { "escapeMode": 2 } })),
        read(json!({ "fieldDelimiter": "#", "csvReaderConfig": { "useComments": true } })),
        read(json!({ "nullFormat": "a,b" })),
        read(json!({ "nullFormat": "\"\"" })),
        read(json!({ "nullFormat": "a\n" })),
        read(json!({ "compress": "bzip2" })),
        read(json!({ "column": [{ "index": 0, "type": "money" }] })),
        read(json!({ "column": [{ "index": 0, "type": "decimal" }] })),
        write(json!({ "fileName": "a/b" })),
        write(json!({ "fileName": ".a" })),
        write(json!({ "fileName": "_a" })),
        (Side::Writer, json!({ "path": "x*", "fileName": "a" })),
        (Side::Writer, json!({ "path": "x" })),
        write(json!({ "writeMode": "replace" })),
        write(json!({ "fieldDelimiter": ";", "lineDelimiter": ";" })),
        write(json!({ "fieldDelimiter": "'", "quote": "'" })),
        write(json!({ "fieldDelimiter": "\\", "escapeChar": "\\" })),
        write(json!({ "nullFormat": "," })),
    ];
    for (side, parameter) in invalid {
        let fault = FilePlugin::requirements(&configuration(side, &parameter)).unwrap_err();
        assert_eq!(fault.code, "parameter.invalid", "{parameter}: {}", fault.message);
        assert!(fault.place.is_some(), "{parameter}");
    }
    let (_, single) = write(json!({ "singleFileOutput": "true" }));
    let fault = FilePlugin::requirements(&configuration(Side::Writer, &single)).unwrap_err();
    assert_eq!(fault.code, "parameter.unsupported");
    let (_, mode) = write(json!({ "writeMode": "NONCONFLICT" }));
    FilePlugin::requirements(&configuration(Side::Writer, &mode)).unwrap();
}

#[test]
fn keys_without_a_meaning_are_told() {
    let folder = Folder::new();
    let path = folder.put("a.jsonl", b"{\"a\":1}\n");
    let parameter = json!({
        "object": path, "maxRetryTime": 60, "fieldDelimiter": ",", "parquetSchema": "message x {}",
    });
    let (dataset, batches, _) = read_all(&parameter);
    assert_eq!(batches[0].num_rows(), 1);
    let told =
        ("without effect".to_owned(), "maxRetryTime, parquetSchema, fieldDelimiter".to_owned());
    assert_eq!(dataset.metadata.last(), Some(&told));
    let parameter = json!({
        "path": "x", "fileName": "a", "object": "b", "timeout": 60_000, "ossBlockSize": 16,
        "singleFileOutput": false, "writeSingleObject": "false", "parquetSchema": "message x {}",
    });
    FilePlugin::requirements(&configuration(Side::Writer, &parameter)).unwrap();
}

#[test]
fn faults_of_files_have_codes() {
    let folder = Folder::new();
    let path = folder.put("a.csv", b"a\n1\n");
    let table = [
        (json!({ "path": path, "column": ["a"] }), "format.column_missing"),
        (json!({ "path": path, "header": true, "column": ["b"] }), "format.column_missing"),
        (json!({ "path": path, "column": [{ "value": "x", "type": "int" }] }), "parameter.invalid"),
        (json!({ "path": path, "fileFormat": "parquet" }), "format.corrupt"),
        (json!({ "path": path, "compress": "gzip" }), "format.corrupt"),
        (json!({ "path": path, "markDoneFileName": "done" }), "file.not_done"),
        (json!({ "path": format!("{path}x") }), "file.not_found"),
    ];
    for (parameter, code) in table {
        let mut session = reader(&parameter);
        let fault = session
            .plan(1, &[])
            .and_then(|plan| {
                let splits = session.splits(&plan.start, 1)?;
                let split = splits.splits.into_iter().next().unwrap();
                session.open(split, None, plan.datasets).map(drop)
            })
            .unwrap_err();
        assert_eq!(fault.code, code, "{parameter}: {}", fault.message);
    }
}

#[test]
fn a_file_that_changed_after_the_plan_is_refused() {
    let folder = Folder::new();
    let path = folder.put("a.csv", b"a\n1\n");
    let mut session = reader(&json!({ "path": path, "header": true }));
    let plan = session.plan(1, &[]).unwrap();
    let split = session.splits(&plan.start, 1).unwrap().splits.remove(0);
    folder.put("a.csv", b"a\n1\n2\n");
    let fault = session.open(split, None, plan.datasets).err().unwrap();
    assert_eq!(fault.code, "file.changed");
}

#[test]
fn splits_go_on_in_another_session() {
    let folder = Folder::new();
    let rows: String = (0..500).map(|row| format!("{row},\"a\n{row}\"\r\n")).collect();
    for name in ["a.csv", "b.csv", "c.csv"] {
        folder.put(name, rows.as_bytes());
    }
    let parameter = json!({ "path": format!("{}/*.csv", folder.text()), "splitBytes": 700 });
    let whole = all_splits(&mut reader(&parameter), 1000);
    assert!(whole.len() > 20);
    for limit in [1, 2, 7] {
        let mut at = reader(&parameter).plan(1, &[]).unwrap().start;
        let mut all = Vec::new();
        loop {
            let splits = reader(&parameter).splits(&at, limit).unwrap();
            assert!(splits.splits.len() <= limit as usize);
            all.extend(splits.splits.into_iter().map(|split| split.token));
            at = splits.next;
            if splits.last {
                break;
            }
        }
        let expected: Vec<_> = whole.iter().map(|split| split.token.clone()).collect();
        assert_eq!(all, expected);
    }
    let (_, batches, dirty) = read_all(&parameter);
    assert!(dirty.is_empty());
    let expected: Vec<_> =
        (0..3).flat_map(|_| (0..500).map(|row| Some(format!("a\n{row}")))).collect();
    assert_eq!(texts(&batches, 1), expected);
}

#[test]
fn headers_of_files_may_be_in_another_order() {
    let folder = Folder::new();
    folder.put("a.csv", b"id,name\n1,x\n");
    folder.put("b.csv", b"name,id\ny,2\n");
    let parameter = json!({ "path": format!("{}/*.csv", folder.text()), "header": "true" });
    let (dataset, batches, _) = read_all(&parameter);
    assert_eq!(
        dataset.metadata,
        [("files".into(), "2".into()), ("inferred".into(), "true".into())]
    );
    assert_eq!(texts(&batches, 1), [Some("x".into()), Some("y".into())]);
    folder.put("c.csv", b"name,id,more\ny,2,3\n");
    let fault = reader(&parameter).plan(1, &[]).err().unwrap();
    assert_eq!(fault.code, "format.columns_differ");
}

/// Writes batches in one task that dies and comes back; answers what stands in the folder.
struct Writing {
    folder: Folder,
    parameter: Value,
    run: Run,
    dataset: Dataset,
}

fn rows(from: i64, to: i64) -> RecordBatch {
    let numbers = arrow_array::Int64Array::from_iter_values(from..to);
    let texts =
        arrow_array::StringArray::from_iter_values((from..to).map(|row| format!("row {row}")));
    RecordBatch::try_from_iter([
        ("id", std::sync::Arc::new(numbers) as arrow_array::ArrayRef),
        ("text", std::sync::Arc::new(texts)),
    ])
    .unwrap()
}

impl Writing {
    fn new(mut parameter: Value) -> Self {
        let folder = Folder::new();
        parameter["path"] = json!(folder.text());
        parameter["fileName"] = json!("orders");
        let dataset = Dataset {
            path: vec!["x".into()],
            schema: rows(0, 0).schema(),
            primary_key: Vec::new(),
            metadata: Vec::new(),
        };
        Self { folder, parameter, run: run("r1"), dataset }
    }

    fn prepare(&self) -> Dataset {
        let prepared = writer(&self.parameter).prepare(&self.run, vec![self.dataset.clone()]);
        prepared.unwrap().datasets.remove(0)
    }

    fn sink(&self, index: u32, epoch: u64) -> crate::FileSink {
        let task = Task { run: self.run.id.clone(), index, epoch };
        writer(&self.parameter).open(task, vec![self.dataset.clone()]).unwrap()
    }

    fn finish(&self, outcome: Outcome, receipts: Vec<Vec<u8>>) -> sdk::Result<()> {
        writer(&self.parameter).finish(&self.run, outcome, receipts)
    }

    /// The ids in the published files, in the order of files and rows.
    fn ids(&self) -> Vec<i64> {
        if self.folder.files().is_empty() {
            return Vec::new();
        }
        let format = self.parameter.get("fileFormat").cloned().unwrap_or(json!("csv"));
        let column =
            json!([{ "name": "id", "type": "long" }, { "name": "text", "type": "string" }]);
        let parameter = json!({
            "path": self.folder.text(), "fileFormat": format, "column": column,
            "header": ["id", "text"],
        });
        let (_, batches, dirty) = read_all(&parameter);
        assert!(dirty.is_empty());
        let id = |batch: &RecordBatch| {
            batch.column(0).as_primitive::<arrow_array::types::Int64Type>().values().to_vec()
        };
        batches.iter().flat_map(id).collect()
    }
}

fn run(id: &str) -> Run {
    Run { id: id.into(), epoch: 1, bounded: true }
}

fn batch(from: i64, to: i64) -> Batch {
    Batch::inserts(rows(from, to))
}

fn all_formats() -> Vec<Value> {
    let mut formats = vec![json!({ "fileFormat": "parquet", "compress": "zstd" })];
    for format in ["csv", "json", "text"] {
        for compress in ["none", "gzip", "zstd"] {
            formats.push(json!({ "fileFormat": format, "compress": compress }));
        }
    }
    formats
}

/// Batches of the task that the crash tests write; a mark behind each.
const BATCHES: i64 = 6;
const ROWS: i64 = 10;

/// Writes from batch `from` on, marking after each batch, `now` after each second one; dies behind
/// `steps` calls, or closes. Answers the receipt, or the batches that the newest durable mark covers.
fn work(sink: &mut crate::FileSink, from: i64, steps: usize) -> Option<Vec<u8>> {
    let mut left = steps;
    let mut step = || {
        left = left.saturating_sub(1);
        left > 0
    };
    for number in from..BATCHES {
        if !step() {
            return None;
        }
        sink.write(batch(number * ROWS, (number + 1) * ROWS)).unwrap();
        if !step() {
            return None;
        }
        sink.commit(vec![number as u8 + 1], number % 2 == 1).unwrap();
    }
    step().then(|| sink.close(vec![BATCHES as u8]).unwrap().receipt)
}

#[test]
fn a_task_that_dies_anywhere_writes_each_row_once() {
    let expected: Vec<_> = (0..BATCHES * ROWS).collect();
    // One format of each kind: it can grow, it is packed, it has its own container.
    let formats = [
        json!({ "fileFormat": "csv" }),
        json!({ "fileFormat": "json", "compress": "zstd" }),
        json!({ "fileFormat": "parquet" }),
    ];
    for parameter in formats {
        for first in 1..14 {
            for second in [1, 3, 5, 100] {
                let writing = Writing::new(parameter.clone());
                writing.prepare();
                let mut receipt = None;
                for (epoch, steps) in [(1, first), (3, second), (4, 100)] {
                    let mut sink = writing.sink(0, epoch);
                    let from = sink.committed().map_or(0, |mark| i64::from(mark[0]));
                    let again = work(&mut sink, from, steps);
                    if let (Some(before), Some(again)) = (&receipt, &again) {
                        assert_eq!(before, again, "the receipt of a task closed again");
                    }
                    receipt = again.or(receipt);
                }
                writing.finish(Outcome::Succeeded, vec![receipt.unwrap()]).unwrap();
                assert_eq!(writing.ids(), expected, "{parameter} {first} {second}");
                assert!(!writing.folder.0.join(".airlock-r1").exists());
            }
        }
    }
}

#[test]
fn an_older_epoch_cannot_disturb() {
    for parameter in all_formats() {
        let writing = Writing::new(parameter.clone());
        writing.prepare();
        let mut old = writing.sink(0, 1);
        old.write(batch(0, 10)).unwrap();
        old.commit(vec![1], true).unwrap();
        let mut new = writing.sink(0, 2);
        assert_eq!(new.committed(), Some(vec![1]), "{parameter}");
        // The old one lives on, and its marks no longer count.
        old.write(batch(100, 110)).unwrap();
        let _ = old.commit(vec![9], true);
        new.write(batch(10, 20)).unwrap();
        new.commit(vec![2], true).unwrap();
        let mut newest = writing.sink(0, 3);
        assert_eq!(newest.committed(), Some(vec![2]), "{parameter}");
        let _ = old.close(vec![10]);
        let receipt = newest.close(vec![3]).unwrap().receipt;
        writing.finish(Outcome::Succeeded, vec![receipt]).unwrap();
        assert_eq!(writing.ids(), (0..20).collect::<Vec<_>>(), "{parameter}");
    }
}

fn closed(writing: &Writing, index: u32) -> Vec<u8> {
    let mut sink = writing.sink(index, 1);
    let from = i64::from(index) * ROWS;
    sink.write(batch(from, from + ROWS)).unwrap();
    sink.close(vec![1]).unwrap().receipt
}

#[test]
fn finish_can_be_repeated_from_every_step() {
    let writing = Writing::new(json!({ "markDoneFileName": "_SUCCESS" }));
    writing.folder.put("orders-r0-0-0.csv", b"old,1\n");
    writing.prepare();
    let receipts: Vec<_> = (0..3).map(|index| closed(&writing, index)).collect();
    // Killed after one rename.
    let staging = writing.folder.0.join(".airlock-r1");
    fs::rename(staging.join("0-1-0.part"), writing.folder.0.join("orders-r1-0-0.csv")).unwrap();
    writing.finish(Outcome::Succeeded, receipts.clone()).unwrap();
    let files = ["_SUCCESS", "orders-r1-0-0.csv", "orders-r1-1-0.csv", "orders-r1-2-0.csv"];
    assert_eq!(writing.folder.files(), files);
    writing.finish(Outcome::Succeeded, receipts.clone()).unwrap();
    assert_eq!(writing.folder.files(), files);
    fs::remove_file(writing.folder.0.join("orders-r1-1-0.csv")).unwrap();
    let fault = writing.finish(Outcome::Succeeded, receipts).unwrap_err();
    assert_eq!(fault.code, "file.part_missing");
}

#[test]
fn nothing_is_seen_of_a_run_that_failed() {
    let writing = Writing::new(json!({}));
    writing.folder.put("orders-r0-0-0.csv", b"old,1\n");
    writing.prepare();
    let receipts = vec![closed(&writing, 0)];
    assert_eq!(writing.folder.files(), ["orders-r0-0-0.csv"]);
    writing.finish(Outcome::Failed, receipts).unwrap();
    assert_eq!(writing.folder.files(), ["orders-r0-0-0.csv"]);
    assert!(!writing.folder.0.join(".airlock-r1").exists());
    writing.finish(Outcome::Failed, Vec::new()).unwrap();
}

#[test]
fn write_modes_decide_about_files_of_other_runs() {
    let old = ["orders-r0-0-0.csv", "orders-r0-7-1.csv"];
    let others =
        ["orders.csv", "orders-r0-0-0.csv.gz", "orders-r0-0.csv", "more-orders-r0-0-0.csv"];
    for (mode, keeps) in [("truncate", false), ("Append", true)] {
        let writing = Writing::new(json!({ "writeMode": mode }));
        for name in old.iter().chain(&others) {
            writing.folder.put(name, b"x\n");
        }
        writing.prepare();
        assert_eq!(writing.folder.files().len(), 6, "prepare removes nothing");
        writing.finish(Outcome::Succeeded, vec![closed(&writing, 0)]).unwrap();
        let files = writing.folder.files();
        assert!(files.contains(&"orders-r1-0-0.csv".to_owned()));
        for name in others {
            assert!(files.contains(&name.to_owned()), "{mode} {name}");
        }
        for name in old {
            assert_eq!(files.contains(&name.to_owned()), keeps, "{mode} {name}");
        }
    }
    let writing = Writing::new(json!({ "writeMode": "nonConflict" }));
    writing.prepare();
    // What a first attempt of this very run left is no conflict.
    writing.prepare();
    writing.folder.put(old[0], b"x\n");
    let mut session = writer(&writing.parameter);
    for fault in [
        session.prepare(&writing.run, vec![writing.dataset.clone()]).err().unwrap(),
        session.preview(vec![writing.dataset.clone()]).err().unwrap(),
    ] {
        assert_eq!(fault.code, "file.conflict");
    }
}

#[test]
fn a_run_without_rows_writes_one_file_unless_told_otherwise() {
    for (parameter, files) in [
        (json!({ "header": true }), vec!["orders-r1-0-0.csv"]),
        (json!({ "fileFormat": "parquet" }), vec!["orders-r1-0-0.parquet"]),
        (json!({ "generateEmptyFile": false }), vec![]),
        (
            json!({ "suffix": ".dat", "fileFormat": "text", "compress": "gzip" }),
            vec!["orders-r1-0-0.dat"],
        ),
    ] {
        let writing = Writing::new(parameter.clone());
        writing.prepare();
        let receipts: Vec<_> =
            (0..2).map(|index| writing.sink(index, 1).close(vec![1]).unwrap().receipt).collect();
        for _ in 0..2 {
            writing.finish(Outcome::Succeeded, receipts.clone()).unwrap();
            assert_eq!(writing.folder.files(), files, "{parameter}");
        }
        if parameter.get("header").is_some() {
            assert_eq!(writing.folder.read("orders-r1-0-0.csv"), "id,text\n");
        }
    }
}

#[test]
fn long_files_are_cut_and_marks_wait_for_the_cut() {
    let writing = Writing::new(json!({ "fileFormat": "json", "maxFileSize": "1" }));
    writing.prepare();
    let mut sink = writing.sink(0, 1);
    for number in 0..50 {
        sink.write(batch(number * 1000, (number + 1) * 1000)).unwrap();
    }
    let receipt = sink.close(vec![1]).unwrap().receipt;
    writing.finish(Outcome::Succeeded, vec![receipt]).unwrap();
    assert_eq!(writing.folder.files(), ["orders-r1-0-0.jsonl", "orders-r1-0-1.jsonl"]);
    assert_eq!(writing.ids(), (0..50_000).collect::<Vec<_>>());

    let writing = Writing::new(json!({ "fileFormat": "parquet" }));
    writing.prepare();
    let mut sink = writing.sink(0, 1);
    let answer = sink.write(batch(0, 10)).unwrap();
    assert_eq!((answer.taken, answer.durable), (1, None));
    assert_eq!(sink.commit(vec![1], false).unwrap().durable, None, "no file is cut for it");
    assert_eq!(sink.commit(vec![2], true).unwrap().durable, Some(vec![2]));
    sink.write(batch(10, 20)).unwrap();
    assert_eq!(sink.commit(vec![3], false).unwrap().durable, Some(vec![2]));
}

#[test]
fn rows_that_a_text_cannot_hold_are_refused_alone() {
    let writing = Writing::new(json!({ "fileFormat": "text" }));
    writing.prepare();
    let mut sink = writing.sink(0, 1);
    let texts = arrow_array::StringArray::from(vec!["good", "a,b", "c\nd", "\\N", ""]);
    let ids = arrow_array::Int64Array::from_iter_values(0..5);
    let rows = RecordBatch::try_from_iter([
        ("id", std::sync::Arc::new(ids) as arrow_array::ArrayRef),
        ("text", std::sync::Arc::new(texts)),
    ])
    .unwrap();
    sink.write(batch(100, 101)).unwrap();
    let answer = sink.write(Batch::inserts(rows)).unwrap();
    let refused: Vec<_> =
        answer.remarks.iter().map(|remark| (remark.batch, remark.row, remark.column)).collect();
    assert_eq!(refused, [(1, 1, Some(1)), (1, 2, Some(1)), (1, 3, Some(1))]);
    let receipt = sink.close(vec![1]).unwrap().receipt;
    writing.finish(Outcome::Succeeded, vec![receipt]).unwrap();
    assert_eq!(writing.folder.read("orders-r1-0-0.txt"), "100,row 100\n0,good\n4,\n");
}

#[test]
fn changes_of_rows_are_no_rows_of_a_file() {
    let writing = Writing::new(json!({}));
    writing.prepare();
    let mut sink = writing.sink(0, 1);
    let deleted = Batch { operations: Some(vec![0, 3]), ..batch(0, 2) };
    assert_eq!(sink.write(deleted).unwrap_err().code, "file.only_inserts");
}

#[test]
fn checks_look_at_each_place() {
    let folder = Folder::new();
    let path = folder.put("a.csv", b"a\n");
    let parameter = json!({ "path": [path, format!("{}/none", folder.text())] });
    let steps = FilePlugin::check(&configuration(Side::Reader, &parameter)).unwrap();
    let codes: Vec<_> = steps.into_iter().map(|step| step.fault.map(|fault| fault.code)).collect();
    assert_eq!(codes, [None, Some("file.not_found".to_owned())]);
    let parameter = json!({ "path": path, "fileName": "x" });
    let steps = FilePlugin::check(&configuration(Side::Writer, &parameter)).unwrap();
    assert!(steps[0].fault.is_some(), "a file is no folder");
}

#[test]
fn a_data_source_is_browsed_and_discovered() {
    let folder = Folder::new();
    for name in ["a.csv", "b.csv", "c.csv"] {
        folder.put(name, b"1,x\n");
    }
    let configuration = Configuration {
        connection: json!({ "path": format!("{}/*.csv", folder.text()) }).to_string(),
        ..configuration(Side::Reader, &json!({}))
    };
    let entries = FilePlugin::browse(&configuration, &[], None, 2).unwrap();
    let last = entries.last().unwrap().path[0].clone();
    assert!(last.ends_with("/b.csv"));
    let rest = FilePlugin::browse(&configuration, &[], Some(&last), 9).unwrap();
    assert_eq!(rest.len(), 1);
    let found = FilePlugin::discover(&configuration, &[rest[0].path.clone()]).unwrap();
    assert_eq!(found[0].schema.field(0).data_type(), &arrow_schema::DataType::Int64);
    let outside = FilePlugin::discover(&configuration, &[vec!["/etc/passwd".into()]]);
    assert_eq!(outside.unwrap_err().code, "file.not_found");
}
