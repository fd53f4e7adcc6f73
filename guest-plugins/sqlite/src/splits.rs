//! How a table is cut into shares that cover every row exactly once.
//!
//! A share is a range of a key, in the database's own order. The next border is looked up when a lane
//! asks for a share, along the key, so that planning costs nothing and shares have about as many rows,
//! however the key is spread. Rows with one value of the key stay together; NULL is a share.

use rusqlite::{Connection as Database, OptionalExtension};
use sdk::{Result, Split, Splits};
use serde::{Deserialize, Serialize};

use crate::catalog::Table;
use crate::error::{self, VENDOR};
use crate::places::State;
use crate::sql;

/// Rows of a share at least: fewer cost more in statements than they bring.
const ROWS_MIN: u64 = 1000;
/// Rows of a share at most, so that lanes stay busy to the end.
const ROWS_MAX: u64 = 250_000;
/// Shares of one call at most: each costs a look along the key.
const SHARES_MAX: u32 = 16;

/// A column, or the rowid, that shares are cut by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) column: String,
    pub(crate) nullable: bool,
    /// A share can be read in its order, and gone on with behind a value.
    pub(crate) is_unique: bool,
}

/// A part of the table. Borders are literals in SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Share {
    Whole,
    Nulls(Key),
    /// Values above the first border, up to the second.
    Range(Key, Option<String>, Option<String>),
}

/// A share of files that are as they were when the run was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) state: State,
    pub(crate) share: Share,
}

impl Token {
    /// # Errors
    /// `sqlite.split_unreadable` for bytes of another version of this plug-in.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|_| VENDOR.split_unreadable())
    }
}

impl Share {
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
    pub(crate) fn condition(&self) -> Option<String> {
        let (key, low, high) = match self {
            Self::Whole => return None,
            Self::Nulls(key) => return Some(format!("{} IS NULL", sql::ident(&key.column))),
            Self::Range(key, low, high) => (key, low, high),
        };
        let name = sql::ident(&key.column);
        let low = low.as_ref().map(|low| format!("{name} > {low}"));
        let high = high.as_ref().map(|high| format!("{name} <= {high}"));
        let parts: Vec<_> = low.into_iter().chain(high).collect();
        match parts.is_empty() {
            // NULL is a share of its own.
            true => key.nullable.then(|| format!("{name} IS NOT NULL")),
            false => Some(parts.join(" AND ")),
        }
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
}

/// What is yet to be cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shares {
    pub(crate) state: State,
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
    /// Shares of a table with about so many rows.
    pub(crate) fn new(state: State, key: Option<Key>, rows: u64, wanted: u32) -> Self {
        let rows = (rows / u64::from(wanted.max(1))).clamp(ROWS_MIN, ROWS_MAX);
        let nulls = key.as_ref().is_some_and(|key| key.nullable);
        Self { state, key, low: None, nulls, rows }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// # Errors
    /// `sqlite.split_unreadable` for bytes of another version of this plug-in.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|_| VENDOR.split_unreadable())
    }

    /// The next shares, at most `limit`.
    pub(crate) fn take(
        mut self,
        database: &Database,
        table: Option<&Table>,
        limit: u32,
    ) -> Result<Splits> {
        let (Some(key), Some(table)) = (self.key.clone(), table) else {
            return Ok(Splits { splits: vec![self.split(Share::Whole)], last: true, next: vec![] });
        };
        let mut splits = Vec::new();
        if self.nulls {
            self.nulls = false;
            splits.push(self.split(Share::Nulls(key.clone())));
        }
        let limit = limit.clamp(1, SHARES_MAX) as usize;
        while splits.len() < limit {
            let high = self.border(database, table, &key)?;
            let low = std::mem::replace(&mut self.low, high.clone());
            let last = high.is_none();
            splits.push(self.split(Share::Range(key.clone(), low, high)));
            if last {
                return Ok(Splits { splits, last, next: Vec::new() });
            }
        }
        Ok(Splits { splits, last: false, next: self.encode() })
    }

    fn split(&self, share: Share) -> Split {
        let label = share.label();
        let token = Token { state: self.state.clone(), share };
        Split {
            token: serde_json::to_vec(&token).unwrap_or_default(),
            label,
            stage: 0,
            rows_estimate: Some(self.rows),
            bytes_estimate: None,
        }
    }

    /// The key of the last row of the next share; `None` where the table ends before it.
    fn border(&self, database: &Database, table: &Table, key: &Key) -> Result<Option<String>> {
        let from = Share::Range(key.clone(), self.low.clone(), None);
        let condition = from.condition().map_or_else(String::new, |text| format!(" WHERE {text}"));
        let name = sql::ident(&key.column);
        let statement = format!(
            "SELECT quote({name}) FROM {}{condition} ORDER BY {name} LIMIT 1 OFFSET {}",
            table.sql(),
            self.rows - 1
        );
        sdk::log::statement(&statement, Some("border"));
        let border: Option<String> = database
            .query_row(&statement, [], |row| row.get(0))
            .optional()
            .map_err(error::fault)?;
        // A text that no literal holds whole (with NUL) can't be gone beyond.
        Ok(border.filter(|border| self.low.as_ref() != Some(border)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_conditions_on_the_key() {
        let key = |nullable| Key { column: "k\"".into(), nullable, is_unique: !nullable };
        let range = |key: Key, low: Option<&str>, high: Option<&str>| {
            Share::Range(key, low.map(str::to_owned), high.map(str::to_owned)).condition()
        };
        assert_eq!(Share::Whole.condition(), None);
        assert_eq!(range(key(false), None, None), None);
        assert_eq!(range(key(true), None, None).as_deref(), Some("\"k\"\"\" IS NOT NULL"));
        assert_eq!(
            range(key(false), Some("-5"), Some("'o'")).as_deref(),
            Some("\"k\"\"\" > -5 AND \"k\"\"\" <= 'o'")
        );
        assert_eq!(Share::Nulls(key(true)).condition().as_deref(), Some("\"k\"\"\" IS NULL"));
    }
}
