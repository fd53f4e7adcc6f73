//! Which rows are new since the last run: what the server says of the column that grows.

use database::settings::Login;
use database::watermark::{self, Conditions, Found, Highest, Mark, PLACE, Watermark};
use sdk::{Fault, Position};

use crate::catalog::{self, Column, Table};
use crate::client::Client;
use crate::error::{Error, Result, VENDOR};
use crate::splits::SplitBy;
use crate::sql;
use crate::types::Kind;

/// Looks at what is new, and answers with it the column, where an index leads to what is: then it is
/// split by it.
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
) -> Result<(Found, Option<SplitBy>)> {
    let columns = catalog::table_columns(client, table)?;
    let place = format!("{PLACE}/column");
    let column = catalog::column(&columns, &watermark.column, table, &place)?;
    let origin = format!("{}:{}/{}", login.host, login.port, login.database);
    let mark = Mark {
        vendor: VENDOR,
        watermark,
        name: watermark::name(&[&origin, &table.schema, &table.name, &column.name]),
        column: &column.name,
        kind: &column.pg.name,
        table: table.title(),
        since,
    };
    let kind = &column.pg.kind;
    let is_exact = matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric { .. } | Kind::Date | Kind::Timestamp | Kind::TimestampTz)
        // A numeric without a precision.
        || column.pg.name == "numeric";
    mark.check_type(is_exact, matches!(kind, Kind::Text))?;
    let low = low(client, &mark, column)?;
    let highest = highest(client, &mark, column, table, filter, low.as_deref())?;
    check_end(&highest, column, table)?;
    let ident = sql::ident(&column.name);
    let high = highest.value.as_ref();
    let high = high.map(|high| format!("{ident} <= {}", literal(column, high)));
    let found = mark.found(highest, Conditions { low, high, null: format!("{ident} IS NULL") })?;
    let is_led_to = catalog::leads_an_index(client, table, &column.name)?;
    Ok((found, is_led_to.then(|| SplitBy::Key(column.clone()))))
}

fn literal(column: &Column, value: &str) -> String {
    format!("{}::{}", sql::literal(value), column.pg.name)
}

/// The condition of values that were not read: above the mark, less the lag, or from the start on.
fn low(client: &mut Client, mark: &Mark<'_>, column: &Column) -> Result<Option<String>> {
    let Some(begin) = mark.begin() else { return Ok(None) };
    let (value, lag) = (begin.value.as_str(), mark.lag(&begin));
    let literal = literal(column, value);
    let lowered = match column.pg.kind {
        _ if lag == 0 => literal,
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
    let rows = match client.query(&format!("SELECT ({lowered})::text")) {
        Err(Error::Server(error)) => return Err(mark.unreadable(&begin, &error.text()).into()),
        rows => rows?,
    };
    let text = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    let sql_type: &str = match column.pg.kind {
        Kind::Int2 | Kind::Int4 | Kind::Int8 if lag > 0 => "bigint",
        _ => &column.pg.name,
    };
    let above = if begin.is_mark { ">" } else { ">=" };
    let bound = sql::literal(text.as_deref().unwrap_or(value));
    Ok(Some(format!("{} {above} {bound}::{sql_type}", sql::ident(&column.name))))
}

fn highest(
    client: &mut Client,
    mark: &Mark<'_>,
    column: &Column,
    table: &Table,
    filter: Option<&str>,
    low: Option<&str>,
) -> Result<Highest> {
    let ident = sql::ident(&column.name);
    let filter = filter.map(|filter| format!("({filter}\n)"));
    let from = |condition: Option<&str>| {
        let all: Vec<_> = filter.as_deref().into_iter().chain(condition).collect();
        let condition =
            if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) };
        format!("{}{condition}", table.sql())
    };
    let value = mark.value().map_or_else(|| "NULL".to_owned(), |value| literal(column, value));
    let nulls = match column.nullable {
        true => format!("(SELECT count(*) FROM {})", from(Some(&format!("{ident} IS NULL")))),
        false => "0".to_owned(),
    };
    let rows = client
        .query(&format!(
            "SELECT h.v IS NOT NULL, greatest(h.v, {value})::text, {nulls} FROM (SELECT max({ident}) AS v FROM {}) AS h",
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

/// A value above which nothing lies would hide all that comes.
fn check_end(highest: &Highest, column: &Column, table: &Table) -> Result<(), Fault> {
    let value = highest.value.as_deref().unwrap_or_default();
    let is_text = matches!(column.pg.kind, Kind::Text);
    if !is_text && matches!(value, "infinity" | "-infinity" | "Infinity" | "-Infinity" | "NaN") {
        let message = format!(
            "the highest \"{}\" of \"{}\" is {value}, above which nothing will ever lie",
            column.name,
            table.title()
        );
        return Err(Fault::data("postgresql.watermark_endless", message)
            .hint("leave such rows out with \"where\"")
            .at(format!("{PLACE}/column")));
    }
    Ok(())
}
