//! What was written and may still be refused.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::BooleanArray;
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use domain::{Batch, Fault, Positions, Result};

/// The code of a refusal whose batch is no longer there: the task is read again from its durable mark,
/// in smaller steps.
pub(crate) const REFUSED_TOO_LATE: &str = "run.refused_too_late";

/// Batches since the last durable mark that the destination has not taken, in the order of their
/// writes. Bounded by bytes: what does not fit is forgotten.
#[derive(Debug)]
pub(crate) struct Unsettled {
    batches: VecDeque<Sent>,
    bytes: u64,
    bytes_max: u64,
    /// Batches below this number did not fit.
    forgotten_below: u64,
    settled_below: u64,
}

/// One call of `write`.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) batch: Batch,
    bytes: u64,
    refused: Vec<u32>,
}

impl Unsettled {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { batches: VecDeque::new(), bytes: 0, bytes_max, forgotten_below: 0, settled_below: 0 }
    }

    pub(crate) fn push(&mut self, number: u64, batch: Batch) {
        // What it takes, not what its values are worth: also rows of nothing but NULL are kept.
        let bytes = batch.rows.get_array_memory_size() as u64;
        self.bytes += bytes;
        self.batches.push_back(Sent { number, batch, bytes, refused: Vec::new() });
        // The newest is always kept: its own answer may refuse rows of it.
        while self.bytes > self.bytes_max && self.batches.len() > 1 {
            self.forgotten_below = self.batches[0].number + 1;
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(sent) = self.batches.pop_front() {
            self.bytes -= sent.bytes;
        }
    }

    /// Batches below `number` are taken or durable.
    pub(crate) fn settle_below(&mut self, number: u64) {
        self.settled_below = self.settled_below.max(number);
        while self.batches.front().is_some_and(|sent| sent.number < number) {
            self.pop();
        }
    }

    /// Whether it is time for a commit that frees memory.
    pub(crate) fn is_half_full(&self) -> bool {
        self.bytes > self.bytes_max / 2
    }

    /// The batch that a remark is about.
    ///
    /// # Errors
    /// [`REFUSED_TOO_LATE`] where it was forgotten, `plugin.lie.remark` where it is not open.
    pub(crate) fn find(&mut self, number: u64) -> Result<&mut Sent> {
        if (self.settled_below..self.forgotten_below).contains(&number) {
            return Err(self.too_late());
        }
        let sent = self.batches.iter_mut().find(|sent| sent.number == number);
        sent.ok_or_else(|| {
            let message = format!("the writer spoke of batch {number}, which is not open");
            Fault::plugin("plugin.lie.remark", message)
        })
    }

    /// Takes out all that must be sent again, without the refused rows, with the numbers of before.
    ///
    /// # Errors
    /// [`REFUSED_TOO_LATE`] where something was forgotten.
    pub(crate) fn take_back(&mut self) -> Result<Vec<(u64, Batch)>> {
        if self.forgotten_below > self.settled_below {
            return Err(self.too_late());
        }
        self.bytes = 0;
        let sent = self.batches.drain(..);
        sent.map(|sent| Ok((sent.number, sent.without_refused()?))).collect()
    }

    fn too_late(&self) -> Fault {
        Fault::data(
            REFUSED_TOO_LATE,
            format!(
                "the destination refused records after more than the {} bytes that are kept for a second try",
                self.bytes_max
            ),
        )
        .retry_after(Duration::ZERO)
    }
}

impl Sent {
    /// Notes that the destination refused `row`.
    ///
    /// # Errors
    /// `plugin.lie.remark` for a row that is not there, or refused already.
    pub(crate) fn refuse(&mut self, row: u32) -> Result<()> {
        if row as usize >= self.batch.len() || self.refused.contains(&row) {
            return Err(Fault::plugin(
                "plugin.lie.remark",
                format!("the writer refused row {row} of batch {}, which it cannot", self.number),
            ));
        }
        self.refused.push(row);
        Ok(())
    }

    fn without_refused(self) -> Result<Batch> {
        if self.refused.is_empty() {
            return Ok(self.batch);
        }
        let mut keep = vec![true; self.batch.len()];
        for row in self.refused {
            keep[row as usize] = false;
        }
        filtered(&self.batch, &keep)
    }
}

/// The rows of `batch` that `keep` says.
pub(crate) fn filtered(batch: &Batch, keep: &[bool]) -> Result<Batch> {
    let rows = filter_record_batch(&batch.rows, &BooleanArray::from(keep.to_vec()))
        .map_err(|error| Fault::internal("engine.filter", error.to_string()))?;
    let operations = batch.operations.as_ref().map(|operations| {
        let kept = operations.iter().zip(keep).filter(|(_, keep)| **keep);
        kept.map(|(operation, _)| *operation).collect()
    });
    let absent = batch.absent.iter().map(|bitmap| filtered_bitmap(bitmap, keep)).collect();
    let kept = || keep.iter().enumerate().filter(|(_, keep)| **keep).map(|(row, _)| row);
    let positions = batch.positions.as_ref().map(|positions| positions.gathered(kept()));
    Ok(Batch { dataset: batch.dataset, rows, operations, absent, positions })
}

/// The rows of `batch` from `first` on.
pub(crate) fn behind(batch: &Batch, first: usize) -> Batch {
    let count = batch.len();
    let bitmap = |bitmap: &Vec<u8>| gathered_bitmap(bitmap, first..count);
    Batch {
        dataset: batch.dataset,
        rows: batch.rows.slice(first, count - first),
        operations: batch.operations.as_ref().map(|operations| operations[first..].to_vec()),
        absent: batch.absent.iter().map(bitmap).collect(),
        positions: batch.positions.as_ref().map(|positions| positions.gathered(first..count)),
    }
}

