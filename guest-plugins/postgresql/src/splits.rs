//! How a table is cut into shares that cover every row exactly once.
//!
//! A share is a condition in SQL. All that is needed to make the next one is in [`Shares`], which the
//! host keeps, so that any session goes on where another stopped. Keys cut best, since a row keeps its
//! key; ranges of pages hold only within one snapshot, for a changed row moves to another page.

use sdk::{Fault, Split, Splits};
use serde::{Deserialize, Serialize};

use crate::catalog::{self, Column, Table};
use crate::client::Client;
use crate::error::Result;
use crate::reader::at;
use crate::sql;
use crate::types::Kind;

/// Shares whose borders are values taken from the table; they travel with every call for more.
const BORDERS_MAX: u32 = 1000;
/// Bytes of all borders as they travel: a token of the host has 64 KiB.
const BORDERS_BYTES_MAX: usize = 32 << 10;
/// What a user writes for ranges of pages.
const PAGES_WORD: &str = "ctid";
/// Rows in the order of a key are read in its order; of a large table whose rows lie otherwise, each
/// range of the key would visit nearly every page.
const CORRELATION_MIN: f64 = 0.5;
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
    /// `count` ranges of an integer key between two values; NULL belongs to the first.
    Even { column: String, low: i64, high: i64, count: u32 },
    /// Ranges of a key between values of it, as text; NULL belongs to the first.
    Borders { column: String, sql_type: String, borders: Vec<String> },
}

/// What the user wants a table to be split by.
pub(crate) enum SplitBy {
    Key(Column),
    Pages,
}

impl SplitBy {
    /// What `splitPk` names: a column of the table, or `ctid` for its pages.
    pub(crate) fn of(name: &str, columns: &[Column], table: &Table) -> Result<Self, Fault> {
        if name.trim().eq_ignore_ascii_case(PAGES_WORD) {
            return Ok(Self::Pages);
        }
        Ok(Self::Key(catalog::column(columns, name, table, PLACE)?.clone()))
    }
}

pub(crate) const PLACE: &str = "/parameter/splitPk";

/// A share as it travels in a split's token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Share {
    /// Condition in SQL; `None` means all rows.
    pub(crate) condition: Option<String>,
    /// The snapshot of the session that planned.
    pub(crate) snapshot: Option<String>,
    /// It is a range of pages, which holds only in that snapshot.
    #[serde(default)]
    pub(crate) is_pages: bool,
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
                let (snapshot, is_pages) =
                    (self.snapshot.clone(), matches!(self.cut, Cut::Pages { .. }));
                let share = Share { condition, snapshot, is_pages };
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
            Self::Even { count, .. } => *count,
            Self::Borders { borders, .. } => borders.len() as u32 + 1,
        }
    }

    /// The condition of a share, and what people see. The first and the last range are open, so that
    /// rows that came since the plan belong to one. NULL is asked for even where the column refuses
    /// it: not every server and kind of table enforces that.
    fn share(&self, index: u32) -> (Option<String>, String) {
        match self {
            Self::Whole => (None, "all rows".to_owned()),
            Self::Pages { pages, count } => {
                let border = |index: u32| even(0, i128::from(*pages), index, *count);
                let tid = |index: u32| format!("'({},0)'::tid", border(index));
                let label = format!("pages {} to {}", border(index), border(index + 1) - 1);
                (between("ctid", index, *count, tid), label)
            }
            Self::Even { column, low, high, count } => {
                let border =
                    |index: u32| even(i128::from(*low), i128::from(*high) + 1, index, *count);
                let label = format!("{column} {} to {}", border(index), border(index + 1) - 1);
                let value = |index: u32| format!("'{}'", border(index));
                (with_nulls(&sql::ident(column), index, *count, value), label)
            }
            Self::Borders { column, sql_type, borders } => {
                let count = borders.len() as u32 + 1;
                let value = |index: u32| {
                    format!("{}::{sql_type}", sql::literal(&borders[index as usize - 1]))
                };
                // Values of a text may be personal; the label has only their number.
                let label = format!("{column}, range {} of {count}", index + 1);
                (with_nulls(&sql::ident(column), index, count, value), label)
            }
        }
    }
}

