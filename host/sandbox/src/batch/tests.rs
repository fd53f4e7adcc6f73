//! Every supported type there and back, sliced; a table of lies; and mutated batches, which are either
//! refused or can be walked whole.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::*;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{NullBuffer, i256};
use arrow_schema::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use domain::Dataset;

use super::*;
use crate::bindings::airlock::connector::types;
use crate::limits::Limits;

const ROWS: usize = 70;

fn dataset(schema: Schema) -> Dataset {
    Dataset {
        path: vec!["t".into()],
        schema: Arc::new(schema),
        primary_key: Vec::new(),
        metadata: Vec::new(),
    }
}

fn wire(rows: &RecordBatch) -> types::Batch {
    types::Batch {
        dataset: 0,
        rows: rows.num_rows() as u32,
        operations: None,
        absent: Vec::new(),
        buffers: encode(rows).unwrap().iter().map(|buffer| buffer.to_vec()).collect(),
    }
}

fn back(rows: &RecordBatch) -> Result<domain::Batch, Refused> {
    let dataset = dataset(rows.schema().as_ref().clone());
    decode(wire(rows), &[dataset], &Limits::default())
}

fn lists() -> (ArrayRef, ArrayRef, ArrayRef) {
    let mut lists = ListBuilder::new(StringBuilder::new());
    let mut fixed = FixedSizeListBuilder::new(Int16Builder::new(), 2);
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in 0..ROWS as i64 {
        for item in 0..row % 4 {
            lists.values().append_option((item != 1).then(|| format!("item {row} {item}")));
            maps.keys().append_value(format!("key {item}"));
            maps.values().append_option((item != 2).then_some(row));
        }
        lists.append(row % 5 != 0);
        maps.append(row % 6 != 0).unwrap();
        fixed.values().append_slice(&[row as i16, -1]);
        fixed.append(row % 7 != 0);
    }
    (Arc::new(lists.finish()), Arc::new(fixed.finish()), Arc::new(maps.finish()))
}

/// A batch with a column of every type, a third of the values null.
fn every_type() -> RecordBatch {
    let some = |row: &usize| !row.is_multiple_of(3);
    let numbers: Vec<Option<i64>> =
        (0..ROWS).map(|row| some(&row).then_some(row as i64 * 7 - 100)).collect();
    let ints = Int64Array::from(numbers.clone());
    let texts: StringArray =
        (0..ROWS).map(|row| some(&row).then(|| format!("τext {row}"))).collect();
    let bytes: BinaryArray =
        (0..ROWS).map(|row| some(&row).then(|| vec![row as u8; row % 5])).collect();
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
        (0..ROWS).map(|row| some(&row).then_some([row as u8; 3])),
        3,
    )
    .unwrap();
    let flags: BooleanArray = (0..ROWS).map(|row| some(&row).then_some(row % 2 == 0)).collect();
    let wide: Decimal256Array = numbers.iter().map(|value| value.map(i256::from)).collect();
    let decimal: Decimal128Array = numbers.iter().map(|value| value.map(i128::from)).collect();
    let interval: IntervalMonthDayNanoArray = numbers
        .iter()
        .map(|value| value.map(|value| IntervalMonthDayNanoType::make_value(1, 2, value)))
        .collect();
    let days: IntervalDayTimeArray = numbers
        .iter()
        .map(|value| value.map(|value| IntervalDayTimeType::make_value(value as i32, 2)))
        .collect();
    let (list, fixed_list, map) = lists();
    let inner = vec![
        (Arc::new(Field::new("a", DataType::Int64, true)), Arc::new(ints.clone()) as ArrayRef),
        (Arc::new(Field::new("b", DataType::Utf8, true)), Arc::new(texts.clone()) as ArrayRef),
    ];
    let (fields, arrays): (Vec<_>, Vec<_>) = inner.into_iter().unzip();
    let nulls: NullBuffer = (0..ROWS).map(|row| row % 4 != 0).collect();
    let nested = StructArray::new(Fields::from(fields), arrays, Some(nulls));
    let cast = |to: &DataType| arrow_cast::cast(&ints, to).unwrap();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(texts),
        Arc::new(bytes),
        Arc::new(fixed),
        Arc::new(flags),
        Arc::new(wide.with_precision_and_scale(76, 3).unwrap()),
        Arc::new(decimal.with_precision_and_scale(10, 2).unwrap()),
        Arc::new(interval),
        Arc::new(days),
        list,
        fixed_list,
        map,
        Arc::new(nested),
        Arc::new(NullArray::new(ROWS)),
    ];
    for to in [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Date64,
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Microsecond, Some("+02:00".into())),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Duration(TimeUnit::Second),
    ] {
        columns.push(cast(&to));
    }
    let months = arrow_cast::cast(&ints, &DataType::Int32).unwrap();
    for to in [
        DataType::Date32,
        DataType::Time32(TimeUnit::Millisecond),
        DataType::Interval(IntervalUnit::YearMonth),
    ] {
        columns.push(arrow_cast::cast(&months, &to).unwrap());
    }
    let field = |(index, column): (usize, &ArrayRef)| {
        Field::new(format!("c{index}"), column.data_type().clone(), true)
    };
    let fields: Vec<_> = columns.iter().enumerate().map(field).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn every_type_comes_back_as_it_was_from_any_slice() {
    let rows = every_type();
    check_dataset(&dataset(rows.schema().as_ref().clone())).unwrap();
    for (offset, length) in
        [(0, ROWS), (0, 0), (1, 1), (3, 8), (8, 16), (5, 33), (ROWS, 0), (69, 1)]
    {
        let slice = rows.slice(offset, length);
        let decoded = back(&slice).unwrap();
        assert_eq!(decoded.rows, slice, "{length} rows from {offset}");
    }
}

