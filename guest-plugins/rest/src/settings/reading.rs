//! Parameters of the reader.

use std::collections::BTreeSet;

use formats::lenient::Switch;
use formats::parameters::{FileFormat, HeaderParameter, ReadParameters};
use formats::{Kind, Listed, Origin, Packing, ReadFormat, Wanted};
use schemars::JsonSchema;
use sdk::parameters::Number;
use sdk::{Fault, Result};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use ureq::http::{HeaderValue, Method, header};

use super::{Asking, Connection};
use crate::client::{Request, set_default};
use crate::paging::{CursorFrom, Paging, ParamIn};
use crate::records::{Path, Projection};

/// A page of JSON is held whole, with what is made of it.
const PAGE_BYTES: u64 = 32 << 20;
const PAGE_BYTES_MAX: u64 = 64 << 20;
/// A streamed body; more is none that anybody waits for.
pub(super) const STREAM_BYTES: u64 = 64 << 30;
/// Records a page where offsets are counted and nothing is said.
const SIZE: u64 = 100;

/// Parameters of the reader's own.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReaderParameter {
    /// The body of a `post`: a JSON value, or a text that is sent as it is.
    #[serde(default)]
    body: Option<Value>,
    /// What bodies of answers are: JSON, JSON lines (`NDJSON`) or `CSV`.
    #[serde(default, deserialize_with = "formats::lenient::word")]
    #[schemars(with = "Option<String>", extend("default" = "JSON", "enum" = ["JSON", "NDJSON", "CSV"]))]
    response_type: Option<ResponseType>,
    /// Where the records are in a JSON body, such as `data.list`. Left out: the body itself.
    #[serde(default)]
    data_path: Option<String>,
    /// `multiData`: there is a list of records (default); `oneData`: there is one record.
    #[serde(default)]
    data_mode: DataMode,
    /// The columns: names, or objects with `name`, `type`, `format` and `path` (where in a record, such as
    /// `customer.address.city` or `tags[0]`; left out: `name`), or a constant `value`. `["*"]` or left out: all
    /// members, with types inferred from the first page.
    #[serde(default)]
    column: Option<Vec<Column>>,
    /// What becomes of a record with a value that does not fit its column: it is dirty, or the value NULL.
    #[serde(default)]
    dirty_data: DirtyData,
    /// How the next page is asked for.
    #[serde(default)]
    pagination: Option<Pagination>,
    /// `multiple`: one request for each value of `requestParam` from `startIndex` to `endIndex`.
    #[serde(default)]
    request_times: RequestTimes,
    /// The parameter that counts.
    #[serde(default)]
    request_param: Option<String>,
    /// Its first value.
    #[serde(default)]
    start_index: Option<Number>,
    /// Its last value.
    #[serde(default)]
    end_index: Option<Number>,
    /// From one value to the next.
    #[serde(default)]
    #[schemars(extend("default" = 1))]
    step: Option<Number>,
    /// A body of more bytes than this, unpacked, is refused (default 32 MiB for JSON, at most 64; 64 GiB for
    /// those that are streamed).
    #[serde(default)]
    max_body_bytes: Option<Number>,
    /// Of CSV: between fields.
    #[serde(default)]
    #[schemars(extend("default" = ","))]
    field_delimiter: Option<String>,
    /// Of CSV: the text that is NULL, unquoted.
    #[serde(default)]
    null_format: Option<String>,
    /// Of CSV: the encoding of the text.
    #[serde(default)]
    #[schemars(extend("default" = "UTF-8"))]
    encoding: Option<String>,
    /// Of CSV: whether the first record holds the names; or the names.
    #[serde(default)]
    #[schemars(extend("default" = true))]
    header: Option<HeaderParameter>,
}

/// All keys of the reader.
#[derive(JsonSchema)]
pub(crate) struct ReaderDocument {
    #[serde(flatten)]
    _asking: Asking,
    #[serde(flatten)]
    _own: ReaderParameter,
}

/// What a body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ResponseType {
    #[default]
    Json,
    #[serde(alias = "jsonl")]
    Ndjson,
    Csv,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum DataMode {
    OneData,
    #[default]
    MultiData,
}

/// What becomes of a value that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DirtyData {
    #[default]
    Dirty,
    Null,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RequestTimes {
    #[default]
    Single,
    Multiple,
}

/// A column: its name, or more about it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a name or an object with name, path or value is expected")]
pub(crate) enum Column {
    /// A name; `*` alone is all columns.
    Name(String),
    Described(DescribedColumn),
}

