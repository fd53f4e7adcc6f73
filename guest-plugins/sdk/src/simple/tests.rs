//! A simple reader and writer, driven as the host would.

use std::sync::Arc;

use arrow_schema::{DataType, Field};

use super::*;
use crate::rows::{Value, from_batch, to_batch};
use crate::{FaultDomain, Side};

/// Two shares of ten rows each.
struct Letters;

impl SimpleReader for Letters {
    fn connect(_: &Configuration) -> Result<Self> {
        Ok(Self)
    }

    fn dataset(&mut self) -> Result<Dataset> {
        let fields =
            [Field::new("n", DataType::Int64, false), Field::new("text", DataType::Utf8, true)];
        Ok(Dataset::new(["letters"], fields))
    }

    fn shares(&mut self) -> Result<Vec<String>> {
        Ok(vec!["a".into(), "b".into()])
    }

    fn read(&mut self, share: &str, from: u64) -> Result<RowStream> {
        let (schema, share) = (self.dataset()?.schema, share.to_owned());
        // Batches of three, whose borders move with the start.
        let starts = (from..10).step_by(3);
        Ok(Box::new(starts.map(move |start| {
            let made = (start..(start + 3).min(10))
                .map(|n| vec![Value::Int(n as i64), (n % 2 == 0).then(|| share.clone()).into()]);
            to_batch(&schema, &made.collect::<Vec<_>>())
        })))
    }
}

#[derive(Default)]
struct Collector {
    written: Vec<Vec<Value>>,
    flushed: usize,
}

impl SimpleWriter for Collector {
    fn connect(_: &Configuration) -> Result<Self> {
        Ok(Self::default())
    }

    fn write(&mut self, dataset: &Dataset, rows: &RecordBatch) -> Result<()> {
        assert_eq!(dataset.path, ["letters"]);
        self.written.extend(from_batch(rows)?);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.flushed = self.written.len();
        Ok(())
    }
}

fn configuration() -> Configuration {
    Configuration {
        source_type: "letters".into(),
        side: Side::Reader,
        connection: "{}".into(),
        parameter: "{}".into(),
    }
}

/// The rows of a share from a position on, with the position behind each step.
fn read(share: usize, start: Option<Position>, rows: u32) -> Vec<(Position, Vec<Vec<Value>>)> {
    let mut reader = Simple::<Letters>::connect(&configuration()).unwrap();
    let plan = reader.plan(4, &[]).unwrap();
    let splits = reader.splits(&plan.start, 10).unwrap();
    assert!(splits.last);
    let split = splits.splits[share].clone();
    let mut cursor = reader.open(split, start, plan.datasets).unwrap();
    let mut steps = Vec::new();
    while let Step::Rows(step) = cursor.next(Budget { rows, bytes: 1 << 20, wait_ms: 0 }).unwrap() {
        assert!(step.batches[0].rows.num_rows() <= rows as usize);
        steps.push((step.position.unwrap(), from_batch(&step.batches[0].rows).unwrap()));
    }
    steps
}

#[test]
fn every_position_goes_on_with_the_next_row() {
    let whole: Vec<_> = read(1, None, 100).into_iter().flat_map(|(_, rows)| rows).collect();
    assert_eq!(whole.len(), 10);
    assert_eq!(whole[0], vec![Value::Int(0), Value::Text("b".into())]);
    assert_eq!(whole[1], vec![Value::Int(1), Value::Null]);
    let mut seen = 0;
    for (position, rows) in read(1, None, 2) {
        seen += rows.len();
        let rest: Vec<_> = read(1, Some(position), 2).into_iter().flat_map(|(_, it)| it).collect();
        assert_eq!(rest, whole[seen..]);
    }
    assert_eq!(seen, 10);
}

#[test]
fn shares_are_handed_out_as_they_are_asked_for() {
    let mut reader = Simple::<Letters>::connect(&configuration()).unwrap();
    let plan = reader.plan(1, &[]).unwrap();
    let first = reader.splits(&plan.start, 1).unwrap();
    assert_eq!((first.splits[0].label.as_str(), first.last), ("a", false));
    let second = reader.splits(&first.next, 1).unwrap();
    assert_eq!((second.splits[0].label.as_str(), second.last), ("b", true));
    assert_eq!(reader.splits(b"foreign", 1).err().unwrap().domain, FaultDomain::Plugin);
}

#[test]
fn a_mark_is_durable_when_the_writer_has_flushed() {
    let mut writer = Simple::<Collector>::connect(&configuration()).unwrap();
    let dataset = Letters.dataset().unwrap();
    let run = Run { id: "r1".into(), epoch: 1, bounded: true, verify: false };
    let prepared = writer.prepare(&run, vec![dataset.clone()]).unwrap();
    let task = Task { run: "r1".into(), index: 0, epoch: 1, verify: false };
    let mut sink = writer.open(task, prepared.datasets).unwrap();
    let rows = to_batch(&dataset.schema, &[vec![Value::Int(1), Value::Null]]).unwrap();
    let answer = sink.write(Batch::inserts(rows)).unwrap();
    assert_eq!((answer.taken, answer.durable), (1, None));
    assert_eq!(writer.0.borrow().flushed, 0);
    assert_eq!(sink.close(b"mark".to_vec()).unwrap().answer.durable, Some(b"mark".to_vec()));
    assert_eq!(writer.0.borrow().flushed, 1);
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let schema = Letters.dataset().unwrap().schema;
    for row in [vec![Value::Int(1)], vec![Value::Bool(true), Value::Null]] {
        assert_eq!(to_batch(&schema, &[row]).unwrap_err().code, "sdk.rows");
    }
    let null_in_key = vec![Value::Null, Value::Null];
    assert_eq!(to_batch(&schema, &[null_in_key]).unwrap_err().code, "sdk.rows");
    let dates = Arc::new(arrow_array::Date32Array::from(vec![1])) as arrow_array::ArrayRef;
    let batch = RecordBatch::try_from_iter([("day", dates)]).unwrap();
    assert_eq!(from_batch(&batch).unwrap_err().code, "sdk.rows");
}
