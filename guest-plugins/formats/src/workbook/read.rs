//! A sheet as the text of a CSV file, so that headers, types and dirty records are those of any text.
//!
//! A sheet is read in blocks of rows, each in a pass of its own, since no library goes on where it stood
//! without holding the sheet.

use std::fmt::Write as _;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use calamine::{DataType, ExcelDateTime, Ods, Reader, SheetType, Xls, Xlsx};
use sdk::{Fault, Result};

use crate::storage::{Input, Range, carried, io_error};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Texts of a block's cells.
const BLOCK_BYTES: usize = 16 << 20;
/// Bytes that a cell takes beside its text.
const CELL_BYTES: usize = size_of::<Cell>();
/// Behind the last day that Excel has, the end of the year 9999.
const DAYS_END: f64 = 2_958_466.0;
/// How a workbook begins that is no ZIP archive: one of Excel before 2007, or one with a password.
const OLD_MAGIC: [u8; 4] = [0xd0, 0xcf, 0x11, 0xe0];
const DAY_MS: f64 = 86_400_000.0;

type Bytes = BufReader<Range>;

enum Book {
    Xlsx(Box<Xlsx<Bytes>>),
    Xls(Box<Xls<Bytes>>),
    Ods(Box<Ods<Bytes>>),
}

fn unreadable(label: &str, error: &(dyn std::error::Error + 'static)) -> Fault {
    carried(error).unwrap_or_else(|| {
        let message = format!("\"{label}\" is no readable workbook: {error}");
        Fault::data("format.corrupt", message).hint(
            "xlsx, xls and ods without a password are read; the file may be cut off: copy it again",
        )
    })
}

impl Book {
    fn open(input: &Arc<dyn Input>) -> Result<Self> {
        let label = input.label();
        let bytes = || BufReader::with_capacity(READ_BYTES, Range::all(input.clone()));
        let mut magic = [0; OLD_MAGIC.len()];
        let count = input.read_at(0, &mut magic)?;
        if count == magic.len() && magic == OLD_MAGIC {
            let xls = Xls::new(bytes()).map_err(|error| unreadable(label, &error))?;
            return Ok(Self::Xls(Box::new(xls)));
        }
        match Xlsx::new(bytes()) {
            Ok(xlsx) => Ok(Self::Xlsx(Box::new(xlsx))),
            Err(error) => match Ods::new(bytes()) {
                Ok(ods) => Ok(Self::Ods(Box::new(ods))),
                Err(_) => Err(unreadable(label, &error)),
            },
        }
    }

    /// Those that hold cells, and no charts.
    fn sheets(&self) -> Vec<String> {
        let all = match self {
            Self::Xlsx(book) => book.sheets_metadata(),
            Self::Xls(book) => book.sheets_metadata(),
            Self::Ods(book) => book.sheets_metadata(),
        };
        let sheets = all.iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
        sheets.map(|sheet| sheet.name.clone()).collect()
    }

    /// Gives the cells of a sheet to `take` in order, until that answers that it has enough.
    fn cells(&mut self, sheet: &str, label: &str, block: &mut Block) -> Result<()> {
        let range = match self {
            Self::Xlsx(book) => {
                let wrong = |error: calamine::XlsxError| unreadable(label, &error);
                let mut cells = book.worksheet_cells_reader(sheet).map_err(wrong)?;
                while let Some(cell) = cells.next_cell().map_err(wrong)? {
                    if !block.take(cell.get_position(), cell.get_value()) {
                        break;
                    }
                }
                return Ok(());
            }
            Self::Xls(book) => {
                book.worksheet_range(sheet).map_err(|error| unreadable(label, &error))?
            }
            Self::Ods(book) => {
                book.worksheet_range(sheet).map_err(|error| unreadable(label, &error))?
            }
        };
        let (row, column) = range.start().unwrap_or_default();
        for (below, right, value) in range.used_cells() {
            if !block.take((row + below as u32, column + right as u32), value) {
                break;
            }
        }
        Ok(())
    }
}

/// The sheets that a job reads, each with its place among all: those with these names, or the first; `*` is
/// all of them.
pub(crate) fn sheets(input: &Arc<dyn Input>, wanted: &[String]) -> Result<Vec<(usize, String)>> {
    let all = Book::open(input)?.sheets();
    let mut sheets: Vec<_> = all.iter().cloned().enumerate().collect();
    if wanted.is_empty() {
        sheets.truncate(1);
    } else if wanted != ["*"] {
        if let Some(missing) = wanted.iter().find(|name| !all.contains(name)) {
            let message = format!("\"{}\" has no sheet \"{missing}\"", input.label());
            return Err(Fault::user("format.no_sheet", message)
                .hint(format!("its sheets are \"{}\"", all.join("\", \"")))
                .at("/parameter/sheet"));
        }
        sheets.retain(|(_, name)| wanted.contains(name));
    }
    if sheets.is_empty() {
        let message = format!("\"{}\" has no sheet with cells", input.label());
        return Err(Fault::data("format.no_sheet", message));
    }
    Ok(sheets)
}

/// How the text of a cell is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A number, a boolean or a time.
    Plain,
    Text,
    /// A date, or a moment at midnight: Excel does not tell them apart.
    Day,
    Moment,
}

