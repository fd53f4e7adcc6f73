//! Which columns a job wants of its files, and where each file has them.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray, UInt32Array};
use arrow_schema::{Field, Schema, SchemaRef};
use sdk::{Fault, Result};

use crate::cells::{Cell, Cells, Column, Form, Record};
use crate::kind::Kind;
use crate::read::Header;

/// The columns of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// All, with their own or inferred types.
    All,
    /// All as text.
    AllText,
    Listed(Vec<Listed>),
}

/// One column as the job lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub origin: Origin,
    /// The field's name, where it is not that of the origin.
    pub name: Option<String>,
    /// `None`: the file's own type, or an inferred one.
    pub kind: Option<Kind>,
    /// The type as it was written.
    pub word: Option<String>,
    /// JSON pointer to the column in the document.
    pub place: String,
}

/// Where a column's values come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// From 0.
    Index(usize),
    Name(String),
    /// The same text in each row; `None` is NULL.
    Constant(Option<String>),
}

/// What is known of files without their values: names, and types as far as a sample was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) names: Vec<String>,
    pub(crate) fields: Vec<Field>,
    pub(crate) header: Header,
}

impl Wanted {
    /// Whether the types of some columns must be inferred, or the names be read.
    pub(crate) fn needs_sample(&self) -> bool {
        match self {
            Self::All | Self::AllText => true,
            Self::Listed(columns) => columns.iter().any(|column| {
                column.kind.is_none() && !matches!(column.origin, Origin::Constant(_))
            }),
        }
    }

    pub(crate) fn infers_types(&self) -> bool {
        *self != Self::AllText && self.needs_sample()
    }

    /// The fields of text files. `found` is what a sample gave, empty where none was needed.
    pub(crate) fn schema(&self, found: &Found) -> Result<SchemaRef> {
        let fields = match self {
            Self::All => found.fields.clone(),
            Self::AllText => found.names.iter().map(|name| Kind::Text.field(name)).collect(),
            Self::Listed(columns) => columns
                .iter()
                .enumerate()
                .map(|(at, column)| column.field(at, found))
                .collect::<Result<_>>()?,
        };
        if fields.is_empty() {
            return Err(Fault::data("format.no_columns", "the files have no columns")
                .hint("list \"column\" where the files may be empty"));
        }
        Ok(Arc::new(Schema::new(fields)))
    }
}

impl Listed {
    fn field(&self, at: usize, found: &Found) -> Result<Field> {
        let source = match &self.origin {
            Origin::Index(index) => found.fields.get(*index),
            Origin::Name(name) => {
                found.fields.iter().find(|field| found.header.same_name(field.name(), name))
            }
            Origin::Constant(_) => None,
        };
        let name = match (&self.name, &self.origin) {
            (Some(name), _) | (None, Origin::Name(name)) => name.clone(),
            (None, Origin::Index(index)) => {
                found.names.get(*index).cloned().unwrap_or_else(|| column_name(*index))
            }
            (None, Origin::Constant(_)) => format!("value_{at}"),
        };
        match (&self.kind, source, &self.origin) {
            (Some(kind), _, _) => Ok(kind.field(name)),
            (None, Some(field), _) => Ok(field.clone().with_name(name)),
            (None, None, Origin::Constant(_)) => Ok(Kind::Text.field(name)),
            (None, None, _) => Err(self.missing()),
        }
    }

    /// The files lack the column.
    pub(crate) fn missing(&self) -> Fault {
        let message = match &self.origin {
            Origin::Index(index) => format!("the files have no column with index {index}"),
            Origin::Name(name) => format!("the files have no column \"{name}\""),
            Origin::Constant(_) => "a constant has no column".to_owned(),
        };
        Fault::data("format.column_missing", message)
            .hint("names come from \"header\"; without one, use \"index\"")
            .at(self.place.clone())
    }
}

/// The name of a column that has none.
pub(crate) fn column_name(index: usize) -> String {
    format!("column_{index}")
}

/// Where one output column comes from in the cells of a text file.
pub(crate) enum ReadFrom {
    Cell(usize),
    /// One value, repeated.
    Constant(ArrayRef),
}

/// One output column of a text file.
pub(crate) struct Reading {
    pub(crate) from: ReadFrom,
    pub(crate) kind: Kind,
    /// The kind comes from a sample.
    pub(crate) inferred: bool,
}

/// A constant of a kind, as an array of one value.
///
/// # Errors
/// `parameter.invalid`, where the text is no value of the type.
pub(crate) fn constant(text: Option<&str>, kind: &Kind, place: &str) -> Result<ArrayRef> {
    one_value(text, kind).map_err(|reason| {
        let message = format!("the constant {reason}");
        Fault::user("parameter.invalid", message).at(format!("{place}/value"))
    })
}

/// A text as an array of one value of a kind, or why it is none.
pub(crate) fn one_value(text: Option<&str>, kind: &Kind) -> Result<ArrayRef, String> {
    let window = text.unwrap_or_default().as_bytes();
    let form = if text.is_some() { Form::Plain } else { Form::Null };
    let mut cells = Cells::new(1);
    let end = window.len() as u32;
    cells.cells.push(Cell { start: 0, end, form });
    cells.records.push(Record { start: 0, end, next: end, fields: 1, lines: 0 });
    let mut misfits = Vec::new();
    let column = Column { cells: &cells, window, index: 0, empty_is_null: false, exact: false };
    let array = column.read(kind, &mut misfits);
    match misfits.first() {
        None => Ok(array),
        Some((_, misfit)) => Err(format!("is no {}: {}", kind.word(), misfit.reason())),
    }
}

/// The value of a constant in each of `rows`.
pub(crate) fn repeated(value: &ArrayRef, rows: usize) -> Result<ArrayRef> {
    if let Some(text) = value.as_any().downcast_ref::<StringArray>()
        && text.is_valid(0)
    {
        return Ok(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            text.value(0),
            rows,
        ))));
    }
    let zeros = UInt32Array::from(vec![0; rows]);
    arrow_select::take::take(value, &zeros, None)
        .map_err(|error| Fault::plugin("format.constant", error.to_string()))
}
