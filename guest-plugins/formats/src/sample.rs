//! The columns of files from a look at some of their records.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use sdk::{Fault, Result};

use crate::cells::Cells;
use crate::columns::{Found, column_name};
use crate::csv::{self, Dialect, Fields, Scan};
use crate::head::{COLUMNS_MAX, Head};
use crate::infer::Guess;
use crate::json::{self, Shape};
use crate::kind::Kind;
use crate::pack::Wrapping;
use crate::read::{Format, Header, ReadFormat};
use crate::storage::Input;
use crate::window::{BLOCK_BYTES, Window};

/// Files that are looked at: the first, the last, and some between.
const SAMPLE_FILES_MAX: usize = 8;
/// A smaller file is looked at whole.
const WHOLE_BYTES_MAX: u64 = 1 << 20;
/// Bytes at the beginning of a packed or encoded text, which has no middle that could be read alone.
const PACKED_BYTES: usize = 1 << 20;

/// A part of a file to look at.
struct Part {
    window: Window,
    /// Its first bytes may be the rest of a record.
    ragged: bool,
}

impl ReadFormat {
    /// The fields of the job's files; `open` opens the file with that index.
    pub fn schema(
        &self,
        files: usize,
        open: &dyn Fn(usize) -> Result<Arc<dyn Input>>,
    ) -> Result<SchemaRef> {
        match self.format.is_text() {
            true => self.text_schema(files, open),
            false => self.own_schema(files, open),
        }
    }

    /// As [`Self::schema`], for a plug-in that reads text alone and is spared the code of all else.
    pub fn text_schema(
        &self,
        files: usize,
        open: &dyn Fn(usize) -> Result<Arc<dyn Input>>,
    ) -> Result<SchemaRef> {
        let mut found = Found { header: self.header.clone(), ..Found::default() };
        if self.wanted.needs_sample() {
            let mut guesses = Vec::new();
            for file in chosen(files) {
                self.look_at(&open(file)?, &mut found.names, &mut guesses)?;
            }
            found.fields = fields(&found.names, &guesses);
        }
        let schema = self.wanted.schema(&found)?;
        // What can be wrong with the names shows here, and not in the first split.
        if files > 0 && matches!(self.format, Format::Csv(_)) {
            let input = open(0)?;
            let head = Head::read(self, &input, &self.wrapping_of(&input)?)?;
            self.check(&head, &schema)?;
        }
        Ok(schema)
    }

    /// The fields of the first file, which the others must have. Any of them may hold NULL where there
    /// are several: what one file promises says nothing of another.
    fn own_schema(
        &self,
        files: usize,
        open: &dyn Fn(usize) -> Result<Arc<dyn Input>>,
    ) -> Result<SchemaRef> {
        let schema = self.own(&open(0)?)?.schema(&self.wanted)?;
        if files < 2 {
            return Ok(schema);
        }
        let nullable = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
        let schema = Schema::new(schema.fields().iter().map(nullable).collect::<Vec<_>>());
        for file in chosen(files).into_iter().skip(1) {
            self.own(&open(file)?)?.sources(&self.wanted, &schema)?;
        }
        Ok(Arc::new(schema))
    }

    fn look_at(
        &self,
        input: &Arc<dyn Input>,
        names: &mut Vec<String>,
        guesses: &mut Vec<Column>,
    ) -> Result<()> {
        let wrapping = self.wrapping_of(input)?;
        let head = Head::read(self, input, &wrapping)?;
        let mut parts = parts(input, &wrapping, head.start.offset)?;
        for part in &mut parts {
            match &self.format {
                Format::Csv(dialect) => {
                    look_at_csv(part, dialect, (&head, &self.header), names, guesses)?
                }
                _ => look_at_json(part, names, guesses)?,
            }
        }
        Ok(())
    }
}

/// What is known of one column.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    guess: Guess,
    /// Nested JSON values among them, and others.
    nested: bool,
    other: bool,
}

