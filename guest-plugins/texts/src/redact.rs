//! `redact`: e-mail addresses, phone numbers and card numbers in texts are covered.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::DataType;
use regex::{Captures, Regex};
use schemars::JsonSchema;
use sdk::{Batch, Dataset, Fault, Result, Transformed};
use serde::Deserialize;

/// What to cover, and where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameter {
    /// Columns of texts that are looked through; without it all that there are.
    #[serde(default)]
    #[schemars(length(min = 1))]
    column: Option<Vec<String>>,
    /// What is looked for: email, phone and card, all of them without it.
    #[serde(default = "Kind::all")]
    #[schemars(length(min = 1))]
    find: Vec<Kind>,
    /// What stands in its place; without it the kind of what was found, such as [email].
    #[serde(default)]
    with: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum Kind {
    Email,
    Phone,
    Card,
}

impl Kind {
    fn all() -> Vec<Self> {
        vec![Self::Email, Self::Phone, Self::Card]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Card => "[card]",
        }
    }

    /// Where one may stand; the pattern of a card finds groups of digits of any number.
    fn pattern(self) -> &'static str {
        match self {
            Self::Email => {
                r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}"
            }
            // International; Chinese mobile; North American.
            Self::Phone => concat!(
                r"\+[0-9](?:[ .()/-]{0,2}[0-9]){7,14}(?-u:\b)",
                r"|(?-u:\b)1[3-9][0-9]{9}(?-u:\b)",
                r"|\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}(?-u:\b)",
                r"|(?-u:\b)[0-9]{3}[ .-][0-9]{3}[ .-][0-9]{4}(?-u:\b)",
            ),
            Self::Card => r"[0-9]+(?:[ -][0-9]+)*",
        }
    }
}

/// A session of the step.
pub(crate) struct Redact {
    column: Option<Vec<String>>,
    with: Option<String>,
    /// In the order in which they look: of what is a card no part is taken for a phone.
    finders: Vec<(Kind, Regex)>,
    /// For each dataset the positions of its columns.
    columns: Vec<Vec<usize>>,
}

impl Redact {
    pub(crate) fn new(parameter: Parameter) -> Result<Self> {
        let Parameter { column, find, with } = parameter;
        let finder = |kind: Kind| match Regex::new(kind.pattern()) {
            Ok(regex) => Ok((kind, regex)),
            Err(error) => Err(Fault::plugin("redact.pattern", error.to_string())),
        };
        let wanted = [Kind::Email, Kind::Card, Kind::Phone].into_iter();
        let finders = wanted.filter(|kind| find.contains(kind)).map(finder);
        Ok(Self { column, with, finders: finders.collect::<Result<_>>()?, columns: Vec::new() })
    }

    pub(crate) fn open(&mut self, datasets: Vec<Dataset>) -> Result<Vec<Dataset>> {
        let columns = datasets.iter().map(|dataset| match &self.column {
            Some(names) => {
                let column = |(index, name): (usize, &String)| {
                    crate::text_column(dataset, name, &format!("/parameter/column/{index}"))
                };
                names.iter().enumerate().map(column).collect()
            }
            None => {
                let fields = dataset.schema.fields().iter().enumerate();
                let texts = fields.filter(|(_, field)| *field.data_type() == DataType::Utf8);
                Ok(texts.map(|(index, _)| index).collect())
            }
        });
        self.columns = columns.collect::<Result<_>>()?;
        Ok(datasets)
    }

    pub(crate) fn apply(&self, batch: &Batch) -> Result<Transformed> {
        let mut columns = batch.rows.columns().to_vec();
        for index in self.columns.get(batch.dataset as usize).into_iter().flatten() {
            columns[*index] = self.covered(&columns[*index]);
        }
        let rows = RecordBatch::try_new(batch.rows.schema(), columns)
            .map_err(|error| Fault::plugin("redact.rows", error.to_string()))?;
        Transformed::each(batch, rows)
    }

    fn covered(&self, column: &ArrayRef) -> ArrayRef {
        let texts = column.as_string::<i32>();
        let covered: Vec<_> = texts.iter().map(|text| text.map(|text| self.cover(text))).collect();
        if covered.iter().flatten().all(|text| matches!(text, Cow::Borrowed(_))) {
            return column.clone();
        }
        Arc::new(covered.iter().map(|text| text.as_deref()).collect::<StringArray>())
    }

    /// The text with all that was found covered.
    pub(crate) fn cover<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for (kind, regex) in &self.finders {
            let with = self.with.as_deref().unwrap_or(kind.word());
            let replaced = match kind {
                Kind::Card => replace_cards(regex, &text, with),
                _ => match regex.replace_all(&text, regex::NoExpand(with)) {
                    Cow::Borrowed(_) => None,
                    Cow::Owned(replaced) => Some(replaced),
                },
            };
            if let Some(replaced) = replaced {
                text = Cow::Owned(replaced);
            }
        }
        text
    }
}

/// `None` where there is no card.
fn replace_cards(digits: &Regex, text: &str, with: &str) -> Option<String> {
    let mut found = false;
    let replaced = digits.replace_all(text, |run: &Captures<'_>| {
        let covered = cover_cards(&run[0], with);
        found |= covered.is_some();
        covered.unwrap_or_else(|| run[0].to_owned())
    });
    found.then(|| replaced.into_owned())
}

/// `run` is groups of digits with a blank or hyphen between: a card is one of them or several in a row.
fn cover_cards(run: &str, with: &str) -> Option<String> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for (index, byte) in run.bytes().enumerate() {
        match groups.last_mut() {
            Some((_, end)) if byte.is_ascii_digit() && *end == index => *end += 1,
            _ if byte.is_ascii_digit() => groups.push((index, index + 1)),
            _ => {}
        }
    }
    let (mut covered, mut from, mut first) = (String::new(), 0, 0);
    while first < groups.len() {
        let last = (first..groups.len().min(first + GROUPS_MAX)).rev();
        let start = groups[first].0;
        let card = last.map(|last| groups[last].1).find(|end| is_card(&run[start..*end]));
        match card {
            Some(end) => {
                covered += &run[from..start];
                covered += with;
                from = end;
                first = groups.partition_point(|(start, _)| *start < end);
            }
            None => first += 1,
        }
    }
    (from > 0).then(|| covered + &run[from..])
}

/// Groups in which people write a card's number at most: each digit by itself.
const GROUPS_MAX: usize = 19;

/// 13 to 19 digits, the first of an issuer of cards, and the last right by Luhn's rule.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|character| character.to_digit(10)).collect();
    let doubled = |digit: u32| digit * 2 / 10 + digit * 2 % 10;
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { doubled(*digit) } else { *digit })
        .sum();
    (13..=19).contains(&digits.len()) && (2..=6).contains(&digits[0]) && sum.is_multiple_of(10)
}
