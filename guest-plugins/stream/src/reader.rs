//! Makes rows up: as many slices as the job runs side by side, each of `sliceRecordCount` rows.

use std::rc::Rc;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use sdk::{
    Batch, Budget, Configuration, Cursor, Dataset, Fault, Plan, Position, Reader, Result, Rows,
    Split, Splits, Step,
};

use crate::generate::{Generator, TEXT_BYTES_MAX, constant, mix};
use crate::kind::{Kind, Scalar};
use crate::parameters::{Column, ReaderParameters};

/// Batches near this size move fastest.
const BATCH_BYTES: u64 = 256 << 10;

/// Narrow rows would make batches of very many rows without a gain.
const BATCH_ROWS_MAX: u64 = 16 << 10;

/// What a step asks for, checked.
pub(crate) struct Recipe {
    schema: SchemaRef,
    generators: Vec<Generator>,
    rows_per_slice: u64,
    seed: u64,
    /// Bytes of a row at most.
    row_bytes: u64,
    batch_rows: u64,
}

impl Recipe {
    pub(crate) fn of(configuration: &Configuration) -> Result<Self> {
        let parameters: ReaderParameters = sdk::parameters::parameter(configuration)?;
        if parameters.column.is_empty() {
            let fault = Fault::user("stream.column", "the reader has no column");
            return Err(fault.at("/parameter/column").hint("name at least one column"));
        }
        let mut columns = Vec::new();
        for (index, column) in parameters.column.iter().enumerate() {
            columns.push(Plain::of(index, column, parameters.slice_record_count.0)?);
        }
        let row_bytes = columns.iter().map(Plain::width_max).sum::<u64>().max(1);
        let batch_rows = (BATCH_BYTES / row_bytes).clamp(1, BATCH_ROWS_MAX);
        let fields = columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>();
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            generators: columns.into_iter().map(|it| it.generator(batch_rows as usize)).collect(),
            rows_per_slice: parameters.slice_record_count.0,
            seed: mix(parameters.seed.0),
            row_bytes,
            batch_rows,
        })
    }

    pub(crate) fn dataset(&self) -> Dataset {
        Dataset {
            path: vec!["stream".into()],
            schema: self.schema.clone(),
            primary_key: Vec::new(),
            metadata: Vec::new(),
        }
    }

    /// Fails where a sequence leaves its type before the last of the slices ends.
    fn check_slices(&self, count: u32) -> Result<()> {
        let rows = u128::from(self.rows_per_slice) * u128::from(count);
        for (index, generator) in self.generators.iter().enumerate() {
            let Generator::Sequence { kind, first, step } = generator else { continue };
            if !fits(*kind, *first, *step, rows) {
                let message = format!(
                    "column {index}: the sequence leaves the range of its type within {rows} rows, {} for each of {count} tasks",
                    self.rows_per_slice
                );
                return Err(Fault::user("stream.column", message)
                    .at(format!("/parameter/column/{index}/sequence"))
                    .hint("begin lower, or make fewer rows or tasks"));
            }
        }
        Ok(())
    }

    fn batch(&self, first: u64, count: usize) -> Result<RecordBatch> {
        let columns = self.generators.iter().enumerate();
        let columns = columns
            .map(|(index, generator)| generator.values(mix(self.seed ^ index as u64), first, count))
            .collect();
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| Fault::plugin("stream.batch", error.to_string()))
    }
}

/// A column whose values are known, but not yet how many of them a batch has.
struct Plain {
    field: Field,
    kind: Kind,
    values: Values,
}

enum Values {
    Constant(Scalar),
    Made(Generator),
}

