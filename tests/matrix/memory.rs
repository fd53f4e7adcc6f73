//! Memory does not grow with the table.

use serde_json::json;
use tests::{Document, soak};

use crate::formats::{Format, Place};

/// No pair may need more, whatever the size.
const PEAK_KIB_MAX: u64 = 700 << 10;
/// What the smaller of two small tables may not have filled yet: queues, row groups, buffers.
const FILLING_KIB_MAX: u64 = 64 << 10;

/// What stripes of ORC hold while two are written, which a small table does not fill.
const STRIPES_KIB: u64 = 2 * (64 << 10);

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
    let (few, many, filling) =
        if soak() { (1_000_000, 6_000_000, 0) } else { (50_000, 300_000, FILLING_KIB_MAX) };
    let filling = if to == Format::Orc { filling + STRIPES_KIB } else { filling };
    let (small, large) = (peak(from, to, few), peak(from, to, many));
    let pair = format!("{from:?} to {to:?}");
    assert!(
        large * 10 <= small * 11 + filling * 10,
        "{pair}: {small} KiB with {few} rows, {large} KiB with {many}"
    );
    assert!(large <= PEAK_KIB_MAX, "{pair}: {large} KiB");
}

#[test]
fn each_format_is_read_and_written_in_bounded_memory() {
    use Format::{Csv, Jsonl, Parquet, PostgreSql};
    let sample =
        [(Csv, Parquet), (Parquet, PostgreSql), (PostgreSql, Jsonl), (Jsonl, Csv)].to_vec();
    let every = || Format::ALL.iter().flat_map(|from| Format::ALL.map(|to| (*from, to))).collect();
    for (from, to) in if soak() { every() } else { sample } {
        does_not_grow(from, to);
    }
}
