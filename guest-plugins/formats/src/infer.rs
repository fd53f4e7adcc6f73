//! The type of a column from a sample of its texts.
//!
//! Whole numbers are bigint, or decimal(38,0) where one is larger. A constant number of decimals is a
//! decimal; exponents or a varying number of decimals a double, where a double gives all of their digits
//! back. Leading zeros, a plus, blanks and anything
//! else that a number would not give back make a text. `yyyy-MM-dd` is a date, with a time of day a
//! timestamp, with a zone a timestamptz; `true` and `false` are booleans. Without any value: text. Text
//! takes everything, so that a wrong guess loses nothing: a later value that does not fit is told.

use crate::kind::Kind;
use crate::temporal;
use crate::value::{Number, is_exact, parse_f64, parse_i64};

/// The widest decimal that Parquet keeps in 64 bits.
const SHORT_DECIMAL_DIGITS: u8 = 18;
/// Room for values larger than those of the sample, in digits.
const DECIMAL_HEADROOM: usize = 6;
const DECIMAL_DIGITS_MAX: u8 = 38;

/// What the values seen so far have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Guess {
    /// No value yet.
    #[default]
    Nothing,
    /// `digits` before the point, `scale` behind it; `long`: one passes 64 bits; `exact`: a double gives
    /// each of them back.
    Decimal {
        digits: usize,
        scale: usize,
        long: bool,
        exact: bool,
    },
    Double,
    Boolean,
    Date,
    Timestamp,
    Instant,
    Text,
}

impl Guess {
    /// Adds one value, NULLs apart.
    pub(crate) fn add(&mut self, text: &[u8]) {
        if *self != Self::Text {
            *self = self.with(Self::of(text));
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        *self = match (*self, other) {
            (Self::Nothing, other) => other,
            (this, Self::Nothing) => this,
            (this, other) => this.with(other),
        };
    }

    fn with(self, new: Self) -> Self {
        use Guess::{Decimal, Double, Nothing, Text};
        match (self, new) {
            (Nothing, new) => new,
            (
                Decimal { digits: a, scale: s, long: x, exact: e },
                Decimal { digits: b, scale: t, long: y, exact: f },
            ) if s == t => Decimal { digits: a.max(b), scale: s, long: x || y, exact: e && f },
            (a @ (Decimal { .. } | Double), b @ (Decimal { .. } | Double)) => {
                if a.fits_double() && b.fits_double() { Double } else { Text }
            }
            (old, new) if old == new => new,
            _ => Text,
        }
    }

    fn fits_double(self) -> bool {
        !matches!(self, Self::Decimal { exact: false, .. })
    }

    fn of(text: &[u8]) -> Self {
        match text {
            b"true" | b"false" => return Self::Boolean,
            b"NaN" | b"Infinity" | b"-Infinity" => return Self::Double,
            _ => {}
        }
        match text.first() {
            Some(b'0'..=b'9' | b'-' | b'.') => {}
            _ => return Self::Text,
        }
        match Number::parse(text) {
            Some(number) => Self::number(text, &number),
            None => Self::temporal(text),
        }
    }

    fn number(text: &[u8], number: &Number<'_>) -> Self {
        let (whole, fraction) = (number.whole.len(), number.fraction.len());
        let zeros = whole > 1 && number.whole[0] == b'0';
        let minus_zero =
            number.negative && text[1..].iter().all(|byte| !matches!(byte, b'1'..=b'9'));
        if whole == 0 || zeros || minus_zero || number.has_point && fraction == 0 {
            return Self::Text;
        }
        let exact = parse_f64(text).is_ok_and(|double| is_exact(text, double));
        if number.has_exponent {
            return if exact { Self::Double } else { Self::Text };
        }
        if whole + fraction > usize::from(DECIMAL_DIGITS_MAX) {
            return Self::Text;
        }
        let long = fraction == 0 && parse_i64(text).is_err();
        Self::Decimal { digits: whole, scale: fraction, long, exact }
    }

    /// Only the forms that would be written again: four digits for the year, seconds always there.
    fn temporal(text: &[u8]) -> Self {
        if text.len() == 10 && temporal::parse_date(text).is_ok() {
            return Self::Date;
        }
        if text.len() < 19 || text[4] != b'-' || text[16] != b':' {
            return Self::Text;
        }
        match temporal::parse_timestamp(text) {
            Ok((_, None)) => Self::Timestamp,
            Ok((_, Some(_))) => Self::Instant,
            Err(_) => Self::Text,
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Nothing | Self::Text => Kind::Text,
            Self::Decimal { scale: 0, long: false, .. } => Kind::Int64,
            Self::Decimal { digits, scale, long, .. } => {
                let short =
                    !long && digits + scale + DECIMAL_HEADROOM <= usize::from(SHORT_DECIMAL_DIGITS);
                let precision = if short { SHORT_DECIMAL_DIGITS } else { DECIMAL_DIGITS_MAX };
                // The number of digits was checked against the largest precision.
                Kind::Decimal128 { precision, scale: scale as i8 }
            }
            Self::Double => Kind::Float64,
            Self::Boolean => Kind::Boolean,
            Self::Date => Kind::Date(None),
            Self::Timestamp => Kind::Timestamp(None),
            Self::Instant => Kind::Instant(None),
        }
    }
}
