//! What a cast costs: a batch from one type to another. `cargo bench --package engine`.

#![allow(clippy::unwrap_used, reason = "a program for measuring")]

use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use divan::Bencher;
use divan::counter::ItemsCount;
use domain::{Batch, Dataset};
use engine::Settings;
use engine::mapping::Mapping;

const ROWS: i64 = 8192;

fn main() {
    divan::main();
}

fn dataset(kind: &DataType) -> Dataset {
    let schema = Arc::new(Schema::new(vec![Field::new("a", kind.clone(), true)]));
    Dataset { path: vec!["a".into()], schema, primary_key: Vec::new(), metadata: Vec::new() }
}

fn cast(bencher: Bencher<'_, '_>, column: ArrayRef, to: &DataType) {
    let (from, to) = (dataset(column.data_type()), dataset(to));
    let mapping = Mapping::new(std::slice::from_ref(&from), &[to], &Settings::default()).unwrap();
    let batch = Batch::new(0, RecordBatch::try_new(from.schema, vec![column]).unwrap());
    assert_eq!(mapping.cast(batch.clone()).unwrap().1, 0);
    bencher
        .counter(ItemsCount::new(ROWS as usize))
        .with_inputs(|| batch.clone())
        .bench_values(|batch| mapping.cast(batch).unwrap());
}

fn texts(text: impl Fn(i64) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..ROWS).map(text)))
}

#[divan::bench]
fn same(bencher: Bencher<'_, '_>) {
    cast(bencher, Arc::new(Int64Array::from_iter_values(0..ROWS)), &DataType::Int64);
}

#[divan::bench]
fn long_to_decimal(bencher: Bencher<'_, '_>) {
    let longs = Arc::new(Int64Array::from_iter_values(0..ROWS));
    cast(bencher, longs, &DataType::Decimal128(15, 2));
}

#[divan::bench]
fn decimal_to_text(bencher: Bencher<'_, '_>) {
    let decimals = Decimal128Array::from_iter_values((0..ROWS).map(i128::from));
    let decimals = decimals.with_precision_and_scale(15, 2).unwrap();
    cast(bencher, Arc::new(decimals), &DataType::Utf8);
}

#[divan::bench]
fn text_to_long(bencher: Bencher<'_, '_>) {
    cast(bencher, texts(|row| (row * 7919).to_string()), &DataType::Int64);
}

#[divan::bench]
fn text_to_timestamp(bencher: Bencher<'_, '_>) {
    let text = |row| format!("2026-01-02 03:{:02}:{:02}.5", row / 60 % 60, row % 60);
    cast(bencher, texts(text), &DataType::Timestamp(TimeUnit::Microsecond, None));
}
