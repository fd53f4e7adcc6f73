//! ORC: types, those that it lacks too, shares, positions, and files that are broken.

use arrow_array::types::Float16Type;
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, Date64Array, Decimal256Array, DurationSecondArray,
    FixedSizeListArray, Float16Array, Int64Array, ListArray, StringArray, Time64NanosecondArray,
    TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array,
};
use arrow_buffer::{OffsetBuffer, i256};
use arrow_schema::{DataType, Field, Schema};

use super::round_trip::{declared_batch, plain_batch, read_back, rich_batch};
use super::*;

#[test]
fn types_and_values_come_back_or_the_type_is_refused() {
    for codec in ["none", "snappy", "zlib", "zstd", "lz4"] {
        let mut refused = Vec::new();
        for batch in [declared_batch().0, rich_batch()] {
            for at in 0..batch.num_columns() {
                let one = writable(&batch.project(&[at]).unwrap());
                let name = one.schema().field(0).name().clone();
                let style = json!({ "fileFormat": "orc", "compress": codec });
                let parameters: WriteParameters = serde_json::from_value(style.clone()).unwrap();
                let format = parameters.format(std::slice::from_ref(&name)).unwrap();
                if let Err(fault) = format.encoder(Box::new(Vec::new()), &one.schema()) {
                    assert_eq!(fault.code, "format.type", "{}", fault.message);
                    refused.push(name);
                    continue;
                }
                let found =
                    read_back(&json!({}), "a.orc", written(&style, std::slice::from_ref(&one)));
                let (own, other) = (one.schema(), found.schema());
                let (own, other) = (own.field(0), other.field(0));
                assert!(own.data_type().equals_datatype(other.data_type()), "{own} and {other}");
                assert_eq!(own.metadata(), other.metadata(), "{codec} {name}");
                assert_eq!(texts(&found), texts(&one), "{codec} {name}");
            }
        }
        assert_eq!(refused, [""; 0], "{codec}");
    }
}

fn half(value: f32) -> <Float16Type as ArrowPrimitiveType>::Native {
    <Float16Type as ArrowPrimitiveType>::Native::from_f32(value)
}

#[test]
fn types_that_orc_lacks_come_back() {
    let item = Arc::new(Field::new("item", DataType::UInt32, true));
    let numbers: ArrayRef =
        Arc::new(UInt32Array::from(vec![Some(u32::MAX), None, Some(7), Some(0)]));
    let pairs = FixedSizeListArray::try_new(item.clone(), 2, numbers.clone(), None).unwrap();
    let lists = ListArray::new(item, OffsetBuffer::from_lengths([3, 1]), numbers, None);
    let wide = [Some(i256::MAX / i256::from(10)), None].into_iter().collect::<Decimal256Array>();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt8Array::from(vec![Some(255), None])),
        Arc::new(UInt16Array::from(vec![Some(65_535), None])),
        Arc::new(Float16Array::from_iter([Some(half(1.5)), None])),
        Arc::new(Time64NanosecondArray::from(vec![Some(86_399_999_999_999), None])),
        Arc::new(DurationSecondArray::from(vec![Some(-5), None])),
        Arc::new(Date64Array::from(vec![Some(86_400_000), None])),
        Arc::new(wide.with_precision_and_scale(76, 10).unwrap()),
        Arc::new(pairs),
        Arc::new(lists),
    ];
    let fields = columns.iter().enumerate();
    let fields = fields.map(|(at, it)| Field::new(format!("c{at}"), it.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema, columns).unwrap();
    let bytes = written(&json!({ "fileFormat": "orc" }), std::slice::from_ref(&batch));
    let found = read_back(&json!({}), "a.orc", bytes);
    for (at, column) in batch.columns().iter().enumerate() {
        assert_eq!(&found.column(at).to_data(), &column.to_data(), "{}", column.data_type());
    }
}

/// Without the rows of the last second before 1970.
fn writable(batch: &RecordBatch) -> RecordBatch {
    let lost = ::orc::unwritable_rows(batch.column(0).as_ref());
    let kept = (0..batch.num_rows()).map(|row| !lost.contains(&row)).collect::<Vec<_>>();
    arrow_select::filter::filter_record_batch(batch, &kept.into()).unwrap()
}

fn numbered(rows: i64) -> RecordBatch {
    let fields =
        vec![Field::new("id", DataType::Int64, true), Field::new("text", DataType::Utf8, true)];
    let text = |row: i64| (row % 7 > 0).then(|| "x".repeat((row * row % 300) as usize));
    let columns: [ArrayRef; 2] = [
        Arc::new(Int64Array::from_iter_values(0..rows)),
        Arc::new((0..rows).map(text).collect::<StringArray>()),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.to_vec()).unwrap()
}

