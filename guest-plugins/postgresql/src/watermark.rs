//! Which rows are new since the last run: those above the highest value of a column that the last run
//! read, up to the highest that there is while this one is planned, so that all shares agree.

use database::settings::Login;
use sdk::{Fault, Position};
use serde::{Deserialize, Serialize};

use crate::catalog::{self, Column, Table};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::settings::{Nulls, Watermark};
use crate::splits::SplitBy;
use crate::sql;
use crate::types::Kind;

const PLACE: &str = "/parameter/watermark";
/// What people see of a window, in the dataset's metadata.
pub(crate) const METADATA: &str = "watermark";

/// What one run reads of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// In SQL.
    pub(crate) condition: String,
    /// `name=value`: where the next run goes on; `None` where there is no value yet.
    pub(crate) bookmark: Option<String>,
}

/// What one run reads of a table, and what people see of it.
pub(crate) struct Found {
    /// `None`: nothing is new.
    pub(crate) window: Option<Window>,
    pub(crate) text: String,
    /// The column, where an index leads to what is new: then it is split by it.
    pub(crate) by: Option<SplitBy>,
}

/// What the server says of the column.
struct Highest {
    /// Whether there are values that were not read.
    is_new: bool,
    /// The highest, or the mark where that is higher.
    value: Option<String>,
    nulls: u64,
}

/// A column that grows, and what is known of it.
struct Mark<'a> {
    column: &'a Column,
    lag: u64,
    /// The value that the last run read up to.
    value: Option<&'a str>,
    start: Option<String>,
}

/// Looks at what is new.
///
/// # Errors
/// `postgresql.column_not_found`, `postgresql.watermark_type`, `postgresql.watermark_null`,
/// `postgresql.watermark_invalid`, `postgresql.watermark_endless`.
pub(crate) fn find(
    client: &mut Client,
    login: &Login<'_>,
    table: &Table,
    filter: Option<&str>,
    watermark: &Watermark,
    since: &[Position],
) -> Result<Found> {
    let columns = catalog::table_columns(client, table)?;
    let place = format!("{PLACE}/column");
    let column = catalog::column(&columns, &watermark.column, table, &place)?;
    let name = name(login, table, column);
    let value = since.iter().find_map(|mark| value_of(mark, &name));
    let mark = Mark { column, lag: watermark.lag, value, start: watermark.start() };
    mark.check_type(table)?;
    let low = mark.low(client)?;
    let highest = mark.highest(client, table, filter, low.as_deref())?;
    check(&highest, column, table, watermark)?;
    let found = mark.found(&name, low, highest, watermark.nulls);
    let is_led_to = catalog::leads_an_index(client, table, &column.name)?;
    Ok(Found { by: is_led_to.then(|| SplitBy::Key(column.clone())), ..found })
}

/// What a bookmark is called: the column with all that it lies in, so that the mark of one server or
/// table never hides rows of another.
fn name(login: &Login<'_>, table: &Table, column: &Column) -> String {
    let origin = format!("{}:{}/{}", login.host, login.port, login.database);
    let parts = [&origin, &table.schema, &table.name, &column.name];
    parts.map(|part| part.replace('=', "%3D")).join(".")
}

fn value_of<'a>(mark: &'a [u8], name: &str) -> Option<&'a str> {
    str::from_utf8(mark).ok()?.strip_prefix(name)?.strip_prefix('=')
}

