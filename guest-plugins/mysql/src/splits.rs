//! How a table is cut into shares that cover every row exactly once.
//!
//! A share is a range of a key, in the database's own order. The next border is looked up when a lane
//! asks for a share, by an index, so that planning costs nothing and shares have about as many rows,
//! however the key is spread. Rows with one value of the key stay together; NULL is a share.

use sdk::{Result, Split, Splits};
use serde::{Deserialize, Serialize};

use crate::catalog::{Column, Table, text};
use crate::client::Client;
use crate::error::VENDOR;
use crate::sql;
use crate::types::Kind;

/// Rows of a share at least: fewer cost more in statements than they bring.
const ROWS_MIN: u64 = 1000;
/// Rows of a share at most, so that lanes stay busy to the end.
const ROWS_MAX: u64 = 250_000;
/// Shares of one call at most: each costs a statement.
const SHARES_MAX: u32 = 16;

/// A column that shares are cut by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) column: String,
    form: Form,
    pub(crate) nullable: bool,
    /// It alone is the primary key: a share can be read in its order, and gone on with behind a value.
    pub(crate) is_unique: bool,
}

/// How a value of a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    Number,
    Text,
    Hex,
}

impl Key {
    pub(crate) fn new(column: &Column, is_unique: bool) -> Self {
        let form = match column.kind {
            Kind::Int(..) | Kind::Decimal(..) | Kind::Year => Form::Number,
            Kind::Bytes => Form::Hex,
            _ => Form::Text,
        };
        Self { column: column.name.clone(), form, nullable: column.nullable, is_unique }
    }

    /// The expression in SQL of a value's text.
    pub(crate) fn text(&self) -> String {
        let name = sql::ident(&self.column);
        match self.form {
            Form::Hex => format!("HEX({name})"),
            Form::Number | Form::Text => format!("CAST({name} AS CHAR)"),
        }
    }

    /// The expression in SQL of the highest value's text.
    pub(crate) fn highest(&self) -> String {
        self.text()
            .replace(&sql::ident(&self.column), &format!("MAX({})", sql::ident(&self.column)))
    }

    /// The conditions in SQL for values above one, and for those up to it.
    pub(crate) fn around(&self, value: &str) -> Result<(String, String)> {
        let (name, value) = (sql::ident(&self.column), self.literal(value)?);
        Ok((format!("{name} > {value}"), format!("{name} <= {value}")))
    }

    /// A value's text as a literal.
    fn literal(&self, value: &str) -> Result<String> {
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.');
        match self.form {
            Form::Number if value.chars().all(is_number) => Ok(value.to_owned()),
            Form::Text => Ok(sql::literal(value)),
            Form::Hex => sql::from_hex(value)
                .map(|_| format!("x'{value}'"))
                .ok_or_else(|| VENDOR.split_unreadable()),
            Form::Number => Err(VENDOR.split_unreadable()),
        }
    }
}

/// A part of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Share {
    Whole,
    Nulls(Key),
    /// Values above the first border, up to the second.
    Range(Key, Option<String>, Option<String>),
}

impl Share {
    /// # Errors
    /// `mysql.split_unreadable` for bytes of another version of this plug-in.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|_| VENDOR.split_unreadable())
    }

    /// The key whose order the share is read in.
    pub(crate) fn order(&self) -> Option<&Key> {
        match self {
            Self::Range(key, ..) if key.is_unique => Some(key),
            _ => None,
        }
    }

    /// The rest of the share, behind a value of its key.
    pub(crate) fn behind(self, value: String) -> Self {
        match self {
            Self::Range(key, _, high) => Self::Range(key, Some(value), high),
            share => share,
        }
    }

    /// The condition in SQL; `None` for all rows.
    pub(crate) fn condition(&self) -> Result<Option<String>> {
        let (key, low, high) = match self {
            Self::Whole => return Ok(None),
            Self::Nulls(key) => return Ok(Some(format!("{} IS NULL", sql::ident(&key.column)))),
            Self::Range(key, low, high) => (key, low, high),
        };
        let name = sql::ident(&key.column);
        let low = low.as_ref().map(|low| Ok(format!("{name} > {}", key.literal(low)?)));
        let high = high.as_ref().map(|high| Ok(format!("{name} <= {}", key.literal(high)?)));
        let parts = low.into_iter().chain(high).collect::<Result<Vec<_>>>()?;
        Ok(match parts.is_empty() {
            // NULL is a share of its own.
            true if key.nullable => Some(format!("{name} IS NOT NULL")),
            true => None,
            false => Some(parts.join(" AND ")),
        })
    }

    fn label(&self) -> String {
        match self {
            Self::Whole => "all rows".to_owned(),
            Self::Nulls(key) => format!("{} is null", key.column),
            Self::Range(key, None, None) => format!("all {}", key.column),
            Self::Range(key, Some(low), None) => format!("{} above {low}", key.column),
            Self::Range(key, None, Some(high)) => format!("{} up to {high}", key.column),
            Self::Range(key, Some(low), Some(high)) => format!("{} {low} to {high}", key.column),
        }
    }

    fn split(&self, rows: u64) -> Split {
        Split {
            token: serde_json::to_vec(self).unwrap_or_default(),
            label: self.label(),
            stage: 0,
            rows_estimate: Some(rows),
            bytes_estimate: None,
        }
    }
}

