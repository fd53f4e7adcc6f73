//! Time zones of writers. A timestamp is stored as the seconds between two moments in the writer's zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::{Error, Result};

/// The beginning of 2015 in UTC, from which seconds are counted.
pub(crate) const BASE: i64 = 1_420_070_400;

/// What a local time in the writer's zone is stored as.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    Utc,
    Other {
        zone: Box<TimeZone>,
        /// The beginning of 2015 there.
        base: i64,
    },
}

impl Zone {
    /// By the name in a stripe; files without one are taken for UTC.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        if matches!(name, "" | "UTC" | "GMT" | "Etc/UTC" | "Etc/GMT" | "Z" | "Zulu" | "Universal") {
            return Ok(Self::Utc);
        }
        let zone = match fixed(name) {
            Some(zone) => zone,
            None => TimeZone::get(name).map_err(|_| {
                Error::Unsupported(format!(
                    "its timestamps are of the time zone \"{name}\", which is not known"
                ))
            })?,
        };
        // Local midnight is found from the offset that UTC's midnight has; no zone moved its clocks that day.
        let base = BASE - offset(&zone, BASE);
        Ok(Self::Other { zone: Box::new(zone), base })
    }

    /// Local seconds since 1970 from what is stored.
    pub(crate) fn local(&self, stored: i64, nanos: i64) -> Option<i64> {
        match self {
            Self::Utc => rounded(stored.checked_add(BASE)?, nanos),
            Self::Other { zone, base } => {
                let moment = rounded(stored.checked_add(*base)?, nanos)?;
                moment.checked_add(offset(zone, moment))
            }
        }
    }
}

/// Seconds before 1970 are stored rounded to zero where the fraction has a millisecond.
fn rounded(seconds: i64, nanos: i64) -> Option<i64> {
    seconds.checked_sub(i64::from(seconds < 0 && nanos > 999_999))
}

/// Seconds that a zone is before UTC. Moments beyond the calendar have the rule of its end.
fn offset(zone: &TimeZone, moment: i64) -> i64 {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let moment = Timestamp::from_second(moment.clamp(first, last));
    moment.map_or(0, |moment| i64::from(zone.to_offset(moment).seconds()))
}

/// Zones as Java names those of a fixed offset: `GMT+08:00`.
fn fixed(name: &str) -> Option<TimeZone> {
    let rest = ["GMT", "UTC", ""]
        .iter()
        .find_map(|start| name.strip_prefix(start).filter(|rest| rest.starts_with(['+', '-'])))?;
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = rest[1..].split_once(':').unwrap_or((&rest[1..], "0"));
    let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
    let seconds = (0..24).contains(&hours) && (0..60).contains(&minutes);
    let seconds = seconds.then_some(sign * (hours * 3600 + minutes * 60))?;
    Some(TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).ok()?))
}
