//! DataX's conversions between its six kinds of values: what a job gets that allows them.
//!
//! Where the table has no conversion, every value is told. Three things are kept that DataX loses:
//! fractions of a second, digits of decimals as far as the destination's type has them, and the zone
//! that a text names. A clock that names no zone is in the job's, or else in UTC.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int64Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow_cast::CastOptions;
use arrow_cast::display::FormatOptions;
use arrow_schema::{DataType, Field, TimeUnit};
use domain::Result;

use super::clock::{self, Moment, Time};
use super::column::{Converted, Misfit, arrow, arrow_all, arrow_with, relabeled, retyped};
use super::extremes::{self, Extreme, Words};
use super::number::{Floats, Number};
use super::texts::{self, Read, decimals, each, each_row};
use super::zones::{self, Rules};

/// How DataX prints a date with a time, and the fraction that it would drop.
const DATETIME: CastOptions<'static> = CastOptions {
    safe: true,
    format_options: FormatOptions::new().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f")),
};

/// DataX's kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Long,
    Double,
    Text,
    Date,
    Bool,
    Bytes,
}

/// What a type is for DataX; `None` where it has no such thing.
pub(crate) fn kind(data_type: &DataType) -> Option<Kind> {
    use DataType as T;
    Some(match data_type {
        T::Float16 | T::Float32 | T::Float64 | T::Decimal128(..) | T::Decimal256(..) => {
            Kind::Double
        }
        T::Utf8 => Kind::Text,
        T::Date32 | T::Date64 | T::Time32(_) | T::Time64(_) | T::Timestamp(..) => Kind::Date,
        T::Boolean => Kind::Bool,
        T::Binary | T::FixedSizeBinary(_) => Kind::Bytes,
        integer if integer.is_integer() => Kind::Long,
        _ => return None,
    })
}

/// Whether DataX knows both types.
pub(super) fn has(from: &Field, to: &Field) -> bool {
    kind(from.data_type()).is_some() && kind(to.data_type()).is_some()
}

/// Whether the table changes values where exact casts would tell them.
pub(super) fn may_change(from: &Field, to: &Field) -> bool {
    match (kind(from.data_type()), kind(to.data_type())) {
        (None, _) | (_, None | Some(Kind::Bytes)) => false,
        (Some(Kind::Bytes), Some(Kind::Text)) | (Some(Kind::Long), Some(Kind::Long)) => false,
        (Some(Kind::Long), Some(Kind::Double)) => to.data_type().is_floating(),
        _ => true,
    }
}

/// Converts a column by the table.
pub(super) fn convert(
    from: &Field,
    to: &Field,
    column: &ArrayRef,
    rules: &Rules,
) -> Result<Converted> {
    let target = to.data_type();
    let (Some(source), Some(kind)) = (kind(from.data_type()), kind(target)) else {
        return arrow(column, target);
    };
    match (source, kind) {
        (Kind::Long | Kind::Double, Kind::Double) => doubles(column, target),
        (Kind::Long, Kind::Long | Kind::Text | Kind::Bool)
        | (Kind::Double, Kind::Long | Kind::Text) => arrow(column, target),
        (Kind::Long, Kind::Date) => {
            let ms = arrow(column, &DataType::Int64)?;
            let instants =
                retyped(ms, &DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())))?;
            then(instants, |instants| dates(instants, target, rules))
        }
        (Kind::Text, _) => from_texts(column, to, rules),
        (Kind::Date, Kind::Long) => {
            let instant = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
            let instants = dates(column, &instant, rules)?;
            then(instants, |instants| arrow(&relabeled(instants, &DataType::Int64)?, target))
        }
        (Kind::Date, Kind::Text) => Ok(Converted::from(column, shown(column, rules)?)),
        (Kind::Date, Kind::Date) => dates(column, target, rules),
        (Kind::Bool, Kind::Long | Kind::Text) => arrow(column, target),
        (Kind::Bool, Kind::Double) => arrow(&arrow_all(column, &DataType::Int8)?, target),
        (Kind::Bytes, Kind::Text) if texts::is_uuid(from) => {
            Ok(Converted::whole(texts::of_uuids(column)))
        }
        (Kind::Bytes, Kind::Text) => {
            then(arrow(column, &DataType::Binary)?, |bytes| arrow(bytes, target))
        }
        (Kind::Bytes, Kind::Bytes) => arrow(column, target),
        (Kind::Double, Kind::Date | Kind::Bool | Kind::Bytes)
        | (Kind::Long | Kind::Date | Kind::Bool, Kind::Bytes)
        | (Kind::Date, Kind::Double | Kind::Bool)
        | (Kind::Bool, Kind::Date)
        | (Kind::Bytes, Kind::Long | Kind::Double | Kind::Date | Kind::Bool) => {
            Ok(Converted::from(column, new_null_array(target, column.len())))
        }
        (Kind::Bool, Kind::Bool) => Ok(Converted::whole(column.clone())),
    }
}

