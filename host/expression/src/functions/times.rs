//! Functions of dates and timestamps. One with a zone counts as the clock of the job's zone shows it.

use std::sync::Arc;

use arrow_arith::temporal::{DatePart, date_part};
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, PrimitiveArray, new_null_array};
use arrow_schema::{DataType, TimeUnit};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use domain::{Fault, Result};

use super::calls::{Arguments, Call, Prepared, Unfit};
use crate::arithmetic::each;
use crate::compile::Compiler;
use crate::format::Format;
use crate::node::{Node, Value, Work, bug};
use crate::types::{INSTANT_UNIT, Kind, kind};

const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("the date exists");

/// A part of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Epoch,
}

impl Field {
    const WORDS: [(&'static str, Self); 12] = [
        ("year", Self::Year),
        ("quarter", Self::Quarter),
        ("month", Self::Month),
        ("week", Self::Week),
        ("day", Self::Day),
        ("hour", Self::Hour),
        ("minute", Self::Minute),
        ("second", Self::Second),
        ("dow", Self::DayOfWeek),
        ("isodow", Self::IsoDayOfWeek),
        ("doy", Self::DayOfYear),
        ("epoch", Self::Epoch),
    ];

    /// # Errors
    /// `expression.value`: there is no such field.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let lower = text.to_lowercase();
        let found = Self::WORDS.into_iter().find(|(word, _)| *word == lower);
        found.map(|(_, field)| field).ok_or_else(|| {
            let words = Self::WORDS.map(|(word, _)| word);
            let message = format!("\"{text}\" is no field of a date");
            Fault::user("expression.value", message).hint(format!("there are {}", words.join(", ")))
        })
    }
}

pub(super) fn date() -> DataType {
    DataType::Date32
}

pub(super) fn timestamp() -> DataType {
    DataType::Timestamp(INSTANT_UNIT, None)
}

fn format<'a>(arguments: &'a Arguments<'_>) -> Result<&'a Format> {
    match &arguments.call.prepared {
        Prepared::Format(format) => Ok(format),
        _ => Err(Fault::internal("expression.call", "there is no format")),
    }
}

fn field(arguments: &Arguments<'_>) -> Result<Field> {
    match arguments.call.prepared {
        Prepared::Field(field) => Ok(field),
        _ => Err(Fault::internal("expression.call", "there is no field")),
    }
}

fn unread(what: &str) -> Unfit {
    ("expression.format", format!("the text is no {what} of the format"))
}

pub(super) fn to_date(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, format) = (arguments.texts(0), format(arguments)?);
    let (array, failures) = each::<Date32Type>(
        arguments.rows,
        |row| arguments.is_null(row),
        |row| {
            let date = format.date(text(row)).ok_or_else(|| unread("date"))?;
            Ok(days(date))
        },
    );
    Ok(arguments.done(Arc::new(array), failures))
}

fn days(date: NaiveDate) -> i32 {
    date.signed_duration_since(EPOCH).num_days() as i32
}

pub(super) fn to_timestamp(arguments: &Arguments<'_>) -> Result<Value> {
    let (text, format) = (arguments.texts(0), format(arguments)?);
    let is_null = |row| arguments.is_null(row);
    let (array, failures) = each::<TimestampMicrosecondType>(arguments.rows, is_null, |row| {
        let moment = format.timestamp(text(row)).ok_or_else(|| unread("timestamp"))?;
        Ok(moment.and_utc().timestamp_micros())
    });
    Ok(arguments.done(Arc::new(array), failures))
}

