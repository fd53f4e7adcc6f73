//! Steps that read several tables: which ones.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use sdk::{Fault, Result};
use serde::Deserialize;

use crate::Vendor;

/// Tables of one source at most.
pub(crate) const TABLES_MAX: usize = 5000;
/// Where a document names its tables.
pub const PLACE: &str = "/parameter/table";
/// Where a document gives a pattern for them.
pub const PATTERN_PLACE: &str = "/parameter/tablePattern";

/// What becomes of a column that some tables have, and others not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissingColumn {
    /// The run ends before it reads.
    #[default]
    Error,
    /// NULL is read.
    Null,
}

/// Several tables as a step names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Listed(Vec<String>),
    /// A regular expression of the server's for whole names.
    Matching(String),
}

impl Named {
    /// Of the entries of `table` and of `tablePattern`; `None` for one table.
    ///
    /// # Errors
    /// `parameter.invalid` where both are given, for a range that goes down, and for more tables than a
    /// step may read.
    pub fn read(listed: &[String], pattern: Option<&str>) -> Result<Option<Self>> {
        let pattern = pattern.map(str::trim).filter(|pattern| !pattern.is_empty());
        match (listed, pattern) {
            ([], Some(pattern)) => Ok(Some(Self::Matching(pattern.to_owned()))),
            (_, Some(_)) => {
                let message = "\"table\" and \"tablePattern\" are both given";
                Err(Fault::user("parameter.invalid", message)
                    .hint("remove one of them")
                    .at(PATTERN_PLACE))
            }
            ([] | [_], None) if !listed.iter().any(|entry| range(entry).is_some()) => Ok(None),
            (_, None) => expand(listed).map(Self::Listed).map(Some),
        }
    }

    /// Judges the tables that were found for it, by their names for people.
    ///
    /// # Errors
    /// The vendor's `no_table_matches`; `parameter.invalid` for too many tables, or one named twice.
    pub fn judge(&self, vendor: Vendor, titles: &[String]) -> Result<()> {
        let place = match self {
            Self::Matching(pattern) if titles.is_empty() => {
                let message = format!("no table matches \"{pattern}\"");
                return Err(vendor
                    .external("no_table_matches", message)
                    .hint("the pattern must match a whole name; look at the tables with `airlock discover`")
                    .at(PATTERN_PLACE));
            }
            Self::Matching(_) => PATTERN_PLACE,
            Self::Listed(_) => PLACE,
        };
        if titles.len() > TABLES_MAX {
            return Err(too_many(place));
        }
        let mut seen = BTreeSet::new();
        match titles.iter().find(|title| !seen.insert(*title)) {
            Some(twice) => {
                let message = format!("the table \"{twice}\" is named twice");
                Err(Fault::user("parameter.invalid", message)
                    .hint("its rows would be read twice; name it once")
                    .at(place))
            }
            None => Ok(()),
        }
    }
}

/// A fault about one of several tables.
pub fn about(title: &str, fault: Fault) -> Fault {
    Fault { message: format!("table \"{title}\": {}", fault.message), ..fault }
}

pub(crate) fn too_many(place: &str) -> Fault {
    Fault::user("parameter.invalid", "the step reads more tables than one source can")
        .hint("spread them over several entries of \"connection\"")
        .at(place)
}

/// The tables that entries of `table` mean: `t_[0-12]` is each number, `t_[00-12]` each with two digits.
fn expand(entries: &[String]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in entries {
        expand_one(entry.trim(), &mut names)?;
    }
    Ok(names)
}

