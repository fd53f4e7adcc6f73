//! Dates and times as the texts in which SQLite keeps them.

use jiff::Span;
use jiff::civil::{self, Date};

const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;

fn epoch() -> Date {
    civil::date(1970, 1, 1)
}

/// Days since 1970 of `2024-02-29`.
pub(crate) fn days(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(&bytes[..4])?, number(&bytes[5..7])?, number(&bytes[8..])?);
    let date = Date::new(year as i16, month as i8, day as i8).ok()?;
    Some(date.duration_since(epoch()).as_secs() / 86_400)
}

/// Microseconds of `12:30`, `12:30:00` or `12:30:00.123456`.
pub(crate) fn clock(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<&[u8]> = whole.as_bytes().split(|byte| *byte == b':').collect();
    let two = |part: &&[u8]| number(part).filter(|_| part.len() == 2);
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] if whole.len() == text.len() => (two(hour)?, two(minute)?, 0),
        [hour, minute, second] => (two(hour)?, two(minute)?, two(second)?),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // A seventh digit that is not 0 has no room.
    let kept = fraction.trim_end_matches('0');
    if fraction.is_empty() || kept.len() > 6 {
        return None;
    }
    let micros = number(kept.as_bytes()).or(kept.is_empty().then_some(0))?;
    let micros = micros * 10_i64.pow(6 - kept.len() as u32);
    Some((hour * 3600 + minute * 60 + second) * SECOND + micros)
}

/// Microseconds since 1970 of a date with a time, or alone.
pub(crate) fn moment(text: &str) -> Option<i64> {
    let day = days(text.get(..10)?)? * DAY;
    match text.as_bytes().get(10) {
        None => Some(day),
        Some(b' ' | b'T') => Some(day + clock(&text[11..])?),
        Some(_) => None,
    }
}

/// The same of an instant: with `Z` or an offset such as `+01:00` behind.
pub(crate) fn instant(text: &str) -> Option<i64> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return moment(local.trim_end());
    }
    let at = text.len().checked_sub(6)?;
    let (local, offset) = (text.get(..at)?, text.get(at..)?);
    let sign = match offset.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    Some(moment(local.trim_end())? - sign * clock(&offset[1..])?)
}

fn number(digits: &[u8]) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// The text of days since 1970; `None` for a year that SQLite does not know.
pub(crate) fn date_text(days: i64) -> Option<String> {
    let date = epoch().checked_add(Span::new().try_days(days).ok()?).ok()?;
    (date.year() >= 0).then(|| format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()))
}

/// The text of microseconds of a day.
pub(crate) fn clock_text(micros: i64) -> Option<String> {
    if !(0..DAY).contains(&micros) {
        return None;
    }
    let (seconds, fraction) = (micros / SECOND, micros % SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let text = format!("{hour:02}:{minute:02}:{second:02}");
    Some(if fraction == 0 { text } else { format!("{text}.{fraction:06}") })
}

/// The text of microseconds since 1970.
pub(crate) fn moment_text(micros: i64) -> Option<String> {
    Some(format!("{} {}", date_text(micros.div_euclid(DAY))?, clock_text(micros.rem_euclid(DAY))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_strictly_and_written_back() {
        assert_eq!(days("1970-01-02"), Some(1));
        assert_eq!(days("0000-01-01").and_then(date_text).as_deref(), Some("0000-01-01"));
        assert_eq!(days("9999-12-31").and_then(date_text).as_deref(), Some("9999-12-31"));
        for bad in ["2023-02-29", "2024-2-29", "20240229", "2024-13-01", " 2024-01-01", ""] {
            assert_eq!(days(bad), None, "{bad}");
        }
        assert_eq!(clock("01:02"), Some(3_720 * SECOND));
        assert_eq!(clock("00:00:01.500"), Some(1_500_000));
        for bad in ["24:00:00", "1:02:03", "01:02.5", "01:02:03.", "01:02:60", "00:00:00.1234567"] {
            assert_eq!(clock(bad), None, "{bad}");
        }
        for text in ["2024-02-29 12:30:00.000001", "1969-12-31 23:59:59.999999"] {
            assert_eq!(moment(text).and_then(moment_text).as_deref(), Some(text));
        }
        assert_eq!(moment("2024-01-01T00:00:00Z"), None);
        assert_eq!(instant("1970-01-01 01:00:00+01:00"), Some(0));
        assert_eq!(instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(instant("1970-01-01 00:00:00"), None);
        assert_eq!(date_text(3_000_000), None);
        assert_eq!(clock_text(DAY), None);
    }
}
