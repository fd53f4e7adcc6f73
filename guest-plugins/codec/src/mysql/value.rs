//! Single values of a row, in place.

use arrow_buffer::i256;

use crate::fault::{Fault, Result};
use crate::mysql::kind::{DECIMAL128_DIGITS, Kind};
use crate::temporal::{DAY_US, days};
use crate::value::{parse_decimal, parse_decimal256, push_padded};

/// Why a value has no place in its Arrow type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

pub(super) const ZERO_DATE: Misfit = Misfit {
    code: "mysql.zero_date",
    message: "a date with a zero in it is no day; \"zeroDates\": \"null\" reads it as NULL",
};
pub(super) const NO_DAY: Misfit =
    Misfit { code: "mysql.value_invalid", message: "the date is no day of the calendar" };
const NOT_UTF8: Misfit = Misfit { code: "mysql.text_invalid", message: "the text is not UTF-8" };
pub(super) const NO_DECIMAL: Misfit =
    Misfit { code: "mysql.value_invalid", message: "the number has more digits than its type" };

/// A value of a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Null,
    Bool(bool),
    /// Unsigned ones keep their bits, whatever they mean as signed.
    Int(i64),
    Float(f32),
    Double(f64),
    Narrow(i128),
    Wide(i256),
    Text(&'a str),
    Bytes(&'a [u8]),
    Time(Time),
}

/// A time, which may be negative or longer than a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) is_negative: bool,
    pub(super) hours: u64,
    pub(super) minute: u64,
    pub(super) second: u64,
    pub(super) micros: u64,
}

/// Reads a row from its beginning.
pub(super) struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// # Errors
    /// `mysql.protocol` where the row is shorter.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or_else(short)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or_else(short)?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A text behind its length, whose first byte says how long that is.
    pub(super) fn text(&mut self) -> Result<&'a [u8]> {
        let length = match self.byte()? {
            0xfc => u64::from(u16::from_le_bytes(self.array()?)),
            0xfd => {
                let [low, middle, high] = self.array()?;
                u64::from(u32::from_le_bytes([low, middle, high, 0]))
            }
            0xfe => u64::from_le_bytes(self.array()?),
            small => u64::from(small),
        };
        self.bytes(usize::try_from(length).map_err(|_| short())?)
    }

    /// The bytes of a date or a time, behind their number.
    fn moment(&mut self, lengths: [usize; 4]) -> Result<&'a [u8]> {
        let length = usize::from(self.byte()?);
        if !lengths.contains(&length) {
            return Err(broken("a date or time of impossible length"));
        }
        self.bytes(length)
    }
}

/// The server sent what the protocol doesn't have there.
pub(super) fn broken(what: &str) -> Fault {
    let message = format!("the server does not follow MySQL's protocol: {what}");
    Fault::external("mysql.protocol", message).hint(
        "check that a MySQL server listens on this port, and no other service or a proxy that speaks otherwise",
    )
}

fn short() -> Fault {
    broken("a packet is too short")
}

