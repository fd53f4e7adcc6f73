//! Script mode 2.0: `type`, `version`, `steps`, `setting`, `order.hops`.

use std::collections::BTreeMap;
use std::rc::Rc;

use domain::configuration::Side;
use domain::job::{Category, DocumentKind};
use serde_json::{Map, Value};

use crate::chain;
use crate::document::{Document, Notes, Spot, kind_of, object, text, unknown_keys};
use crate::draft::{Draft, DraftStep, DraftTransformer, Properties};

const KEYS: [&str; 7] = ["type", "version", "steps", "setting", "order", "extend", "transform"];
const STEP_KEYS: [&str; 6] =
    ["stepType", "category", "name", "displayName", "description", "parameter"];
/// Words of `category`; the last two transform records on their way.
const CATEGORIES: [&str; 4] = ["reader", "writer", "map", "flatmap"];

pub(crate) fn read(document: &Rc<Document>, notes: &mut Notes) -> Draft {
    let mut draft = Draft::new(DocumentKind::Script);
    let root = document.root();
    let Some(members) = object(document.value(), &root, notes) else { return draft };
    unknown_keys(members, &KEYS, &root, notes);
    check_head(members, &root, notes);
    let steps_spot = root.key("steps");
    let mut names = Names::default();
    match members.get("steps") {
        Some(Value::Array(steps)) => {
            for (index, step) in steps.iter().enumerate() {
                read_step(step, &steps_spot.item(index), &mut names, &mut draft, notes);
            }
            names.check_sides(&steps_spot, notes);
        }
        Some(other) => {
            let message = format!("\"steps\" must be a list, not {}", kind_of(other));
            notes.faults.push(steps_spot.fault("spec.type", message));
        }
        None => notes.faults.push(
            root.fault("spec.required", "\"steps\" is missing")
                .hint("add a list with one step of category \"reader\" and one of \"writer\""),
        ),
    }
    check_order(members.get("order"), &root, &names, &mut draft, notes);
    draft
}

fn check_head(members: &Map<String, Value>, root: &Spot, notes: &mut Notes) {
    if let Some(kind) = text(members, "type", root, notes)
        && kind != "job"
    {
        let message = format!("\"type\" is \"{kind}\", not \"job\"");
        notes.faults.push(root.key("type").fault("spec.value", message));
    }
    let spot = root.key("version");
    match text(members, "version", root, notes) {
        Some("2.0") | None => {}
        Some("1.0") => notes.warnings.push(
            spot.fault("spec.version", "version \"1.0\" is read as \"2.0\"").hint("write \"2.0\""),
        ),
        Some(version) => notes.faults.push(
            spot.fault("spec.version", format!("unknown version \"{version}\""))
                .hint("this program reads version \"2.0\""),
        ),
    }
}

/// The steps by name, and how many stand on each side.
#[derive(Default)]
struct Names {
    categories: BTreeMap<String, String>,
    readers: Vec<String>,
    writers: Vec<String>,
}

impl Names {
    /// One to one.
    fn check_sides(&self, steps: &Spot, notes: &mut Notes) {
        for (side, names) in [(Side::Reader, &self.readers), (Side::Writer, &self.writers)] {
            let word = side.word();
            let message = match names.len() {
                1 => continue,
                0 => format!("no step has category \"{word}\""),
                count => format!("{count} steps have category \"{word}\""),
            };
            notes.faults.push(
                steps.fault("spec.one_to_one", message).hint(
                    "this version moves from one reader to one writer; use a job for each pair",
                ),
            );
        }
    }
}

fn read_step(step: &Value, spot: &Spot, names: &mut Names, draft: &mut Draft, notes: &mut Notes) {
    let Some(members) = object(step, spot, notes) else { return };
    unknown_keys(members, &STEP_KEYS, spot, notes);
    let category = text(members, "category", spot, notes);
    let name = text(members, "name", spot, notes);
    if let Some(name) = name
        && names.categories.insert(name.into(), category.unwrap_or_default().into()).is_some()
    {
        let message = format!("two steps have the name \"{name}\"");
        notes
            .faults
            .push(spot.key("name").fault("spec.step_name", message).hint("names are unique"));
    }
    let name = name.unwrap_or_default().to_owned();
    let (side, slot) = match category {
        Some("reader") => {
            names.readers.push(name.clone());
            (Side::Reader, &mut draft.reader)
        }
        Some("writer") => {
            names.writers.push(name.clone());
            (Side::Writer, &mut draft.writer)
        }
        Some(word) if Category::parse(word).is_some() => {
            let category = Category::parse(word).unwrap_or(Category::Map);
            let step = read_transformer(members, name, category, spot, notes);
            draft.transformers.extend(step);
            return;
        }
        Some(other) => {
            let fault =
                spot.key("category").fault("spec.value", format!("unknown category \"{other}\""));
            let near = crate::nearest::hint(other, CATEGORIES.into_iter());
            notes.faults.push(fault.hint(near.unwrap_or("\"reader\" or \"writer\"".into())));
            return;
        }
        None => return,
    };
    let type_name = text(members, "stepType", spot, notes);
    let parameter = parameters(members, spot, notes);
    if let (Some(type_name), Some(parameter), None) = (type_name, parameter, slot.as_ref()) {
        let (type_name, type_spot) = (type_name.to_owned(), spot.key("stepType"));
        *slot = Some(DraftStep {
            side,
            name,
            type_name,
            type_spot,
            parameter,
            is_one_of_several: false,
        });
    }
}

