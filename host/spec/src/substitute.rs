//! Puts the values of variables into a document's text, before it is parsed.
//!
//! `${name}` may stand anywhere. Inside a JSON text the value is escaped; outside, it must be a JSON
//! value. A text that shall hold `${` itself writes `\u0024{`. Offsets of the result lead back to the
//! user's text, so that lines stay right.

use std::collections::BTreeSet;
use std::ops::Range;

use domain::fault::Fault;

use crate::blank::{is_secret_name, secret_ranges};
use crate::document::{self, Document, Notes};
use crate::json;
use crate::parameter::{self, Values};

/// The text after substitution at most, so that values used often cannot fill the memory.
const TEXT_BYTES_MAX: usize = json::DOCUMENT_BYTES_MAX + 1;

/// Variables that fail are told up to here; more help nobody.
const PROBLEMS_MAX: usize = 100;

const UNREADABLE: &str = "spec.variable_unreadable";

/// A variable that was replaced: where it stood and where its value stands.
#[derive(Debug)]
struct Patch<'a> {
    name: &'a str,
    from: (usize, usize),
    to: (usize, usize),
}

/// A variable that could not be replaced.
#[derive(Debug)]
struct Problem {
    /// In the text after substitution.
    at: usize,
    line: u32,
    /// The same one is told once.
    key: String,
    /// `None`: told elsewhere.
    fault: Option<Fault>,
}

#[derive(Debug)]
pub(crate) struct Substituted<'a> {
    name: &'a str,
    source: &'a str,
    starts: Vec<usize>,
    text: String,
    patches: Vec<Patch<'a>>,
    names: BTreeSet<&'a str>,
    problems: Vec<Problem>,
}

impl<'a> Substituted<'a> {
    /// `bare`: `$name` is replaced too, where such a parameter is given.
    pub(crate) fn new(name: &'a str, source: &'a str, values: &Values, bare: bool) -> Self {
        let mut this = Self {
            name,
            source,
            starts: document::line_starts(source),
            text: String::new(),
            patches: Vec::new(),
            names: BTreeSet::new(),
            problems: Vec::new(),
        };
        let (mut at, mut copied, mut in_text) = (0, 0, false);
        // Bytes, not characters: what is looked for is ASCII, which no other character contains.
        while at < source.len() && this.text.len() < TEXT_BYTES_MAX {
            let variable = match source.as_bytes()[at] {
                b'$' => Variable::at(&source[at..], bare, values),
                _ => None,
            };
            at += match (source.as_bytes()[at], variable) {
                (b'"', _) => {
                    in_text = !in_text;
                    1
                }
                // What stands behind a backslash begins and ends nothing.
                (b'\\', _) if in_text => 2,
                (_, Some(variable)) => {
                    this.text.push_str(&source[copied..at]);
                    this.replace(at, &variable, in_text, values);
                    copied = at + variable.length;
                    variable.length
                }
                _ => 1,
            };
        }
        this.text.push_str(&source[copied..]);
        this
    }