impl Plain {
    fn of(index: usize, column: &Column, rows: u64) -> Result<Self> {
        let wrong = |key: &str, message: String| {
            let place = format!("/parameter/column/{index}{key}");
            Fault::user("stream.column", format!("column {index}: {message}")).at(place)
        };
        let format = column.date_format.as_str();
        let kind = Kind::parse(&column.kind, format).map_err(|error| wrong("/type", error))?;
        let values = if let Some(value) = &column.value {
            kind.constant(value, format).map(Values::Constant).map_err(|it| wrong("/value", it))
        } else if let Some(range) = &column.random {
            random(kind, range, format).map(Values::Made).map_err(|it| wrong("/random", it))
        } else if let Some(text) = &column.sequence {
            sequence(kind, text, format, rows)
                .map(Values::Made)
                .map_err(|it| wrong("/sequence", it))
        } else {
            let fault =
                wrong("", "it has neither \"value\" nor \"random\" nor \"sequence\"".into());
            Err(fault.hint("give the column one of them"))
        }?;
        let name = column.name.clone().unwrap_or_else(|| format!("column_{index}"));
        let nullable = matches!(values, Values::Constant(Scalar::Null));
        Ok(Self { field: Field::new(name, kind.data_type(), nullable), kind, values })
    }

    fn width_max(&self) -> u64 {
        match &self.values {
            Values::Constant(value) => {
                Generator::Constant(constant(self.kind, value, 1)).width_max()
            }
            Values::Made(generator) => generator.width_max(),
        }
    }

    fn generator(self, batch_rows: usize) -> Generator {
        match self.values {
            Values::Constant(value) => Generator::Constant(constant(self.kind, &value, batch_rows)),
            Values::Made(generator) => generator,
        }
    }
}

fn random(kind: Kind, range: &str, format: &str) -> Result<Generator, String> {
    let two = || format!("\"{range}\" is not two bounds with a comma between");
    let (low, high) = range.split_once(',').ok_or_else(two)?;
    let (low, high) = (low.trim(), high.trim());
    let ordered = |ok: bool| match ok {
        true => Ok(()),
        false => Err(format!("in \"{range}\" the first bound lies behind the second")),
    };
    let number = |text: &str| text.parse::<i64>().map_err(|_| two());
    match kind {
        Kind::Text | Kind::Bytes => {
            let (shortest, longest) = (number(low)?, number(high)?);
            ordered(shortest <= longest)?;
            if shortest < 0 || longest > TEXT_BYTES_MAX {
                return Err(format!("lengths lie between 0 and {TEXT_BYTES_MAX}"));
            }
            Ok(Generator::Texts { kind, shortest, longest })
        }
        Kind::Bool => match (number(low)?, number(high)?) {
            (no @ 0.., yes @ 0..) if no.checked_add(yes).is_some_and(|of| of > 0) => {
                Ok(Generator::Flags { yes: yes as u64, of: (no + yes) as u64 })
            }
            _ => Err(format!("\"{range}\" is not a ratio of false and true such as \"1,3\"")),
        },
        _ => match (kind.read(low, format)?, kind.read(high, format)?) {
            (Scalar::Integer(low), Scalar::Integer(high)) => {
                ordered(low <= high).map(|()| Generator::Integers { kind, low, high })
            }
            (Scalar::Double(low), Scalar::Double(high)) => {
                ordered(low <= high && low.is_finite() && high.is_finite())
                    .map(|()| Generator::Doubles { low, high })
            }
            _ => Err(two()),
        },
    }
}

fn sequence(kind: Kind, text: &str, format: &str, rows: u64) -> Result<Generator, String> {
    if !matches!(kind, Kind::Int | Kind::Long | Kind::Decimal { .. }) {
        return Err("a sequence is of type int, long or decimal".into());
    }
    let (first, step) = text.split_once(',').unwrap_or((text, "1"));
    let number = |text: &str| match kind.read(text.trim(), format)? {
        Scalar::Integer(number) => Ok(number),
        _ => Err(format!("\"{text}\" is not a whole number")),
    };
    let (first, step) = (number(first)?, number(step)?);
    match fits(kind, first, step, u128::from(rows)) {
        true => Ok(Generator::Sequence { kind, first, step }),
        false => Err(format!("\"{text}\" leaves the range of its type within {rows} rows")),
    }
}

