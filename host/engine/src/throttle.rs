//! Limits on what is read in a second: a bucket for bytes and one for records, of the job and of each
//! lane.
//!
//! A bucket is kept as the moment at which all that was taken is paid for. What is read is paid for
//! before it is handed on and after its size is known, so a batch of any size is exact on average.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::job::{Rate, Rates};
use tokio::time::Instant;

/// What a bucket saves while nothing is read, as the time in which it fills.
const SAVED_MAX: Duration = Duration::from_millis(250);
/// How many steps all lanes together make in a second at least, where they are held up.
const STEPS_PER_SECOND: u64 = 4;

#[derive(Debug)]
pub(crate) struct Throttle {
    bytes: Option<Bucket>,
    records: Option<Bucket>,
}

impl Throttle {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { bytes: rate.bytes.map(Bucket::new), records: rate.records.map(Bucket::new) }
    }

    /// Takes what was read; answers when it is paid for, where there is a limit.
    pub(crate) fn take(&self, now: Instant, bytes: u64, records: u64) -> Option<Instant> {
        let bytes = self.bytes.as_ref().map(|bucket| bucket.take(now, bytes));
        let records = self.records.as_ref().map(|bucket| bucket.take(now, records));
        bytes.max(records)
    }
}

#[derive(Debug)]
struct Bucket {
    per_second: u64,
    paid_at: Mutex<Instant>,
}

impl Bucket {
    /// Empty, so that a run is not faster at its start.
    fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), paid_at: Mutex::new(Instant::now()) }
    }

    fn take(&self, now: Instant, amount: u64) -> Instant {
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(self.per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = now.checked_sub(SAVED_MAX).unwrap_or(now);
        *paid_at = (*paid_at).max(saved) + cost;
        *paid_at
    }
}

/// What a lane may read in one step, so that each of `lanes` at work is held up for a moment only.
pub(crate) fn step(rates: &Rates, lanes: u32) -> Rate {
    let least = |job: Option<u64>, lane: Option<u64>| {
        let share = job.map(|rate| rate / u64::from(lanes.max(1)));
        let rate = share.into_iter().chain(lane).min()?;
        Some((rate / STEPS_PER_SECOND).max(1))
    };
    Rate {
        bytes: least(rates.job.bytes, rates.lane.bytes),
        records: least(rates.job.records, rates.lane.records),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(bytes: Option<u64>, records: Option<u64>) -> (Throttle, Instant) {
        let throttle = Throttle::new(Rate { bytes, records });
        (throttle, Instant::now())
    }

    /// Whether `at` is `seconds` behind `begun`, but for the time that the test took to begin.
    fn is_near(at: Option<Instant>, begun: Instant, seconds: f64) -> bool {
        at.is_some_and(|at| ((at - begun).as_secs_f64() - seconds).abs() < 0.001)
    }

    #[tokio::test(start_paused = true)]
    async fn the_longer_wait_counts_and_debts_add_up() {
        let (both, begun) = throttle(Some(100), Some(10));
        assert!(is_near(both.take(begun, 50, 1), begun, 0.5), "bytes");
        assert!(is_near(both.take(begun, 0, 20), begun, 2.1), "records");
        assert!(is_near(both.take(begun, 1000, 0), begun, 10.5), "more than the bucket holds");
        let (none, begun) = throttle(None, None);
        assert_eq!(none.take(begun, u64::MAX, u64::MAX), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_saves_a_moment_only() {
        let (bytes, begun) = throttle(Some(1000), None);
        let later = begun + Duration::from_secs(60);
        assert!(is_near(bytes.take(later, 250, 0), begun, 60.0));
        assert!(is_near(bytes.take(later, 100, 0), begun, 60.1));
    }

    #[test]
    fn a_step_is_a_moments_worth() {
        let rate = |bytes, records| Rate { bytes, records };
        let table = [
            (rate(None, None), rate(None, None), rate(None, None)),
            (rate(Some(8000), None), rate(None, None), rate(Some(1000), None)),
            (rate(Some(8000), None), rate(Some(400), Some(80)), rate(Some(100), Some(20))),
            (rate(Some(800), Some(1)), rate(Some(4000), None), rate(Some(100), Some(1))),
        ];
        for (job, lane, expected) in table {
            assert_eq!(step(&Rates { job, lane }, 2), expected, "{job:?} {lane:?}");
        }
    }
}
