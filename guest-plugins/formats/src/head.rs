//! The beginning of a text file: its byte order mark and its header.

use std::sync::Arc;

use sdk::{Fault, Result};

use crate::bounds::Start;
use crate::cells::Cells;
use crate::columns::column_name;
use crate::csv::{Fields, Scan, Tokenizer};
use crate::pack::Wrapping;
use crate::read::{Format, Header, ReadFormat};
use crate::storage::Input;
use crate::window::{BLOCK_BYTES, Window};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// More columns than any file has; a header beyond it is none.
pub(crate) const COLUMNS_MAX: usize = 16_384;

/// What stands before the records.
pub(crate) struct Head {
    pub(crate) label: String,
    /// Of the columns, where the file or the job names them.
    pub(crate) names: Option<Vec<String>>,
    /// Fields of the first record of delimited text without names; `None` where there is no record.
    pub(crate) width: Option<usize>,
    /// The first record.
    pub(crate) start: Start,
}

impl Head {
    pub(crate) fn read(
        how: &ReadFormat,
        input: &Arc<dyn Input>,
        wrapping: &Wrapping,
    ) -> Result<Self> {
        let mut window = Window::whole(input, wrapping)?;
        // A plain file's header rarely needs more than its first kilobytes.
        window.fill(BLOCK_BYTES.min(16 << 10))?;
        if window.bytes().starts_with(BYTE_ORDER_MARK) {
            window.consume(BYTE_ORDER_MARK.len());
        }
        let mut head = Self {
            label: input.label().to_owned(),
            names: how.header.names.clone(),
            width: None,
            start: Start { offset: window.offset(), line: Some(1) },
        };
        let dialect = match &how.format {
            Format::Csv(dialect) if how.header.line || head.names.is_none() => dialect,
            _ => return Ok(head),
        };
        // An empty line is no header, and says nothing of the number of fields.
        let mut tokenizer = Tokenizer::new(dialect.clone(), Fields::AtLeast(2));
        let mut cells = Cells::new(COLUMNS_MAX);
        let mut line = 1;
        loop {
            match tokenizer.record(window.bytes(), 0, window.ended(), &mut cells) {
                Scan::Record => break,
                Scan::Skipped { next, lines } => {
                    window.consume(next);
                    line += u64::from(lines);
                }
                Scan::Incomplete if window.ended() => {
                    if how.header.line {
                        head.start.offset = window.offset();
                    }
                    return Ok(head);
                }
                Scan::Incomplete => window.grow()?,
            }
        }
        let record = cells.records[0];
        if !how.header.line {
            head.width = Some(record.fields as usize);
            return Ok(head);
        }
        if head.names.is_none() {
            head.names = Some(names(&head.label, &cells, window.bytes(), record.fields as usize)?);
        }
        window.consume(record.next as usize);
        line += u64::from(record.lines);
        head.start = Start { offset: window.offset(), line: Some(line) };
        Ok(head)
    }

    /// The index of the column with this name.
    pub(crate) fn find(&self, name: &str, header: &Header, place: &str) -> Result<usize> {
        let names = self.names.as_deref().ok_or_else(|| {
            let message =
                format!("column \"{name}\" is named, but \"{}\" has no header", self.label);
            Fault::user("parameter.invalid", message)
                .hint("set \"header\" to true or to the list of names, or use \"index\"")
                .at(place)
        })?;
        names.iter().position(|known| header.same_name(known, name)).ok_or_else(|| {
            let message = format!("\"{}\" has no column \"{name}\"", self.label);
            Fault::data("format.column_missing", message)
                .hint(format!("its header has {}", listing(names)))
                .at(place)
        })
    }
}

/// The first names of a header, for messages.
fn listing(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("\"{name}\"")).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn names(label: &str, cells: &Cells, window: &[u8], fields: usize) -> Result<Vec<String>> {
    let wrong = |message: String| {
        Err(Fault::data("format.header", message)
            .hint("write the names as a list in \"header\", with \"skipHeader\": true"))
    };
    if fields > COLUMNS_MAX {
        return wrong(format!("the header of \"{label}\" has more than {COLUMNS_MAX} names"));
    }
    let mut names: Vec<String> = Vec::with_capacity(fields);
    for index in 0..fields {
        let name = match cells.text(window, 0, index).map(std::str::from_utf8) {
            None | Some(Ok("")) => column_name(index),
            Some(Ok(name)) => name.to_owned(),
            Some(Err(_)) => return wrong(format!("the header of \"{label}\" is not UTF-8")),
        };
        if names.contains(&name) {
            return wrong(format!("the header of \"{label}\" has the name \"{name}\" twice"));
        }
        names.push(name);
    }
    Ok(names)
}
