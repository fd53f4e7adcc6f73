//! Statistics of columns, so that other programs can pass over stripes and files.

use crate::proto::{Message, zigzag};

/// Longer texts say nothing worth their room.
const TEXT_BYTES_MAX: usize = 1024;

/// What some rows of a column have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stats {
    pub(crate) values: u64,
    pub(crate) has_null: bool,
    pub(crate) extremes: Extremes,
}

/// The least and the greatest value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Extremes {
    /// No value came, or none that can be compared is kept.
    #[default]
    None,
    Ints(i64, i64),
    Doubles(f64, f64),
    /// How often true came.
    Booleans(u64),
    Texts(Vec<u8>, Vec<u8>),
    /// With the decimals that each has.
    Decimals(i128, i128, u8),
    Dates(i64, i64),
    /// Milliseconds since 1970, of what begins and what ends there.
    Times(i64, i64),
    /// A value that has no order, or is too long: nothing is said.
    Unknown,
}

impl Extremes {
    pub(crate) fn join(&mut self, other: Self) {
        let own = std::mem::take(self);
        *self = match (own, other) {
            (Self::None, other) | (other, Self::None) => other,
            (Self::Ints(a, b), Self::Ints(c, d)) => Self::Ints(a.min(c), b.max(d)),
            (Self::Dates(a, b), Self::Dates(c, d)) => Self::Dates(a.min(c), b.max(d)),
            (Self::Times(a, b), Self::Times(c, d)) => Self::Times(a.min(c), b.max(d)),
            (Self::Booleans(a), Self::Booleans(b)) => Self::Booleans(a + b),
            (Self::Doubles(a, b), Self::Doubles(c, d)) => Self::Doubles(a.min(c), b.max(d)),
            (Self::Texts(a, b), Self::Texts(c, d)) => Self::Texts(a.min(c), b.max(d)),
            (Self::Decimals(a, b, scale), Self::Decimals(c, d, _)) => {
                Self::Decimals(a.min(c), b.max(d), scale)
            }
            _ => Self::Unknown,
        };
    }

    pub(crate) fn of_doubles(values: impl Iterator<Item = f64>) -> Self {
        values.fold(Self::None, |mut all, value| {
            all.join(if value.is_nan() { Self::Unknown } else { Self::Doubles(value, value) });
            all
        })
    }

    pub(crate) fn of_texts<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Self {
        let Some(first) = values.next() else { return Self::None };
        let (least, most) =
            values.fold((first, first), |(a, b), value| (a.min(value), b.max(value)));
        match least.len().max(most.len()) > TEXT_BYTES_MAX {
            true => Self::Unknown,
            false => Self::Texts(least.to_vec(), most.to_vec()),
        }
    }
}

impl Stats {
    pub(crate) fn join(&mut self, other: Self) {
        self.values += other.values;
        self.has_null |= other.has_null;
        self.extremes.join(other.extremes);
    }

    pub(crate) fn message(&self) -> Message {
        let message = Message::default().number(1, self.values);
        let signed = |least: i64, most: i64| {
            Message::default().number(1, zigzag(least)).number(2, zigzag(most)).0
        };
        let message = match &self.extremes {
            Extremes::None | Extremes::Unknown => message,
            Extremes::Ints(least, most) => message.bytes(2, &signed(*least, *most)),
            Extremes::Doubles(least, most) => {
                message.bytes(3, &Message::default().double(1, *least).double(2, *most).0)
            }
            Extremes::Texts(least, most) => {
                message.bytes(4, &Message::default().bytes(1, least).bytes(2, most).0)
            }
            Extremes::Booleans(count) => {
                message.bytes(5, &Message::default().packed(1, [*count]).0)
            }
            Extremes::Decimals(least, most, scale) => {
                let text = |value: &i128| decimal(*value, *scale).into_bytes();
                let extremes = Message::default().bytes(1, &text(least)).bytes(2, &text(most));
                message.bytes(6, &extremes.0)
            }
            Extremes::Dates(least, most) => message.bytes(7, &signed(*least, *most)),
            Extremes::Times(least, most) => {
                let both = Message::default().number(3, zigzag(*least)).number(4, zigzag(*most));
                message.bytes(9, &both.0)
            }
        };
        message.number(10, u64::from(self.has_null))
    }
}

fn decimal(value: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}
