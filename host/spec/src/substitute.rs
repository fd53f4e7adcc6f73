//! Puts the values of variables into a document's text, before it is parsed.
//!
//! `${name}` may stand anywhere. Inside a JSON text the value is escaped; outside, it must be a JSON
//! value. A text that shall hold `${` itself writes `\u0024{`. Offsets of the result lead back to the
//! user's text, so that lines stay right.

use std::collections::{BTreeMap, BTreeSet};

use domain::fault::Fault;

use crate::blank::is_secret_name;
use crate::document::{self, Document, Notes};
use crate::json;
use crate::parameter::{self, Values};

/// The text after substitution at most, so that values used often cannot fill the memory.
const TEXT_BYTES_MAX: usize = json::DOCUMENT_BYTES_MAX + 1;

const UNREADABLE: &str = "spec.variable_unreadable";

/// A variable that was replaced: where it stood and where its value stands.
#[derive(Debug)]
struct Patch {
    name: String,
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
    patches: Vec<Patch>,
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

    fn replace(&mut self, at: usize, variable: &Variable<'_>, in_text: bool, values: &Values) {
        let start = self.text.len();
        match value(variable, in_text, values) {
            Ok(value) => self.text.push_str(&value),
            Err(fault) => {
                let line = document::position(self.source, &self.starts, at).0;
                let key = self.source[at..at + variable.length].to_owned();
                self.problems.push(Problem { at: start, line, key, fault });
                // Something that parses, so that the other faults are found too.
                self.text.push_str(if in_text { "?" } else { "null" });
            }
        }
        let to = (start, self.text.len());
        let from = (at, at + variable.length);
        self.patches.push(Patch { name: variable.name.to_owned(), from, to });
    }

    /// Line and column in the user's text of a byte of the result.
    pub(crate) fn position(&self, at: usize) -> (u32, u32) {
        let next = self.patches.partition_point(|patch| patch.to.0 <= at);
        let from = match next.checked_sub(1).and_then(|index| self.patches.get(index)) {
            Some(patch) if at < patch.to.1 => patch.from.0,
            Some(patch) => patch.from.1 + (at - patch.to.1),
            None => at,
        };
        document::position(self.source, &self.starts, from)
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
                let place = fault.place.as_deref();
                let within = place.is_some_and(|place| {
                    place.strip_prefix(&pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                });
                // A null counts as absent, which is told one level up.
                let absent = place == parent && fault.message.contains(&key);
                own.contains(&fault.code.as_str()) || !(within || absent)
            });
        }
    }

    pub(crate) fn uses(&self, name: &str) -> bool {
        self.patches.iter().any(|patch| patch.name == name)
    }

    /// Whether a `$name` of a given parameter stands in the text.
    pub(crate) fn has_bare(&self, values: &Values) -> bool {
        let mut dollars = self.source.match_indices('$');
        dollars.any(|(at, _)| Variable::bare(&self.source[at..], values).is_some())
    }

    /// The variables that the text uses, with their values.
    pub(crate) fn used(&self, values: &Values) -> Vec<(String, String)> {
        let used: BTreeMap<_, _> = self
            .patches
            .iter()
            .filter_map(|patch| Some((patch.name.clone(), values.get(&patch.name)?.clone()?)))
            .collect();
        used.into_iter().collect()
    }

    /// The variables that stand in the value of a secret.
    pub(crate) fn within_secrets(
        &self,
        document: &Document,
        names: &BTreeSet<String>,
    ) -> Vec<String> {
        let is_secret = |patch: &&Patch| {
            let pointer = document.pointer_at(patch.to.0);
            pointer.split('/').any(|key| is_secret_name(key) || names.contains(key))
        };
        let secret: BTreeSet<_> = self.patches.iter().filter(is_secret).map(|p| p.name.clone()).collect();
        secret.into_iter().collect()
    }
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
fn value(
    variable: &Variable<'_>,
    in_text: bool,
    values: &Values,
) -> Result<String, Option<Fault>> {
    let name = variable.name;
    if !variable.closed {
        let message = format!("\"${{{name}\" is not closed");
        let hint = "add the closing brace; a text that shall hold \"${\" itself writes \"\\u0024{\"";
        return Err(Some(Fault::user(UNREADABLE, message).hint(hint)));
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

fn unassigned(inner: &str, values: &Values) -> Fault {
    let is_format = inner.starts_with("yy") || inner.starts_with("mm") || inner.starts_with("dd");
    let message = format!("variable \"{inner}\" has no value");
    if !parameter::is_name(inner) || is_format {
        let message = format!("\"${{{inner}}}\" is no variable that can have a value");
        let hint = match is_format {
            true => format!("give the expression to a parameter, -p 'day=${{{inner}}}', and write ${{day}}"),
            false => "write ${NAME}; a text that shall hold \"${\" itself writes \"\\u0024{\"".into(),
        };
        return Fault::user(UNREADABLE, message).hint(hint);
    }
    let near = crate::nearest::hint(inner, values.keys().map(String::as_str));
    Fault::user("spec.variable_unassigned", message)
        .hint(near.unwrap_or_else(|| format!("give it one: -p {inner}=VALUE")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let table = [("a", "x"), ("n", "7"), ("quote", "say \"hi\"\\\n"), ("list", "[1,\n2]"), ("lead", "007")];
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
    fn lines_and_columns_are_those_of_the_users_text() {
        let text = "{\n\"k\": [${list}, ${n}],\n\"z\": ?}";
        let substituted = Substituted::new("job.json", text, &values(), false);
        let at = substituted.text.find('?').unwrap();
        assert_eq!(substituted.position(at), (3, 6));
        let at = substituted.text.find("7]").unwrap();
        assert_eq!(substituted.position(at), (2, 16));
        assert_eq!(substituted.position(at + 1), (2, 20));
    }

    #[test]
    fn what_has_no_value_is_told_once_with_its_line() {
        let text = "{\"k\": \"${b}\",\n \"l\": \"${b} ${yyyymmdd-1} ${lead\",\n \"m\": ${lead}}";
        let substituted = Substituted::new("job.json", text, &values(), false);
        let mut notes = Notes::default();
        substituted.tell(None, &mut notes);
        let told: Vec<_> = notes.faults.iter().map(|f| (f.code.as_str(), f.line.clone().unwrap().1)).collect();
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
