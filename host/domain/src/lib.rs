//! The words and the pure decisions of Airlock, and the ports between its parts.
//!
//! What is here: what a job, a run, a task, a batch, a mark and a fault *are*; which grants cover what
//! a plug-in asks for; which state a run goes to next; how a field is spelled on the wire. And the
//! ports: [`port::Reader`], [`port::Writer`] and [`port::Store`], which `sandbox`, `store` and the
//! scripted doubles of `testkit` implement and which `engine` alone drives.
//!
//! What is not here: input and output, threads, clocks, JSON, WebAssembly, a database.
//!
//! Begin with [`port`], then [`mark`], then [`run`].

pub mod batch;
pub mod bookmark;
pub mod books;
pub mod configuration;
pub mod dataset;
pub mod description;
pub mod fault;
pub mod grant;
pub mod job;
pub mod mark;
pub mod nearest;
pub mod port;
pub mod run;
pub mod verify;

pub use batch::{Batch, Positions};
pub use bookmark::Bookmark;
pub use configuration::{Configuration, Secret, Side};
pub use dataset::{Dataset, FlatField};
pub use fault::{Fault, FaultDomain, Result, Retry};
pub use mark::{Counts, Mark, Position};
pub use run::{Epoch, RunId, SourceIndex, TaskIndex};
