//! Which rows are new since the last run: those above the highest value of a column that the last run
//! read, up to the highest that there is while this one is planned, so that all shares agree.

use schemars::JsonSchema;
use sdk::{Fault, Position, Result};
use serde::{Deserialize, Serialize};

use crate::Vendor;

/// Where a document names the column that grows.
pub const PLACE: &str = "/parameter/watermark";
/// What people see of a window, in the dataset's metadata.
pub const METADATA: &str = "watermark";

/// Reads what is new since the last run that succeeded: rows whose column lies above the highest value
/// that it read. With no such run yet, all rows, or those from `start` on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Watermark {
    /// The column: an integer, numeric, date, timestamp or text that grows with each new or changed row.
    pub column: String,
    /// The value that the first run begins with.
    #[serde(default)]
    start: Option<Start>,
    /// How far below the last value is read again, for rows that were committed late: seconds of a
    /// timestamp, days of a date, else units. Such rows come again, so let the writer upsert.
    #[serde(default)]
    pub lag: u64,
    /// Rows that have no value: `refuse` them, `skip` them in each run, or `read` them in each run.
    #[serde(default)]
    nulls: Nulls,
}

/// A value of the column.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Start {
    Text(String),
    Integer(i64),
}

/// What becomes of rows without a value of the column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Nulls {
    /// The run ends before it reads.
    #[default]
    Refuse,
    /// No run reads them; the plan counts them.
    Skip,
    /// Each run reads them.
    Read,
}

/// A query has no column that the server knows.
pub fn beside_query() -> Fault {
    Fault::user("parameter.invalid", "\"watermark\" goes with \"table\", not with \"querySql\"")
        .hint("read the table, or a view of the query")
        .at(PLACE)
}

/// A bookmark is of one table.
pub fn beside_several() -> Fault {
    Fault::user("parameter.invalid", "\"watermark\" goes with one table")
        .hint("use a job for each table, or read a view of them")
        .at(PLACE)
}

/// What a bookmark is called: the column with all that it lies in, so that the mark of one server or
/// table never hides rows of another.
pub fn name(parts: &[&str]) -> String {
    let parts: Vec<_> = parts.iter().map(|part| part.replace('=', "%3D")).collect();
    parts.join(".")
}

fn value_of<'a>(mark: &'a [u8], name: &str) -> Option<&'a str> {
    str::from_utf8(mark).ok()?.strip_prefix(name)?.strip_prefix('=')
}

/// What one run reads of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// In SQL.
    pub condition: String,
    /// `name=value`: where the next run goes on; `None` where there is no value yet.
    pub bookmark: Option<String>,
}

/// What one run reads of a table, and what people see of it.
pub struct Found {
    /// `None`: nothing is new.
    pub window: Option<Window>,
    pub text: String,
}

/// What the server says of the column.
pub struct Highest {
    /// Whether there are values that were not read.
    pub is_new: bool,
    /// The highest, or the mark where that is higher.
    pub value: Option<String>,
    pub nulls: u64,
}

/// Conditions in SQL on the column.
pub struct Conditions {
    /// Values that were not read; `None` for all.
    pub low: Option<String>,
    /// Values up to the highest.
    pub high: Option<String>,
    /// Rows without a value.
    pub null: String,
}

/// Where a run begins.
pub struct Begin {
    pub value: String,
    /// It was read before; otherwise it is the start, which is not.
    pub is_mark: bool,
}

/// A column that grows, and what is known of it.
pub struct Mark<'a> {
    pub vendor: Vendor,
    pub watermark: &'a Watermark,
    /// As [`name`] makes it.
    pub name: String,
    pub column: &'a str,
    /// The column's type, for people.
    pub kind: &'a str,
    /// The table, for people.
    pub table: String,
    pub since: &'a [Position],
}

