//! The types that a text can be read as, and their names in documents.

use arrow_schema::{DataType, Field, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::temporal::Pattern;

/// The types as documents name them, DataX's names first; those of decimals are examples.
pub const NAMES: [&str; 16] = [
    "long",
    "double",
    "string",
    "date",
    "boolean",
    "bytes",
    "smallint",
    "int",
    "bigint",
    "float",
    "decimal(15,2)",
    "decimal(50,10)",
    "time",
    "timestamp",
    "timestamptz",
    "binary",
];

/// How the text of one column becomes values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Kind {
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Decimal128 {
        precision: u8,
        scale: i8,
    },
    Decimal256 {
        precision: u8,
        scale: i8,
    },
    Text,
    Boolean,
    Date(Option<Pattern>),
    Time(Option<Pattern>),
    /// Microseconds without a zone.
    Timestamp(Option<Pattern>),
    /// Microseconds of an instant, the zone of the column is UTC.
    Instant(Option<Pattern>),
    Binary(BinaryText),
}

/// A kind as documents write it: `decimal(15,2)`, `date` with its format.
#[derive(Serialize, Deserialize)]
struct Written {
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
}

impl TryFrom<Written> for Kind {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::parse(&written.r#type, written.format.as_deref())
    }
}

impl From<Kind> for Written {
    fn from(kind: Kind) -> Self {
        let format = match &kind {
            Kind::Date(pattern)
            | Kind::Time(pattern)
            | Kind::Timestamp(pattern)
            | Kind::Instant(pattern) => {
                pattern.as_ref().map(|pattern| pattern.written().to_owned())
            }
            Kind::Binary(BinaryText::Base64) => Some("base64".to_owned()),
            Kind::Binary(BinaryText::Hex) => Some("hex".to_owned()),
            Kind::Binary(BinaryText::Raw) => Some("raw".to_owned()),
            _ => None,
        };
        Self { r#type: kind.word(), format }
    }
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryText {
    Base64,
    Hex,
    /// The text's own bytes, as DataX's `bytes`.
    Raw,
}

pub const UTC: &str = "UTC";

/// Key in a field's metadata: what its extreme values mean.
pub const EXTREMES: &str = "airlock:extremes";
/// The largest date or timestamp is infinity, the smallest minus infinity.
pub const INFINITY: &str = "infinity";
/// The largest time is the end of the day.
const END_OF_DAY: &str = "24:00";

impl Kind {
    /// From a document: `decimal(15,2)`, `date` with the format `yyyy-MM-dd HH:mm:ss`.
    ///
    /// # Errors
    /// A text that says what is wrong.
    pub fn parse(name: &str, format: Option<&str>) -> Result<Self, String> {
        let lower = name.trim().to_ascii_lowercase();
        let (word, arguments) = match lower.split_once('(') {
            Some((word, rest)) => (word.trim(), Some(rest.trim_end_matches(')'))),
            None => (lower.as_str(), None),
        };
        let kind = match word {
            "smallint" | "int16" | "tinyint" => Self::Int16,
            "int" | "integer" | "int32" => Self::Int32,
            "bigint" | "long" | "int64" => Self::Int64,
            "float" | "float32" | "real" => Self::Float32,
            "double" | "float64" => Self::Float64,
            "decimal" | "numeric" => decimal(arguments)?,
            "string" | "text" | "varchar" | "char" => Self::Text,
            "boolean" | "bool" => Self::Boolean,
            "date" | "time" | "timestamp" | "datetime" | "timestamptz" => {
                return temporal(word, format);
            }
            "bytes" => Self::Binary(binary(format, BinaryText::Raw)?),
            "binary" | "bytea" | "blob" => Self::Binary(binary(format, BinaryText::Base64)?),
            _ => {
                return Err(format!("\"{name}\" is no type; types are {}", NAMES.join(", ")));
            }
        };
        match (format, &kind) {
            (Some(_), Self::Binary(_)) | (None, _) => Ok(kind),
            (Some(_), _) => Err(format!("a format means nothing for the type \"{name}\"")),
        }
    }

    /// The kind that reads the text of a column with this type; `None` for types without one.
    pub fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int16 => Self::Int16,
            DataType::Int32 => Self::Int32,
            DataType::Int64 => Self::Int64,
            DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Decimal128(precision, scale) => {
                Self::Decimal128 { precision: *precision, scale: *scale }
            }
            DataType::Decimal256(precision, scale) => {
                Self::Decimal256 { precision: *precision, scale: *scale }
            }
            DataType::Utf8 => Self::Text,
            DataType::Boolean => Self::Boolean,
            DataType::Date32 => Self::Date(None),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time(None),
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp(None),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Self::Instant(None),
            DataType::Binary => Self::Binary(BinaryText::Base64),
            _ => return None,
        })
    }

    pub fn data_type(&self) -> DataType {
        match self {
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal128 { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Decimal256 { precision, scale } => DataType::Decimal256(*precision, *scale),
            Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Date(_) => DataType::Date32,
            Self::Time(_) => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Instant(_) => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Self::Binary(_) => DataType::Binary,
        }
    }

    /// A field with this type. What the extreme values of dates and times mean is said in its metadata,
    /// as every plug-in does that knows infinite dates or 24:00.
    pub fn field(&self, name: impl Into<String>) -> Field {
        let field = Field::new(name, self.data_type(), true);
        let extremes = match self {
            Self::Date(_) | Self::Timestamp(_) | Self::Instant(_) => INFINITY,
            Self::Time(_) => END_OF_DAY,
            _ => return field,
        };
        field.with_metadata([(EXTREMES.to_owned(), extremes.to_owned())])
    }

    /// Bytes of a value in its batch, without those of a text.
    pub fn width(&self) -> usize {
        self.data_type().primitive_width().unwrap_or(4)
    }

    /// What people call it.
    pub fn word(&self) -> String {
        match self {
            Self::Int16 => "smallint".into(),
            Self::Int32 => "int".into(),
            Self::Int64 => "bigint".into(),
            Self::Float32 => "float".into(),
            Self::Float64 => "double".into(),
            Self::Decimal128 { precision, scale } | Self::Decimal256 { precision, scale } => {
                format!("decimal({precision},{scale})")
            }
            Self::Text => "string".into(),
            Self::Boolean => "boolean".into(),
            Self::Date(_) => "date".into(),
            Self::Time(_) => "time".into(),
            Self::Timestamp(_) => "timestamp".into(),
            Self::Instant(_) => "timestamptz".into(),
            Self::Binary(_) => "binary".into(),
        }
    }
}

