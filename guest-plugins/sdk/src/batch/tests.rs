//! Every type of the contract, whole and sliced, goes out and comes back the same.

use arrow_array::builder::*;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano, OffsetBuffer, i256};
use arrow_schema::{Fields, IntervalUnit, Schema, TimeUnit};

use super::*;
use crate::Dataset;

/// Rows of each column: more than a byte of bits, no multiple of 8.
const ROWS: usize = 21;

fn is_null(row: usize) -> bool {
    row % 5 == 2
}

fn primitive<T: ArrowPrimitiveType>(value: impl Fn(usize) -> T::Native) -> PrimitiveArray<T> {
    (0..ROWS).map(|row| (!is_null(row)).then(|| value(row))).collect()
}

fn texts() -> StringArray {
    (0..ROWS).map(|row| (!is_null(row)).then(|| "é".repeat(row % 4))).collect()
}

fn numbers() -> Vec<ArrayRef> {
    vec![
        Arc::new(primitive::<Int8Type>(|row| -(row as i8))),
        Arc::new(primitive::<Int16Type>(|row| row as i16)),
        Arc::new(primitive::<Int32Type>(|row| row as i32)),
        Arc::new(primitive::<Int64Type>(|row| i64::MAX - row as i64)),
        Arc::new(primitive::<UInt8Type>(|row| row as u8)),
        Arc::new(primitive::<UInt16Type>(|row| row as u16)),
        Arc::new(primitive::<UInt32Type>(|row| row as u32)),
        Arc::new(primitive::<UInt64Type>(|row| u64::MAX - row as u64)),
        Arc::new(primitive::<Float32Type>(|row| row as f32 / 3.0)),
        Arc::new(primitive::<Float64Type>(|row| row as f64 / 3.0)),
        Arc::new(decimal(primitive::<Decimal128Type>(|row| row as i128 - 9), 15, 2)),
        Arc::new(decimal(primitive::<Decimal256Type>(|row| i256::from_i128(row as i128)), 76, 3)),
    ]
}

fn decimal<T: DecimalType>(array: PrimitiveArray<T>, precision: u8, scale: i8) -> ArrayRef {
    Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
}

fn times() -> Vec<ArrayRef> {
    let day_time = |row| IntervalDayTime::new(row as i32, -1);
    let month_day_nano = |row| IntervalMonthDayNano::new(row as i32, 2, 3);
    vec![
        Arc::new(primitive::<Date32Type>(|row| row as i32)),
        Arc::new(primitive::<Date64Type>(|row| row as i64 * 86_400_000)),
        Arc::new(primitive::<Time32SecondType>(|row| row as i32)),
        Arc::new(primitive::<Time32MillisecondType>(|row| row as i32)),
        Arc::new(primitive::<Time64MicrosecondType>(|row| row as i64)),
        Arc::new(primitive::<Time64NanosecondType>(|row| row as i64)),
        Arc::new(primitive::<TimestampSecondType>(|row| row as i64)),
        Arc::new(primitive::<TimestampMillisecondType>(|row| row as i64)),
        Arc::new(primitive::<TimestampMicrosecondType>(|row| row as i64).with_timezone("UTC")),
        Arc::new(primitive::<TimestampNanosecondType>(|row| row as i64)),
        Arc::new(primitive::<DurationMicrosecondType>(|row| row as i64)),
        Arc::new(primitive::<IntervalYearMonthType>(|row| row as i32)),
        Arc::new(primitive::<IntervalDayTimeType>(day_time)),
        Arc::new(primitive::<IntervalMonthDayNanoType>(month_day_nano)),
    ]
}

fn bytes() -> Vec<ArrayRef> {
    let mut fixed = FixedSizeBinaryBuilder::new(3);
    for row in 0..ROWS {
        match is_null(row) {
            true => fixed.append_null(),
            false => fixed.append_value([row as u8; 3]).unwrap(),
        }
    }
    let binary: BinaryArray =
        (0..ROWS).map(|row| (!is_null(row)).then(|| vec![0xff; row % 3])).collect();
    let flags: BooleanArray =
        (0..ROWS).map(|row| (!is_null(row)).then_some(row % 2 == 0)).collect();
    vec![
        Arc::new(NullArray::new(ROWS)),
        Arc::new(flags),
        Arc::new(texts()),
        Arc::new(binary),
        Arc::new(fixed.finish()),
    ]
}

