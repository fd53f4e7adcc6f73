//! PostgreSQL's types as Arrow fields.
//!
//! A type that Arrow has exactly is a [`Kind`] of its own and travels in its binary form. Every other
//! type is [`Kind::Opaque`]: it travels as the text that the server prints and reads, and its field
//! says so with the extension `arrow.opaque`. Values that lie outside the range of the Arrow type
//! take an extreme of it, which the field's metadata announces ([`EXTREMES`]).

use std::collections::HashMap;

use arrow_schema::{DataType, Field};
use codec::postgresql::interval;
use codec::postgresql::kind::{EXTENSION_METADATA, EXTENSION_NAME, EXTREMES, extension, extremes};
pub(crate) use codec::postgresql::kind::{Kind, Limit, data_type};

/// Metadata of a field: the column's type in the server's own words, for `createTable`.
pub(crate) const PG_TYPE: &str = "pg:type";
const DECIMAL256_DIGITS: u8 = 76;
/// Dimensions of an array at most, as the server has it.
const DIMENSIONS_MAX: u32 = 6;
/// What the server adds to the length in a modifier of a text or numeric type.
const TYPMOD_HEAD: i32 = 4;

/// The type of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PgType {
    pub(crate) kind: Kind,
    /// As the server writes it: `numeric(10,2)`.
    pub(crate) name: String,
    /// What the column, or each element of an array, is cut or rounded to.
    pub(crate) limit: Limit,
}

/// What the catalog says about a type.
#[derive(Clone, Debug)]
pub(crate) struct TypeFacts {
    pub(crate) oid: u32,
    pub(crate) typmod: i32,
    /// As `format_type` writes it.
    pub(crate) name: String,
    /// The type of an array's elements; 0 for no array.
    pub(crate) element: u32,
    /// Declared dimensions; 0 where they are not known.
    pub(crate) dimensions: u32,
}

impl PgType {
    pub(crate) fn of(facts: &TypeFacts) -> Self {
        let kind = kind_of(facts);
        let scalar = if facts.element == 0 { facts.oid } else { facts.element };
        let limit = limit_of(scalar, facts.typmod);
        // The server's name has one pair of brackets for any number of dimensions.
        let more = facts.dimensions.saturating_sub(1).min(DIMENSIONS_MAX) as usize;
        Self { kind, name: facts.name.clone() + &"[]".repeat(more), limit }
    }

    /// The Arrow field for a column of this type.
    pub(crate) fn field(&self, name: &str, nullable: bool) -> Field {
        let mut metadata = HashMap::from([(PG_TYPE.to_owned(), self.name.clone())]);
        if let Some((extension, text)) = extension(&self.kind, &self.name) {
            metadata.insert(EXTENSION_NAME.to_owned(), extension.to_owned());
            metadata.insert(EXTENSION_METADATA.to_owned(), text);
        }
        if let Some(extremes) = extremes(&self.kind) {
            metadata.insert(EXTREMES.to_owned(), extremes.to_owned());
        }
        Field::new(name, data_type(&self.kind), nullable).with_metadata(metadata)
    }
}

fn kind_of(facts: &TypeFacts) -> Kind {
    if facts.element != 0 {
        let element = scalar_kind(facts.element, facts.typmod);
        return match element {
            Kind::Opaque => Kind::Opaque,
            element => Kind::Array(Box::new(element), facts.element),
        };
    }
    scalar_kind(facts.oid, facts.typmod)
}

fn scalar_kind(oid: u32, typmod: i32) -> Kind {
    match oid {
        16 => Kind::Bool,
        17 => Kind::Bytea,
        19 | 25 | 1042 | 1043 => Kind::Text,
        20 => Kind::Int8,
        21 => Kind::Int2,
        23 => Kind::Int4,
        26 => Kind::Oid,
        114 => Kind::Json,
        700 => Kind::Float4,
        701 => Kind::Float8,
        1082 => Kind::Date,
        1083 => Kind::Time,
        1114 => Kind::Timestamp,
        1184 => Kind::TimestampTz,
        1700 => numeric_kind(typmod),
        2950 => Kind::Uuid,
        3802 => Kind::Jsonb,
        _ => Kind::Opaque,
    }
}

