//! Plug-ins among the steps, and a lane's sessions with them.

use std::sync::Arc;

use domain::port::{DirtyStage, Refused, Transform, Transformer};
use domain::{Dataset, Fault, Result};

use crate::dirty::Reason;
use crate::settings::transformer_word;

/// A plug-in that is a step of the job, with its step's configuration and grants.
#[derive(Clone)]
pub struct StepPlugin {
    pub transform: Arc<dyn Transform>,
    /// Of its component, kept with each record that it finds dirty.
    pub digest: String,
}

/// A plug-in among the steps, and what it makes of the datasets.
#[derive(Clone)]
pub(super) struct Plugin {
    /// What faults call it.
    pub(super) who: Arc<str>,
    step: String,
    digest: Arc<str>,
    transform: Arc<dyn Transform>,
    before: Vec<Dataset>,
    pub(super) after: Vec<Dataset>,
    /// For each dataset where the columns that come in were read, as far as they were.
    read: Vec<Vec<Option<u32>>>,
}

/// A lane's sessions with the plug-ins among the steps, in their order.
#[derive(Default)]
pub(crate) struct Sessions(Vec<Box<dyn Transformer>>);

impl Plugin {
    /// Asks the plug-in what comes out of `before`.
    pub(super) async fn new(
        step: &str,
        plugin: &StepPlugin,
        before: Vec<Dataset>,
        read: Vec<Vec<Option<u32>>>,
    ) -> Result<Self> {
        let who: Arc<str> = transformer_word(step).into();
        let transform = plugin.transform.clone();
        let opening = async { transform.connect().await?.open(&before).await };
        let after = opening.await.map_err(|fault| fault.within(&*who))?;
        let (step, digest) = (step.to_owned(), plugin.digest.as_str().into());
        Ok(Self { who, step, digest, transform, before, after, read })
    }

    async fn session(&self) -> Result<Box<dyn Transformer>> {
        let mut session = self.transform.connect().await?;
        if session.open(&self.before).await? != self.after {
            let message = "other columns come out in one session than in another";
            return Err(Fault::plugin("plugin.lie.datasets", message));
        }
        Ok(session)
    }

    /// Why a row of `dataset` is dirty.
    pub(super) fn reason(&self, dataset: u32, refused: Refused) -> Reason {
        let columns = self.read.get(dataset as usize);
        let read = |column: u32| columns.and_then(|columns| *columns.get(column as usize)?);
        Reason {
            stage: DirtyStage::Transform,
            column: refused.column.and_then(read),
            code: refused.code,
            message: format!("{}: {}", self.step, refused.message),
            plugin: Some(self.digest.clone()),
        }
    }
}

impl Sessions {
    /// A session with each of `plugins`.
    pub(super) async fn open(plugins: &[Plugin]) -> Result<Self> {
        let mut sessions = Vec::with_capacity(plugins.len());
        for plugin in plugins {
            sessions.push(plugin.session().await.map_err(|fault| fault.within(&*plugin.who))?);
        }
        Ok(Self(sessions))
    }

    /// The plug-in with a number, and the session with it.
    pub(super) fn find<'a>(
        &'a mut self,
        plugins: &'a [Plugin],
        number: usize,
    ) -> Result<(&'a Plugin, &'a mut Box<dyn Transformer>)> {
        let missing = || Fault::internal("engine.session", "a lane has no session with a step");
        plugins.get(number).zip(self.0.get_mut(number)).ok_or_else(missing)
    }
}
