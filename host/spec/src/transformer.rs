//! Steps between Reader and Writer: the host's own, by the words of their types.
//!
//! DataX finds most mistakes of its transformers only when records come, and makes every one of them
//! dirty. Here they are faults of the document.

use domain::fault::Fault;
use domain::job::{
    Action, Category, Comparison, Condition, DigestAlgorithm, PadSide, Transformer, Work,
};
use serde_json::Value;

use crate::Secrets;
use crate::connection;
use crate::document::{Notes, Spot, kind_of, object, text, unknown_keys};
use crate::draft::{DraftTransformer, Properties};
use crate::nearest;
use crate::pattern;
use crate::script;

mod own;

const NAMES: [&str; 5] = ["dx_substr", "dx_pad", "dx_replace", "dx_filter", "dx_digest"];
/// Lengths beyond this would only fill memory.
const LENGTH_MAX: usize = 1 << 20;

/// A fault of one of the `paras`, before it is known where they stand: its index, message and hint.
type Wrong = (usize, String, &'static str);

/// Reads DataX's list; what is wrong is told and left out.
pub(crate) fn drafts(list: &Value, spot: &Spot, notes: &mut Notes) -> Vec<DraftTransformer> {
    match list {
        Value::Null => Vec::new(),
        Value::Array(entries) => {
            let entries = entries.iter().enumerate();
            entries.filter_map(|(index, entry)| draft(entry, spot.item(index), notes)).collect()
        }
        other => {
            let message = format!("\"transformer\" must be a list, not {}", kind_of(other));
            notes.faults.push(spot.fault("spec.type", message));
            Vec::new()
        }
    }
}

/// An entry of DataX's list: `name` and `parameter`.
fn draft(entry: &Value, spot: Spot, notes: &mut Notes) -> Option<DraftTransformer> {
    let members = object(entry, &spot, notes)?;
    unknown_keys(members, &["name", "parameter"], &spot, notes);
    let name = text(members, "name", &spot, notes)?.to_owned();
    let type_spot = spot.key("name");
    if !NAMES.contains(&name.as_str()) {
        notes.faults.push(unknown(&name, NAMES.into_iter(), &type_spot));
        return None;
    }
    let parameter = script::parameters(members, &spot, notes)?;
    let category = Category::Map;
    Some(DraftTransformer { type_name: name.clone(), name, category, type_spot, parameter, spot })
}

/// Whether the host itself does steps of this type.
pub(crate) fn is_own(name: &str) -> bool {
    own::WORDS.contains(&name) || NAMES.contains(&name)
}

/// Checks a step of the host's own; `None` where something was wrong, which was told. `others` are the
/// types that there are beside.
pub(crate) fn finish(
    mut draft: DraftTransformer,
    others: &[&str],
    secrets: &dyn Secrets,
    notes: &mut Notes,
) -> Option<Transformer> {
    let work = match draft.type_name.as_str() {
        "filter" => own::filter(&draft.parameter, notes)?,
        "edit-columns" => own::edit(&draft.parameter, notes)?,
        "string-replace" => own::replace(&draft.parameter, notes)?,
        "json-extracting" => own::extract(&draft.parameter, notes)?,
        "data-masking" => {
            connection::resolve(&mut draft.parameter, secrets, notes);
            own::mask(&draft.parameter, notes)?
        }
        name if NAMES.contains(&name) => of_datax(name, &draft.parameter, notes)?,
        name => {
            let words = own::WORDS.into_iter().chain(NAMES).chain(others.iter().copied());
            notes.faults.push(unknown(name, words, &draft.type_spot));
            return None;
        }
    };
    let (name, category) = (draft.name, draft.category);
    Some(Transformer { name, category, work, place: draft.spot.place() })
}

/// `columnIndex` and `paras`.
fn of_datax(name: &str, parameter: &Properties, notes: &mut Notes) -> Option<Work> {
    let (value, spot) = (parameter.to_value(), &parameter.spot);
    let parameter = object(&value, spot, notes)?;
    unknown_keys(parameter, &["columnIndex", "paras"], spot, notes);
    let column = column(parameter.get("columnIndex"), spot, notes);
    let paras = paras(name, parameter.get("paras"), spot, notes)?;
    let spot = spot.key("paras");
    let action = match action(name, &paras) {
        Ok(action) => action,
        Err((index, message, hint)) => {
            let fault = spot.item(index).fault("spec.transformer", message);
            notes.faults.push(fault.hint(hint));
            return None;
        }
    };
    tell_of_null(&action, &spot.item(1), notes);
    Some(Work::Column { column: column?, action })
}

fn unknown<'w>(name: &str, words: impl Iterator<Item = &'w str> + Clone, spot: &Spot) -> Fault {
    if name == "dx_groovy" {
        let message = "\"dx_groovy\" is not supported: no code of a document is run";
        let hint = "say the same with the other transformers, or in the reader's query";
        return spot.fault("spec.transformer", message).hint(hint);
    }
    let fault = spot.fault("spec.transformer", format!("there is no transformer \"{name}\""));
    let all = || format!("there are \"{}\"", words.clone().collect::<Vec<_>>().join("\", \""));
    fault.hint(nearest::hint(name, words.clone()).unwrap_or_else(all))
}

fn column(value: Option<&Value>, spot: &Spot, notes: &mut Notes) -> Option<usize> {
    let Some(value) = value else {
        notes.faults.push(spot.fault("spec.required", "\"columnIndex\" is missing"));
        return None;
    };
    let column = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    if column.is_none() {
        let message = format!("\"columnIndex\" is {value}, not a whole number from 0 on");
        notes.faults.push(spot.key("columnIndex").fault("spec.transformer", message));
    }
    usize::try_from(column?).ok()
}

