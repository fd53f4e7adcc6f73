//! Values of different types that meet, and what comes of them.

use std::sync::Arc;

use arrow_array::new_null_array;
use arrow_schema::{DataType, Field};
use domain::Result;

use super::{Compiler, mismatch};
use crate::arithmetic::Operator;
use crate::functions;
use crate::node::{Comparison, Node, Work};
use crate::types::{self, Kind, kind};

impl Compiler<'_> {
    pub(crate) fn comparison(
        &self,
        comparison: Comparison,
        left: Node,
        right: Node,
    ) -> Result<Node> {
        let (left, right) = self.brought_together(left, right, "compared")?;
        if kind(&left.kind) == Kind::Other {
            return Err(mismatch(format!("values of type {} cannot be compared", left.kind)));
        }
        Ok(Node::boolean(Work::Compare(comparison, Box::new(left), Box::new(right))))
    }

    /// Both as values of one type.
    pub(crate) fn brought_together(
        &self,
        left: Node,
        right: Node,
        what: &str,
    ) -> Result<(Node, Node)> {
        let kind = self.common(&left, &right, what)?;
        Ok((self.convert(left, &kind)?, self.convert(right, &kind)?))
    }

    /// The type of both. A literal takes the type of what it meets.
    pub(crate) fn common(&self, left: &Node, right: &Node, what: &str) -> Result<DataType> {
        if let Some(kind) = types::common(&left.kind, &right.kind) {
            return Ok(kind);
        }
        let (a, b) = (kind(&left.kind), kind(&right.kind));
        let yields = |node: &Node, own: Kind, other: Kind| {
            let text = own == Kind::Text && other != Kind::Other;
            let decimal = own == Kind::Decimal && other == Kind::Float;
            node.as_literal().is_some() && (text || decimal)
        };
        if yields(left, a, b) {
            return Ok(right.kind.clone());
        }
        if yields(right, b, a) {
            return Ok(left.kind.clone());
        }
        let message = format!("{} and {} cannot be {what}", a.word(), b.word());
        Err(mismatch(message).hint("write CAST(x AS type) around one of them"))
    }

    /// The node as values of another type, which has a place for each of them.
    pub(crate) fn convert(&self, node: Node, to: &DataType) -> Result<Node> {
        if node.kind == *to || (self.schema.is_none() && node.as_literal().is_none()) {
            return Ok(node);
        }
        if node.kind == DataType::Null && node.as_literal().is_some() {
            return Ok(Node::literal(new_null_array(to, 1)));
        }
        self.cast(node, to.clone(), false)
    }

    pub(crate) fn cast(&self, node: Node, to: DataType, or_null: bool) -> Result<Node> {
        let Some(casts) = self.casts else { return Ok(Node { kind: to, ..node }) };
        let node = functions::narrowed(self, node, &to)?;
        let from = match (&node.work, self.schema) {
            (Work::Column(index), Some(schema)) => Arc::clone(&schema.fields()[*index]),
            _ => Arc::new(Field::new("", node.kind.clone(), true)),
        };
        if node.kind != to && !casts.has(&from, &to) {
            return Err(mismatch(format!("{} cannot be cast to {to}", types::word(&node.kind))));
        }
        let cast = Node { kind: to, work: Work::Cast { from, node: Box::new(node), or_null } };
        self.folded(cast)
    }

    pub(crate) fn arithmetic(&self, operator: Operator, left: Node, right: Node) -> Result<Node> {
        let (a, b) = (kind(&left.kind), kind(&right.kind));
        let made = |left, right, kind| {
            Ok(Node { kind, work: Work::Arithmetic(operator, Box::new(left), Box::new(right)) })
        };
        if a == Kind::Null || b == Kind::Null {
            return match self.schema {
                None => Ok(Node { kind: DataType::Null, work: Work::Column(0) }),
                Some(_) => Ok(Node::literal(new_null_array(&DataType::Null, 1))),
            };
        }
        match (a, operator, b) {
            (Kind::Date, Operator::Add | Operator::Subtract, Kind::Integer) => {
                return made(left, self.convert(right, &DataType::Int64)?, DataType::Date32);
            }
            (Kind::Date, Operator::Subtract, Kind::Date) => {
                return made(left, right, DataType::Int64);
            }
            _ if a.is_number() && b.is_number() => {}
            _ => {
                let symbol = operator.symbol();
                let message = format!("{} and {} have no \"{symbol}\"", a.word(), b.word());
                let hint = "write CAST(x AS type) around what is no number yet";
                return Err(mismatch(message).hint(hint));
            }
        }
        let common = self.common(&left, &right, "computed with")?;
        match kind(&common) {
            Kind::Integer => {
                let (left, right) =
                    (self.convert(left, &DataType::Int64)?, self.convert(right, &DataType::Int64)?);
                made(left, right, DataType::Int64)
            }
            Kind::Float => {
                let kind = DataType::Float64;
                let (left, right) = (self.convert(left, &kind)?, self.convert(right, &kind)?);
                made(left, right, kind)
            }
            _ => self.decimals(operator, left, right),
        }
    }

    /// Decimals of which each keeps its own scale.
    fn decimals(&self, operator: Operator, left: Node, right: Node) -> Result<Node> {
        let ((p1, s1), (p2, s2)) = (types::as_decimal(&left.kind), types::as_decimal(&right.kind));
        let (before1, before2) = (i32::from(p1) - i32::from(s1), i32::from(p2) - i32::from(s2));
        let finer = s1.max(s2);
        let kind = match operator {
            Operator::Add | Operator::Subtract => types::decimal(before1.max(before2) + 1, finer),
            Operator::Remainder => types::decimal(before1.min(before2).max(1), finer),
            Operator::Multiply => {
                let scale = i32::from(s1) + i32::from(s2);
                if scale > i32::from(types::PRECISION_MAX) {
                    let message = format!("the product would have {scale} digits behind the point");
                    return Err(mismatch(message).hint("round a factor before"));
                }
                types::decimal(before1 + before2, scale as i8)
            }
            Operator::Divide => {
                let scale = (finer.max(0) + 6).min(types::PRECISION_MAX as i8);
                types::decimal(before1 + i32::from(s2), scale)
            }
        };
        let own =
            |precision: u8, scale| DataType::Decimal128(precision.min(types::PRECISION_MAX), scale);
        let (left, right) = (self.convert(left, &own(p1, s1))?, self.convert(right, &own(p2, s2))?);
        Ok(Node { kind, work: Work::Arithmetic(operator, Box::new(left), Box::new(right)) })
    }

    pub(crate) fn text(&self, node: Node, of: &str) -> Result<Node> {
        match kind(&node.kind) {
            Kind::Text => Ok(node),
            Kind::Null => self.convert(node, &DataType::Utf8),
            other => Err(mismatch(format!("{of} takes a text, not {}", other.word()))
                .hint("write CAST(x AS text)")),
        }
    }

    /// All as values of one type.
    pub(crate) fn alike(&self, nodes: Vec<Node>, what: &str) -> Result<Vec<Node>> {
        let mut nodes = nodes;
        // Twice: what was met last decides the first, too.
        for _ in 0..2 {
            for index in 1..nodes.len() {
                let common = self.common(&nodes[index - 1], &nodes[index], what)?;
                for at in [index - 1, index] {
                    let node = std::mem::replace(
                        &mut nodes[at],
                        Node::literal(new_null_array(&DataType::Null, 1)),
                    );
                    nodes[at] = self.convert(node, &common)?;
                }
            }
            nodes.reverse();
        }
        Ok(nodes)
    }
}
