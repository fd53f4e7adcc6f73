//! Dates and times as text, to and from days since 1970 and microseconds.
//!
//! The calendar is the proleptic Gregorian one, as in Arrow. Without a pattern the forms are ISO 8601:
//! `2024-02-29`, `12:30:00.123456`, `2024-02-29 12:30:00` (or with `T`), with `Z` or `+01:00` behind.
//! `infinity` and `-infinity` are the extremes of a date or timestamp.

use serde::{Deserialize, Serialize};

use crate::bounds::MARK_BYTES_MAX;
use crate::value::{Misfit, push_padded};

pub const SECOND_US: i64 = 1_000_000;
pub const DAY_US: i64 = 86_400 * SECOND_US;

/// Days since 1970-01-01 of a date that exists.
pub fn days(year: i64, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || day == 0 || day > month_days(year, month) {
        return None;
    }
    // Years begin in March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year =
        (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn month_days(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Year, month and day of a number of days since 1970-01-01.
pub fn civil(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day)
}

/// Reads digits from the front of a text.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// Between `least` and `most` digits, as many as there are.
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.0.first() == Some(&byte);
        if there {
            self.0 = &self.0[1..];
        }
        there
    }

    /// A fraction of a second in microseconds. A seventh digit that is not 0 has no room.
    fn fraction(&mut self, least: usize, most: usize) -> Result<i64, Misfit> {
        let before = self.0;
        let kept = self.number(least.min(6), most.min(6)).ok_or(Misfit::Form)?;
        let digits = before.len() - self.0.len();
        let rest = self.number(least.saturating_sub(6), most - most.min(6)).ok_or(Misfit::Form)?;
        if rest != 0 {
            return Err(Misfit::Precision);
        }
        Ok(kept * 10_i64.pow(6 - digits as u32))
    }

    fn date(&mut self) -> Option<i64> {
        let negative = self.take(b'-');
        let year = self.number(4, 6)?;
        self.skip(b'-')?;
        let month = self.number(2, 2)?;
        self.skip(b'-')?;
        let day = self.number(2, 2)?;
        days(if negative { -year } else { year }, month as u32, day as u32)
    }

    /// `HH:mm`, `HH:mm:ss` or with a fraction.
    fn time(&mut self) -> Result<i64, Misfit> {
        let mut part = |colon: bool| {
            if colon && !self.take(b':') {
                return None;
            }
            self.number(2, 2)
        };
        let hour = part(false).ok_or(Misfit::Form)?;
        let minute = part(true).ok_or(Misfit::Form)?;
        let mut second = 0;
        let mut fraction = 0;
        if self.0.first() == Some(&b':') {
            self.0 = &self.0[1..];
            second = self.number(2, 2).ok_or(Misfit::Form)?;
            if self.take(b'.') {
                fraction = self.fraction(1, 9)?;
            }
        }
        time_of_day(hour, minute, second, fraction).ok_or(Misfit::Form)
    }

    /// `Z`, `+HH`, `+HHmm` or `+HH:mm`, in seconds.
    fn zone(&mut self) -> Option<i64> {
        if self.take(b'Z') || self.take(b'z') {
            return Some(0);
        }
        let sign = if self.take(b'-') { -1 } else { self.skip(b'+').map(|()| 1)? };
        let hours = self.number(2, 2)?;
        let colon = self.take(b':');
        let minutes = match self.number(2, 2) {
            Some(minutes) => minutes,
            None if colon => return None,
            None => 0,
        };
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

/// 24:00 exactly is the end of a day.
fn time_of_day(hour: i64, minute: i64, second: i64, fraction: i64) -> Option<i64> {
    let us = (hour * 3600 + minute * 60 + second) * SECOND_US + fraction;
    (minute < 60 && second < 60 && us <= DAY_US).then_some(us)
}

/// The number of two digits.
fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// `yyyy-MM-dd`; years beyond 9999 have more digits, those before year 0 a minus.
pub fn parse_date(text: &[u8]) -> Result<i32, Misfit> {
    if let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text
        && let (Some(y), Some(z), Some(m), Some(d)) =
            (two(y1, y2), two(y3, y4), two(m1, m2), two(d1, d2))
    {
        let found = days(i64::from(y * 100 + z), m, d);
        return found.map(|days| days as i32).ok_or(Misfit::Form);
    }
    match text {
        b"infinity" => return Ok(i32::MAX),
        b"-infinity" => return Ok(i32::MIN),
        _ => {}
    }
    let mut rest = Digits(text);
    let days = rest.date().ok_or(Misfit::Form)?;
    if !rest.0.is_empty() {
        // A time of day that is exactly midnight loses nothing.
        let us = parse_timestamp(text)?;
        if us.1.is_some() || us.0.rem_euclid(DAY_US) != 0 {
            return Err(Misfit::Precision);
        }
    }
    i32::try_from(days).map_err(|_| Misfit::Range)
}

/// `HH:mm[:ss[.ffffff]]`, in microseconds; `24:00:00` is the largest.
pub fn parse_time(text: &[u8]) -> Result<i64, Misfit> {
    let mut rest = Digits(text);
    let us = rest.time()?;
    if rest.0.is_empty() { Ok(us) } else { Err(Misfit::Form) }
}

/// Microseconds as written, and the zone in seconds where one is written.
pub fn parse_timestamp(text: &[u8]) -> Result<(i64, Option<i64>), Misfit> {
    let mut rest = Digits(text);
    let days = rest.date().ok_or(Misfit::Form)?;
    if rest.0.is_empty() {
        return Ok((instant(days, 0)?, None));
    }
    if !rest.take(b' ') && !rest.take(b'T') {
        return Err(Misfit::Form);
    }
    let time = rest.time()?;
    if rest.0.is_empty() {
        return Ok((instant(days, time)?, None));
    }
    let zone = rest.zone().ok_or(Misfit::Form)?;
    if rest.0.is_empty() { Ok((instant(days, time)?, Some(zone))) } else { Err(Misfit::Form) }
}

fn instant(days: i64, time: i64) -> Result<i64, Misfit> {
    // i128, since the smallest timestamp lies in a day that begins before it.
    i64::try_from(i128::from(days) * i128::from(DAY_US) + i128::from(time))
        .map_err(|_| Misfit::Range)
}

/// The extremes of a timestamp stand for what has no end.
fn infinity(text: &[u8]) -> Option<i64> {
    match text {
        b"infinity" => Some(i64::MAX),
        b"-infinity" => Some(i64::MIN),
        _ => None,
    }
}

/// Microseconds without a zone.
pub fn parse_local(text: &[u8]) -> Result<i64, Misfit> {
    if let Some(us) = infinity(text) {
        return Ok(us);
    }
    match parse_timestamp(text)? {
        (us, None) => Ok(us),
        (_, Some(_)) => Err(Misfit::Zone),
    }
}

/// Microseconds of an instant.
pub fn parse_instant(text: &[u8]) -> Result<i64, Misfit> {
    if let Some(us) = infinity(text) {
        return Ok(us);
    }
    match parse_timestamp(text)? {
        (us, Some(zone)) => us.checked_sub(zone * SECOND_US).ok_or(Misfit::Range),
        (_, None) => Err(Misfit::Zone),
    }
}

fn push_two(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
}

pub fn push_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    if (0..=9999).contains(&year) {
        push_two((year / 100) as u32, out);
        push_two((year % 100) as u32, out);
    } else {
        if year < 0 {
            out.push(b'-');
        }
        push_padded(year.unsigned_abs(), 4, out);
    }
    out.push(b'-');
    push_two(month, out);
    out.push(b'-');
    push_two(day, out);
}

/// `HH:mm:ss`, and a fraction of `digits` digits, or as short as it goes, where there is one.
pub fn push_time(seconds: i64, nanos: i64, out: &mut Vec<u8>) {
    push_two((seconds / 3600) as u32, out);
    out.push(b':');
    push_two((seconds / 60 % 60) as u32, out);
    out.push(b':');
    push_two((seconds % 60) as u32, out);
    if nanos != 0 {
        out.push(b'.');
        if nanos % 1000 == 0 {
            push_padded((nanos / 1000) as u64, 6, out);
        } else {
            push_padded(nanos as u64, 9, out);
        }
    }
}

/// A timestamp of `per_second` units, `separator` between its parts, `Z` behind where it is an instant.
pub fn push_timestamp(
    value: i64,
    per_second: i64,
    separator: u8,
    instant: bool,
    out: &mut Vec<u8>,
) {
    let seconds = value.div_euclid(per_second);
    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    push_date(seconds.div_euclid(86_400), out);
    out.push(separator);
    push_time(seconds.rem_euclid(86_400), nanos, out);
    if instant {
        out.push(b'Z');
    }
}

/// A pattern in the letters of Java: `yyyy MM dd HH mm ss S X`, with text in single quotes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    written: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Year,
    Month(usize),
    Day(usize),
    Hour(usize),
    Minute(usize),
    Second(usize),
    /// Digits of a second.
    Fraction(usize),
    Zone,
    Text(Vec<u8>),
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        Self::parse(&written)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.written
    }
}