/// The next value of a row. The outer error is of the row, the inner one of the value.
pub(super) fn cell<'a>(kind: Kind, parts: &mut Parts<'a>) -> Result<Result<Cell<'a>, Misfit>> {
    Ok(Ok(match kind {
        Kind::Int(1, false) => Cell::Int(i64::from(i8::from_le_bytes(parts.array()?))),
        Kind::Int(1, true) => Cell::Int(i64::from(parts.byte()?)),
        Kind::Int(2, false) => Cell::Int(i64::from(i16::from_le_bytes(parts.array()?))),
        Kind::Int(2, true) | Kind::Year => Cell::Int(i64::from(u16::from_le_bytes(parts.array()?))),
        Kind::Int(4, false) => Cell::Int(i64::from(i32::from_le_bytes(parts.array()?))),
        Kind::Int(4, true) => Cell::Int(i64::from(u32::from_le_bytes(parts.array()?))),
        Kind::Int(..) => Cell::Int(i64::from_le_bytes(parts.array()?)),
        Kind::Bool => Cell::Bool(parts.text()?.iter().any(|byte| *byte != 0)),
        Kind::Bits => {
            let bits = parts.text()?;
            Cell::Int(bits.iter().fold(0, |number, byte| number << 8 | i64::from(*byte)))
        }
        Kind::Float => Cell::Float(f32::from_le_bytes(parts.array()?)),
        Kind::Double => Cell::Double(f64::from_le_bytes(parts.array()?)),
        Kind::Decimal(digits, scale) => return Ok(decimal(parts.text()?, digits, scale)),
        Kind::Text => {
            let text = std::str::from_utf8(parts.text()?);
            return Ok(text.map(Cell::Text).map_err(|_| NOT_UTF8));
        }
        Kind::Bytes => Cell::Bytes(parts.text()?),
        Kind::Date => return Ok(moment(parts)?.map(|(days, _)| Cell::Int(days))),
        Kind::DateTime | Kind::Timestamp => {
            return Ok(moment(parts)?.map(|(days, micros)| Cell::Int(days * DAY_US + micros)));
        }
        Kind::Time => Cell::Time(time(parts)?),
    }))
}

/// All digits are kept, also where there are more than the column has.
pub(super) fn decimal(text: &[u8], digits: u8, scale: i8) -> Result<Cell<'static>, Misfit> {
    const WIDEST: u8 = 76;
    if digits <= DECIMAL128_DIGITS {
        return parse_decimal(text, DECIMAL128_DIGITS, scale)
            .map(Cell::Narrow)
            .map_err(|_| NO_DECIMAL);
    }
    parse_decimal256(text, WIDEST, scale).map(Cell::Wide).map_err(|_| NO_DECIMAL)
}

/// Days since 1970 of a date, and microseconds of its time, where there is one.
pub(super) fn moment(parts: &mut Parts<'_>) -> Result<Result<(i64, i64), Misfit>> {
    let (year, month, day, time) = match parts.moment([0, 4, 7, 11])? {
        [low, high, month, day, time @ ..] => {
            (i64::from(u16::from_le_bytes([*low, *high])), *month, *day, time)
        }
        _ => return Ok(Err(ZERO_DATE)),
    };
    if month == 0 || day == 0 {
        return Ok(Err(ZERO_DATE));
    }
    // A day that the month has not would come back as one of the next.
    let Some(days) = days(year, u32::from(month), u32::from(day)) else { return Ok(Err(NO_DAY)) };
    let seconds = match time {
        [hour, minute, second, ..] => {
            i64::from(*hour) * 3600 + i64::from(*minute) * 60 + i64::from(*second)
        }
        _ => 0,
    };
    Ok(Ok((days, seconds * 1_000_000 + micros(time, 3) as i64)))
}

pub(super) fn time(parts: &mut Parts<'_>) -> Result<Time> {
    let bytes = parts.moment([0, 8, 12, 12])?;
    let [sign, a, b, c, d, hour, minute, second, ..] = bytes else { return Ok(Time::default()) };
    let days = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
    Ok(Time {
        is_negative: *sign == 1,
        hours: days * 24 + u64::from(*hour),
        minute: u64::from(*minute),
        second: u64::from(*second),
        micros: micros(bytes, 8),
    })
}

/// The microseconds that stand at a place, if there are any.
fn micros(bytes: &[u8], at: usize) -> u64 {
    let micros = bytes.get(at..).and_then(|bytes| bytes.first_chunk::<4>());
    micros.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
}

impl Time {
    /// Appends the text, as the server writes it.
    pub(super) fn push(self, out: &mut Vec<u8>) {
        if self.is_negative {
            out.push(b'-');
        }
        push_padded(self.hours, 2, out);
        for number in [self.minute, self.second] {
            out.push(b':');
            push_padded(number, 2, out);
        }
        if self.micros != 0 {
            out.push(b'.');
            push_padded(self.micros, 6, out);
            let zeros = out.iter().rev().take_while(|byte| **byte == b'0').count();
            out.truncate(out.len() - zeros);
        }
    }
}
