//! The engine: one for the process, with its settings and its clock.

use std::num::NonZeroUsize;
use std::time::Duration;

use domain::{Fault, Result};
use wasmtime::{
    Config, Enabled, Engine, Inlining, InstanceAllocationStrategy, ModuleVersionStrategy,
    PoolingAllocationConfig, WasmBacktraceDetails,
};

use crate::ledger;
use crate::limits::Limits;

/// How often running guests are looked at; a tick of the account of processor time.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The exact version of the engine; a test compares it with the lock file. Compiled code of any other
/// version is not loaded.
pub(crate) const WASMTIME: &str = "48.0.8";
/// Changes with the settings below that compiled code depends on.
pub(crate) const PROFILE: &str = "b";

/// A WebAssembly page.
const PAGE: u64 = 64 << 10;
/// Kept resident when a slot is given back, bytes.
const MEMORY_KEPT: usize = 64 << 10;
const TABLE_KEPT: usize = 16 << 10;
/// Elements of a table: functions that are called by their number.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 20_000;
const BACKTRACE_FRAMES_MAX: usize = 20;
const STACK_BYTES: usize = 512 << 10;
/// Host functions run on what wasm leaves of it: at least 1 MiB.
const ASYNC_STACK_BYTES: usize = 2 << 20;

/// Makes the engine: pooled where the address space allows it, else on demand, with a warning. `metered`: its
/// code counts instructions.
pub(crate) fn engine(limits: &Limits, metered: bool) -> Result<Engine> {
    let pooled = config(InstanceAllocationStrategy::Pooling(pool(limits)), metered);
    let engine = match pooled.and_then(|config| Engine::new(&config)) {
        Ok(engine) => engine,
        Err(error) => {
            tracing::warn!("no pool of instances, memory is mapped on demand: {error:#}");
            config(InstanceAllocationStrategy::OnDemand, metered)
                .and_then(|config| Engine::new(&config))
                .map_err(|error| {
                    Fault::internal("sandbox.engine", format!("cannot start the engine: {error:#}"))
                })?
        }
    };
    start_ticker(&engine)?;
    Ok(engine)
}

fn config(strategy: InstanceAllocationStrategy, metered: bool) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config
        .allocation_strategy(strategy)
        .epoch_interruption(true)
        .consume_fuel(metered)
        .concurrency_support(false)
        .max_wasm_stack(STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .async_stack_zeroing(true)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .shared_memory(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES_MAX))
        .compiler_inlining(Inlining::No)
        .debug_info(false)
        // Traps are told by frame pointers; only debuggers read it.
        .native_unwind_info(false)
        .module_version(ModuleVersionStrategy::Custom(format!("{WASMTIME}-{PROFILE}")))?;
    Ok(config)
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let slots = limits.instances as u32;
    let memory = limits.memory_bytes.next_multiple_of(PAGE);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(slots)
        .total_stacks(slots)
        // As much as all slots can ask for: a slot that was given is never too small.
        .total_core_instances(slots * ledger::CORE_INSTANCES_MAX as u32)
        .total_tables(slots * ledger::TABLES_MAX as u32)
        .total_memories(slots * ledger::MEMORIES_MAX as u32)
        .max_core_instances_per_component(ledger::CORE_INSTANCES_MAX as u32)
        .max_memories_per_component(ledger::MEMORIES_MAX as u32)
        .max_tables_per_component(ledger::TABLES_MAX as u32)
        .max_memory_size(memory as usize)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(TABLE_KEPT)
        .max_unused_warm_slots(slots / 4)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Counts epochs from a thread of its own: a blocked runtime must not stop the clock of guests.
fn start_ticker(engine: &Engine) -> Result<()> {
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("guest-clock".into())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map(drop)
        .map_err(|error| {
            Fault::internal("sandbox.clock", format!("cannot start the guests' clock: {error}"))
        })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_that_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        let wanted = format!("name = \"wasmtime\"\nversion = \"{}\"", super::WASMTIME);
        assert!(lock.contains(&wanted), "set engine::WASMTIME to the locked version");
    }
}
