//! Reading a file of any format: its shares, and the batches of a share.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use codec::Records;
use sdk::{Budget, Fault, Result, Undecodable};
use serde::{Deserialize, Serialize};

use crate::avro;
use crate::blocks::{BlockReader, Blocks};
use crate::bounds::{self, Start};
use crate::charset::Charset;
use crate::columns::{self, Listed, Origin, ReadFrom, Reading, Wanted};
use crate::csv::{Dialect, Fields};
use crate::folders::{Folders, Given};
use crate::head::Head;
use crate::ipc::{self, IpcBlocks};
use crate::kind::Kind;
use crate::orc_read::OrcFile;
use crate::own::Own;
use crate::pack::{Packing, Wrapping};
use crate::parquet_read::{Footer, ParquetReader};
use crate::storage::Input;
use crate::text::{Beginning, TextPosition, TextReader, not_text};
use crate::window::Window;
use crate::workbook;
use crate::zipped;

/// The format of files, with what reading it needs to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Delimited text.
    Csv(Dialect),
    /// JSON lines.
    Json,
    Parquet,
    Avro,
    /// Arrow IPC, a file or a stream.
    Arrow,
    Orc,
}

impl Format {
    /// Whether records are text, which says nothing of its columns' types.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Csv(_) | Self::Json)
    }
}

/// Where the names of a delimited text's columns are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// The first record of each file is no data.
    pub line: bool,
    /// Names that take the place of those in the file.
    pub names: Option<Vec<String>>,
    /// Names of columns match whatever their case.
    pub any_case: bool,
}

impl Header {
    pub(crate) fn same_name(&self, a: &str, b: &str) -> bool {
        if self.any_case { a.eq_ignore_ascii_case(b) } else { a == b }
    }
}

/// How the files of a job are read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadFormat {
    pub format: Format,
    /// `None`: by each file's name or its first bytes.
    pub packing: Option<Packing>,
    pub charset: Charset,
    pub header: Header,
    pub wanted: Wanted,
    /// Larger files are cut into shares of about this many bytes.
    pub split_bytes: u64,
    /// The columns beside those that are wanted of the files.
    pub folders: Option<Folders>,
    /// Of workbooks: the names of the sheets that are read, `*` for all; none: the first.
    pub sheets: Vec<String>,
    /// Of XML: the path to the elements that are rows.
    pub rows: Option<Arc<str>>,
}

/// A part of a file that is read by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// Records, or blocks of Avro, that begin at these bytes; the lines of both ends where they are known.
    Bytes { start: u64, end: u64, line: Option<u64>, end_line: Option<u64> },
    /// A packed file, one whose text is not UTF-8, or a stream.
    Whole,
    /// A file in an archive, or a sheet of a workbook.
    Entry { index: usize, name: String, bytes: u64 },
    /// Row groups of a Parquet file, or stripes of an ORC file.
    Groups { first: usize, count: usize, rows: u64, bytes: u64 },
    /// Record batches of an Arrow file.
    Batches { first: usize, count: usize, bytes: u64 },
}

/// What one step gives.
#[derive(Debug)]
pub struct Chunk {
    pub batch: Option<RecordBatch>,
    pub undecodable: Vec<Undecodable>,
    /// Just behind these records.
    pub position: Vec<u8>,
}

/// Reads the rows of one share.
pub struct FileReader {
    inner: Inner,
    given: Option<Given>,
}

enum Inner {
    Text(Box<TextReader>),
    Parquet(Box<ParquetReader>),
    Blocks(Box<BlockReader>),
}

impl FileReader {
    /// The next rows within the budget; `None` at the end of the share.
    pub fn next(&mut self, budget: Budget) -> Result<Option<Chunk>> {
        let chunk = match &mut self.inner {
            Inner::Text(text) => text.next(budget),
            Inner::Parquet(parquet) => parquet.next(budget),
            Inner::Blocks(blocks) => blocks.next(budget),
        }?;
        let Some(mut chunk) = chunk else { return Ok(None) };
        if let (Some(given), Some(batch)) = (&self.given, &chunk.batch) {
            chunk.batch = Some(given.with(batch)?);
        }
        Ok(Some(chunk))
    }
}

