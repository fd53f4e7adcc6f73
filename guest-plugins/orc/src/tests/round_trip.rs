//! Random batches of every type, nested and with NULLs, through files.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, Int32Array, Int64Array,
    ListArray, MapArray, PrimitiveArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

use super::*;
use crate::{Error, unwritable_rows};

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn nulls(rows: usize, random: &mut Random) -> Option<NullBuffer> {
    let often = [0, 2, 10][random.below(3) as usize];
    (often > 0).then(|| {
        NullBuffer::new(BooleanBuffer::from_iter((0..rows).map(|_| random.below(often) != 0)))
    })
}

fn primitive<T: ArrowPrimitiveType>(
    rows: usize,
    random: &mut Random,
    value: impl Fn(&mut Random) -> T::Native,
) -> PrimitiveArray<T> {
    let values = (0..rows).map(|_| value(random)).collect::<Vec<_>>();
    PrimitiveArray::new(values.into(), nulls(rows, random))
}

fn micros(random: &mut Random) -> i64 {
    // No years before 1 and behind 9999, and none of the last second before 1970.
    let value = (random.next() % 300_000_000_000_000_000) as i64 - 60_000_000_000_000_000;
    if (-1_000_000..0).contains(&value) { 0 } else { value }
}

fn text(random: &mut Random) -> String {
    match random.below(3) {
        0 => format!("text {}", random.below(20)),
        1 => "é".repeat(random.below(30) as usize),
        _ => format!("{:x}", random.next()),
    }
}

pub(super) fn array(data_type: &DataType, rows: usize, random: &mut Random) -> ArrayRef {
    let lengths = |random: &mut Random| {
        OffsetBuffer::<i32>::from_lengths((0..rows).map(|_| random.below(4) as usize))
    };
    match data_type {
        DataType::Boolean => {
            let bits = BooleanBuffer::from_iter((0..rows).map(|_| random.below(2) == 0));
            Arc::new(BooleanArray::new(bits, nulls(rows, random)))
        }
        DataType::Int8 => Arc::new(primitive::<Int8Type>(rows, random, |it| it.next() as i8)),
        DataType::Int16 => Arc::new(primitive::<Int16Type>(rows, random, |it| it.next() as i16)),
        DataType::Int32 => Arc::new(primitive::<Int32Type>(rows, random, |it| it.next() as i32)),
        DataType::Int64 => {
            Arc::new(primitive::<Int64Type>(rows, random, |it| (it.next() >> it.below(64)) as i64))
        }
        DataType::Date32 => {
            Arc::new(primitive::<Date32Type>(rows, random, |it| it.below(40_000) as i32 - 20_000))
        }
        DataType::Float32 => {
            Arc::new(primitive::<Float32Type>(rows, random, |it| it.next() as f32 / 3.0))
        }
        DataType::Float64 => {
            Arc::new(primitive::<Float64Type>(rows, random, |it| it.next() as f64 / 7.0))
        }
        DataType::Utf8 => {
            let texts: Vec<_> = (0..rows).map(|_| text(random)).collect();
            let all = StringArray::from(texts).into_parts();
            Arc::new(StringArray::new(all.0, all.1, nulls(rows, random)))
        }
        DataType::Binary => {
            let bytes: Vec<_> = (0..rows).map(|_| random.next().to_le_bytes()).collect();
            let all = BinaryArray::from_iter_values(bytes).into_parts();
            Arc::new(BinaryArray::new(all.0, all.1, nulls(rows, random)))
        }
        DataType::Decimal128(digits, scale) => {
            let bound = 10_i128.pow(u32::from(*digits));
            let value =
                |it: &mut Random| (i128::from(it.next()) << 64 | i128::from(it.next())) % bound;
            let values = primitive::<Decimal128Type>(rows, random, value);
            Arc::new(values.with_precision_and_scale(*digits, *scale).unwrap())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let values = primitive::<TimestampMicrosecondType>(rows, random, micros);
            Arc::new(values.with_timezone_opt(zone.clone()))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos = |it: &mut Random| micros(it) / 10_000 * 1000 + it.below(1000) as i64;
            Arc::new(primitive::<TimestampNanosecondType>(rows, random, nanos))
        }
        DataType::List(item) => {
            let offsets = lengths(random);
            let items = array(item.data_type(), offsets[rows] as usize, random);
            Arc::new(ListArray::new(item.clone(), offsets, items, nulls(rows, random)))
        }
        DataType::Map(entries, _) => {
            let offsets = lengths(random);
            let DataType::Struct(fields) = entries.data_type().clone() else { panic!("no map") };
            let values = array(fields[1].data_type(), offsets[rows] as usize, random);
            let keys: ArrayRef = Arc::new(Int32Array::from_iter_values(0..offsets[rows]));
            let all = StructArray::new(fields, vec![keys, values], None);
            Arc::new(MapArray::new(entries.clone(), offsets, all, nulls(rows, random), false))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| array(field.data_type(), rows, random));
            let columns = columns.collect();
            Arc::new(StructArray::new(fields.clone(), columns, nulls(rows, random)))
        }
        other => panic!("{other}"),
    }
}

