//! Encodings of text files other than UTF-8: read by way of UTF-8, and written from it.
//!
//! A sequence of bytes that the encoding does not have becomes one byte that UTF-8 does not have, so that
//! its field is refused as any other that is no text, and nothing is replaced unseen.

use std::io::{self, BufRead, BufReader, Read};

use encoding_rs::{DecoderResult, Encoding, UTF_16BE, UTF_16LE};

/// Bytes read at once before they are decoded.
const RAW_BYTES: usize = 64 << 10;
/// Stands for what can't be decoded.
const BROKEN: u8 = 0xff;
const BYTE_ORDER_MARK: char = '\u{feff}';

/// How characters are written as bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Charset {
    #[default]
    Utf8,
    /// The first two bytes say which comes first; where they do not, the higher one does.
    Utf16,
    Utf16Le,
    Utf16Be,
    /// The first 256 characters of Unicode, as Java's ISO-8859-1. Browsers mean windows-1252 by it.
    Latin1,
    Ascii,
    /// One of the tables that browsers know.
    Table(&'static Encoding),
}

impl Charset {
    /// By its name, whatever its case.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        Some(match word.as_str() {
            "" | "utf-8" | "utf8" => Self::Utf8,
            "utf-16" | "utf16" | "unicode" => Self::Utf16,
            "utf-16le" | "utf16le" => Self::Utf16Le,
            "utf-16be" | "utf16be" => Self::Utf16Be,
            "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "iso88591" | "latin-1" | "latin1" => {
                Self::Latin1
            }
            "us-ascii" | "ascii" => Self::Ascii,
            "cp936" | "ms936" | "windows-936" => Self::Table(encoding_rs::GBK),
            "cp1252" => Self::Table(encoding_rs::WINDOWS_1252),
            other => {
                let table = Encoding::for_label_no_replacement(other.as_bytes())?;
                // What this list calls by these names is above.
                let known = [encoding_rs::UTF_8, UTF_16LE, UTF_16BE, encoding_rs::X_USER_DEFINED];
                (!known.contains(&table)).then_some(Self::Table(table))?
            }
        })
    }

    /// The name that [`Self::parse`] reads.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 => "UTF-16",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Latin1 => "ISO-8859-1",
            Self::Ascii => "US-ASCII",
            Self::Table(table) => table.name(),
        }
    }

    /// The bytes in this encoding as UTF-8.
    pub(crate) fn decoded(self, raw: Box<dyn Read>) -> Box<dyn Read> {
        if self == Self::Utf8 {
            return raw;
        }
        let raw = BufReader::with_capacity(RAW_BYTES, raw);
        Box::new(Decoded { raw, charset: self, decoder: None, ended: false })
    }

    /// Appends the text of `utf8` in this encoding. What is no UTF-8 is none here either.
    ///
    /// # Errors
    /// The encoding lacks a character; nothing is appended then.
    pub(crate) fn encode(self, utf8: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        const LACKING: &str = "holds a character that the encoding of the file lacks";
        let text = std::str::from_utf8(utf8).map_err(|_| "holds bytes that are no text")?;
        let below = |bound: u32| text.chars().all(|letter| u32::from(letter) < bound);
        match self {
            Self::Utf8 => out.extend_from_slice(utf8),
            Self::Utf16 | Self::Utf16Be => {
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Self::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Self::Ascii if below(0x80) => out.extend_from_slice(utf8),
            Self::Latin1 if below(0x100) => out.extend(text.chars().map(|letter| letter as u8)),
            Self::Ascii | Self::Latin1 => return Err(LACKING),
            Self::Table(table) => {
                let (bytes, _, lacks) = table.encode(text);
                if lacks {
                    return Err(LACKING);
                }
                out.extend_from_slice(&bytes);
            }
        }
        Ok(())
    }

    /// What a file begins with: UTF-16 says which byte comes first.
    pub(crate) fn mark(self) -> Vec<u8> {
        let mut mark = Vec::new();
        if self == Self::Utf16 {
            let mut units = [0; 2];
            let units = BYTE_ORDER_MARK.encode_utf16(&mut units);
            mark.extend(units.iter().flat_map(|unit| unit.to_be_bytes()));
        }
        mark
    }

    fn table(self, first: &[u8]) -> Option<&'static Encoding> {
        match self {
            Self::Utf16 if first.starts_with(&[0xff, 0xfe]) => Some(UTF_16LE),
            Self::Utf16 | Self::Utf16Be => Some(UTF_16BE),
            Self::Utf16Le => Some(UTF_16LE),
            Self::Table(table) => Some(table),
            Self::Utf8 | Self::Latin1 | Self::Ascii => None,
        }
    }
}

