//! What is told to people while a guest runs.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the text of every event.
#[derive(Clone, Default)]
pub(crate) struct Listening(Arc<Mutex<Vec<String>>>);

impl Listening {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Listening {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event
            .record(&mut |field: &Field, value: &dyn Debug| text += &format!("{field}={value:?} "));
        self.0.lock().unwrap().push(text);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Everything that is told from the beginning of `test` until its last store is gone, on whichever
/// thread. Work that blocks has one thread.
pub(crate) fn heard(test: impl Future<Output = ()>) -> Vec<String> {
    let heard = Listening::default();
    let on_thread = heard.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        // For the life of the thread.
        .on_thread_start(move || {
            std::mem::forget(tracing::subscriber::set_default(on_thread.clone()));
        })
        .build()
        .unwrap();
    let _guard = tracing::subscriber::set_default(heard.clone());
    runtime.block_on(test);
    drop(runtime);
    heard.lines()
}