#[test]
fn with_no_rows_every_buffer_may_be_empty_and_what_is_behind_is_ignored() {
    let rows = every_type();
    let datasets = [dataset(rows.schema().as_ref().clone())];
    let mut empty = wire(&rows.slice(0, 0));
    empty.buffers.iter_mut().for_each(Vec::clear);
    assert_eq!(decode(empty, &datasets, &Limits::default()).unwrap().len(), 0);
    let mut long = wire(&rows);
    long.buffers.iter_mut().filter(|buffer| !buffer.is_empty()).for_each(|buffer| {
        buffer.extend_from_slice(&[0xff; 9]);
    });
    assert_eq!(decode(long, &datasets, &Limits::default()).unwrap().rows, rows);
}

/// `id` (never null), `name`, `price` decimal(5,2), `tags` (list of text).
fn honest() -> (types::Batch, Dataset) {
    let mut tags = ListBuilder::new(StringBuilder::new());
    for row in 0..10 {
        tags.values().append_value(format!("tag {row}"));
        tags.append(true);
    }
    let names: StringArray = (0..10).map(|row| (row % 2 == 0).then_some("né")).collect();
    let price = Decimal128Array::from(vec![99_999; 10]).with_precision_and_scale(5, 2).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..10)),
        Arc::new(names),
        Arc::new(price),
        Arc::new(tags.finish()),
    ];
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("price", DataType::Decimal128(5, 2), true),
        Field::new("tags", columns[3].data_type().clone(), true),
    ];
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    (wire(&rows), dataset(rows.schema().as_ref().clone()))
}

/// Places of the buffers of [`honest`].
const ID_NULLS: usize = 0;
const ID: usize = 1;
const NAME_NULLS: usize = 2;
const NAME_OFFSETS: usize = 3;
const NAME: usize = 4;
const PRICE: usize = 6;
const TAG_OFFSETS: usize = 8;

type Change = fn(&mut types::Batch);

