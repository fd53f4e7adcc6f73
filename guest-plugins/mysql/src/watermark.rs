//! Which rows are new since the last run: what the server says of the column that grows.
//!
//! Zero dates are no values: they lie below all days, so no mark would ever show that they came.

use database::settings::Login;
use database::watermark::{self, Begin, Conditions, Found, Highest, Mark, PLACE, Watermark};
use sdk::Position;

use crate::catalog::{Column, Table, text};
use crate::client::Client;
use crate::error::{Result, VENDOR};
use crate::splits::Key;
use crate::sql;
use crate::types::Kind;

/// The column that grows is looked up by its name, and what is new in it.
///
/// # Errors
/// `mysql.column_not_found`, `mysql.watermark_type`, `mysql.watermark_null`, `mysql.watermark_invalid`.
pub(crate) fn find(
    client: &mut Client,
    login: &Login<'_>,
    table: &Table,
    (column, filter): (&Column, Option<&str>),
    watermark: &Watermark,
    since: &[Position],
) -> Result<Found> {
    let origin = format!("{}:{}/{}", login.host, login.port, table.database);
    let mark = Mark {
        vendor: VENDOR,
        watermark,
        name: watermark::name(&[&origin, &table.name, &column.name]),
        column: &column.name,
        kind: &column.sql_type,
        table: table.title(),
        since,
    };
    let has_order = column.is_key() && column.kind != Kind::Bytes;
    let is_text = column.kind == Kind::Text;
    mark.check_type(has_order && !is_text, has_order && is_text)?;
    let key = Key::new(column, false);
    let ident = sql::ident(&column.name);
    // Days alone can be zero, even where the column refuses NULL.
    let is_day = matches!(column.kind, Kind::Date | Kind::DateTime | Kind::Timestamp);
    let null = match is_day {
        true => format!("({ident} IS NULL OR {ident} = 0)"),
        false => format!("{ident} IS NULL"),
    };
    let filled = is_day.then(|| format!("{ident} <> 0"));
    let begin = mark.begin();
    let low = match &begin {
        Some(begin) => {
            let value = lowered(client, &mark, column, begin)?;
            let above = if begin.is_mark { ">" } else { ">=" };
            Some(format!("{ident} {above} {}", key.literal(&value)?))
        }
        None => None,
    };
    let low: Vec<_> = filled.into_iter().chain(low).collect();
    let low = (!low.is_empty()).then(|| low.join(" AND "));
    let counts = column.nullable || is_day;
    let asked =
        Asked { key: &key, low: low.as_deref(), null: counts.then_some(null.as_str()), filter };
    let highest = asked.highest(client, table, mark.value())?;
    let high = match &highest.value {
        Some(value) => Some(format!("{ident} <= {}", key.literal(value)?)),
        None => None,
    };
    Ok(mark.found(highest, Conditions { low, high, null })?)
}

/// Where the run begins, less the lag, as the server writes it.
fn lowered(client: &mut Client, mark: &Mark<'_>, column: &Column, begin: &Begin) -> Result<String> {
    let (value, lag) = (begin.value.trim(), mark.lag(begin));
    match column.kind {
        Kind::Text => Ok(begin.value.clone()),
        Kind::Date => day(client, mark, begin, "DATE", &format!("INTERVAL {lag} DAY")),
        Kind::DateTime | Kind::Timestamp => {
            day(client, mark, begin, "DATETIME(6)", &format!("INTERVAL {lag} SECOND"))
        }
        _ => {
            if !is_number(value) {
                return Err(mark.unreadable(begin, "it is no number").into());
            }
            if lag == 0 {
                return Ok(value.to_owned());
            }
            // Of decimals, which may lie below what an unsigned integer takes.
            let point = if value.contains('.') { "" } else { ".0" };
            let rows = client.query(&format!("SELECT {value}{point} - {lag}.0"))?;
            let lowered = rows.first().map_or("", |row| text(row, 0));
            Ok(lowered.strip_suffix(".0").unwrap_or(lowered).to_owned())
        }
    }
}

/// A date, or date and time, less an interval.
fn day(
    client: &mut Client,
    mark: &Mark<'_>,
    begin: &Begin,
    sql_type: &str,
    lag: &str,
) -> Result<String> {
    let value = format!("CAST({} AS DATETIME(6))", sql::literal(&begin.value));
    let (rows, warnings) = client.query_warned(&format!("SELECT {value}"))?;
    // What the server makes of a text that it reads in part is another value.
    if warnings > 0 {
        let warnings = client.query("SHOW WARNINGS")?;
        let why = warnings.first().map_or("", |warning| text(warning, 2));
        return Err(mark.unreadable(begin, why).into());
    }
    if rows.first().is_none_or(|row| row.first().is_none_or(Option::is_none)) {
        return Err(mark.unreadable(begin, "it is no day").into());
    }
    // Before the first day there is none.
    let lowered = format!("COALESCE({value} - {lag}, CAST('0001-01-01' AS DATETIME(6)))");
    let rows = client.query(&format!("SELECT CAST(CAST({lowered} AS {sql_type}) AS CHAR)"))?;
    Ok(rows.first().map_or("", |row| text(row, 0)).to_owned())
}

/// Whether a text is a number as SQL writes it, without an exponent.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_digits(whole) && is_digits(fraction)
}

/// What the server is asked about the column.
struct Asked<'a> {
    key: &'a Key,
    /// The condition of values that were not read.
    low: Option<&'a str>,
    /// The condition of rows without a value, where there can be some.
    null: Option<&'a str>,
    filter: Option<&'a str>,
}

impl Asked<'_> {
    fn from(&self, table: &Table, condition: Option<&str>) -> String {
        let filter = self.filter.map(|filter| format!("({filter}\n)"));
        let all: Vec<_> = filter.as_deref().into_iter().chain(condition).collect();
        match all.is_empty() {
            true => table.sql(),
            false => format!("{} WHERE {}", table.sql(), all.join(" AND ")),
        }
    }

    fn highest(&self, client: &mut Client, table: &Table, mark: Option<&str>) -> Result<Highest> {
        let highest = self.key.highest();
        let ident = sql::ident(&self.key.column);
        let is_lower = match mark {
            Some(mark) => format!("MAX({ident}) < {}", self.key.literal(mark)?),
            None => "0".to_owned(),
        };
        let from = self.from(table, self.low);
        let rows = client
            .query(&format!("SELECT {highest}, {is_lower} FROM {from}"))
            .map_err(|error| error.at(PLACE))?;
        let row = rows.first().map(Vec::as_slice).unwrap_or_default();
        let value = row.first().cloned().flatten();
        let is_lower = row.get(1).is_some_and(|is_lower| is_lower.as_deref() == Some("1"));
        let is_new = value.is_some();
        let nulls = match self.null {
            Some(null) => {
                let from = self.from(table, Some(null));
                let rows = client.query(&format!("SELECT COUNT(*) FROM {from}"))?;
                rows.first().and_then(|row| text(row, 0).parse().ok()).unwrap_or(0)
            }
            None => 0,
        };
        let mark = mark.map(str::to_owned);
        let value = if is_lower || !is_new { mark } else { value };
        Ok(Highest { is_new, value, nulls })
    }
}

#[cfg(test)]
mod tests {
    use super::is_number;

    #[test]
    fn numbers_are_told_from_what_is_none() {
        assert!(["0", "-5", "12.50", "18446744073709551615"].into_iter().all(is_number));
        assert!(!["", "-", "1e5", "1.", ".5", "1-2", "1 OR 1", "x"].into_iter().any(is_number));
    }
}
