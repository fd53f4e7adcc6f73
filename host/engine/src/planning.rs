//! The plans of all sources, and the sessions that made them.

use std::sync::Arc;

use domain::port::{Destination, Plan, Reader, RunRecord, Source, SourceRecord, Store};
use domain::{Result, SourceIndex};

use crate::attempt::Engine;
use crate::retry::Tries;
use crate::session::{Kept, Origin, Reads, Resting};
use crate::union::Union;

/// The sessions that planned, by source; each lives as long as the run, since it may hold a snapshot.
pub(crate) type Planners<R> = Resting<<R as Source>::Session>;

impl<S: Store, R: Source, W: Destination> Engine<S, R, W> {
    /// The sources with what faults call them.
    pub(crate) fn origins(&self) -> Vec<Origin<R>> {
        let numbered = (0..).zip(&self.sources);
        let origin = |(source, port): (SourceIndex, &Arc<R>)| Origin {
            source: port.clone(),
            who: self.settings.reader_word(source).into(),
        };
        numbered.map(origin).collect()
    }

    pub(crate) fn union(&self, planned: &[SourceRecord]) -> Result<Union> {
        let plans: Vec<_> = planned.iter().map(|source| &source.plan).collect();
        Union::new(&plans, &self.settings.source_names, self.settings.missing_column)
    }

    /// The stored plans, or new ones and the sessions that made them.
    pub(crate) async fn plan(
        &self,
        record: &RunRecord,
    ) -> Result<(Vec<SourceRecord>, Planners<R>)> {
        let mut planners = Resting::new(self.sources.len());
        if !record.sources.is_empty() {
            return Ok((record.sources.clone(), planners));
        }
        let mut plans = Vec::with_capacity(self.sources.len());
        for (number, origin) in (0..).zip(self.origins()) {
            let (plan, planner) =
                planners.during(self.plan_of(&origin, &record.new.document)).await?;
            plans.push(plan);
            planners.put(number, planner);
        }
        // Tables that don't match are told before anything is written down.
        let planned: Vec<_> = plans.iter().cloned().map(SourceRecord::new).collect();
        self.union(&planned)?;
        planners.during(self.store.save_plans(&record.new.id, &plans)).await?;
        Ok((planned, planners))
    }

    async fn plan_of(
        &self,
        origin: &Origin<R>,
        document: &str,
    ) -> Result<(Plan, Kept<Reads<R::Session>>)> {
        let mut tries = Tries::of_first_contact();
        loop {
            let planning = async {
                let since = self.store.bookmarks(document).await?;
                let mut planner = origin.connect().await?;
                let plan = planner.session.0.plan(self.settings.concurrent, &since).await;
                Ok((plan.map_err(|fault| fault.within(&*origin.who))?, planner))
            };
            match planning.await {
                Ok(planned) => return Ok(planned),
                Err(fault) => self.wait(&mut tries, fault).await?,
            }
        }
    }
}
