//! The port `Transform` in a scenario: a step between source and destination that makes two records of
//! some, nothing of others, and refuses some.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use domain::configuration::{Configuration, Secret, Side};
use domain::job::{self, Category, Work};
use domain::port::{Boxed, Refused, Transform, Transformed, Transformer};
use domain::{Batch, Dataset, Result};

use crate::fault::Operation;
use crate::planted::Planted;
use crate::table::{self, Fate, Record};
use crate::world::{State, World};

/// A plug-in among the steps of the job.
pub struct ScriptedStep {
    world: Arc<World>,
}

impl ScriptedStep {
    pub fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

/// A step of a job that a plug-in does; its configuration says nothing, as a scripted one needs none.
pub fn job_step(name: &str) -> job::Transformer {
    let text = || "{}".to_owned();
    let place = "/steps/1".to_owned();
    let configuration = Configuration {
        source_type: name.to_lowercase(),
        side: Side::Transformer,
        connection: Secret::new("{}"),
        connection_blanked: text(),
        parameter: text(),
        parameter_blanked: text(),
    };
    let work = Work::Plugin(job::Step {
        name: name.to_owned(),
        configuration,
        parameter_place: format!("{place}/parameter"),
        connection_place: format!("{place}/parameter"),
        source: name.to_lowercase(),
        alternatives: Vec::new(),
    });
    job::Transformer { name: name.to_owned(), category: Category::Flatmap, work, place }
}

impl Transform for ScriptedStep {
    fn connect(&self) -> Boxed<'_, Box<dyn Transformer>> {
        Box::pin(async {
            self.world.call(Operation::StepConnect, String::new(), |_| Ok(())).await?;
            let session = ScriptedSession { world: Arc::clone(&self.world), dead: false };
            Ok(Box::new(session) as Box<dyn Transformer>)
        })
    }
}

struct ScriptedSession {
    world: Arc<World>,
    /// It answered a fault, so it may only be dropped.
    dead: bool,
}

impl ScriptedSession {
    async fn call<T>(
        &mut self,
        operation: Operation,
        what: String,
        effect: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let dead = self.dead;
        let after = || format!("{} after a fault", operation.word());
        self.world.lock().ensure(!dead, after);
        // A call that is dropped half-way leaves the session unusable as well.
        self.dead = true;
        let answer = self.world.call(operation, what, effect).await;
        self.dead = answer.is_err();
        answer
    }
}

impl Transformer for ScriptedSession {
    fn open<'a>(&'a mut self, datasets: &'a [Dataset]) -> Boxed<'a, Vec<Dataset>> {
        Box::pin(self.call(Operation::StepOpen, String::new(), move |state| {
            let known = vec![table::dataset(state.scenario.reading.amounts)];
            state.ensure(datasets == known, || "a step is opened with other datasets".into());
            Ok(known)
        }))
    }

    fn apply<'a>(&'a mut self, batch: &'a Batch) -> Boxed<'a, Transformed> {
        let what = format!("{} rows", batch.len());
        Box::pin(self.call(Operation::StepApply, what, move |state| apply(state, batch)))
    }
}

fn apply(state: &mut State, batch: &Batch) -> Result<Transformed> {
    let most = state.scenario.step.map_or(usize::MAX, |step| step.takes as usize);
    let taken = batch.len().min(most);
    let ids = batch.rows.column(0).as_primitive::<Int64Type>();
    let (mut made, mut origins, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (row, id) in ids.values().iter().take(taken).enumerate() {
        let row = row as u32;
        let Some(fate) = state.scenario.fate(*id) else {
            state.violation(format!("a step gets record {id}"));
            continue;
        };
        let twin = Record { id: table::twin(*id), fate: Fate::Good };
        match fate {
            Fate::Dropped => continue,
            Fate::RefusedByStep => {
                let (code, message) = ("testkit.refused".to_owned(), "simulated".to_owned());
                refused.push(Refused { row, column: Some(0), code, message });
                continue;
            }
            Fate::Doubled if !state.is_planted(Planted::LoseTwin) => {
                made.extend([Record { id: *id, fate }, twin]);
                origins.extend([row, row]);
            }
            _ => {
                made.push(Record { id: *id, fate });
                origins.push(row);
            }
        }
    }
    state.tell(&format!(", {taken} taken, {} made", made.len()));
    let rows = table::batch(&made, state.scenario.reading.amounts)?;
    let rows = Batch { dataset: batch.dataset, ..rows };
    Ok(Transformed { rows, origins, refused, taken: taken as u32 })
}
