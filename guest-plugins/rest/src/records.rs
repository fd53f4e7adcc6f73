//! Records of a JSON body: where they are, and each as one line with the members that are wanted.
//!
//! Nothing is built of values that are not looked into: a value is the text that the server sent, so that
//! numbers keep all their digits.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Steps into a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Member(name) if at == 0 => f.write_str(name)?,
                Step::Member(name) => write!(f, ".{name}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Path {
    /// `data.list[0]`; `$` and a `$.` in front mean the value itself, as nothing does.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = text.strip_prefix('$').unwrap_or(text);
        let text = text.strip_prefix('.').unwrap_or(text);
        let mut steps = Vec::new();
        for part in text.split('.').filter(|_| !text.is_empty()) {
            let (name, mut items) = part.split_at(part.find('[').unwrap_or(part.len()));
            if !name.is_empty() {
                steps.push(Step::Member(name.to_owned()));
            } else if items.is_empty() {
                return Err(format!("\"{text}\" is no path: a name is missing"));
            }
            while let Some((index, rest)) =
                items.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            {
                let index = index
                    .trim()
                    .parse()
                    .map_err(|_| format!("\"[{index}]\" is no item of a list"))?;
                steps.push(Step::Item(index));
                items = rest;
            }
            if !items.is_empty() {
                return Err(format!("\"{part}\" is no step of a path"));
            }
        }
        Ok(Self(steps))
    }

    /// Where the column `name` is: as [`Self::parse`], or else a member of just this name.
    pub(crate) fn of_name(name: &str) -> Self {
        Self::parse(name).unwrap_or_else(|_| Self(vec![Step::Member(name.to_owned())]))
    }

    /// The names of members that it goes through.
    ///
    /// # Errors
    /// Where it goes through a list.
    pub(crate) fn names(self) -> Result<Vec<String>, String> {
        let name = |step| match step {
            Step::Member(name) => Ok(name),
            Step::Item(_) => Err("only names of members can stand here".to_owned()),
        };
        self.0.into_iter().map(name).collect()
    }

    /// The value that it leads to, if it leads to one.
    pub(crate) fn find<'a>(&self, value: &'a RawValue) -> Option<&'a RawValue> {
        let mut value = value;
        for step in &self.0 {
            value = match step {
                Step::Member(name) => Members::of(value)?.get(name)?,
                Step::Item(index) => items(value)?.get(*index).copied()?,
            };
        }
        Some(value)
    }

    /// As [`Self::find`] from an object that is taken apart; a member whose name is the whole path comes
    /// first.
    fn find_in<'a>(
        &self,
        members: &Members<'a>,
        whole: &'a RawValue,
        name: &str,
    ) -> Option<&'a RawValue> {
        let Some((first, rest)) = self.0.split_first() else { return Some(whole) };
        if let Some(value) = members.get(name).filter(|_| !rest.is_empty()) {
            return Some(value);
        }
        match first {
            Step::Member(first) if rest.is_empty() => members.get(first),
            Step::Member(first) => Self(rest.to_vec()).find(members.get(first)?),
            Step::Item(_) => self.find(whole),
        }
    }
}