impl ReadFormat {
    /// Whether the types of some columns are guessed from a sample.
    pub fn infers_types(&self) -> bool {
        self.format.is_text() && self.wanted.infers_types()
    }

    /// What lies around the text of a file, or of the first one in an archive.
    pub(crate) fn wrapping_of(&self, input: &Arc<dyn Input>) -> Result<Wrapping> {
        let packing = self.packing.map_or_else(|| Packing::detect(input.as_ref()), Ok)?;
        let entry = match packing {
            Packing::Workbook => workbook::sheets(input, &self.sheets)?[0].0,
            _ => 0,
        };
        let rows = self.rows.clone();
        Ok(Wrapping { packing, entry, charset: self.charset, rows })
    }

    /// Whether records are text.
    pub fn is_text(&self) -> bool {
        self.format.is_text()
    }

    /// The shares of a file behind `after`, or all of them, found one by one.
    pub fn shares<'a>(
        &'a self,
        input: &Arc<dyn Input>,
        after: Option<Share>,
    ) -> Result<Shares<'a>> {
        let head = match self.format {
            Format::Parquet => ListHead::Parquet(Footer::read(input)?),
            Format::Avro => ListHead::Avro(avro::Head::read(input)?),
            Format::Orc => ListHead::Orc(OrcFile::open(input)?),
            Format::Arrow | Format::Csv(_) | Format::Json => ListHead::None,
        };
        Ok(Shares { format: self, input: input.clone(), head, after })
    }

    /// What a file says of its columns; only where its format has a place for that.
    pub(crate) fn own(&self, input: &Arc<dyn Input>) -> Result<Own> {
        match self.format {
            Format::Avro => Ok(avro::Head::read(input)?.own),
            Format::Arrow => ipc::own(input),
            Format::Orc => Ok(OrcFile::open(input)?.own),
            Format::Parquet | Format::Csv(_) | Format::Json => Ok(Footer::read(input)?.own),
        }
    }

    fn next_share(&self, input: &Arc<dyn Input>, after: Option<&Share>) -> Result<Option<Share>> {
        if self.format == Format::Arrow {
            return ipc::next_share(input, after, self.split_bytes);
        }
        let wrapping = self.wrapping_of(input)?;
        match wrapping.packing {
            Packing::Zip => return next_entry(input, after),
            Packing::Workbook => return next_sheet(input, &self.sheets, after),
            _ => {}
        }
        if !wrapping.is_plain() {
            return Ok(after.is_none().then_some(Share::Whole));
        }
        let from = match after {
            None => Head::read(self, input, &wrapping)?.start,
            Some(Share::Bytes { end, end_line, .. }) => Start { offset: *end, line: *end_line },
            Some(_) => return Err(foreign_share()),
        };
        if from.offset >= input.len() {
            return Ok(None);
        }
        let end = self.cut(input, from)?;
        Ok(Some(Share::Bytes {
            start: from.offset,
            end: end.offset,
            line: from.line,
            end_line: end.line,
        }))
    }

    /// Where the share that begins at `from` ends.
    fn cut(&self, input: &Arc<dyn Input>, from: Start) -> Result<Start> {
        let end = Start { offset: input.len(), line: None };
        let target = from.offset.saturating_add(self.split_bytes.max(1));
        // A rest of less than half a share is no share of its own.
        if target.saturating_add(self.split_bytes / 2) >= input.len() {
            return Ok(end);
        }
        match &self.format {
            Format::Csv(dialect) => bounds::next_start(input, dialect, from, target),
            Format::Json => bounds::line_start(input, b'\n', target),
            Format::Parquet | Format::Avro | Format::Arrow | Format::Orc => Ok(end),
        }
    }

    /// Opens a share, `position` being where an earlier reader of it stood. `schema` is what the plan
    /// said.
    pub fn open(
        &self,
        input: &Arc<dyn Input>,
        share: &Share,
        schema: &SchemaRef,
        position: Option<&[u8]>,
    ) -> Result<FileReader> {
        let Some(folders) = &self.folders else {
            let inner = self.open_own(input, share, schema, position)?;
            return Ok(FileReader { inner, given: None });
        };
        let given = Some(folders.given(input.label(), schema)?);
        let inner = self.open_own(input, share, &folders.own(schema), position)?;
        Ok(FileReader { inner, given })
    }

    /// With the columns that the file itself has.
    fn open_own(
        &self,
        input: &Arc<dyn Input>,
        share: &Share,
        schema: &SchemaRef,
        position: Option<&[u8]>,
    ) -> Result<Inner> {
        let (own, blocks) = match &self.format {
            Format::Parquet => {
                let footer = Footer::read(input)?;
                let reader = footer.open(input, &self.wanted, share, schema, position)?;
                return Ok(Inner::Parquet(Box::new(reader)));
            }
            Format::Avro => {
                let (own, avro) = avro::Head::read(input)?.open(input, share)?;
                (own, Blocks::Avro(avro))
            }
            Format::Arrow => {
                let (own, ipc) = IpcBlocks::open(input, share)?;
                (own, Blocks::Ipc(Box::new(ipc)))
            }
            Format::Orc => {
                let (own, orc) = OrcFile::open(input)?.blocks(share)?;
                (own, Blocks::Orc(Box::new(orc)))
            }
            Format::Csv(_) | Format::Json => {
                let reader = self.open_text(input, share, schema, position)?;
                return Ok(Inner::Text(Box::new(reader)));
            }
        };
        let reader = BlockReader::open(own, blocks, &self.wanted, schema, position)?;
        Ok(Inner::Blocks(Box::new(reader)))
    }

    /// As [`Self::open`] without folders, for a plug-in that reads text alone and is spared the code of all
    /// else.
    ///
    /// # Errors
    /// As [`Self::open`]; `format.not_text`.
    pub fn open_text(
        &self,
        input: &Arc<dyn Input>,
        share: &Share,
        schema: &SchemaRef,
        position: Option<&[u8]>,
    ) -> Result<TextReader> {
        if !self.format.is_text() {
            return Err(not_text());
        }
        let mut wrapping = self.wrapping_of(input)?;
        let mut label = input.label().to_owned();
        if let Share::Entry { index, name, .. } = share {
            wrapping.entry = *index;
            label += &format!("/{name}");
        }
        let head = Head::read(self, input, &wrapping)?;
        let position = position.map(TextPosition::read).transpose()?;
        let (records, readings) = self.text_columns(&head, schema)?;
        let from = match share {
            Share::Bytes { start, end, line, .. } => {
                let at = position.map_or(Start { offset: *start, line: *line }, |position| Start {
                    offset: position.at,
                    line: position.line,
                });
                let window = Window::plain(input.clone(), at.offset, *end);
                Beginning { window, label, line: at.line, records: None }
            }
            Share::Whole | Share::Entry { .. } => {
                let mut window = Window::whole(input, &wrapping)?;
                let to = usize::try_from(head.start.offset).map_err(|_| foreign_share())?;
                window.fill(to)?;
                window.consume(to.min(window.bytes().len()));
                let line = position.map_or(head.start.line, |position| position.line);
                let records = Some(position.map_or(0, |position| position.at));
                Beginning { window, label, line, records }
            }
            Share::Groups { .. } | Share::Batches { .. } => {
                return Err(foreign_share());
            }
        };
        TextReader::open(from, records, readings, schema)
    }

    /// How records are taken apart, and what becomes of their cells.
    fn text_columns(&self, head: &Head, schema: &SchemaRef) -> Result<(Records, Vec<Reading>)> {
        match &self.format {
            Format::Csv(dialect) => {
                let (fields, readings) = self.csv_columns(head, schema)?;
                let mut dialect = dialect.clone();
                if let (None, Some(own)) = (dialect.skip_empty, head.width) {
                    // What the file holds decides, and not which of its columns are wanted.
                    dialect.skip_empty = Some(own > 1);
                }
                Ok((Records::Csv { dialect, fields }, readings))
            }
            _ => {
                let (names, readings) = self.json_columns(schema)?;
                let complete = !matches!(self.wanted, Wanted::Listed(_));
                Ok((Records::Json { names, complete }, readings))
            }
        }
    }

    fn csv_columns(&self, head: &Head, schema: &SchemaRef) -> Result<(Fields, Vec<Reading>)> {
        let named = head.names.as_deref();
        let mut fields = match named {
            Some(names) => Fields::Exactly(names.len()),
            None => Fields::AtLeast(0),
        };
        let readings = match &self.wanted {
            Wanted::Listed(listed) => {
                let readings = self.listed(listed, schema, |column| match &column.origin {
                    Origin::Index(index) => {
                        let there = named.is_none_or(|names| *index < names.len());
                        there.then_some(*index).ok_or_else(|| column.missing())
                    }
                    Origin::Name(name) => head.find(name, &self.header, &column.place),
                    Origin::Constant(_) => Err(column.missing()),
                })?;
                if named.is_none() {
                    let last = readings.iter().map(|reading| match reading.from {
                        ReadFrom::Cell(index) => index + 1,
                        ReadFrom::Constant(_) => 0,
                    });
                    fields = Fields::AtLeast(last.max().unwrap_or(0));
                }
                readings
            }
            Wanted::All | Wanted::AllText => {
                if named.is_none() {
                    fields = Fields::Exactly(schema.fields().len());
                }
                self.all(head, schema)?
            }
        };
        Ok((fields, readings))
    }

    /// Whether a file's names suit the job.
    pub(crate) fn check(&self, head: &Head, schema: &SchemaRef) -> Result<()> {
        self.csv_columns(head, schema).map(drop)
    }

    /// All columns: by name where the file has names, else in order.
    fn all(&self, head: &Head, schema: &SchemaRef) -> Result<Vec<Reading>> {
        if let Some(names) = &head.names
            && names.len() != schema.fields().len()
        {
            let message = format!(
                "\"{}\" has {} columns and not {}, as other files of the job",
                head.label,
                names.len(),
                schema.fields().len()
            );
            return Err(Fault::data("format.columns_differ", message)
                .hint("list \"column\" with the columns that all files have"));
        }
        let fields = schema.fields().iter().enumerate();
        fields
            .map(|(at, field)| {
                let index = match &head.names {
                    Some(_) => head.find(field.name(), &self.header, "/parameter/header")?,
                    None => at,
                };
                Ok(Reading {
                    from: ReadFrom::Cell(index),
                    kind: kind_of(field)?,
                    inferred: self.wanted.infers_types(),
                })
            })
            .collect()
    }

    fn listed(
        &self,
        listed: &[Listed],
        schema: &SchemaRef,
        index: impl Fn(&Listed) -> Result<usize>,
    ) -> Result<Vec<Reading>> {
        if listed.len() != schema.fields().len() {
            return Err(Fault::plugin("format.plan", "the plan has other columns than the job"));
        }
        let pairs = listed.iter().zip(schema.fields());
        pairs
            .map(|(column, field)| {
                let kind = match &column.kind {
                    Some(kind) => kind.clone(),
                    None => kind_of(field)?,
                };
                let from = match &column.origin {
                    Origin::Constant(text) => ReadFrom::Constant(columns::constant(
                        text.as_deref(),
                        &kind,
                        &column.place,
                    )?),
                    Origin::Index(_) | Origin::Name(_) => ReadFrom::Cell(index(column)?),
                };
                let inferred = column.kind.is_none();
                Ok(Reading { from, kind, inferred })
            })
            .collect()
    }

    /// The members that are wanted, and what becomes of them.
    fn json_columns(&self, schema: &SchemaRef) -> Result<(Vec<String>, Vec<Reading>)> {
        let mut names: Vec<String> = Vec::new();
        let mut at = |name: &str| match names.iter().position(|known| known == name) {
            Some(index) => index,
            None => {
                names.push(name.to_owned());
                names.len() - 1
            }
        };
        let readings = match &self.wanted {
            Wanted::Listed(listed) => {
                let indexes: Vec<_> = listed
                    .iter()
                    .map(|column| match &column.origin {
                        Origin::Name(name) => Some(at(name)),
                        Origin::Index(_) | Origin::Constant(_) => None,
                    })
                    .collect();
                let places = listed.iter().map(|column| column.place.as_str());
                let found: Vec<_> = places.zip(indexes).collect();
                self.listed(listed, schema, |column| {
                    let found = found.iter().find(|(place, _)| *place == column.place);
                    found.and_then(|(_, index)| *index).ok_or_else(|| json_index(column))
                })?
            }
            Wanted::All | Wanted::AllText => schema
                .fields()
                .iter()
                .map(|field| {
                    let from = ReadFrom::Cell(at(field.name()));
                    let inferred = self.wanted.infers_types();
                    Ok(Reading { from, kind: kind_of(field)?, inferred })
                })
                .collect::<Result<_>>()?,
        };
        Ok((names, readings))
    }
}