/// A second step behind the first, with the misfits of both.
fn then(first: Converted, step: impl FnOnce(&ArrayRef) -> Result<Converted>) -> Result<Converted> {
    let mut done = step(&first.column)?;
    done.misfits.splice(..0, first.misfits);
    Ok(done)
}

/// Numbers to the nearest; one that is too large is told, where Arrow makes it infinite.
fn doubles(column: &ArrayRef, target: &DataType) -> Result<Converted> {
    let mut done = arrow(column, target)?;
    if let (DataType::Float32, DataType::Float64) = (target, column.data_type()) {
        let (before, after) =
            (column.as_primitive::<Float64Type>(), done.column.as_primitive::<Float32Type>());
        let too_large = |row: &usize| {
            before.is_valid(*row)
                && before.value(*row).is_finite()
                && after.value(*row).is_infinite()
        };
        done.misfits.extend((0..before.len()).filter(too_large).map(|row| (row, Misfit::Value)));
    }
    Ok(done)
}

fn from_texts(column: &ArrayRef, to: &Field, rules: &Rules) -> Result<Converted> {
    use DataType as T;
    let texts = column.as_string::<i32>();
    let target = to.data_type();
    let words = Words::of(to);
    match target {
        T::UInt64 => Ok(each::<UInt64Type>(texts, |text| {
            u64::try_from(whole(text)?).map_err(|_| Misfit::Value)
        })),
        kind if kind.is_integer() => {
            let longs = each::<Int64Type>(texts, |text| {
                i64::try_from(whole(text)?).map_err(|_| Misfit::Value)
            });
            then(longs, |longs| arrow(longs, target))
        }
        T::Float32 => {
            let mut floats = Floats::default();
            Ok(each::<Float32Type>(texts, |text| floats.single(text, true)))
        }
        T::Float16 | T::Float64 => {
            let mut floats = Floats::default();
            let doubles = each::<Float64Type>(texts, |text| floats.double(text, true));
            then(doubles, |doubles| arrow(doubles, target))
        }
        T::Decimal128(p, s) => {
            retyped(decimals::<Decimal128Type>(texts, *p, *s, words, true), target)
        }
        T::Decimal256(p, s) => {
            retyped(decimals::<Decimal256Type>(texts, *p, *s, words, true), target)
        }
        T::Boolean => {
            let truths = texts.iter().map(|text| match text {
                Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
                Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
                _ => None,
            });
            Ok(Converted::from(column, Arc::new(truths.collect::<BooleanArray>())))
        }
        T::FixedSizeBinary(_) if !texts::is_uuid(to) => {
            arrow(&arrow_all(column, &T::Binary)?, target)
        }
        T::Binary | T::FixedSizeBinary(_) => texts::read(column, to, rules),
        _ => moments(column, to, rules),
    }
}

/// The whole part of a number's text.
fn whole(text: &str) -> Read<i128> {
    Number::scan(text.as_bytes()).ok_or(Misfit::Value)?.truncated()
}

