//! Expressions of SQL over the columns of a batch: parsed, resolved and checked once, then evaluated on
//! whole Arrow columns with SQL's three-valued logic.
//!
//! A value that cannot be computed (an integer that overflows, a text that is no date) is a [`Failure`]
//! of its row, never a wrong value and never the end of a run. A failure in a branch that a row does not
//! take (behind `CASE`, `coalesce`, `AND`, `OR`) does not count.
//!
//! What is not here: casts. Who evaluates brings them along ([`Casts`]), so that an expression casts as
//! strictly as everything else does.
//!
//! Begin with [`Expression`]; `compile` gives each part its type, `node` evaluates, `functions` is the
//! one table of functions.

mod arithmetic;
mod compile;
mod format;
mod functions;
pub mod json;
mod node;
mod syntax;
mod types;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::take::take;
use domain::{Fault, Result};

pub use functions::{FUNCTIONS, Function};
pub use types::type_of;

/// How values become values of other types.
pub trait Casts {
    /// Whether there is a cast at all.
    fn has(&self, from: &Field, to: &DataType) -> bool;

    /// The column in another type, and the rows without a counterpart there, which are null in it, each
    /// with the reason.
    ///
    /// # Errors
    /// A bug of the cast.
    fn cast(
        &self,
        from: &Field,
        to: &DataType,
        column: &ArrayRef,
    ) -> Result<(ArrayRef, Vec<(usize, String)>)>;

    /// Instants as the clock of the job's time zone shows them: a timestamp without a zone.
    ///
    /// # Errors
    /// A bug of the cast.
    fn local(&self, instants: &ArrayRef) -> Result<ArrayRef>;
}

/// Why the value of a row cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub row: usize,
    /// Stable and dotted, such as `expression.overflow`.
    pub code: &'static str,
    pub message: String,
}

/// An expression that is well formed, of functions that there are.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
}

/// An expression for columns of certain names and types.
#[derive(Clone, Debug)]
pub struct Compiled {
    node: node::Node,
}

/// The values of an expression, one a row. Those of the failures are null.
#[derive(Clone, Debug)]
pub struct Evaluated {
    pub column: ArrayRef,
    /// At most one a row, in the order of rows.
    pub failures: Vec<Failure>,
}

impl Expression {
    /// Checks all that the text alone tells.
    ///
    /// # Errors
    /// `expression.syntax`, `expression.size`, `expression.unknown_function`, `expression.type`,
    /// `expression.value`.
    pub fn parse(text: &str) -> Result<Self> {
        let parsed = syntax::parse(text)?;
        compile::Compiler { schema: None, casts: None }.node(&parsed)?;
        Ok(Self { text: text.to_owned() })
    }

    /// Resolves names and gives each part its type; with `to` the whole is cast to that.
    ///
    /// # Errors
    /// As [`Expression::parse`], and `expression.unknown_column`.
    pub fn compile(
        &self,
        schema: &Schema,
        to: Option<&DataType>,
        casts: &dyn Casts,
    ) -> Result<Compiled> {
        let parsed = syntax::parse(&self.text)?;
        let compiler = compile::Compiler { schema: Some(schema), casts: Some(casts) };
        let node = compiler.node(&parsed)?;
        let node = match to {
            Some(to) if node.kind != *to => compiler.cast(node, to.clone(), false)?,
            _ => node,
        };
        Ok(Compiled { node })
    }

    /// The same for a condition, which is true, false or unknown.
    ///
    /// # Errors
    /// As [`Expression::compile`]; `expression.type` where it is none.
    pub fn compile_condition(&self, schema: &Schema, casts: &dyn Casts) -> Result<Compiled> {
        let compiled = self.compile(schema, None, casts)?;
        match compiled.data_type() {
            DataType::Boolean | DataType::Null => Ok(compiled),
            other => {
                let message = format!("a condition is true or false, not {}", types::word(other));
                Err(Fault::user("expression.type", message).hint("compare it with a value"))
            }
        }
    }
}

impl Compiled {
    pub fn data_type(&self) -> &DataType {
        &self.node.kind
    }

    /// The columns that it reads, in their order.
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        self.node.collect_columns(&mut columns);
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The field that it is, where it is nothing but a column.
    pub fn column(&self) -> Option<usize> {
        match self.node.work {
            node::Work::Column(index) => Some(index),
            _ => None,
        }
    }

    /// # Errors
    /// `expression.size`: the values take too much memory; or a bug.
    pub fn evaluate(&self, rows: &RecordBatch, casts: &dyn Casts) -> Result<Evaluated> {
        let value = self.node.evaluate(rows, casts)?;
        let column = match value.scalar {
            false => value.array,
            true => {
                let first = UInt32Array::from_value(0, rows.num_rows());
                take(&value.array, &first, None).map_err(node::bug)?
            }
        };
        let mut failures = value.failures;
        failures.sort_by_key(|failure| failure.row);
        failures.dedup_by_key(|failure| failure.row);
        debug_assert_eq!(column.len(), rows.num_rows());
        Ok(Evaluated { column, failures })
    }
}

#[cfg(test)]
mod tests;
