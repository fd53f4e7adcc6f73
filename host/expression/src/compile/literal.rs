//! Literals, and patterns that are some.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray, new_null_array,
};
use arrow_schema::DataType;
use domain::Result;
use sqlparser::ast::Value as Literal;

use super::mismatch;
use crate::functions;
use crate::node::Node;
use crate::types;

/// A pattern of `LIKE` whose escape is the backslash.
pub(super) fn escaped(pattern: &Node, escape: &Node) -> Result<Node> {
    let texts = (functions::constant_text(pattern), functions::constant_text(escape));
    let (Some(pattern), Some(escape)) = texts else {
        return Err(mismatch("ESCAPE needs a pattern that is a literal"));
    };
    let mut escapes = escape.chars();
    let (Some(escape), None) = (escapes.next(), escapes.next()) else {
        return Err(mismatch("ESCAPE takes one character"));
    };
    let mut made = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        match char {
            _ if char == escape => match chars.next() {
                Some(next) => made.extend(['\\', next]),
                None => return Err(mismatch("nothing follows the escape at the pattern's end")),
            },
            '\\' => made.push_str("\\\\"),
            other => made.push(other),
        }
    }
    Ok(Node::literal(Arc::new(StringArray::from(vec![made]))))
}

pub(super) fn literal(value: &Literal) -> Option<Node> {
    let array: ArrayRef = match value {
        Literal::Null => new_null_array(&DataType::Null, 1),
        Literal::Boolean(value) => Arc::new(BooleanArray::from(vec![*value])),
        Literal::SingleQuotedString(text)
        | Literal::EscapedStringLiteral(text)
        | Literal::UnicodeStringLiteral(text)
        | Literal::NationalStringLiteral(text) => Arc::new(StringArray::from(vec![text.as_str()])),
        Literal::DollarQuotedString(text) => Arc::new(StringArray::from(vec![text.value.as_str()])),
        Literal::Number(digits, false) => return number(digits),
        _ => return None,
    };
    Some(Node::literal(array))
}

/// A number behind a minus; the least one has no counterpart that could be negated.
pub(super) fn negative(value: &Literal) -> Option<Node> {
    match value {
        Literal::Number(digits, false) => number(&format!("-{digits}")),
        _ => None,
    }
}

/// `12` is a whole number, `1.5` a decimal, `1e3` a floating point number.
fn number(text: &str) -> Option<Node> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(Node::literal(Arc::new(Int64Array::from(vec![number]))));
    }
    if text.contains(['e', 'E']) {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
        return Some(Node::literal(Arc::new(Float64Array::from(vec![number]))));
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (before, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let before = before.trim_start_matches('0');
    let digits = format!("{before}{behind}");
    let precision = u8::try_from(digits.len().max(1)).ok();
    let precision = precision.filter(|precision| *precision <= types::PRECISION_MAX)?;
    let number = if digits.is_empty() { 0 } else { digits.parse::<i128>().ok()? };
    let array = Decimal128Array::from(vec![sign * number]);
    let array = array.with_precision_and_scale(precision, behind.len() as i8).ok()?;
    Some(Node::literal(Arc::new(array)))
}
