use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::types::Int32Type;

use super::*;
use crate::decode::Decoder;
use crate::types::TypeFacts;

fn pg(kind: Kind) -> PgType {
    PgType { kind, name: "x".to_owned(), limit: Limit::None }
}

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let names = (0..).map(|index| format!("c{index}"));
    RecordBatch::try_from_iter_with_nullable(names.zip(columns).map(|(n, a)| (n, a, true))).unwrap()
}

#[test]
fn what_is_written_reads_back() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let decimals = Decimal128Array::from(vec![Some(-12345), Some(9_999_999_999), None]);
    let rows = batch(vec![
        Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(0)])),
        Arc::new(StringArray::from(vec![Some(""), Some("é"), None])),
        Arc::new(Date32Array::from(vec![i32::MAX, i32::MIN + EPOCH_DAYS + 1, -719_163])),
        Arc::new(list),
        Arc::new(decimals.with_precision_and_scale(10, 2).unwrap()),
    ]);
    let kinds = [
        Kind::Int8,
        Kind::Text,
        Kind::Date,
        Kind::Array(Box::new(Kind::Int4), 23),
        Kind::Numeric { precision: 10, scale: 2 },
    ];
    let types: Vec<_> = kinds.iter().cloned().map(pg).collect();
    let encoded = encode(&rows, &types, Form::Binary, false).unwrap();
    assert_eq!(encoded.lines, [0, 1, 2]);
    let mut decoder = Decoder::new(rows.schema(), &kinds, String::new());
    decoder.feed(&encoded.bytes).unwrap();
    decoder.finish().unwrap();
    assert_eq!(decoder.batch().unwrap().0, rows);
}

#[test]
fn texts_are_lines_of_a_copy() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let rows = batch(vec![
        Arc::new(StringArray::from(vec![Some("1 day\\"), None])),
        Arc::new(list),
        Arc::new(BooleanArray::from(vec![true, false])),
    ]);
    let kinds = [Kind::Opaque, Kind::Array(Box::new(Kind::Int4), 23), Kind::Bool];
    let types: Vec<_> = kinds.into_iter().map(pg).collect();
    assert_eq!(Form::of(&types), Form::Text);
    let encoded = encode(&rows, &types, Form::Text, false).unwrap();
    assert_eq!(encoded.bytes, b"1 day\\\\\t{\"1\",NULL}\tt\n\\N\t\\N\tf\n");
}

#[test]
fn refused_rows_leave_the_lines_of_the_others() {
    let varchar = PgType::of(&TypeFacts {
        oid: 1043,
        typmod: 6,
        name: "varchar(2)".into(),
        element: 0,
        dimensions: 0,
    });
    let rows = batch(vec![Arc::new(StringArray::from(vec!["ab", "abc", "äö", "  "]))]);
    let encoded = encode(&rows, &[varchar], Form::Binary, false).unwrap();
    assert_eq!(encoded.lines, [0, 2, 3]);
    assert_eq!(encoded.refusals.len(), 1);
    assert_eq!((encoded.refusals[0].row, encoded.refusals[0].column), (1, 0));
}

#[test]
fn a_batch_of_other_types_is_refused() {
    let rows = batch(vec![Arc::new(Int64Array::from(vec![1]))]);
    let wrong = |types: &[PgType]| encode(&rows, types, Form::Binary, false).err().map(|f| f.code);
    assert_eq!(wrong(&[pg(Kind::Int4)]).as_deref(), Some("postgresql.batch"));
    assert_eq!(wrong(&[]).as_deref(), Some("postgresql.batch"));
    assert_eq!(wrong(&[pg(Kind::Int8)]), None);
}
