//! Numbers: an operation that has no result fails in its row alone.

use std::sync::Arc;

use arrow_arith::numeric;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Datum, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, i256};
use arrow_schema::{ArrowError, DataType};
use domain::{Fault, Result};

use crate::Failure;
use crate::node::{Value, joined};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

const OVERFLOW: &str = "expression.overflow";

/// Values of a type with such numbers, row by row: what is `Err` fails and is null.
pub(crate) fn each<T: ArrowPrimitiveType>(
    rows: usize,
    is_null: impl Fn(usize) -> bool,
    mut compute: impl FnMut(usize) -> Result<T::Native, (&'static str, String)>,
) -> (PrimitiveArray<T>, Vec<Failure>) {
    let (mut values, mut valid) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut failures = Vec::new();
    for row in 0..rows {
        let computed = if is_null(row) { None } else { Some(compute(row)) };
        let value = match computed {
            None => None,
            Some(Ok(value)) => Some(value),
            Some(Err((code, message))) => {
                failures.push(Failure { row, code, message });
                None
            }
        };
        valid.push(value.is_some());
        values.push(value.unwrap_or_default());
    }
    let nulls = NullBuffer::new(BooleanBuffer::from(valid));
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    (PrimitiveArray::new(values.into(), nulls), failures)
}

/// An operation on numbers of one type, or on a date and days.
pub(crate) fn binary(
    operator: Operator,
    left: &Value,
    right: &Value,
    kind: &DataType,
    rows: usize,
) -> Result<Value> {
    let before = joined(left.failures.clone(), right.failures.clone());
    let (array, failures) = match (left.array.data_type(), kind) {
        (DataType::Int64, _) => integers(operator, left, right, rows),
        (DataType::Float64, _) => floats(operator, left, right, rows),
        (DataType::Decimal128(..), DataType::Decimal128(precision, scale)) => {
            decimals(operator, left, right, (*precision, *scale), rows)
        }
        (DataType::Date32, _) => days(operator, left, right, rows),
        (other, _) => {
            return Err(Fault::internal(
                "expression.arithmetic",
                format!("there is none of {other}"),
            ));
        }
    };
    Ok(Value::column(array, joined(before, failures)))
}

type Done = (ArrayRef, Vec<Failure>);

/// The kernel's answer where nothing overflows, which is nearly always.
fn by_kernel(operator: Operator, left: &Value, right: &Value) -> Result<ArrayRef, ArrowError> {
    let kernel: fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError> = match operator {
        Operator::Add => numeric::add,
        Operator::Subtract => numeric::sub,
        Operator::Multiply => numeric::mul,
        Operator::Divide => numeric::div,
        Operator::Remainder => numeric::rem,
    };
    kernel(left, right)
}

/// The numbers of both sides, by row.
struct Pair<'a, T: ArrowPrimitiveType> {
    left: &'a Value,
    right: &'a Value,
    lefts: &'a PrimitiveArray<T>,
    rights: &'a PrimitiveArray<T>,
}

impl<'a, T: ArrowPrimitiveType> Pair<'a, T> {
    fn of(left: &'a Value, right: &'a Value) -> Self {
        let (lefts, rights) = (left.array.as_primitive(), right.array.as_primitive());
        Self { left, right, lefts, rights }
    }

    fn is_null(&self, row: usize) -> bool {
        self.left.is_null(row) || self.right.is_null(row)
    }

    fn at(&self, row: usize) -> (T::Native, T::Native) {
        (self.lefts.value(self.left.index(row)), self.rights.value(self.right.index(row)))
    }
}

fn division_by_zero() -> (&'static str, String) {
    ("expression.division_by_zero", "a division by zero has no result".to_owned())
}

fn overflow(kind: &str) -> (&'static str, String) {
    (OVERFLOW, format!("the result does not fit into {kind}"))
}

fn integers(operator: Operator, left: &Value, right: &Value, rows: usize) -> Done {
    if !left.scalar
        && let Ok(array) = by_kernel(operator, left, right)
    {
        return (array, Vec::new());
    }
    let pair = Pair::<Int64Type>::of(left, right);
    let (array, failures) = each::<Int64Type>(
        rows,
        |row| pair.is_null(row),
        |row| {
            let (a, b) = pair.at(row);
            let result = match operator {
                Operator::Add => a.checked_add(b),
                Operator::Subtract => a.checked_sub(b),
                Operator::Multiply => a.checked_mul(b),
                Operator::Divide | Operator::Remainder if b == 0 => return Err(division_by_zero()),
                Operator::Divide => a.checked_div(b),
                // The least number by -1 leaves nothing.
                Operator::Remainder => Some(a.wrapping_rem(b)),
            };
            result.ok_or_else(|| overflow("64 bits"))
        },
    );
    (Arc::new(array), failures)
}

fn floats(operator: Operator, left: &Value, right: &Value, rows: usize) -> Done {
    let divides = matches!(operator, Operator::Divide | Operator::Remainder);
    if !left.scalar
        && !divides
        && let Ok(array) = by_kernel(operator, left, right)
    {
        return (array, Vec::new());
    }
    let pair = Pair::<Float64Type>::of(left, right);
    let (array, failures) = each::<Float64Type>(
        rows,
        |row| pair.is_null(row),
        |row| {
            let (a, b) = pair.at(row);
            Ok(match operator {
                Operator::Add => a + b,
                Operator::Subtract => a - b,
                Operator::Multiply => a * b,
                Operator::Divide | Operator::Remainder if b == 0.0 => {
                    return Err(division_by_zero());
                }
                Operator::Divide => a / b,
                Operator::Remainder => a % b,
            })
        },
    );
    (Arc::new(array), failures)
}