struct Cell {
    row: u32,
    column: u32,
    start: usize,
    end: usize,
    shape: Shape,
}

/// Some rows of a sheet. One is used for all blocks, since its vectors are large.
#[derive(Default)]
struct Block {
    /// Rows before it were read.
    from: u32,
    /// The row behind the block; `None`: the sheet ends with it.
    next: Option<u32>,
    text: String,
    cells: Vec<Cell>,
}

impl Block {
    /// Empties it, for the rows from `from` on.
    fn begin(&mut self, from: u32) {
        (self.from, self.next) = (from, None);
        self.text.clear();
        self.cells.clear();
    }

    /// Keeps a cell; false where the block is full.
    fn take(&mut self, (row, column): (u32, u32), value: &impl DataType) -> bool {
        if row < self.from || value.is_empty() {
            return true;
        }
        let bytes = self.text.len() + self.cells.len() * CELL_BYTES;
        if bytes >= BLOCK_BYTES && self.cells.last().is_some_and(|last| last.row != row) {
            self.next = Some(row);
            return false;
        }
        let start = self.text.len();
        let shape = push(value, &mut self.text);
        self.cells.push(Cell { row, column, start, end: self.text.len(), shape });
        true
    }

    fn width(&self) -> usize {
        self.cells.iter().map(|cell| cell.column as usize + 1).max().unwrap_or(0)
    }

    /// As records of CSV with `width` fields, or more where a row is longer.
    fn print(&mut self, width: usize, out: &mut Vec<u8>) {
        // In place: the cells take much of the memory.
        self.cells.sort_unstable_by_key(|cell| (cell.row, cell.column));
        let mut moments = vec![false; width];
        for cell in self.cells.iter().filter(|cell| cell.shape == Shape::Moment) {
            if let Some(has) = moments.get_mut(cell.column as usize) {
                *has = true;
            }
        }
        for row in self.cells.chunk_by(|a, b| a.row == b.row) {
            let mut fields = 0;
            for cell in row {
                while fields < cell.column as usize {
                    out.push(b',');
                    fields += 1;
                }
                let has_moments = moments.get(cell.column as usize).is_some_and(|has| *has);
                cell.print(&self.text[cell.start..cell.end], has_moments, out);
            }
            out.extend(std::iter::repeat_n(b',', (width - 1).saturating_sub(fields)));
            out.push(b'\n');
        }
    }
}

impl Cell {
    /// A day in a column of moments is one too.
    fn print(&self, text: &str, has_moments: bool, out: &mut Vec<u8>) {
        match self.shape {
            Shape::Text => {
                out.push(b'"');
                out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
                out.push(b'"');
            }
            shape => {
                out.extend_from_slice(text.as_bytes());
                if shape == Shape::Day && has_moments {
                    out.extend_from_slice(b" 00:00:00");
                }
            }
        }
    }
}

