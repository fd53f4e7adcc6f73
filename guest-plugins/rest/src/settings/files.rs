//! Parameters of the reader of one file behind HTTP.

use std::time::Duration;

use formats::parameters::ReadParameters;
use formats::{Format, Packing, ReadFormat};
use schemars::{JsonSchema, Schema};
use sdk::Result;
use sdk::parameters::Number;
use serde::Deserialize;
use serde_json::Value;
use ureq::http::Method;

use super::reading::{STREAM_BYTES, invalid};
use super::{Connection, Headers, Parameters, answer_wait, method};
use crate::client::Request;

/// What can be done about a file that must be read here and there.
const ELSEWHERE: &str = "fetch the file first, and read it with a step of type file";

/// Which file is read.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileParameter {
    /// Name of the data source.
    #[serde(default)]
    #[expect(dead_code, reason = "the host has looked it up")]
    datasource: Option<String>,
    /// The file: a path below the data source's URL.
    #[serde(default)]
    pub(crate) file_name: String,
    /// Headers of the request, by name.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    request_headers: Headers,
    /// `get` (default) or `post`.
    #[serde(default)]
    request_method: Option<String>,
    /// The query, as an object or as a text such as `a=1&b=2`.
    #[serde(default)]
    request_param: Option<Parameters>,
    /// The body of a `post`.
    #[serde(default)]
    request_body: Option<Value>,
    /// How long the file may let wait for its next bytes, in seconds; at most 50.
    #[serde(default)]
    socket_timeout_seconds: Option<Number>,
    /// Without effect: a connection has 20 seconds.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted from documents of DataWorks")]
    connect_timeout_seconds: Option<Number>,
    /// Without effect: rows are streamed.
    #[serde(default, rename = "bufferByteSizeInKB")]
    #[expect(dead_code, reason = "accepted from documents of DataWorks")]
    buffer_byte_size_in_kb: Option<Number>,
}

/// All keys of the reader.
#[derive(JsonSchema)]
#[schemars(transform = as_read_once)]
pub(crate) struct FileDocument {
    #[serde(flatten)]
    _place: FileParameter,
    #[serde(flatten)]
    _format: ReadParameters,
}

/// Keys of formats that are not read from their beginning to their end, and of splits.
const OTHER_KEYS: [&str; 5] =
    ["sheet", "rowPath", "parquetSchema", "splitBytes", "partitionColumns"];
const FORMATS: [&str; 5] = ["csv", "text", "json", "jsonl", "fixed"];
const COMPRESSIONS: [&str; 10] = [
    "auto",
    "none",
    "gzip",
    "zstd",
    "snappy",
    "framing-snappy",
    "hadoop-snappy",
    "lz4",
    "xz",
    "bzip2",
];

/// Leaves what is read of a body, which comes once and in order.
fn as_read_once(schema: &mut Schema) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for key in OTHER_KEYS {
        properties.remove(key);
    }
    properties["fileFormat"]["enum"] = FORMATS.into();
    properties["compress"]["enum"] = COMPRESSIONS.into();
    // They are hints, too, where the document says something else.
    let text = "Left out: by the ending of the file's name, else csv. Of another format: ";
    properties["fileFormat"]["description"] = format!("{text}{ELSEWHERE}.").into();
    let text = "How the file is packed; auto: by the ending of its name. An archive: ";
    properties["compress"]["description"] = format!("{text}{ELSEWHERE}.").into();
}

impl FileParameter {
    pub(crate) fn wait(&self) -> Duration {
        let seconds = self.socket_timeout_seconds.map(|Number(seconds)| seconds);
        answer_wait(seconds.map(|seconds| Number(seconds.saturating_mul(1000))))
    }

    pub(crate) fn body_bytes_max(&self) -> u64 {
        STREAM_BYTES
    }

    /// # Errors
    /// `parameter.invalid`, `connection.invalid`.
    pub(crate) fn request(&self, connection: &Connection) -> Result<Request> {
        let method = method(self.request_method.as_deref(), &[Method::GET, Method::POST])?;
        let url = connection.url_of(Some(&self.file_name))?;
        let mut request = Request::new(method, url);
        request.headers = connection.headers()?;
        self.request_headers.add_to(&mut request.headers, "/parameter/requestHeaders")?;
        if let Some(parameters) = &self.request_param {
            request.url = parameters.add_to(request.url);
        }
        if let Some(body) = self.request_body.as_ref().filter(|_| request.method == Method::POST) {
            let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            request.body = Some(text.into_bytes());
        }
        Ok(request)
    }

    /// # Errors
    /// `parameter.invalid`, also for formats that are not read from their beginning to their end.
    pub(crate) fn format(&self, parameters: &ReadParameters) -> Result<ReadFormat> {
        let name = self.file_name.split('?').next().unwrap_or_default();
        let mut format = parameters.format(name)?;
        let is_text = matches!(format.format, Format::Csv(_) | Format::Json);
        let is_sheet = format.packing == Some(Packing::Workbook);
        if !is_text || is_sheet || format.rows.is_some() {
            let message = "of files behind HTTP csv, text, JSON lines and fixed width are read";
            return Err(invalid("fileFormat", message).hint(ELSEWHERE));
        }
        let packing = format
            .packing
            .or(Packing::by_name(&name.to_ascii_lowercase()).map(|(packing, _)| packing));
        format.packing = Some(packing.unwrap_or(Packing::None));
        if format.packing == Some(Packing::Zip) {
            return Err(invalid("compress", "an archive behind HTTP can't be read").hint(ELSEWHERE));
        }
        Ok(format)
    }
}
