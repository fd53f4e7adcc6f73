//! What an ORC file says of itself: its end, its types and stripes, and the streams of a stripe.

use crate::error::{Error, Result};
use crate::proto::{Fields, Message};

/// What every file begins with, and what ends its last message.
pub(crate) const MAGIC: &[u8] = b"ORC";
/// Of the columns and numbers in this version: integers in the second form of runs.
const VERSION: [u64; 2] = [0, 12];
/// From this one on, statistics of timestamps are in UTC.
const WRITER_VERSION: u64 = 6;
/// Of writers outside the list of the format: whoever knows none of this number takes nothing for granted.
const WRITER: u64 = 64;

/// Stands uncompressed at the very end.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct PostScript {
    pub(crate) footer_length: u64,
    pub(crate) compression: u64,
    pub(crate) block_size: u64,
    pub(crate) metadata_length: u64,
}

impl PostScript {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let (mut found, mut magic) = (Self::default(), false);
        for field in Fields(bytes) {
            match field? {
                (1, value) => found.footer_length = value.number()?,
                (2, value) => found.compression = value.number()?,
                (3, value) => found.block_size = value.number()?,
                (5, value) => found.metadata_length = value.number()?,
                (8000, value) => magic = value.bytes()? == MAGIC,
                _ => {}
            }
        }
        match magic {
            true => Ok(found),
            false => Err(Error::corrupt("it does not end as an ORC file does")),
        }
    }

    pub(crate) fn message(&self) -> Message {
        Message::default()
            .number(1, self.footer_length)
            .number(2, self.compression)
            .number(3, self.block_size)
            .packed(4, VERSION)
            .number(5, self.metadata_length)
            .number(6, WRITER_VERSION)
            .bytes(8000, MAGIC)
    }
}

/// Where a stripe is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stripe {
    pub(crate) offset: u64,
    pub(crate) index_length: u64,
    pub(crate) data_length: u64,
    pub(crate) footer_length: u64,
    pub(crate) rows: u64,
}

impl Stripe {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        for field in Fields(bytes) {
            match field? {
                (1, value) => found.offset = value.number()?,
                (2, value) => found.index_length = value.number()?,
                (3, value) => found.data_length = value.number()?,
                (4, value) => found.footer_length = value.number()?,
                (5, value) => found.rows = value.number()?,
                _ => {}
            }
        }
        Ok(found)
    }

    fn message(&self) -> Message {
        Message::default()
            .number(1, self.offset)
            .number(2, self.index_length)
            .number(3, self.data_length)
            .number(4, self.footer_length)
            .number(5, self.rows)
    }

    /// Where its own footer begins, and where that ends; `None` where no file reaches.
    pub(crate) fn footer_range(&self) -> Option<(u64, u64)> {
        let begin = self.offset.checked_add(self.index_length)?.checked_add(self.data_length)?;
        Some((begin, begin.checked_add(self.footer_length)?))
    }
}

