//! What a writer's document says about formats.

use arrow_avro::compression::CompressionCodec;
use arrow_ipc::CompressionType;
use schemars::JsonSchema;
use sdk::parameters::Number;
use sdk::{Fault, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{
    ColumnParameter, DescribedColumn, FileFormat, HeaderParameter, charset, idle, invalid,
    no_width, packing,
};
use crate::characters::{all_differ, character, check_null, field_delimiter};
use crate::lenient::{Switch, word};
use crate::orc_write::STRIPE_BYTES;
use crate::pack::{Packing, Wrapping};
use crate::print::Style;
use crate::temporal::Pattern;
use crate::write::WriteFormat;
use codec::rows::CsvStyle;
use codec::{PageCodec, ParquetStyle};

const KB: usize = 1 << 10;
const MB: usize = 1 << 20;

/// What a writer of files may say about their format.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WriteParameters {
    /// csv, text (no quotes), json or jsonl (one object a line), parquet, orc, avro, arrow (Arrow IPC with a
    /// footer, also called Feather 2), arrowstream (without one), excel (a workbook, xlsx), fixed
    /// (lines in which each column has its `width`).
    #[serde(deserialize_with = "word")]
    #[schemars(with = "Option<String>", extend("default" = "csv", "enum" = ["csv", "text", "json", "jsonl", "parquet", "orc", "avro", "arrow", "arrowstream", "excel", "fixed"]))]
    pub file_format: Option<FileFormat>,
    /// Names of the columns, by position. Left out: those of the reader.
    pub column: Option<Vec<ColumnParameter>>,
    /// Between fields, one ASCII character.
    #[schemars(extend("default" = ","))]
    pub field_delimiter: Option<String>,
    /// Ends a record.
    #[schemars(extend("default" = "\n"))]
    pub line_delimiter: Option<String>,
    /// Of the text, as the reader's. A record with a character that it lacks is dirty.
    #[schemars(extend("default" = "UTF-8"))]
    pub encoding: Option<String>,
    /// Written for NULL (default: nothing for csv, where an empty text is `""`; `\N` for text).
    pub null_format: Option<String>,
    /// Of dates and timestamps, in the letters yyyy MM dd HH mm ss S X. Left out: ISO 8601.
    pub date_format: Option<String>,
    /// How files of text are packed (snappy: in its own frames; zip: one file in an archive); for Parquet its
    /// pages: none, snappy (its default), gzip, zstd, lz4, brotli; for ORC its streams: none, snappy (its
    /// default), zlib, zstd, lz4; for Avro its blocks: none, deflate (its
    /// default), snappy, zstd; for Arrow its buffers: none, lz4 (its default), zstd.
    #[schemars(extend("enum" = ["none", "gzip", "zstd", "snappy", "framing-snappy", "hadoop-snappy", "lz4", "xz", "bzip2", "zip", "brotli", "deflate", "zlib"]))]
    pub compress: Option<String>,
    /// As `compress`.
    pub compression: Option<String>,
    /// True: the names of the columns are the first record, which is the default of Excel. A list: these names.
    #[schemars(extend("default" = false))]
    pub header: Option<HeaderParameter>,
    /// As `header`.
    pub write_header: Option<Switch>,
    /// True: no header is written, whatever `header` says.
    #[schemars(extend("default" = false))]
    pub skip_header: Option<Switch>,
    /// Stands around texts that hold a delimiter, a quote or a line end.
    #[schemars(extend("default" = "\""))]
    pub quote: Option<String>,
    /// Stands before a quote in quotes.
    #[schemars(extend("default" = "\""))]
    pub escape_char: Option<String>,
    /// Of Parquet: a row group ends before its values take about this many MB (default 16); of ORC: a stripe
    /// ends when it takes so many (default 64). What is written needs so much memory.
    #[schemars(extend("minimum" = 1))]
    pub row_group_size: Option<Number>,
    /// The most rows of a row group or stripe (default: as many as `rowGroupSize` takes).
    #[schemars(extend("minimum" = 1))]
    pub row_group_rows: Option<Number>,
    /// Of Parquet: a page ends at about this many KB.
    #[schemars(extend("default" = 512, "minimum" = 1))]
    pub page_size: Option<Number>,
    /// Of Parquet and ORC: whether values that come often are written once a row group or stripe.
    #[schemars(extend("default" = true))]
    pub dictionary: Option<Switch>,
    /// Without effect: the columns come from the reader.
    pub parquet_schema: Option<Value>,
}

