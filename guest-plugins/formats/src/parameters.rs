//! What a step's document says about formats: the keys that every storage of files has in common.
//!
//! The structs are the schema and the reader of the document at once. A key that means nothing, here or for
//! the format, is told as one without effect, so that nobody believes that it works.

mod write;

use schemars::JsonSchema;
use sdk::parameters::{Number, OneOrMany};
use sdk::{Fault, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::characters::{all_differ, character, check_null, field_delimiter};
use crate::charset::Charset;
use crate::columns::{Listed, Origin, Wanted};
use crate::csv::Dialect;
use crate::fixed::Slice;
use crate::folders::Folders;
use crate::kind::Kind;
use crate::lenient::{Switch, word};
use crate::pack::Packing;
use crate::read::{Format, Header, ReadFormat};

pub use write::WriteParameters;

/// Smaller shares cost more than they bring; larger ones leave lanes idle at the end.
const SPLIT_BYTES: u64 = 32 << 20;
/// The elements in the root of an XML document.
const ROW_PATH: &str = "/*/*";
/// DataX's limit on a field where `safetySwitch` is on.
const SAFE_FIELD_BYTES: usize = 100_000;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Delimited text with quotes.
    Csv,
    /// Delimited text without quotes; NULL is `\N`.
    #[serde(alias = "txt")]
    Text,
    /// JSON lines: one object a line.
    #[serde(alias = "jsonl", alias = "ndjson")]
    Json,
    Parquet,
    Orc,
    Avro,
    /// Read only: the elements at one path.
    Xml,
    /// Arrow IPC with a footer, also called Feather 2; read, a stream too.
    #[serde(alias = "feather", alias = "ipc")]
    Arrow,
    /// Lines of text, each column with the same characters of all of them.
    #[serde(alias = "fixed-width", alias = "fixedwidth")]
    Fixed,
    /// Workbooks of Excel; read, also older ones and OpenDocument's.
    #[serde(alias = "xlsx", alias = "xls", alias = "ods")]
    Excel,
    /// Arrow IPC without a footer.
    #[serde(alias = "arrow-stream", alias = "arrow_stream")]
    ArrowStream,
}

impl FileFormat {
    /// The word in documents.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Text => "text",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Orc => "orc",
            Self::Avro => "avro",
            Self::Xml => "xml",
            Self::Arrow => "arrow",
            Self::ArrowStream => "arrowstream",
            Self::Excel => "excel",
            Self::Fixed => "fixed",
        }
    }

    fn is_delimited(self) -> bool {
        matches!(self, Self::Csv | Self::Text)
    }

    /// Whether records are text, which has an encoding and may be packed as a whole.
    fn is_text(self) -> bool {
        self.is_delimited() || matches!(self, Self::Json | Self::Fixed | Self::Xml)
    }

    /// By the ending of a file's name, that of its compression apart.
    pub fn by_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let name = Packing::by_name(&lower).map_or(lower.as_str(), |(_, name)| name);
        match name.rsplit_once('.')?.1 {
            "csv" | "tsv" => Some(Self::Csv),
            "txt" | "text" => Some(Self::Text),
            "json" | "jsonl" | "ndjson" => Some(Self::Json),
            "parquet" | "parq" => Some(Self::Parquet),
            "orc" => Some(Self::Orc),
            "avro" => Some(Self::Avro),
            "xml" => Some(Self::Xml),
            "arrow" | "feather" | "ipc" => Some(Self::Arrow),
            "arrows" => Some(Self::ArrowStream),
            "xlsx" | "xlsm" | "xls" | "ods" => Some(Self::Excel),
            _ => None,
        }
    }
}

/// True, or the names of the columns.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "true, false or a list of names is expected")]
pub enum HeaderParameter {
    Switch(Switch),
    Names(Vec<String>),
}

/// A column: its name, or where its values come from and their type.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a name or an object with index, name or value is expected")]
pub enum ColumnParameter {
    /// A name; `*` alone is all columns.
    Name(String),
    Described(DescribedColumn),
}