    /// The text to parse.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn replace(&mut self, at: usize, variable: &Variable<'a>, in_text: bool, values: &Values) {
        let start = self.text.len();
        match value(variable, in_text, values) {
            Ok(value) => self.text.push_str(&value),
            Err(fault) => {
                let line = document::line(&self.starts, at);
                let key = self.source[at..at + variable.length].to_owned();
                if self.problems.len() < PROBLEMS_MAX {
                    self.problems.push(Problem { at: start, line, key, fault });
                }
                // Something that parses, so that the other faults are found too.
                self.text.push_str(if in_text { "?" } else { "null" });
            }
        }
        let to = (start, self.text.len());
        let from = (at, at + variable.length);
        self.patches.push(Patch { name: variable.name, from, to });
        self.names.insert(variable.name);
    }

    /// The document's file as the user named it.
    pub(crate) fn name(&self) -> &str {
        self.name
    }

    /// The user's text.
    pub(crate) fn source(&self) -> &str {
        self.source
    }

    /// Where the lines of the user's text start.
    pub(crate) fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The byte of the user's text that a byte of the result comes from.
    pub(crate) fn offset(&self, at: usize) -> usize {
        let next = self.patches.partition_point(|patch| patch.to.0 <= at);
        match next.checked_sub(1).and_then(|index| self.patches.get(index)) {
            Some(patch) if at < patch.to.1 => patch.from.0,
            Some(patch) => patch.from.1 + (at - patch.to.1),
            None => at,
        }
    }

    /// Tells what is wrong with variables, each once.
    pub(crate) fn tell(&self, document: Option<&Document>, notes: &mut Notes) {
        let mut told = BTreeSet::new();
        for problem in &self.problems {
            let Some(fault) = problem.fault.clone().filter(|_| told.insert(&problem.key)) else {
                continue;
            };
            let line = Some((self.name.to_owned(), problem.line));
            let place = document.map(|document| document.pointer_at(problem.at));
            let place = place.filter(|place| !place.is_empty());
            notes.faults.push(Fault { line, place, ..fault });
        }
    }

    /// Drops faults about values that a failed variable made: they tell nothing new.
    pub(crate) fn settle(&self, document: &Document, notes: &mut Notes) {
        let own = ["spec.variable_unassigned", UNREADABLE, "spec.parameter_value"];
        for problem in &self.problems {
            let pointer = document.pointer_at(problem.at);
            let key = format!("\"{}\"", json::last_key(&pointer));
            let parent = pointer.rfind('/').map(|slash| &pointer[..slash]);
            notes.faults.retain(|fault| {
                let place = fault.place.as_deref().unwrap_or_default();
                let rest = place.strip_prefix(&pointer);
                let within = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                // A null counts as absent, which is told one level up.
                let absent = Some(place) == parent && fault.message.contains(&key);
                own.contains(&fault.code.as_str()) || !(within || absent)
            });
        }
    }

    /// The names of all variables in the text.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.names.iter().copied()
    }

    pub(crate) fn uses(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether a `$name` of a given parameter stands in the text.
    pub(crate) fn has_bare(&self, values: &Values) -> bool {
        let mut dollars = self.source.match_indices('$');
        dollars.any(|(at, _)| Variable::bare(&self.source[at..], values).is_some())
    }

    /// The variables that the text uses, with their values; those of `secret` ones are blank.
    pub(crate) fn used(&self, values: &Values, secret: &[String]) -> Vec<(String, String)> {
        let names = self.names.iter().map(|name| (*name).to_owned());
        let used = names.filter_map(|name| {
            let value = values.get(&name)?.clone()?;
            let value = if secret.contains(&name) { String::new() } else { value };
            Some((name, value))
        });
        used.collect()
    }

    /// The variables that stand in the value of a secret, in the secret part of a URL, or that are
    /// themselves what is secret in a connection.
    pub(crate) fn secret(
        &self,
        document: &Document,
        secrecy: &Secrecy<'_>,
        values: &Values,
    ) -> Vec<String> {
        let mut secret = BTreeSet::new();
        let is_secret_key = |key: &str| is_secret_name(key) || secrecy.keys.contains(key);
        for extent in document.extents_of(is_secret_key) {
            secret.extend(self.within(extent.start..extent.end, |patch| patch.to));
        }
        // Before substitution and after: a value may close what would show where a secret stands,
        // and may bring a secret of its own.
        for range in secret_ranges(self.source) {
            secret.extend(self.within(range, |patch| patch.from));
        }
        for range in secret_ranges(&self.text) {
            secret.extend(self.within(range, |patch| patch.to));
        }
        let is_text = |name: &&str| match values.get(*name) {
            Some(Some(value)) => !value.is_empty() && secrecy.texts.contains(value),
            _ => false,
        };
        secret.extend(self.names.iter().copied().filter(is_text));
        secret.into_iter().map(str::to_owned).collect()
    }

    /// The variables whose place, by `place_of`, touches a range.
    fn within(
        &self,
        range: Range<usize>,
        place_of: impl Fn(&Patch<'a>) -> (usize, usize),
    ) -> impl Iterator<Item = &'a str> {
        let first = self.patches.partition_point(|patch| place_of(patch).1 <= range.start);
        let behind = self.patches[first..].iter();
        behind.take_while(move |patch| place_of(patch).0 < range.end).map(|patch| patch.name)
    }
}

/// What is secret in a document, beside keys that look like it.
pub(crate) struct Secrecy<'k> {
    /// Keys that hold secrets.
    pub(crate) keys: &'k BTreeSet<String>,
    /// Texts of the connections that were blanked.
    pub(crate) texts: BTreeSet<String>,
}

/// A variable in a text.
struct Variable<'r> {
    name: &'r str,
    /// Of all of it, in bytes.
    length: usize,
    closed: bool,
}

impl<'r> Variable<'r> {
    /// The one that `rest` begins with.
    fn at(rest: &'r str, bare: bool, values: &Values) -> Option<Self> {
        let Some(behind) = rest.strip_prefix("${") else {
            return bare.then(|| Self::bare(rest, values)).flatten();
        };
        // Not beyond its line or text.
        let end = behind.find(['}', '"', '\n']).unwrap_or(behind.len());
        let closed = behind[end..].starts_with('}');
        Some(Self { name: &behind[..end], length: "${".len() + end + usize::from(closed), closed })
    }

    /// `$name` of a given parameter.
    fn bare(rest: &'r str, values: &Values) -> Option<Self> {
        let behind = rest.strip_prefix('$')?;
        let end = behind.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(behind.len());
        let name = &behind[..end];
        values.contains_key(name).then_some(Self { name, length: 1 + end, closed: true })
    }
}

