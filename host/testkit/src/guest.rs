//! Components that tests load.
//!
//! `cargo xtask guests` builds them all into `target/guests`; this module only finds them.

use std::path::Path;

const BUILT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/guests/wasm32-wasip2/release");

/// The text in `faulty` behind which the act of its `describe` stands, filled up with spaces.
const DESCRIBE_ACT: &[u8] = b"faulty-describe-act:";

/// Room for the act behind [`DESCRIBE_ACT`].
const ACT_BYTES: usize = 28;

/// The component of the guest package `name`, such as `faulty` or `stream`.
///
/// # Panics
/// Where it was not built, with the command that builds it.
pub fn component(name: &str) -> Vec<u8> {
    let path = Path::new(BUILT).join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; \"cargo xtask guests\" builds it", path.display())
    })
}

/// `faulty`, whose `describe` does `act` before it answers: `spin`, `panic`, `memory-abort`, …
///
/// # Panics
/// As [`component`], and where `act` is longer than its place.
pub fn faulty_describing(act: &str) -> Vec<u8> {
    assert!(act.len() <= ACT_BYTES, "\"{act}\" is too long");
    let mut bytes = component("faulty");
    let found = bytes.windows(DESCRIBE_ACT.len()).position(|window| window == DESCRIBE_ACT);
    let start = found.expect("faulty holds the text once") + DESCRIBE_ACT.len();
    bytes[start..start + act.len()].copy_from_slice(act.as_bytes());
    bytes
}
