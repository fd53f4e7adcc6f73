//! The types of the server, in Arrow and back.

use std::collections::HashMap;

use arrow_schema::{DataType, Field};
pub(crate) use codec::mysql::{Kind, data_type};
use database::names::quoted;
use sdk::Result;

use crate::catalog::Column;
use crate::client::Server;
use crate::wire::Parts;

const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";
const JSON: &str = "arrow.json";
const OPAQUE: &str = "arrow.opaque";
const VENDOR_NAME: &str = "MySQL";
/// Of a field, the type in SQL that its column is declared with.
const MYSQL_TYPE: &str = "mysql:type";

/// Digits, and those behind the point, of a decimal of the server at most.
const DIGITS_MAX: u8 = 65;
const SCALE_MAX: i8 = 30;
const BINARY_CHARSET: u16 = 63;
/// Characters of a text in a key: an index takes 3,072 bytes, and a character up to 4.
const KEY_CHARACTERS_MAX: u64 = 768;

/// A column of a statement's result, as the server describes it.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    /// The type in SQL, of a column of a table.
    pub(crate) declared: Option<String>,
}

impl Definition {
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        let mut parts = Parts::new(body);
        for _ in 0..4 {
            parts.text()?;
        }
        let name = String::from_utf8_lossy(parts.text()?).into_owned();
        parts.text()?;
        parts.length()?;
        let charset = parts.number(2)? as u16;
        let length = parts.number(4)? as u32;
        let code = parts.number(1)? as u8;
        let flags = parts.number(2)? as u16;
        let decimals = parts.number(1)? as u8;
        let kind = kind_of(code, flags, charset, length, decimals);
        Ok(Self { name, kind, nullable: flags & 1 == 0, declared: None })
    }

    /// The Arrow field of its values.
    pub(crate) fn field(&self) -> Field {
        let field = Field::new(&self.name, data_type(self.kind), self.nullable);
        match &self.declared {
            Some(sql_type) => with_type(field, sql_type),
            None => field,
        }
    }
}

fn kind_of(code: u8, flags: u16, charset: u16, length: u32, decimals: u8) -> Kind {
    let unsigned = flags & 32 != 0;
    match code {
        0 | 246 => {
            let signs = u32::from(decimals > 0) + u32::from(!unsigned);
            let digits = length.saturating_sub(signs).clamp(1, u32::from(DIGITS_MAX)) as u8;
            Kind::Decimal(digits.max(decimals), decimals as i8)
        }
        1 => Kind::Int(1, unsigned),
        2 => Kind::Int(2, unsigned),
        3 | 9 => Kind::Int(4, unsigned),
        8 => Kind::Int(8, unsigned),
        4 => Kind::Float,
        5 => Kind::Double,
        7 => Kind::Timestamp,
        10 | 14 => Kind::Date,
        11 => Kind::Time,
        12 => Kind::DateTime,
        13 => Kind::Year,
        16 if length <= 1 => Kind::Bool,
        16 => Kind::Bits,
        // NULL itself, and JSON.
        6 | 245 => Kind::Text,
        // Vectors, and shapes.
        242 | 255 => Kind::Bytes,
        _ if charset == BINARY_CHARSET => Kind::Bytes,
        _ => Kind::Text,
    }
}

/// The kind of a column by its type in SQL, such as `int(10) unsigned`, in lower case.
pub(crate) fn kind_of_type(sql_type: &str) -> Kind {
    let unsigned = sql_type.contains("unsigned") || sql_type.contains("zerofill");
    let (word, rest) = split_word(sql_type);
    let numbers =
        rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(list, _)| list);
    let mut numbers = numbers.into_iter().flat_map(|list| list.split(','));
    let mut number = || numbers.next().and_then(|text| text.trim().parse::<u8>().ok());
    match word {
        "tinyint" => Kind::Int(1, unsigned),
        "smallint" => Kind::Int(2, unsigned),
        "mediumint" | "int" | "integer" => Kind::Int(4, unsigned),
        "bigint" => Kind::Int(8, unsigned),
        "decimal" | "numeric" => {
            let digits = number().unwrap_or(10);
            Kind::Decimal(digits, number().unwrap_or(0) as i8)
        }
        "float" => Kind::Float,
        "double" | "real" => Kind::Double,
        "bit" if number().unwrap_or(1) == 1 => Kind::Bool,
        "bit" => Kind::Bits,
        "year" => Kind::Year,
        "date" => Kind::Date,
        "time" => Kind::Time,
        "datetime" => Kind::DateTime,
        "timestamp" => Kind::Timestamp,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes,
        "vector" => Kind::Bytes,
        _ if is_geometry(word) => Kind::Bytes,
        _ => Kind::Text,
    }
}

