//! Calls: their arguments checked and made ready, and the loops over rows that functions share.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, StringArray};
use arrow_schema::DataType;
use domain::{Fault, Result};
use regex::Regex;
use sqlparser::ast::{
    CeilFloorKind, Expr, Function as SqlFunction, FunctionArg, FunctionArgExpr, FunctionArguments,
    ObjectNamePart, TrimWhereField,
};

use super::{Function, Gives, Takes, constant_text, find, times};
use crate::arithmetic::each;
use crate::compile::{Compiler, field_word, mismatch};
use crate::format::Format;
use crate::json::Path;
use crate::node::{Node, Value, Work, joined as all_failures};
use crate::types::{Kind, kind};
use crate::{Casts, Failure};

/// Bytes of the texts that a call may make of one batch.
const BYTES_MAX: usize = 256 << 20;

/// Why a row has no value: code and message.
pub(crate) type Unfit = (&'static str, String);

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) kind: DataType,
    pub(crate) prepared: Prepared,
    pub(crate) run: fn(&Arguments<'_>) -> Result<Value>,
}

/// What a call makes ready of its literals.
#[derive(Clone, Debug)]
pub(crate) enum Prepared {
    None,
    Pattern(Regex),
    Path(Path),
    Format(Format),
    Field(times::Field),
    /// Digits behind the point.
    Digits(i32),
}

pub(crate) struct Arguments<'a> {
    pub(crate) values: Vec<Value>,
    pub(crate) rows: usize,
    pub(crate) call: &'a Call,
    pub(crate) casts: &'a dyn Casts,
}

impl Call {
    pub(crate) fn run(&self, values: Vec<Value>, rows: usize, casts: &dyn Casts) -> Result<Value> {
        (self.run)(&Arguments { values, rows, call: self, casts })
    }
}

impl<'a> Arguments<'a> {
    /// The failures of all arguments.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        self.values.iter().flat_map(|value| value.failures.iter().cloned()).collect()
    }

    pub(crate) fn done(&self, array: ArrayRef, failures: Vec<Failure>) -> Value {
        Value::column(array, all_failures(self.failures(), failures))
    }

    /// Whether an argument is null: then the result is.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.values.iter().any(|value| value.is_null(row))
    }

    pub(crate) fn has(&self, argument: usize) -> bool {
        argument < self.values.len()
    }

    pub(crate) fn array(&self, argument: usize) -> &ArrayRef {
        &self.values[argument].array
    }

    /// The texts of an argument, by row.
    pub(crate) fn texts<'s>(&'s self, argument: usize) -> impl Fn(usize) -> &'s str + use<'s, 'a> {
        let value = &self.values[argument];
        let texts: &StringArray = value.array.as_string::<i32>();
        move |row| texts.value(value.index(row))
    }

    pub(crate) fn integers(&self, argument: usize) -> impl Fn(usize) -> i64 {
        let value = &self.values[argument];
        let numbers = value.array.as_primitive::<Int64Type>();
        move |row| numbers.value(value.index(row))
    }

    /// A text for each row where no argument is null.
    pub(crate) fn make_texts(
        &self,
        mut write: impl FnMut(usize, &mut String) -> Result<(), Unfit>,
    ) -> Result<Value> {
        let mut failures = Vec::new();
        let mut made = StringBuilder::with_capacity(self.rows, self.rows * 8);
        let (mut text, mut bytes) = (String::new(), 0);
        for row in 0..self.rows {
            if self.is_null(row) {
                made.append_null();
                continue;
            }
            text.clear();
            match write(row, &mut text) {
                Ok(()) => made.append_value(&text),
                Err((code, message)) => {
                    failures.push(Failure { row, code, message });
                    made.append_null();
                }
            }
            bytes += text.len();
            check_size(bytes)?;
        }
        Ok(self.done(Arc::new(made.finish()), failures))
    }

    /// A whole number for each row where no argument is null.
    pub(crate) fn make_integers(
        &self,
        compute: impl FnMut(usize) -> Result<i64, Unfit>,
    ) -> Result<Value> {
        let (array, failures) = each::<Int64Type>(self.rows, |row| self.is_null(row), compute);
        Ok(self.done(Arc::new(array), failures))
    }

    pub(crate) fn make_booleans(&self, compute: impl Fn(usize) -> bool) -> Result<Value> {
        let truths: BooleanArray =
            (0..self.rows).map(|row| (!self.is_null(row)).then(|| compute(row))).collect();
        Ok(self.done(Arc::new(truths), Vec::new()))
    }
}

