//! The clocks that a guest sees. They go in steps of a millisecond: too coarse to time what others do
//! on the same processor, fine enough to wait and to date.

use std::time::{Duration, Instant, SystemTime};

use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

const STEP: Duration = Duration::from_millis(1);

/// The last step before a time.
fn coarse(time: Duration) -> Duration {
    time - Duration::from_nanos(u64::from(time.subsec_nanos()) % STEP.as_nanos() as u64)
}

/// The time of day, since 1970.
pub(crate) struct Wall;

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        STEP
    }

    fn now(&self) -> Duration {
        coarse(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }
}

/// The time since the instance was started, in nanoseconds.
pub(crate) struct Monotonic(Instant);

impl Monotonic {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        STEP.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        coarse(self.0.elapsed()).as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_the_step_before_them() {
        for (nanos, cut) in [(0, 0), (999_999, 0), (1_000_000, 1), (5_999_999_999, 5_999)] {
            assert_eq!(coarse(Duration::from_nanos(nanos)), Duration::from_millis(cut));
        }
    }
}