#[test]
fn shares_of_any_size_give_each_row_once() {
    let batch = numbered(5_000);
    let style = json!({ "fileFormat": "orc", "compress": "none", "rowGroupRows": 300 });
    let file = input("a.orc", written(&style, std::slice::from_ref(&batch)));
    let wanted = texts(&batch);
    let mut before = usize::MAX;
    for split_bytes in [1, 60_000, 200_000, 100_000_000] {
        let parameter = json!({ "splitBytes": split_bytes });
        let shares = super::format(&parameter, file.label()).shares(&file, None).unwrap().count();
        assert!(shares <= before, "{split_bytes}: {shares}");
        before = shares;
        assert_eq!(read(&parameter, &file).unwrap().rows, wanted, "{split_bytes}");
    }
    assert_eq!(before, 1);
}

#[test]
fn a_reader_goes_on_from_each_position() {
    let batch = numbered(4_000);
    let style = json!({ "fileFormat": "orc", "rowGroupRows": 1_500 });
    let file = input("a.orc", written(&style, std::slice::from_ref(&batch)));
    let format = format(&json!({}), "a.orc");
    let schema = schema(&format, &file).unwrap();
    let share = format.shares(&file, None).unwrap().next().unwrap().unwrap();
    let (mut all, mut dirty) = (Vec::new(), Vec::new());
    let small = Budget { rows: 1_000, bytes: 40_000, wait_ms: 0 };
    let read = |position: Option<&[u8]>, budget, rows: &mut Vec<_>, dirty: &mut Vec<_>| {
        read_share(&format, &file, &share, &schema, position, budget, rows, dirty).unwrap()
    };
    let positions = read(None, small, &mut all, &mut dirty);
    assert_eq!(all, texts(&batch));
    assert!(positions.len() > 10, "{}", positions.len());
    for (before, _, position) in positions {
        let mut rest = Vec::new();
        read(Some(&position), BUDGET, &mut rest, &mut dirty);
        assert_eq!(rest, all[before..], "from {before}");
    }
}

#[test]
fn columns_are_chosen_by_index_name_or_value() {
    let bytes = written(&json!({ "fileFormat": "orc" }), &[plain_batch()]);
    let parameter = json!({ "column": ["text", { "value": "v" }, { "index": 0, "type": "long", "name": "n" }] });
    let content = read(&parameter, &input("a.orc", bytes.clone())).unwrap();
    assert_eq!(content.rows[1], row(&["row 1", "v", "1"]));
    let constant = json!({ "column": [{ "value": "v" }] });
    let content = read(&constant, &input("a.orc", bytes.clone())).unwrap();
    assert_eq!(content.rows.len(), plain_batch().num_rows());
    let fault = read(&json!({ "column": ["other"] }), &input("a.orc", bytes)).err().unwrap();
    assert_eq!(fault.code, "format.column_missing");
}

#[test]
fn broken_files_are_faults_of_data_that_name_a_place() {
    let good = written(&json!({ "fileFormat": "orc", "compress": "zstd" }), &[numbered(5_000)]);
    let cut = input("a.orc", &good[..good.len() * 2 / 3]);
    let fault = read(&json!({}), &cut).err().unwrap();
    assert_eq!(fault.code, "format.corrupt", "{}", fault.message);
    assert!(fault.message.contains("a.orc"), "{}", fault.message);
    let mut broken = good.clone();
    let middle = good.len() / 2;
    broken[middle..middle + 64].fill(0xa5);
    let fault = read(&json!({}), &input("a.orc", broken)).err().unwrap();
    assert_eq!(fault.code, "format.corrupt", "{}", fault.message);
    assert!(fault.message.contains("stripe 0: column"), "{}", fault.message);
    let text = input("a.orc", "id,name\n1,a\n".repeat(100));
    let fault = read(&json!({}), &text).err().unwrap();
    assert_eq!(fault.code, "format.corrupt", "{}", fault.message);
}

#[test]
fn times_that_would_come_back_as_others_are_refused_alone() {
    let times =
        TimestampMicrosecondArray::from(vec![Some(-1), Some(-5_000_000), None, Some(-999_000)]);
    let fields = vec![Field::new("at", times.data_type().clone(), true)];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(times)]).unwrap();
    let parameters: WriteParameters =
        serde_json::from_value(json!({ "fileFormat": "orc" })).unwrap();
    let format = parameters.format(&["at".to_owned()]).unwrap();
    let output = Shared::default();
    let mut encoder = format.encoder(Box::new(output.clone()), &batch.schema()).unwrap();
    let refused: Vec<_> = encoder.write(&batch).unwrap().iter().map(|it| it.row).collect();
    assert_eq!(refused, [0, 3]);
    encoder.finish().unwrap();
    let bytes = output.0.lock().unwrap().clone();
    let found = read(&json!({}), &input("a.orc", bytes)).unwrap();
    assert_eq!(found.rows, [row(&["1969-12-31 23:59:55"]), row(&["NULL"])]);
}
