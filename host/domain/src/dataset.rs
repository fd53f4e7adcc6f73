//! Tables and their fields, typed and as they are spelled on the wire.
//!
//! A field's type is the format string of Arrow's C data interface (`l`, `u`, `d:38,10`, `tsu:UTC`,
//! `+s`, …), so the list of types is open. [`Dataset::flatten`] and [`Dataset::unflatten`] are the
//! only place that translates; the contract and the store both use their output.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::fault::{Fault, Result};

/// Nesting beyond this is refused, so that no recursion follows a guest's word.
pub const FIELD_DEPTH_MAX: usize = 16;
/// Fields of one dataset, children included.
pub const FIELDS_MAX: usize = 4096;

/// A table, a collection, a topic or a set of files.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// From the outside in: catalog, schema, table; never joined by dots.
    pub path: Vec<String>,
    pub schema: SchemaRef,
    /// Names of the key fields; empty where there is no key.
    pub primary_key: Vec<String>,
    pub metadata: Vec<(String, String)>,
}

/// One field of a dataset, depth first: the next `children` subtrees belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatField {
    pub name: String,
    pub format: String,
    pub nullable: bool,
    pub children: u32,
    pub metadata: Vec<(String, String)>,
}

impl Dataset {
    /// The path for people.
    pub fn title(&self) -> String {
        self.path.join(".")
    }

    /// # Errors
    /// `contract.type_unsupported` for a type that has no format string here.
    pub fn flatten(&self) -> Result<Vec<FlatField>> {
        let mut flat = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            flatten_field(field, &mut flat)?;
        }
        Ok(flat)
    }

    /// Builds the schema of `flat`.
    ///
    /// # Errors
    /// `contract.field` where counts, depth or a format string are not what the contract says.
    pub fn unflatten(
        path: Vec<String>,
        flat: &[FlatField],
        primary_key: Vec<String>,
        metadata: Vec<(String, String)>,
    ) -> Result<Self> {
        if flat.len() > FIELDS_MAX {
            return Err(lie(format!("{} fields, more than {FIELDS_MAX}", flat.len())));
        }
        let mut rest = flat;
        let mut fields = Vec::new();
        while !rest.is_empty() {
            fields.push(unflatten_field(&mut rest, 0)?);
        }
        Ok(Self { path, schema: Arc::new(Schema::new(fields)), primary_key, metadata })
    }
}

fn lie(message: String) -> Fault {
    Fault::plugin("contract.field", message)
}

fn flatten_field(field: &Field, flat: &mut Vec<FlatField>) -> Result<()> {
    let children = children(field.data_type());
    let format = FFI_ArrowSchema::try_from(field.data_type())
        .map_err(|error| {
            Fault::plugin(
                "contract.type_unsupported",
                format!("field \"{}\": {error}", field.name()),
            )
        })?
        .format()
        .to_owned();
    let mut metadata: Vec<_> =
        field.metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    metadata.sort();
    flat.push(FlatField {
        name: field.name().clone(),
        format,
        nullable: field.is_nullable(),
        children: children.len() as u32,
        metadata,
    });
    for child in children {
        flatten_field(child, flat)?;
    }
    Ok(())
}

/// The child fields of a nested type, in the order of the Arrow layout.
pub fn children(data_type: &DataType) -> Vec<&Field> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => vec![field],
        DataType::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    }
}

fn unflatten_field(rest: &mut &[FlatField], depth: usize) -> Result<Field> {
    if depth > FIELD_DEPTH_MAX {
        return Err(lie(format!("fields nested deeper than {FIELD_DEPTH_MAX}")));
    }
    let (head, tail) = rest.split_first().ok_or_else(|| lie("a child field is missing".into()))?;
    *rest = tail;
    let mut children = Vec::new();
    for _ in 0..head.children {
        children.push(unflatten_field(rest, depth + 1)?);
    }
    let data_type = data_type(&head.format, &children).map_err(|error| {
        lie(format!("field \"{}\", format \"{}\": {error}", head.name, head.format))
    })?;
    let metadata: HashMap<_, _> = head.metadata.iter().cloned().collect();
    Ok(Field::new(&head.name, data_type, head.nullable).with_metadata(metadata))
}

/// The Arrow type that a format string means.
fn data_type(format: &str, children: &[Field]) -> Result<DataType, arrow_schema::ArrowError> {
    // The upstream parser takes the number of children on trust, so it is checked here.
    let expected = match format {
        "+l" | "+L" | "+m" => Some(1),
        "+s" => None,
        _ if format.starts_with("+w:") => Some(1),
        _ if format.starts_with('+') => {
            return Err(arrow_schema::ArrowError::CDataInterface("not in the contract".into()));
        }
        _ => Some(0),
    };
    if expected.is_some_and(|count| count != children.len()) {
        return Err(arrow_schema::ArrowError::CDataInterface(format!(
            "{} children",
            children.len()
        )));
    }
    if format == "+m" && children_of_entries(&children[0]) != 2 {
        return Err(arrow_schema::ArrowError::CDataInterface("a map without key and value".into()));
    }
    let children = children.iter().map(FFI_ArrowSchema::try_from).collect::<Result<Vec<_>, _>>()?;
    DataType::try_from(&FFI_ArrowSchema::try_new(format, children, None)?)
}

fn children_of_entries(field: &Field) -> usize {
    match field.data_type() {
        DataType::Struct(fields) => fields.len(),
        _ => 0,
    }
}
