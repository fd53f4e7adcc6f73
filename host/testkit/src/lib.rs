//! Doubles and checkers for the tests of the engine and of every store. Development only.
//!
//! A [`Scenario`] says everything about a simulated run, derived from a seed: the records and what
//! becomes of each, how the source cuts and marks them, how the destination commits, refuses and
//! takes, and which call of which port goes wrong. [`simulate`] plays it: attempt after attempt on the
//! same books and the same destination, each in a runtime of its own with simulated time, until the
//! run has ended; then it judges what is left. All doubles share one [`World`], so that each can check
//! what it is told against what is really durable: a wrong acknowledgement is found when it is made.
//!
//! [`guest`] finds compiled components for the tests of the sandbox.
//! [`store_conformance`] is what every `domain::port::Store` must do.
//!
//! What is not here: the engine. It is handed in as a function, so that its tests can depend on this.
//!
//! A test of an engine is a loop over seeds:
//!
//! ```text
//! let scenario = Scenario::from_seed(seed, Abilities::ALL);
//! examine(&scenario, |parts| async move { Engine::of(parts).attempt().await }).unwrap();
//! ```
//!
//! and the same with `scenario.with(planted)` and [`simulate`] proves that its checkers look, and
//! [`Coverage`] that every fault met every step.
//!
//! Begin with [`harness`], then [`scenario`], then the doubles [`store`], [`source`],
//! [`step`], [`destination`]; `world` is where calls go wrong.

pub mod back;
pub mod conformance;
pub mod coverage;
pub mod destination;
pub mod fault;
pub mod guest;
pub mod harness;
pub mod planted;
pub mod prng;
pub mod scenario;
mod sink;
pub mod source;
pub mod step;
pub mod store;
pub mod table;
mod verdict;
pub mod world;

pub use conformance::store_conformance;
pub use coverage::Coverage;
pub use destination::ScriptedDestination;
pub use fault::{FaultKind, FaultPlan, Met, Operation, Phase};
pub use harness::{Options, Parts, Report, check, examine, simulate};
pub use planted::Planted;
pub use prng::Rng;
pub use scenario::{Abilities, Reading, Scenario, Stepping, Taking, Writing};
pub use source::ScriptedSource;
pub use step::ScriptedStep;
pub use store::MemStore;
pub use world::World;
