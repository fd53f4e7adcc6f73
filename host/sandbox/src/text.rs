//! Text of a plug-in made harmless before people or terminals see it.

use std::fmt::Write as _;

/// A message of a plug-in at most, bytes; what is longer is cut.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1024;

/// Controls (C0, C1, DEL), and what turns the direction of text, as visible escapes; cut at `max`
/// bytes.
pub(crate) fn harmless(text: &str, max: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max));
    for c in text.trim_end().chars() {
        if clean.len() + c.len_utf8() > max {
            clean.push('…');
            break;
        }
        match c {
            '\n' => clean.push_str("\\n"),
            '\t' => clean.push(' '),
            c if is_harmful(c) => escape(&mut clean, c),
            c => clean.push(c),
        }
    }
    clean
}

/// The same for a stream that goes to a terminal or file: line ends and tabs stay.
pub(crate) fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => clean.push(c),
            c if is_harmful(c) => escape(&mut clean, c),
            c => clean.push(c),
        }
    }
    clean
}

fn escape(clean: &mut String, c: char) {
    let _ = write!(clean, "\\u{{{:x}}}", u32::from(c));
}

/// Controls move cursors and colours; the others make text read in another order than it is written.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}')
        || matches!(c, '\u{2028}' | '\u{2029}')
}

/// What a name must not have. Marks of direction belong to some scripts; what overrides the direction
/// does not.
pub(crate) fn is_misleading(c: char) -> bool {
    is_harmful(c) && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t43_controls_and_turned_text_are_escaped() {
        let table = [
            ("plain ünïcode", "plain ünïcode"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{1b}]8;;http://x\u{7}", "\\u{1b}]8;;http://x\\u{7}"),
            ("a\nERROR forged", "a\\nERROR forged"),
            ("a\r\u{9b}2J\u{7f}", "a\\u{d}\\u{9b}2J\\u{7f}"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("\u{2066}x\u{2069}\u{200f}", "\\u{2066}x\\u{2069}\\u{200f}"),
            ("tail \n\n", "tail"),
        ];
        for (text, clean) in table {
            assert_eq!(harmless(text, 100), clean);
        }
        assert_eq!(printable("a\tb\n\u{1b}c"), "a\tb\n\\u{1b}c");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(harmless("äää", 5), "ää…");
        assert_eq!(harmless("abc", 3), "abc");
    }
}
