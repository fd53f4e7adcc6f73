//! What plug-ins, servers and files said, made safe for a terminal: here alone, where it is shown.

/// A character as a terminal may safely get it.
fn escaped(character: char) -> Vec<char> {
    match character.is_control() {
        true => character.escape_default().collect(),
        false => vec![character],
    }
}

/// One line: every control character is escaped.
pub(crate) fn line(text: &str) -> String {
    text.chars().flat_map(escaped).collect()
}

/// Lines stay lines; every other control character is escaped.
pub(crate) fn lines(text: &str) -> String {
    let shown = |character| if character == '\n' { vec![character] } else { escaped(character) };
    text.chars().flat_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_steers_a_terminal() {
        let text = "a\u{1b}[2J\r\u{9b}1m\t\u{7f}\né";
        assert_eq!(line(text), "a\\u{1b}[2J\\r\\u{9b}1m\\t\\u{7f}\\né");
        assert_eq!(lines(text), "a\\u{1b}[2J\\r\\u{9b}1m\\t\\u{7f}\né");
    }
}
