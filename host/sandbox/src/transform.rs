//! A plug-in as a step between reader and writer.

use std::sync::Arc;

use domain::job::Category;
use domain::port::{Boxed, Refused, Transform, Transformed, Transformer};
use domain::{Batch, Configuration, Dataset, Fault, Result, Side};
use wasmtime::component::{Func, ResourceAny};

use crate::batch::{self, Outgoing, Refused as Bad};
use crate::bindings::airlock::connector::types;
use crate::bindings::exports::airlock::connector::transformer as wire;
use crate::call::Call;
use crate::component::TransformerFace;
use crate::convert;
use crate::instance::{Factory, Instance, who};
use crate::reach::Reach;
use crate::secrets::Secrets;
use crate::text::{MESSAGE_BYTES_MAX, harmless};

/// A transformer plug-in with its step's configuration and grants.
pub struct GuestTransform {
    factory: Arc<Factory>,
    face: Option<TransformerFace>,
    configuration: Configuration,
    reach: Reach,
    category: Category,
}

/// One session of a transformer, in an instance of its own.
pub struct GuestTransformer {
    instance: Instance,
    face: wire::Guest,
    apply: Func,
    session: ResourceAny,
    /// How many rows it may make of one.
    category: Category,
    /// What comes in, and what comes out, index for index.
    before: Vec<Dataset>,
    after: Vec<Dataset>,
}

impl GuestTransform {
    pub(crate) fn new(
        factory: Arc<Factory>,
        face: Option<TransformerFace>,
        configuration: Configuration,
        reach: Reach,
        category: Category,
    ) -> Self {
        Self { factory, face, configuration, reach, category }
    }

    async fn connect(&self) -> Result<GuestTransformer> {
        let known = self.face.as_ref().ok_or_else(|| {
            let message = format!("{} cannot transform", who(&self.factory.title));
            Fault::user("plugin.no_transformer", message)
        })?;
        let secrets = Secrets::of(&self.configuration);
        let side = Some(Side::Transformer);
        let mut instance = Instance::start(&self.factory, side, &self.reach, secrets).await?;
        let (mut live, turn) = instance.enter(Call::Connect)?;
        let loaded = known.indices.load(&mut live.store, &live.instance).and_then(|face| {
            let apply = live.instance.get_func(&mut live.store, known.apply);
            apply.map(|apply| (face, apply)).ok_or_else(|| wasmtime::format_err!("no \"apply\""))
        });
        let (face, apply) = instance.leave(live, turn, Some(loaded))?;
        let configuration = convert::configuration(&self.configuration);
        let (mut live, turn) = instance.enter(Call::Connect)?;
        let outcome = turn.wait(face.session().call_connect(&mut live.store, &configuration)).await;
        let session = instance.answer(live, turn, outcome)?;
        let (before, after, category) = (Vec::new(), Vec::new(), self.category);
        Ok(GuestTransformer { instance, face, apply, session, category, before, after })
    }
}

impl Transform for GuestTransform {
    fn connect(&self) -> Boxed<'_, Box<dyn Transformer>> {
        Box::pin(async { Ok(Box::new(self.connect().await?) as Box<dyn Transformer>) })
    }
}

impl Transformer for GuestTransformer {
    fn open<'a>(&'a mut self, datasets: &'a [Dataset]) -> Boxed<'a, Vec<Dataset>> {
        Box::pin(self.open_datasets(datasets))
    }

    fn apply<'a>(&'a mut self, batch: &'a Batch) -> Boxed<'a, Transformed> {
        Box::pin(self.apply_to(batch))
    }
}

impl GuestTransformer {
    async fn open_datasets(&mut self, datasets: &[Dataset]) -> Result<Vec<Dataset>> {
        for dataset in datasets {
            batch::check_dataset(dataset)?;
        }
        let wanted = convert::datasets_out(datasets)?;
        let (mut live, turn) = self.instance.enter(Call::Open)?;
        let face = self.face.session();
        let outcome = turn.wait(face.call_open(&mut live.store, self.session, &wanted)).await;
        let after = self.instance.answer(live, turn, outcome)?;
        if after.len() != datasets.len() {
            let what = format!("{} datasets come out of {}", after.len(), datasets.len());
            return Err(self.instance.lie(Call::Open, "datasets", what));
        }
        let after = convert::datasets_in(after);
        let after = after.map_err(|fault| self.instance.broke(Call::Open, fault))?;
        (self.before, self.after) = (datasets.to_vec(), after.clone());
        Ok(after)
    }

