//! The codecs that guests hand their bytes to.
//!
//! What a guest hands in is copied out of its memory and checked as a batch is; what comes back lies in its
//! memory again. A codec holds what it is in the middle of, which counts as the guest's memory.

use std::panic::{AssertUnwindSafe, catch_unwind};

use codec::{Budget, Domain};
use domain::Dataset;
use wasmtime::component::Resource;

use crate::batch::{self, Refused};
use crate::bindings::airlock::connector::codec as wire;
use crate::bindings::airlock::connector::types;
use crate::convert;
use crate::state::State;

/// The options of a codec at most, bytes.
const OPTIONS_BYTES_MAX: usize = 4 << 20;

/// A guest's decoder.
#[allow(unreachable_pub, reason = "the generated bindings name it as their own")]
pub struct Decoder {
    inner: Box<dyn codec::Decoder>,
    /// What it holds, as it is counted.
    held: usize,
}

/// A guest's encoder.
#[allow(unreachable_pub, reason = "the generated bindings name it as their own")]
pub struct Encoder {
    inner: Box<dyn codec::Encoder>,
    /// The one dataset that its rows are of.
    dataset: Dataset,
    /// What it holds, as it is counted.
    held: usize,
}

/// What a guest gets in place of an answer.
type Answer<T> = Result<T, types::Fault>;

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

/// Runs a codec. A panic in one is its bug, and ends nothing but the call.
fn run<T>(call: impl FnOnce() -> codec::Result<T>) -> Answer<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(answer) => answer.map_err(told),
        Err(_) => Err(plugin("codec.panicked", "the host's codec gave up on these bytes")),
    }
}

fn holds_too_much() -> types::Fault {
    plugin("codec.memory", "a codec holds more than is left of the plug-in's memory")
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

impl wire::Host for State {}

impl wire::HostDecoder for State {
    fn open(
        &mut self,
        name: String,
        options: String,
        fields: Vec<types::Field>,
    ) -> wasmtime::Result<Answer<Resource<Decoder>>> {
        let opened = dataset(&options, fields)
            .and_then(|dataset| run(|| codec::decoder(&name, &options, dataset.schema)));
        Ok(match opened {
            Ok(inner) => Ok(self.table.push(Decoder { inner, held: 0 })?),
            Err(fault) => Err(fault),
        })
    }

    fn decode(
        &mut self,
        decoder: Resource<Decoder>,
        bytes: Vec<u8>,
        last: bool,
        budget: wire::Budget,
    ) -> wasmtime::Result<Answer<wire::Decoded>> {
        let rows = budget.rows.min(u32::try_from(self.limits.batch_rows).unwrap_or(u32::MAX));
        let size = budget.bytes.min(self.limits.batch_bytes);
        let budget = Budget { rows, bytes: usize::try_from(size).unwrap_or(usize::MAX) };
        let decoder = self.table.get_mut(&decoder)?;
        let answer = run(|| decoder.inner.decode(&bytes, last, budget)).and_then(decoded);
        let before = std::mem::replace(&mut decoder.held, decoder.inner.memory());
        let fits = self.ledger.hold(before, decoder.held);
        Ok(if fits { answer } else { Err(holds_too_much()) })
    }

    fn drop(&mut self, decoder: Resource<Decoder>) -> wasmtime::Result<()> {
        let decoder = self.table.delete(decoder)?;
        self.ledger.hold(decoder.held, 0);
        Ok(())
    }
}

fn decoded(decoded: codec::Decoded) -> Answer<wire::Decoded> {
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
    Ok(wire::Decoded {
        taken: decoded.taken as u32,
        records: decoded.records,
        lines_before: decoded.lines_before,
        lines: decoded.lines,
        rows: decoded.rows.num_rows() as u32,
        buffers: buffers.iter().map(|buffer| buffer.as_slice().to_vec()).collect(),
        flawed: decoded.flawed.into_iter().map(flawed).collect(),
    })
}

impl wire::HostEncoder for State {
    fn open(
        &mut self,
        name: String,
        options: String,
        fields: Vec<types::Field>,
    ) -> wasmtime::Result<Answer<Resource<Encoder>>> {
        let opened = dataset(&options, fields).and_then(|dataset| {
            let inner = run(|| codec::encoder(&name, &options, &dataset.schema))?;
            Ok(Encoder { inner, dataset, held: 0 })
        });
        Ok(match opened {
            Ok(encoder) => Ok(self.table.push(encoder)?),
            Err(fault) => Err(fault),
        })
    }

    fn encode(
        &mut self,
        encoder: Resource<Encoder>,
        rows: u32,
        buffers: Vec<Vec<u8>>,
    ) -> wasmtime::Result<Answer<wire::Encoded>> {
        let encoder = self.table.get_mut(&encoder)?;
        let batch =
            types::Batch { dataset: 0, rows, operations: None, absent: Vec::new(), buffers };
        let datasets = std::slice::from_ref(&encoder.dataset);
        let batch = match batch::decode(batch, datasets, &self.limits) {
            Ok(batch) => batch,
            Err(Refused::Limit(name)) => {
                return Ok(Err(plugin(
                    "codec.batch",
                    format!("rows for a codec pass the limit {name}"),
                )));
            }
            Err(Refused::Lie(what)) => {
                return Ok(Err(plugin("codec.batch", format!("rows for a codec: {what}"))));
            }
        };
        let mut bytes = Vec::new();
        let encoded = run(|| encoder.inner.encode(&batch.rows, &mut bytes));
        let pending = encoder.inner.pending() as u64;
        let before = std::mem::replace(&mut encoder.held, encoder.inner.memory());
        if !self.ledger.hold(before, encoder.held) {
            return Ok(Err(holds_too_much()));
        }
        let refused = |refused: codec::Refused| wire::Refused {
            row: refused.row,
            column: refused.column,
            code: refused.code,
            message: refused.message,
        };
        Ok(encoded.map(|left_out| wire::Encoded {
            bytes,
            refused: left_out.into_iter().map(refused).collect(),
            pending,
        }))
    }

    fn finish(&mut self, encoder: Resource<Encoder>) -> wasmtime::Result<Answer<Vec<u8>>> {
        let encoder = self.table.get_mut(&encoder)?;
        let mut bytes = Vec::new();
        Ok(run(|| encoder.inner.finish(&mut bytes)).map(|()| bytes))
    }

    fn drop(&mut self, encoder: Resource<Encoder>) -> wasmtime::Result<()> {
        let encoder = self.table.delete(encoder)?;
        self.ledger.hold(encoder.held, 0);
        Ok(())
    }
}
