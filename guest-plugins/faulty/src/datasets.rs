//! The dataset that is read, and lies about datasets.

use sdk::bindings::airlock::connector::types::{Dataset, Field};

use crate::script::Script;

pub(crate) fn field(name: &str, format: &str, nullable: bool) -> Field {
    Field { name: name.into(), format: format.into(), nullable, children: 0, metadata: Vec::new() }
}

/// What the honest reader reads: a number, a text, a decimal and a flag.
pub(crate) fn honest() -> Dataset {
    Dataset {
        path: vec!["generated".into()],
        fields: vec![
            field("id", "l", false),
            field("name", "u", true),
            field("price", "d:9,2", true),
            field("flag", "b", true),
        ],
        primary_key: vec!["id".into()],
        metadata: Vec::new(),
    }
}

/// `datasets` with the lie that `act` means; unchanged where it means none.
pub(crate) fn lie(act: Option<&str>, script: &Script, mut datasets: Vec<Dataset>) -> Vec<Dataset> {
    let Some(first) = datasets.first_mut() else { return datasets };
    match act.unwrap_or_default() {
        "datasets-many" => {
            let one = first.clone();
            return vec![one; script.amount_or(100_000) as usize];
        }
        "datasets-few" => drop(datasets.pop()),
        "fields-few" => drop(first.fields.pop()),
        "fields-many" => {
            let count = script.amount_or(1_000_000);
            first.fields = (0..count).map(|n| field(&format!("f{n}"), "l", true)).collect();
        }
        "fields-deep" => {
            let deep = Field { children: 1, ..field("item", "+l", true) };
            first.fields = vec![deep; script.amount_or(1000) as usize];
            first.fields.push(field("item", "l", true));
        }
        "format" => first.fields[0].format = script.target.clone(),
        "field-name" => first.fields[0].name = script.target.clone(),
        "metadata-key" => first.metadata.push((script.target.clone(), "x".into())),
        "metadata-value" => first.metadata.push(("comment".into(), script.target.clone())),
        "children-missing" => first.fields[0].children = 5,
        "metadata-huge" => {
            let value = "x".repeat(script.amount_or(16 << 20) as usize);
            first.metadata.push(("huge".into(), value));
        }
        _ => {}
    }
    datasets
}
