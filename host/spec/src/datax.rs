//! DataX jobs: `job.content[0].reader` and `writer`, each with `name` and `parameter`.

use std::rc::Rc;

use domain::configuration::Side;
use domain::job::DocumentKind;
use serde_json::{Map, Value};

use crate::document::{Document, Notes, Spot, kind_of, object, text, unknown_keys};
use crate::draft::{Draft, DraftStep};
use crate::{script, transformer};

const KEYS: [&str; 4] = ["job", "core", "common", "entry"];
const JOB_KEYS: [&str; 4] = ["content", "setting", "preHandler", "postHandler"];

pub(crate) fn read(document: &Rc<Document>, notes: &mut Notes) -> Draft {
    let mut draft = Draft::new(DocumentKind::DataX);
    let root = document.root();
    let Some(members) = object(document.value(), &root, notes) else { return draft };
    unknown_keys(members, &KEYS, &root, notes);
    if members.contains_key("entry") {
        let message = "\"entry\" has no effect: there is no Java machine";
        notes.warnings.push(root.key("entry").fault("spec.no_effect", message));
    }
    let spot = root.key("job");
    let Some(job) = members.get("job").and_then(|job| object(job, &spot, notes)) else {
        return draft;
    };
    unknown_keys(job, &JOB_KEYS, &spot, notes);
    for key in ["preHandler", "postHandler"] {
        if job.contains_key(key) {
            let message =
                format!("\"{key}\" has no effect: this program runs no code beside its plug-ins");
            notes.warnings.push(spot.key(key).fault("spec.no_effect", message));
        }
    }
    let content = job.get("content").unwrap_or(&Value::Null);
    let spot = spot.key("content");
    let Some(entries) = content.as_array() else {
        let message = format!("\"content\" must be a list, not {}", kind_of(content));
        notes.faults.push(spot.fault("spec.type", message));
        return draft;
    };
    match entries.as_slice() {
        [] => notes.faults.push(
            spot.fault("spec.one_to_one", "\"content\" is empty")
                .hint("add one entry with \"reader\" and \"writer\""),
        ),
        [entry, more @ ..] => {
            if !more.is_empty() {
                let message = format!("\"content\" has {} entries", entries.len());
                let hint = "a job takes one; put each of the others into a document of its own";
                notes.faults.push(spot.item(1).fault("spec.one_to_one", message).hint(hint));
            }
            read_entry(entry, &spot.item(0), &mut draft, notes);
        }
    }
    draft
}

fn read_entry(entry: &Value, spot: &Spot, draft: &mut Draft, notes: &mut Notes) {
    let Some(members) = object(entry, spot, notes) else { return };
    unknown_keys(members, &["reader", "writer", "transformer"], spot, notes);
    draft.reader = read_step(members, Side::Reader, "Reader", spot, notes);
    draft.writer = read_step(members, Side::Writer, "Writer", spot, notes);
    if let Some(list) = members.get("transformer") {
        draft.transformers = transformer::drafts(list, &spot.key("transformer"), notes);
    }
}

fn read_step(
    entry: &Map<String, Value>,
    side: Side,
    name: &str,
    spot: &Spot,
    notes: &mut Notes,
) -> Option<DraftStep> {
    let word = side.word();
    let Some(value) = entry.get(word) else {
        notes.faults.push(spot.fault("spec.required", format!("\"{word}\" is missing")));
        return None;
    };
    let spot = spot.key(word);
    let members = object(value, &spot, notes)?;
    if members.contains_key("plugin") && !members.contains_key("name") {
        let message = "\"plugin\" is the word of an older shape, which is not read";
        let hint = format!(
            "write {{\"name\": \"mysql{word}\", \"parameter\": {{…}}}}, or the job in script mode: \
             {{\"type\": \"job\", \"version\": \"2.0\", \"steps\": […], \"order\": {{\"hops\": […]}}}}"
        );
        notes.faults.push(spot.key("plugin").fault("spec.shape", message).hint(hint));
        return None;
    }
    unknown_keys(members, &["name", "parameter"], &spot, notes);
    let type_name = text(members, "name", &spot, notes);
    let parameter = script::parameters(members, &spot, notes);
    Some(DraftStep {
        side,
        name: name.to_owned(),
        type_name: type_name?.to_owned(),
        type_spot: spot.key("name"),
        parameter: parameter?,
        is_one_of_several: false,
    })
}
