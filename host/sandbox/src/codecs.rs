//! The codecs that guests hand their bytes to.
//!
//! A decoder reads a guest's bytes where they lie, in the guest's memory; columns for an encoder are copied
//! and checked as a batch is. What comes back lies in the guest's memory again. A codec holds what it is in
//! the middle of, which counts as the guest's memory.

use std::panic::{AssertUnwindSafe, catch_unwind};

use codec::{Budget, Domain};
use domain::Dataset;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower, Resource, ResourceType, WasmList};
use wasmtime_wasi_io::bytes::Bytes;

use crate::batch::{self, Refused};
use crate::bindings::airlock::connector::codec as wire;
use crate::bindings::airlock::connector::types;
use crate::convert;
use crate::ledger::Ledger;
use crate::state::State;

/// The options of a codec at most, bytes.
const OPTIONS_BYTES_MAX: usize = 4 << 20;

/// A guest's decoder.
pub(crate) struct Decoder(Used<dyn codec::Decoder>);

/// A guest's encoder.
pub(crate) struct Encoder {
    used: Used<dyn codec::Encoder>,
    /// The one dataset that its rows are of.
    dataset: Dataset,
}

/// A codec in use.
struct Used<T: ?Sized> {
    /// `None` once it panicked or held too much: nobody knows what it would do next.
    inner: Option<Box<T>>,
    /// What it holds, as it is counted.
    held: usize,
}

/// What came of a call of a codec.
struct Ran<T: ?Sized, A> {
    inner: Option<Box<T>>,
    /// What it holds now.
    holds: usize,
    answer: Answer<A>,
}

/// The contract's `decoded`: the guest's memory gets its bytes straight from Arrow's.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Decoded {
    taken: u32,
    records: u32,
    #[component(name = "lines-before")]
    lines_before: u32,
    lines: u32,
    rows: u32,
    buffers: Vec<Bytes>,
    flawed: Vec<wire::Flawed>,
}

/// What a guest gets in place of an answer.
type Answer<T> = Result<T, types::Fault>;

/// Makes the interface `codec`, by hand: the generated functions would copy what is read in place.
pub(crate) fn link(l: &mut Linker<State>) -> wasmtime::Result<()> {
    type Store<'a> = StoreContextMut<'a, State>;
    type Opening = (String, String, Vec<types::Field>);
    let mut codec = l.instance("airlock:connector/codec@0.1.0")?;
    codec.resource("decoder", ResourceType::host::<Decoder>(), |mut cx, rep| {
        let state: &mut State = cx.data_mut();
        state.table.delete(Resource::<Decoder>::new_own(rep))?.0.give_up(&mut state.ledger);
        Ok(())
    })?;
    codec.resource("encoder", ResourceType::host::<Encoder>(), |mut cx, rep| {
        let state: &mut State = cx.data_mut();
        state.table.delete(Resource::<Encoder>::new_own(rep))?.used.give_up(&mut state.ledger);
        Ok(())
    })?;
    codec.func_wrap("[static]decoder.open", |mut cx: Store<'_>, opening: Opening| {
        Ok((open_decoder(cx.data_mut(), opening)?,))
    })?;
    codec.func_wrap(
        "[method]decoder.decode",
        |cx: Store<'_>, (decoder, bytes, last, budget): (_, WasmList<u8>, bool, wire::Budget)| {
            Ok((decode(cx, &decoder, &bytes, last, budget)?,))
        },
    )?;
    codec.func_wrap("[static]encoder.open", |mut cx: Store<'_>, opening: Opening| {
        Ok((open_encoder(cx.data_mut(), opening)?,))
    })?;
    codec.func_wrap(
        "[method]encoder.encode",
        |mut cx: Store<'_>, (encoder, rows, buffers): (_, u32, Vec<Vec<u8>>)| {
            Ok((encode(cx.data_mut(), &encoder, rows, buffers)?,))
        },
    )?;
    codec.func_wrap("[method]encoder.finish", |mut cx: Store<'_>, (encoder,): (_,)| {
        Ok((finish(cx.data_mut(), &encoder)?,))
    })
}