/// One column of the files, or a constant.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct DescribedColumn {
    /// Place of the column in a record, from 0.
    pub index: Option<Number>,
    /// Name of the column in the file's header, of the member (JSON lines) or of the field (Parquet, ORC, Avro, Arrow);
    /// beside `index` or `value`, the name that the column gets.
    pub name: Option<String>,
    /// The same text, number or boolean, or null, in every row.
    #[serde(default, deserialize_with = "given")]
    pub value: Option<Value>,
    /// long, double, string, date, boolean, bytes; or smallint, int, bigint, float, decimal(p,s), time,
    /// timestamp, timestamptz, binary. Left out: inferred.
    #[schemars(extend("examples" = crate::kind::NAMES))]
    pub r#type: Option<String>,
    /// Of fixed width: where it begins in a line, in characters from 0 (default: behind the one before).
    pub start: Option<Number>,
    /// Of fixed width: its characters.
    pub width: Option<Number>,
    /// Of dates and times, in the letters yyyy MM dd HH mm ss S X; of bytes base64, hex or raw.
    pub format: Option<String>,
}

/// How CSV is read, as DataX names it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CsvReaderConfig {
    /// Refuses fields longer than 100,000 bytes (default false).
    pub safety_switch: Switch,
    /// Passes over lines without any text (default: where a record has several fields).
    pub skip_empty_records: Option<Switch>,
    /// Whether quotes have a meaning (default true).
    pub use_text_qualifier: Option<Switch>,
    /// The quote (default `"`).
    pub text_qualifier: Option<String>,
    /// 1: a quote in quotes is doubled (default); 2: a backslash stands before it.
    pub escape_mode: Option<Number>,
    /// Takes away blanks around fields without quotes (default false).
    pub trim_whitespace: Switch,
    /// Passes over lines that begin with `comment` (default false).
    pub use_comments: Switch,
    /// The first character of a comment (default `#`).
    pub comment: Option<String>,
    /// Whether names of columns must have the case of the header (default true).
    pub case_sensitive: Option<Switch>,
    /// As `fieldDelimiter`.
    pub delimiter: Option<String>,
    /// As `lineDelimiter`.
    pub record_delimiter: Option<String>,
    /// Has no meaning here: a record that can't be read is always kept whole.
    pub capture_raw_record: Option<Switch>,
}

/// What a reader of files may say about their format.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadParameters {
    /// Left out: by the ending of the files' names, else csv.
    #[serde(deserialize_with = "word")]
    #[schemars(with = "Option<String>", extend("enum" = ["csv", "text", "json", "jsonl", "parquet", "orc", "avro", "arrow", "arrowstream", "excel", "fixed", "xml"]))]
    pub file_format: Option<FileFormat>,
    /// The columns: names, or objects with `index`, `name` or `value`, `type` and `format`. `["*"]` or left
    /// out: all, with inferred types where the files have none.
    pub column: Option<Vec<ColumnParameter>>,
    /// Between fields, one ASCII character (default `,`, and tab for files that end with .tsv).
    pub field_delimiter: Option<String>,
    /// Ends a record: `\n`, which takes `\r\n` too (default), or another single character.
    pub line_delimiter: Option<String>,
    /// Of the text: UTF-8, GBK, GB18030, Big5, UTF-16, UTF-16LE, UTF-16BE, ISO-8859-1, US-ASCII, windows-1252
    /// and the other names that browsers know. Files in another encoding than UTF-8 are not split.
    #[schemars(extend("default" = "UTF-8"))]
    pub encoding: Option<String>,
    /// The text that is NULL, unquoted. Left out: an empty field without quotes (csv), `\N` (text).
    pub null_format: Option<String>,
    /// How the files are packed; auto: by the endings of their names, else by their first bytes. Of a zip
    /// archive each file is read; snappy is in its own frames, in Hadoop's, or one block.
    #[schemars(extend("default" = "auto", "enum" = ["auto", "none", "gzip", "zstd", "snappy", "framing-snappy", "hadoop-snappy", "lz4", "xz", "bzip2", "zip"]))]
    pub compress: Option<String>,
    /// True: the first record of each file holds the names, which is the default of Excel. A list: the files
    /// have no header, and these are the names.
    #[schemars(extend("default" = false))]
    pub header: Option<HeaderParameter>,
    /// True: the first record of each file is a header; its names are used unless `header` lists others.
    #[schemars(extend("default" = false))]
    pub skip_header: Option<Switch>,
    /// How CSV is read, as DataX names it.
    pub csv_reader_config: Option<CsvReaderConfig>,
    /// Whether columns without a type get one from their values, where the files have none; else they are
    /// text. False for DataX jobs, whose columns are text unless they say otherwise.
    #[schemars(extend("default" = true))]
    pub infer_types: Option<Switch>,
    /// Larger files are read in splits of about this many bytes. Where it is not set, one lane alone reads
    /// text without splits, and many lanes get smaller ones.
    #[schemars(extend("default" = SPLIT_BYTES))]
    pub split_bytes: Option<Number>,
    /// True: folders on the way to a file that are named `name=value` are columns, too, behind those of the
    /// files, or where `column` lists their names. `__HIVE_DEFAULT_PARTITION__` is NULL.
    #[schemars(extend("default" = false))]
    pub partition_columns: Option<Switch>,
    /// Of XML: which elements are rows, by the names from the root on, as `/orders/order`; `*` is any name.
    /// What is in a row is a column by its name or path (`address/city`), attributes with an `@` (`@id`).
    #[schemars(extend("default" = ROW_PATH))]
    pub row_path: Option<String>,
    /// Of Excel: the sheet, or a list of them, by name; `*` is all (default: the first).
    pub sheet: Option<OneOrMany<String>>,
    /// Without effect: a Parquet file knows its columns.
    pub parquet_schema: Option<Value>,
}

