//! ORC's types and Arrow's.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit, UnionFields, UnionMode};

use crate::error::{Error, Result};
use crate::meta::Type;

/// Numbers of types in files.
pub(crate) mod kind {
    pub(crate) const BOOLEAN: u64 = 0;
    pub(crate) const BYTE: u64 = 1;
    pub(crate) const SHORT: u64 = 2;
    pub(crate) const INT: u64 = 3;
    pub(crate) const LONG: u64 = 4;
    pub(crate) const FLOAT: u64 = 5;
    pub(crate) const DOUBLE: u64 = 6;
    pub(crate) const STRING: u64 = 7;
    pub(crate) const BINARY: u64 = 8;
    pub(crate) const TIMESTAMP: u64 = 9;
    pub(crate) const LIST: u64 = 10;
    pub(crate) const MAP: u64 = 11;
    pub(crate) const STRUCT: u64 = 12;
    pub(crate) const UNION: u64 = 13;
    pub(crate) const DECIMAL: u64 = 14;
    pub(crate) const DATE: u64 = 15;
    pub(crate) const VARCHAR: u64 = 16;
    pub(crate) const CHAR: u64 = 17;
    pub(crate) const INSTANT: u64 = 18;
}

/// Deeper types are broken bytes.
const DEPTH_MAX: usize = 64;
/// Old files have decimals without digits: each value says its own scale.
const OLD_DECIMAL: (u8, i8) = (38, 18);
/// The attribute of a timestamp that says its unit in Arrow, where that is not the usual one.
const UNIT: &str = "arrow.unit";
/// Timestamps of files that say nothing are read so: a unit that reaches every year.
const USUAL: TimeUnit = TimeUnit::Microsecond;
const UTC: &str = "UTC";

/// A column of the tree of types.
pub(crate) struct Node {
    /// Its place in the list of types.
    pub(crate) column: usize,
    pub(crate) field: FieldRef,
    pub(crate) children: Vec<Node>,
}

/// The columns of the root.
pub(crate) fn columns(types: &[Type]) -> Result<Vec<Node>> {
    match types.first() {
        Some(root) if root.kind == kind::STRUCT => {}
        Some(_) => return Err(Error::Unsupported("its rows have no columns".into())),
        None => return Err(Error::corrupt("it lists no types")),
    }
    let mut next = 0;
    let root = node(types, &mut next, String::new(), 0)?;
    match next == types.len() {
        true => Ok(root.children),
        false => Err(Error::corrupt("it lists types that no column has")),
    }
}

fn node(types: &[Type], next: &mut usize, name: String, depth: usize) -> Result<Node> {
    let column = *next;
    let broken = || Error::corrupt("its list of types is no tree");
    let own = types.get(column).filter(|_| depth < DEPTH_MAX).ok_or_else(broken)?;
    *next += 1;
    let is_struct = own.kind == kind::STRUCT;
    if is_struct && own.names.len() != own.children.len() {
        return Err(broken());
    }
    let mut children = Vec::new();
    for (at, child) in own.children.iter().enumerate() {
        if *child != *next as u64 {
            return Err(broken());
        }
        let name = match own.kind {
            kind::STRUCT => own.names[at].clone(),
            kind::MAP if at == 0 => "key".to_owned(),
            kind::MAP => "value".to_owned(),
            _ => "item".to_owned(),
        };
        children.push(node(types, next, name, depth + 1)?);
    }
    let mut attributes: HashMap<_, _> = own.attributes.iter().cloned().collect();
    let unit = attributes.remove(UNIT).and_then(|word| unit(&word));
    let data_type = data_type(own, &children, unit.unwrap_or(USUAL)).ok_or_else(broken)?;
    let field = Field::new(name, data_type, true).with_metadata(attributes);
    Ok(Node { column, field: Arc::new(field), children })
}

