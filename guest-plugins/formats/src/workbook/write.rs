//! Writes workbooks of Excel (xlsx) with one sheet.
//!
//! Excel has numbers of 64 bits with a binary fraction, texts, booleans, and moments from 1900 to 9999 by the
//! millisecond. A value that would change is refused; what has no type of its own is a text.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
use sdk::{Fault, Result};

use crate::pack::Sink;
use crate::print::{Printer, Style};
use crate::storage::{Output, carried};
use crate::temporal::{parse_time, parse_timestamp};
use crate::value::is_exact;
use sdk::codec::Refused;

const ROWS_MAX: usize = 1_048_576;
const COLUMNS_MAX: usize = 16_384;
/// The cells of a file are held until it ends, and a guest has little memory.
const CELLS_MAX: usize = 1_000_000;
/// UTF-16 units of a cell's text.
const TEXT_MAX: usize = 32_767;
const DAY_MS: i64 = 86_400_000;
/// Days from the one that Excel counts from to 1970.
const DAYS_TO_EPOCH: i64 = 25_569;
/// 1900-03-01: Excel has a day before it that never was.
const FIRST_DAY: i64 = 61;
/// 9999-12-31.
const LAST_DAY: i64 = 2_958_465;

/// Writes one file.
pub(crate) struct WorkbookEncoder {
    sheet: Worksheet,
    output: Sink,
    schema: SchemaRef,
    day: Format,
    moment: Format,
    moment_ms: Format,
    time: Format,
    time_ms: Format,
    row: usize,
}

fn unwritable(error: XlsxError) -> Fault {
    carried(&error).unwrap_or_else(|| {
        Fault::plugin("format.excel", format!("the workbook can't be written: {error}"))
    })
}

fn style() -> Style {
    Style { separator: b' ', date: None }
}

impl WorkbookEncoder {
    pub(crate) fn new(
        output: Box<dyn Output>,
        schema: &SchemaRef,
        header: Option<&[String]>,
    ) -> Result<Self> {
        if schema.fields().len() > COLUMNS_MAX {
            let message = format!("a sheet of Excel has {COLUMNS_MAX} columns at most");
            return Err(Fault::user("format.type", message));
        }
        let mut sheet = Worksheet::new();
        for (column, name) in header.into_iter().flatten().enumerate() {
            check_text(name).map_err(|reason| {
                Fault::user("format.header", format!("the name \"{name}\" {reason}"))
            })?;
            sheet.write_string(0, column as u16, name).map_err(unwritable)?;
        }
        let format = |text: &str| Format::new().set_num_format(text);
        let encoder = Self {
            sheet,
            output: Sink(output),
            schema: schema.clone(),
            day: format("yyyy-mm-dd"),
            moment: format("yyyy-mm-dd hh:mm:ss"),
            moment_ms: format("yyyy-mm-dd hh:mm:ss.000"),
            time: format("hh:mm:ss"),
            time_ms: format("hh:mm:ss.000"),
            row: usize::from(header.is_some()),
        };
        // Each column has a text.
        let empty = RecordBatch::new_empty(schema.clone());
        printers(&empty, &style()).map(drop)?;
        Ok(encoder)
    }

    /// Rows that the file still takes.
    pub(crate) fn room(&self) -> usize {
        let width = self.schema.fields().len().max(1);
        ROWS_MAX.min((CELLS_MAX / width).max(2)).saturating_sub(self.row)
    }