/// The members of an object, in order.
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                #[derive(Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut members = Vec::new();
                while let Some((Name(name), value)) =
                    map.next_entry::<Name<'de>, &'de RawValue>()?
                {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'a> Members<'a> {
    /// `None` where the value is no object.
    pub(crate) fn of(value: &'a RawValue) -> Option<Self> {
        value.get().starts_with('{').then(|| serde_json::from_str(value.get()).ok()).flatten()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    fn has_twice(&self, name: &str) -> bool {
        self.0.iter().filter(|(own, _)| own == name).count() > 1
    }
}

/// The items of a list; `None` where the value is none.
pub(crate) fn items(value: &RawValue) -> Option<Vec<&RawValue>> {
    value.get().starts_with('[').then(|| serde_json::from_str(value.get()).ok()).flatten()
}

/// What becomes a line of a record.
#[derive(Clone, Debug)]
pub(crate) enum Projection {
    /// The record.
    Whole,
    /// An object of these columns, by name.
    Columns(Vec<(String, Path)>),
}

impl Projection {
    /// Appends the record as one line, its end included.
    ///
    /// # Errors
    /// Why the record can't be one; then nothing is appended.
    pub(crate) fn push(&self, record: &RawValue, lines: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Self::Whole if record.get().starts_with('{') => push_value(record, lines),
            Self::Whole => {
                lines.extend_from_slice(b"{\"value\":");
                push_value(record, lines);
                lines.push(b'}');
            }
            Self::Columns(columns) => {
                let members = Members::of(record).unwrap_or(Members(Vec::new()));
                let is_object = record.get().starts_with('{');
                if !is_object
                    && columns
                        .iter()
                        .any(|(_, path)| path.0.iter().any(|step| matches!(step, Step::Member(_))))
                {
                    return Err("the record is no object");
                }
                if columns.iter().any(|(name, _)| members.has_twice(name)) {
                    return Err("a member stands twice in the object");
                }
                lines.push(b'{');
                let start = lines.len();
                for (name, path) in columns {
                    let Some(value) = path.find_in(&members, record, name) else { continue };
                    if lines.len() > start {
                        lines.push(b',');
                    }
                    push_name(name, lines);
                    lines.push(b':');
                    push_value(value, lines);
                }
                lines.push(b'}');
            }
        }
        lines.push(b'\n');
        Ok(())
    }
}

/// A name as JSON.
pub(crate) fn push_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
}

/// Line ends stand only between the tokens of JSON.
fn push_value(value: &RawValue, out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(value.get().as_bytes());
    for byte in &mut out[from..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// The paths at which a value has lists of objects, for people.
pub(crate) fn lists(value: &RawValue) -> Vec<String> {
    const DEEPEST: usize = 3;
    const MOST: usize = 5;
    let mut found = Vec::new();
    let mut open = vec![(Vec::new(), value)];
    while let Some((path, value)) = open.pop() {
        if let Some(items) = items(value) {
            if items.first().is_none_or(|item| item.get().starts_with('{')) {
                found.push(Path(path).to_string());
            }
            continue;
        }
        if path.len() >= DEEPEST || found.len() >= MOST {
            continue;
        }
        for (name, value) in Members::of(value).iter().flat_map(Members::iter) {
            let mut below = path.clone();
            below.push(Step::Member(name.to_owned()));
            open.push((below, value));
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn paths_lead_to_values() {
        let value = raw(r#"{"data": {"list": [{"id": 1}, {"id": 20.50}]}, "a.b": 3, "é": "x"}"#);
        let find = |path: &str| Path::parse(path).unwrap().find(value).map(RawValue::get);
        assert_eq!(find("data.list[1].id"), Some("20.50"));
        assert_eq!(find("$.data.list[0]"), Some(r#"{"id": 1}"#));
        assert_eq!(find("é"), Some("\"x\""));
        assert_eq!(find("data.list[2]"), None);
        assert_eq!(find("data.list.id"), None);
        assert_eq!(find("$"), Some(value.get()));
        for bad in ["a..b", "a[", "a[x]", "a[0]b"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(lists(value), ["data.list"]);
    }

    #[test]
    fn records_become_lines() {
        let columns = ["id", "a.b", "in.deep[0]", "gone", "$"]
            .map(|name| (name.to_owned(), Path::of_name(name)))
            .to_vec();
        let line = |text: &str, projection: &Projection| {
            let mut line = Vec::new();
            projection.push(raw(text), &mut line).map(|()| String::from_utf8(line).unwrap())
        };
        let some = Projection::Columns(columns[..4].to_vec());
        assert_eq!(
            line("{\"id\": 1.000,\n \"a.b\": [1,\n2], \"in\": {\"deep\": [null]}}", &some)
                .as_deref(),
            Ok("{\"id\":1.000,\"a.b\":[1, 2],\"in.deep[0]\":null}\n")
        );
        assert_eq!(line("[1]", &some), Err("the record is no object"));
        assert_eq!(
            line("{\"id\": 1, \"id\": 2}", &some),
            Err("a member stands twice in the object")
        );
        let itself = Projection::Columns(columns[4..].to_vec());
        assert_eq!(line("7", &itself).as_deref(), Ok("{\"$\":7}\n"));
        assert_eq!(line("7", &Projection::Whole).as_deref(), Ok("{\"value\":7}\n"));
        assert_eq!(line("{\"x\":\n1}", &Projection::Whole).as_deref(), Ok("{\"x\": 1}\n"));
    }
}