/// The texts of `paras`, as many as the transformer takes.
fn paras(name: &str, value: Option<&Value>, spot: &Spot, notes: &mut Notes) -> Option<Vec<String>> {
    let words: &[&str] = match name {
        "dx_substr" => &["start", "length"],
        "dx_pad" => &["\"l\" or \"r\"", "length", "pad"],
        "dx_replace" => &["start", "length", "replacement"],
        "dx_filter" => &["operator", "value"],
        _ => &["\"md5\" or \"sha1\"", "\"toUpperCase\" or \"toLowerCase\""],
    };
    let takes = format!("{name} takes {}: {}", words.len(), words.join(", "));
    let Some(value) = value else {
        notes.faults.push(spot.fault("spec.required", "\"paras\" is missing").hint(takes));
        return None;
    };
    let spot = spot.key("paras");
    let Some(list) = value.as_array() else {
        let message = format!("\"paras\" must be a list, not {}", kind_of(value));
        notes.faults.push(spot.fault("spec.type", message).hint(takes));
        return None;
    };
    if list.len() != words.len() {
        let message = format!("\"paras\" has length {}, not {}", list.len(), words.len());
        notes.faults.push(spot.fault("spec.transformer", message).hint(takes));
        return None;
    }
    let texts = list.iter().enumerate().map(|(index, value)| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        other => {
            let message = format!("expected a text, found {}", kind_of(other));
            notes.faults.push(spot.item(index).fault("spec.type", message));
            None
        }
    });
    texts.collect::<Vec<_>>().into_iter().collect()
}

fn action(name: &str, paras: &[String]) -> Result<Action, Wrong> {
    Ok(match (name, paras) {
        ("dx_substr", [start, length]) => {
            Action::Substring { start: count(start, 0)?, length: count(length, 1)? }
        }
        ("dx_pad", [side, length, pad]) => pad_action(side, count(length, 1)?, pad)?,
        ("dx_replace", [start, length, replacement]) => Action::Replace {
            start: count(start, 0)?,
            length: count(length, 1)?,
            replacement: replacement.clone(),
        },
        ("dx_filter", [operator, value]) => Action::Drop(condition(operator, value)?),
        ("dx_digest", [algorithm, letters]) => digest(algorithm, letters)?,
        // `paras` counted them.
        _ => return Err((0, format!("\"{name}\" takes other entries"), "remove it")),
    })
}

/// A length or a start.
fn count(text: &str, index: usize) -> Result<usize, Wrong> {
    let hint = "write a whole number from 0 on, as a text";
    text.parse().map_err(|_| (index, format!("\"{text}\" is no whole number from 0 on"), hint))
}

fn pad_action(side: &str, length: usize, pad: &str) -> Result<Action, Wrong> {
    let side = match side {
        "l" | "L" => PadSide::Left,
        "r" | "R" => PadSide::Right,
        _ => return Err((0, format!("\"{side}\" is no side"), "write \"l\" or \"r\"")),
    };
    if length > LENGTH_MAX {
        let message = format!("{length} is longer than {LENGTH_MAX}");
        return Err((1, message, "write a smaller length"));
    }
    if pad.is_empty() {
        return Err((
            2,
            "there is nothing to fill up with".into(),
            "write a text of one character",
        ));
    }
    Ok(Action::Pad { side, length, pad: pad.to_owned() })
}

fn condition(operator: &str, value: &str) -> Result<Condition, Wrong> {
    if value.is_empty() {
        return Err((1, "the value is empty".into(), "write the value to compare with"));
    }
    let comparison = match operator.to_ascii_lowercase().as_str() {
        "like" => return Ok(Condition::Like(anchored(value)?)),
        "not like" => return Ok(Condition::NotLike(anchored(value)?)),
        "=" | "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => {
            let hint = "write one of like, not like, =, ==, !=, <, <=, >, >=";
            return Err((0, format!("there is no operator \"{operator}\""), hint));
        }
    };
    Ok(Condition::Compare(comparison, value.to_owned()))
}

fn anchored(value: &str) -> Result<String, Wrong> {
    pattern::anchored(value).map_err(|reason| {
        let hint = "look-around, back references and possessive repetitions have no counterpart";
        (1, format!("the regular expression cannot be used: {reason}"), hint)
    })
}

/// DataX takes any spelling, and then computes SHA-1 for all but "md5": none but the exact one is taken.
fn digest(algorithm: &str, letters: &str) -> Result<Action, Wrong> {
    let algorithm = match algorithm {
        "md5" => DigestAlgorithm::Md5,
        "sha1" => DigestAlgorithm::Sha1,
        _ => {
            let hint = "write \"md5\" or \"sha1\", in small letters";
            return Err((0, format!("there is no digest \"{algorithm}\""), hint));
        }
    };
    let upper_case = match letters {
        "toUpperCase" => true,
        "toLowerCase" => false,
        _ => {
            let hint = "write \"toUpperCase\" or \"toLowerCase\"";
            return Err((1, format!("\"{letters}\" says nothing of letters"), hint));
        }
    };
    Ok(Action::Digest { algorithm, upper_case })
}

/// DataX reads "null" as a number where the column is one, and makes every record dirty that has one.
fn tell_of_null(action: &Action, spot: &Spot, notes: &mut Notes) {
    if let Action::Drop(Condition::Compare(Comparison::Equal | Comparison::NotEqual, value)) =
        action
        && value.eq_ignore_ascii_case("null")
    {
        let message = format!(
            "\"{value}\" asks for NULL in columns of numbers and dates too, where DataX makes records dirty"
        );
        notes.warnings.push(spot.fault("spec.transformer", message));
    }
}
