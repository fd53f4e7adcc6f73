//! Everything that a plug-in can import, interface by interface.
//!
//! What is not in this list does not exist for a plug-in; `inspect` refuses it beforehand, by name.
//! Interfaces that toolchains import whether they are used or not are linked always, and refuse behind
//! the interface what was not granted.

use std::net::IpAddr;
use std::sync::Arc;
use std::vec;

use domain::{Fault, Result};
use wasmtime::StoreContextMut;
use wasmtime::component::{HasData, HasSelf, Linker, Resource, ResourceTable, ResourceType};
use wasmtime::{AsContextMut as _, Engine};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, HostDescriptor as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, IpAddressFamily};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sockets};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, FsResult, Network, Pollable, subscribe,
};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::bindings::airlock::connector;
use crate::blocks::{Blocks, Writes};
use crate::codecs;
use crate::descriptors;
use crate::limits;
use crate::network::NoAddress;
use crate::state::State;

struct HasIo;

impl HasData for HasIo {
    type Data<'a> = &'a mut ResourceTable;
}

/// Makes the linker that all plug-ins share.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>> {
    link(engine).map_err(|error| {
        Fault::internal("sandbox.linker", format!("cannot link the host's functions: {error:#}"))
    })
}

fn link(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    connector::types::add_to_linker::<State, HasSelf<State>>(l, |state| state)?;
    codecs::link(l)?;
    connector::log::add_to_linker::<State, HasSelf<State>>(l, |state| state)?;
    io::error::add_to_linker::<State, HasIo>(l, |state| &mut state.table)?;
    io::poll::add_to_linker::<State, HasIo>(l, |state| &mut state.table)?;
    io::streams::add_to_linker::<State, HasIo>(l, |state| &mut state.table)?;
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    random::random::add_to_linker::<State, WasiRandom>(l, State::random)?;
    random::insecure::add_to_linker::<State, WasiRandom>(l, State::random)?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(l, State::random)?;
    link_cli(l)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    link_sockets(l)?;
    link_names(l)?;
    l.allow_shadowing(true);
    link_files(l)?;
    link_file_streams(l)?;
    link_new_sockets(l)?;
    l.allow_shadowing(false);
    Ok(linker)
}

/// Environment and arguments are there and empty; no stream is a terminal.
fn link_cli(l: &mut Linker<State>) -> wasmtime::Result<()> {
    cli::environment::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)
}

/// Sockets, without the lookup of names.
fn link_sockets(l: &mut Linker<State>) -> wasmtime::Result<()> {
    let options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<State, WasiSockets>(l, &options, State::sockets)?;
    sockets::instance_network::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    sockets::tcp::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    sockets::udp::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    sockets::udp_create_socket::add_to_linker::<State, WasiSockets>(l, State::sockets)
}

type OnFiles<T> = (std::result::Result<T, filesystem::types::ErrorCode>,);

/// A code for the guest, or the engine's own fault.
fn on_files<T>(answer: FsResult<T>) -> wasmtime::Result<OnFiles<T>> {
    match answer {
        Ok(answer) => Ok((Ok(answer),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

/// In place of the engine's: streams from files and to them, in large blocks.
fn link_file_streams(l: &mut Linker<State>) -> wasmtime::Result<()> {
    type File = Resource<Descriptor>;
    let mut files = l.instance("wasi:filesystem/types@0.2.12")?;
    files.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut cx: StoreContextMut<'_, State>, (file, offset): (File, u64)| {
            let state = cx.data_mut();
            let file = match state.table.get(&file)? {
                Descriptor::File(file) => Arc::clone(&file.file),
                Descriptor::Dir(_) => {
                    return Ok((Err(filesystem::types::ErrorCode::IsDirectory),));
                }
            };
            let blocks: DynInputStream = Box::new(Blocks::new(file, offset, state.room.clone()));
            Ok((Ok(state.table.push(blocks)?),))
        },
    )?;
    files.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut cx: StoreContextMut<'_, State>, (file, offset): (File, u64)| {
            let opened = cx.data_mut().filesystem().write_via_stream(file, offset);
            on_files(opened.and_then(|stream| in_blocks(cx.data_mut(), stream)))
        },
    )?;
    files.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut cx: StoreContextMut<'_, State>, (file,): (File,)| {
            let opened = cx.data_mut().filesystem().append_via_stream(file);
            on_files(opened.and_then(|stream| in_blocks(cx.data_mut(), stream)))
        },
    )
}

/// A stream to a file that takes large blocks.
fn in_blocks(
    state: &mut State,
    stream: Resource<DynOutputStream>,
) -> FsResult<Resource<DynOutputStream>> {
    let inner = state.table.delete(stream)?;
    let writes: DynOutputStream = Box::new(Writes::new(inner, state.room.clone()));
    Ok(state.table.push(writes)?)
}

