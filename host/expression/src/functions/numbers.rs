//! Functions of numbers. A decimal stays one.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type};
use arrow_buffer::i256;
use arrow_schema::DataType;
use domain::{Fault, Result};

use super::calls::{Arguments, Call, Prepared};
use crate::arithmetic::{Operator, each, fit, power, rounded};
use crate::compile::{Compiler, mismatch};
use crate::node::{Node, Value, Work};
use crate::types::{self, Kind, kind};

/// The one argument as `Int64`, `Float64` or `Decimal128`.
fn number(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    let node = nodes.into_iter().next();
    let node = node.ok_or_else(|| Fault::internal("expression.call", "there is no argument"))?;
    match kind(&node.kind) {
        Kind::Integer if node.kind != DataType::UInt64 => compiler.convert(node, &DataType::Int64),
        Kind::Float => compiler.convert(node, &DataType::Float64),
        Kind::Integer | Kind::Decimal => {
            let (precision, scale) = types::as_decimal(&node.kind);
            let precision = precision.min(types::PRECISION_MAX);
            compiler.convert(node, &DataType::Decimal128(precision, scale))
        }
        _ => Ok(node),
    }
}

fn call(node: Node, kind: DataType, digits: i32, run: fn(&Arguments<'_>) -> Result<Value>) -> Node {
    let prepared = Prepared::Digits(digits);
    let call = Call { kind: kind.clone(), prepared, run };
    Node { kind, work: Work::Call(Box::new(call), vec![node]) }
}

pub(super) fn abs(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    let node = number(compiler, nodes)?;
    let kind = node.kind.clone();
    Ok(call(node, kind, 0, run_abs))
}

pub(super) fn round(compiler: &Compiler<'_>, mut nodes: Vec<Node>) -> Result<Node> {
    let digits = match nodes.len() {
        2 => nodes.pop(),
        _ => None,
    };
    let digits = match &digits {
        None => 0,
        Some(node) => {
            let literal = node.as_literal().and_then(|array| array.as_primitive_opt::<Int64Type>());
            let digits = literal.map(|array| array.value(0));
            let digits = digits.and_then(|digits| i32::try_from(digits).ok());
            digits.filter(|digits| (-38..=38).contains(digits)).ok_or_else(|| {
                mismatch(
                    "the digits of round must be a number from -38 to 38 that stands there itself",
                )
            })?
        }
    };
    rounded_to(compiler, number(compiler, nodes)?, digits)
}

/// Rounded to so many digits behind the point.
pub(super) fn rounded_to(compiler: &Compiler<'_>, node: Node, digits: i32) -> Result<Node> {
    let node = number(compiler, vec![node])?;
    let kind = match &node.kind {
        DataType::Decimal128(precision, scale) => {
            let before = i32::from(*precision) - i32::from(*scale);
            types::decimal(before + 1, digits.clamp(0, i32::from(*scale)) as i8)
        }
        other => other.clone(),
    };
    Ok(call(node, kind, digits, run_round))
}

pub(super) fn floor(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    whole(compiler, nodes, run_floor)
}

pub(super) fn ceil(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    whole(compiler, nodes, run_ceil)
}

fn whole(
    compiler: &Compiler<'_>,
    nodes: Vec<Node>,
    run: fn(&Arguments<'_>) -> Result<Value>,
) -> Result<Node> {
    let node = number(compiler, nodes)?;
    let kind = match &node.kind {
        DataType::Decimal128(precision, scale) => {
            types::decimal(i32::from(*precision) - i32::from(*scale) + 1, 0)
        }
        other => other.clone(),
    };
    Ok(call(node, kind, 0, run))
}

pub(super) fn modulo(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    let mut nodes = nodes.into_iter();
    match (nodes.next(), nodes.next()) {
        (Some(left), Some(right)) => compiler.arithmetic(Operator::Remainder, left, right),
        _ => Err(Fault::internal("expression.call", "an argument is missing")),
    }
}

/// By the kind of numbers: whole ones, floating ones, decimals with their scale.
fn by_kind(
    arguments: &Arguments<'_>,
    integer: impl Fn(i64) -> Option<i64>,
    float: impl Fn(f64) -> f64,
    decimal: impl Fn(i128, i32) -> Option<i256>,
) -> Result<Value> {
    let (array, rows) = (arguments.array(0), arguments.rows);
    let is_null = |row| arguments.is_null(row);
    let at = |row| arguments.values[0].index(row);
    let unfit = || ("expression.overflow", "the result does not fit into its type".to_owned());
    let (array, failures): (arrow_array::ArrayRef, _) =
        match (array.data_type(), &arguments.call.kind) {
            (DataType::Int64, _) => {
                let numbers = array.as_primitive::<Int64Type>();
                let compute = |row| integer(numbers.value(at(row))).ok_or_else(unfit);
                let (made, failures) = each::<Int64Type>(rows, is_null, compute);
                (Arc::new(made), failures)
            }
            (DataType::Float64, _) => {
                let numbers = array.as_primitive::<Float64Type>();
                let compute = |row| Ok(float(numbers.value(at(row))));
                let (made, failures) = each::<Float64Type>(rows, is_null, compute);
                (Arc::new(made), failures)
            }
            (DataType::Decimal128(_, scale), DataType::Decimal128(precision, to)) => {
                let numbers = array.as_primitive::<Decimal128Type>();
                let compute = |row| {
                    let result = decimal(numbers.value(at(row)), i32::from(*scale));
                    fit(result, *precision).ok_or_else(unfit)
                };
                let (made, failures) = each::<Decimal128Type>(rows, is_null, compute);
                (Arc::new(made.with_data_type(DataType::Decimal128(*precision, *to))), failures)
            }
            _ => (arrow_array::new_null_array(&arguments.call.kind, rows), Vec::new()),
        };
    Ok(arguments.done(array, failures))
}

fn run_abs(arguments: &Arguments<'_>) -> Result<Value> {
    by_kind(arguments, i64::checked_abs, f64::abs, |number, _| {
        number.checked_abs().map(i256::from_i128)
    })
}

fn run_round(arguments: &Arguments<'_>) -> Result<Value> {
    let digits = match arguments.call.prepared {
        Prepared::Digits(digits) => digits,
        _ => 0,
    };
    // A negative number of digits makes whole tens.
    let tens = |number: i128, down: i32| {
        let by = power(down)?;
        rounded(i256::from_i128(number), by)
    };
    by_kind(
        arguments,
        |number| match digits {
            0.. => Some(number),
            _ => {
                let made = tens(number.into(), -digits)?.checked_mul(power(-digits)?)?;
                made.to_i128().and_then(|made| i64::try_from(made).ok())
            }
        },
        |number| {
            let factor = 10_f64.powi(digits);
            let made = (number * factor).round() / factor;
            if made.is_finite() { made } else { number }
        },
        |number, scale| {
            let down = scale - digits;
            match down {
                ..=0 => Some(i256::from_i128(number)),
                _ if digits < 0 => tens(number, down)?.checked_mul(power(-digits)?),
                _ => tens(number, down),
            }
        },
    )
}

fn run_floor(arguments: &Arguments<'_>) -> Result<Value> {
    by_kind(arguments, Some, f64::floor, |number, scale| toward(number, scale, i256::MINUS_ONE))
}

fn run_ceil(arguments: &Arguments<'_>) -> Result<Value> {
    by_kind(arguments, Some, f64::ceil, |number, scale| toward(number, scale, i256::ONE))
}

/// The whole number next to a decimal on one side.
fn toward(number: i128, scale: i32, side: i256) -> Option<i256> {
    let (number, by) = (i256::from_i128(number), power(scale.max(0))?);
    let quotient = number.checked_div(by)?;
    let rest = number.checked_sub(quotient.checked_mul(by)?)?;
    let is_there = rest == i256::ZERO || (rest > i256::ZERO) != (side > i256::ZERO);
    if is_there { Some(quotient) } else { quotient.checked_add(side) }
}
