use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::types::Int32Type;

use super::*;
use crate::Decoder;
use crate::postgresql::decode::{CopyDecoder, CopyDecoding, SIGNATURE};

fn column(kind: Kind) -> CopyColumn {
    CopyColumn { kind, limit: Limit::None, is_array: false }
}

fn encode(
    rows: &RecordBatch,
    columns: &[CopyColumn],
    form: Form,
) -> Result<(Vec<u8>, Vec<Refused>)> {
    let how = CopyEncoding { form, columns: columns.to_vec(), empty_as_null: false };
    let mut out = Vec::new();
    let refused = CopyEncoder::new(how, &rows.schema())?.encode(rows, &mut out)?;
    Ok((out, refused))
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
    let columns: Vec<_> = kinds.iter().cloned().map(column).collect();
    let (bytes, refused) = encode(&rows, &columns, Form::Binary).unwrap();
    assert_eq!(refused, []);
    let how = CopyDecoding { kinds: kinds.to_vec() };
    let mut decoder = CopyDecoder::new(&how, rows.schema()).unwrap();
    let body = [SIGNATURE.as_slice(), &[0; 8], &bytes, &(-1_i16).to_be_bytes()].concat();
    let head = [b"d".as_slice(), &(body.len() as u32 + 4).to_be_bytes()].concat();
    let budget = crate::Budget { rows: 1000, bytes: 1 << 20 };
    let decoded = decoder.decode(&[head, body].concat(), true, budget).unwrap();
    assert_eq!(decoded.rows, rows);
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
    assert_eq!(Form::of(&kinds), Form::Text);
    let columns: Vec<_> = kinds.into_iter().map(column).collect();
    let (bytes, _) = encode(&rows, &columns, Form::Text).unwrap();
    assert_eq!(bytes, b"1 day\\\\\t{\"1\",NULL}\tt\n\\N\t\\N\tf\n");
}

#[test]
fn refused_rows_leave_the_lines_of_the_others() {
    let varchar = CopyColumn { limit: Limit::Characters(2), ..column(Kind::Text) };
    let rows = batch(vec![Arc::new(StringArray::from(vec!["ab", "abc", "äö", "  "]))]);
    let (bytes, refused) = encode(&rows, &[varchar], Form::Text).unwrap();
    assert_eq!(bytes, "ab\näö\n  \n".as_bytes());
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].row, refused[0].column), (1, 0));
}

#[test]
fn a_batch_of_other_types_is_refused() {
    let rows = batch(vec![Arc::new(Int64Array::from(vec![1]))]);
    let wrong = |columns: &[CopyColumn]| encode(&rows, columns, Form::Binary).err().map(|f| f.code);
    assert_eq!(wrong(&[column(Kind::Int4)]), Some("postgresql.batch"));
    assert_eq!(wrong(&[]), Some("postgresql.batch"));
    assert_eq!(wrong(&[column(Kind::Int8)]), None);
}
