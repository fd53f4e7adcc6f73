//! The tree of an expression whose parts have types, and its values.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_arith::boolean::{and_kleene, is_not_null, is_null, not, or_kleene};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Datum, RecordBatch, UInt32Array};
use arrow_ord::cmp;
use arrow_schema::{ArrowError, DataType, Field, FieldRef};
use arrow_select::take::take;
use arrow_select::zip::zip;
use arrow_string::like;
use domain::{Fault, Result};

use crate::arithmetic::{self, Operator};
use crate::functions::Call;
use crate::{Casts, Failure};

/// From so many literals on, a list is looked up instead of compared.
const LOOKED_UP: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: DataType,
    pub(crate) work: Work,
}

#[derive(Clone, Debug)]
pub(crate) enum Work {
    Column(usize),
    /// One value.
    Literal(ArrayRef),
    Not(Box<Node>),
    /// Any number of conditions, all of which hold.
    And(Vec<Node>),
    Or(Vec<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Arithmetic(Operator, Box<Node>, Box<Node>),
    Negate(Box<Node>),
    IsNull(Box<Node>),
    In(Box<Node>, Vec<Node>),
    Like {
        text: Box<Node>,
        pattern: Box<Node>,
        ignores_case: bool,
    },
    Case {
        branches: Vec<(Node, Node)>,
        otherwise: Box<Node>,
    },
    /// The first that is not null.
    Coalesce(Vec<Node>),
    Cast {
        from: FieldRef,
        node: Box<Node>,
        or_null: bool,
    },
    Call(Box<Call>, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Also where one side or both are null.
    Distinct,
    NotDistinct,
}

/// A column, or one value for all rows.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) array: ArrayRef,
    pub(crate) scalar: bool,
    pub(crate) failures: Vec<Failure>,
}

impl Datum for Value {
    fn get(&self) -> (&dyn Array, bool) {
        (self.array.as_ref(), self.scalar)
    }
}

pub(crate) fn bug(error: ArrowError) -> Fault {
    Fault::internal("expression.kernel", error.to_string())
}

impl Value {
    pub(crate) fn column(array: ArrayRef, failures: Vec<Failure>) -> Self {
        Self { array, scalar: false, failures }
    }

    /// Which of its values a row has.
    pub(crate) fn index(&self, row: usize) -> usize {
        if self.scalar { 0 } else { row }
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(self.index(row))
    }

    /// One value a row.
    fn spread(self, rows: usize) -> Result<Self> {
        if !self.scalar {
            return Ok(self);
        }
        let array = take(&self.array, &UInt32Array::from_value(0, rows), None).map_err(bug)?;
        Ok(Self { array, scalar: false, ..self })
    }
}

impl Node {
    pub(crate) fn literal(array: ArrayRef) -> Self {
        Self { kind: array.data_type().clone(), work: Work::Literal(array) }
    }

    pub(crate) fn boolean(work: Work) -> Self {
        Self { kind: DataType::Boolean, work }
    }

    pub(crate) fn as_literal(&self) -> Option<&ArrayRef> {
        match &self.work {
            Work::Literal(array) => Some(array),
            _ => None,
        }
    }

    /// Parts that this one is made of.
    fn parts(&self) -> Vec<&Self> {
        match &self.work {
            Work::Column(_) | Work::Literal(_) => Vec::new(),
            Work::Not(node) | Work::Negate(node) | Work::IsNull(node) => vec![node],
            Work::Cast { node, .. } => vec![node],
            Work::Compare(_, left, right) | Work::Arithmetic(_, left, right) => vec![left, right],
            Work::Like { text, pattern, .. } => vec![text, pattern],
            Work::And(nodes) | Work::Or(nodes) | Work::Coalesce(nodes) | Work::Call(_, nodes) => {
                nodes.iter().collect()
            }
            Work::In(value, list) => std::iter::once(&**value).chain(list).collect(),
            Work::Case { branches, otherwise } => {
                let branches = branches.iter().flat_map(|(when, then)| [when, then]);
                branches.chain([&**otherwise]).collect()
            }
        }
    }

    pub(crate) fn collect_columns(&self, to: &mut Vec<usize>) {
        if let Work::Column(index) = self.work {
            to.push(index);
        }
        self.parts().into_iter().for_each(|part| part.collect_columns(to));
    }

    /// Whether no column has a share in it.
    pub(crate) fn is_constant(&self) -> bool {
        match self.work {
            Work::Column(_) => false,
            _ => self.parts().into_iter().all(Self::is_constant),
        }
    }

