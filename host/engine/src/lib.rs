//! One run of a job: plan, prepare, read, map, write, commit, acknowledge.
//!
//! [`Engine::attempt`] takes a recorded run from where it stands to its end, or as far as it comes:
//! it may be dropped, killed or stopped at any await, and the next attempt goes on behind the last
//! durable mark. It drives the ports of `domain` alone; it knows neither WebAssembly nor a database,
//! so its tests run on scripted doubles and a simulated clock.
//!
//! What stands where: [`attempt`] is the run as a whole, `planning` plans its sources, `union` makes one
//! dataset of theirs, `pool` hands out tasks, `lane` works on one
//! after another, `reading` and `writing` are the two halves of a task, `throttle` holds up who reads
//! too fast, `unsettled` keeps what a destination may still refuse, `parts` looks for the row to blame,
//! `verify` reads back what was written,
//! `processing` changes and drops records before [`mapping`] casts them, `sorting` sorts, [`preview`]
//! is the run that does nothing, `watch` keeps where the time goes, and [`advice`] says what to make of it.
//!
//! Begin with `attempt.rs`, then `lane.rs`; the order of invariant 1 is in `writing.rs`, in `settle`.

mod addresses;
pub mod advice;
mod attempt;
mod dirty;
mod lane;
pub mod mapping;
mod parts;
mod planning;
mod pool;
mod preview;
mod processing;
mod progress;
mod reading;
pub mod replay;
mod retry;
mod session;
mod settings;
mod sorting;
mod throttle;
mod told;
mod union;
mod unsettled;
mod verify;
pub mod watch;
mod writing;

pub use addresses::Addresses;
pub use attempt::{Engine, Summary};
pub use preview::{Preview, PreviewedSource, Sample, sample};
pub use processing::StepPlugin;
pub use progress::{Progress, Seen, Stage};
pub use settings::{Settings, transformer_word};
