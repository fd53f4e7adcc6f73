//! Steps that read several tables: which ones, and how their shares are handed out one table after
//! another.

use std::collections::BTreeSet;

use sdk::{Dataset, Fault, Split, Splits};
use serde::{Deserialize, Serialize};

use crate::catalog::{self, Table};
use crate::client::Client;
use crate::error::Result;
use crate::settings::Named;
use crate::splits::{Share, Shares};
use crate::sql;

/// Tables of one source at most.
const TABLES_MAX: usize = 5000;
/// Bytes of the list of tables as it travels: a token of the host has 64 KiB, and the shares of the
/// table in hand travel with it.
const LIST_BYTES_MAX: usize = 24 << 10;
/// Tables that a plan names.
const SHOWN_MAX: usize = 20;
/// The key in a dataset's metadata of the tables that it stands for.
const METADATA: &str = "tables";
const PLACE: &str = "/parameter/table";
const PATTERN_PLACE: &str = "/parameter/tablePattern";

/// The tables that entries of `table` mean: `t_[0-12]` is each number, `t_[00-12]` each with two digits.
///
/// # Errors
/// `parameter.invalid` for a range that goes down, and for more tables than a step may read.
pub(crate) fn expand(entries: &[String]) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for entry in entries {
        expand_one(entry.trim(), &mut names)?;
    }
    Ok(names)
}

/// Whether an entry of `table` holds a range.
pub(crate) fn holds_range(entry: &str) -> bool {
    range(entry).is_some()
}