/// The keys that are given without a meaning; each with whether it has one and whether it is given.
fn idle(keys: &[(&'static str, bool, bool)]) -> Vec<&'static str> {
    keys.iter().filter(|(_, means, given)| *given && !means).map(|(key, ..)| *key).collect()
}

/// Tells a null that is written from a key that is not.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

pub(crate) fn invalid(key: &str, message: impl Into<String>) -> Fault {
    Fault::user("parameter.invalid", message).at(format!("/parameter/{key}"))
}

fn charset(encoding: Option<&str>) -> Result<Charset> {
    let word = encoding.unwrap_or_default();
    Charset::parse(word).ok_or_else(|| {
        let message = format!("the encoding \"{word}\" is not supported");
        invalid("encoding", message)
            .hint("UTF-8, UTF-16, GBK, GB18030, Big5, ISO-8859-1 and the names that browsers know are")
            .at("/parameter/encoding")
    })
}

impl ReadParameters {
    /// The format of the job's files, `name` being that of one of them.
    pub fn format(&self, name: &str) -> Result<ReadFormat> {
        let charset = charset(self.encoding.as_deref())?;
        let file_format = self.file_format_of(name);
        let config = self.csv_reader_config.clone().unwrap_or_default();
        let format = match file_format {
            FileFormat::Csv => Format::Csv(self.dialect(Dialect::csv(), &config, name)?),
            FileFormat::Text => Format::Csv(self.dialect(Dialect::text(), &config, name)?),
            FileFormat::Json | FileFormat::Xml => Format::Json,
            FileFormat::Parquet => Format::Parquet,
            FileFormat::Orc => Format::Orc,
            FileFormat::Avro => Format::Avro,
            FileFormat::Arrow | FileFormat::ArrowStream => Format::Arrow,
            FileFormat::Excel => Format::Csv(Dialect::csv()),
            FileFormat::Fixed => Format::Csv(self.fixed()?),
        };
        let (names, line) = match &self.header {
            None => (None, file_format == FileFormat::Excel && self.skip_header.is_none()),
            Some(HeaderParameter::Switch(Switch(line))) => (None, *line),
            Some(HeaderParameter::Names(names)) => (Some(names.clone()), false),
        };
        let skips = self.skip_header.is_some_and(|Switch(skip)| skip);
        let mut wanted = self.wanted(file_format)?;
        let has_folders = self.partition_columns.is_some_and(|Switch(on)| on);
        let folders = has_folders.then(|| Folders::of(name, &mut wanted)).transpose()?;
        let any_case = config.case_sensitive.is_some_and(|Switch(sensitive)| !sensitive);
        let path = self.row_path.as_deref().unwrap_or(ROW_PATH);
        if path.split('/').all(str::is_empty) {
            return Err(invalid("rowPath", "\"rowPath\" names no element, as in /orders/order"));
        }
        let rows = (file_format == FileFormat::Xml).then(|| path.into());
        Ok(ReadFormat {
            format,
            rows,
            packing: self.packing(file_format)?,
            charset,
            header: Header { line: line || skips, names, any_case },
            wanted,
            split_bytes: self.split_bytes.map_or(SPLIT_BYTES, |Number(bytes)| bytes.max(1)),
            folders,
            sheets: self.sheet.as_ref().map(|names| names.as_slice().to_vec()).unwrap_or_default(),
        })
    }

    fn file_format_of(&self, name: &str) -> FileFormat {
        self.file_format.or_else(|| FileFormat::by_name(name)).unwrap_or(FileFormat::Csv)
    }

    /// Keys of the document that mean nothing for the format of the file with this name.
    pub fn idle_keys(&self, name: &str) -> Vec<&'static str> {
        let file_format = self.file_format_of(name);
        let is_delimited = file_format.is_delimited();
        let is_excel = file_format == FileFormat::Excel;
        let is_fixed = file_format == FileFormat::Fixed;
        let has_header = is_delimited || is_excel || is_fixed;
        let keys = [
            ("sheet", is_excel, self.sheet.is_some()),
            ("rowPath", file_format == FileFormat::Xml, self.row_path.is_some()),
            ("parquetSchema", false, self.parquet_schema.is_some()),
            ("fieldDelimiter", is_delimited, self.field_delimiter.is_some()),
            ("lineDelimiter", is_delimited || is_fixed, self.line_delimiter.is_some()),
            ("nullFormat", is_delimited || is_fixed, self.null_format.is_some()),
            ("header", has_header, self.header.is_some()),
            ("skipHeader", has_header, self.skip_header.is_some()),
            ("csvReaderConfig", is_delimited, self.csv_reader_config.is_some()),
            ("compress", file_format.is_text(), self.compress.is_some()),
        ];
        idle(&keys)
    }

    fn packing(&self, file_format: FileFormat) -> Result<Option<Packing>> {
        let word = self.compress.as_deref().unwrap_or_default().to_ascii_lowercase();
        Ok(match word.as_str() {
            _ if file_format == FileFormat::Excel => Some(Packing::Workbook),
            // These formats say themselves how their blocks are compressed.
            _ if !file_format.is_text() => Some(Packing::None),
            "" | "auto" => None,
            other => Some(packing(other)?),
        })
    }

    fn dialect(&self, base: Dialect, config: &CsvReaderConfig, name: &str) -> Result<Dialect> {
        let quoted = base.quote.is_some();
        let lower = name.to_ascii_lowercase();
        let tabs = lower.rsplit('/').next().is_some_and(|name| name.contains(".tsv"));
        let delimiter = self.field_delimiter.as_ref().map(|text| ("fieldDelimiter", text));
        let delimiter =
            delimiter.or(config.delimiter.as_ref().map(|text| ("csvReaderConfig", text)));
        let line_end = self.line_end(config)?;
        let quote = match &config.text_qualifier {
            Some(text) => character("csvReaderConfig", text)?,
            None => b'"',
        };
        let use_quotes = config.use_text_qualifier.map_or(quoted, |Switch(uses)| uses && quoted);
        let escape = match config.escape_mode {
            None | Some(Number(1)) => None,
            Some(Number(2)) => Some(b'\\'),
            Some(_) => return Err(invalid("csvReaderConfig", "\"escapeMode\" is 1 or 2")),
        };
        let comment = match (&config.comment, config.use_comments) {
            (_, Switch(false)) => None,
            (None, Switch(true)) => Some(b'#'),
            (Some(text), Switch(true)) => Some(character("csvReaderConfig", text)?),
        };
        let delimiter = match delimiter {
            Some((key, text)) => field_delimiter(key, text)?,
            None if tabs => b'\t',
            None => base.delimiter,
        };
        let quote = use_quotes.then_some(quote);
        let characters = [
            ("fieldDelimiter", Some(delimiter)),
            ("lineDelimiter", Some(line_end)),
            ("csvReaderConfig/textQualifier", quote),
            ("csvReaderConfig/escapeMode", escape),
            ("csvReaderConfig/comment", comment),
        ];
        all_differ(&characters)?;
        if let Some(null) = &self.null_format {
            check_null(null, &characters[..3])?;
        }
        Ok(Dialect {
            delimiter,
            quote,
            escape,
            line_end,
            empty_is_null: base.empty_is_null && self.null_format.is_none(),
            null: self.null_format.clone().map_or(base.null, String::into_bytes),
            trim: config.trim_whitespace.0,
            comment,
            skip_empty: config.skip_empty_records.map(|Switch(skip)| skip),
            field_bytes_max: config.safety_switch.0.then_some(SAFE_FIELD_BYTES),
            slices: None,
        })
    }

    fn line_end(&self, config: &CsvReaderConfig) -> Result<u8> {
        let line = self.line_delimiter.as_ref().or(config.record_delimiter.as_ref());
        match line.map(String::as_str) {
            None | Some("" | "\n" | "\r\n" | "\\n" | "\\r\\n") => Ok(b'\n'),
            Some(other) => character("lineDelimiter", other),
        }
    }

    /// Fields of fixed width, as the columns that have one say.
    fn fixed(&self) -> Result<Dialect> {
        let mut slices: Vec<Slice> = Vec::new();
        for (at, column) in self.column.iter().flatten().enumerate() {
            let described = match column {
                ColumnParameter::Described(described) if described.value.is_some() => continue,
                ColumnParameter::Described(described) => Some(described),
                ColumnParameter::Name(_) => None,
            };
            let number =
                |given: Option<Number>| given.and_then(|Number(it)| usize::try_from(it).ok());
            let width = described.and_then(|it| number(it.width)).filter(|width| *width > 0);
            let width = width.ok_or_else(|| no_width(at))?;
            let behind = slices.last().map_or(0, |last| last.start + last.width);
            let start = described.and_then(|it| number(it.start)).unwrap_or(behind);
            slices.push(Slice { start, width });
        }
        if slices.is_empty() {
            return Err(invalid("column", "fixed width needs \"column\" with the width of each"));
        }
        let null = self.null_format.clone().unwrap_or_default().into_bytes();
        let line_end = self.line_end(&CsvReaderConfig::default())?;
        Ok(Dialect { null, line_end, ..Dialect::fixed(slices) })
    }

    fn wanted(&self, file_format: FileFormat) -> Result<Wanted> {
        let infers = self.infer_types.is_none_or(|Switch(infers)| infers);
        let as_text = !infers && (file_format.is_text() || file_format == FileFormat::Excel);
        let all = if as_text { Wanted::AllText } else { Wanted::All };
        let Some(columns) = &self.column else { return Ok(all) };
        match columns.as_slice() {
            [] => return Err(invalid("column", "\"column\" lists no column")),
            [ColumnParameter::Name(name)] if name == "*" => return Ok(all),
            _ => {}
        }
        let mut places = 0..;
        let listed = columns.iter().enumerate().map(|(at, column)| {
            let mut listed = listed(at, column)?;
            // The fields of such lines have places, and only the job has names for them.
            if let (FileFormat::Fixed, Origin::Name(name)) = (file_format, &listed.origin) {
                listed.name = Some(name.clone());
                listed.origin = Origin::Index(places.next().unwrap_or_default());
            }
            if as_text && listed.kind.is_none() {
                listed.kind = Some(Kind::Text);
            }
            Ok(listed)
        });
        Ok(Wanted::Listed(listed.collect::<Result<_>>()?))
    }
}

fn listed(at: usize, column: &ColumnParameter) -> Result<Listed> {
    let place = format!("/parameter/column/{at}");
    let wrong = |message: &str| Fault::user("parameter.invalid", message).at(place.clone());
    let described = match column {
        ColumnParameter::Name(name) if name == "*" => {
            return Err(wrong("\"*\" stands alone, or not at all"));
        }
        ColumnParameter::Name(name) => {
            let origin = Origin::Name(name.clone());
            return Ok(Listed { origin, name: None, kind: None, word: None, place });
        }
        ColumnParameter::Described(described) => described,
    };
    let (origin, name) = match (&described.index, &described.value, &described.name) {
        (Some(_), Some(_), _) => {
            return Err(wrong("a column has an \"index\" or a \"value\", not both"));
        }
        (Some(Number(index)), None, name) => {
            let index = usize::try_from(*index).map_err(|_| wrong("the index is too large"))?;
            (Origin::Index(index), name.clone())
        }
        (None, Some(value), name) => (Origin::Constant(constant_text(value)), name.clone()),
        (None, None, Some(name)) => (Origin::Name(name.clone()), None),
        (None, None, None) => {
            return Err(wrong("a column needs \"index\", \"name\" or \"value\""));
        }
    };
    let word = described.r#type.clone();
    let kind = word.as_ref().map(|word| {
        Kind::parse(word, described.format.as_deref())
            .map_err(|message| wrong(&message).at(format!("{place}/type")))
    });
    Ok(Listed { origin, name, kind: kind.transpose()?, word, place })
}

pub(crate) fn no_width(at: usize) -> Fault {
    Fault::user("parameter.invalid", "a column of fixed width needs a \"width\" of characters")
        .at(format!("/parameter/column/{at}"))
}

fn constant_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn packing(word: &str) -> Result<Packing> {
    Packing::parse(word).ok_or_else(|| {
        invalid("compress", format!("the compression \"{word}\" is not supported for text"))
            .hint("none, gzip, zstd, snappy, hadoop-snappy, lz4, xz and zip are")
    })
}
