//! Dates and times as they are written.
//!
//! `2025-01-31`, `10:00[:00[.123]]`, both with `T` or a blank between, and behind them a zone:
//! `Z`, `UTC`, `+08`, `+0800` or `+08:00`. The calendar is the proleptic Gregorian one, as in Arrow.

use arrow_schema::TimeUnit;

use super::column::Misfit;

const DAY: i64 = 86_400;

/// A date and time as written. `offset` is what its zone is ahead of UTC, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) days: i64,
    pub(super) time: Time,
    pub(super) offset: Option<i64>,
}

/// A time of day, up to 24:00. `beyond` tells of digits behind the nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) seconds: i64,
    pub(super) nanos: i64,
    beyond: bool,
}

impl Time {
    pub(super) fn is_day_end(self) -> bool {
        self.seconds == DAY
    }

    /// # Errors
    /// The fraction has digits that the unit has not, unless it may be `cut`.
    pub(super) fn in_units(self, unit: TimeUnit, cut: bool) -> Result<i64, Misfit> {
        units(self.seconds, self, unit, cut)
    }
}

impl Moment {
    /// Since 1970, in UTC if it has an offset, else as its clock shows.
    ///
    /// # Errors
    /// As for `Time::in_units`, or the type does not reach so far.
    pub(super) fn in_units(self, unit: TimeUnit, cut: bool) -> Result<i64, Misfit> {
        let seconds = self.days * DAY + self.time.seconds - self.offset.unwrap_or(0);
        units(seconds, self.time, unit, cut)
    }
}

fn units(seconds: i64, time: Time, unit: TimeUnit, cut: bool) -> Result<i64, Misfit> {
    let per_second = per_second(unit);
    let nanos = 1_000_000_000 / per_second;
    if !cut && (time.beyond || time.nanos % nanos != 0) {
        return Err(Misfit::Changed);
    }
    // Wider, since the smallest timestamp lies in a second that begins before it.
    let value = i128::from(seconds) * i128::from(per_second) + i128::from(time.nanos / nanos);
    i64::try_from(value).map_err(|_| Misfit::Value)
}

pub(super) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Days since 1970 of a text that is a date and nothing else.
pub(super) fn date(text: &str) -> Result<i64, Misfit> {
    match moment(text)? {
        (moment, false) => Ok(moment.days),
        (_, true) => Err(Misfit::Changed),
    }
}

/// A date, with or without a time and a zone.
pub(super) fn date_and_time(text: &str) -> Result<Moment, Misfit> {
    moment(text).map(|(moment, _)| moment)
}

/// A time of day and nothing else.
pub(super) fn time(text: &str) -> Result<Time, Misfit> {
    let mut rest = Rest(text.as_bytes());
    let time = rest.time().ok_or(Misfit::Value)?;
    if rest.0.is_empty() { Ok(time) } else { Err(Misfit::Value) }
}

/// `20250131`.
pub(super) fn bare_date(text: &str) -> Option<i64> {
    let mut rest = Rest(text.as_bytes());
    let (year, month, day) = (rest.number(4, 4)?, rest.number(2, 2)?, rest.number(2, 2)?);
    rest.0.is_empty().then(|| days(year, month, day))?
}

/// A moment, and whether more than a date was written.
fn moment(text: &str) -> Result<(Moment, bool), Misfit> {
    read(&mut Rest(text.as_bytes())).ok_or(Misfit::Value)
}

fn read(rest: &mut Rest<'_>) -> Option<(Moment, bool)> {
    let days = rest.date()?;
    if rest.0.is_empty() {
        return Some((Moment { days, time: Time::default(), offset: None }, false));
    }
    if !(rest.take(b' ') || rest.take(b'T') || rest.take(b't')) {
        return None;
    }
    let time = rest.time()?;
    let offset = if rest.0.is_empty() { None } else { Some(rest.zone()?) };
    rest.0.is_empty().then_some((Moment { days, time, offset }, true))
}

/// What is left of a text.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let there = self.0.first() == Some(&byte);
        if there {
            self.0 = &self.0[1..];
        }
        there
    }

    /// Between `least` and `most` digits, as many as there are.
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let mut number = 0;
        let mut count = 0;
        for digit in self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()) {
            number = number * 10 + i64::from(digit - b'0');
            count += 1;
        }
        self.0 = &self.0[count..];
        (count >= least).then_some(number)
    }

    /// `yyyy-MM-dd`; years beyond 9999 have more digits, those before year 0 a minus.
    fn date(&mut self) -> Option<i64> {
        let negative = self.take(b'-');
        if !negative {
            self.take(b'+');
        }
        let year = self.number(4, 6)?;
        let month = self.take(b'-').then(|| self.number(2, 2))??;
        let day = self.take(b'-').then(|| self.number(2, 2))??;
        days(if negative { -year } else { year }, month, day)
    }

    fn time(&mut self) -> Option<Time> {
        let hour = self.number(2, 2)?;
        let minute = self.take(b':').then(|| self.number(2, 2))??;
        let mut time = Time::default();
        if self.take(b':') {
            time.seconds = self.number(2, 2)?;
            if self.take(b'.') {
                (time.nanos, time.beyond) = self.fraction()?;
            }
        }
        let within = minute < 60 && time.seconds < 60;
        time.seconds += hour * 3600 + minute * 60;
        let end = time.seconds == DAY && time.nanos == 0 && !time.beyond;
        (within && (time.seconds < DAY || end)).then_some(time)
    }

    /// Nanoseconds, and whether there is more behind them.
    fn fraction(&mut self) -> Option<(i64, bool)> {
        let before = self.0.len();
        let number = self.number(1, 9)?;
        let digits = before - self.0.len();
        let mut beyond = false;
        while let Some(digit) = self.0.first().filter(|byte| byte.is_ascii_digit()) {
            beyond |= *digit != b'0';
            self.0 = &self.0[1..];
        }
        Some((number * 10_i64.pow(9 - digits as u32), beyond))
    }

    /// Seconds ahead of UTC.
    fn zone(&mut self) -> Option<i64> {
        self.take(b' ');
        if matches!(self.0, b"Z" | b"z" | b"UTC") {
            self.0 = &[];
            return Some(0);
        }
        let negative = self.take(b'-');
        if !negative && !self.take(b'+') {
            return None;
        }
        let hours = self.number(2, 2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.take(b':');
            self.number(2, 2)?
        };
        let seconds = hours * 3600 + minutes * 60;
        (hours < 24 && minutes < 60).then_some(if negative { -seconds } else { seconds })
    }
}