fn fault(domain: types::FaultDomain, code: &str, message: String) -> types::Fault {
    types::Fault {
        domain,
        retry_after_ms: None,
        code: code.to_owned(),
        message,
        hint: None,
        place: None,
    }
}

fn plugin(code: &str, message: impl Into<String>) -> types::Fault {
    fault(types::FaultDomain::Plugin, code, message.into())
}

fn told(told: codec::Fault) -> types::Fault {
    let domain = match told.domain {
        Domain::User => types::FaultDomain::User,
        Domain::External => types::FaultDomain::External,
        Domain::Data => types::FaultDomain::Data,
        Domain::Plugin => types::FaultDomain::Plugin,
    };
    types::Fault { hint: told.hint.map(str::to_owned), ..fault(domain, told.code, told.message) }
}

fn panicked() -> types::Fault {
    plugin("codec.panicked", "the host's codec gave up on what it was handed")
}

/// Makes a codec.
fn open<T>(open: impl FnOnce() -> codec::Result<T>) -> Answer<T> {
    catch_unwind(AssertUnwindSafe(open)).map_err(|_| panicked())?.map_err(told)
}

/// Calls a codec. A panic in it is its bug, and ends nothing but itself.
fn run<T: ?Sized, A>(
    inner: Option<Box<T>>,
    memory: impl Fn(&T) -> usize,
    call: impl FnOnce(&mut T) -> codec::Result<A>,
) -> Ran<T, A> {
    let Some(mut inner) = inner else {
        let gone = plugin("codec.gone", "this codec has failed before, and is of no more use");
        return Ran { inner: None, holds: 0, answer: Err(gone) };
    };
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let answer = call(&mut inner).map_err(told);
        let holds = memory(&inner);
        Ran { inner: Some(inner), holds, answer }
    }));
    ran.unwrap_or_else(|_| Ran { inner: None, holds: 0, answer: Err(panicked()) })
}

impl<T: ?Sized> Used<T> {
    fn new(inner: Box<T>) -> Self {
        Self { inner: Some(inner), held: 0 }
    }

    /// Counts what the codec holds after a call for which it was taken out.
    fn settle<A>(&mut self, ledger: &mut Ledger, ran: Ran<T, A>) -> Answer<A> {
        self.inner = ran.inner;
        let before = std::mem::replace(&mut self.held, ran.holds);
        if ledger.hold(before, ran.holds) {
            return ran.answer;
        }
        self.give_up(ledger);
        let message = "a codec holds more than is left of the plug-in's memory";
        Err(plugin("codec.memory", message))
    }

    fn give_up(&mut self, ledger: &mut Ledger) {
        self.inner = None;
        ledger.hold(std::mem::take(&mut self.held), 0);
    }
}

/// The dataset that the columns of a codec are of.
fn dataset(options: &str, fields: Vec<types::Field>) -> Answer<Dataset> {
    if options.len() > OPTIONS_BYTES_MAX {
        let message = format!("the options of a codec have more than {OPTIONS_BYTES_MAX} bytes");
        return Err(plugin("codec.options", message));
    }
    let dataset =
        types::Dataset { path: Vec::new(), fields, primary_key: Vec::new(), metadata: Vec::new() };
    convert::dataset_in(dataset).map_err(|wrong| plugin("codec.fields", wrong.message))
}

fn open_decoder(
    state: &mut State,
    (name, options, fields): (String, String, Vec<types::Field>),
) -> wasmtime::Result<Answer<Resource<Decoder>>> {
    let opened = dataset(&options, fields)
        .and_then(|dataset| open(|| codec::decoder(&name, &options, dataset.schema)));
    Ok(match opened {
        Ok(inner) => Ok(state.table.push(Decoder(Used::new(inner)))?),
        Err(fault) => Err(fault),
    })
}

