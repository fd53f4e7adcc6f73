use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use sdk::Side;

use super::*;

fn step(kind: &str, parameter: &str) -> Result<Step> {
    Step::connect(&Configuration {
        source_type: kind.into(),
        side: Side::Transformer,
        connection: "{}".into(),
        parameter: parameter.into(),
    })
}

/// Rows of `id` and `text`, and the dataset that they are of.
fn rows(texts: &[Option<&str>]) -> (Dataset, Batch) {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=texts.len() as i64));
    let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let rows =
        RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("text", texts, true)]);
    let rows = rows.unwrap();
    let fields =
        rows.schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
    let dataset = Dataset { primary_key: vec!["id".into()], ..Dataset::new(["t"], fields) };
    (dataset, Batch::inserts(rows))
}

fn redacted(parameter: &str, text: &str) -> String {
    let (dataset, batch) = rows(&[Some(text), None]);
    let mut step = step("redact", parameter).unwrap();
    assert_eq!(step.open(vec![dataset.clone()]).unwrap(), [dataset]);
    let made = step.apply(&batch).unwrap();
    assert_eq!((made.origins, made.taken), (vec![0, 1], 2));
    let column = made.rows.rows.column(1).as_string::<i32>().clone();
    assert!(arrow_array::Array::is_null(&column, 1));
    column.value(0).to_owned()
}

#[test]
fn what_tells_who_somebody_is_is_covered() {
    for (text, covered) in [
        ("write to ann.b+c@mail.example.co.uk, please", "write to [email], please"),
        ("a@b is none, nor @home", "a@b is none, nor @home"),
        ("汉字ann@example.com汉字", "汉字[email]汉字"),
        ("card 4111 1111 1111 1111.", "card [card]."),
        ("4111-1111-1111-1111 and 378282246310005", "[card] and [card]"),
        ("on 2025-01-31 4111111111111111 paid", "on 2025-01-31 [card] paid"),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("1234567812345670", "1234567812345670"),
        ("id 41111111111111114111111111111111", "id 41111111111111114111111111111111"),
        ("call +49 (30) 1234-5678 now", "call [phone] now"),
        ("call 13812345678 or (212) 555-0100", "call [phone] or [phone]"),
        ("212-555-0100", "[phone]"),
        ("1381234567890", "1381234567890"),
        ("on 2025-01-31 at 10:00:00", "on 2025-01-31 at 10:00:00"),
        ("", ""),
    ] {
        assert_eq!(redacted("{}", text), covered);
    }
}

#[test]
fn only_what_is_asked_for_is_covered() {
    let text = "ann@example.com 13812345678 4111111111111111";
    assert_eq!(
        redacted(r#"{"find": ["email"], "with": "$0"}"#, text),
        "$0 13812345678 4111111111111111"
    );
    assert_eq!(redacted(r#"{"column": ["text"], "with": ""}"#, text), "  ");
    let fault = |parameter: &str| {
        let mut step = step("redact", parameter).unwrap();
        step.open(vec![rows(&[]).0]).unwrap_err()
    };
    let missing = fault(r#"{"column": ["text", "txt"]}"#);
    assert_eq!(
        (missing.code.as_str(), missing.place.as_deref()),
        ("texts.column", Some("/parameter/column/1"))
    );
    assert_eq!(fault(r#"{"column": ["id"]}"#).code, "texts.column_type");
    assert!(step("redact", r#"{"find": ["iban"]}"#).is_err());
}

type Row = (i64, Option<String>, Option<i64>);

fn exploded(parameter: &str, texts: &[Option<&str>]) -> (Dataset, Vec<Row>) {
    let (dataset, batch) = rows(texts);
    let mut step = step("explode", parameter).unwrap();
    let mut behind = step.open(vec![dataset]).unwrap();
    let made = step.apply(&batch).unwrap();
    assert_eq!(made.taken as usize, texts.len());
    assert_eq!(made.rows.rows.schema(), behind[0].schema);
    let columns = made.rows.rows.columns();
    let (ids, texts) = (columns[0].as_primitive::<Int64Type>(), columns[1].as_string::<i32>());
    assert!(
        made.origins.iter().zip(ids.values()).all(|(origin, id)| i64::from(*origin) + 1 == *id)
    );
    let number = |row: usize| columns.get(2).map(|it| it.as_primitive::<Int64Type>().value(row));
    let rows = texts.iter().enumerate();
    let rows = rows.map(|(row, text)| (ids.value(row), text.map(str::to_owned), number(row)));
    (behind.remove(0), rows.collect())
}

#[test]
fn each_part_becomes_a_record() {
    let text = |text: &str| Some(text.to_owned());
    let texts = [Some("a, b,,c"), None, Some(""), Some("d")];
    let (behind, rows) = exploded(r#"{"column": "text", "number": "no", "trim": true}"#, &texts);
    assert_eq!(behind.primary_key, ["id", "no"]);
    let wanted = [
        (1, text("a"), Some(1)),
        (1, text("b"), Some(2)),
        (1, text(""), Some(3)),
        (1, text("c"), Some(4)),
        (2, None, Some(1)),
        (3, text(""), Some(1)),
        (4, text("d"), Some(1)),
    ];
    assert_eq!(rows, wanted);
    let (behind, rows) =
        exploded(r#"{"column": "text", "delimiter": ", ", "dropNull": true}"#, &texts);
    assert!(behind.primary_key.is_empty());
    assert_eq!(rows[..2], [(1, text("a"), None), (1, text("b,,c"), None)]);
    assert!(rows.iter().all(|(id, _, _)| *id != 2));
}

#[test]
fn an_answer_is_no_larger_than_a_batch_should_be() {
    let many = ",".repeat(300_000);
    let (dataset, batch) = rows(&[Some("a"), Some(&many), Some("b"), Some("c")]);
    let mut step = step("explode", r#"{"column": "text"}"#).unwrap();
    step.open(vec![dataset]).unwrap();
    let first = step.apply(&batch).unwrap();
    assert_eq!((first.taken, first.origins.len()), (2, 300_002));
    let rest = Batch::inserts(batch.rows.slice(2, 2));
    assert_eq!(step.apply(&rest).unwrap().taken, 2);
}

#[test]
fn a_record_of_too_many_parts_is_refused() {
    let many = ",".repeat(500_000);
    let (dataset, batch) = rows(&[Some(&many), Some("a,b")]);
    let mut step = step("explode", r#"{"column": "text"}"#).unwrap();
    step.open(vec![dataset]).unwrap();
    let made = step.apply(&batch).unwrap();
    assert_eq!((made.taken, made.origins), (2, vec![1, 1]));
    assert_eq!((made.refused.len(), made.refused[0].column), (1, Some(1)));
}

#[test]
fn a_number_needs_a_name_of_its_own() {
    let mut step = step("explode", r#"{"column": "text", "number": "id"}"#).unwrap();
    let fault = step.open(vec![rows(&[]).0]).unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.place.as_deref()),
        ("explode.number", Some("/parameter/number"))
    );
}