impl Mark<'_> {
    /// The value that the last run read up to.
    pub fn value(&self) -> Option<&str> {
        self.since.iter().find_map(|mark| value_of(mark, &self.name))
    }

    fn start(&self) -> Option<String> {
        self.watermark.start.as_ref().map(|start| match start {
            Start::Text(text) => text.clone(),
            Start::Integer(number) => number.to_string(),
        })
    }

    /// `None` where all rows are new.
    pub fn begin(&self) -> Option<Begin> {
        match self.value() {
            Some(value) => Some(Begin { value: value.to_owned(), is_mark: true }),
            None => self.start().map(|value| Begin { value, is_mark: false }),
        }
    }

    /// What is subtracted from where the run begins.
    pub fn lag(&self, begin: &Begin) -> u64 {
        if begin.is_mark { self.watermark.lag } else { 0 }
    }

    /// Judges the column's type: whether its values are exact and have an order, or are texts.
    ///
    /// # Errors
    /// The vendor's `watermark_type`.
    pub fn check_type(&self, is_exact: bool, is_text: bool) -> Result<()> {
        let Self { column, kind, table, .. } = self;
        let refused = |message: String| self.vendor.user("watermark_type", message);
        if !is_text && !is_exact {
            let message = format!(
                "\"{column}\" of \"{table}\" is a {kind}, which tells nothing about what is new"
            );
            return Err(refused(message)
                .hint("an integer, numeric, date, timestamp or text that grows does")
                .at(format!("{PLACE}/column")));
        }
        if is_text && self.watermark.lag > 0 {
            let message = format!(
                "\"{column}\" of \"{table}\" is a {kind}, from which nothing can be subtracted"
            );
            return Err(refused(message).at(format!("{PLACE}/lag")));
        }
        Ok(())
    }

    /// The mark or the start is no value of the column.
    pub fn unreadable(&self, begin: &Begin, why: &str) -> Fault {
        let Begin { value, is_mark } = begin;
        let message =
            format!("\"{value}\" is no value of \"{}\", a {}: {why}", self.column, self.kind);
        let fault = self.vendor.user("watermark_invalid", message);
        match is_mark {
            true => fault
                .at(PLACE)
                .hint("set the mark with `airlock watermark reset JOB --to VALUE`, or forget it"),
            false => fault.at(format!("{PLACE}/start")),
        }
    }

    /// What the run reads.
    ///
    /// # Errors
    /// The vendor's `watermark_null` for rows without a value, of which the document does not say what
    /// becomes of them: they would be lost without a word.
    pub fn found(&self, highest: Highest, conditions: Conditions) -> Result<Found> {
        let nulls = self.watermark.nulls;
        if highest.nulls > 0 && nulls == Nulls::Refuse {
            let message = format!(
                "rows of \"{}\" whose \"{}\" has no value: {}",
                self.table, self.column, highest.nulls
            );
            let code = format!("{}.watermark_null", self.vendor.code);
            return Err(Fault::data(&code, message)
                .hint("no run would read them; say with \"nulls\" whether each run reads them (\"read\") or none (\"skip\")")
                .at(format!("{PLACE}/nulls")));
        }
        let Conditions { low, high, null } = conditions;
        let high = high.filter(|_| highest.is_new);
        let range =
            high.map(|high| low.into_iter().chain([high]).collect::<Vec<_>>().join(" AND "));
        let null = (nulls == Nulls::Read && highest.nulls > 0).then_some(null);
        let mut text = format!("{} {}", self.name, self.range_text(&highest));
        if highest.nulls > 0 {
            let what = if nulls == Nulls::Read { "read too" } else { "skipped" };
            text += &format!("; rows without a value: {}, {what}", highest.nulls);
        }
        let condition = match (range, null) {
            (Some(range), Some(null)) => Some(format!("({range} OR {null})")),
            (range, null) => range.or(null),
        };
        let bookmark = highest.value.map(|value| format!("{}={value}", self.name));
        let window = condition.map(|condition| Window { condition, bookmark });
        Ok(Found { window, text })
    }

    fn range_text(&self, highest: &Highest) -> String {
        let from = match (self.value(), self.start()) {
            (Some(mark), _) if self.watermark.lag > 0 => {
                format!("above {mark} less {}", self.watermark.lag)
            }
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

/// The statement that a share of a window is read by has both conditions.
pub fn both(filter: Option<&str>, window: Option<&Window>) -> Option<String> {
    // The line break ends a comment that the filter may end with.
    match (filter, window) {
        (Some(filter), Some(window)) => Some(format!("({filter}\n) AND {}", window.condition)),
        (filter, window) => {
            filter.map(str::to_owned).or_else(|| window.map(|window| window.condition.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark<'a>(watermark: &'a Watermark, since: &'a [Position]) -> Mark<'a> {
        let vendor = Vendor { code: "v", name: "V" };
        let name = name(&["h:1/d", "t=", "c"]);
        let (column, kind, table) = ("c", "int", "d.t".to_owned());
        Mark { vendor, watermark, name, column, kind, table, since }
    }

    fn found(watermark: &str, since: &[Position], highest: Highest) -> Result<(String, String)> {
        let watermark = serde_json::from_str(watermark).unwrap();
        let conditions = Conditions {
            low: Some("c > 1".into()),
            high: Some("c <= 9".into()),
            null: "c IS NULL".into(),
        };
        let Found { window, text } = mark(&watermark, since).found(highest, conditions)?;
        Ok((window.map_or_else(String::new, |window| window.condition), text))
    }

    #[test]
    fn a_bookmark_is_found_by_its_whole_name() {
        let watermark = serde_json::from_str(r#"{"column": "c", "start": 3, "lag": 2}"#).unwrap();
        let begin = |since: &str| {
            let since = [since.as_bytes().to_vec()];
            let mark = mark(&watermark, &since);
            let begin = mark.begin().unwrap();
            let lag = mark.lag(&begin);
            (begin.value, lag)
        };
        assert_eq!(begin("h:1/d.t%3D.c=5=6"), ("5=6".to_owned(), 2));
        for other in ["h:1/d.t%3D.cc=5", "h:1/d.t=.c=5", "5"] {
            assert_eq!(begin(other), ("3".to_owned(), 0), "{other}");
        }
    }

    #[test]
    fn a_window_ends_at_the_highest_value() {
        let highest = |is_new, nulls| Highest { is_new, value: Some("9".into()), nulls };
        let column = r#"{"column": "c"}"#;
        let (condition, text) = found(column, &[], highest(true, 0)).unwrap();
        assert_eq!(condition, "c > 1 AND c <= 9");
        assert_eq!(text, "h:1/d.t%3D.c from the lowest up to 9");
        let (condition, text) = found(column, &[], highest(false, 0)).unwrap();
        assert_eq!((condition.as_str(), text.ends_with("nothing is new")), ("", true));
        assert_eq!(found(column, &[], highest(true, 2)).unwrap_err().code, "v.watermark_null");
        let read = r#"{"column": "c", "nulls": "read"}"#;
        let (condition, text) = found(read, &[], highest(true, 2)).unwrap();
        assert_eq!(condition, "(c > 1 AND c <= 9 OR c IS NULL)");
        assert!(text.ends_with("rows without a value: 2, read too"), "{text}");
        assert_eq!(found(read, &[], highest(false, 2)).unwrap().0, "c IS NULL");
    }

    #[test]
    fn both_conditions_hold() {
        let window = Window { condition: "c > 1".into(), bookmark: None };
        assert_eq!(both(Some("a -- b"), Some(&window)).unwrap(), "(a -- b\n) AND c > 1");
        assert_eq!(both(None, Some(&window)).unwrap(), "c > 1");
        assert_eq!(both(Some("a"), None).unwrap(), "a");
        assert_eq!(both(None, None), None);
    }
}
