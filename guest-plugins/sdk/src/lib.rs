//! What the author of a plug-in in Rust sees.
//!
//! A plug-in is a type that implements [`Plugin`] and names its [`Reader`], its [`Transformer`] and its
//! [`Writer`] ([`NoReader`] and so on where it has none); [`export!`] makes a component of it. Rows travel
//! as Arrow record batches in [`Batch`]; this crate turns them into the contract's buffers and back,
//! keeps sessions, cursors and sinks, and lends helpers: [`parameters`] reads a step's JSON document
//! and makes its schema, [`Fault`] has constructors; [`mod@codec`] leaves loops over bytes to the host.
//!
//! What this crate is not: a client of anything. The words are those of the contract in `wit/`, where
//! each call's duties stand; the traits here add no rule to them.
//!
//! Begin with [`Plugin`], then [`Reader`] and [`Cursor`], or [`Writer`] and [`Sink`]. A connector that
//! needs neither changes nor commits of its own begins with [`simple`], a step between reader and writer
//! with [`transform`].

#[allow(
    unsafe_code,
    unreachable_pub,
    clippy::all,
    reason = "generated from the contract; calls the canonical ABI"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "whole-plugin",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "sdk::bindings",
        generate_all,
    });
}

mod batch;
pub mod codec;
mod dataset;
mod face;
mod fault;
pub mod log;
pub mod net;
pub mod parameters;
mod plugin;
pub mod rows;
pub mod simple;
pub mod transform;

pub use arrow_array;
pub use arrow_schema;
pub use batch::Batch;
pub use bindings::airlock::connector::types::{
    ChangeKind, ColumnChange, Configuration, Fault, FaultDomain, Mark, Position, Side,
};
pub use bindings::exports::airlock::connector::connector::{
    Access, CheckStep, Description, Directory, Endpoint, Entry, File, Requirement, Role, SourceType,
};
pub use bindings::exports::airlock::connector::reader::{Budget, Split, Splits, Undecodable};
pub use bindings::exports::airlock::connector::transformer::Refused;
pub use bindings::exports::airlock::connector::writer::{
    Answer, Back, Closed, CommitMode, Form, Outcome, ReadBack, Remark, Run, Task, Wishes,
};
pub use dataset::Dataset;
pub use face::{Face, NoSql};
pub use plugin::{
    Cursor, NoReader, NoWriter, Plan, Plugin, Prepared, Reader, Rows, Sink, Step, Writer,
};
pub use transform::{NoTransformer, Transformed, Transformer};

/// The answer of every call that can fail.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// Makes a component of a type that implements [`Plugin`].
///
/// The crate must be a `cdylib` and know this crate as `sdk`.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[doc(hidden)]
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the canonical ABI's entry points")]
        mod component {
            use super::*;
            type Exported = $crate::Face<$plugin>;
            $crate::bindings::export_component!(Exported with_types_in $crate::bindings);
        }

        /// Unit tests run natively, where the names of a component's exports are no symbols.
        #[doc(hidden)]
        #[cfg(not(target_arch = "wasm32"))]
        pub fn component() -> $crate::Description {
            <$plugin as $crate::Plugin>::describe()
        }
    };
}
