//! Clocks of places and instants. Arrow's casts know the zones; here they are asked.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::as_datetime_with_timezone;
use arrow_array::timezone::Tz;
use arrow_array::types::{
    ArrowTimestampType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, new_null_array};
use arrow_schema::{DataType, TimeUnit};
use domain::job::Casts;
use domain::{Fault, Result};

use super::clock::per_second;
use super::column::{Converted, Misfit, arrow_all, cast_fault, relabeled, retyped};
use crate::settings::Settings;

/// The year 260,000, within the calendar that Arrow uses.
const SECONDS_MAX: i64 = 8_142_000_000_000;

/// What a job says about its casts.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) casts: Casts,
    /// The zone of texts and clocks that name none, as Arrow calls it; `None` where the job names none.
    pub(super) zone: Option<Arc<str>>,
}

impl Rules {
    /// # Errors
    /// `mapping.time_zone`: there is no such zone.
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let zone = settings.time_zone.as_deref().map(zone).transpose()?;
        Ok(Self { casts: settings.casts, zone })
    }
}

/// `Asia/Shanghai` as it is; `GMT+8` and `UTC+08:00` as `+08:00`.
fn zone(name: &str) -> Result<Arc<str>> {
    let offset = name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC"));
    let zone: Arc<str> = match offset.and_then(offset_text) {
        Some(offset) => Arc::from(offset),
        None => Arc::from(name),
    };
    match zone.parse::<Tz>() {
        Ok(_) => Ok(zone),
        Err(_) => Err(Fault::user(
            "mapping.time_zone",
            format!("\"{name}\" is no time zone that this version knows"),
        )
        .hint("write a name such as \"Asia/Shanghai\" or \"GMT+8\"")),
    }
}

/// `+8` and `+8:30` with two digits for each part.
fn offset_text(text: &str) -> Option<String> {
    let sign = text.chars().next().filter(|sign| matches!(sign, '+' | '-'))?;
    let (hours, minutes) = text[1..].split_once(':').unwrap_or((&text[1..], "00"));
    Some(format!("{sign}{hours:0>2}:{minutes:0>2}"))
}

/// Instants as the clock of a zone shows them, or of their own zone: a timestamp without a zone.
pub(super) fn to_local(instants: &ArrayRef, zone: Option<&Arc<str>>) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, own) = instants.data_type() else {
        return Ok(instants.clone());
    };
    let Some(zone) = zone.or(own.as_ref()) else { return Ok(instants.clone()) };
    let kind = DataType::Timestamp(*unit, None);
    // Arrow knows the zone, but casts to a timestamp without one as if it were UTC.
    let Ok(zone) = zone.parse::<Tz>() else {
        return Ok(new_null_array(&kind, instants.len()));
    };
    let local: ArrayRef = match unit {
        TimeUnit::Second => Arc::new(local::<TimestampSecondType>(instants, zone)),
        TimeUnit::Millisecond => Arc::new(local::<TimestampMillisecondType>(instants, zone)),
        TimeUnit::Microsecond => Arc::new(local::<TimestampMicrosecondType>(instants, zone)),
        TimeUnit::Nanosecond => Arc::new(local::<TimestampNanosecondType>(instants, zone)),
    };
    Ok(local)
}

fn local<T: ArrowTimestampType>(instants: &ArrayRef, zone: Tz) -> PrimitiveArray<T> {
    let seconds_max = SECONDS_MAX.saturating_mul(per_second(T::UNIT));
    instants.as_primitive::<T>().unary_opt(|value| {
        // At the very end of the calendar the local clock would leave it.
        if !(-seconds_max..seconds_max).contains(&value) {
            return None;
        }
        let local = as_datetime_with_timezone::<T>(value, zone)?.naive_local();
        T::from_naive_datetime(local, None)
    })
}

/// What a clock shows in a zone, as instants. A time that occurs twice is the later one.
pub(super) fn to_instants(locals: &ArrayRef, unit: TimeUnit, zone: &Arc<str>) -> Result<ArrayRef> {
    arrow_all(locals, &DataType::Timestamp(unit, Some(zone.clone())))
}

/// Numbers of which the rows `locals` show the clock of a zone, and the others are instants: all as instants.
/// A time that the clock skips is no time.
pub(super) fn located(
    mut read: Converted,
    locals: &[usize],
    unit: TimeUnit,
    zone: &Arc<str>,
) -> Result<Converted> {
    if locals.is_empty() {
        return Ok(read);
    }
    let shown = relabeled(&read.column, &DataType::Timestamp(unit, None))?;
    let instants = to_instants(&shown, unit, zone)?;
    let back = to_local(&instants, None)?;
    let same = arrow_ord::cmp::not_distinct(&shown, &back).map_err(cast_fault)?;
    let skipped = locals.iter().filter(|row| shown.is_valid(**row) && !same.value(**row));
    read.misfits.extend(skipped.map(|row| (*row, Misfit::Value)));
    read.column = replaced(&read.column, &relabeled(&instants, &DataType::Int64)?, locals)?;
    Ok(read)
}

/// Numbers of which the rows `placed` are instants, and the others show the clock of the job's zone, or of
/// UTC: all as timestamps without a zone.
pub(super) fn shown(
    mut read: Converted,
    placed: &[usize],
    unit: TimeUnit,
    zone: Option<&Arc<str>>,
) -> Result<Converted> {
    if let Some(zone) = zone.filter(|_| !placed.is_empty()) {
        let placed_at = DataType::Timestamp(unit, Some(zone.clone()));
        let locals = to_local(&relabeled(&read.column, &placed_at)?, None)?;
        read.column = replaced(&read.column, &relabeled(&locals, &DataType::Int64)?, placed)?;
    }
    retyped(read, &DataType::Timestamp(unit, None))
}

/// A column with the values of another in some rows.
fn replaced(column: &ArrayRef, by: &ArrayRef, rows: &[usize]) -> Result<ArrayRef> {
    let mut mask = vec![false; column.len()];
    rows.iter().for_each(|row| mask[*row] = true);
    arrow_select::zip::zip(&BooleanArray::from(mask), by, column).map_err(cast_fault)
}