    pub(crate) fn evaluate(&self, rows: &RecordBatch, casts: &dyn Casts) -> Result<Value> {
        let count = rows.num_rows();
        let of = |node: &Node| node.evaluate(rows, casts);
        let whole = |node: &Node| of(node)?.spread(count);
        match &self.work {
            Work::Column(index) => Ok(Value::column(rows.column(*index).clone(), Vec::new())),
            Work::Literal(array) => {
                Ok(Value { array: array.clone(), scalar: true, failures: Vec::new() })
            }
            Work::Not(node) => truths(whole(node)?, not),
            Work::And(nodes) => logic(nodes, &whole, true),
            Work::Or(nodes) => logic(nodes, &whole, false),
            Work::Compare(comparison, left, right) => {
                compare(*comparison, of(left)?, of(right)?, count)
            }
            Work::Arithmetic(operator, left, right) => {
                arithmetic::binary(*operator, &of(left)?, &of(right)?, &self.kind, count)
            }
            Work::Negate(node) => arithmetic::negate(&whole(node)?),
            Work::IsNull(node) => {
                let value = whole(node)?;
                let nulls = is_null(&value.array).map_err(bug)?;
                Ok(Value::column(Arc::new(nulls), value.failures))
            }
            Work::In(node, list) => within(&whole(node)?, list, &of, count),
            Work::Like { text, pattern, ignores_case } => {
                let (text, pattern) = (whole(text)?, of(pattern)?);
                let kernel = if *ignores_case { like::ilike } else { like::like };
                let found = kernel(&text, &pattern).map_err(bug)?;
                Ok(Value::column(Arc::new(found), joined(text.failures, pattern.failures)))
            }
            Work::Case { branches, otherwise } => {
                case(branches, of(otherwise)?, &whole, &of, count)
            }
            Work::Coalesce(nodes) => coalesce(nodes, &whole),
            Work::Cast { from, node, or_null } => {
                cast(from, &self.kind, whole(node)?, *or_null, casts)
            }
            Work::Call(call, nodes) => {
                let values = nodes.iter().map(of).collect::<Result<Vec<_>>>()?;
                call.run(values, count, casts)
            }
        }
    }
}

pub(crate) fn joined(mut first: Vec<Failure>, second: Vec<Failure>) -> Vec<Failure> {
    first.extend(second);
    first
}

fn truths(
    value: Value,
    kernel: impl Fn(&BooleanArray) -> Result<BooleanArray, ArrowError>,
) -> Result<Value> {
    let made = kernel(value.array.as_boolean()).map_err(bug)?;
    Ok(Value::column(Arc::new(made), value.failures))
}

/// Whether a row is decided: it is known to hold `wanted`.
fn is(truths: &BooleanArray, row: usize, wanted: bool) -> bool {
    truths.is_valid(row) && truths.value(row) == wanted
}

/// `AND` (`all`) or `OR`. What one condition decides, the failure of a later one does not change.
fn logic(nodes: &[Node], of: &impl Fn(&Node) -> Result<Value>, all: bool) -> Result<Value> {
    let mut done: Option<(BooleanArray, Vec<Failure>)> = None;
    for node in nodes {
        let mut value = of(node)?;
        let truths = value.array.as_boolean();
        done = Some(match done {
            None => (truths.clone(), value.failures),
            Some((before, failures)) => {
                value.failures.retain(|failure| !is(&before, failure.row, !all));
                let kernel = if all { and_kleene } else { or_kleene };
                (kernel(&before, truths).map_err(bug)?, joined(failures, value.failures))
            }
        });
    }
    let (truths, failures) =
        done.ok_or_else(|| Fault::internal("expression.logic", "there is no condition"))?;
    Ok(Value::column(Arc::new(truths), failures))
}

/// Without a negative zero, which compares as another number in Arrow's order.
fn with_one_zero(value: Value) -> Value {
    if value.array.data_type() != &DataType::Float64 {
        return value;
    }
    let array = value.array.as_primitive::<Float64Type>();
    let array: ArrayRef = Arc::new(array.unary::<_, Float64Type>(|number| number + 0.0));
    Value { array, ..value }
}

fn compare(comparison: Comparison, left: Value, right: Value, rows: usize) -> Result<Value> {
    let (left, right) = (with_one_zero(left), with_one_zero(right));
    let left = if right.scalar { left.spread(rows)? } else { left };
    let kernel = match comparison {
        Comparison::Equal => cmp::eq,
        Comparison::NotEqual => cmp::neq,
        Comparison::Less => cmp::lt,
        Comparison::LessOrEqual => cmp::lt_eq,
        Comparison::Greater => cmp::gt,
        Comparison::GreaterOrEqual => cmp::gt_eq,
        Comparison::Distinct => cmp::distinct,
        Comparison::NotDistinct => cmp::not_distinct,
    };
    let truths = kernel(&left, &right).map_err(bug)?;
    Ok(Value::column(Arc::new(truths), joined(left.failures, right.failures)))
}

fn within(
    value: &Value,
    list: &[Node],
    of: &impl Fn(&Node) -> Result<Value>,
    rows: usize,
) -> Result<Value> {
    if list.len() >= LOOKED_UP
        && value.array.data_type() == &DataType::Utf8
        && list.iter().all(|node| node.as_literal().is_some())
    {
        return Ok(Value::column(Arc::new(looked_up(value, list)), value.failures.clone()));
    }
    let mut found: Option<BooleanArray> = None;
    let mut failures = value.failures.clone();
    for node in list {
        let bare = Value { failures: Vec::new(), ..value.clone() };
        let mut equal = compare(Comparison::Equal, bare, of(node)?, rows)?;
        let truths = equal.array.as_boolean().clone();
        found = Some(match found {
            None => truths,
            Some(before) => {
                equal.failures.retain(|failure| !is(&before, failure.row, true));
                or_kleene(&before, &truths).map_err(bug)?
            }
        });
        failures.append(&mut equal.failures);
    }
    let found = found.unwrap_or_else(|| BooleanArray::from(vec![false; rows]));
    Ok(Value::column(Arc::new(found), failures))
}

/// Whether texts are among literals; where they are not and one is null, that is unknown.
fn looked_up(value: &Value, list: &[Node]) -> BooleanArray {
    let literals = || list.iter().filter_map(Node::as_literal);
    let has_null = literals().any(|literal| literal.is_null(0));
    let known = literals().filter(|literal| literal.is_valid(0));
    let known: HashSet<&str> = known.map(|literal| literal.as_string::<i32>().value(0)).collect();
    let texts = value.array.as_string::<i32>().iter();
    texts
        .map(|text| match known.contains(text?) {
            false if has_null => None,
            found => Some(found),
        })
        .collect()
}

fn case(
    branches: &[(Node, Node)],
    otherwise: Value,
    whole: &impl Fn(&Node) -> Result<Value>,
    of: &impl Fn(&Node) -> Result<Value>,
    rows: usize,
) -> Result<Value> {
    let mut open = BooleanArray::from(vec![true; rows]);
    let (mut failures, mut taken) = (Vec::new(), Vec::with_capacity(branches.len()));
    for (condition, result) in branches {
        let mut condition = whole(condition)?;
        condition.failures.retain(|failure| open.value(failure.row));
        failures.append(&mut condition.failures);
        let holds = condition.array.as_boolean();
        let takes: BooleanArray =
            (0..rows).map(|row| Some(open.value(row) && is(holds, row, true))).collect();
        let mut result = of(result)?;
        result.failures.retain(|failure| takes.value(failure.row));
        failures.append(&mut result.failures);
        open = (0..rows).map(|row| Some(open.value(row) && !takes.value(row))).collect();
        taken.push((takes, result));
    }
    failures.extend(otherwise.failures.iter().filter(|failure| open.value(failure.row)).cloned());
    let mut made = otherwise;
    for (takes, result) in taken.into_iter().rev() {
        made = Value::column(zip(&takes, &result, &made).map_err(bug)?, Vec::new());
    }
    Ok(Value { failures, ..made })
}

fn coalesce(nodes: &[Node], of: &impl Fn(&Node) -> Result<Value>) -> Result<Value> {
    let mut nodes = nodes.iter();
    let first = nodes.next().map(of).transpose()?;
    let mut made =
        first.ok_or_else(|| Fault::internal("expression.coalesce", "there is nothing"))?;
    for node in nodes {
        let mut next = of(node)?;
        let has = is_not_null(&made.array).map_err(bug)?;
        next.failures.retain(|failure| !has.value(failure.row));
        let array = zip(&has, &made.array, &next.array).map_err(bug)?;
        made = Value::column(array, joined(made.failures, next.failures));
    }
    Ok(made)
}

fn cast(
    from: &Field,
    to: &DataType,
    value: Value,
    or_null: bool,
    casts: &dyn Casts,
) -> Result<Value> {
    let (array, misfits) = casts.cast(from, to, &value.array)?;
    if or_null {
        // What fails has no value, and that is what was asked for.
        return Ok(Value::column(array, Vec::new()));
    }
    let mut failures = value.failures;
    failures.extend(misfits.into_iter().map(|(row, message)| Failure {
        row,
        code: "expression.cast",
        message,
    }));
    Ok(Value::column(array, failures))
}

/// The same buffers as values of another type with the same layout.
pub(crate) fn relabeled(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let data = array.to_data().into_builder().data_type(kind.clone()).build();
    data.map(arrow_array::make_array).map_err(bug)
}
