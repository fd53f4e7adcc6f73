//! Formats of dates in the words of PostgreSQL, Oracle and MaxCompute, in letters of any size.

use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use domain::{Fault, Result};

/// The words, the longest first, and what `chrono` calls them.
const WORDS: [(&str, &str); 24] = [
    ("MONTH", "%B"),
    ("YYYY", "%Y"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("DDD", "%j"),
    ("DAY", "%A"),
    ("MON", "%b"),
    ("FF3", "%3f"),
    ("FF6", "%6f"),
    ("FF9", "%9f"),
    ("YY", "%y"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("DY", "%a"),
    ("HH", "%H"),
    ("MI", "%M"),
    ("SS", "%S"),
    ("MS", "%3f"),
    ("US", "%6f"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("FF", "%9f"),
    ("T", "T"),
    ("Z", "Z"),
];

#[derive(Clone, Debug)]
pub(crate) struct Format {
    items: Vec<Item<'static>>,
}

impl Format {
    /// # Errors
    /// `expression.value`: a letter means nothing, or a word stands there twice.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |message: String| Fault::user("expression.value", message);
        let (mut chrono, mut seen) = (String::new(), Vec::new());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(quoted) = rest.strip_prefix('"') {
                let (literal, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
                chrono += &literal.replace('%', "%%");
                rest = behind;
                continue;
            }
            let starts = |word: &str| {
                rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            };
            if let Some((word, meaning)) = WORDS.iter().find(|(word, _)| starts(word)) {
                if seen.contains(meaning) {
                    let message = format!("\"{word}\" stands twice in the format \"{text}\"");
                    return Err(wrong(message).hint("MM is the month, MI the minute"));
                }
                seen.push(*meaning);
                chrono += meaning;
                rest = &rest[word.len()..];
                continue;
            }
            if first.is_alphanumeric() {
                let message = format!("\"{first}\" means nothing in the format \"{text}\"");
                return Err(wrong(message).hint(
                    "YYYY, MM, DD, HH24, HH12, MI, SS, MS, US, AM, MON, MONTH, DY, DAY and DDD do; other letters stand in double quotes",
                ));
            }
            if first == '%' {
                chrono.push('%');
            }
            chrono.push(first);
            rest = &rest[first.len_utf8()..];
        }
        let items: Vec<_> = StrftimeItems::new(&chrono).map(own).collect();
        match items.is_empty() || items.contains(&Item::Error) {
            true => Err(wrong(format!("\"{text}\" is no format of a date"))),
            false => Ok(Self { items }),
        }
    }

    fn parsed(&self, text: &str) -> Option<Parsed> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        Some(parsed)
    }

    pub(crate) fn date(&self, text: &str) -> Option<NaiveDate> {
        self.parsed(text)?.to_naive_date().ok()
    }

    /// What says no time is the begin of the day.
    pub(crate) fn timestamp(&self, text: &str) -> Option<NaiveDateTime> {
        let mut parsed = self.parsed(text)?;
        let date = parsed.to_naive_date().ok()?;
        if parsed.hour_mod_12().is_none() {
            return Some(date.and_time(NaiveTime::MIN));
        }
        if parsed.minute().is_none() {
            parsed.set_minute(0).ok()?;
        }
        Some(date.and_time(parsed.to_naive_time().ok()?))
    }

    /// # Errors
    /// Nothing but a bug.
    pub(crate) fn write(&self, moment: NaiveDateTime, to: &mut String) -> std::fmt::Result {
        use std::fmt::Write;
        write!(to, "{}", moment.format_with_items(self.items.iter()))
    }
}

fn own(item: Item<'_>) -> Item<'static> {
    match item {
        Item::Literal(text) => Item::OwnedLiteral(text.into()),
        // A blank of the format is a blank of the text.
        Item::Space(text) => Item::OwnedLiteral(text.into()),
        Item::OwnedLiteral(text) | Item::OwnedSpace(text) => Item::OwnedLiteral(text),
        Item::Numeric(numeric, pad) => Item::Numeric(numeric, pad),
        Item::Fixed(fixed) => Item::Fixed(fixed),
        Item::Error => Item::Error,
    }
}