/// The first word of a type in SQL, and what stands behind it.
fn split_word(sql_type: &str) -> (&str, &str) {
    let end = sql_type.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(sql_type.len());
    sql_type.split_at(end)
}

fn is_geometry(word: &str) -> bool {
    let shape = word.strip_prefix("multi").unwrap_or(word);
    matches!(
        shape,
        "geometry" | "point" | "linestring" | "polygon" | "geometrycollection" | "geomcollection"
    )
}

/// The Arrow field of a table's column.
pub(crate) fn column_field(column: &Column) -> Field {
    let field = Field::new(&column.name, data_type(column.kind), column.nullable);
    with_type(field, &column.sql_type)
}

/// A field of the column's type in SQL. One whose texts or bytes only the server can judge names itself.
fn with_type(field: Field, sql_type: &str) -> Field {
    let (word, _) = split_word(sql_type);
    let mut metadata = HashMap::from([(MYSQL_TYPE.to_owned(), sql_type.to_owned())]);
    let mut extend = |name: &str, text: String| {
        metadata.insert(EXTENSION_NAME.to_owned(), name.to_owned());
        metadata.insert(EXTENSION_METADATA.to_owned(), text);
    };
    match word {
        "json" => extend(JSON, String::new()),
        // As the specification of the extension says.
        _ if is_opaque(word) => {
            let opaque = serde_json::json!({"type_name": sql_type, "vendor_name": VENDOR_NAME});
            extend(OPAQUE, opaque.to_string());
        }
        _ => {}
    }
    field.with_metadata(metadata)
}

fn is_opaque(word: &str) -> bool {
    matches!(word, "enum" | "set" | "time" | "uuid" | "inet4" | "inet6") || is_geometry(word)
}

/// The type in SQL that holds all values of a field, and no others where it came from a column of this
/// server; `None` where the server has none. A key needs a bound.
pub(crate) fn sql_type(field: &Field, is_key: bool, server: Server) -> Option<String> {
    let named = named_type(field).filter(|named| is_kept(named, is_key, server));
    named.or_else(|| plain_type(field, is_key))
}

/// The type that the field's metadata name. They may come from a file, so only what is a type gets through.
fn named_type(field: &Field) -> Option<String> {
    let metadata = field.metadata();
    let named = match metadata.get(MYSQL_TYPE) {
        Some(named) => named.clone(),
        None if metadata.get(EXTENSION_NAME).is_some_and(|name| name == OPAQUE) => {
            let opaque: serde_json::Value =
                serde_json::from_str(metadata.get(EXTENSION_METADATA)?).ok()?;
            let is_own = opaque["vendor_name"] == VENDOR_NAME;
            opaque["type_name"].as_str().filter(|_| is_own)?.to_owned()
        }
        None => return None,
    };
    let is_same = data_type(kind_of_type(&named)) == *field.data_type();
    (is_same && is_type(&named)).then_some(named)
}

/// Whether a text is one type in SQL, and nothing else.
fn is_type(text: &str) -> bool {
    let (word, rest) = split_word(text);
    let rest = match word {
        "enum" | "set" => return list(rest).is_some_and(|(_, behind)| behind.is_empty()),
        _ => rest.trim_start(),
    };
    let rest = match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((numbers, rest)) => {
            let is_number = |text: &str| text.parse::<u32>().is_ok();
            if !numbers.split(',').all(is_number) {
                return false;
            }
            rest
        }
        None => rest,
    };
    let is_attribute = |word: &str| matches!(word, "unsigned" | "zerofill");
    is_word(word) && rest.split_ascii_whitespace().all(is_attribute)
}

/// Words of types; those of texts without a length are missing, since it is told in bytes, of which another
/// character set may take more.
fn is_word(word: &str) -> bool {
    matches!(
        word,
        "tinyint"
            | "smallint"
            | "mediumint"
            | "int"
            | "bigint"
            | "decimal"
            | "float"
            | "double"
            | "bit"
            | "year"
            | "date"
            | "datetime"
            | "timestamp"
            | "char"
            | "varchar"
            | "binary"
            | "varbinary"
            | "tinyblob"
            | "blob"
            | "mediumblob"
            | "longblob"
            | "vector"
            | "json"
    ) || is_opaque(word)
}

/// The texts of a list in parentheses, and what stands behind it.
fn list(text: &str) -> Option<(Vec<String>, &str)> {
    let mut rest = text.strip_prefix('(')?;
    let mut texts = Vec::new();
    loop {
        let (text, behind) = quoted(rest.strip_prefix('\'')?, '\'')?;
        texts.push(text);
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some((texts, behind.strip_prefix(')')?)),
        }
    }
}

