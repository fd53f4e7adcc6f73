//! Counts what guests compute, for tests of what they cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Store;

use crate::state::State;

/// What a store is given before each call: more than any call burns.
const FULL: u64 = u64::MAX >> 1;

/// The instructions that guests ran, as the engine's fuel: about one each, and the same on every machine.
/// Code that is counted is compiled apart, and slower.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    used: Arc<AtomicU64>,
}

impl Meter {
    /// Instructions of all guests until now, in calls that have ended.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Begins a call. The engine counts, since it has a meter.
    pub(crate) fn begin(&self, store: &mut Store<State>) {
        let _ = store.set_fuel(FULL);
    }

    /// Ends a call.
    pub(crate) fn end(&self, store: &Store<State>) {
        let left = store.get_fuel().unwrap_or(FULL);
        self.used.fetch_add(FULL - left, Ordering::Relaxed);
    }
}
