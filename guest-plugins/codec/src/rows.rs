//! Rows as text: delimited or fixed width, and JSON lines.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::bounds::{self, MARK_BYTES_MAX, RECORD_WIDTH_MAX};
use crate::fault::Result;
use crate::fixed;
use crate::print::{Printer, Shape, Style, json_name};
use crate::written;
use crate::{Encoder, Refused};

/// How delimited text is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CsvStyle {
    #[serde(with = "written::byte")]
    pub delimiter: u8,
    /// `None`: a value that would need quotes is refused.
    #[serde(with = "written::maybe_byte")]
    pub quote: Option<u8>,
    /// Stands before a quote in quotes; else a quote is doubled.
    #[serde(with = "written::maybe_byte")]
    pub escape: Option<u8>,
    #[serde(with = "written::text")]
    pub line_end: Vec<u8>,
    /// Written for NULL, unquoted.
    #[serde(with = "written::text")]
    pub null: Vec<u8>,
    /// Names of the columns in the first record, which is not written here.
    pub header: Option<Vec<String>>,
    pub style: Style,
    /// Characters of each column, with blanks around its values and no delimiters.
    pub widths: Option<Vec<usize>>,
}

/// Writes rows as records of text, one behind the other.
pub struct TextRows {
    schema: SchemaRef,
    frame: Frame,
}

enum Frame {
    Csv(CsvStyle),
    /// The text before each member's value.
    Json {
        names: Vec<Vec<u8>>,
        style: Style,
    },
}