fn read_transformer(
    members: &Map<String, Value>,
    name: String,
    category: Category,
    spot: &Spot,
    notes: &mut Notes,
) -> Option<DraftTransformer> {
    let type_name = text(members, "stepType", spot, notes).map(str::to_owned);
    let parameter = parameters(members, spot, notes);
    let (type_name, parameter, spot) = (type_name?, parameter?, spot.clone());
    let type_spot = spot.key("stepType");
    Some(DraftTransformer { name, category, type_name, type_spot, parameter, spot })
}

/// The object under `parameter`.
pub(crate) fn parameters(
    members: &Map<String, Value>,
    spot: &Spot,
    notes: &mut Notes,
) -> Option<Properties> {
    let Some(value) = members.get("parameter") else {
        notes.faults.push(spot.fault("spec.required", "\"parameter\" is missing"));
        return None;
    };
    let spot = spot.key("parameter");
    object(value, &spot, notes).map(|members| Properties::of(members, &spot))
}

/// Every hop names steps, and they lead from the reader through each transformer to the writer.
fn check_order(
    order: Option<&Value>,
    root: &Spot,
    names: &Names,
    draft: &mut Draft,
    notes: &mut Notes,
) {
    let ends = match (names.readers.as_slice(), names.writers.as_slice()) {
        ([reader], [writer]) => Some((reader.as_str(), writer.as_str())),
        _ => None,
    };
    let between = draft.transformers.iter().map(|step| step.name.as_str());
    let example = chain::example(ends.unwrap_or(("Reader", "Writer")), between);
    let Some(order) = order else {
        notes.faults.push(
            root.fault("spec.required", "\"order\" is missing").hint(format!("add {example}")),
        );
        return;
    };
    let spot = root.key("order");
    let Some(members) = object(order, &spot, notes) else { return };
    unknown_keys(members, &["hops"], &spot, notes);
    let Some(Value::Array(hops)) = members.get("hops") else {
        notes.faults.push(
            spot.fault("spec.required", "\"hops\" must be a list").hint(format!("write {example}")),
        );
        return;
    };
    let spot = spot.key("hops");
    let list = hops.iter().enumerate();
    let read = list.map(|(index, hop)| read_hop(hop, &spot.item(index), names, notes));
    let read: Vec<_> = read.collect();
    // Of what is named wrongly nothing can be said.
    if let (Some(ends), true) = (ends, read.iter().all(Option::is_some)) {
        let hops = chain::Hops { hops: read.into_iter().flatten().collect(), spot, example };
        hops.order(ends, &mut draft.transformers, notes);
    }
}

/// `None` where one of its ends is no step.
fn read_hop(hop: &Value, spot: &Spot, names: &Names, notes: &mut Notes) -> Option<chain::Hop> {
    let members = object(hop, spot, notes)?;
    unknown_keys(members, &["from", "to"], spot, notes);
    let mut ends = ["from", "to"].map(|key| {
        let name = text(members, key, spot, notes)?;
        let Some(category) = names.categories.get(name) else {
            let fault = spot.key(key).fault("spec.hop", format!("no step has the name \"{name}\""));
            let hint = crate::nearest::hint(name, names.categories.keys().map(String::as_str));
            notes.faults.push(domain::Fault { hint, ..fault });
            return None;
        };
        let wrong_way = if key == "from" { "writer" } else { "reader" };
        if category == wrong_way {
            let message = format!("a hop goes {key} the {wrong_way} \"{name}\"");
            let hint = "hops lead from the reader to the writer";
            notes.faults.push(spot.key(key).fault("spec.hop", message).hint(hint));
        }
        Some(name.to_owned())
    });
    Some(chain::Hop { from: ends[0].take()?, to: ends[1].take()?, spot: spot.clone() })
}