fn chosen(files: usize) -> Vec<usize> {
    if files <= SAMPLE_FILES_MAX {
        return (0..files).collect();
    }
    (0..SAMPLE_FILES_MAX).map(|at| at * (files - 1) / (SAMPLE_FILES_MAX - 1)).collect()
}

fn parts(input: &Arc<dyn Input>, wrapping: &Wrapping, start: u64) -> Result<Vec<Part>> {
    let length = input.len();
    if !wrapping.is_plain() {
        let mut window = Window::whole(input, wrapping)?;
        window.fill(PACKED_BYTES)?;
        window.consume((start as usize).min(window.bytes().len()));
        return Ok(vec![Part { window, ragged: false }]);
    }
    let part = |from: u64, to: u64| -> Result<Part> {
        let mut window = Window::plain(input.clone(), from, to);
        window.fill(usize::MAX / 2)?;
        Ok(Part { window, ragged: from > start })
    };
    if length <= WHOLE_BYTES_MAX {
        return Ok(vec![part(start, length)?]);
    }
    let block = BLOCK_BYTES as u64;
    let middle = length / 2;
    Ok(vec![
        part(start, start + block)?,
        part(middle, middle + block)?,
        part(length - block, length)?,
    ])
}

fn fields(names: &[String], columns: &[Column]) -> Vec<Field> {
    let pairs = names.iter().zip(columns.iter().copied().map(Some).chain(std::iter::repeat(None)));
    pairs
        .map(|(name, column)| {
            let column = column.unwrap_or_default();
            if column.nested && !column.other {
                let json = [("ARROW:extension:name".to_owned(), "arrow.json".to_owned())];
                return Kind::Text.field(name).with_metadata(json);
            }
            column.guess.kind().field(name)
        })
        .collect()
}

fn look_at_csv(
    part: &Part,
    dialect: &Dialect,
    (head, header): (&Head, &Header),
    names: &mut Vec<String>,
    columns: &mut Vec<Column>,
) -> Result<()> {
    let bytes = part.window.bytes();
    let mut at = if part.ragged { behind_line(bytes, dialect.line_end) } else { 0 };
    if names.is_empty() {
        *names = match &head.names {
            Some(names) => names.clone(),
            None => (0..first_width(bytes, at, dialect)).map(column_name).collect(),
        };
        columns.resize(names.len(), Column::default());
    }
    let width = names.len();
    let order = order(head, header, names)?;
    let mut tokenizer = csv::Tokenizer::new(dialect.clone(), Fields::Exactly(width));
    let mut cells = Cells::new(width);
    let mut seen = columns.clone();
    let (mut good, mut bad) = (0_u64, 0_u64);
    loop {
        cells.clear();
        match tokenizer.record(bytes, at, part.window.ended() && !cut_off(part), &mut cells) {
            Scan::Skipped { next, .. } => at = next,
            Scan::Incomplete => break,
            Scan::Record => {
                at = cells.records[0].next as usize;
                // A record of another width is dirty, or the part began inside quotes.
                if !cells.take_flaws().is_empty() {
                    bad += 1;
                    continue;
                }
                good += 1;
                for (column, index) in seen.iter_mut().zip(&order) {
                    if let Some(text) = cells.text(bytes, 0, *index) {
                        column.guess.add(text);
                    }
                }
            }
        }
    }
    // Most records do not fit: the part began inside quotes and says nothing.
    if !part.ragged || good >= bad {
        *columns = seen;
    }
    Ok(())
}

/// A part of the middle ends anywhere, so that its last record is not looked at.
fn cut_off(part: &Part) -> bool {
    part.window.bytes().last().is_some_and(|byte| *byte != b'\n')
        && part.window.bytes().len() == BLOCK_BYTES
}

fn behind_line(bytes: &[u8], line_end: u8) -> usize {
    memchr::memchr(line_end, bytes).map_or(bytes.len(), |at| at + 1)
}

