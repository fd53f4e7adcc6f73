//! What the server would cut or round without a word, found in the values before they are sent.

use crate::postgresql::interval;
use crate::postgresql::kind::Limit;

/// The code and message of a value that must not go to the server.
pub(crate) type Misfit = (&'static str, &'static str);

const CUT: Misfit = ("postgresql.value_too_long", "the text is longer than the column's type");
const ROUNDED: Misfit =
    ("postgresql.value_would_round", "the value has more decimals than the column's type");
const FINER: Misfit =
    ("postgresql.value_would_round", "the interval has smaller fields than the column's type");

/// Whether the server takes a value's text as it is.
pub(crate) fn fits_text(text: &str, limit: Limit) -> Result<(), Misfit> {
    let (is_fitting, misfit) = match limit {
        Limit::None => return Ok(()),
        Limit::Characters(most) => {
            let most = most as usize;
            (text.len() <= most || text.chars().count() <= most, CUT)
        }
        Limit::Bytes(most) => (text.len() <= most as usize, CUT),
        // Characters beyond ASCII are written as a backslash and three digits.
        Limit::OneByte => (text.len() <= 1 || text.len() == 4 && text.starts_with('\\'), CUT),
        Limit::SecondDecimals(most) => (fraction_digits(text) <= most as usize, ROUNDED),
        Limit::Fields(field) => (!interval::is_finer(text, field), FINER),
        Limit::Scale(scale) => (lowest_power(text).is_none_or(|power| power >= -scale), ROUNDED),
    };
    if is_fitting { Ok(()) } else { Err(misfit) }
}

/// The same for the text of an array, element by element.
pub(crate) fn fits_array(text: &str, limit: Limit) -> Result<(), Misfit> {
    if limit == Limit::None {
        return Ok(());
    }
    // What stands before the first brace are bounds.
    let Some(start) = text.find('{') else { return Ok(()) };
    let mut element = String::new();
    let (mut is_quoted, mut is_escaped) = (false, false);
    for character in text[start..].chars() {
        match character {
            _ if is_escaped => {
                element.push(character);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '{' | '}' | ',' if !is_quoted => {
                fits_text(&element, limit)?;
                element.clear();
            }
            _ => element.push(character),
        }
    }
    Ok(())
}

/// Whether the server takes microseconds as they are.
pub(crate) fn fits_micros(micros: i64, limit: Limit) -> Result<(), Misfit> {
    match limit {
        Limit::SecondDecimals(decimals)
            if micros != i64::MAX
                && micros != i64::MIN
                && micros % 10_i64.pow(6_u32.saturating_sub(decimals)) != 0 =>
        {
            Err(ROUNDED)
        }
        _ => Ok(()),
    }
}

/// Digits of the longest fraction in a text, without the zeros at its end.
fn fraction_digits(text: &str) -> usize {
    let fractions = text.split('.').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].trim_end_matches('0').len()
    });
    fractions.max().unwrap_or(0)
}

/// The power of ten of the last digit that is not zero; `None` for zero, and for a text that is no
/// number in digits, which the server reads or refuses.
fn lowest_power(text: &str) -> Option<i32> {
    let text = text.trim();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mantissa = mantissa.trim_start_matches(['+', '-']);
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !whole.chars().chain(fraction.chars()).all(|c| c.is_ascii_digit()) {
        return None;
    }
    let power = match fraction.trim_end_matches('0').len() {
        0 => {
            let kept = whole.trim_end_matches('0').len();
            if kept == 0 {
                return None;
            }
            i32::try_from(whole.len() - kept).ok()?
        }
        digits => -i32::try_from(digits).ok()?,
    };
    power.checked_add(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<(), Misfit>) -> Option<&'static str> {
        result.err().map(|(code, _)| code.trim_start_matches("postgresql.value_"))
    }

    #[test]
    fn texts_that_the_server_would_change_are_found() {
        let cases = [
            ("abc", Limit::Characters(3), None),
            ("äöü", Limit::Characters(3), None),
            ("abc ", Limit::Characters(3), Some("too_long")),
            ("äö", Limit::Bytes(3), Some("too_long")),
            ("", Limit::OneByte, None),
            ("ab", Limit::OneByte, Some("too_long")),
            ("\\344", Limit::OneByte, None),
            ("1 day 00:00:01.250", Limit::SecondDecimals(2), None),
            ("1 day 00:00:01.251", Limit::SecondDecimals(2), Some("would_round")),
            (
                "[2020-01-01 00:00:00.1,2020-01-01 00:00:00.1234567)",
                Limit::SecondDecimals(6),
                Some("would_round"),
            ),
            ("infinity", Limit::SecondDecimals(0), None),
            ("1.250", Limit::Scale(2), None),
            ("1.251", Limit::Scale(2), Some("would_round")),
            ("1251e-3", Limit::Scale(2), Some("would_round")),
            ("1.251E1", Limit::Scale(2), None),
            ("1200", Limit::Scale(-2), None),
            ("-1250", Limit::Scale(-2), Some("would_round")),
            ("0", Limit::Scale(-2), None),
            ("0.000", Limit::Scale(0), None),
            ("NaN", Limit::Scale(0), None),
        ];
        for (text, limit, expected) in cases {
            assert_eq!(code(fits_text(text, limit)), expected, "{text} {limit:?}");
        }
    }

    #[test]
    fn arrays_are_looked_at_element_by_element() {
        let cases = [
            ("{1.25,NULL,2}", Limit::Scale(2), None),
            ("{{1.25},{2.251}}", Limit::Scale(2), Some("would_round")),
            ("[0:1]={1,2.5}", Limit::Scale(0), Some("would_round")),
            (r#"{"a,b","c\"\\"}"#, Limit::Characters(3), None),
            (r#"{"a,bc"}"#, Limit::Characters(3), Some("too_long")),
            ("{}", Limit::Characters(0), None),
        ];
        for (text, limit, expected) in cases {
            assert_eq!(code(fits_array(text, limit)), expected, "{text} {limit:?}");
        }
    }

    #[test]
    fn microseconds_keep_to_the_decimals() {
        assert_eq!(code(fits_micros(1_500_000, Limit::SecondDecimals(1))), None);
        assert_eq!(code(fits_micros(1_500_000, Limit::SecondDecimals(0))), Some("would_round"));
        assert_eq!(code(fits_micros(i64::MAX, Limit::SecondDecimals(0))), None);
    }
}
