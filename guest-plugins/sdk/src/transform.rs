//! Steps between reader and writer.
//!
//! A [`Transformer`] is given batches and answers what became of their rows. This is a whole plug-in: its
//! type `upper` writes texts in upper case, and a job names it as
//! `{"stepType": "upper", "category": "map", "name": "Upper", "parameter": {}}`.
//!
//! ```
//! # use airlock_sdk as sdk;
//! use sdk::rows::{self, Value};
//! use sdk::{
//!     Batch, CheckStep, Configuration, Description, NoReader, NoWriter, Plugin, Requirement, Result,
//!     Role, SourceType, Transformed, Transformer,
//! };
//!
//! struct Upper;
//!
//! impl Transformer for Upper {
//!     fn connect(_: &Configuration) -> Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn apply(&mut self, batch: &Batch) -> Result<Transformed> {
//!         let mut table = rows::from_batch(&batch.rows)?;
//!         for value in table.iter_mut().flatten() {
//!             if let Value::Text(text) = value {
//!                 *text = text.to_uppercase();
//!             }
//!         }
//!         Transformed::each(batch, rows::to_batch(&batch.rows.schema(), &table)?)
//!     }
//! }
//!
//! impl Plugin for Upper {
//!     type Reader = NoReader;
//!     type Transformer = Self;
//!     type Writer = NoWriter;
//!
//!     fn describe() -> Description {
//!         let any = || r#"{"type": "object"}"#.to_owned();
//!         Description {
//!             name: "upper".into(),
//!             version: "1.0.0".into(),
//!             summary: "texts in upper case".into(),
//!             types: vec![SourceType {
//!                 name: "upper".into(),
//!                 aliases: Vec::new(),
//!                 title: "Upper case".into(),
//!                 family: "step".into(),
//!                 connection_schema: any(),
//!                 reader: None,
//!                 transformer: Some(Role { parameter_schema: any(), features: Vec::new() }),
//!                 writer: None,
//!                 places: Vec::new(),
//!             }],
//!             metadata: Vec::new(),
//!         }
//!     }
//!
//!     fn requirements(_: &Configuration) -> Result<Vec<Requirement>> {
//!         Ok(Vec::new())
//!     }
//!
//!     fn check(_: &Configuration) -> Result<Vec<CheckStep>> {
//!         Ok(Vec::new())
//!     }
//! }
//!
//! sdk::export!(Upper);
//! # fn main() {}
//! ```
//!
//! `cargo build --release --target wasm32-wasip2` makes the component, which `--plugin FILE` gives to
//! `airlock`. Parameters are a struct ([`parameters`](crate::parameters)); a plug-in that may make several
//! rows of one has `flatmap` among the features of its role.
//!
//! A step that drops rows or makes several of one says of each row which it came from
//! ([`Transformed::of`]); one that makes other columns says so in [`Transformer::open`]. What becomes
//! of a row must depend on the row and the configuration alone: the host sends rows again.

use arrow_array::RecordBatch;

use crate::{Batch, Configuration, Dataset, Fault, Refused, Result};

#[cfg(test)]
mod tests;

/// One session of a step between reader and writer.
pub trait Transformer: Sized + 'static {
    fn connect(configuration: &Configuration) -> Result<Self>;

    /// What comes out of each dataset, index for index; by default what came in.
    fn open(&mut self, datasets: Vec<Dataset>) -> Result<Vec<Dataset>> {
        Ok(datasets)
    }

    /// What becomes of the rows of `batch`, which has one at least.
    fn apply(&mut self, batch: &Batch) -> Result<Transformed>;
}

/// What became of the rows of a batch.
#[derive(Clone, Debug)]
pub struct Transformed {
    /// Of the dataset with the index of the batch, as `open` answered it.
    pub rows: Batch,
    /// For each row of `rows` the row that it was made of, ascending.
    pub origins: Vec<u32>,
    /// Rows that cannot be handled, for the dirty store.
    pub refused: Vec<Refused>,
    /// How many rows this is about, from the first on; the others come again.
    pub taken: u32,
}

impl Transformed {
    /// One row for each of `batch`.
    ///
    /// # Errors
    /// As [`Transformed::of`].
    pub fn each(batch: &Batch, rows: RecordBatch) -> Result<Self> {
        Self::of(batch, rows, (0..batch.rows.num_rows() as u32).collect())
    }

    /// Rows that were made of those of `batch` that `origins` says, ascending. The others are dropped.
    ///
    /// # Errors
    /// `sdk.origins` where they are not as many as `rows`, or one is no row of `batch`; `sdk.absent`
    /// where the source did not send all values of `batch`: which of the new ones are there is then for
    /// the plug-in to say, in a [`Transformed`] of its own making.
    pub fn of(batch: &Batch, rows: RecordBatch, origins: Vec<u32>) -> Result<Self> {
        let taken = batch.rows.num_rows();
        if origins.len() != rows.num_rows() || origins.iter().any(|row| *row as usize >= taken) {
            let message = format!(
                "{} origins for {} rows, made of {taken} rows",
                origins.len(),
                rows.num_rows()
            );
            return Err(Fault::plugin("sdk.origins", message));
        }
        if !batch.absent.is_empty() {
            let message = "the source did not send all values, so that nothing can be made of them";
            return Err(Fault::plugin("sdk.absent", message));
        }
        let of_origins = |all: &Vec<u8>| origins.iter().map(|row| all[*row as usize]).collect();
        let operations = batch.operations.as_ref().map(of_origins);
        let rows = Batch { dataset: batch.dataset, rows, operations, absent: Vec::new() };
        Ok(Self { rows, origins, refused: Vec::new(), taken: taken as u32 })
    }

    /// The same, with rows that cannot be handled.
    pub fn refusing(self, refused: Vec<Refused>) -> Self {
        Self { refused, ..self }
    }
}

/// The transformer of a plug-in that only reads and writes.
pub enum NoTransformer {}

impl NoTransformer {
    /// What such a plug-in answers where it is asked to be one.
    pub fn fault() -> Fault {
        Fault::user("plugin.no_transformer", "this plug-in has no transformer")
    }
}

impl Transformer for NoTransformer {
    fn connect(_configuration: &Configuration) -> Result<Self> {
        Err(Self::fault())
    }

    fn apply(&mut self, _batch: &Batch) -> Result<Transformed> {
        match *self {}
    }
}
