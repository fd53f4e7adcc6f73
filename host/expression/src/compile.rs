//! From the syntax tree to nodes: resolves names, gives types, and computes what is constant.

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Schema};
use domain::{Fault, Result, nearest};
use sqlparser::ast::{
    BinaryOperator, CastKind, DateTimeField, Expr, Ident, InTarget, UnaryOperator,
};

use self::literal::{escaped, literal, negative};
use crate::Casts;
use crate::arithmetic::Operator;
use crate::functions::calls;
use crate::node::{Comparison, Node, Work, bug};
use crate::types::{self, Kind, kind};

mod literal;
mod typing;

/// Parts within each other, chains of one operator counting as one.
const DEPTH_MAX: usize = 100;
/// Columns that a message lists.
const LISTED_MAX: usize = 12;

/// Without a schema any name is a column of any type, and nothing is computed.
pub(crate) struct Compiler<'a> {
    pub(crate) schema: Option<&'a Schema>,
    pub(crate) casts: Option<&'a dyn Casts>,
}

pub(crate) fn mismatch(message: impl Into<String>) -> Fault {
    Fault::user("expression.type", message)
}

fn unsupported(what: &Expr) -> Fault {
    let mut text = what.to_string();
    if let Some((at, _)) = text.char_indices().nth(60) {
        text.truncate(at);
        text.push('…');
    }
    Fault::user("expression.syntax", format!("\"{text}\" is not supported in an expression"))
}

