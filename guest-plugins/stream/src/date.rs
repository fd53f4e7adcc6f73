//! Dates by a pattern of letters (`yyyy-MM-dd HH:mm:ss.SSS`), without a zone.

pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// Microseconds since 1970 of `text`; `None` where it is not of the pattern, or no date.
pub(crate) fn parse(text: &str, pattern: &str) -> Option<i64> {
    let (mut year, mut month, mut day) = (1970_i64, 1_i64, 1_i64);
    let (mut hour, mut minute, mut second, mut milli) = (0_i64, 0_i64, 0_i64, 0_i64);
    let mut rest = text;
    let mut letters = pattern;
    while let Some(letter) = letters.chars().next() {
        let run = letters.chars().take_while(|other| *other == letter).count();
        letters = &letters[run * letter.len_utf8()..];
        let field = match letter {
            'y' => &mut year,
            'M' => &mut month,
            'd' => &mut day,
            'H' => &mut hour,
            'm' => &mut minute,
            's' => &mut second,
            'S' => &mut milli,
            _ => {
                for _ in 0..run {
                    rest = rest.strip_prefix(letter)?;
                }
                continue;
            }
        };
        let (digits, behind) = rest.split_at_checked(run)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *field = digits.parse().ok()?;
        rest = behind;
    }
    let in_range = hour < 24 && minute < 60 && second < 60 && milli < 1000;
    if !rest.is_empty() || !in_range || !is_day(year, month, day) {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    Some(days(year, month, day) * DAY_MICROS + (seconds * 1000 + milli) * 1000)
}

fn is_day(year: i64, month: i64, day: i64) -> bool {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=9999).contains(&year) && (1..=length).contains(&day)
}

/// Days since 1970. Years begin in March here, so that the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_month = (153 * month + 2) / 5;
    let before_year = year * 365 + year / 4 - year / 100 + year / 400;
    before_year + before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn dates_are_read_by_their_pattern() {
        let default = "yyyy-MM-dd HH:mm:ss";
        let table = [
            ("1970-01-01 00:00:00", default, Some(0)),
            ("2024-02-29 12:00:01", default, Some(1_709_208_001 * SECOND)),
            ("1969-12-31 23:59:59", default, Some(-SECOND)),
            ("2000-03-01", "yyyy-MM-dd", Some(951_868_800 * SECOND)),
            ("20240102", "yyyyMMdd", Some(1_704_153_600 * SECOND)),
            ("1970-01-01 00:00:00.250", "yyyy-MM-dd HH:mm:ss.SSS", Some(SECOND / 4)),
            ("2023-02-29", "yyyy-MM-dd", None),
            ("2023-13-01", "yyyy-MM-dd", None),
            ("2023-01-01 24:00:00", default, None),
            ("2023-01-01", default, None),
            ("2023-01-01 00:00:00x", default, None),
            ("2023-1-1", "yyyy-MM-dd", None),
        ];
        for (text, pattern, expected) in table {
            assert_eq!(parse(text, pattern), expected, "{text} as {pattern}");
        }
    }
}
