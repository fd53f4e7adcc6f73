//! One task: rows become parts in the hidden folder, marks say which of them count.
//!
//! A part is durable after fsync; a mark is durable when the task's mark file is, which names all finished
//! parts with their lengths. Plain text may be marked in the middle of a part: its length counts, and what
//! stands behind it is cut away. Each epoch has a mark file and part names of its own, so that what an
//! older one still writes is never read; opening takes over the newest mark of the older ones, goes on in
//! new parts, and removes what no mark names.

use std::fs;

use arrow_schema::SchemaRef;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use formats::{Encoder, WriteFormat};
use sdk::{Answer, Batch, Closed, Fault, Mark, Remark, Result, Sink, Task};
use serde::{Deserialize, Serialize};

use crate::disk::{self, DiskOutput};
use crate::writer::{Part, Receipt};

/// A plain file is made durable at a mark when it grew by this much, also where the host does not insist.
const SYNC_BYTES: u64 = 8 << 20;

/// When files end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A file ends before it passes this, where batches allow.
    pub(crate) file_bytes: u64,
    /// A file that can't be marked in its middle ends at a mark when it is as long as this.
    pub(crate) cut_bytes: u64,
}

/// The content of a mark file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// Base64; `None` before the first mark.
    mark: Option<String>,
    parts: Vec<Part>,
}

/// The part that is being written.
struct Open {
    encoder: Encoder,
    part: Part,
    /// Bytes at the last mark.
    marked: u64,
}

/// Writes one task.
pub struct FileSink {
    staging: String,
    task: Task,
    schema: SchemaRef,
    format: WriteFormat,
    /// `<fileName>-<run>-<task>`.
    stem: String,
    suffix: String,
    limits: Limits,
    /// Finished, in order.
    parts: Vec<Part>,
    open: Option<Open>,
    durable: Option<Mark>,
    batches: u64,
}