/// The shares of one file.
pub struct Shares<'a> {
    format: &'a ReadFormat,
    input: Arc<dyn Input>,
    head: ListHead,
    after: Option<Share>,
}

/// What stands once in a file and says where its shares are.
enum ListHead {
    None,
    Parquet(Footer),
    Avro(avro::Head),
    Orc(OrcFile),
}

impl Iterator for Shares<'_> {
    type Item = Result<Share>;

    fn next(&mut self) -> Option<Result<Share>> {
        let after = self.after.as_ref();
        let split_bytes = self.format.split_bytes;
        let share = match &self.head {
            ListHead::Parquet(footer) => footer.next_share(after, split_bytes),
            ListHead::Avro(head) => head.next_share(&self.input, after, split_bytes),
            ListHead::Orc(file) => file.next_share(after, split_bytes),
            ListHead::None => self.format.next_share(&self.input, after),
        };
        let share = share.transpose()?;
        self.after = share.as_ref().ok().cloned();
        Some(share)
    }
}

/// Each file of an archive is read by itself.
fn next_entry(input: &Arc<dyn Input>, after: Option<&Share>) -> Result<Option<Share>> {
    let index = match after {
        None => 0,
        Some(Share::Entry { index, .. }) => index + 1,
        Some(_) => return Err(foreign_share()),
    };
    let entries = zipped::entries(input)?;
    let entry = entries.into_iter().nth(index);
    Ok(entry.map(|entry| Share::Entry { index, name: entry.name, bytes: entry.bytes }))
}

