//! What becomes of rows that are there when a run's rows come: the parameters that all writers to tables
//! have in common.

use schemars::JsonSchema;
use sdk::{Fault, Result};
use serde::Deserialize;

/// Where a document names the partition.
pub const PLACE: &str = "/parameter/partition";

/// What becomes of rows that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoadMode {
    /// They stay.
    Append,
    /// They are replaced, all at once, when the run ends.
    Swap,
}

impl LoadMode {
    /// What `loadMode` says, where `partition` is given or not: a partition is there to be replaced.
    pub fn of(said: Option<Self>, partition: Option<&str>) -> Self {
        let usual = if partition.is_some() { Self::Swap } else { Self::Append };
        said.unwrap_or(usual)
    }
}

/// The rows that are replaced: those with these values in these columns, all of them where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition(Vec<(String, String)>);

impl Partition {
    /// Of a text such as `ds=20251031` or `ds=20251031,hour=5`.
    ///
    /// # Errors
    /// `parameter.invalid` for a text that is no list of `column=value`, and for a partition that
    /// nothing would replace.
    pub fn read(said: Option<LoadMode>, text: Option<&str>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::default()) };
        let invalid = |message: String| {
            Fault::user("parameter.invalid", message)
                .hint("write column=value, such as ds=20251031; with commas between several")
                .at(PLACE)
        };
        if LoadMode::of(said, Some(text)) == LoadMode::Append {
            let message = "a partition is replaced, and \"loadMode\" says append".to_owned();
            return Err(invalid(message).hint("leave \"loadMode\" out, or \"partition\""));
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split(',') {
            let pair = part.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
            let Some((name, value)) =
                pair.filter(|(name, value)| !name.is_empty() && !value.is_empty())
            else {
                return Err(invalid(format!("\"{text}\" names no partition")));
            };
            if pairs.iter().any(|(other, _)| other == name) {
                return Err(invalid(format!("the partition names \"{name}\" twice")));
            }
            let bare = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
            pairs.push((name.to_owned(), bare.unwrap_or(value).to_owned()));
        }
        Ok(Self(pairs))
    }

    /// The whole table is meant.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// Column and value.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The columns that have one value in all rows.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// With the names and values that `look` finds for those that were written.
    ///
    /// # Errors
    /// Those of `look`.
    pub fn found<E>(
        self,
        look: impl FnMut((String, String)) -> Result<(String, String), E>,
    ) -> Result<Self, E> {
        self.0.into_iter().map(look).collect::<Result<_, E>>().map(Self)
    }

    /// The condition in SQL, by the server's ways to quote.
    pub fn condition(&self, ident: fn(&str) -> String, literal: fn(&str) -> String) -> String {
        if self.is_whole() {
            return "true".to_owned();
        }
        let equals =
            |(name, value): &(String, String)| format!("{} = {}", ident(name), literal(value));
        self.0.iter().map(equals).collect::<Vec<_>>().join(" AND ")
    }
}

/// Eight digits that stand for texts in the name of a staging table, the same in every version.
pub fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    // FNV-1a, 32 bits.
    let bytes = texts.into_iter().flat_map(str::bytes);
    let hash = bytes
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_read() {
        let read = |text: &str| Partition::read(None, Some(text)).map_err(|fault| fault.code);
        let condition = |text: &str| {
            read(text).map(|read| read.condition(str::to_owned, |value| format!("'{value}'")))
        };
        assert_eq!(condition("ds=20251031").as_deref(), Ok("ds = '20251031'"));
        assert_eq!(
            condition("ds = '20251031', hour=5").as_deref(),
            Ok("ds = '20251031' AND hour = '5'")
        );
        for bad in ["ds", "ds=", "=1", "ds=1,ds=2", ""] {
            assert_eq!(read(bad), Err("parameter.invalid".to_owned()), "{bad}");
        }
        assert!(Partition::read(Some(LoadMode::Append), Some("ds=1")).is_err());
        assert!(Partition::read(Some(LoadMode::Append), None).unwrap().is_whole());
        assert_eq!(digest(["a"]), "e40c292c");
    }
}
