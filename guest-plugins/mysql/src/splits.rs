//! How a table is cut into shares that cover every row exactly once.
//!
//! A share is a range of a key, in the database's own order. The next border is looked up when a lane
//! asks for a share, by an index, so that planning costs nothing and shares have about as many rows,
//! however the key is spread. A value that alone has more rows than a share is cut further, by the primary
//! key, and so are rows without one.

use database::watermark::Window;
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
    pub(crate) fn literal(&self, value: &str) -> Result<String> {
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

/// A part of the table: rows that meet all conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Share {
    /// Rows with one value of a key; `None` is NULL.
    value: Option<(Key, Option<String>)>,
    range: Option<Range>,
    /// What the run reads of the table.
    pub(crate) window: Option<Window>,
}

/// Values of a key above a border, up to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    key: Key,
    low: Option<String>,
    high: Option<String>,
    /// The upper border itself lies outside.
    is_below: bool,
}

impl Range {
    fn above(key: &Key, low: Option<String>) -> Self {
        Self { key: key.clone(), low, high: None, is_below: false }
    }

    fn condition(&self) -> Result<Option<String>> {
        let Self { key, low, high, is_below } = self;
        let name = sql::ident(&key.column);
        let low = low.as_ref().map(|low| Ok(format!("{name} > {}", key.literal(low)?)));
        let up_to = if *is_below { "<" } else { "<=" };
        let high = high.as_ref().map(|high| Ok(format!("{name} {up_to} {}", key.literal(high)?)));
        let parts = low.into_iter().chain(high).collect::<Result<Vec<_>>>()?;
        Ok(match parts.is_empty() {
            // Rows without a value are shares of their own.
            true if key.nullable => Some(format!("{name} IS NOT NULL")),
            true => None,
            false => Some(parts.join(" AND ")),
        })
    }

    fn label(&self) -> String {
        let column = &self.key.column;
        let up_to = if self.is_below { "below" } else { "up to" };
        match (&self.low, &self.high) {
            (None, None) => format!("all {column}"),
            (Some(low), None) => format!("{column} above {low}"),
            (None, Some(high)) => format!("{column} {up_to} {high}"),
            (Some(low), Some(high)) if self.is_below => {
                format!("{column} above {low} below {high}")
            }
            (Some(low), Some(high)) => format!("{column} {low} to {high}"),
        }
    }
}

impl Share {
    /// # Errors
    /// `mysql.split_unreadable` for bytes of another version of this plug-in.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|_| VENDOR.split_unreadable())
    }

    /// The key whose order the share is read in.
    pub(crate) fn order(&self) -> Option<&Key> {
        self.range.as_ref().map(|range| &range.key).filter(|key| key.is_unique)
    }

    /// The rest of the share, behind a value of its key.
    pub(crate) fn behind(mut self, value: String) -> Self {
        if let Some(range) = &mut self.range {
            range.low = Some(value);
        }
        self
    }

    /// The condition in SQL; `None` for all rows.
    pub(crate) fn condition(&self) -> Result<Option<String>> {
        let window = self.window.as_ref().map(|window| window.condition.clone());
        let value = match &self.value {
            Some((key, Some(value))) => {
                Some(format!("{} = {}", sql::ident(&key.column), key.literal(value)?))
            }
            Some((key, None)) => Some(format!("{} IS NULL", sql::ident(&key.column))),
            None => None,
        };
        let range = self.range.as_ref().map_or(Ok(None), Range::condition)?;
        let all: Vec<_> = window.into_iter().chain(value).chain(range).collect();
        Ok((!all.is_empty()).then(|| all.join(" AND ")))
    }

    fn label(&self) -> String {
        let value = self.value.as_ref().map(|(key, value)| match value {
            Some(value) => format!("{} = {value}", key.column),
            None => format!("{} is null", key.column),
        });
        let is_part =
            |range: &&Range| value.is_none() || range.low.is_some() || range.high.is_some();
        let range = self.range.as_ref().filter(is_part).map(Range::label);
        let parts: Vec<_> = value.clone().into_iter().chain(range).collect();
        if parts.is_empty() { "all rows".to_owned() } else { parts.join(", ") }
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

/// What a table is cut by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) first: Key,
    /// What rows with one value of the first are cut by: a column of the primary key.
    pub(crate) second: Option<Key>,
}

/// What is yet to be cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shares {
    /// `None`: the table or query is one share.
    keys: Option<Keys>,
    window: Option<Window>,
    /// Rows of a share.
    rows: u64,
    /// The border that the next range begins at.
    low: Option<String>,
    /// The value whose rows come next; what comes behind it begins at it.
    value: Option<Value>,
    is_done: bool,
}

/// One value of the first key, whose rows are shares of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Value {
    /// `None` is NULL.
    value: Option<String>,
    /// The border of the second key that the next share begins at.
    low: Option<String>,
}

impl Shares {
    pub(crate) fn new(table: Option<&Table>, keys: Option<Keys>, wanted: u32) -> Self {
        let rows = table.map_or(0, |table| table.rows) / u64::from(wanted.max(1));
        let value = keys.as_ref().filter(|keys| keys.first.nullable).map(|_| Value::default());
        let rows = rows.clamp(ROWS_MIN, ROWS_MAX);
        Self { keys, window: None, rows, low: None, value, is_done: false }
    }

