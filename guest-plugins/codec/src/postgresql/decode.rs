//! The messages of a binary COPY, read into Arrow columns.
//!
//! Rows go straight from the socket's buffer into the columns' own vectors. A row with a value that
//! can't be represented is taken out of all columns again and kept as it came.

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::bounds::FLAWED_MAX;
use crate::fault::{Fault, Result};
use crate::postgresql::column::{Column, Misfit, int4};
use crate::postgresql::kind::{Kind, data_type};
use crate::{Budget, Decoded, Flawed};

/// What every binary COPY begins with.
pub const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// What the columns of a COPY hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyDecoding {
    /// Of the schema's fields, one by one.
    pub kinds: Vec<Kind>,
}

/// Reads the messages of a COPY from the server, and gathers their rows until there are enough.
pub(crate) struct CopyDecoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    flawed: Vec<Flawed>,
    /// The part of a row whose rest comes with the next message.
    rest: Vec<u8>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Rows,
    Trailer,
}

impl CopyDecoder {
    /// # Errors
    /// `codec.options` where the kinds are not those of the schema's fields.
    pub(crate) fn new(how: &CopyDecoding, schema: SchemaRef) -> Result<Self> {
        let fields = schema.fields();
        let suits = how.kinds.len() == fields.len()
            && how
                .kinds
                .iter()
                .zip(fields)
                .all(|(kind, field)| data_type(kind) == *field.data_type());
        if !suits {
            return Err(Fault::plugin("codec.options", "the kinds are not those of the fields"));
        }
        Ok(Self {
            columns: how.kinds.iter().map(Column::new).collect(),
            schema,
            rows: 0,
            bytes: 0,
            flawed: Vec::new(),
            rest: Vec::new(),
            phase: Phase::Header,
        })
    }

    fn is_full(&self, budget: Budget) -> bool {
        self.rows >= budget.rows as usize
            || self.bytes >= budget.bytes
            || self.flawed.len() >= FLAWED_MAX
    }

    /// Takes the next bytes of the COPY, wherever they were cut.
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        if self.rest.is_empty() {
            let used = self.take(bytes)?;
            self.rest.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.rest);
        joined.extend_from_slice(bytes);
        let used = self.take(&joined)?;
        joined.drain(..used);
        self.rest = joined;
        Ok(())
    }

    /// # Errors
    /// `postgresql.protocol` where the COPY ended before its trailer.
    fn finish(&self) -> Result<()> {
        match self.phase {
            Phase::Trailer if self.rest.is_empty() => Ok(()),
            _ => Err(broken("a COPY ended in the middle")),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut used = 0;
        loop {
            let left = &bytes[used..];
            let taken = match self.phase {
                Phase::Header => self.header(left)?,
                Phase::Rows => self.row(left)?,
                Phase::Trailer if left.is_empty() => return Ok(used),
                Phase::Trailer => return Err(broken("bytes follow the end of a COPY")),
            };
            match taken {
                Some(count) => used += count,
                None => return Ok(used),
            }
        }
    }

    fn header(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        const FIXED: usize = SIGNATURE.len() + 8;
        let Some(head) = bytes.get(..FIXED) else { return Ok(None) };
        if !head.starts_with(SIGNATURE) {
            return Err(broken("a COPY without its signature"));
        }
        let extension = usize::try_from(int4(&head[FIXED - 4..]))
            .map_err(|_| broken("a COPY header of impossible length"))?;
        if bytes.len() - FIXED < extension {
            return Ok(None);
        }
        self.phase = Phase::Rows;
        Ok(Some(FIXED + extension))
    }

    /// Takes one row, where all of it is there.
    fn row(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let Some(count) = bytes.first_chunk::<2>() else { return Ok(None) };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.phase = Phase::Trailer;
            return Ok(Some(2));
        }
        if usize::try_from(count).ok() != Some(self.columns.len()) {
            return Err(broken("a row with another number of columns"));
        }
        let Some(end) = row_end(bytes, self.columns.len())? else { return Ok(None) };
        let row = &bytes[..end];
        match self.push(row) {
            Ok(()) => {
                self.rows += 1;
                self.bytes += row.len();
            }
            Err((column, misfit)) => self.set_aside(row, column, misfit),
        }
        Ok(Some(end))
    }

    /// Appends a row whose lengths have been checked; the columns before a misfit have it already.
    fn push(&mut self, row: &[u8]) -> Result<(), (usize, Misfit)> {
        let mut rest = &row[2..];
        for (index, column) in self.columns.iter_mut().enumerate() {
            let (length, behind) = rest.split_at(4);
            rest = behind;
            let value = usize::try_from(int4(length)).ok().map(|length| {
                let (value, behind) = rest.split_at(length);
                rest = behind;
                value
            });
            column.push(value).map_err(|misfit| (index, misfit))?;
        }
        Ok(())
    }

    fn set_aside(&mut self, row: &[u8], column: usize, misfit: Misfit) {
        self.bytes += row.len();
        for column in &mut self.columns {
            column.truncate(self.rows);
        }
        let name = self.schema.field(column).name();
        self.flawed.push(Flawed {
            record: (self.rows + self.flawed.len()) as u32,
            start: 0,
            lines_before: 0,
            data: row.to_vec(),
            code: misfit.code.to_owned(),
            message: format!("column \"{name}\": {}", misfit.message),
        });
    }

    /// What was gathered so far.
    fn gathered(&mut self, taken: usize) -> Result<Decoded> {
        let broken = |error: ArrowError| Fault::plugin("postgresql.batch", error.to_string());
        let columns = self.columns.iter_mut().map(Column::finish);
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        let flawed = std::mem::take(&mut self.flawed);
        let records = (self.rows + flawed.len()) as u32;
        (self.rows, self.bytes) = (0, 0);
        Ok(Decoded {
            taken,
            records,
            lines_before: 0,
            lines: 0,
            rows: rows.map_err(broken)?,
            flawed,
        })
    }
}

