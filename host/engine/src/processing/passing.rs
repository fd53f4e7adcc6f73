//! The way of one batch through the steps.
//!
//! A plug-in may answer about a part of the rows alone, so that no answer is larger than a batch should
//! be. Each part then goes its way to the end before the next one is begun: however many rows are made
//! of one, no more than a batch for each step is held.

use arrow_array::RecordBatch;
use domain::port::Transformed;
use domain::{Batch, Result};

use super::plugin::{Plugin, Sessions};
use super::{Origins, Processed, Processing, Work};
use crate::unsettled::behind;

/// A batch on its way.
pub(crate) struct Passing {
    /// Parts of it, each with the step that it meets next; what was read last stands first.
    waiting: Vec<(usize, Processed)>,
}

impl Passing {
    pub(crate) fn new(batch: Batch) -> Self {
        Self { waiting: vec![(0, Processed::new(batch))] }
    }

    /// The next part behind all steps; `None` where there is none.
    pub(crate) async fn next(
        &mut self,
        processing: &Processing,
        sessions: &mut Sessions,
    ) -> Result<Option<Processed>> {
        let Some((first, mut done)) = self.waiting.pop() else { return Ok(None) };
        // A batch of a dataset that there is not is told by the mapping.
        let chain = processing.chains.get(done.batch.dataset as usize);
        let steps = chain.into_iter().flatten().enumerate().skip(first);
        for (index, step) in steps {
            if done.batch.is_empty() {
                // No step sees it any more, and the types are still those that follow.
                done.batch.rows = RecordBatch::new_empty(step.schema.clone());
                continue;
            }
            let Work::Plugin(number) = step.work else {
                let applied = step.apply(&processing.rules, &mut done);
                applied.map_err(|fault| fault.within(step.name.clone()))?;
                continue;
            };
            let (plugin, session) = sessions.find(&processing.plugins, number)?;
            let made = session.apply(&done.batch).await;
            let made = made.map_err(|fault| fault.within(&*plugin.who))?;
            let rest = done.become_made(plugin, made);
            self.waiting.extend(rest.map(|rest| (index, rest)));
        }
        Ok(Some(done))
    }
}

impl Processed {
    fn new(batch: Batch) -> Self {
        Self { batch, origins: Origins(None), dirty: Vec::new(), filtered: 0, added: 0 }
    }

    /// Takes over what a plug-in made of the first rows, and answers the others.
    fn become_made(&mut self, plugin: &Plugin, made: Transformed) -> Option<Self> {
        let Transformed { rows, origins, refused, taken } = made;
        let (taken, count) = (taken as usize, self.batch.len());
        let rest = (taken < count).then(|| Self {
            origins: self.origins.through(taken..count),
            ..Self::new(behind(&self.batch, taken))
        });
        let rows_in = || origins.iter().map(|row| *row as usize);
        let positions = self.batch.positions.as_ref();
        let positions = positions.map(|positions| positions.gathered(rows_in()));
        let mut sources = origins.clone();
        sources.dedup();
        self.filtered += (taken - sources.len() - refused.len()) as u64;
        self.added += (origins.len() - sources.len()) as u64;
        for refused in refused {
            let row = self.origins.of(refused.row as usize);
            self.dirty.push((row, plugin.reason(self.batch.dataset, refused)));
        }
        self.origins = self.origins.through(rows_in());
        self.batch = Batch { positions, ..rows };
        rest
    }
}