/// A numeric whose scale Arrow allows; others (without precision, or with a scale below zero or beyond
/// the precision) are opaque.
fn numeric_kind(typmod: i32) -> Kind {
    let Some((precision, scale)) = precision_and_scale(typmod) else { return Kind::Opaque };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=DECIMAL256_DIGITS), Ok(scale @ 0..)) if scale as u8 <= precision => {
            Kind::Numeric { precision, scale }
        }
        _ => Kind::Opaque,
    }
}

fn precision_and_scale(typmod: i32) -> Option<(i32, i32)> {
    let bits = typmod.checked_sub(TYPMOD_HEAD).filter(|bits| *bits >= 0)?;
    // The scale has eleven bits, the first of which is its sign.
    Some((bits >> 16 & 0xffff, ((bits & 0x7ff) ^ 0x400) - 0x400))
}

fn limit_of(oid: u32, typmod: i32) -> Limit {
    /// Bytes of a name, without the zero at its end.
    const NAME_BYTES: u32 = 63;
    /// Decimals of a second that the server keeps.
    const SECOND_DECIMALS: u32 = 6;
    /// Decimals of money where lc_monetary is C.
    const MONEY_DECIMALS: i32 = 2;
    let decimals = |precision: i32| match u32::try_from(precision) {
        Ok(precision) => Limit::SecondDecimals(precision.min(SECOND_DECIMALS)),
        Err(_) => Limit::SecondDecimals(SECOND_DECIMALS),
    };
    match oid {
        18 => Limit::OneByte,
        19 => Limit::Bytes(NAME_BYTES),
        790 => Limit::Scale(MONEY_DECIMALS),
        1043 if typmod >= TYPMOD_HEAD => Limit::Characters((typmod - TYPMOD_HEAD) as u32),
        1083 | 1114 | 1184 | 1266 => decimals(typmod),
        // An interval's modifier has its fields in the upper half.
        1186 if typmod >= 0 => match interval::smallest(typmod) {
            interval::Field::Second => decimals(typmod & 0xffff),
            field => Limit::Fields(field),
        },
        // Intervals, ranges and multiranges of times without a modifier.
        1186 | 3908 | 3910 | 4533 | 4534 => decimals(-1),
        1700 => precision_and_scale(typmod).map_or(Limit::None, |(_, scale)| Limit::Scale(scale)),
        _ => Limit::None,
    }
}

/// The type that the field's metadata name, of this server's kind.
pub(crate) fn named_type(field: &Field) -> Option<String> {
    let metadata = field.metadata();
    if let Some(name) = metadata.get(PG_TYPE) {
        return Some(name.clone());
    }
    if metadata.get(EXTENSION_NAME).map(String::as_str) != Some("arrow.opaque") {
        return None;
    }
    let opaque: serde_json::Value = serde_json::from_str(metadata.get(EXTENSION_METADATA)?).ok()?;
    (opaque["vendor_name"] == "PostgreSQL")
        .then(|| opaque["type_name"].as_str().map(str::to_owned))?
}

