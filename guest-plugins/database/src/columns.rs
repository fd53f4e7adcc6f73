//! Columns that are read: the entries of `column`, those that a table has not, and the names of their
//! fields.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{NullArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use sdk::Result;

use crate::Vendor;

/// Columns that a table has not, and that are read as NULL: where they stand, and their names.
#[derive(Debug, Default)]
pub struct Gaps(Vec<(usize, String)>);

impl Gaps {
    /// The entries of `column` that a table with `all` columns can answer, and the gaps between them.
    /// `gap` tells whether the table lacks an entry, and the name that is meant by it.
    ///
    /// # Errors
    /// Those of `gap`; the vendor's `column_not_found` where nothing is left.
    pub fn find<E: From<sdk::Fault>>(
        vendor: Vendor,
        title: &str,
        all: usize,
        wanted: &[String],
        mut gap: impl FnMut(&str) -> Result<Option<String>, E>,
    ) -> Result<(Vec<String>, Self), E> {
        let (mut found, mut gaps) = (Vec::new(), Vec::new());
        let mut place = 0;
        for entry in wanted {
            let is_all = entry.trim() == "*";
            match if is_all { None } else { gap(entry)? } {
                Some(name) => gaps.push((place, name)),
                None => found.push(entry.clone()),
            }
            place += if is_all { all } else { 1 };
        }
        if found.is_empty() {
            let message = format!("the table \"{title}\" has none of the columns");
            return Err(vendor
                .external("column_not_found", message)
                .hint("correct \"column\", or leave the table out")
                .at("/parameter/column")
                .into());
        }
        Ok((found, Self(gaps)))
    }

    /// The schema with them, of the one that is read.
    pub fn schema(&self, read: SchemaRef) -> SchemaRef {
        if self.0.is_empty() {
            return read;
        }
        let mut fields: Vec<_> = read.fields().iter().cloned().collect();
        for (place, name) in &self.0 {
            fields.insert(*place, Arc::new(Field::new(name, DataType::Null, true)));
        }
        Arc::new(Schema::new(fields))
    }

    /// The rows with them, of those that were read.
    ///
    /// # Errors
    /// The vendor's `batch`.
    pub fn fill(&self, vendor: Vendor, read: RecordBatch) -> Result<RecordBatch> {
        if self.0.is_empty() {
            return Ok(read);
        }
        let mut columns = read.columns().to_vec();
        for (place, _) in &self.0 {
            columns.insert(*place, Arc::new(NullArray::new(read.num_rows())));
        }
        RecordBatch::try_new(self.schema(read.schema()), columns)
            .map_err(|error| vendor.broken_batch(&error.to_string()))
    }
}

/// Whether an entry of `column` is a name such as a column has, and no expression.
pub fn is_name(entry: &str) -> bool {
    let entry = entry.trim();
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    entry.starts_with(['"', '`']) || entry.chars().all(is_plain)
}

/// Whether fields have the same names and types.
pub fn are_same(a: &SchemaRef, b: &SchemaRef) -> bool {
    let columns = |schema: &SchemaRef| -> Vec<_> {
        schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
    };
    columns(a) == columns(b)
}

/// Each entry of `column` in SQL, and the name of its field where the server has none that tells. An entry
/// is `*`, a column that `find` knows, or an expression.
pub fn select_list<C>(
    all: &[C],
    wanted: &[String],
    find: for<'a> fn(&'a [C], &str) -> Option<&'a C>,
    ident: impl Fn(&C) -> String,
) -> (Vec<String>, Vec<Option<String>>) {
    let mut list = Vec::new();
    for entry in wanted {
        if entry.trim() == "*" {
            list.extend(all.iter().map(|column| (ident(column), None)));
        } else if let Some(column) = find(all, entry) {
            list.push((ident(column), None));
        } else {
            // The line break ends a comment that the expression may end with.
            list.push((format!("{entry}\n"), Some(entry.trim().to_owned())));
        }
    }
    list.into_iter().unzip()
}

/// Gives each column a name of its own: the second `a` becomes `a_2`.
pub fn tell_apart<'n>(names: impl Iterator<Item = &'n mut String>) {
    let mut taken = BTreeSet::new();
    for name in names {
        let mut free = name.clone();
        let mut number = 2;
        while !taken.insert(free.clone()) {
            free = format!("{name}_{number}");
            number += 1;
        }
        *name = free;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_table_lacks_is_null_in_its_place() {
        let vendor = Vendor { code: "v", name: "V" };
        let wanted = ["x", "*", "y", "1"].map(str::to_owned);
        let lacks = |entry: &str| {
            Ok::<_, sdk::Fault>(["x", "y"].contains(&entry).then(|| entry.to_uppercase()))
        };
        let (found, gaps) = Gaps::find(vendor, "t", 2, &wanted, lacks).unwrap();
        assert_eq!(found, ["*", "1"]);
        let read = ["a", "b", "1"].map(|name| Field::new(name, DataType::Int64, false));
        let read = Arc::new(Schema::new(read.to_vec()));
        let names = gaps.schema(read.clone());
        let names: Vec<_> = names.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["X", "a", "b", "Y", "1"]);
        let rows = gaps.fill(vendor, RecordBatch::new_empty(read)).unwrap();
        assert_eq!(rows.num_columns(), 5);
        let none = Gaps::find(vendor, "t", 2, &wanted[..1], lacks).unwrap_err();
        assert_eq!(none.code, "v.column_not_found");
    }

    #[test]
    fn names_are_told_from_expressions() {
        assert!(["a", " a_1$ ", "\"a b\"", "`a b`", "größe"].into_iter().all(is_name));
        assert!(!["a + 1", "a.b", "f(a)", "'a'"].into_iter().any(is_name));
    }

    #[test]
    fn names_are_told_apart() {
        let mut names = ["a", "b", "a", "a_2", "a"].map(str::to_owned);
        tell_apart(names.iter_mut());
        assert_eq!(names, ["a", "b", "a_2", "a_2_2", "a_3"]);
    }

    #[test]
    fn entries_are_columns_or_expressions() {
        let all = ["id".to_owned(), "name".to_owned()];
        let wanted = ["*", "name", "1 -- one"].map(str::to_owned);
        let find: for<'a> fn(&'a [String], &str) -> Option<&'a String> =
            |all, name| all.iter().find(|column| *column == name);
        let (list, names) = select_list(&all, &wanted, find, |column| format!("`{column}`"));
        assert_eq!(list, ["`id`", "`name`", "`name`", "1 -- one\n"]);
        assert_eq!(names.last().unwrap().as_deref(), Some("1 -- one"));
    }
}
