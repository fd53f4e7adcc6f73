//! `edit-columns`: computed columns, and which columns stay, under which names and in which order.

use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema, SchemaRef};
use domain::job::{Computed, Edits};
use domain::{Fault, Result};
use expression::{Compiled, Expression, type_of};

use crate::mapping::Exact;

/// Where the values of a column behind the step come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A column before the step.
    Column(usize),
    Computed(Compiled),
}

#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) origins: Vec<Origin>,
    pub(super) schema: SchemaRef,
}

type Column = (FieldRef, Origin);

impl Edit {
    /// # Errors
    /// `transform.column`: a column that there is not, or two of one name; what an expression has.
    pub(super) fn new(edits: &Edits, schema: &SchemaRef, casts: &Exact) -> Result<Self> {
        let fields = schema.fields().iter().cloned().enumerate();
        let mut columns: Vec<Column> =
            fields.map(|(index, field)| (field, Origin::Column(index))).collect();
        for (index, computed) in edits.computed.iter().enumerate() {
            let place = format!("/parameter/column/{index}");
            let made = compute(computed, schema, casts, &place)?;
            match columns.iter_mut().find(|(field, _)| *field.name() == computed.name) {
                Some(column) => *column = made,
                None => columns.push(made),
            }
        }
        for (index, name) in edits.drop.iter().enumerate() {
            let at = find(name, &columns, &format!("/parameter/drop/{index}"))?;
            columns.remove(at);
        }
        // All at once, so that two names can change places.
        let renamed = edits
            .rename
            .iter()
            .map(|(name, _)| find(name, &columns, &format!("/parameter/rename/{}", escaped(name))));
        let renamed = renamed.collect::<Result<Vec<_>>>()?;
        for (at, (_, name)) in renamed.into_iter().zip(&edits.rename) {
            columns[at].0 = Arc::new(columns[at].0.as_ref().clone().with_name(name));
        }
        if let Some(select) = &edits.select {
            let selected = select.iter().enumerate().map(|(index, name)| {
                let at = find(name, &columns, &format!("/parameter/select/{index}"))?;
                Ok(columns[at].clone())
            });
            columns = selected.collect::<Result<_>>()?;
        }
        refuse_doubles(&columns)?;
        let (fields, origins): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
        Ok(Self { origins, schema: Arc::new(schema) })
    }
}

fn compute(computed: &Computed, schema: &SchemaRef, casts: &Exact, place: &str) -> Result<Column> {
    let to = computed.data_type.as_deref().map(type_of).transpose();
    let to = to.map_err(|fault| fault.at(format!("{place}/type")))?;
    let compiled = Expression::parse(&computed.expression)
        .and_then(|parsed| parsed.compile(schema, to.as_ref(), casts))
        .map_err(|fault| fault.at(format!("{place}/expression")))?;
    Ok(match compiled.column() {
        // What the field says of its values still holds.
        Some(index) => {
            let field = schema.field(index).clone().with_name(&computed.name);
            (Arc::new(field), Origin::Column(index))
        }
        None => {
            let field = Field::new(&computed.name, compiled.data_type().clone(), true);
            (Arc::new(field), Origin::Computed(compiled))
        }
    })
}

fn find(name: &str, columns: &[Column], place: &str) -> Result<usize> {
    let found = columns.iter().position(|(field, _)| field.name() == name);
    let names = columns.iter().map(|(field, _)| field.name().as_str());
    found.ok_or_else(|| super::unknown_column(name, names).at(place))
}

/// A key as a part of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn refuse_doubles(columns: &[Column]) -> Result<()> {
    let mut names = std::collections::HashSet::new();
    let double = columns.iter().find(|(field, _)| !names.insert(field.name().as_str()));
    match double {
        None if columns.is_empty() => Err(Fault::user("transform.column", "no column is left")),
        None => Ok(()),
        Some((field, _)) => {
            let message = format!("two columns would have the name \"{}\"", field.name());
            Err(Fault::user("transform.column", message).hint("give one of them another name"))
        }
    }
}