/// The type in SQL that holds all values of a field's Arrow type; `None` where PostgreSQL has none.
pub(crate) fn sql_type(field: &Field) -> Option<String> {
    let extension = field.metadata().get(EXTENSION_NAME).map(String::as_str);
    let name = match field.data_type() {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::UInt64 => "numeric(20,0)",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            // A negative scale stands for zeros before the point.
            let (precision, scale) = (i16::from(*precision), i16::from(*scale));
            return Some(format!("numeric({},{})", precision - scale.min(0), scale.max(0)));
        }
        DataType::Utf8 if extension == Some("arrow.json") => "json",
        DataType::Utf8 | DataType::Null => "text",
        DataType::FixedSizeBinary(16) if extension == Some("arrow.uuid") => "uuid",
        DataType::Binary | DataType::FixedSizeBinary(_) => "bytea",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::List(item) if !matches!(item.data_type(), DataType::List(_)) => {
            return sql_type(item).map(|element| element + "[]");
        }
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn facts(oid: u32, typmod: i32, element: u32, dimensions: u32) -> TypeFacts {
        TypeFacts { oid, typmod, name: "x".into(), element, dimensions }
    }

    fn numeric(precision: i32, scale: i32) -> i32 {
        (precision << 16 | scale & 0x7ff) + 4
    }

    #[test]
    fn types_become_arrow_types() {
        let cases = [
            (facts(20, -1, 0, 0), DataType::Int64),
            (facts(1700, numeric(15, 2), 0, 0), DataType::Decimal128(15, 2)),
            (facts(1700, numeric(38, 38), 0, 0), DataType::Decimal128(38, 38)),
            (facts(1700, numeric(39, 0), 0, 0), DataType::Decimal256(39, 0)),
            (facts(1700, numeric(76, 10), 0, 0), DataType::Decimal256(76, 10)),
            (facts(1700, numeric(77, 10), 0, 0), DataType::Utf8),
            (facts(1700, numeric(5, -2), 0, 0), DataType::Utf8),
            (facts(1700, numeric(2, 4), 0, 0), DataType::Utf8),
            (facts(1700, -1, 0, 0), DataType::Utf8),
            (facts(1186, -1, 0, 0), DataType::Utf8),
        ];
        for (facts, expected) in cases {
            assert_eq!(data_type(&PgType::of(&facts).kind), expected, "{facts:?}");
        }
        let list = PgType::of(&facts(1007, -1, 23, 1));
        assert_eq!(list.kind, Kind::Array(Box::new(Kind::Int4), 23));
        // An array of a type without a binary form here is text as a whole.
        assert_eq!(PgType::of(&facts(1187, -1, 1186, 1)).kind, Kind::Opaque);
    }

    #[test]
    fn opaque_types_name_themselves() {
        let of = TypeFacts { name: "interval".into(), ..facts(1186, -1, 0, 0) };
        let field = PgType::of(&of).field("i", true);
        assert_eq!(field.metadata()["ARROW:extension:name"], "arrow.opaque");
        let opaque: serde_json::Value =
            serde_json::from_str(&field.metadata()["ARROW:extension:metadata"]).unwrap();
        assert_eq!(
            opaque,
            serde_json::json!({"type_name": "interval", "vendor_name": "PostgreSQL"})
        );
        assert_eq!(named_type(&field).as_deref(), Some("interval"));
        let mut metadata = field.metadata().clone();
        metadata.remove(PG_TYPE);
        assert_eq!(named_type(&field.with_metadata(metadata)).as_deref(), Some("interval"));
    }

    #[test]
    fn limits_are_known() {
        assert_eq!(limit_of(1043, 7), Limit::Characters(3));
        assert_eq!(limit_of(1043, -1), Limit::None);
        assert_eq!(limit_of(1114, 3), Limit::SecondDecimals(3));
        assert_eq!(limit_of(1114, -1), Limit::SecondDecimals(6));
        assert_eq!(limit_of(1186, 0x7fff << 16 | 2), Limit::SecondDecimals(2));
        assert_eq!(limit_of(1186, 0x7fff << 16 | 0xffff), Limit::SecondDecimals(6));
        let hours = Limit::Fields(interval::Field::Hour);
        assert_eq!(limit_of(1186, (1 << 3 | 1 << 10) << 16 | 0xffff), hours);
        assert_eq!(limit_of(1700, numeric(5, -2)), Limit::Scale(-2));
        assert_eq!(limit_of(1700, -1), Limit::None);
    }

    #[test]
    fn new_tables_get_exact_types() {
        let sql = |data_type| sql_type(&Field::new("f", data_type, true));
        assert_eq!(sql(DataType::Decimal128(15, 2)).as_deref(), Some("numeric(15,2)"));
        assert_eq!(sql(DataType::Decimal128(5, -2)).as_deref(), Some("numeric(7,0)"));
        assert_eq!(sql(DataType::UInt64).as_deref(), Some("numeric(20,0)"));
        let item = Arc::new(Field::new("item", DataType::Int64, true));
        assert_eq!(sql(DataType::List(item)).as_deref(), Some("bigint[]"));
        assert_eq!(sql(DataType::Struct(Default::default())), None);
    }
}