/// One column.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct DescribedColumn {
    /// Name of the column, and where it is in a record unless `path` says it.
    name: Option<String>,
    /// Where it is in a record: names of members with points between, `[0]` for an item of a list, `$` for
    /// the record itself.
    path: Option<String>,
    /// Of CSV without names: place in a record, from 0.
    index: Option<Number>,
    /// The same text, number or boolean, or null, in every row.
    #[serde(default, deserialize_with = "given")]
    value: Option<Value>,
    /// string, long, double, boolean, date, bytes; or smallint, int, bigint, float, decimal(p,s), time,
    /// timestamp, timestamptz, binary. Left out: inferred.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Of dates and times, in the letters yyyy MM dd HH mm ss S X; of bytes base64, hex or raw.
    format: Option<String>,
}

/// Tells a null that is written from a key that is not.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// How the next page is asked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pagination {
    /// `page` counts pages, `offset` records, until a page has none; `cursor` is in the answer, `link` is its
    /// header `Link` with `rel="next"`, until there is none.
    #[serde(rename = "type")]
    kind: PageKind,
    /// The parameter that says which page (default: `page`, `offset` or `cursor`).
    #[serde(default)]
    param: Option<String>,
    /// Where the parameter stands. Left out: in the body of a `post` that has an object, else in the query.
    #[serde(default)]
    param_in: Option<ParamIn>,
    /// Number of the first page or record (default 1 for `page`, 0 for `offset`).
    #[serde(default)]
    start: Option<Number>,
    /// Number of the last page, where it is known: pages are then read side by side.
    #[serde(default)]
    end: Option<Number>,
    /// Records a page (of `offset` 100 where nothing is said), sent as `sizeParam`.
    #[serde(default)]
    size: Option<Number>,
    /// The parameter that says how many records a page has (default for `offset`: `limit`).
    #[serde(default)]
    size_param: Option<String>,
    /// Of `cursor`: where it is in the body, such as `meta.next`. A URL there is followed.
    #[serde(default)]
    path: Option<String>,
    /// Of `cursor`: the header that holds it.
    #[serde(default)]
    header: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum PageKind {
    Page,
    Offset,
    Cursor,
    Link,
}

pub(super) fn invalid(key: &str, message: impl Into<String>) -> Fault {
    Fault::user("parameter.invalid", message).at(format!("/parameter/{key}"))
}

impl ReaderParameter {
    pub(crate) fn response_type(&self) -> ResponseType {
        self.response_type.unwrap_or_default()
    }

    pub(crate) fn dirty_is_null(&self) -> bool {
        self.dirty_data == DirtyData::Null
    }

    pub(crate) fn has_one_record(&self) -> bool {
        self.data_mode == DataMode::OneData
    }

    pub(crate) fn body_bytes_max(&self) -> u64 {
        let said = self.max_body_bytes.map(|Number(bytes)| bytes);
        match self.response_type() {
            ResponseType::Json => said.unwrap_or(PAGE_BYTES).min(PAGE_BYTES_MAX),
            ResponseType::Ndjson | ResponseType::Csv => said.unwrap_or(STREAM_BYTES),
        }
    }

    /// # Errors
    /// `parameter.invalid` for a path that is none, or one of bodies that are no JSON.
    pub(crate) fn data_path(&self) -> Result<Path> {
        let text = self.data_path.as_deref().unwrap_or_default();
        if !text.trim().is_empty() && self.response_type() != ResponseType::Json {
            return Err(invalid("dataPath", "only bodies of JSON have records at a path"));
        }
        Path::parse(text).map_err(|why| invalid("dataPath", why))
    }

