//! `dx_filter`: drops the records whose value meets a condition. NULL goes by rules of its own.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field};
use domain::job::{Comparison, Condition};
use domain::{Fault, Result};
use regex::Regex;

use super::{Misfit, kind_word};
use crate::mapping::{Kind, Values};

/// A condition made ready for a column's type.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    test: Test,
    kind: Kind,
    /// Whether a record with NULL is dropped.
    drops_null: bool,
}

#[derive(Clone, Debug)]
enum Test {
    Like { pattern: Regex, negated: bool },
    Compare(Comparison, Operand),
}

#[derive(Clone, Debug)]
enum Operand {
    Long(i64),
    Double(f64),
    Text(String),
    /// Differs from every value.
    Null,
}

impl Filter {
    /// # Errors
    /// `transform.pattern`: no regular expression; `transform.value`: the value is not of the kind.
    pub(super) fn new(condition: &Condition, kind: Kind) -> Result<Self> {
        let like = |pattern, negated| Ok(Test::Like { pattern: compiled(pattern)?, negated });
        let (test, drops_null) = match condition {
            Condition::Like(pattern) => (like(pattern, false)?, false),
            Condition::NotLike(pattern) => (like(pattern, true)?, true),
            Condition::Compare(comparison, value) => {
                let null = value.eq_ignore_ascii_case("null");
                let drops_null = match comparison {
                    Comparison::Equal => null,
                    Comparison::NotEqual => !null,
                    _ => false,
                };
                let operand = operand(*comparison, value, kind)?;
                (Test::Compare(*comparison, operand), drops_null)
            }
        };
        Ok(Self { test, kind, drops_null })
    }

    /// The rows to drop, and those that cannot be judged.
    pub(super) fn apply(
        &self,
        field: &Field,
        column: &ArrayRef,
        values: &Values,
    ) -> Result<(Vec<usize>, Vec<Misfit>)> {
        let seen_as = match &self.test {
            Test::Compare(_, Operand::Long(_)) => DataType::Int64,
            Test::Compare(_, Operand::Double(_)) => DataType::Float64,
            Test::Compare(_, Operand::Text(_)) | Test::Like { .. } => DataType::Utf8,
            Test::Compare(_, Operand::Null) => return Ok((self.by_null(column), Vec::new())),
        };
        let (seen, unread) = values.read(field, &seen_as, column)?;
        let mut is_unread = unread.iter().copied().peekable();
        let mut drops = Vec::new();
        for row in 0..seen.len() {
            if is_unread.next_if_eq(&row).is_some() {
                continue;
            }
            let meets = if seen.is_null(row) { self.drops_null } else { self.meets(&seen, row) };
            if meets {
                drops.push(row);
            }
        }
        let word = if seen_as == DataType::Utf8 { "text" } else { kind_word(self.kind) };
        Ok((drops, unread.into_iter().map(|row| Misfit::unread(row, word)).collect()))
    }

    /// A comparison with NULL itself.
    fn by_null(&self, column: &ArrayRef) -> Vec<usize> {
        let nulls = column.logical_nulls();
        let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        (0..column.len()).filter(|row| is_null(*row) == self.drops_null).collect()
    }

    fn meets(&self, seen: &ArrayRef, row: usize) -> bool {
        match &self.test {
            Test::Like { pattern, negated } => {
                pattern.is_match(seen.as_string::<i32>().value(row)) != *negated
            }
            Test::Compare(comparison, operand) => comparison.holds(match operand {
                Operand::Long(than) => {
                    seen.as_primitive::<Int64Type>().value(row).partial_cmp(than)
                }
                Operand::Double(than) => {
                    seen.as_primitive::<Float64Type>().value(row).partial_cmp(than)
                }
                Operand::Text(than) => Some({
                    let text = seen.as_string::<i32>().value(row);
                    // Java compares UTF-16 units.
                    text.encode_utf16().cmp(than.encode_utf16())
                }),
                Operand::Null => None,
            }),
        }
    }
}

pub(super) fn compiled(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|_| {
        Fault::user("transform.pattern", "the value is no regular expression that can be used here")
    })
}

/// The value to compare with, as DataX reads it for a column of the kind.
fn operand(comparison: Comparison, value: &str, kind: Kind) -> Result<Operand> {
    let tests_null = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    let read = match kind {
        Kind::Text | Kind::Bool | Kind::Bytes => return Ok(Operand::Text(value.to_owned())),
        _ if tests_null && value.eq_ignore_ascii_case("null") => return Ok(Operand::Null),
        Kind::Long | Kind::Date => value.parse().ok().map(Operand::Long),
        Kind::Double => {
            let number = value.trim().parse().ok().filter(|number: &f64| number.is_finite());
            number.map(Operand::Double)
        }
    };
    read.ok_or_else(|| {
        let (word, hint) = match kind {
            Kind::Date => ("date", "write a date as milliseconds since 1970-01-01 in UTC"),
            Kind::Long => ("whole number", "write a whole number"),
            _ => ("number", "write a number"),
        };
        let message = format!("\"{value}\" cannot be compared with a {word}");
        Fault::user("transform.value", message).hint(hint)
    })
}
