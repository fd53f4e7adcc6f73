//! When to try again, and how long to wait before.

use std::time::Duration;

use domain::{Fault, Retry};

use crate::settings::Settings;

/// A plug-in that wishes a longer wait is asked again after this one.
const WISHED_MAX: Duration = Duration::from_secs(600);

/// Counts tries in a row without progress.
#[derive(Debug, Default)]
pub(crate) struct Tries(u32);

impl Tries {
    /// Something went forward: the next fault is a first one again.
    pub(crate) fn progressed(&mut self) {
        self.0 = 0;
    }

    /// The wait before the next try, or the fault where there is none.
    pub(crate) fn again(&mut self, fault: Fault, settings: &Settings) -> Result<Duration, Fault> {
        let Retry::After(wished) = fault.retry else { return Err(fault) };
        if self.0 >= settings.retries {
            let tries = self.0 + 1;
            return Err(fault.within(format!("given up after {tries} tries")));
        }
        let backoff = settings.backoff.saturating_mul(1 << self.0.min(16));
        self.0 += 1;
        let wished = wished.min(WISHED_MAX);
        Ok(wished.max(backoff).min(settings.backoff_max.max(wished)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound_and_end() {
        let settings = Settings {
            retries: 3,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(3),
            ..Settings::default()
        };
        let fault = Fault::external("x", "x").retry_after(Duration::ZERO);
        let mut tries = Tries::default();
        let mut wait = || tries.again(fault.clone(), &settings).map(|wait| wait.as_secs()).ok();
        assert_eq!([wait(), wait(), wait(), wait()], [Some(1), Some(2), Some(3), None]);
        tries.progressed();
        assert!(tries.again(fault.clone(), &settings).is_ok());
        assert!(tries.again(Fault::external("x", "x"), &settings).is_err());
        let wished = Fault::external("x", "x").retry_after(Duration::from_secs(60));
        assert_eq!(tries.again(wished, &settings), Ok(Duration::from_secs(60)));
        let endless = Fault::external("x", "x").retry_after(Duration::MAX);
        assert_eq!(tries.again(endless, &settings), Ok(WISHED_MAX));
    }
}