fn push(value: &impl DataType, out: &mut String) -> Shape {
    if let Some(text) = value.get_string() {
        out.push_str(text);
        return Shape::Text;
    }
    if let Some(error) = value.get_error() {
        let _ = write!(out, "{error}");
        return Shape::Text;
    }
    if let Some(at) = value.get_datetime() {
        return push_moment(&at, out);
    }
    if let Some(text) = value.get_datetime_iso() {
        out.push_str(text);
        return if text.contains('T') { Shape::Moment } else { Shape::Day };
    }
    match (value.get_int(), value.get_float(), value.get_bool(), value.get_duration_iso()) {
        (Some(number), ..) => out.push_str(&number.to_string()),
        (_, Some(number), ..) => push_number(number, out),
        (_, _, Some(boolean), _) => out.push_str(if boolean { "true" } else { "false" }),
        (.., Some(text)) => out.push_str(text),
        _ => {}
    }
    Shape::Plain
}

fn push_number(number: f64, out: &mut String) {
    let size = number.abs();
    let _ = match number == 0.0 || (1e-5..1e16).contains(&size) {
        true => write!(out, "{number}"),
        false => write!(out, "{number:e}"),
    };
}

fn push_moment(at: &ExcelDateTime, out: &mut String) -> Shape {
    let value = at.as_f64();
    if !(0.0..DAYS_END).contains(&value) {
        push_number(value, out);
        return Shape::Plain;
    }
    if at.is_duration() || value < 1.0 {
        let ms = (value * DAY_MS).round() as u64;
        let (seconds, ms) = (ms / 1000, ms % 1000);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        push_time(hours, minutes, seconds % 60, ms, out);
        return Shape::Plain;
    }
    let (year, month, day, hour, minute, second, ms) = at.to_ymd_hms_milli();
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
    if (hour, minute, second, ms) == (0, 0, 0, 0) {
        return Shape::Day;
    }
    out.push(' ');
    push_time(hour.into(), minute.into(), second.into(), ms.into(), out);
    Shape::Moment
}

fn push_time(hour: u64, minute: u64, second: u64, ms: u64, out: &mut String) {
    let _ = write!(out, "{hour:02}:{minute:02}:{second:02}");
    if ms > 0 {
        let _ = write!(out, ".{ms:03}");
    }
}

/// The text of one sheet.
pub(crate) struct SheetText {
    book: Book,
    sheet: String,
    label: String,
    /// Fields of each record.
    width: usize,
    /// The row that comes next; `None` at the end.
    next: Option<u32>,
    block: Block,
    text: Vec<u8>,
    at: usize,
}

impl SheetText {
    /// `index` is the sheet's place among all.
    pub(crate) fn open(input: &Arc<dyn Input>, index: usize) -> Result<Self> {
        let book = Book::open(input)?;
        let label = input.label().to_owned();
        let sheet = book.sheets().into_iter().nth(index);
        let sheet = sheet.ok_or_else(|| crate::changed(&label))?;
        let (block, text) = (Block::default(), Vec::new());
        Ok(Self { book, sheet, label, width: 0, next: Some(0), block, text, at: 0 })
    }

    fn fill(&mut self, from: u32) -> Result<()> {
        self.block.begin(from);
        self.book.cells(&self.sheet, &self.label, &mut self.block)?;
        self.next = self.block.next;
        // What is wider than the first rows is told, as any record that is too long.
        if self.width == 0 {
            self.width = self.block.width();
        }
        self.text.clear();
        self.at = 0;
        self.block.print(self.width, &mut self.text);
        Ok(())
    }
}

impl Read for SheetText {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() {
            let Some(from) = self.next else { return Ok(0) };
            self.fill(from).map_err(io_error)?;
        }
        let rest = &self.text[self.at..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}