impl WriteParameters {
    pub fn file_format(&self) -> FileFormat {
        self.file_format.unwrap_or(FileFormat::Csv)
    }

    /// The names that the job gives to the columns.
    pub fn names(&self) -> Result<Option<Vec<String>>> {
        let Some(columns) = &self.column else { return Ok(None) };
        if let [ColumnParameter::Name(name)] = columns.as_slice()
            && name == "*"
        {
            return Ok(None);
        }
        let name = |(at, column): (usize, &ColumnParameter)| match column {
            ColumnParameter::Name(name) => Ok(name.clone()),
            ColumnParameter::Described(DescribedColumn { name: Some(name), .. }) => {
                Ok(name.clone())
            }
            ColumnParameter::Described(_) => {
                Err(Fault::user("parameter.invalid", "a column that is written needs a \"name\"")
                    .at(format!("/parameter/column/{at}")))
            }
        };
        columns.iter().enumerate().map(name).collect::<Result<_>>().map(Some)
    }

    /// Keys of the document that mean nothing for the format.
    pub fn idle_keys(&self) -> Vec<&'static str> {
        let is_csv = self.file_format() == FileFormat::Csv;
        let is_delimited = self.file_format().is_delimited();
        let is_fixed = self.file_format() == FileFormat::Fixed;
        let has_header = is_delimited || self.file_format() == FileFormat::Excel;
        let is_parquet = self.file_format() == FileFormat::Parquet;
        let has_groups = is_parquet || self.file_format() == FileFormat::Orc;
        let keys = [
            ("rowGroupSize", has_groups, self.row_group_size.is_some()),
            ("rowGroupRows", has_groups, self.row_group_rows.is_some()),
            ("pageSize", is_parquet, self.page_size.is_some()),
            ("dictionary", has_groups, self.dictionary.is_some()),
            ("parquetSchema", false, self.parquet_schema.is_some()),
            ("fieldDelimiter", is_delimited, self.field_delimiter.is_some()),
            ("lineDelimiter", is_delimited || is_fixed, self.line_delimiter.is_some()),
            ("nullFormat", is_delimited || is_fixed, self.null_format.is_some()),
            ("dateFormat", is_delimited || is_fixed, self.date_format.is_some()),
            ("header", has_header, self.header.is_some()),
            ("writeHeader", has_header, self.write_header.is_some()),
            ("skipHeader", has_header, self.skip_header.is_some()),
            ("quote", is_csv, self.quote.is_some()),
            ("escapeChar", is_csv, self.escape_char.is_some()),
        ];
        idle(&keys)
    }

    /// How files with these columns are written.
    pub fn format(&self, columns: &[String]) -> Result<WriteFormat> {
        let charset = charset(self.encoding.as_deref())?;
        let word = self.compress.as_ref().or(self.compression.as_ref());
        let word = word.map(|word| word.to_ascii_lowercase());
        let word = word.as_deref().unwrap_or_default();
        let wrapping = || {
            let packing = if word.is_empty() { Packing::None } else { packing(word)? };
            Ok::<_, Fault>(Wrapping { packing, charset, ..Wrapping::default() })
        };
        Ok(match self.file_format() {
            FileFormat::Parquet => WriteFormat::Parquet(self.parquet(page_codec(word)?)?),
            FileFormat::Orc => WriteFormat::Orc(self.orc(stripe_codec(word)?)?),
            FileFormat::Xml => {
                return Err(invalid("fileFormat", "XML files are read, and not written"));
            }
            FileFormat::Avro => WriteFormat::Avro(block_codec(word)?),
            format @ (FileFormat::Arrow | FileFormat::ArrowStream) => {
                let is_stream = format == FileFormat::ArrowStream;
                WriteFormat::Arrow { is_stream, compression: buffer_codec(word)? }
            }
            FileFormat::Fixed => {
                let style = self.style(false, columns)?;
                let null = self.null_format.clone().unwrap_or_default().into_bytes();
                let widths = Some(self.widths(&null)?);
                WriteFormat::Csv(CsvStyle { null, widths, header: None, ..style }, wrapping()?)
            }
            FileFormat::Excel if matches!(word, "" | "none") => {
                WriteFormat::Excel(self.header(columns)?)
            }
            FileFormat::Excel => {
                return Err(invalid("compress", "a workbook is packed by itself"));
            }
            FileFormat::Json => WriteFormat::Json(wrapping()?),
            FileFormat::Csv => WriteFormat::Csv(self.style(true, columns)?, wrapping()?),
            FileFormat::Text => WriteFormat::Csv(self.style(false, columns)?, wrapping()?),
        })
    }

    /// Of fixed width: the characters of each column, which have room for what stands for NULL.
    fn widths(&self, null: &[u8]) -> Result<Vec<usize>> {
        let width = |(at, column): (usize, &ColumnParameter)| {
            let width = match column {
                ColumnParameter::Described(described) => described.width,
                ColumnParameter::Name(_) => None,
            };
            let width = width.and_then(|Number(width)| usize::try_from(width).ok());
            let has_room = |width: &usize| *width > 0 && *width >= null.len();
            width.filter(has_room).ok_or_else(|| no_width(at))
        };
        match &self.column {
            Some(columns) => columns.iter().enumerate().map(width).collect(),
            None => Err(invalid("column", "fixed width needs \"column\" with the width of each")),
        }
    }

    fn parquet(&self, codec: PageCodec) -> Result<ParquetStyle> {
        let default = ParquetStyle::default();
        Ok(ParquetStyle {
            codec,
            group_bytes: size("rowGroupSize", self.row_group_size, MB, default.group_bytes)?,
            group_rows: size("rowGroupRows", self.row_group_rows, 1, default.group_rows)?,
            page_bytes: size("pageSize", self.page_size, KB, default.page_bytes)?,
            dictionary: self.dictionary.is_none_or(|Switch(on)| on),
        })
    }

    fn orc(&self, codec: orc::Codec) -> Result<orc::Options> {
        Ok(orc::Options {
            codec,
            stripe_bytes: size("rowGroupSize", self.row_group_size, MB, STRIPE_BYTES)?,
            stripe_rows: size("rowGroupRows", self.row_group_rows, 1, usize::MAX)?,
            dictionary: self.dictionary.is_none_or(|Switch(on)| on),
        })
    }

    fn style(&self, quoted: bool, columns: &[String]) -> Result<CsvStyle> {
        let delimiter = match &self.field_delimiter {
            Some(text) => field_delimiter("fieldDelimiter", text)?,
            None => b',',
        };
        let quote = self.quote.as_deref().map(|text| character("quote", text)).transpose()?;
        let quote = quote.unwrap_or(b'"');
        let escape = self.escape_char.as_deref().map(|text| character("escapeChar", text));
        let escape = escape.transpose()?.filter(|escape| *escape != quote);
        let line_end = match self.line_delimiter.as_deref() {
            None | Some("" | "\n" | "\\n") => b"\n".to_vec(),
            Some("\r\n" | "\\r\\n") => b"\r\n".to_vec(),
            Some(other) => vec![character("lineDelimiter", other)?],
        };
        let date = self.date_format.as_deref().map(|pattern| {
            Pattern::parse(pattern).map_err(|wrong| {
                invalid("dateFormat", format!("the format \"{pattern}\" can't be used: {wrong}"))
            })
        });
        let default_null = if quoted { "" } else { "\\N" };
        let null = self.null_format.as_deref().unwrap_or(default_null).as_bytes().to_vec();
        let (quote, escape) = (quoted.then_some(quote), escape.filter(|_| quoted));
        let characters = [
            ("fieldDelimiter", Some(delimiter)),
            ("lineDelimiter", line_end.first().copied()),
            ("lineDelimiter", line_end.get(1).copied()),
            ("quote", quote),
            ("escapeChar", escape),
        ];
        all_differ(&characters)?;
        if let Some(null) = &self.null_format {
            check_null(null, &characters[..4])?;
        }
        Ok(CsvStyle {
            delimiter,
            quote,
            escape,
            line_end,
            null,
            header: self.header(columns)?,
            style: Style { separator: b' ', date: date.transpose()? },
            widths: None,
        })
    }

    /// The ending of the names of files, without a dot; the same whatever columns are written.
    ///
    /// # Errors
    /// As [`Self::format`].
    pub fn suffix(&self) -> Result<String> {
        let columns = match &self.header {
            Some(HeaderParameter::Names(names)) => names.clone(),
            _ => Vec::new(),
        };
        Ok(self.format(&columns)?.suffix())
    }

    fn header(&self, columns: &[String]) -> Result<Option<Vec<String>>> {
        if self.skip_header.is_some_and(|Switch(skip)| skip) {
            return Ok(None);
        }
        let usual = self.file_format() == FileFormat::Excel && self.header.is_none();
        let own = self.write_header.map_or(usual, |Switch(writes)| writes);
        match &self.header {
            Some(HeaderParameter::Names(names)) if names.len() != columns.len() => {
                let message = format!(
                    "\"header\" has {} names, and {} columns are written",
                    names.len(),
                    columns.len()
                );
                Err(invalid("header", message))
            }
            Some(HeaderParameter::Names(names)) => Ok(Some(names.clone())),
            Some(HeaderParameter::Switch(Switch(writes))) => {
                Ok((*writes || own).then(|| columns.to_vec()))
            }
            None => Ok(own.then(|| columns.to_vec())),
        }
    }
}

