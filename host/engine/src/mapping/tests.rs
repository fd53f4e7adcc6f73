use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int32Type, Int64Type};
use arrow_array::{
    Array, BinaryArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array,
    Int32Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::TimeUnit;

use super::*;

mod datax;

fn dataset(fields: Vec<Field>) -> Dataset {
    Dataset {
        path: vec!["t".into()],
        schema: Arc::new(Schema::new(fields)),
        primary_key: Vec::new(),
        metadata: Vec::new(),
    }
}

fn settings(casts: Casts) -> Settings {
    Settings { casts, ..Settings::default() }
}

fn field(kind: DataType) -> Field {
    Field::new("c", kind, true)
}

/// Casts one column, and answers the mapped column and the dirty rows with their codes.
fn check(column: ArrayRef, to: Field, casts: Casts) -> (ArrayRef, Vec<(usize, String)>) {
    let from = dataset(vec![field(column.data_type().clone())]);
    let mapping = Mapping::new(std::slice::from_ref(&from), &[dataset(vec![to])], &settings(casts));
    let mapping = mapping.unwrap();
    let rows = RecordBatch::try_new(from.schema, vec![column]).unwrap();
    let mapped = mapping.apply(Batch::new(0, rows)).unwrap();
    let dirty = mapped.dirty.into_iter().map(|(row, reason)| (row, reason.code)).collect();
    (mapped.batch.rows.column(0).clone(), dirty)
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn codes(pairs: &[(usize, &str)]) -> Vec<(usize, String)> {
    pairs.iter().map(|(row, code)| (*row, (*code).to_owned())).collect()
}

#[test]
fn texts_that_are_no_number_are_dirty() {
    let (column, dirty) = check(
        texts(&[Some("1"), Some("x"), None, Some("007")]),
        field(DataType::Int32),
        Casts::Exact,
    );
    assert_eq!(dirty, codes(&[(1, "cast.no_value")]));
    assert_eq!(
        column.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(),
        [Some(1), None, Some(7)]
    );
}

#[test]
fn decimals_are_never_rounded() {
    let kind = DataType::Decimal128(5, 2);
    let (column, dirty) = check(
        texts(&[Some("1.25"), Some("1.255"), Some("99999"), Some("-0.10")]),
        field(kind),
        Casts::Exact,
    );
    assert_eq!(dirty, codes(&[(1, "cast.changed"), (2, "cast.no_value")]));
    assert_eq!(column.as_primitive::<Decimal128Type>().values(), &[125, -10]);
}

#[test]
fn large_integers_do_not_become_other_doubles() {
    let large = (1_i64 << 53) + 1;
    let (_, dirty) =
        check(Arc::new(Int64Array::from(vec![1, large])), field(DataType::Float64), Casts::Exact);
    assert_eq!(dirty, codes(&[(1, "cast.changed")]));
}

#[test]
fn a_timestamp_with_a_time_is_no_date() {
    let day = 86_400_000_000;
    let (column, dirty) = check(
        Arc::new(TimestampMicrosecondArray::from(vec![day, day + 1])),
        field(DataType::Date32),
        Casts::Exact,
    );
    assert_eq!(dirty, codes(&[(1, "cast.changed")]));
    assert_eq!(column.as_primitive::<Date32Type>().values(), &[1]);
}

#[test]
fn null_in_a_required_column_is_dirty() {
    let to = Field::new("c", DataType::Utf8, false);
    let (column, dirty) = check(texts(&[Some("a"), None]), to, Casts::Exact);
    assert_eq!(dirty, codes(&[(1, "cast.null")]));
    assert_eq!(column.len(), 1);
}

#[test]
fn lossy_casts_need_the_jobs_word() {
    let (from, to) =
        (dataset(vec![field(DataType::Float64)]), dataset(vec![field(DataType::Int64)]));
    let (from, to) = (std::slice::from_ref(&from), std::slice::from_ref(&to));
    assert_eq!(
        Mapping::new(from, to, &settings(Casts::Exact)).unwrap_err().code,
        "mapping.lossy_cast"
    );
    assert!(Mapping::new(from, to, &settings(Casts::DataX)).is_ok());
    let (column, dirty) =
        check(Arc::new(Float64Array::from(vec![1.9])), field(DataType::Int64), Casts::DataX);
    assert!(dirty.is_empty());
    assert_eq!(column.as_primitive::<Int64Type>().values(), &[1]);
}

#[test]
fn a_lossy_cast_is_allowed_for_a_column_alone() {
    let fields = |kind: DataType| {
        let named = |name: &str| Field::new(name, kind.clone(), true);
        dataset(vec![named("amount"), named("total")])
    };
    let (from, to) = ([fields(DataType::Float64)], [fields(DataType::Int64)]);
    let rules = |names: &[&str]| Settings {
        column_casts: names.iter().map(|name| ((*name).to_owned(), Casts::DataX)).collect(),
        ..settings(Casts::Exact)
    };
    let refused = Mapping::new(&from, &to, &rules(&["amount"])).unwrap_err();
    assert_eq!(refused.code, "mapping.lossy_cast");
    let hint = refused.hint.unwrap();
    assert!(hint.ends_with(r#""setting": {"casts": {"total": "lossy"}}"#), "{hint}");
    let both = Mapping::new(&from, &to, &rules(&["amount", "total"])).unwrap();
    assert!(both.note().unwrap().ends_with("used for \"amount\", \"total\""));
    let kept = Settings {
        column_casts: [("total".to_owned(), Casts::Exact)].into(),
        ..settings(Casts::DataX)
    };
    assert!(Mapping::new(&from, &to, &kept).unwrap_err().message.contains("\"total\""));
    let unknown = Mapping::new(&from, &to, &rules(&["amuont"])).unwrap_err();
    assert_eq!(unknown.code, "mapping.casts_column");
    assert!(unknown.hint.unwrap().ends_with("\"amount\", \"total\""));
}

#[test]
fn counts_of_columns_must_be_equal() {
    let one = dataset(vec![field(DataType::Utf8)]);
    let two = dataset(vec![field(DataType::Utf8), Field::new("d", DataType::Utf8, true)]);
    let fault = Mapping::new(&[one], &[two], &settings(Casts::Exact)).unwrap_err();
    assert_eq!(fault.code, "mapping.column_count");
}

#[test]
fn the_table_of_casts() {
    use DataType as T;
    let micros = |zone: Option<&str>| T::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let table = [
        (T::Int32, T::Int64, Cast::Exact),
        (T::Int64, T::Int32, Cast::Checked),
        (T::UInt32, T::Int64, Cast::Exact),
        (T::UInt64, T::Int64, Cast::Checked),
        (T::Int64, T::Decimal128(38, 0), Cast::Exact),
        (T::Int64, T::Decimal128(19, 0), Cast::Exact),
        (T::Int64, T::Decimal128(18, 0), Cast::Checked),
        (T::UInt64, T::Decimal128(19, 0), Cast::Checked),
        (T::Int64, T::Decimal128(15, 2), Cast::Checked),
        (T::Decimal128(15, 2), T::Decimal128(17, 4), Cast::Exact),
        (T::Decimal128(15, 2), T::Decimal128(15, 4), Cast::Checked),
        (T::Decimal128(15, 2), T::Float64, Cast::Lossy),
        (T::Float64, T::Decimal128(15, 2), Cast::Lossy),
        (T::Float32, T::Float64, Cast::Exact),
        (T::Float64, T::Float32, Cast::Lossy),
        (T::Utf8, T::Int64, Cast::Checked),
        (T::Date32, T::Utf8, Cast::Exact),
        (T::Decimal128(15, 2), T::Utf8, Cast::Exact),
        (micros(None), micros(Some("UTC")), Cast::Lossy),
        (micros(Some("UTC")), micros(Some("+01:00")), Cast::Exact),
        (T::Date32, micros(None), Cast::Exact),
        (T::Boolean, T::Int32, Cast::Exact),
        (T::Binary, T::Int64, Cast::Impossible),
        (T::Binary, T::Utf8, Cast::Checked),
        (T::FixedSizeBinary(4), T::Binary, Cast::Exact),
        (T::Decimal128(15, 2), T::Int64, Cast::Checked),
        (T::Float16, T::Float32, Cast::Exact),
        (T::Time32(TimeUnit::Second), T::Time32(TimeUnit::Millisecond), Cast::Exact),
        (T::Time32(TimeUnit::Millisecond), T::Time32(TimeUnit::Second), Cast::Checked),
        (T::Time64(TimeUnit::Microsecond), T::Time64(TimeUnit::Nanosecond), Cast::Exact),
        (T::Time64(TimeUnit::Microsecond), T::Time32(TimeUnit::Second), Cast::Checked),
        (micros(None), T::Date32, Cast::Checked),
        (micros(Some("UTC")), T::Date32, Cast::Lossy),
        (micros(Some("UTC")), T::Utf8, Cast::Exact),
        (T::Utf8, micros(Some("UTC")), Cast::Checked),
        (T::Utf8, T::Float16, Cast::Lossy),
        (T::Int32, T::new_list(T::Int32, true), Cast::Impossible),
        (T::Utf8, T::new_list(T::Utf8, true), Cast::Impossible),
        (T::new_list(T::Int32, true), T::new_list(T::Int64, true), Cast::Exact),
        (T::new_list(T::Int32, true), T::new_list(T::Int64, false), Cast::Checked),
        (T::new_list(T::Int32, true), T::new_list(T::Int32, false), Cast::Checked),
        (T::new_list(T::Int32, false), T::new_list(T::Int32, true), Cast::Same),
        (T::new_list(T::Float64, true), T::new_list(T::Int64, true), Cast::Lossy),
        (T::new_fixed_size_list(T::Int32, 2, true), T::new_list(T::Int32, true), Cast::Exact),
    ];
    for (from, to, cast) in table {
        assert_eq!(judge(&field(from.clone()), &field(to.clone())), cast, "{from} to {to}");
    }
}

#[test]
fn texts_that_the_destination_reads_may_be_refused_there() {
    let opaque = |name: &str| {
        let extension = extension(DataType::Utf8, "arrow.opaque");
        let key = "ARROW:extension:metadata".to_owned();
        let metadata = extension.metadata().clone().into_iter().chain([(key, name.to_owned())]);
        let metadata: HashMap<_, _> = metadata.collect();
        extension.with_metadata(metadata)
    };
    let (plain, json) = (field(DataType::Utf8), extension(DataType::Utf8, "arrow.json"));
    let table = [
        (plain.clone(), opaque("interval"), Cast::Checked),
        (opaque("interval"), opaque("interval"), Cast::Same),
        (opaque("money"), opaque("interval"), Cast::Checked),
        (opaque("interval"), plain.clone(), Cast::Same),
        (plain.clone(), json.clone(), Cast::Checked),
        (field(DataType::Int64), json.clone(), Cast::Checked),
        (json.clone(), json.clone(), Cast::Same),
        (json, plain, Cast::Same),
    ];
    for (from, to, cast) in table {
        assert_eq!(judge(&from, &to), cast, "{from} to {to}");
    }
}

/// Casts one column of a field with a job's zone, and answers the values as texts, and the dirty rows.
fn cast_in(
    from: Field,
    to: Field,
    column: ArrayRef,
    settings: &Settings,
) -> (Vec<Option<String>>, Vec<(usize, String)>) {
    let from = dataset(vec![from]);
    let mapping = Mapping::new(std::slice::from_ref(&from), &[dataset(vec![to.clone()])], settings);
    let rows = RecordBatch::try_new(from.schema, vec![column]).unwrap();
    let mapped = mapping.unwrap().apply(Batch::new(0, rows)).unwrap();
    let dirty = mapped.dirty.into_iter().map(|(row, reason)| (row, reason.code)).collect();
    let rows = mapped.batch.rows;
    assert_eq!(rows.schema().field(0), &to);
    let values = (0..rows.num_rows()).map(|row| crate::dirty::values(&rows, row).remove(0).1);
    (values.collect(), dirty)
}

fn exact() -> Settings {
    settings(Casts::Exact)
}

fn placed(casts: Casts, zone: &str) -> Settings {
    Settings { time_zone: Some(zone.to_owned()), ..settings(casts) }
}

fn micros(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

fn marked(kind: DataType, extremes: &str) -> Field {
    field(kind).with_metadata(HashMap::from([("airlock:extremes".into(), extremes.into())]))
}

fn extension(kind: DataType, name: &str) -> Field {
    field(kind).with_metadata(HashMap::from([("ARROW:extension:name".into(), name.into())]))
}

/// What one text becomes, or why it is dirty.
fn one(text: &str, to: Field, settings: &Settings) -> String {
    let (values, dirty) = cast_in(field(DataType::Utf8), to, texts(&[Some(text)]), settings);
    match dirty.first() {
        Some((_, code)) => code.clone(),
        None => values[0].clone().unwrap_or_default(),
    }
}

#[test]
fn texts_come_through_whole_or_are_dirty() {
    use DataType as T;
    let time = T::Time64(TimeUnit::Microsecond);
    let table = [
        ("2025-01-31", T::Date32, "2025-01-31"),
        ("2025-01-31 23:59:59", T::Date32, "cast.changed"),
        ("2025-01-31", T::Date64, "2025-01-31T00:00:00"),
        ("2025-01-31T10:00:00", micros(None), "2025-01-31T10:00:00"),
        ("2025-01-31 10:00:00.5", micros(None), "2025-01-31T10:00:00.500"),
        ("2025-01-31T10:00:00+08:00", micros(None), "cast.changed"),
        ("2025-01-31T10:00:00.123456789", micros(None), "cast.changed"),
        ("2025-01-31T10:00:00.123456000", micros(None), "2025-01-31T10:00:00.123456"),
        ("2025-01-31T10:00:00+08:00", micros(Some("UTC")), "2025-01-31T02:00:00Z"),
        ("2025-01-31T10:00:00", micros(Some("UTC")), "2025-01-31T10:00:00Z"),
        ("2025-01-31T10:00:00Z", micros(Some("+00:00")), "2025-01-31T10:00:00Z"),
        ("2025-01-31T10:00:00Z", micros(Some("Asia/Shanghai")), "2025-01-31T18:00:00+08:00"),
        ("12", time.clone(), "cast.no_value"),
        ("12:00", time.clone(), "12:00:00"),
        ("12:00:00.1234567", time.clone(), "cast.changed"),
        ("24:00:00", time, "cast.extreme"),
        ("12:00:00", T::Time32(TimeUnit::Second), "12:00:00"),
        ("12:00:00.5", T::Time32(TimeUnit::Second), "cast.changed"),
        ("infinity", T::Date32, "cast.extreme"),
        ("0.1", T::Float64, "0.1"),
        ("123456789012345678", T::Float64, "cast.changed"),
        ("1e400", T::Float64, "cast.no_value"),
        ("NaN", T::Float64, "NaN"),
        ("16777217", T::Float32, "cast.changed"),
        ("1e39", T::Float32, "cast.no_value"),
        (" 1", T::Int32, "cast.no_value"),
        ("1.0", T::Int32, "cast.no_value"),
        ("-129", T::Int8, "cast.no_value"),
        ("18446744073709551615", T::UInt64, "18446744073709551615"),
        ("yes", T::Boolean, "true"),
        ("2", T::Boolean, "cast.no_value"),
        ("NaN", T::Decimal128(5, 2), "cast.extreme"),
        ("1.5", T::Decimal128(5, 2), "1.50"),
        ("1.00000000000000000000000000000000000000001", T::Decimal128(38, 10), "cast.changed"),
        (
            "123456789012345678901234567890123456789012345678901234567890",
            T::Decimal256(76, 0),
            "123456789012345678901234567890123456789012345678901234567890",
        ),
    ];
    for (text, to, expected) in table {
        assert_eq!(one(text, field(to.clone()), &exact()), expected, "{text} as {to}");
    }
}

#[test]
fn texts_of_many_rows_keep_their_places() {
    let column = texts(&[Some("1.5"), None, Some("x"), Some("1.25"), Some("-2")]);
    let (values, dirty) =
        cast_in(field(DataType::Utf8), field(DataType::Decimal128(5, 1)), column, &exact());
    assert_eq!(values, [Some("1.5".into()), None, Some("-2.0".into())]);
    assert_eq!(dirty, codes(&[(2, "cast.no_value"), (3, "cast.changed")]));
}

#[test]
fn a_text_without_a_zone_is_in_the_jobs() {
    let to = || field(micros(Some("UTC")));
    for zone in ["Asia/Shanghai", "GMT+8", "UTC+08:00"] {
        let settings = placed(Casts::Exact, zone);
        assert_eq!(one("2025-01-31 10:00:00", to(), &settings), "2025-01-31T02:00:00Z");
        assert_eq!(one("2025-01-31 10:00:00Z", to(), &settings), "2025-01-31T10:00:00Z");
    }
    let berlin = placed(Casts::Exact, "Europe/Berlin");
    assert_eq!(one("2025-07-01", to(), &berlin), "2025-06-30T22:00:00Z");
    assert_eq!(one("2025-03-30 02:30:00", to(), &berlin), "cast.no_value", "the clock skips it");
    assert_eq!(one("2025-10-26 02:30:00", to(), &berlin), "2025-10-26T01:30:00Z", "the later");
    let unknown = placed(Casts::Exact, "Mars/Olympus");
    let sides = [dataset(vec![field(DataType::Utf8)])];
    assert_eq!(Mapping::new(&sides, &sides, &unknown).unwrap_err().code, "mapping.time_zone");
}

#[test]
fn instants_become_texts_in_the_jobs_zone_only_where_it_is_given() {
    let instants = |zone: &str| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![1_738_317_600_000_000]).with_timezone(zone))
    };
    for (own, settings, expected) in [
        ("UTC", exact(), "2025-01-31T10:00:00Z"),
        ("+00:00", exact(), "2025-01-31T10:00:00Z"),
        ("Asia/Shanghai", exact(), "2025-01-31T18:00:00+08:00"),
        ("UTC", placed(Casts::Exact, "GMT+8"), "2025-01-31T18:00:00+08:00"),
        ("UTC", settings(Casts::DataX), "2025-01-31 10:00:00"),
        ("UTC", placed(Casts::DataX, "Asia/Shanghai"), "2025-01-31 18:00:00"),
    ] {
        let from = field(micros(Some(own)));
        let (values, dirty) = cast_in(from, field(DataType::Utf8), instants(own), &settings);
        assert_eq!((values, dirty), (vec![Some(expected.to_owned())], vec![]), "{own}");
    }
}

#[test]
fn decimals_with_a_fraction_are_no_integers() {
    let decimals = Decimal128Array::from(vec![Some(100), None, Some(150), Some(-300)])
        .with_precision_and_scale(5, 2)
        .unwrap();
    let (column, dirty) = check(Arc::new(decimals), field(DataType::Int32), Casts::Exact);
    assert_eq!(dirty, codes(&[(2, "cast.changed")]));
    let values: Vec<_> = column.as_primitive::<Int32Type>().iter().collect();
    assert_eq!(values, [Some(1), None, Some(-3)]);
}

#[test]
fn uuids_and_their_texts() {
    let text = "00112233-4455-6677-8899-aabbccddeeff";
    let bytes: Vec<u8> = (0..16).map(|byte| byte * 0x11).collect();
    let uuids: ArrayRef = Arc::new(
        FixedSizeBinaryArray::try_from_sparse_iter_with_size(
            [Some(bytes.as_slice()), None].into_iter(),
            16,
        )
        .unwrap(),
    );
    let uuid = || extension(DataType::FixedSizeBinary(16), "arrow.uuid");
    assert_eq!(judge(&uuid(), &field(DataType::Utf8)), Cast::Exact);
    assert_eq!(judge(&field(DataType::Utf8), &uuid()), Cast::Checked);
    for casts in [Casts::Exact, Casts::DataX] {
        let (values, _) = cast_in(uuid(), field(DataType::Utf8), uuids.clone(), &settings(casts));
        assert_eq!(values, [Some(text.to_owned()), None]);
        let column = texts(&[
            Some(text),
            None,
            Some("00112233445566778899aabbccddeeff"),
            Some("{00112233-4455-6677-8899-aabbccddeef}"),
            Some("00112233-4455-6677-8899-aabbccddeefg"),
            Some("00112233-4455-6677-8899-AABBCCDDEEFF"),
        ]);
        let (values, dirty) = cast_in(field(DataType::Utf8), uuid(), column, &settings(casts));
        let hex = Some("00112233445566778899aabbccddeeff".to_owned());
        assert_eq!(values, [hex.clone(), None, hex]);
        assert_eq!(
            dirty,
            codes(&[(2, "cast.no_value"), (3, "cast.no_value"), (4, "cast.no_value")])
        );
    }
}

#[test]
fn texts_of_a_vendors_type_are_no_floats() {
    let from = extension(DataType::Utf8, "arrow.opaque");
    assert_eq!(judge(&from, &field(DataType::Float64)), Cast::Lossy);
    assert_eq!(judge(&from, &field(DataType::Decimal128(5, 2))), Cast::Checked);
}

#[test]
fn lists_are_cast_by_their_elements() {
    let lists = |rows: Vec<Option<Vec<Option<i64>>>>| -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows))
    };
    let column = lists(vec![
        Some(vec![Some(9), Some(9)]),
        Some(vec![Some(1), Some(2)]),
        None,
        Some(vec![]),
        Some(vec![Some(1 << 40)]),
        Some(vec![Some(3), None]),
    ]);
    let column = column.slice(1, 5);
    let from = || field(DataType::new_list(DataType::Int64, true));
    let to = |nullable| field(DataType::new_list(DataType::Int32, nullable));
    let (values, dirty) = cast_in(from(), to(true), column.clone(), &exact());
    assert_eq!(values, [Some("[1, 2]".into()), None, Some("[]".into()), Some("[3, ]".into())]);
    assert_eq!(dirty, codes(&[(3, "cast.no_value")]));
    let (values, dirty) = cast_in(from(), to(false), column.clone(), &exact());
    assert_eq!(values, [Some("[1, 2]".into()), None, Some("[]".into())]);
    assert_eq!(dirty, codes(&[(3, "cast.no_value"), (4, "cast.null")]));
    let same = field(DataType::new_list(DataType::Int64, false));
    let (_, dirty) = cast_in(from(), same, column, &exact());
    assert_eq!(dirty, codes(&[(4, "cast.null")]));
}

