//! Sessions that are looked after while something else holds things up.

use std::sync::Arc;
use std::time::Duration;

use domain::port::{Answering, Reader, Source, Writer};
use domain::{Fault, Result, SourceIndex};
use tokio::time::Instant;

/// A session that asks for less is tended so often: others must come to their turn.
const TEND_EVERY_MIN: Duration = Duration::from_millis(100);

/// A session that asks to be tended.
pub(crate) trait Session: Send {
    /// Who is at work, for faults.
    fn who(&self) -> &str;
    fn tend(&mut self) -> impl Answering<Option<Duration>>;
}

/// A reader's session, and what faults call it.
pub(crate) struct Reads<R>(pub(crate) R, pub(crate) Arc<str>);

/// A writer's session.
pub(crate) struct Writes<W>(pub(crate) W);

impl<R: Reader> Session for Reads<R> {
    fn who(&self) -> &str {
        &self.1
    }

    fn tend(&mut self) -> impl Answering<Option<Duration>> {
        self.0.tend()
    }
}

impl<W: Writer> Session for Writes<W> {
    fn who(&self) -> &str {
        "writer"
    }

    fn tend(&mut self) -> impl Answering<Option<Duration>> {
        self.0.tend()
    }
}

/// A session, and when it must be tended next.
pub(crate) struct Kept<T> {
    pub(crate) session: T,
    /// `None`: never.
    due: Option<Instant>,
}

impl<T: Session> Kept<T> {
    /// Asks a new session for the first time.
    pub(crate) async fn new(session: T) -> Result<Self> {
        let mut kept = Self { session, due: None };
        kept.tend().await?;
        Ok(kept)
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    pub(crate) async fn tend(&mut self) -> Result<()> {
        let asked = self.session.tend().await;
        let asked = asked.map_err(|fault| fault.within(self.session.who()))?;
        self.due = asked.map(|after| Instant::now() + after.max(TEND_EVERY_MIN));
        Ok(())
    }

    /// Waits for `call`, and tends the session meanwhile.
    pub(crate) async fn during<A>(&mut self, call: impl Future<Output = Result<A>>) -> Result<A> {
        tokio::pin!(call);
        loop {
            tokio::select! {
                biased;
                () = until(self.due) => self.tend().await?,
                answer = &mut call => return answer,
            }
        }
    }
}

/// Waits until `due`; for ever where there is nothing to do.
pub(crate) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Tends a session; one that answers with a fault is dropped.
pub(crate) async fn tend_or_lose<T: Session>(kept: &mut Option<Kept<T>>) -> Option<Fault> {
    let fault = match kept {
        Some(session) => session.tend().await.err()?,
        None => return None,
    };
    *kept = None;
    Some(fault)
}

/// A source of a run, and what faults call its sessions.
pub(crate) struct Origin<R> {
    pub(crate) source: Arc<R>,
    pub(crate) who: Arc<str>,
}

impl<R> Clone for Origin<R> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), who: self.who.clone() }
    }
}

impl<R: Source> Origin<R> {
    /// A new session.
    pub(crate) async fn connect(&self) -> Result<Kept<Reads<R::Session>>> {
        let session = self.source.connect().await.map_err(|fault| fault.within(&*self.who))?;
        Kept::new(Reads(session, self.who.clone())).await
    }
}

/// Sessions of a lane with sources that it does not read just now; the one used last stands last.
pub(crate) struct Resting<R> {
    sessions: Vec<(SourceIndex, Kept<Reads<R>>)>,
    /// Sessions at most; the one used longest ago is closed for another.
    max: usize,
}

impl<R: Reader> Resting<R> {
    pub(crate) fn new(max: usize) -> Self {
        Self { sessions: Vec::new(), max }
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = SourceIndex> {
        self.sessions.iter().map(|(source, _)| *source)
    }

    pub(crate) fn take(&mut self, source: SourceIndex) -> Option<Kept<Reads<R>>> {
        let index = self.sessions.iter().position(|(one, _)| *one == source)?;
        Some(self.sessions.remove(index).1)
    }

    pub(crate) fn put(&mut self, source: SourceIndex, session: Kept<Reads<R>>) {
        self.sessions.push((source, session));
        while self.sessions.len() > self.max {
            self.sessions.remove(0);
        }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.sessions.iter().filter_map(|(_, session)| session.due()).min()
    }

    /// Tends those that are due; one that answers with a fault is closed.
    pub(crate) async fn tend(&mut self) {
        let mut index = 0;
        while let Some((_, session)) = self.sessions.get_mut(index) {
            match session.is_due() && session.tend().await.is_err() {
                true => drop(self.sessions.remove(index)),
                false => index += 1,
            }
        }
    }

    /// Waits for `call`, and tends the sessions meanwhile.
    pub(crate) async fn during<T>(&mut self, call: impl Future<Output = T>) -> T {
        tokio::pin!(call);
        loop {
            tokio::select! {
                biased;
                answer = &mut call => return answer,
                () = until(self.due()) => self.tend().await,
            }
        }
    }
}
