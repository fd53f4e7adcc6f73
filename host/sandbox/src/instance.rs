//! One instance of a plug-in, and how it is called: within its limits, and never again after a trap.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::{Fault, Result, Side};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Instance as WasmInstance, InstancePre, ResourceAny};
use wasmtime::{AsContext as _, Store, Trap, UpdateDeadline};
use wasmtime_wasi::I32Exit;

use crate::bindings::airlock::connector::types;
use crate::call::Call;
use crate::convert;
use crate::hook::HostCalls;
use crate::limits::{self, Limits};
use crate::meter::Meter;
use crate::reach::Reach;
use crate::secrets::Secrets;
use crate::state::State;
use crate::stdio::Output;
use crate::text;

/// Epochs until a running guest is looked at.
const LOOK_EPOCHS: u64 = 1;
/// The time that destructors have when a session is let go.
const GOODBYE: Duration = Duration::from_secs(5);

/// What starting an instance needs, the same for all instances of a component.
pub(crate) struct Factory {
    pub(crate) title: String,
    pub(crate) pre: InstancePre<State>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) output: Arc<dyn Output>,
    /// One permit for each slot of the pool.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) host_calls: Option<HostCalls>,
    pub(crate) meter: Option<Meter>,
    /// The host's own, links followed.
    pub(crate) own_folders: Arc<[PathBuf]>,
}

/// An instance with its store. While a call is on, its living part is with the call: a call that
/// traps, runs out of time or is given up takes it along, and every later call answers
/// `plugin.dead`.
pub(crate) struct Instance {
    factory: Arc<Factory>,
    secrets: Secrets,
    live: Option<Live>,
}

/// A store that may be called.
pub(crate) struct Live {
    pub(crate) store: Store<State>,
    pub(crate) instance: WasmInstance,
    _slot: OwnedSemaphorePermit,
}

/// The clock of one call.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    call: Call,
    limit: &'static str,
    wall: Duration,
}

/// What came of a call: an answer or a trap, or `None` when its time ran out.
pub(crate) type Outcome<T> = Option<wasmtime::Result<T>>;

impl Turn {
    fn new(call: Call, limits: &Limits) -> Self {
        let (limit, wall) = call.wall(limits);
        Self { call, limit, wall }
    }

    /// Waits for a call, no longer than it may take.
    pub(crate) fn wait<T>(
        self,
        work: impl Future<Output = wasmtime::Result<T>> + Send,
    ) -> impl Future<Output = Outcome<T>> + Send {
        // On the heap, since the engine's futures are large.
        let work = Box::pin(work);
        async move { tokio::time::timeout(self.wall, work).await.ok() }
    }
}

impl Instance {
    /// Starts an instance, for a session of `side` if it has one, that can reach `reach`, and whose words never show `secrets`.
    pub(crate) async fn start(
        factory: &Arc<Factory>,
        side: Option<Side>,
        reach: &Reach,
        secrets: Secrets,
    ) -> Result<Self> {
        let limits = &factory.limits;
        let slot = slot(factory).await?;
        let output = Arc::clone(&factory.output);
        let own = &factory.own_folders;
        let state = State::new(&factory.title, side, reach, &secrets, limits, output, own)?;
        let mut store = Store::new(factory.pre.engine(), state);
        store.limiter(|state| &mut state.ledger);
        store.set_hostcall_fuel(limits.message_bytes as usize);
        store.set_max_component_handles(limits.handles as usize);
        store.set_epoch_deadline(LOOK_EPOCHS);
        store.epoch_deadline_callback(|mut cx| {
            Ok(match cx.data_mut().processor.tick() {
                true => {
                    UpdateDeadline::YieldCustom(LOOK_EPOCHS, Box::pin(tokio::task::yield_now()))
                }
                false => UpdateDeadline::Interrupt,
            })
        });
        if let Some(calls) = &factory.host_calls {
            calls.watch(&mut store, &factory.title, side);
        }
        if let Some(meter) = &factory.meter {
            meter.begin(&mut store);
        }
        store.data_mut().new_call(limits);
        let turn = Turn::new(Call::Instantiate, limits);
        match turn.wait(factory.pre.instantiate_async(&mut store)).await {
            Some(Ok(instance)) => {
                let live = Some(Live { store, instance, _slot: slot });
                Ok(Self { factory: Arc::clone(factory), secrets, live })
            }
            outcome => {
                let error = outcome.and_then(|result| result.err());
                let fault = fault(factory, &secrets, turn, &mut store, error);
                bury(store);
                Err(fault)
            }
        }
    }

