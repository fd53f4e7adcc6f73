//! What is still to be written, and how a refusal that names no row is narrowed down to one.
//!
//! A guilty batch is not tried again as it is: its first half is. Taken, the row to blame is in the
//! second; refused, it is in the first, and the second is laid aside. What was laid aside goes out as
//! one batch when the row is found. So one bad row among n costs log2(n) tries, one for the row by
//! itself (the batch may have been refused, and no row of it) and one for the rest.

use domain::{Batch, Result};

use crate::unsettled::{halves, joined};

/// Rows to write, and what is known of them.
#[derive(Debug)]
pub(crate) enum Part {
    Whole(Batch),
    /// Some row of it is to blame.
    Guilty(Batch),
    /// Behind a row that is to blame, and never tried by itself.
    Rest(Batch),
}

/// Parts in the order in which they are written.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The next one last.
    stack: Vec<Part>,
}

/// One call of `write`.
pub(crate) struct Try {
    pub(crate) batch: Batch,
    /// The second half of a guilty batch whose first half this is.
    other: Option<Batch>,
}

impl Parts {
    pub(crate) fn new(parts: Vec<Part>) -> Self {
        let mut all = Self::default();
        all.push(parts);
        all
    }

    /// Puts `parts` before all others.
    fn push(&mut self, parts: Vec<Part>) {
        self.stack.extend(parts.into_iter().rev());
    }

    /// What to write next.
    pub(crate) fn next(&mut self) -> Result<Option<Try>> {
        while let Some(part) = self.stack.pop() {
            let next = match part {
                Part::Guilty(batch) if batch.len() > 1 => {
                    let (first, second) = halves(&batch)?;
                    Try { batch: first, other: Some(second) }
                }
                Part::Rest(batch) => Try { batch: self.join(batch)?, other: None },
                Part::Whole(batch) | Part::Guilty(batch) => Try { batch, other: None },
            };
            if !next.batch.is_empty() {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    /// Adds to `rest` what was laid aside behind it.
    fn join(&mut self, mut rest: Batch) -> Result<Batch> {
        while let Some(Part::Rest(more)) = self.stack.pop_if(|part| matches!(part, Part::Rest(_))) {
            rest = joined(&rest, &more)?;
        }
        Ok(rest)
    }

    /// What became of a try whose `other` half this is: taken, or with parts that come again.
    pub(crate) fn tried(&mut self, other: Option<Batch>, again: Option<Vec<Part>>) {
        if let Some(other) = other {
            self.stack.push(match again {
                None => Part::Guilty(other),
                Some(_) => Part::Rest(other),
            });
        }
        self.push(again.unwrap_or_default());
    }
}

impl Try {
    pub(crate) fn split(self) -> (Batch, Option<Batch>) {
        (self.batch, self.other)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;

    fn ids(batch: &Batch) -> Vec<i64> {
        batch.rows.column(0).as_primitive::<Int64Type>().values().to_vec()
    }

    /// Writes `count` rows to a destination that refuses any batch with one of `bad`, or of more than
    /// `most` rows, and names none. Answers the calls, what arrived, and what was blamed.
    fn play(count: i64, bad: &[i64], most: usize) -> (usize, Vec<i64>, BTreeSet<i64>) {
        let rows: ArrayRef = Arc::new((0..count).collect::<Int64Array>());
        let rows = RecordBatch::try_from_iter([("id", rows)]).unwrap();
        let mut parts = Parts::new(vec![Part::Whole(Batch::new(0, rows))]);
        let (mut calls, mut arrived, mut blamed) = (0, Vec::new(), BTreeSet::new());
        while let Some(next) = parts.next().unwrap() {
            let (batch, other) = next.split();
            calls += 1;
            let found = ids(&batch);
            let again = if found.iter().any(|id| bad.contains(id)) || found.len() > most {
                Some(match found.len() {
                    1 => {
                        blamed.extend(found);
                        Vec::new()
                    }
                    _ => vec![Part::Guilty(batch)],
                })
            } else {
                arrived.extend(found);
                None
            };
            parts.tried(other, again);
        }
        (calls, arrived, blamed)
    }

    #[test]
    fn a_bad_row_costs_no_more_than_its_search() {
        const COUNT: i64 = 65_536;
        const LOG2: usize = 16;
        let all = usize::MAX;
        for (bad, most) in [
            (vec![], 0),
            (vec![0], LOG2 + 1),
            (vec![1], LOG2 + 2),
            (vec![COUNT / 2 - 1], LOG2 + 2),
            (vec![COUNT / 2], LOG2 + 2),
            (vec![COUNT - 1], LOG2 + 2),
            (vec![0, COUNT - 1], 2 * (LOG2 + 2)),
            (vec![7, 8], 2 * (LOG2 + 2)),
        ] {
            let (calls, arrived, blamed) = play(COUNT, &bad, all);
            assert!(calls - 1 <= most, "{bad:?}: {calls} calls");
            assert_eq!(blamed, bad.iter().copied().collect(), "{bad:?}");
            let good: Vec<i64> = (0..COUNT).filter(|id| !bad.contains(id)).collect();
            assert_eq!(arrived, good, "{bad:?}: each once, in the order of the source");
        }
    }

    #[test]
    fn every_row_of_a_small_batch_may_be_bad() {
        for count in 1..9_i64 {
            for which in 0..1_u32 << count {
                let bad: Vec<i64> = (0..count).filter(|id| which >> id & 1 == 1).collect();
                let (_, arrived, blamed) = play(count, &bad, usize::MAX);
                assert_eq!(blamed, bad.iter().copied().collect(), "{count} {bad:?}");
                assert_eq!(arrived.len() + bad.len(), count as usize);
                assert!(arrived.is_sorted());
            }
        }
    }

    #[test]
    fn no_row_is_blamed_for_the_size_of_its_batch() {
        let (_, arrived, blamed) = play(1_000, &[], 100);
        assert_eq!((arrived.len(), blamed.len()), (1_000, 0));
    }
}