impl Mark<'_> {
    fn check_type(&self, table: &Table) -> Result<(), Fault> {
        let kind = &self.column.pg.kind;
        let is_text = matches!(kind, Kind::Text);
        let is_exact = matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric { .. } | Kind::Date | Kind::Timestamp | Kind::TimestampTz)
            // A numeric without a precision.
            || self.column.pg.name == "numeric";
        let (name, title, kind) = (&self.column.name, table.title(), &self.column.pg.name);
        if !is_text && !is_exact {
            let message = format!(
                "\"{name}\" of \"{title}\" is a {kind}, which tells nothing about what is new"
            );
            return Err(Fault::user("postgresql.watermark_type", message)
                .hint("an integer, numeric, date, timestamp or text that grows does")
                .at(format!("{PLACE}/column")));
        }
        if is_text && self.lag > 0 {
            let message = format!(
                "\"{name}\" of \"{title}\" is a {kind}, from which nothing can be subtracted"
            );
            return Err(
                Fault::user("postgresql.watermark_type", message).at(format!("{PLACE}/lag"))
            );
        }
        Ok(())
    }

    fn literal(&self, value: &str) -> String {
        format!("{}::{}", sql::literal(value), self.column.pg.name)
    }

    /// The condition of values that were not read: above the mark, less the lag, or from the start on.
    fn low(&self, client: &mut Client) -> Result<Option<String>> {
        let column = sql::ident(&self.column.name);
        let (value, is_mark) = match (self.value, &self.start) {
            (Some(mark), _) => (mark, true),
            (None, Some(start)) => (start.as_str(), false),
            (None, None) => return Ok(None),
        };
        let literal = self.literal(value);
        let lag = self.lag;
        let lowered = match self.column.pg.kind {
            _ if lag == 0 || !is_mark => literal,
            Kind::Date => format!("({literal} - {})", lag.min(i32::MAX as u64)),
            Kind::Timestamp | Kind::TimestampTz => {
                format!("({literal} - interval '1 second' * {lag})")
            }
            Kind::Int2 | Kind::Int4 | Kind::Int8 => {
                let lowest = i64::MIN;
                format!("greatest({}::numeric - {lag}, {lowest})", sql::literal(value))
            }
            _ => format!("({literal} - {lag})"),
        };
        let rows = client
            .query(&format!("SELECT ({lowered})::text"))
            .map_err(|error| self.unreadable(error, value, is_mark))?;
        let text = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        let sql_type: &str = match self.column.pg.kind {
            Kind::Int2 | Kind::Int4 | Kind::Int8 if lag > 0 && is_mark => "bigint",
            _ => &self.column.pg.name,
        };
        let above = if is_mark { ">" } else { ">=" };
        let bound = sql::literal(text.as_deref().unwrap_or(value));
        Ok(Some(format!("{column} {above} {bound}::{sql_type}")))
    }

    /// The mark or the start is no value of the column.
    fn unreadable(&self, error: Error, value: &str, is_mark: bool) -> Error {
        let Error::Server(error) = error else { return error };
        let (name, kind) = (&self.column.name, &self.column.pg.name);
        let message = format!("\"{value}\" is no value of \"{name}\", a {kind}: {}", error.text());
        let fault = Fault::user("postgresql.watermark_invalid", message);
        Error::Fault(match is_mark {
            true => fault
                .at(PLACE)
                .hint("set the mark with `airlock watermark reset JOB --to VALUE`, or forget it"),
            false => fault.at(format!("{PLACE}/start")),
        })
    }

    fn highest(
        &self,
        client: &mut Client,
        table: &Table,
        filter: Option<&str>,
        low: Option<&str>,
    ) -> Result<Highest> {
        let column = sql::ident(&self.column.name);
        let filter = filter.map(|filter| format!("({filter}\n)"));
        let from = |condition: Option<&str>| {
            let all: Vec<_> = filter.as_deref().into_iter().chain(condition).collect();
            let condition = if all.is_empty() {
                String::new()
            } else {
                format!(" WHERE {}", all.join(" AND "))
            };
            format!("{}{condition}", table.sql())
        };
        let mark = self.value.map_or_else(|| "NULL".to_owned(), |mark| self.literal(mark));
        let nulls = match self.column.nullable {
            true => format!("(SELECT count(*) FROM {})", from(Some(&format!("{column} IS NULL")))),
            false => "0".to_owned(),
        };
        let rows = client
            .query(&format!(
                "SELECT h.v IS NOT NULL, greatest(h.v, {mark})::text, {nulls} FROM (SELECT max({column}) AS v FROM {}) AS h",
                from(low)
            ))
            .map_err(|error| error.at(PLACE))?;
        let cell = |index: usize| rows.first().and_then(|row| row.get(index)?.clone());
        Ok(Highest {
            is_new: cell(0).as_deref() == Some("t"),
            value: cell(1),
            nulls: cell(2).and_then(|count| count.parse().ok()).unwrap_or(0),
        })
    }

    fn found(&self, name: &str, low: Option<String>, highest: Highest, nulls: Nulls) -> Found {
        let column = sql::ident(&self.column.name);
        let high = highest.value.as_ref().filter(|_| highest.is_new);
        let high = high.map(|high| format!("{column} <= {}", self.literal(high)));
        let range =
            high.map(|high| low.into_iter().chain([high]).collect::<Vec<_>>().join(" AND "));
        let null = (nulls == Nulls::Read && highest.nulls > 0).then(|| format!("{column} IS NULL"));
        let mut text = format!("{name} {}", self.range_text(&highest));
        if highest.nulls > 0 {
            let what = if nulls == Nulls::Read { "read too" } else { "skipped" };
            text += &format!("; rows without a value: {}, {what}", highest.nulls);
        }
        let condition = match (range, null) {
            (Some(range), Some(null)) => Some(format!("({range} OR {null})")),
            (range, null) => range.or(null),
        };
        let bookmark = highest.value.map(|value| format!("{name}={value}"));
        let window = condition.map(|condition| Window { condition, bookmark });
        Found { window, text, by: None }
    }

    fn range_text(&self, highest: &Highest) -> String {
        let from = match (self.value, &self.start) {
            (Some(mark), _) if self.lag > 0 => format!("above {mark} less {}", self.lag),
            (Some(mark), _) => format!("above {mark}"),
            (None, Some(start)) => format!("from {start}"),
            (None, None) => "from the lowest".to_owned(),
        };
        match &highest.value {
            Some(high) if highest.is_new => format!("{from} up to {high}"),
            _ => format!("{from}: nothing is new"),
        }
    }
}

/// What would be lost without a word is refused.
fn check(
    highest: &Highest,
    column: &Column,
    table: &Table,
    watermark: &Watermark,
) -> Result<(), Fault> {
    let (name, title) = (&column.name, table.title());
    if highest.nulls > 0 && watermark.nulls == Nulls::Refuse {
        let message =
            format!("rows of \"{title}\" whose \"{name}\" has no value: {}", highest.nulls);
        return Err(Fault::data("postgresql.watermark_null", message)
            .hint("no run would read them; say with \"nulls\" whether each run reads them (\"read\") or none (\"skip\")")
            .at(format!("{PLACE}/nulls")));
    }
    let value = highest.value.as_deref().unwrap_or_default();
    let is_text = matches!(column.pg.kind, Kind::Text);
    if !is_text && matches!(value, "infinity" | "-infinity" | "Infinity" | "-Infinity" | "NaN") {
        let message = format!(
            "the highest \"{name}\" of \"{title}\" is {value}, above which nothing will ever lie"
        );
        return Err(Fault::data("postgresql.watermark_endless", message)
            .hint("leave such rows out with \"where\"")
            .at(format!("{PLACE}/column")));
    }
    Ok(())
}
