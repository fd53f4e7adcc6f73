//! Functions of values of any type.

use std::sync::Arc;

use arrow_array::new_null_array;
use arrow_schema::DataType;
use domain::Result;

use crate::compile::Compiler;
use crate::node::{Comparison, Node, Work};

pub(super) fn coalesce(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    let nodes = compiler.alike(nodes, "arguments of one coalesce")?;
    Ok(Node { kind: nodes[0].kind.clone(), work: Work::Coalesce(nodes) })
}

pub(super) fn nullif(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    let mut nodes = nodes.into_iter();
    let (Some(value), Some(other)) = (nodes.next(), nodes.next()) else {
        return Ok(null(&DataType::Null));
    };
    let same = compiler.comparison(Comparison::Equal, value.clone(), other)?;
    Ok(choice(same, null(&value.kind), value))
}

pub(super) fn greatest(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    extreme(compiler, nodes, Comparison::Greater, "arguments of one greatest")
}

pub(super) fn least(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    extreme(compiler, nodes, Comparison::Less, "arguments of one least")
}

/// Arguments of `greatest` and `least`: each is looked at again for every one behind it.
const ARGUMENTS_MAX: usize = 16;

fn extreme(
    compiler: &Compiler<'_>,
    nodes: Vec<Node>,
    wins: Comparison,
    what: &str,
) -> Result<Node> {
    if nodes.len() > ARGUMENTS_MAX {
        let message = format!("there are more than {ARGUMENTS_MAX} {what}");
        return Err(crate::compile::mismatch(message));
    }
    let mut nodes = compiler.alike(nodes, what)?.into_iter();
    let Some(first) = nodes.next() else { return Ok(null(&DataType::Null)) };
    nodes.try_fold(first, |best, next| {
        let better = compiler.comparison(wins, next.clone(), best.clone())?;
        let missing = Node::boolean(Work::IsNull(Box::new(best.clone())));
        let takes = Node::boolean(Work::Or(vec![better, missing]));
        // A null is no better, but may stand for a missing one.
        Ok(choice(takes, next, best))
    })
}

fn choice(condition: Node, then: Node, otherwise: Node) -> Node {
    let kind = otherwise.kind.clone();
    Node {
        kind,
        work: Work::Case { branches: vec![(condition, then)], otherwise: Box::new(otherwise) },
    }
}

fn null(kind: &DataType) -> Node {
    Node::literal(Arc::clone(&new_null_array(kind, 1)))
}
