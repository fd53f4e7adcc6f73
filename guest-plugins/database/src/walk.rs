//! How the shares of several tables are handed out, one table after another.

use sdk::{Dataset, Result, Split, Splits};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Vendor;
use crate::tables::{PLACE, too_many};

/// Bytes of the list of tables as it travels: a token of the host has 64 KiB, and the shares of the
/// table in hand travel with it.
const LIST_BYTES_MAX: usize = 24 << 10;
/// Tables that a plan names.
const SHOWN_MAX: usize = 20;
/// The key in a dataset's metadata of the tables that it stands for.
const METADATA: &str = "tables";

/// Where the handing out of shares stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct Walk {
    /// Names in SQL, and the dataset that each belongs to.
    tables: Vec<(String, u32)>,
    /// Shares of each table that the lanes want.
    wanted: u32,
    /// The snapshot that all shares are read from, where sessions can have one in common.
    pub snapshot: Option<String>,
    /// The table in hand, and the shares of it that are left, where some are taken.
    at: usize,
    rest: Option<Box<RawValue>>,
}

impl Walk {
    /// The walk over tables, by their names in SQL, with their datasets; equal ones are one dataset.
    ///
    /// # Errors
    /// `parameter.invalid` for more tables than the host can keep.
    pub fn plan(
        found: Vec<(String, Dataset)>,
        wanted: u32,
        snapshot: Option<String>,
    ) -> Result<(Self, Vec<Dataset>)> {
        let wanted = wanted.div_ceil(found.len().max(1) as u32);
        let mut groups: Vec<(Dataset, Vec<String>)> = Vec::new();
        let mut tables = Vec::with_capacity(found.len());
        for (table, dataset) in found {
            let title = dataset.path.join(".");
            let alike = groups.iter().position(|(other, _)| other.schema == dataset.schema);
            let index = alike.unwrap_or_else(|| {
                groups.push((dataset, Vec::new()));
                groups.len() - 1
            });
            groups[index].1.push(title);
            tables.push((table, index as u32));
        }
        let walk = Self { tables, wanted, snapshot, at: 0, rest: None };
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

    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` for the shares of a single table.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The next shares, all of one table. `take` answers some of a table's, as for a single table: of as
    /// many as are wanted, or of the rest that it left.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn next(
        mut self,
        vendor: Vendor,
        mut take: impl FnMut(&str, u32, Option<&[u8]>) -> Result<Splits>,
    ) -> Result<Splits> {
        let mut splits = Vec::new();
        while let (true, Some((table, dataset))) = (splits.is_empty(), self.tables.get(self.at)) {
            let rest = self.rest.take();
            let taken = take(table, self.wanted, rest.as_ref().map(|rest| rest.get().as_bytes()))?;
            for split in taken.splits {
                splits.push(wrapped(vendor, table, *dataset, split)?);
            }
            match taken.last {
                true => self.at += 1,
                false => self.rest = Some(raw(vendor, taken.next)?),
            }
        }
        let last = self.at >= self.tables.len();
        Ok(Splits { splits, last, next: self.encode() })
    }
}

/// A share, and the table that it is one of.
pub struct Part {
    /// The table's name in SQL; `None` where the step reads one.
    pub table: Option<String>,
    pub dataset: u32,
    /// As the plug-in made it.
    pub share: Vec<u8>,
}

/// A share of one of several tables, as it travels.
#[derive(Serialize, Deserialize)]
struct Token {
    table: String,
    dataset: u32,
    share: Box<RawValue>,
}

impl Part {
    pub fn decode(token: &[u8]) -> Self {
        match serde_json::from_slice(token) {
            Ok(Token { table, dataset, share }) => {
                Self { table: Some(table), dataset, share: share.get().as_bytes().to_vec() }
            }
            Err(_) => Self { table: None, dataset: 0, share: token.to_vec() },
        }
    }
}

fn wrapped(vendor: Vendor, table: &str, dataset: u32, split: Split) -> Result<Split> {
    let share = raw(vendor, split.token)?;
    let token = Token { table: table.to_owned(), dataset, share };
    let token = serde_json::to_vec(&token).unwrap_or_default();
    let plain = table.replace(['"', '`'], "");
    Ok(Split { token, label: format!("{plain}: {}", split.label), ..split })
}

fn raw(vendor: Vendor, bytes: Vec<u8>) -> Result<Box<RawValue>> {
    let text = String::from_utf8(bytes).ok();
    text.and_then(|text| RawValue::from_string(text).ok()).ok_or_else(|| vendor.split_unreadable())
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

    const VENDOR: Vendor = Vendor { code: "v", name: "V" };

    fn table(name: &str, kind: DataType) -> (String, Dataset) {
        let dataset = Dataset {
            path: vec!["s".into(), name.into()],
            schema: Arc::new(Schema::new(vec![Field::new("id", kind, false)])),
            primary_key: vec!["id".into()],
            metadata: Vec::new(),
        };
        (format!("\"s\".`{name}`"), dataset)
    }

    /// Shares from `at` to as many as the table has, one at a time.
    fn take(table: &str, at: Option<&[u8]>) -> Splits {
        let count = match table {
            "\"s\".`b`" => 2,
            "\"s\".`c`" => 0,
            _ => 1,
        };
        let at: u32 = at.map_or(0, |at| serde_json::from_slice(at).unwrap());
        let share = Split {
            token: serde_json::to_vec(&at).unwrap(),
            label: at.to_string(),
            stage: 0,
            rows_estimate: None,
            bytes_estimate: None,
        };
        let splits = if at < count { vec![share] } else { Vec::new() };
        Splits { splits, last: at + 1 >= count, next: serde_json::to_vec(&(at + 1)).unwrap() }
    }

    #[test]
    fn tables_are_walked_one_after_another() {
        let found = ["a", "b", "c"].map(|name| table(name, DataType::Int64)).to_vec();
        let (walk, datasets) = Walk::plan(found, 6, Some("snap".into())).unwrap();
        assert_eq!(datasets.len(), 1);
        assert_eq!(datasets[0].metadata, [("tables".to_owned(), "s.a, s.b, s.c".to_owned())]);
        assert!(datasets[0].primary_key.is_empty());
        let mut at = walk.encode();
        let mut seen = Vec::new();
        loop {
            let walk = Walk::decode(&at).unwrap();
            assert_eq!(walk.snapshot.as_deref(), Some("snap"));
            let splits = walk.next(VENDOR, |table, wanted, at| {
                assert_eq!(wanted, 2);
                Ok(take(table, at))
            });
            let splits = splits.unwrap();
            for split in &splits.splits {
                let part = Part::decode(&split.token);
                seen.push((split.label.clone(), part.table.unwrap(), part.share));
            }
            if splits.last {
                break;
            }
            at = splits.next;
        }
        let labels: Vec<_> = seen.iter().map(|(label, ..)| label.as_str()).collect();
        assert_eq!(labels, ["s.a: 0", "s.b: 0", "s.b: 1"]);
        assert_eq!(seen[2].1, "\"s\".`b`");
        assert_eq!(seen[2].2, b"1");
    }

    #[test]
    fn tables_that_differ_are_datasets_of_their_own() {
        let found = vec![table("a", DataType::Int64), table("b", DataType::Utf8)];
        let (walk, datasets) = Walk::plan(found, 1, None).unwrap();
        assert_eq!((datasets.len(), walk.tables[1].1), (2, 1));
        assert_eq!(datasets[1].primary_key, ["id"]);
        let long = (0..2000).map(|n| table(&format!("table_{n:09}"), DataType::Int64)).collect();
        assert_eq!(Walk::plan(long, 1, None).unwrap_err().code, "parameter.invalid");
    }

    #[test]
    fn a_share_of_a_single_table_is_itself() {
        let part = Part::decode(b"{\"Range\":1}");
        assert_eq!((part.table, part.dataset, part.share), (None, 0, b"{\"Range\":1}".to_vec()));
        assert!(Walk::decode(b"{\"cut\":\"Whole\"}").is_none());
    }
}
