//! Where the borders between shares lie, asked of the server once, while the run is planned.
//!
//! Borders of a key are quantiles of it in the database's own order, so that a range which holds most
//! of the rows is cut into most of the shares. They come from a sample of the table: the server's own
//! histograms are older, coarser, and know nothing of the job's filter. A value that alone holds more
//! rows than a share should is cut further, by the primary key or by the table's pages.

use sdk::log;

use crate::catalog::{self, Column, Table};
use crate::client::Client;
use crate::error::Result;
use crate::splits::{Cut, Inner, Key, KeyCut, PLACE, Point, Second, SplitBy};
use crate::sql;
use crate::types::Kind;

/// Shares whose borders are values taken from the table; they travel with every call for more.
const BORDERS_MAX: u32 = 1000;
/// Values that are cut further at most, those with the most rows: each costs a look at the sample.
const HOT_VALUES_MAX: usize = 16;
/// Rows in the order of a key are read in its order; of a large table whose rows lie otherwise, each
/// range of the key would visit nearly every page.
const CORRELATION_MIN: f64 = 0.5;
/// Pages of a table that a sample has; a smaller table is looked at whole.
const SAMPLED_PAGES: u64 = 2048;
/// Rows that a sample needs, or all rows are looked at: few are left where a filter is narrow.
const SAMPLED_ROWS_MIN: u64 = 2000;
/// Fewer rows than these, left by a filter, are not cut unless the user says by what.
const FEW_ROWS: u64 = 1000;
/// Shares of a table at most.
const SHARES_MAX: u32 = 100_000;
/// Pages of a share at most, where many shares cost no more than few: a share that breaks off is read
/// again as a whole.
const SHARE_PAGES: u64 = 8192;
/// Ranges of pages are read as such from this version on; before, each would scan the whole table.
const PAGE_RANGES_SINCE: u32 = 140_000;

/// What is to be cut.
pub(crate) struct Whole<'a> {
    pub(crate) table: &'a Table,
    /// What it is split by; `None` leaves it to the table.
    pub(crate) by: Option<&'a SplitBy>,
    /// The user says so.
    pub(crate) is_asked: bool,
    pub(crate) filter: Option<&'a str>,
    /// Shares that the lanes want.
    pub(crate) wanted: u32,
}

/// Cuts a table: by what is said, else by the primary key, else by the table's pages.
pub(crate) fn cut(client: &mut Client, whole: &Whole<'_>) -> Result<Cut> {
    match whole.by {
        Some(SplitBy::Key(key)) => {
            key_cut(client, whole, key, whole.wanted).map_err(|error| error.at(PLACE))
        }
        Some(SplitBy::Pages) => page_cut(client, whole),
        None => match default_key(client, whole.table)? {
            // No more shares than pages, as without a key.
            Some((key, pages)) if pages > 1 => {
                let wanted = whole.wanted.min(u32::try_from(pages).unwrap_or(u32::MAX));
                key_cut(client, whole, &key, wanted)
            }
            Some(_) => Ok(Cut::Whole),
            None => page_cut(client, whole),
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
    let scattered = is_scattered(client, table, &name, pages.all)?;
    Ok((!scattered).then_some((key, pages.all)))
}

/// Whether each range of a column would visit nearly every page of a large table.
fn is_scattered(client: &mut Client, table: &Table, column: &str, pages: u64) -> Result<bool> {
    Ok(pages > SAMPLED_PAGES
        && correlation(client, table, column)?.is_some_and(|known| known < CORRELATION_MIN))
}

/// How far rows lie in the order of a column, from 0 to 1; `None` where the server never looked.
fn correlation(client: &mut Client, table: &Table, column: &str) -> Result<Option<f64>> {
    let rows = client.query(&format!(
        "SELECT abs(correlation) FROM pg_catalog.pg_stats WHERE schemaname = {} AND tablename = {} \
         AND attname = {} AND correlation IS NOT NULL ORDER BY inherited LIMIT 1",
        sql::literal(&table.schema),
        sql::literal(&table.name),
        sql::literal(column)
    ))?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok()))
}