/// # Errors
/// `expression.size` where texts take too much memory.
pub(crate) fn check_size(bytes: usize) -> Result<()> {
    if bytes <= BYTES_MAX {
        return Ok(());
    }
    let message = format!("an expression makes more than {} MiB of one batch", BYTES_MAX >> 20);
    Err(Fault::data("expression.size", message).hint("make shorter texts"))
}

impl Compiler<'_> {
    /// A call, by its own syntax or that of SQL's older functions.
    pub(crate) fn call(&self, expr: &Expr, depth: usize) -> Result<Node> {
        let at = |expr: &Expr| self.at(expr, depth);
        match expr {
            Expr::Function(function) => {
                let (name, arguments) = plain_call(function)?;
                let arguments = arguments.into_iter().map(at).collect::<Result<_>>()?;
                self.of_function(find(&name)?, arguments)
            }
            Expr::Substring { expr: text, substring_from, substring_for, .. } => {
                let count = substring_for.as_deref().map(at).transpose()?;
                let one = || Node::literal(Arc::new(arrow_array::Int64Array::from(vec![1])));
                let from = match substring_from.as_deref() {
                    Some(from) => Some(at(from)?),
                    None => count.is_some().then(one),
                };
                let arguments = [at(text)?].into_iter().chain(from).chain(count).collect();
                self.of_function(find("substring")?, arguments)
            }
            Expr::Trim { trim_where, trim_what, expr: text, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "trim",
                };
                let listed = trim_characters.as_deref().unwrap_or_default();
                let characters = trim_what.as_deref().into_iter().chain(listed);
                let arguments = [text.as_ref()].into_iter().chain(characters);
                let arguments = arguments.map(at).collect::<Result<_>>()?;
                self.of_function(find(name)?, arguments)
            }
            Expr::Ceil { expr: number, field: CeilFloorKind::DateTimeField(_) } => {
                self.of_function(find("ceil")?, vec![at(number)?])
            }
            Expr::Floor { expr: number, field: CeilFloorKind::DateTimeField(_) } => {
                self.of_function(find("floor")?, vec![at(number)?])
            }
            Expr::Position { expr: part, r#in } => {
                self.of_function(find("position")?, vec![at(part)?, at(r#in)?])
            }
            Expr::Extract { field, expr: moment, .. } => {
                let field = StringArray::from(vec![field_word(field)]);
                let field = Node::literal(Arc::new(field));
                self.of_function(find("extract")?, vec![field, at(moment)?])
            }
            other => Err(Fault::user("expression.syntax", format!("\"{other}\" is not supported"))),
        }
    }

    pub(crate) fn of_function(
        &self,
        function: &'static Function,
        arguments: Vec<Node>,
    ) -> Result<Node> {
        let (most, least) = (function.takes.len(), function.takes.len() - function.optional);
        let count = arguments.len();
        if count < least || (count > most && !function.repeats) {
            let message = format!("{} takes other arguments than {count}", function.name);
            let hint = format!("write {}({})", function.name, function.arguments);
            return Err(mismatch(message).hint(hint));
        }
        let mut prepared = Prepared::None;
        let mut nodes = Vec::with_capacity(count);
        for (index, node) in arguments.into_iter().enumerate() {
            let takes = function.takes[index.min(most - 1)];
            match literal(function.name, takes, &node)? {
                Some(ready) => prepared = ready,
                None => nodes.push(self.argument(function.name, takes, node)?),
            }
        }
        match function.gives {
            Gives::Values(kind, run) => {
                let kind = kind();
                let call = Call { kind: kind.clone(), prepared, run };
                Ok(Node { kind, work: Work::Call(Box::new(call), nodes) })
            }
            Gives::Node(build) => match prepared {
                Prepared::Field(field) => times::truncated(self, field, nodes),
                _ => build(self, nodes),
            },
        }
    }

    fn argument(&self, name: &str, takes: Takes, node: Node) -> Result<Node> {
        let own = kind(&node.kind);
        let fits = match takes {
            Takes::Text => return self.text(node, name),
            Takes::Integer if own == Kind::Integer || own == Kind::Null => {
                return self.convert(node, &DataType::Int64);
            }
            Takes::Integer => false,
            Takes::Number => own.is_number() || own == Kind::Null,
            Takes::Moment => {
                matches!(own, Kind::Date | Kind::Timestamp | Kind::Instant | Kind::Null)
            }
            _ => true,
        };
        if fits {
            return Ok(node);
        }
        let wanted = match takes {
            Takes::Integer => "a whole number",
            Takes::Number => "a number",
            _ => "a date or a timestamp",
        };
        let message = format!("{name} takes {wanted}, not {}", own.word());
        Err(mismatch(message).hint("write CAST(x AS type)"))
    }
}

/// A literal argument made ready; `None` where the argument need not be one.
fn literal(name: &str, takes: Takes, node: &Node) -> Result<Option<Prepared>> {
    let (what, prepare): (_, fn(&str) -> Result<Prepared>) = match takes {
        Takes::Pattern => ("pattern", |text| {
            Regex::new(text).map(Prepared::Pattern).map_err(|error| {
                let reason = error.to_string();
                let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let message = format!("\"{text}\" is no regular expression: {last}");
                Fault::user("expression.value", message)
            })
        }),
        Takes::Path => ("path", |text| Path::parse(text).map(Prepared::Path)),
        Takes::Format => ("format", |text| Format::parse(text).map(Prepared::Format)),
        Takes::Field => ("field", |text| times::Field::parse(text).map(Prepared::Field)),
        _ => return Ok(None),
    };
    match constant_text(node) {
        Some(text) => prepare(text).map(Some),
        None => {
            Err(mismatch(format!("the {what} of {name} must be a text that stands there itself")))
        }
    }
}

/// The name in small letters, and the arguments of a call without clauses.
fn plain_call(function: &SqlFunction) -> Result<(String, Vec<&Expr>)> {
    let odd = || {
        let message = format!("\"{function}\" is not supported in an expression");
        Fault::user("expression.syntax", message)
    };
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return Err(odd()) };
    let arguments = match &function.args {
        FunctionArguments::List(list)
            if list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
        {
            list.args.as_slice()
        }
        FunctionArguments::None => &[],
        _ => return Err(odd()),
    };
    if function.over.is_some() || function.filter.is_some() || !function.within_group.is_empty() {
        return Err(odd());
    }
    let plain = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Ok(expr),
        _ => Err(odd()),
    };
    let arguments = arguments.iter().map(plain).collect::<Result<_>>()?;
    Ok((name.value.to_lowercase(), arguments))
}

