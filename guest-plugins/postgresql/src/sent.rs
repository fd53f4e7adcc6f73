//! The batches of a COPY that is not over yet: what was sent is kept until the server has taken all of it.

use std::ops::Range;

use codec::postgresql::Form;
use sdk::codec::Encoded;

/// The rows of one batch, as they were sent.
pub(crate) struct Sent {
    /// Counts the calls of `write`.
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: usize,
    /// Rows of the batch that were left out, ascending.
    left_out: Vec<u32>,
}

impl Sent {
    pub(crate) fn new(number: u64, rows: usize, encoded: Encoded) -> Self {
        let left_out: Vec<u32> = encoded.refused.iter().map(|refused| refused.row).collect();
        Self { number, rows: rows - left_out.len(), bytes: encoded.bytes, left_out }
    }

    /// The row of the batch that was sent as this one.
    pub(crate) fn row(&self, sent: usize) -> u32 {
        let mut row = sent as u32;
        for left_out in &self.left_out {
            if *left_out > row {
                break;
            }
            row += 1;
        }
        row
    }

    /// Where each row that was sent ends.
    pub(crate) fn ends(&self, form: Form) -> Vec<usize> {
        let mut ends = Vec::with_capacity(self.rows);
        let mut at = 0;
        while at < self.bytes.len() {
            at += match form {
                Form::Binary => binary_row(&self.bytes[at..]),
                Form::Text => text_row(&self.bytes[at..]),
            };
            ends.push(at);
        }
        ends
    }
}

/// The bytes of some rows, where each of them ends at `ends`.
pub(crate) fn slice<'a>(bytes: &'a [u8], ends: &[usize], rows: Range<usize>) -> &'a [u8] {
    let start = rows.start.checked_sub(1).map_or(0, |before| ends[before]);
    let end = rows.end.checked_sub(1).map_or(0, |last| ends[last]);
    &bytes[start..end]
}

/// The length of the row at the front: a number of fields, and for each its length and its bytes.
fn binary_row(bytes: &[u8]) -> usize {
    let fields = bytes.first_chunk::<2>().map_or(0, |count| i16::from_be_bytes(*count));
    let mut at = 2;
    for _ in 0..fields {
        let length = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
        let length = length.map_or(0, |length| i32::from_be_bytes(*length));
        at += 4 + usize::try_from(length).unwrap_or(0);
    }
    at.min(bytes.len())
}

/// The length of the line at the front; line ends in values are escaped.
fn text_row(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_again() {
        let binary =
            [&[0, 2, 0, 0, 0, 1, 7, 0xff, 0xff, 0xff, 0xff][..], &[0, 1, 0, 0, 0, 0]].concat();
        let encoded = |bytes: &[u8]| Encoded { bytes: bytes.to_vec(), refused: vec![], pending: 0 };
        let sent = Sent::new(0, 2, encoded(&binary));
        assert_eq!(sent.ends(Form::Binary), [11, 17]);
        let sent = Sent::new(0, 3, encoded(b"a\tb\n\\N\nx\n"));
        let ends = sent.ends(Form::Text);
        assert_eq!(ends, [4, 7, 9]);
        assert_eq!(slice(&sent.bytes, &ends, 1..3), b"\\N\nx\n");
        assert_eq!(slice(&sent.bytes, &ends, 0..1), b"a\tb\n");
    }

    #[test]
    fn rows_that_were_left_out_are_counted() {
        let refused = |row| sdk::codec::Refused {
            row,
            column: 0,
            code: String::new(),
            message: String::new(),
        };
        let encoded =
            Encoded { bytes: Vec::new(), refused: vec![refused(0), refused(2)], pending: 0 };
        let sent = Sent::new(0, 5, encoded);
        assert_eq!([sent.row(0), sent.row(1), sent.row(2)], [1, 3, 4]);
    }
}