fn filtered_bitmap(bitmap: &[u8], keep: &[bool]) -> Vec<u8> {
    let kept = keep.iter().enumerate().filter(|(_, keep)| **keep);
    gathered_bitmap(bitmap, kept.map(|(row, _)| row))
}

/// The bits of `rows`, in their order; an empty bitmap stays empty.
pub(crate) fn gathered_bitmap(bitmap: &[u8], rows: impl Iterator<Item = usize>) -> Vec<u8> {
    if bitmap.is_empty() {
        return Vec::new();
    }
    packed(&rows.map(|row| bit(bitmap, row)).collect::<Vec<_>>())
}

fn bit(bitmap: &[u8], row: usize) -> bool {
    bitmap[row / 8] >> (row % 8) & 1 == 1
}

fn packed(bits: &[bool]) -> Vec<u8> {
    bits.chunks(8)
        .map(|chunk| {
            chunk.iter().enumerate().fold(0, |byte, (bit, set)| byte | u8::from(*set) << bit)
        })
        .collect()
}

/// The two halves of a batch of at least two rows.
pub(crate) fn halves(batch: &Batch) -> Result<(Batch, Batch)> {
    let middle = batch.len() / 2;
    let first: Vec<bool> = (0..batch.len()).map(|row| row < middle).collect();
    let second: Vec<bool> = first.iter().map(|first| !first).collect();
    Ok((filtered(batch, &first)?, filtered(batch, &second)?))
}

/// Two batches of one dataset as one.
pub(crate) fn joined(first: &Batch, second: &Batch) -> Result<Batch> {
    let schema = first.rows.schema();
    let rows = concat_batches(&schema, [&first.rows, &second.rows])
        .map_err(|error| Fault::internal("engine.join", error.to_string()))?;
    let operations = match (&first.operations, &second.operations) {
        (None, None) => None,
        (a, b) => {
            let of = |operations: &Option<Vec<u8>>, batch: &Batch| {
                operations.clone().unwrap_or_else(|| vec![0; batch.len()])
            };
            Some([of(a, first), of(b, second)].concat())
        }
    };
    let columns = first.absent.len().max(second.absent.len());
    let absent = (0..columns).map(|column| {
        let of =
            |batch: &Batch| batch.absent.get(column).filter(|bitmap| !bitmap.is_empty()).cloned();
        let (a, b) = (of(first), of(second));
        if a.is_none() && b.is_none() {
            return Vec::new();
        }
        let bits = |bitmap: Option<Vec<u8>>, batch: &Batch| -> Vec<bool> {
            (0..batch.len()).map(|row| bitmap.as_ref().is_some_and(|b| bit(b, row))).collect()
        };
        packed(&[bits(a, first), bits(b, second)].concat())
    });
    let each = |batch: &Batch| match &batch.positions {
        Some(positions) => (0..batch.len()).map(|row| positions.of(row)).collect(),
        None => vec![None; batch.len()],
    };
    let positions: Option<Arc<[u64]>> = [each(first), each(second)].concat().into_iter().collect();
    let absent = absent.collect();
    let positions = positions.map(Positions::Each);
    Ok(Batch { dataset: first.dataset, rows, operations, absent, positions })
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, NullArray, RecordBatch};

    use super::*;

    fn batch(count: i64) -> Batch {
        let ids: ArrayRef = Arc::new((0..count).collect::<Int64Array>());
        let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        Batch {
            operations: Some((0..count).map(|row| (row % 4) as u8).collect()),
            absent: vec![packed(&(0..count).map(|row| row % 3 == 0).collect::<Vec<_>>())],
            positions: Some(Positions::Each((10..10 + count as u64).collect())),
            ..Batch::new(0, rows)
        }
    }

    #[test]
    fn halves_joined_are_the_whole() {
        for count in [2, 3, 9, 17] {
            let whole = batch(count);
            let (first, second) = halves(&whole).unwrap();
            assert_eq!(joined(&first, &second).unwrap(), whole, "{count}");
        }
    }

    #[test]
    fn the_last_rows_are_those_of_the_second_half() {
        let whole = batch(17);
        assert_eq!(behind(&whole, 8), halves(&whole).unwrap().1);
    }

    #[test]
    fn what_one_half_lacks_is_made_plain() {
        let inserts = Batch::new(0, batch(2).rows);
        let joined = joined(&batch(3), &inserts).unwrap();
        assert_eq!(joined.operations, Some(vec![0, 1, 2, 0, 0]));
        assert_eq!(joined.absent, [vec![0b1]]);
    }

    #[test]
    fn batches_without_values_are_bounded_too() {
        let nulls: ArrayRef =
            Arc::new(arrow_array::new_null_array(&arrow_schema::DataType::Int64, 1000));
        let none: ArrayRef = Arc::new(NullArray::new(1000));
        let rows =
            RecordBatch::try_from_iter_with_nullable([("a", nulls, true), ("b", none, true)]);
        let batch = Batch::new(0, rows.unwrap());
        assert_eq!(batch.value_bytes(), 0);
        let mut unsettled = Unsettled::new(100_000);
        (0..100).for_each(|number| unsettled.push(number, batch.clone()));
        assert!(unsettled.batches.len() < 15, "{}", unsettled.batches.len());
        assert_eq!(unsettled.find(0).unwrap_err().code, REFUSED_TOO_LATE);
    }
}