/// Reads UTF-8 out of another encoding.
struct Decoded {
    raw: BufReader<Box<dyn Read>>,
    charset: Charset,
    /// Of the table; made when the first bytes are there.
    decoder: Option<encoding_rs::Decoder>,
    ended: bool,
}

/// No character takes more bytes.
const CHARACTER_BYTES: usize = 4;

impl Read for Decoded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.len() <= CHARACTER_BYTES {
            let what = "the room for decoded text is too small";
            return if out.is_empty() { Ok(0) } else { Err(io::Error::other(what)) };
        }
        while !self.ended {
            let raw = self.raw.fill_buf()?;
            let last = raw.is_empty();
            let (read, written, ended) = match self.charset {
                Charset::Latin1 | Charset::Ascii => {
                    let (read, written) = single(raw, out, self.charset == Charset::Ascii);
                    (read, written, last)
                }
                charset => {
                    let decoder = self.decoder.get_or_insert_with(|| {
                        let table = charset.table(raw).unwrap_or(encoding_rs::UTF_8);
                        table.new_decoder_without_bom_handling()
                    });
                    by_table(decoder, raw, out, last)
                }
            };
            self.raw.consume(read);
            self.ended = ended;
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

/// Decodes once; how much was read and written, and whether the text ends here.
fn by_table(
    decoder: &mut encoding_rs::Decoder,
    raw: &[u8],
    out: &mut [u8],
    last: bool,
) -> (usize, usize, bool) {
    // The last place is for a byte that stands for what is broken.
    let room = out.len() - 1;
    let (result, read, mut written) =
        decoder.decode_to_utf8_without_replacement(raw, &mut out[..room], last);
    if let DecoderResult::Malformed(..) = result {
        out[written] = BROKEN;
        written += 1;
    }
    (read, written, last && result == DecoderResult::InputEmpty)
}

/// Each byte is a character.
fn single(raw: &[u8], out: &mut [u8], is_ascii: bool) -> (usize, usize) {
    let (mut read, mut written) = (0, 0);
    for byte in raw {
        if written + 2 > out.len() {
            break;
        }
        read += 1;
        match byte {
            0..0x80 => out[written] = *byte,
            _ if is_ascii => out[written] = BROKEN,
            _ => {
                written += char::from(*byte).encode_utf8(&mut out[written..]).len();
                continue;
            }
        }
        written += 1;
    }
    (read, written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(charset: Charset, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut reader = charset.decoded(Box::new(io::Cursor::new(bytes.to_vec())));
        let mut block = [0; 7];
        loop {
            let count = reader.read(&mut block).unwrap();
            if count == 0 {
                return text;
            }
            text.extend_from_slice(&block[..count]);
        }
    }

    #[test]
    fn texts_come_back_from_each_encoding() {
        let words =
            ["GBK", "gb18030", "GB2312", "Big5", "Shift_JIS", "EUC-KR", "UTF-16", "utf-16le"];
        for word in words {
            let charset = Charset::parse(word).unwrap();
            let text = if word == "EUC-KR" { "한글 a|b\\\n" } else { "中文 a|b\\\n" };
            let mut bytes = charset.mark();
            charset.encode(text.as_bytes(), &mut bytes).unwrap();
            assert_ne!(bytes, text.as_bytes(), "{word}");
            let marked = String::from_utf8(read(charset, &bytes)).unwrap();
            assert_eq!(marked.trim_start_matches(BYTE_ORDER_MARK), text, "{word}");
        }
        assert_eq!(read(Charset::Latin1, b"\x80\xe9"), "\u{80}é".as_bytes());
        assert_eq!(read(Charset::parse("windows-1252").unwrap(), b"\x80"), "€".as_bytes());
        assert_eq!(read(Charset::Utf16, b"\xff\xfea\x00"), "\u{feff}a".as_bytes());
        assert_eq!(read(Charset::Utf16, b"\x00a"), b"a");
    }

    #[test]
    fn what_an_encoding_lacks_is_no_text() {
        let gbk = Charset::parse("gbk").unwrap();
        assert_eq!(read(gbk, b"a\xff,b"), b"a\xff,b");
        assert_eq!(read(gbk, b"a\x81"), b"a\xff");
        assert_eq!(read(Charset::Ascii, b"a\xe9"), b"a\xff");
        assert_eq!(read(Charset::Utf16Be, b"\xd8\x00\x00a"), b"\xffa");
        for (charset, text) in [(gbk, "🦀"), (Charset::Latin1, "€"), (Charset::Ascii, "é")] {
            assert!(charset.encode(text.as_bytes(), &mut Vec::new()).is_err());
        }
        for word in ["utf-32", "replacement", "klingon"] {
            assert_eq!(Charset::parse(word), None, "{word}");
        }
    }
}