#[test]
fn elements_behind_a_null_list_are_not_looked_at() {
    let offsets = arrow_buffer::OffsetBuffer::from_lengths([1, 2, 1]);
    let values = Arc::new(Int64Array::from(vec![Some(1), None, Some(1 << 40), Some(2)]));
    let nulls = Some(vec![true, false, true].into());
    let item = Arc::new(Field::new("item", DataType::Int64, true));
    let column: ArrayRef = Arc::new(ListArray::new(item, offsets, values, nulls));
    let from = field(column.data_type().clone());
    let to = field(DataType::new_list(DataType::Int32, false));
    let (values, dirty) = cast_in(from, to, column, &exact());
    assert_eq!(values, [Some("[1]".into()), None, Some("[2]".into())]);
    assert!(dirty.is_empty());
}

#[test]
fn lists_in_lists_may_have_elements_of_other_names() {
    let inner = |name: &str, kind| Arc::new(Field::new(name, kind, true));
    let nested = |name: &str, kind| DataType::List(inner(name, DataType::List(inner(name, kind))));
    let element = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    let offsets = arrow_buffer::OffsetBuffer::from_lengths([1]);
    let item = inner("item", element.data_type().clone());
    let column = Arc::new(ListArray::new(item, offsets, Arc::new(element), None));
    for kind in [DataType::Int32, DataType::Int64] {
        let (values, dirty) = cast_in(
            field(column.data_type().clone()),
            field(nested("element", kind)),
            column.clone(),
            &exact(),
        );
        assert_eq!((values, dirty), (vec![Some("[[1]]".into())], vec![]));
    }
}

