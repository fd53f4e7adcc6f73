//! A look at every host call of guests, for programs that test what a kill at that moment leaves.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::Side;
use wasmtime::{CallHook, Store};

use crate::state::State;

/// A guest leaves its code for the host: for a function of the host, or a helper of the engine
/// (more memory, a look at the clock). Nothing of the call has been done yet.
#[derive(Clone, Copy, Debug)]
pub struct HostCall<'a> {
    pub plugin: &'a str,
    /// Of the session; `None` outside of sessions: describe, requirements, check, browse, discover.
    pub side: Option<Side>,
    /// Which one it is in this process, from 1.
    pub number: u64,
}

/// Called before every host call. It may block: the guest, and its thread, wait for it.
pub type OnHostCall = Arc<dyn Fn(&HostCall<'_>) + Send + Sync>;

/// The hook and the count of one process.
#[derive(Clone)]
pub(crate) struct HostCalls {
    on_call: OnHostCall,
    count: Arc<AtomicU64>,
}

impl HostCalls {
    pub(crate) fn new(on_call: OnHostCall) -> Self {
        Self { on_call, count: Arc::default() }
    }

    /// Has the hook called for the instance of `store`.
    pub(crate) fn watch(&self, store: &mut Store<State>, plugin: &str, side: Option<Side>) {
        let (calls, plugin) = (self.clone(), plugin.to_owned());
        store.call_hook(move |_, moment| {
            if matches!(moment, CallHook::CallingHost) {
                let number = calls.count.fetch_add(1, Ordering::Relaxed) + 1;
                (calls.on_call)(&HostCall { plugin: &plugin, side, number });
            }
            Ok(())
        });
    }
}

impl fmt::Debug for HostCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} host calls", self.count)
    }
}