fn key_cut(client: &mut Client, whole: &Whole<'_>, key: &Column, wanted: u32) -> Result<Cut> {
    let is_integer = matches!(key.pg.kind, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid);
    let pages = pages_of(client, whole.table)?.map(|pages| pages.all);
    if pages.is_none() && is_integer {
        // No sample can be taken, and looking at all rows costs as much as reading them.
        return even_cut(client, whole, key, wanted);
    }
    let mut wanted = wanted.max(by_size(client, whole, key, pages)?).min(BORDERS_MAX);
    if wanted < 2 {
        return Ok(Cut::Whole);
    }
    let named = Key { column: key.name.clone(), sql_type: key.pg.name.clone(), is_integer };
    let mut sample = Sample::of(whole, pages);
    let mut found = quantiles(client, &sample, &named, wanted)?;
    if found.rows < SAMPLED_ROWS_MIN && sample.clause.is_some() {
        sample.clause = None;
        found = quantiles(client, &sample, &named, wanted)?;
    }
    let few = if whole.filter.is_some() && !whole.is_asked { FEW_ROWS } else { 2 };
    if found.rows < few {
        return Ok(Cut::Whole);
    }
    if found.rows < u64::from(wanted) {
        // With more borders than rows each row would look like many.
        wanted = found.rows as u32;
        found = quantiles(client, &sample, &named, wanted)?;
    }
    let second = second(client, whole.table, key, pages)?;
    let nulls = match key.nullable || !matches!(whole.table.kind, 'r' | 'p' | 'm') {
        // Not every kind of table holds to what it says of NULL.
        true => {
            let share = (found.rows - found.filled) as f64 / found.rows as f64;
            let condition = format!("{} IS NULL", sql::ident(&key.name));
            let parts = (share * f64::from(wanted)).round() as u32;
            Some(inner(client, &sample, &second, &condition, parts)?)
        }
        false => None,
    };
    let mut cut = KeyCut { key: named, points: found.points, nulls, second };
    for (point, parts) in found.hot {
        let value = cut.key.literal(&cut.points[point].value);
        let condition = format!("{} = {value}", sql::ident(&key.name));
        cut.points[point].hot = Some(inner(client, &sample, &cut.second, &condition, parts)?);
    }
    Ok(Cut::Key(cut.thinned()))
}

/// Shares that keep each small enough, where each is read for itself: by an index, in the order of the
/// table. Otherwise the user is told what many shares cost.
fn by_size(
    client: &mut Client,
    whole: &Whole<'_>,
    key: &Column,
    pages: Option<u64>,
) -> Result<u32> {
    let Some(pages) = pages.filter(|pages| *pages > SAMPLED_PAGES) else { return Ok(1) };
    if !catalog::leads_an_index(client, whole.table, &key.name)? {
        log::warn(&format!(
            "no index of {} begins with \"{}\": each split by it looks at the whole table",
            whole.table.title(),
            key.name
        ));
        return Ok(1);
    }
    let lies_so =
        correlation(client, whole.table, &key.name)?.is_some_and(|known| known >= CORRELATION_MIN);
    Ok(match whole.filter {
        None if lies_so => u32::try_from(pages / SHARE_PAGES).unwrap_or(u32::MAX),
        _ => 1,
    })
}

fn even_cut(client: &mut Client, whole: &Whole<'_>, key: &Column, wanted: u32) -> Result<Cut> {
    let column = sql::ident(&key.name);
    let from = Sample::of(whole, None).from(None);
    let rows = client.query(&format!("SELECT min({column}), max({column}) FROM {from}"))?;
    let bound = |index: usize| rows.first()?.get(index)?.as_deref()?.parse::<i64>().ok();
    let (Some(low), Some(high)) = (bound(0), bound(1)) else { return Ok(Cut::Whole) };
    let values = i128::from(high) - i128::from(low) + 1;
    let count = i128::from(wanted.min(SHARES_MAX)).min(values).max(1) as u32;
    Ok(Cut::Even { column: key.name.clone(), low, high, count })
}

/// Rows that stand for all.
struct Sample<'a> {
    whole: &'a Whole<'a>,
    /// `None`: all of them.
    clause: Option<String>,
}

impl<'a> Sample<'a> {
    fn of(whole: &'a Whole<'a>, pages: Option<u64>) -> Self {
        let clause = pages.filter(|pages| *pages > SAMPLED_PAGES).map(|pages| {
            let percent = SAMPLED_PAGES as f64 * 100.0 / pages as f64;
            format!(" TABLESAMPLE SYSTEM ({percent}) REPEATABLE (0)")
        });
        Self { whole, clause }
    }

    /// What stands behind FROM.
    fn from(&self, condition: Option<&str>) -> String {
        // The line break ends a comment that the user's filter may end with.
        let filter = self.whole.filter.map(|filter| format!("({filter}\n)"));
        let all: Vec<_> = filter.into_iter().chain(condition.map(str::to_owned)).collect();
        let (table, clause) = (self.whole.table.sql(), self.clause.as_deref().unwrap_or_default());
        match all.is_empty() {
            true => format!("{table}{clause}"),
            false => format!("{table}{clause} WHERE {}", all.join(" AND ")),
        }
    }
}