    /// Begins a call: takes the living part out.
    pub(crate) fn enter(&mut self, call: Call) -> Result<(Live, Turn)> {
        let mut live = self.live.take().ok_or_else(|| {
            Fault::plugin(
                "plugin.dead",
                format!("{} was called again after its session ended", self.who()),
            )
        })?;
        live.store.data_mut().new_call(&self.factory.limits);
        if let Some(meter) = &self.factory.meter {
            meter.begin(&mut live.store);
        }
        Ok((live, Turn::new(call, &self.factory.limits)))
    }

    /// Ends a call: puts the living part back, unless the guest trapped or ran out of time.
    pub(crate) fn leave<T>(
        &mut self,
        mut live: Live,
        turn: Turn,
        outcome: Outcome<T>,
    ) -> Result<T> {
        if let Some(meter) = &self.factory.meter {
            meter.end(&live.store);
        }
        match outcome {
            Some(Ok(answer)) => {
                self.live = Some(live);
                Ok(answer)
            }
            outcome => {
                let error = outcome.and_then(|result| result.err());
                let fault = fault(&self.factory, &self.secrets, turn, &mut live.store, error);
                bury(live);
                Err(fault)
            }
        }
    }

    /// Ends a call that may answer a fault of the guest's own.
    pub(crate) fn answer<T>(
        &mut self,
        live: Live,
        turn: Turn,
        outcome: Outcome<std::result::Result<T, types::Fault>>,
    ) -> Result<T> {
        let answer = self.leave(live, turn, outcome)?;
        answer.map_err(|own| convert::fault(own, &self.secrets))
    }

    /// Runs the destructor of a resource.
    pub(crate) async fn drop_resource(&mut self, resource: ResourceAny) -> Result<()> {
        let (mut live, turn) = self.enter(Call::Drop)?;
        let outcome = turn.wait(resource.resource_drop_async(&mut live.store)).await;
        self.leave(live, turn, outcome)
    }

    /// Says goodbye: runs the destructors of `resources` in the background, then lets the store go.
    pub(crate) fn retire(&mut self, resources: Vec<ResourceAny>) {
        let Some(mut live) = self.live.take() else { return };
        live.store.data_mut().new_call(&self.factory.limits);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (factory, secrets) = (Arc::clone(&self.factory), self.secrets.clone());
        let turn = Turn::new(Call::Drop, &factory.limits);
        runtime.spawn(async move {
            let farewell = async {
                for resource in resources {
                    resource.resource_drop_async(&mut live.store).await?;
                }
                Ok::<(), wasmtime::Error>(())
            };
            match tokio::time::timeout(GOODBYE, farewell).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let fault = fault(&factory, &secrets, turn, &mut live.store, Some(error));
                    tracing::warn!("a session did not end well: {}", fault.message);
                }
                Err(_) => {
                    let (who, call) = (who(&factory.title), turn.call.word());
                    tracing::warn!(
                        "{who} took more than {GOODBYE:?} in \"{call}\" and was stopped"
                    );
                }
            }
            bury(live);
        });
    }

    pub(crate) fn who(&self) -> String {
        who(&self.factory.title)
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.factory.limits
    }

    /// The fault of an answer that passed a limit of the host. The session is over.
    pub(crate) fn passed(&mut self, call: Call, name: &str) -> Fault {
        self.live = None;
        limits::passed(self.limits(), &self.who(), call.word(), name)
    }

    /// The fault of an answer that cannot be true. The session is over.
    pub(crate) fn lie(&mut self, call: Call, code: &str, what: impl std::fmt::Display) -> Fault {
        self.live = None;
        lie(&self.who(), call, code, what)
    }

    /// A fault that `domain` found in an answer. The session is over.
    pub(crate) fn broke(&mut self, call: Call, mut fault: Fault) -> Fault {
        self.live = None;
        // It may show what the guest wrote.
        fault.message = text::harmless(&fault.message, text::MESSAGE_BYTES_MAX);
        fault.within(format!("\"{}\"", call.word())).within(self.who())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            bury(live);
        }
    }
}