/// Texts that are a date with or without a time, a time alone, or a date without hyphens.
fn moments(column: &ArrayRef, to: &Field, rules: &Rules) -> Result<Converted> {
    let texts = column.as_string::<i32>();
    let target = to.data_type();
    let unit = unit(target);
    let mut found = Vec::new();
    let mut placed = Vec::new();
    let mut locals = Vec::new();
    let read = each_row::<Int64Type>(texts, |row, text| {
        if let Some(extreme) = extremes::endless(text) {
            found.push((row, extreme));
            return Ok(0);
        }
        let moment = moment(text)?;
        if is_time(target) && moment.time.is_day_end() {
            found.push((row, Extreme::EndOfDay));
            return Ok(0);
        }
        if moment.offset.is_some() {
            placed.push(row)
        } else {
            locals.push(row)
        }
        moment.in_units(unit, true)
    });
    let done = match (target, &rules.zone) {
        (DataType::Timestamp(_, Some(_)), Some(zone)) => {
            retyped(zones::located(read, &locals, unit, zone)?, target)?
        }
        (DataType::Timestamp(_, Some(_)), None) => retyped(read, target)?,
        (_, zone) => {
            let shown = zones::shown(read, &placed, unit, zone.as_ref())?;
            then(shown, |shown| arrow(shown, target))?
        }
    };
    extremes::put_back(to, done, &found)
}

fn moment(text: &str) -> Read<Moment> {
    let at = |days, time| Moment { days, time, offset: None };
    if let Ok(time) = clock::time(text) {
        return Ok(at(0, time));
    }
    match clock::bare_date(text) {
        Some(days) => Ok(at(days, Time::default())),
        None => clock::date_and_time(text),
    }
}

fn is_time(kind: &DataType) -> bool {
    matches!(kind, DataType::Time32(_) | DataType::Time64(_))
}

/// The unit in which a type counts, or a finer one.
fn unit(kind: &DataType) -> TimeUnit {
    match kind {
        DataType::Time32(unit) | DataType::Time64(unit) | DataType::Timestamp(unit, _) => *unit,
        _ => TimeUnit::Millisecond,
    }
}

/// Dates, times and timestamps as one another. A time is one of 1970-01-01.
fn dates(column: &ArrayRef, target: &DataType, rules: &Rules) -> Result<Converted> {
    let moments = timestamps(column)?;
    let unit = unit(moments.data_type());
    let moments = match (moments.data_type(), target) {
        (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, Some(_))) => moments,
        (DataType::Timestamp(_, Some(_)), _) => zones::to_local(&moments, rules.zone.as_ref())?,
        (_, DataType::Timestamp(_, Some(own))) => {
            zones::to_instants(&moments, unit, rules.zone.as_ref().unwrap_or(own))?
        }
        _ => moments,
    };
    Ok(Converted::from(column, arrow_all(&moments, target)?))
}

fn timestamps(column: &ArrayRef) -> Result<ArrayRef> {
    let kind = column.data_type();
    match kind {
        DataType::Timestamp(..) => Ok(column.clone()),
        DataType::Time32(unit) => {
            let numbers = arrow_all(&relabeled(column, &DataType::Int32)?, &DataType::Int64)?;
            relabeled(&numbers, &DataType::Timestamp(*unit, None))
        }
        DataType::Time64(unit) => relabeled(column, &DataType::Timestamp(*unit, None)),
        _ => arrow_all(column, &DataType::Timestamp(TimeUnit::Millisecond, None)),
    }
}

/// The texts of dates, times and timestamps, those in the job's zone.
fn shown(column: &ArrayRef, rules: &Rules) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Date64 => arrow_all(&arrow_all(column, &DataType::Date32)?, &DataType::Utf8),
        DataType::Timestamp(_, zone) => {
            let local = match zone {
                Some(_) => zones::to_local(column, rules.zone.as_ref())?,
                None => column.clone(),
            };
            arrow_with(&local, &DataType::Utf8, &DATETIME)
        }
        _ => arrow_all(column, &DataType::Utf8),
    }
}