/// Quantiles of a key.
struct Quantiles {
    /// Of the sample.
    rows: u64,
    filled: u64,
    points: Vec<Point>,
    /// The points that hold more rows than a share should, and as many shares as they hold.
    hot: Vec<(usize, u32)>,
}

fn fractions(count: u32) -> String {
    let fractions = (1..count).map(|index| (f64::from(index) / f64::from(count)).to_string());
    format!("'{{{}}}'::float8[]", fractions.collect::<Vec<_>>().join(","))
}

/// The borders of `wanted` shares with equally many rows. One that comes several times is a value that
/// holds as many shares.
fn quantiles(
    client: &mut Client,
    sample: &Sample<'_>,
    key: &Key,
    wanted: u32,
) -> Result<Quantiles> {
    let rows = client.query(&format!(
        "WITH s AS (SELECT {} AS v FROM {}), \
         f AS (SELECT v, count(*) AS times FROM (SELECT unnest(percentile_disc({}) \
           WITHIN GROUP (ORDER BY v)) AS v FROM s) AS q WHERE v IS NOT NULL GROUP BY v) \
         SELECT a.n, a.filled, f.v::text, f.times FROM \
           (SELECT count(*) AS n, count(v) AS filled FROM s) AS a LEFT JOIN f ON true ORDER BY f.v",
        sql::ident(&key.column),
        sample.from(None),
        fractions(wanted),
    ))?;
    let number = |row: &[Option<String>], index: usize| -> u64 {
        row.get(index).and_then(|cell| cell.as_deref()?.parse().ok()).unwrap_or(0)
    };
    let (mut points, mut hot) = (Vec::new(), Vec::new());
    for row in &rows {
        let Some(value) = row.get(2).cloned().flatten() else { continue };
        let times = number(row, 3) as u32;
        if times > 1 {
            hot.push((points.len(), times));
        }
        points.push(Point { value, hot: None });
    }
    hot.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    hot.truncate(HOT_VALUES_MAX);
    let first = rows.first().map(Vec::as_slice).unwrap_or_default();
    Ok(Quantiles { rows: number(first, 0), filled: number(first, 1), points, hot })
}

/// What rows with one value of the key are cut by: the first column of the primary key beside it, since
/// rows keep it, else, or where they lie in another order, their pages.
fn second(client: &mut Client, table: &Table, key: &Column, pages: Option<u64>) -> Result<Second> {
    let pages = pages.filter(|_| client.version() >= PAGE_RANGES_SINCE);
    let names = catalog::primary_key(client, table)?;
    // The index of a primary key that begins with the key has its rows in the order of the next column.
    let is_led = names.first() == Some(&key.name);
    let name = match (names.into_iter().find(|name| *name != key.name), pages) {
        (Some(name), Some(pages)) if !is_led && is_scattered(client, table, &name, pages)? => None,
        (name, _) => name,
    };
    if let Some(name) = name {
        let columns = catalog::table_columns(client, table)?;
        if let Some(column) = columns.into_iter().find(|column| column.name == name) {
            let sql_type = column.pg.name.clone();
            return Ok(Second::Key(Key { column: name, sql_type, is_integer: false }));
        }
    }
    Ok(match pages {
        Some(_) => Second::Pages,
        None => Second::Nothing,
    })
}

/// Borders of about `parts` shares of the rows that meet `condition`.
fn inner(
    client: &mut Client,
    sample: &Sample<'_>,
    second: &Second,
    condition: &str,
    parts: u32,
) -> Result<Inner> {
    let value = match second {
        Second::Key(key) => sql::ident(&key.column),
        // The page of a place such as (17,3).
        Second::Pages => "((ctid::text::point)[0])::int8".to_owned(),
        Second::Nothing => return Ok(Vec::new()),
    };
    if parts < 2 {
        return Ok(Vec::new());
    }
    let rows = client.query(&format!(
        "SELECT DISTINCT ON (v) v::text AS border FROM (SELECT unnest(percentile_disc({}) \
         WITHIN GROUP (ORDER BY {value})) AS v FROM {}) AS q WHERE v IS NOT NULL ORDER BY v",
        fractions(parts),
        sample.from(Some(condition)),
    ))?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

/// Ranges of pages; a table with children has as many as the longest of them, since a range then
/// means these pages in each.
fn page_cut(client: &mut Client, whole: &Whole<'_>) -> Result<Cut> {
    if client.version() < PAGE_RANGES_SINCE {
        return Ok(Cut::Whole);
    }
    let Some(Pages { longest, .. }) = pages_of(client, whole.table)? else {
        return Ok(Cut::Whole);
    };
    let wanted = u64::from(whole.wanted).max(longest / SHARE_PAGES).min(SHARES_MAX.into());
    match longest.min(wanted) {
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