    /// Shares of a part of the table.
    pub(crate) fn within(self, window: Window) -> Self {
        Self { window: Some(window), ..self }
    }

    /// No share.
    pub(crate) fn nothing() -> Self {
        Self { is_done: true, ..Self::new(None, None, 1) }
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
        let limit = limit.clamp(1, SHARES_MAX) as usize;
        let mut splits = Vec::new();
        while !self.is_done && splits.len() < limit {
            let share = match (self.keys.clone(), table) {
                (Some(keys), Some(table)) => match self.value.take() {
                    Some(value) => self.part(client, table, keys, value)?,
                    None => self.range(client, table, keys)?,
                },
                _ => {
                    self.is_done = true;
                    self.share(None, None)
                }
            };
            splits.push(share.split(self.rows));
        }
        Ok(Splits { splits, last: self.is_done, next: self.encode() })
    }

    fn share(&self, value: Option<(Key, Option<String>)>, range: Option<Range>) -> Share {
        Share { value, range, window: self.window.clone() }
    }

    /// The next range of the first key. A value that alone has more rows than a share is left out of it,
    /// and comes next.
    fn range(&mut self, client: &mut Client, table: &Table, keys: Keys) -> Result<Share> {
        let above = Range::above(&keys.first, self.low.clone());
        let high = self.border(client, table, &self.share(None, Some(above.clone())))?;
        let Some(high) = high else {
            self.is_done = true;
            return Ok(self.share(None, Some(above)));
        };
        let is_hot = keys.second.is_some() && self.is_hot(client, table, &keys.first, &high)?;
        if is_hot {
            self.value = Some(Value { value: Some(high.clone()), low: None });
        }
        self.low = Some(high.clone());
        Ok(self.share(None, Some(Range { high: Some(high), is_below: is_hot, ..above })))
    }

    /// The next part of the rows with one value of the first key.
    fn part(
        &mut self,
        client: &mut Client,
        table: &Table,
        keys: Keys,
        Value { value, low }: Value,
    ) -> Result<Share> {
        let first = Some((keys.first, value.clone()));
        let Some(second) = keys.second else { return Ok(self.share(first, None)) };
        let above = Range::above(&second, low);
        let high = self.border(client, table, &self.share(first.clone(), Some(above.clone())))?;
        if high.is_some() {
            self.value = Some(Value { value, low: high.clone() });
        }
        Ok(self.share(first, Some(Range { high, ..above })))
    }

    /// The key of the last row of the share that begins where `from` does; `None` where the rows end
    /// before it.
    fn border(&self, client: &mut Client, table: &Table, from: &Share) -> Result<Option<String>> {
        let Some(Range { key, .. }) = &from.range else { return Ok(None) };
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

    /// Whether more rows have a value than a share should.
    fn is_hot(&self, client: &mut Client, table: &Table, key: &Key, value: &str) -> Result<bool> {
        if key.is_unique {
            return Ok(false);
        }
        let share = self.share(Some((key.clone(), Some(value.to_owned()))), None);
        let condition = share.condition()?.unwrap_or_default();
        let (table, rows) = (table.sql(), self.rows);
        let statement = format!("SELECT 1 FROM {table} WHERE {condition} LIMIT 1 OFFSET {rows}");
        Ok(!client.query(&statement)?.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_conditions_on_the_key() {
        let key = |sql_type, nullable| Key::new(&Column::new("k`", sql_type, nullable), !nullable);
        let ranged = |key: Key, low: Option<&str>, high: Option<&str>| {
            let range = Range {
                high: high.map(str::to_owned),
                ..Range::above(&key, low.map(str::to_owned))
            };
            Share { range: Some(range), ..Share::default() }
        };
        let range = |key: Key, low: Option<&str>, high: Option<&str>| {
            ranged(key, low, high).condition().unwrap()
        };
        assert_eq!(Share::default().condition().unwrap(), None);
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
        let hostile = ranged(key("int", false), Some("1 OR 1"), None);
        assert_eq!(hostile.condition().unwrap_err().code, "mysql.split_unreadable");
    }

    #[test]
    fn a_share_has_the_conditions_of_value_range_and_window() {
        let key = |name: &str| Key::new(&Column::new(name, "int", true), false);
        let mut share = Share { value: Some((key("k"), None)), ..Share::default() };
        assert_eq!(share.condition().unwrap().unwrap(), "`k` IS NULL");
        assert_eq!(share.label(), "k is null");
        share.value = Some((key("k"), Some("7".into())));
        share.range = Some(Range {
            high: Some("9".into()),
            is_below: true,
            ..Range::above(&key("id"), Some("1".into()))
        });
        let (condition, bookmark) = ("n > 3".to_owned(), None);
        share.window = Some(Window { condition, bookmark });
        let condition = "n > 3 AND `k` = 7 AND `id` > 1 AND `id` < 9";
        assert_eq!(share.condition().unwrap().unwrap(), condition);
        assert_eq!(share.label(), "k = 7, id above 1 below 9");
        let rest = share.behind("5".into()).condition().unwrap().unwrap();
        assert_eq!(rest, "n > 3 AND `k` = 7 AND `id` > 5 AND `id` < 9");
    }

    #[test]
    fn nothing_is_no_share() {
        assert!(Shares::nothing().is_done);
        assert!(!Shares::new(None, None, 1).is_done);
    }
}
