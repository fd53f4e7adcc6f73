//! Sessions that are looked after while something else holds things up.

use std::time::Duration;

use domain::port::{Answering, Reader, Writer};
use domain::{Fault, Result};
use tokio::time::Instant;

/// A session that asks for less is tended so often: others must come to their turn.
const TEND_EVERY_MIN: Duration = Duration::from_millis(100);

/// A session that asks to be tended.
pub(crate) trait Session: Send {
    /// Who is at work, for faults.
    const WHO: &'static str;
    fn tend(&mut self) -> impl Answering<Option<Duration>>;
}

/// A reader's session.
pub(crate) struct Reads<R>(pub(crate) R);

/// A writer's session.
pub(crate) struct Writes<W>(pub(crate) W);

impl<R: Reader> Session for Reads<R> {
    const WHO: &'static str = "reader";

    fn tend(&mut self) -> impl Answering<Option<Duration>> {
        self.0.tend()
    }
}

impl<W: Writer> Session for Writes<W> {
    const WHO: &'static str = "writer";

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
        let asked = self.session.tend().await.map_err(|fault| fault.within(T::WHO))?;
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