pub(super) fn fields() -> Fields {
    let list = |item: DataType| DataType::List(Arc::new(field("item", item)));
    let pair = Fields::from(vec![field("a", DataType::Int64), field("b", DataType::Utf8)]);
    let entries = Fields::from(vec![
        Field::new("key", DataType::Int32, false),
        field("value", list(DataType::Float64)),
    ]);
    let entries = Arc::new(Field::new("entries", DataType::Struct(entries), false));
    let utc = Some("UTC".into());
    Fields::from(vec![
        field("boolean", DataType::Boolean),
        field("tiny", DataType::Int8),
        field("small", DataType::Int16),
        field("int", DataType::Int32),
        field("big", DataType::Int64),
        field("date", DataType::Date32),
        field("float", DataType::Float32),
        field("double", DataType::Float64),
        field("text", DataType::Utf8),
        field("bytes", DataType::Binary),
        field("money", DataType::Decimal128(15, 2)),
        field("wide", DataType::Decimal128(38, 10)),
        field("local", DataType::Timestamp(TimeUnit::Microsecond, None)),
        field("instant", DataType::Timestamp(TimeUnit::Microsecond, utc)),
        field("nanos", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        field("words", list(DataType::Utf8)),
        field("pair", DataType::Struct(pair.clone())),
        field("pairs", list(DataType::Struct(pair))),
        field("map", DataType::Map(entries, false)),
        field("deep", list(list(DataType::Int32)))
            .with_metadata(HashMap::from([("origin".to_owned(), "here".to_owned())])),
    ])
}

pub(super) fn batch(rows: usize, random: &mut Random) -> RecordBatch {
    let fields = fields();
    let columns = fields.iter().map(|field| array(field.data_type(), rows, random)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// The same rows in the same order, whatever the batches.
fn same_rows(found: &[RecordBatch], wanted: &[RecordBatch]) {
    let (mut others, mut at) = (wanted.iter(), 0);
    let mut other = others.next();
    for batch in found {
        let mut begin = 0;
        while begin < batch.num_rows() {
            let wanted = other.expect("no more rows than were written");
            let count = (batch.num_rows() - begin).min(wanted.num_rows() - at);
            for (column, field) in batch.schema().fields().iter().enumerate() {
                let found = batch.column(column).slice(begin, count);
                let wanted = wanted.column(column).slice(at, count);
                assert_eq!(&found, &wanted, "{}", field.name());
            }
            (begin, at) = (begin + count, at + count);
            if at == wanted.num_rows() {
                (other, at) = (others.next(), 0);
            }
        }
    }
    assert!(other.is_none(), "all rows that were written");
}

#[test]
fn random_rows_come_back() {
    for seed in 1..25_u64 {
        let mut random = Random(seed * 0x9e37_79b9);
        let batches: Vec<_> = (0..1 + random.below(5))
            .map(|_| {
                let rows = 1 + random.below(2_000) as usize;
                batch(rows, &mut random)
            })
            .collect();
        let options = Options {
            stripe_rows: [usize::MAX, 700][seed as usize % 2],
            stripe_bytes: [64 << 20, 100 << 10][seed as usize / 2 % 2],
            dictionary: seed % 3 > 0,
            ..options(CODECS[seed as usize % CODECS.len()])
        };
        let schema = batches[0].schema();
        let bytes = written(&batches, &schema, options);
        let file = File::open(Arc::new(Memory(bytes.clone()))).unwrap();
        assert_eq!(file.schema().fields(), schema.fields());
        let rows: u64 = file.stripes().map(|(rows, _)| rows).sum();
        assert_eq!(rows, batches.iter().map(|it| it.num_rows() as u64).sum::<u64>());
        same_rows(&read(bytes, 1 + random.below(900) as usize).unwrap(), &batches);
    }
}

#[test]
fn sliced_batches_and_empty_files() {
    let whole = batch(1_000, &mut Random(77));
    let parts = [whole.slice(3, 500), whole.slice(503, 1), whole.slice(504, 400)];
    let bytes = written(&parts, &whole.schema(), options(Codec::Zlib));
    same_rows(&read(bytes, 100).unwrap(), &parts);
    let bytes = written(&[], &whole.schema(), options(Codec::Snappy));
    let file = File::open(Arc::new(Memory(bytes))).unwrap();
    assert_eq!((file.schema().fields().len(), file.stripes().count()), (whole.num_columns(), 0));
}

#[test]
fn wanted_columns_are_read_and_rows_passed_over() {
    let whole = batch(3_000, &mut Random(5));
    let bytes = written(std::slice::from_ref(&whole), &whole.schema(), options(Codec::Zstd));
    let file = File::open(Arc::new(Memory(bytes))).unwrap();
    let mut stripe = file.stripe(0, &[4, 8, 17]).unwrap();
    stripe.skip(1_111, 100).unwrap();
    let found = stripe.next(50).unwrap().unwrap();
    assert_eq!(found, whole.slice(1_111, 50).project(&[4, 8, 17]).unwrap());
}

#[test]
fn texts_that_come_often_are_written_once() {
    let rows = 50_000;
    let often =
        StringArray::from_iter_values((0..rows).map(|row| format!("one of few {}", row % 9)));
    let schema = Arc::new(Schema::new(vec![field("text", DataType::Utf8)]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(often)]).unwrap();
    let with = written(std::slice::from_ref(&batch), &schema, options(Codec::None));
    let without = Options { dictionary: false, ..options(Codec::None) };
    let without = written(std::slice::from_ref(&batch), &schema, without);
    assert!(with.len() * 10 < without.len(), "{} and {}", with.len(), without.len());
    same_rows(&read(with, 4_000).unwrap(), std::slice::from_ref(&batch));
    same_rows(&read(without, 4_000).unwrap(), &[batch]);
}

#[test]
fn times_of_the_last_second_before_1970() {
    let values = vec![Some(-1), None, Some(0), Some(-999_000), Some(-999_001), Some(-1_000_000)];
    let times = TimestampMicrosecondArray::from(values.clone());
    assert_eq!(unwritable_rows(&times), [0, 3]);
    let item = Arc::new(field("item", times.data_type().clone()));
    let lists =
        ListArray::new(item, OffsetBuffer::from_lengths([0, 2, 3, 1]), Arc::new(times), None);
    assert_eq!(unwritable_rows(&lists), [1, 2]);
    assert_eq!(unwritable_rows(&lists.slice(2, 2)), [0]);
    let kept = TimestampMicrosecondArray::from(vec![
        -999_001,
        -1_000_000,
        -1_500_000,
        -1_000_001,
        1,
        i64::MIN,
        i64::MAX,
    ]);
    let schema = Arc::new(Schema::new(vec![field("at", kept.data_type().clone())]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(kept)]).unwrap();
    let bytes = written(std::slice::from_ref(&batch), &schema, options(Codec::None));
    same_rows(&read(bytes, 10).unwrap(), &[batch]);
}

#[test]
fn types_that_orc_lacks_are_named() {
    for lacking in [
        DataType::UInt32,
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Decimal128(5, -2),
        DataType::Decimal256(50, 2),
        DataType::LargeUtf8,
    ] {
        let schema = Schema::new(vec![field("odd", lacking.clone())]);
        match Writer::new(Vec::new(), &schema, options(Codec::None)) {
            Err(Error::Unsupported(what)) => assert!(what.contains("\"odd\""), "{what}"),
            _ => panic!("{lacking} was taken"),
        }
    }
}

#[test]
fn numbers_of_all_sizes_have_statistics_that_hold() {
    let values = Int64Array::from(vec![Some(5), None, Some(-3)]);
    let schema = Arc::new(Schema::new(vec![field("n", DataType::Int64)]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(values)]).unwrap();
    let bytes = written(&[batch], &schema, options(Codec::None));
    // A message of two zigzag numbers, then that there is a NULL.
    let wanted = [8, 2, 18, 4, 8, 5, 16, 10, 80, 1];
    assert!(bytes.windows(wanted.len()).any(|it| it == wanted));
}