fn with_nulls(
    column: &str,
    index: u32,
    count: u32,
    border: impl Fn(u32) -> String,
) -> Option<String> {
    let range = between(column, index, count, border)?;
    Some(if index == 0 { format!("({range} OR {column} IS NULL)") } else { range })
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

/// Cuts a table into about `wanted` shares: by what the user says, else by the primary key, else by
/// the table's pages.
pub(crate) fn cut(
    client: &mut Client,
    table: &Table,
    by: Option<&SplitBy>,
    filter: Option<&str>,
    wanted: u32,
) -> Result<Cut> {
    let wanted = wanted.min(SHARES_MAX);
    match by {
        Some(SplitBy::Key(key)) => {
            key_cut(client, table, key, filter, wanted).map_err(|error| at(error, PLACE))
        }
        Some(SplitBy::Pages) => page_cut(client, table, wanted),
        None => match default_key(client, table)? {
            // No more shares than pages, as without a key.
            Some((key, pages)) if pages > 1 => {
                let wanted = wanted.min(u32::try_from(pages).unwrap_or(wanted));
                key_cut(client, table, &key, filter, wanted)
            }
            Some(_) => Ok(Cut::Whole),
            None => page_cut(client, table, wanted),
        },
    }
}

/// The key that a table is split by where the user names none, and the table's pages: the first column
/// of the primary key, unless its ranges would be read by jumping about in a large table.
fn default_key(client: &mut Client, table: &Table) -> Result<Option<(Column, u64)>> {
    let Some(name) = catalog::primary_key(client, table)?.into_iter().next() else {
        return Ok(None);
    };
    let columns = catalog::table_columns(client, table)?;
    let key = columns.into_iter().find(|column| column.name == name);
    let (Some(key), Some(pages)) = (key, pages_of(client, table)?) else { return Ok(None) };
    if pages.all > SAMPLED_PAGES && correlation(client, table, &name)? < CORRELATION_MIN {
        return Ok(None);
    }
    Ok(Some((key, pages.all)))
}

/// How far rows lie in the order of a column, from 0 to 1; 1 where the server never looked.
fn correlation(client: &mut Client, table: &Table, column: &str) -> Result<f64> {
    let rows = client.query(&format!(
        "SELECT abs(correlation) FROM pg_catalog.pg_stats WHERE schemaname = {} AND tablename = {} \
         AND attname = {} AND correlation IS NOT NULL ORDER BY inherited LIMIT 1",
        sql::literal(&table.schema),
        sql::literal(&table.name),
        sql::literal(column)
    ))?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok()).unwrap_or(1.0))
}