impl Compiler<'_> {
    pub(crate) fn node(&self, expr: &Expr) -> Result<Node> {
        self.at(expr, 0)
    }

    pub(crate) fn at(&self, expr: &Expr, depth: usize) -> Result<Node> {
        if depth > DEPTH_MAX {
            return Err(Fault::user("expression.size", "the expression is nested too deep"));
        }
        let node = self.unfolded(expr, depth + 1)?;
        self.folded(node)
    }

    fn unfolded(&self, expr: &Expr, depth: usize) -> Result<Node> {
        match expr {
            Expr::Nested(inner) => self.at(inner, depth),
            Expr::Identifier(name) => self.column(name),
            Expr::Value(value) => literal(&value.value).ok_or_else(|| unsupported(expr)),
            Expr::TypedString(typed) => {
                let text = literal(&typed.value.value).ok_or_else(|| unsupported(expr))?;
                self.cast(text, types::of_sql(&typed.data_type)?, false)
            }
            Expr::BinaryOp { left, op, right } => self.operation(left, op, right, expr, depth),
            Expr::UnaryOp { op, expr: inner } => self.unary(*op, inner, expr, depth),
            Expr::IsNull(inner) => Ok(self.is_null(inner, depth)?),
            Expr::IsNotNull(inner) => Ok(negated(self.is_null(inner, depth)?, true)),
            Expr::IsUnknown(inner) => Ok(self.is_null(inner, depth)?),
            Expr::IsNotUnknown(inner) => Ok(negated(self.is_null(inner, depth)?, true)),
            Expr::IsTrue(inner) => self.known(inner, true, false, depth),
            Expr::IsNotTrue(inner) => self.known(inner, true, true, depth),
            Expr::IsFalse(inner) => self.known(inner, false, false, depth),
            Expr::IsNotFalse(inner) => self.known(inner, false, true, depth),
            Expr::IsDistinctFrom(a, b) => {
                self.comparison(Comparison::Distinct, self.at(a, depth)?, self.at(b, depth)?)
            }
            Expr::IsNotDistinctFrom(a, b) => {
                self.comparison(Comparison::NotDistinct, self.at(a, depth)?, self.at(b, depth)?)
            }
            Expr::In { expr: value, target: InTarget::List(list), negated: not, .. } => {
                self.within(value, list, *not, depth)
            }
            Expr::Between { expr: value, negated: not, low, high } => {
                let value = self.at(value, depth)?;
                let low = self.at(low, depth)?;
                let low = self.comparison(Comparison::GreaterOrEqual, value.clone(), low)?;
                let high = self.at(high, depth)?;
                let high = self.comparison(Comparison::LessOrEqual, value, high)?;
                Ok(negated(Node::boolean(Work::And(vec![low, high])), *not))
            }
            Expr::Like { negated: not, any: false, expr: text, pattern, escape_char } => {
                self.like(text, pattern, escape_char.as_deref(), false, *not, depth)
            }
            Expr::ILike { negated: not, any: false, expr: text, pattern, escape_char } => {
                self.like(text, pattern, escape_char.as_deref(), true, *not, depth)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), depth)
            }
            Expr::Cast { kind, expr: inner, data_type, format: None } => {
                let or_null = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
                self.cast(self.at(inner, depth)?, types::of_sql(data_type)?, or_null)
            }
            Expr::Function(_)
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Extract { .. } => self.call(expr, depth),
            other => Err(unsupported(other)),
        }
    }

    /// Computes a part that no column has a share in.
    fn folded(&self, node: Node) -> Result<Node> {
        let (Some(casts), false) = (self.casts, node.as_literal().is_some()) else {
            return Ok(node);
        };
        if !node.is_constant() {
            return Ok(node);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let one =
            RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options);
        let value = node.evaluate(&one.map_err(bug)?, casts)?;
        match value.failures.into_iter().next() {
            Some(failure) => {
                let message = format!("a part without columns has no value: {}", failure.message);
                Err(Fault::user("expression.value", message))
            }
            None => Ok(Node { kind: node.kind, work: Work::Literal(value.array) }),
        }
    }

    fn column(&self, name: &Ident) -> Result<Node> {
        let Some(schema) = self.schema else {
            return Ok(Node { kind: DataType::Null, work: Work::Column(0) });
        };
        let fields = schema.fields();
        let named = |exact: bool| {
            let same = move |field: &str| match exact {
                true => field == name.value,
                false => field.eq_ignore_ascii_case(&name.value),
            };
            let all = fields.iter().enumerate().filter(move |(_, field)| same(field.name()));
            all.map(|(index, _)| index).collect::<Vec<_>>()
        };
        let mut found = named(true);
        if found.is_empty() && name.quote_style.is_none() {
            found = named(false);
        }
        match found.as_slice() {
            [index] => {
                Ok(Node { kind: fields[*index].data_type().clone(), work: Work::Column(*index) })
            }
            [] => Err(unknown_column(&name.value, schema)),
            _ => Err(Fault::user(
                "expression.unknown_column",
                format!("{} columns have the name \"{}\"", found.len(), name.value),
            )),
        }
    }

    fn operation(
        &self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        whole: &Expr,
        depth: usize,
    ) -> Result<Node> {
        let comparison = match op {
            BinaryOperator::And | BinaryOperator::Or => return self.logic(whole, op, depth),
            BinaryOperator::StringConcat => {
                let parts = chain(whole, op);
                let parts = parts.into_iter().map(|part| self.at(part, depth));
                return calls::joined(self, parts.collect::<Result<_>>()?);
            }
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            _ => {
                let operator = match op {
                    BinaryOperator::Plus => Operator::Add,
                    BinaryOperator::Minus => Operator::Subtract,
                    BinaryOperator::Multiply => Operator::Multiply,
                    BinaryOperator::Divide => Operator::Divide,
                    BinaryOperator::Modulo => Operator::Remainder,
                    _ => return Err(unsupported(whole)),
                };
                return self.arithmetic(operator, self.at(left, depth)?, self.at(right, depth)?);
            }
        };
        self.comparison(comparison, self.at(left, depth)?, self.at(right, depth)?)
    }

    fn logic(&self, whole: &Expr, op: &BinaryOperator, depth: usize) -> Result<Node> {
        let parts = chain(whole, op).into_iter();
        let parts = parts.map(|part| self.condition(self.at(part, depth)?));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        Ok(Node::boolean(if *op == BinaryOperator::And {
            Work::And(parts)
        } else {
            Work::Or(parts)
        }))
    }

    /// A part that is true, false or unknown.
    pub(crate) fn condition(&self, node: Node) -> Result<Node> {
        match node.kind {
            DataType::Boolean => Ok(node),
            DataType::Null => self.convert(node, &DataType::Boolean),
            other => {
                let message = format!(
                    "a condition is expected, which is true or false, not {}",
                    types::word(&other)
                );
                Err(mismatch(message).hint("compare it with a value"))
            }
        }
    }

    fn unary(&self, op: UnaryOperator, inner: &Expr, whole: &Expr, depth: usize) -> Result<Node> {
        if op == UnaryOperator::Minus
            && let Expr::Value(value) = inner
            && let Some(node) = negative(&value.value)
        {
            return Ok(node);
        }
        let node = self.at(inner, depth)?;
        match op {
            UnaryOperator::Not => Ok(negated(self.condition(node)?, true)),
            UnaryOperator::Minus | UnaryOperator::Plus => {
                if kind(&node.kind) != Kind::Null && !kind(&node.kind).is_number() {
                    let message = format!("a sign stands before {}", types::word(&node.kind));
                    return Err(mismatch(message));
                }
                let node = match kind(&node.kind) {
                    Kind::Integer => self.convert(node, &DataType::Int64)?,
                    _ => node,
                };
                if op == UnaryOperator::Plus {
                    return Ok(node);
                }
                Ok(Node { kind: node.kind.clone(), work: Work::Negate(Box::new(node)) })
            }
            _ => Err(unsupported(whole)),
        }
    }

    fn is_null(&self, inner: &Expr, depth: usize) -> Result<Node> {
        Ok(Node::boolean(Work::IsNull(Box::new(self.at(inner, depth)?))))
    }

    /// `IS TRUE`, `IS FALSE` and what they deny.
    fn known(&self, inner: &Expr, wanted: bool, not: bool, depth: usize) -> Result<Node> {
        let node = self.condition(self.at(inner, depth)?)?;
        let wanted = Node::literal(Arc::new(BooleanArray::from(vec![wanted])));
        let same = self.comparison(Comparison::NotDistinct, node, wanted)?;
        Ok(negated(same, not))
    }

    fn within(&self, value: &Expr, list: &[Expr], not: bool, depth: usize) -> Result<Node> {
        let mut value = self.at(value, depth)?;
        let list = list.iter().map(|item| self.at(item, depth));
        let list = list.collect::<Result<Vec<_>>>()?;
        for item in &list {
            let kind = self.common(&value, item, "compared")?;
            value = self.convert(value, &kind)?;
        }
        if kind(&value.kind) == Kind::Other {
            return Err(mismatch(format!("values of type {} cannot be compared", value.kind)));
        }
        let list = list.into_iter().map(|item| self.convert(item, &value.kind));
        let list = list.collect::<Result<_>>()?;
        Ok(negated(Node::boolean(Work::In(Box::new(value), list)), not))
    }

    fn like(
        &self,
        text: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        ignores_case: bool,
        not: bool,
        depth: usize,
    ) -> Result<Node> {
        let text = self.text(self.at(text, depth)?, "LIKE")?;
        let mut pattern = self.text(self.at(pattern, depth)?, "LIKE")?;
        if let Some(escape) = escape {
            pattern = escaped(&pattern, &self.at(escape, depth)?)?;
        }
        let (text, pattern) = (Box::new(text), Box::new(pattern));
        Ok(negated(Node::boolean(Work::Like { text, pattern, ignores_case }), not))
    }

    fn case(
        &self,
        operand: Option<&Expr>,
        conditions: &[sqlparser::ast::CaseWhen],
        otherwise: Option<&Expr>,
        depth: usize,
    ) -> Result<Node> {
        let operand = operand.map(|operand| self.at(operand, depth)).transpose()?;
        let mut branches = Vec::with_capacity(conditions.len());
        for when in conditions {
            let condition = self.at(&when.condition, depth)?;
            let condition = match &operand {
                Some(operand) => self.comparison(Comparison::Equal, operand.clone(), condition)?,
                None => self.condition(condition)?,
            };
            branches.push((condition, self.at(&when.result, depth)?));
        }
        let otherwise = match otherwise {
            Some(otherwise) => self.at(otherwise, depth)?,
            None => Node::literal(new_null_array(&DataType::Null, 1)),
        };
        let (conditions, mut results): (Vec<_>, Vec<_>) = branches.into_iter().unzip();
        results.push(otherwise);
        let mut results = self.alike(results, "results of one CASE")?;
        let otherwise = Box::new(
            results.pop().unwrap_or_else(|| Node::literal(new_null_array(&DataType::Null, 1))),
        );
        let kind = otherwise.kind.clone();
        let branches = conditions.into_iter().zip(results).collect();
        Ok(Node { kind, work: Work::Case { branches, otherwise } })
    }
}

fn negated(node: Node, not: bool) -> Node {
    if not { Node::boolean(Work::Not(Box::new(node))) } else { node }
}

/// The parts that one operator joins, from the left to the right.
fn chain<'e>(whole: &'e Expr, joint: &BinaryOperator) -> Vec<&'e Expr> {
    let (mut parts, mut at) = (Vec::new(), whole);
    while let Expr::BinaryOp { left, op, right } = at
        && op == joint
    {
        parts.push(right.as_ref());
        at = left;
    }
    parts.push(at);
    parts.reverse();
    parts
}

fn unknown_column(name: &str, schema: &Schema) -> Fault {
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let fault = Fault::user("expression.unknown_column", format!("there is no column \"{name}\""));
    let near = nearest::hint(name, names.clone());
    fault.hint(near.unwrap_or_else(|| {
        let listed: Vec<_> = names.clone().take(LISTED_MAX).collect();
        let others = names.count().saturating_sub(LISTED_MAX);
        let more = if others > 0 { format!(" and {others} others") } else { String::new() };
        format!("there are {}{more}", listed.join(", "))
    }))
}

/// The word of a field of a date, as `extract` takes it.
pub(crate) fn field_word(field: &DateTimeField) -> String {
    field.to_string().to_lowercase()
}
