//! What formats cost without a sandbox: rows out of a file, and into one. In `guest-plugins`:
//! `cargo bench --package formats --target x86_64-unknown-linux-gnu`.

#![allow(clippy::unwrap_used, reason = "a program for measuring")]

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use divan::Bencher;
use divan::counter::ItemsCount;
use formats::parameters::{ReadParameters, WriteParameters};
use formats::{Input, Memory, Output};
use sdk::{Budget, Result};
use serde_json::{Value, json};

const ROWS: usize = 20_000;
const BUDGET: Budget = Budget { rows: 8192, bytes: 1 << 20, wait_ms: 0 };
const FORMATS: [&str; 5] = ["csv", "jsonl", "parquet", "avro", "orc"];

fn main() {
    divan::main();
}

/// A file in memory that its encoder and its maker share.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Output for Shared {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

fn columns() -> Value {
    json!([
        {"index": 0, "name": "id", "type": "long"},
        {"index": 1, "name": "price", "type": "decimal(15,2)"},
        {"index": 2, "name": "day", "type": "date"},
        {"index": 3, "name": "word", "type": "string"},
        {"index": 4, "name": "comment", "type": "string"}
    ])
}

/// Rows such as people have: numbers, a decimal, a day, a word of few, a text.
fn rows() -> Vec<RecordBatch> {
    let mut text = String::new();
    for row in 0..ROWS {
        let (price, word) = (row * 7919 % 1_000_000, ["AIR", "RAIL", "SHIP", "TRUCK"][row % 4]);
        let day = row % 28 + 1;
        let _ = writeln!(
            text,
            "{row},{}.{:02},1996-03-{day:02},{word},carefully final deposits {price} sleep",
            price / 100,
            price % 100
        );
    }
    read("csv", text.into_bytes())
}

fn read(format: &str, bytes: Vec<u8>) -> Vec<RecordBatch> {
    let name = format!("rows.{format}");
    let parameter = match format {
        "csv" | "jsonl" => json!({"path": [name], "fileFormat": format, "column": columns()}),
        _ => json!({"path": [name], "fileFormat": format}),
    };
    let parameters: ReadParameters = serde_json::from_value(parameter).unwrap();
    let format = parameters.format(&name).unwrap();
    let input: Arc<dyn Input> = Arc::new(Memory { label: name, bytes });
    let schema = format.schema(1, &|_| Ok(input.clone())).unwrap();
    let mut batches = Vec::new();
    for share in format.shares(&input, None).unwrap() {
        let mut reader = format.open(&input, &share.unwrap(), &schema, None).unwrap();
        while let Some(chunk) = reader.next(BUDGET).unwrap() {
            assert!(chunk.undecodable.is_empty());
            batches.extend(chunk.batch);
        }
    }
    batches
}

fn write(format: &str, batches: &[RecordBatch]) -> Vec<u8> {
    let parameter = json!({"path": "out", "fileName": "rows", "fileFormat": format});
    let parameters: WriteParameters = serde_json::from_value(parameter).unwrap();
    let file = Shared::default();
    let schema = batches[0].schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let format = parameters.format(&names).unwrap();
    let mut encoder = format.encoder(Box::new(file.clone()), &schema).unwrap();
    for batch in batches {
        assert!(encoder.write(batch).unwrap().is_empty());
    }
    encoder.finish().unwrap();
    std::mem::take(&mut *file.0.lock().unwrap())
}

#[divan::bench(args = FORMATS)]
fn reading(bencher: Bencher<'_, '_>, format: &str) {
    let bytes = write(format, &rows());
    let counted = bencher.counter(ItemsCount::new(ROWS));
    counted.with_inputs(|| bytes.clone()).bench_values(|bytes| read(format, bytes));
}

#[divan::bench(args = FORMATS)]
fn writing(bencher: Bencher<'_, '_>, format: &str) {
    let batches = rows();
    let counted = bencher.counter(ItemsCount::new(ROWS));
    counted.bench(|| write(format, &batches));
}
