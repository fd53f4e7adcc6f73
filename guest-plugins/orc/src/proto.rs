//! Messages of protocol buffers, as far as ORC uses them.

use crate::error::{Error, Result};

/// The fields of a message, one after another.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

/// What stands under a number.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of fixed width, which nothing here needs.
    Other,
}

fn broken() -> Error {
    Error::corrupt("what describes the file is cut off or broken")
}

/// Takes a number off the front.
pub(crate) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let byte = *bytes.get(at)?;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
    }
    None
}

impl<'a> Fields<'a> {
    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut self.0)?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = varint(&mut self.0)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or_else(broken))
    }
}

impl<'a> Value<'a> {
    pub(crate) fn number(self) -> Result<u64> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(broken()),
        }
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(broken()),
        }
    }

    pub(crate) fn text(self) -> Result<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| broken())
    }

    /// Adds one number, or a list of them in one field.
    pub(crate) fn numbers(self, into: &mut Vec<u64>) -> Result<()> {
        match self {
            Self::Number(number) => into.push(number),
            Self::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    into.push(varint(&mut bytes).ok_or_else(broken)?);
                }
            }
            Self::Other => return Err(broken()),
        }
        Ok(())
    }
}

/// A message that is being made.
#[derive(Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

impl Message {
    pub(crate) fn number(mut self, field: u64, value: u64) -> Self {
        push_varint(&mut self.0, field << 3);
        push_varint(&mut self.0, value);
        self
    }

    pub(crate) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        push_varint(&mut self.0, field << 3 | 2);
        push_varint(&mut self.0, value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn double(mut self, field: u64, value: f64) -> Self {
        push_varint(&mut self.0, field << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn packed(self, field: u64, values: impl IntoIterator<Item = u64>) -> Self {
        let mut bytes = Vec::new();
        values.into_iter().for_each(|value| push_varint(&mut bytes, value));
        if bytes.is_empty() { self } else { self.bytes(field, &bytes) }
    }

    pub(crate) fn messages(self, field: u64, messages: impl IntoIterator<Item = Message>) -> Self {
        messages.into_iter().fold(self, |all, one| all.bytes(field, &one.0))
    }
}