/// Waits for a free slot: for a while, since sessions beside this one end.
async fn slot(factory: &Factory) -> Result<OwnedSemaphorePermit> {
    let free = Arc::clone(&factory.slots).acquire_owned();
    match tokio::time::timeout(factory.limits.long_call, free).await {
        Ok(Ok(slot)) => Ok(slot),
        Ok(Err(_)) => Err(Fault::internal("sandbox.closed", "no more instances are started")),
        Err(_) => {
            let call = Call::Instantiate.word();
            Err(limits::passed(&factory.limits, &who(&factory.title), call, "instances"))
        }
    }
}

pub(crate) fn who(title: &str) -> String {
    format!("plug-in \"{title}\"")
}

/// The fault of a plug-in that broke the contract.
fn lie(who: &str, call: Call, code: &str, what: impl std::fmt::Display) -> Fault {
    Fault::plugin(
        format!("plugin.lie.{code}"),
        format!("{who} broke the contract in \"{}\": {what}", call.word()),
    )
    .hint("this is a bug of the plug-in: tell its author")
}

/// Gives a store back on a thread that may wait.
fn bury<T: Send + 'static>(dead: T) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn_blocking(move || drop(dead));
    }
}

/// Why a call ended without an answer; without an error, its time ran out.
fn fault(
    factory: &Factory,
    secrets: &Secrets,
    turn: Turn,
    store: &mut Store<State>,
    error: Option<wasmtime::Error>,
) -> Fault {
    let who = who(&factory.title);
    let passed = |name| limits::passed(&factory.limits, &who, turn.call.word(), name);
    let Some(error) = error else { return passed(turn.limit) };
    let trap = error.downcast_ref::<Trap>().copied();
    if trap == Some(Trap::Interrupt)
        && let Some(name) = store.as_context().data().processor.exhausted()
    {
        return passed(name);
    }
    if store.data_mut().ledger.take_refused() {
        return with_last_words(passed("memory"), secrets, store);
    }
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls") {
        return passed("message");
    }
    if text.contains("handle limit exceeded") || text.contains("resource table has no free keys") {
        return passed("handles");
    }
    let (code, why) = match (trap, error.downcast_ref::<I32Exit>()) {
        (_, Some(exit)) => ("plugin.exit", format!("it ended itself with status {}", exit.0)),
        (Some(trap), _) => ("plugin.trap", trap.to_string()),
        (None, None) => ("plugin.trap", text::harmless(&error.root_cause().to_string(), 300)),
    };
    let call = turn.call.word();
    let fault = Fault::plugin(code, format!("{who} failed in \"{call}\": {why}"));
    with_last_words(fault, secrets, store).hint("this is a bug of the plug-in: tell its author")
}

fn with_last_words(mut fault: Fault, secrets: &Secrets, store: &Store<State>) -> Fault {
    if let Some(words) = store.data().stderr().last_words() {
        let words = secrets.blank(&words);
        fault.message.push_str(&format!("; it said: {words}"));
    }
    fault
}
