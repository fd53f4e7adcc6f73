//! Samples of a run's counters while it goes on, and what the books get of them meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::fault::Result;
use domain::run::RunId;
use engine::Progress;
use serde::{Deserialize, Serialize};
use store::SqliteStore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::kept::{Kept, milliseconds};

/// Samples that are kept: at so many, every second one goes and the pauses double.
const SAMPLES_MAX: usize = 300;
/// The first pause between two samples.
const PAUSE: Duration = Duration::from_millis(200);
/// How often the books get what there is, so that they tell of a killed attempt too.
const STORE_EVERY: Duration = Duration::from_secs(10);

/// The counters of an attempt at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sample {
    /// Since the attempt began.
    pub(crate) at_ms: u64,
    pub(crate) records_read: u64,
    pub(crate) records_written: u64,
    pub(crate) records_dirty: u64,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
}

/// Samples over any time, in bounded room.
#[derive(Debug)]
struct Samples {
    kept: Vec<Sample>,
    pause: Duration,
}

impl Samples {
    fn new() -> Self {
        Self { kept: Vec::new(), pause: PAUSE }
    }

    fn is_due(&self, at: Duration) -> bool {
        let last = self.kept.last().map_or(0, |last| last.at_ms);
        milliseconds(at) >= last + milliseconds(self.pause)
    }

    fn push(&mut self, sample: Sample) {
        self.kept.push(sample);
        if self.kept.len() >= SAMPLES_MAX {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 0
            });
            self.pause *= 2;
        }
    }
}

/// Looks at an attempt until it ends, and keeps it in the books.
pub(crate) struct Sampler {
    watched: Arc<Watched>,
    task: JoinHandle<()>,
}

struct Watched {
    begun: Instant,
    progress: Arc<Progress>,
    samples: Mutex<Samples>,
    store: SqliteStore,
    run: RunId,
    /// What is known from the beginning.
    kept: Kept,
}

impl Sampler {
    /// Must be called within the runtime.
    pub(crate) fn start(
        progress: Arc<Progress>,
        store: SqliteStore,
        run: RunId,
        kept: Kept,
    ) -> Self {
        let (begun, samples) = (Instant::now(), Mutex::new(Samples::new()));
        let watched = Arc::new(Watched { begun, progress, samples, store, run, kept });
        let task = tokio::spawn(watched.clone().watch());
        Self { watched, task }
    }

    /// What is known of the attempt now; the last sample is of this moment.
    pub(crate) fn look(&self) -> Kept {
        self.watched.sample();
        self.watched.look()
    }

    /// Keeps how the attempt ended.
    pub(crate) async fn end(self, kept: &Kept) -> Result<()> {
        self.task.abort();
        self.watched.save(kept).await
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watched {
    async fn watch(self: Arc<Self>) {
        let mut ticks = interval_at(self.begun + PAUSE, PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut saved = self.begun;
        loop {
            ticks.tick().await;
            if self.samples().is_due(self.begun.elapsed()) {
                self.sample();
            }
            if saved.elapsed() >= STORE_EVERY {
                saved = Instant::now();
                if let Err(fault) = self.save(&self.look()).await {
                    tracing::warn!("the report so far is not in the books: {fault}");
                }
            }
        }
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sample(&self) {
        let seen = self.progress.seen();
        self.samples().push(Sample {
            at_ms: milliseconds(self.begun.elapsed()),
            records_read: seen.records_read,
            records_written: seen.records_written,
            records_dirty: seen.records_dirty,
            bytes_read: seen.bytes_read,
            bytes_written: seen.bytes_written,
        });
    }

    fn look(&self) -> Kept {
        let mut kept = self.kept.clone();
        kept.look(&self.progress);
        kept.elapsed_ms = milliseconds(self.begun.elapsed());
        kept.samples = self.samples().kept.clone();
        kept
    }

    async fn save(&self, kept: &Kept) -> Result<()> {
        self.store.save_report(&self.run, kept.text()?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_thinned_and_span_all_the_time() {
        let mut samples = Samples::new();
        for tick in 1..=100_000_u64 {
            let at = PAUSE * tick as u32;
            if samples.is_due(at) {
                let at_ms = milliseconds(at);
                samples.push(Sample { at_ms, records_read: tick, ..Sample::default() });
            }
        }
        let kept = &samples.kept;
        assert!((SAMPLES_MAX / 2 - 1..SAMPLES_MAX).contains(&kept.len()), "{}", kept.len());
        assert!(kept[kept.len() - 1].at_ms >= 100_000 * 200 - milliseconds(samples.pause));
        let pauses: Vec<_> = kept.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).collect();
        assert!(pauses.iter().all(|pause| *pause == milliseconds(samples.pause)), "{pauses:?}");
    }
}
