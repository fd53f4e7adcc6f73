//! When to try again, and how long to wait before.

use std::time::Duration;

use domain::{Fault, Retry};

use crate::settings::Settings;

/// A plug-in that wishes a longer wait is asked again after this one.
const WISHED_MAX: Duration = Duration::from_secs(600);

/// Counts tries in a row without progress.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    count: u32,
    /// Nothing was reached yet, so the fault may well be in the document.
    is_first_contact: bool,
}

impl Tries {
    pub(crate) fn of_first_contact() -> Self {
        Self { count: 0, is_first_contact: true }
    }

    /// Something went forward: the next fault is a first one again.
    pub(crate) fn progressed(&mut self) {
        self.count = 0;
    }

    /// The wait before the next try, or the fault where there is none.
    pub(crate) fn again(&mut self, fault: Fault, settings: &Settings) -> Result<Duration, Fault> {
        let Retry::After(wished) = fault.retry else { return Err(fault) };
        let retries = if self.is_first_contact { settings.first_retries } else { settings.retries };
        if self.count >= retries {
            let tries = self.count + 1;
            return Err(fault.within(format!("given up after {tries} tries")));
        }
        let backoff = settings.backoff.saturating_mul(1 << self.count.min(16));
        self.count += 1;
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

    #[test]
    fn a_server_may_be_away_for_a_minute_once_it_was_reached() {
        let settings = Settings::default();
        let fault = || Fault::external("net.refused", "refused").retry_after(Duration::ZERO);
        let waited = |mut tries: Tries| -> Duration {
            std::iter::from_fn(|| tries.again(fault(), &settings).ok()).sum()
        };
        let seconds = |tries| waited(tries).as_secs();
        assert!((60..120).contains(&seconds(Tries::default())));
        assert!(
            (10..20).contains(&seconds(Tries::of_first_contact())),
            "a wrong port is told soon"
        );
    }
}
