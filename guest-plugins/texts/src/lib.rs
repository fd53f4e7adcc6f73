//! Steps on texts between reader and writer: `redact` covers what tells who somebody is, `explode`
//! makes a record of each part of a text.
//!
//! One is a `map`, the other a `flatmap`: together they are what a step can be. They reach nothing.
//!
//! Begin with [`redact`], then [`explode`].

mod explode;
mod redact;
#[cfg(test)]
mod tests;

use sdk::{
    Batch, CheckStep, Configuration, Dataset, Description, Fault, NoReader, NoWriter, Plugin,
    Requirement, Result, Role, SourceType, Transformed, Transformer,
};

use crate::explode::Explode;
use crate::redact::Redact;

struct Texts;

impl Plugin for Texts {
    type Reader = NoReader;
    type Transformer = Step;
    type Writer = NoWriter;

    fn describe() -> Description {
        let kind = |name: &str, title: &str, parameter_schema, features: &[&str]| SourceType {
            name: name.into(),
            aliases: Vec::new(),
            title: title.into(),
            family: "step".into(),
            connection_schema: sdk::parameters::schema::<Connection>(),
            reader: None,
            transformer: Some(Role {
                parameter_schema,
                features: features.iter().map(|feature| (*feature).into()).collect(),
            }),
            writer: None,
            places: Vec::new(),
        };
        let redact = sdk::parameters::schema::<redact::Parameter>();
        let explode = sdk::parameters::schema::<explode::Parameter>();
        Description {
            name: "texts".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "steps on texts: covers personal data, makes records of parts".into(),
            types: vec![
                kind("redact", "Covers personal data", redact, &[]),
                kind("explode", "A record of each part", explode, &["flatmap"]),
            ],
            metadata: Vec::new(),
        }
    }

    /// Needs no place; reads the parameters, so that a bad one is found before anything runs.
    fn requirements(configuration: &Configuration) -> Result<Vec<Requirement>> {
        Step::connect(configuration)?;
        Ok(Vec::new())
    }

    fn check(configuration: &Configuration) -> Result<Vec<CheckStep>> {
        let fault = Step::connect(configuration).err();
        Ok(vec![CheckStep { name: "parameters".into(), fault }])
    }
}

/// A step needs no connection.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Connection {}

/// One session of either step.
enum Step {
    Redact(Redact),
    Explode(Explode),
}

impl Transformer for Step {
    fn connect(configuration: &Configuration) -> Result<Self> {
        match configuration.source_type.as_str() {
            "redact" => Redact::new(sdk::parameters::parameter(configuration)?).map(Self::Redact),
            "explode" => {
                Ok(Self::Explode(Explode::new(sdk::parameters::parameter(configuration)?)))
            }
            other => Err(Fault::plugin("texts.type", format!("there is no step \"{other}\""))),
        }
    }

    fn open(&mut self, datasets: Vec<Dataset>) -> Result<Vec<Dataset>> {
        match self {
            Self::Redact(step) => step.open(datasets),
            Self::Explode(step) => step.open(datasets),
        }
    }

    fn apply(&mut self, batch: &Batch) -> Result<Transformed> {
        match self {
            Self::Redact(step) => step.apply(batch),
            Self::Explode(step) => step.apply(batch),
        }
    }
}

/// The position of a column of texts.
fn text_column(dataset: &Dataset, name: &str, place: &str) -> Result<usize> {
    let fields = dataset.schema.fields();
    let Some((index, field)) = fields.find(name) else {
        let names: Vec<_> = fields.iter().map(|field| format!("\"{}\"", field.name())).collect();
        let fault = Fault::user("texts.column", format!("there is no column \"{name}\""));
        return Err(fault.at(place).hint(format!("there are {}", names.join(", "))));
    };
    match field.data_type() {
        arrow_schema::DataType::Utf8 => Ok(index),
        other => {
            let message = format!("column \"{name}\" ({other}) holds no texts");
            let hint = "make it a text before, by a step \"edit-columns\" with CAST(x AS text)";
            Err(Fault::user("texts.column_type", message).at(place).hint(hint))
        }
    }
}

sdk::export!(Texts);
