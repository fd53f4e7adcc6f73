//! Expressions on the rows of a batch.

use arrow_array::{ArrayRef, RecordBatch};
use domain::Result;
use expression::Compiled;

use super::Misfit;
use crate::mapping::{Exact, extreme_rows};

/// The values of an expression, and the rows that have none.
pub(super) fn evaluated(
    compiled: &Compiled,
    rows: &RecordBatch,
    casts: &Exact,
) -> Result<(ArrayRef, Vec<Misfit>)> {
    let done = compiled.evaluate(rows, casts)?;
    let mut misfits = Vec::new();
    let schema = rows.schema();
    for column in compiled.columns() {
        // Infinity and the like stand there as values of the type that they are not.
        let extremes = extreme_rows(schema.field(column), rows.column(column));
        misfits.extend(extremes.into_iter().map(|row| Misfit {
            row,
            code: "transform.extreme",
            message: "an expression knows no infinity, NaN or 24:00 of this type".to_owned(),
        }));
    }
    let failures = done.failures.into_iter();
    let failures = failures.map(|it| Misfit { row: it.row, code: it.code, message: it.message });
    misfits.extend(failures);
    Ok((done.column, misfits))
}