/// Days since 1970-01-01 of a date that exists.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) {
        return None;
    }
    // Years begin in March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let table = [
            ("1970-01-01", Ok(0)),
            ("1969-12-31", Ok(-1)),
            ("2024-02-29", Ok(19_782)),
            ("2025-01-31", Ok(20_119)),
            ("0001-01-01", Ok(-719_162)),
            ("-0001-01-01", Ok(-719_893)),
            ("10000-01-01", Ok(2_932_897)),
            ("+10000-01-01", Ok(2_932_897)),
            ("2025-02-29", Err(Misfit::Value)),
            ("2025-13-01", Err(Misfit::Value)),
            ("2025-1-31", Err(Misfit::Value)),
            ("20250131", Err(Misfit::Value)),
            ("2025-01-31 ", Err(Misfit::Value)),
            (" 2025-01-31", Err(Misfit::Value)),
            ("", Err(Misfit::Value)),
            ("2025-01-31 23:59:59", Err(Misfit::Changed)),
            ("2025-01-31T00:00:00", Err(Misfit::Changed)),
        ];
        for (text, expected) in table {
            assert_eq!(date(text), expected, "{text}");
        }
        assert_eq!(bare_date("20250131"), Some(20_119));
        assert_eq!(bare_date("202501310"), None);
    }

    #[test]
    fn times() {
        let micros = |text| time(text).and_then(|time| time.in_units(TimeUnit::Microsecond, false));
        let table = [
            ("00:00", Ok(0)),
            ("10:00:01", Ok(36_001_000_000)),
            ("10:00:01.5", Ok(36_001_500_000)),
            ("10:00:01.1234560", Ok(36_001_123_456)),
            ("10:00:01.1234567", Err(Misfit::Changed)),
            ("10:00:01.1234560001", Err(Misfit::Changed)),
            ("24:00:00", Ok(86_400_000_000)),
            ("24:00:01", Err(Misfit::Value)),
            ("23:60", Err(Misfit::Value)),
            ("12", Err(Misfit::Value)),
            ("10:00:00.", Err(Misfit::Value)),
            ("10:00:00Z", Err(Misfit::Value)),
            ("1:00", Err(Misfit::Value)),
        ];
        for (text, expected) in table {
            assert_eq!(micros(text), expected, "{text}");
        }
    }

    #[test]
    fn moments() {
        let read = |text| {
            date_and_time(text).and_then(|moment| {
                Ok((moment.in_units(TimeUnit::Millisecond, false)?, moment.offset))
            })
        };
        let hour = 3_600_000;
        let table = [
            ("1970-01-02", Ok((24 * hour, None))),
            ("1970-01-01 01:00", Ok((hour, None))),
            ("1970-01-01T01:00:00.250", Ok((hour + 250, None))),
            ("1970-01-01T01:00:00Z", Ok((hour, Some(0)))),
            ("1970-01-01 01:00:00 UTC", Ok((hour, Some(0)))),
            ("1970-01-01 01:00:00+08", Ok((-7 * hour, Some(28_800)))),
            ("1970-01-01 01:00:00+0800", Ok((-7 * hour, Some(28_800)))),
            ("1970-01-01 01:00:00 -03:30", Ok((9 * hour / 2, Some(-12_600)))),
            ("1969-12-31 23:59:59.999", Ok((-1, None))),
            ("1970-01-01T01:00:00.0001", Err(Misfit::Changed)),
            ("1970-01-01T01:00:00+", Err(Misfit::Value)),
            ("1970-01-01T01:00:00+08:", Err(Misfit::Value)),
            ("1970-01-01T01:00:00+08:00x", Err(Misfit::Value)),
            ("1970-01-01x01:00:00", Err(Misfit::Value)),
            ("1970-01-01T", Err(Misfit::Value)),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), expected, "{text}");
        }
        let nanos =
            |text| date_and_time(text).and_then(|m| m.in_units(TimeUnit::Nanosecond, false));
        assert_eq!(nanos("2262-04-11T23:47:16.854775807"), Ok(i64::MAX));
        assert_eq!(nanos("2262-04-11T23:47:16.854775808"), Err(Misfit::Value));
        assert_eq!(nanos("1677-09-21T00:12:43.145224192"), Ok(i64::MIN));
    }
}
