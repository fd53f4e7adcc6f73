//! From the numbers of an attempt to what would make the next one faster, in words.

use std::time::Duration;

use crate::watch::{Ledger, Phase, Spent, TaskSpent};

/// Shorter runs have nothing to gain.
const WORTH_IT: Duration = Duration::from_secs(2);
/// A share from which on something sets the pace.
const MOST: f64 = 0.5;
/// A share from which on lanes without work are worth a word.
const IDLE: f64 = 0.25;
/// Bytes from which on a commit is not small.
const COMMIT_BYTES: u64 = 1 << 20;
/// Lanes that a job may have.
const LANES_MAX: u32 = 32;

/// What is known of an attempt.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// While rows moved.
    pub moving: Duration,
    /// Lanes that could work at a time.
    pub concurrent: u32,
    /// Lanes that the destination takes at a time; 0: any number.
    pub lanes_max: u32,
    pub ledger: Ledger,
}

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Stable: `throttle`, `retries`, `one_split`, `few_splits`, `commits`, `destination`, `processing`,
    /// `source`, `channels`.
    pub code: &'static str,
    /// What is so, with the numbers behind it, and what to do.
    pub text: String,
}

/// The advice that matters most first; none where there is nothing to gain.
pub fn advise(numbers: &Numbers) -> Vec<Advice> {
    let total = numbers.ledger.total();
    if numbers.moving < WORTH_IT || total.elapsed.is_zero() {
        return Vec::new();
    }
    let view = View { numbers, total };
    let rules = [
        View::throttle,
        View::retries,
        View::one_split,
        View::few_splits,
        View::commits,
        View::destination,
        View::processing,
        View::source,
        View::channels,
    ];
    rules.iter().filter_map(|rule| rule(&view)).collect()
}

struct View<'a> {
    numbers: &'a Numbers,
    /// Of all tasks.
    total: Spent,
}

