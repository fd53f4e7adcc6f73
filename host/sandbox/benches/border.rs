//! What the border between host and plug-ins costs: a batch out of a guest, a batch into one, a session's start.
//! `cargo xtask guests`, then `cargo bench --package sandbox`.

#![allow(clippy::unwrap_used, reason = "a program for measuring")]

use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use domain::port::{
    Attempt, Budget, Destination as _, Reader as _, Source as _, Step, Writer as _,
};
use domain::{Batch, Configuration, Dataset, RunId, Secret, Side};
use sandbox::{Component, GuestReader, Reach, Sandbox, Settings};
use tokio::runtime::Runtime;

const ROWS: usize = 2048;
const BUDGET: Budget = Budget { rows: ROWS as u32, bytes: 1 << 20, wait: Duration::from_secs(1) };

fn main() {
    divan::main();
}

struct Stage {
    runtime: Runtime,
    stream: Component,
    // Its cache.
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache_dir = Some(folder.path().join("cache"));
        let sandbox = Sandbox::new(Settings { cache_dir, ..Settings::default() }).unwrap();
        let runtime = Runtime::new().unwrap();
        let bytes = testkit::guest::component("stream");
        let stream = runtime.block_on(sandbox.load(bytes, "stream")).unwrap();
        Self { runtime, stream, _folder: folder }
    }

    /// A reader of rows of 8 numbers that never ends.
    async fn reader(&self) -> (GuestReader, Vec<Dataset>) {
        let columns = [r#"{"type": "long", "sequence": "1"}"#; 8].join(", ");
        let parameter = format!(r#"{{"sliceRecordCount": 1000000000000, "column": [{columns}]}}"#);
        let source = self.stream.source(configuration(Side::Reader, &parameter), Reach::none());
        let mut reader = source.connect().await.unwrap();
        let plan = reader.plan(1, &[]).await.unwrap();
        let splits = reader.splits(&plan.start, 1).await.unwrap();
        reader.open(&splits.splits[0], None, &plan.datasets).await.unwrap();
        (reader, plan.datasets)
    }
}

fn configuration(side: Side, parameter: &str) -> Configuration {
    Configuration {
        source_type: "stream".into(),
        side,
        connection: Secret::new("{}"),
        connection_blanked: "{}".into(),
        parameter: parameter.into(),
        parameter_blanked: parameter.into(),
    }
}

async fn next(reader: &mut GuestReader) -> Batch {
    match reader.next(BUDGET).await.unwrap() {
        Step::Rows(mut rows) => rows.batches.remove(0),
        _ => panic!("no rows"),
    }
}

/// Made and handed over: 64 bytes a row.
#[divan::bench]
fn batch_out(bencher: Bencher<'_, '_>) {
    let stage = Stage::new();
    let (mut reader, _) = stage.runtime.block_on(stage.reader());
    let counted = bencher.counter(ItemsCount::new(ROWS));
    counted.bench_local(|| stage.runtime.block_on(next(&mut reader)));
}

#[divan::bench(args = ["{}", r#"{"checksum": true}"#])]
fn batch_in(bencher: Bencher<'_, '_>, parameter: &str) {
    let stage = Stage::new();
    let (batch, mut writer) = stage.runtime.block_on(async {
        let (mut reader, datasets) = stage.reader().await;
        let destination = configuration(Side::Writer, parameter);
        let destination = stage.stream.destination(destination, Reach::none());
        let mut writer = destination.connect().await.unwrap();
        let attempt = Attempt { run: RunId("r1".into()), epoch: 1, bounded: true, verify: false };
        writer.prepare(&attempt, &datasets).await.unwrap();
        writer.open(&attempt, 0, 1, &datasets).await.unwrap();
        (next(&mut reader).await, writer)
    });
    let counted = bencher.counter(ItemsCount::new(ROWS));
    counted.bench_local(|| stage.runtime.block_on(writer.write(&batch)).unwrap());
}

/// An instance with its login: what a lane pays for a side.
#[divan::bench]
fn start_of_a_session(bencher: Bencher<'_, '_>) {
    let stage = Stage::new();
    let connect = async || {
        let step = configuration(Side::Writer, "{}");
        stage.stream.destination(step, Reach::none()).connect().await.unwrap()
    };
    bencher.bench_local(|| stage.runtime.block_on(async { drop(connect().await) }));
}