fn key_cut(
    client: &mut Client,
    table: &Table,
    key: &Column,
    filter: Option<&str>,
    wanted: u32,
) -> Result<Cut> {
    match key.pg.kind {
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid => {
            even_cut(client, table, key, filter, wanted)
        }
        _ => border_cut(client, table, key, filter, wanted),
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
    Ok(Cut::Even { column: key.name.clone(), low, high, count })
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
    let pages = pages_of(client, table)?.map_or(0, |pages| pages.all);
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
    let borders =
        thinned(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect());
    if borders.is_empty() {
        return Ok(Cut::Whole);
    }
    let sql_type = key.pg.name.clone();
    Ok(Cut::Borders { column: key.name.clone(), sql_type, borders })
}

/// Every second border, until they are small enough to travel; fewer shares are as right as many.
fn thinned(mut borders: Vec<String>) -> Vec<String> {
    let size = |borders: &[String]| -> usize {
        let literals = borders.iter().map(|border| sql::literal(border));
        literals.map(|text| serde_json::to_vec(&text).map_or(usize::MAX, |json| json.len())).sum()
    };
    while size(&borders) > BORDERS_BYTES_MAX {
        borders = borders.into_iter().skip(1).step_by(2).collect();
    }
    borders
}

/// Ranges of pages; a table with children has as many as the longest of them, since a range then
/// means these pages in each.
fn page_cut(client: &mut Client, table: &Table, wanted: u32) -> Result<Cut> {
    if client.version() < PAGE_RANGES_SINCE {
        return Ok(Cut::Whole);
    }
    let Some(Pages { longest, .. }) = pages_of(client, table)? else { return Ok(Cut::Whole) };
    match longest.min(u64::from(wanted)) {
        0 | 1 => Ok(Cut::Whole),
        count => Ok(Cut::Pages { pages: longest, count: count as u32 }),
    }
}

/// Pages of a table and its children.
struct Pages {
    longest: u64,
    all: u64,
}

/// `None` where the table or one of its children has no pages here: views and foreign tables.
fn pages_of(client: &mut Client, table: &Table) -> Result<Option<Pages>> {
    let rows = client.query(&format!(
        "WITH RECURSIVE tree (oid) AS (SELECT {}::oid UNION \
           SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree t ON i.inhparent = t.oid), \
         sizes AS (SELECT c.relkind, pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::int8 AS pages \
           FROM tree JOIN pg_catalog.pg_class c USING (oid)) \
         SELECT max(pages), sum(pages), bool_or(relkind NOT IN ('r', 'p', 'm')) FROM sizes",
        table.oid
    ))?;
    let cell = |index: usize| rows.first()?.get(index)?.as_deref();
    let number = |index: usize| cell(index).and_then(|pages| pages.parse().ok());
    Ok(match (number(0), number(1), cell(2)) {
        (Some(longest), Some(all), Some("f")) => Some(Pages { longest, all }),
        _ => None,
    })
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
        let cut = Cut::Even { column: "id".into(), low: 1, high: 10, count: 3 };
        assert_eq!(
            conditions(&cut),
            ["(\"id\" < '4' OR \"id\" IS NULL)", "\"id\" >= '4' AND \"id\" < '7'", "\"id\" >= '7'"]
        );
        assert_eq!(cut.share(1).1, "id 4 to 6");
        let all = Cut::Even { column: "id".into(), low: i64::MIN, high: i64::MAX, count: 2 };
        assert_eq!(conditions(&all), ["(\"id\" < '0' OR \"id\" IS NULL)", "\"id\" >= '0'"]);
        let one = Cut::Even { column: "id".into(), low: 5, high: 5, count: 1 };
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
        };
        assert_eq!(
            conditions(&borders),
            [
                "(\"k\" < 'it''s'::text OR \"k\" IS NULL)",
                "\"k\" >= 'it''s'::text AND \"k\" < 'm'::text",
                "\"k\" >= 'm'::text",
            ]
        );
    }

    #[test]
    fn shares_are_handed_out_as_they_are_asked_for() {
        let cut = Cut::Even { column: "id".into(), low: 0, high: 999, count: 1000 };
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
    fn borders_are_thinned_until_they_can_travel() {
        let few = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(thinned(few.clone()), few);
        let long: Vec<String> =
            (0..999).map(|index| format!("{index:03}{}", "'\u{1}".repeat(200))).collect();
        let kept = thinned(long.clone());
        assert!(kept.len() > 5 && kept.is_sorted() && kept.iter().all(|k| long.contains(k)));
        let cut = Cut::Borders { column: "k".into(), sql_type: "text".into(), borders: kept };
        let shares = Shares { cut, snapshot: None, rows: None, next: 0 };
        assert!(shares.encode().len() < 64 << 10);
        let splits = shares.take(1000).splits;
        assert!(splits.iter().all(|split| split.token.len() < 64 << 10));
        assert_eq!(thinned(vec!["x".repeat(100_000)]), Vec::<String>::new());
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(Shares::decode(b"x").unwrap_err().code, "postgresql.split_unreadable");
        assert_eq!(Share::decode(b"{}").unwrap().condition, None);
        assert_eq!(Share::decode(b"").unwrap_err().code, "postgresql.split_unreadable");
    }
}