impl View<'_> {
    /// The share of a part in the time of all tasks.
    fn share(&self, part: Phase) -> f64 {
        self.total.times.of(part).as_secs_f64() / self.total.elapsed.as_secs_f64()
    }

    /// The share of lanes' time without a task.
    fn idle(&self) -> f64 {
        let lanes = f64::from(self.numbers.concurrent.max(1));
        let all = self.numbers.moving.as_secs_f64() * lanes;
        (1.0 - self.total.elapsed.as_secs_f64() / all).max(0.0)
    }

    fn throttle(&self) -> Option<Advice> {
        let share = self.share(Phase::WaitingThrottle);
        (share >= MOST).then(|| {
            advice("throttle", format!(
                "the job's own limit on its rate sets the pace: {} of the time was waited for it; raise \"mbps\" or \"record\" in \"speed\" if both sides may go faster",
                percent(share)
            ))
        })
    }

    /// Time of tasks in none of the parts is that of new sessions and the pauses before them.
    fn retries(&self) -> Option<Advice> {
        let reading =
            [Phase::Reading, Phase::Processing, Phase::WaitingThrottle, Phase::WaitingWriter];
        let known: f64 = reading.into_iter().map(|part| self.share(part)).sum();
        let lost = (1.0 - known).max(0.0);
        (self.total.retries > 0 && lost >= IDLE).then(|| {
            advice("retries", format!(
                "{} tries again cost {} of the time: look at what the source and the destination said, in the log",
                self.total.retries,
                percent(lost)
            ))
        })
    }

    /// Several lanes, and one task that the others had to wait for.
    fn one_split(&self) -> Option<Advice> {
        let slowest = self.numbers.ledger.slowest.first()?;
        let long = slowest.spent.elapsed.as_secs_f64() / self.numbers.moving.as_secs_f64();
        let lonely = self.numbers.concurrent > 1 && self.idle() >= IDLE && long >= MOST;
        (lonely && self.total.tasks > 1).then(|| {
            let TaskSpent { task, label, spent, .. } = slowest;
            let records = ratio(spent.records, self.total.records);
            advice("one_split", format!(
                "one split holds most of the work: task {task} ({label}) took {} of the time with {} of the records, and {} of the channels' time was idle; split by a column whose values are spread more evenly (\"splitPk\"), or into more splits (\"splitFactor\")",
                percent(long),
                percent(records),
                percent(self.idle())
            ))
        })
    }

    fn few_splits(&self) -> Option<Advice> {
        let (lanes, tasks) = (self.numbers.concurrent, self.total.tasks);
        (u64::from(lanes) > tasks).then(|| {
            let had = if tasks == 1 { "one split".to_owned() } else { format!("{tasks} splits") };
            advice("few_splits", format!(
                "too many channels: the source came in {had}, so {} of {lanes} channels had nothing to do; name a \"splitPk\" by which it can be split, or lower \"concurrent\"",
                u64::from(lanes) - tasks
            ))
        })
    }

    /// The share in which the destination held things up, where that is most of it.
    fn destination_share(&self) -> Option<f64> {
        let share = self.share(Phase::WaitingWriter);
        let busy = self.share(Phase::Writing) + self.share(Phase::Committing);
        (share >= MOST && busy >= MOST).then_some(share)
    }

    fn commits(&self) -> Option<Advice> {
        self.destination_share()?;
        let (writing, committing) = (self.share(Phase::Writing), self.share(Phase::Committing));
        let each = self.total.bytes / self.total.commits.max(1);
        // A commit for each task there must be.
        let many = self.total.commits > 2 * self.total.tasks;
        (committing > writing && many && each < COMMIT_BYTES).then(|| {
            advice("commits", format!(
                "commits are too small: {} of them took {} of the time, with {} KiB each; a larger \"batchSize\" or fewer, larger splits make larger ones",
                self.total.commits,
                percent(committing),
                each / 1024
            ))
        })
    }

    fn destination(&self) -> Option<Advice> {
        let share = self.destination_share()?;
        Some(advice(
            "destination",
            format!(
                "the destination is slow: readers waited {} of the time for it (writing {}, committing {}); look at its indexes, triggers and load{}",
                percent(share),
                percent(self.share(Phase::Writing)),
                percent(self.share(Phase::Committing)),
                self.more_channels()
            ),
        ))
    }

    fn processing(&self) -> Option<Advice> {
        let share = self.share(Phase::Processing);
        (share >= MOST).then(|| {
            advice("processing", format!(
                "casts and steps between Reader and Writer took {} of the time, longer than reading ({}) and writing ({}){}",
                percent(share),
                percent(self.share(Phase::Reading)),
                percent(self.share(Phase::Writing) + self.share(Phase::Committing)),
                self.more_channels()
            ))
        })
    }

    fn source(&self) -> Option<Advice> {
        let (share, reading) = (self.share(Phase::WaitingReader), self.share(Phase::Reading));
        (share >= MOST && reading >= MOST).then(|| {
            advice("source", format!(
                "the source is slow: writers waited {} of the time for it (reading {}); look whether its filter has an index, and at its load{}",
                percent(share),
                percent(reading),
                self.more_channels()
            ))
        })
    }

    /// Whether tasks had to wait for a channel although more are allowed.
    fn has_queue(&self) -> bool {
        let lanes = self.numbers.concurrent;
        let most = if self.numbers.lanes_max == 0 { LANES_MAX } else { self.numbers.lanes_max };
        lanes < most && self.total.tasks >= 2 * u64::from(lanes) && self.idle() < IDLE
    }

    fn more_channels(&self) -> &'static str {
        if self.has_queue() { ", or try more channels (\"concurrent\")" } else { "" }
    }

    /// Neither side waits for the other.
    fn channels(&self) -> Option<Advice> {
        let waits = [Phase::WaitingThrottle, Phase::WaitingWriter, Phase::WaitingReader];
        let balanced = waits.into_iter().all(|part| self.share(part) < MOST);
        let busy = self.share(Phase::Processing) < MOST;
        (balanced && busy && self.has_queue()).then(|| {
            advice("channels", format!(
                "too few channels: neither side waits long for the other (writers {}, readers {}), and {} splits waited for {} channels; raise \"concurrent\"",
                percent(self.share(Phase::WaitingReader)),
                percent(self.share(Phase::WaitingWriter)),
                self.total.tasks,
                self.numbers.concurrent
            ))
        })
    }
}

fn advice(code: &'static str, text: String) -> Advice {
    Advice { code, text }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share.min(1.0) * 100.0)
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests;
