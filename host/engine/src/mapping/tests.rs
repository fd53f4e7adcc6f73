use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int32Type};
use arrow_array::{Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow_schema::Schema;

use super::*;

fn dataset(fields: Vec<Field>) -> Dataset {
    Dataset {
        path: vec!["t".into()],
        schema: Arc::new(Schema::new(fields)),
        primary_key: Vec::new(),
        metadata: Vec::new(),
    }
}

fn field(kind: DataType) -> Field {
    Field::new("c", kind, true)
}

/// Casts one column, and answers the mapped column and the dirty rows with their codes.
fn check(column: ArrayRef, to: Field, casts: Casts) -> (ArrayRef, Vec<(usize, String)>) {
    let from = dataset(vec![field(column.data_type().clone())]);
    let mapping = Mapping::new(std::slice::from_ref(&from), &[dataset(vec![to])], casts).unwrap();
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
    assert_eq!(dirty, codes(&[(2, "cast.no_value"), (1, "cast.changed")]));
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
    assert_eq!(Mapping::new(from, to, Casts::Exact).unwrap_err().code, "mapping.lossy_cast");
    assert!(Mapping::new(from, to, Casts::DataX).is_ok());
    let (column, dirty) =
        check(Arc::new(Float64Array::from(vec![1.9])), field(DataType::Int64), Casts::DataX);
    assert!(dirty.is_empty());
    assert_eq!(column.as_primitive::<arrow_array::types::Int64Type>().values(), &[1]);
}

#[test]
fn counts_of_columns_must_be_equal() {
    let one = dataset(vec![field(DataType::Utf8)]);
    let two = dataset(vec![field(DataType::Utf8), Field::new("d", DataType::Utf8, true)]);
    let fault = Mapping::new(&[one], &[two], Casts::Exact).unwrap_err();
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
    ];
    for (from, to, cast) in table {
        assert_eq!(judge(&field(from.clone()), &field(to.clone())), cast, "{from} to {to}");
    }
}

#[test]
fn infinity_is_dirty_where_the_destination_has_none() {
    let kind = DataType::Timestamp(TimeUnit::Microsecond, None);
    let mark =
        std::collections::HashMap::from([("airlock:extremes".to_owned(), "infinity".to_owned())]);
    let key = |field: Field| field.with_metadata(mark.clone());
    let from = dataset(vec![key(field(kind.clone()))]);
    let values = TimestampMicrosecondArray::from(vec![Some(1), Some(i64::MAX), None]);
    let rows = RecordBatch::try_new(from.schema.clone(), vec![Arc::new(values)]).unwrap();
    for (to, expected) in [(field(kind.clone()), 1), (key(field(kind)), 0)] {
        let mapping =
            Mapping::new(std::slice::from_ref(&from), &[dataset(vec![to])], Casts::Exact).unwrap();
        let mapped = mapping.apply(Batch::new(0, rows.clone())).unwrap();
        assert_eq!(mapped.dirty.len(), expected);
        assert_eq!(mapped.batch.len(), 3 - expected);
    }
}