    async fn apply_to(&mut self, batch: &Batch) -> Result<Transformed> {
        let buffers = batch::encode(&batch.rows)?;
        let outgoing = Outgoing::new(batch, &buffers)?;
        let rows = outgoing.rows();
        let (mut live, turn) = self.instance.enter(Call::Apply)?;
        let (apply, session, store) = (self.apply, self.session, &mut live.store);
        let outcome = turn
            .wait(async move {
                let apply = apply.typed::<
                    (ResourceAny, Outgoing<'_>),
                    (std::result::Result<wire::Transformed, types::Fault>,),
                >(&*store)?;
                let (answer,) = apply.call_async(store, (session, outgoing)).await?;
                Ok(answer)
            })
            .await;
        let answer = self.instance.answer(live, turn, outcome)?;
        let columns = self.before.get(batch.dataset as usize);
        let columns = columns.map_or(0, |dataset| dataset.schema.fields().len());
        let asked = Asked { dataset: batch.dataset, rows, columns, category: self.category };
        let mut made = self.checked(&asked, answer)?;
        // No step makes an insert of a deletion.
        made.rows.operations = batch.operations.as_ref().map(|operations| {
            made.origins.iter().filter_map(|row| operations.get(*row as usize)).copied().collect()
        });
        Ok(made)
    }

    fn checked(&mut self, asked: &Asked, answer: wire::Transformed) -> Result<Transformed> {
        if let Err((code, what)) = asked.judge(&answer) {
            return Err(self.instance.lie(Call::Apply, code, what));
        }
        let rows = batch::decode(answer.rows, &self.after, self.instance.limits());
        let rows = rows.map_err(|bad| match bad {
            Bad::Limit(name) => self.instance.passed(Call::Apply, name),
            Bad::Lie(what) => {
                let what = harmless(&what, MESSAGE_BYTES_MAX);
                self.instance.lie(Call::Apply, "batch", what)
            }
        })?;
        let secrets = self.instance.secrets();
        let refused = |refused: wire::Refused| Refused {
            row: refused.row,
            column: refused.column,
            code: convert::code(&refused.code),
            message: harmless(&secrets.blank(&refused.message), MESSAGE_BYTES_MAX),
        };
        Ok(Transformed {
            rows,
            origins: answer.origins,
            refused: answer.refused.into_iter().map(refused).collect(),
            taken: answer.taken,
        })
    }
}

impl Drop for GuestTransformer {
    fn drop(&mut self) {
        self.instance.retire(vec![self.session]);
    }
}

/// The batch that an answer is about.
struct Asked {
    dataset: u32,
    rows: u32,
    columns: usize,
    category: Category,
}

impl Asked {
    /// Each row of the part that was taken is refused, or comes out, or is dropped; nothing else is said.
    ///
    /// # Errors
    /// The code of the lie, and what it is.
    fn judge(&self, answer: &wire::Transformed) -> std::result::Result<(), (&'static str, String)> {
        let (rows, taken) = (self.rows, answer.taken);
        if taken == 0 || taken > rows {
            return Err(("taken", format!("{taken} rows are taken, of {rows}")));
        }
        if answer.rows.dataset != self.dataset {
            let made = answer.rows.dataset;
            return Err(("dataset", format!("rows of dataset {made}, made of {}", self.dataset)));
        }
        let (made, told) = (answer.rows.rows, answer.origins.len());
        if told != made as usize {
            return Err(("origins", format!("{told} origins of {made} rows")));
        }
        if let Some(row) = answer.origins.iter().find(|row| **row >= taken) {
            return Err(("origins", format!("a row made of row {row}, of {taken} taken")));
        }
        let mut pairs = answer.origins.windows(2);
        if pairs.any(|pair| pair[0] > pair[1]) {
            return Err(("origins", "they do not ascend".to_owned()));
        }
        let mut pairs = answer.origins.windows(2);
        if self.category == Category::Map
            && let Some(pair) = pairs.find(|pair| pair[0] == pair[1])
        {
            let what =
                format!("several rows made of row {}, in a step of category \"map\"", pair[0]);
            return Err(("map", what));
        }
        self.judge_refused(answer)
    }

    fn judge_refused(
        &self,
        answer: &wire::Transformed,
    ) -> std::result::Result<(), (&'static str, String)> {
        let mut gone = vec![false; answer.taken as usize];
        for row in &answer.origins {
            gone[*row as usize] = true;
        }
        for refused in &answer.refused {
            let row = refused.row;
            match gone.get_mut(row as usize) {
                None => return Err(("refused", format!("row {row}, of {} taken", answer.taken))),
                Some(true) => {
                    return Err((
                        "refused",
                        format!("row {row}, which came out or was refused before"),
                    ));
                }
                Some(free) => *free = true,
            }
            if refused.column.is_some_and(|column| column as usize >= self.columns) {
                return Err(("refused", format!("a column of row {row} that there is not")));
            }
        }
        Ok(())
    }
}
