//! Generated rows as the contract's buffers, and lies about them.

use sdk::Budget;
use sdk::bindings::airlock::connector::types::Batch;

use crate::script::Script;

/// Places of the buffers of [`crate::datasets::honest`].
mod place {
    pub(crate) const ID_VALIDITY: usize = 0;
    pub(crate) const ID_VALUES: usize = 1;
    pub(crate) const NAME_VALIDITY: usize = 2;
    pub(crate) const NAME_OFFSETS: usize = 3;
    pub(crate) const NAME_BYTES: usize = 4;
    pub(crate) const PRICE_VALUES: usize = 6;
}

/// The budget of a call that has none.
pub(crate) const NO_BUDGET: Budget = Budget { rows: 1000, bytes: 1 << 20, wait_ms: 0 };

/// The rows `from` to `to` of a split; each third name is NULL.
pub(crate) fn honest(from: u64, to: u64) -> Batch {
    let rows = (to - from) as usize;
    let mut ids = Vec::new();
    let mut validity = vec![0_u8; rows.div_ceil(8)];
    let mut offsets = 0_i32.to_le_bytes().to_vec();
    let mut names = Vec::new();
    let mut prices = Vec::new();
    let mut flags = vec![0_u8; rows.div_ceil(8)];
    for (index, row) in (from..to).enumerate() {
        ids.extend((row as i64).to_le_bytes());
        if row % 3 != 0 {
            validity[index / 8] |= 1 << (index % 8);
            names.extend(format!("name {row}").bytes());
        }
        offsets.extend((names.len() as i32).to_le_bytes());
        prices.extend((row as i128 % 1_000_000).to_le_bytes());
        flags[index / 8] |= ((row % 2) as u8) << (index % 8);
    }
    let none = Vec::new();
    Batch {
        dataset: 0,
        rows: rows as u32,
        operations: None,
        absent: Vec::new(),
        buffers: vec![
            none.clone(),
            ids,
            validity,
            offsets,
            names,
            none.clone(),
            prices,
            none,
            flags,
        ],
    }
}

/// Makes of an honest batch the lie that `act` means.
pub(crate) fn lie(act: &str, script: &Script, budget: Budget, mut batch: Batch) -> Batch {
    let rows = batch.rows as usize;
    let buffers = &mut batch.buffers;
    let beyond = buffers[place::NAME_BYTES].len() as i32 + 1000;
    match act {
        "offsets-negative" => put(&mut buffers[place::NAME_OFFSETS], 0, -8),
        "offsets-falling" => put(&mut buffers[place::NAME_OFFSETS], rows / 2, i32::MAX),
        "offsets-past-end" => put(&mut buffers[place::NAME_OFFSETS], rows, beyond),
        "offsets-short" => buffers[place::NAME_OFFSETS].truncate(rows * 4),
        "validity-short" => buffers[place::NAME_VALIDITY].truncate(1),
        "values-short" => buffers[place::ID_VALUES].truncate(rows * 8 - 1),
        "buffers-few" => drop(buffers.pop()),
        "buffers-many" => buffers.push(vec![0; 8]),
        "dataset-wrong" => batch.dataset = 7,
        "utf8-invalid" => buffers[place::NAME_BYTES].fill(0xff),
        "decimal-wide" => buffers[place::PRICE_VALUES][..16].fill(0x7f),
        "null-forbidden" => buffers[place::ID_VALIDITY] = vec![0; rows.div_ceil(8)],
        "rows-huge" => batch.rows = 1 << 31,
        "rows-over-budget" => return honest(0, u64::from(budget.rows) + 1),
        "bytes-over-budget" => grow_text(buffers, rows, budget.bytes as usize * 4),
        "operations-short" => batch.operations = Some(vec![0; rows - 1]),
        "operations-odd" => batch.operations = Some(vec![9; rows]),
        "absent-short" => batch.absent = vec![vec![1]; 4],
        "absent-many" => batch.absent = vec![Vec::new(); script.amount_or(1000) as usize],
        _ => {}
    }
    batch
}

/// Sets the offset at `index`.
fn put(offsets: &mut [u8], index: usize, value: i32) {
    offsets[index * 4..index * 4 + 4].copy_from_slice(&value.to_le_bytes());
}

/// Makes the last name `bytes` long.
fn grow_text(buffers: &mut [Vec<u8>], rows: usize, bytes: usize) {
    let last = rows - 1;
    buffers[place::NAME_VALIDITY][last / 8] |= 1 << (last % 8);
    let text = &mut buffers[place::NAME_BYTES];
    text.resize(text.len() + bytes, b'x');
    let end = text.len() as i32;
    put(&mut buffers[place::NAME_OFFSETS], rows, end);
}
