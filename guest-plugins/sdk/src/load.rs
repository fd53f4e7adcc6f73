//! What becomes of rows that are there when a run's rows come: the parameters that all writers to tables
//! have in common.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Fault, Result};

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

/// Columns and values of a partition that is written as `ds=20251031` or `ds=20251031,hour=5`; none where
/// there is no text.
///
/// # Errors
/// `parameter.invalid` for a text that is no list of `column=value`, and for a partition that nothing
/// would replace.
pub fn partition(said: Option<LoadMode>, text: Option<&str>) -> Result<Vec<(String, String)>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let invalid = |message: String| {
        Fault::user("parameter.invalid", message)
            .hint("write column=value, such as ds=20251031; with commas between several")
            .at("/parameter/partition")
    };
    if LoadMode::of(said, Some(text)) == LoadMode::Append {
        let message = "a partition is replaced, and \"loadMode\" says append".to_owned();
        return Err(invalid(message).hint("leave \"loadMode\" out, or \"partition\""));
    }
    let mut partition: Vec<(String, String)> = Vec::new();
    for part in text.split(',') {
        let pair = part.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let Some((name, value)) =
            pair.filter(|(name, value)| !name.is_empty() && !value.is_empty())
        else {
            return Err(invalid(format!("\"{text}\" names no partition")));
        };
        if partition.iter().any(|(other, _)| other == name) {
            return Err(invalid(format!("the partition names \"{name}\" twice")));
        }
        let bare = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
        partition.push((name.to_owned(), bare.unwrap_or(value).to_owned()));
    }
    Ok(partition)
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
        let some = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Ok(pairs.collect::<Vec<_>>())
        };
        let read = |text| partition(None, Some(text)).map_err(|fault| fault.code);
        assert_eq!(read("ds=20251031"), some(&[("ds", "20251031")]));
        assert_eq!(read("ds = '20251031', hour=5"), some(&[("ds", "20251031"), ("hour", "5")]));
        for bad in ["ds", "ds=", "=1", "ds=1,ds=2", ""] {
            assert_eq!(read(bad), Err("parameter.invalid".to_owned()), "{bad}");
        }
        assert!(partition(Some(LoadMode::Append), Some("ds=1")).is_err());
        assert!(partition(Some(LoadMode::Append), None).unwrap().is_empty());
        assert_eq!(digest(["a"]), "e40c292c");
    }
}
