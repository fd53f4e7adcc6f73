//! New names for runs: the time, so that they sort, and chance, so that they differ.

use domain::fault::{Fault, Result};
use domain::run::RunId;
use jiff::Zoned;

/// Characters of chance: 36^5 are 60 million names a second.
const CHANCE_CHARACTERS: usize = 5;
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// `20251101t023045x7k2p`: the time in UTC and five characters of chance.
///
/// # Errors
/// `host.chance` where the system gives no random bytes.
pub(crate) fn new(now: &Zoned) -> Result<RunId> {
    let mut chance = [0; CHANCE_CHARACTERS];
    getrandom::fill(&mut chance)
        .map_err(|error| Fault::internal("host.chance", format!("no random bytes: {error}")))?;
    Ok(spell(now, &chance))
}

fn spell(now: &Zoned, chance: &[u8]) -> RunId {
    let time = now.timestamp().strftime("%Y%m%dt%H%M%S");
    let characters = chance.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % 36]));
    RunId(format!("{time}{}", characters.collect::<String>()))
}

/// Whether `text` could be a run's name: it becomes part of file names.
pub(crate) fn is_valid(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_time_and_chance() {
        let now: Zoned = "2025-11-01T10:30:45+08:00[Asia/Shanghai]".parse().unwrap();
        assert_eq!(spell(&now, &[0, 10, 35, 36, 255]).0, "20251101t0230450az03");
        let new = new(&now).unwrap();
        assert!(is_valid(&new.0) && new.0.starts_with("20251101t023045"), "{new}");
    }

    #[test]
    fn foreign_names_are_not_valid() {
        for bad in ["", "../x", "A", "a b", "a/b"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