    /// The request for the first page, unsigned.
    ///
    /// # Errors
    /// `parameter.invalid`, `connection.invalid`.
    pub(crate) fn request(&self, connection: &Connection, asking: &Asking) -> Result<Request> {
        let mut request = asking.request(connection, &[Method::GET, Method::POST])?;
        let accept = match self.response_type() {
            ResponseType::Json => "application/json",
            ResponseType::Ndjson => "application/x-ndjson, application/json",
            ResponseType::Csv => "text/csv",
        };
        set_default(&mut request.headers, header::ACCEPT, accept);
        let is_post = request.method == Method::POST;
        let mut body = self.body.clone().filter(|body| !body.is_null());
        if let Some(parameters) = &asking.parameters {
            match parameters.object().filter(|_| is_post && body.is_none()) {
                Some(object) => body = Some(object),
                None => request.url = parameters.add_to(request.url),
            }
        }
        match body {
            Some(_) if !is_post => return Err(invalid("body", "only a post has a body")),
            Some(Value::String(text)) => request.body = Some(text.into_bytes()),
            Some(value) => {
                request.body = Some(value.to_string().into_bytes());
                let kind = HeaderValue::from_static("application/json");
                request.headers.entry(header::CONTENT_TYPE).or_insert(kind);
            }
            None => {}
        }
        if let Some(Pagination { size, size_param, kind, param_in, .. }) = &self.pagination {
            let is_offset = *kind == PageKind::Offset;
            let name = size_param.as_deref().or(is_offset.then_some("limit"));
            let size = size.map(|Number(size)| size).or(is_offset.then_some(SIZE));
            if let (Some(name), Some(size)) = (name, size) {
                ParamIn::set(*param_in, &mut request, name, &size.into())?;
            }
        }
        Ok(request)
    }

    /// # Errors
    /// `parameter.invalid` where a kind of pages lacks what it needs.
    pub(crate) fn paging(&self) -> Result<Paging> {
        if self.request_times == RequestTimes::Multiple {
            return self.counted();
        }
        let Some(pagination) = &self.pagination else { return Ok(Paging::Single) };
        let Pagination { kind, param, param_in, start, end, path, header, .. } = pagination.clone();
        let named = |usual: &str| param.clone().unwrap_or_else(|| usual.to_owned());
        let number = |number: Option<Number>, usual| number.map_or(usual, |Number(number)| number);
        Ok(match (kind, end) {
            (PageKind::Page, Some(Number(end))) => {
                let start = number(start, 1);
                range(named("page"), param_in, (start, end, 1), "pagination/end")?
            }
            (PageKind::Page, None) => {
                Paging::Page { param: named("page"), param_in, start: number(start, 1) }
            }
            (PageKind::Offset, _) => {
                Paging::Offset { param: named("offset"), param_in, start: number(start, 0) }
            }
            (PageKind::Cursor, _) => {
                let from = match (path, header) {
                    (Some(path), None) => {
                        if self.response_type() != ResponseType::Json {
                            return Err(invalid(
                                "pagination/path",
                                "only bodies of JSON hold a cursor; \"header\" names the header that does",
                            ));
                        }
                        CursorFrom::Body(
                            Path::parse(&path).map_err(|why| invalid("pagination/path", why))?,
                        )
                    }
                    (None, Some(header)) => CursorFrom::Header(header),
                    _ => {
                        return Err(invalid(
                            "pagination",
                            "a cursor is at a \"path\" or in a \"header\"",
                        ));
                    }
                };
                Paging::Cursor { param: named("cursor"), param_in, from }
            }
            (PageKind::Link, _) => Paging::Link,
        })
    }

    fn counted(&self) -> Result<Paging> {
        let param = self.request_param.clone().filter(|name| !name.is_empty());
        let param = param.ok_or_else(|| invalid("requestParam", "\"requestParam\" is missing"))?;
        let end = self.end_index.ok_or_else(|| invalid("endIndex", "\"endIndex\" is missing"))?;
        let start = self.start_index.unwrap_or_default();
        let step = self.step.map_or(1, |Number(step)| step);
        if step == 0 {
            return Err(invalid("step", "a step of 0 leads nowhere"));
        }
        range(param, None, (start.0, end.0, step), "endIndex")
    }

    /// How bodies are read: the format, with the columns, and what makes lines of records.
    ///
    /// # Errors
    /// `parameter.invalid`.
    pub(crate) fn format(&self) -> Result<(ReadFormat, Projection)> {
        let is_csv = self.response_type() == ResponseType::Csv;
        let word = self.encoding.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
        if !is_csv && !matches!(word.as_str(), "" | "utf-8" | "utf8") {
            return Err(invalid("encoding", "JSON is UTF-8"));
        }
        if is_csv && self.dirty_is_null() {
            let why = "a value of CSV that does not fit makes its record dirty";
            return Err(invalid("dirtyData", why));
        }
        let file_format = if is_csv { FileFormat::Csv } else { FileFormat::Json };
        let header = self.header.clone().unwrap_or(HeaderParameter::Switch(Switch(true)));
        let parameters = ReadParameters {
            file_format: Some(file_format),
            field_delimiter: self.field_delimiter.clone(),
            null_format: self.null_format.clone(),
            encoding: self.encoding.clone(),
            header: is_csv.then_some(header),
            ..ReadParameters::default()
        };
        let mut format = parameters.format("")?;
        format.packing = Some(Packing::None);
        let mut projection = Projection::Whole;
        if let Some(columns) = self.listed()? {
            let paths = columns.iter().filter_map(|(listed, path)| match &listed.origin {
                Origin::Name(name) => Some((name.clone(), path.clone())),
                Origin::Index(_) | Origin::Constant(_) => None,
            });
            projection = Projection::Columns(paths.collect());
            format.wanted = Wanted::Listed(columns.into_iter().map(|(listed, _)| listed).collect());
        }
        Ok((format, projection))
    }

