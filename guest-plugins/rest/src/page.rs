//! One page that is being read.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use formats::{Input, Kind, Listed, Memory, Origin, ReadFormat, Share, TextReader, Wanted};
use sdk::{Budget, Fault, Result, Undecodable};
use serde_json::value::RawValue;

use crate::records::{self, Members, Path, Projection};
use crate::stream::{BodyInput, Lines};

/// How the records of all pages become rows.
pub(crate) struct How {
    pub(crate) format: ReadFormat,
    pub(crate) projection: Projection,
    /// A value that does not fit is NULL.
    pub(crate) null_misfits: bool,
    pub(crate) has_one_record: bool,
    pub(crate) data_path: Path,
}

/// Some rows of a page.
pub(crate) struct Part {
    pub(crate) batch: Option<RecordBatch>,
    pub(crate) undecodable: Vec<Undecodable>,
    /// Rows with NULL in place of a value that did not fit.
    pub(crate) nulled: u64,
    /// Records of the page up to here, passed over or not.
    pub(crate) records: u64,
    /// Where the reader of a CSV body stands.
    pub(crate) inner: Option<Vec<u8>>,
}

/// A page, open.
pub(crate) enum Page {
    /// All records are here.
    Whole(Block),
    Lines {
        lines: Lines,
        block: Option<Block>,
        records: u64,
        skip: u64,
        label: String,
    },
    Csv {
        reader: Box<TextReader>,
        records: u64,
    },
}

impl Page {
    /// A page of JSON, from behind its first `skip` records.
    ///
    /// # Errors
    /// `http.shape` where its records are not where the job says.
    pub(crate) fn json(
        how: &How,
        schema: &SchemaRef,
        label: &str,
        text: Text,
        skip: u64,
    ) -> Result<Self> {
        let found = how.records(root(&text)?)?;
        let ranges = found.into_iter().map(|record| range_in(&text, record)).collect::<Vec<_>>();
        Block::new(how, schema, label, text, &ranges, (0, skip)).map(Self::Whole)
    }

    /// A page of JSON lines.
    pub(crate) fn lines(label: &str, lines: Lines, skip: u64) -> Self {
        Self::Lines { lines, block: None, records: 0, skip, label: label.to_owned() }
    }

    /// A page of CSV; `inner` is where an earlier reader of it stood.
    ///
    /// # Errors
    /// Those of the format.
    pub(crate) fn csv(
        how: &How,
        schema: &SchemaRef,
        input: BodyInput,
        inner: Option<&[u8]>,
        skip: u64,
    ) -> Result<Self> {
        let input: Arc<dyn Input> = Arc::new(input);
        let reader = how.format.open_text(&input, &Share::Whole, schema, inner)?;
        Ok(Self::Csv { reader: Box::new(reader), records: skip })
    }

    /// The next rows within the budget; `None` at the end.
    ///
    /// # Errors
    /// Those of the connection and the format.
    pub(crate) fn next(
        &mut self,
        how: &How,
        schema: &SchemaRef,
        budget: Budget,
    ) -> Result<Option<Part>> {
        match self {
            Self::Whole(block) => block.next(budget),
            Self::Csv { reader, records } => {
                let Some(chunk) = reader.next(budget)? else { return Ok(None) };
                let rows = chunk.batch.as_ref().map_or(0, RecordBatch::num_rows);
                *records += (rows + chunk.undecodable.len()) as u64;
                Ok(Some(Part {
                    batch: chunk.batch,
                    undecodable: chunk.undecodable,
                    nulled: 0,
                    records: *records,
                    inner: Some(chunk.position),
                }))
            }
            Self::Lines { lines, block, records, skip, label } => loop {
                if let Some(open) = block {
                    if let Some(part) = open.next(budget)? {
                        return Ok(Some(part));
                    }
                    *block = None;
                }
                let Some(text) = lines.next()? else { return Ok(None) };
                let ranges = line_ranges(&text);
                let first = *records;
                *records += ranges.len() as u64;
                // A line that is not UTF-8 is a dirty record, and no others are.
                let text = Text::Bytes(text);
                *block = Some(Block::new(how, schema, label, text, &ranges, (first, *skip))?);
            },
        }
    }

    /// Whether `next` will answer nothing more, where that is known.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Whole(block) if block.is_done())
    }
}