fn expand_one(entry: &str, names: &mut Vec<String>) -> Result<()> {
    let Some((before, low, high, behind)) = range(entry) else {
        names.push(entry.to_owned());
        return Ok(());
    };
    let number = |text: &str| text.parse::<u32>().ok();
    let bounds = number(low).zip(number(high)).filter(|(low, high)| low <= high);
    let Some((first, last)) = bounds else {
        let message = format!("the range \"[{low}-{high}]\" of \"{entry}\" does not go up");
        return Err(Fault::user("parameter.invalid", message)
            .hint("write the lower number first, for instance orders_[0-7]")
            .at(PLACE));
    };
    let width = if low.starts_with('0') { low.len() } else { 0 };
    for number in first..=last {
        if names.len() >= TABLES_MAX {
            return Err(too_many(PLACE));
        }
        expand_one(&format!("{before}{number:0width$}{behind}"), names)?;
    }
    Ok(())
}

/// The first `[12-34]` outside quotes: what stands before, both numbers, what stands behind.
fn range(entry: &str) -> Option<(&str, &str, &str, &str)> {
    let mut open = None;
    for (at, character) in entry.char_indices() {
        match (character, open) {
            (quote, Some(begun)) if quote == begun => open = None,
            ('"' | '`', None) => open = Some(character),
            ('[', None) => {
                let inner = &entry[at + 1..];
                let end = inner.find(']')?;
                let digits =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                if let Some((low, high)) = inner[..end].split_once('-')
                    && digits(low)
                    && digits(high)
                {
                    return Some((&entry[..at], low, high, &inner[end + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const VENDOR: Vendor = Vendor { code: "v", name: "V" };

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn ranges_name_each_number() {
        let table: [(&str, &[&str]); 10] = [
            ("t", &["t"]),
            ("t_[0-2]", &["t_0", "t_1", "t_2"]),
            ("t_[8-11]x", &["t_8x", "t_9x", "t_10x", "t_11x"]),
            ("t_[08-11]", &["t_08", "t_09", "t_10", "t_11"]),
            ("t_00[0-1]", &["t_000", "t_001"]),
            ("s_[1-2].t_[1-2]", &["s_1.t_1", "s_1.t_2", "s_2.t_1", "s_2.t_2"]),
            ("\"t[1-2]\"", &["\"t[1-2]\""]),
            ("`t[1-2]`", &["`t[1-2]`"]),
            ("`a\"`.t[1-2]", &["`a\"`.t1", "`a\"`.t2"]),
            ("t[a-b]", &["t[a-b]"]),
        ];
        for (entry, names) in table {
            assert_eq!(expand(&texts(&[entry])).unwrap(), names, "{entry}");
        }
        for bad in ["t_[2-1]", "t_[0-99999]", "t_[0-99999999999]"] {
            assert_eq!(expand(&texts(&[bad])).unwrap_err().code, "parameter.invalid", "{bad}");
        }
    }

    #[test]
    fn one_table_is_not_several() {
        let read = |listed: &[&str], pattern| Named::read(&texts(listed), pattern);
        assert_eq!(read(&["t"], None).unwrap(), None);
        assert_eq!(read(&[], Some(" ")).unwrap(), None);
        assert_eq!(read(&["t", "u"], None).unwrap(), Some(Named::Listed(texts(&["t", "u"]))));
        assert_eq!(read(&["t[1-1]"], None).unwrap(), Some(Named::Listed(texts(&["t1"]))));
        assert_eq!(read(&[], Some(" t.* ")).unwrap(), Some(Named::Matching("t.*".into())));
        assert_eq!(read(&["t"], Some("t")).unwrap_err().place.as_deref(), Some(PATTERN_PLACE));
    }

    #[test]
    fn tables_that_were_found_are_judged() {
        let pattern = Named::Matching("x".into());
        assert_eq!(pattern.judge(VENDOR, &[]).unwrap_err().code, "v.no_table_matches");
        let listed = Named::Listed(Vec::new());
        let twice = listed.judge(VENDOR, &texts(&["s.a", "s.b", "s.a"])).unwrap_err();
        assert_eq!(
            (twice.code.as_str(), twice.place.as_deref()),
            ("parameter.invalid", Some(PLACE))
        );
        listed.judge(VENDOR, &texts(&["s.a", "s.b"])).unwrap();
    }
}