/// A size that the job gives in a unit, or what is usual.
fn size(key: &str, given: Option<Number>, unit: usize, usual: usize) -> Result<usize> {
    match given {
        None => Ok(usual),
        Some(Number(0)) => Err(invalid(key, format!("\"{key}\" is at least 1"))),
        Some(Number(number)) => {
            Ok(usize::try_from(number).unwrap_or(usize::MAX).saturating_mul(unit))
        }
    }
}

fn stripe_codec(word: &str) -> Result<orc::Codec> {
    Ok(match word {
        "" | "snappy" => orc::Codec::Snappy,
        "none" | "uncompressed" => orc::Codec::None,
        "zlib" => orc::Codec::Zlib,
        "lz4" => orc::Codec::Lz4,
        "zstd" | "zst" => orc::Codec::Zstd,
        other => {
            return Err(invalid("compress", format!("ORC can't be compressed with \"{other}\""))
                .hint("none, snappy, zlib, zstd and lz4 are supported"));
        }
    })
}

fn block_codec(word: &str) -> Result<Option<CompressionCodec>> {
    Ok(match word {
        "" | "deflate" => Some(CompressionCodec::Deflate),
        "none" | "null" => None,
        "snappy" => Some(CompressionCodec::Snappy),
        "zstd" | "zstandard" => Some(CompressionCodec::ZStandard),
        other => {
            return Err(invalid("compress", format!("Avro can't be compressed with \"{other}\""))
                .hint("none, deflate, snappy and zstd are supported"));
        }
    })
}

fn buffer_codec(word: &str) -> Result<Option<CompressionType>> {
    Ok(match word {
        "" | "lz4" => Some(CompressionType::LZ4_FRAME),
        "none" | "uncompressed" => None,
        "zstd" => Some(CompressionType::ZSTD),
        other => {
            return Err(invalid("compress", format!("Arrow can't be compressed with \"{other}\""))
                .hint("none, lz4 and zstd are supported"));
        }
    })
}

fn page_codec(word: &str) -> Result<PageCodec> {
    Ok(match word {
        "" | "snappy" => PageCodec::Snappy,
        "none" | "uncompressed" => PageCodec::None,
        "gzip" | "gz" => PageCodec::Gzip,
        "zstd" | "zst" => PageCodec::Zstd,
        "lz4" | "lz4_raw" => PageCodec::Lz4,
        "brotli" => PageCodec::Brotli,
        other => {
            return Err(invalid(
                "compress",
                format!("Parquet can't be compressed with \"{other}\""),
            )
            .hint("none, snappy, gzip, zstd, lz4 and brotli are supported"));
        }
    })
}
