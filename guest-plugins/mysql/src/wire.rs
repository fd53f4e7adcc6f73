//! The parts that packets are made of: numbers and texts of a length written before them.

use crate::error::broken;
use sdk::{Fault, Result};

/// Reads a packet from its beginning.
pub(crate) struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// # Errors
    /// `mysql.protocol` where the packet is shorter.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or_else(short)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A number of `width` bytes, the least first.
    pub(crate) fn number(&mut self, width: usize) -> Result<u64> {
        let bytes = self.bytes(width)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A number that says by its first byte how long it is.
    pub(crate) fn length(&mut self) -> Result<u64> {
        match self.number(1)? {
            0xfc => self.number(2),
            0xfd => self.number(3),
            0xfe => self.number(8),
            small => Ok(small),
        }
    }

    /// A text behind its length.
    pub(crate) fn text(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.length()?).map_err(|_| short())?;
        self.bytes(length)
    }

    /// A text up to a zero byte, or to the end.
    pub(crate) fn until_zero(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| *byte == 0).unwrap_or(self.rest.len());
        let text = &self.rest[..end];
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        text
    }
}

fn short() -> Fault {
    broken("a packet is too short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_and_short_packets_refused() {
        let mut parts = Parts::new(b"\x03abc\xfc\x02\x01x\0y");
        assert_eq!(parts.text().unwrap(), b"abc");
        assert_eq!(parts.length().unwrap(), 0x0102);
        assert_eq!(parts.until_zero(), b"x");
        assert_eq!(parts.rest(), b"y");
        assert_eq!(parts.number(2).unwrap_err().code, "mysql.protocol");
        assert_eq!(
            Parts::new(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff").text().unwrap_err().code,
            "mysql.protocol"
        );
    }
}
