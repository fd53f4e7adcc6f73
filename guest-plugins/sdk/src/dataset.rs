//! Datasets with Arrow schemas, and the contract's flat fields.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::bindings::airlock::connector::types as wire;
use crate::{Fault, Result};

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

impl Dataset {
    /// A dataset without key and metadata. `path` goes from the outside in.
    pub fn new<P: Into<String>>(
        path: impl IntoIterator<Item = P>,
        fields: impl IntoIterator<Item = Field>,
    ) -> Self {
        Self {
            path: path.into_iter().map(Into::into).collect(),
            schema: Arc::new(Schema::new(fields.into_iter().collect::<Vec<_>>())),
            primary_key: Vec::new(),
            metadata: Vec::new(),
        }
    }

    pub(crate) fn to_wire(&self) -> Result<wire::Dataset> {
        Ok(wire::Dataset {
            path: self.path.clone(),
            fields: flat_fields(&self.schema)?,
            primary_key: self.primary_key.clone(),
            metadata: self.metadata.clone(),
        })
    }

    pub(crate) fn from_wire(dataset: wire::Dataset) -> Result<Self> {
        let mut rest = dataset.fields.as_slice();
        let mut fields = Vec::new();
        while !rest.is_empty() {
            fields.push(unflatten(&mut rest)?);
        }
        Ok(Self {
            path: dataset.path,
            schema: Arc::new(Schema::new(fields)),
            primary_key: dataset.primary_key,
            metadata: dataset.metadata,
        })
    }
}

/// The fields of a schema, depth first.
pub(crate) fn flat_fields(schema: &Schema) -> Result<Vec<wire::Field>> {
    let mut fields = Vec::new();
    schema.fields().iter().try_for_each(|field| flatten(field, &mut fields))?;
    Ok(fields)
}

fn flatten(field: &Field, flat: &mut Vec<wire::Field>) -> Result<()> {
    let children = children(field.data_type());
    let format = FFI_ArrowSchema::try_from(field.data_type())
        .map_err(|error| Fault::plugin("sdk.type", format!("field \"{}\": {error}", field.name())))?
        .format()
        .to_owned();
    let mut metadata: Vec<_> = field.metadata().clone().into_iter().collect();
    metadata.sort();
    flat.push(wire::Field {
        name: field.name().clone(),
        format,
        nullable: field.is_nullable(),
        children: children.len() as u32,
        metadata,
    });
    children.into_iter().try_for_each(|child| flatten(child, flat))
}

fn children(data_type: &DataType) -> Vec<&Field> {
    match data_type {
        DataType::List(field) | DataType::FixedSizeList(field, _) | DataType::Map(field, _) => {
            vec![field]
        }
        DataType::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    }
}

/// The host has checked counts and depth.
fn unflatten(rest: &mut &[wire::Field]) -> Result<Field> {
    let broken = |message: String| Fault::plugin("sdk.field", message);
    let (head, tail) =
        rest.split_first().ok_or_else(|| broken("a child field is missing".into()))?;
    *rest = tail;
    let children = (0..head.children).map(|_| unflatten(rest)).collect::<Result<Vec<_>>>()?;
    let data_type = data_type(&head.format, &children)
        .map_err(|error| broken(format!("field \"{}\": {error}", head.name)))?;
    let metadata: HashMap<_, _> = head.metadata.iter().cloned().collect();
    Ok(Field::new(&head.name, data_type, head.nullable).with_metadata(metadata))
}

fn data_type(format: &str, children: &[Field]) -> Result<DataType, arrow_schema::ArrowError> {
    let children = children.iter().map(FFI_ArrowSchema::try_from).collect::<Result<Vec<_>, _>>()?;
    DataType::try_from(&FFI_ArrowSchema::try_new(format, children, None)?)
}