#[test]
fn extremes_stay_or_are_said_or_are_dirty() {
    let day_end: ArrayRef =
        Arc::new(arrow_array::Time64MicrosecondArray::from(vec![86_400_000_000]));
    let nan = |kind| relabeled(&(Arc::new(Decimal128Array::from(vec![i128::MIN])) as _), &kind);
    let decimal = DataType::Decimal128(5, 2);
    let instant: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX]));
    let minus: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN]));
    let date: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX]));
    let time = DataType::Time64(TimeUnit::Microsecond);
    let text = || field(DataType::Utf8);
    let table = [
        (&instant, "infinity", text(), "infinity"),
        (&minus, "infinity", text(), "-infinity"),
        (&instant, "infinity", marked(micros(None), "infinity"), "infinity"),
        (&instant, "infinity", field(micros(None)), "cast.extreme"),
        (&instant, "", marked(micros(None), "infinity"), "cast.extreme"),
        (&date, "infinity", marked(micros(None), "infinity"), "infinity"),
        (&date, "infinity", field(DataType::Date32), "cast.extreme"),
        (&date, "", marked(DataType::Date32, "infinity"), "cast.extreme"),
        (&day_end, "24:00", text(), "24:00:00"),
        (&day_end, "24:00", field(time.clone()), "cast.extreme"),
        (&day_end, "", marked(time.clone(), "24:00"), "cast.extreme"),
        (&nan(decimal.clone()).unwrap(), "NaN", text(), "NaN"),
        (&nan(decimal.clone()).unwrap(), "NaN", field(decimal.clone()), "cast.extreme"),
        (&nan(decimal.clone()).unwrap(), "NaN", marked(decimal, "other, NaN"), "NaN"),
        (
            &nan(DataType::Decimal128(5, 2)).unwrap(),
            "NaN",
            marked(DataType::Decimal256(50, 9), "NaN"),
            "NaN",
        ),
        (&nan(DataType::Decimal128(5, 2)).unwrap(), "NaN", field(DataType::Int64), "cast.extreme"),
    ];
    for (column, words, to, expected) in table {
        let from = marked(column.data_type().clone(), words);
        let (values, dirty) = cast_in(from, to.clone(), column.clone(), &exact());
        let got = match dirty.first() {
            Some((_, code)) => code.clone(),
            None => values[0].clone().unwrap_or_default(),
        };
        assert_eq!(got, expected, "{} to {to}", column.data_type());
    }
    for (word, to, expected) in [
        ("infinity", marked(micros(Some("UTC")), "infinity"), "infinity"),
        ("-Infinity", marked(DataType::Date32, "infinity"), "-infinity"),
        ("24:00", marked(time, "24:00"), "24:00:00"),
        ("NaN", marked(DataType::Decimal256(50, 2), "NaN"), "NaN"),
    ] {
        assert_eq!(one(word, to.clone(), &exact()), expected);
        assert_eq!(one(word, to, &settings(Casts::DataX)), expected);
    }
}

#[test]
fn extremes_among_elements() {
    let dates = ListArray::from_iter_primitive::<Date32Type, _, _>([
        Some([Some(1)]),
        Some([Some(i32::MAX)]),
    ]);
    let list = |item: Field| field(DataType::List(Arc::new(item.with_name("item"))));
    let column: ArrayRef = Arc::new(dates);
    let plain = || list(field(DataType::Date32));
    let known = || list(marked(DataType::Date32, "infinity"));
    for (from, to, bad) in
        [(known(), known(), 0), (known(), plain(), 1), (plain(), known(), 1), (plain(), plain(), 0)]
    {
        let column = relabeled(&column, from.data_type()).unwrap();
        let (_, dirty) = cast_in(from, to, column, &exact());
        assert_eq!(dirty, codes(&[(1, "cast.extreme")][..bad]));
    }
}