fn expand_one(entry: &str, names: &mut Vec<String>) -> Result<(), Fault> {
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
    let mut quoted = false;
    for (at, character) in entry.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '[' if !quoted => {
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

fn too_many(place: &str) -> Fault {
    Fault::user("parameter.invalid", "the step reads more tables than one source can")
        .hint("spread them over several entries of \"connection\"")
        .at(place)
}

/// The tables that a step names, each of which must be there, in their order.
///
/// # Errors
/// `postgresql.table_not_found`, `postgresql.no_table_matches`, `parameter.invalid`.
pub(crate) fn find(client: &mut Client, named: &Named) -> Result<Vec<Table>> {
    let (tables, place) = match named {
        Named::Listed(names) => {
            let found = names.iter().map(|name| catalog::table(client, name));
            (found.collect::<Result<Vec<_>>>()?, PLACE)
        }
        Named::Matching(pattern) => (catalog::tables_like(client, pattern)?, PATTERN_PLACE),
    };
    if let (Named::Matching(pattern), true) = (named, tables.is_empty()) {
        let message = format!("no table matches \"{pattern}\"");
        return Err(Fault::external("postgresql.no_table_matches", message)
            .hint("the pattern must match a whole name; look at the tables with `airlock discover`")
            .at(place)
            .into());
    }
    if tables.len() > TABLES_MAX {
        return Err(too_many(place).into());
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = tables.iter().find(|table| !seen.insert(table.oid)) {
        let message = format!("the table \"{}\" is named twice", twice.title());
        return Err(Fault::user("parameter.invalid", message)
            .hint("its rows would be read twice; name it once")
            .at(place)
            .into());
    }
    Ok(tables)
}

/// Where the handing out of shares stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Walk {
    /// Names in SQL, and the dataset that each belongs to.
    tables: Vec<(String, u32)>,
    /// Shares of each table that the lanes want.
    pub(crate) wanted: u32,
    pub(crate) snapshot: Option<String>,
    /// The table in hand, and its shares where they are made.
    at: usize,
    shares: Option<Shares>,
}

impl Walk {
    /// The walk over tables with their datasets; equal ones are one dataset.
    ///
    /// # Errors
    /// `parameter.invalid` for more tables than the host can keep.
    pub(crate) fn plan(
        found: Vec<(Table, Dataset)>,
        wanted: u32,
        snapshot: Option<String>,
    ) -> Result<(Self, Vec<Dataset>), Fault> {
        let wanted = wanted.div_ceil(found.len().max(1) as u32);
        let mut groups: Vec<(Dataset, Vec<String>)> = Vec::new();
        let mut tables = Vec::with_capacity(found.len());
        for (table, dataset) in found {
            let alike = groups.iter().position(|(other, _)| other.schema == dataset.schema);
            let index = alike.unwrap_or_else(|| {
                groups.push((dataset, Vec::new()));
                groups.len() - 1
            });
            groups[index].1.push(table.title());
            tables.push((table.sql(), index as u32));
        }
        let walk = Self { tables, wanted, snapshot, at: 0, shares: None };
        if walk.encode().len() > LIST_BYTES_MAX {
            return Err(too_many(PLACE));
        }
        let group = |(mut dataset, titles): (Dataset, Vec<String>)| {
            if titles.len() > 1 {
                // A key of one table says nothing of all of them.
                dataset.primary_key.clear();
            }
            dataset.metadata.push((METADATA.to_owned(), shown(&titles)));
            dataset
        };
        Ok((walk, groups.into_iter().map(group).collect()))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` for the shares of a single table.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The next shares, at most `limit`, all of one table: `cut` makes those of a table that is new.
    pub(crate) fn next(
        mut self,
        limit: u32,
        mut cut: impl FnMut(&str, u32) -> Result<Shares, Fault>,
    ) -> Result<Splits, Fault> {
        let mut splits = Vec::new();
        while let (true, Some((table, dataset))) = (splits.is_empty(), self.tables.get(self.at)) {
            let shares = match self.shares.take() {
                Some(shares) => shares,
                None => Shares { snapshot: self.snapshot.clone(), ..cut(table, self.wanted)? },
            };
            let taken = shares.take(limit);
            for split in taken.splits {
                splits.push(Part::wrap(table, *dataset, split)?);
            }
            if taken.last {
                self.at += 1;
            } else {
                self.shares = Some(Shares::decode(&taken.next)?);
            }
        }
        let last = self.at >= self.tables.len();
        Ok(Splits { splits, last, next: self.encode() })
    }
}

/// A share of one of several tables, as it travels in a split's token.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The table's name in SQL; `None` where the step reads one.
    pub(crate) table: Option<String>,
    pub(crate) dataset: u32,
    pub(crate) share: Share,
}

impl Part {
    fn wrap(table: &str, dataset: u32, split: Split) -> Result<Split, Fault> {
        let share = Share::decode(&split.token)?;
        let part = Self { table: Some(table.to_owned()), dataset, share };
        let token = serde_json::to_vec(&part).unwrap_or_default();
        let label = format!("{}: {}", plain(table), split.label);
        Ok(Split { token, label, ..split })
    }

    /// # Errors
    /// `postgresql.split_unreadable` for bytes of another version of this plug-in.
    pub(crate) fn decode(token: &[u8]) -> Result<Self, Fault> {
        match serde_json::from_slice(token) {
            Ok(part) => Ok(part),
            Err(_) => Ok(Self { table: None, dataset: 0, share: Share::decode(token)? }),
        }
    }
}

/// A table's name in SQL for people.
fn plain(table: &str) -> String {
    match sql::split_name(table) {
        Some(parts) => parts.into_iter().map(|part| part.name).collect::<Vec<_>>().join("."),
        None => table.to_owned(),
    }
}

fn shown(titles: &[String]) -> String {
    let others = titles.len().saturating_sub(SHOWN_MAX);
    let listed = titles[..titles.len() - others].join(", ");
    if others == 0 { listed } else { format!("{listed} and {others} others") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{DataType, Field, Schema};

    use super::*;
    use crate::splits::Cut;

    fn expanded(entry: &str) -> Vec<String> {
        expand(&[entry.to_owned()]).unwrap()
    }

    #[test]
    fn ranges_name_each_number() {
        let table: [(&str, &[&str]); 8] = [
            ("t", &["t"]),
            ("t_[0-2]", &["t_0", "t_1", "t_2"]),
            ("t_[8-11]x", &["t_8x", "t_9x", "t_10x", "t_11x"]),
            ("t_[08-11]", &["t_08", "t_09", "t_10", "t_11"]),
            ("t_00[0-1]", &["t_000", "t_001"]),
            ("s_[1-2].t_[1-2]", &["s_1.t_1", "s_1.t_2", "s_2.t_1", "s_2.t_2"]),
            ("\"t[1-2]\"", &["\"t[1-2]\""]),
            ("t[a-b]", &["t[a-b]"]),
        ];
        for (entry, names) in table {
            assert_eq!(expanded(entry), names, "{entry}");
        }
        for bad in ["t_[2-1]", "t_[0-99999]", "t_[0-99999999999]"] {
            assert_eq!(expand(&[bad.to_owned()]).unwrap_err().code, "parameter.invalid", "{bad}");
        }
    }

    fn table(name: &str, kind: DataType) -> (Table, Dataset) {
        let table = Table { oid: 1, schema: "s".into(), name: name.into(), kind: 'r' };
        let dataset = Dataset {
            path: vec!["s".into(), name.into()],
            schema: Arc::new(Schema::new(vec![Field::new("id", kind, false)])),
            primary_key: vec!["id".into()],
            metadata: Vec::new(),
        };
        (table, dataset)
    }

    #[test]
    fn tables_are_walked_one_after_another() {
        let found = ["a", "b", "c"].map(|name| table(name, DataType::Int64)).to_vec();
        let (walk, datasets) = Walk::plan(found, 6, Some("snap".into())).unwrap();
        assert_eq!(datasets.len(), 1);
        assert_eq!(datasets[0].metadata, [("tables".to_owned(), "s.a, s.b, s.c".to_owned())]);
        assert!(datasets[0].primary_key.is_empty());
        let mut at = walk.encode();
        let mut labels = Vec::new();
        loop {
            let walk = Walk::decode(&at).unwrap();
            assert_eq!(walk.wanted, 2);
            let splits = walk
                .next(1, |table, _| {
                    let cut = match table {
                        "\"s\".\"b\"" => Cut::Pages { pages: 4, count: 2 },
                        "\"s\".\"c\"" => Cut::Nothing,
                        _ => Cut::Whole,
                    };
                    Ok(Shares { cut, ..Shares::whole() })
                })
                .unwrap();
            for split in &splits.splits {
                let part = Part::decode(&split.token).unwrap();
                assert_eq!(part.share.snapshot.as_deref(), Some("snap"));
                labels.push(split.label.clone());
            }
            if splits.last {
                break;
            }
            at = splits.next;
        }
        assert_eq!(labels, ["s.a: all rows", "s.b: pages 0 to 1", "s.b: pages 2 to 3"]);
    }

    #[test]
    fn tables_that_differ_are_datasets_of_their_own() {
        let found = vec![table("a", DataType::Int64), table("b", DataType::Utf8)];
        let (walk, datasets) = Walk::plan(found, 1, None).unwrap();
        assert_eq!((datasets.len(), walk.tables[1].1), (2, 1));
        assert_eq!(datasets[1].primary_key, ["id"]);
    }

    #[test]
    fn a_share_of_a_single_table_is_read_as_before() {
        let splits = Shares::whole().take(1).splits;
        let part = Part::decode(&splits[0].token).unwrap();
        assert_eq!((part.table, part.dataset), (None, 0));
        assert!(Walk::decode(&Shares::whole().encode()).is_none());
        assert_eq!(Part::decode(b"").unwrap_err().code, "postgresql.split_unreadable");
    }
}