/// In place of the engine's: the functions that reach files by their names.
fn link_files(l: &mut Linker<State>) -> wasmtime::Result<()> {
    type Dir = Resource<Descriptor>;
    let mut preopens = l.instance("wasi:filesystem/preopens@0.2.12")?;
    preopens.func_wrap("get-directories", |mut cx: StoreContextMut<'_, State>, (): ()| {
        let state = cx.data_mut();
        let opened = preopens::Host::get_directories(&mut state.filesystem())?;
        Ok((state.files.keep_hidden(&mut state.table, opened)?,))
    })?;
    let mut files = l.instance("wasi:filesystem/types@0.2.12")?;
    files.func_wrap_async(
        "[method]descriptor.open-at",
        |mut cx: StoreContextMut<'_, State>,
         (dir, follow, path, how, flags): (Dir, PathFlags, String, OpenFlags, DescriptorFlags)| {
            Box::new(async move {
                if !descriptors::has_room() {
                    return Ok((Err(filesystem::types::ErrorCode::InsufficientMemory),));
                }
                let state = cx.data_mut();
                let (dir, path) = state.files.lead(dir, path);
                let mut files = state.filesystem();
                on_files(files.open_at(dir, follow, path, how, flags).await)
            })
        },
    )?;
    files.func_wrap_async(
        "[method]descriptor.stat-at",
        |mut cx: StoreContextMut<'_, State>, (dir, follow, path): (Dir, PathFlags, String)| {
            Box::new(async move {
                let state = cx.data_mut();
                let (dir, path) = state.files.lead(dir, path);
                on_files(state.filesystem().stat_at(dir, follow, path).await)
            })
        },
    )?;
    files.func_wrap_async(
        "[method]descriptor.unlink-file-at",
        |mut cx: StoreContextMut<'_, State>, (dir, path): (Dir, String)| {
            Box::new(async move {
                let state = cx.data_mut();
                let (dir, path) = state.files.lead(dir, path);
                on_files(state.filesystem().unlink_file_at(dir, path).await)
            })
        },
    )?;
    files.func_wrap_async(
        "[method]descriptor.metadata-hash-at",
        |mut cx: StoreContextMut<'_, State>, (dir, follow, path): (Dir, PathFlags, String)| {
            Box::new(async move {
                let state = cx.data_mut();
                let (dir, path) = state.files.lead(dir, path);
                on_files(state.filesystem().metadata_hash_at(dir, follow, path).await)
            })
        },
    )
}

/// In place of the engine's: a socket only where the process has a descriptor for it.
fn link_new_sockets(l: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut create = l.instance("wasi:sockets/tcp-create-socket@0.2.12")?;
    create.func_wrap(
        "create-tcp-socket",
        |mut cx: StoreContextMut<'_, State>, (family,): (IpAddressFamily,)| {
            if !descriptors::has_room() {
                return Ok((Err(ErrorCode::NewSocketLimit),));
            }
            let mut sockets = cx.data_mut().sockets();
            let created: Resolved<_> =
                match sockets::tcp_create_socket::Host::create_tcp_socket(&mut sockets, family) {
                    Ok(socket) => (Ok(socket),),
                    Err(error) => (Err(error.downcast()?),),
                };
            Ok(created)
        },
    )
}

/// The answers of one lookup, all there when the guest gets it.
struct Answers(vec::IntoIter<IpAddr>);

#[wasmtime_wasi::async_trait]
impl Pollable for Answers {
    async fn ready(&mut self) {}
}

type Resolved<T> = (std::result::Result<T, ErrorCode>,);

/// The host's own lookup of names: granted names only, answers judged and remembered.
fn link_names(l: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut names = l.instance("wasi:sockets/ip-name-lookup@0.2.12")?;
    names.resource("resolve-address-stream", ResourceType::host::<Answers>(), |mut cx, rep| {
        cx.data_mut().table.delete(Resource::<Answers>::new_own(rep))?;
        Ok(())
    })?;
    names.func_wrap_async(
        "resolve-addresses",
        |mut cx: StoreContextMut<'_, State>, (network, name): (Resource<Network>, String)| {
            Box::new(async move {
                cx.data_mut().table.get(&network)?;
                let answers = resolve(cx.as_context_mut(), &name).await;
                let resolved: Resolved<Resource<Answers>> = match answers {
                    Ok(ips) => (Ok(cx.data_mut().table.push(Answers(ips.into_iter()))?),),
                    Err(code) => (Err(code),),
                };
                Ok(resolved)
            })
        },
    )?;
    names.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut cx: StoreContextMut<'_, State>, (answers,): (Resource<Answers>,)| {
            let answers = cx.data_mut().table.get_mut(&answers)?;
            let next: Resolved<Option<IpAddress>> = (Ok(answers.0.next().map(IpAddress::from)),);
            Ok(next)
        },
    )?;
    names.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut cx: StoreContextMut<'_, State>, (answers,): (Resource<Answers>,)| {
            let pollable: Resource<DynPollable> = subscribe(&mut cx.data_mut().table, answers)?;
            Ok((pollable,))
        },
    )
}

async fn resolve(
    cx: StoreContextMut<'_, State>,
    name: &str,
) -> std::result::Result<Vec<IpAddr>, ErrorCode> {
    let network = Arc::clone(&cx.data().network);
    network.resolve(name).await.map_err(|why| {
        let shown = crate::text::harmless(name, 256);
        tracing::debug!(name = %shown, ?why, "a plug-in's lookup of a name failed");
        match why {
            NoAddress::NotGranted => ErrorCode::AccessDenied,
            NoAddress::PortNotWritten => {
                tracing::warn!(
                    "\"{shown}\" leads to this machine or its networks, which are reached only where the port is written: write the port in the job or its data source"
                );
                ErrorCode::AccessDenied
            }
            NoAddress::Unknown => ErrorCode::NameUnresolvable,
            NoAddress::TimedOut => {
                let why = limits::how_to_raise(&cx.data().limits, "name-lookup");
                tracing::warn!("looking up \"{shown}\" took too long: {why}");
                ErrorCode::TemporaryResolverFailure
            }
        }
    })
}
