//! What belongs to one store: its WASI context, its accounts, its log.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cap_std::fs::Dir;
use domain::grant::Access;
use domain::{Fault, Result, Side};
use std::os::fd::AsRawFd;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use crate::bindings::airlock::connector::{log, types};
use crate::blocks::Room;
use crate::clocks::{Monotonic, Wall};
use crate::files::{self, Files};
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::network::Network;
use crate::reach::Reach;
use crate::secrets::Secrets;
use crate::statements::Statements;
use crate::stdio::{Level, Log, Output, Sink, Stderr, Stdout};

/// Random bytes that a guest may ask for at a time.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

pub(crate) struct State {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) ledger: Ledger,
    pub(crate) processor: Processor,
    pub(crate) network: Arc<Network>,
    pub(crate) files: Files,
    pub(crate) room: Room,
    pub(crate) limits: Arc<Limits>,
    log: Arc<Mutex<Log>>,
    stderr: Arc<Mutex<Stderr>>,
    statements: Statements,
}

/// Ticks on the processor: one for each time that the guest was found running.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processor {
    pub(crate) call_left: u64,
    pub(crate) session_left: u64,
}

impl Processor {
    /// Takes a tick; false when there is none left.
    pub(crate) fn tick(&mut self) -> bool {
        self.call_left = self.call_left.saturating_sub(1);
        self.session_left = self.session_left.saturating_sub(1);
        self.call_left > 0 && self.session_left > 0
    }

    /// The name of the limit that was reached.
    pub(crate) fn exhausted(&self) -> Option<&'static str> {
        match (self.call_left, self.session_left) {
            (_, 0) => Some("cpu-session"),
            (0, _) => Some("cpu-call"),
            _ => None,
        }
    }
}

impl State {
    /// Opens what `reach` says, and nothing else: no environment, no arguments, no datagrams.
    pub(crate) fn new(
        plugin: &str,
        side: Option<Side>,
        reach: &Reach,
        secrets: &Secrets,
        limits: &Arc<Limits>,
        output: Arc<dyn Output>,
        own_folders: &[PathBuf],
    ) -> Result<Self> {
        let log = Arc::new(Mutex::new(Log::new(plugin, secrets.clone(), limits)));
        let stderr = Arc::new(Mutex::new(Stderr::new(Arc::clone(&log), secrets.clone())));
        let statements = Statements::new(Arc::clone(&output), plugin, side, secrets.clone());
        let stdout = Arc::new(Mutex::new(Stdout::new(output, plugin, secrets.clone(), limits)));
        let network = Arc::new(Network::new(reach.endpoints.clone(), limits.name_lookup));
        let mut builder = WasiCtx::builder();
        builder
            .stdout(Sink::Out(stdout))
            .stderr(Sink::Err(Arc::clone(&stderr)))
            .wall_clock(Wall)
            .monotonic_clock(Monotonic::start())
            .max_random_size(RANDOM_BYTES_MAX)
            .allow_blocking_current_thread(false)
            .allow_udp(false)
            .allow_tcp(!reach.endpoints.is_empty())
            .allow_ip_name_lookup(false);
        let guard = Arc::clone(&network);
        builder.socket_addr_check(move |address, purpose| {
            let admitted = guard.admits(address, purpose);
            if !admitted {
                tracing::debug!(%address, ?purpose, "refused to a plug-in");
            }
            Box::pin(std::future::ready(admitted))
        });
        let opened = reach.open(own_folders)?;
        for folder in &opened.folders {
            preopen(&mut builder, &folder.dir, &folder.name, folder.access)?;
        }
        for (index, hidden) in opened.hidden.iter().enumerate() {
            preopen(&mut builder, &hidden.dir, &files::hidden_name(index), hidden.access)?;
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles as usize);
        Ok(Self {
            wasi: builder.build(),
            table,
            ledger: Ledger::new(limits.memory_bytes as usize),
            processor: Processor { call_left: 0, session_left: ticks(limits.cpu_session) },
            network,
            files: Files::new(opened.files),
            room: Room::default(),
            limits: Arc::clone(limits),
            log,
            stderr,
            statements,
        })
    }

    /// A call begins: its own accounts start anew.
    pub(crate) fn new_call(&mut self, limits: &Limits) {
        self.processor.call_left = ticks(limits.cpu_call);
        self.ledger.take_refused();
        self.stderr().new_call();
    }

    pub(crate) fn stderr(&self) -> MutexGuard<'_, Stderr> {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ticks in a time, at least one.
fn ticks(time: std::time::Duration) -> u64 {
    (time.as_millis() / crate::engine::TICK.as_millis()).max(1) as u64
}

/// Hands over an open folder. The engine takes a path, so it gets the one that means this very handle.
fn preopen(
    builder: &mut wasmtime_wasi::WasiCtxBuilder,
    dir: &Dir,
    name: &str,
    access: Access,
) -> Result<()> {
    let perms = match access {
        Access::Read => FsPerms::ReadOnly,
        Access::Write => FsPerms::ReadWrite,
    };
    let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
    builder.preopened_dir(path, name, perms).map_err(|error| {
        Fault::external("reach.unreadable", format!("cannot open folder \"{name}\": {error}"))
    })?;
    Ok(())
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for State {}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Error => Level::Error,
            log::Level::Warn => Level::Warn,
            log::Level::Info => Level::Info,
            log::Level::Debug => Level::Debug,
        };
        self.log().line(level, &message);
        Ok(())
    }

    fn statement(&mut self, text: String, series: Option<String>) -> wasmtime::Result<()> {
        self.statements.tell(&text, series.as_deref());
        Ok(())
    }
}
