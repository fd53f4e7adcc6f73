//! "Did you mean": the candidates that are spelled most like a word.

/// Longer words are not compared: nobody means them.
const WORD_CHARS_MAX: usize = 64;
/// Suggestions at most, so that a hint stays one line.
const SUGGESTIONS_MAX: usize = 3;

/// A hint that names the nearest candidates, where there is one near enough.
pub fn hint<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = nearest(word, candidates);
    let quoted: Vec<_> = near.iter().map(|candidate| format!("\"{candidate}\"")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", quoted.join(" or ")))
}

/// A hint that one of the keys that stand here may mean the one that is missing.
pub fn misspelled<'a>(missing: &str, keys: impl Iterator<Item = &'a String>) -> Option<String> {
    let near = nearest(missing, keys.map(String::as_str));
    near.first().map(|key| format!("did you mean \"{missing}\" where \"{key}\" stands?"))
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

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > WORD_CHARS_MAX || b.len() > WORD_CHARS_MAX {
        return usize::MAX;
    }
    // `rows[i][j]`: between the first `i` and the first `j` characters.
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
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
        assert_eq!(near("flie"), ["file"]);
        assert!(near("kafka").is_empty());
        assert_eq!(hint("steam", words.into_iter()).unwrap(), "did you mean \"stream\"?");
        assert!(distance(&"x".repeat(65), "x") > 64);
    }
}