/// The column that can't be written, and why.
pub type Unwritable = (usize, &'static str);

impl TextRows {
    /// # Errors
    /// `format.type`, for a column without a text; `codec.options` for texts and widths beyond all use.
    pub fn csv(style: CsvStyle, schema: &SchemaRef) -> Result<Self> {
        style.check()?;
        Self::new(Frame::Csv(style), schema)
    }

    /// # Errors
    /// As [`Self::csv`].
    pub fn json(schema: &SchemaRef) -> Result<Self> {
        let name = |(at, field): (usize, &Arc<Field>)| {
            let mut name = vec![if at == 0 { b'{' } else { b',' }];
            name.extend(json_name(field.name()));
            name.push(b':');
            name
        };
        let names = schema.fields().iter().enumerate().map(name).collect();
        let style = Style { separator: b'T', date: None };
        Self::new(Frame::Json { names, style }, schema)
    }

    fn new(frame: Frame, schema: &SchemaRef) -> Result<Self> {
        let rows = Self { schema: schema.clone(), frame };
        rows.printers(&RecordBatch::new_empty(schema.clone()))?;
        Ok(rows)
    }

    fn printers<'a>(&'a self, batch: &'a RecordBatch) -> Result<Vec<Printer<'a>>> {
        let style = match &self.frame {
            Frame::Csv(csv) => &csv.style,
            Frame::Json { style, .. } => style,
        };
        let columns = self.schema.fields().iter().zip(batch.columns());
        columns.map(|(field, column)| Printer::new(field, column, style)).collect()
    }

    /// Appends the records of `batch`. `framed` sees each one from where it begins, and may change it.
    ///
    /// # Errors
    /// `codec.answer`; as [`Self::csv`].
    pub fn write(
        &self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        framed: impl Fn(&[Printer<'_>], usize, usize, &mut Vec<u8>) -> Result<(), Unwritable>,
    ) -> Result<Vec<Refused>> {
        let printers = self.printers(batch)?;
        let safe: Vec<_> = match &self.frame {
            Frame::Csv(style) => printers.iter().map(|it| style.is_safe(it.shape)).collect(),
            Frame::Json { .. } => Vec::new(),
        };
        let mut refused = Vec::new();
        for row in 0..batch.num_rows() {
            let from = out.len();
            let record = self.frame.record(&printers, &safe, row, out);
            let record = record.and_then(|()| framed(&printers, row, from, out));
            bounds::check_answer(out.len())?;
            if let Err((column, reason)) = record {
                out.truncate(from);
                refused.push(Refused {
                    row: row as u32,
                    column: column as u32,
                    code: "format.unwritable".into(),
                    message: format!("the value {reason}"),
                });
            }
        }
        Ok(refused)
    }
}

impl Encoder for TextRows {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<Vec<Refused>> {
        self.write(rows, out, |_, _, _, _| Ok(()))
    }
}

impl Frame {
    /// Appends one record.
    fn record(
        &self,
        printers: &[Printer<'_>],
        safe: &[bool],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        let names = match self {
            Self::Csv(style) => return style.record(printers, safe, row, out),
            Self::Json { names, .. } => names,
        };
        for (name, printer) in names.iter().zip(printers) {
            out.extend_from_slice(name);
            printer.push_json(row, out);
        }
        out.extend_from_slice(if names.is_empty() { b"{}\n" } else { b"}\n" });
        Ok(())
    }
}

impl CsvStyle {
    /// Texts that are written with each record are short.
    fn check(&self) -> Result<()> {
        bounds::check_option("bytes of the text for NULL", self.null.len(), MARK_BYTES_MAX)?;
        bounds::check_option("bytes of a line's end", self.line_end.len(), MARK_BYTES_MAX)?;
        let widths = self.widths.iter().flatten();
        let width = widths.fold(0_usize, |sum, width| sum.saturating_add(*width));
        bounds::check_option("characters of a record", width, RECORD_WIDTH_MAX)
    }

    /// Appends one record, or answers the column that can't be written.
    fn record(
        &self,
        printers: &[Printer<'_>],
        safe: &[bool],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        if let Some(widths) = &self.widths {
            return self.fixed(widths, printers, row, out);
        }
        for (column, printer) in printers.iter().enumerate() {
            if column > 0 {
                out.push(self.delimiter);
            }
            if printer.is_null(row) {
                out.extend_from_slice(&self.null);
                continue;
            }
            let from = out.len();
            printer.push(row, out);
            if !safe[column] || out[from..] == self.null[..] {
                self.frame(from, out).map_err(|reason| (column, reason))?;
            }
        }
        out.extend_from_slice(&self.line_end);
        Ok(())
    }

    fn fixed(
        &self,
        widths: &[usize],
        printers: &[Printer<'_>],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        let mut text = Vec::new();
        for (column, (printer, width)) in printers.iter().zip(widths).enumerate() {
            text.clear();
            if printer.is_null(row) {
                out.extend_from_slice(&self.null);
                out.extend(std::iter::repeat_n(b' ', width.saturating_sub(self.null.len())));
                continue;
            }
            printer.push(row, &mut text);
            if text == self.null {
                return Err((column, "reads like NULL"));
            }
            let right = matches!(printer.shape, Shape::Number | Shape::Float);
            fixed::push(&text, *width, right, out).map_err(|reason| (column, reason))?;
        }
        out.extend_from_slice(&self.line_end);
        Ok(())
    }

    /// Whether texts of this shape never hold a character that has a meaning. A pattern for dates may
    /// hold any.
    fn is_safe(&self, shape: Shape) -> bool {
        let used = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-/=:. ".contains(byte);
        let marks = [Some(self.delimiter), self.quote, self.escape];
        let usual = !marks.iter().flatten().chain(&self.line_end).any(used);
        match shape {
            Shape::Text | Shape::Json | Shape::Nested => false,
            Shape::Plain => usual && self.style.date.is_none(),
            Shape::Number | Shape::Float | Shape::Boolean => usual,
        }
    }

    /// Quotes the text from `from` on, where it needs that.
    pub fn frame(&self, from: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let text = &out[from..];
        let is_null = text == self.null;
        let special = |byte: &u8| {
            *byte == self.delimiter
                || matches!(byte, b'\n' | b'\r')
                || Some(*byte) == self.quote
                || Some(*byte) == self.escape
                || self.line_end.contains(byte)
        };
        // The mark of UTF-8 at the beginning of a file would be taken away.
        let marked = text.starts_with(b"\xef\xbb\xbf");
        if !is_null && !marked && !text.iter().any(special) {
            return Ok(());
        }
        let Some(quote) = self.quote else {
            return Err(match is_null {
                true => {
                    "reads like NULL, and the text has no quotes; set \"nullFormat\" or write csv"
                }
                false => "holds a delimiter or a line end, and the text has no quotes; write csv",
            });
        };
        let escape = self.escape.unwrap_or(quote);
        let marked = |byte: u8| byte == quote || Some(byte) == self.escape;
        let end = out.len();
        let escapes = out[from..].iter().filter(|byte| marked(**byte)).count();
        out.resize(end + escapes + 2, quote);
        // From the end, so that each byte is moved before its place is taken.
        let mut to = out.len() - 1;
        for at in (from..end).rev() {
            let byte = out[at];
            to -= 1;
            out[to] = byte;
            if marked(byte) {
                to -= 1;
                out[to] = escape;
            }
        }
        out[from] = quote;
        Ok(())
    }
}