/// What is yet to be cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shares {
    /// `None`: the table or query is one share.
    key: Option<Key>,
    /// The border that the next share begins at.
    low: Option<String>,
    /// The share of NULL is yet to come.
    nulls: bool,
    /// Rows of a share.
    rows: u64,
}

impl Shares {
    pub(crate) fn new(table: Option<&Table>, key: Option<Key>, wanted: u32) -> Self {
        let rows = table.map_or(0, |table| table.rows) / u64::from(wanted.max(1));
        let nulls = key.as_ref().is_some_and(|key| key.nullable);
        Self { key, low: None, nulls, rows: rows.clamp(ROWS_MIN, ROWS_MAX) }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// # Errors
    /// `mysql.split_unreadable` for bytes of another version of this plug-in.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|_| VENDOR.split_unreadable())
    }

    /// The next shares, at most `limit`.
    pub(crate) fn take(
        mut self,
        client: &mut Client,
        table: Option<&Table>,
        limit: u32,
    ) -> Result<Splits> {
        let (Some(key), Some(table)) = (self.key.clone(), table) else {
            return Ok(Splits {
                splits: vec![Share::Whole.split(self.rows)],
                last: true,
                next: Vec::new(),
            });
        };
        let mut splits = Vec::new();
        if self.nulls {
            self.nulls = false;
            splits.push(Share::Nulls(key.clone()).split(0));
        }
        let limit = limit.clamp(1, SHARES_MAX) as usize;
        while splits.len() < limit {
            let high = self.border(client, table, &key)?;
            let last = high.is_none();
            let low = std::mem::replace(&mut self.low, high.clone());
            splits.push(Share::Range(key.clone(), low, high).split(self.rows));
            if last {
                return Ok(Splits { splits, last, next: Vec::new() });
            }
        }
        Ok(Splits { splits, last: false, next: self.encode() })
    }

    /// The key of the last row of the next share; `None` where the table ends before it.
    fn border(&self, client: &mut Client, table: &Table, key: &Key) -> Result<Option<String>> {
        let from = Share::Range(key.clone(), self.low.clone(), None);
        let condition = from.condition()?.map_or_else(String::new, |text| format!(" WHERE {text}"));
        let rows = client.query(&format!(
            "SELECT {} FROM {}{condition} ORDER BY {} LIMIT 1 OFFSET {}",
            key.text(),
            table.sql(),
            sql::ident(&key.column),
            self.rows - 1
        ))?;
        Ok(rows.first().map(|row| text(row, 0).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_conditions_on_the_key() {
        let key = |sql_type, nullable| Key::new(&Column::new("k`", sql_type, nullable), !nullable);
        let condition = |share: Share| share.condition().unwrap();
        let range = |key: Key, low: Option<&str>, high: Option<&str>| {
            condition(Share::Range(key, low.map(str::to_owned), high.map(str::to_owned)))
        };
        assert_eq!(condition(Share::Whole), None);
        assert_eq!(range(key("int", false), None, None), None);
        assert_eq!(range(key("int", true), None, None).as_deref(), Some("`k``` IS NOT NULL"));
        assert_eq!(
            range(key("int", false), Some("-5"), Some("7")).as_deref(),
            Some("`k``` > -5 AND `k``` <= 7")
        );
        assert_eq!(
            range(key("varchar(9)", false), None, Some("o'")).as_deref(),
            Some("`k``` <= 'o\\''")
        );
        assert_eq!(
            range(key("varbinary(9)", false), Some("00FF"), None).as_deref(),
            Some("`k``` > x'00FF'")
        );
        assert_eq!(condition(Share::Nulls(key("int", true))).as_deref(), Some("`k``` IS NULL"));
        let hostile = Share::Range(key("int", false), Some("1 OR 1".into()), None);
        assert_eq!(hostile.condition().unwrap_err().code, "mysql.split_unreadable");
    }
}