impl crate::Decoder for CopyDecoder {
    fn decode(&mut self, bytes: &[u8], last: bool, budget: Budget) -> Result<Decoded> {
        let mut taken = 0;
        while !self.is_full(budget) {
            let Some((body, behind)) = copy_data(&bytes[taken..]) else { break };
            self.feed(body)?;
            taken += behind;
        }
        if last {
            self.finish()?;
        }
        if last || bytes.is_empty() || self.is_full(budget) {
            return self.gathered(taken);
        }
        Ok(Decoded {
            taken,
            records: 0,
            lines_before: 0,
            lines: 0,
            rows: RecordBatch::new_empty(self.schema.clone()),
            flawed: Vec::new(),
        })
    }

    fn memory(&self) -> usize {
        self.bytes + self.rest.len()
    }
}

/// The body of the message `CopyData` that `bytes` begin with, and where the next message begins.
fn copy_data(bytes: &[u8]) -> Option<(&[u8], usize)> {
    const HEAD: usize = 5;
    let [b'd', length @ ..] = bytes.first_chunk::<HEAD>()? else { return None };
    let end = (u32::from_be_bytes(*length) as usize).checked_add(1)?;
    Some((bytes.get(HEAD..end)?, end))
}

fn broken(what: &str) -> Fault {
    let message = format!("the server does not follow PostgreSQL's protocol: {what}");
    Fault::external("postgresql.protocol", message).hint(
        "check that a PostgreSQL server listens on this port, and no other service or a proxy that speaks otherwise",
    )
}

/// Where a row ends, if all of it is there.
fn row_end(bytes: &[u8], columns: usize) -> Result<Option<usize>> {
    let mut end = 2;
    for _ in 0..columns {
        let Some(length) = bytes.get(end..end + 4).map(int4) else { return Ok(None) };
        end += 4;
        match length {
            -1 => {}
            0.. => end += length as usize,
            _ => return Err(broken("a value of impossible length")),
        }
        if end > bytes.len() {
            return Ok(None);
        }
    }
    Ok(Some(end))
}

#[cfg(test)]
mod tests;
