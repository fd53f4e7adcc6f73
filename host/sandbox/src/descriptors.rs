//! File descriptors of the process, which all instances share with the host.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More are not asked for.
const WANTED: u64 = 1 << 20;
/// Kept for the host: the store, the journal, connections that are being made.
const RESERVED_MAX: u64 = 256;

/// Raises this process's limit to what its user may have.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(WANTED).min(WANTED);
    if limit.current.is_some_and(|current| current < most) {
        let raised = Rlimit { current: Some(most), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!("the limit on open files stays as it is: {error}");
        }
    }
}

/// Whether a guest may open one more. New descriptors get the smallest free number, so the number of
/// one says how many there are.
pub(crate) fn has_room() -> bool {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let reserved = RESERVED_MAX.min(limit / 4);
    File::open("/dev/null").is_ok_and(|next| (next.as_raw_fd() as u64) < limit - reserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_leaves_room() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert!(
            limit
                .current
                .is_none_or(|current| { current >= limit.maximum.unwrap_or(WANTED).min(WANTED) })
        );
        assert!(has_room());
    }
}
