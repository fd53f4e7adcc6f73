//! What stands between the engine and its ports: nothing in `airlock` itself, stop points in the
//! second program that tests build.

use domain::port::{Destination, Source, Store};
use sandbox::{GuestDestination, GuestSource, OnHostCall};
use store::SqliteStore;

/// Wraps each port before the engine gets it.
pub trait Ports: Send + Sync + 'static {
    type Store: Store;
    type Source: Source;
    type Destination: Destination;

    fn store(&self, store: SqliteStore) -> Self::Store;
    fn source(&self, source: GuestSource) -> Self::Source;
    fn destination(&self, destination: GuestDestination) -> Self::Destination;

    /// What is told of every host call of the plug-ins.
    fn on_host_call(&self) -> Option<OnHostCall> {
        None
    }
}

/// Leaves every port as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Ports for Plain {
    type Store = SqliteStore;
    type Source = GuestSource;
    type Destination = GuestDestination;

    fn store(&self, store: SqliteStore) -> SqliteStore {
        store
    }

    fn source(&self, source: GuestSource) -> GuestSource {
        source
    }

    fn destination(&self, destination: GuestDestination) -> GuestDestination {
        destination
    }
}