/// Whether the server reads a text as a number where it looks for the members of an enum or a set.
pub(crate) fn is_numeral(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The members of an enum or a set that are numerals; `None` for other types.
pub(crate) fn numerals(sql_type: &str) -> Option<Vec<String>> {
    let (word, rest) = split_word(sql_type);
    let members = matches!(word, "enum" | "set").then(|| list(rest).unwrap_or_default().0)?;
    Some(members.into_iter().filter(|member| is_numeral(member)).collect())
}

/// Whether a new column can have a type of another one.
fn is_kept(sql_type: &str, is_key: bool, server: Server) -> bool {
    let (word, _) = split_word(sql_type);
    match word {
        "uuid" | "inet4" | "inet6" => server.is_mariadb,
        "vector" => server.has_vectors && !is_key,
        "char" | "varchar" | "binary" | "varbinary" if is_key => {
            bounds(sql_type).0.is_some_and(|length| length <= KEY_CHARACTERS_MAX)
        }
        "json" => !is_key,
        _ if word.ends_with("blob") || is_geometry(word) => !is_key,
        _ => true,
    }
}

/// Characters of a text or bytes of a binary, and digits of the seconds' fraction, by the type in SQL.
pub(crate) fn bounds(sql_type: &str) -> (Option<u64>, Option<u32>) {
    let (word, rest) = split_word(sql_type);
    let number = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let number = number.and_then(|(number, _)| number.parse::<u32>().ok());
    match word {
        "char" | "varchar" | "binary" | "varbinary" => (number.map(u64::from), None),
        "time" | "datetime" | "timestamp" => (None, Some(number.unwrap_or(0))),
        _ => (None, None),
    }
}

/// Bytes of a row that a text or binary of a length takes at most.
pub(crate) fn row_bytes(sql_type: &str) -> u64 {
    let bytes = if sql_type.starts_with("char") || sql_type.starts_with("varchar") { 4 } else { 1 };
    bounds(sql_type).0.unwrap_or(0) * bytes
}

/// The type in SQL that holds all values of a field's Arrow type.
pub(crate) fn plain_type(field: &Field, is_key: bool) -> Option<String> {
    let is_json = field.metadata().get(EXTENSION_NAME).is_some_and(|name| name == JSON);
    Some(match field.data_type() {
        DataType::Boolean => "bit(1)".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::UInt8 => "tinyint unsigned".to_owned(),
        DataType::UInt16 => "smallint unsigned".to_owned(),
        DataType::UInt32 => "int unsigned".to_owned(),
        DataType::UInt64 => "bigint unsigned".to_owned(),
        DataType::Float16 | DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)
            if *digits <= DIGITS_MAX && (0..=SCALE_MAX).contains(scale) =>
        {
            format!("decimal({digits},{scale})")
        }
        DataType::Utf8 | DataType::LargeUtf8 if is_key => "varchar(255)".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 if is_json => "json".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 => "longtext".to_owned(),
        DataType::Binary | DataType::LargeBinary if is_key => "varbinary(255)".to_owned(),
        DataType::Binary | DataType::LargeBinary => "longblob".to_owned(),
        DataType::FixedSizeBinary(width @ 1..=255) => format!("binary({width})"),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time(6)".to_owned(),
        DataType::Timestamp(_, None) => "datetime(6)".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp(6)".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_in_sql_have_kinds() {
        let cases = [
            ("int(10) unsigned", Kind::Int(4, true)),
            ("mediumint(9)", Kind::Int(4, false)),
            ("bigint(20) unsigned zerofill", Kind::Int(8, true)),
            ("decimal(65,30)", Kind::Decimal(65, 30)),
            ("decimal(5,0) unsigned", Kind::Decimal(5, 0)),
            ("bit(1)", Kind::Bool),
            ("bit(12)", Kind::Bits),
            ("varchar(20)", Kind::Text),
            ("enum('unsigned','b')", Kind::Text),
            ("varbinary(20)", Kind::Bytes),
            ("datetime(6)", Kind::DateTime),
            ("timestamp", Kind::Timestamp),
            ("year(4)", Kind::Year),
            ("multipoint", Kind::Bytes),
            ("geometrycollection", Kind::Bytes),
        ];
        for (text, kind) in cases {
            assert_eq!(kind_of_type(text), kind, "{text}");
        }
    }

    #[test]
    fn what_only_the_server_can_judge_names_itself() {
        let name = |sql_type: &str| {
            let field = column_field(&Column::new("c", sql_type, true));
            let name = field.metadata().get(EXTENSION_NAME).cloned();
            (name, field.metadata().get(EXTENSION_METADATA).cloned().unwrap_or_default())
        };
        assert_eq!(name("json").0.as_deref(), Some(JSON));
        let (extension, metadata) = name("enum('A','b')");
        assert_eq!(extension.as_deref(), Some(OPAQUE));
        assert_eq!(metadata, r#"{"type_name":"enum('A','b')","vendor_name":"MySQL"}"#);
        assert_eq!(name("point").0.as_deref(), Some(OPAQUE));
        assert_eq!(name("datetime(6)").0, None);
        assert_eq!(name("varchar(3)").0, None);
    }

    #[test]
    fn columns_are_made_as_they_were_declared() {
        let new = Server { is_mariadb: true, has_vectors: true };
        let made_at = |server: Server, sql_type: &str, is_key: bool| {
            let declared = Some(sql_type.to_owned());
            let kind = kind_of_type(sql_type);
            let from = Definition { name: "c".into(), kind, nullable: true, declared };
            super::sql_type(&from.field(), is_key, server).unwrap()
        };
        let made = |sql_type: &str, is_key: bool| made_at(new, sql_type, is_key);
        let kept = [
            "bit(12)",
            "int(10) unsigned zerofill",
            "mediumint(9)",
            "decimal(5,2) unsigned",
            "year(4)",
            "datetime(3)",
            "time",
            "varchar(20)",
            "enum('A','it''s','a,b)')",
            "set('x')",
            "uuid",
            "point",
            "json",
            "varbinary(7)",
            "vector(3)",
        ];
        for sql_type in kept {
            assert_eq!(made(sql_type, false), sql_type);
        }
        assert_eq!(made_at(Server::default(), "vector(3)", false), "longblob");
        // In another character set there may be more bytes; a key needs a bound.
        assert_eq!(made("text", false), "longtext");
        assert_eq!(made("varchar(20)", true), "varchar(20)");
        assert_eq!(made("varchar(2000)", true), "varchar(255)");
        assert_eq!(made("blob", true), "varbinary(255)");
    }

    #[test]
    fn what_is_no_type_is_not_taken_for_one() {
        let bad = [
            "enum('a') default 'a'",
            "enum('a'",
            "enum(a)",
            "enum('a'), x int",
            "int) engine = memory (",
            "varchar(20) character set latin1",
            "varchar(20,x)",
            "nonsense",
            "int; drop table t",
        ];
        for text in bad {
            assert!(!is_type(text), "{text}");
        }
        let opaque = r#"{"type_name": "uuid", "vendor_name": "MySQL"}"#;
        let field = |data_type| {
            let pairs = [(EXTENSION_NAME, OPAQUE), (EXTENSION_METADATA, opaque)];
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
            Field::new("c", data_type, true).with_metadata(pairs)
        };
        let at = |server, kind| sql_type(&field(kind), false, server).unwrap();
        let mariadb = Server { is_mariadb: true, has_vectors: false };
        assert_eq!(at(mariadb, DataType::Utf8), "uuid");
        assert_eq!(at(Server::default(), DataType::Utf8), "longtext");
        assert_eq!(at(mariadb, DataType::Int32), "int");
    }

    #[test]
    fn members_that_read_as_numbers_are_known() {
        let of = |sql_type: &str| numerals(sql_type).map(|members| members.join("|"));
        assert_eq!(of("enum('a','2','it''s','-7',' 3')").as_deref(), Some("2|-7| 3"));
        assert_eq!(of("set('1,','x')").as_deref(), Some(""));
        assert_eq!(of("varchar(3)"), None);
        for text in ["2", "+2", " 02", "-0", "2 "] {
            assert!(is_numeral(text), "{text}");
        }
        for text in ["", "+", "2a", "1,2", "1.0", "a"] {
            assert!(!is_numeral(text), "{text}");
        }
    }

    #[test]
    fn versions_tell_what_a_server_has() {
        let cases = [
            ("5.5.5-10.11.6-MariaDB-0+deb12u1", (true, false)),
            ("11.7.2-MariaDB", (true, true)),
            ("12.0.1-MariaDB", (true, true)),
            ("8.4.3", (false, false)),
            ("9.1.0-commercial", (false, true)),
            ("nonsense", (false, false)),
        ];
        for (version, (is_mariadb, has_vectors)) in cases {
            assert_eq!(Server::of(version), Server { is_mariadb, has_vectors }, "{version}");
        }
    }
}
