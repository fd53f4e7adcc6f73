//! What a run may use at most, and its default.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::SourceIndex;
use domain::job::{Casts, ErrorLimit, MissingColumn, Rates, Transformer};
use domain::port::{Budget, Wishes};

use crate::throttle;

/// How an attempt works. Every queue, batch and retry of the engine has its bound here.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Lanes at most.
    pub concurrent: u32,
    pub rates: Rates,
    pub error_limit: ErrorLimit,
    pub casts: Casts,
    /// Other rules for some columns, by their names at the destination.
    pub column_casts: BTreeMap<String, Casts>,
    /// IANA or GMT name for the casts between texts and instants; without one a text without a zone is in UTC.
    pub time_zone: Option<String>,
    /// What people call the sources, in the job's order; nothing where there is one.
    pub source_names: Vec<String>,
    pub missing_column: MissingColumn,
    /// Sessions with sources that a lane keeps beside the one that it reads.
    pub resting_sessions: usize,
    /// What changes records between Reader and mapping, in order.
    pub transformers: Vec<Transformer>,
    /// Digests of the plug-ins, kept with each dirty record.
    pub reader_digest: String,
    pub writer_digest: String,
    /// Rows of a batch where the destination has no wish.
    pub batch_rows: u32,
    /// Bytes of a batch where the destination has no wish: batches of this size stay in the
    /// processor's cache on their way through two sandboxes.
    pub batch_bytes: u64,
    /// Batches between the two halves of a task.
    pub queue_batches: usize,
    /// Bytes between two commits where the destination has no wish.
    pub commit_bytes: u64,
    /// Time between two commits where the destination has no wish.
    pub commit_every: Duration,
    /// What a wish may raise `commit_bytes` and `commit_every` to.
    pub commit_bytes_max: u64,
    pub commit_every_max: Duration,
    /// Bytes that a lane keeps of what the destination has neither taken nor made durable.
    pub uncommitted_bytes: u64,
    /// How often a call or a task is tried again in a row without progress: with the backoff, long enough
    /// for a server to be restarted.
    pub retries: u32,
    /// The same before rows move, while a wrong address is likelier than a restart.
    pub first_retries: u32,
    /// The first wait of the backoff, which doubles up to `backoff_max`.
    pub backoff: Duration,
    pub backoff_max: Duration,
    /// How long a reader may wait for the first row of a batch.
    pub wait: Duration,
    /// How long the reader of a bounded plan may bring neither a record nor a new position.
    pub no_progress: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrent: 1,
            rates: Rates::default(),
            error_limit: ErrorLimit::ZERO,
            casts: Casts::Exact,
            column_casts: BTreeMap::new(),
            time_zone: None,
            source_names: Vec::new(),
            missing_column: MissingColumn::Error,
            resting_sessions: 3,
            transformers: Vec::new(),
            reader_digest: String::new(),
            writer_digest: String::new(),
            batch_rows: 65_536,
            batch_bytes: 384 << 10,
            queue_batches: 2,
            commit_bytes: 16 << 20,
            commit_every: Duration::from_secs(5),
            commit_bytes_max: 1 << 30,
            commit_every_max: Duration::from_secs(600),
            uncommitted_bytes: 64 << 20,
            retries: 8,
            first_retries: 5,
            backoff: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            wait: Duration::from_millis(500),
            no_progress: Duration::from_secs(3600),
        }
    }
}

impl Settings {
    /// The defaults with what the job says.
    pub fn new(job: &domain::job::Settings) -> Self {
        Self {
            concurrent: job.concurrent.max(1),
            rates: job.rates,
            error_limit: job.error_limit,
            casts: job.casts,
            column_casts: job.column_casts.clone(),
            missing_column: job.missing_column,
            time_zone: job.time_zone.clone(),
            ..Self::default()
        }
    }

    /// What faults call a source: `reader`, with the source's name where there are several.
    pub fn reader_word(&self, source: SourceIndex) -> String {
        match self.source_names.get(source as usize) {
            Some(name) => format!("reader of \"{name}\""),
            None => "reader".to_owned(),
        }
    }

    /// A split for people: its label, with the source's name where there are several.
    pub fn split_title(&self, source: SourceIndex, label: &str) -> String {
        match self.source_names.get(source as usize) {
            Some(name) => format!("{name}: {label}"),
            None => label.to_owned(),
        }
    }

    /// What one `next` may return; the destination's wishes within four times our own sizes, and no
    /// more than the rates let through in a moment.
    pub(crate) fn budget(&self, wishes: &Wishes) -> Budget {
        let or = |wish: u64, own: u64| if wish == 0 { own } else { wish.min(own * 4) };
        let step = throttle::step(&self.rates, self.concurrent);
        let within = |size: u64, step: Option<u64>| step.map_or(size, |step| size.min(step)).max(1);
        let rows = or(wishes.batch_rows.into(), self.batch_rows.into());
        let bytes = or(wishes.batch_bytes, self.batch_bytes);
        Budget {
            rows: within(rows, step.records) as u32,
            bytes: within(bytes, step.bytes),
            wait: self.wait,
        }
    }

    /// Lanes that work at a time.
    pub(crate) fn lanes(&self, wishes: &Wishes) -> u32 {
        let most = if wishes.lanes == 0 { self.concurrent } else { wishes.lanes };
        self.concurrent.min(most).max(1)
    }

    pub(crate) fn commit_bytes(&self, wishes: &Wishes) -> u64 {
        match wishes.commit_bytes {
            0 => self.commit_bytes,
            bytes => bytes.min(self.commit_bytes_max),
        }
    }

    pub(crate) fn commit_every(&self, wishes: &Wishes) -> Duration {
        match wishes.commit_ms {
            0 => self.commit_every,
            ms => Duration::from_millis(ms.into()).min(self.commit_every_max),
        }
    }
}

/// What faults call a plug-in that is a step between.
pub fn transformer_word(step: &str) -> String {
    format!("transformer of step \"{step}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::job::Rate;

    #[test]
    fn a_step_shrinks_with_the_rates() {
        let rate = |bytes, records| Rate { bytes: Some(bytes), records: Some(records) };
        let rates = Rates { job: rate(8000, 1), lane: rate(1 << 40, 1 << 40) };
        let settings = Settings { concurrent: 2, rates, ..Settings::default() };
        let budget = settings.budget(&Wishes::default());
        assert_eq!((budget.rows, budget.bytes), (1, 1000));
        let rates = Rates { job: Rate::default(), ..rates };
        let fast = Settings { rates, ..Settings::default() }.budget(&Wishes::default());
        assert_eq!(fast, Settings::default().budget(&Wishes::default()));
    }
}