/// `||`: NULL where a part is.
pub(crate) fn joined(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    let nodes = as_texts(compiler, nodes)?;
    let call = Call { kind: DataType::Utf8, prepared: Prepared::None, run: run_joined };
    Ok(Node { kind: DataType::Utf8, work: Work::Call(Box::new(call), nodes) })
}

/// `concat`: NULL is empty.
pub(crate) fn concat(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Node> {
    let nodes = as_texts(compiler, nodes)?;
    let call = Call { kind: DataType::Utf8, prepared: Prepared::None, run: run_concat };
    Ok(Node { kind: DataType::Utf8, work: Work::Call(Box::new(call), nodes) })
}

/// Each as a text, as a cast would make it.
fn as_texts(compiler: &Compiler<'_>, nodes: Vec<Node>) -> Result<Vec<Node>> {
    nodes.into_iter().map(|node| compiler.convert(node, &DataType::Utf8)).collect()
}

fn run_joined(arguments: &Arguments<'_>) -> Result<Value> {
    let parts: Vec<_> = (0..arguments.values.len()).map(|index| arguments.texts(index)).collect();
    arguments.make_texts(|row, text| {
        parts.iter().for_each(|part| text.push_str(part(row)));
        Ok(())
    })
}

fn run_concat(arguments: &Arguments<'_>) -> Result<Value> {
    let parts: Vec<_> = (0..arguments.values.len()).map(|index| arguments.texts(index)).collect();
    let mut made = StringBuilder::with_capacity(arguments.rows, arguments.rows * 8);
    let (mut text, mut bytes) = (String::new(), 0);
    for row in 0..arguments.rows {
        text.clear();
        for (value, part) in arguments.values.iter().zip(&parts) {
            if !value.is_null(row) {
                text.push_str(part(row));
            }
        }
        bytes += text.len();
        check_size(bytes)?;
        made.append_value(&text);
    }
    Ok(arguments.done(Arc::new(made.finish()), Vec::new()))
}
