//! Columns that are read: the entries of `column`, and the names of their fields.

use std::collections::BTreeSet;

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
