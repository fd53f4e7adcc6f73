//! What the contract in `wit/` becomes for the host. The only place that generates it; the generated
//! types never leave this crate.
//!
//! The largest world is generated, and each exported interface is bound by itself with its own
//! `GuestIndices`: any set of interfaces is a plug-in.

#![allow(
    dead_code,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    reason = "generated; the parts that later versions use are there already"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "whole-plugin",
    imports: { default: trappable },
    exports: { default: async },
});
