//! Steps between reader and writer: the host's own, and those that a plug-in does.

use domain::configuration::Side;
use domain::description::{Role, SourceType};
use domain::job::{Category, Transformer, Work};

use crate::document::Notes;
use crate::draft::{DraftStep, DraftTransformer};
use crate::step::{Finished, Workbench};
use crate::transformer;

/// A step between, and what its plug-in's configuration was made with, where it has one.
pub(crate) struct Between {
    pub(crate) transformer: Transformer,
    pub(crate) plugin: Option<Finished>,
}

impl Workbench<'_> {
    /// Checks a step; `None` where something was wrong, which was told.
    pub(crate) fn finish_between(
        &self,
        draft: DraftTransformer,
        notes: &mut Notes,
    ) -> Option<Between> {
        let own = transformer::is_own(&draft.type_name);
        let Some(kind) = self.plugins.find(&draft.type_name).filter(|_| !own) else {
            let others = self.transforming();
            let transformer = transformer::finish(draft, &others, self.secrets, notes)?;
            return Some(Between { transformer, plugin: None });
        };
        let held = refuse_several(&draft, kind, notes);
        let DraftTransformer { name, category, type_name, type_spot, parameter, spot } = draft;
        let plugin = self.finish(
            DraftStep {
                side: Side::Transformer,
                name: name.clone(),
                type_name,
                type_spot,
                parameter,
                is_one_of_several: false,
            },
            notes,
        )?;
        held?;
        let work = Work::Plugin(plugin.step.clone());
        let transformer = Transformer { name, category, work, place: spot.place() };
        Some(Between { transformer, plugin: Some(plugin) })
    }

    /// Names of the types of plug-ins that can stand between.
    fn transforming(&self) -> Vec<&str> {
        let can =
            |name: &&str| self.plugins.find(name).is_some_and(|kind| kind.transformer.is_some());
        self.plugins.names().into_iter().filter(can).collect()
    }
}

/// A `map` makes at most one record of each; a type that may make several says so.
fn refuse_several(draft: &DraftTransformer, kind: &SourceType, notes: &mut Notes) -> Option<()> {
    let several = kind.transformer.as_ref().is_some_and(Role::makes_several);
    if draft.category == Category::Flatmap || !several {
        return Some(());
    }
    let message = format!("\"{}\" may make several records of one", kind.name);
    let fault = draft.spot.key("category").fault("spec.category", message);
    notes.faults.push(fault.hint("write \"category\": \"flatmap\""));
    None
}