fn scale_of(value: &Value) -> i8 {
    match value.array.data_type() {
        DataType::Decimal128(_, scale) => *scale,
        _ => 0,
    }
}

/// 10 to the power of `digits`, of which there are at most 76.
pub(crate) fn power(digits: i32) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::try_from(digits).ok()?)
}

/// `number` divided by 10 to the power of `digits`, rounded half away from zero.
pub(crate) fn rounded(number: i256, by: i256) -> Option<i256> {
    let quotient = number.checked_div(by)?;
    let rest = number.checked_sub(quotient.checked_mul(by)?)?;
    // Twice the rest reaches the divisor.
    let double = rest.checked_mul(i256::from_i128(2))?;
    let reaches = double.wrapping_abs() >= by.wrapping_abs();
    let sign = if (number < i256::ZERO) == (by < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
    if reaches { quotient.checked_add(sign) } else { Some(quotient) }
}

pub(crate) fn fit(number: Option<i256>, precision: u8) -> Option<i128> {
    let number = number?.to_i128()?;
    (number.unsigned_abs() < 10_u128.pow(u32::from(precision))).then_some(number)
}

fn decimals(
    operator: Operator,
    left: &Value,
    right: &Value,
    (precision, scale): (u8, i8),
    rows: usize,
) -> Done {
    let (s1, s2) = (i32::from(scale_of(left)), i32::from(scale_of(right)));
    let to = i32::from(scale);
    let finer = s1.max(s2);
    let pair = Pair::<Decimal128Type>::of(left, right);
    let widened = |number: i128, by: i32| i256::from_i128(number).checked_mul(power(by)?);
    let compute = |a: i128, b: i128| match operator {
        Operator::Add => widened(a, finer - s1)?.checked_add(widened(b, finer - s2)?),
        Operator::Subtract => widened(a, finer - s1)?.checked_sub(widened(b, finer - s2)?),
        Operator::Multiply => i256::from_i128(a).checked_mul(i256::from_i128(b)),
        Operator::Divide => rounded(widened(a, to + s2 - s1)?, i256::from_i128(b)),
        Operator::Remainder => widened(a, finer - s1)?.checked_rem(widened(b, finer - s2)?),
    };
    let divides = matches!(operator, Operator::Divide | Operator::Remainder);
    let (array, failures) = each::<Decimal128Type>(
        rows,
        |row| pair.is_null(row),
        |row| {
            let (a, b) = pair.at(row);
            if divides && b == 0 {
                return Err(division_by_zero());
            }
            let fast = small(operator, a, b, finer == s1 && finer == s2);
            let result = match fast {
                Some(result) => fit(Some(i256::from_i128(result)), precision),
                None => fit(compute(a, b), precision),
            };
            result.ok_or_else(|| overflow(&format!("decimal({precision}, {scale})")))
        },
    );
    (Arc::new(array.with_data_type(DataType::Decimal128(precision, scale))), failures)
}

/// The result where 128 bits do.
fn small(operator: Operator, a: i128, b: i128, same_scale: bool) -> Option<i128> {
    match operator {
        Operator::Add if same_scale => a.checked_add(b),
        Operator::Subtract if same_scale => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        _ => None,
    }
}

/// A date and days, or the days between two dates.
fn days(operator: Operator, left: &Value, right: &Value, rows: usize) -> Done {
    let dates = left.array.as_primitive::<Date32Type>();
    let is_null = |row| left.is_null(row) || right.is_null(row);
    let date = |row| i64::from(dates.value(left.index(row)));
    if right.array.data_type() == &DataType::Date32 {
        let others = right.array.as_primitive::<Date32Type>();
        let (array, failures) = each::<Int64Type>(rows, is_null, |row| {
            Ok(date(row) - i64::from(others.value(right.index(row))))
        });
        return (Arc::new(array), failures);
    }
    let days = right.array.as_primitive::<Int64Type>();
    let (array, failures) = each::<Date32Type>(rows, is_null, |row| {
        let days = days.value(right.index(row));
        let moved = match operator {
            Operator::Subtract => date(row).checked_sub(days),
            _ => date(row).checked_add(days),
        };
        moved.and_then(|day| i32::try_from(day).ok()).ok_or_else(|| overflow("a date"))
    });
    (Arc::new(array), failures)
}

pub(crate) fn negate(value: &Value) -> Result<Value> {
    if let Ok(array) = numeric::neg(&value.array) {
        return Ok(Value::column(array, value.failures.clone()));
    }
    // The least number has no counterpart.
    let numbers = value.array.as_primitive::<Int64Type>();
    let (array, failures) = each::<Int64Type>(
        numbers.len(),
        |row| numbers.is_null(row),
        |row| numbers.value(row).checked_neg().ok_or_else(|| overflow("64 bits")),
    );
    Ok(Value::column(Arc::new(array), joined(value.failures.clone(), failures)))
}
