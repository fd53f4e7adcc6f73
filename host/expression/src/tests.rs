//! Tables: each operator and function with nulls and edges, over the same four rows.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array, make_array,
};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_schema::{DataType, Field, TimeUnit};
use domain::Result;

use super::{Casts, Expression, FUNCTIONS};

mod functions;
mod operators;
mod refused;

/// Arrow's casts; the job's zone is UTC.
struct Plain;

impl Casts for Plain {
    fn has(&self, from: &Field, to: &DataType) -> bool {
        can_cast_types(from.data_type(), to)
    }

    fn cast(
        &self,
        _: &Field,
        to: &DataType,
        column: &ArrayRef,
    ) -> Result<(ArrayRef, Vec<(usize, String)>)> {
        let options = CastOptions { safe: true, format_options: FormatOptions::new() };
        let cast = cast_with_options(column, to, &options).unwrap();
        let lost = (0..cast.len()).filter(|row| column.is_valid(*row) && cast.is_null(*row));
        let lost = lost.map(|row| (row, "no counterpart".to_owned())).collect();
        Ok((cast, lost))
    }

    fn local(&self, instants: &ArrayRef) -> Result<ArrayRef> {
        let kind = DataType::Timestamp(TimeUnit::Microsecond, None);
        Ok(make_array(instants.to_data().into_builder().data_type(kind).build().unwrap()))
    }
}

/// The second row is null throughout.
fn rows() -> RecordBatch {
    let decimals = Decimal128Array::from(vec![Some(150), None, Some(-225), Some(9_999_999_999)]);
    let instants = [Some(0), None, Some(-1), Some(1_709_210_096_789_012)];
    let days = [Some(0), None, Some(-1), Some(19_782)];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int64Array::from(vec![Some(1), None, Some(-7), Some(i64::MAX)]))),
        ("u", Arc::new(UInt64Array::from(vec![Some(1), None, Some(7), Some(u64::MAX)]))),
        ("d", Arc::new(decimals.with_precision_and_scale(10, 2).unwrap())),
        ("f", Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-0.0), Some(f64::NAN)]))),
        ("t", Arc::new(StringArray::from(vec![Some("Ada"), None, Some(" x "), Some("")]))),
        ("w", Arc::new(StringArray::from(vec![Some("Grüße"), None, Some("日本語"), Some("a_b%")]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]))),
        ("n", Arc::new(StringArray::from(vec![Some("12"), None, Some("-3"), Some("x")]))),
        ("day", Arc::new(Date32Array::from(days.to_vec()))),
        ("ts", Arc::new(TimestampMicrosecondArray::from(instants.to_vec()))),
        ("at", Arc::new(TimestampMicrosecondArray::from(instants.to_vec()).with_timezone("UTC"))),
        (
            "j",
            Arc::new(StringArray::from(vec![
                Some(r#"{"a":{"b":[1,"x",12345678901234567890.10]},"e":null}"#),
                None,
                Some("[]"),
                Some("{"),
            ])),
        ),
        ("Mixed Case", Arc::new(Int64Array::from(vec![Some(5), None, Some(6), Some(7)]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

/// The values of an expression, one a row; a failure by the end of its code.
fn values(text: &str) -> String {
    let rows = rows();
    let compiled = match Expression::parse(text)
        .and_then(|parsed| parsed.compile(&rows.schema(), None, &Plain))
    {
        Ok(compiled) => compiled,
        Err(fault) => return format!("{}: {}", fault.code, fault.message),
    };
    let done = compiled.evaluate(&rows, &Plain).unwrap();
    assert_eq!(done.column.data_type(), compiled.data_type(), "{text}");
    let options = FormatOptions::new().with_null("null");
    let shown = ArrayFormatter::try_new(done.column.as_ref(), &options).unwrap();
    let value = |row: usize| match done.failures.iter().find(|failure| failure.row == row) {
        Some(failure) => {
            assert!(done.column.is_null(row), "{text}: a failure has no value");
            format!("!{}", failure.code.rsplit('.').next().unwrap())
        }
        None => shown.value(row).to_string(),
    };
    (0..rows.num_rows()).map(value).collect::<Vec<_>>().join(" | ")
}

fn check(table: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (text, expected) in table {
        let got = values(text);
        if got != *expected {
            wrong += &format!("        ({text:?}, {got:?}),\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A row for each function.
fn documented() -> String {
    let mut text = String::from("| Function | Gives |\n|-|-|\n");
    for function in FUNCTIONS {
        let aliases: Vec<_> = function.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let also = match aliases.is_empty() {
            true => String::new(),
            false => format!(" (also {})", aliases.join(", ")),
        };
        let (name, arguments, about) = (function.name, function.arguments, function.about);
        let about = about.replace('|', "\\|");
        text += &format!("| `{name}({arguments})`{also} | {about} |\n");
    }
    text
}

#[test]
fn each_function_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../TRANSFORMS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let start = text.find("| Function | Gives |\n").unwrap();
    let end = start + text[start..].find("\n\n").map_or(text.len() - start, |end| end + 1);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let new = format!("{}{}{}", &text[..start], documented(), &text[end..]);
        std::fs::write(path, new).unwrap();
        return;
    }
    assert_eq!(text[start..end], documented());
}

#[test]
fn size_and_depth_have_bounds() {
    let refused = |text: &str| Expression::parse(text).unwrap_err().code;
    assert_eq!(refused(&format!("{}i{}", "(".repeat(5_000), ")".repeat(5_000))), "expression.size");
    assert!(refused(&format!("{}b", "NOT ".repeat(1_500))).starts_with("expression."));
    assert_eq!(refused(&vec!["i"; 5_000].join(" + ")), "expression.size");
    assert_eq!(refused(&format!("'{}'", "x".repeat(1 << 17))), "expression.size");
    let long = vec!["i = 1"; 400].join(" OR ");
    assert_eq!(values(&long), "true | null | false | false");
}