/// The text to put in; `Err(None)` where the fault is told elsewhere.
fn value(variable: &Variable<'_>, in_text: bool, values: &Values) -> Result<String, Option<Fault>> {
    let name = variable.name;
    if !variable.closed {
        return Err(Some(unreadable("a \"${\" is not closed on its line or text")));
    }
    let value = match values.get(name) {
        Some(Some(value)) => value,
        Some(None) => return Err(None),
        None => return Err(Some(unassigned(name, values))),
    };
    if in_text {
        let quoted = serde_json::Value::from(value.as_str()).to_string();
        return Ok(quoted[1..quoted.len() - 1].to_owned());
    }
    match json::parse(value) {
        // Written anew, so that it is one line.
        Ok(parsed) => Ok(parsed.value.to_string()),
        Err(_) => {
            let message = format!(
                "\"${{{name}}}\" stands outside double quotes, where its value must be a number, true, false or other JSON"
            );
            let hint = format!("write \"${{{name}}}\" in double quotes");
            Err(Some(Fault::user("spec.parameter_value", message).hint(hint)))
        }
    }
}

fn unassigned(name: &str, values: &Values) -> Fault {
    if parameter::is_expression(name) {
        let message = format!("\"${{{name}}}\" is an expression, not a variable");
        let hint = format!("give it to a parameter, -p 'day=${{{name}}}', and write ${{day}} here");
        return Fault::user(UNREADABLE, message).hint(hint);
    }
    if !parameter::is_name(name) {
        return unreadable("what stands between \"${\" and \"}\" is no name of a variable");
    }
    let near = crate::nearest::hint(name, values.keys().map(String::as_str));
    Fault::user("spec.variable_unassigned", format!("variable \"{name}\" has no value"))
        .hint(near.unwrap_or_else(|| format!("give it one: -p {name}=VALUE")))
}

/// Without the text, which may be a secret that happens to hold `${`.
fn unreadable(message: &str) -> Fault {
    let hint = "write ${NAME}; a text that shall hold \"${\" itself writes \"\\u0024{\"";
    Fault::user(UNREADABLE, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let table = [
            ("a", "x"),
            ("n", "7"),
            ("quote", "say \"hi\"\\\n"),
            ("list", "[1,\n2]"),
            ("lead", "007"),
        ];
        let values = table.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
        values.into_iter().collect()
    }

    fn substitute(text: &str, bare: bool) -> String {
        Substituted::new("job.json", text, &values(), bare).text
    }

    #[test]
    fn values_stand_where_variables_stood() {
        let table = [
            (r#"{"k": "${a}${n}"}"#, r#"{"k": "x7"}"#),
            (r#"{"k": ${n}}"#, r#"{"k": 7}"#),
            (r#"{"k": ${list}}"#, r#"{"k": [1,2]}"#),
            (r#"{"k": "${quote}"}"#, r#"{"k": "say \"hi\"\\\n"}"#),
            (r#"{"k": "\u0024{a} \"${a}"}"#, r#"{"k": "\u0024{a} \"x"}"#),
            (r#"{"k": "\\${a}"}"#, r#"{"k": "\\x"}"#),
            (r#"{"k": "$a $ $[mm]"}"#, r#"{"k": "$a $ $[mm]"}"#),
        ];
        for (text, expected) in table {
            assert_eq!(substitute(text, false), expected);
        }
        assert_eq!(substitute(r#"{"k": "$a $b ${a}"}"#, true), r#"{"k": "x $b x"}"#);
    }

    #[test]
    fn bytes_lead_back_to_the_users_text() {
        let text = "{\n\"k\": [${list}, ${n}],\n\"z\": ?}";
        let substituted = Substituted::new("job.json", text, &values(), false);
        let origin = |what: &str| &text[substituted.offset(substituted.text.find(what).unwrap())..];
        assert!(origin("?").starts_with("?}"));
        assert!(origin("7]").starts_with("${n}"));
        assert!(origin("],\n").starts_with("],\n"));
        assert!(origin("2]").starts_with("${list}"));
    }

    #[test]
    fn what_has_no_value_is_told_once_with_its_line() {
        let text = "{\"k\": \"${b}\",\n \"l\": \"${b} ${yyyymmdd-1} ${lead\",\n \"m\": ${lead}}";
        let substituted = Substituted::new("job.json", text, &values(), false);
        let mut notes = Notes::default();
        substituted.tell(None, &mut notes);
        let told: Vec<_> =
            notes.faults.iter().map(|f| (f.code.as_str(), f.line.clone().unwrap().1)).collect();
        assert_eq!(
            told,
            [
                ("spec.variable_unassigned", 1),
                ("spec.variable_unreadable", 2),
                ("spec.variable_unreadable", 2),
                ("spec.parameter_value", 3),
            ]
        );
    }
}