/// Where this file has the columns of the first one.
fn order(head: &Head, header: &Header, names: &[String]) -> Result<Vec<usize>> {
    let Some(own) = &head.names else { return Ok((0..names.len()).collect()) };
    let find = |name: &String| own.iter().position(|known| header.same_name(known, name));
    names
        .iter()
        .map(find)
        .collect::<Option<Vec<_>>>()
        .filter(|_| own.len() == names.len())
        .ok_or_else(|| {
            let message =
                format!("\"{}\" has other columns than other files of the job", head.label);
            Fault::data("format.columns_differ", message)
                .hint("list \"column\" with the columns that all files have")
        })
}

fn first_width(bytes: &[u8], mut at: usize, dialect: &Dialect) -> usize {
    // Empty lines say nothing about the number of fields.
    let mut tokenizer = csv::Tokenizer::new(dialect.clone(), Fields::AtLeast(2));
    let mut cells = Cells::new(0);
    loop {
        match tokenizer.record(bytes, at, true, &mut cells) {
            Scan::Record => return (cells.records[0].fields as usize).min(COLUMNS_MAX),
            Scan::Skipped { next, .. } => at = next,
            Scan::Incomplete => return 0,
        }
    }
}

fn look_at_json(part: &Part, names: &mut Vec<String>, columns: &mut Vec<Column>) -> Result<()> {
    let bytes = part.window.bytes();
    let begin = if part.ragged { behind_line(bytes, b'\n') } else { 0 };
    let ended = part.window.ended() && !cut_off(part);
    let mut learning = json::Tokenizer::learning();
    each_line(&mut learning, bytes, begin, ended, 0, &mut |_, _| {});
    for name in learning.names() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > COLUMNS_MAX {
        let message = format!("the objects have more than {COLUMNS_MAX} different members");
        return Err(Fault::data("format.columns", message).hint("list \"column\""));
    }
    columns.resize(names.len(), Column::default());
    let mut noting = json::Tokenizer::noting(names);
    each_line(&mut noting, bytes, begin, ended, names.len(), &mut |shapes, cells| {
        for (column, shape) in shapes {
            columns[*column].see(*shape, cells.text(bytes, 0, *column));
        }
    });
    Ok(())
}

/// Takes the shapes of a record's values, by column, and its cells.
type See<'a> = dyn FnMut(&[(usize, Shape)], &Cells) + 'a;

fn each_line(
    tokenizer: &mut json::Tokenizer,
    bytes: &[u8],
    mut at: usize,
    ended: bool,
    width: usize,
    see: &mut See,
) {
    let mut cells = Cells::new(width);
    loop {
        cells.clear();
        match tokenizer.record(bytes, at, ended, &mut cells) {
            Scan::Skipped { next, .. } => at = next,
            Scan::Incomplete => return,
            Scan::Record => {
                at = cells.records[0].next as usize;
                let shapes = tokenizer.take_shapes();
                let shapes: Vec<_> =
                    shapes.into_iter().map(|(_, column, shape)| (column, shape)).collect();
                if cells.take_flaws().is_empty() {
                    see(&shapes, &cells);
                }
            }
        }
    }
}

impl Column {
    fn see(&mut self, shape: Shape, text: Option<&[u8]>) {
        let mut guess = Guess::Nothing;
        match (shape, text) {
            (Shape::Null, _) | (_, None) => return,
            (Shape::Number | Shape::Boolean, Some(text)) => {
                self.other = true;
                guess.add(text);
            }
            (Shape::Nested, _) => {
                self.nested = true;
                guess = Guess::Text;
            }
            (Shape::Text, Some(text)) => {
                self.other = true;
                // JSON has no dates, so that they stand in strings; a number in a string is a text.
                guess.add(text);
                if !matches!(guess, Guess::Date | Guess::Timestamp | Guess::Instant) {
                    guess = Guess::Text;
                }
            }
        }
        self.guess.merge(guess);
    }
}
