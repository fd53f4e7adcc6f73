//! How a table is cut into shares that cover every row exactly once.
//!
//! A share is a condition in SQL. All that is needed to make the next one is in [`Shares`], which the
//! host keeps, so that any session goes on where another stopped. Keys cut best, since a row keeps its
//! key; ranges of pages hold only within one snapshot, for a changed row moves to another page. Where
//! the borders lie is found in [`crate::cutting`].

use database::watermark::Window;
use sdk::{Fault, Split, Splits};
use serde::{Deserialize, Serialize};

use crate::catalog::{self, Column, Table};
use crate::sql;

/// What a user writes for ranges of pages.
const PAGES_WORD: &str = "ctid";
/// Bytes of all borders as they travel: a token of the host has 64 KiB.
const BORDERS_BYTES_MAX: usize = 32 << 10;

/// All shares of a table, and which comes next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shares {
    pub(crate) cut: Cut,
    pub(crate) snapshot: Option<String>,
    /// The part of the table that is cut; `None`: all of it.
    #[serde(default)]
    pub(crate) window: Option<Window>,
    /// Rows of the whole, as the server guesses.
    pub(crate) rows: Option<u64>,
    pub(crate) next: u32,
}

/// Where the borders between shares lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Cut {
    /// No share.
    Nothing,
    /// One share.
    Whole,
    /// `count` ranges of pages.
    Pages { pages: u64, count: u32 },
    /// `count` even ranges of an integer key between two values, and NULL.
    Even { column: String, low: i64, high: i64, count: u32 },
    /// Ranges of a key.
    Key(KeyCut),
}

/// Ranges of a key between values of it, in the database's own order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyCut {
    pub(crate) key: Key,
    /// Rising.
    pub(crate) points: Vec<Point>,
    /// NULL is a share of its own, or several; `None` where the table refuses it.
    pub(crate) nulls: Option<Inner>,
    /// What rows with one value of the key are cut by.
    pub(crate) second: Second,
}

/// A column that shares are cut by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) column: String,
    pub(crate) sql_type: String,
    pub(crate) is_integer: bool,
}

/// A value of the key, as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) value: String,
    /// So many rows have this value that they are shares of their own, away from the ranges beside it.
    pub(crate) hot: Option<Inner>,
}

/// Borders between the shares of one value: values of the second key as text, or numbers of pages.
pub(crate) type Inner = Vec<String>;

/// What rows with one value of the key are cut by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Second {
    Key(Key),
    Pages,
    /// They are one share.
    Nothing,
}

/// A share of a key, by the positions of its borders.
enum Segment {
    /// Between the point before this one and this one.
    Range(usize),
    /// A part of the rows that have the value of a point.
    Value(usize, usize),
    /// A part of the rows that have no value.
    Null(usize),
}

/// A share's condition, and what people see.
struct Cutting {
    condition: Option<String>,
    label: String,
    is_pages: bool,
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
    /// The part of the table that it is a share of.
    #[serde(default)]
    pub(crate) window: Option<Window>,
}

impl Shares {
    pub(crate) fn whole() -> Self {
        Self { cut: Cut::Whole, snapshot: None, window: None, rows: None, next: 0 }
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
                let Cutting { condition, label, is_pages } = self.cut.share(index);
                let (snapshot, window) = (self.snapshot.clone(), self.window.clone());
                let share = Share { condition, snapshot, is_pages, window };
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
            Self::Nothing => 0,
            Self::Whole => 1,
            Self::Pages { count, .. } => *count,
            Self::Even { count, .. } => count + 1,
            Self::Key(cut) => cut.segments().count() as u32,
        }
    }

    /// The first and the last range are open, so that rows that came since the plan belong to one.
    fn share(&self, index: u32) -> Cutting {
        match self {
            Self::Nothing | Self::Whole => Cutting::of(None, "all rows".to_owned()),
            Self::Pages { pages, count } => {
                let border = |index: u32| even(0, i128::from(*pages), index, *count);
                let low = (index > 0).then(|| at_page(border(index)));
                let high = (index + 1 < *count).then(|| at_page(border(index + 1)));
                let label = format!("pages {} to {}", border(index), border(index + 1) - 1);
                let condition = between("ctid", ">=", low, high);
                Cutting { is_pages: true, ..Cutting::of(condition, label) }
            }
            Self::Even { column, count, .. } if index == *count => {
                let condition = format!("{} IS NULL", sql::ident(column));
                Cutting::of(Some(condition), format!("{column} is null"))
            }
            Self::Even { column, low, high, count } => {
                let border =
                    |index: u32| even(i128::from(*low), i128::from(*high) + 1, index, *count);
                let low = (index > 0).then(|| border(index));
                let high = (index + 1 < *count).then(|| border(index + 1));
                let literal = |border: i128| format!("'{border}'");
                let (ident, label) = (sql::ident(column), integers(column, low, high));
                let condition = between(&ident, ">=", low.map(literal), high.map(literal));
                Cutting::of(condition.or_else(|| Some(format!("{ident} IS NOT NULL"))), label)
            }
            Self::Key(cut) => match cut.segments().nth(index as usize) {
                Some(segment) => cut.share(&segment),
                None => Cutting::of(Some("false".to_owned()), "nothing".to_owned()),
            },
        }
    }
}

impl Cutting {
    fn of(condition: Option<String>, label: String) -> Self {
        Self { condition, label, is_pages: false }
    }
}