    /// About the bytes that the file will have.
    pub(crate) fn bytes(&self) -> u64 {
        (self.row * self.schema.fields().len() * 8) as u64
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<Vec<Refused>> {
        let style = style();
        let printers = printers(batch, &style)?;
        let mut refused = Vec::new();
        let mut cells = Vec::with_capacity(printers.len());
        for row in 0..batch.num_rows() {
            cells.clear();
            let values = printers.iter().zip(batch.columns()).enumerate();
            let bad = values.into_iter().find_map(|(column, (printer, array))| {
                match cell(printer, array.data_type(), row) {
                    Ok(cell) => {
                        cells.push(cell);
                        None
                    }
                    Err(reason) => Some((column, reason)),
                }
            });
            if let Some((column, reason)) = bad {
                refused.push(Refused {
                    row: row as u32,
                    column: column as u32,
                    code: "format.unwritable".into(),
                    message: format!("the value {reason}"),
                });
                continue;
            }
            for (column, cell) in cells.iter().enumerate() {
                self.put(column as u16, cell)?;
            }
            self.row += 1;
        }
        Ok(refused)
    }

    fn put(&mut self, column: u16, cell: &Cell) -> Result<()> {
        let (sheet, row) = (&mut self.sheet, self.row as u32);
        let ms = |serial: f64| (serial * DAY_MS as f64).round() as i64 % 1000 != 0;
        let put = match cell {
            Cell::Empty => return Ok(()),
            Cell::Text(text) => sheet.write_string(row, column, text),
            Cell::Boolean(boolean) => sheet.write_boolean(row, column, *boolean),
            Cell::Number(number) => sheet.write_number(row, column, *number),
            Cell::Day(serial) => sheet.write_number_with_format(row, column, *serial, &self.day),
            Cell::Moment(serial) => {
                let format = if ms(*serial) { &self.moment_ms } else { &self.moment };
                sheet.write_number_with_format(row, column, *serial, format)
            }
            Cell::Time(serial) => {
                let format = if ms(*serial) { &self.time_ms } else { &self.time };
                sheet.write_number_with_format(row, column, *serial, format)
            }
        };
        put.map(drop).map_err(unwritable)
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        let mut book = Workbook::new();
        book.push_worksheet(self.sheet);
        book.save_to_writer(&mut self.output).map_err(unwritable)?;
        self.output.0.sync()
    }
}

fn printers<'a>(batch: &'a RecordBatch, style: &'a Style) -> Result<Vec<Printer<'a>>> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    columns.map(|(field, column)| Ok(Printer::new(field, column, style)?)).collect()
}

enum Cell {
    Empty,
    Text(String),
    Boolean(bool),
    Number(f64),
    /// These three by the days since the one that Excel counts from.
    Day(f64),
    Moment(f64),
    Time(f64),
}

/// What Excel has for a value, or why there is nothing.
fn cell(printer: &Printer<'_>, data_type: &DataType, row: usize) -> Result<Cell, &'static str> {
    if printer.is_null(row) {
        return Ok(Cell::Empty);
    }
    let mut text = Vec::new();
    printer.push(row, &mut text);
    let number = || std::str::from_utf8(&text).ok().and_then(|text| text.parse::<f64>().ok());
    match data_type {
        DataType::Boolean => Ok(Cell::Boolean(text == b"true")),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let number = number().filter(|number| number.is_finite());
            number.map(Cell::Number).ok_or("is no number that Excel has")
        }
        kind if kind.is_integer() || kind.is_decimal() => {
            let number = number().filter(|number| is_exact(&text, *number));
            number
                .map(Cell::Number)
                .ok_or("has more digits than a number of Excel; cast it to a text")
        }
        DataType::Date32 | DataType::Date64 => {
            serial(&text).map(Cell::Day).ok_or("is no date from 1900-03-01 to 9999-12-31")
        }
        DataType::Timestamp(_, None) => serial(&text)
            .map(Cell::Moment)
            .ok_or("is no moment by the millisecond from 1900-03-01 to 9999-12-31"),
        DataType::Time32(_) | DataType::Time64(_) => parse_time(&text)
            .ok()
            .filter(|us| us % 1000 == 0 && us / 1000 < DAY_MS)
            .map(|us| Cell::Time((us / 1000) as f64 / DAY_MS as f64))
            .ok_or("is no time of day by the millisecond"),
        _ => {
            let text = String::from_utf8(text).map_err(|_| "is no text")?;
            check_text(&text)?;
            Ok(Cell::Text(text))
        }
    }
}

fn check_text(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is an empty text, which Excel does not tell from no value");
    }
    if text.len() > TEXT_MAX && text.encode_utf16().count() > TEXT_MAX {
        return Err("is longer than the 32,767 characters of a cell");
    }
    Ok(())
}

/// Days since the one that Excel counts from, with the part of the day.
fn serial(text: &[u8]) -> Option<f64> {
    let (us, None) = parse_timestamp(text).ok()? else { return None };
    if us % 1000 != 0 {
        return None;
    }
    let ms = us / 1000;
    let days = ms.div_euclid(DAY_MS) + DAYS_TO_EPOCH;
    let part = ms.rem_euclid(DAY_MS) as f64 / DAY_MS as f64;
    (FIRST_DAY..=LAST_DAY).contains(&days).then_some(days as f64 + part)
}