fn put(buffer: &mut [u8], index: usize, value: i32) {
    buffer[index * 4..index * 4 + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn t40_lies_about_batches_are_refused() {
    let (batch, dataset) = honest();
    let limits = Limits::default();
    assert!(decode(batch.clone(), std::slice::from_ref(&dataset), &limits).is_ok());
    let table: [(&str, Change); 29] = [
        ("offset negative", |b| put(&mut b.buffers[NAME_OFFSETS], 0, -1)),
        ("offset falls", |b| put(&mut b.buffers[NAME_OFFSETS], 3, i32::MAX)),
        ("last offset past the end", |b| put(&mut b.buffers[NAME_OFFSETS], 10, 1000)),
        ("last offset negative", |b| put(&mut b.buffers[NAME_OFFSETS], 10, i32::MIN)),
        ("offsets too short", |b| b.buffers[NAME_OFFSETS].truncate(40)),
        ("offsets empty", |b| b.buffers[NAME_OFFSETS].clear()),
        ("offset inside a character", |b| put(&mut b.buffers[NAME_OFFSETS], 1, 2)),
        ("not UTF-8", |b| b.buffers[NAME][0] = 0xff),
        ("text too short", |b| b.buffers[NAME].truncate(3)),
        ("validity too short", |b| b.buffers[NAME_NULLS].truncate(1)),
        ("values too short", |b| b.buffers[ID].truncate(79)),
        ("values empty", |b| b.buffers[ID].clear()),
        ("null where none may be", |b| b.buffers[ID_NULLS] = vec![0xfe, 0xff]),
        ("six digits in five", |b| {
            b.buffers[PRICE][..16].copy_from_slice(&100_000_i128.to_le_bytes())
        }),
        ("a huge decimal", |b| b.buffers[PRICE][16..32].fill(0x80)),
        ("list past its child", |b| put(&mut b.buffers[TAG_OFFSETS], 10, 11)),
        ("list falls", |b| put(&mut b.buffers[TAG_OFFSETS], 5, 9)),
        ("list negative", |b| put(&mut b.buffers[TAG_OFFSETS], 10, -1)),
        ("list offsets short", |b| b.buffers[TAG_OFFSETS].truncate(43)),
        ("a buffer less", |b| drop(b.buffers.pop())),
        ("no buffers", |b| b.buffers.clear()),
        ("a buffer more", |b| b.buffers.push(Vec::new())),
        ("another dataset", |b| b.dataset = 1),
        ("more rows than values", |b| b.rows = 11),
        ("operations short", |b| b.operations = Some(vec![0; 9])),
        ("operation 4", |b| b.operations = Some(vec![4; 10])),
        ("before without after", |b| b.operations = Some(vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
        ("absent for other fields", |b| b.absent = vec![Vec::new(); 3]),
        ("absent short", |b| b.absent = vec![vec![0]; 4]),
    ];
    for (lie, change) in table {
        let mut bad = batch.clone();
        change(&mut bad);
        let refused = decode(bad, std::slice::from_ref(&dataset), &limits);
        assert!(matches!(refused, Err(Refused::Lie(_))), "{lie}: {refused:?}");
    }
}

#[test]
fn refusals_show_no_values() {
    let (mut batch, dataset) = honest();
    batch.buffers[PRICE][..16].copy_from_slice(&123_456_789_i128.to_le_bytes());
    let Err(Refused::Lie(what)) = decode(batch, &[dataset], &Limits::default()) else {
        panic!("not refused")
    };
    assert!(!what.contains("123456789") && what.contains("price"), "{what}");
}

#[test]
fn operations_and_absent_values_are_kept_to_the_rows() {
    let (mut batch, dataset) = honest();
    batch.operations = Some(vec![0, 1, 2, 3, 2, 0, 0, 0, 1, 2, 77, 77]);
    batch.absent = vec![vec![], vec![1, 2, 3], vec![], vec![]];
    let decoded = decode(batch, &[dataset], &Limits::default()).unwrap();
    assert_eq!(decoded.operations.unwrap(), [0, 1, 2, 3, 2, 0, 0, 0, 1, 2]);
    assert_eq!(decoded.absent[1], [1, 2]);
}

#[test]
fn t30_rows_without_bytes_are_bounded() {
    let nothing = dataset(Schema::new(vec![Field::new("n", DataType::Null, true)]));
    let none = dataset(Schema::empty());
    let batch = |rows| types::Batch {
        dataset: 0,
        rows,
        operations: None,
        absent: Vec::new(),
        buffers: Vec::new(),
    };
    for dataset in [nothing, none] {
        let datasets = std::slice::from_ref(&dataset);
        let limits = Limits::default();
        assert_eq!(decode(batch(1 << 20), datasets, &limits).unwrap().len(), 1 << 20);
        for rows in [(1 << 20) + 1, u32::MAX] {
            let refused = decode(batch(rows), datasets, &limits);
            assert_eq!(refused.err(), Some(Refused::Limit("batch-rows")));
        }
    }
    let item = Arc::new(Field::new("item", DataType::Null, true));
    for data_type in [DataType::List(item.clone()), DataType::FixedSizeList(item.clone(), i32::MAX)]
    {
        let dataset = dataset(Schema::new(vec![Field::new("l", data_type.clone(), true)]));
        let mut buffers = vec![Vec::new()];
        if matches!(data_type, DataType::List(_)) {
            buffers
                .push([0_i32, i32::MAX].iter().flat_map(|offset| offset.to_le_bytes()).collect());
        }
        let refused = decode(types::Batch { buffers, ..batch(1) }, &[dataset], &Limits::default());
        assert_eq!(refused.err(), Some(Refused::Limit("batch-rows")), "{data_type}");
    }
}

#[test]
fn a_batch_is_bounded_in_bytes() {
    let (batch, dataset) = honest();
    let limits = Limits { batch_bytes: 100, ..Limits::default() };
    let refused = decode(batch, &[dataset], &limits);
    assert_eq!(refused.err(), Some(Refused::Limit("batch-bytes")));
}

#[test]
fn t40_types_that_cannot_be_moved_are_refused() {
    let item = || Arc::new(Field::new("item", DataType::Int8, true));
    let entries = |key_nullable| {
        let fields = vec![
            Field::new("key", DataType::Utf8, key_nullable),
            Field::new("value", DataType::Utf8, true),
        ];
        Arc::new(Field::new("entries", DataType::Struct(fields.into()), false))
    };
    let bad = [
        DataType::LargeUtf8,
        DataType::LargeBinary,
        DataType::LargeList(item()),
        DataType::Utf8View,
        DataType::BinaryView,
        DataType::ListView(item()),
        DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
        DataType::Decimal32(5, 2),
        DataType::Decimal128(39, 2),
        DataType::Decimal128(0, 0),
        DataType::Decimal256(77, 2),
        DataType::FixedSizeBinary(0),
        DataType::FixedSizeBinary(-1),
        DataType::FixedSizeList(item(), 0),
        DataType::Struct(Fields::empty()),
        DataType::Map(item(), false),
        DataType::Map(entries(true), false),
    ];
    for data_type in bad {
        let list = DataType::List(Arc::new(Field::new("item", data_type.clone(), true)));
        for data_type in [data_type, list] {
            let dataset = dataset(Schema::new(vec![Field::new("x", data_type.clone(), true)]));
            let fault = check_dataset(&dataset).unwrap_err();
            assert_eq!(fault.code, "contract.type_unsupported", "{data_type}");
        }
    }
    let map = DataType::Map(entries(false), false);
    check_dataset(&dataset(Schema::new(vec![Field::new("x", map, true)]))).unwrap();
}

#[test]
fn t41_names_that_mislead_are_refused() {
    let named = |name: &str| dataset(Schema::new(vec![Field::new(name, DataType::Int8, true)]));
    for good in ["id", "größe in %", "", "a b", "x\"; drop table y; --"] {
        check_dataset(&named(good)).unwrap();
    }
    let long = "x".repeat(2000);
    for bad in ["a\0b", "a\nb", "\u{1b}[2J", "\u{202e}txt", "\u{2066}x", "\u{9b}2J", &long] {
        let fault = check_dataset(&named(bad)).unwrap_err();
        assert_eq!(fault.code, "contract.name");
        assert!(!fault.message.chars().any(crate::text::is_harmful), "{}", fault.message);
        let path = Dataset { path: vec![bad.into()], ..named("id") };
        assert_eq!(check_dataset(&path).unwrap_err().code, "contract.name");
    }
    let key = Dataset { primary_key: vec!["other".into()], ..named("id") };
    assert_eq!(check_dataset(&key).unwrap_err().code, "contract.name");
    let huge = HashMap::from([("k".to_owned(), "x".repeat(2 << 20))]);
    let field = Field::new("id", DataType::Int8, true).with_metadata(huge);
    let fault = check_dataset(&dataset(Schema::new(vec![field]))).unwrap_err();
    assert_eq!(fault.code, "contract.metadata");
}

/// A small generator; the same seed, the same numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }
}

fn mutate(batch: &mut types::Batch, dice: &mut Dice) {
    let index = dice.roll(batch.buffers.len());
    let others = batch.buffers.len();
    let Some(buffer) = batch.buffers.get_mut(index) else { return };
    let at = dice.roll(buffer.len());
    match dice.roll(8) {
        0 if !buffer.is_empty() => buffer[at] ^= 1 << dice.roll(8),
        1 if buffer.len() >= 4 => {
            let at = at.min(buffer.len() - 4);
            let odd = [-1, i32::MIN, i32::MAX, 0, 1, 1 << 20];
            buffer[at..at + 4].copy_from_slice(&odd[dice.roll(odd.len())].to_le_bytes());
        }
        2 => buffer.truncate(at),
        3 => buffer.extend(std::iter::repeat_n(dice.roll(256) as u8, dice.roll(64))),
        4 => batch.buffers.swap(index, (index + 1) % others),
        5 => batch.rows = dice.roll(ROWS * 2) as u32,
        6 => drop(batch.buffers.remove(index)),
        7 => batch.absent = vec![vec![0xff; dice.roll(20)]; dice.roll(40)],
        _ => {}
    }
}

/// Reads every value, as the rest of the program will.
fn walk(batch: &domain::Batch) {
    let options = arrow_cast::display::FormatOptions::new().with_display_error(true);
    for column in batch.rows.columns() {
        let texts = arrow_cast::display::ArrayFormatter::try_new(column, &options).unwrap();
        for row in 0..column.len() {
            std::hint::black_box(texts.value(row).to_string());
        }
    }
    assert!(batch.value_bytes() < 1 << 40);
    // What was taken can be handed on.
    let again = decode(
        wire(&batch.rows),
        &[dataset(batch.rows.schema().as_ref().clone())],
        &Limits::default(),
    );
    assert_eq!(again.unwrap().rows.num_rows(), batch.rows.num_rows());
}

#[test]
fn t40_mutated_batches_are_refused_or_sound() {
    let rows = every_type();
    let datasets = [dataset(rows.schema().as_ref().clone())];
    let (honest, honest_dataset) = honest();
    let small = [honest_dataset];
    let mut dice = Dice(20_251_122);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..6_000 {
        let (mut batch, datasets) =
            if round % 3 == 0 { (wire(&rows), &datasets) } else { (honest.clone(), &small) };
        for _ in 0..=dice.roll(3) {
            mutate(&mut batch, &mut dice);
        }
        match decode(batch, datasets, &Limits::default()) {
            Ok(batch) => {
                taken += 1;
                walk(&batch);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        taken > 500 && refused > 500,
        "{taken} taken, {refused} refused: the mutations are no good"
    );
}

#[test]
fn the_smallest_decimal_is_nan_where_the_field_says_so() {
    let rows = |extremes: Option<&str>| {
        let metadata = extremes.map(|words| ("airlock:extremes".to_owned(), words.to_owned()));
        let metadata: HashMap<_, _> = metadata.into_iter().collect();
        let field = |name, kind| Field::new(name, kind, true).with_metadata(metadata.clone());
        let small = Decimal128Array::from(vec![Some(i128::MIN), Some(1), None]);
        let wide = Decimal256Array::from(vec![Some(i256::MIN), Some(i256::ONE), None]);
        let small = small.with_data_type(DataType::Decimal128(5, 2));
        let wide = wide.with_data_type(DataType::Decimal256(50, 2));
        let fields = [("s", small.data_type()), ("w", wide.data_type())];
        let fields = fields.map(|(name, kind)| field(name, kind.clone()));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        RecordBatch::try_new(schema, vec![Arc::new(small), Arc::new(wide)]).unwrap()
    };
    let nan = rows(Some("Infinity, -Infinity, NaN"));
    assert_eq!(back(&nan).unwrap().rows, nan);
    for other in [None, Some("Infinity"), Some("NaNs")] {
        assert!(matches!(back(&rows(other)), Err(Refused::Lie(_))), "{other:?}");
    }
}

#[test]
fn t30_columns_without_bytes_count_as_a_byte_a_row() {
    let columns = (0..100).map(|n| Field::new(format!("n{n}"), DataType::Null, true));
    let dataset = dataset(Schema::new(columns.collect::<Vec<_>>()));
    let batch = |rows| types::Batch {
        dataset: 0,
        rows,
        operations: None,
        absent: Vec::new(),
        buffers: Vec::new(),
    };
    let limits = Limits { batch_bytes: 10_000, ..Limits::default() };
    assert!(decode(batch(100), std::slice::from_ref(&dataset), &limits).is_ok());
    let refused = decode(batch(101), &[dataset], &limits).unwrap_err();
    assert_eq!(refused, Refused::Limit("batch-bytes"));
}
