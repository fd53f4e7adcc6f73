//! Memory does not grow with the table.

use serde_json::json;
use tests::{Document, soak};

use crate::formats::{Format, Place};

/// No pair may need more, whatever the size: the small sample is too small to compare two sizes.
const PEAK_KIB_MAX: u64 = 700 << 10;

/// The most memory of a run from `from` to `to` with `rows` rows.
fn peak(from: Format, to: Format, rows: u64) -> u64 {
    let place = Place::new(from, to, rows);
    let job = Document::new(place.reader(), place.writer()).concurrent(2);
    place.env.write_json("job.json", job.json());
    let output = place.env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
    assert_eq!(output.json()["records_written"], json!(rows));
    output.peak_kib
}

fn does_not_grow(from: Format, to: Format) {
    if !soak() {
        let peak = peak(from, to, 50_000);
        assert!(peak <= PEAK_KIB_MAX, "{peak} KiB");
        return;
    }
    let (small, large) = (peak(from, to, 1_000_000), peak(from, to, 6_000_000));
    assert!(large * 10 <= small * 11, "{small} KiB with one million rows, {large} KiB with six");
    assert!(large <= PEAK_KIB_MAX, "{large} KiB");
}

#[test]
fn from_csv_to_parquet() {
    does_not_grow(Format::Csv, Format::Parquet);
}

#[test]
fn from_parquet_to_postgresql() {
    does_not_grow(Format::Parquet, Format::PostgreSql);
}

#[test]
fn from_postgresql_to_jsonl() {
    does_not_grow(Format::PostgreSql, Format::Jsonl);
}

#[test]
fn from_jsonl_to_csv() {
    does_not_grow(Format::Jsonl, Format::Csv);
}