impl FileSink {
    pub(crate) fn open(
        staging: String,
        task: Task,
        schema: SchemaRef,
        format: WriteFormat,
        stem: String,
        suffix: String,
        limits: Limits,
    ) -> Result<Self> {
        let mut sink = Self {
            staging,
            task,
            schema,
            format,
            stem,
            suffix,
            limits,
            parts: Vec::new(),
            open: None,
            durable: None,
            batches: 0,
        };
        sink.take_over()?;
        Ok(sink)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.staging)
    }

    fn mark_name(&self, epoch: u64) -> String {
        format!("{}-{epoch}.mark", self.task.index)
    }

    /// Goes on where the newest epoch stood, and removes what it left behind.
    fn take_over(&mut self) -> Result<()> {
        let own = format!("{}-", self.task.index);
        let names: Vec<_> = disk::names(&self.staging)?;
        let names: Vec<_> = names.iter().filter(|name| name.starts_with(&own)).collect();
        let epoch_of = |name: &str| name[own.len()..].strip_suffix(".mark")?.parse::<u64>().ok();
        let newest = names.iter().filter_map(|name| epoch_of(name)).max();
        if newest.is_some_and(|epoch| epoch > self.task.epoch) {
            let message = format!("a later attempt of task {} has taken over", self.task.index);
            return Err(Fault::external("file.fenced", message)
                .hint("another process runs this run; end it, or let it end"));
        }
        if let Some(epoch) = newest {
            let state = self.state(epoch)?;
            self.durable = state.mark.map(|mark| decoded(&mark)).transpose()?;
            self.parts = state.parts;
            for part in &self.parts {
                disk::cut(&self.path(&part.staged), part.bytes)?;
            }
        }
        // From here on marks of older epochs no longer count.
        self.save()?;
        let current = self.mark_name(self.task.epoch);
        for name in names {
            let counts = *name == current || self.parts.iter().any(|part| part.staged == *name);
            if !counts {
                let path = self.path(name);
                match fs::remove_file(&path) {
                    Err(error) if !disk::is_missing(&error) => {
                        return Err(disk::fault("remove", &path, &error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn state(&self, epoch: u64) -> Result<State> {
        let path = self.path(&self.mark_name(epoch));
        let bytes = fs::read(&path).map_err(|error| disk::fault("read", &path, &error))?;
        serde_json::from_slice(&bytes).map_err(|_| {
            let message = format!("\"{path}\" is not what this plug-in wrote");
            Fault::external("file.mark_damaged", message).hint("start a new run")
        })
    }

    /// Writes the mark file; durable on return.
    fn save(&self) -> Result<()> {
        let mut parts = self.parts.clone();
        parts.extend(self.open.as_ref().map(|open| open.part.clone()));
        let state = State { mark: self.durable.as_ref().map(|mark| STANDARD.encode(mark)), parts };
        let bytes = serde_json::to_vec(&state)
            .map_err(|error| Fault::plugin("file.mark", error.to_string()))?;
        disk::write_whole(&self.staging, &self.mark_name(self.task.epoch), &bytes)
    }

    fn opened(&mut self) -> Result<&mut Open> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let number = self.parts.len();
                let staged = format!("{}-{}-{number}.part", self.task.index, self.task.epoch);
                let name = format!("{}-{number}.{}", self.stem, self.suffix);
                let output = DiskOutput::create(&self.path(&staged))?;
                let encoder = self.format.encoder(Box::new(output), &self.schema)?;
                Open { encoder, part: Part { staged, name, bytes: 0 }, marked: 0 }
            }
        };
        Ok(self.open.insert(open))
    }

    /// Ends the part that is open; durable on return, but for its name in the folder.
    fn end_part(&mut self) -> Result<()> {
        if let Some(Open { encoder, mut part, .. }) = self.open.take() {
            part.bytes = encoder.finish()?;
            self.parts.push(part);
        }
        Ok(())
    }

    fn answer(&self, remarks: Vec<Remark>) -> Answer {
        Answer { remarks, undone: None, durable: self.durable.clone(), taken: self.batches }
    }

    /// Makes everything so far durable, if that is due, and answers whether it did.
    fn settle(&mut self, now: bool) -> Result<bool> {
        let Some(open) = &mut self.open else { return Ok(true) };
        if !self.format.grows() {
            let due = now || open.encoder.bytes_estimate() >= self.limits.cut_bytes;
            if due {
                self.end_part()?;
            }
            return Ok(due);
        }
        let due = now || open.encoder.bytes_estimate() - open.marked >= SYNC_BYTES;
        if due {
            open.encoder.sync()?;
            open.part.bytes = open.encoder.bytes();
            open.marked = open.part.bytes;
        }
        Ok(due)
    }
}

fn decoded(mark: &str) -> Result<Mark> {
    STANDARD.decode(mark).map_err(|_| {
        Fault::external("file.mark_damaged", "a mark file is not what this plug-in wrote")
            .hint("start a new run")
    })
}

/// Files hold rows, and no changes of rows.
fn check_inserts(batch: &Batch) -> Result<()> {
    let changes =
        batch.operations.iter().flatten().take(batch.rows.num_rows()).any(|code| *code != 0);
    if changes || batch.absent.iter().any(|bits| !bits.is_empty()) {
        return Err(Fault::user(
            "file.only_inserts",
            "files take whole new rows, no updates or deletes",
        )
        .hint("write changes to a table"));
    }
    Ok(())
}

impl Sink for FileSink {
    fn committed(&mut self) -> Option<Mark> {
        self.durable.clone()
    }

    fn write(&mut self, batch: Batch) -> Result<Answer> {
        check_inserts(&batch)?;
        let number = self.batches;
        self.batches += 1;
        if batch.rows.num_rows() == 0 {
            return Ok(self.answer(Vec::new()));
        }
        let mut remarks = Vec::new();
        let mut row = 0;
        while row < batch.rows.num_rows() {
            let left = batch.rows.num_rows() - row;
            let file_bytes = self.limits.file_bytes;
            let open = self.opened()?;
            let rows = open.encoder.room().min(left);
            let refused = open.encoder.write(&batch.rows.slice(row, rows))?;
            remarks.extend(refused.into_iter().map(|refused| Remark {
                batch: number,
                row: row as u32 + refused.row,
                column: Some(refused.column),
                loaded: false,
                code: refused.code.to_owned(),
                message: refused.message,
            }));
            if open.encoder.bytes_estimate() >= file_bytes || open.encoder.room() == 0 {
                self.end_part()?;
            }
            row += rows;
        }
        Ok(self.answer(remarks))
    }

    fn commit(&mut self, mark: Mark, now: bool) -> Result<Answer> {
        if self.settle(now)? {
            self.durable = Some(mark);
            self.save()?;
        }
        Ok(self.answer(Vec::new()))
    }

    fn close(&mut self, mark: Mark) -> Result<Closed> {
        self.end_part()?;
        self.durable = Some(mark);
        self.save()?;
        let receipt = Receipt { parts: self.parts.clone() };
        let receipt = serde_json::to_vec(&receipt)
            .map_err(|error| Fault::plugin("file.receipt", error.to_string()))?;
        Ok(Closed { answer: self.answer(Vec::new()), receipt })
    }
}
