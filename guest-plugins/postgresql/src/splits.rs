//! How a table is cut into shares that cover every row exactly once.
//!
//! A share is a condition in SQL. All that is needed to make the next one is in [`Shares`], which the
//! host keeps, so that any session goes on where another stopped.

use sdk::{Fault, Split, Splits};
use serde::{Deserialize, Serialize};

use crate::catalog::{Column, Table};
use crate::client::Client;
use crate::error::Result;
use crate::sql;
use crate::types::Kind;

/// Shares whose borders are values taken from the table; they travel with every call for more.
const BORDERS_MAX: u32 = 1000;
/// Pages of a table above which borders are found in a sample of it.
const SAMPLED_PAGES: u64 = 12_800;
/// Shares of a table at most.
const SHARES_MAX: u32 = 100_000;
/// Ranges of pages are read as such from this version on; before, each would scan the whole table.
const PAGE_RANGES_SINCE: u32 = 140_000;

/// All shares of a table, and which comes next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shares {
    pub(crate) cut: Cut,
    pub(crate) snapshot: Option<String>,
    /// Rows of the whole, as the server guesses.
    pub(crate) rows: Option<u64>,
    pub(crate) next: u32,
}

/// Where the borders between shares lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Cut {
    /// One share.
    Whole,
    /// `count` ranges of pages.
    Pages { pages: u64, count: u32 },
    /// `count` ranges of an integer key between two values.
    Even { column: String, low: i64, high: i64, count: u32, nulls: bool },
    /// Ranges of a key between values of it, as text.
    Borders { column: String, sql_type: String, borders: Vec<String>, nulls: bool },
}

/// A share as it travels in a split's token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Share {
    /// Condition in SQL; `None` means all rows.
    pub(crate) condition: Option<String>,
    /// The snapshot of the session that planned.
    pub(crate) snapshot: Option<String>,
}

impl Shares {
    pub(crate) fn whole() -> Self {
        Self { cut: Cut::Whole, snapshot: None, rows: None, next: 0 }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// # Errors
    /// `postgresql.split_unreadable` for bytes of another version of this plug-in.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// The next shares, at most `limit`.
    pub(crate) fn take(mut self, limit: u32) -> Splits {
        let count = self.cut.count();
        let end = count.min(self.next.saturating_add(limit.max(1)));
        let rows_estimate = self.rows.map(|rows| rows / u64::from(count.max(1)));
        let splits = (self.next..end)
            .map(|index| {
                let (condition, label) = self.cut.share(index);
                let share = Share { condition, snapshot: self.snapshot.clone() };
                let token = serde_json::to_vec(&share).unwrap_or_default();
                Split { token, label, stage: 0, rows_estimate, bytes_estimate: None }
            })
            .collect();
        self.next = end;
        Splits { splits, last: end == count, next: self.encode() }
    }
}

impl Share {
    /// # Errors
    /// `postgresql.split_unreadable` for bytes of another version of this plug-in.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(bytes).map_err(unreadable)
    }
}

fn unreadable(error: serde_json::Error) -> Fault {
    Fault::plugin("postgresql.split_unreadable", format!("a stored split can't be read: {error}"))
        .hint("the run was begun with another version of this plug-in; start a new run")
}

impl Cut {
    pub(crate) fn count(&self) -> u32 {
        match self {
            Self::Whole => 1,
            Self::Pages { count, .. } => *count,
            Self::Even { count, nulls, .. } => count + u32::from(*nulls),
            Self::Borders { borders, nulls, .. } => borders.len() as u32 + 1 + u32::from(*nulls),
        }
    }

    /// The condition of a share, and what people see. The first and the last range are open, so that
    /// rows that came since the plan belong to one.
    fn share(&self, index: u32) -> (Option<String>, String) {
        match self {
            Self::Whole => (None, "all rows".to_owned()),
            Self::Pages { pages, count } => {
                let border = |index: u32| even(0, i128::from(*pages), index, *count);
                let tid = |index: u32| format!("'({},0)'::tid", border(index));
                let label = format!("pages {} to {}", border(index), border(index + 1) - 1);
                (between("ctid", index, *count, tid), label)
            }
            Self::Even { column, count, nulls: true, .. } if index == *count => nulls_of(column),
            Self::Even { column, low, high, count, .. } => {
                let border =
                    |index: u32| even(i128::from(*low), i128::from(*high) + 1, index, *count);
                let label = format!("{column} {} to {}", border(index), border(index + 1) - 1);
                let value = |index: u32| format!("'{}'", border(index));
                (between(&sql::ident(column), index, *count, value), label)
            }
            Self::Borders { column, borders, nulls: true, .. }
                if index as usize == borders.len() + 1 =>
            {
                nulls_of(column)
            }
            Self::Borders { column, sql_type, borders, .. } => {
                let count = borders.len() as u32 + 1;
                let value = |index: u32| {
                    format!("{}::{sql_type}", sql::literal(&borders[index as usize - 1]))
                };
                // Values of a text may be personal; the label has only their number.
                let label = format!("{column}, range {} of {count}", index + 1);
                (between(&sql::ident(column), index, count, value), label)
            }
        }
    }
}