impl Pattern {
    /// The letters that it was made of.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// # Errors
    /// Says which letters are not known, or that there are too many.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MARK_BYTES_MAX {
            return Err(format!("a pattern has at most {MARK_BYTES_MAX} bytes"));
        }
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            let count = rest.chars().take_while(|other| *other == letter).count();
            let run = count * letter.len_utf8();
            let part = match (letter, count) {
                ('y' | 'u', 4) => Part::Year,
                ('M', 1 | 2) => Part::Month(count),
                ('d', 1 | 2) => Part::Day(count),
                ('H', 1 | 2) => Part::Hour(count),
                ('m', 1 | 2) => Part::Minute(count),
                ('s', 1 | 2) => Part::Second(count),
                ('S', 1..=9) => Part::Fraction(count),
                ('X' | 'x' | 'Z', _) => Part::Zone,
                ('\'', _) => {
                    let (text, behind) = quoted(&rest[1..]).ok_or("a quote is not closed")?;
                    parts.push(Part::Text(text.into_bytes()));
                    rest = behind;
                    continue;
                }
                (letter, _) if letter.is_ascii_alphabetic() => {
                    return Err(format!("\"{}\" is not known", &rest[..run]));
                }
                _ => Part::Text(rest.as_bytes()[..run].to_vec()),
            };
            parts.push(part);
            rest = &rest[run..];
        }
        if parts.is_empty() {
            Err("it is empty".to_owned())
        } else {
            Ok(Self { written: pattern.to_owned(), parts })
        }
    }

    pub fn has_date(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Year | Part::Month(_) | Part::Day(_)))
    }

    pub fn has_time(&self) -> bool {
        use Part::{Fraction, Hour, Minute, Second};
        self.parts.iter().any(|part| matches!(part, Hour(_) | Minute(_) | Second(_) | Fraction(_)))
    }

    pub fn has_zone(&self) -> bool {
        self.parts.contains(&Part::Zone)
    }

    /// Days, microseconds of the day, and the zone in seconds.
    pub fn read(&self, text: &[u8]) -> Result<(i64, i64, Option<i64>), Misfit> {
        let mut rest = Digits(text);
        let (mut year, mut month, mut day) = (1970, 1, 1);
        let (mut hour, mut minute, mut second, mut fraction) = (0, 0, 0, 0);
        let mut zone = None;
        for part in &self.parts {
            // One letter takes one or two digits, two letters two.
            let two = |rest: &mut Digits<'_>, letters: &usize| {
                rest.number(*letters, 2).ok_or(Misfit::Form)
            };
            match part {
                Part::Year => year = rest.number(4, 4).ok_or(Misfit::Form)?,
                Part::Month(letters) => month = two(&mut rest, letters)?,
                Part::Day(letters) => day = two(&mut rest, letters)?,
                Part::Hour(letters) => hour = two(&mut rest, letters)?,
                Part::Minute(letters) => minute = two(&mut rest, letters)?,
                Part::Second(letters) => second = two(&mut rest, letters)?,
                Part::Fraction(letters) => fraction = rest.fraction(*letters, *letters)?,
                Part::Zone => zone = Some(rest.zone().ok_or(Misfit::Form)?),
                Part::Text(text) => {
                    rest.0 = rest.0.strip_prefix(text.as_slice()).ok_or(Misfit::Form)?;
                }
            }
        }
        if !rest.0.is_empty() {
            return Err(Misfit::Form);
        }
        let date = days(year, month as u32, day as u32).ok_or(Misfit::Form)?;
        let time = time_of_day(hour, minute, second, fraction).ok_or(Misfit::Form)?;
        Ok((date, time, zone))
    }

    /// Writes a timestamp of `per_second` units; an instant in UTC.
    pub fn push(&self, value: i64, per_second: i64, out: &mut Vec<u8>) {
        let seconds = value.div_euclid(per_second);
        let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
        let (year, month, day) = civil(seconds.div_euclid(86_400));
        let second = seconds.rem_euclid(86_400);
        for part in &self.parts {
            let (number, width) = match part {
                Part::Year => {
                    if year < 0 {
                        out.push(b'-');
                    }
                    (year.unsigned_abs(), 4)
                }
                Part::Month(letters) => (u64::from(month), *letters),
                Part::Day(letters) => (u64::from(day), *letters),
                Part::Hour(letters) => (second as u64 / 3600, *letters),
                Part::Minute(letters) => (second as u64 / 60 % 60, *letters),
                Part::Second(letters) => (second as u64 % 60, *letters),
                Part::Fraction(letters) => {
                    (nanos as u64 / 10_u64.pow(9 - *letters as u32), *letters)
                }
                Part::Zone => {
                    out.push(b'Z');
                    continue;
                }
                Part::Text(text) => {
                    out.extend_from_slice(text);
                    continue;
                }
            };
            push_padded(number, width, out);
        }
    }
}

/// Text up to a closing quote, two quotes for one, and what stands behind it. `''` alone is a quote.
fn quoted(rest: &str) -> Option<(String, &str)> {
    if let Some(behind) = rest.strip_prefix('\'') {
        return Some(("'".to_owned(), behind));
    }
    let mut text = String::new();
    let mut rest = rest;
    loop {
        let (before, behind) = rest.split_once('\'')?;
        text += before;
        match behind.strip_prefix('\'') {
            Some(behind) => {
                text.push('\'');
                rest = behind;
            }
            None => return Some((text, behind)),
        }
    }
}