/// Each sheet is read by itself.
fn next_sheet(
    input: &Arc<dyn Input>,
    wanted: &[String],
    after: Option<&Share>,
) -> Result<Option<Share>> {
    let behind = match after {
        None => None,
        Some(Share::Entry { index, .. }) => Some(*index),
        Some(_) => return Err(foreign_share()),
    };
    let sheets = workbook::sheets(input, wanted)?;
    let bytes = input.len() / sheets.len() as u64;
    let next = sheets.into_iter().find(|(index, _)| behind.is_none_or(|behind| *index > behind));
    Ok(next.map(|(index, name)| Share::Entry { index, name, bytes }))
}

fn json_index(column: &Listed) -> Fault {
    Fault::user("parameter.invalid", "columns of JSON lines have names, and no index")
        .hint("write \"name\" in place of \"index\"")
        .at(column.place.clone())
}

fn kind_of(field: &arrow_schema::Field) -> Result<Kind> {
    Kind::of(field.data_type()).ok_or_else(|| {
        let message = format!("column \"{}\" has a type that no text has", field.name());
        Fault::plugin("format.plan", message)
    })
}

fn foreign_share() -> Fault {
    Fault::plugin("format.share", "the split does not fit the file's format")
        .hint("the file changed after it was planned: start a new run")
}