    /// The columns as a format lists them, each with its path; `None` where all are wanted.
    fn listed(&self) -> Result<Option<Vec<(Listed, Path)>>> {
        let Some(columns) = &self.column else { return Ok(None) };
        match columns.as_slice() {
            [] => return Err(invalid("column", "\"column\" lists no column")),
            [Column::Name(name)] if name == "*" => return Ok(None),
            _ => {}
        }
        let is_csv = self.response_type() == ResponseType::Csv;
        let mut names = BTreeSet::new();
        let mut listed = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            let (column, path) = column.listed(&format!("column/{at}"), is_csv)?;
            if let Origin::Name(name) = &column.origin
                && !names.insert(name.clone())
            {
                return Err(invalid(
                    &format!("column/{at}"),
                    format!("two columns are named \"{name}\""),
                ));
            }
            listed.push((column, path));
        }
        Ok(Some(listed))
    }
}

fn range(
    param: String,
    param_in: Option<ParamIn>,
    (start, end, step): (u64, u64, u64),
    key: &str,
) -> Result<Paging> {
    if end < start {
        return Err(invalid(key, "the last value lies before the first"));
    }
    Ok(Paging::Range { param, param_in, start, end, step })
}

impl Column {
    fn listed(&self, key: &str, is_csv: bool) -> Result<(Listed, Path)> {
        let described = match self {
            Self::Name(name) if name == "*" => {
                return Err(invalid(key, "\"*\" stands alone, or not at all"));
            }
            Self::Name(name) => DescribedColumn { name: Some(name.clone()), ..Default::default() },
            Self::Described(described) => described.clone(),
        };
        let DescribedColumn { name, path, index, value, kind, format } = described;
        let (origin, name) = match (value, index, name, &path) {
            (Some(value), ..) if index.is_none() && path.is_none() => {
                return self.constant(key, value, described_name(self), (kind, format));
            }
            (None, Some(Number(index)), name, None) if is_csv => {
                let index =
                    usize::try_from(index).map_err(|_| invalid(key, "the index is too large"))?;
                (Origin::Index(index), name)
            }
            (None, None, Some(name), None) => (Origin::Name(name), None),
            (None, None, Some(name), Some(_)) if !is_csv => (Origin::Name(name), None),
            (None, None, None, Some(path)) if !is_csv => (Origin::Name(path.clone()), None),
            _ => {
                return Err(invalid(
                    key,
                    "a column has a \"name\" and perhaps a \"path\", an \"index\" (of CSV), or a \"value\"",
                ));
            }
        };
        let path = match (&path, &origin) {
            (Some(path), _) => Path::parse(path).map_err(|why| invalid(key, why))?,
            (None, Origin::Name(name)) => Path::of_name(name),
            _ => Path::default(),
        };
        let kind = parsed(key, kind.as_deref(), format.as_deref())?;
        Ok((Listed { origin, name, kind, word: None, place: format!("/parameter/{key}") }, path))
    }

    fn constant(
        &self,
        key: &str,
        value: Value,
        name: Option<String>,
        (kind, format): (Option<String>, Option<String>),
    ) -> Result<(Listed, Path)> {
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        let kind = parsed(key, kind.as_deref(), format.as_deref())?;
        let place = format!("/parameter/{key}");
        let origin = Origin::Constant(text);
        Ok((Listed { origin, name, kind, word: None, place }, Path::default()))
    }
}

fn described_name(column: &Column) -> Option<String> {
    match column {
        Column::Name(_) => None,
        Column::Described(described) => described.name.clone(),
    }
}

fn parsed(key: &str, kind: Option<&str>, format: Option<&str>) -> Result<Option<Kind>> {
    let wrong = |why: String| invalid(&format!("{key}/type"), why);
    kind.map(|word| Kind::parse(word, format).map_err(wrong)).transpose()
}