/// The text of a body, or of some of its lines.
pub(crate) enum Text {
    Checked(String),
    Bytes(Vec<u8>),
}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Checked(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

pub(crate) fn json_text(body: Vec<u8>) -> Result<Text> {
    let mut body = body;
    if body.starts_with(b"\xef\xbb\xbf") {
        body.drain(..3);
    }
    match String::from_utf8(body) {
        Ok(text) => Ok(Text::Checked(text)),
        Err(_) => Err(Fault::data("http.json", "the body is no JSON: it is not UTF-8")),
    }
}

/// The JSON value that a body is.
///
/// # Errors
/// `http.json`; to be tried again where it only lacks its end.
pub(crate) fn root(text: &Text) -> Result<&RawValue> {
    serde_json::from_slice(text.bytes()).map_err(|error| {
        let fault = Fault::data("http.json", format!("the body is no JSON: {error}")).hint(
            "check \"url\" and \"responseType\"; a page for people may have come in place of data",
        );
        if error.is_eof() { crate::error::lost("the body ends too early") } else { fault }
    })
}

fn range_in(text: &Text, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr() as usize - text.bytes().as_ptr() as usize;
    start..start + value.get().len()
}

/// The lines that are not blank, without their ends.
fn line_ranges(text: &[u8]) -> Vec<Range<usize>> {
    let mut at = 0;
    let mut ranges = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let trimmed = line.trim_ascii();
        if !trimmed.is_empty() {
            let start = at + (trimmed.as_ptr() as usize - line.as_ptr() as usize);
            ranges.push(start..start + trimmed.len());
        }
        at += line.len();
    }
    ranges
}

impl How {
    /// The records of a body.
    ///
    /// # Errors
    /// `http.shape`.
    pub(crate) fn records<'a>(&self, root: &'a RawValue) -> Result<Vec<&'a RawValue>> {
        const PLACE: &str = "/parameter/dataPath";
        let path = &self.data_path;
        let Some(found) = path.find(root) else {
            let message = format!("the body has nothing at \"{path}\"");
            return crate::error::shape(message, &hint(root), PLACE);
        };
        if self.has_one_record {
            return Ok(if found.get() == "null" { Vec::new() } else { vec![found] });
        }
        match records::items(found) {
            Some(items) => Ok(items),
            // Many services say so that there are no records.
            None if found.get() == "null" => Ok(Vec::new()),
            None => {
                let message = match path.to_string().as_str() {
                    "" => "the body is no list of records".to_owned(),
                    path => format!("what stands at \"{path}\" is no list of records"),
                };
                crate::error::shape(message, &hint(root), PLACE)
            }
        }
    }

    /// The column of a format that reads the field at `index` alone.
    fn column(&self, schema: &SchemaRef, index: usize) -> Option<Listed> {
        let field = schema.field(index);
        let listed = match &self.format.wanted {
            Wanted::Listed(listed) => listed.get(index)?.clone(),
            _ => Listed {
                origin: Origin::Name(field.name().clone()),
                name: None,
                kind: None,
                word: None,
                place: "/parameter/column".to_owned(),
            },
        };
        let kind = listed.kind.clone().or_else(|| Kind::of(field.data_type()));
        Some(Listed { kind, ..listed })
    }

    /// The line with NULL in place of each value that does not fit its column.
    fn without_misfits(&self, schema: &SchemaRef, line: &[u8]) -> Option<Vec<u8>> {
        let members: Members<'_> = serde_json::from_slice(line).ok()?;
        let mut fixed = b"{".to_vec();
        for (name, value) in members.iter() {
            let index = (0..schema.fields().len()).find(|index| {
                let column = self.column(schema, *index);
                column.is_some_and(|column| column.origin == Origin::Name(name.to_owned()))
            });
            let fits = match index {
                Some(index) => self.fits(schema, index, line)?,
                None => true,
            };
            if fixed.len() > 1 {
                fixed.push(b',');
            }
            records::push_name(name, &mut fixed);
            fixed.push(b':');
            fixed.extend_from_slice(if fits { value.get().as_bytes() } else { b"null" });
        }
        fixed.extend_from_slice(b"}\n");
        Some(fixed)
    }

    fn fits(&self, schema: &SchemaRef, index: usize, line: &[u8]) -> Option<bool> {
        let wanted = Wanted::Listed(vec![self.column(schema, index)?]);
        let format = ReadFormat { wanted, ..self.format.clone() };
        let alone = Arc::new(schema.project(&[index]).ok()?);
        let mut reader = opened(&format, &alone, "", line.to_vec()).ok()?;
        Some(reader.next(ALL).ok()??.undecodable.is_empty())
    }
}

const ALL: Budget = Budget { rows: u32::MAX, bytes: u64::MAX, wait_ms: 0 };

fn hint(root: &RawValue) -> String {
    match records::lists(root).as_slice() {
        [] => "\"dataPath\" says where the records are; with \"dataMode\" oneData there is one"
            .to_owned(),
        lists => {
            let quoted: Vec<_> = lists.iter().map(|path| format!("\"{path}\"")).collect();
            format!("the body has lists at {}; set \"dataPath\"", quoted.join(", "))
        }
    }
}

fn opened(
    format: &ReadFormat,
    schema: &SchemaRef,
    label: &str,
    lines: Vec<u8>,
) -> Result<TextReader> {
    let input: Arc<dyn Input> = Arc::new(Memory { label: label.to_owned(), bytes: lines });
    format.open_text(&input, &Share::Whole, schema, None)
}