fn nulls_of(column: &str) -> (Option<String>, String) {
    (Some(format!("{} IS NULL", sql::ident(column))), format!("{column} is null"))
}

/// The lower border of part `index` where `low..end` is cut into `count` parts.
fn even(low: i128, end: i128, index: u32, count: u32) -> i128 {
    low + (end - low) * i128::from(index) / i128::from(count.max(1))
}

fn between(column: &str, index: u32, count: u32, border: impl Fn(u32) -> String) -> Option<String> {
    let low = (index > 0).then(|| format!("{column} >= {}", border(index)));
    let high = (index + 1 < count).then(|| format!("{column} < {}", border(index + 1)));
    match (low, high) {
        (Some(low), Some(high)) => Some(format!("{low} AND {high}")),
        (low, high) => low.or(high),
    }
}

/// Cuts a table into about `wanted` shares: by the ranges of `key`, or by its pages.
pub(crate) fn cut(
    client: &mut Client,
    table: &Table,
    key: Option<&Column>,
    filter: Option<&str>,
    wanted: u32,
) -> Result<Cut> {
    let wanted = wanted.min(SHARES_MAX);
    match key {
        Some(key) if matches!(key.pg.kind, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid) => {
            even_cut(client, table, key, filter, wanted)
        }
        Some(key) => border_cut(client, table, key, filter, wanted),
        None => page_cut(client, table, wanted),
    }
}

fn even_cut(
    client: &mut Client,
    table: &Table,
    key: &Column,
    filter: Option<&str>,
    wanted: u32,
) -> Result<Cut> {
    let column = sql::ident(&key.name);
    let rows = client.query(&format!(
        "SELECT min({column}), max({column}) FROM {}{}",
        table.sql(),
        filtered(filter)
    ))?;
    let bound = |index: usize| rows.first()?.get(index)?.as_deref()?.parse::<i64>().ok();
    let (Some(low), Some(high)) = (bound(0), bound(1)) else { return Ok(Cut::Whole) };
    let values = i128::from(high) - i128::from(low) + 1;
    let count = i128::from(wanted).min(values).max(1) as u32;
    Ok(Cut::Even { column: key.name.clone(), low, high, count, nulls: key.nullable })
}

/// Borders in the order of the database, from percentiles of the keys or of a sample of them.
fn border_cut(
    client: &mut Client,
    table: &Table,
    key: &Column,
    filter: Option<&str>,
    wanted: u32,
) -> Result<Cut> {
    let wanted = wanted.min(BORDERS_MAX);
    let column = sql::ident(&key.name);
    let fractions: Vec<_> =
        (1..wanted).map(|index| (f64::from(index) / f64::from(wanted)).to_string()).collect();
    if fractions.is_empty() {
        return Ok(Cut::Whole);
    }
    let pages = if table.kind == 'r' { pages_of(client, table)?.unwrap_or(0) } else { 0 };
    let sample = if pages > SAMPLED_PAGES {
        let percent = SAMPLED_PAGES as f64 * 100.0 / pages as f64;
        format!(" TABLESAMPLE SYSTEM ({percent}) REPEATABLE (0)")
    } else {
        String::new()
    };
    let rows = client.query(&format!(
        "SELECT DISTINCT ON (v) v::text AS border FROM (SELECT unnest(percentile_disc('{{{}}}'::float8[]) \
         WITHIN GROUP (ORDER BY {column})) AS v FROM {}{sample}{}) AS found WHERE v IS NOT NULL ORDER BY v",
        fractions.join(","),
        table.sql(),
        filtered(filter)
    ))?;
    let borders: Vec<String> =
        rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    if borders.is_empty() {
        return Ok(Cut::Whole);
    }
    let sql_type = key.pg.name.clone();
    Ok(Cut::Borders { column: key.name.clone(), sql_type, borders, nulls: key.nullable })
}

