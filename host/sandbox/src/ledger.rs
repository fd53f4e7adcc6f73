//! One account for all memories and tables of an instance.
//!
//! The engine's own limits count each memory by itself. This one adds up, and never gives back: the
//! engine reports failed growth also where nothing was charged, so giving back could be milked.

use wasmtime::ResourceLimiter;

/// A table's element in the host's memory, bytes.
const TABLE_ELEMENT_BYTES: usize = 8;
/// A component is several core instances: the main module, shims and adapters.
pub(crate) const CORE_INSTANCES_MAX: usize = 64;
pub(crate) const MEMORIES_MAX: usize = 2;
pub(crate) const TABLES_MAX: usize = 32;

/// What an instance has taken.
#[derive(Debug)]
pub(crate) struct Ledger {
    cap: usize,
    used: usize,
    /// Set by a refusal; the trap that usually follows is then known to be about memory.
    refused: bool,
}

impl Ledger {
    pub(crate) fn new(cap: usize) -> Self {
        Self { cap, used: 0, refused: false }
    }

    /// Whether growth was refused since the last time this was asked.
    pub(crate) fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// Counts what the host holds for the instance: `now` bytes, where it were `before`. Unlike growth of a
    /// memory it is the host's own figure, and is given back.
    pub(crate) fn hold(&mut self, before: usize, now: usize) -> bool {
        self.used = self.used.saturating_sub(before).saturating_add(now);
        let fits = self.used <= self.cap;
        self.refused |= !fits;
        fits
    }

    fn charge(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
        unit: usize,
    ) -> bool {
        let more = desired.saturating_sub(current).saturating_mul(unit);
        let fits = self.used.checked_add(more).filter(|sum| *sum <= self.cap);
        let within = maximum.is_none_or(|maximum| desired <= maximum);
        match fits {
            Some(sum) if within => {
                self.used = sum;
                true
            }
            _ => {
                self.refused |= fits.is_none();
                false
            }
        }
    }
}

impl ResourceLimiter for Ledger {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.charge(current, desired, maximum, 1))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.charge(current, desired, maximum, TABLE_ELEMENT_BYTES))
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t22_many_memories_share_one_account() {
        let mut ledger = Ledger::new(100);
        assert!(ledger.memory_growing(0, 60, None).unwrap());
        assert!(!ledger.memory_growing(0, 60, None).unwrap());
        assert!(ledger.take_refused());
        assert!(!ledger.take_refused());
        assert!(ledger.memory_growing(0, 40, None).unwrap());
        assert!(!ledger.memory_growing(40, 41, None).unwrap());
    }

    #[test]
    fn t23_failed_growth_gives_nothing_back() {
        let mut ledger = Ledger::new(100);
        assert!(ledger.memory_growing(0, 100, None).unwrap());
        for _ in 0..1000 {
            ledger.memory_grow_failed(wasmtime::format_err!("no")).unwrap();
            assert!(!ledger.memory_growing(100, 101, None).unwrap());
        }
    }

    #[test]
    fn t24_tables_count_too() {
        let mut ledger = Ledger::new(100);
        assert!(ledger.table_growing(0, 10, None).unwrap());
        assert!(!ledger.table_growing(10, 13, None).unwrap());
        assert!(!ledger.table_growing(0, usize::MAX, None).unwrap());
        assert!(!ledger.memory_growing(0, usize::MAX, None).unwrap());
    }

    #[test]
    fn a_maximum_of_the_memory_itself_is_no_limit_of_the_host() {
        let mut ledger = Ledger::new(100);
        assert!(!ledger.memory_growing(0, 60, Some(50)).unwrap());
        assert!(!ledger.take_refused());
    }
}
