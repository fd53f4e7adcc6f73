//! One thread that owns the connection and does one job after another.
//!
//! Every job ends with a sync of the disk, which must not hold up a thread that moves data. One queue
//! keeps the order of the calls, also where the caller of one was dropped before it was done.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use domain::{Fault, Result};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::fault::{self, Trouble};

/// Calls that may wait: one for each lane and a few of the run's own (invariant 7). More wait outside.
const QUEUE_MAX: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

pub(crate) struct Worker {
    file: PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start(file: &Path, mut connection: Connection) -> Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE_MAX);
        let work = move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut connection);
            }
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(work)
            .map_err(|error| fault::of_file(&error, file))?;
        Ok(Self { file: file.to_owned(), jobs: Some(jobs), thread: Some(thread) })
    }

    pub(crate) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = oneshot::channel();
        // Nobody listens where the caller was dropped; the job is done all the same.
        let job: Job = Box::new(move |connection| drop(tell.send(job(connection))));
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(job).await.map_err(|_| stopped())?;
        let answer = told.await.map_err(|_| stopped())?;
        answer.map_err(|trouble| trouble.into_fault(&self.file))
    }
}

impl Drop for Worker {
    /// Waits until what was asked for is done and the file is closed.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told to every caller as `store.stopped`.
            drop(thread.join());
        }
    }
}

fn stopped() -> Fault {
    Fault::internal("store.stopped", "the thread that keeps the books has ended")
}