/// Ranges of pages; a table with children has as many as the longest of them, since a range then
/// means these pages in each.
fn page_cut(client: &mut Client, table: &Table, wanted: u32) -> Result<Cut> {
    if client.version() < PAGE_RANGES_SINCE || !matches!(table.kind, 'r' | 'p' | 'm') {
        return Ok(Cut::Whole);
    }
    let Some(pages) = pages_of(client, table)? else { return Ok(Cut::Whole) };
    match pages.min(u64::from(wanted)) {
        0 | 1 => Ok(Cut::Whole),
        count => Ok(Cut::Pages { pages, count: count as u32 }),
    }
}

/// Pages of the table, or of the longest of its children; `None` where a child has none.
fn pages_of(client: &mut Client, table: &Table) -> Result<Option<u64>> {
    let rows = client.query(&format!(
        "WITH RECURSIVE tree (oid) AS (SELECT {}::oid UNION \
           SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree t ON i.inhparent = t.oid) \
         SELECT max(pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::int8), \
           bool_or(c.relkind NOT IN ('r', 'p', 'm')) \
         FROM tree JOIN pg_catalog.pg_class c USING (oid)",
        table.oid
    ))?;
    let cell = |index: usize| rows.first()?.get(index)?.as_deref();
    Ok(if cell(1) == Some("f") { cell(0).and_then(|pages| pages.parse().ok()) } else { None })
}

/// Rows of the table as the server guesses; `None` where it never looked.
pub(crate) fn rows_estimate(client: &mut Client, table: &Table) -> Result<Option<u64>> {
    let rows = client.query(&format!(
        "SELECT reltuples::int8 FROM pg_catalog.pg_class WHERE oid = {}",
        table.oid
    ))?;
    let rows = rows.first().and_then(|row| row.first()?.as_deref()?.parse::<i64>().ok());
    Ok(rows.and_then(|rows| u64::try_from(rows).ok()))
}

fn filtered(filter: Option<&str>) -> String {
    filter.map(|filter| format!(" WHERE ({filter}\n)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(cut: &Cut) -> Vec<String> {
        (0..cut.count()).map(|index| cut.share(index).0.unwrap_or_else(|| "true".into())).collect()
    }

    #[test]
    fn even_ranges_touch_each_other_and_are_open_at_the_ends() {
        let cut = Cut::Even { column: "id".into(), low: 1, high: 10, count: 3, nulls: true };
        assert_eq!(
            conditions(&cut),
            ["\"id\" < '4'", "\"id\" >= '4' AND \"id\" < '7'", "\"id\" >= '7'", "\"id\" IS NULL"]
        );
        assert_eq!(cut.share(1).1, "id 4 to 6");
        let all = Cut::Even {
            column: "id".into(),
            low: i64::MIN,
            high: i64::MAX,
            count: 2,
            nulls: false,
        };
        assert_eq!(conditions(&all), ["\"id\" < '0'", "\"id\" >= '0'"]);
        let one = Cut::Even { column: "id".into(), low: 5, high: 5, count: 1, nulls: false };
        assert_eq!(conditions(&one), ["true"]);
    }

    #[test]
    fn pages_and_borders_become_conditions() {
        let pages = Cut::Pages { pages: 10, count: 2 };
        assert_eq!(conditions(&pages), ["ctid < '(5,0)'::tid", "ctid >= '(5,0)'::tid"]);
        let borders = Cut::Borders {
            column: "k".into(),
            sql_type: "text".into(),
            borders: vec!["it's".into(), "m".into()],
            nulls: true,
        };
        assert_eq!(
            conditions(&borders),
            [
                "\"k\" < 'it''s'::text",
                "\"k\" >= 'it''s'::text AND \"k\" < 'm'::text",
                "\"k\" >= 'm'::text",
                "\"k\" IS NULL"
            ]
        );
    }

    #[test]
    fn shares_are_handed_out_as_they_are_asked_for() {
        let cut = Cut::Even { column: "id".into(), low: 0, high: 999, count: 1000, nulls: false };
        let mut at = Shares { cut, snapshot: Some("s".into()), rows: Some(5000), next: 0 }.encode();
        let mut seen = Vec::new();
        loop {
            let splits = Shares::decode(&at).unwrap().take(300);
            assert!(splits.splits.len() <= 300);
            for split in &splits.splits {
                assert_eq!(split.rows_estimate, Some(5));
                seen.push(Share::decode(&split.token).unwrap().condition.unwrap());
            }
            if splits.last {
                break;
            }
            at = splits.next;
        }
        assert_eq!(seen.len(), 1000);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(Shares::decode(b"x").unwrap_err().code, "postgresql.split_unreadable");
        assert_eq!(Share::decode(b"{}").unwrap().condition, None);
        assert_eq!(Share::decode(b"").unwrap_err().code, "postgresql.split_unreadable");
    }
}