fn decode(
    mut cx: StoreContextMut<'_, State>,
    decoder: &Resource<Decoder>,
    bytes: &WasmList<u8>,
    last: bool,
    budget: wire::Budget,
) -> wasmtime::Result<Answer<Decoded>> {
    let state = cx.data_mut();
    let rows = budget.rows.min(u32::try_from(state.limits.batch_rows).unwrap_or(u32::MAX));
    let size = budget.bytes.min(state.limits.batch_bytes);
    let budget = Budget { rows, bytes: usize::try_from(size).unwrap_or(usize::MAX) };
    // It is taken out while it reads: its bytes lie in the store that it lies in.
    let inner = state.table.get_mut(decoder)?.0.inner.take();
    let bytes = bytes.as_le_slice(&cx);
    let ran = run(inner, |it| it.memory(), |it| it.decode(bytes, last, budget));
    let State { table, ledger, .. } = cx.data_mut();
    Ok(table.get_mut(decoder)?.0.settle(ledger, ran).and_then(decoded))
}

fn decoded(decoded: codec::Decoded) -> Answer<Decoded> {
    let buffers =
        batch::encode(&decoded.rows).map_err(|fault| plugin("codec.fields", fault.message))?;
    let flawed = |flawed: codec::Flawed| wire::Flawed {
        record: flawed.record,
        start: flawed.start as u32,
        lines_before: flawed.lines_before,
        data: flawed.data,
        code: flawed.code,
        message: flawed.message,
    };
    Ok(Decoded {
        taken: decoded.taken as u32,
        records: decoded.records,
        lines_before: decoded.lines_before,
        lines: decoded.lines,
        rows: decoded.rows.num_rows() as u32,
        buffers: buffers.into_iter().map(Bytes::from_owner).collect(),
        flawed: decoded.flawed.into_iter().map(flawed).collect(),
    })
}

fn open_encoder(
    state: &mut State,
    (name, options, fields): (String, String, Vec<types::Field>),
) -> wasmtime::Result<Answer<Resource<Encoder>>> {
    let opened = dataset(&options, fields).and_then(|dataset| {
        let inner = open(|| codec::encoder(&name, &options, &dataset.schema))?;
        Ok(Encoder { used: Used::new(inner), dataset })
    });
    Ok(match opened {
        Ok(encoder) => Ok(state.table.push(encoder)?),
        Err(fault) => Err(fault),
    })
}

fn encode(
    state: &mut State,
    encoder: &Resource<Encoder>,
    rows: u32,
    buffers: Vec<Vec<u8>>,
) -> wasmtime::Result<Answer<wire::Encoded>> {
    let State { table, ledger, limits, .. } = state;
    let Encoder { used, dataset } = table.get_mut(encoder)?;
    let batch = types::Batch { dataset: 0, rows, operations: None, absent: Vec::new(), buffers };
    let batch = match batch::decode(batch, std::slice::from_ref(dataset), limits) {
        Ok(batch) => batch,
        Err(Refused::Limit(name)) => {
            let message = format!("rows for a codec pass the limit {name}");
            return Ok(Err(plugin("codec.batch", message)));
        }
        Err(Refused::Lie(what)) => {
            return Ok(Err(plugin("codec.batch", format!("rows for a codec: {what}"))));
        }
    };
    let mut bytes = Vec::new();
    let ran = run(
        used.inner.take(),
        |it| it.memory(),
        |it| Ok((it.encode(&batch.rows, &mut bytes)?, it.pending() as u64)),
    );
    let refused = |refused: codec::Refused| wire::Refused {
        row: refused.row,
        column: refused.column,
        code: refused.code,
        message: refused.message,
    };
    Ok(used.settle(ledger, ran).map(|(left_out, pending)| wire::Encoded {
        bytes,
        refused: left_out.into_iter().map(refused).collect(),
        pending,
    }))
}

fn finish(state: &mut State, encoder: &Resource<Encoder>) -> wasmtime::Result<Answer<Vec<u8>>> {
    let State { table, ledger, .. } = state;
    let Encoder { used, .. } = table.get_mut(encoder)?;
    let mut bytes = Vec::new();
    let ran = run(used.inner.take(), |it| it.memory(), |it| it.finish(&mut bytes));
    Ok(used.settle(ledger, ran).map(|()| bytes))
}
