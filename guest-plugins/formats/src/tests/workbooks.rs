//! Workbooks of Excel: what is written and read again, and what Excel lacks.

use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(schema), arrays).unwrap()
}

fn excel() -> Value {
    json!({ "fileFormat": "excel" })
}

/// A column of one type, with the text of each value and whether Excel has it.
fn check(array: ArrayRef, word: &str, fits: &[bool]) {
    let one = batch(vec![("c", array)]);
    let wanted = texts(&one);
    let output = Shared::default();
    let parameters: WriteParameters = serde_json::from_value(excel()).unwrap();
    let format = parameters.format(&["c".to_owned()]).unwrap();
    let mut encoder = format.encoder(Box::new(output.clone()), &one.schema()).unwrap();
    let refused = encoder.write(&one).unwrap();
    encoder.finish().unwrap();
    let rows: Vec<_> = refused.iter().map(|refused| refused.row).collect();
    let bad: Vec<_> = (0..fits.len() as u32).filter(|row| !fits[*row as usize]).collect();
    assert_eq!(rows, bad, "{word}: {refused:?}");
    let bytes = output.0.lock().unwrap().clone();
    let column = json!([{ "name": "c", "type": word }]);
    let found = read(&json!({ "column": column }), &input("a.xlsx", bytes)).unwrap();
    assert!(found.undecodable.is_empty(), "{word}: {:?}", found.undecodable);
    let kept = wanted.into_iter().enumerate().filter(|(row, _)| fits[*row]);
    // A row without any value is no row.
    let kept: Vec<_> = kept.map(|(_, row)| row).filter(|row| row[0].is_some()).collect();
    assert_eq!(found.rows, kept, "{word}");
}

#[test]
fn values_come_back_or_are_refused() {
    let yes = |count: usize| vec![true; count];
    let longs = [Some(0), None, Some(-7), Some(1 << 53), Some((1 << 53) + 1), Some(i64::MAX)];
    check(
        Arc::new(Int64Array::from(longs.to_vec())),
        "bigint",
        &[true, true, true, true, false, false],
    );
    let doubles = vec![0.1, -1.5e300, 1e-9, 123_456.789, f64::NAN, f64::INFINITY];
    check(Arc::new(Float64Array::from(doubles)), "double", &[true, true, true, true, false, false]);
    check(Arc::new(Float32Array::from(vec![0.1, 16_777_216.0])), "float", &yes(2));
    check(Arc::new(BooleanArray::from(vec![true, false])), "boolean", &yes(2));
    let amounts = Decimal128Array::from(vec![1700, -5, 12_345_678_901_234_567_890]);
    let amounts = amounts.with_precision_and_scale(30, 2).unwrap();
    check(Arc::new(amounts), "decimal(30,2)", &[true, true, false]);
    let words =
        ["a", "=1+1", " b ", "line\nend\r\n", "say \"hi\", you", "<&>_x0041_", "007", "\u{1}", ""];
    let fits = [true, true, true, true, true, true, true, true, false];
    check(Arc::new(StringArray::from(words.to_vec())), "string", &fits);
    let long = ["x".repeat(32_767), "x".repeat(32_768)];
    check(Arc::new(StringArray::from(long.to_vec())), "string", &[true, false]);
    let days = Date32Array::from(vec![20_784, -25_508, -25_509, 2_932_896, 2_932_897]);
    check(Arc::new(days), "date", &[true, true, false, true, false]);
    const HOUR: i64 = 3_600_000_000;
    let moments =
        vec![20_784 * 24 * HOUR, 20_784 * 24 * HOUR + 7 * HOUR + 1_000, 20_784 * 24 * HOUR + 1];
    check(Arc::new(TimestampMicrosecondArray::from(moments)), "timestamp", &[true, true, false]);
    let times = vec![0, 12 * HOUR + 1_000, 24 * HOUR - 1_000, 12 * HOUR + 1];
    check(Arc::new(Time64MicrosecondArray::from(times)), "time", &[true, true, true, false]);
    let instants = TimestampMicrosecondArray::from(vec![1, 2 * HOUR]).with_timezone("UTC");
    check(Arc::new(instants), "timestamptz", &yes(2));
    check(Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..], b"a"])), "binary", &yes(2));
}

#[test]
fn every_moment_of_a_day_comes_back() {
    let ms: Vec<_> =
        (0..86_400).map(|second| 1_795_000_000_000 + second * 1000 + second % 1000).collect();
    let count = ms.len();
    check(Arc::new(TimestampMillisecondArray::from(ms)), "timestamp", &vec![true; count]);
}

#[test]
fn types_are_inferred_and_gaps_are_null() {
    let rows = 300;
    let hour = |row: i64| Some(1_795_737_600_000 + row * 3_600_000);
    let hours: TimestampMillisecondArray = (0..rows).map(hour).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new((0..rows).map(Some).collect::<Int64Array>())),
        (
            "gap",
            Arc::new((0..rows).map(|row| (row % 3 > 0).then_some("x")).collect::<StringArray>()),
        ),
        ("at", Arc::new(hours)),
        (
            "last",
            Arc::new(
                (0..rows).map(|row| (row % 2 > 0).then_some(row % 4 > 1)).collect::<BooleanArray>(),
            ),
        ),
    ];
    let bytes = written(&excel(), &[batch(columns)]);
    let found = read(&json!({}), &input("a.xlsx", bytes.clone())).unwrap();
    let names: Vec<_> = found.schema.fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["id", "gap", "at", "last"]);
    assert_eq!(types(&found.schema), ["bigint", "string", "timestamp", "boolean"]);
    assert_eq!(found.rows.len(), rows as usize);
    assert_eq!(found.rows[0], row(&["0", "NULL", "2026-11-27 00:00:00", "NULL"]));
    assert_eq!(found.rows[25], row(&["25", "x", "2026-11-28 01:00:00", "false"]));
    let fault = read(&json!({ "sheet": "other" }), &input("a.xlsx", bytes.clone())).err().unwrap();
    assert_eq!(fault.code, "format.no_sheet");
    assert!(fault.hint.unwrap().contains("Sheet1"));
    let cut = input("a.xlsx", &bytes[..bytes.len() / 2]);
    assert_eq!(read(&json!({}), &cut).err().unwrap().code, "format.corrupt");
    let text = input("a.xlsx", "id\n1\n");
    assert_eq!(read(&json!({}), &text).err().unwrap().code, "format.corrupt");
}

#[test]
fn a_workbook_has_room_for_a_million_cells() {
    let one = batch(vec![("c", Arc::new(Int64Array::from(vec![1; 100_000])) as ArrayRef)]);
    let parameters: WriteParameters = serde_json::from_value(excel()).unwrap();
    let format = parameters.format(&["c".to_owned()]).unwrap();
    let mut encoder = format.encoder(Box::new(Vec::new()), &one.schema()).unwrap();
    assert_eq!(encoder.room(), 999_999);
    encoder.write(&one).unwrap();
    assert_eq!(encoder.room(), 899_999);
    let wide: Vec<_> =
        (0..16_385).map(|at| Field::new(at.to_string(), DataType::Int64, true)).collect();
    let wide: SchemaRef = Arc::new(Schema::new(wide));
    let fault = format.encoder(Box::new(Vec::new()), &wide).err().unwrap();
    assert_eq!(fault.code, "format.type");
}