/// Whether a sequence keeps within its type for so many rows.
fn fits(kind: Kind, first: i64, step: i64, rows: u128) -> bool {
    let last = i128::try_from(rows.saturating_sub(1))
        .ok()
        .and_then(|rows| i128::from(step).checked_mul(rows)?.checked_add(first.into()));
    let range = match kind {
        Kind::Int => i128::from(i32::MIN)..=i128::from(i32::MAX),
        Kind::Decimal { precision, .. } => {
            let end = 10_i128.pow(precision.into());
            1 - end..=end - 1
        }
        _ => i128::from(i64::MIN)..=i128::from(i64::MAX),
    };
    [Some(i128::from(first)), last]
        .into_iter()
        .all(|end| end.is_some_and(|end| range.contains(&end)))
}

/// A session holds nothing but the recipe.
pub(crate) struct StreamReader(Rc<Recipe>);

impl Reader for StreamReader {
    type Cursor = StreamCursor;

    fn connect(configuration: &Configuration) -> Result<Self> {
        Ok(Self(Rc::new(Recipe::of(configuration)?)))
    }

    fn plan(&mut self, parallelism: u32, _since: &[Position]) -> Result<Plan> {
        let next = Next { index: 0, count: parallelism.max(1) };
        self.0.check_slices(next.count)?;
        Ok(Plan { datasets: vec![self.0.dataset()], bounded: true, start: next.to_bytes() })
    }

    fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits> {
        let Next { index, count } = Next::from_bytes(at)?;
        let end = index.saturating_add(limit).min(count);
        Ok(Splits {
            splits: (index..end).map(|index| self.split(index)).collect(),
            last: end == count,
            next: Next { index: end, count }.to_bytes(),
        })
    }

    fn open(
        &mut self,
        split: Split,
        start: Option<Position>,
        _datasets: Vec<Dataset>,
    ) -> Result<StreamCursor> {
        let index = split.token.try_into().map(u32::from_le_bytes);
        let at = start.map_or(Ok(0), |start| start.try_into().map(u64::from_le_bytes));
        match (index, at) {
            (Ok(index), Ok(at)) => {
                let recipe = self.0.clone();
                let slice = u64::from(index).wrapping_mul(recipe.rows_per_slice);
                Ok(StreamCursor { recipe, slice, at })
            }
            _ => Err(Fault::plugin("stream.position", "a split or position is not of this reader")),
        }
    }
}

impl StreamReader {
    fn split(&self, index: u32) -> Split {
        Split {
            token: index.to_le_bytes().to_vec(),
            label: format!("slice {index}"),
            stage: 0,
            rows_estimate: Some(self.0.rows_per_slice),
            bytes_estimate: None,
        }
    }
}

/// The next slice, and how many there are: where `splits` goes on.
struct Next {
    index: u32,
    count: u32,
}

impl Next {
    fn to_bytes(&self) -> Vec<u8> {
        [self.index.to_le_bytes(), self.count.to_le_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let number = |range| {
            let part: Option<&[u8]> = bytes.get(range);
            part.and_then(|part| part.try_into().ok()).map(u32::from_le_bytes)
        };
        match (number(0..4), number(4..8)) {
            (Some(index), Some(count)) => Ok(Self { index, count }),
            _ => Err(Fault::plugin("stream.position", "a list of splits is not of this reader")),
        }
    }
}

/// One slice; its position is the number of rows made.
pub(crate) struct StreamCursor {
    recipe: Rc<Recipe>,
    /// The first row of the slice, counted over all slices.
    slice: u64,
    at: u64,
}

impl Cursor for StreamCursor {
    fn next(&mut self, budget: Budget) -> Result<Step> {
        let recipe = &self.recipe;
        let left = recipe.rows_per_slice.saturating_sub(self.at);
        if left == 0 {
            return Ok(Step::Ended(None));
        }
        let count = left
            .min(recipe.batch_rows)
            .min(budget.rows.into())
            .min(budget.bytes / recipe.row_bytes)
            .max(1);
        let rows = recipe.batch(self.slice.wrapping_add(self.at), count as usize)?;
        self.at += count;
        Ok(Step::Rows(Rows {
            batches: vec![Batch::inserts(rows)],
            position: Some(self.at.to_le_bytes().to_vec()),
            ..Rows::default()
        }))
    }
}
