//! "Did you mean": the candidates that are spelled most like a word.

/// Longer words are not compared: nobody means them.
const WORD_CHARS_MAX: usize = 64;
/// Suggestions at most, so that a hint stays one line.
const SUGGESTIONS_MAX: usize = 3;

/// A hint that names the nearest candidates, where there is one near enough.
pub(crate) fn hint<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = nearest(word, candidates);
    let quoted: Vec<_> = near.iter().map(|candidate| format!("\"{candidate}\"")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", quoted.join(" or ")))
}

/// The candidates near enough, the nearest first.
fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let lower = word.to_lowercase();
    let allowed = (lower.chars().count() / 3).max(1);
    let mut near: Vec<_> = candidates
        .filter(|candidate| *candidate != word)
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().take(SUGGESTIONS_MAX).map(|(_, candidate)| candidate).collect()
}

/// Insertions, deletions and replacements between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    if b.len() > WORD_CHARS_MAX || a.chars().count() > WORD_CHARS_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_proposed_and_far_ones_not() {
        let words = ["postgresql", "file", "mysql", "stream"];
        let near = |word| nearest(word, words.into_iter());
        assert_eq!(near("postgres"), ["postgresql"]);
        assert_eq!(near("mysqll"), ["mysql"]);
        assert_eq!(near("File"), ["file"]);
        assert!(near("kafka").is_empty());
        assert_eq!(hint("steam", words.into_iter()).unwrap(), "did you mean \"stream\"?");
        assert!(distance(&"x".repeat(65), "x") > 64);
    }
}