/// Records that are lines by now, with the text that they came in.
pub(crate) struct Block {
    label: String,
    text: Text,
    reader: TextReader,
    /// Of each line: its number in the page, from 0, and where its record stands in the text.
    lines: Vec<(u64, Range<usize>)>,
    /// Which of the lines have NULL in place of a value that did not fit.
    nulled: VecDeque<usize>,
    /// Lines that were read.
    taken: usize,
    /// Records that could not become lines, by number.
    flawed: VecDeque<(u64, Undecodable)>,
    /// Records of the page up to the end of the block, and up to where it was read.
    end: u64,
    records: u64,
}

impl Block {
    /// `numbers`: that of the first record, and how many of the page are passed over.
    fn new(
        how: &How,
        schema: &SchemaRef,
        label: &str,
        text: Text,
        ranges: &[Range<usize>],
        (first, skip): (u64, u64),
    ) -> Result<Self> {
        let mut lines = Vec::new();
        let mut bytes = Vec::new();
        let mut flawed = VecDeque::new();
        for (number, range) in (first..).zip(ranges).filter(|(number, _)| *number >= skip) {
            let record = &text.bytes()[range.clone()];
            let pushed = match serde_json::from_slice::<&RawValue>(record) {
                Ok(record) => how
                    .projection
                    .push(record, &mut bytes)
                    .map_err(|why| ("http.record", why.to_owned())),
                Err(error) => Err(("http.json", format!("the record is no JSON: {error}"))),
            };
            match pushed {
                Ok(()) => lines.push((number, range.clone())),
                Err((code, message)) => flawed.push_back((
                    number,
                    Undecodable {
                        dataset: Some(0),
                        origin: origin(label, number),
                        data: record.to_vec(),
                        code: code.to_owned(),
                        message,
                    },
                )),
            }
        }
        let mut nulled = VecDeque::new();
        if how.null_misfits {
            (bytes, nulled) = without_misfits(how, schema, label, bytes)?;
        }
        let reader = opened(&how.format, schema, label, bytes)?;
        let end = first + ranges.len() as u64;
        let records = first.max(skip).min(end);
        let label = label.to_owned();
        Ok(Self { label, text, reader, lines, nulled, taken: 0, flawed, end, records })
    }

    fn is_done(&self) -> bool {
        self.records == self.end && self.flawed.is_empty() && self.taken == self.lines.len()
    }

    fn next(&mut self, budget: Budget) -> Result<Option<Part>> {
        let chunk = self.reader.next(budget)?;
        if chunk.is_none() && self.flawed.is_empty() {
            return Ok(None);
        }
        let (batch, found) =
            chunk.map(|chunk| (chunk.batch, chunk.undecodable)).unwrap_or_default();
        let mut undecodable = Vec::with_capacity(found.len());
        self.taken += batch.as_ref().map_or(0, RecordBatch::num_rows) + found.len();
        for (line, record) in
            found.into_iter().filter_map(|record| Some((line_of(&record)?, record)))
        {
            // Told as the server sent it, and not as the line that was made of it.
            let Some((number, range)) = self.lines.get(line) else { continue };
            self.nulled.retain(|nulled| *nulled != line);
            undecodable.push(Undecodable {
                origin: origin(&self.label, *number),
                data: self.text.bytes()[range.clone()].to_vec(),
                ..record
            });
        }
        self.records = self.lines.get(self.taken).map_or(self.end, |(number, _)| *number);
        while let Some((_, record)) = self.flawed.pop_front_if(|(number, _)| *number < self.records)
        {
            undecodable.push(record);
        }
        let mut nulled = 0;
        while self.nulled.pop_front_if(|line| *line < self.taken).is_some() {
            nulled += 1;
        }
        Ok(Some(Part { batch, undecodable, nulled, records: self.records, inner: None }))
    }
}

/// What people see of a record: its page and its place in it, from 1.
fn origin(label: &str, number: u64) -> String {
    format!("{label}, record {}", number + 1)
}

/// The line, from 0, that a reader of lines has told.
fn line_of(record: &Undecodable) -> Option<usize> {
    let (_, line) = record.origin.rsplit_once(':')?;
    line.parse::<usize>().ok()?.checked_sub(1)
}

/// The lines with NULL in place of each value that does not fit its column, and which ones these are.
fn without_misfits(
    how: &How,
    schema: &SchemaRef,
    label: &str,
    bytes: Vec<u8>,
) -> Result<(Vec<u8>, VecDeque<usize>)> {
    let mut reader = opened(&how.format, schema, label, bytes.clone())?;
    let mut misfits = Vec::new();
    while let Some(chunk) = reader.next(ALL)? {
        misfits.extend(chunk.undecodable.iter().filter_map(line_of));
    }
    if misfits.is_empty() {
        return Ok((bytes, VecDeque::new()));
    }
    let mut lines = Vec::with_capacity(bytes.len());
    let mut misfits = misfits.into_iter().peekable();
    let mut nulled = VecDeque::new();
    for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let is_misfit = misfits.next_if_eq(&at).is_some();
        match is_misfit.then(|| how.without_misfits(schema, line)).flatten() {
            Some(line) => {
                nulled.push_back(at);
                lines.extend(line);
            }
            None => lines.extend_from_slice(line),
        }
    }
    Ok((lines, nulled))
}
