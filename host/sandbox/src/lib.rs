//! sandbox
mod bindings;
