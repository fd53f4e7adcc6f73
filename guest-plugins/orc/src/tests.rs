//! Bytes of the specification's examples, round trips of random data, and files that are broken.

mod broken;
mod round_trip;
mod runs;
mod zones;

use std::io;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::{Codec, File, Options, Result, Source, Writer};

pub(super) const CODECS: [Codec; 5] =
    [Codec::None, Codec::Zlib, Codec::Snappy, Codec::Lz4, Codec::Zstd];

pub(super) struct Memory(pub(super) Vec<u8>);

impl Source for Memory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

pub(super) fn options(codec: Codec) -> Options {
    Options { codec, stripe_bytes: 64 << 20, stripe_rows: usize::MAX, dictionary: true }
}

pub(super) fn written(batches: &[RecordBatch], schema: &SchemaRef, options: Options) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), schema, options).unwrap();
    let mut write = |batch: &RecordBatch| writer.write(batch.columns(), batch.num_rows());
    batches.iter().for_each(|batch| write(batch).unwrap());
    writer.finish().unwrap()
}

/// All rows, so many at once.
pub(super) fn read(bytes: Vec<u8>, at_once: usize) -> Result<Vec<RecordBatch>> {
    let file = File::open(Arc::new(Memory(bytes)))?;
    let all: Vec<_> = (0..file.schema().fields().len()).collect();
    let mut batches = Vec::new();
    for index in 0..file.stripes().count() {
        let mut stripe = file.stripe(index, &all)?;
        while let Some(batch) = stripe.next(at_once)? {
            batches.push(batch);
        }
    }
    Ok(batches)
}

/// Numbers that only look random.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
