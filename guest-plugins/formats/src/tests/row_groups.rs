//! Parquet files of several shapes in one job, and rows of very different width.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::data_type::{Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;

fn file(name: &str, columns: Vec<(&str, bool, ArrayRef)>) -> Arc<dyn Input> {
    let field = |(name, nullable, array): &(&str, bool, ArrayRef)| {
        Field::new(*name, array.data_type().clone(), *nullable)
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    let batch = RecordBatch::try_new(schema, arrays).unwrap();
    input(name, written(&json!({ "fileFormat": "parquet" }), &[batch]))
}

fn numbers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn words(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// The rows of all files by the plan of the job, or the fault of the plan.
fn rows(parameter: &Value, files: &[Arc<dyn Input>]) -> Result<Vec<Vec<Option<String>>>> {
    let format = format(parameter, "a.parquet");
    let schema = format.schema(files.len(), &|index| Ok(files[index].clone()))?;
    let (mut rows, mut dirty) = (Vec::new(), Vec::new());
    for file in files {
        for share in format.shares(file, None)? {
            read_share(&format, file, &share?, &schema, None, BUDGET, &mut rows, &mut dirty)?;
        }
    }
    Ok(rows)
}

#[test]
fn columns_of_several_files_are_found_by_name() {
    let files = [
        file("a", vec![("first", false, numbers(&[1])), ("second", false, numbers(&[2]))]),
        file("b", vec![("second", true, numbers(&[4])), ("first", true, numbers(&[3]))]),
    ];
    let expected = [row(&["1", "2"]), row(&["3", "4"])];
    assert_eq!(rows(&json!({}), &files).unwrap(), expected);
    let listed = json!({ "column": ["second", { "name": "first", "type": "long" }] });
    assert_eq!(rows(&listed, &files).unwrap(), [row(&["2", "1"]), row(&["4", "3"])]);
}

#[test]
fn other_columns_are_told_by_the_plan() {
    let first = || file("a", vec![("id", false, numbers(&[1])), ("name", true, words(&["x"]))]);
    let narrow = Arc::new(Int32Array::from(vec![1])) as ArrayRef;
    let others = [
        (file("b", vec![("id", false, numbers(&[1]))]), "has no column \"name\""),
        (
            file("b", vec![("id", false, narrow), ("name", true, words(&["x"]))]),
            "column \"id\" is Int32, and Int64 in the others",
        ),
        (
            file(
                "b",
                vec![
                    ("id", false, numbers(&[1])),
                    ("name", true, words(&["x"])),
                    ("more", true, words(&["x"])),
                ],
            ),
            "it has a column \"more\" more",
        ),
    ];
    for (other, expected) in others {
        let fault = rows(&json!({}), &[first(), other]).unwrap_err();
        assert_eq!(fault.code, "format.columns_differ");
        assert!(fault.message.contains(expected), "{}", fault.message);
    }
}

/// A file as old programs write it: days since 4713 BC and nanoseconds.
fn int96(values: &[(u32, u64)]) -> Arc<dyn Input> {
    let schema = Arc::new(parse_message_type("message x { required int96 at; }").unwrap());
    let mut bytes = Vec::new();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let value = |(day, nanos): &(u32, u64)| {
        let mut value = Int96::new();
        value.set_data(*nanos as u32, (*nanos >> 32) as u32, *day);
        value
    };
    let values: Vec<_> = values.iter().map(value).collect();
    column.typed::<Int96Type>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    input("old.parquet", bytes)
}

#[test]
fn old_timestamps_reach_every_year_and_lose_nothing() {
    const EPOCH: u32 = 2_440_588;
    // The years 1 and 9999 do not fit 64 bits of nanoseconds.
    let file = int96(&[(EPOCH, 0), (EPOCH - 719_162, 1_000), (EPOCH + 2_932_896, 0)]);
    let expected = ["1970-01-01 00:00:00", "0001-01-01 00:00:00.000001", "9999-12-31 00:00:00"];
    let content = read(&json!({}), &file).unwrap();
    assert_eq!(content.rows.concat(), expected.map(|text| Some(text.to_owned())));
    let fault = read(&json!({}), &int96(&[(EPOCH, 0), (EPOCH, 1)])).err().unwrap();
    assert_eq!(fault.code, "format.precision");
    assert!(fault.message.contains("row 1 of row group 0"), "{}", fault.message);
}

/// Rows of each batch.
fn batches(file: &Arc<dyn Input>, budget: Budget) -> Vec<usize> {
    let format = format(&json!({}), "a.parquet");
    let schema = schema(&format, file).unwrap();
    let mut rows = Vec::new();
    for share in format.shares(file, None).unwrap() {
        let mut reader = format.open(file, &share.unwrap(), &schema, None).unwrap();
        while let Some(chunk) = reader.next(budget).unwrap() {
            rows.push(chunk.batch.unwrap().num_rows());
        }
    }
    rows
}

#[test]
fn batches_follow_the_width_of_decoded_rows() {
    // Encoded, a text in every row takes no more room than a text in one.
    let wide = "x".repeat(100_000);
    let same = file("a", vec![("text", false, words(&vec![wide.as_str(); 2_000]))]);
    let rows = batches(&same, BUDGET);
    assert_eq!(rows.iter().sum::<usize>(), 2_000);
    assert!(rows.iter().all(|rows| *rows <= 8), "{rows:?}");

    let narrow = file("a", vec![("id", false, numbers(&(0..100_000).collect::<Vec<_>>()))]);
    let large = Budget { rows: 1 << 20, bytes: 64 << 20, wait_ms: 0 };
    let rows = batches(&narrow, large);
    assert_eq!(rows.iter().sum::<usize>(), 100_000);
    assert!(rows.len() < 6, "{rows:?}");
}

#[test]
fn short_lists_of_a_long_column_are_not_taken_for_the_column() {
    let mut lists = ListBuilder::new(Int64Builder::new());
    for row in 0..20_000 {
        lists.values().append_slice(&[row, row + 1]);
        lists.append(true);
    }
    let lists = Arc::new(lists.finish()) as ArrayRef;
    assert!(matches!(lists.data_type(), DataType::List(_)));
    let rows = batches(&file("a", vec![("pair", true, lists)]), BUDGET);
    assert_eq!(rows.iter().sum::<usize>(), 20_000);
    assert!(rows.len() < 20, "{rows:?}");
}

#[test]
fn a_reader_of_row_groups_goes_on_from_each_position() {
    let texts: Vec<_> = (0..3_000).map(|row| "y".repeat(row % 700)).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let ids: Vec<_> = (0..3_000).collect();
    let file = file("a", vec![("id", false, numbers(&ids)), ("text", true, words(&texts))]);
    let format = format(&json!({}), "a.parquet");
    let schema = schema(&format, &file).unwrap();
    let share = format.shares(&file, None).unwrap().next().unwrap().unwrap();
    let (mut all, mut dirty) = (Vec::new(), Vec::new());
    let read = |position: Option<&[u8]>, rows: &mut Vec<_>, dirty: &mut Vec<_>| {
        read_share(&format, &file, &share, &schema, position, BUDGET, rows, dirty).unwrap()
    };
    let positions = read(None, &mut all, &mut dirty);
    assert_eq!(all.len(), 3_000);
    for (before, _, position) in positions {
        let mut rest = Vec::new();
        read(Some(&position), &mut rest, &mut dirty);
        assert_eq!(rest, all[before..], "from {before}");
    }
}

#[test]
fn row_groups_and_pages_are_as_long_as_the_job_says() {
    let batch = round_trip::plain_batch();
    let batches: Vec<_> = (0..10).map(|_| batch.clone()).collect();
    let rows = batch.num_rows() as i64 * 10;
    let groups = |parameter: Value| {
        let mut parameter = parameter;
        parameter["fileFormat"] = json!("parquet");
        let bytes = bytes::Bytes::from(written(&parameter, &batches));
        let builder =
            parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let metadata = builder.metadata().clone();
        let dictionary = metadata.row_group(0).column(0).dictionary_page_offset().is_some();
        (metadata.row_groups().iter().map(|group| group.num_rows()).collect::<Vec<_>>(), dictionary)
    };
    assert_eq!(groups(json!({})), (vec![rows], true));
    let (found, dictionary) = groups(json!({ "rowGroupRows": 300, "dictionary": false }));
    assert_eq!(found.iter().sum::<i64>(), rows);
    assert!(found[..found.len() - 1].iter().all(|rows| *rows == 300), "{found:?}");
    assert!(!dictionary);
    let wrong: WriteParameters =
        serde_json::from_value(json!({ "fileFormat": "parquet", "pageSize": 0 })).unwrap();
    assert_eq!(wrong.format(&[]).unwrap_err().place.as_deref(), Some("/parameter/pageSize"));
}
