//! The difference of two texts by lines, for people.

/// Lines of either text that are compared; of larger ones only the first differing line is told,
/// since the comparison takes the product of both lengths.
const COMPARED_LINES_MAX: usize = 1500;
/// Unchanged lines shown before and after a change.
const CONTEXT_LINES: usize = 2;
/// Lines of a difference that are shown.
const SHOWN_LINES_MAX: usize = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    Same,
    Removed,
    Added,
}

/// The lines that are only in `before` (`-`) or only in `after` (`+`), with a little of what is
/// around them; empty where the texts are the same.
pub(crate) fn lines(before: &str, after: &str) -> String {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    if before.len().max(after.len()) > COMPARED_LINES_MAX {
        return first_difference(&before, &after);
    }
    render(&edits(&before, &after))
}

fn first_difference(before: &[&str], after: &[&str]) -> String {
    let same = before.iter().zip(after).take_while(|(left, right)| left == right).count();
    let mut text = String::new();
    for (sign, line) in [('-', before.get(same)), ('+', after.get(same))] {
        if let Some(line) = line {
            text += &format!("@@ line {} @@\n{sign}{line}\n", same + 1);
        }
    }
    text
}

/// By the longest common subsequence.
fn edits<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<(Edit, usize, &'a str)> {
    let width = after.len() + 1;
    let mut longest = vec![0u16; (before.len() + 1) * width];
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            longest[i * width + j] = if before[i] == after[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut edits) = (0, 0, Vec::new());
    while i < before.len() || j < after.len() {
        let both = i < before.len() && j < after.len();
        if both && before[i] == after[j] {
            edits.push((Edit::Same, j + 1, after[j]));
            (i, j) = (i + 1, j + 1);
        } else if j == after.len()
            || (both && longest[(i + 1) * width + j] >= longest[i * width + j + 1])
        {
            edits.push((Edit::Removed, i + 1, before[i]));
            i += 1;
        } else {
            edits.push((Edit::Added, j + 1, after[j]));
            j += 1;
        }
    }
    edits
}

fn render(edits: &[(Edit, usize, &str)]) -> String {
    let near = |index: usize| {
        let around =
            index.saturating_sub(CONTEXT_LINES)..(index + CONTEXT_LINES + 1).min(edits.len());
        edits[around].iter().any(|(edit, ..)| *edit != Edit::Same)
    };
    let (mut text, mut shown, mut last) = (String::new(), 0, None);
    for (index, (edit, number, line)) in edits.iter().enumerate().filter(|(index, _)| near(*index))
    {
        if shown == SHOWN_LINES_MAX {
            text += "...\n";
            break;
        }
        if last.is_none_or(|last| last + 1 != index) {
            text += &format!("@@ line {number} @@\n");
        }
        let sign = match edit {
            Edit::Same => ' ',
            Edit::Removed => '-',
            Edit::Added => '+',
        };
        text += &format!("{sign}{line}\n");
        (shown, last) = (shown + 1, Some(index));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_is_shown_with_its_neighbours() {
        let before = "a\nb\nc\nd\ne\nf\ng";
        let after = "a\nb\nc\nD\ne\nf\ng";
        assert_eq!(lines(before, after), "@@ line 2 @@\n b\n c\n-d\n+D\n e\n f\n");
    }

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(lines("a\nb", "a\nb\n"), "");
    }

    #[test]
    fn lines_that_only_one_text_has() {
        assert_eq!(lines("", "x"), "@@ line 1 @@\n+x\n");
        assert_eq!(lines("x", ""), "@@ line 1 @@\n-x\n");
    }

    #[test]
    fn long_texts_show_the_first_difference() {
        let long = "same\n".repeat(COMPARED_LINES_MAX + 1);
        let text = lines(&format!("{long}a"), &format!("{long}b"));
        assert!(text.contains("-a\n") && text.contains("+b\n"), "{text}");
    }

    #[test]
    fn many_changes_are_cut() {
        let before = (0..200).map(|number| format!("{number}\n")).collect::<String>();
        let text = lines(&before, "");
        assert!(text.ends_with("...\n"));
        assert!(text.lines().count() <= SHOWN_LINES_MAX + 2);
    }
}
