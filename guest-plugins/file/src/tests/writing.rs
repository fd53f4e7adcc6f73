use arrow_array::cast::AsArray;
use sdk::{Batch, Outcome, Run, Sink, Task};

use super::*;

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
        let task = Task { run: self.run.id.clone(), index, epoch, verify: false };
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
    Run { id: id.into(), epoch: 1, bounded: true, verify: false }
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
    for name in ["orders-r1-0-0.csv", ".orders", "my-orders.csv"] {
        writing.folder.put(name, b"x\n");
    }
    writing.prepare();
    for name in [old[0], "orders.txt", "orders2-r1-0-0.csv"] {
        let path = writing.folder.put(name, b"x\n");
        let mut session = writer(&writing.parameter);
        for fault in [
            session.prepare(&writing.run, vec![writing.dataset.clone()]).err().unwrap(),
            session.preview(vec![writing.dataset.clone()]).err().unwrap(),
        ] {
            assert_eq!(fault.code, "file.conflict", "{name}");
        }
        fs::remove_file(path).unwrap();
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
fn an_attempt_that_was_taken_over_is_fenced() {
    let writing = Writing::new(json!({}));
    writing.prepare();
    drop(writing.sink(0, 3));
    let task = Task { run: writing.run.id.clone(), index: 0, epoch: 2, verify: false };
    let opened = writer(&writing.parameter).open(task, vec![writing.dataset.clone()]);
    assert_eq!(opened.err().unwrap().code, "file.fenced");
    drop(writing.sink(0, 3));
}

#[test]
fn an_old_mark_is_gone_before_files_change() {
    let writing = Writing::new(json!({ "markDoneFileName": "_SUCCESS" }));
    writing.folder.put("_SUCCESS", b"");
    writing.prepare();
    let receipt = closed(&writing, 0);
    assert_eq!(writing.folder.files(), ["_SUCCESS"]);
    fs::remove_file(writing.folder.0.join(".airlock-r1/0-1-0.part")).unwrap();
    writing.finish(Outcome::Succeeded, vec![receipt]).unwrap_err();
    assert!(writing.folder.files().is_empty());
}