fn data_type(own: &Type, children: &[Node], unit: TimeUnit) -> Option<DataType> {
    let fields = || children.iter().map(|child| child.field.clone()).collect::<Fields>();
    Some(match (own.kind, children) {
        (kind::BOOLEAN, []) => DataType::Boolean,
        (kind::BYTE, []) => DataType::Int8,
        (kind::SHORT, []) => DataType::Int16,
        (kind::INT, []) => DataType::Int32,
        (kind::LONG, []) => DataType::Int64,
        (kind::FLOAT, []) => DataType::Float32,
        (kind::DOUBLE, []) => DataType::Float64,
        (kind::STRING | kind::VARCHAR | kind::CHAR, []) => DataType::Utf8,
        (kind::BINARY, []) => DataType::Binary,
        (kind::DATE, []) => DataType::Date32,
        (kind::TIMESTAMP, []) => DataType::Timestamp(unit, None),
        (kind::INSTANT, []) => DataType::Timestamp(unit, Some(UTC.into())),
        (kind::DECIMAL, []) => {
            let (precision, scale) = match own.precision {
                0 => OLD_DECIMAL,
                1..=38 if own.scale <= own.precision => (own.precision as u8, own.scale as i8),
                _ => return None,
            };
            DataType::Decimal128(precision, scale)
        }
        (kind::LIST, [item]) => DataType::List(item.field.clone()),
        (kind::MAP, [key, value]) => {
            let key = Arc::new(key.field.as_ref().clone().with_nullable(false));
            let entries = DataType::Struct(Fields::from(vec![key, value.field.clone()]));
            DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
        }
        (kind::STRUCT, _) => DataType::Struct(fields()),
        (kind::UNION, _) => {
            let fields = fields();
            let numbered = fields.iter().cloned().zip(0_i8..).map(|(field, id)| (id, field));
            DataType::Union(numbered.collect::<UnionFields>(), UnionMode::Dense)
        }
        // Of a kind that came later.
        (19.., []) => DataType::Union(UnionFields::empty(), UnionMode::Dense),
        _ => return None,
    })
}

fn unit(word: &str) -> Option<TimeUnit> {
    Some(match word {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => return None,
    })
}

fn unit_word(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

/// The list of types for columns, the root first.
pub(crate) fn types(fields: &Fields) -> Result<Vec<Type>> {
    let mut types = vec![Type { kind: kind::STRUCT, ..Type::default() }];
    push_children(0, fields.iter(), &mut types)?;
    types[0].names = fields.iter().map(|field| field.name().clone()).collect();
    Ok(types)
}

fn push_children<'a>(
    parent: usize,
    fields: impl Iterator<Item = &'a FieldRef>,
    types: &mut Vec<Type>,
) -> Result<()> {
    for field in fields {
        let child = types.len() as u64;
        types[parent].children.push(child);
        push(field, types)?;
    }
    Ok(())
}

fn push(field: &Field, types: &mut Vec<Type>) -> Result<()> {
    let at = types.len();
    let mut own = Type::default();
    let pairs = field.metadata().iter().map(|(key, value)| (key.clone(), value.clone()));
    own.attributes = pairs.collect();
    own.attributes.sort();
    own.kind = match field.data_type() {
        DataType::Boolean => kind::BOOLEAN,
        DataType::Int8 => kind::BYTE,
        DataType::Int16 => kind::SHORT,
        DataType::Int32 => kind::INT,
        DataType::Int64 => kind::LONG,
        DataType::Float32 => kind::FLOAT,
        DataType::Float64 => kind::DOUBLE,
        DataType::Utf8 => kind::STRING,
        DataType::Binary => kind::BINARY,
        DataType::Date32 => kind::DATE,
        DataType::Timestamp(unit, zone) => {
            if *unit != USUAL {
                own.attributes.push((UNIT.to_owned(), unit_word(*unit).to_owned()));
            }
            match zone.as_deref() {
                None => kind::TIMESTAMP,
                Some(UTC) => kind::INSTANT,
                Some(_) => return Err(unknown(field)),
            }
        }
        DataType::Decimal128(precision, scale) if (0..=*precision as i8).contains(scale) => {
            (own.precision, own.scale) = (u64::from(*precision), *scale as u64);
            kind::DECIMAL
        }
        DataType::List(_) => kind::LIST,
        DataType::Map(..) => kind::MAP,
        DataType::Struct(fields) => {
            own.names = fields.iter().map(|field| field.name().clone()).collect();
            kind::STRUCT
        }
        _ => return Err(unknown(field)),
    };
    types.push(own);
    match field.data_type() {
        DataType::List(item) => push_children(at, [item].into_iter(), types),
        DataType::Struct(fields) => push_children(at, fields.iter(), types),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => push_children(at, fields.iter(), types),
            _ => Err(unknown(entries)),
        },
        _ => Ok(()),
    }
}

fn unknown(field: &Field) -> Error {
    let (name, data_type) = (field.name(), field.data_type());
    Error::Unsupported(format!("column \"{name}\" is {data_type}, which ORC does not have"))
}
