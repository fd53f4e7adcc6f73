//! Parameters of the writer.

use schemars::JsonSchema;
use sdk::parameters::Number;
use sdk::{Fault, Result};
use serde::Deserialize;
use ureq::http::{HeaderName, Method, header};

use super::{Asking, Connection, OWN_HEADERS};
use crate::client::{Request, set_default};
use crate::records::Path;

/// Records of a request where nothing is said.
const BATCH_SIZE: u32 = 512;
const BATCH_SIZE_MAX: u64 = 100_000;

/// Parameters of the writer's own.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WriterParameter {
    /// `multiData`: a request carries a list of records (default); `oneData`: it carries one record.
    #[serde(default)]
    data_mode: DataMode,
    /// What bodies of requests are: JSON, or JSON lines (`NDJSON`).
    #[serde(default, deserialize_with = "formats::lenient::word")]
    #[schemars(with = "Option<String>", extend("default" = "JSON", "enum" = ["JSON", "NDJSON"]))]
    body_type: Option<BodyType>,
    /// The members in which a JSON body holds the records, such as `data.list`. Left out: the body is the
    /// records.
    #[serde(default)]
    data_path: Option<String>,
    /// Names of the members, in the order of the incoming fields: texts, or objects with `name`. `["*"]` or
    /// left out: the names of the fields.
    #[serde(default)]
    column: Option<Vec<Column>>,
    /// Records of a request at most.
    #[serde(default)]
    #[schemars(extend("default" = BATCH_SIZE))]
    batch_size: Option<Number>,
    /// A header with a key that a request and its repetitions have in common, such as `Idempotency-Key`, for
    /// servers that take a request only once.
    #[serde(default)]
    idempotency_header: Option<String>,
}

/// All keys of the writer.
#[derive(JsonSchema)]
#[schemars(extend("x-adding" = {}))]
pub(crate) struct WriterDocument {
    #[serde(flatten)]
    _asking: Asking,
    #[serde(flatten)]
    _own: WriterParameter,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum DataMode {
    OneData,
    #[default]
    MultiData,
}

/// What a body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BodyType {
    #[default]
    Json,
    #[serde(alias = "jsonl")]
    Ndjson,
}

/// A member that is written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a name or an object with name is expected")]
enum Column {
    Name(String),
    Described {
        /// Name of the member.
        name: String,
    },
}

/// What a request looks like, apart from its records.
pub(crate) struct Shape {
    /// Without a body.
    pub(crate) request: Request,
    pub(crate) body_type: BodyType,
    /// A body is one record, and not a list of them.
    pub(crate) is_one: bool,
    /// The members around the records, from the outside in.
    pub(crate) envelope: Vec<String>,
    pub(crate) batch_size: u32,
    pub(crate) key_header: Option<HeaderName>,
}

fn invalid(key: &str, message: impl Into<String>) -> Fault {
    Fault::user("parameter.invalid", message).at(format!("/parameter/{key}"))
}

impl WriterParameter {
    /// # Errors
    /// `parameter.invalid`, `connection.invalid`.
    pub(crate) fn shape(&self, connection: &Connection, asking: &Asking) -> Result<Shape> {
        let known = [Method::POST, Method::PUT, Method::PATCH];
        let mut request = asking.request(connection, &known)?;
        if let Some(parameters) = &asking.parameters {
            request.url = parameters.add_to(request.url);
        }
        let body_type = self.body_type.unwrap_or_default();
        let kind = match body_type {
            BodyType::Json => "application/json",
            BodyType::Ndjson => "application/x-ndjson",
        };
        set_default(&mut request.headers, header::CONTENT_TYPE, kind);
        set_default(&mut request.headers, header::ACCEPT, "application/json, */*");
        let path = Path::parse(self.data_path.as_deref().unwrap_or_default());
        let envelope =
            path.and_then(|path| path.names()).map_err(|why| invalid("dataPath", why))?;
        if !envelope.is_empty() && body_type == BodyType::Ndjson {
            return Err(invalid("dataPath", "JSON lines have nothing around them"));
        }
        let is_one = self.data_mode == DataMode::OneData;
        let size = self.batch_size.map_or(u64::from(BATCH_SIZE), |Number(size)| size);
        let batch_size = if is_one { 1 } else { size.clamp(1, BATCH_SIZE_MAX) as u32 };
        let key_header = self.idempotency_header.as_deref().map(|name| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            name.filter(|name| !OWN_HEADERS.contains(&name.as_str())).ok_or_else(|| {
                invalid("idempotencyHeader", "this is no header that can hold a key")
            })
        });
        Ok(Shape {
            request,
            body_type,
            is_one,
            envelope,
            batch_size,
            key_header: key_header.transpose()?,
        })
    }

    /// The names of the members, where the document says them.
    ///
    /// # Errors
    /// `parameter.invalid` where there are other than `fields`, or two are the same.
    pub(crate) fn names(&self, fields: usize) -> Result<Option<Vec<String>>> {
        let names: Vec<String> = match self.column.as_deref() {
            None | Some([]) => return Ok(None),
            Some([Column::Name(name)]) if name == "*" => return Ok(None),
            Some(columns) => columns
                .iter()
                .map(|column| match column {
                    Column::Name(name) | Column::Described { name } => name.clone(),
                })
                .collect(),
        };
        if names.len() != fields {
            let count = names.len();
            return Err(invalid(
                "column",
                format!("{fields} fields come in, and \"column\" lists {count}"),
            ));
        }
        let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        match twice {
            Some((at, name)) => {
                Err(invalid(&format!("column/{at}"), format!("two members are named \"{name}\"")))
            }
            None => Ok(Some(names)),
        }
    }
}
