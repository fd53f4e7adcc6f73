//! What an interval's text is made of, as far as a column of fewer fields would cut it: the server takes
//! `2 hours 5 minutes` into an `interval day to hour` as two hours, without a word.

use serde::{Deserialize, Serialize};

/// The smallest field that a column of intervals keeps, from small to large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Field {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
}

/// The bits of a modifier's upper half, as the server has them (`datatype/timestamp.h`).
const BITS: [(i32, Field); 6] = [
    (1 << 12, Field::Second),
    (1 << 11, Field::Minute),
    (1 << 10, Field::Hour),
    (1 << 3, Field::Day),
    (1 << 1, Field::Month),
    (1 << 2, Field::Year),
];

/// The smallest field of a column with this modifier.
pub fn smallest(typmod: i32) -> Field {
    let fields = typmod >> 16 & 0x7fff;
    let found = BITS.iter().find(|(bit, _)| fields & bit != 0);
    found.map_or(Field::Second, |(_, field)| *field)
}

/// Whether the text has a part that is smaller than `field` and not zero. What cannot be understood
/// counts as small: it is better told than cut.
pub(crate) fn is_finer(text: &str, field: Field) -> bool {
    let text = text.trim().trim_start_matches('@').to_ascii_lowercase();
    let parts = match text.trim_start_matches(['-', '+']).strip_prefix('p') {
        Some(rest) => iso_parts(rest),
        None => plain_parts(&text),
    };
    parts.into_iter().any(|(part, is_zero)| !is_zero && part.is_none_or(|part| part < field))
}

/// A part's field, `None` where it is of no known one, and whether it is zero.
type Part = (Option<Field>, bool);

/// `1y2m3dt4h5m6s`.
fn iso_parts(text: &str) -> Vec<Part> {
    let (mut parts, mut number, mut is_time) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        let field = match letter {
            't' => {
                is_time = true;
                continue;
            }
            'y' => Some(Field::Year),
            'm' if is_time => Some(Field::Minute),
            'm' => Some(Field::Month),
            'w' | 'd' => Some(Field::Day),
            'h' => Some(Field::Hour),
            's' => Some(Field::Second),
            other => {
                number.push(other);
                continue;
            }
        };
        parts.push(part(field, &std::mem::take(&mut number)));
    }
    if !number.is_empty() {
        parts.push((None, false));
    }
    parts
}

/// `1 year 2 mons 3 days 04:05:06`, with units as people write them.
fn plain_parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut number: Option<String> = None;
    for token in tokens(text) {
        if token.contains(':') {
            let clock = [Field::Hour, Field::Minute, Field::Second];
            parts.extend(token.split(':').zip(clock).map(|(text, field)| part(Some(field), text)));
        } else if token.starts_with(|c: char| c.is_ascii_alphabetic()) {
            match number.take() {
                Some(number) => parts.push(part(unit(token), &number)),
                None if token == "ago" => {}
                None => parts.push((None, token == "infinity")),
            }
        } else if let Some((years, months)) = token.trim_start_matches(['-', '+']).split_once('-') {
            parts.extend([part(Some(Field::Year), years), part(Some(Field::Month), months)]);
        } else {
            // A number that no unit follows is of the column's smallest field.
            number = Some(token.to_owned());
        }
    }
    parts
}

/// Words, and numbers that may touch their unit: `3days`.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().flat_map(|word| {
        let unit = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
        let (number, unit) = word.split_at(unit);
        [number, unit].into_iter().filter(|token| !token.is_empty() && !matches!(*token, "-" | "+"))
    })
}

/// A fraction of a large field is made of smaller ones.
fn part(field: Option<Field>, number: &str) -> Part {
    let is_zero = |digits: &str| digits.chars().all(|c| matches!(c, '0' | '-' | '+' | '.'));
    let whole = number.split_once('.').is_none_or(|(_, fraction)| is_zero(fraction));
    let field = if whole || field == Some(Field::Second) { field } else { None };
    (field, is_zero(number))
}

fn unit(word: &str) -> Option<Field> {
    let starts = |heads: &[&str]| heads.iter().any(|head| word.starts_with(head));
    Some(match word {
        "y" | "c" => Field::Year,
        "w" | "d" => Field::Day,
        "h" => Field::Hour,
        "m" => Field::Minute,
        "s" | "ms" | "us" => Field::Second,
        _ if starts(&["year", "yr", "dec", "cent", "millen"]) => Field::Year,
        _ if starts(&["mon"]) => Field::Month,
        _ if starts(&["day", "week"]) => Field::Day,
        _ if starts(&["hour", "hr"]) => Field::Hour,
        _ if starts(&["min"]) => Field::Minute,
        _ if starts(&["sec", "msec", "usec", "millisec", "microsec"]) => Field::Second,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modifier_names_the_smallest_field() {
        let fields = |bits: i32| smallest(bits << 16 | 0xffff);
        assert_eq!(fields(0x7fff), Field::Second);
        assert_eq!(fields(1 << 3 | 1 << 10), Field::Hour);
        assert_eq!(fields(1 << 2 | 1 << 1), Field::Month);
        assert_eq!(fields(1 << 2), Field::Year);
        assert_eq!(fields(1 << 10 | 1 << 11 | 1 << 12), Field::Second);
    }

    #[test]
    fn parts_that_would_be_cut_are_found() {
        let cases = [
            ("1 day 02:00:00", Field::Hour, false),
            ("1 day 02:03:00", Field::Hour, true),
            ("1 day 02:03:00", Field::Minute, false),
            ("-1 days -02:00:00.5", Field::Minute, true),
            ("1 year 2 mons", Field::Month, false),
            ("1 year 2 mons 1 day", Field::Month, true),
            ("1-2", Field::Month, false),
            ("1-2", Field::Year, true),
            ("2 years", Field::Year, false),
            ("@ 1 day 2 hours ago", Field::Hour, false),
            ("3days 5min", Field::Hour, true),
            ("1.5 hours", Field::Hour, true),
            ("P1DT2H", Field::Hour, false),
            ("P1DT2H3M", Field::Hour, true),
            ("P1Y2M", Field::Month, false),
            ("-P1Y2M3D", Field::Month, true),
            ("5", Field::Hour, false),
            ("00:00:00", Field::Year, false),
            ("infinity", Field::Year, false),
            ("two hours", Field::Hour, true),
        ];
        for (text, field, expected) in cases {
            assert_eq!(is_finer(text, field), expected, "{text} in {field:?}");
        }
    }
}
