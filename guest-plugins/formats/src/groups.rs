//! Shares of files that know how many rows and bytes each of their groups has: row groups of Parquet, stripes
//! of ORC.

use sdk::Result;

use crate::read::Share;
use crate::storage::changed;

/// Groups, as many as make about `split_bytes`, and shares of one size. `groups` are rows and bytes.
pub(crate) fn next_share(
    label: &str,
    groups: &[(u64, u64)],
    after: Option<&Share>,
    split_bytes: u64,
) -> Result<Option<Share>> {
    let first = match after {
        None => 0,
        Some(Share::Groups { first, count, .. }) => first + count,
        Some(_) => return Err(changed(label)),
    };
    let groups = groups.get(first..).unwrap_or_default();
    let rest = groups.iter().fold(0_u64, |all, (_, bytes)| all.saturating_add(*bytes));
    let shares = (rest.saturating_add(split_bytes / 2) / split_bytes.max(1)).max(1);
    let (mut count, mut rows, mut bytes) = (0, 0_u64, 0_u64);
    for (more, size) in groups {
        if count > 0 && bytes.saturating_add(size / 2) > rest / shares {
            break;
        }
        count += 1;
        rows = rows.saturating_add(*more);
        bytes = bytes.saturating_add(*size);
    }
    Ok((count > 0).then_some(Share::Groups { first, count, rows, bytes }))
}