impl KeyCut {
    fn segments(&self) -> impl Iterator<Item = Segment> {
        let parts = |inner: &Option<Inner>| inner.as_ref().map_or(0, |borders| borders.len() + 1);
        let behind = self.points.iter().enumerate().flat_map(move |(index, point)| {
            let values = (0..parts(&point.hot)).map(move |part| Segment::Value(index, part));
            values.chain([Segment::Range(index + 1)])
        });
        let nulls = (0..parts(&self.nulls)).map(Segment::Null);
        [Segment::Range(0)].into_iter().chain(behind).chain(nulls)
    }

    fn share(&self, segment: &Segment) -> Cutting {
        let (ident, column) = (sql::ident(&self.key.column), &self.key.column);
        match segment {
            Segment::Range(index) => self.range(*index),
            Segment::Value(index, part) => {
                let point = &self.points[*index];
                // Values of a text may be personal; the label has only their number.
                let label = match self.key.is_integer {
                    true => format!("{column} = {}", point.value),
                    false => format!("{column}, value {} of {}", index + 1, self.points.len()),
                };
                let condition = format!("{ident} = {}", self.key.literal(&point.value));
                self.part(condition, label, point.hot.as_deref().unwrap_or_default(), *part)
            }
            Segment::Null(part) => {
                let borders = self.nulls.as_deref().unwrap_or_default();
                self.part(format!("{ident} IS NULL"), format!("{column} is null"), borders, *part)
            }
        }
    }

    fn range(&self, index: usize) -> Cutting {
        let (ident, column) = (sql::ident(&self.key.column), &self.key.column);
        let low = index.checked_sub(1).map(|index| &self.points[index]);
        let high = self.points.get(index);
        let is_hot = low.is_some_and(|low| low.hot.is_some());
        let literal = |point: &Point| self.key.literal(&point.value);
        let above = if is_hot { ">" } else { ">=" };
        let condition = between(&ident, above, low.map(literal), high.map(literal));
        let number = |point: &Point| point.value.parse::<i128>().unwrap_or_default();
        let label = match self.key.is_integer {
            true => {
                integers(column, low.map(|low| number(low) + i128::from(is_hot)), high.map(number))
            }
            false => format!("{column}, range {} of {}", index + 1, self.points.len() + 1),
        };
        Cutting::of(condition.or_else(|| Some(format!("{ident} IS NOT NULL"))), label)
    }

    /// A part of the rows that meet `condition`.
    fn part(&self, condition: String, label: String, borders: &[String], part: usize) -> Cutting {
        let (low, high) = (part.checked_sub(1).and_then(|low| borders.get(low)), borders.get(part));
        let inner = match &self.second {
            Second::Key(key) => {
                let literal = |value: &String| key.literal(value);
                between(&sql::ident(&key.column), ">=", low.map(literal), high.map(literal))
            }
            Second::Pages => between("ctid", ">=", low.map(at_page), high.map(at_page)),
            Second::Nothing => None,
        };
        let is_pages = inner.is_some() && self.second == Second::Pages;
        let count = borders.len() + 1;
        let label =
            if count > 1 { format!("{label}, part {} of {count}", part + 1) } else { label };
        let condition = match inner {
            Some(inner) => format!("{condition} AND {inner}"),
            None => condition,
        };
        Cutting { is_pages, ..Cutting::of(Some(condition), label) }
    }

    /// Fewer borders, until they are small enough to travel; fewer shares are as right as many.
    pub(crate) fn thinned(mut self) -> Self {
        fn thin(inner: &mut Option<Inner>) {
            if let Some(borders) = inner {
                *borders = every_second(borders);
            }
        }
        let size = |cut: &Self| serde_json::to_vec(cut).map_or(usize::MAX, |json| json.len());
        while size(&self) > BORDERS_BYTES_MAX && !self.is_thin() {
            let mut nth = 0;
            self.points.retain_mut(|point| {
                let is_cut = point.hot.as_ref().is_some_and(|borders| !borders.is_empty());
                thin(&mut point.hot);
                nth += usize::from(!is_cut);
                is_cut || nth.is_multiple_of(2)
            });
            thin(&mut self.nulls);
        }
        self
    }

    fn is_thin(&self) -> bool {
        self.points.is_empty() && self.nulls.as_ref().is_none_or(Vec::is_empty)
    }
}

impl Key {
    pub(crate) fn literal(&self, value: &str) -> String {
        format!("{}::{}", sql::literal(value), self.sql_type)
    }
}

fn every_second(borders: &[String]) -> Vec<String> {
    borders.iter().skip(1).step_by(2).cloned().collect()
}

/// The first place of a page.
fn at_page(page: impl std::fmt::Display) -> String {
    format!("'({page},0)'::tid")
}

/// The lower border of part `index` where `low..end` is cut into `count` parts.
fn even(low: i128, end: i128, index: u32, count: u32) -> i128 {
    low + (end - low) * i128::from(index) / i128::from(count.max(1))
}

fn between(column: &str, above: &str, low: Option<String>, high: Option<String>) -> Option<String> {
    let low = low.map(|low| format!("{column} {above} {low}"));
    let high = high.map(|high| format!("{column} < {high}"));
    match (low, high) {
        (Some(low), Some(high)) => Some(format!("{low} AND {high}")),
        (low, high) => low.or(high),
    }
}

/// What people see of the integers from `low` to before `end`.
fn integers(column: &str, low: Option<i128>, end: Option<i128>) -> String {
    match (low, end.map(|end| end - 1)) {
        (Some(low), Some(last)) => format!("{column} {low} to {last}"),
        (Some(low), None) => format!("{column} from {low}"),
        (None, Some(last)) => format!("{column} up to {last}"),
        (None, None) => format!("{column}, all values"),
    }
}

#[cfg(test)]
mod tests;
