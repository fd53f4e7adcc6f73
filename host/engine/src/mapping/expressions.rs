//! The casts of expressions: as strict as those between two ends, but for what a user asks for by name.

use arrow_array::{ArrayRef, BooleanArray};
use arrow_schema::{DataType, Field, TimeUnit};
use domain::Result;
use domain::job::Casts;

use super::column::{Converted, Misfit, arrow_all, cast_fault, convert, relabeled};
use super::zones::{self, Rules};
use super::{Cast, judge_values};
use crate::settings::Settings;

/// The job's time zone, and exact casts whatever casts the job allows.
#[derive(Clone, Debug)]
pub(crate) struct Exact(Rules);

impl Exact {
    /// # Errors
    /// `mapping.time_zone`: the job's zone is not known.
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        Ok(Self(Rules { casts: Casts::Exact, ..Rules::new(settings)? }))
    }
}

impl Exact {
    /// Instants at which the clock of the job's time zone shows what a column says.
    fn instants(
        &self,
        from: &Field,
        unit: TimeUnit,
        to: &DataType,
        column: &ArrayRef,
    ) -> Result<Converted> {
        let clock = Field::new("", DataType::Timestamp(unit, None), true);
        let clocks = convert(from, &clock, column, &self.0)?;
        let zone = self.0.zone.clone().unwrap_or_else(|| "UTC".into());
        let instants = arrow_all(&clocks.column, &DataType::Timestamp(unit, Some(zone)))?;
        let mut done = Converted::from(&clocks.column, relabeled(&instants, to)?);
        done.misfits.extend(clocks.misfits);
        Ok(done)
    }
}

impl expression::Casts for Exact {
    fn has(&self, from: &Field, to: &DataType) -> bool {
        let source = from.data_type();
        // Arrow would take a number for the days or units since 1970.
        let counts =
            (source.is_numeric() && to.is_temporal()) || (source.is_temporal() && to.is_numeric());
        // Of an instant only the clock of a place has a time: by way of a timestamp without a zone.
        let has_no_clock = matches!(source, DataType::Timestamp(_, Some(_)))
            && matches!(to, DataType::Time32(_) | DataType::Time64(_));
        !counts
            && !has_no_clock
            && judge_values(from, &Field::new("", to.clone(), true)) != Cast::Impossible
    }

    fn cast(
        &self,
        from: &Field,
        to: &DataType,
        column: &ArrayRef,
    ) -> Result<(ArrayRef, Vec<(usize, String)>)> {
        let done = match (from.data_type(), to) {
            (
                DataType::Date32 | DataType::Timestamp(_, None),
                DataType::Timestamp(unit, Some(_)),
            ) => self.instants(from, *unit, to, column)?,
            _ => convert(from, &Field::new("", to.clone(), true), column, &self.0)?,
        };
        if done.misfits.is_empty() {
            return Ok((done.column, Vec::new()));
        }
        let mut misfits: Vec<_> = done.misfits.iter().map(|it| (it.0, text(it.1, to))).collect();
        misfits.sort_by_key(|(row, _)| *row);
        misfits.dedup_by_key(|(row, _)| *row);
        let mut lost = vec![false; done.column.len()];
        misfits.iter().for_each(|(row, _)| lost[*row] = true);
        let lost = BooleanArray::from(lost);
        let column = arrow_select::nullif::nullif(&done.column, &lost).map_err(cast_fault)?;
        Ok((column, misfits))
    }

    fn local(&self, instants: &ArrayRef) -> Result<ArrayRef> {
        zones::to_local(instants, self.0.zone.as_ref())
    }
}

fn text(misfit: Misfit, to: &DataType) -> String {
    match misfit {
        Misfit::Changed => format!("the value would change as {to}"),
        Misfit::Value | Misfit::Null | Misfit::Extreme => {
            format!("the value has no counterpart as {to}")
        }
    }
}