/// The clock of an argument, by row: `None` beyond the calendar.
fn clocks(array: &ArrayRef) -> Result<Vec<Option<NaiveDateTime>>> {
    let rows = 0..array.len();
    Ok(match array.data_type() {
        DataType::Date32 => {
            let dates = array.as_primitive::<Date32Type>();
            let clock = |row| {
                let day =
                    EPOCH.checked_add_signed(chrono::TimeDelta::days(dates.value(row).into()));
                Some(day?.and_time(NaiveTime::MIN))
            };
            rows.map(|row| if dates.is_null(row) { None } else { clock(row) }).collect()
        }
        DataType::Timestamp(unit, _) => {
            let numbers = crate::node::relabeled(array, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            rows.map(
                |row| if numbers.is_null(row) { None } else { clock(numbers.value(row), *unit) },
            )
            .collect()
        }
        _ => vec![None; array.len()],
    })
}

fn clock(number: i64, unit: TimeUnit) -> Option<NaiveDateTime> {
    let moment = match unit {
        TimeUnit::Second => DateTime::from_timestamp(number, 0),
        TimeUnit::Millisecond => DateTime::from_timestamp_millis(number),
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(number),
        TimeUnit::Nanosecond => Some(DateTime::from_timestamp_nanos(number)),
    };
    moment.map(|moment| moment.naive_utc())
}

/// The argument's values without a zone.
fn local(arguments: &Arguments<'_>, argument: usize) -> Result<ArrayRef> {
    let array = arguments.array(argument);
    match kind(array.data_type()) {
        Kind::Instant => arguments.casts.local(array),
        _ => Ok(array.clone()),
    }
}

fn outside() -> Unfit {
    ("expression.range", "the date lies beyond the calendar".to_owned())
}

pub(super) fn to_char(arguments: &Arguments<'_>) -> Result<Value> {
    let (clocks, format) = (clocks(&local(arguments, 0)?)?, format(arguments)?);
    let at = |row| arguments.values[0].index(row);
    arguments.make_texts(|row, to| {
        let clock = clocks[at(row)].ok_or_else(outside)?;
        format.write(clock, to).map_err(|_| outside())
    })
}

pub(super) fn extract(arguments: &Arguments<'_>) -> Result<Value> {
    let field = field(arguments)?;
    let array = match field {
        Field::Epoch => arguments.array(0).clone(),
        _ => local(arguments, 0)?,
    };
    if array.data_type() == &DataType::Null {
        return Ok(arguments.done(new_null_array(&DataType::Int64, arguments.rows), Vec::new()));
    }
    let part = match field {
        Field::Epoch => return epoch(arguments, &array),
        Field::Year => DatePart::Year,
        Field::Quarter => DatePart::Quarter,
        Field::Month => DatePart::Month,
        Field::Week => DatePart::WeekISO,
        Field::Day => DatePart::Day,
        Field::Hour => DatePart::Hour,
        Field::Minute => DatePart::Minute,
        Field::Second => DatePart::Second,
        Field::DayOfWeek => DatePart::DayOfWeekSunday0,
        Field::IsoDayOfWeek => DatePart::DayOfWeekMonday1,
        Field::DayOfYear => DatePart::DayOfYear,
    };
    let parts = date_part(&array, part).map_err(bug)?;
    let parts = parts.as_primitive::<Int32Type>();
    let at = |row| arguments.values[0].index(row);
    arguments.make_integers(|row| match parts.is_null(at(row)) {
        true => Err(outside()),
        false => Ok(parts.value(at(row)).into()),
    })
}

/// Whole seconds since 1970.
fn epoch(arguments: &Arguments<'_>, array: &ArrayRef) -> Result<Value> {
    let clocks = clocks(array)?;
    let at = |row| arguments.values[0].index(row);
    arguments.make_integers(|row| {
        clocks[at(row)].map(|clock| clock.and_utc().timestamp()).ok_or_else(outside)
    })
}

/// `date_trunc`, whose field is ready.
pub(super) fn truncated(compiler: &Compiler<'_>, field: Field, nodes: Vec<Node>) -> Result<Node> {
    let node = nodes.into_iter().next();
    let node = node.ok_or_else(|| Fault::internal("expression.call", "there is no argument"))?;
    let units = [Field::Year, Field::Quarter, Field::Month, Field::Week, Field::Day];
    let times = [Field::Hour, Field::Minute, Field::Second];
    if !units.contains(&field) && !times.contains(&field) {
        let message = "date_trunc takes year, quarter, month, week, day, hour, minute or second";
        return Err(Fault::user("expression.value", message));
    }
    let kind = match kind(&node.kind) {
        Kind::Date => DataType::Date32,
        _ if compiler.schema.is_none() => node.kind.clone(),
        _ => timestamp(),
    };
    let prepared = Prepared::Field(field);
    let call = Call { kind: kind.clone(), prepared, run: run_truncated };
    Ok(Node { kind, work: Work::Call(Box::new(call), vec![node]) })
}

/// What a date-trunc without a field would be.
pub(super) fn date_trunc(_: &Compiler<'_>, _: Vec<Node>) -> Result<Node> {
    Err(Fault::internal("expression.call", "there is no field"))
}

fn run_truncated(arguments: &Arguments<'_>) -> Result<Value> {
    let field = field(arguments)?;
    let clocks = clocks(&local(arguments, 0)?)?;
    let at = |row| arguments.values[0].index(row);
    let is_null = |row| arguments.is_null(row);
    let begin = |row| clocks[at(row)].and_then(|clock| begin(clock, field)).ok_or_else(outside);
    let (array, failures): (ArrayRef, _) = match arguments.call.kind {
        DataType::Date32 => {
            let (made, failures) =
                each::<Date32Type>(arguments.rows, is_null, |row| Ok(days(begin(row)?.date())));
            (Arc::new(made), failures)
        }
        _ => {
            let (made, failures): (PrimitiveArray<TimestampMicrosecondType>, _) =
                each(arguments.rows, is_null, |row| Ok(begin(row)?.and_utc().timestamp_micros()));
            (Arc::new(made), failures)
        }
    };
    Ok(arguments.done(array, failures))
}

/// Where the unit begins that a clock stands in.
fn begin(clock: NaiveDateTime, field: Field) -> Option<NaiveDateTime> {
    let date = clock.date();
    let day = match field {
        Field::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1)?,
        Field::Quarter => NaiveDate::from_ymd_opt(date.year(), date.month0() / 3 * 3 + 1, 1)?,
        Field::Month => NaiveDate::from_ymd_opt(date.year(), date.month(), 1)?,
        Field::Week => {
            date.checked_sub_days(Days::new(date.weekday().num_days_from_monday().into()))?
        }
        _ => date,
    };
    let time = match field {
        Field::Hour => NaiveTime::from_hms_opt(clock.hour(), 0, 0)?,
        Field::Minute => NaiveTime::from_hms_opt(clock.hour(), clock.minute(), 0)?,
        Field::Second => NaiveTime::from_hms_opt(clock.hour(), clock.minute(), clock.second())?,
        _ => NaiveTime::MIN,
    };
    Some(day.and_time(time))
}

/// The begin of the day, which a date is.
pub(super) fn day_of(compiler: &Compiler<'_>, node: Node) -> Result<Node> {
    truncated(compiler, Field::Day, vec![node])
}

/// An instant without its zone.
pub(super) fn local_of(node: Node) -> Result<Node> {
    let unit = match node.kind {
        DataType::Timestamp(unit, _) => unit,
        _ => INSTANT_UNIT,
    };
    let kind = DataType::Timestamp(unit, None);
    let call = Call { kind: kind.clone(), prepared: Prepared::None, run: run_local };
    Ok(Node { kind, work: Work::Call(Box::new(call), vec![node]) })
}

fn run_local(arguments: &Arguments<'_>) -> Result<Value> {
    let made = local(arguments, 0)?;
    match arguments.values[0].scalar {
        true => Ok(Value { array: made, scalar: true, failures: arguments.failures() }),
        false => Ok(arguments.done(made, Vec::new())),
    }
}