fn decimal(arguments: Option<&str>) -> Result<Kind, String> {
    let wrong = || {
        "a decimal is written decimal(p,s), with p from 1 to 76 digits and s from 0 to p decimals"
            .to_owned()
    };
    let arguments = arguments.ok_or_else(wrong)?;
    let (precision, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
    let precision = precision.trim().parse::<u8>().map_err(|_| wrong())?;
    let scale = scale.trim().parse::<i8>().map_err(|_| wrong())?;
    match precision {
        1..=76 if scale < 0 || scale as u8 > precision => Err(wrong()),
        1..=38 => Ok(Kind::Decimal128 { precision, scale }),
        39..=76 => Ok(Kind::Decimal256 { precision, scale }),
        _ => Err(wrong()),
    }
}

/// DataX's `date` is a date, or a timestamp where its format has a time of day.
fn temporal(word: &str, format: Option<&str>) -> Result<Kind, String> {
    let pattern = format
        .map(|format| {
            Pattern::parse(format).map_err(|wrong| {
                format!("the format \"{format}\" can't be used: {wrong}; letters are yyyy MM dd HH mm ss S X")
            })
        })
        .transpose()?;
    let has_zone = pattern.as_ref().is_some_and(Pattern::has_zone);
    let has_time = pattern.as_ref().is_some_and(Pattern::has_time);
    let has_date = pattern.as_ref().is_none_or(Pattern::has_date);
    Ok(match word {
        "date" if has_zone => Kind::Instant(pattern),
        "date" if has_time => Kind::Timestamp(pattern),
        "date" => Kind::Date(pattern),
        "time" if pattern.is_some() && (has_date || has_zone) => {
            return Err("the format of a time holds only hours, minutes and seconds".into());
        }
        "time" => Kind::Time(pattern),
        "timestamptz" if pattern.is_some() && !has_zone => {
            return Err("the format of a timestamptz needs a zone, such as XXX".into());
        }
        "timestamptz" => Kind::Instant(pattern),
        _ if has_zone => return Err("a timestamp has no zone; the type timestamptz has".into()),
        _ => Kind::Timestamp(pattern),
    })
}

fn binary(format: Option<&str>, default: BinaryText) -> Result<BinaryText, String> {
    match format.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(default),
        Some("base64") => Ok(BinaryText::Base64),
        Some("hex") => Ok(BinaryText::Hex),
        Some("raw" | "utf8" | "utf-8") => Ok(BinaryText::Raw),
        Some(other) => Err(format!("\"{other}\" is no format of bytes: base64, hex, raw")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_by_their_names() {
        for name in NAMES {
            let kind = Kind::parse(name, None).unwrap();
            assert!(Kind::of(&kind.data_type()).is_some(), "{name}");
            let written = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<Kind>(&written).unwrap(), kind, "{written}");
        }
        assert!(Kind::parse("money", None).unwrap_err().contains("decimal(15,2)"));
    }
}
