//! Which datasets this host moves.

use arrow_schema::{DataType, Field};
use domain::{Dataset, Fault, Result};

use crate::text::{harmless, is_misleading};

/// A name at most, bytes: headers of real files are whole sentences.
const NAME_BYTES_MAX: usize = 1024;
/// Parts of a path; catalog, schema and table are three.
const PATH_PARTS_MAX: usize = 16;
/// Metadata of a dataset and its fields together, bytes: it is stored with each plan.
const METADATA_BYTES_MAX: usize = 1 << 20;
/// A decimal's width in digits by its storage.
const DECIMAL128_DIGITS: u8 = 38;
const DECIMAL256_DIGITS: u8 = 76;

/// Refuses types that no batch may have, and names that would mislead people.
///
/// # Errors
/// `contract.type_unsupported`, `contract.name` and `contract.metadata`, domain plugin.
pub(crate) fn check_dataset(dataset: &Dataset) -> Result<()> {
    if dataset.path.len() > PATH_PARTS_MAX {
        return Err(Fault::plugin(
            "contract.name",
            format!("a dataset's path has {} parts, at most {PATH_PARTS_MAX}", dataset.path.len()),
        ));
    }
    for part in &dataset.path {
        check_name("dataset", part)?;
    }
    for (key, _) in &dataset.metadata {
        check_name("metadata", key)?;
    }
    let of_dataset = dataset.metadata.iter().map(|(key, value)| key.len() + value.len());
    let mut metadata: usize = of_dataset.sum();
    for field in dataset.schema.fields() {
        check_field(dataset, field, &mut metadata)?;
    }
    for key in &dataset.primary_key {
        if dataset.schema.column_with_name(key).is_none() {
            let (key, title) = (harmless(key, 100), harmless(&dataset.title(), 200));
            return Err(Fault::plugin(
                "contract.name",
                format!("the key of dataset \"{title}\" names \"{key}\", which is no field of it"),
            ));
        }
    }
    Ok(())
}

fn check_name(what: &str, name: &str) -> Result<()> {
    if name.len() > NAME_BYTES_MAX || name.chars().any(is_misleading) {
        let shown = harmless(name, 100);
        return Err(Fault::plugin(
            "contract.name",
            format!(
                "the name of {what} \"{shown}\" has control characters or more than {NAME_BYTES_MAX} bytes"
            ),
        ));
    }
    Ok(())
}

fn check_field(dataset: &Dataset, field: &Field, metadata: &mut usize) -> Result<()> {
    check_name("field", field.name())?;
    for key in field.metadata().keys() {
        check_name("metadata", key)?;
    }
    if let DataType::Timestamp(_, Some(zone)) = field.data_type() {
        check_name("time zone", zone)?;
    }
    let of_field = field.metadata().iter().map(|(key, value)| key.len() + value.len());
    *metadata += of_field.sum::<usize>();
    if *metadata > METADATA_BYTES_MAX {
        let title = harmless(&dataset.title(), 200);
        return Err(Fault::plugin(
            "contract.metadata",
            format!("dataset \"{title}\" has more than {METADATA_BYTES_MAX} bytes of metadata"),
        ));
    }
    if let Some(why) = unsupported(field.data_type()) {
        let (name, title) = (harmless(field.name(), 100), harmless(&dataset.title(), 200));
        return Err(Fault::plugin(
            "contract.type_unsupported",
            format!(
                "field \"{name}\" of dataset \"{title}\" has type {}: {why}",
                harmless(&field.data_type().to_string(), 200)
            ),
        ));
    }
    domain::dataset::children(field.data_type())
        .into_iter()
        .try_for_each(|child| check_field(dataset, child, metadata))
}

/// Why a type cannot be moved; its children are looked at by themselves.
fn unsupported(data_type: &DataType) -> Option<&'static str> {
    use DataType as T;
    match data_type {
        T::Decimal128(digits, _) if !(1..=DECIMAL128_DIGITS).contains(digits) => {
            Some("a decimal of 128 bits has 1 to 38 digits")
        }
        T::Decimal256(digits, _) if !(1..=DECIMAL256_DIGITS).contains(digits) => {
            Some("a decimal of 256 bits has 1 to 76 digits")
        }
        T::Decimal128(digits, scale) | T::Decimal256(digits, scale)
            if *scale < 0 || scale.unsigned_abs() > *digits =>
        {
            Some("the scale of a decimal is 0 to the number of its digits")
        }
        T::FixedSizeBinary(width) | T::FixedSizeList(_, width) if *width < 1 => {
            Some("its width must be at least 1")
        }
        T::Struct(fields) if fields.is_empty() => Some("a struct must have fields"),
        T::Map(entries, _) => match entries.data_type() {
            T::Struct(fields)
                if fields.len() == 2 && !fields[0].is_nullable() && !entries.is_nullable() =>
            {
                None
            }
            _ => Some("a map has entries that are not null, of a key that is not null and a value"),
        },
        T::Dictionary(_, _) | T::RunEndEncoded(_, _) => Some("encoded columns are not moved yet"),
        T::Union(_, _) => Some("unions are not moved yet"),
        T::BinaryView | T::Utf8View | T::ListView(_) | T::LargeListView(_) => {
            Some("views are not moved yet")
        }
        T::LargeBinary | T::LargeUtf8 | T::LargeList(_) => Some("64-bit offsets are not moved yet"),
        T::Decimal32(_, _) | T::Decimal64(_, _) => Some("use a decimal of 128 bits"),
        _ => None,
    }
}