/// A node of the tree of types, which lists them from the root on, each before its children.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Type {
    pub(crate) kind: u64,
    pub(crate) children: Vec<u64>,
    pub(crate) names: Vec<String>,
    pub(crate) length: u64,
    pub(crate) precision: u64,
    pub(crate) scale: u64,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Type {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        for field in Fields(bytes) {
            match field? {
                (1, value) => found.kind = value.number()?,
                (2, value) => value.numbers(&mut found.children)?,
                (3, value) => found.names.push(value.text()?),
                (4, value) => found.length = value.number()?,
                (5, value) => found.precision = value.number()?,
                (6, value) => found.scale = value.number()?,
                (7, value) => found.attributes.push(pair(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(found)
    }

    fn message(&self) -> Message {
        let mut message =
            Message::default().number(1, self.kind).packed(2, self.children.iter().copied());
        for name in &self.names {
            message = message.bytes(3, name.as_bytes());
        }
        if self.precision > 0 {
            message = message.number(5, self.precision).number(6, self.scale);
        }
        let pairs = self.attributes.iter().map(|(key, value)| {
            Message::default().bytes(1, key.as_bytes()).bytes(2, value.as_bytes())
        });
        message.messages(7, pairs)
    }
}

fn pair(bytes: &[u8]) -> Result<(String, String)> {
    let mut found = (String::new(), String::new());
    for field in Fields(bytes) {
        match field? {
            (1, value) => found.0 = value.text()?,
            (2, value) => found.1 = value.text()?,
            _ => {}
        }
    }
    Ok(found)
}

/// The end of a file: its types and where its stripes are.
#[derive(Debug, Default)]
pub(crate) struct Footer {
    pub(crate) stripes: Vec<Stripe>,
    pub(crate) types: Vec<Type>,
    pub(crate) rows: u64,
    pub(crate) is_encrypted: bool,
}

impl Footer {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        for field in Fields(bytes) {
            match field? {
                (3, value) => found.stripes.push(Stripe::parse(value.bytes()?)?),
                (4, value) => found.types.push(Type::parse(value.bytes()?)?),
                (6, value) => found.rows = value.number()?,
                (10, _) => found.is_encrypted = true,
                _ => {}
            }
        }
        Ok(found)
    }

    /// `content_length`: of all before what follows the stripes.
    pub(crate) fn message(&self, content_length: u64, statistics: Vec<Message>) -> Message {
        Message::default()
            .number(1, MAGIC.len() as u64)
            .number(2, content_length)
            .messages(3, self.stripes.iter().map(Stripe::message))
            .messages(4, self.types.iter().map(Type::message))
            .number(6, self.rows)
            .messages(7, statistics)
            .number(8, 0)
            .number(9, WRITER)
    }
}

/// Kinds of streams.
pub(crate) mod stream {
    pub(crate) const PRESENT: u64 = 0;
    pub(crate) const DATA: u64 = 1;
    pub(crate) const LENGTH: u64 = 2;
    pub(crate) const DICTIONARY: u64 = 3;
    pub(crate) const SECONDARY: u64 = 5;
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stream {
    pub(crate) kind: u64,
    pub(crate) column: u64,
    pub(crate) length: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Encoding {
    pub(crate) kind: u64,
    pub(crate) dictionary_size: u64,
}

impl Encoding {
    pub(crate) const DIRECT: Self = Self { kind: 0, dictionary_size: 0 };
    pub(crate) const DIRECT_V2: Self = Self { kind: 2, dictionary_size: 0 };

    pub(crate) fn dictionary(size: usize) -> Self {
        Self { kind: 3, dictionary_size: size as u64 }
    }

    pub(crate) fn is_second_version(self) -> bool {
        self.kind >= 2
    }

    pub(crate) fn is_dictionary(self) -> bool {
        self.kind & 1 == 1
    }
}

/// What the end of a stripe says of its streams.
#[derive(Debug, Default)]
pub(crate) struct StripeFooter {
    /// In the order of their bytes.
    pub(crate) streams: Vec<Stream>,
    /// Of each column of the tree of types.
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) zone: String,
}

impl StripeFooter {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        for field in Fields(bytes) {
            match field? {
                (1, value) => {
                    let mut stream = Stream::default();
                    for field in Fields(value.bytes()?) {
                        match field? {
                            (1, value) => stream.kind = value.number()?,
                            (2, value) => stream.column = value.number()?,
                            (3, value) => stream.length = value.number()?,
                            _ => {}
                        }
                    }
                    found.streams.push(stream);
                }
                (2, value) => {
                    let mut encoding = Encoding::default();
                    for field in Fields(value.bytes()?) {
                        match field? {
                            (1, value) => encoding.kind = value.number()?,
                            (2, value) => encoding.dictionary_size = value.number()?,
                            _ => {}
                        }
                    }
                    found.encodings.push(encoding);
                }
                (3, value) => found.zone = value.text()?,
                _ => {}
            }
        }
        Ok(found)
    }

    pub(crate) fn message(&self) -> Message {
        let streams = self.streams.iter().map(|stream| {
            Message::default()
                .number(1, stream.kind)
                .number(2, stream.column)
                .number(3, stream.length)
        });
        let encodings = self.encodings.iter().map(|encoding| {
            let message = Message::default().number(1, encoding.kind);
            match encoding.is_dictionary() {
                true => message.number(2, encoding.dictionary_size),
                false => message,
            }
        });
        let message = Message::default().messages(1, streams).messages(2, encodings);
        message.bytes(3, self.zone.as_bytes())
    }
}