fn nested() -> Vec<ArrayRef> {
    let mut lists = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    for row in 0..ROWS {
        for inner in 0..row % 3 {
            lists.values().values().append_value("x".repeat(row));
            lists.values().values().append_null();
            lists.values().append(inner != 1);
        }
        lists.append(!is_null(row));
    }
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in 0..ROWS {
        for entry in 0..row % 4 {
            maps.keys().append_value(format!("key {entry}"));
            maps.values().append_option((entry != 1).then_some(row as i64));
        }
        maps.append(!is_null(row)).unwrap();
    }
    let flags = BooleanArray::from((0..ROWS * 3).map(|bit| bit % 7 == 0).collect::<Vec<_>>());
    let item = Arc::new(Field::new("item", DataType::Boolean, true));
    let nulls = NullBuffer::from((0..ROWS).map(|row| !is_null(row)).collect::<Vec<_>>());
    let fixed = FixedSizeListArray::new(item, 3, Arc::new(flags), Some(nulls.clone()));
    let fields = Fields::from(vec![
        Field::new("text", DataType::Utf8, true),
        Field::new("fixed", fixed.data_type().clone(), true),
    ]);
    let columns: Vec<ArrayRef> = vec![Arc::new(texts()), Arc::new(fixed.clone())];
    let structure = StructArray::new(fields, columns, Some(nulls));
    let item = Arc::new(Field::new("item", structure.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths((0..ROWS).map(|row| row % 2));
    let taken = structure.slice(3, ROWS / 2);
    let list = ListArray::new(item, offsets, Arc::new(taken), None);
    vec![
        Arc::new(lists.finish()),
        Arc::new(maps.finish()),
        Arc::new(fixed),
        Arc::new(structure),
        Arc::new(list),
    ]
}

fn every_type() -> Vec<ArrayRef> {
    [numbers(), times(), bytes(), nested()].concat()
}

fn batch_of(columns: Vec<ArrayRef>) -> RecordBatch {
    let fields = columns
        .iter()
        .enumerate()
        .map(|(index, column)| Field::new(format!("f{index}"), column.data_type().clone(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
}

fn there_and_back(rows: RecordBatch) -> RecordBatch {
    let schema = rows.schema();
    let wire = Batch::inserts(rows).into_wire().unwrap();
    Batch::from_wire(wire, &schema).unwrap().rows
}

#[test]
fn every_type_comes_back_the_same_whole_and_sliced() {
    for column in every_type() {
        let rows = batch_of(vec![column]);
        for (offset, length) in [(0, ROWS), (0, 8), (3, 9), (8, 13), (20, 1), (5, 0), (ROWS, 0)] {
            let part = rows.slice(offset, length);
            let kind = rows.column(0).data_type();
            assert_eq!(there_and_back(part.clone()), part, "{kind} from {offset}, {length} rows");
        }
    }
}

#[test]
fn all_types_travel_side_by_side() {
    let rows = batch_of(every_type());
    assert_eq!(there_and_back(rows.slice(2, 17)), rows.slice(2, 17));
}

#[test]
fn a_batch_without_columns_keeps_its_rows() {
    let options = RecordBatchOptions::new().with_row_count(Some(7));
    let schema = Arc::new(Schema::empty());
    let rows = RecordBatch::try_new_with_options(schema, Vec::new(), &options).unwrap();
    assert_eq!(there_and_back(rows).num_rows(), 7);
}

#[test]
fn a_slice_sends_its_own_bytes_alone() {
    let long = StringArray::from_iter_values((0..1000).map(|row| format!("{row:0100}")));
    let rows = batch_of(vec![Arc::new(long)]);
    let wire = Batch::inserts(rows.slice(500, 10)).into_wire().unwrap();
    assert_eq!(wire.buffers.iter().map(Vec::len).collect::<Vec<_>>(), [0, 44, 1000]);
    assert_eq!(wire.buffers[1][..4], [0; 4]);
}

#[test]
fn without_rows_every_buffer_may_be_empty() {
    for column in every_type() {
        let rows = batch_of(vec![column.slice(0, 0)]);
        let mut wire = Batch::inserts(rows.clone()).into_wire().unwrap();
        wire.buffers.iter_mut().for_each(Vec::clear);
        assert_eq!(Batch::from_wire(wire, &rows.schema()).unwrap().rows, rows);
    }
}

#[test]
fn broken_buffers_are_a_fault_and_no_panic() {
    let rows =
        batch_of(vec![Arc::new(texts()), Arc::new(primitive::<Int64Type>(|row| row as i64))]);
    let whole = || Batch::inserts(rows.clone()).into_wire().unwrap();
    for index in 0..whole().buffers.len() {
        let mut short = whole();
        short.buffers[index].truncate(1);
        let mut missing = whole();
        missing.buffers.truncate(index);
        for wire in [short, missing] {
            let fault = Batch::from_wire(wire, &rows.schema()).unwrap_err();
            assert_eq!(fault.code, "sdk.batch", "buffer {index}");
        }
    }
}

#[test]
fn a_type_outside_the_contract_is_refused() {
    let columns: [ArrayRef; 4] = [
        Arc::new(StringViewArray::from(vec!["a"])),
        Arc::new(LargeStringArray::from(vec!["a"])),
        Arc::new(DictionaryArray::<Int32Type>::from_iter(["a"])),
        Arc::new(DictionaryArray::<Int32Type>::from_iter(["a"]).slice(0, 0)),
    ];
    for column in columns {
        let fault = Batch::inserts(batch_of(vec![column])).into_wire().unwrap_err();
        assert_eq!(fault.code, "sdk.type");
    }
}

#[test]
fn datasets_come_back_the_same() {
    let uuid = [("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())];
    let mut fields: Vec<Field> = batch_of(every_type())
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(field.name() != "f3"))
        .collect();
    let extended = Field::new("uuid", DataType::FixedSizeBinary(16), false);
    fields.push(extended.with_metadata(uuid));
    fields.push(Field::new("interval", DataType::Interval(IntervalUnit::DayTime), true));
    fields.push(Field::new(
        "at",
        DataType::Timestamp(TimeUnit::Nanosecond, Some("+01:00".into())),
        true,
    ));
    let dataset = Dataset {
        path: vec!["catalog".into(), "a.b".into()],
        schema: Arc::new(Schema::new(fields)),
        primary_key: vec!["f3".into()],
        metadata: vec![("comment".into(), "none".into())],
    };
    let back = Dataset::from_wire(dataset.to_wire().unwrap()).unwrap();
    assert_eq!(back, dataset);
}
